//! What `granary new` writes: a small project that builds with stock tools and one crate.

use std::path::Path;

use granary_core::id::{IdError, KindName};

/// The files, as they are but for NAME and CRATE.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("granary.toml", include_str!("template/granary.toml.in")),
    ("wit/world.wit", include_str!("template/world.wit.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", include_str!("template/gitignore.in")),
    (
        "wit/deps/granary-grain/world.wit",
        include_str!("../../../../wit/world.wit"),
    ),
];

/// The contract's interfaces: the very files that the host is built from.
const CONTRACT: [(&str, &str); 6] = [
    ("calls.wit", include_str!("../../../../wit/calls.wit")),
    ("context.wit", include_str!("../../../../wit/context.wit")),
    (
        "lifecycle.wit",
        include_str!("../../../../wit/lifecycle.wit"),
    ),
    (
        "migration.wit",
        include_str!("../../../../wit/migration.wit"),
    ),
    ("state.wit", include_str!("../../../../wit/state.wit")),
    ("types.wit", include_str!("../../../../wit/types.wit")),
];

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name cannot be a kind's.
    #[error(transparent)]
    Name(#[from] IdError),
    /// The name is a word of Rust or of WIT.
    #[error("'{0}' is a word of Rust or WIT; choose another name")]
    Word(String),
    /// There is something already.
    #[error("{0} exists already and is not empty")]
    Exists(String),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Words that the name must not be, because it becomes a name in Rust and WIT.
const WORDS: [&str; 24] = [
    "as",
    "async",
    "await",
    "bool",
    "char",
    "const",
    "crate",
    "enum",
    "export",
    "fn",
    "for",
    "func",
    "granary",
    "if",
    "import",
    "interface",
    "list",
    "mod",
    "option",
    "package",
    "record",
    "result",
    "string",
    "world",
];

/// Writes a project into `folder`, which must be new or empty. Gives the written files.
pub fn write(name: &str, folder: &Path) -> Result<Vec<&'static str>, NewError> {
    let kind = KindName::parse(name)?;
    // WIT wants each part between dashes to begin with a letter.
    let parts_fit = name
        .split('-')
        .all(|part| part.starts_with(|c: char| c.is_ascii_lowercase()));
    if !parts_fit {
        return Err(IdError::KindCharacter {
            text: name.to_owned(),
        }
        .into());
    }
    if WORDS.contains(&kind.as_str()) {
        return Err(NewError::Word(name.to_owned()));
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
        || folder.is_file()
    {
        return Err(NewError::Exists(folder.display().to_string()));
    }
    let crate_name = name.replace('-', "_");
    let contract =
        CONTRACT.map(|(file, text)| (format!("wit/deps/granary-grain/{file}"), text.to_owned()));
    let own = FILES.map(|(file, text)| {
        (
            file.to_owned(),
            text.replace("NAME", name).replace("CRATE", &crate_name),
        )
    });
    for (file, text) in own.into_iter().chain(contract) {
        let path = folder.join(&file);
        let failed = |source| NewError::Write {
            path: path.display().to_string(),
            source,
        };
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        std::fs::write(&path, text).map_err(failed)?;
    }
    Ok(FILES[..6].iter().map(|(file, _)| *file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn what_is_written_is_a_project_with_one_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("to-do");
        write("to-do", &path).unwrap();
        let project = Project::open(&path).unwrap();
        assert_eq!(project.manifests[0].kinds[0].spec.name.as_str(), "to-do");
        let wit = std::fs::read_to_string(path.join("wit/world.wit")).unwrap();
        assert!(wit.contains("package app:to-do@0.1.0;"), "{wit}");
        assert!(matches!(write("to-do", &path), Err(NewError::Exists(_))));
    }

    #[test]
    fn a_name_that_rust_or_wit_cannot_take_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Shop", "a--b", "a-1", "enum", ""] {
            assert!(write(name, &folder.path().join("x")).is_err(), "{name}");
        }
        assert!(!folder.path().join("x").exists());
    }
}
