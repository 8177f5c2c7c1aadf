//! Nodes, clients and guests for the tests.

pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod flow;
pub(crate) mod guests;
pub(crate) mod node;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

pub(crate) use cli::{Cli, granary};
pub(crate) use client::{Client, Problem, Reply};
pub(crate) use flow::Flow;
pub(crate) use node::{Node, NodeBuilder};

/// How long a state may take to come about. Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("host/node lies two folders below the root")
        .to_owned()
}

/// Asks again until there is an answer. Fails the test, naming the state, when its patience ends.
pub(crate) async fn until<T, F>(state: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let search = async {
        loop {
            tick.tick().await;
            if let Some(answer) = probe().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {state}"))
}

/// Bounds a future that should end by itself.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Takes this process's own settings for `granary` out of a command: what a developer has set must not reach a test's node.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRANARY_") {
            command.env_remove(name);
        }
    }
    command
}
