//! How a command ends: its exit code, and an error that says what to try.

use std::fmt;

use serde_json::Value;

use crate::grains::HOOK_REFUSED;

/// The exit codes. Scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did not work.
    Failure = 1,
    /// The command line or a file is wrong.
    Usage = 2,
    /// A gate refused, or a rollout is halted.
    Refused = 3,
    /// There is no such thing.
    NotFound = 4,
    /// Not allowed.
    Denied = 5,
    /// It took too long.
    Timeout = 6,
    /// No node answers.
    Unreachable = 7,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Error {
    /// The exit code.
    pub exit: Exit,
    /// What happened: the first line is the heart of it.
    pub message: String,
    /// What to try.
    pub hint: String,
    /// The node's own words, where it is the node that refused.
    pub problem: Option<Value>,
}

impl Error {
    /// An error of this program's own.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: hint.into(),
            problem: None,
        }
    }

    /// A plain failure.
    pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message, hint)
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// An error with its causes in one line.
    pub fn caused(exit: Exit, error: &dyn std::error::Error, hint: impl Into<String>) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some crates repeat the cause in their own text.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(exit, message, hint)
    }

    /// The node's problem+json, said for people.
    pub fn problem(problem: Value) -> Self {
        let text = |key: &str| problem.get(key).and_then(Value::as_str);
        let case = text("type")
            .and_then(|url| url.rsplit('/').next())
            .unwrap_or_default()
            .to_owned();
        let status = problem
            .get("status")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let mut message = subject(&problem);
        match problem.get("error") {
            Some(error) if case == "app-error" => message.push_str(&format!("err {error}")),
            Some(_) | None => message.push_str(
                text("detail")
                    .or_else(|| text("title"))
                    .unwrap_or("the node refused"),
            ),
        }
        let mut line =
            |label: &str, value: String| message.push_str(&format!("\n  {label}: {value}"));
        if let Some(pointer) = text("pointer").filter(|pointer| !pointer.is_empty()) {
            line("at", pointer.to_owned());
        }
        let list = |key: &str| -> Vec<&str> {
            problem
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        };
        if 1 < list("call-chain").len() {
            line("call chain", list("call-chain").join(" → "));
        }
        // Frames without a name tell a person nothing.
        let named = list("backtrace")
            .into_iter()
            .filter(|frame| !frame.contains("<wasm function"));
        for frame in named.take(12) {
            line("in", frame.to_owned());
        }
        match text("outcome") {
            Some("committed") if case == "app-error" => {
                line("outcome", "the turn was committed".to_owned())
            }
            Some("unknown") => line("outcome", "unknown; it may have happened".to_owned()),
            Some(_) | None => {}
        }
        let hint = hint(&case, &problem)
            .or_else(|| text("try").map(str::to_owned))
            .unwrap_or_else(|| "granary doctor".to_owned());
        Self {
            exit: exit_of(status, &case),
            message,
            hint,
            problem: Some(problem),
        }
    }
}

/// `cart/7 add: `, or less where less is known.
fn subject(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let mut subject = match (text("kind"), text("key")) {
        (Some(kind), Some(key)) => format!("{kind}/{key}"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => return String::new(),
    };
    if let Some(method) = text("method") {
        subject.push(' ');
        subject.push_str(method);
    }
    subject.push_str(": ");
    subject
}

fn exit_of(status: u64, case: &str) -> Exit {
    match (status, case) {
        (_, "breaking" | "halted" | "rollout-halted") => Exit::Refused,
        (404, _) => Exit::NotFound,
        (401 | 403, _) => Exit::Denied,
        (408 | 504, _) => Exit::Timeout,
        _ => Exit::Failure,
    }
}

/// What to try, as a command where there is one; the node itself speaks of HTTP paths.
fn hint(case: &str, problem: &Value) -> Option<String> {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let kind = text("kind").unwrap_or("KIND");
    let grain = match text("key") {
        Some(key) => format!("{kind}/{key}"),
        None => kind.to_owned(),
    };
    Some(match case {
        "not-found" if text("method").is_some() => format!("granary wit show {kind}"),
        "not-found" => "granary ls kinds".to_owned(),
        "invalid" | "bad-body" => format!("granary wit show {kind}"),
        "app-error" => format!("granary wit show {kind} says what each err means"),
        "unauthorized" => "give the token with --token or GRANARY_TOKEN".to_owned(),
        "timeout" => format!("granary explain {grain}, or more time with --timeout"),
        "guest-trap" => format!("granary logs {grain}"),
        "limit-exceeded" => {
            let limit = text("limit").unwrap_or("…");
            format!("use less, or raise '{limit}' under [kinds.{kind}.limits] and deploy again")
        }
        "breaking" => {
            "granary deploy --plan shows every change; granary deploy --breaking if it is meant"
                .to_owned()
        }
        "deadlock" => {
            "let one of the methods in the chain send one-way, or not call back".to_owned()
        }
        // What the grain's own code refused is not short of anything.
        "unavailable" if text("detail").is_some_and(|detail| detail.contains(HOOK_REFUSED)) => {
            format!("granary logs {grain}; each further call runs the hook again")
        }
        "overloaded" | "unavailable" => {
            "repeat it in a moment; granary doctor shows what is short".to_owned()
        }
        "no-revision" | "nothing-before" => format!("granary get {kind}"),
        "precondition-failed" => format!("granary state ls {grain}, then repeat"),
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\ntry: {}", self.message, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(case: &str, status: u16, more: Value) -> Error {
        let mut problem = json!({
            "type": format!("/problems/{case}"), "status": status, "detail": "what happened",
            "kind": "cart", "key": "7", "method": "add", "try": "the node's hint",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            problem[key] = value.clone();
        }
        Error::problem(problem)
    }

    #[test]
    fn each_problem_has_the_exit_code_that_scripts_rely_on() {
        let cases = [
            ("not-found", 404, Exit::NotFound),
            ("unauthorized", 401, Exit::Denied),
            ("denied", 403, Exit::Denied),
            ("timeout", 504, Exit::Timeout),
            ("breaking", 409, Exit::Refused),
            ("app-error", 404, Exit::NotFound),
            ("guest-trap", 500, Exit::Failure),
            ("conflict", 409, Exit::Failure),
        ];
        for (case, status, exit) in cases {
            assert_eq!(problem(case, status, json!({})).exit, exit, "{case}");
        }
    }

    #[test]
    fn a_problem_is_said_with_its_subject_its_place_and_what_to_try() {
        let wrong = problem("invalid", 422, json!({ "pointer": "/0/count" }));
        assert_eq!(
            wrong.to_string(),
            "cart/7 add: what happened\n  at: /0/count\ntry: granary wit show cart"
        );
        let app = problem(
            "app-error",
            400,
            json!({ "error": { "sold-out": 3 }, "outcome": "committed" }),
        );
        assert_eq!(
            app.to_string(),
            "cart/7 add: err {\"sold-out\":3}\n  outcome: the turn was committed\ntry: granary wit show cart says what each err means"
        );
        let refused = json!({ "detail": format!("the grain's 'activate' {HOOK_REFUSED}closed") });
        let refused = problem("unavailable", 503, refused).hint;
        assert!(
            refused.starts_with("granary logs cart/7;") && !refused.contains("in a moment"),
            "{refused}"
        );
        let circle = problem(
            "deadlock",
            508,
            json!({ "call-chain": ["a/1", "b/1", "a/1"] }),
        );
        assert!(
            circle.message.contains("call chain: a/1 → b/1 → a/1"),
            "{circle}"
        );
    }
}
