//! Go: every `*.go` below the kind's folder, put together with the generated packages into one module `wit_component`.
//!
//! A file whose package is called `export_…` implements the exported interface of that name, as in `package export_app_shop_api` for
//! `app:shop/api`, and may lie anywhere. All others keep their folder: `rules/price.go` is imported as `"wit_component/rules"`. Imported
//! interfaces are packages such as `"wit_component/granary_grain_state"`; the SDK is imported by the name in its `go.mod`.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::toolchain::{self, GO};

/// The module of the generated bindings' runtime package.
const RUNTIME_MODULE: &str = "go.bytecodealliance.org/pkg";

/// Assembles the module and builds it as a reactor.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let mut own = Vec::new();
    gather(job.source, Path::new(""), &mut own);
    if own.is_empty() {
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
    let mut places = Vec::new();
    for (within, text) in &own {
        let place = place(within, text);
        job.write(&module.join(&place), text.as_bytes())?;
        places.push((place.display().to_string(), within.display().to_string()));
    }
    modules(job, &module)?;
    let mut command = Command::new(&go.path);
    command
        .args(["build", "-buildmode=c-shared", "-trimpath"])
        // The bindings' runtime hooks into the Go runtime's allocator.
        .args(["-ldflags", "-s -w -checklinkname=0", "-o"])
        .arg(job.output())
        .arg(".")
        .current_dir(&module)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOPROXY", "off")
        .env("GOSUMDB", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .env("GOWORK", "off")
        .env("GOCACHE", toolchain::cache("go"))
        .env("GOPATH", toolchain::cache("gopath"));
    let translate = |text: String| {
        places
            .iter()
            .fold(text, |text, (place, within)| text.replace(place, within))
    };
    job.run_translated("go build", &mut command, &translate)
        .await?;
    Ok(job.output())
}

/// The sources below a folder, by their path within. Tests run on the host and are left out, as is what is hidden or built.
fn gather(folder: &Path, within: &Path, found: &mut Vec<(PathBuf, String)>) {
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
        let within = within.join(name);
        if path.is_dir() {
            if !name.starts_with(['.', '_'])
                && !["target", "vendor", "testdata", "node_modules"].contains(&name)
            {
                gather(&path, &within, found);
            }
        } else if name.ends_with(".go")
            && !name.ends_with("_test.go")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push((within, text));
        }
    }
}

/// Where a source belongs in the module.
fn place(within: &Path, text: &str) -> PathBuf {
    let package = text.lines().find_map(|line| line.strip_prefix("package "));
    let package = package
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_default();
    match within.file_name() {
        Some(name) if package.starts_with("export_") => Path::new(package).join(name),
        Some(_) | None => within.to_path_buf(),
    }
}

/// Points the module at the runtime package and the SDK, which lie on this machine: nothing is downloaded.
fn modules(job: &Job<'_>, module: &Path) -> Result<(), BuildError> {
    let file = module.join("go.mod");
    let mut text =
        std::fs::read_to_string(&file).map_err(|error| job.file_error((file.clone(), error)))?;
    let runtime = job.carry(carried::GO_PACKAGE, &job.sdk.join("go-pkg"))?;
    text.push_str(&format!(
        "\nreplace {RUNTIME_MODULE} => {}\n",
        runtime.display()
    ));
    let sdk = job.carry_sdk("go", carried::SDK_GO)?;
    let name = std::fs::read_to_string(sdk.join("go.mod")).unwrap_or_default();
    if let Some(name) = name.lines().find_map(|line| line.strip_prefix("module ")) {
        let name = name.trim();
        text.push_str(&format!(
            "require {name} v0.0.0\nreplace {name} => {}\n",
            sdk.display()
        ));
    }
    job.write(&file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_package_finds_its_folder_and_the_others_stay() {
        let cases = [
            (
                "grain.go",
                "// A grain.\npackage export_app_shop_api // of ours\n",
                "export_app_shop_api/grain.go",
            ),
            (
                "deep/down.go",
                "package export_app_shop_api\n",
                "export_app_shop_api/down.go",
            ),
            ("rules/price.go", "package rules\n", "rules/price.go"),
        ];
        for (within, text, expected) in cases {
            assert_eq!(place(Path::new(within), text), Path::new(expected));
        }
    }
}
