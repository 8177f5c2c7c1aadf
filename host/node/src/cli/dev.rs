//! `dev`: projects on a node of their own, built, deployed, watched.

mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use granary_core::id::KindName;
use serde_json::json;

use crate::cli::client::{Address, Client};
use crate::cli::deploy::revise;
use crate::cli::exit::Error;
use crate::cli::follow::{Stream, print_log};
use crate::cli::node::{Running, compile_on_all_processors, start_log, until_told};
use crate::cli::project::{build_error, kinds, open_all};
use crate::cli::sample::curl_lines;
use crate::cli::settings;
use crate::cli::terminal::{Terminal, Tone, cell};
use crate::cli::upload::upload;
use crate::config::units::Listen;
use crate::config::{Config, Origin};
use crate::manifest::{FILE_NAME, KindManifest, Source};
use crate::project::Project;
use crate::project::build::{BuildError, Builder, Built};
use watch::{Watching, absolute, source};

/// What `dev` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "State survives: it lies in the data directory. Breaking changes of an interface are deployed, and said.\nA build that fails leaves the last good revision running.\nWatched are the projects and whatever else the last build has read.\n\nExamples:\n  granary dev                           the project in this folder\n  granary dev sample-grains             every project in a folder\n  granary dev --listen 127.0.0.1:0      on a free port"
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
    compile_on_all_processors(&mut config, "dev");
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
            let affected = affected(&self.projects, &changed, |path| watching.readers(path));
            if affected.is_empty() {
                continue;
            }
            self.deploy_all(&|name| affected.contains(name)).await;
            watching.extend(&self.projects);
        }
    }
}

/// The kinds whose sources hold a changed file, and those that have read it from elsewhere; all of them if it lies in their project beside the
/// sources of each, as a shared library does.
fn affected(
    projects: &[Project],
    changed: &BTreeSet<PathBuf>,
    readers: impl Fn(&Path) -> BTreeSet<KindName>,
) -> BTreeSet<KindName> {
    let folders: Vec<PathBuf> = projects.iter().map(|it| absolute(&it.folder)).collect();
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
        let is_shared = own.is_empty() && folders.iter().any(|folder| path.starts_with(folder));
        let chosen = if is_shared { all.collect() } else { own };
        affected.extend(chosen.into_iter().map(|kind| kind.spec.name.clone()));
        affected.extend(readers(path));
    }
    affected
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn kind(folder: &Path, name: &str) {
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
            let changed = changed.iter().map(|file| match file.strip_prefix("../") {
                Some(outside) => path.with_file_name(outside),
                None => path.join(file),
            });
            let changed = changed.collect();
            let reader = KindName::parse("two").unwrap();
            let readers = |path: &Path| -> BTreeSet<KindName> {
                let is_read = path.ends_with("shared.h");
                is_read.then(|| reader.clone()).into_iter().collect()
            };
            affected(&projects, &changed, readers)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(names(&["one/src/lib.rs"]), ["one"]);
        assert_eq!(names(&["Cargo.toml"]), ["one", "two"]);
        assert_eq!(names(&["one/shared.h"]), ["one", "two"]);
        assert_eq!(names(&["../shared.h"]), ["two"]);
        assert!(names(&["../other.h"]).is_empty());
        assert!(names(&[]).is_empty());
    }
}
