//! `config`: what a node is told, what a project may say, and whether both hold.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::{Terminal, Tone, cell};
use crate::config::document::{Document, Problems};
use crate::config::schema::nearest;
use crate::config::{self, Config, Explained, Origin};
use crate::manifest::{self, Manifest};

/// What `config` is told.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show each key with its value, where that comes from, its default and what it is for
    #[command(
        after_help = "Examples:\n  granary config explain              every key of node.toml\n  granary config explain http.listen  one key\n  granary config explain http         one section\n  granary config explain kinds        every key of granary.toml"
    )]
    Explain(ExplainArgs),
    /// Check node.toml, granary.toml and the GRANARY_ variables without starting anything
    Check(CheckArgs),
    /// Print the JSON Schema of a file, for editors
    Schema {
        /// Which file
        #[arg(value_enum)]
        file: FileName,
    },
}

/// What `config explain` is told.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A key or a section; all keys of node.toml unless given
    key: Option<String>,
    /// The node's file; node.toml in this folder, if it is there, unless given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What `config check` is told.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files; those of this folder unless given
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// The files that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileName {
    /// A project's kinds.
    #[value(name = "granary.toml")]
    Granary,
    /// A node's settings.
    #[value(name = "node.toml")]
    Node,
}

/// Runs `config`.
pub fn run(terminal: &Terminal, command: &ConfigCommand) -> Result<(), Error> {
    match command {
        ConfigCommand::Explain(args) => explain(terminal, args),
        ConfigCommand::Check(args) => check(terminal, args),
        ConfigCommand::Schema { file } => {
            let schema = match file {
                FileName::Granary => manifest::json_schema(),
                FileName::Node => config::json_schema(),
            };
            terminal.out(serde_json::to_string_pretty(&schema).unwrap_or_default());
            Ok(())
        }
    }
}

/// Reads a node's settings: the file that is named, or `node.toml` here if there is one, or every default.
pub fn load(path: Option<&Path>) -> Result<Config, Error> {
    let usual = Path::new(config::FILE_NAME);
    let path = path.or_else(|| usual.is_file().then_some(usual));
    Config::load(path, environment()).map_err(|problems| wrong_settings(&problems))
}

/// Reads the variables only.
pub fn load_without_file() -> Result<Config, Error> {
    Config::load(None, environment()).map_err(|problems| wrong_settings(&problems))
}

/// Every variable that is text; others are nobody's settings.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What to do about wrong settings.
pub fn wrong_settings(problems: &Problems) -> Error {
    let key = problems
        .0
        .first()
        .map(|problem| problem.key.as_str())
        .unwrap_or_default();
    let section = key.split('.').next().unwrap_or_default();
    let hint = if section.is_empty() {
        "granary config explain".to_owned()
    } else {
        format!("granary config explain {section}")
    };
    Error::new(Exit::Usage, problems.to_string(), hint)
}

fn explain(terminal: &Terminal, args: &ExplainArgs) -> Result<(), Error> {
    let wanted = args.key.as_deref().unwrap_or_default();
    let keys = if wanted == "kinds" || wanted.starts_with("kinds.") {
        kind_keys(wanted)
    } else {
        load(args.config.as_deref())?.explain()
    };
    let is_wanted = |key: &Explained| {
        wanted.is_empty() || key.key == wanted || key.key.starts_with(&format!("{wanted}."))
    };
    let chosen: Vec<&Explained> = keys.iter().filter(|key| is_wanted(key)).collect();
    if chosen.is_empty() {
        let near = nearest(wanted, keys.iter().map(|key| key.key.as_str()));
        let hint = near.map_or_else(
            || "granary config explain".to_owned(),
            |near| format!("granary config explain {near}"),
        );
        return Err(Error::new(
            Exit::NotFound,
            format!("there is no key '{wanted}'"),
            hint,
        ));
    }
    if terminal.is_json() {
        terminal.json(&chosen.into_iter().map(as_json).collect());
        return Ok(());
    }
    for key in chosen {
        show(terminal, key);
    }
    Ok(())
}

/// The keys of `granary.toml`; any kind's name stands for `NAME`.
fn kind_keys(wanted: &str) -> Vec<Explained> {
    let name = wanted.split('.').nth(1).unwrap_or("NAME").to_owned();
    let keys = manifest::keys().into_iter().map(|key| {
        let path: Vec<&str> = key
            .path
            .iter()
            .map(|part| {
                if part == "NAME" {
                    name.as_str()
                } else {
                    part.as_str()
                }
            })
            .collect();
        let (value, default) = (key.default.clone(), key.default);
        Explained {
            key: path.join("."),
            value,
            origin: Origin::Default,
            default,
            doc: key.doc,
            variable: String::new(),
        }
    });
    keys.collect()
}

fn as_json(key: &Explained) -> Value {
    json!({
        "key": key.key, "value": key.value, "source": key.origin.to_string(), "default": key.default, "doc": key.doc,
        "variable": key.variable,
    })
}

fn show(terminal: &Terminal, key: &Explained) {
    let value = cell(&key.value);
    let origin = match &key.origin {
        Origin::Default => terminal.paint(Tone::Dim, "default"),
        Origin::File { .. } | Origin::Environment { .. } | Origin::Option { .. } => {
            format!(
                "{}, default {}",
                terminal.paint(Tone::Good, &key.origin.to_string()),
                cell(&key.default)
            )
        }
    };
    terminal.out(format!(
        "{} = {value}  ({origin})",
        terminal.paint(Tone::Strong, &key.key)
    ));
    terminal.out(format!("    {}", key.doc));
    if !key.variable.is_empty() {
        terminal.out(terminal.paint(Tone::Dim, &format!("    {}", key.variable)));
    }
}

fn check(terminal: &Terminal, args: &CheckArgs) -> Result<(), Error> {
    let usual = [config::FILE_NAME, manifest::FILE_NAME].map(PathBuf::from);
    let here = || {
        usual
            .iter()
            .filter(|path| path.is_file())
            .cloned()
            .collect()
    };
    let files: Vec<PathBuf> = if args.files.is_empty() {
        here()
    } else {
        args.files.clone()
    };
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    for path in &files {
        match check_file(path) {
            Ok(()) => good.push(path.display().to_string()),
            Err(problems) => wrong.extend(problems.0),
        }
    }
    // The variables count even without a file.
    if !files.iter().any(|path| is_node_file(path))
        && let Err(problems) = Config::load(None, environment())
    {
        wrong.extend(problems.0);
    }
    if !wrong.is_empty() {
        return Err(wrong_settings(&Problems(wrong)));
    }
    if terminal.is_json() {
        terminal.json(&json!({ "files": good, "good": true }));
    } else if good.is_empty() {
        terminal.out("no files here; the GRANARY_ variables are good");
    } else {
        terminal.out(format!("good: {}", good.join(", ")));
    }
    Ok(())
}

fn is_node_file(path: &Path) -> bool {
    path.file_name()
        .is_none_or(|name| name != manifest::FILE_NAME)
}

fn check_file(path: &Path) -> Result<(), Problems> {
    if is_node_file(path) {
        return Config::load(Some(path), environment()).map(drop);
    }
    Manifest::read(&Document::open(path)?, path).map(drop)
}
