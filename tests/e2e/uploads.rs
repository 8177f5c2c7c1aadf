//! Uploads that take the compiler long: they are answered before, and nothing is compiled twice.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, client, granary, guests};

/// How often the node has compiled something.
fn compiled(node: &Node) -> usize {
    node.printed().matches("compiled a component").count()
}

#[tokio::test]
async fn an_upload_is_answered_before_it_is_compiled_and_a_restart_compiles_nothing() {
    let mut node = Node::start().await;
    let component = guests::component("counter");
    let path = format!("/v1/artifacts/{}", client::digest(&component));
    let put = node
        .client()
        .request(Method::PUT, &path)
        .header("prefer", "respond-async")
        .body(component.clone());
    let put = node.client().send(put).await;
    assert_eq!(put.status, 202, "{put}");
    assert_eq!(put.json()["state"], "compiling");
    // What is deployed meanwhile waits for the compiler.
    let body =
        json!({ "component": client::digest(&component), "manifest": guests::manifest("counter") });
    node.client()
        .post("/v1/kinds/counter/revisions", body)
        .await
        .ok();
    let status = node
        .client()
        .get(&format!("{path}/status?wait=60"))
        .await
        .ok();
    assert_eq!(status["state"], "ready");
    node.client()
        .call("counter/a", "increment", json!([5]))
        .await
        .ok();
    assert_eq!(compiled(&node), 1);
    node.crash_and_start_again().await;
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 5);
    let status = node
        .client()
        .get(&format!("{path}/status?wait=60"))
        .await
        .ok();
    assert_eq!(status["state"], "ready");
    assert_eq!(compiled(&node), 0, "{}", node.printed());
}

#[tokio::test]
async fn the_command_line_waits_and_says_why_a_component_does_not_compile() {
    let node = Node::start().await;
    let component = r#"(component
        (core module $m (memory i64 1) (func (export "one") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;
    std::fs::write(
        node.folder().join("wide.wasm"),
        wat::parse_str(component).unwrap(),
    )
    .unwrap();
    std::fs::write(
        node.folder().join("granary.toml"),
        "[kinds.wide]\ncomponent = \"wide.wasm\"\n",
    )
    .unwrap();
    let told = granary(&node, &["deploy", "."]).await;
    assert_ne!(told.code, 0, "{}", told.out);
    assert!(
        told.err.contains("does not compile") && told.err.contains("try:"),
        "{}",
        told.err
    );
    node.client().get("/v1/kinds/wide").await.problem(404);
}
