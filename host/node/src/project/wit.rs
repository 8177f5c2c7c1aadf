//! A project's WIT beside the contract's: what bindings are generated from.

use std::fs;
use std::path::{Path, PathBuf};

use granary_runtime::{World, WorldError};

use crate::project::carried;

/// The contract's place among the packages that a project's own needs.
const CONTRACT_FOLDER: &str = "deps/granary-grain";
/// How a package of the contract begins in WIT.
const CONTRACT_PACKAGE: &str = "package granary:grain@";

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WitError {
    /// The project has no WIT.
    #[error("there is no folder {}: the WIT that says what the component offers", .0.display())]
    NoFolder(PathBuf),
    /// A file cannot be copied.
    #[error("{} cannot be written", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not parse, or has no world.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl WitError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoFolder(_) => "write wit/NAME.wit with a `world grain`; granary new shows how".to_owned(),
            Self::File { .. } => "free some space, or look at the folder's permissions".to_owned(),
            Self::World(WorldError::Wit(text)) if text.contains("granary:grain") => {
                format!("correct it there; this granary has granary:grain@{}", contract_version())
            }
            Self::World(_) => "correct it there; https://component-model.bytecodealliance.org/design/wit.html".to_owned(),
        }
    }
}

/// The version of the contract that this program brings.
fn contract_version() -> &'static str {
    let texts = carried::CONTRACT.iter().filter_map(|(_, text)| str::from_utf8(text).ok());
    let mut lines = texts.flat_map(str::lines);
    let version = lines.find_map(|line| line.strip_prefix(CONTRACT_PACKAGE)?.strip_suffix(';'));
    version.unwrap_or_default()
}

/// Writes the WIT of `source` with the packages of `granary:grain` beside it to `merged`, and reads the world. Errors name the files in
/// `source`: nobody looks into `merged`.
pub fn merge(source: &Path, merged: &Path) -> Result<World, WitError> {
    if !source.is_dir() {
        return Err(WitError::NoFolder(source.to_path_buf()));
    }
    let failed = |(path, source)| WitError::File { path, source };
    let mut files = Vec::new();
    read(source, Path::new(""), &mut files).map_err(failed)?;
    let brings_contract = files.iter().any(|(path, text)| {
        path.starts_with("deps")
            && String::from_utf8_lossy(text)
                .lines()
                .any(|line| line.trim_start().starts_with(CONTRACT_PACKAGE))
    });
    if merged.exists() {
        // A file that was renamed would be there twice.
        fs::remove_dir_all(merged).map_err(|error| failed((merged.to_path_buf(), error)))?;
    }
    let own = files.iter().filter_map(|(path, text)| Some((path.to_str()?, text.as_slice())));
    carried::write_all(merged, own).map_err(failed)?;
    if !brings_contract {
        let folder = merged.join(CONTRACT_FOLDER);
        carried::write_all(&folder, carried::CONTRACT.iter().copied()).map_err(failed)?;
    }
    World::open(merged).map_err(|error| {
        let (from, to) = (merged.display().to_string(), source.display().to_string());
        WitError::World(match error {
            WorldError::Wit(text) => WorldError::Wit(text.replace(&from, &to)),
            WorldError::NoWorld(text) => WorldError::NoWorld(text),
        })
    })
}

/// Every file below a folder, by its path within.
fn read(
    folder: &Path,
    within: &Path,
    files: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let Some(name) = path.file_name() else { continue };
        let within = within.join(name);
        if path.is_dir() {
            read(&path, &within, files)?;
        } else {
            let text = fs::read(&path).map_err(failed(&path))?;
            files.push((within, text));
        }
    }
    Ok(())
}
