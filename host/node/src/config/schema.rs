//! What a file may hold, read off its Rust type: the one source of unknown-key checks, of `config explain` and of the JSON
//! Schema for editors.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The JSON Schema of a file, for editors.
pub fn json_schema<T: JsonSchema>(title: &str) -> Value {
    let mut schema = generate::<T>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), Value::String(title.to_owned()));
    }
    schema
}

/// One key that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its path, outermost first.
    pub path: Vec<String>,
    /// What it is for.
    pub doc: String,
    /// Its value where nothing is set; `null` if that depends.
    pub default: Value,
    /// Whether a text is a fitting value.
    pub takes_text: bool,
}

/// Every key that can be set in a `T`, in the order of its fields. Tables with free names are not entered.
pub fn keys<T: JsonSchema>() -> Vec<Key> {
    let mut out = Vec::new();
    collect(&Shape::of::<T>(), &mut Vec::new(), &mut out);
    out
}

fn collect(shape: &Shape, path: &mut Vec<String>, out: &mut Vec<Key>) {
    for (name, child) in shape.fields() {
        path.push(name);
        if child.fields().is_empty() || !child.takes_table_only() {
            out.push(Key {
                path: path.clone(),
                doc: child.doc(),
                default: child.0.get("default").cloned().unwrap_or(Value::Null),
                takes_text: child.takes("string"),
            });
        } else {
            collect(&child, path, out);
        }
        path.pop();
    }
}

/// The schema of one place in a file.
#[derive(Debug, Clone)]
pub struct Shape(Value);

impl Shape {
    /// The shape of a whole file.
    pub fn of<T: JsonSchema>() -> Self {
        Self(generate::<T>())
    }

    /// The shape under a key; none if there may be no such key, or if nothing is known of it.
    pub fn child(&self, key: &str) -> Option<Self> {
        self.objects().find_map(|object| {
            if let Some(field) = object.get("properties").and_then(|p| p.get(key)) {
                return Some(Self(field.clone()));
            }
            object
                .get("additionalProperties")
                .filter(|rest| rest.is_object())
                .map(|rest| Self(rest.clone()))
        })
    }

    /// The shape of an array's items.
    pub fn items(&self) -> Option<Self> {
        self.alternatives()
            .find_map(|schema| schema.get("items"))
            .map(|items| Self(items.clone()))
    }

    /// Whether every key is fine here, or the place takes no table at all (then the reader says so better).
    pub fn is_open(&self) -> bool {
        self.objects().next().is_none()
            || self
                .objects()
                .any(|o| o.get("additionalProperties") == Some(&Value::Bool(true)))
    }

    /// Says that a key is unknown here, and what was probably meant.
    pub fn unknown(&self, key: &str) -> String {
        let known: Vec<String> = self.fields().into_iter().map(|(name, _)| name).collect();
        match nearest(key, known.iter().map(String::as_str)) {
            Some(name) => format!("unknown key; did you mean '{name}'?"),
            None => format!("unknown key; known here: {}", known.join(", ")),
        }
    }

    fn fields(&self) -> Vec<(String, Self)> {
        let properties = self
            .objects()
            .filter_map(|object| object.get("properties").and_then(Value::as_object));
        properties
            .flatten()
            .map(|(name, schema)| (name.clone(), Self(schema.clone())))
            .collect()
    }

    fn doc(&self) -> String {
        self.0
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .replace('\n', " ")
    }

    fn takes(&self, kind: &str) -> bool {
        self.alternatives().any(|schema| match schema.get("type") {
            Some(Value::String(name)) => name == kind,
            Some(Value::Array(names)) => names.iter().any(|name| name == kind),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => false,
            // An enumeration of texts, one `const` each.
            None => {
                kind == "string" && (schema.contains_key("const") || schema.contains_key("enum"))
            }
        })
    }

    fn takes_table_only(&self) -> bool {
        self.takes("object") && !self.takes("string") && !self.takes("array")
    }

    /// The schema itself and what it offers to choose from.
    fn alternatives(&self) -> impl Iterator<Item = &Map<String, Value>> {
        let choices = ["anyOf", "oneOf"]
            .into_iter()
            .filter_map(|key| self.0.get(key).and_then(Value::as_array))
            .flatten();
        std::iter::once(&self.0)
            .chain(choices)
            .filter_map(Value::as_object)
    }

    fn objects(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.alternatives().filter(|schema| {
            schema.contains_key("properties") || schema.contains_key("additionalProperties")
        })
    }
}

/// The known name that a wrong one is closest to, if it is close enough to be a slip.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace('_', "-");
    let wrong = fold(wrong);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &fold(name)), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(wrong.len()) / 4)
        .min()
        .map(|(_, name)| name)
}

fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
