//! `deploy` and `rollback`: new revisions of kinds, looked at before they are made.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use granary_core::id::KindName;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::project::{build_error, kinds, open_all};
use crate::cli::terminal::{Terminal, Tone, cell};
use crate::cli::upload::upload;
use crate::manifest::{KindManifest, Manifest};
use crate::project::Project;
use crate::project::build::{Builder, Built};

/// What `deploy` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  granary deploy                      every kind of the project in this folder\n  granary deploy sample-grains --plan look, change nothing\n  granary deploy --kind cart --yes    one kind, without questions"
)]
pub struct DeployArgs {
    /// Folders with a granary.toml, or folders of such folders
    #[arg(value_name = "DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Deploy this kind only; may be given several times
    #[arg(long = "kind", short, value_name = "KIND")]
    kinds: Vec<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// Deploy even if the new interface breaks callers, or a client does not fit the kind that it calls
    #[arg(long)]
    breaking: bool,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
}

/// What `rollback` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  granary rollback cart         to the revision before\n  granary rollback cart --to 3  to a certain one (granary get cart lists them)"
)]
pub struct RollbackArgs {
    /// The kind
    kind: String,
    /// The revision to go to; the one before the current unless given
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
}

/// Builds, uploads, plans, asks, deploys.
pub async fn deploy(client: &Client, terminal: &Terminal, args: &DeployArgs) -> Result<(), Error> {
    let projects = open_all(&args.paths)?;
    let mut results = Vec::new();
    let mut builder = Builder::new(terminal.quiet, false).asking(client.clone());
    for (project, manifest, kind) in chosen(&projects, &args.kinds)? {
        let say = |line: &str| terminal.note(line);
        let built = builder
            .build(project, kind, &say)
            .await
            .map_err(|e| build_error(&e, Some(&manifest.path)))?;
        results.push(deploy_one(client, terminal, &built, args).await?);
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(results));
    }
    Ok(())
}

type Chosen<'a> = (&'a Project, &'a Manifest, &'a KindManifest);

/// The kinds of projects that were asked for; all if none was named.
fn chosen<'a>(projects: &'a [Project], wanted: &[String]) -> Result<Vec<Chosen<'a>>, Error> {
    let all: Vec<Chosen<'a>> = kinds(projects).collect();
    let names: Vec<&str> = all
        .iter()
        .map(|(_, _, kind)| kind.spec.name.as_str())
        .collect();
    if let Some(missing) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let message = format!("the project has no kind '{missing}'");
        return Err(Error::new(
            Exit::NotFound,
            message,
            format!("one of: {}", names.join(", ")),
        ));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|other| other == name);
    Ok(all
        .into_iter()
        .filter(|(_, _, kind)| is_wanted(kind.spec.name.as_str()))
        .collect())
}

async fn deploy_one(
    client: &Client,
    terminal: &Terminal,
    built: &Built,
    args: &DeployArgs,
) -> Result<Value, Error> {
    let name = &built.kind.spec.name;
    upload(client, terminal, name.as_str(), built.digest, &built.bytes).await?;
    let plan = revise(client, built, "?dry-run=true").await?;
    if args.plan {
        show_plan(terminal, name, &plan);
        return Ok(plan);
    }
    let breaks = plan["verdict"] == "breaking";
    if breaks && !args.breaking {
        show_plan(terminal, name, &plan);
        let message = format!("{name}: the new interface breaks callers; nothing was deployed");
        return Err(Error::new(
            Exit::Refused,
            message,
            format!("granary deploy --kind {name} --breaking, if that is meant"),
        ));
    }
    if !none(&plan["misfits"]) && !args.breaking {
        show_plan(terminal, name, &plan);
        let message = format!(
            "{name}: it was built with a client that does not fit the kind that it calls; nothing was deployed"
        );
        return Err(Error::new(
            Exit::Refused,
            message,
            format!(
                "granary build makes the clients anew; granary deploy --kind {name} --breaking, if the other kind is to follow"
            ),
        ));
    }
    if (breaks || grows(&plan))
        && !args.yes
        && !terminal.is_json()
        && std::io::stdin().is_terminal()
    {
        show_plan(terminal, name, &plan);
        ask(terminal, name)?;
    }
    let deployed = revise(
        client,
        built,
        if args.breaking { "?breaking=true" } else { "" },
    )
    .await?;
    if !terminal.is_json() {
        say_deployed(terminal, &deployed);
    }
    Ok(deployed)
}

/// Makes a revision, or only plans one.
pub async fn revise(client: &Client, built: &Built, query: &str) -> Result<Value, Error> {
    let body = json!({ "component": built.digest, "manifest": built.kind.section });
    let path = format!("/v1/kinds/{}/revisions{query}", built.kind.spec.name);
    client
        .json(client.request(Method::POST, &path).json(&body))
        .await
}

fn none(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

/// Whether a deployment of an existing kind would grant more than before.
fn grows(plan: &Value) -> bool {
    !plan["from"].is_null() && !none(&plan["grants_added"])
}

fn ask(terminal: &Terminal, name: &KindName) -> Result<(), Error> {
    terminal.note(format!("deploy {name}? [y/N]"));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::new(
        Exit::Refused,
        format!("{name}: nothing was deployed"),
        "answer y, or give --yes",
    ))
}

fn say_deployed(terminal: &Terminal, deployed: &Value) {
    let kind = cell(&deployed["kind"]);
    let revision = cell(&deployed["revision"]);
    if deployed["unchanged"] == true {
        terminal.out(format!("{kind}: revision {revision}, unchanged"));
    } else {
        let live = match deployed["live_activations"].as_u64() {
            None | Some(0) => String::new(),
            Some(1) => "; 1 live grain moves after its turn".to_owned(),
            Some(count) => format!("; {count} live grains move after their turn"),
        };
        terminal.out(format!(
            "{kind}: revision {revision}, {}{live}",
            verdict(terminal, &deployed["verdict"])
        ));
    }
    for warning in deployed["warnings"].as_array().into_iter().flatten() {
        terminal.warn(format!("{kind}: {}", cell(warning)));
    }
}

fn verdict(terminal: &Terminal, verdict: &Value) -> String {
    let tone = match verdict.as_str() {
        Some("breaking") => Tone::Bad,
        Some("same" | "additive") => Tone::Good,
        Some(_) | None => Tone::Strong,
    };
    terminal.paint(tone, verdict.as_str().unwrap_or("new"))
}

fn show_plan(terminal: &Terminal, name: &KindName, plan: &Value) {
    if terminal.is_json() {
        return;
    }
    let to = cell(&plan["to"]);
    if plan["unchanged"] == true {
        terminal.out(format!(
            "{name}: revision {to} is this already; nothing would change"
        ));
        return;
    }
    let from = plan["from"]
        .as_u64()
        .map_or_else(|| "new kind".to_owned(), |from| format!("revision {from}"));
    terminal.out(format!(
        "{name}: {from} → revision {to}, {}",
        verdict(terminal, &plan["verdict"])
    ));
    show_differences(terminal, plan);
    show_clients(terminal, plan);
    if let Some(live) = plan["live_activations"]
        .as_u64()
        .filter(|_| !plan["from"].is_null())
    {
        let migrates = if plan["migrates"] == true {
            "; migrate is called for each grain with state"
        } else {
            ""
        };
        terminal.out(format!("  live activations: {live}{migrates}"));
    }
    for warning in plan["warnings"].as_array().into_iter().flatten() {
        terminal.out(format!(
            "  {} {}",
            terminal.paint(Tone::Warn, "warning:"),
            cell(warning)
        ));
    }
}

/// Which clients do not fit, on either side.
fn show_clients(terminal: &Terminal, plan: &Value) {
    let sides = [
        ("misfits", "its client of"),
        ("callers", "the client of it in"),
    ];
    for (key, label) in sides {
        for affected in plan[key].as_array().into_iter().flatten() {
            for change in affected["changes"].as_array().into_iter().flatten() {
                terminal.out(format!(
                    "  {} {label} {}: {}: {}",
                    terminal.paint(Tone::Bad, "!"),
                    cell(&affected["kind"]),
                    cell(&change["path"]),
                    cell(&change["what"])
                ));
            }
        }
    }
}

/// What a plan and a diff have in common.
pub fn show_differences(terminal: &Terminal, value: &Value) {
    for change in value["changes"].as_array().into_iter().flatten() {
        let mark = if change["breaking"] == true {
            terminal.paint(Tone::Bad, "!")
        } else {
            terminal.paint(Tone::Good, "+")
        };
        terminal.out(format!(
            "  {mark} {}: {}",
            cell(&change["path"]),
            cell(&change["what"])
        ));
    }
    let lists = [
        ("grants_added", "+ grant", Tone::Warn),
        ("grants_removed", "- grant", Tone::Good),
        ("imports_added", "+ import", Tone::Dim),
        ("imports_removed", "- import", Tone::Dim),
    ];
    for (key, label, tone) in lists {
        for line in value[key].as_array().into_iter().flatten() {
            terminal.out(format!("  {} {}", terminal.paint(tone, label), cell(line)));
        }
    }
    for limit in value["limits"].as_array().into_iter().flatten() {
        terminal.out(format!(
            "  ~ limit {}: {} → {}",
            cell(&limit["key"]),
            cell(&limit["from"]),
            cell(&limit["to"])
        ));
    }
}

/// Moves the pointer back.
pub async fn rollback(
    client: &Client,
    terminal: &Terminal,
    args: &RollbackArgs,
) -> Result<(), Error> {
    let kind = crate::cli::inspect::parse_kind(&args.kind)?;
    let query = args.to.map(|to| format!("?to={to}")).unwrap_or_default();
    let request = client.request(Method::POST, &format!("/v1/kinds/{kind}/rollback{query}"));
    let done = client.json(request).await?;
    if terminal.is_json() {
        terminal.json(&done);
    } else {
        let before = done["before"]
            .as_u64()
            .map(|before| format!(" (was {before})"))
            .unwrap_or_default();
        terminal.out(format!(
            "{kind}: revision {}{before}",
            cell(&done["revision"])
        ));
        for warning in done["warnings"].as_array().into_iter().flatten() {
            terminal.warn(format!("{kind}: {}", cell(warning)));
        }
    }
    Ok(())
}
