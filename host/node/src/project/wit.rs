//! A project's WIT beside the contract's: what bindings are generated from.

use std::fs;
use std::path::{Path, PathBuf};

use granary_runtime::{World, WorldError};

use crate::manifest::sections::Language;
use crate::project::carried;

/// The contract's place among the packages that a project's own needs.
const CONTRACT_FOLDER: &str = "deps/granary-grain";
/// The world that bindings are generated for.
const BUILT_WORLD: &str = "granary-built";
/// The contract's package.
const CONTRACT_NAME: &str = "granary:grain";
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
    /// Whether all that is wrong is a package that lies elsewhere: Rust's macro may be told of several folders.
    pub fn is_package_elsewhere(&self) -> bool {
        matches!(self, Self::World(WorldError::NoPackage { package, .. })
            if package.split('@').next() != Some(CONTRACT_NAME))
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoFolder(_) => {
                "write wit/NAME.wit with a `world grain`; granary new shows how".to_owned()
            }
            Self::File { .. } => "free some space, or look at the folder's permissions".to_owned(),
            Self::World(WorldError::Wit(text) | WorldError::NoPackage { text, .. })
                if text.contains(CONTRACT_NAME) =>
            {
                format!(
                    "correct it there; this granary has {CONTRACT_NAME}@{}",
                    contract_version()
                )
            }
            Self::World(_) => {
                "correct it there; https://component-model.bytecodealliance.org/design/wit.html"
                    .to_owned()
            }
        }
    }
}

/// The version of the contract that this program brings.
fn contract_version() -> &'static str {
    let texts = carried::CONTRACT
        .iter()
        .filter_map(|(_, text)| str::from_utf8(text).ok());
    let mut lines = texts.flat_map(str::lines);
    let version = lines.find_map(|line| line.strip_prefix(CONTRACT_PACKAGE)?.strip_suffix(';'));
    version.unwrap_or_default()
}

/// Whether a folder of WIT has a package of its own, and not only others in `deps`.
pub fn says_something(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.path());
    names.any(|path| path.extension().is_some_and(|end| end == "wit"))
}

/// Writes the WIT of `source` with the packages of `granary:grain` beside it to `merged`, and reads the world. Errors name the files in
/// `source`: nobody looks into `merged`.
///
/// Every language but Rust gets the world [`BUILT_WORLD`], too: the project's own, with what a grain may use of its host and what the
/// language's SDK uses. So a project says only what it offers. What its code does not use is not in the component either, as far as the
/// language's tools can tell. In Rust the SDK brings its imports along.
pub fn merge(source: &Path, merged: &Path, language: Language) -> Result<World, WitError> {
    if !source.is_dir() {
        return Err(WitError::NoFolder(source.to_path_buf()));
    }
    let failed = |(path, source)| WitError::File { path, source };
    let mut files = Vec::new();
    read(source, Path::new(""), &mut files).map_err(failed)?;
    if merged.exists() {
        // A file that was renamed would be there twice.
        fs::remove_dir_all(merged).map_err(|error| failed((merged.to_path_buf(), error)))?;
    }
    let own = files
        .iter()
        .filter_map(|(path, text)| Some((path.to_str()?, text.as_slice())));
    carried::write_all(merged, own).map_err(failed)?;
    let folder = merged.join(CONTRACT_FOLDER);
    let contract = package(carried::CONTRACT.iter().map(|(_, text)| *text));
    if !brings(&files, contract.as_deref()) {
        carried::write_all(&folder, carried::CONTRACT.iter().copied()).map_err(failed)?;
    }
    let translate = |error| {
        let (from, to) = (merged.display().to_string(), source.display().to_string());
        WitError::World(match error {
            WorldError::Wit(text) => WorldError::Wit(text.replace(&from, &to)),
            WorldError::NoPackage { package, text } => WorldError::NoPackage {
                package,
                text: text.replace(&from, &to),
            },
            WorldError::NoWorld(text) => WorldError::NoWorld(text),
        })
    };
    let world = World::open(merged).map_err(translate)?;
    if language == Language::Rust {
        return Ok(world);
    }
    let mut lines = vec![
        format!("include {};", world.name()),
        format!("include granary:grain/imports@{};", contract_version()),
    ];
    for (folder, package, texts) in sdk_packages(language) {
        if !brings(&files, Some(&package)) {
            carried::write_all(&merged.join("deps").join(folder), texts.iter().copied())
                .map_err(failed)?;
        }
        lines.extend(imports(&package, &texts));
    }
    let text = format!("world {BUILT_WORLD} {{\n  {}\n}}\n", lines.join("\n  "));
    let file = format!("{BUILT_WORLD}.wit");
    carried::write_all(merged, [(file.as_str(), text.as_bytes())]).map_err(failed)?;
    World::extended(merged, BUILT_WORLD).map_err(translate)
}

/// Whether the project has a package among its own dependencies.
fn brings(files: &[(PathBuf, Vec<u8>)], wanted: Option<&str>) -> bool {
    let dependencies = files.iter().filter(|(path, _)| path.starts_with("deps"));
    let mut names = dependencies.filter_map(|(_, text)| package([text.as_slice()]));
    names.any(|name| Some(name.as_str()) == wanted)
}

/// The package that WIT files declare: `namespace:name@version`.
fn package<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let texts = texts
        .into_iter()
        .filter_map(|text| str::from_utf8(text).ok());
    let mut lines = texts.flat_map(str::lines);
    lines.find_map(|line| {
        let name = line.trim().strip_prefix("package ")?.split(';').next()?;
        Some(name.trim().to_owned())
    })
}

type SdkPackage = (&'static str, String, Vec<(&'static str, &'static [u8])>);

/// The packages that the SDK of a language is built on besides the contract: those in the SDK's folder `wit`.
fn sdk_packages(language: Language) -> Vec<SdkPackage> {
    let files = match language {
        Language::Js | Language::Ts => carried::SDK_TS,
        Language::Python => carried::SDK_PYTHON,
        Language::Go => carried::SDK_GO,
        Language::C | Language::Zig => carried::SDK_C,
        Language::Rust => &[],
    };
    let mut packages: Vec<SdkPackage> = Vec::new();
    for (path, text) in files {
        let Some((folder, file)) = path
            .strip_prefix("wit/")
            .and_then(|path| path.split_once('/'))
        else {
            continue;
        };
        match packages.iter_mut().find(|(name, _, _)| *name == folder) {
            Some((_, _, texts)) => texts.push((file, text)),
            None => {
                packages.extend(package([*text]).map(|name| (folder, name, vec![(file, *text)])))
            }
        }
    }
    packages
}

/// A line of a world for each interface of a package.
fn imports(package: &str, texts: &[(&str, &[u8])]) -> Vec<String> {
    let (name, version) = package.split_once('@').unwrap_or((package, ""));
    let texts = texts
        .iter()
        .filter_map(|(_, text)| str::from_utf8(text).ok());
    let interfaces = texts.flat_map(str::lines).filter_map(|line| {
        let rest = line.strip_prefix("interface ")?;
        rest.split_whitespace().next()
    });
    interfaces
        .map(|interface| format!("import {name}/{interface}@{version};"))
        .collect()
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
        let Some(name) = path.file_name() else {
            continue;
        };
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
