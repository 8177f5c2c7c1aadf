//! The command line, run like a person runs it.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

use super::node::{Node, PROGRAM};
use super::{guests, within, without_settings};

/// What one run of the program left.
#[derive(Debug)]
pub(crate) struct Cli {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Cli {
    /// Runs `granary` with these arguments in a folder, against a node if one is given. It knows the tool chains of the tests, if
    /// some test has had them installed.
    pub(crate) async fn run(folder: &Path, node: Option<&Node>, arguments: &[&str]) -> Self {
        Self::run_with(folder, node, arguments, &[]).await
    }

    /// The same with variables of its own.
    pub(crate) async fn run_with(
        folder: &Path,
        node: Option<&Node>,
        arguments: &[&str],
        variables: &[(&str, &Path)],
    ) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .env("NO_COLOR", "1")
            .kill_on_drop(true);
        without_settings(&mut command);
        command.env(guests::TOOLCHAINS, guests::toolchains_folder());
        command.envs(variables.iter().copied());
        if let Some(node) = node {
            command.env("GRANARY_URL", node.url());
        }
        let Output {
            status,
            stdout,
            stderr,
        } = within("a command", command.output()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self {
            code: status.code().unwrap_or(-1),
            out: text(stdout),
            err: text(stderr),
        }
    }

    /// Its standard output, if it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "expected success:\n{}\n{}",
            self.out, self.err
        );
        self.out
    }

    /// Its standard output as JSON, if it went well.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("no JSON ({error}):\n{out}"))
    }

    /// Its error text, if it failed with this code. Every error ends with what to try.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(
            self.code, code,
            "expected exit code {code}:\n{}\n{}",
            self.out, self.err
        );
        let last = self
            .err
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default();
        assert!(
            last.trim_start().starts_with("try:"),
            "an error ends with what to try:\n{}",
            self.err
        );
        self.err
    }
}

/// Runs `granary` against a node, in the node's own folder.
pub(crate) async fn granary(node: &Node, arguments: &[&str]) -> Cli {
    Cli::run(node.folder(), Some(node), arguments).await
}
