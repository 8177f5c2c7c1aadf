//! A machine that has not got everything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Cli, guests};

/// A folder for projects, and a machine without tool chains: an own folder for them, and one folder more on the path.
pub(super) struct Bare {
    folder: TempDir,
}

impl Bare {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program on the path that prints one line.
    pub(super) fn fake(&self, name: &str, says: &str) {
        self.script(name, &format!("echo '{says}'"));
    }

    /// A program on the path that runs these lines of shell.
    pub(super) fn script(&self, name: &str, lines: &str) {
        let file = self.path().join("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn search_path(&self) -> PathBuf {
        let system = std::env::var("PATH").unwrap();
        PathBuf::from(format!("{}:{system}", self.path().join("bin").display()))
    }

    pub(super) fn toolchains(&self) -> PathBuf {
        self.path().join("toolchains")
    }

    pub(super) async fn granary(&self, arguments: &[&str]) -> Cli {
        self.granary_with(arguments, &[]).await
    }

    pub(super) async fn granary_with(&self, arguments: &[&str], more: &[(&str, &Path)]) -> Cli {
        let (path, toolchains) = (self.search_path(), self.toolchains());
        let mut variables = vec![
            ("PATH", path.as_path()),
            (guests::TOOLCHAINS, toolchains.as_path()),
        ];
        variables.extend(more);
        Cli::run_with(self.path(), None, arguments, &variables).await
    }

    /// Writes a project of one kind, which is called like its folder.
    pub(super) fn project(&self, path: &str, language: &str, wit: &str, sources: &[(&str, &str)]) {
        let folder = self.path().join(path);
        let name = path.rsplit('/').next().unwrap_or(path);
        let manifest = format!("[kinds.{name}]\nbuild = \".\"\nlanguage = \"{language}\"\n");
        let wit = (format!("wit/{name}.wit"), wit.to_owned());
        let sources = sources
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        let files = sources.chain([("granary.toml".to_owned(), manifest), wit]);
        for (file, text) in files {
            let file = folder.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }
}
