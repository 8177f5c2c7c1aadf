//! `node.toml`: what a node is told, where each value comes from, and what it means.
//!
//! The file is read as written ([`sections`]), each `GRANARY_SECTION__KEY` variable replaces one value, and what comes out is
//! checked once. This is the only place that reads those variables.

pub mod document;
mod environment;
pub mod schema;
pub mod sections;
pub mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use serde_json::Value;

use crate::config::document::{Document, Problem, Problems, folder_of, join};
use crate::config::schema::Key;
use crate::config::sections::{AuthMode, NodeFile, TokenSection};

pub use environment::CLIENT_VARIABLES;

/// The file's usual name.
pub const FILE_NAME: &str = "node.toml";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: String,
        /// Its line.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A command-line option.
    Option {
        /// Its name.
        option: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment { variable } => f.write_str(variable),
            Self::Option { option } => f.write_str(option),
        }
    }
}

/// A node's checked settings, with the origin of each.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings. Relative paths have been resolved against the file's folder.
    pub file: NodeFile,
    origins: BTreeMap<String, Origin>,
}

/// One key with everything that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The key, such as `http.listen`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
    /// Its value where nothing is said.
    pub default: Value,
    /// What it is for.
    pub doc: String,
    /// The environment variable that sets it.
    pub variable: String,
}

impl Config {
    /// Every default.
    pub fn defaults() -> Self {
        Self {
            file: NodeFile::default(),
            origins: BTreeMap::new(),
        }
    }

    /// Reads the file (none: every default) and the `GRANARY_…` variables of `environment`, and checks the outcome.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let document = match path {
            Some(path) => Document::open(path)?,
            None => Document::new("defaults", ""),
        };
        let folder = path.map_or_else(|| PathBuf::from("."), folder_of);
        Self::read(&document, &folder, environment)
    }

    /// The same with a text that was read already.
    pub fn read(
        document: &Document,
        folder: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let keys = schema::keys::<NodeFile>();
        let from_file: NodeFile = document.read()?;
        let overrides = environment::overrides(&keys, environment)?;
        let mut origins = BTreeMap::new();
        for key in &keys {
            if let Some(line) = document.line_of(&key.path) {
                origins.insert(
                    join(&key.path),
                    Origin::File {
                        path: document.label.clone(),
                        line,
                    },
                );
            }
        }
        let mut tree =
            toml::Table::try_from(&from_file).map_err(|e| document.at(&[], e.to_string()))?;
        for set in overrides {
            origins.insert(
                join(&set.path),
                Origin::Environment {
                    variable: set.variable,
                },
            );
            environment::put(&mut tree, &set.path, set.value);
        }
        let file: NodeFile = tree
            .try_into()
            .map_err(|e: toml::de::Error| document.at(&[], e.message().to_owned()))?;
        let mut config = Self { file, origins };
        config.check(document)?;
        config.resolve(folder);
        Ok(config)
    }

    /// Replaces a value by one that the command line gave.
    pub fn set(&mut self, key: &str, option: &str, change: impl FnOnce(&mut NodeFile)) {
        change(&mut self.file);
        self.origins.insert(
            key.to_owned(),
            Origin::Option {
                option: option.to_owned(),
            },
        );
    }

    /// Checks the rules again, after the command line has changed values.
    pub fn recheck(&self) -> Result<(), Problems> {
        self.check(&Document::new("settings", ""))
    }

    /// Where the value of a key comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every key, explained.
    pub fn explain(&self) -> Vec<Explained> {
        let values = serde_json::to_value(&self.file).unwrap_or_default();
        schema::keys::<NodeFile>()
            .into_iter()
            .map(|key| self.explain_key(&values, key))
            .collect()
    }

    fn explain_key(&self, values: &Value, key: Key) -> Explained {
        let mut value = key
            .path
            .iter()
            .fold(values, |value, part| &value[part.as_str()])
            .clone();
        let name = join(&key.path);
        if name == "auth.tokens" {
            mask(&mut value);
        }
        let variable = environment::variable(&key.path);
        Explained {
            origin: self.origin(&name),
            key: name,
            value,
            default: key.default,
            doc: key.doc,
            variable,
        }
    }

    /// Rules that join several keys, or that a type cannot hold.
    fn check(&self, document: &Document) -> Result<(), Problems> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, why: String| problems.push(self.problem(document, key, why));
        let file = &self.file;
        if file.tls.certificate.is_some() != file.tls.key.is_some() {
            let (set, missing) = if file.tls.key.is_some() {
                ("key", "certificate")
            } else {
                ("certificate", "key")
            };
            refuse(&format!("tls.{set}"), format!("needs 'tls.{missing}' too"));
        }
        if file.auth.mode == AuthMode::Required && file.auth.tokens.is_empty() {
            refuse(
                "auth.mode",
                "is \"required\", but 'auth.tokens' names no token".to_owned(),
            );
        }
        for (at, token) in file.auth.tokens.iter().enumerate() {
            if let Some((key, why)) = wrong_token(token) {
                refuse(&format!("auth.tokens[{at}]{key}"), why.to_owned());
            }
        }
        if file.auth.mode == AuthMode::Auto
            && file.auth.tokens.is_empty()
            && !file.http.listen.0.ip().is_loopback()
        {
            refuse(
                "http.listen",
                format!(
                    "{} can be reached from other machines, but 'auth.tokens' names no token; add one, or say auth.mode = \"off-for-everyone\"",
                    file.http.listen
                ),
            );
        }
        if file.node.name.as_deref().is_some_and(|name| {
            name.is_empty() || 128 < name.len() || name.contains(char::is_control)
        }) {
            refuse(
                "node.name",
                "is 1 to 128 bytes long, without control characters".to_owned(),
            );
        }
        if file.engine.slots == Some(0) {
            refuse("engine.slots", "must be at least 1".to_owned());
        }
        let limits = &file.limits;
        let counts = [
            ("connections", limits.connections),
            ("calls", limits.calls),
            ("batch-calls", limits.batch_calls),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            refuse(&format!("limits.{key}"), "must be at least 1".to_owned());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }

    fn problem(&self, document: &Document, key: &str, why: String) -> Problem {
        let bare = key.split('[').next().unwrap_or(key);
        match self.origin(bare) {
            Origin::Environment { variable } => Problem {
                source: variable,
                position: None,
                key: key.to_owned(),
                why,
            },
            Origin::Option { option } => Problem {
                source: option,
                position: None,
                key: key.to_owned(),
                why,
            },
            Origin::Default | Origin::File { .. } => {
                let path: Vec<String> = key
                    .replace('[', ".")
                    .replace(']', "")
                    .split('.')
                    .map(str::to_owned)
                    .collect();
                document.at(&path, why)
            }
        }
    }

    fn resolve(&mut self, folder: &Path) {
        if folder == Path::new(".") {
            return;
        }
        let file = &mut self.file;
        let paths = [
            &mut file.tls.certificate,
            &mut file.tls.key,
            &mut file.engine.grants_root,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        file.store.path = folder.join(&file.store.path);
    }
}

fn wrong_token(token: &TokenSection) -> Option<(&'static str, &'static str)> {
    match (&token.token, &token.sha256) {
        (Some(token), None) if token.len() < 16 => Some((
            ".token",
            "is shorter than 16 bytes; a good one is `openssl rand -hex 32`",
        )),
        (None, Some(hash)) if hash.parse::<Digest>().is_err() => Some((
            ".sha256",
            "is not 64 hexadecimal digits; `printf %s TOKEN | sha256sum` makes it",
        )),
        (Some(_), None) | (None, Some(_)) => None,
        (Some(_), Some(_)) => Some(("", "names both 'token' and 'sha256'; leave one out")),
        (None, None) => Some(("", "names neither 'token' nor 'sha256'")),
    }
}

fn mask(tokens: &mut Value) {
    for token in tokens.as_array_mut().into_iter().flatten() {
        for secret in ["token", "sha256"] {
            if let Some(secret) = token.get_mut(secret) {
                *secret = Value::String("…".to_owned());
            }
        }
    }
}

/// The JSON Schema of the file, for editors.
pub fn json_schema() -> Value {
    schema::json_schema::<NodeFile>("node.toml: a Granary node")
}

#[cfg(test)]
mod tests;
