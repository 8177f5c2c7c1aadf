//! `new` and `build`: projects on this machine, without a node.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::{Terminal, Tone, bytes};
use crate::project::build::{BuildError, Builder, Built};
use crate::project::template::{self, NewError};
use crate::project::{Project, ProjectError};

/// What `new` is told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  granary new shopping-list && cd shopping-list && granary dev")]
pub struct NewArgs {
    /// The project's and the kind's name: a-z, 0-9 and '-'
    name: String,
    /// Where to write it; a folder of the name in this folder unless given
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// What `build` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Components are left in target/granary/KIND.wasm of each folder.\nA client package that the WIT names (NAMESPACE:KIND-client) and wit/deps does not hold is made from that kind, of the\nsame project, of a folder beside it or of the node at --url, and left in wit/deps/KIND-client.wit.\n\nExamples:\n  granary build\n  granary build sample-grains --output json"
)]
pub struct BuildArgs {
    /// Folders with a granary.toml, or folders of such folders
    #[arg(value_name = "DIR", default_value = ".")]
    paths: Vec<PathBuf>,
}

/// Writes a project.
pub fn new(terminal: &Terminal, args: &NewArgs) -> Result<(), Error> {
    let folder = args
        .path
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    let files = template::write(&args.name, &folder).map_err(|e| new_error(&e))?;
    let shown = folder.display();
    if terminal.is_json() {
        terminal.json(&json!({ "folder": shown.to_string(), "files": files }));
        return Ok(());
    }
    terminal.out(format!("wrote {shown}: {}", files.join(", ")));
    terminal.note(format!("next: cd {shown} && granary dev"));
    Ok(())
}

fn new_error(error: &NewError) -> Error {
    let (exit, hint) = match error {
        NewError::Name(_) | NewError::Word(_) => (Exit::Usage, "a name such as shopping-list"),
        NewError::Exists(_) => (Exit::Failure, "another name, or --path DIR"),
        NewError::Write { .. } => (
            Exit::Failure,
            "a folder that you may write to, with --path DIR",
        ),
    };
    Error::caused(exit, error, hint)
}

/// Reads the projects of folders.
pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Project>, Error> {
    Project::open_all(paths).map_err(|error| project_error(&error))
}

/// What to do about a project that cannot be used.
pub fn project_error(error: &ProjectError) -> Error {
    let (exit, hint) = match error {
        ProjectError::NoFolder(_) => (
            Exit::NotFound,
            "name the folder of a project: granary build DIR",
        ),
        ProjectError::NoManifest(_) => (Exit::NotFound, "granary new NAME writes a project"),
        ProjectError::Manifest(_) => (Exit::Usage, "granary config explain kinds shows every key"),
        ProjectError::Twice { .. } => (Exit::Usage, "rename one of the two"),
    };
    Error::caused(exit, error, hint)
}

/// What to do about a kind that was not built.
pub fn build_error(error: &BuildError, manifest: Option<&Path>) -> Error {
    let fallback = manifest.map_or_else(
        || "granary doctor".to_owned(),
        |path| format!("look at {}", path.display()),
    );
    Error::caused(Exit::Failure, error, error.hint().unwrap_or(fallback))
}

/// Builds every kind and says what came out.
pub async fn build(client: Client, terminal: &Terminal, args: &BuildArgs) -> Result<(), Error> {
    let projects = open_all(&args.paths)?;
    let mut builder = Builder::new(terminal.quiet).asking(client);
    let mut results = Vec::new();
    for project in &projects {
        for manifest in &project.manifests {
            for kind in &manifest.kinds {
                let say = |line: &str| terminal.note(line);
                let built = builder.build(project, kind, &say).await;
                let built = built.map_err(|e| build_error(&e, Some(&manifest.path)))?;
                results.push(describe(&built));
                if !terminal.is_json() {
                    show(terminal, &built);
                }
            }
        }
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(results));
    }
    Ok(())
}

fn describe(built: &Built) -> Value {
    let interface = &built.interface;
    let imports = interface
        .imports
        .iter()
        .map(|import| json!({ "name": import.name, "needs-grant": import.needs_grant }));
    let methods = interface
        .methods
        .iter()
        .map(|method| json!({ "name": method.name, "signature": signature(method) }));
    json!({
        "kind": built.kind.spec.name,
        "path": built.path,
        "digest": built.digest,
        "bytes": built.bytes.len(),
        "imports": imports.collect::<Vec<_>>(),
        "exports": interface.exports,
        "methods": methods.collect::<Vec<_>>(),
        "grants": built.kind.spec.grants.describe(),
    })
}

fn show(terminal: &Terminal, built: &Built) {
    let interface = &built.interface;
    let size = bytes(built.bytes.len() as u64);
    terminal.out(format!(
        "{}  {size}  {}",
        terminal.paint(Tone::Strong, built.kind.spec.name.as_str()),
        built.path.display()
    ));
    for method in &interface.methods {
        terminal.out(format!("  export {}", signature(method)));
    }
    let hooks = [&interface.lifecycle, &interface.migration, &interface.http];
    for export in hooks.into_iter().flatten() {
        terminal.out(format!("  export {export}"));
    }
    // WASI's usual interfaces are in every component and say nothing about it.
    let (wasi, own): (Vec<_>, Vec<_>) = interface
        .imports
        .iter()
        .partition(|import| import.needs_grant.is_none() && import.name.starts_with("wasi:"));
    for import in own {
        let grant = import
            .needs_grant
            .map(|grant| format!(" (needs the grant '{grant}')"))
            .unwrap_or_default();
        terminal.out(format!("  import {}{grant}", import.name));
    }
    if !wasi.is_empty() {
        terminal.out(terminal.paint(
            Tone::Dim,
            &format!("  and {} of WASI, without any grant", wasi.len()),
        ));
    }
    for grant in built.kind.spec.grants.describe() {
        terminal.out(format!("  {} {grant}", terminal.paint(Tone::Warn, "grant")));
    }
}

/// A method as WIT writes it.
pub fn signature(method: &granary_runtime::Method) -> String {
    let params: Vec<String> = method
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, param.wit))
        .collect();
    let result = method
        .result
        .as_ref()
        .map(|result| format!(" -> {result}"))
        .unwrap_or_default();
    format!("{}({}){result}", method.name, params.join(", "))
}
