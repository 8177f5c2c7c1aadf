//! The sections of `node.toml` as they are written, with their defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Listen, Period, Size};

/// A Granary node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NodeFile {
    /// The node itself.
    pub node: NodeSection,
    /// Its HTTP listener.
    pub http: HttpSection,
    /// TLS of the listener.
    pub tls: TlsSection,
    /// Who may use the node.
    pub auth: AuthSection,
    /// Where state is kept.
    pub store: StoreSection,
    /// How guests are run.
    pub engine: EngineSection,
    /// What the node as a whole may use. The limits of one grain stand in `granary.toml`.
    pub limits: LimitsSection,
    /// The node's own log.
    pub log: LogSection,
}

/// The node itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NodeSection {
    /// What errors and metrics call the node; the machine's host name unless set.
    pub name: Option<String>,
}

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HttpSection {
    /// Where to listen. Port 0 takes a free one.
    pub listen: Listen,
    /// Further names under which browsers may reach the node where no token is asked for; `localhost` and loopback addresses
    /// always may.
    pub hosts: Vec<String>,
    /// Origins, such as `https://app.example`, whose pages may call the node.
    pub origins: Vec<String>,
    /// How long a client may take for a request's head, and how long a kept connection may rest.
    pub header_timeout: Period,
    /// How long a client may take for the next piece of a body.
    pub body_timeout: Period,
    /// How long a client may leave sent bytes unread before its connection is cut.
    pub peer_timeout: Period,
}

/// TLS of the listener: off unless both files are named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TlsSection {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key, PEM.
    pub key: Option<PathBuf>,
}

/// Who may use the node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AuthSection {
    /// `auto`: tokens are asked for if some are named, and must be named unless the listener is on loopback. `required`:
    /// tokens are always asked for. `off-for-everyone`: whoever reaches the port may do everything.
    pub mode: AuthMode,
    /// Bearer tokens, each with the principal that guests see.
    pub tokens: Vec<TokenSection>,
}

/// When a bearer token is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// If tokens are named. They must be, unless the listener is on loopback.
    #[default]
    Auto,
    /// Always.
    Required,
    /// Never: whoever reaches the port may do everything.
    OffForEveryone,
}

/// A bearer token: `token`, or `sha256` where the file must not hold the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenSection {
    /// Who calls with it.
    pub principal: String,
    /// The token itself: at least 16 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The token's SHA-256, in 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StoreSection {
    /// `sled`: on disk, durable. `memory`: gone with the process, for tests.
    pub engine: StoreEngine,
    /// The data directory, relative to this file. One node at a time.
    pub path: PathBuf,
}

/// The engine that keeps the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreEngine {
    /// On disk, durable.
    #[default]
    Sled,
    /// Gone with the process.
    Memory,
}

/// How guests are run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EngineSection {
    /// The most activations at a time; what the kernel's `vm.max_map_count` allows unless set (`granary doctor` shows it).
    pub slots: Option<u32>,
    /// Threads that compile uploaded components; half of the processors unless set, all of them in `granary dev`.
    pub compile_threads: Option<u16>,
    /// Where relative directories of `grants.directories` are taken from, relative to this file; the folder `grants` inside
    /// the data directory unless set.
    pub grants_root: Option<PathBuf>,
}

/// What the node as a whole may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitsSection {
    /// Connections at the same time; further ones wait to be accepted.
    pub connections: u32,
    /// Calls being served at the same time; further ones are answered 429.
    pub calls: u32,
    /// Log and event streams at the same time; further ones are answered 429.
    pub followers: u32,
    /// Bytes of one batch request.
    pub batch_body: Size,
    /// Calls in one batch request.
    pub batch_calls: u32,
    /// How long requests may go on once the node was told to stop.
    pub shutdown: Period,
}

/// The node's own log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogSection {
    /// `text` or `json`, one line each.
    pub format: LogFormat,
    /// What is logged: a level, or rules such as `info,granary_store=debug`.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            listen: Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 7420))),
            hosts: Vec::new(),
            origins: Vec::new(),
            header_timeout: seconds(30),
            body_timeout: seconds(30),
            peer_timeout: seconds(60),
        }
    }
}

fn seconds(seconds: u64) -> Period {
    Period(Duration::from_secs(seconds))
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            engine: StoreEngine::Sled,
            path: PathBuf::from(".granary"),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            connections: 8192,
            calls: 4096,
            followers: 256,
            batch_body: Size(4 << 20),
            batch_calls: 1000,
            shutdown: seconds(15),
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}
