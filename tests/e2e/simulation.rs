//! `granary sim run`: a cluster in memory, as a user runs it: what it says, how it ends, and what it makes of a bad file.

use serde_json::{Value, json};

use crate::harness::Cli;

/// Two nodes that are up after twenty seconds.
const TWO: &str = r#"seed = 7
[[node]]
name = "a"
[[node]]
name = "b"
[[step]]
at = "0s"
do = "start"
[[expect]]
within = ["0s", "20s"]
status = { a = "up", b = "up" }
"#;

/// After half a minute it is another status that is expected, at line 13.
fn broken() -> String {
    format!("{TWO}[[expect]]\nat = \"30s\"\nstatus = {{ b = \"down\" }}\n")
}

async fn run(scenario: &str, more: &[&str]) -> Cli {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), scenario).unwrap();
    let arguments = [&["sim", "run", "s.toml"], more].concat();
    Cli::run(folder.path(), None, &arguments).await
}

#[tokio::test]
async fn expectations_that_hold_are_counted_with_their_seed() {
    let out = run(TWO, &[]).await.ok();
    assert!(out.starts_with("1 expectation holds; seed 7, "), "{out}");
    let out = run(TWO, &["--seed", "40", "--runs", "3"]).await.ok();
    assert!(
        out.starts_with("1 expectation holds; 3 seeds from 40 on, "),
        "{out}"
    );
    let answer = run(TWO, &["--runs", "2", "-o", "json"]).await.json();
    let seconds = answer["virtual-seconds"].as_f64().unwrap();
    assert!((1.0..41.0).contains(&seconds), "{answer}");
    assert_eq!(
        answer,
        json!({"held": true, "expectations": 1, "runs": 2, "seed": 7, "virtual-seconds": seconds})
    );
}

#[tokio::test]
async fn the_first_that_does_not_hold_is_told_with_its_line_its_seed_and_what_was_before() {
    let failed = run(&broken(), &["--seed", "9"]).await;
    let before = failed.out.clone();
    let said = failed.fails(1);
    assert!(
        said.contains("s.toml, line 13: after 30s, seed 9: on a: b is up, not down"),
        "{said}"
    );
    assert!(
        said.contains("try: granary sim run s.toml --seed 9 --trace"),
        "{said}"
    );
    assert!(before.contains("step   start a, b"), "{before}");
    assert!(!before.contains("sends "), "{before}");
    // No words of a programmer's.
    assert!(!before.contains(" { "), "{before}");
}

#[tokio::test]
async fn the_same_comes_as_json_with_a_trace_or_without() {
    for more in [&["-o", "json"][..], &["-o", "json", "--trace"]] {
        let failed = run(&broken(), more).await;
        assert_eq!(failed.code, 1, "{}", failed.err);
        let mut answer: Value = serde_json::from_str(&failed.out).unwrap();
        let before = answer["before"].take();
        let before: Vec<&str> = before
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(before[0].ends_with("step   start a, b"), "{before:?}");
        let up = |line: &&str| line.contains("event  member-up: member (node b:7000#");
        assert!(before.iter().any(up), "{before:?}");
        assert_eq!(
            answer,
            json!({"held": false, "seed": 7, "line": 13, "at-seconds": 30.0, "why": "on a: b is up, not down", "before": null})
        );
        // Every line of the trace goes where the answer is not.
        assert_eq!(failed.err.contains("sends  heartbeat to"), more.len() == 3);
    }
}

#[tokio::test]
async fn a_trace_has_every_message_and_comes_out_the_same_each_time() {
    let first = run(TWO, &["--trace"]).await.ok();
    assert!(first.contains("sends  init-join to a"), "{first}");
    assert_eq!(run(TWO, &["--trace"]).await.ok(), first);
    assert_ne!(run(TWO, &["--trace", "--seed", "8"]).await.ok(), first);
    // What was told need not be told again where it fails.
    let failed = run(&broken(), &["--trace"]).await;
    assert_eq!(failed.code, 1);
    assert_eq!(failed.out.matches("step   start a, b").count(), 1);
}

#[tokio::test]
async fn a_step_that_is_refused_fails_with_its_line() {
    let left = format!(
        "{TWO}[[step]]\nat = \"30s\"\ndo = \"down\"\nnode = \"b\"\n[[step]]\nat = \"30s\"\ndo = \"leave\"\nnode = \"b\"\nvia = \"a\"\n"
    );
    let said = run(&left, &[]).await.fails(1);
    assert!(
        said.contains("s.toml, line 17: after 30s, seed 7: refused by a: b:7000#"),
        "{said}"
    );
    assert!(said.contains("is down and cannot become leaving"), "{said}");
}

#[tokio::test]
async fn a_bad_file_is_refused_with_every_line() {
    let bad = format!(
        "[cluster]\nmin-members = \"two\"\n{TWO}[[step]]\nat = \"5s\"\ndo = \"jump\"\n[[step]]\nat = \"1s\"\ndo = \"pause\"\nnode = \"z\"\n"
    )
    .replace("seed = 7\n", "");
    let said = run(&bad, &[]).await.fails(2);
    for line in [
        "s.toml, line 2: cluster.min-members: invalid type: string \"two\", expected a whole number from 0 to 4294967295",
        "s.toml, line 15: step.do: \"jump\" is none of: start, crash, ",
        "s.toml, line 19: step.node: there is no node \"z\"",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = Cli::run(folder.path(), None, &["sim", "run", "none.toml"]).await;
    assert!(missing.fails(2).contains("none.toml: No such file"));
    let none = Cli::run(
        folder.path(),
        None,
        &["sim", "run", "s.toml", "--runs", "0"],
    )
    .await;
    assert_eq!(none.code, 2, "{}", none.err);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (command, why) in [
        (["sim", "run"], "a scenario has at most 16777216 bytes"),
        (["downing", "explain"], "is longer than 1048576 bytes"),
    ] {
        let arguments = [command[0], command[1], "/dev/zero"];
        let said = Cli::run(folder.path(), None, &arguments).await.fails(2);
        assert!(said.contains(why), "{said}");
    }
}
