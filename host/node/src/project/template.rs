//! What `granary new` writes: a small project that builds with stock tools.
//!
//! The templates are the files below `template/LANG/`, each with `.in` behind its name: whatever lies there is written. In texts and paths
//! `NAME` becomes the kind (`shopping-list`), `CRATE` the same as a name in code (`shopping_list`), and `CAMEL` that of a type (`ShoppingList`).

use std::path::Path;

use granary_core::id::{IdError, KindName};

use crate::manifest::sections::Language;
use crate::project::carried;

/// What every template file ends in: neither cargo nor an editor takes it for a part of this program.
const ENDING: &str = ".in";
/// Where Rust's macro looks for the contract. The other languages get it when they are built.
const CONTRACT_FOLDER: &str = "wit/deps/granary-grain";
/// Where the SDK of Rust lies, as every build leaves it: cargo and editors want it before the first.
const SDK_FOLDER: &str = "target/granary/sdk/rust";

/// Where a project's interface comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// From a WIT file.
    WitFirst,
    /// From the code.
    CodeFirst,
}

/// Go's SDK is a module of this name, beside which the project's own cannot bear it.
const SDK: &str = "granary";

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name cannot be a kind's.
    #[error(transparent)]
    Name(#[from] IdError),
    /// WIT does not take its dashes.
    #[error("'{0}' has a dash with nothing beside it, which WIT does not take")]
    Dashes(String),
    /// The name is a word of WIT or of the language.
    #[error("'{name}' is a word of {language}; choose another name")]
    Word {
        /// The name.
        name: String,
        /// Whose word it is.
        language: &'static str,
    },
    /// The name is that of the SDK, which would be in its way.
    #[error("'{name}' is the name of the SDK for {language}; choose another name")]
    Sdk {
        /// The name.
        name: String,
        /// Whose SDK.
        language: &'static str,
    },
    /// The language's types say less than WIT needs.
    #[error("{0} does not derive an interface from code; Rust does")]
    CodeFirst(&'static str),
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

/// Words of WIT, which becomes the home of the name in every language.
const WIT_WORDS: &str = "as async bool borrow char constructor enum export f32 f64 flags from func future import include interface list \
    option own package record resource result s16 s32 s64 s8 static stream string tuple type u16 u32 u64 u8 use variant wasi with world";

/// Words that a language keeps for itself, where the name becomes one of its names.
fn words(language: Language) -> &'static str {
    match language {
        Language::Rust => {
            "abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn for gen if impl in let \
             loop macro match mod move mut override priv proc-macro pub ref return self static std struct super test trait true try type typeof \
             unsafe unsized use virtual where while yield"
        }
        Language::C => {
            "auto break case char const continue default do double else enum extern float for goto if inline int long main register restrict return \
             short signed sizeof static struct switch typedef union unsigned void volatile while"
        }
        Language::Zig => {
            "addrspace align allowzero and anyframe anytype asm break callconv catch comptime const continue defer else enum errdefer error export \
             extern fn for if inline linksection main noalias noinline nosuspend null opaque or orelse packed pub resume return struct suspend \
             switch test threadlocal try undefined union unreachable usingnamespace var volatile while"
        }
        Language::Go => {
            "break case chan const continue default defer else fallthrough for func go goto if import init interface main map package range return \
             select struct switch type var"
        }
        Language::Js | Language::Ts => {
            "abstract any arguments as async await boolean break case catch class const continue debugger declare default delete do else enum eval \
             export extends false finally for from function get if implements import in instanceof interface let module namespace new null number \
             of package private protected public require return set static string super switch this throw true try type typeof undefined var \
             void while with yield"
        }
        Language::Python => {
            "and app as assert async await break case class componentize-py-types continue def del elif else except exports false finally for from \
             global if import imports in is lambda match none nonlocal not or pass raise return true try type while with wit-world yield"
        }
    }
}

/// Writes a project into `folder`, which must be new or empty. Gives the written files.
pub fn write(
    name: &str,
    language: Language,
    style: Style,
    folder: &Path,
) -> Result<Vec<String>, NewError> {
    check(name, language)?;
    if style == Style::CodeFirst && language != Language::Rust {
        return Err(NewError::CodeFirst(language.title()));
    }
    // A fresh repository is as good as nothing.
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    if entries.any(|entry| entry.file_name() != ".git") || folder.is_file() {
        return Err(NewError::Exists(folder.display().to_string()));
    }
    let own = match style {
        Style::WitFirst => format!("{}/", language.name()),
        Style::CodeFirst => format!("{}-code-first/", language.name()),
    };
    let files = carried::TEMPLATES.iter().filter_map(|(path, bytes)| {
        let path = path.strip_prefix(&own)?.strip_suffix(ENDING)?;
        Some((
            fill(path, name),
            fill(&String::from_utf8_lossy(bytes), name),
        ))
    });
    let files: Vec<(String, String)> = files.collect();
    let written = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_bytes()));
    let failed = |(path, source): (std::path::PathBuf, _)| NewError::Write {
        path: path.display().to_string(),
        source,
    };
    carried::write_all(folder, written).map_err(failed)?;
    let beside = match (language, style) {
        (Language::Rust, Style::WitFirst) => Some((CONTRACT_FOLDER, carried::CONTRACT)),
        (Language::Rust, Style::CodeFirst) => Some((SDK_FOLDER, carried::SDK_RUST)),
        _ => None,
    };
    if let Some((below, files)) = beside {
        carried::write_all(&folder.join(below), files.iter().copied()).map_err(failed)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn check(name: &str, language: Language) -> Result<(), NewError> {
    let kind = KindName::parse(name)?;
    // The name becomes one of WIT, which wants something on both sides of a dash.
    if name.split('-').any(str::is_empty) {
        return Err(NewError::Dashes(name.to_owned()));
    }
    if name == SDK && language == Language::Go {
        return Err(NewError::Sdk {
            name: name.to_owned(),
            language: language.title(),
        });
    }
    let homes = [("WIT", WIT_WORDS), (language.title(), words(language))];
    let taken = homes
        .into_iter()
        .find(|(_, words)| words.split_whitespace().any(|word| word == kind.as_str()));
    match taken {
        None => Ok(()),
        Some((language, _)) => Err(NewError::Word {
            name: name.to_owned(),
            language,
        }),
    }
}

/// Puts the name into a template.
fn fill(text: &str, name: &str) -> String {
    text.replace("NAME", name)
        .replace("CRATE", &name.replace('-', "_"))
        .replace("CAMEL", &camel(name))
}

fn camel(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn what_is_written_is_a_project_with_one_kind() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("to-do");
            let files = write("to-do", language, Style::WitFirst, &path).unwrap();
            let project = Project::open(&path).unwrap();
            assert_eq!(project.manifests[0].kinds[0].spec.name.as_str(), "to-do");
            let wit = std::fs::read_to_string(path.join("wit/to-do.wit")).unwrap();
            assert!(wit.contains("package app:to-do@0.1.0;"), "{wit}");
            for needed in [
                "README.md",
                ".gitignore",
                "granary.toml",
                "tests/to-do.toml",
            ] {
                assert!(
                    files.iter().any(|file| file == needed),
                    "{language:?}: {needed} in {files:?}"
                );
            }
            let error = write("to-do", language, Style::WitFirst, &path);
            assert!(matches!(error, Err(NewError::Exists(_))));
        }
    }

    #[test]
    fn code_first_is_rust_alone_with_its_sdk_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("to-do");
        let files = write("to-do", Language::Rust, Style::CodeFirst, &path).unwrap();
        assert!(files.iter().all(|file| !file.starts_with("wit")));
        for needed in ["Cargo.toml", "macros/Cargo.toml", "wit/state.wit"] {
            assert!(path.join(SDK_FOLDER).join(needed).is_file(), "{needed}");
        }
        let other = folder.path().join("other");
        let refused = write("to-do", Language::Go, Style::CodeFirst, &other);
        assert!(matches!(refused, Err(NewError::CodeFirst("Go"))));
        assert!(!other.exists());
    }

    #[test]
    fn a_name_that_the_language_or_wit_cannot_take_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["Shop", "a--b", "a-", "1-a", "enum", "world", ""];
        let cases = names.map(|name| (name, Language::Rust)).into_iter().chain([
            ("fn", Language::Zig),
            ("chan", Language::Go),
            ("lambda", Language::Python),
            ("typeof", Language::Ts),
            ("granary", Language::Go),
        ]);
        for (name, language) in cases {
            assert!(
                write(name, language, Style::WitFirst, &folder.path().join("x")).is_err(),
                "{name}"
            );
        }
        assert!(!folder.path().join("x").exists());
        for (at, name) in ["chan", "my-list-2", "granary"].into_iter().enumerate() {
            let folder = folder.path().join(at.to_string());
            write(name, Language::Rust, Style::WitFirst, &folder).unwrap();
        }
    }

    #[test]
    fn a_fresh_repository_is_filled_and_anything_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        write("shop", Language::C, Style::WitFirst, folder.path()).unwrap();
        assert!(folder.path().join("granary.toml").is_file());
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("notes"), "").unwrap();
        let error = write("shop", Language::C, Style::WitFirst, other.path());
        assert!(matches!(error, Err(NewError::Exists(_))));
    }

    #[test]
    fn a_name_is_written_as_each_language_writes_it() {
        assert_eq!(
            fill("NAME CRATE CAMEL", "to-do-list"),
            "to-do-list to_do_list ToDoList"
        );
    }
}
