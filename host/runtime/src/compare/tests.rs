use super::*;
use crate::interface::sample::{api, interface};

fn changes(old: &str, new: &str) -> Vec<(String, String, bool)> {
    let found = compare(&api(old), &api(new));
    let worst = found
        .changes
        .iter()
        .map(|c| {
            if c.breaking {
                Verdict::Breaking
            } else {
                Verdict::Additive
            }
        })
        .max();
    assert_eq!(found.verdict, worst.unwrap_or(Verdict::Same));
    found
        .changes
        .into_iter()
        .map(|c| (c.path, c.what, c.breaking))
        .collect()
}

fn one(old: &str, new: &str) -> (String, String, bool) {
    let mut found = changes(old, new);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn change(path: &str, what: &str, breaking: bool) -> (String, String, bool) {
    (path.to_owned(), what.to_owned(), breaking)
}

const ADDITIVE: bool = false;
const BREAKING: bool = true;

#[test]
fn equal_structure_is_the_same_whatever_the_names() {
    let old = "record a { x: u32 } type b = list<a>; f: func(p: b) -> option<a>;";
    let new = "record z { x: u32 } f: async func(p: list<z>) -> option<z>;";
    assert_eq!(changes(old, new), []);
}

#[test]
fn methods_come_and_go() {
    assert_eq!(
        one("f: func(); g: func();", "f: func();"),
        change("g", "method removed", BREAKING)
    );
    assert_eq!(
        one("f: func();", "f: func(); g: func();"),
        change("g", "method added", ADDITIVE)
    );
}

#[test]
fn a_name_that_must_be_qualified_from_now_on_is_removed() {
    let old = "package d:d; interface a { get: func(); } world grain { export a; }";
    let new = "package d:d; interface a { get: func(); } interface b { get: func(); } world grain { export a; export b; }";
    let found = compare(&interface(old), &interface(new));
    assert_eq!(found.verdict, Verdict::Breaking);
}

#[test]
fn only_an_optional_parameter_at_the_end_is_additive() {
    let added = |what: &str, breaking| change("f/b", what, breaking);
    assert_eq!(
        one("f: func(a: u32);", "f: func(a: u32, b: option<u8>);"),
        added("parameter added: option<u8>", ADDITIVE)
    );
    assert_eq!(
        one("f: func(a: u32);", "f: func(a: u32, b: u8);"),
        added("parameter added: u8", BREAKING)
    );
    assert_eq!(
        one("f: func(a: u32);", "f: func(b: u32);"),
        change("f/a", "parameter renamed to 'b'", BREAKING)
    );
    assert_eq!(
        one("f: func(a: u32, b: u8);", "f: func(a: u32);"),
        added("parameter removed", BREAKING)
    );
    let moved = changes("f: func(a: u32, b: u8);", "f: func(b: u8, a: u32);");
    assert_eq!(moved.len(), 2);
    assert!(
        moved
            .iter()
            .all(|(_, what, breaking)| *breaking && what.starts_with("parameter moved"))
    );
}

#[test]
fn a_bare_object_that_becomes_ambiguous_is_breaking() {
    let old = "record item { name: string, note: option<string> } f: func(item: item);";
    let new = "record item { name: string, note: option<string> } f: func(item: item, note: option<string>);";
    let found = changes(old, new);
    assert_eq!(
        found
            .iter()
            .map(|c| (c.0.as_str(), c.2))
            .collect::<Vec<_>>(),
        [("f/note", ADDITIVE), ("f", BREAKING)]
    );
}

#[test]
fn record_fields() {
    let with =
        |fields: &str| format!("record r {{ a: u32{fields} }} put: func(r: r); get: func() -> r;");
    let added = changes(&with(""), &with(", b: option<u8>"));
    let what = "field added: option<u8>";
    assert_eq!(
        added,
        [
            change("put/r/b", what, ADDITIVE),
            change("get/result/b", what, ADDITIVE)
        ]
    );
    let added = changes(&with(""), &with(", b: u8"));
    let what = "field added: u8";
    assert_eq!(
        added,
        [
            change("put/r/b", what, BREAKING),
            change("get/result/b", what, ADDITIVE)
        ]
    );
    let removed = changes(&with(", b: u8"), &with(""));
    let what = "field removed";
    assert_eq!(
        removed,
        [
            change("put/r/b", what, BREAKING),
            change("get/result/b", what, BREAKING)
        ]
    );
    assert_eq!(
        changes(&with(", b: u8, c: u8"), &with(", c: u8, b: u8")),
        []
    );
}

#[test]
fn cases_and_flags() {
    for sort in ["enum", "flags", "variant"] {
        let with =
            |cases: &str| format!("{sort} e {{ a{cases} }} put: func(e: e); get: func() -> e;");
        let noun = if sort == "flags" { "flag" } else { "case" };
        let what = format!("{noun} added");
        let added = changes(&with(""), &with(", b"));
        assert_eq!(
            added,
            [
                change("put/e/b", &what, ADDITIVE),
                change("get/result/b", &what, BREAKING)
            ]
        );
        let what = format!("{noun} removed");
        let removed = changes(&with(", b"), &with(""));
        assert_eq!(
            removed,
            [
                change("put/e/b", &what, BREAKING),
                change("get/result/b", &what, ADDITIVE)
            ]
        );
    }
}

#[test]
fn payloads() {
    let with = |payload: &str| format!("variant v {{ a{payload} }} put: func(v: v);");
    assert_eq!(
        one(&with(""), &with("(u8)")),
        change("put/v/a", "payload added: u8", BREAKING)
    );
    assert_eq!(
        one(&with("(u8)"), &with("")),
        change("put/v/a", "payload removed", BREAKING)
    );
    let wider = change("put/v/a", "u8 became u32, which is wider", ADDITIVE);
    assert_eq!(one(&with("(u8)"), &with("(u32)")), wider);
}

#[test]
fn options() {
    let put = |ty: &str| format!("put: func(v: {ty});");
    let get = |ty: &str| format!("get: func() -> {ty};");
    let (may, may_not) = ("may be none now", "may not be none any more");
    assert_eq!(
        one(&put("u8"), &put("option<u8>")),
        change("put/v", may, ADDITIVE)
    );
    assert_eq!(
        one(&get("u8"), &get("option<u8>")),
        change("get/result", may, BREAKING)
    );
    assert_eq!(
        one(&put("option<u8>"), &put("u8")),
        change("put/v", may_not, BREAKING)
    );
    assert_eq!(
        one(&get("option<u8>"), &get("u8")),
        change("get/result", may_not, ADDITIVE)
    );
    assert!(one(&put("option<u8>"), &put("option<option<u8>>")).2);
}

#[test]
fn ranges_of_numbers_and_texts() {
    let wider = [
        ("u8", "u16"),
        ("u8", "s16"),
        ("u32", "u64"),
        ("u32", "s64"),
        ("s8", "s64"),
        ("u32", "f64"),
        ("s16", "f32"),
        ("f32", "f64"),
        ("char", "string"),
    ];
    for (small, large) in wider {
        let put = |ty: &str| format!("put: func(v: {ty});");
        let get = |ty: &str| format!("get: func() -> {ty};");
        assert!(
            !one(&put(small), &put(large)).2,
            "{small} → {large} as an argument"
        );
        assert!(
            one(&put(large), &put(small)).2,
            "{large} → {small} as an argument"
        );
        assert!(
            one(&get(small), &get(large)).2,
            "{small} → {large} as a result"
        );
        assert!(
            !one(&get(large), &get(small)).2,
            "{large} → {small} as a result"
        );
    }
    for (a, b) in [
        ("u8", "s8"),
        ("u64", "f64"),
        ("u32", "f32"),
        ("u32", "string"),
        ("bool", "u8"),
        ("list<u8>", "string"),
        ("list<u8>", "list<u16>"),
    ] {
        let put = |ty: &str| format!("put: func(v: {ty});");
        assert!(one(&put(a), &put(b)).2, "{a} → {b}");
        assert!(one(&put(b), &put(a)).2, "{b} → {a}");
    }
}

#[test]
fn arrays() {
    let put = |ty: &str| format!("put: func(v: {ty});");
    assert_eq!(one(&put("list<u32>"), &put("list<u64>")).0, "put/v/*");
    assert!(one(&put("tuple<u8, u8>"), &put("tuple<u8>")).2);
    assert_eq!(
        one(&put("tuple<u8, char>"), &put("tuple<u8, string>")),
        change("put/v/1", "char became string, which is wider", ADDITIVE)
    );
}

#[test]
fn results() {
    let get = |ty: &str| format!("get: func(){ty};");
    assert_eq!(
        one(&get(""), &get(" -> u8")),
        change("get/result", "result added: u8", ADDITIVE)
    );
    assert_eq!(
        one(&get(" -> u8"), &get("")),
        change("get/result", "result removed", BREAKING)
    );
    assert_eq!(
        one(&get(" -> u8"), &get(" -> result<u8, string>")),
        change("get/err", "may answer err now", ADDITIVE)
    );
    assert_eq!(
        one(&get(" -> result<u8>"), &get(" -> u8")),
        change("get/err", "answers no err any more", ADDITIVE)
    );
    assert!(one(&get(" -> result<u8, string>"), &get(" -> result<u8, u32>")).2);
    assert!(one(&get(" -> result<u8, string>"), &get(" -> result<u8>")).2);
    let inner = one(
        &get(" -> list<result<u8, string>>"),
        &get(" -> list<result<u8>>"),
    );
    assert_eq!(
        inner,
        change("get/result/*/err", "payload removed", BREAKING)
    );
}

#[test]
fn a_method_that_becomes_uncallable_is_breaking() {
    let live = "f: func(s: error-context);";
    assert!(one("f: func(s: list<u8>);", live).2);
    assert!(!one(live, "f: func(s: list<u8>);").2);
    assert_eq!(changes(live, live), []);
}

#[test]
fn streams_are_compared_by_what_they_carry_and_futures_like_their_values() {
    let numbers = "record r { n: u8 } f: func() -> stream<r>;";
    let more = "record r { n: u8, text: string } f: func() -> stream<r>;";
    assert_eq!(one(numbers, more).1, "field added: string");
    assert!(!one(numbers, more).2 && one(more, numbers).2);
    // Bytes are no document, though numbers are.
    assert!(one("f: func() -> stream<u16>;", "f: func() -> stream<u8>;").2);
    let stream = "f: func(s: stream<u8>);";
    assert_eq!(changes(stream, stream), []);
    assert!(changes("f: func(s: list<u8>);", stream).iter().any(|c| c.2));
    assert!(changes(stream, "f: func();").iter().all(|c| c.2));
    assert!(one("f: func() -> stream<u8>;", "f: func() -> stream<string>;").2);
    assert_eq!(changes("f: func() -> future<u8>;", "f: func() -> u8;"), []);
}

#[test]
fn a_changed_type_is_told_for_each_method_that_uses_it() {
    let with =
        |field: &str| format!("record r {{ a: u32{field} }} f: func(r: r); g: func(r: r, s: r);");
    let found = changes(&with(""), &with(", b: u8"));
    assert_eq!(
        found.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(),
        ["f/r/b", "g/r/b"]
    );
}
