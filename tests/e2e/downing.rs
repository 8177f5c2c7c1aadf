//! `granary downing explain`: what the split brain resolver would do about a picture in a file, as a user asks it.

use serde_json::{Value, json};

use crate::harness::Cli;

/// Five members, `e` the oldest; `c` and `d` have the role `backend`.
const MEMBERS: &str = r#"
[[member]]
name = "a"
age = 5
status = "up"
roles = ["web"]
dc = "default"
[[member]]
name = "b"
age = 4
status = "up"
[[member]]
name = "c"
age = 3
status = "up"
roles = ["backend"]
[[member]]
name = "d"
age = 2
status = "up"
roles = ["backend", "web"]
[[member]]
name = "e"
age = 1
status = "up"
"#;

async fn explain(head: &str) -> Cli {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), format!("{head}\n{MEMBERS}")).unwrap();
    Cli::run(folder.path(), None, &["downing", "explain", "p.toml"]).await
}

/// The decision, who is downed and the delay.
async fn decision(head: &str) -> Value {
    let answer = explain(head).await.json();
    assert!(
        answer["because"]
            .as_str()
            .is_some_and(|why| !why.is_empty())
    );
    json!([answer["decision"], answer["down"], answer["delay-ms"]])
}

#[tokio::test]
async fn each_strategy_answers_for_its_side() {
    // `a`, `c` and `e` on one side, `b` and `d` on the other.
    let here = r#"
        self = "a"
        seen-by = ["a", "c", "e"]
        unreachable = [["a", "b"], ["a", "d"]]
    "#;
    let there = r#"
        self = "b"
        seen-by = ["b", "d"]
        unreachable = [["b", "a"], ["d", "c"], ["d", "e", "terminated"]]
    "#;
    let all = ["a", "b", "c", "d", "e"];
    for (strategy, kept, lost) in [
        (
            r#"strategy = "static-quorum"
               quorum-size = 3"#,
            json!(["down-unreachable", ["b", "d"], 0]),
            json!(["down-reachable", ["b", "d"], 0]),
        ),
        (
            r#"strategy = "static-quorum"
               quorum-size = 2"#,
            json!(["down-all", all, 0]),
            json!(["down-all", all, 0]),
        ),
        (
            r#"strategy = "keep-majority"
               role = """#,
            json!(["down-unreachable", ["b", "d"], 0]),
            json!(["down-reachable", ["b", "d"], 0]),
        ),
        (
            r#"strategy = "keep-oldest"
               role = "backend""#,
            json!(["down-reachable", ["a", "c", "e"], 0]),
            json!(["down-unreachable", ["a", "c", "e"], 0]),
        ),
        (
            r#"strategy = "down-all""#,
            json!(["down-all", all, 0]),
            json!(["down-all", all, 0]),
        ),
        (
            r#"strategy = "lease-majority""#,
            json!(["acquire-lease-and-down-unreachable", ["b", "d"], 0]),
            json!(["acquire-lease-and-down-unreachable", ["a", "c", "e"], 2000]),
        ),
    ] {
        let found = (
            decision(&format!("{strategy}\n{here}")).await,
            decision(&format!("{strategy}\n{there}")).await,
        );
        assert_eq!(found, (kept, lost), "{strategy}");
    }
}

#[tokio::test]
async fn indirectly_connected_members_and_a_denied_lease_have_decisions_of_their_own() {
    let rows = r#"
        self = "a"
        seen-by = ["a", "b", "c"]
        unreachable = [["b", "c"], ["c", "b"], ["a", "d"], ["a", "e"]]
    "#;
    let condemned = ["b", "c", "d", "e"];
    assert_eq!(
        decision(&format!("strategy = 'keep-majority'\n{rows}")).await,
        json!(["down-indirectly-connected", condemned, 0])
    );
    let lease = format!("strategy = 'lease-majority'\n{rows}\n[lease]\noutcome =");
    assert_eq!(
        decision(&format!("{lease} 'granted'")).await,
        json!(["acquire-lease-and-down-indirectly-connected", condemned, 0])
    );
    assert_eq!(
        decision(&format!("{lease} 'denied'")).await,
        json!(["reverse-down-indirectly-connected", ["a", "b", "c"], 0])
    );
}

#[tokio::test]
async fn a_picture_that_cannot_be_is_refused_with_its_places() {
    let said = explain("strategy = 'keep-majority'\nself = 'a'\nunreachabel = []")
        .await
        .fails(2);
    assert!(
        said.contains("p.toml:3:1: unreachabel: unknown key; did you mean 'unreachable'?"),
        "{said}"
    );
    let said = explain("strategy = 'static-quorum'\nself = 'z'\nunreachable = [['a', 'y']]")
        .await
        .fails(2);
    for place in [
        "p.toml:1:12: strategy",
        "p.toml:2:8: self",
        "p.toml:3:22: unreachable[0][1]",
    ] {
        assert!(said.contains(place), "{place} is missing in {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["downing", "explain", "nowhere.toml"];
    let said = Cli::run(folder.path(), None, &arguments).await.fails(2);
    assert!(said.contains("nowhere.toml: cannot be read"), "{said}");
}
