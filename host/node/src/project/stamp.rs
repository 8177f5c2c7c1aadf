//! What a component was built from: as long as that is the same, it need not be built again.
//!
//! In: the files of the kind's folder, those that the compiler says it read elsewhere, the settings, and the versions of the tools.
//! Times of files do not count: a checkout or a copy changes them all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::manifest::sections::Language;
use crate::project::language::Job;

/// Folders that hold no sources, wherever they lie. What is bundled from `node_modules` the bundler names.
const NOT_SOURCES: [&str; 2] = ["node_modules", "__pycache__"];

/// Entries right in the kind's folder that nothing is built from: what tools leave, and tests. Deeper down the same names are an author's.
pub fn beside_the_sources(language: Language) -> &'static [&'static str] {
    match language {
        // What their tools read of these is in the list that they leave.
        Language::Js | Language::Ts => &["target", "tests", "dist"],
        Language::Rust | Language::C => &["target", "tests"],
        Language::Zig => &["target", "zig-out"],
        Language::Go | Language::Python => &["target"],
    }
}

/// Where the stamp lies in the kind's working folder.
const FILE: &str = "stamp.json";

/// Where a kind's sources lie.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The kind's folder.
    pub folder: &'a Path,
    /// What is written in it.
    pub language: Language,
}

impl<'a> From<&'a Job<'_>> for Sources<'a> {
    fn from(job: &'a Job<'_>) -> Self {
        Self {
            folder: job.source,
            language: job.language,
        }
    }
}

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
        sources: Sources<'_>,
        settings: &[String],
        elsewhere: BTreeSet<PathBuf>,
        component: Digest,
    ) -> Self {
        Self {
            inputs: hash(sources, settings, &elsewhere),
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

    /// Files outside the kind's folder that went in.
    pub fn into_elsewhere(self) -> BTreeSet<PathBuf> {
        self.elsewhere
    }

    /// Forgets the last build, before something that it made is changed.
    pub fn forget(work: &Path) {
        drop(std::fs::remove_file(work.join(FILE)));
    }

    /// Whether the same would go in and `component` is what came out.
    pub fn holds(&self, sources: Sources<'_>, settings: &[String], component: Digest) -> bool {
        self.component == component && self.inputs == hash(sources, settings, &self.elsewhere)
    }
}

fn hash(sources: Sources<'_>, settings: &[String], elsewhere: &BTreeSet<PathBuf>) -> String {
    let folder = sources.folder;
    let mut files = BTreeSet::new();
    gather(folder, beside_the_sources(sources.language), &mut files);
    // The calls that `granary test` makes.
    let calls = folder.join("tests");
    files.retain(|file| {
        !(file.starts_with(&calls) && file.extension().is_some_and(|end| end == "toml"))
    });
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

fn gather(folder: &Path, left_out: &[&str], files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_no_source = NOT_SOURCES
            .iter()
            .chain(left_out)
            .any(|other| *other == name);
        if name.starts_with('.') || is_no_source {
            continue;
        }
        // Links to folders are not followed: they may lead around in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(&path, &[], files);
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
        let sources = Sources {
            folder: &folder,
            language: Language::Python,
        };
        let stamp = Stamp::new(sources, &settings, [shared.clone()].into(), component);
        stamp.keep(&folder.join("target"));
        let stamp = Stamp::read(&folder.join("target")).unwrap();
        let holds = || stamp.holds(sources, &settings, component);
        assert!(holds());
        std::fs::write(folder.join("target/x"), "built").unwrap();
        std::fs::write(folder.join("app.py"), "1").unwrap();
        assert!(holds(), "neither times nor what was built count");
        assert!(!stamp.holds(sources, &settings, Digest([2; 32])));
        assert!(!stamp.holds(sources, &["granary 2".to_owned()], component));
        std::fs::write(&shared, "2").unwrap();
        assert!(!holds());
        std::fs::write(&shared, "1").unwrap();
        std::fs::write(folder.join("new.py"), "").unwrap();
        assert!(!holds());
        Stamp::forget(&folder.join("target"));
        assert_eq!(Stamp::read(&folder.join("target")), None);
    }

    #[test]
    fn a_name_of_an_output_is_a_source_deeper_down() {
        let cases = [
            (Language::Go, "dist/d.go", true),
            (Language::Go, "target/d.go", false),
            (Language::Go, "tests/help.go", true),
            (Language::Go, "tests/shop.toml", false),
            (Language::Go, "prices/tests/goal.go", true),
            (Language::Python, "prices/target/goal.py", true),
            (Language::Python, "prices/__pycache__/goal.pyc", false),
            (Language::Ts, "dist/min.ts", false),
            (Language::Ts, "lib/dist/min.ts", true),
            (Language::Zig, "zig-out/made.zig", false),
            (Language::Zig, "lib/zig-out/x.zig", true),
            (Language::Rust, "tests/whole.rs", false),
            (Language::Rust, "src/tests/mod.rs", true),
            (Language::C, "tests/unit.c", false),
        ];
        for (language, file, counts) in cases {
            let place = tempfile::tempdir().unwrap();
            let sources = Sources {
                folder: place.path(),
                language,
            };
            let component = Digest([1; 32]);
            let stamp = Stamp::new(sources, &[], BTreeSet::new(), component);
            let file = place.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "new").unwrap();
            assert_ne!(
                stamp.holds(sources, &[], component),
                counts,
                "{language:?}: {}",
                file.display()
            );
        }
    }
}
