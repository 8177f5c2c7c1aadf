//! Bad components: each is refused with what is wrong, and nothing is left half-done.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, client, guests, until};

/// A component that exports one function.
const GOOD: &str = r#"(component
    (core module $m (func (export "one") (result i32) i32.const 1))
    (core instance $i (instantiate $m))
    (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;

/// Deploying these bytes fails, and afterwards there is no such kind.
async fn refused(node: &Node, kind: &str, bytes: &[u8], words: &[&str]) {
    let reply = node.client().deploy(kind, bytes, json!({}), "").await;
    assert!((400..500).contains(&reply.status), "{reply}");
    let problem = reply.problem(reply.status);
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !problem.detail().contains(**word))
        .collect();
    assert!(missing.is_empty(), "the text lacks {missing:?}: {reply}");
    node.client()
        .get(&format!("/v1/kinds/{kind}"))
        .await
        .problem(404);
}

#[tokio::test]
async fn what_is_not_a_component_is_refused_by_name() {
    let node = Node::start().await;
    refused(&node, "text", b"#!/bin/sh\necho hello\n", &["WebAssembly"]).await;
    refused(&node, "empty", b"", &[]).await;
    let module =
        wat::parse_str("(module (func (export \"one\") (result i32) i32.const 1))").unwrap();
    refused(&node, "module", &module, &["core", "component"]).await;
    let mut whole = guests::component("greeter");
    whole.truncate(whole.len() / 2);
    refused(&node, "cut", &whole, &[]).await;
    // The node goes on.
    node.deploy("greeter").await.ok();
}

#[tokio::test]
async fn an_upload_with_another_digest_is_refused_and_not_kept() {
    let node = Node::start().await;
    let digest = client::digest(b"something else");
    let path = format!("/v1/artifacts/{digest}");
    let reply = node
        .client()
        .send(
            node.client()
                .request(Method::PUT, &path)
                .body(guests::component("greeter")),
        )
        .await;
    assert!(reply.text().contains("digest"), "{reply}");
    reply.problem(reply.status);
    assert!((400..500).contains(&reply.status), "{reply}");
    assert_eq!(
        node.client()
            .send(node.client().request(Method::HEAD, &path))
            .await
            .status,
        404
    );
    let path = "/v1/artifacts/not-a-digest";
    node.client()
        .send(node.client().request(Method::PUT, path).body("x"))
        .await
        .problem(400);
}

#[tokio::test]
async fn an_upload_that_is_cut_off_can_be_resumed() {
    let node = Node::start().await;
    let component = guests::component("greeter");
    let path = format!("/v1/artifacts/{}", client::digest(&component));
    let (first, second) = component.split_at(component.len() / 2);
    let part = |range: String, body: &[u8]| {
        let request = node
            .client()
            .request(Method::PUT, &path)
            .header("content-range", range);
        node.client().send(request.body(body.to_vec()))
    };
    let total = component.len();
    let reply = part(format!("bytes 0-{}/{total}", first.len() - 1), first).await;
    assert!((200..400).contains(&reply.status), "{reply}");
    // Half an artifact is none.
    let manifest = json!({ "component": client::digest(&component), "manifest": {} });
    let early = node
        .client()
        .post("/v1/kinds/greeter/revisions", manifest.clone())
        .await;
    early.problem(early.status);
    let reply = part(
        format!("bytes {}-{}/{total}", first.len(), total - 1),
        second,
    )
    .await;
    assert!((200..300).contains(&reply.status), "{reply}");
    node.client()
        .post("/v1/kinds/greeter/revisions", manifest)
        .await
        .ok();
    node.client()
        .call("greeter/a", "greet", json!(["x"]))
        .await
        .ok();
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_an_upload_leaves_nothing_half_done() {
    use tokio::io::AsyncWriteExt as _;
    let node = Node::start().await;
    let component = guests::component("greeter");
    let digest = client::digest(&component);
    let address = node.url().trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "PUT /v1/artifacts/{digest} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        component.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
        .write_all(&component[..component.len() / 3])
        .await
        .unwrap();
    let path = format!("/v1/artifacts/{digest}");
    let offset = || async {
        let head = node.client().request(Method::HEAD, &path);
        let head = node.client().send(head).await;
        assert_eq!(head.status, 404);
        head.headers.get("upload-offset").cloned()
    };
    // The node must have met the first client before it meets the second one: the later of two uploads counts.
    until("the upload has begun", offset).await;
    drop(socket);
    node.deploy("greeter").await.ok();
}

#[tokio::test]
async fn an_unknown_import_is_named_with_the_nearest_match() {
    let node = Node::start().await;
    let component = r#"(component
        (import "granary:grain/stat@0.1.0" (instance (export "get" (func (param "key" string) (result u32)))))
        (core module $m (func (export "one") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;
    refused(
        &node,
        "lost",
        &wat::parse_str(component).unwrap(),
        &["granary:grain/stat", "granary:grain/state"],
    )
    .await;
}

#[tokio::test]
async fn a_component_without_functions_is_refused() {
    let node = Node::start().await;
    refused(
        &node,
        "nothing",
        &wat::parse_str("(component)").unwrap(),
        &["export"],
    )
    .await;
}

#[tokio::test]
async fn resources_in_a_signature_are_refused_with_their_place() {
    let node = Node::start().await;
    let component = r#"(component
        (type $r (resource (rep i32)))
        (core module $m (func (export "open") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func $open (result (own $r)) (canon lift (core func $i "open")))
        (component $named
            (import "t" (type $t (sub resource)))
            (import "f" (func $f (result (own $t))))
            (export $file "file" (type $t))
            (export "open" (func $f) (func (result (own $file)))))
        (instance $files (instantiate $named (with "t" (type $r)) (with "f" (func $open))))
        (export "test:files/files@0.1.0" (instance $files)))"#;
    refused(
        &node,
        "resources",
        &wat::parse_str(component).unwrap(),
        &["open", "resource"],
    )
    .await;
}

#[tokio::test]
async fn a_component_over_the_size_limit_is_refused_before_it_is_read() {
    let node = Node::start().await;
    let too_large = vec![0; (64 << 20) + 1];
    let path = format!("/v1/artifacts/{}", "00".repeat(32));
    let request = node.client().request(Method::PUT, &path).body(too_large);
    // The node may hang up while the client still writes; an answer that arrives is 413.
    if let Ok(reply) = node.client().try_send(request).await {
        reply.problem(413);
    }
    let address = node.url().trim_start_matches("http://").to_owned();
    let head =
        format!("PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 99999999999\r\n\r\n");
    let answer = client::raw(&address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    node.deploy_text("good", GOOD).await.ok();
}

#[tokio::test]
async fn a_component_that_traps_in_its_start_code_answers_with_a_typed_error() {
    let node = Node::start().await;
    let component = r#"(component
        (core module $m
            (func $start unreachable)
            (start $start)
            (func (export "one") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;
    let deployed = node.deploy_text("trapping", component).await;
    // Refused at once, or with the first call: either way by name, and the node goes on.
    if deployed.status < 300 {
        let reply = node.client().call("trapping/a", "one", json!([])).await;
        reply.problem(500).is("guest-trap", &[]);
    } else {
        deployed.problem(deployed.status);
        assert!(deployed.text().contains("trap"), "{deployed}");
    }
    let endless = component.replace("unreachable", "(loop $l br $l)");
    let deployed = node.deploy_text("endless", &endless).await;
    if deployed.status < 300 {
        node.client()
            .call("endless/a", "one", json!([]))
            .await
            .problem(507)
            .is("limit-exceeded", &[]);
    }
    node.deploy_text("good", GOOD).await.ok();
    assert_eq!(node.client().call("good/a", "one", json!([])).await.ok(), 1);
}

#[tokio::test]
async fn a_refused_revision_leaves_the_one_before_in_service() {
    let node = Node::serving(&["counter"]).await;
    node.client()
        .call("counter/a", "increment", json!([2]))
        .await
        .ok();
    let reply = node
        .client()
        .deploy("counter", b"not wasm", json!({}), "")
        .await;
    reply.problem(reply.status);
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([2]))
            .await
            .ok(),
        4
    );
    assert_eq!(
        node.client().get("/v1/kinds/counter").await.ok()["current"],
        1
    );
}
