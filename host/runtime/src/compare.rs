//! What a new interface means for those who call the old one.
//!
//! Types are compared by what they are made of, from the side of a caller who speaks JSON (see [`crate::value`]); names of types and the
//! way to write a type in WIT do not count. The question is always whether every document of one type is understood as the other: for
//! **arguments** old documents must be understood by the new type, for **results** new documents by those who know the old type.
//!
//! | change | in arguments | in a result |
//! |---|---|---|
//! | method removed / added | breaking / additive | |
//! | parameter added at the end as `option` | additive | |
//! | any other parameter added, removed, renamed or moved | breaking | |
//! | record field added | additive if `option`, else breaking | additive: readers pass over what they do not know |
//! | record field removed | breaking | breaking |
//! | case of an enum or variant, or a flag: added | additive | breaking |
//! | … removed | breaking | additive |
//! | payload of a case, `ok` or `err`: added or removed | breaking | breaking |
//! | `T` became `option<T>` | additive | breaking |
//! | `option<T>` became `T` | breaking | additive |
//! | a number's range grew (`u8` to `u32`, `u32` to `f64`, `char` to `string`, …) | additive | breaking |
//! | … shrank | breaking | additive |
//! | `list<T, N>` became `list<T>` / the other way | additive / breaking | breaking / additive |
//! | a result where there was none / none where there was one | | additive / breaking |
//! | the outermost `result<T, E>` became `T`, or the other way | | additive: any call may fail |
//! | `wasi:http` handler removed / added | breaking / additive | |
//! | anything else that is not equal | breaking | breaking |
//!
//! Documentation, `async`, imports and hooks are none of a caller's business.

use serde::{Deserialize, Serialize};

mod flow;
#[cfg(test)]
mod tests;

use crate::interface::{self, ClientImport, Flow, Interface, Method, Shape, Ty};
use flow::{Direction, Walk};

/// What a change of interface means for callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No caller can tell.
    Same,
    /// Every old call still works.
    Additive,
    /// Some old call fails, or some old caller meets an answer that it cannot read.
    Breaking,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where, as in `put/item/quantity` or `total/result`.
    pub path: String,
    /// What, for a person.
    pub what: String,
    /// Whether it breaks callers.
    pub breaking: bool,
}

/// The differences of two interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The worst of the changes.
    pub verdict: Verdict,
    /// All of them, in the order of the methods.
    pub changes: Vec<Change>,
}

/// Compares an interface with the one that it replaces.
pub fn compare(old: &Interface, new: &Interface) -> Comparison {
    let mut walk = Walk::new(&old.types, &new.types);
    for method in &old.methods {
        // By the exact public name: that is what callers wrote down.
        match new
            .methods
            .iter()
            .find(|candidate| candidate.name == method.name)
        {
            Some(now) => method_changes(&mut walk, method, now),
            None => walk.note(&method.name, "method removed", true),
        }
    }
    for method in &new.methods {
        if !old
            .methods
            .iter()
            .any(|candidate| candidate.name == method.name)
        {
            walk.note(&method.name, "method added", false);
        }
    }
    match (&old.http, &new.http) {
        (Some(_), None) => walk.note("http", "HTTP handler removed", true),
        (None, Some(_)) => walk.note("http", "HTTP handler added", false),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let changes = walk.finish();
    let worst = |change: &Change| {
        if change.breaking {
            Verdict::Breaking
        } else {
            Verdict::Additive
        }
    };
    Comparison {
        verdict: changes.iter().map(worst).max().unwrap_or(Verdict::Same),
        changes,
    }
}

/// What of a kind does not fit a client that was made from it, or from a kind like it. Empty: every call of the client works.
pub fn compare_client(client: &ClientImport, called: &Interface) -> Vec<Change> {
    let of_method = |method: &Method| match interface::target(method, called) {
        Some(now) => misfits(method, now),
        None => vec![Change {
            path: method.name.clone(),
            what: "there is no such method".to_owned(),
            breaking: true,
        }],
    };
    let methods = client.methods.iter();
    methods.flat_map(|known| of_method(&known.method)).collect()
}

/// What breaks a client's calls of one method.
pub(crate) fn misfits(client: &Method, called: &Method) -> Vec<Change> {
    let mut walk = Walk::new(&client.types, &called.types);
    method_changes(&mut walk, client, called);
    let mut changes = walk.finish();
    changes.retain(|change| change.breaking);
    changes
}

/// Changes on one line.
pub fn in_words(changes: &[Change]) -> String {
    let lines: Vec<_> = changes
        .iter()
        .map(|change| format!("{}: {}", change.path, change.what))
        .collect();
    lines.join("; ")
}

fn method_changes(walk: &mut Walk<'_>, old: &Method, new: &Method) {
    walk.enter_method();
    match (&old.not_callable, &new.not_callable) {
        (None, Some(why)) => return walk.note(&old.name, why, true),
        (Some(_), None) => return walk.note(&old.name, "can be called now", false),
        (None, None) | (Some(_), Some(_)) => {}
    }
    params(walk, old, new);
    match (&old.stream_param, &new.stream_param) {
        (Some(was), None) => walk.note(
            &format!("{}/{was}", old.name),
            "the body is no stream any more",
            true,
        ),
        (None, Some(is)) => walk.note(
            &format!("{}/{is}", old.name),
            "parameter added: stream<u8>, the body of the request",
            true,
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    result(walk, old, new);
}

fn params(walk: &mut Walk<'_>, old: &Method, new: &Method) {
    for (at, param) in old.params.iter().enumerate() {
        let path = format!("{}/{}", old.name, param.name);
        match new.params.get(at) {
            Some(now) if now.name == param.name => {
                walk.types(&path, param.ty, now.ty, Direction::Argument)
            }
            Some(now) if new.params.iter().any(|other| other.name == param.name) => {
                walk.note(
                    &path,
                    &format!("parameter moved: '{}' is in its place", now.name),
                    true,
                );
            }
            Some(now) if old.params.iter().any(|other| other.name == now.name) => {
                walk.note(&path, "parameter removed", true)
            }
            Some(now) => walk.note(&path, &format!("parameter renamed to '{}'", now.name), true),
            None => walk.note(&path, "parameter removed", true),
        }
    }
    for param in new.params.iter().skip(old.params.len()) {
        let path = format!("{}/{}", old.name, param.name);
        let is_optional = new.types.is_optional(param.ty);
        walk.note(
            &path,
            &format!("parameter added: {}", param.wit),
            !is_optional,
        );
    }
    if old.bare_object && !new.bare_object {
        let what = "an object that is not named like a parameter is no longer taken as the first parameter's value";
        walk.note(&old.name, what, true);
    }
}

fn result(walk: &mut Walk<'_>, old: &Method, new: &Method) {
    let ((old_ok, old_err), (new_ok, new_err)) = (outcomes(old), outcomes(new));
    let path = format!("{}/result", old.name);
    // The items of streams may differ as values may, but bytes are no document.
    let (old_ok, new_ok) = match (old.item_ty, new.item_ty) {
        (Some(was), Some(is)) if gives_bytes(old) == gives_bytes(new) => (Some(was), Some(is)),
        (Some(_) | None, _) => (old_ok, new_ok),
    };
    match (old_ok, new_ok) {
        (Some(was), Some(is)) => walk.types(&path, was, is, Direction::Result),
        (Some(_), None) => walk.note(&path, "result removed", true),
        (None, Some(is)) => walk.note(
            &path,
            &format!("result added: {}", new.types.wit(is)),
            false,
        ),
        (None, None) => {}
    }
    let path = format!("{}/err", old.name);
    match (old_err, new_err) {
        (Some(Some(was)), Some(Some(is))) => walk.types(&path, was, is, Direction::Result),
        (Some(Some(_)), Some(None)) => walk.note(&path, "the payload of err removed", true),
        (Some(None), Some(Some(_))) => walk.note(&path, "a payload of err added", true),
        (Some(_), None) => walk.note(&path, "answers no err any more", false),
        (None, Some(_)) => walk.note(&path, "may answer err now", false),
        (Some(None), Some(None)) | (None, None) => {}
    }
}

fn gives_bytes(method: &Method) -> bool {
    method.flow.is_some_and(Flow::is_bytes)
}

/// What a method gives as its value, and what with `err`, if it has that.
pub(crate) fn outcomes(method: &Method) -> (Option<Ty>, Option<Option<Ty>>) {
    match method.result_ty.map(|ty| (ty, method.types.shape(ty))) {
        Some((_, Shape::Result(ok, err))) => (*ok, Some(*err)),
        Some((ty, _)) => (Some(ty), None),
        None => (None, None),
    }
}
