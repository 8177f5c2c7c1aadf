//! `dev`: projects on a node of their own, built, deployed, watched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use granary_core::id::KindName;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::json;
use tokio::sync::mpsc;

use crate::cli::client::{Address, Client};
use crate::cli::deploy::revise;
use crate::cli::exit::{Error, Exit};
use crate::cli::follow::{Stream, print_log};
use crate::cli::node::{Running, start_log, until_told};
use crate::cli::project::{build_error, kinds, open_all};
use crate::cli::sample::curl_lines;
use crate::cli::settings;
use crate::cli::terminal::{Terminal, Tone, cell};
use crate::cli::upload::upload;
use crate::config::units::Listen;
use crate::config::{Config, Origin};
use crate::manifest::{FILE_NAME, KindManifest, Source};
use crate::project::build::{BuildError, Builder, Built};
use crate::project::{Project, clients};

/// What `dev` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "State survives: it lies in the data directory. Breaking changes of an interface are deployed, and said.\nA build that fails leaves the last good revision running.\n\nExamples:\n  granary dev                           the project in this folder\n  granary dev sample-grains             every project in a folder\n  granary dev --listen 127.0.0.1:0      on a free port"
)]
pub struct DevArgs {
    /// Folders with a granary.toml, or folders of such folders
    #[arg(value_name = "DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", value_parser = Listen::parse)]
    listen: Option<Listen>,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = ".granary")]
    data: PathBuf,
    /// Build and deploy once, and do not watch the sources
    #[arg(long)]
    no_watch: bool,
}

/// Runs until Ctrl-C.
pub async fn dev(terminal: &Terminal, args: &DevArgs) -> Result<(), Error> {
    let projects = open_all(&args.paths)?;
    let config = config(args)?;
    start_log(&config.file.log)?;
    let running = Running::start(&config).await?;
    let address = Address {
        url: running.url(),
        token: None,
        ca: None,
    };
    let client = Client::new(&address)?;
    terminal.step(
        "Node",
        format!(
            "{} with its data in {}",
            terminal.paint_err(Tone::Strong, client.base()),
            args.data.display()
        ),
    );
    let mut dev = Dev {
        client: client.clone(),
        terminal: terminal.clone(),
        builder: Builder::new(terminal.quiet, false).asking(client.clone()),
        projects,
    };
    tokio::select! {
        outcome = dev.run(args) => outcome?,
        () = until_told(terminal) => {}
    }
    running.stop().await;
    Ok(())
}

/// `node.toml` is for nodes that stay; here the variables and the options count.
fn config(args: &DevArgs) -> Result<Config, Error> {
    let mut config = settings::load_without_file()?;
    config.set("store.path", "--data", |file| {
        file.store.path.clone_from(&args.data)
    });
    if let Some(listen) = args.listen {
        config.set("http.listen", "--listen", |file| file.http.listen = listen);
    }
    // What guests print is shown anyway; the node itself speaks when something is wrong.
    if config.origin("log.filter") == Origin::Default {
        config.set("log.filter", "dev", |file| {
            "warn".clone_into(&mut file.log.filter)
        });
    }
    config
        .recheck()
        .map_err(|problems| settings::wrong_settings(&problems))?;
    Ok(config)
}

/// Curl lines of one kind: enough to begin.
const LINES_PER_KIND: usize = 3;

struct Dev {
    client: Client,
    terminal: Terminal,
    builder: Builder,
    projects: Vec<Project>,
}

impl Dev {
    async fn run(&mut self, args: &DevArgs) -> Result<(), Error> {
        let mut watching = if args.no_watch {
            None
        } else {
            Some(Watching::start(&self.projects)?)
        };
        let deployed = self.deploy_all(&|_| true).await;
        if let Some(watching) = &mut watching {
            watching.extend(&self.projects);
        }
        self.say_ready(&deployed).await;
        let follower = self.follow_logs();
        let outcome = match &mut watching {
            None => std::future::pending().await,
            Some(watching) => self.watch(watching, args).await,
        };
        follower.abort();
        outcome
    }

    /// Builds and deploys kinds, the next one even if one fails. Gives those that run. A kind whose language cannot be built here is left
    /// out: the others are worth having without it.
    async fn deploy_all(&mut self, wanted: &(dyn Fn(&KindName) -> bool + Sync)) -> Vec<KindName> {
        let mut deployed = Vec::new();
        for (project, manifest, kind) in kinds(&self.projects.clone()) {
            let name = &kind.spec.name;
            if !wanted(name) {
                continue;
            }
            if !matches!(kind.source, Source::Prebuilt(_)) {
                self.terminal.step("Building", name.as_str());
            }
            let terminal = self.terminal.clone();
            let say = |line: &str| terminal.note(line);
            let outcome = match self.builder.build(project, kind, &say).await {
                Ok(built) => self.deploy(&built).await,
                Err(BuildError::NoToolchain { missing, .. }) => {
                    let run = missing.run.lines().next().unwrap_or_default().to_owned();
                    self.terminal
                        .warn(format!("{name} is left out: {missing}; {run}"));
                    continue;
                }
                Err(error) => Err(build_error(&error, Some(&manifest.path))),
            };
            match outcome {
                Ok(()) => deployed.push(name.clone()),
                Err(error) => self.terminal.error(&error),
            }
        }
        deployed
    }

    async fn deploy(&self, built: &Built) -> Result<(), Error> {
        let name = built.kind.spec.name.as_str();
        let wheel = self.terminal.wheel("Deploying", name);
        let done = async {
            upload(
                &self.client,
                &self.terminal,
                name,
                built.digest,
                &built.bytes,
            )
            .await?;
            revise(&self.client, built, "?breaking=true").await
        };
        let done = done.await;
        wheel.finish_and_clear();
        let done = done?;
        let verdict = if done["unchanged"] == true {
            "unchanged".to_owned()
        } else {
            cell(&done["verdict"])
        };
        self.terminal.step(
            "Deployed",
            format!("{name} revision {}, {verdict}", cell(&done["revision"])),
        );
        for warning in done["warnings"].as_array().into_iter().flatten() {
            self.terminal.warn(format!("{name}: {}", cell(warning)));
        }
        Ok(())
    }

    /// Prints lines to copy for the methods of what was deployed.
    async fn say_ready(&self, kinds: &[KindName]) {
        if self.terminal.is_json() {
            self.terminal
                .json(&json!({ "url": self.client.base(), "kinds": kinds }));
            return;
        }
        let mut lines = Vec::new();
        for kind in kinds {
            lines.extend(self.curl_lines(kind).await);
        }
        self.terminal.out(format!(
            "ready on {}",
            self.terminal.paint(Tone::Strong, self.client.base())
        ));
        for line in lines {
            self.terminal.out(format!("  {line}"));
        }
    }

    async fn curl_lines(&self, kind: &KindName) -> Vec<String> {
        let base = self.client.base();
        let path = format!("/v1/kinds/{kind}/revisions/current/openapi.json");
        let document = self.client.get(&path).await.unwrap_or_default();
        let mut lines = curl_lines(base, kind.as_str(), "demo", &document);
        let shown = self
            .client
            .get(&format!("/v1/kinds/{kind}"))
            .await
            .unwrap_or_default();
        let more = lines.len().saturating_sub(LINES_PER_KIND);
        lines.truncate(LINES_PER_KIND);
        if 0 < more {
            lines.push(
                self.terminal
                    .paint(Tone::Dim, &format!("({more} more: granary get {kind})")),
            );
        }
        if shown["http"] == true {
            lines.push(format!("curl {base}/g/{kind}/demo/http/"));
        }
        lines
    }

    fn follow_logs(&self) -> tokio::task::JoinHandle<()> {
        let (client, terminal) = (self.client.clone(), self.terminal.clone());
        tokio::spawn(async move {
            let stream = Stream {
                client: &client,
                path: "/v1/logs?follow=true".to_owned(),
            };
            // The node is in this process: when its stream ends, so does everything.
            drop(stream.run(|line| print_log(&terminal, line)).await);
        })
    }

    async fn watch(&mut self, watching: &mut Watching, args: &DevArgs) -> Result<(), Error> {
        loop {
            let changed = watching.next().await;
            if changed
                .iter()
                .any(|path| path.file_name().is_some_and(|name| name == FILE_NAME))
            {
                match open_all(&args.paths) {
                    Ok(projects) => self.projects = projects,
                    Err(error) => {
                        self.terminal.error(&error);
                        continue;
                    }
                }
            }
            let affected = affected(&self.projects, &changed);
            if affected.is_empty() {
                continue;
            }
            self.deploy_all(&|name| affected.contains(name)).await;
            watching.extend(&self.projects);
        }
    }
}

/// The kinds whose sources hold a changed file; all of them if it lies in none, as a shared library does.
fn affected(projects: &[Project], changed: &BTreeSet<PathBuf>) -> BTreeSet<KindName> {
    let kinds: Vec<(PathBuf, PathBuf, &KindManifest)> = projects
        .iter()
        .flat_map(|project| &project.manifests)
        .flat_map(|manifest| {
            let file = absolute(&manifest.path);
            let kinds = manifest.kinds.iter();
            kinds.map(move |kind| (absolute(source(kind)), file.clone(), kind))
        })
        .collect();
    let built = |kind: &KindManifest| !matches!(kind.source, Source::Prebuilt(_));
    let mut affected = BTreeSet::new();
    for path in changed {
        let own: Vec<&KindManifest> = kinds
            .iter()
            .filter(|(source, manifest, _)| path.starts_with(source) || path == manifest)
            .map(|(_, _, kind)| *kind)
            .collect();
        let all = kinds
            .iter()
            .map(|(_, _, kind)| *kind)
            .filter(|kind| built(kind));
        let chosen = if own.is_empty() { all.collect() } else { own };
        affected.extend(chosen.into_iter().map(|kind| kind.spec.name.clone()));
    }
    affected
}

/// A folder of sources, or the component itself.
fn source(kind: &KindManifest) -> &Path {
    match &kind.source {
        Source::Prebuilt(path) => path,
        Source::Language { folder, .. } | Source::Command { folder, .. } => folder,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Changes of source files, gathered until they pause.
struct Watching {
    watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<PathBuf>,
    folders: BTreeSet<PathBuf>,
    prebuilt: BTreeSet<PathBuf>,
    /// The client files that the last build has made or found, with their text: it was built with that.
    clients: BTreeMap<PathBuf, Vec<u8>>,
}

/// An editor writes a file in several steps.
const PAUSE: Duration = Duration::from_millis(150);

impl Watching {
    fn start(projects: &[Project]) -> Result<Self, Error> {
        let (sender, changes) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(
                event.kind,
                EventKind::Modify(_) | EventKind::Create(_) | EventKind::Remove(_)
            ) {
                for path in event.paths {
                    // The receiver is gone only at the very end.
                    drop(sender.send(path));
                }
            }
        });
        let watcher =
            watcher.map_err(|e| Error::caused(Exit::Failure, &e, "granary dev --no-watch"))?;
        let mut watching = Self {
            watcher,
            changes,
            folders: BTreeSet::new(),
            prebuilt: BTreeSet::new(),
            clients: BTreeMap::new(),
        };
        watching.extend(projects);
        Ok(watching)
    }

    /// Watches every folder of sources that there is by now. One by one: what the build writes is left out. To be told after each build.
    fn extend(&mut self, projects: &[Project]) {
        let mut found = BTreeSet::new();
        for project in projects {
            collect(&absolute(&project.folder), &mut found);
            for kind in project
                .manifests
                .iter()
                .flat_map(|manifest| &manifest.kinds)
            {
                if let Source::Prebuilt(path) = &kind.source {
                    let path = absolute(path);
                    found.extend(path.parent().map(Path::to_path_buf));
                    self.prebuilt.insert(path);
                } else {
                    collect(&absolute(source(kind)), &mut found);
                }
            }
        }
        self.clients = found
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .filter(|path| clients::is_ours(path))
            .filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?)))
            .collect();
        self.watch(found);
    }

    fn watch(&mut self, folders: BTreeSet<PathBuf>) {
        for folder in folders {
            if !self.folders.contains(&folder)
                && self
                    .watcher
                    .watch(&folder, RecursiveMode::NonRecursive)
                    .is_ok()
            {
                self.folders.insert(folder);
            }
        }
    }

    /// The next changed sources.
    async fn next(&mut self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        loop {
            let next = if changed.is_empty() {
                self.changes.recv().await
            } else {
                match tokio::time::timeout(PAUSE, self.changes.recv()).await {
                    Err(_) => return changed,
                    Ok(next) => next,
                }
            };
            match next {
                Some(path) if self.is_change(&path) => {
                    changed.insert(path);
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether something is to be built because of an event at this path.
    fn is_change(&mut self, path: &Path) -> bool {
        if self.prebuilt.contains(path) {
            return true;
        }
        if !is_source(path) || is_own_output(path) {
            return false;
        }
        if std::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
            // Its files may have come before it was watched: they are looked for after that.
            let mut folders = BTreeSet::new();
            collect(path, &mut folders);
            self.watch(folders.clone());
            return folders
                .iter()
                .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
                .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .any(|entry| self.is_change(&entry.path()));
        }
        // A client that somebody else has made, or taken away, is a source like others.
        self.clients
            .get(path)
            .is_none_or(|built_with| std::fs::read(path).ok().as_ref() != Some(built_with))
    }
}

/// Whether this program writes there itself, as in `granary dev > dev.log`: its own words are no change.
fn is_own_output(path: &Path) -> bool {
    let Ok(file) = rustix::fs::stat(path) else {
        return false;
    };
    let streams = [
        rustix::fs::fstat(std::io::stdout()),
        rustix::fs::fstat(std::io::stderr()),
    ];
    streams
        .into_iter()
        .flatten()
        .any(|stream| (stream.st_dev, stream.st_ino) == (file.st_dev, file.st_ino))
}

/// A folder and those below it that hold sources.
fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    if !found.insert(folder.to_path_buf()) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Links are not followed: they may lead out of the project, or around in a circle.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && is_source(&entry.path()) {
            collect(&entry.path(), found);
        }
    }
}

/// Whether something in a watched folder is one of the sources: not what was built, kept or is hidden, nor an editor's own file. Only
/// its own name counts: the whole project may lie in a hidden folder.
fn is_source(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let kept = name.starts_with('.')
        || [
            "target",
            "node_modules",
            "__pycache__",
            "Cargo.lock",
            "4913",
        ]
        .contains(&name.as_str());
    let temporary = [".swp", ".tmp", "~"].iter().any(|end| name.ends_with(end));
    !kept && !temporary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(folder: &Path, name: &str) {
        std::fs::create_dir_all(folder.join(name).join("src")).unwrap();
        std::fs::write(folder.join(name).join("Cargo.toml"), "").unwrap();
        std::fs::write(
            folder.join(name).join(FILE_NAME),
            format!("[kinds.{name}]\nbuild = \".\"\n"),
        )
        .unwrap();
    }

    #[test]
    fn a_change_rebuilds_its_own_kind_and_a_shared_file_rebuilds_all() {
        let folder = tempfile::Builder::new().prefix("dev").tempdir().unwrap();
        let path = absolute(folder.path());
        kind(&path, "one");
        kind(&path, "two");
        let projects = [Project::open(&path).unwrap()];
        let names = |changed: &[&str]| -> Vec<String> {
            let changed = changed.iter().map(|file| path.join(file)).collect();
            affected(&projects, &changed)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(names(&["one/src/lib.rs"]), ["one"]);
        assert_eq!(names(&["Cargo.toml"]), ["one", "two"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn folders_of_sources_are_watched_and_what_the_build_writes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join(".hidden").join("errands");
        for folder in [
            "src/deep",
            "wit",
            "target/release",
            ".git",
            ".granary/store",
        ] {
            std::fs::create_dir_all(project.join(folder)).unwrap();
        }
        let mut found = BTreeSet::new();
        collect(&project, &mut found);
        let expected = ["", "src", "src/deep", "wit"].map(|folder| project.join(folder));
        // A path that ends in a slash is equal to the same one without.
        assert_eq!(found, expected.into_iter().collect());
    }

    #[tokio::test]
    async fn a_client_that_the_build_has_made_is_no_change_and_another_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = absolute(folder.path());
        kind(&path, "one");
        std::fs::create_dir(path.join("one/wit")).unwrap();
        let projects = [Project::open(&path).unwrap()];
        let mut watching = Watching::start(&projects).unwrap();
        let client = path.join("one/wit/deps/two-client.wit");
        let source = path.join("one/src/lib.rs");
        let make = |text: &str| {
            std::fs::create_dir_all(client.parent().unwrap()).unwrap();
            std::fs::write(&client, text).unwrap();
        };
        let until = async |watching: &mut Watching, wanted: &Path| {
            let mut seen = BTreeSet::new();
            while !seen.contains(wanted) {
                let next = tokio::time::timeout(Duration::from_secs(60), watching.next());
                seen.append(&mut next.await.expect("a change is seen"));
            }
            seen
        };
        // Once in a folder that was not there, once in one that is watched.
        for text in ["package a:two-client;", "package b:two-client;"] {
            make(text);
            watching.extend(&projects);
            make(text);
            std::fs::write(&source, text).unwrap();
            let seen = until(&mut watching, &source).await;
            assert_eq!(seen, [source.clone()].into());
        }
        make("package c:two-client;");
        until(&mut watching, &client).await;
        watching.extend(&projects);
        std::fs::remove_file(&client).unwrap();
        until(&mut watching, &client).await;
        // A folder that comes is watched from then on.
        let deep = path.join("one/src/deep");
        std::fs::create_dir(&deep).unwrap();
        std::fs::write(&source, "").unwrap();
        let seen = until(&mut watching, &source).await;
        assert!(!seen.contains(&deep), "there is nothing in it");
        std::fs::write(deep.join("mod.rs"), "").unwrap();
        until(&mut watching, &deep.join("mod.rs")).await;
    }

    #[test]
    fn an_editors_own_files_are_no_sources() {
        for name in ["lib.rs~", ".lib.rs.swp", "lib.rs.tmp", "4913", "Cargo.lock"] {
            assert!(!is_source(&Path::new("/p/src").join(name)), "{name}");
        }
        for path in ["/p/src/lib.rs", "/p/granary.toml", "/p/wit/world.wit"] {
            assert!(is_source(Path::new(path)), "{path}");
        }
    }
}
