//! What a component was built from: as long as that is the same, it need not be built again.
//!
//! In: the files of the kind's folder, those that the compiler says it read elsewhere, the settings, and the versions of the tools.
//! Times of files do not count: a checkout or a copy changes them all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Folders that hold no sources.
const NOT_SOURCES: [&str; 6] = [
    "target",
    "node_modules",
    "__pycache__",
    "dist",
    "zig-out",
    "tests",
];

/// Where the stamp lies in the kind's working folder.
const FILE: &str = "stamp.json";

/// What is remembered of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The hash over everything that went in.
    inputs: String,
    /// Files outside the kind's folder that went in.
    elsewhere: BTreeSet<PathBuf>,
    /// The component that came out.
    component: Digest,
}

impl Stamp {
    /// Remembers a build.
    pub fn new(
        folder: &Path,
        settings: &[String],
        elsewhere: BTreeSet<PathBuf>,
        component: Digest,
    ) -> Self {
        Self {
            inputs: hash(folder, settings, &elsewhere),
            elsewhere,
            component,
        }
    }

    /// The stamp of the last build, if there is one that can be read.
    pub fn read(work: &Path) -> Option<Self> {
        let text = std::fs::read(work.join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps the stamp beside what was built. Without it the next build is not skipped, which is no harm.
    pub fn keep(&self, work: &Path) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        drop(std::fs::write(work.join(FILE), text));
    }

    /// Forgets the last build, before something that it made is changed.
    pub fn forget(work: &Path) {
        drop(std::fs::remove_file(work.join(FILE)));
    }

    /// Whether the same would go in and `component` is what came out.
    pub fn holds(&self, folder: &Path, settings: &[String], component: Digest) -> bool {
        self.component == component && self.inputs == hash(folder, settings, &self.elsewhere)
    }
}

fn hash(folder: &Path, settings: &[String], elsewhere: &BTreeSet<PathBuf>) -> String {
    let mut files = BTreeSet::new();
    gather(folder, &mut files);
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    for setting in settings {
        part(setting.as_bytes());
    }
    for file in files.iter().chain(elsewhere) {
        part(
            file.strip_prefix(folder)
                .unwrap_or(file)
                .as_os_str()
                .as_encoded_bytes(),
        );
        // A file that is gone is a change like another.
        part(&std::fs::read(file).unwrap_or_default());
    }
    Digest(hasher.finalize().into()).to_string()
}

fn gather(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || NOT_SOURCES.contains(&name.as_str()) {
            continue;
        }
        // Links to folders are not followed: they may lead around in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(&path, files);
        } else {
            files.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_decides_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("kind");
        std::fs::create_dir_all(folder.join("target")).unwrap();
        std::fs::write(folder.join("app.py"), "1").unwrap();
        let shared = place.path().join("shared.h");
        std::fs::write(&shared, "1").unwrap();
        let settings = ["granary 1".to_owned()];
        let component = Digest([1; 32]);
        let stamp = Stamp::new(&folder, &settings, [shared.clone()].into(), component);
        stamp.keep(&folder.join("target"));
        let stamp = Stamp::read(&folder.join("target")).unwrap();
        let holds = || stamp.holds(&folder, &settings, component);
        assert!(holds());
        std::fs::write(folder.join("target/x"), "built").unwrap();
        std::fs::write(folder.join("app.py"), "1").unwrap();
        assert!(holds(), "neither times nor what was built count");
        assert!(!stamp.holds(&folder, &settings, Digest([2; 32])));
        assert!(!stamp.holds(&folder, &["granary 2".to_owned()], component));
        std::fs::write(&shared, "2").unwrap();
        assert!(!holds());
        std::fs::write(&shared, "1").unwrap();
        std::fs::write(folder.join("new.py"), "").unwrap();
        assert!(!holds());
        Stamp::forget(&folder.join("target"));
        assert_eq!(Stamp::read(&folder.join("target")), None);
    }
}
