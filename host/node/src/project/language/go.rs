//! Go: every `*.go` below the kind's folder, put together with the generated packages into one module `wit_component`.
//!
//! A file whose package is called `export_…` implements the exported interface of that name, as in `package export_app_shop_api` for
//! `app:shop/api`, and may lie anywhere. All others keep their folder: `rules/price.go` is imported as `"wit_component/rules"`. Imported
//! interfaces are packages such as `"wit_component/granary_grain_state"`; the SDK is imported by the name in its `go.mod`. What the
//! project's own `go.mod` requires comes from its `vendor`, else from where Go has modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::language::Job;
use crate::project::language::go_modules::{self as modules, Modules};
use crate::project::toolchain::{self, GO};

/// Assembles the module and builds it as a reactor.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let mut own = Vec::new();
    gather(job.source, Path::new(""), &mut own);
    if own.iter().all(|file| file.package.is_none()) {
        let why = format!("there is no *.go in {}", job.source.display());
        return Err(job.unfit(why, "put the source there, or name its folder with 'build'"));
    }
    let go = job.tool(&GO).await?;
    let world = job.needed_world()?;
    let module = job.work.join("go");
    if module.exists() {
        // A source that was removed must not be built on.
        std::fs::remove_dir_all(&module)
            .map_err(|error| job.file_error((module.clone(), error)))?;
    }
    job.bindings(world.go_bindings(), "go")?;
    let placed = place_all(&own).map_err(|why| job.unfit(why, "rename one of the two"))?;
    let mut places = Vec::new();
    for (place, file) in &placed {
        let from = job.source.join(&file.within);
        let bytes = std::fs::read(&from).map_err(|error| BuildError::File {
            kind: job.kind.clone(),
            path: from,
            done: "read",
            source: error,
        })?;
        job.write(&module.join(place), &bytes)?;
        places.push((
            place.display().to_string(),
            file.within.display().to_string(),
        ));
    }
    let modules = modules::provide(job, &go.path, &module).await?;
    let mut command = command(&go.path, &module, modules);
    command
        .args(["build", "-buildmode=c-shared", "-trimpath"])
        // The bindings' runtime hooks into the Go runtime's allocator.
        .args(["-ldflags", "-s -w -checklinkname=0", "-o"])
        .arg(job.output())
        .arg(".");
    let translate = |text: String| {
        let text = modules::explained(&text, job.source);
        places
            .iter()
            .fold(text, |text, (place, within)| text.replace(place, within))
    };
    job.run_translated("go build", &mut command, &translate)
        .await?;
    list_inputs(job, &go.path, (&module, modules)).await?;
    Ok(job.output())
}

/// Go in the assembled module. Where the project requires no modules, nothing is downloaded; else Go's own settings count.
fn command(go: &Path, module: &Path, modules: Modules) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(module)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .env("GOWORK", "off")
        .env("GOCACHE", toolchain::cache("go"));
    if modules != Modules::OfGo {
        command
            .env("GOPROXY", "off")
            .env("GOSUMDB", "off")
            .env("GOPATH", toolchain::cache("gopath"));
    }
    command
}

/// What of other modules was built in, in the kind's working folder.
const INPUTS: &str = "inputs.txt";
/// Says every file of the packages that are built, the standard library's aside.
const LISTED: &str = "{{if not .Standard}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}\n{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}\n{{end}}{{end}}";

/// Keeps a list of the files of other modules, which a `replace` may take from anywhere.
async fn list_inputs(
    job: &Job<'_>,
    go: &Path,
    (module, modules): (&Path, Modules),
) -> Result<(), BuildError> {
    let path = job.work.join(INPUTS);
    let file =
        std::fs::File::create(&path).map_err(|error| job.file_error((path.clone(), error)))?;
    if modules == Modules::None {
        return Ok(());
    }
    let mut command = command(go, module, modules);
    command.args(["list", "-deps", "-f", LISTED, "."]);
    job.run_into("go list", &mut command, file).await
}

/// The files of other modules that went in. Those that are made of the project's own are its own.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let list = std::fs::read_to_string(job.work.join(INPUTS)).unwrap_or_default();
    let files = list.lines().map(PathBuf::from);
    files
        .filter(|file| !file.starts_with(&job.work) && !file.starts_with(&job.sdk))
        .collect()
}

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    /// Its path within the kind's folder.
    within: PathBuf,
    /// The package of a source; none of a file that a source may embed.
    package: Option<String>,
    /// Whether it embeds others.
    embeds: bool,
}

/// What embeds files in a source.
const EMBED: &str = "//go:embed ";

/// The files below a folder, by their path within. Tests run on the host and are left out, as is what is hidden or built.
fn gather(folder: &Path, within: &Path, found: &mut Vec<Own>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let is_root = within == Path::new("");
        let within = within.join(name);
        if path.is_dir() {
            let is_made = is_root && ["target", "vendor"].contains(&name);
            // A folder with a `go.mod` is another module.
            if !name.starts_with(['.', '_'])
                && !is_made
                && name != "node_modules"
                && !path.join("go.mod").is_file()
            {
                gather(&path, &within, found);
            }
            continue;
        }
        let is_of_module = is_root && ["go.mod", "go.sum"].contains(&name);
        if name.starts_with('.') || name.ends_with("_test.go") || is_of_module {
            continue;
        }
        let is_source = name.ends_with(".go") && !within.iter().any(|part| part == "testdata");
        let text = Some(&path).filter(|_| is_source);
        let text = text.and_then(|path| std::fs::read_to_string(path).ok());
        found.push(Own {
            within,
            package: text.as_deref().map(package),
            embeds: text.is_some_and(|text| text.lines().any(|line| line.starts_with(EMBED))),
        });
    }
}

/// The package that a source belongs to.
fn package(text: &str) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("package "));
    let name = name.and_then(|rest| rest.split([' ', '\t', '/', ';']).next());
    name.unwrap_or_default().to_owned()
}

/// Where every file belongs in the module. A file that is embedded lies beside the source that does it. The error names two files that would
/// lie at one place.
fn place_all(own: &[Own]) -> Result<BTreeMap<PathBuf, &Own>, String> {
    let mut placed: BTreeMap<PathBuf, &Own> = BTreeMap::new();
    let mut put = |place: PathBuf, file| match placed.insert(place, file) {
        Some(other) if other != file => Err(format!(
            "{} and {} would be one file of the package that is built",
            other.within.display(),
            file.within.display()
        )),
        Some(_) | None => Ok(()),
    };
    for file in own.iter().filter(|file| file.package.is_some()) {
        put(place(file), file)?;
    }
    for source in own.iter().filter(|file| file.embeds) {
        let (from, to) = (source.within.parent(), place(source));
        let (Some(from), Some(to)) = (from, to.parent()) else {
            continue;
        };
        for file in own.iter().filter(|file| file.package.is_none()) {
            if let Ok(rest) = file.within.strip_prefix(from) {
                put(to.join(rest), file)?;
            }
        }
    }
    Ok(placed)
}

/// Where a source belongs in the module. All that implement an interface lie in one folder: those from deeper down bear the names of their
/// folders, so that two of one name may be. (What stands before a dash says nothing to Go, unlike `_linux`.)
fn place(file: &Own) -> PathBuf {
    let package = file.package.as_deref().unwrap_or_default();
    if !package.starts_with("export_") {
        return file.within.clone();
    }
    let parts: Vec<_> = file
        .within
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    Path::new(package).join(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(within: &str, text: &str) -> Own {
        Own {
            within: within.into(),
            package: within.ends_with(".go").then(|| package(text)),
            embeds: text.contains(EMBED),
        }
    }

    #[test]
    fn an_exported_package_finds_its_folder_and_the_others_stay() {
        let cases = [
            (
                "grain.go",
                "// A grain.\npackage export_app_shop_api // of ours\n",
                "export_app_shop_api/grain.go",
            ),
            (
                "deep/er/grain.go",
                "package export_app_shop_api\n",
                "export_app_shop_api/deep-er-grain.go",
            ),
            ("rules/price.go", "package rules\n", "rules/price.go"),
        ];
        for (within, text, expected) in cases {
            assert_eq!(place(&own(within, text)), Path::new(expected));
        }
    }

    #[test]
    fn two_files_of_one_place_are_refused_by_name_and_what_is_embedded_lies_beside() {
        let source = "package export_app_shop_api\n";
        let two = ["deep/grain.go", "deep-grain.go", "grain.go"].map(|file| own(file, source));
        let error = place_all(&two).unwrap_err();
        assert!(
            error.contains("deep/grain.go") && error.contains("deep-grain.go"),
            "{error}"
        );
        assert_eq!(
            place_all(&[two[0].clone(), two[2].clone()]).unwrap().len(),
            2
        );
        let embeds = format!("{source}\n{EMBED}words/*\n");
        let files = [
            own("shop/grain.go", &embeds),
            own("shop/words/a.txt", ""),
            own("other.txt", ""),
        ];
        let places = place_all(&files).unwrap();
        let places: Vec<_> = places.keys().map(|place| place.to_str().unwrap()).collect();
        assert_eq!(
            places,
            [
                "export_app_shop_api/shop-grain.go",
                "export_app_shop_api/words/a.txt"
            ]
        );
    }
}
