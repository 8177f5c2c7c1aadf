//! The files of projects, watched: which of them have changed, and whether that is a change of a source.
//!
//! Watched are the projects' folders without what is built there, and the files outside of a kind's folder that its last build has read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use granary_core::id::{Digest, KindName};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::cli::exit::{Error, Exit};
use crate::manifest::{KindManifest, Source};
use crate::project::{Project, build, clients, stamp};

/// A folder of sources, or the component itself.
pub(super) fn source(kind: &KindManifest) -> &Path {
    match &kind.source {
        Source::Prebuilt(path) => path,
        Source::Language { folder, .. } | Source::Command { folder, .. } => folder,
    }
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Changes of source files, gathered until they pause.
pub(super) struct Watching {
    watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// Those of them in which each file is a source, unless its name says otherwise.
    sources: BTreeSet<PathBuf>,
    prebuilt: BTreeSet<PathBuf>,
    /// What is built right in the folders of projects and kinds.
    outputs: BTreeSet<PathBuf>,
    /// What the last build of each kind has read from elsewhere. A build may write such a file itself, as cargo does its lock.
    elsewhere: BTreeMap<KindName, BTreeMap<PathBuf, Option<Digest>>>,
    /// The client files that the last build has made or found, with their text: it was built with that.
    clients: BTreeMap<PathBuf, Vec<u8>>,
}

/// An editor writes a file in several steps.
const PAUSE: Duration = Duration::from_millis(150);

impl Watching {
    pub(super) fn start(projects: &[Project]) -> Result<Self, Error> {
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
            sources: BTreeSet::new(),
            prebuilt: BTreeSet::new(),
            outputs: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            clients: BTreeMap::new(),
        };
        watching.extend(projects);
        Ok(watching)
    }

    /// Watches every folder of sources that there is by now. One by one: what the build writes is left out. To be told after each build.
    pub(super) fn extend(&mut self, projects: &[Project]) {
        let mut found = BTreeSet::new();
        self.outputs = projects.iter().flat_map(outputs).collect();
        for project in projects {
            collect(&absolute(&project.folder), &self.outputs, &mut found);
            for kind in project
                .manifests
                .iter()
                .flat_map(|manifest| &manifest.kinds)
            {
                self.remember_elsewhere(project, &kind.spec.name);
                if let Source::Prebuilt(path) = &kind.source {
                    let path = absolute(path);
                    self.prebuilt.insert(path);
                } else {
                    collect(&absolute(source(kind)), &self.outputs, &mut found);
                }
            }
        }
        self.sources.extend(found.iter().cloned());
        self.clients = found
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .filter(|path| clients::is_ours(path))
            .filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?)))
            .collect();
        self.watch(found);
        let elsewhere = self.elsewhere.values().flat_map(BTreeMap::keys);
        let folders = elsewhere
            .chain(&self.prebuilt)
            .filter_map(|file| file.parent());
        let folders = folders.map(Path::to_path_buf).collect();
        self.watch(folders);
    }

    /// After a build that failed it is what the last one has read that did not, as it is now.
    fn remember_elsewhere(&mut self, project: &Project, kind: &KindName) {
        let known = self.elsewhere.remove(kind).unwrap_or_default();
        let files = match build::read_elsewhere(project, kind) {
            Some(files) => files.iter().filter_map(|file| place(file)).collect(),
            None => known.into_keys().collect::<BTreeSet<_>>(),
        };
        let files = files.into_iter().map(|file| {
            let contents = contents(&file);
            (file, contents)
        });
        self.elsewhere.insert(kind.clone(), files.collect());
    }

    /// The kinds whose last build has read a file from elsewhere that is another one now.
    pub(super) fn readers(&self, path: &Path) -> BTreeSet<KindName> {
        let read = self.elsewhere.iter().filter(|(_, files)| {
            let then = files.get(path);
            then.is_some_and(|then| *then != contents(path))
        });
        read.map(|(kind, _)| kind.clone()).collect()
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
    pub(super) async fn next(&mut self) -> BTreeSet<PathBuf> {
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
        if self.prebuilt.contains(path) || !self.readers(path).is_empty() {
            return true;
        }
        let is_watched = path
            .parent()
            .is_some_and(|folder| self.sources.contains(folder));
        if !is_watched || !is_source(path, &self.outputs) || is_own_output(path) {
            return false;
        }
        if std::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
            // Its files may have come before it was watched: they are looked for after that.
            let mut folders = BTreeSet::new();
            collect(path, &self.outputs, &mut folders);
            self.sources.extend(folders.iter().cloned());
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

/// What is built right in a project's folder and in those of its kinds.
fn outputs(project: &Project) -> Vec<PathBuf> {
    let kinds = project.manifests.iter().flat_map(|it| &it.kinds);
    let beside = kinds.flat_map(|kind| {
        let names = match &kind.source {
            Source::Language { language, .. } => stamp::beside_the_sources(*language),
            Source::Prebuilt(_) | Source::Command { .. } => &["target"],
        };
        let folder = absolute(source(kind));
        names.iter().map(move |name| folder.join(name))
    });
    let own = absolute(&project.folder).join("target");
    std::iter::once(own).chain(beside).collect()
}

/// Where a file is told of when it changes, whether it is there or not; nowhere, if its folder is not.
fn place(file: &Path) -> Option<PathBuf> {
    let there = std::fs::canonicalize(file).ok();
    there.or_else(|| {
        let folder = std::fs::canonicalize(file.parent()?).ok()?;
        Some(folder.join(file.file_name()?))
    })
}

fn contents(file: &Path) -> Option<Digest> {
    let bytes = std::fs::read(file).ok()?;
    Some(Digest(Sha256::digest(&bytes).into()))
}

/// A folder and those below it that hold sources.
fn collect(folder: &Path, outputs: &BTreeSet<PathBuf>, found: &mut BTreeSet<PathBuf>) {
    if !found.insert(folder.to_path_buf()) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Links are not followed: they may lead out of the project, or around in a circle.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && is_source(&entry.path(), outputs) {
            collect(&entry.path(), outputs, found);
        }
    }
}

/// What tools put into a folder of theirs that nobody need keep: cargo does, wherever its output lies.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Whether something in a watched folder is one of the sources: not what was built, kept or is hidden, nor an editor's own file. Of names only
/// its own one counts: the whole project may lie in a hidden folder.
fn is_source(path: &Path, outputs: &BTreeSet<PathBuf>) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let kept = name.starts_with('.')
        || ["node_modules", "__pycache__", "Cargo.lock", "4913"].contains(&name.as_str());
    let built = outputs.contains(path) || path.join(CACHE_TAG).exists();
    let temporary = [".swp", ".tmp", "~"].iter().any(|end| name.ends_with(end));
    !kept && !temporary && !built
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dev::tests::kind;
    use crate::manifest::sections::Language;
    use crate::project::stamp::Stamp;

    #[test]
    fn folders_of_sources_are_watched_and_what_the_build_writes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join(".hidden").join("errands");
        for folder in [
            "src/target",
            "wit",
            "target/release",
            "built/release",
            ".git",
            ".granary/store",
        ] {
            std::fs::create_dir_all(project.join(folder)).unwrap();
        }
        std::fs::write(project.join("built").join(CACHE_TAG), "").unwrap();
        let outputs = BTreeSet::from([project.join("target")]);
        let mut found = BTreeSet::new();
        collect(&project, &outputs, &mut found);
        let expected = ["", "src", "src/target", "wit"].map(|folder| project.join(folder));
        // A path that ends in a slash is equal to the same one without.
        assert_eq!(found, expected.into_iter().collect());
    }

    /// What is seen to have changed until a wanted file has.
    async fn until(watching: &mut Watching, wanted: &Path) -> BTreeSet<PathBuf> {
        let mut seen = BTreeSet::new();
        while !seen.contains(wanted) {
            let next = tokio::time::timeout(Duration::from_secs(60), watching.next());
            seen.append(&mut next.await.expect("a change is seen"));
        }
        seen
    }

    #[tokio::test]
    async fn a_file_elsewhere_is_a_source_of_the_kind_that_has_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = absolute(folder.path());
        let project = place.join("project");
        kind(&project, "one");
        kind(&project, "two");
        let source = project.join("one/src/lib.rs");
        std::fs::create_dir(place.join("shared")).unwrap();
        let [shared, to_come] = ["shared/limit.rs", "Cargo.lock"].map(|file| place.join(file));
        std::fs::write(&shared, "1").unwrap();
        let work = project.join("target/granary/one");
        std::fs::create_dir_all(&work).unwrap();
        let sources = stamp::Sources {
            folder: &project.join("one"),
            language: Language::Rust,
        };
        let made = work.join("bindings.rs");
        let read = [shared.clone(), to_come.clone(), made.clone()].into();
        Stamp::new(sources, &[], read, Digest([1; 32])).keep(&work);
        let projects = [Project::open(&project).unwrap()];
        let mut watching = Watching::start(&projects).unwrap();
        let one: BTreeSet<KindName> = [KindName::parse("one").unwrap()].into();
        for (text, is_change) in [("1", false), ("2", true)] {
            std::fs::write(&made, text).unwrap();
            std::fs::write(&shared, text).unwrap();
            std::fs::write(&source, text).unwrap();
            let seen = until(&mut watching, &source).await;
            let expected = [source.clone()].into_iter();
            let expected = expected.chain(is_change.then(|| shared.clone()));
            assert_eq!(seen, expected.collect());
        }
        assert_eq!(watching.readers(&shared), one);
        // A build that fails leaves no list.
        Stamp::forget(&work);
        watching.extend(&projects);
        assert_eq!(watching.readers(&shared), BTreeSet::new());
        for file in [&shared, &to_come] {
            std::fs::write(file, "3").unwrap();
            until(&mut watching, file).await;
            assert_eq!(watching.readers(file), one);
        }
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
            let file = Path::new("/p/src").join(name);
            assert!(!is_source(&file, &BTreeSet::new()), "{name}");
        }
        for path in ["/p/src/lib.rs", "/p/granary.toml", "/p/wit/world.wit"] {
            assert!(is_source(Path::new(path), &BTreeSet::new()), "{path}");
        }
    }
}
