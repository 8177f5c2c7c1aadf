//! Bad manifests and settings: refused with file, line and key, and nothing is started or deployed.

use serde_json::json;

use crate::harness::{Cli, Node, NodeBuilder, guests};

/// Deploys a `granary.toml` with this text through the command line: what it said.
async fn refused(node: &Node, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("greeter.wasm"),
        guests::component("greeter"),
    )
    .unwrap();
    std::fs::write(folder.path().join("granary.toml"), text).unwrap();
    let run = Cli::run(folder.path(), Some(node), &["deploy"]).await;
    let code = run.code;
    assert!(code == 1 || code == 2, "{run:?}");
    let said = run.fails(code);
    node.client().get("/v1/kinds/greeter").await.problem(404);
    said
}

#[tokio::test]
async fn an_unknown_key_is_named_with_file_and_line() {
    let node = Node::start().await;
    let said = refused(&node, "[kinds.greeter]\ncomponent = \"greeter.wasm\"\n\n[kinds.greeter.limits]\nmemroy = \"1MiB\"\n").await;
    for word in ["granary.toml", "5", "memroy", "memory"] {
        assert!(said.contains(word), "'{word}' is missing: {said}");
    }
}

#[tokio::test]
async fn a_bad_value_is_named_with_file_line_and_key() {
    let node = Node::start().await;
    let said = refused(&node, "[kinds.greeter]\ncomponent = \"greeter.wasm\"\n[kinds.greeter.limits]\nmemory = \"lots\"\n").await;
    for word in ["granary.toml", "4", "memory"] {
        assert!(said.contains(word), "'{word}' is missing: {said}");
    }
    let said = refused(&node, "[kinds.greeter]\ncomponent = \"greeter.wasm\"\n[kinds.greeter.limits]\nmemory = \"900GiB\"\n").await;
    assert!(
        said.contains("memory") && said.contains("256"),
        "the maximum is named: {said}"
    );
    let said = refused(&node, "[kinds.greeter]\ncomponent = \"greeter.wasm\"\n[kinds.greeter.methods.greet]\nmode = \"fast\"\n").await;
    assert!(
        said.contains("mode") && said.contains("read"),
        "what fits is named: {said}"
    );
}

#[tokio::test]
async fn broken_toml_is_named_with_file_and_line() {
    let node = Node::start().await;
    let said = refused(&node, "[kinds.greeter]\ncomponent = \n").await;
    assert!(
        said.contains("granary.toml") && said.contains('2'),
        "{said}"
    );
}

#[tokio::test]
async fn a_method_that_the_component_lacks_is_refused_with_the_nearest_name() {
    let node = Node::start().await;
    let said = refused(&node, "[kinds.greeter]\ncomponent = \"greeter.wasm\"\n[kinds.greeter.methods.greett]\nmode = \"read\"\n").await;
    assert!(said.contains("greett") && said.contains("greet"), "{said}");
}

#[tokio::test]
async fn a_manifest_over_http_is_checked_by_the_same_rules() {
    let node = Node::start().await;
    let component = guests::component("greeter");
    for (manifest, word) in [
        (json!({ "limits": { "memroy": 1 } }), "memroy"),
        (json!({ "limits": { "memory": "lots" } }), "memory"),
        (
            json!({ "methods": { "greet": { "mode": "fast" } } }),
            "mode",
        ),
        (json!({ "grants": { "http": [{ "host": "" }] } }), "http"),
        (json!([]), "manifest"),
    ] {
        let reply = node
            .client()
            .deploy("greeter", &component, manifest, "")
            .await;
        reply.problem(reply.status);
        assert!(
            (400..500).contains(&reply.status) && reply.text().contains(word),
            "'{word}' is missing: {reply}"
        );
    }
    node.client().get("/v1/kinds/greeter").await.problem(404);
    let reply = node
        .client()
        .deploy("Bad_Name", &component, json!({}), "")
        .await;
    assert!((400..500).contains(&reply.status), "{reply}");
}

#[tokio::test]
async fn a_node_with_bad_settings_does_not_start_and_says_why() {
    let mut node = NodeBuilder::default()
        .settings("[node]\nnmae = \"a\"")
        .prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    for word in ["node.toml", "2", "nmae", "name", "try:"] {
        assert!(said.contains(word), "'{word}' is missing: {said}");
    }
    let mut node = NodeBuilder::default()
        .environment("GRANARY_LIMITS__CALLS", "many")
        .prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("GRANARY_LIMITS__CALLS"), "{said}");
}
