//! `guest-sdk/LANGUAGES.md`: made by the test, never by hand.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::{KNOWN, LANGUAGES, Language, Seen, builds, checks};
use crate::harness::{Cli, Node, guests, repository};

/// Calls that one figure is the median of.
const CALLS: usize = 200;

const HEAD: &str = "# Languages

What a grain in each language can do and what it costs. This page is written by the test `languages` of `tests/e2e`
(`UPDATE_LANGUAGES=1 cargo test --release --workspace languages`, or `=passing` where the machine is not quiet enough for new figures), which
fails when the first table is not what it sees.
";

const DEPENDENCIES: &str = "
## What a grain is built with

What goes into a component is noticed wherever it lies: `granary build` makes it anew when one of these files has changed, and `granary dev` does
so at once.

- **Rust**: the dependencies of `Cargo.toml`, by cargo.
- **C**: every `*.c` right in `src` (or in the kind's folder), and headers from anywhere. A library goes in with its sources.
- **Zig**: every file below that of `grain.zig`, by its path. `build.zig` and its packages are not looked at.
- **Go**: the modules that the project's own `go.mod` requires: from `vendor` after `go mod vendor`, else from Go's module cache or proxy;
  `replace` may name a folder. `//go:embed` takes any file that is not hidden.
- **JavaScript, TypeScript**: the packages of `node_modules` after `npm install`, bundled. One that needs Node's own modules does not go.
- **Python**: packages that the `python3` on the path can import, or that lie in the kind's folder: `pip install --target . PACKAGE`. One with
  compiled code does not go. A module that is imported by a computed name goes in, but a change of it is not noticed: `granary build --force`.
";

const COSTS: &str = "\n## What it costs\n\n";

fn columns() -> impl Iterator<Item = &'static str> {
    let counter = checks::COUNTER.iter().map(|(name, _)| *name);
    let torture = checks::TORTURE.iter().map(|(name, _)| *name);
    let last = [checks::SURVIVED.0, builds::ASYNC, checks::UPGRADED.0];
    counter.chain(torture).chain(last)
}

/// Why a language is known not to pass a check.
fn known(language: Language, column: &str) -> Option<&'static str> {
    let found = KNOWN
        .iter()
        .find(|(name, check, _)| *name == language.name && *check == column);
    found.map(|(_, _, why)| *why)
}

/// A line for each check that did not end as it is known to.
pub(super) fn surprises(seen: &Seen) -> Vec<String> {
    let name = seen.language.name;
    columns()
        .zip(&seen.passed)
        .filter_map(
            |(column, passed)| match (passed, known(seen.language, column)) {
                (Err(why), None) => Some(format!("{name}: {column}: {why}")),
                (Ok(()), Some(why)) => Some(format!(
                    "{name}: {column}: passes, although it is known not to ({why})"
                )),
                (Err(_), Some(_)) | (Ok(()), None) => None,
            },
        )
        .collect()
}

/// What passes: a line a check, a column a language.
fn passing(all: &[Seen]) -> String {
    let mut table = String::from("\n## What passes\n\n| |");
    for seen in all {
        write!(table, " {} |", seen.language.name).unwrap();
    }
    writeln!(table, "\n|---|{}", "---|".repeat(all.len())).unwrap();
    let mut notes = String::new();
    for (line, column) in columns().enumerate() {
        write!(table, "| {column} |").unwrap();
        for seen in all {
            let passed = seen.passed[line].is_ok();
            write!(table, " {} |", if passed { "yes" } else { "no" }).unwrap();
            if let Some(why) = known(seen.language, column) {
                writeln!(notes, "{}, {column}: {why}.", seen.language.name).unwrap();
            }
        }
        table.push('\n');
    }
    format!("{table}\n{notes}")
}

fn file() -> PathBuf {
    repository().join("guest-sdk").join("LANGUAGES.md")
}

/// Writes the page, or holds it to what was seen.
pub(super) async fn hold(node: &Node, all: &[Seen]) {
    let passing = passing(all);
    let page = std::fs::read_to_string(file()).unwrap_or_default();
    if let Some(update) = std::env::var_os("UPDATE_LANGUAGES") {
        let costs = match page.find(COSTS).filter(|_| update == "passing") {
            Some(at) => page[at..].to_owned(),
            None => costs(node).await,
        };
        std::fs::write(file(), format!("{HEAD}{passing}{DEPENDENCIES}{costs}")).unwrap();
        return;
    }
    assert!(
        page.contains(&passing) && page.contains(DEPENDENCIES),
        "guest-sdk/LANGUAGES.md says something else; write it anew with UPDATE_LANGUAGES=1:\n{passing}"
    );
}

/// What each language's counter costs on this machine.
async fn costs(node: &Node) -> String {
    let mut table = format!(
        "{COSTS}The counter of each language, on the machine that last wrote its figures: a component's size; a build from nothing, \
         with warm caches of the tools; the first answer of a grain at rest; a warm call inside the node without its commit (median); memory of an activation.\n\n\
         | | Component | Build | Cold start | Call | Memory |\n|---|---|---|---|---|---|\n",
    );
    for language in LANGUAGES {
        let bytes = guests::component(language.counter).len();
        let build = build(language).await;
        let (cold, call, memory) = speed(node, language).await;
        writeln!(
            table,
            "| {} | {} KB | {build:.1} s | {cold:.1} ms | {call:.0} µs | {memory} KB |",
            language.name,
            bytes.div_ceil(1_000)
        )
        .unwrap();
    }
    table
}

/// Seconds of a build.
async fn build(language: Language) -> f64 {
    let began = Instant::now();
    let sample = repository().join("sample-grains").join(language.counter);
    Cli::run(&sample, None, &["build", "--force"]).await.ok();
    began.elapsed().as_secs_f64()
}

/// A part of `Server-Timing`, in milliseconds.
fn timing(header: &str, part: &str) -> f64 {
    let entry = header
        .split(", ")
        .find_map(|entry| entry.strip_prefix(part)?.strip_prefix(";dur="));
    entry
        .unwrap_or_else(|| panic!("no {part}: {header}"))
        .parse()
        .unwrap()
}

/// Milliseconds of a cold start (the component is compiled and in the cache), microseconds of a warm call, kilobytes of an activation.
async fn speed(node: &Node, language: Language) -> (f64, f64, u64) {
    let client = node.client();
    let mut colds = Vec::new();
    for key in 0..9 {
        let path = format!("/g/{}/cold-{key}/get", language.counter);
        let timings = client.get(&path).await.header("server-timing");
        colds.push(timing(&timings, "activate") + timing(&timings, "run"));
    }
    let grain = format!("{}/cold-0", language.counter);
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let answer = client.call(&grain, "increment-memory", json!([1])).await;
        calls.push(timing(&answer.header("server-timing"), "run") * 1_000.0);
    }
    let info = client.get(&format!("/v1/activations/{grain}")).await.ok();
    let memory = info["activation"]["memory_bytes"]
        .as_u64()
        .unwrap()
        .div_ceil(1_000);
    (median(colds), median(calls), memory)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
