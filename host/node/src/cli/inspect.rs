//! `ls`, `get`, `explain`, `deactivate`: what is there, and what it is doing.

use clap::{Args, Subcommand};
use granary_core::id::KindName;
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::{Client, encode, grain_path, parse_grain};
use crate::cli::exit::Error;
use crate::cli::terminal::{Terminal, Tone, ago, bytes, cell, rough};

/// What `ls` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  granary ls                  the kinds\n  granary ls activations      live grains, largest first\n  granary ls grains counter   every grain of a kind that has state"
)]
pub struct LsArgs {
    #[command(subcommand)]
    what: Option<What>,
}

/// What can be listed.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Kinds with their revisions (what `ls` alone lists)
    Kinds,
    /// Live activations
    Activations {
        /// Of this kind only
        kind: Option<String>,
    },
    /// Grains with state
    Grains {
        /// Their kind
        kind: String,
        /// Only keys that begin with this
        #[arg(long, default_value = "")]
        prefix: String,
        /// How many at most
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

/// Reads a kind's name, with an error that says how one is written.
pub fn parse_kind(text: &str) -> Result<KindName, Error> {
    KindName::parse(text).map_err(|e| Error::usage(e.to_string(), "granary ls kinds"))
}

/// The entries of a listing: the array itself, or the one under a name.
pub fn items(value: &Value, name: &str) -> Vec<Value> {
    value
        .as_array()
        .or_else(|| value[name].as_array())
        .cloned()
        .unwrap_or_default()
}

/// Lists.
pub async fn ls(client: &Client, terminal: &Terminal, args: &LsArgs) -> Result<(), Error> {
    match &args.what {
        None | Some(What::Kinds) => kinds(client, terminal).await,
        Some(What::Activations { kind }) => activations(client, terminal, kind.as_deref()).await,
        Some(What::Grains {
            kind,
            prefix,
            limit,
        }) => grains(client, terminal, kind, prefix, *limit).await,
    }
}

async fn kinds(client: &Client, terminal: &Terminal) -> Result<(), Error> {
    let listed = client.get("/v1/kinds").await?;
    if terminal.is_json() {
        terminal.json(&listed);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = items(&listed, "kinds").iter().map(kind_row).collect();
    if rows.is_empty() {
        terminal.note("no kinds yet; next: granary new NAME, or granary deploy DIR");
        return Ok(());
    }
    terminal.table(
        &["KIND", "REVISION", "DEPLOYED", "LIVE", "DESCRIPTION"],
        rows,
    );
    Ok(())
}

fn kind_row(kind: &Value) -> Vec<String> {
    let halted = if is_halted(kind) { " (halted)" } else { "" };
    vec![
        cell(&kind["name"]),
        format!("{}{halted}", cell(&kind["current"])),
        kind["deployed_at_ms"]
            .as_u64()
            .map_or_else(|| "-".to_owned(), |at| format!("{} ago", ago(at))),
        cell(&kind["live_activations"]),
        cell(&kind["description"]),
    ]
}

fn is_halted(kind: &Value) -> bool {
    kind["rollout"]["state"] == "halted"
}

async fn activations(
    client: &Client,
    terminal: &Terminal,
    kind: Option<&str>,
) -> Result<(), Error> {
    let query = match kind {
        Some(kind) => format!("?kind={}", parse_kind(kind)?),
        None => String::new(),
    };
    let listed = client.get(&format!("/v1/activations{query}")).await?;
    if terminal.is_json() {
        terminal.json(&listed);
        return Ok(());
    }
    let mut all = items(&listed, "activations");
    all.sort_by_key(|entry| std::cmp::Reverse(entry["memory_bytes"].as_u64()));
    let rows = all.iter().map(|entry| {
        let millis =
            |key: &str| std::time::Duration::from_millis(entry[key].as_u64().unwrap_or_default());
        vec![
            grain_text(&entry["grain"]),
            cell(&entry["state"]),
            cell(&entry["revision"]),
            cell(&entry["queued"]),
            bytes(entry["memory_bytes"].as_u64().unwrap_or_default()),
            rough(millis("idle_ms")),
            cell(&entry["turns"]),
        ]
    });
    terminal.table(
        &[
            "GRAIN", "STATE", "REVISION", "QUEUED", "MEMORY", "IDLE", "TURNS",
        ],
        rows.collect(),
    );
    Ok(())
}

/// A grain in an answer: `kind/key`, or the two members.
pub fn grain_text(grain: &Value) -> String {
    match (grain["kind"].as_str(), grain["key"].as_str()) {
        (Some(kind), Some(key)) => format!("{kind}/{key}"),
        _ => cell(grain),
    }
}

async fn grains(
    client: &Client,
    terminal: &Terminal,
    kind: &str,
    prefix: &str,
    limit: usize,
) -> Result<(), Error> {
    let kind = parse_kind(kind)?;
    let mut all: Vec<Value> = Vec::new();
    let mut after = String::new();
    // Keys come in their order: those with the prefix lie side by side.
    while all.len() < limit {
        let page = client
            .get(&format!("/v1/state/{kind}?limit=1000{after}"))
            .await?;
        let begins = |entry: &Value| {
            entry["key"]
                .as_str()
                .is_some_and(|key| key.starts_with(prefix))
        };
        all.extend(items(&page, "grains").into_iter().filter(begins));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", encode(next)),
            None => break,
        }
    }
    all.truncate(limit);
    if terminal.is_json() {
        terminal.json(&Value::Array(all));
        return Ok(());
    }
    let rows = all.iter().map(|entry| {
        vec![
            format!("{kind}/{}", cell(&entry["key"])),
            cell(&entry["state_version"]),
            cell(&entry["keys"]),
            bytes(entry["bytes"].as_u64().unwrap_or_default()),
            entry["changed_at_ms"]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |at| format!("{} ago", ago(at))),
        ]
    });
    terminal.table(
        &["GRAIN", "VERSION", "KEYS", "STATE", "CHANGED"],
        rows.collect(),
    );
    Ok(())
}

/// Shows a kind with its revisions, or a grain.
pub async fn get(client: &Client, terminal: &Terminal, what: &str) -> Result<(), Error> {
    if what.contains('/') {
        let grain = parse_grain(what)?;
        let info = client.get(&format!("/g/{}", grain_path(&grain))).await?;
        show_fields(terminal, &info);
        return Ok(());
    }
    let kind = parse_kind(what)?;
    let record = client.get(&format!("/v1/kinds/{kind}")).await?;
    if terminal.is_json() {
        terminal.json(&record);
        return Ok(());
    }
    terminal.out(format!(
        "{}  revision {}",
        terminal.paint(Tone::Strong, kind.as_str()),
        cell(&record["current"])
    ));
    if is_halted(&record) {
        let because = cell(&record["rollout"]["because"]);
        let from = cell(&record["rollout"]["from"]);
        terminal.out(format!(
            "{}: grains stay on revision {from}: {because}",
            terminal.paint(Tone::Bad, "rollout halted")
        ));
    }
    show_methods(terminal, &record);
    let rows = record["revisions"]
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .map(|revision| {
            let mark = if revision["revision"] == record["current"] {
                "*"
            } else {
                ""
            };
            let component = cell(&revision["component"]);
            vec![
                format!("{}{mark}", cell(&revision["revision"])),
                cell(&revision["verdict"]),
                revision["deployed_at_ms"]
                    .as_u64()
                    .map_or_else(|| "-".to_owned(), |at| format!("{} ago", ago(at))),
                component.get(..12).unwrap_or(&component).to_owned(),
            ]
        });
    terminal.table(
        &["REVISION", "VERDICT", "DEPLOYED", "COMPONENT"],
        rows.collect(),
    );
    Ok(())
}

fn show_methods(terminal: &Terminal, kind: &Value) {
    for method in kind["methods"].as_array().into_iter().flatten() {
        let params = method["params"].as_array().into_iter().flatten();
        let params: Vec<String> = params
            .map(|param| format!("{}: {}", cell(&param["name"]), cell(&param["type"])))
            .collect();
        let result = method["result"]
            .as_str()
            .map(|result| format!(" -> {result}"))
            .unwrap_or_default();
        let read = if method["mode"] == "read" {
            terminal.paint(Tone::Dim, "  (read)")
        } else {
            String::new()
        };
        terminal.out(format!(
            "  {}({}){result}{read}",
            cell(&method["name"]),
            params.join(", ")
        ));
    }
    if kind["http"] == true {
        terminal.out("  serves HTTP under /http/");
    }
    for grant in kind["grants"].as_array().into_iter().flatten() {
        terminal.out(format!(
            "  {} {}",
            terminal.paint(Tone::Warn, "grant"),
            cell(grant)
        ));
    }
}

/// Members and their values, nested ones indented; nothing for what is not known.
pub fn show_fields(terminal: &Terminal, value: &Value) {
    if terminal.is_json() {
        terminal.json(value);
        return;
    }
    fields(terminal, value, "");
}

fn fields(terminal: &Terminal, value: &Value, indent: &str) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let label = label(name);
        match value {
            Value::Null => {}
            Value::Object(_)
                if value["kind"].is_string()
                    && value["key"].is_string()
                    && value.as_object().map(serde_json::Map::len) == Some(2) =>
            {
                terminal.out(format!("{indent}{label}: {}", grain_text(value)));
            }
            Value::Object(_) => {
                terminal.out(format!("{indent}{label}:"));
                fields(terminal, value, &format!("{indent}  "));
            }
            Value::Array(list) if list.is_empty() => {}
            Value::Array(list)
                if list
                    .iter()
                    .all(|item| !item.is_object() || item["key"].is_string()) =>
            {
                let texts: Vec<String> = list.iter().map(grain_text).collect();
                terminal.out(format!("{indent}{label}: {}", texts.join(", ")));
            }
            Value::Array(list) => {
                terminal.out(format!("{indent}{label}:"));
                for (at, item) in list.iter().enumerate() {
                    terminal.out(format!("{indent}  {}.", at + 1));
                    fields(terminal, item, &format!("{indent}    "));
                }
            }
            Value::Number(number) => {
                terminal.out(format!("{indent}{label}: {}", measure(name, number)))
            }
            Value::Bool(_) | Value::String(_) => {
                terminal.out(format!("{indent}{label}: {}", cell(value)))
            }
        }
    }
}

/// A number by what its name says that it measures.
fn measure(name: &str, number: &serde_json::Number) -> String {
    let whole = number.as_u64();
    let name = name.replace('-', "_");
    let is_moment = name == "at_ms" || name.ends_with("_at_ms");
    match whole {
        Some(0) if is_moment => "never".to_owned(),
        Some(at) if is_moment => format!("{} ago", ago(at)),
        Some(millis) if name.ends_with("_ms") => {
            humantime::format_duration(std::time::Duration::from_millis(millis)).to_string()
        }
        Some(count) if name.ends_with("bytes") => bytes(count),
        Some(_) | None => number.to_string(),
    }
}

/// What a member is called for people: its value says the unit.
fn label(name: &str) -> String {
    let words = name.replace(['_', '-'], " ");
    let unit = [" at ms", " ms", " bytes"]
        .into_iter()
        .find_map(|unit| words.strip_suffix(unit));
    match unit {
        Some(bare) => bare.to_owned(),
        None if words == "at ms" => "when".to_owned(),
        None => words,
    }
}

/// Says why a grain does what it does.
pub async fn explain(client: &Client, terminal: &Terminal, grain: &str) -> Result<(), Error> {
    let grain = parse_grain(grain)?;
    let explanation = client
        .get(&format!("/v1/activations/{}/explain", grain_path(&grain)))
        .await?;
    if terminal.is_json() {
        terminal.json(&explanation);
        return Ok(());
    }
    terminal.out(terminal.paint(Tone::Strong, &grain.to_string()));
    if let Some(summary) = explanation["summary"].as_str() {
        terminal.out(format!("  {summary}"));
    }
    // Its name stands above, and the limits are the kind's: `granary get KIND --output json` has them.
    let mut rest = explanation.clone();
    for shown in ["grain", "kind", "key", "summary", "limits"] {
        for pointer in ["", "/activation"] {
            if let Some(object) = rest.pointer_mut(pointer).and_then(Value::as_object_mut) {
                object.remove(shown);
            }
        }
    }
    fields(terminal, &rest, "  ");
    Ok(())
}

/// Drops a grain's activation, and its state if told so.
pub async fn deactivate(
    client: &Client,
    terminal: &Terminal,
    grain: &str,
    purge: bool,
) -> Result<(), Error> {
    let grain = parse_grain(grain)?;
    let query = if purge { "?purge=true" } else { "" };
    let done = client
        .json(client.request(Method::DELETE, &format!("/g/{}{query}", grain_path(&grain))))
        .await?;
    if terminal.is_json() {
        terminal.json(&done);
        return Ok(());
    }
    let live = if done["deactivated"] == true {
        "deactivated"
    } else {
        "was not live"
    };
    let state = if purge { "; its state is erased" } else { "" };
    terminal.out(format!("{grain}: {live}{state}"));
    Ok(())
}
