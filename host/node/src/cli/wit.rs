//! `wit` and `openapi`: what a kind offers.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use granary_runtime::client::{ClientError, Look};
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::deploy::show_differences;
use crate::cli::exit::{Error, Exit};
use crate::cli::inspect::parse_kind;
use crate::cli::project::project_error;
use crate::cli::terminal::{Terminal, cell};
use crate::project::Project;
use crate::project::clients::{self, ClientsError};

/// What `wit` is told.
#[derive(Debug, Subcommand)]
pub enum WitCommand {
    /// Print a kind's interface as WIT, with its doc comments
    Show {
        /// The kind
        kind: String,
        /// A revision; the current one unless given
        #[arg(long, value_name = "REVISION")]
        revision: Option<u64>,
    },
    /// Make the package through which other components call a kind with types
    #[command(
        after_help = "Its resource `ref` stands for a grain: each method of the kind is a method of it, whose answer can also be the call's error.\n`granary build` makes the packages that a project's WIT names by itself; this shows them, or makes one that stays.\n\nExamples:\n  granary wit client counter                        of a kind that the node runs\n  granary wit client counter --from sample-grains   of a project's kind, from its WIT\n  granary wit client counter --from counter.wasm    of a component\n  granary wit client counter --into wit/deps        left in wit/deps/counter-client.wit"
    )]
    Client {
        /// The kind; the package is named after it
        kind: String,
        /// A component, or a project with the kind, instead of the node
        #[arg(long, value_name = "PATH", conflicts_with = "revision")]
        from: Option<PathBuf>,
        /// A revision; the current one unless given
        #[arg(long, value_name = "REVISION")]
        revision: Option<u64>,
        /// Make the methods `async func`, to wait for several at once; the file is then KIND-client-async.wit, which `build` leaves alone
        #[arg(long = "async")]
        is_async: bool,
        /// Write it into this folder instead of printing it
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Show what two revisions differ in, and whether it breaks callers
    Diff {
        /// The kind
        kind: String,
        /// The older revision; the one before `to` unless given
        #[arg(long, value_name = "REVISION")]
        from: Option<u64>,
        /// The newer revision; the current one unless given
        #[arg(long, value_name = "REVISION")]
        to: Option<u64>,
    },
}

/// Runs `wit`.
pub async fn wit(client: &Client, terminal: &Terminal, command: &WitCommand) -> Result<(), Error> {
    match command {
        WitCommand::Show { kind, revision } => {
            let text = document(client, kind, *revision, "wit").await?;
            if terminal.is_json() {
                terminal.json(&serde_json::json!({ "wit": String::from_utf8_lossy(&text) }));
            } else {
                terminal.out(String::from_utf8_lossy(&text).trim_end());
            }
            Ok(())
        }
        WitCommand::Client {
            kind,
            from,
            revision,
            is_async,
            into,
        } => {
            let text = match from {
                Some(path) => client_from(path, kind, *is_async)?,
                None => {
                    let name = format!("client.wit?async={is_async}");
                    let text = document(client, kind, *revision, &name).await?;
                    String::from_utf8_lossy(&text).into_owned()
                }
            };
            give_client(terminal, &text, kind, into.as_deref(), *is_async)
        }
        WitCommand::Diff { kind, from, to } => diff(client, terminal, kind, *from, *to).await,
    }
}

/// The client of a component, or of a kind of a project.
fn client_from(path: &Path, kind: &str, is_async: bool) -> Result<String, Error> {
    let kind = parse_kind(kind)?;
    let unfit = |error: &ClientsError| Error::caused(Exit::Failure, error, error.hint());
    let methods = if path.extension().is_some_and(|ext| ext == "wasm") {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::caused(
                Exit::NotFound,
                &error,
                format!("a component that is there, not {}", path.display()),
            )
        })?;
        clients::of_component(&kind, &bytes).map_err(|error| unfit(&error))?
    } else {
        let project = Project::open(path).map_err(|error| project_error(&error))?;
        let found = clients::of_project(&project, &kind).map_err(|error| unfit(&error))?;
        found.ok_or_else(|| {
            Error::new(
                Exit::NotFound,
                format!(
                    "there is no kind '{kind}' in {}, nor beside it",
                    path.display()
                ),
                "name the folder that has it",
            )
        })?
    };
    let unfit = |error: ClientError| {
        Error::caused(
            Exit::Failure,
            &error,
            "granary wit show KIND shows what it offers",
        )
    };
    let look = Look {
        package: granary_runtime::client::package(kind.as_str(), &methods).map_err(unfit)?,
        is_async,
    };
    granary_runtime::client::wit(&methods, &look).map_err(unfit)
}

fn give_client(
    terminal: &Terminal,
    text: &str,
    kind: &str,
    into: Option<&Path>,
    is_async: bool,
) -> Result<(), Error> {
    let Some(folder) = into else {
        if terminal.is_json() {
            terminal.json(&serde_json::json!({ "wit": text }));
        } else {
            terminal.out(text.trim_end());
        }
        return Ok(());
    };
    let end = if is_async { "-async" } else { "" };
    let file = folder.join(format!("{kind}-client{end}.wit"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| {
        Error::caused(
            Exit::Failure,
            &error,
            format!("a folder that you may write to, not {}", folder.display()),
        )
    })?;
    if terminal.is_json() {
        terminal.json(&serde_json::json!({ "file": file }));
    } else {
        terminal.out(format!("wrote {}", file.display()));
    }
    Ok(())
}

/// Prints a kind's OpenAPI document.
pub async fn openapi(
    client: &Client,
    terminal: &Terminal,
    kind: &str,
    revision: Option<u64>,
) -> Result<(), Error> {
    let bytes = document(client, kind, revision, "openapi.json").await?;
    let pretty = serde_json::from_slice::<Value>(&bytes)
        .and_then(|document| serde_json::to_string_pretty(&document));
    match pretty {
        Ok(text) => terminal.out(text),
        Err(_) => terminal.out_bytes(&bytes),
    }
    Ok(())
}

async fn document(
    client: &Client,
    kind: &str,
    revision: Option<u64>,
    name: &str,
) -> Result<Vec<u8>, Error> {
    let kind = parse_kind(kind)?;
    let revision = revision.map_or_else(|| "current".to_owned(), |revision| revision.to_string());
    client
        .bytes(client.request(
            Method::GET,
            &format!("/v1/kinds/{kind}/revisions/{revision}/{name}"),
        ))
        .await
}

async fn diff(
    client: &Client,
    terminal: &Terminal,
    kind: &str,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<(), Error> {
    let kind = parse_kind(kind)?;
    let mut query = Vec::new();
    query.extend(from.map(|from| format!("from={from}")));
    query.extend(to.map(|to| format!("to={to}")));
    let diff = client
        .get(&format!("/v1/kinds/{kind}/diff?{}", query.join("&")))
        .await?;
    if terminal.is_json() {
        terminal.json(&diff);
        return Ok(());
    }
    terminal.out(format!(
        "{kind}: revision {} → {}, {}",
        cell(&diff["from"]),
        cell(&diff["to"]),
        cell(&diff["verdict"])
    ));
    show_differences(terminal, &diff);
    Ok(())
}
