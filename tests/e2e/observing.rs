//! What can be watched: logs, events, metrics, activations, health.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Node, granary, until, within};

/// Follows an event stream until a text has gone by: everything until then.
async fn follow(
    client: &Client,
    path: &str,
    text: &str,
    cause: impl Future<Output = ()>,
) -> String {
    let response = client
        .request(Method::GET, path)
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.bytes_stream();
    cause.await;
    let mut heard = String::new();
    while !heard.contains(text) {
        let part = within(text, stream.next())
            .await
            .expect("the stream stays open")
            .unwrap();
        heard.push_str(&String::from_utf8_lossy(&part));
    }
    heard
}

#[tokio::test]
async fn what_a_guest_prints_is_followed_with_its_grain_and_stream() {
    let node = Node::serving(&["probe"]).await;
    let client = node.client();
    let cause = async {
        client
            .call("probe/a", "log", json!(["to out", "to err"]))
            .await
            .ok();
    };
    let heard = follow(client, "/v1/logs?follow=true", "to err", cause).await;
    for word in [
        "to out", "to err", "stdout", "stderr", "probe", "\"a\"", "data:", "id:",
    ] {
        assert!(heard.contains(word), "'{word}' is missing: {heard}");
    }
    let other = client
        .get("/v1/logs?kind=counter&follow=false")
        .await
        .text();
    assert!(!other.contains("to out"), "{other}");
    let printed = granary(&node, &["logs", "probe/a"]).await.ok();
    assert!(printed.contains("to out"), "{printed}");
}

#[tokio::test]
async fn events_tell_what_happened() {
    let node = Node::start().await;
    let client = node.client();
    let cause = async {
        node.deploy("runaway").await.ok();
        client
            .call("runaway/a", "trap", json!([]))
            .await
            .problem(500);
        client
            .call("runaway/a", "loop-forever", json!([]))
            .await
            .problem(507);
    };
    let heard = follow(client, "/v1/events?follow=true", "limit", cause).await;
    for word in ["deployed", "trap", "runaway"] {
        assert!(heard.contains(word), "'{word}' is missing: {heard}");
    }
}

#[tokio::test]
async fn metrics_are_in_the_usual_format_and_count() {
    let node = Node::serving(&["counter"]).await;
    for _ in 0..7 {
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok();
    }
    let metrics = until("seven calls", || async {
        let metrics = node.client().get("/metrics").await;
        assert!(
            metrics.header("content-type").starts_with("text/plain"),
            "{metrics}"
        );
        let counts = |line: &str| {
            line.starts_with("granary_calls") && line.contains("counter") && line.ends_with(" 7")
        };
        metrics.text().lines().any(counts).then(|| metrics.text())
    })
    .await;
    assert!(metrics.contains("# TYPE granary_"), "{metrics}");
    assert!(
        !metrics.contains("\"a\""),
        "a key is no label: there are too many of them"
    );
}

#[tokio::test]
async fn activations_are_listed_and_explained() {
    let node = Node::serving(&["counter", "runaway"]).await;
    let client = node.client();
    client.call("counter/a", "increment", json!([1])).await.ok();
    let listed = client.get("/v1/activations?kind=counter").await.ok();
    assert_eq!(
        listed["activations"].as_array().unwrap().len(),
        1,
        "{listed}"
    );
    let busy = client.clone();
    let sleeping =
        tokio::spawn(async move { busy.call("runaway/a", "sleep", json!([1500])).await });
    let explained = until("the turn", || async {
        let explained = granary(&node, &["explain", "runaway/a", "--output", "json"])
            .await
            .json();
        explained.to_string().contains("sleep").then_some(explained)
    })
    .await;
    assert!(explained.to_string().contains("epoch"), "{explained}");
    sleeping.await.unwrap();
    let quiet = granary(&node, &["explain", "counter/never"]).await.ok();
    assert!(quiet.contains("counter/never"), "{quiet}");
}

#[tokio::test]
async fn answers_carry_where_the_time_went() {
    let node = Node::serving(&["counter"]).await;
    let cold = node
        .client()
        .call("counter/a", "increment", json!([1]))
        .await;
    let warm = node
        .client()
        .call("counter/a", "increment", json!([1]))
        .await;
    assert_eq!(
        (
            cold.header("grain-activation"),
            warm.header("grain-activation")
        ),
        ("cold".into(), "warm".into())
    );
    assert_eq!(
        (
            cold.header("grain-state-version"),
            warm.header("grain-state-version")
        ),
        ("1".into(), "2".into())
    );
    for part in ["queue", "run", "commit"] {
        assert!(warm.header("server-timing").contains(part), "{warm}");
    }
    assert!(
        !warm.header("grain-node").is_empty() && warm.header("grain-revision") == "1",
        "{warm}"
    );
}

#[tokio::test]
async fn health_and_readiness_are_two_things() {
    let node = Node::start().await;
    assert_eq!(node.client().get("/healthz").await.status, 200);
    assert_eq!(node.client().get("/readyz").await.status, 200);
}
