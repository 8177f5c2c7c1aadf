//! Rust: the Cargo package in the kind's folder, built with the toolchain that [`toolchain::rust`] finds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::project::build::BuildError;
use crate::project::language::Job;
use crate::project::toolchain;

/// Runs cargo. Its messages are shown as they come: a first build takes a while.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let (kind, folder) = (job.kind, job.source);
    let found = toolchain::rust::find(folder, job.say).await;
    let found = found.map_err(|missing| BuildError::NoToolchain {
        kind: kind.clone(),
        missing,
    })?;
    let mut command = found.cargo(folder).await;
    command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() && !is_member(folder) {
        // Beside the folder of this program's own: kinds that lie side by side build their dependencies once.
        let target = job.work.ancestors().nth(2).unwrap_or(&job.work);
        command.env("CARGO_TARGET_DIR", target);
    }
    if job.quiet {
        command.arg("--quiet");
    }
    let no_program = |source| BuildError::NoProgram {
        kind: kind.clone(),
        what: "cargo".to_owned(),
        source,
    };
    let output = command
        .spawn()
        .map_err(no_program)?
        .wait_with_output()
        .await
        .map_err(no_program)?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            kind: kind.clone(),
            what: "cargo build".to_owned(),
            output: String::new(),
        });
    }
    let made = artifact(&output.stdout, folder).ok_or_else(|| {
        let why = format!(
            "the package in {} has no library of type cdylib",
            folder.display()
        );
        job.unfit(
            why,
            "add to its Cargo.toml: [lib] crate-type = [\"cdylib\"]",
        )
    })?;
    // Cargo's own list of what it read, kept for `inputs_elsewhere`.
    drop(std::fs::copy(
        made.with_extension("d"),
        job.work.join(INPUTS),
    ));
    Ok(made)
}

/// Cargo's list of inputs in the kind's working folder.
const INPUTS: &str = "inputs.d";

/// The sources of other packages of the workspace, as cargo lists them, and the files that choose versions.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let list = std::fs::read_to_string(job.work.join(INPUTS)).unwrap_or_default();
    // `made: input input …`, where a blank within a name is escaped.
    let inputs = list.lines().filter_map(|line| line.split_once(": "));
    let mut files: BTreeSet<PathBuf> = inputs
        .flat_map(|(_, inputs)| {
            let joined = inputs.replace("\\ ", "\0");
            let names: Vec<PathBuf> = joined
                .split(' ')
                .map(|name| name.replace('\0', " ").into())
                .collect();
            names
        })
        .collect();
    for folder in job.source.ancestors().skip(1) {
        let names =
            ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"].map(|name| folder.join(name));
        files.extend(names.into_iter().filter(|file| file.is_file()));
        let config = folder.join(".cargo/config.toml");
        files.extend(Some(config).filter(|file| file.is_file()));
    }
    files
}

/// What cargo says of each artifact, one JSON line each.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The `.wasm` file of the package in `folder`.
fn artifact(stdout: &[u8], folder: &Path) -> Option<PathBuf> {
    let own = std::fs::canonicalize(folder.join("Cargo.toml")).ok()?;
    let lines = stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let artifacts = lines.filter(|line| line.reason == "compiler-artifact");
    let of_package = artifacts
        .filter(|line| std::fs::canonicalize(&line.manifest_path).is_ok_and(|path| path == own));
    of_package
        .flat_map(|line| line.filenames)
        .rfind(|file| file.extension().is_some_and(|ext| ext == "wasm"))
}

/// Whether a crate lies in a workspace, whose target folder it shares with the others already.
fn is_member(folder: &Path) -> bool {
    let is_root = |folder: &Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        manifest
            .lines()
            .any(|line| line.trim_start().starts_with("[workspace"))
    };
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    !is_root(&folder) && folder.ancestors().skip(1).any(is_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_packages_own_wasm_file() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let line = |reason: &str, manifest: &Path, file: &str| {
            serde_json::json!({ "reason": reason, "manifest_path": manifest, "filenames": [file] })
                .to_string()
        };
        let other = folder.path().join("other/Cargo.toml");
        let lines = [
            line("compiler-artifact", &other, "/t/dep.wasm"),
            line("compiler-artifact", &manifest, "/t/build-script"),
            line("compiler-artifact", &manifest, "/t/own.wasm"),
            line("build-finished", &manifest, "/t/no.wasm"),
            "no json".to_owned(),
        ];
        assert_eq!(
            artifact(lines.join("\n").as_bytes(), folder.path()),
            Some("/t/own.wasm".into())
        );
    }
}
