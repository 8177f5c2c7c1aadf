//! `doctor`: what is missing on this machine, and whether the node is well. Each finding says what to do.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use clap::Args;
use granary_runtime::{Runtime, RuntimeConfig};
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::settings;
use crate::cli::terminal::{Terminal, Tone, bytes, cell};
use crate::cli::toolchain::state;
use crate::config::Config;
use crate::manifest::sections::Language;
use crate::manifest::{self, Manifest};
use crate::project::toolchain;

/// What `doctor` is told.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The node's settings; node.toml in this folder, if it is there, unless given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// Worth a look.
    Look,
    /// To be mended.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    topic: &'static str,
    what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// Something is well.
    pub fn good(topic: &'static str, what: impl Into<String>) -> Self {
        Self {
            level: Level::Good,
            topic,
            what: what.into(),
            hint: None,
        }
    }

    /// Something deserves a look.
    pub fn look(topic: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            level: Level::Look,
            topic,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }

    /// Something needs mending.
    pub fn bad(topic: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            level: Level::Bad,
            topic,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Looks at everything, then says it.
pub async fn doctor(client: &Client, terminal: &Terminal, args: &DoctorArgs) -> Result<(), Error> {
    let mut findings = vec![
        Finding::good(
            "granary",
            format!("version {}, engine wasmtime 48", env!("CARGO_PKG_VERSION")),
        ),
        guests().await,
        languages().await,
        density(),
        open_files(),
    ];
    let config = settings::load(args.config.as_deref());
    findings.extend(files(&config));
    let node = node(client).await;
    let config = config.unwrap_or_else(|_| Config::defaults());
    findings.push(data(&config.file.store.path));
    if node.iter().all(|finding| finding.level != Level::Good) {
        findings.push(port(&config));
    }
    findings.extend(node);
    show(terminal, &findings);
    let bad = findings
        .iter()
        .filter(|finding| finding.level == Level::Bad)
        .count();
    if bad == 0 {
        return Ok(());
    }
    let first = findings
        .into_iter()
        .find(|finding| finding.level == Level::Bad);
    let hint = first.and_then(|finding| finding.hint).unwrap_or_default();
    Err(Error::failure(
        format!("{bad} of these need mending"),
        hint.lines().next().unwrap_or_default(),
    ))
}

/// Prints findings.
pub fn show(terminal: &Terminal, findings: &[Finding]) {
    if terminal.is_json() {
        let level = |level: Level| match level {
            Level::Good => "good",
            Level::Look => "look",
            Level::Bad => "bad",
        };
        let list = findings.iter().map(
            |f| json!({ "level": level(f.level), "topic": f.topic, "what": f.what, "try": f.hint }),
        );
        terminal.json(&Value::Array(list.collect()));
        return;
    }
    for finding in findings {
        let mark = match finding.level {
            Level::Good => terminal.paint(Tone::Good, "good"),
            Level::Look => terminal.paint(Tone::Warn, "look"),
            Level::Bad => terminal.paint(Tone::Bad, " bad"),
        };
        terminal.out(format!("{mark}  {:<12} {}", finding.topic, finding.what));
        if let Some(hint) = &finding.hint {
            terminal.out(format!("      {:<12} try: {hint}", ""));
        }
    }
}

async fn guests() -> Finding {
    match toolchain::rust::look(Path::new(".")).await {
        Ok(found) => Finding::good("guests", found.to_string()),
        Err(missing) => Finding::look(
            "guests",
            format!("{missing}; prebuilt components and other languages go all the same"),
            missing.run,
        ),
    }
}

/// The languages besides Rust: nobody has to have them.
async fn languages() -> Finding {
    let (mut ready, mut rest) = (Vec::new(), Vec::new());
    for language in Language::ALL
        .into_iter()
        .filter(|language| *language != Language::Rust)
    {
        match state(language).await {
            Ok(_) => ready.push(language.title()),
            Err(_) => rest.push(language.name()),
        }
    }
    let mut what = match ready.as_slice() {
        [] => "none but Rust".to_owned(),
        ready => ready.join(", "),
    };
    if !rest.is_empty() {
        what.push_str(&format!(
            "; for {} see granary toolchain list",
            rest.join(", ")
        ));
    }
    Finding::good("languages", what)
}

/// Fewer live grains than this are soon too few.
const SLOTS_FEW: u32 = 1000;

/// How many grains fit at a time, and what sets that.
fn density() -> Finding {
    let config = RuntimeConfig {
        cache: None,
        slots_max: None,
        compile_threads: 1,
        grants_root: PathBuf::from("."),
    };
    match Runtime::new(config) {
        Ok(runtime) => {
            let capacity = runtime.capacity();
            let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
            let maps = if maps.is_empty() {
                "unknown"
            } else {
                maps.trim()
            };
            let what = format!(
                "{} live grains at a time; vm.max_map_count is {maps}",
                capacity.slots
            );
            if capacity.slots < SLOTS_FEW {
                Finding::look("density", what, capacity.limited_by)
            } else {
                Finding::good("density", format!("{what} ({})", capacity.limited_by))
            }
        }
        Err(error) => Finding::bad(
            "density",
            error.to_string(),
            "more memory, or a higher vm.max_map_count and ulimit -v",
        ),
    }
}

fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(count) if count < 4096 => Finding::look(
            "open files",
            format!("at most {count}; each connection takes one"),
            "ulimit -n 65536",
        ),
        Some(count) => Finding::good("open files", format!("at most {count}")),
        None => Finding::good("open files", "no limit"),
    }
}

fn files(config: &Result<Config, Error>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match config {
        Ok(_) => findings.push(Finding::good(
            "settings",
            "node.toml (or its defaults) and the GRANARY_ variables are good",
        )),
        Err(error) => findings.push(Finding::bad(
            "settings",
            error.message.clone(),
            error.hint.clone(),
        )),
    }
    let own = Path::new(manifest::FILE_NAME);
    if own.is_file() {
        findings.push(match Manifest::open(own) {
            Ok(manifest) => Finding::good(
                "project",
                format!(
                    "{} with {} kinds",
                    manifest::FILE_NAME,
                    manifest.kinds.len()
                ),
            ),
            Err(problems) => Finding::bad(
                "project",
                problems.to_string(),
                "granary config explain kinds",
            ),
        });
    }
    findings
}

/// The space of a disk below which a store has reason to worry.
const SPACE_LOW: u64 = 1 << 30;
const SPACE_NONE: u64 = 64 << 20;

fn data(path: &Path) -> Finding {
    let shown = path.display();
    let existing = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let Some(existing) = existing.ancestors().find(|folder| folder.exists()) else {
        return Finding::bad(
            "data",
            format!("{shown} cannot be made"),
            "another directory with store.path",
        );
    };
    if tempfile::Builder::new()
        .prefix(".granary-doctor")
        .tempfile_in(existing)
        .is_err()
    {
        return Finding::bad(
            "data",
            format!("{} cannot be written", existing.display()),
            "another directory with store.path, or other permissions",
        );
    }
    let free = rustix::fs::statvfs(existing)
        .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let what = format!("{shown}, {} free", bytes(free));
    let hint = "free some space; the node refuses turns that write before it loses anything";
    match free {
        0..SPACE_NONE => Finding::bad("data", what, hint),
        SPACE_NONE..SPACE_LOW => Finding::look("data", what, hint),
        SPACE_LOW.. => Finding::good("data", what),
    }
}

fn port(config: &Config) -> Finding {
    let listen = config.file.http.listen.0;
    match TcpListener::bind(listen) {
        Ok(_) => Finding::good("port", format!("{listen} is free")),
        Err(error) => Finding::look(
            "port",
            format!("{listen}: {error}"),
            "another one with http.listen or --listen",
        ),
    }
}

async fn node(client: &Client) -> Vec<Finding> {
    let node = match client.get("/v1/node").await {
        Ok(node) => node,
        Err(error) if error.exit == Exit::Unreachable => {
            return vec![Finding::look("node", error.message, error.hint)];
        }
        Err(error) => return vec![Finding::bad("node", error.message, error.hint)],
    };
    let mut findings = vec![running(client, &node)];
    let capacity = &node["capacity"];
    let (slots, used) = (
        capacity["slots"].as_u64().unwrap_or(0),
        capacity["in_use"].as_u64().unwrap_or(0),
    );
    let what = format!(
        "{used} of {slots} live grains ({})",
        cell(&capacity["limited_by"])
    );
    findings.push(if slots.saturating_mul(9) < used.saturating_mul(10) {
        Finding::look(
            "live grains",
            what,
            "raise that limit, or shorten 'idle' of the kinds",
        )
    } else {
        Finding::good("live grains", what)
    });
    let ready = client.request(reqwest::Method::GET, "/readyz");
    match client.json(ready).await {
        Ok(_) => findings.push(Finding::good(
            "ready",
            "the store takes commits, every kind is compiled",
        )),
        Err(error) => findings.push(Finding::bad(
            "ready",
            reasons(&error),
            "granary events, and the node's own log",
        )),
    }
    findings
}

fn running(client: &Client, node: &Value) -> Finding {
    let version = cell(&node["version"]);
    let what = format!(
        "'{}' at {}, version {version}, store {}, {} kinds",
        cell(&node["name"]),
        client.base(),
        cell(&node["store"]),
        cell(&node["kinds"])
    );
    if version == env!("CARGO_PKG_VERSION") {
        Finding::good("node", what)
    } else {
        Finding::look(
            "node",
            what,
            format!(
                "a client of the same version: this one is {}",
                env!("CARGO_PKG_VERSION")
            ),
        )
    }
}

/// Why a node is not ready, in its own words.
fn reasons(error: &Error) -> String {
    let reasons = error
        .problem
        .as_ref()
        .and_then(|problem| problem["reasons"].as_array());
    let texts: Vec<String> = reasons.into_iter().flatten().map(cell).collect();
    if texts.is_empty() {
        error.message.clone()
    } else {
        texts.join("; ")
    }
}
