//! Projects: folders with a `granary.toml`, and how their kinds become components.

pub mod build;
pub(crate) mod carried;
pub mod clients;
pub mod expectations;
pub mod language;
pub mod own_tests;
pub mod stamp;
pub mod template;
pub mod toolchain;
pub mod wit;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::document::Problems;
use crate::manifest::{FILE_NAME, Manifest};

/// A folder that the user named, with everything in it that has kinds.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder. What is built goes into its `target`, so that dependencies are built once.
    pub folder: PathBuf,
    /// Its project files: its own, or those of the folders right below it.
    pub manifests: Vec<Manifest>,
}

/// Why a project cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The folder is not there.
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    /// Nothing in it has kinds.
    #[error("there is no {FILE_NAME} in {}, nor in the folders right below it", .0.display())]
    NoManifest(PathBuf),
    /// A file was named that is a component, or a core module, and no project file.
    #[error("{} is WebAssembly: a project is the folder of a {FILE_NAME}, which says what kind it makes of a component", .0.display())]
    Component(PathBuf),
    /// A file was named that is no project file.
    #[error("{} is neither a folder nor a {FILE_NAME}", .0.display())]
    NoProjectFile(PathBuf),
    /// A project file is wrong.
    #[error(transparent)]
    Manifest(#[from] Problems),
    /// Two project files name the same kind.
    #[error("kind '{kind}' stands in {} and again in {}", first.display(), second.display())]
    Twice {
        /// The kind.
        kind: String,
        /// Where it stands.
        first: PathBuf,
        /// Where it stands again.
        second: PathBuf,
    },
}

impl Project {
    /// Reads the project files of a folder, or the one file that is named.
    pub fn open(path: &Path) -> Result<Self, ProjectError> {
        if path.is_file() {
            check_project_file(path)?;
            let manifest = Manifest::open(path)?;
            return Ok(Self {
                folder: manifest.folder(),
                manifests: vec![manifest],
            });
        }
        if !path.is_dir() {
            return Err(ProjectError::NoFolder(path.to_path_buf()));
        }
        let own = path.join(FILE_NAME);
        let files = if own.is_file() {
            vec![own]
        } else {
            below(path)
        };
        if files.is_empty() {
            return Err(ProjectError::NoManifest(path.to_path_buf()));
        }
        let manifests = files
            .iter()
            .map(|file| Manifest::open(file))
            .collect::<Result<Vec<_>, _>>()?;
        let project = Self {
            folder: path.to_path_buf(),
            manifests,
        };
        check_unique(std::slice::from_ref(&project))?;
        Ok(project)
    }

    /// Reads several folders. A kind may stand in one of them only.
    pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>, ProjectError> {
        let projects = paths
            .iter()
            .map(|path| Self::open(path))
            .collect::<Result<Vec<_>, _>>()?;
        check_unique(&projects)?;
        Ok(projects)
    }
}

/// Tells a project file from what else people name: read as TOML, a component would be wrong in its fifth byte.
fn check_project_file(path: &Path) -> Result<(), ProjectError> {
    let mut first = [0; WASM.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    if read.is_ok() && first == *WASM {
        return Err(ProjectError::Component(path.to_path_buf()));
    }
    if path.extension().is_none_or(|ext| ext != "toml") {
        return Err(ProjectError::NoProjectFile(path.to_path_buf()));
    }
    Ok(())
}

/// What components and core modules begin with.
const WASM: &[u8; 4] = b"\0asm";

/// The project files of the folders right below one, in the order of their names.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path().join(FILE_NAME))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    files
}

fn check_unique(projects: &[Project]) -> Result<(), ProjectError> {
    let mut seen: Vec<(&str, &Path)> = Vec::new();
    for manifest in projects.iter().flat_map(|project| &project.manifests) {
        for kind in &manifest.kinds {
            let name = kind.spec.name.as_str();
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                let (first, second) = (first.to_path_buf(), manifest.path.clone());
                return Err(ProjectError::Twice {
                    kind: name.to_owned(),
                    first,
                    second,
                });
            }
            seen.push((name, &manifest.path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, kind: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(
            folder.join(FILE_NAME),
            format!("[kinds.{kind}]\ncomponent = \"x.wasm\"\n"),
        )
        .unwrap();
    }

    #[test]
    fn a_folder_is_a_project_or_holds_some() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(matches!(
            Project::open(path),
            Err(ProjectError::NoManifest(_))
        ));
        assert!(matches!(
            Project::open(&path.join("no")),
            Err(ProjectError::NoFolder(_))
        ));
        write(&path.join("b"), "two");
        write(&path.join("a"), "one");
        let names = |project: &Project| -> Vec<String> {
            let kinds = project
                .manifests
                .iter()
                .flat_map(|manifest| &manifest.kinds);
            kinds.map(|kind| kind.spec.name.to_string()).collect()
        };
        assert_eq!(names(&Project::open(path).unwrap()), ["one", "two"]);
        assert_eq!(
            names(&Project::open(&path.join("b").join(FILE_NAME)).unwrap()),
            ["two"]
        );
        write(path, "top");
        assert_eq!(names(&Project::open(path).unwrap()), ["top"]);
    }

    #[test]
    fn a_file_that_is_no_project_file_is_told_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            Project::open(&file)
        };
        let component = b"\0asm\x0d\0\x01\0";
        for name in ["x.wasm", "x", FILE_NAME] {
            let error = open(name, component).unwrap_err();
            assert!(matches!(error, ProjectError::Component(_)), "{error}");
        }
        for (name, bytes) in [("x.wat", "(component)"), ("empty", "")] {
            let error = open(name, bytes.as_bytes()).unwrap_err();
            assert!(matches!(error, ProjectError::NoProjectFile(_)), "{error}");
        }
        let kind = b"[kinds.one]\ncomponent = \"x.wasm\"\n";
        assert!(open("other.toml", kind).is_ok());
    }

    #[test]
    fn a_kind_may_stand_in_one_project_file_only() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("a"), "one");
        write(&folder.path().join("b"), "one");
        let error = Project::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("kind 'one' stands in ") && error.contains("/b/granary.toml"),
            "{error}"
        );
    }
}
