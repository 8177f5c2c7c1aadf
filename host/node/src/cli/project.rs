//! `new` and `build`: projects on this machine, without a node.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use granary_core::id::KindName;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::{Terminal, Tone, bytes};
use crate::cli::toolchain;
use crate::manifest::sections::Language;
use crate::manifest::{FILE_NAME, KindManifest, Manifest};
use crate::project::build::{BuildError, Builder, Built, Freshness};
use crate::project::template::{self, NewError, Style};
use crate::project::{Project, ProjectError};

/// What `new` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  granary new shopping-list && cd shopping-list && granary dev\n  granary new shopping-list --lang python\n  granary new shopping-list --lang rust --code-first"
)]
pub struct NewArgs {
    /// The project's and the kind's name: a-z, 0-9 and '-'
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// The language to write it in
    #[arg(long, short, value_name = "LANG", value_enum, default_value = "rust")]
    lang: Language,
    /// Derive the interface from the code, with the SDK and without a WIT file (Rust)
    #[arg(long)]
    code_first: bool,
    /// List the languages, and whether they can be built here
    #[arg(long, conflicts_with_all = ["name", "path"])]
    list: bool,
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
    /// Build what did not change, too
    #[arg(long)]
    force: bool,
}

/// Writes a project, or lists what it could be written in.
pub async fn new(terminal: &Terminal, args: &NewArgs) -> Result<(), Error> {
    let Some(name) = &args.name else {
        return list(terminal).await;
    };
    let folder = args.path.clone().unwrap_or_else(|| PathBuf::from(name));
    let style = if args.code_first {
        Style::CodeFirst
    } else {
        Style::WitFirst
    };
    let files = template::write(name, args.lang, style, &folder).map_err(|e| new_error(&e))?;
    let shown = folder.display();
    if terminal.is_json() {
        let language = args.lang.name();
        terminal
            .json(&json!({ "folder": shown.to_string(), "language": language, "files": files }));
        return Ok(());
    }
    terminal.out(format!("wrote {shown}: {}", files.join(", ")));
    if let Err(missing) = toolchain::state(args.lang).await {
        terminal.note(format!("{} first: {}", missing.why, missing.run));
    }
    terminal.note(format!("next: cd {shown} && granary test && granary dev"));
    Ok(())
}

async fn list(terminal: &Terminal) -> Result<(), Error> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for language in Language::ALL {
        let state = toolchain::state(language).await;
        values.push(json!({ "language": language.name(), "title": language.title(), "ready": state.is_ok() }));
        let ready = state.map_or_else(|missing| missing.run, |_| "ready".to_owned());
        rows.push(vec![
            language.name().to_owned(),
            language.title().to_owned(),
            ready,
        ]);
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(values));
    } else {
        terminal.table(&["LANG", "LANGUAGE", "TOOLS"], rows);
    }
    Ok(())
}

fn new_error(error: &NewError) -> Error {
    let (exit, hint) = match error {
        NewError::Name(_) | NewError::Dashes(_) | NewError::Word { .. } | NewError::Sdk { .. } => {
            (Exit::Usage, "a name such as shopping-list")
        }
        NewError::CodeFirst(_) => (Exit::Usage, "without --code-first, or --lang rust"),
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
        ProjectError::Component(path) => {
            return Error::caused(Exit::Usage, error, project_of(path));
        }
        ProjectError::NoProjectFile(_) => (
            Exit::Usage,
            "name the folder of a project, or its granary.toml; granary new NAME writes one",
        ),
        ProjectError::Manifest(_) => (Exit::Usage, "granary config explain kinds shows every key"),
        ProjectError::Twice { .. } => (Exit::Usage, "rename one of the two"),
    };
    Error::caused(exit, error, hint)
}

/// How a component becomes a kind: through the project that has it, or through a project file beside it.
fn project_of(component: &Path) -> String {
    let path = std::path::absolute(component).unwrap_or_else(|_| component.to_path_buf());
    let folder = path.parent().unwrap_or(&path);
    // What `granary build` leaves lies in `target/granary` of its project, which may be a folder of projects.
    let built_in = folder.ends_with("target/granary");
    let project = match folder.ancestors().nth(2).filter(|_| built_in) {
        Some(built_in) => Some(built_in),
        None => folder
            .ancestors()
            .find(|folder| folder.join(FILE_NAME).is_file()),
    };
    if let Some(folder) = project {
        return format!("name its project: {}", folder.display());
    }
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let kind = text(path.file_stem()).replace('_', "-");
    let kind = if KindName::parse(&kind).is_ok() {
        kind
    } else {
        "NAME".to_owned()
    };
    format!(
        "write {} with the lines [kinds.{kind}] and component = {:?}, and name {}",
        folder.join(FILE_NAME).display(),
        text(path.file_name()),
        folder.display()
    )
}

/// What to do about a kind that was not built.
pub fn build_error(error: &BuildError, manifest: Option<&Path>) -> Error {
    let fallback = manifest.map_or_else(
        || "granary doctor".to_owned(),
        |path| format!("look at {}", path.display()),
    );
    Error::caused(Exit::Failure, error, error.hint().unwrap_or(fallback))
}

/// Builds every kind and says what came out. A kind whose tool chain is missing does not keep the others from being built.
pub async fn build(client: Client, terminal: &Terminal, args: &BuildArgs) -> Result<(), Error> {
    let projects = open_all(&args.paths)?;
    let mut builder = Builder::new(terminal.quiet, args.force).asking(client);
    let mut results = Vec::new();
    let mut left_out = Vec::new();
    for (project, manifest, kind) in kinds(&projects) {
        let name = kind.spec.name.as_str();
        let wheel = terminal.wheel("Building", name);
        let say = |line: &str| wheel.suspend(|| terminal.note(line));
        let built = builder.build(project, kind, &say).await;
        wheel.finish_and_clear();
        match built {
            Ok(built) => {
                results.push(describe(&built));
                if !terminal.is_json() {
                    show(terminal, &built);
                }
            }
            Err(error @ BuildError::NoToolchain { .. }) => {
                left_out.push(build_error(&error, Some(&manifest.path)));
            }
            Err(error) => return Err(build_error(&error, Some(&manifest.path))),
        }
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(results));
    }
    let mut left_out = left_out.into_iter();
    let Some(first) = left_out.next() else {
        return Ok(());
    };
    let lines = left_out.map(|error| format!("\n{}", error.message));
    let message = [first.message].into_iter().chain(lines).collect::<String>();
    Err(Error::new(first.exit, message, first.hint))
}

/// Every kind of projects, with its project and its project file.
pub fn kinds(projects: &[Project]) -> impl Iterator<Item = (&Project, &Manifest, &KindManifest)> {
    projects.iter().flat_map(|project| {
        let manifests = project.manifests.iter();
        manifests.flat_map(move |manifest| {
            let kinds = manifest.kinds.iter();
            kinds.map(move |kind| (project, manifest, kind))
        })
    })
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
        "skipped": built.freshness == Freshness::Unchanged,
    })
}

fn show(terminal: &Terminal, built: &Built) {
    let interface = &built.interface;
    let size = bytes(built.bytes.len() as u64);
    let skipped = match built.freshness {
        Freshness::Unchanged => "  unchanged, not built again",
        Freshness::Built | Freshness::Found => "",
    };
    terminal.out(format!(
        "{}  {size}  {}{}",
        terminal.paint(Tone::Strong, built.kind.spec.name.as_str()),
        built.path.display(),
        terminal.paint(Tone::Dim, skipped)
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
