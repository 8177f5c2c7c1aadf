//! The tests that a project brings in its own language, run with the command that its manifest names: `go test ./...`, `pytest`, `npm test`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::manifest::sections::Language;
use crate::manifest::{Manifest, Source};
use crate::project::Project;
use crate::project::language::last_part;
use crate::project::toolchain;

/// What a shell answers when it does not find a program.
const NOT_FOUND: i32 = 127;

/// A project's own test command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTests {
    /// The project file that names it.
    pub file: PathBuf,
    /// Where it runs.
    folder: PathBuf,
    /// What `sh -c` is given.
    pub command: String,
    /// The languages of the project's kinds.
    languages: Vec<Language>,
    /// Where a build leaves the SDK of Python.
    python: PathBuf,
}

impl OwnTests {
    /// The command that one of a project's files names, if it names one.
    pub fn of(project: &Project, manifest: &Manifest) -> Option<Self> {
        let languages = manifest.kinds.iter().filter_map(|kind| match kind.source {
            Source::Language { language, .. } => Some(language),
            Source::Prebuilt(_) | Source::Command { .. } => None,
        });
        Some(Self {
            file: manifest.path.clone(),
            folder: manifest.folder(),
            command: manifest.test.command.clone()?,
            languages: languages.collect(),
            python: std::path::absolute(&project.folder)
                .unwrap_or_else(|_| project.folder.clone())
                .join("target/granary/sdk/python/src"),
        })
    }

    /// Runs it. The error is what it said, with what to do where a program of it is not there.
    pub async fn run(&self) -> Result<(), String> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(&self.command)
            .current_dir(&self.folder)
            .env("PATH", self.search_path().await)
            .env("PYTHONPATH", self.module_path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await;
        let output = output.map_err(|error| format!("sh does not run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let said: Vec<String> = said.into_iter().filter(|part| !part.is_empty()).collect();
        let said = last_part(&said.join("\n"));
        if output.status.code() == Some(NOT_FOUND) {
            return Err(format!(
                "a program of it is not on the path; install it, or correct test.command in {}\n{said}",
                self.file.display()
            ));
        }
        Err(format!("{}\n{said}", output.status))
    }

    /// Python's module path with the SDK behind everything that the user has; the SDK finds the bindings.
    fn module_path(&self) -> OsString {
        let path = std::env::var_os("PYTHONPATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty());
        let sdk = self.languages.contains(&Language::Python);
        let folders = folders.chain(sdk.then(|| self.python.clone()));
        std::env::join_paths(folders).unwrap_or(path)
    }

    /// The path with the tools of the project's languages behind everything that the user has.
    async fn search_path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        for language in &self.languages {
            for tool in toolchain::tools(*language) {
                let found = tool.find(*language).await.ok();
                folders.extend(found.and_then(|found| Some(found.path.parent()?.to_path_buf())));
            }
        }
        // Only a folder with a colon in its name cannot be on a path.
        std::env::join_paths(folders).unwrap_or(path)
    }
}
