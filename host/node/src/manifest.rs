//! `granary.toml`: the kinds of a project. The same sections, as JSON, are what a deployment carries.

mod check;
pub mod sections;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use granary_core::id::KindName;
use granary_core::kind::KindSpec;
use granary_core::limits::Limits;

use crate::config::document::{Document, Problem, Problems, folder_of};
use crate::config::units::Size;
use crate::manifest::sections::{KindSection, Language, PackageSection, ProjectFile, TestSection};

pub use check::Wrong;

/// The file's usual name.
pub const FILE_NAME: &str = "granary.toml";

/// A project file, read and checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Where the file lies.
    pub path: PathBuf,
    /// What it says of the project as a whole.
    pub package: PackageSection,
    /// Its kinds, in the order of their names.
    pub kinds: Vec<KindManifest>,
    /// Tests of its own.
    pub test: TestSection,
}

/// One kind of a project file.
#[derive(Debug, Clone)]
pub struct KindManifest {
    /// The checked settings: what a node keeps.
    pub spec: KindSpec,
    /// The section as written, without what only concerns the build: what a deployment sends.
    pub section: KindSection,
    /// Where its component comes from.
    pub source: Source,
}

/// Where a kind's component comes from. Paths are ready to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A component that somebody else has built.
    Prebuilt(PathBuf),
    /// Source in a language that the program builds by itself.
    Language {
        /// Which one.
        language: Language,
        /// The folder of the source.
        folder: PathBuf,
        /// Bytes of its stack, where the language has one that is chosen when it is linked.
        stack: u64,
    },
    /// A command that leaves a component behind.
    Command {
        /// Where it runs.
        folder: PathBuf,
        /// What `sh -c` is given.
        command: String,
        /// What it leaves.
        component: PathBuf,
    },
}

impl Manifest {
    /// Reads and checks a project file.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        Self::read(&Document::open(path)?, path)
    }

    /// Checks a project file that was read already; its relative paths are taken from the folder of `path`.
    pub fn read(document: &Document, path: &Path) -> Result<Self, Problems> {
        let file: ProjectFile = document.read()?;
        let folder = folder_of(path);
        let mut problems = Vec::new();
        let mut kinds = Vec::new();
        for (name, section) in &file.kinds {
            match kind(document, &folder, name, section) {
                Ok(kind) => kinds.push(kind),
                Err(mut wrong) => problems.append(&mut wrong),
            }
        }
        if file.kinds.is_empty() {
            problems.push(document.at(
                &[],
                "names no kind; add a section such as [kinds.counter] with build = \".\"",
            ));
        }
        if problems.is_empty() {
            Ok(Self {
                path: path.to_path_buf(),
                package: file.package.unwrap_or_default(),
                kinds,
                test: file.test,
            })
        } else {
            Err(Problems(problems))
        }
    }

    /// The folder of the file.
    pub fn folder(&self) -> PathBuf {
        folder_of(&self.path)
    }
}

/// Checks one kind's section as JSON: the `manifest` of a deployment. Problems name the key, not a line.
pub fn kind_from_json(name: &KindName, json: &serde_json::Value) -> Result<KindSpec, Problems> {
    let source = "manifest".to_owned();
    // Through TOML's reader rather than around it: one set of rules and messages for both forms.
    let toml_value = without_null(json).ok_or_else(|| Problem {
        source: source.clone(),
        position: None,
        key: String::new(),
        why: "must be an object, such as {\"methods\": {\"get\": {\"mode\": \"read\"}}}".to_owned(),
    })?;
    let text = toml::to_string(&toml_value).map_err(|e| Problem {
        source: source.clone(),
        position: None,
        key: String::new(),
        why: format!("cannot be read: {e}"),
    })?;
    let document = Document::new(source, text);
    let strip = |problems: Vec<Problem>| {
        Problems(
            problems
                .into_iter()
                .map(|p| Problem {
                    position: None,
                    ..p
                })
                .collect(),
        )
    };
    let section: KindSection = document.read().map_err(|problems| strip(problems.0))?;
    section.check(name).map_err(|wrong| {
        strip(
            wrong
                .into_iter()
                .map(|w| document.at(&w.path, w.why))
                .collect(),
        )
    })
}

fn without_null(json: &serde_json::Value) -> Option<toml::Table> {
    fn convert(json: &serde_json::Value) -> Option<toml::Value> {
        match json {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(value) => Some((*value).into()),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Some(integer.into()),
                None => number.as_f64().map(Into::into),
            },
            serde_json::Value::String(text) => Some(text.clone().into()),
            serde_json::Value::Array(items) => {
                Some(items.iter().filter_map(convert).collect::<Vec<_>>().into())
            }
            serde_json::Value::Object(_) => without_null(json).map(Into::into),
        }
    }
    let object = json.as_object()?;
    Some(
        object
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), convert(value)?)))
            .collect(),
    )
}

fn kind(
    document: &Document,
    folder: &Path,
    name: &str,
    section: &KindSection,
) -> Result<KindManifest, Vec<Problem>> {
    let path = |rest: &[String]| [&["kinds".to_owned(), name.to_owned()], rest].concat();
    let parsed = KindName::parse(name).map_err(|e| vec![document.at(&path(&[]), e.to_string())])?;
    let checked = section.check(&parsed).map_err(|wrong| -> Vec<Problem> {
        wrong
            .into_iter()
            .map(|w| document.at(&path(&w.path), w.why))
            .collect()
    });
    let source = source(folder, section).map_err(|w| vec![document.at(&path(&w.path), w.why)]);
    match (checked, source) {
        (Ok(spec), Ok(source)) => Ok(KindManifest {
            spec,
            section: section.to_deploy(),
            source,
        }),
        (Err(mut wrong), Err(mut more)) => {
            wrong.append(&mut more);
            Err(wrong)
        }
        (Err(wrong), Ok(_)) | (Ok(_), Err(wrong)) => Err(wrong),
    }
}

/// The stack of a kind in C or Zig: as large as that of one in Rust.
const STACK_BYTES: u64 = 1 << 20;
/// What its stack may be.
const STACK_BYTES_RANGE: RangeInclusive<u64> = (16 << 10)..=(256 << 20);

fn stack(section: &KindSection) -> Result<u64, Wrong> {
    let Some(Size(bytes)) = section.stack else {
        return Ok(STACK_BYTES);
    };
    let refuse = |why: String| Err(Wrong::new(&["stack"], why));
    if !matches!(section.language, Some(Language::C | Language::Zig)) {
        return refuse("is for language = \"c\" and language = \"zig\"".to_owned());
    }
    if !STACK_BYTES_RANGE.contains(&bytes) {
        let (least, most) = (
            Size(*STACK_BYTES_RANGE.start()),
            Size(*STACK_BYTES_RANGE.end()),
        );
        return refuse(format!(
            "{} is out of range: {least} to {most}",
            Size(bytes)
        ));
    }
    // Linkers want it aligned.
    Ok(bytes.next_multiple_of(16))
}

fn source(folder: &Path, section: &KindSection) -> Result<Source, Wrong> {
    let stack = stack(section)?;
    let component = section.component.as_ref().map(|path| folder.join(path));
    let build = section.build.as_ref().map(|path| folder.join(path));
    let Some(language) = section.language else {
        return match (&section.command, component, build) {
            (Some(command), Some(component), build) => Ok(Source::Command {
                folder: build.unwrap_or_else(|| folder.to_path_buf()),
                command: command.clone(),
                component,
            }),
            (Some(_), None, _) => Err(Wrong::new(
                &["command"],
                "needs 'component' too: the file that the command leaves",
            )),
            (None, Some(component), None) => Ok(Source::Prebuilt(component)),
            (None, component, build) => rust(
                component.as_deref(),
                build.unwrap_or_else(|| folder.to_path_buf()),
                section,
            ),
        };
    };
    if section.command.is_some() {
        let why = format!(
            "is not used with language = \"{}\"; leave one of the two out",
            language.name()
        );
        return Err(Wrong::new(&["command"], why));
    }
    let folder = build.unwrap_or_else(|| folder.to_path_buf());
    if language == Language::Rust {
        return rust(component.as_deref(), folder, section);
    }
    no_component(component.as_deref())?;
    if !folder.is_dir() {
        let why = format!("there is no folder {}", folder.display());
        return Err(Wrong::new(&["build"], why));
    }
    Ok(Source::Language {
        language,
        folder,
        stack,
    })
}

fn no_component(component: Option<&Path>) -> Result<(), Wrong> {
    match component {
        None => Ok(()),
        Some(_) => Err(Wrong::new(
            &["component"],
            "is what 'build' makes; leave one of the two out, or add 'command'",
        )),
    }
}

fn rust(component: Option<&Path>, folder: PathBuf, section: &KindSection) -> Result<Source, Wrong> {
    no_component(component)?;
    if folder.join("Cargo.toml").is_file() {
        return Ok(Source::Language {
            language: Language::Rust,
            folder,
            stack: STACK_BYTES,
        });
    }
    let place = folder.display();
    Err(match section.build {
        Some(_) => Wrong::new(
            &["build"],
            format!(
                "there is no Cargo.toml in {place}; for another language say so, as in language = \"go\""
            ),
        ),
        None => Wrong::new(
            &[],
            format!("says neither 'component' nor 'build', and there is no Cargo.toml in {place}"),
        ),
    })
}

/// The JSON Schema of the file, for editors.
pub fn json_schema() -> serde_json::Value {
    crate::config::schema::json_schema::<ProjectFile>("granary.toml: the kinds of a project")
}

/// Every key that a kind's section may hold, with defaults and bounds, as `config explain` shows them.
pub fn keys() -> Vec<crate::config::schema::Key> {
    let limits = sections::LimitsSection::of(&Limits::DEFAULT);
    let defaults: BTreeMap<String, serde_json::Value> = serde_json::to_value(limits)
        .ok()
        .and_then(|v| serde_json::from_value(v).ok())
        .unwrap_or_default();
    let mut keys = crate::config::schema::keys::<KindSection>();
    for key in &mut keys {
        if let [section, name] = key.path.as_slice()
            && section == "limits"
        {
            key.default = defaults.get(name).cloned().unwrap_or_default();
        }
        key.path
            .splice(0..0, ["kinds".to_owned(), "NAME".to_owned()]);
    }
    keys
}

#[cfg(test)]
mod tests;
