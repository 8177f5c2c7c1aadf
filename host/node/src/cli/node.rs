//! `up`: a node, from settings to its orderly end.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use granary_runtime::CacheConfig;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::{Error, Exit};
use crate::cli::settings;
use crate::cli::terminal::{Terminal, Tone};
use crate::config::sections::{
    AuthMode, LogFormat, LogSection, NodeFile, StoreEngine, TokenSection,
};
use crate::config::units::Listen;
use crate::config::{Config, Origin};
use crate::http::{self, Auth, HttpSettings, ServeError, Server, TlsFiles, Token};
use crate::node::{Node, NodeSettings, StartError};

/// What `up` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from node.toml, then from GRANARY_SECTION__KEY variables, then from these options.\n`granary config explain` shows each with its origin.\n\nExamples:\n  granary up\n  granary up --config /etc/granary/node.toml\n  GRANARY_HTTP__LISTEN=127.0.0.1:8080 granary up"
)]
pub struct UpArgs {
    /// The settings; node.toml in this folder, if it is there, unless given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, instead of http.listen
    #[arg(long, value_name = "ADDRESS", value_parser = Listen::parse)]
    listen: Option<Listen>,
    /// The data directory, instead of store.path
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A node that serves.
pub struct Running {
    node: Arc<Node>,
    server: Server,
}

impl Running {
    /// Starts store, runtime and listener.
    pub async fn start(config: &Config) -> Result<Self, Error> {
        Self::start_with(config, None).await
    }

    /// The same, with compiled components from elsewhere than its data.
    pub async fn start_with(config: &Config, cache: Option<CacheConfig>) -> Result<Self, Error> {
        let settings = NodeSettings {
            cache,
            ..node_settings(&config.file)
        };
        let node = Node::start(settings).await.map_err(|e| start_error(&e))?;
        match http::serve(Arc::clone(&node), http_settings(config)?).await {
            Ok(server) => Ok(Self { node, server }),
            Err(error) => {
                node.stop().await;
                Err(serve_error(&error))
            }
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// Lets requests and turns end, then closes the store.
    pub async fn stop(self) {
        self.server.stop().await;
        self.node.stop().await;
    }
}

/// Runs a node until it is told to stop.
pub async fn up(terminal: &Terminal, args: &UpArgs) -> Result<(), Error> {
    let mut config = settings::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        config.set("http.listen", "--listen", |file| file.http.listen = listen);
    }
    if let Some(data) = &args.data {
        config.set("store.path", "--data", |file| {
            file.store.path.clone_from(data)
        });
    }
    config
        .recheck()
        .map_err(|problems| settings::wrong_settings(&problems))?;
    start_log(&config.file.log)?;
    let running = Running::start(&config).await?;
    let (name, url) = (running.name().to_owned(), running.url());
    if terminal.is_json() {
        terminal.json(&json!({ "node": name, "url": url }));
    } else {
        terminal.out(format!(
            "granary {} '{name}' ready on {}",
            env!("CARGO_PKG_VERSION"),
            terminal.paint(Tone::Strong, &url)
        ));
    }
    until_told(terminal).await;
    running.stop().await;
    terminal.note("stopped");
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM. From then on a second one ends the process at once.
pub async fn until_told(terminal: &Terminal) {
    told().await;
    terminal.note("stopping; once more to stop at once");
    tokio::spawn(async {
        told().await;
        std::process::exit(130);
    });
}

/// The next Ctrl-C or SIGTERM.
async fn told() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut stream) => drop(stream.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { std::future::pending::<()>().await },
    }
}

/// Starts the log. Errors: the filter cannot be read.
pub fn start_log(log: &LogSection) -> Result<(), Error> {
    let hint = "granary config explain log.filter";
    let filter = tracing_subscriber::EnvFilter::try_new(&log.filter);
    let filter = filter.map_err(|e| {
        Error::usage(
            format!("log.filter '{}' cannot be read: {e}", log.filter),
            hint,
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none();
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(ansi).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Error::failure(format!("the log cannot be started: {e}"), hint))
}

fn node_settings(file: &NodeFile) -> NodeSettings {
    let data = match file.store.engine {
        StoreEngine::Sled => Some(file.store.path.clone()),
        StoreEngine::Memory => None,
    };
    NodeSettings {
        name: file.node.name.clone().unwrap_or_else(host_name),
        data,
        cache: None,
        slots: file.engine.slots,
        compile_threads: file
            .engine
            .compile_threads
            .map_or_else(|| processors().div_ceil(2), usize::from),
        grants_root: file
            .engine
            .grants_root
            .clone()
            .unwrap_or_else(|| file.store.path.join("grants")),
    }
}

/// Lets a node compile on every processor, unless another number was given: one person waits for it, and it serves nobody else.
pub fn compile_on_all_processors(config: &mut Config, command: &str) {
    const KEY: &str = "engine.compile-threads";
    if config.origin(KEY) == Origin::Default {
        let threads = u16::try_from(processors()).unwrap_or(u16::MAX);
        config.set(KEY, command, |file| {
            file.engine.compile_threads = Some(threads);
        });
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "node".to_owned()
    } else {
        name.to_owned()
    }
}

fn http_settings(config: &Config) -> Result<HttpSettings, Error> {
    let file = &config.file;
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let uploads = match file.store.engine {
        StoreEngine::Sled => Some(file.store.path.join("uploads")),
        StoreEngine::Memory => None,
    };
    let tls = match (&file.tls.certificate, &file.tls.key) {
        (Some(certificates), Some(key)) => Some(TlsFiles {
            certificates: certificates.clone(),
            key: key.clone(),
        }),
        (None, _) | (_, None) => None,
    };
    let auth = match file.auth.mode {
        AuthMode::Auto => Auth::Automatic,
        AuthMode::Required => Auth::Required,
        AuthMode::OffForEveryone => Auth::Off,
    };
    let shown: Map<String, Value> = config
        .explain()
        .into_iter()
        .map(|key| {
            (
                key.key,
                json!({ "value": key.value, "source": key.origin.to_string() }),
            )
        })
        .collect();
    Ok(HttpSettings {
        tls,
        auth,
        tokens: file
            .auth
            .tokens
            .iter()
            .map(token)
            .collect::<Result<_, _>>()?,
        hosts: file.http.hosts.clone(),
        origins: file.http.origins.clone(),
        connections_max: count(file.limits.connections),
        in_flight_max: count(file.limits.calls),
        followers_max: count(file.limits.followers),
        header_timeout: file.http.header_timeout.0,
        body_timeout: file.http.body_timeout.0,
        peer_timeout: file.http.peer_timeout.0,
        shutdown_timeout: file.limits.shutdown.0,
        uploads,
        batch_bytes_max: usize::try_from(file.limits.batch_body.0).unwrap_or(usize::MAX),
        batch_calls_max: count(file.limits.batch_calls),
        config_shown: Value::Object(shown),
        ..HttpSettings::new(file.http.listen.0)
    })
}

fn token(section: &TokenSection) -> Result<Token, Error> {
    match (&section.token, &section.sha256) {
        (Some(secret), _) => Ok(Token::from_secret(section.principal.clone(), secret)),
        (None, hash) => {
            let hash = hash.as_deref().unwrap_or_default().parse();
            let hash = hash.map_err(|e: granary_core::id::IdError| {
                Error::usage(e.to_string(), "granary config explain auth.tokens")
            })?;
            Ok(Token::from_hash(section.principal.clone(), hash))
        }
    }
}

fn start_error(error: &StartError) -> Error {
    use granary_store::StoreError;
    let hint = match error {
        StartError::Store(StoreError::Locked { .. }) => {
            "stop the other node, or choose another directory with --data"
        }
        StartError::Store(StoreError::NewerFormat { .. }) => {
            "a newer granary, or another directory with --data"
        }
        StartError::Store(StoreError::Full { .. }) => "free some space, then start again",
        StartError::Store(_) => "another directory with --data, or granary doctor",
        StartError::Runtime(_) | StartError::Metrics(_) => "granary doctor",
    };
    Error::caused(Exit::Failure, error, hint)
}

fn serve_error(error: &ServeError) -> Error {
    let hint = match error {
        ServeError::Listen { .. } => {
            "another address with --listen, such as 127.0.0.1:0 for a free port"
        }
        ServeError::OpenAddress { .. } | ServeError::NoTokens => "granary config explain auth",
        ServeError::Tls { .. } => "granary config explain tls",
        ServeError::Uploads { .. } => "another directory with --data",
    };
    Error::caused(Exit::Failure, error, hint)
}
