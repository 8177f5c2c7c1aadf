//! The sections of `granary.toml` as they are written. Unknown keys are errors; what is left out has its default.

use std::collections::BTreeMap;

use clap::ValueEnum;
use granary_core::kind::Mode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::config::units::{Period, Size};

/// The kinds of a project.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ProjectFile {
    /// What the project is, for people.
    pub package: Option<PackageSection>,
    /// The kinds, by their names.
    pub kinds: BTreeMap<String, KindSection>,
    /// Tests that the project brings besides those in `tests/`.
    pub test: TestSection,
}

/// Tests that the project brings besides those in `tests/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TestSection {
    /// A shell command that `granary test` runs in this file's folder when the kinds are built, before it makes any call: `"go test ./..."`.
    /// The tools of the kinds' languages that `granary toolchain` has installed are on its path.
    pub command: Option<String>,
}

/// What the project is, for people.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PackageSection {
    /// The project's name.
    pub name: Option<String>,
    /// The project's version.
    pub version: Option<String>,
    /// A line about it.
    pub description: Option<String>,
}

/// A kind: where its component comes from and what its grains may do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct KindSection {
    /// A finished component, relative to this file. With `command`: the file that the command leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The folder of the source, relative to this file; the file's own folder unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The source's language: `granary build` builds it with the language's own tools. `rust` where there is a Cargo.toml, unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Bytes of the stack of a kind in C or Zig, 1MiB unless set: part of what an activation takes of its limit `memory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Size>,
    /// A shell command that builds the component, run in the `build` folder. For everything that `language` does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A line for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How much one grain may use.
    pub limits: LimitsSection,
    /// Methods that are not as usual, by their WIT names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub methods: BTreeMap<String, MethodSection>,
    /// What the kind may reach outside itself. Nothing unless granted.
    pub grants: GrantsSection,
    /// The kinds behind imported client packages, such as `"demo:counter-client" = "counter-go"`; those not named are the kinds that
    /// their packages are named after.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, String>,
}

/// A language that `granary build` knows by itself.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Rust: a Cargo package of crate type `cdylib`.
    Rust,
    /// C: every `*.c` of the folder, or of its `src`.
    C,
    /// Zig: `grain.zig`, or `src/grain.zig`.
    Zig,
    /// Go: every `*.go` below the folder.
    Go,
    /// JavaScript: `grain.js`, or `src/grain.js`.
    Js,
    /// TypeScript: `grain.ts`, or `src/grain.ts`.
    Ts,
    /// Python: `app.py`, or `src/app.py`.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Rust,
        Self::C,
        Self::Zig,
        Self::Go,
        Self::Js,
        Self::Ts,
        Self::Python,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Zig => "zig",
            Self::Go => "go",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::Python => "python",
        }
    }

    /// Its name in sentences.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Zig => "Zig",
            Self::Go => "Go",
            Self::Js => "JavaScript",
            Self::Ts => "TypeScript",
            Self::Python => "Python",
        }
    }
}

/// How much one grain may use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitsSection {
    /// Linear memories and tables of one activation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Guest CPU time of one turn; waiting is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_time: Option<Period>,
    /// Wall-clock time of one turn, from its start to its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Period>,
    /// How long a caller waits unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// Calls that wait in one grain's mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox_calls: Option<u32>,
    /// Bytes of arguments that wait in one grain's mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox_bytes: Option<Size>,
    /// Bytes of one call's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Size>,
    /// Bytes of one call's result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Size>,
    /// Bytes that decoded arguments or a result may take on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_memory: Option<Size>,
    /// Bytes of one state value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_value: Option<Size>,
    /// Bytes of a grain's whole state, keys included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_total: Option<Size>,
    /// One-way messages that one turn may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sends: Option<u32>,
    /// Bytes of log a second; what goes over is dropped and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_rate: Option<Size>,
    /// How long an activation may rest before it is dropped from memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Period>,
    /// Time for starting, `migrate` and `activate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_time: Option<Period>,
    /// Time for `deactivate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deactivation_time: Option<Period>,
    /// Bytes of a body that streams in: of a request under `/http/`, or for a `stream<u8>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_body: Option<Size>,
    /// How long a turn may go on after its answer: the work of an async guest, for which the answer waits, or the rest of an HTTP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_time: Option<Period>,
}

/// How one method is run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MethodSection {
    /// `exclusive` (the default); `read`: may not write, and can be called with GET; `interleave`: for async components, runs beside others.
    pub mode: ModeName,
    /// How long a caller waits unless it says otherwise; else the kind's `call-timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whether an `err` answer drops the turn's writes and sends.
    pub rollback_on_err: bool,
    /// The HTTP status of an `err` answer: 400 to 599; 400 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_status: Option<u16>,
    /// How long a GET's answer may be kept by caches; whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Period>,
}

/// How calls of a method meet others of the same grain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModeName {
    /// Alone, in arrival order. May write.
    #[default]
    Exclusive,
    /// May not write.
    Read,
    /// May write, and runs beside others of its sort wherever one of them waits. Only for async components.
    Interleave,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Exclusive => Self::Exclusive,
            ModeName::Read => Self::Read,
            ModeName::Interleave => Self::Interleave,
        }
    }
}

/// What a kind may reach outside itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GrantsSection {
    /// Directories of the node that guests see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<DirectorySection>,
    /// Environment variables that guests see.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Values of `wasi:config` and of Spin's variables; these interfaces are there only if this table is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, String>>,
    /// Who may be reached by outgoing HTTP: texts such as `"https://api.example.com"` or `"*.example.com:8443"`, or tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRule>,
}

/// A directory of the node that guests see.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectorySection {
    /// The directory on the node; relative ones are taken from the node's `engine.grants-root`.
    pub host: String,
    /// Its absolute path inside the guest.
    pub guest: String,
    /// Whether guests may change anything in it.
    #[serde(default)]
    pub writable: bool,
}

/// Whom outgoing HTTP may reach: a text, or a table that says more.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum HttpRule {
    /// `[scheme://]host[:port]`.
    Text(String),
    /// The same in parts.
    Table(HttpSection),
}

/// Whom outgoing HTTP may reach, in parts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpSection {
    /// `[scheme://]host[:port]`; the host may start with `*.`.
    pub host: String,
    /// Methods; all unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Whether the name may resolve to a private, loopback or link-local address.
    #[serde(default)]
    pub private: bool,
}

impl<'de> Deserialize<'de> for HttpRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rule;
        impl<'de> Visitor<'de> for Rule {
            type Value = HttpRule;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text such as \"https://api.example.com\", or a table with 'host'")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HttpRule, E> {
                Ok(HttpRule::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HttpRule, A::Error> {
                HttpSection::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(HttpRule::Table)
            }
        }
        deserializer.deserialize_any(Rule)
    }
}

impl JsonSchema for HttpRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<HttpSection>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "examples": ["https://api.example.com"] }, table] })
    }
}

impl KindSection {
    /// The section without what only concerns the build.
    pub fn to_deploy(&self) -> Self {
        Self {
            component: None,
            build: None,
            language: None,
            stack: None,
            command: None,
            ..self.clone()
        }
    }
}
