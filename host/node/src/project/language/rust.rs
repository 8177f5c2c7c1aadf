//! Rust: the Cargo package in the kind's folder, built with the toolchain that [`toolchain::rust`] finds.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::{Job, dependencies};
use crate::project::toolchain;

/// Runs cargo. Its messages are shown as they come: a first build takes a while.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let (kind, folder) = (job.kind, job.source);
    let found = toolchain::rust::find(folder, job.say).await;
    let found = found.map_err(|missing| BuildError::NoToolchain {
        kind: kind.clone(),
        missing,
    })?;
    // For a package that depends on it there.
    job.carry_sdk("rust", carried::SDK_RUST)?;
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
    let (output, said) = run(&mut command)
        .await
        .map_err(|source| BuildError::NoProgram {
            kind: kind.clone(),
            what: "cargo".to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(match network(&said) {
            Some(line) => job.unfit(
                format!("cargo build failed: what it needs could not be downloaded: {line}"),
                "look at the network; a proxy is named with HTTPS_PROXY, a mirror in .cargo/config.toml; then repeat",
            ),
            None => BuildError::Failed {
                kind: kind.clone(),
                what: "cargo build".to_owned(),
                output: String::new(),
            },
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

/// Runs cargo. What it says is told as it comes, and given back.
async fn run(command: &mut Command) -> Result<(Output, String), std::io::Error> {
    if std::io::stderr().is_terminal() {
        // Cargo sees no terminal, because its words go through here.
        for (name, value) in [
            ("CARGO_TERM_COLOR", "always"),
            ("CARGO_TERM_PROGRESS_WHEN", "always"),
            ("CARGO_TERM_PROGRESS_WIDTH", "80"),
        ] {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
    }
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let words = child.stderr.take();
    let listen = async {
        let mut said = Vec::new();
        if let Some(mut words) = words {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = words.read(&mut part).await {
                drop(std::io::stderr().write_all(&part[..length]));
                said.extend_from_slice(&part[..length]);
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    };
    let (output, said) = tokio::join!(child.wait_with_output(), listen);
    Ok((output?, said))
}

/// The line in which cargo says that nobody answers.
fn network(said: &str) -> Option<&str> {
    const SIGNS: [&str; 5] = [
        "Could not resolve host",
        "Couldn't connect to server",
        "Could not connect to server",
        "Timeout was reached",
        "network failure seems to have happened",
    ];
    // An attempt that is repeated is told as a warning.
    let lines = said.lines().filter(|line| !line.contains("warning"));
    lines
        .map(str::trim)
        .find(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}

/// Cargo's list of inputs in the kind's working folder.
const INPUTS: &str = "inputs.d";

/// The files of a folder, or of one above, that choose versions and flags.
const CHOOSING: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "rust-toolchain",
    ".cargo/config.toml",
    ".cargo/config",
];

/// The sources of other packages of the workspace, as cargo lists them, and the files that choose versions.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let list = std::fs::read_to_string(job.work.join(INPUTS)).unwrap_or_default();
    let mut files: BTreeSet<PathBuf> = dependencies(&list).into_iter().flatten().collect();
    // Also those that are not there: one that comes is a change.
    let folders = job.source.ancestors();
    files.extend(folders.flat_map(|folder| CHOOSING.map(|name| folder.join(name))));
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
    fn a_registry_that_cannot_be_reached_is_told_from_a_program_that_is_wrong() {
        let said = "warning: spurious network error (1 try remaining): [6] Couldn't resolve host name (Could not resolve host: packages.example)\n\
                    error: failed to get `wit-bindgen` as a dependency\n\nCaused by:\n  [6] Could not resolve hostname (Could not resolve host: packages.example)\n";
        assert!(
            network(said)
                .is_some_and(|line| line.contains("Could not resolve host: packages.example"))
        );
        assert_eq!(network("error[E0425]: cannot find value `network`\n"), None);
    }

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
