//! Clients that are slow, silent or gone: they cost themselves a connection, and nobody else anything.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Client, Node, until, within};

/// Reads until the node hangs up: what it said.
async fn last_words(mut socket: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is a way to hang up, too.
    let _end = within("the node hangs up", socket.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_is_given_up() {
    let node = Node::with("")
        .environment("GRANARY_HTTP__HEADER_TIMEOUT", "500ms")
        .environment("GRANARY_HTTP__BODY_TIMEOUT", "500ms")
        .start()
        .await;
    node.deploy("counter").await.ok();
    let address = node.url().trim_start_matches("http://").to_owned();
    let mut heads = Vec::new();
    for start in [
        "",
        "POST /g/counter/a/incr",
        "POST /g/counter/a/increment HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n[1",
    ] {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(start.as_bytes()).await.unwrap();
        heads.push(socket);
    }
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        1
    );
    for socket in heads {
        let said = last_words(socket).await;
        assert!(
            said.is_empty() || said.contains(" 408 ") || said.contains(" 400 "),
            "{said}"
        );
    }
    // A new connection: the first one has been silent just as long, and may be closed while this request is on its way.
    let fresh = Client::new(node.url().to_owned(), None, false);
    assert_eq!(
        fresh.get("/g/counter/a/get").await.ok(),
        1,
        "half a call is none"
    );
}

#[tokio::test]
async fn hundreds_of_silent_connections_do_not_keep_others_out() {
    let node = Node::serving(&["counter"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        1
    );
    drop(silent);
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_call_runs_leaves_a_whole_turn_or_none() {
    let node = Node::serving(&["relay"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    let body = json!(["x", 300]).to_string();
    let request = format!(
        "POST /g/relay/a/slow-note HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    until("the turn", || async {
        let explained = node.client().get("/v1/activations/relay/a/explain").await;
        explained.text().contains("slow-note").then_some(())
    })
    .await;
    drop(socket);
    node.client()
        .call("relay/a", "note", json!(["y"]))
        .await
        .ok();
    let notes = node.client().get("/g/relay/a/notes").await.ok();
    assert!(
        notes == json!(["x", "y"]) || notes == json!(["y"]),
        "{notes}"
    );
}

#[tokio::test]
async fn a_pipelined_and_a_chunked_request_are_understood() {
    let node = Node::serving(&["counter"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    let one = "POST /g/counter/a/increment HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n2\r\n1]\r\n0\r\n\r\n";
    let last = one.replace("host: localhost", "host: localhost\r\nconnection: close");
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket
        .write_all(format!("{one}{one}{last}").as_bytes())
        .await
        .unwrap();
    let said = last_words(socket).await;
    assert_eq!(said.matches("HTTP/1.1 200").count(), 3, "{said}");
    assert!(said.ends_with('3'), "{said}");
}

#[tokio::test]
async fn a_slow_reader_of_events_is_dropped_and_does_not_fill_the_memory() {
    let node = Node::serving(&["probe"]).await;
    let address = node.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket
        .write_all(b"GET /v1/logs?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let line = "x".repeat(10_000);
    for _ in 0..200 {
        node.client()
            .call("probe/a", "log", json!([line, ""]))
            .await
            .ok();
    }
    let call = node
        .client()
        .call("probe/a", "log", json!(["still here", ""]));
    tokio::time::timeout(Duration::from_secs(20), call)
        .await
        .expect("nobody waits for the slow reader")
        .ok();
    drop(socket);
}
