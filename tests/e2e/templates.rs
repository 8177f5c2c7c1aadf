//! Every template, as somebody meets it who has never seen Granary: `new`, `build`, `test`, `deploy`, `invoke`, in an empty folder.

use std::path::Path;

use crate::harness::{Cli, Node, granary, guests};

async fn from_nothing_to_an_answer(new: &[&str], variables: &[(&str, &Path)]) {
    guests::toolchains();
    let folder = tempfile::tempdir().unwrap();
    let name = format!("errands-{}", new.join("").replace("--", "-"));
    let new = [&["new", &name, "--lang"], new].concat();
    Cli::run(folder.path(), None, &new).await.ok();
    let project = folder.path().join(&name);
    let run = async |arguments: &[&str]| Cli::run_with(&project, None, arguments, variables).await;
    let readme = std::fs::read_to_string(project.join("README.md")).unwrap();
    assert!(readme.contains("granary test"), "{readme}");
    let built = run(&["build", "--output", "json"]).await.json();
    assert_eq!(built[0]["kind"], name, "{built}");
    let again = run(&["build", "--output", "json"]).await.json();
    assert_eq!(again[0]["digest"], built[0]["digest"]);
    assert_eq!(again[0]["skipped"], true, "nothing has changed: {again}");
    let tested = run(&["test"]).await.ok();
    assert!(tested.contains("passed"), "{tested}");
    let node = Node::start().await;
    let deployed = Cli::run_with(&project, Some(&node), &["deploy"], variables).await;
    deployed.ok();
    let grain = format!("{name}/mine");
    for (item, count) in [("\"milk\"", "1"), ("\"bread\"", "2")] {
        let said = granary(&node, &["invoke", &grain, "add", item]).await.ok();
        assert_eq!(said.trim(), count);
    }
    let items = granary(&node, &["invoke", &grain, "items", "--output", "json"])
        .await
        .json();
    assert_eq!(items, serde_json::json!(["milk", "bread"]));
    let openapi = node
        .client()
        .get(&format!("/v1/kinds/{name}/revisions/1/openapi.json"))
        .await;
    assert!(
        openapi.text().contains("Adds an item"),
        "with the doc comments of its WIT: {openapi}"
    );
}

macro_rules! templates {
    ($($test:ident: $language:literal),* $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            from_nothing_to_an_answer(&[$language], &[]).await;
        })*
    };
}

templates! {
    rust: "rust",
    c: "c",
    zig: "zig",
    go: "go",
    javascript: "js",
    typescript: "ts",
    python: "python",
}

#[tokio::test]
async fn rust_code_first() {
    let target = guests::cargo_target();
    let variables = [("CARGO_TARGET_DIR", target.as_path())];
    from_nothing_to_an_answer(&["rust", "--code-first"], &variables).await;
    let folder = tempfile::tempdir().unwrap();
    let new = ["new", "errands", "--lang", "go", "--code-first"];
    let said = Cli::run(folder.path(), None, &new).await.fails(2);
    assert!(said.contains("Rust does"), "{said}");
}

#[tokio::test]
async fn a_language_that_is_not_known_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let said = Cli::run(folder.path(), None, &["new", "errands", "--lang", "cobol"])
        .await
        .fails(2);
    assert!(said.contains("python") && said.contains("zig"), "{said}");
    assert!(!folder.path().join("errands").exists());
}
