use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Manifest, String> {
    Manifest::read(
        &Document::new("granary.toml", text),
        Path::new("granary.toml"),
    )
    .map_err(|e| e.to_string())
}

fn wrong(text: &str) -> String {
    read(text).expect_err("the text is wrong")
}

#[test]
fn a_full_manifest_is_read_into_checked_settings() {
    let text = r#"
[package]
name = "shop"

[kinds.cart]
component = "cart.wasm"
description = "A basket"
[kinds.cart.limits]
memory = "32MiB"
cpu-time = "250ms"
sends = 3
[kinds.cart.methods.total]
mode = "read"
cache = "30s"
[kinds.cart.methods.checkout]
rollback-on-err = true
err-status = 409
timeout = "5s"
[kinds.cart.grants]
directories = [{ host = "data", guest = "/data", writable = true }]
environment = { CURRENCY = "EUR" }
config = { tax = "19" }
http = ["https://pay.example.com", { host = "*.example.org:8443", methods = ["GET"], private = true }, "http://[::1]:80"]
"#;
    let manifest = read(text).unwrap();
    let kind = &manifest.kinds[0];
    assert_eq!(kind.source, Source::Prebuilt("./cart.wasm".into()));
    let mut limits = Limits::DEFAULT;
    limits.memory = 32 << 20;
    limits.cpu_time = std::time::Duration::from_millis(250);
    limits.sends = 3;
    assert_eq!(kind.spec.limits, limits);
    assert_eq!(kind.spec.methods["total"].cache_seconds, Some(30));
    assert_eq!(kind.spec.methods["checkout"].err_status, Some(409));
    assert_eq!(
        kind.spec.grants.describe(),
        [
            "directory data → /data (read-write)",
            "environment CURRENCY",
            "config tax",
            "http https://pay.example.com (any method)",
            "http http(s)://*.example.org:8443 (GET, private addresses too)",
            "http http://[::1]:80 (any method)",
        ]
    );
    // What a deployment sends says the same to the node that reads it.
    let sent = serde_json::to_value(&kind.section).unwrap();
    assert_eq!(kind_from_json(&kind.spec.name, &sent).unwrap(), kind.spec);
}

/// What follows a kind's header, and what is said of it.
const WRONG: &[(&str, &str)] = &[
    (
        "[kinds.cart.limits]\nmemry = 1",
        "granary.toml:4:1: kinds.cart.limits.memry: unknown key; did you mean 'memory'?",
    ),
    (
        "colour = 1",
        "granary.toml:3:1: kinds.cart.colour: unknown key; known here: component, build, language, stack, command, description, limits, methods, grants, clients",
    ),
    (
        "[kinds.cart.limits]\nmemory = \"64 miles\"",
        "granary.toml:4:10: kinds.cart.limits.memory: '64 miles' is no size; write bytes, or a whole number with a unit, such as \"64MiB\" or \"512KiB\"",
    ),
    (
        "[kinds.cart.limits]\nmemory = \"1TiB\"",
        "granary.toml:4:10: kinds.cart.limits.memory: '1TiB' is no size; write bytes, or a whole number with a unit, such as \"64MiB\" or \"512KiB\"",
    ),
    (
        "[kinds.cart.limits]\nmemory = \"2GiB\"",
        "granary.toml:4:10: kinds.cart.limits.memory: 2GiB is out of range: 1MiB to 256MiB",
    ),
    (
        "[kinds.cart.limits]\ncpu-time = 3",
        "granary.toml:4:12: kinds.cart.limits.cpu-time: invalid type: integer `3`, expected a period with its unit, such as \"30s\"",
    ),
    (
        "[kinds.cart.limits]\nidle = \"1ms\"",
        "granary.toml:4:8: kinds.cart.limits.idle: 1ms is out of range: 1s to 7days",
    ),
    (
        "[kinds.cart.methods.get]\nmode = \"reed\"",
        "granary.toml:4:8: kinds.cart.methods.get.mode: unknown variant `reed`, expected one of `exclusive`, `read`, `interleave`",
    ),
    (
        "[kinds.cart.methods.get]\nerr-status = 200",
        "granary.toml:4:14: kinds.cart.methods.get.err-status: 200 is out of range: 400 to 599",
    ),
    (
        "[kinds.cart.methods.get]\ncache = \"1s\"",
        "granary.toml:4:9: kinds.cart.methods.get.cache: is only for methods with mode = \"read\"",
    ),
    (
        "[kinds.cart.grants]\nhttp = [\"ftp://x\"]",
        "granary.toml:4:9: kinds.cart.grants.http[0]: the scheme is http or https, not 'ftp'",
    ),
    (
        "[kinds.cart.grants]\nhttp = [{ hots = \"x\" }]",
        "granary.toml:4:11: kinds.cart.grants.http[0].hots: unknown key; did you mean 'host'?",
    ),
    (
        "[kinds.cart.grants]\ndirectories = [{ host = \"a\", guest = \"b\" }]",
        "granary.toml:4:38: kinds.cart.grants.directories[0].guest: 'b' is no absolute path",
    ),
    (
        "[kinds.Cart]\ncomponent = \"x\"",
        "granary.toml:3:1: kinds.Cart: a kind is made of a-z, 0-9 and '-' and starts with a letter; 'Cart' does not fit",
    ),
    (
        "stack = \"2MiB\"",
        "granary.toml:3:9: kinds.cart.stack: is for language = \"c\" and language = \"zig\"",
    ),
    (
        "language = \"zig\"\nstack = 7",
        "granary.toml:4:9: kinds.cart.stack: 7B is out of range: 16KiB to 256MiB",
    ),
    (
        "command = \"make\"\nlanguage = \"rust\"",
        "granary.toml:3:11: kinds.cart.command: is not used with language = \"rust\"; leave one of the two out",
    ),
    (
        "build = \"nowhere\"\n",
        "granary.toml:2:13: kinds.cart.component: is what 'build' makes; leave one of the two out, or add 'command'",
    ),
    (
        "component = \"again\"",
        "granary.toml:3:1: duplicate key, at 'component'",
    ),
    (
        "x = ",
        "granary.toml:3:5: kinds.cart.x: string values must be quoted, expected literal string",
    ),
];

#[test]
fn every_wrong_manifest_names_line_column_and_key() {
    let component = "[kinds.cart]\ncomponent = \"c.wasm\"\n";
    let actual = WRONG
        .iter()
        .map(|(rest, _)| wrong(&format!("{component}{rest}")));
    let expected = WRONG.iter().map(|(_, expected)| (*expected).to_owned());
    assert_eq!(actual.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn all_unknown_keys_are_reported_at_once() {
    let error = wrong("[kinds.cart]\nbild = \".\"\n[packge]\nname = \"x\"\n");
    assert_eq!(
        error,
        "granary.toml:2:1: kinds.cart.bild: unknown key; did you mean 'build'?\n\
         granary.toml:3:2: packge: unknown key; did you mean 'package'?"
    );
}

#[test]
fn a_manifest_without_kinds_says_how_one_is_written() {
    assert_eq!(
        wrong(""),
        "granary.toml:1:1: names no kind; add a section such as [kinds.counter] with build = \".\""
    );
}

#[test]
fn a_manifest_sent_as_json_follows_the_same_rules() {
    let name = KindName::parse("cart").unwrap();
    let error =
        |json: serde_json::Value| kind_from_json(&name, &json).expect_err("wrong").to_string();
    assert_eq!(
        error(serde_json::json!({"limits": {"memry": 1}})),
        "manifest: limits.memry: unknown key; did you mean 'memory'?"
    );
    assert_eq!(
        error(serde_json::json!({"limits": {"memory": 1}})),
        "manifest: limits.memory: 1B is out of range: 1MiB to 256MiB"
    );
    assert!(error(serde_json::json!([])).contains("must be an object"));
    let spec = kind_from_json(
        &name,
        &serde_json::json!({"description": "x", "limits": {"sends": null}}),
    )
    .unwrap();
    assert_eq!(
        spec,
        KindSpec {
            description: "x".to_owned(),
            ..KindSpec::bare(name.clone())
        }
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_every_error_has_a_position(text in "(\\[kinds\\.[a-c]{1,2}\\]\n)?([a-z=\\[\\]\\{\\}\"., \n0-9é-]|limits|memory|http|grants){0,40}") {
        if let Err(problems) = Manifest::read(&Document::new("f", text.clone()), Path::new("f")) {
            prop_assert!(problems.0.iter().all(|p| p.position.is_some_and(|(line, column)| 0 < line && 0 < column)));
        }
    }

    #[test]
    fn no_json_makes_the_reader_panic(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
        if let Ok(json) = serde_json::from_str(&text) {
            drop(kind_from_json(&KindName::parse("k").unwrap(), &json));
        }
    }
}
