//! From a kind's source to a component that a node takes: built, wrapped, documented and looked at as the node will look at it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use granary_core::id::{Digest, KindName};
use granary_core::limits::COMPONENT_BYTES_MAX;
use granary_runtime::Interface;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::cli::client::Client;
use crate::manifest::{KindManifest, Source};
use crate::project::Project;
use crate::project::clients::{self, ClientsError, Sources};
use crate::project::toolchain::{self, Missing, Say, Toolchain};

/// A component, ready to be deployed.
#[derive(Debug, Clone)]
pub struct Built {
    /// The kind with its settings.
    pub kind: KindManifest,
    /// Where the component lies.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub digest: Digest,
    /// What it says of itself.
    pub interface: Interface,
}

/// Why a kind was not built. What was built before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing builds Rust guests here.
    #[error("{kind}: {missing}")]
    NoToolchain {
        /// The kind.
        kind: KindName,
        /// What is missing.
        missing: Missing,
    },
    /// The compiler or the command has said why.
    #[error("{kind}: {what} failed")]
    Failed {
        /// The kind.
        kind: KindName,
        /// Which command.
        what: String,
    },
    /// A program does not run.
    #[error("{kind}: {what} does not run")]
    NoProgram {
        /// The kind.
        kind: KindName,
        /// Which program.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{kind}: {} cannot be {done}", path.display())]
    File {
        /// The kind.
        kind: KindName,
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A client package that its WIT names cannot be made.
    #[error("{kind}: no client package")]
    Clients {
        /// The kind.
        kind: KindName,
        /// Why.
        #[source]
        source: Box<ClientsError>,
    },
    /// Something was built, but a node would not take it.
    #[error("{kind}: {why}")]
    Unfit {
        /// The kind.
        kind: KindName,
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
}

impl BuildError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoToolchain { missing, .. } => Some(missing.run.clone()),
            Self::Failed { .. } => Some("look at the messages above".to_owned()),
            Self::NoProgram { .. } => Some("granary doctor".to_owned()),
            Self::File { .. } => None,
            Self::Clients { source, .. } => Some(source.hint()),
            Self::Unfit { hint, .. } => Some(hint.clone()),
        }
    }
}

/// Builds the kinds of projects, one after the other: cargo uses every processor by itself.
#[derive(Debug)]
pub struct Builder {
    quiet: bool,
    node: Option<Client>,
    toolchain: Option<(PathBuf, Toolchain)>,
}

impl Builder {
    /// A builder that says nothing but errors, or lets cargo speak.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            node: None,
            toolchain: None,
        }
    }

    /// The same with a node to ask for the clients of kinds that no project here has.
    pub fn asking(self, node: Client) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Builds one kind of a project.
    pub async fn build(
        &mut self,
        project: &Project,
        kind: &KindManifest,
        say: Say<'_>,
    ) -> Result<Built, BuildError> {
        let name = kind.spec.name.clone();
        if let Source::Rust { folder } | Source::Command { folder, .. } = &kind.source {
            let sources = Sources {
                project,
                node: self.node.as_ref(),
            };
            let provided = clients::provide(sources, kind, &folder.join("wit")).await;
            provided.map_err(|source| BuildError::Clients {
                kind: name.clone(),
                source: Box::new(source),
            })?;
        }
        let (made, folder) = match &kind.source {
            Source::Prebuilt(path) => (path.clone(), None),
            Source::Rust { folder } => (
                self.rust(project, &name, folder, say).await?,
                Some(folder.as_path()),
            ),
            Source::Command {
                folder,
                command,
                component,
            } => {
                run_command(&name, folder, command, self.quiet).await?;
                (component.clone(), Some(folder.as_path()))
            }
        };
        let raw = read(&name, &made)?;
        let Some(folder) = folder else {
            return inspect(kind, made, raw);
        };
        let bytes = finish(&name, raw, folder, say)?;
        let path = project
            .folder
            .join("target/granary")
            .join(format!("{name}.wasm"));
        write(&name, &path, &bytes)?;
        inspect(kind, path, bytes)
    }

    async fn rust(
        &mut self,
        project: &Project,
        kind: &KindName,
        folder: &Path,
        say: Say<'_>,
    ) -> Result<PathBuf, BuildError> {
        let toolchain = self.toolchain(kind, folder, say).await?;
        let mut command = toolchain.cargo(folder).await;
        command
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if std::env::var_os("CARGO_TARGET_DIR").is_none() && !is_member(folder) {
            let target = absolute(&project.folder.join("target"));
            command.env("CARGO_TARGET_DIR", target);
        }
        if self.quiet {
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
            });
        }
        artifact(&output.stdout, folder).ok_or_else(|| BuildError::Unfit {
            kind: kind.clone(),
            why: format!(
                "the package in {} has no library of type cdylib",
                folder.display()
            ),
            hint: "add to its Cargo.toml: [lib] crate-type = [\"cdylib\"]".to_owned(),
        })
    }

    async fn toolchain(
        &mut self,
        kind: &KindName,
        folder: &Path,
        say: Say<'_>,
    ) -> Result<Toolchain, BuildError> {
        // Kinds that lie side by side have the same toolchain file.
        let place = folder.parent().unwrap_or(folder).to_path_buf();
        if let Some((known, toolchain)) = &self.toolchain
            && *known == place
        {
            return Ok(toolchain.clone());
        }
        let found = toolchain::find(folder, say).await;
        let found = found.map_err(|missing| BuildError::NoToolchain {
            kind: kind.clone(),
            missing,
        })?;
        self.toolchain = Some((place, found.clone()));
        Ok(found)
    }
}

async fn run_command(
    kind: &KindName,
    folder: &Path,
    line: &str,
    quiet: bool,
) -> Result<(), BuildError> {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(line)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // Whatever the command prints is for people: standard output belongs to our own results.
    command.stdout(if quiet {
        Stdio::null()
    } else {
        std::io::stderr().into()
    });
    let status = command.status().await;
    let status = status.map_err(|source| BuildError::NoProgram {
        kind: kind.clone(),
        what: "sh".to_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed {
            kind: kind.clone(),
            what: format!("`{line}`"),
        })
    }
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

/// Wraps a core module, and adds the doc comments of the WIT that it was built from.
fn finish(
    kind: &KindName,
    raw: Vec<u8>,
    folder: &Path,
    say: Say<'_>,
) -> Result<Vec<u8>, BuildError> {
    let component = if granary_runtime::is_core_module(&raw) {
        granary_runtime::componentize(&raw).map_err(|why| BuildError::Unfit {
            kind: kind.clone(),
            why: format!("the core module cannot be wrapped as a component: {why}"),
            hint:
                "build for wasm32-wasip2, or embed the WIT world first: wasm-tools component embed"
                    .to_owned(),
        })?
    } else {
        raw
    };
    let wit = folder.join("wit");
    if !wit.is_dir() {
        return Ok(component);
    }
    granary_runtime::interface::embed_docs(component.clone(), &[&wit]).or_else(|why| {
        say(&format!(
            "{kind}: the doc comments of {} are left out: {why}",
            wit.display()
        ));
        Ok(component)
    })
}

fn inspect(kind: &KindManifest, path: PathBuf, bytes: Vec<u8>) -> Result<Built, BuildError> {
    let unfit = |why: String, hint: &str| BuildError::Unfit {
        kind: kind.spec.name.clone(),
        why,
        hint: hint.to_owned(),
    };
    if COMPONENT_BYTES_MAX < bytes.len() as u64 {
        let why = format!(
            "{} is {} bytes long; at most {COMPONENT_BYTES_MAX} are taken",
            path.display(),
            bytes.len()
        );
        return Err(unfit(why, "strip its debug sections, or split the kind"));
    }
    let interface = Interface::inspect(&bytes).map_err(|e| {
        unfit(
            format!("{}: {e}", path.display()),
            "granary build after correcting it",
        )
    })?;
    let mut named = kind.spec.methods.keys();
    if let Some(method) = named.find(|name| interface.method(name).is_none()) {
        let nearest = interface
            .nearest(method)
            .map(|name| format!("; did you mean '{name}'?"))
            .unwrap_or_default();
        let why = format!(
            "the manifest names the method '{method}', which the component does not export{nearest}"
        );
        return Err(unfit(why, "correct the name under [kinds.….methods]"));
    }
    let digest = Digest(Sha256::digest(&bytes).into());
    Ok(Built {
        kind: kind.clone(),
        path,
        bytes,
        digest,
        interface,
    })
}

fn read(kind: &KindName, path: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |source| BuildError::File {
        kind: kind.clone(),
        path: path.to_path_buf(),
        done: "read",
        source,
    };
    std::fs::read(path).map_err(failed)
}

/// Writes beside and renames: whoever watches never sees half a file.
fn write(kind: &KindName, path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File {
        kind: kind.clone(),
        path: path.to_path_buf(),
        done: "written",
        source,
    };
    let folder = path
        .parent()
        .expect("the path was joined from a folder and a name");
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map(drop).map_err(|e| failed(e.error))
}

/// Whether a crate lies in a workspace, whose target folder it shares with the others already.
fn is_member(folder: &Path) -> bool {
    let is_root = |folder: &Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        manifest
            .lines()
            .any(|line| line.trim_start().starts_with("[workspace"))
    };
    let folder = absolute(folder);
    !is_root(&folder) && folder.ancestors().skip(1).any(is_root)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
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
