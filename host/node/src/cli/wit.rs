//! `wit` and `openapi`: what a kind offers.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::deploy::show_differences;
use crate::cli::exit::Error;
use crate::cli::inspect::parse_kind;
use crate::cli::terminal::{Terminal, cell};

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
        WitCommand::Diff { kind, from, to } => diff(client, terminal, kind, *from, *to).await,
    }
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
