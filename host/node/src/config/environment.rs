//! `GRANARY_SECTION__KEY` variables.

use crate::config::document::{Document, Problem, Problems, join};
use crate::config::schema::{Key, nearest};
use crate::config::sections::NodeFile;

/// Variables that are no keys of `node.toml`: the client's, and the ones that the build looks at.
pub const CLIENT_VARIABLES: [&str; 6] = [
    "GRANARY_URL",
    "GRANARY_TOKEN",
    "GRANARY_CA",
    "GRANARY_OUTPUT",
    "GRANARY_GUEST_TOOLCHAIN",
    "GRANARY_TOOLCHAINS",
];

/// A value that a variable sets.
pub(super) struct Set {
    pub(super) path: Vec<String>,
    pub(super) variable: String,
    pub(super) value: toml::Value,
}

/// The variable of a key.
pub(super) fn variable(path: &[String]) -> String {
    let parts: Vec<String> = path
        .iter()
        .map(|part| part.to_uppercase().replace('-', "_"))
        .collect();
    format!("GRANARY_{}", parts.join("__"))
}

/// Reads every `GRANARY_…` variable. Unknown ones are errors: a misspelt one would silently do nothing.
pub(super) fn overrides(
    keys: &[Key],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Set>, Problems> {
    let mut sets = Vec::new();
    let mut problems = Vec::new();
    let ours = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with("GRANARY_"));
    for (name, text) in ours.filter(|(name, _)| !CLIENT_VARIABLES.contains(&name.as_str())) {
        match keys.iter().find(|key| variable(&key.path) == name) {
            Some(key) => match value(key, &name, &text) {
                Ok(value) => sets.push(Set {
                    path: key.path.clone(),
                    variable: name,
                    value,
                }),
                Err(problem) => problems.push(problem),
            },
            None => problems.push(unknown(keys, name)),
        }
    }
    problems.sort_by(|a, b| a.source.cmp(&b.source));
    if problems.is_empty() {
        Ok(sets)
    } else {
        Err(Problems(problems))
    }
}

/// Puts a value into a tree, making the tables on its way.
pub(super) fn put(tree: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        [last] => {
            tree.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let table = tree
                .entry(first.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(table) = table.as_table_mut() {
                put(table, rest, value);
            }
        }
    }
}

fn unknown(keys: &[Key], name: String) -> Problem {
    let known: Vec<String> = keys.iter().map(|key| variable(&key.path)).collect();
    let why = match nearest(
        &name,
        known.iter().map(String::as_str).chain(CLIENT_VARIABLES),
    ) {
        Some(near) => format!("unknown setting; did you mean {near}?"),
        None => "unknown setting; `granary config explain` lists them all".to_owned(),
    };
    Problem {
        source: name,
        position: None,
        key: String::new(),
        why,
    }
}

/// The variable's value, checked alone: read as TOML where the key takes no text, or where a text does not fit.
fn value(key: &Key, name: &str, text: &str) -> Result<toml::Value, Problem> {
    let literal = || text.parse::<toml::Value>().ok();
    let as_text = toml::Value::String(text.to_owned());
    let candidate = if key.takes_text {
        as_text
    } else {
        literal().unwrap_or(as_text)
    };
    let mut tree = toml::Table::new();
    put(&mut tree, &key.path, candidate.clone());
    let document = Document::new(name, tree.to_string());
    match document.read::<NodeFile>() {
        Ok(_) => Ok(candidate),
        Err(problems) => {
            let why = problems
                .0
                .into_iter()
                .next()
                .map(|problem| problem.why)
                .unwrap_or_default();
            Err(Problem {
                source: name.to_owned(),
                position: None,
                key: join(&key.path),
                why,
            })
        }
    }
}
