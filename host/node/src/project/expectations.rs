//! The tests of a project: calls with what is expected of them, in `tests/*.toml` or `tests/*.json` beside `granary.toml`.
//!
//! They are the same in every language, because they go through the grain's interface as its callers do.

use std::path::{Path, PathBuf};

use granary_core::id::GrainId;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::config::document::{Document, Problem, Problems};

/// The folder beside the project file.
const FOLDER: &str = "tests";

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its tests, in their order.
    pub tests: Vec<Test>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    test: Vec<Test>,
}

/// Calls in order, on grains that begin without state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows, as a sentence.
    pub name: String,
    /// The calls.
    pub call: Vec<Call>,
}

/// One call, and what is expected of it: a result unless it says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `kind/key`.
    pub grain: String,
    /// The method.
    pub method: String,
    /// The arguments: a list in order, or a table by name.
    #[serde(default = "no_arguments")]
    pub args: Value,
    /// The result. Of a method that answers `result<…>`, the value of its `ok`.
    #[serde(default, deserialize_with = "given")]
    pub ok: Option<Value>,
    /// The value of the method's `err`.
    #[serde(default, deserialize_with = "given")]
    pub err: Option<Value>,
    /// Why the call fails altogether, in the words of the HTTP interface: `guest-trap`, `invalid`, `limit-exceeded`, …
    #[serde(default)]
    pub problem: Option<String>,
}

fn no_arguments() -> Value {
    Value::Array(Vec::new())
}

/// A value that is written is expected, `null` too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads every file of tests beside a project file, in the order of their names.
pub fn read(project: &Path) -> Result<Vec<TestFile>, Problems> {
    let entries = std::fs::read_dir(project.join(FOLDER))
        .into_iter()
        .flatten()
        .flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "toml" || end == "json")
        })
        .collect();
    paths.sort();
    paths.into_iter().map(file).collect()
}

fn file(path: PathBuf) -> Result<TestFile, Problems> {
    let document = Document::open(&path)?;
    let is_json = path.extension().is_some_and(|end| end == "json");
    let written: Written = if is_json {
        let text = std::fs::read(&path).unwrap_or_default();
        serde_json::from_slice(&text).map_err(|error| Problem {
            source: path.display().to_string(),
            position: None,
            key: String::new(),
            why: error.to_string(),
        })?
    } else {
        document.read()?
    };
    let wrong = |test: &Test, call: &Call, why: String| {
        let what = format!("test '{}': {} {}", test.name, call.grain, call.method);
        Problems::from(Problem {
            source: path.display().to_string(),
            position: None,
            key: what,
            why,
        })
    };
    for test in &written.test {
        for call in &test.call {
            GrainId::parse(&call.grain).map_err(|error| wrong(test, call, error.to_string()))?;
            let outcomes = [
                call.ok.is_some(),
                call.err.is_some(),
                call.problem.is_some(),
            ];
            if 1 < outcomes.into_iter().filter(|given| *given).count() {
                return Err(wrong(
                    test,
                    call,
                    "expects more than one of ok, err and problem".to_owned(),
                ));
            }
            if !call.args.is_array() && !call.args.is_object() {
                return Err(wrong(
                    test,
                    call,
                    "args must be a list, or a table by parameter name".to_owned(),
                ));
            }
        }
    }
    Ok(TestFile {
        path,
        tests: written.test,
    })
}

/// Whether two values are the same to somebody who wrote one of them: `5` and `5.0` are.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || ((one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |key: &String, value| other.get(key).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(|(key, value)| has(key, value))
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reading(name: &str, text: &str) -> Result<Vec<TestFile>, Problems> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        std::fs::write(folder.path().join(FOLDER).join(name), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "[[test]]\nname = \"a\"\n[[test.call]]\ngrain = \"k/1\"\nmethod = \"m\"\nargs = [1]\nok = { x = 1.0 }\n";
        let json = r#"{"test": [{"name": "a", "call": [{"grain": "k/1", "method": "m", "args": [1], "ok": {"x": 1}}]}]}"#;
        for (name, text) in [("a.toml", toml), ("a.json", json)] {
            let files = reading(name, text).unwrap();
            let call = &files[0].tests[0].call[0];
            assert_eq!(
                (call.grain.as_str(), call.args.clone()),
                ("k/1", json!([1]))
            );
            assert!(same(call.ok.as_ref().unwrap(), &json!({ "x": 1 })));
        }
        let null =
            r#"{"test": [{"name": "a", "call": [{"grain": "k/1", "method": "m", "ok": null}]}]}"#;
        assert_eq!(
            reading("a.json", null).unwrap()[0].tests[0].call[0].ok,
            Some(Value::Null)
        );
        assert!(reading("notes.txt", "").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_file_is_said_with_its_place() {
        let call = "[[test]]\nname = \"a\"\n[[test.call]]\nmethod = \"m\"\n";
        let cases = [
            (format!("{call}grain = \"k/1\"\nresult = 1\n"), "result"),
            (format!("{call}grain = \"no grain\"\n"), "test 'a'"),
            (
                format!("{call}grain = \"k/1\"\nok = 1\nerr = 1\n"),
                "more than one",
            ),
            (format!("{call}grain = \"k/1\"\nargs = 1\n"), "args must be"),
        ];
        for (text, expected) in cases {
            let error = reading("a.toml", &text).unwrap_err().to_string();
            assert!(
                error.contains("a.toml") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn values_are_compared_as_people_read_them() {
        assert!(same(&json!([1, { "a": 2.0 }]), &json!([1.0, { "a": 2 }])));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(&json!([1]), &json!([1, 2])));
        assert!(!same(&json!({ "a": 1 }), &json!({ "a": 1, "b": 2 })));
        assert!(!same(
            &json!(18_446_744_073_709_551_615_u64),
            &json!(18_446_744_073_709_551_614_u64)
        ));
    }
}
