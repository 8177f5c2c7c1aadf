//! Bad names: unknown kinds and methods, keys that are no keys, routes that are no routes.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, client};

#[tokio::test]
async fn an_unknown_kind_or_method_is_answered_with_the_nearest_name() {
    let node = Node::serving(&["counter"]).await;
    let client = node.client();
    let problem = client
        .call("conter/a", "increment", json!([1]))
        .await
        .problem(404);
    problem.is("not-found", &["conter", "counter"]);
    assert_eq!(problem.outcome(), "not-started");
    let problem = client
        .call("counter/a", "incremnt", json!([1]))
        .await
        .problem(404);
    problem.is("not-found", &["incremnt", "increment"]);
    assert_eq!(
        (&problem.0["kind"], &problem.0["key"], &problem.0["method"]),
        (&json!("counter"), &json!("a"), &json!("incremnt"))
    );
    client
        .get("/v1/kinds/conter")
        .await
        .problem(404)
        .is("not-found", &["counter"]);
    client
        .call("Counter/a", "increment", json!([1]))
        .await
        .problem(400);
}

#[tokio::test]
async fn keys_are_1_to_512_bytes_of_utf_8() {
    let node = Node::serving(&["counter"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    let status = |path: String| {
        let address = address.clone();
        async move {
            let head =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = client::raw(&address, head.as_bytes()).await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        }
    };
    assert_eq!(
        status(format!("/g/counter/{}/get", "k".repeat(512))).await,
        "200"
    );
    assert_eq!(
        status("/g/counter/a%2Fb%20%C3%BC/get".to_owned()).await,
        "200"
    );
    assert_eq!(
        status(format!("/g/counter/{}/get", "k".repeat(513))).await,
        "400"
    );
    assert_eq!(status("/g/counter//get".to_owned()).await, "400");
    assert_eq!(status("/g/counter/%FF/get".to_owned()).await, "400");
    assert_eq!(status("/g/counter/a%0Ab/get".to_owned()).await, "400");
    assert_eq!(status("/g/counter/a%ZZ/get".to_owned()).await, "400");
}

#[tokio::test]
async fn the_same_key_is_the_same_grain_however_it_is_written() {
    let node = Node::serving(&["counter"]).await;
    assert_eq!(
        node.client()
            .call("counter/a%2Fb", "increment", json!([1]))
            .await
            .ok(),
        1
    );
    assert_eq!(
        node.client()
            .call("counter/%61%2fb", "increment", json!([1]))
            .await
            .ok(),
        2
    );
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let node = Node::serving(&["counter"]).await;
    let client = node.client();
    for path in [
        "/",
        "/nowhere",
        "/v1/nothing",
        "/g/counter",
        "/g/counter/a/b/c/d",
    ] {
        let reply = client.get(path).await;
        assert!(
            reply.status == 404 || reply.status == 405 || path == "/",
            "{path}: {reply}"
        );
        if path != "/" {
            reply.problem(reply.status);
        }
    }
    client
        .send(client.request(Method::PATCH, "/v1/kinds"))
        .await
        .problem(405);
    client.get("/g/counter/a/increment").await.problem(405);
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let node = Node::serving(&["counter"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = client::raw(&address, bytes).await;
        assert!(answer.is_empty() || answer.contains(" 4"), "{answer}");
    }
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        1
    );
}
