//! `state`: what grains keep, looked at and changed from outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use granary_core::id::GrainId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::backup;
use crate::cli::client::{Client, encode, grain_path, parse_grain};
use crate::cli::exit::{Error, Exit};
use crate::cli::inspect::items;
use crate::cli::terminal::{Terminal, bytes};

/// What `state` is told.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Nothing is activated by looking. A change runs between two turns, and the grain's memory is dropped afterwards.\n\nExamples:\n  granary state ls counter/visits\n  granary state get counter/visits count\n  granary state export --to backup.granary\n  granary state import backup.granary"
)]
pub enum StateCommand {
    /// List a grain's state keys and values
    Ls {
        /// The grain: kind/key
        grain: String,
        /// Only keys that begin with this
        #[arg(long, default_value = "")]
        prefix: String,
    },
    /// Print one value, as it is
    Get {
        /// The grain: kind/key
        grain: String,
        /// The state key
        key: String,
    },
    /// Write one value: a text, @file, or - for standard input
    Set {
        /// The grain: kind/key
        grain: String,
        /// The state key
        key: String,
        /// The value
        value: String,
        /// Only if the state is at this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Remove one value
    Rm {
        /// The grain: kind/key
        grain: String,
        /// The state key
        key: String,
        /// Only if the state is at this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Write grains' state, kept answers and messages into a backup: lines of text with a checksum
    Export(backup::ExportArgs),
    /// Take a backup in: all of it is checked before anything is changed
    Import(backup::ImportArgs),
}

/// Runs `state`.
pub async fn run(
    client: &Client,
    terminal: &Terminal,
    command: &StateCommand,
) -> Result<(), Error> {
    match command {
        StateCommand::Ls { grain, prefix } => {
            ls(client, terminal, &parse_grain(grain)?, prefix).await
        }
        StateCommand::Get { grain, key } => {
            let value = client
                .bytes(client.request(Method::GET, &entry_path(&parse_grain(grain)?, key)))
                .await?;
            if terminal.is_json() {
                terminal.json(&shown(key, &value))
            } else {
                terminal.out_bytes(&value)
            }
            Ok(())
        }
        StateCommand::Set {
            grain,
            key,
            value,
            if_version,
        } => {
            let change = client
                .request(Method::PUT, &entry_path(&parse_grain(grain)?, key))
                .body(read_value(value)?);
            edit(
                client,
                terminal,
                change.header("content-type", "application/octet-stream"),
                *if_version,
            )
            .await
        }
        StateCommand::Rm {
            grain,
            key,
            if_version,
        } => {
            edit(
                client,
                terminal,
                client.request(Method::DELETE, &entry_path(&parse_grain(grain)?, key)),
                *if_version,
            )
            .await
        }
        StateCommand::Export(args) => backup::export(client, terminal, args).await,
        StateCommand::Import(args) => backup::import(client, terminal, args).await,
    }
}

/// The path of one state value.
fn entry_path(grain: &GrainId, key: &str) -> String {
    format!("/v1/state/{}/{}", grain_path(grain), encode(key))
}

async fn edit(
    client: &Client,
    terminal: &Terminal,
    request: reqwest::RequestBuilder,
    if_version: Option<u64>,
) -> Result<(), Error> {
    let request = match if_version {
        Some(version) => request.header("if-match", format!("\"{version}\"")),
        None => request,
    };
    let response = client.send(request).await?;
    let version = response
        .headers()
        .get("etag")
        .and_then(|tag| tag.to_str().ok())
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned();
    if terminal.is_json() {
        terminal.json(&json!({ "version": version }))
    } else {
        terminal.note(format!("the state is now at version {version}"))
    }
    Ok(())
}

fn read_value(text: &str) -> Result<Vec<u8>, Error> {
    if text == "-" {
        let mut value = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut value);
        return read
            .map(|_| value)
            .map_err(|e| Error::caused(Exit::Failure, &e, "pipe the value into it"));
    }
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some(path) => std::fs::read(path).map_err(|e| {
            Error::usage(
                format!("{path} cannot be read: {e}"),
                "name a file after the @",
            )
        }),
    }
}

/// A whole listing, page by page, and the state version that all of it belongs to.
async fn entries(
    client: &Client,
    grain: &GrainId,
    prefix: &str,
) -> Result<(u64, Vec<(String, Vec<u8>)>), Error> {
    // A commit between two pages would mix two states: then from the start again.
    for _ in 0..5 {
        let mut all = Vec::new();
        let mut version = None;
        let mut after = String::new();
        let whole = loop {
            let path = format!(
                "/v1/state/{}?prefix={}&limit=1000{after}",
                grain_path(grain),
                encode(prefix)
            );
            let page = client.get(&path).await?;
            let found = page["state_version"].as_u64().unwrap_or_default();
            if *version.get_or_insert(found) != found {
                break false;
            }
            for entry in items(&page, "entries") {
                let value = entry["base64"]
                    .as_str()
                    .and_then(|text| STANDARD.decode(text).ok());
                let (Some(key), Some(value)) = (entry["key"].as_str(), value) else {
                    continue;
                };
                all.push((key.to_owned(), value));
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", encode(next)),
                None => break true,
            }
        };
        if whole {
            return Ok((version.unwrap_or_default(), all));
        }
    }
    Err(Error::failure(
        format!("{grain} changes faster than it can be read"),
        "repeat it when there are fewer calls",
    ))
}

async fn ls(
    client: &Client,
    terminal: &Terminal,
    grain: &GrainId,
    prefix: &str,
) -> Result<(), Error> {
    let (version, entries) = entries(client, grain, prefix).await?;
    if terminal.is_json() {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(key, value)| shown(key, value))
            .collect();
        terminal
            .json(&json!({ "grain": grain.to_string(), "version": version, "entries": entries }));
        return Ok(());
    }
    terminal.note(format!(
        "{grain}: version {version}, {} keys",
        entries.len()
    ));
    let rows = entries
        .iter()
        .map(|(key, value)| vec![key.clone(), bytes(value.len() as u64), preview(value)]);
    terminal.table(&["KEY", "SIZE", "VALUE"], rows.collect());
    Ok(())
}

fn shown(key: &str, value: &[u8]) -> Value {
    let mut shown = json!({ "key": key, "bytes": value.len(), "base64": STANDARD.encode(value) });
    if let Ok(json) = serde_json::from_slice::<Value>(value) {
        shown["json"] = json;
    }
    shown
}

/// The beginning of a value: as text where it is one, else its bytes.
fn preview(value: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = std::str::from_utf8(value).ok().filter(|text| {
        !text
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
    });
    let whole = text.map_or_else(
        || {
            value
                .iter()
                .take(LONGEST)
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" ")
        },
        |text| text.replace(['\n', '\t'], " "),
    );
    if whole.chars().count() <= LONGEST {
        whole
    } else {
        whole.chars().take(LONGEST).chain(['…']).collect()
    }
}
