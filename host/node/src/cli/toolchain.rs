//! `toolchain`: what builds grains of each language, found, installed, looked at.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::cli::doctor::{Finding, Level, show};
use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::{Terminal, Tone, bytes};
use crate::manifest::sections::Language;
use crate::project::toolchain::install::{self, InstallError};
use crate::project::toolchain::{self, Missing, Tool};

/// What `toolchain` can do.
#[derive(Debug, Subcommand)]
pub enum ToolchainCommand {
    /// Show what builds each language, where it lies, and what to run where it is missing
    List,
    /// Install what languages need, at pinned versions, into one folder of yours
    Install(InstallArgs),
    /// Run every tool and say what is wrong with it
    Doctor(DoctorArgs),
}

/// What `toolchain install` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Packages come from PyPI and npm, and go into $GRANARY_TOOLCHAINS, else ~/.local/share/granary/toolchains.\nRust's target is added with rustup. Where there is none, Debian's packages are used; GRANARY_GUEST_TOOLCHAIN=rustup or =debian decides.\n\nExample:\n  granary toolchain install go python"
)]
pub struct InstallArgs {
    /// The languages
    #[arg(required = true, value_name = "LANG", value_enum)]
    languages: Vec<Language>,
}

/// What `toolchain doctor` is told.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The languages; with some named, it is an error if one of them cannot be built
    #[arg(value_name = "LANG", value_enum)]
    languages: Vec<Language>,
}

/// Runs one of them.
pub async fn run(terminal: &Terminal, command: &ToolchainCommand) -> Result<(), Error> {
    match command {
        ToolchainCommand::List => list(terminal).await,
        ToolchainCommand::Install(args) => install(terminal, args).await,
        ToolchainCommand::Doctor(args) => doctor(terminal, args).await,
    }
}

/// What builds a language, or what is missing.
pub async fn state(language: Language) -> Result<Vec<String>, Missing> {
    let debian =
        || toolchain::debian_clang().map(|clang| format!("{} with wasi-libc", clang.display()));
    if language == Language::Rust {
        let found = toolchain::rust::look(Path::new(".")).await?;
        return Ok(vec![found.to_string()]);
    }
    let mut found = Vec::new();
    for tool in toolchain::tools(language) {
        match tool.find(language).await {
            Ok(tool_found) => found.push(format!(
                "{} {} at {}",
                tool.name,
                tool_found.version,
                tool_found.path.display()
            )),
            Err(missing) => match debian().filter(|_| language == Language::C) {
                Some(clang) => found.push(clang),
                None => return Err(missing),
            },
        }
    }
    Ok(found)
}

async fn list(terminal: &Terminal) -> Result<(), Error> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for language in Language::ALL {
        let state = state(language).await;
        values.push(match &state {
            Ok(found) => json!({ "language": language.name(), "ready": true, "found": found }),
            Err(missing) => {
                json!({ "language": language.name(), "ready": false, "missing": missing.why, "try": missing.run })
            }
        });
        rows.extend(lines(terminal, language, state));
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(values));
        return Ok(());
    }
    terminal.table(&["LANGUAGE", "STATE", "WHAT"], rows);
    terminal.note(format!(
        "tool chains are installed into {}",
        toolchain::home().display()
    ));
    Ok(())
}

fn lines(
    terminal: &Terminal,
    language: Language,
    state: Result<Vec<String>, Missing>,
) -> Vec<Vec<String>> {
    let row = |first: bool, word: String, what: String| {
        let (name, word) = if first {
            (language.name().to_owned(), word)
        } else {
            (String::new(), String::new())
        };
        vec![name, word, what]
    };
    let ready = terminal.paint(Tone::Good, "ready");
    match state {
        Ok(found) => {
            let lines = found.into_iter().enumerate();
            lines
                .map(|(at, line)| row(at == 0, ready.clone(), line))
                .collect()
        }
        Err(missing) => vec![
            row(true, terminal.paint(Tone::Warn, "missing"), missing.why),
            row(false, String::new(), format!("try: {}", missing.run)),
        ],
    }
}

async fn install(terminal: &Terminal, args: &InstallArgs) -> Result<(), Error> {
    let mut results = Vec::new();
    for language in &args.languages {
        let wheel = terminal.wheel("Installing", language.title());
        let said = Mutex::new(language.title().to_owned());
        let say = |line: &str| {
            wheel.set_message(line.to_owned());
            line.clone_into(&mut said.lock());
            if wheel.is_hidden() {
                terminal.note(line);
            }
        };
        let done = tokio::select! {
            done = install::install(*language, &say) => done,
            never = show_growth(&wheel, &said) => match never {},
        };
        wheel.finish_and_clear();
        let done = done.map_err(|error| install_error(*language, &error))?;
        if !terminal.is_json() {
            terminal.out(if done.is_empty() {
                format!("{}: everything is there already", language.name())
            } else {
                format!("{}: installed {}", language.name(), done.join(", "))
            });
        }
        results.push(
            json!({ "language": language.name(), "installed": done, "folder": toolchain::home() }),
        );
    }
    if terminal.is_json() {
        terminal.json(&Value::Array(results));
    }
    Ok(())
}

/// How often somebody who waits is told how much has come.
const GROWTH_TOLD: Duration = Duration::from_millis(500);

/// Shows beside the words of an installation by how much its folder has grown: neither pip nor npm tells that to a program.
async fn show_growth(wheel: &ProgressBar, said: &Mutex<String>) -> Infallible {
    if wheel.is_hidden() {
        return std::future::pending().await;
    }
    let size = || async {
        let size = tokio::task::spawn_blocking(install::size).await;
        size.unwrap_or_default()
    };
    let before = size().await;
    loop {
        tokio::time::sleep(GROWTH_TOLD).await;
        let grown = size().await.saturating_sub(before);
        if 0 < grown {
            wheel.set_message(format!("{}, {}", said.lock(), bytes(grown)));
        }
    }
}

fn install_error(language: Language, error: &InstallError) -> Error {
    let exit = match error {
        InstallError::NoNetwork { .. } => Exit::Unreachable,
        InstallError::Missing(_) => Exit::NotFound,
        InstallError::Failed { .. } | InstallError::Folder { .. } => Exit::Failure,
    };
    let mut error = Error::caused(exit, error, error.hint());
    error.message = format!("{}: {}", language.title(), error.message);
    error
}

async fn doctor(terminal: &Terminal, args: &DoctorArgs) -> Result<(), Error> {
    let named = !args.languages.is_empty();
    let languages = if named {
        args.languages.clone()
    } else {
        Language::ALL.to_vec()
    };
    let mut findings = vec![folder()];
    for language in languages {
        findings.extend(examine(language, named).await);
    }
    show(terminal, &findings);
    let bad: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.level == Level::Bad)
        .collect();
    let Some(first) = bad.first() else {
        return Ok(());
    };
    let hint = first.hint.clone().unwrap_or_default();
    let message = format!("{} of these need mending", bad.len());
    Err(Error::failure(
        message,
        hint.lines().next().unwrap_or_default(),
    ))
}

fn folder() -> Finding {
    let home = toolchain::home();
    let shown = home.display().to_string();
    let Some(existing) = home.ancestors().find(|folder| folder.exists()) else {
        return Finding::bad(
            "folder",
            format!("{shown} cannot be made"),
            format!("another one with {}", toolchain::HOME_VARIABLE),
        );
    };
    match tempfile::Builder::new()
        .prefix(".granary-doctor")
        .tempfile_in(existing)
    {
        Ok(_) => Finding::good("folder", shown),
        Err(error) => Finding::look(
            "folder",
            format!("{shown}: {error}"),
            format!(
                "another one with {}, to install anything",
                toolchain::HOME_VARIABLE
            ),
        ),
    }
}

/// What to do about a tool that is there and does not run.
fn mend(tool: &Tool, is_own: bool, language: &str) -> String {
    if !is_own {
        return format!(
            "install {} anew, or take it off the path: granary toolchain install {language}",
            tool.name
        );
    }
    let quoted = |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let remains: Vec<String> = tool.remains().into_iter().map(quoted).collect();
    let remains = remains.join(" ");
    format!("rm -r {remains} && granary toolchain install {language}")
}

/// Runs the tools of a language. A broken one is worse than one that was never installed.
async fn examine(language: Language, needed: bool) -> Vec<Finding> {
    let topic = language.name();
    let missing = |missing: Missing| {
        if needed {
            Finding::bad(topic, missing.why, missing.run)
        } else {
            Finding::look(topic, missing.why, missing.run)
        }
    };
    let found = match state(language).await {
        Ok(found) => found,
        Err(reason) => return vec![missing(reason)],
    };
    for tool in toolchain::tools(language) {
        let Ok(found) = tool.find(language).await else {
            continue;
        };
        if let Err(words) = tool.runs(&found).await {
            let what = format!("{} does not run: {words}", found.path.display());
            let hint = mend(tool, found.own, topic);
            return vec![Finding::bad(topic, what, hint)];
        }
    }
    found
        .into_iter()
        .map(|line| Finding::good(topic, line))
        .collect()
}
