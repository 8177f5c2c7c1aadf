//! The modules that a Go kind is built with: the bindings' runtime and the SDK, which this program brings, and those of the project.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;

/// The module of the generated bindings' runtime package.
const RUNTIME_MODULE: &str = "go.bytecodealliance.org/pkg";
/// The module that is assembled. A project's `go.mod` may name it for editors and tests.
const BUILT_MODULE: &str = "wit_component";

/// Where a project's modules come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modules {
    /// It requires none.
    None,
    /// From its folder `vendor`.
    Vendored,
    /// From where Go has them, by what its `go.mod` says.
    OfGo,
}

/// What `go mod edit -json` says of a `go.mod`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Said {
    require: Option<Vec<Version>>,
    replace: Option<Vec<Replace>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Version {
    path: String,
    version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Replace {
    old: Version,
    new: Version,
}

/// Points the module at the runtime package and the SDK, which lie on this machine, and at what the project requires.
pub(super) async fn provide(
    job: &Job<'_>,
    go: &Path,
    module: &Path,
) -> Result<Modules, BuildError> {
    let file = module.join("go.mod");
    let mut text =
        std::fs::read_to_string(&file).map_err(|error| job.file_error((file.clone(), error)))?;
    let runtime = job.carry(carried::GO_PACKAGE, &job.sdk.join("go-pkg"))?;
    text.push_str(&format!(
        "\nreplace {RUNTIME_MODULE} => {}\n",
        quoted(&runtime)
    ));
    let sdk = job.carry_sdk("go", carried::SDK_GO)?;
    let name = std::fs::read_to_string(sdk.join("go.mod")).unwrap_or_default();
    let name = name.lines().find_map(|line| line.strip_prefix("module "));
    let name = name.unwrap_or_default().trim();
    text.push_str(&format!(
        "require {name} v0.0.0\nreplace {name} => {}\n",
        quoted(&sdk)
    ));
    let is_own = |path: &str| ![RUNTIME_MODULE, BUILT_MODULE, name].contains(&path);
    let vendor = job.source.join("vendor");
    let modules = if let Ok(list) = std::fs::read_to_string(vendor.join("modules.txt")) {
        text.push_str(&vendored(job, (&vendor, &list), is_own)?);
        Modules::Vendored
    } else {
        let said = said(job, go).await?;
        let lines = required(&said, job.source, is_own);
        text.push_str(&lines);
        if let Ok(sums) = std::fs::read(job.source.join("go.sum")) {
            job.write(&module.join("go.sum"), &sums)?;
        }
        match lines.is_empty() {
            true => Modules::None,
            false => Modules::OfGo,
        }
    };
    job.write(&file, text.as_bytes())?;
    Ok(modules)
}

/// What the project's own `go.mod` says, if there is one.
async fn said(job: &Job<'_>, go: &Path) -> Result<Said, BuildError> {
    if !job.source.join("go.mod").is_file() {
        return Ok(Said::default());
    }
    let path = job.work.join("go.mod.json");
    let file =
        std::fs::File::create(&path).map_err(|error| job.file_error((path.clone(), error)))?;
    let mut command = Command::new(go);
    command
        .args(["mod", "edit", "-json"])
        .current_dir(job.source)
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    job.run_into("go mod edit", &mut command, file).await?;
    let text = std::fs::read(&path).map_err(|error| job.file_error((path.clone(), error)))?;
    serde_json::from_slice(&text).map_err(|error| {
        job.unfit(
            format!("`go mod edit -json` is not understood: {error}"),
            "granary toolchain doctor go",
        )
    })
}

/// Lines of a `go.mod` for what another one requires, whose folders are relative to `folder`.
fn required(said: &Said, folder: &Path, is_own: impl Fn(&str) -> bool) -> String {
    let requires = said.require.iter().flatten();
    let mut lines: String = requires
        .filter(|module| is_own(&module.path))
        .map(|module| format!("require {} {}\n", module.path, module.version))
        .collect();
    let replaces = said.replace.iter().flatten();
    for Replace { old, new } in replaces.filter(|replace| is_own(&replace.old.path)) {
        let to = match new.version.as_str() {
            "" => quoted(&folder.join(&new.path)),
            version => format!("{} {version}", new.path),
        };
        lines.push_str(&format!("replace {} {} => {to}\n", old.path, old.version));
    }
    lines
}

/// A module of `vendor/modules.txt`: its path, its version, and the Go that it is written for.
type Listed<'a> = (&'a str, &'a str, Option<&'a str>);

/// The modules of `vendor/modules.txt`: `# PATH VERSION [=> …]`, then perhaps `## explicit; go 1.21`.
fn listed(list: &str) -> Vec<Listed<'_>> {
    let mut found: Vec<Listed<'_>> = Vec::new();
    for line in list.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.split_whitespace();
            let (path, version) = (words.next(), words.next());
            // A replacement of every version has none; it was told with its module already.
            let version = version.filter(|version| version.starts_with('v'));
            found.extend(
                path.zip(version)
                    .map(|(path, version)| (path, version, None)),
            );
        } else if let Some(rest) = line.strip_prefix("## ") {
            let go = rest.split("; ").find_map(|part| part.strip_prefix("go "));
            if let Some(last) = found.last_mut() {
                last.2 = go;
            }
        }
    }
    found
}

/// Copies each vendored module to a folder of its own, with a `go.mod` again, and gives the lines that name them.
fn vendored(
    job: &Job<'_>,
    (vendor, list): (&Path, &str),
    is_own: impl Fn(&str) -> bool,
) -> Result<String, BuildError> {
    let copies = job.work.join("go-vendor");
    if copies.exists() {
        std::fs::remove_dir_all(&copies)
            .map_err(|error| job.file_error((copies.clone(), error)))?;
    }
    let mut lines = String::new();
    for (path, version, go) in listed(list).into_iter().filter(|listed| is_own(listed.0)) {
        let from = vendor.join(path);
        if !from.is_dir() {
            // It is required for tests only.
            continue;
        }
        let to = copies.join(path);
        copy(job, &from, &to)?;
        let go = go.map(|go| format!("\ngo {go}\n")).unwrap_or_default();
        job.write(
            &to.join("go.mod"),
            format!("module {path}\n{go}").as_bytes(),
        )?;
        lines.push_str(&format!(
            "require {path} {version}\nreplace {path} => {}\n",
            quoted(&to)
        ));
    }
    Ok(lines)
}

fn copy(job: &Job<'_>, from: &Path, to: &Path) -> Result<(), BuildError> {
    let failed = |path: &Path, source| BuildError::File {
        kind: job.kind.clone(),
        path: path.to_path_buf(),
        done: "read",
        source,
    };
    for entry in std::fs::read_dir(from).map_err(|error| failed(from, error))? {
        let path = entry.map_err(|error| failed(from, error))?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(job, &path, &to)?;
        } else {
            let bytes = std::fs::read(&path).map_err(|error| failed(&path, error))?;
            job.write(&to, &bytes)?;
        }
    }
    Ok(())
}

/// A folder as `go.mod` takes it, blanks included.
fn quoted(path: &Path) -> String {
    serde_json::json!(path.display().to_string()).to_string()
}

/// Go's words where a module is not there, which is none of the assembled module's business.
pub(super) fn explained(text: &str, source: &Path) -> String {
    let file = PathBuf::from(source).join("go.mod");
    text.replace(
        "module lookup disabled by GOPROXY=off",
        &format!(
            "no module that {} requires has it: go get it there, or go mod vendor",
            file.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_project_requires_is_required_and_what_is_brought_is_not() {
        let said = r#"{
            "Module": {"Path": "shop"},
            "Require": [
                {"Path": "go.bytecodealliance.org/pkg", "Version": "v0.2.3"},
                {"Path": "golang.org/x/text", "Version": "v0.30.0", "Indirect": true}
            ],
            "Replace": [
                {"Old": {"Path": "granary"}, "New": {"Path": "./target/granary/sdk/go"}},
                {"Old": {"Path": "a.org/b", "Version": "v1.0.0"}, "New": {"Path": "../our b"}},
                {"Old": {"Path": "a.org/c"}, "New": {"Path": "d.org/c", "Version": "v2.0.0"}}
            ],
            "Exclude": null
        }"#;
        let said: Said = serde_json::from_str(said).unwrap();
        let is_own = |path: &str| ![RUNTIME_MODULE, BUILT_MODULE, "granary"].contains(&path);
        assert_eq!(
            required(&said, Path::new("/p/shop"), is_own),
            "require golang.org/x/text v0.30.0\nreplace a.org/b v1.0.0 => \"/p/shop/../our b\"\nreplace a.org/c  => d.org/c v2.0.0\n"
        );
        let none: Said = serde_json::from_str(r#"{"Require": null}"#).unwrap();
        assert_eq!(required(&none, Path::new("/p"), is_own), "");
    }

    #[test]
    fn vendored_modules_are_listed_with_their_go() {
        let list = "# a.org/b v1.2.0\n## explicit; go 1.21\na.org/b/words\n# granary v0.0.0 => ./target/granary/sdk/go\n## explicit; go 1.25\n\
                    # a.org/c v0.1.0\na.org/c\n# granary => ./target/granary/sdk/go\n";
        assert_eq!(
            listed(list),
            [
                ("a.org/b", "v1.2.0", Some("1.21")),
                ("granary", "v0.0.0", Some("1.25")),
                ("a.org/c", "v0.1.0", None),
            ]
        );
    }
}
