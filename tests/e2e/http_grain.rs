//! Ordinary WASI HTTP components as grains: raw requests, bodies that stream both ways.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, within};

#[tokio::test]
async fn a_wasi_http_component_is_served_as_it_is() {
    let node = Node::serving(&["notes"]).await;
    let client = node.client();
    let made = client
        .post_text("/g/notes/ada/http/notes", "buy milk")
        .await;
    assert_eq!(
        (made.status, made.header("location").as_str()),
        (201, "notes/1"),
        "{made}"
    );
    let note = client.get("/g/notes/ada/http/notes/1").await;
    assert_eq!((note.status, note.text().as_str()), (200, "buy milk"));
    assert_eq!(note.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        client.get("/g/notes/bob/http/notes/1").await.status,
        404,
        "another grain has its own notes"
    );
    assert_eq!(
        client
            .send(client.request(Method::DELETE, "/g/notes/ada/http/notes/1"))
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .send(client.request(Method::PATCH, "/g/notes/ada/http/notes"))
            .await
            .status,
        405
    );
    assert_eq!(client.get("/g/notes/ada/http/").await.status, 404);
}

#[tokio::test]
async fn a_body_is_echoed_while_it_is_still_arriving() {
    let node = Node::serving(&["notes"]).await;
    let (send, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(4);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = node
        .client()
        .request(Method::POST, "/g/notes/ada/http/echo")
        .body(body);
    send.send(Ok(b"first".to_vec())).await.unwrap();
    let response = within(
        "the head, before the request's body has ended",
        request.send(),
    )
    .await
    .unwrap();
    assert_eq!(response.status(), 200);
    let mut answer = response.bytes_stream();
    let mut heard = Vec::new();
    while heard != b"first" {
        heard.extend(
            within("the first piece", answer.next())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    send.send(Ok(b" second".to_vec())).await.unwrap();
    while heard != b"first second" {
        heard.extend(
            within("the second piece", answer.next())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    drop(send);
    assert!(within("the end", answer.next()).await.is_none());
}

#[tokio::test]
async fn a_large_answer_streams_and_a_reader_that_leaves_harms_nobody() {
    let node = Node::serving(&["notes"]).await;
    let whole = node.client().get("/g/notes/ada/http/big?mib=8").await;
    assert_eq!((whole.status, whole.body.len()), (200, 8 << 20));
    let response = node
        .client()
        .request(Method::GET, "/g/notes/ada/http/big?mib=512")
        .send()
        .await
        .unwrap();
    let mut answer = response.bytes_stream();
    within("the first piece", answer.next())
        .await
        .unwrap()
        .unwrap();
    drop(answer);
    let again = tokio::time::timeout(
        Duration::from_secs(30),
        node.client().get("/g/notes/ada/http/notes"),
    );
    assert_eq!(again.await.expect("the grain is free again").status, 200);
}

#[tokio::test]
async fn a_raw_turn_commits_like_any_other() {
    let mut node = Node::serving(&["http-state"]).await;
    for expected in ["1", "2"] {
        assert_eq!(
            node.client()
                .post_text("/g/http-state/a/http/add", "")
                .await
                .text(),
            expected
        );
    }
    let trapped = node
        .client()
        .post_text("/g/http-state/a/http/trap", "")
        .await;
    assert_eq!(trapped.problem(500).case(), "guest-trap");
    node.crash_and_start_again().await;
    assert_eq!(
        node.client().get("/g/http-state/a/http/count").await.text(),
        "2"
    );
}

#[tokio::test]
async fn a_kind_without_http_says_so() {
    let node = Node::serving(&["counter", "notes"]).await;
    node.client().get("/g/counter/a/http/").await.problem(404);
    node.client()
        .call("notes/a", "anything", json!([]))
        .await
        .problem(404);
}
