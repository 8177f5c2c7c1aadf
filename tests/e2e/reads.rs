//! Read methods over GET: ETag, 304 without activation, caching.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, Reply, guests};

async fn get_if_none_match(node: &Node, path: &str, tag: &str) -> Reply {
    node.client()
        .send(
            node.client()
                .request(Method::GET, path)
                .header("if-none-match", tag),
        )
        .await
}

#[tokio::test]
async fn an_etag_is_the_states_version_and_304_needs_no_activation() {
    let mut node = Node::serving(&["counter"]).await;
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    let first = node.client().get("/g/counter/a/get").await;
    let tag = first.header("etag");
    assert_eq!(first.ok(), 1);
    assert!(!tag.is_empty(), "{first}");
    node.crash_and_start_again().await;
    let unchanged = get_if_none_match(&node, "/g/counter/a/get", &tag).await;
    assert_eq!(
        (unchanged.status, unchanged.body.len()),
        (304, 0),
        "{unchanged}"
    );
    let live = node.client().get("/v1/activations").await.ok();
    assert!(
        !live.to_string().contains("\"a\""),
        "nothing was activated: {live}"
    );
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    let changed = get_if_none_match(&node, "/g/counter/a/get", &tag).await;
    assert_eq!(changed.ok(), 2);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn arguments_in_the_query_are_typed_like_any_others() {
    let node = Node::start().await;
    node.deploy_as(
        "greeter",
        "greeter",
        json!({ "methods": { "greet": { "mode": "read" } } }),
    )
    .await
    .ok();
    let greeting = node
        .client()
        .get("/g/greeter/a/greet?name=Ada%20L")
        .await
        .ok();
    assert!(greeting.as_str().unwrap().contains("Ada L"), "{greeting}");
    let problem = node
        .client()
        .get("/g/greeter/a/greet?nmae=Ada")
        .await
        .problem(422);
    problem.is("invalid", &["nmae"]);
}

#[tokio::test]
async fn a_new_revision_is_a_new_tag() {
    let node = Node::serving(&["counter"]).await;
    let tag = node.client().get("/g/counter/a/get").await.header("etag");
    assert_eq!(
        get_if_none_match(&node, "/g/counter/a/get", &tag)
            .await
            .status,
        304
    );
    let mut manifest = guests::manifest("counter");
    manifest["description"] = json!("another revision");
    node.deploy_as("counter", "counter", manifest).await.ok();
    let other = get_if_none_match(&node, "/g/counter/a/get", &tag).await;
    assert_eq!(other.ok(), 0);
    assert_ne!(other.header("etag"), tag);
}

#[tokio::test]
async fn caching_is_what_the_manifest_says() {
    let node = Node::serving(&["cart", "counter"]).await;
    let picture = node.client().get("/g/cart/a/picture").await;
    assert!(
        picture.header("cache-control").contains("max-age=60"),
        "{picture}"
    );
    let plain = node.client().get("/g/counter/a/get").await;
    assert!(
        !plain.header("cache-control").contains("max-age=6"),
        "{plain}"
    );
}

#[tokio::test]
async fn other_encodings_carry_the_same_values() {
    let node = Node::serving(&["counter", "cart"]).await;
    let client = node.client();
    let request = client
        .request(Method::POST, "/g/counter/a/increment")
        .header("content-type", "application/cbor");
    let cbor = client
        .send(
            request
                .header("accept", "application/cbor")
                .body(vec![0x81, 0x05]),
        )
        .await;
    assert_eq!(
        (cbor.status, cbor.body.as_slice()),
        (200, &[0x05][..]),
        "{cbor}"
    );
    let text = client
        .send(client.request(Method::GET, "/g/counter/a/get?int64=string"))
        .await;
    assert_eq!(text.ok(), "5", "{text}");
    let request = client
        .request(Method::POST, "/g/cart/a/set-picture")
        .header("content-type", "application/octet-stream");
    assert_eq!(client.send(request.body(vec![1, 2, 3])).await.ok(), 3);
}

#[tokio::test]
async fn bytes_pass_up_to_the_very_limits_of_arguments_and_results() {
    let node = Node::start().await;
    // Passing four million values takes its time where other tests run, too.
    let limits = json!({ "limits": { "cpu-time": "10s" } });
    node.deploy_as("echo", "echo", limits).await.ok();
    let bytes: Vec<u8> = (0..=250).cycle().take(4 << 20).collect();
    let echoed = async |bytes: Vec<u8>| {
        let request = node
            .client()
            .request(Method::POST, "/g/echo/a/bytes")
            .header("content-type", "application/octet-stream")
            .header("accept", "application/octet-stream");
        node.client().send(request.body(bytes)).await
    };
    let whole = echoed(bytes.clone()).await;
    assert!(
        whole.status == 200 && whole.body == bytes,
        "status {}, {} bytes",
        whole.status,
        whole.body.len()
    );
    // The answer comes while the client still writes; it must arrive.
    for longer in [1, 4 << 20, 40 << 20] {
        let refused = echoed(vec![0; bytes.len() + longer]).await;
        assert_eq!(refused.problem(413).0["limit"], "arguments");
        // Its rest is not read: the next request must not follow on the same connection.
        assert_eq!(refused.header("connection"), "close");
    }
}
