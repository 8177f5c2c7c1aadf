//! A TOML file that is read against its Rust type, with errors that name file, line, column and key.

use std::fmt;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::schema::Shape;

/// One thing that is wrong with a file, an environment variable or a manifest sent as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or the environment variable.
    pub source: String,
    /// Line and column, from 1; none for what has no lines.
    pub position: Option<(usize, usize)>,
    /// The key's path, such as `kinds.cart.limits.memory`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if self.key.is_empty() {
            write!(f, ": {}", self.why)
        } else {
            write!(f, ": {}: {}", self.key, self.why)
        }
    }
}

/// Everything that is wrong, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if 0 < at {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// A file's text under the name that errors call it by.
#[derive(Debug, Clone)]
pub struct Document {
    /// What errors call it.
    pub label: String,
    text: String,
}

/// No file of ours is near this size; a larger one is a mistake, and is not read into memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Document {
    /// A text that was already read.
    pub fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
        }
    }

    /// Reads a file. Errors: it is not there, too large, or not UTF-8.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let label = path.display().to_string();
        let whole = |why: String| Problem {
            source: label.clone(),
            position: None,
            key: String::new(),
            why,
        };
        let unread = |e: std::io::Error| whole(format!("cannot be read: {e}"));
        let mut bytes = Vec::new();
        // What a file says of its size need not be so.
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(unread)?;
        if FILE_BYTES_MAX < bytes.len() as u64 {
            let why = format!("is longer than {FILE_BYTES_MAX} bytes; no more are read");
            return Err(whole(why).into());
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            Problem {
                position: Some((line, 1)),
                ..whole("is not UTF-8".to_owned())
            }
        })?;
        Ok(Self { label, text })
    }

    /// Reads the text as a `T`. All unknown keys are reported at once; a wrong value is reported alone.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problems> {
        let tree = DeTable::parse(&self.text).map_err(|e| self.syntax(&e))?;
        let mut unknown = Vec::new();
        self.unknown_keys(
            &Shape::of::<T>(),
            tree.get_ref(),
            &mut Vec::new(),
            &mut unknown,
        );
        if !unknown.is_empty() {
            unknown.sort_by_key(|problem| problem.position);
            return Err(Problems(unknown));
        }
        toml::from_str(&self.text).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            let mut path = Vec::new();
            deepest(tree.get_ref(), span.start, &mut Vec::new(), &mut path);
            self.problem(span, &path, e.message().trim().replace('\n', "; "))
                .into()
        })
    }

    /// A problem with the value under `path`, at its position. A path that is not in the text gets the position of its
    /// nearest ancestor.
    pub fn at(&self, path: &[String], why: impl Into<String>) -> Problem {
        let span = DeTable::parse(&self.text)
            .ok()
            .and_then(|tree| span_of(tree.get_ref(), path))
            .unwrap_or(0..0);
        self.problem(span, path, why.into())
    }

    /// The line of the value under `path`, if the text has it.
    pub fn line_of(&self, path: &[String]) -> Option<usize> {
        let tree = DeTable::parse(&self.text).ok()?;
        value_at(tree.get_ref(), path).map(|span| self.position(span.start).0)
    }

    fn syntax(&self, error: &toml::de::Error) -> Problems {
        let span = error.span().unwrap_or(0..0);
        let mut path = Vec::new();
        deepest(
            DeTable::parse_recoverable(&self.text).0.get_ref(),
            span.start,
            &mut Vec::new(),
            &mut path,
        );
        let mut why = error.message().trim().replace('\n', "; ");
        // A key that stands there twice is in no tree: quote it.
        if let (true, Some(here)) = (
            path.is_empty(),
            self.text
                .get(span.clone())
                .filter(|text| !text.trim().is_empty()),
        ) {
            why.push_str(&format!(
                ", at '{}'",
                here.lines().next().unwrap_or_default()
            ));
        }
        self.problem(span, &path, why).into()
    }

    fn problem(&self, span: Range<usize>, path: &[String], why: String) -> Problem {
        Problem {
            source: self.label.clone(),
            position: Some(self.position(span.start)),
            key: join(path),
            why,
        }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    fn unknown_keys(
        &self,
        shape: &Shape,
        table: &DeTable<'_>,
        path: &mut Vec<String>,
        out: &mut Vec<Problem>,
    ) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            match shape.child(key.get_ref()) {
                Some(child) => self.unknown_in_value(&child, value.get_ref(), path, out),
                None if shape.is_open() => {}
                None => out.push(self.problem(key.span(), path, shape.unknown(key.get_ref()))),
            }
            path.pop();
        }
    }

    fn unknown_in_value(
        &self,
        shape: &Shape,
        value: &DeValue<'_>,
        path: &mut Vec<String>,
        out: &mut Vec<Problem>,
    ) {
        if let Some(table) = value.as_table() {
            self.unknown_keys(shape, table, path, out);
        } else if let (Some(array), Some(items)) = (value.as_array(), shape.items()) {
            for (at, item) in array.iter().enumerate() {
                path.push(at.to_string());
                self.unknown_in_value(&items, item.get_ref(), path, out);
                path.pop();
            }
        }
    }
}

/// A path as people write it: a part that is no bare key is quoted, an index stands in brackets.
pub fn join(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{part}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        let bare = !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        text.push_str(&if bare {
            part.clone()
        } else {
            format!("{part:?}")
        });
    }
    text
}

/// The path of the innermost key or value at a byte offset.
fn deepest(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>, found: &mut Vec<String>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if holds(&key.span(), offset) && found.len() < path.len() {
            found.clone_from(path);
        }
        deepest_in_value(value, offset, path, found);
        path.pop();
    }
}

fn deepest_in_value(
    value: &Spanned<DeValue<'_>>,
    offset: usize,
    path: &mut Vec<String>,
    found: &mut Vec<String>,
) {
    if holds(&value.span(), offset) && found.len() < path.len() {
        found.clone_from(path);
    }
    if let Some(table) = value.get_ref().as_table() {
        deepest(table, offset, path, found);
    } else if let Some(array) = value.get_ref().as_array() {
        for (at, item) in array.iter().enumerate() {
            path.push(at.to_string());
            deepest_in_value(item, offset, path, found);
            path.pop();
        }
    }
}

fn holds(span: &Range<usize>, offset: usize) -> bool {
    span.contains(&offset) || (span.is_empty() && span.start == offset)
}

/// The span of the value under a path, or of the nearest ancestor that the text has.
fn span_of(table: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    (1..=path.len())
        .rev()
        .find_map(|length| value_at(table, &path[..length]))
}

fn value_at(table: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (_, mut value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    for part in rest {
        value = match value.get_ref() {
            DeValue::Table(table) => table.iter().find(|(key, _)| key.get_ref() == part)?.1,
            DeValue::Array(array) => array.get(part.parse::<usize>().ok()?)?,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                return None;
            }
        };
    }
    Some(value.span())
}

/// Where a relative path of a file is taken from: the file's own folder.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_path_buf(),
        None => PathBuf::from("."),
    }
}
