//! The files of projects, watched: which of them have changed, and whether that is a change of a source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::cli::exit::{Error, Exit};
use crate::manifest::{KindManifest, Source};
use crate::project::{Project, clients};

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
    prebuilt: BTreeSet<PathBuf>,
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
            prebuilt: BTreeSet::new(),
            clients: BTreeMap::new(),
        };
        watching.extend(projects);
        Ok(watching)
    }

    /// Watches every folder of sources that there is by now. One by one: what the build writes is left out. To be told after each build.
    pub(super) fn extend(&mut self, projects: &[Project]) {
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
    use crate::cli::dev::tests::kind;

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
