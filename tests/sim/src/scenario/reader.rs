//! A TOML table read key by key: every slip is noted with its line and key, and reading goes on, so that all of them are told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One slip in a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key, with the tables that it stands in; empty for a slip in the syntax.
    pub key: String,
    /// What is wrong and what would do.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Field<'t> {
    pub(super) key: String,
    pub(super) line: usize,
    value: &'t Spanned<DeValue<'t>>,
}

/// A table whose keys are taken one by one; what is left over is unknown.
#[derive(Debug)]
pub(super) struct Fields<'t> {
    pub(super) key: String,
    pub(super) line: usize,
    left: BTreeMap<String, Field<'t>>,
    known: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    /// The value under `name`.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'t>> {
        self.known.push(name);
        self.left.remove(name)
    }

    /// Everything that was not taken.
    pub(super) fn take_rest(&mut self) -> Vec<(String, Field<'t>)> {
        std::mem::take(&mut self.left).into_iter().collect()
    }
}

/// The text, and the slips found so far.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: Vec::new(),
        }
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn problem(&mut self, line: usize, key: &str, why: impl Into<String>) {
        self.problems.push(Problem {
            line,
            key: key.to_owned(),
            why: why.into(),
        });
    }

    pub(super) fn slip(&mut self, field: &Field<'_>, why: impl Into<String>) {
        self.problem(field.line, &field.key, why);
    }

    /// The top of the file.
    pub(super) fn top(&self, table: &'t DeTable<'t>) -> Fields<'t> {
        self.open("", 1, table)
    }

    fn open(&self, key: &str, line: usize, table: &'t DeTable<'t>) -> Fields<'t> {
        let mut left = BTreeMap::new();
        for (name, value) in table {
            let path = match key {
                "" => name.get_ref().to_string(),
                key => format!("{key}.{}", name.get_ref()),
            };
            let field = Field {
                key: path,
                line: self.line(name.span().start),
                value,
            };
            left.insert(name.get_ref().to_string(), field);
        }
        Fields {
            key: key.to_owned(),
            line,
            left,
            known: Vec::new(),
        }
    }

    /// The table that `field` is.
    pub(super) fn table(&mut self, field: &Field<'t>) -> Option<Fields<'t>> {
        let value = field.value.get_ref();
        let Some(table) = value.as_table() else {
            let found = kind(value);
            self.slip(field, format!("a table is wanted, not {found}"));
            return None;
        };
        Some(self.open(&field.key, field.line, table))
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self, field: &Field<'_>) -> bool {
        field.value.get_ref().is_table()
    }

    /// The tables of `[[name]]`.
    pub(super) fn tables(&mut self, field: &Field<'t>) -> Vec<Fields<'t>> {
        let mut found = Vec::new();
        for item in self.items(field) {
            // A `[[table]]` begins where its header stands.
            found.extend(self.table(&item));
        }
        found
    }

    /// The items of a list.
    pub(super) fn items(&mut self, field: &Field<'t>) -> Vec<Field<'t>> {
        let DeValue::Array(array) = field.value.get_ref() else {
            let found = kind(field.value.get_ref());
            self.slip(field, format!("a list is wanted, not {found}"));
            return Vec::new();
        };
        let item = |value: &'t Spanned<DeValue<'t>>| Field {
            key: field.key.clone(),
            line: self.line(value.span().start),
            value,
        };
        array.iter().map(item).collect()
    }

    /// One item, or a list of them.
    pub(super) fn one_or_more(&mut self, field: &Field<'t>) -> Vec<Field<'t>> {
        match field.value.get_ref().is_array() {
            true => self.items(field),
            false => vec![field.clone()],
        }
    }

    /// A text.
    pub(super) fn text(&mut self, field: &Field<'t>) -> Option<String> {
        match field.value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                let found = kind(field.value.get_ref());
                self.slip(field, format!("a text is wanted, not {found}"));
                None
            }
        }
    }

    /// A text, or nothing where `false` stands for "none".
    pub(super) fn text_or_none(&mut self, field: &Field<'t>) -> Option<Option<String>> {
        match field.value.get_ref().as_bool() {
            Some(false) => Some(None),
            Some(true) | None => self.text(field).map(Some),
        }
    }

    /// A list of texts; one text alone is a list of one.
    pub(super) fn texts(&mut self, field: &Field<'t>) -> Vec<String> {
        let items = self.one_or_more(field);
        items.iter().filter_map(|item| self.text(item)).collect()
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, field: &Field<'t>) -> Option<bool> {
        let flag = field.value.get_ref().as_bool();
        if flag.is_none() {
            self.slip(field, "true or false is wanted");
        }
        flag
    }

    /// A whole number from 0.
    pub(super) fn number(&mut self, field: &Field<'t>) -> Option<u64> {
        let number = u64::deserialize(field.value.clone().into_deserializer());
        if number.is_err() {
            self.slip(field, "a whole number from 0 is wanted");
        }
        number.ok()
    }

    /// A share from 0 to 1.
    pub(super) fn share(&mut self, field: &Field<'t>) -> Option<f64> {
        let share = f64::deserialize(field.value.clone().into_deserializer());
        match share {
            Ok(share) if (0.0..=1.0).contains(&share) => Some(share),
            Ok(_) | Err(_) => {
                self.slip(field, "a share from 0.0 to 1.0 is wanted");
                None
            }
        }
    }

    /// A span of time: `"20s"`, `"150ms"`, `"1m 30s"`; `"0s"` counts.
    pub(super) fn duration(&mut self, field: &Field<'t>) -> Option<Duration> {
        let text = self.text(field)?;
        match humantime::parse_duration(text.trim()) {
            Ok(duration) if duration <= super::DURATION_MAX => Some(duration),
            Ok(_) => {
                self.slip(field, "a scenario lasts at most 365 days");
                None
            }
            Err(_not_a_duration) => {
                self.slip(
                    field,
                    format!("\"{text}\" is no span of time; \"20s\" and \"150ms\" are"),
                );
                None
            }
        }
    }

    /// Two spans of time, the first not above the second.
    pub(super) fn range(&mut self, field: &Field<'t>) -> Option<(Duration, Duration)> {
        let items = self.items(field);
        let [from, to] = items.as_slice() else {
            self.slip(field, "two spans of time are wanted: [\"10s\", \"30s\"]");
            return None;
        };
        let (from, to) = (self.duration(from)?, self.duration(to)?);
        if to < from {
            self.slip(field, "the first span must not be above the second");
            return None;
        }
        Some((from, to))
    }

    /// The value as it stands, for another reader.
    pub(super) fn value(&mut self, field: &Field<'t>) -> Option<toml::Value> {
        match toml::Value::deserialize(field.value.clone().into_deserializer()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.slip(field, error.message().to_owned());
                None
            }
        }
    }

    /// A value of a type that says itself how it is written.
    pub(super) fn typed<T: serde::Deserialize<'t>>(&mut self, field: &Field<'t>) -> Option<T> {
        match T::deserialize(field.value.clone().into_deserializer()) {
            Ok(value) => Some(value),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                let mut path = vec![field.key.clone()];
                let found = path_at(field.value, offset, &mut path);
                let line = if found { self.line(offset) } else { field.line };
                let why = error.message().trim().replace('\n', "; ");
                self.problem(line, &path.join("."), why);
                None
            }
        }
    }

    /// The line of the key that `path` leads to from `field`, or of the last one on the way that is there.
    pub(super) fn line_of(&self, field: &Field<'_>, path: &str) -> usize {
        let (mut line, mut value) = (field.line, field.value);
        for step in path.split('.') {
            let table = value.get_ref().as_table();
            let mut entries = table.into_iter().flatten();
            let Some((key, next)) = entries.find(|(key, _)| key.get_ref() == step) else {
                break;
            };
            line = self.line(key.span().start);
            value = next;
        }
        line
    }

    /// Says which keys of `fields` nobody has taken.
    pub(super) fn finish(&mut self, fields: Fields<'t>) {
        let known = fields.known.join(", ");
        for field in fields.left.values() {
            self.slip(field, format!("unknown key; known here: {known}"));
        }
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The keys that lead to what stands at `offset`; false if nothing of `value` does.
fn path_at(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut Vec<String>) -> bool {
    let Some(table) = value.get_ref().as_table() else {
        return value.span().contains(&offset);
    };
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if key.span().contains(&offset) || path_at(value, offset, path) {
            return true;
        }
        path.pop();
    }
    false
}
