//! Calls that nobody waits for: `respond-async`, delays, cancelling, and messages between grains.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Node, Reply, until};

/// Sends a call without waiting for its answer.
async fn respond_async(
    client: &Client,
    grain: &str,
    method: &str,
    arguments: Value,
    query: &str,
) -> Reply {
    let request = client.request(Method::POST, &format!("/g/{grain}/{method}{query}"));
    client
        .send(request.header("prefer", "respond-async").json(&arguments))
        .await
}

#[tokio::test]
async fn an_asynchronous_call_is_accepted_run_and_remembered() {
    let node = Node::serving(&["counter"]).await;
    let accepted = respond_async(node.client(), "counter/a", "increment", json!([3]), "").await;
    assert_eq!(accepted.status, 202, "{accepted}");
    let place = accepted.header("location");
    assert!(place.starts_with("/v1/calls/"), "{accepted}");
    let status = node.client().get(&format!("{place}?wait=30s")).await.ok();
    assert_eq!(
        (&status["status"], &status["value"]),
        (&json!("done"), &json!(3)),
        "{status}"
    );
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 3);
}

#[tokio::test]
async fn accepted_calls_survive_kill_9_and_run_exactly_once() {
    let mut node = Node::serving(&["counter"]).await;
    let mut places = Vec::new();
    for _ in 0..20 {
        let accepted = respond_async(
            node.client(),
            "counter/a",
            "increment",
            json!([1]),
            "?delay=1s",
        )
        .await;
        assert_eq!(accepted.status, 202, "{accepted}");
        places.push(accepted.header("location"));
    }
    node.crash_and_start_again().await;
    for place in places {
        let status = node.client().get(&format!("{place}?wait=30s")).await.ok();
        assert_eq!(status["status"], "done", "{status}");
    }
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 20);
}

#[tokio::test]
async fn a_failed_asynchronous_call_tells_how_it_failed() {
    let node = Node::serving(&["account", "counter"]).await;
    let accepted = respond_async(node.client(), "account/a", "withdraw", json!([3]), "").await;
    let status = node
        .client()
        .get(&format!("{}?wait=30s", accepted.header("location")))
        .await
        .ok();
    assert!(status.to_string().contains("insufficient"), "{status}");
    // What can be checked is checked before it is accepted.
    let refused = respond_async(node.client(), "counter/a", "increment", json!(["x"]), "").await;
    refused.problem(422);
    node.client()
        .get(&format!("/v1/calls/{}", "0".repeat(32)))
        .await
        .problem(404);
    node.client().get("/v1/calls/x").await.problem(400);
}

#[tokio::test]
async fn a_delayed_call_can_be_cancelled() {
    let node = Node::serving(&["counter"]).await;
    let accepted = respond_async(
        node.client(),
        "counter/a",
        "increment",
        json!([3]),
        "?delay=1h",
    )
    .await;
    let place = accepted.header("location");
    assert!(node.client().delete(&place).await.status < 300);
    let status = node.client().get(&place).await;
    assert!(
        status.status == 404 || status.text().contains("cancelled"),
        "{status}"
    );
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 0);
}

#[tokio::test]
async fn messages_between_grains_arrive_exactly_once_through_kill_9() {
    let mut node = Node::serving(&["account", "transfer"]).await;
    let client = node.client().clone();
    client
        .call("account/ada", "deposit", json!([1000]))
        .await
        .ok();
    client
        .call("account/bob", "freeze", json!([true]))
        .await
        .ok();
    for number in 0..20 {
        let order = json!([{ "from": "ada", "to": "bob", "amount": 10 }]);
        client
            .call(&format!("transfer/{number}"), "run", order)
            .await
            .ok();
    }
    // Each refund is a message that was committed with its transfer; some are still on their way.
    node.crash_and_start_again().await;
    let balance = || async {
        let balance = node
            .client()
            .call("account/ada", "balance", json!([]))
            .await
            .ok();
        (balance == 1000).then_some(())
    };
    until("every refund", balance).await;
    node.crash_and_start_again().await;
    assert_eq!(
        node.client()
            .call("account/ada", "balance", json!([]))
            .await
            .ok(),
        1000
    );
}

#[tokio::test]
async fn a_turn_that_fails_sends_nothing() {
    let node = Node::serving(&["relay"]).await;
    let client = node.client();
    let target = json!({ "kind": "relay", "key": "b" });
    client
        .call(
            "relay/a",
            "send-and-trap",
            json!([target, "note", "[\"x\"]"]),
        )
        .await
        .problem(500);
    client
        .call(
            "relay/a",
            "send-and-fail",
            json!([target, "note", "[\"x\"]"]),
        )
        .await
        .problem(400);
    // A message that is sent afterwards arrives, and it is the only one.
    client
        .call("relay/a", "send", json!([target, "note", "[\"y\"]", null]))
        .await
        .ok();
    let arrived = until("the message", || async {
        let notes = client.get("/g/relay/b/notes").await.ok();
        notes
            .as_array()
            .is_some_and(|notes| !notes.is_empty())
            .then_some(notes)
    })
    .await;
    assert_eq!(arrived, json!(["y"]));
    assert_eq!(
        client.get("/g/relay/a/notes").await.ok(),
        json!([]),
        "what the failed turns wrote is gone too"
    );
}

#[tokio::test]
async fn a_message_that_cannot_arrive_is_refused_when_it_is_sent() {
    let node = Node::serving(&["relay"]).await;
    let nobody = json!({ "kind": "nobody", "key": "b" });
    let reply = node
        .client()
        .call("relay/a", "send", json!([nobody, "note", "[\"x\"]", null]))
        .await;
    assert!(
        reply.problem(400).0["error"]
            .to_string()
            .contains("not-found"),
        "{reply}"
    );
    let target = json!({ "kind": "relay", "key": "b" });
    let reply = node
        .client()
        .call("relay/a", "send", json!([target, "note", "[1]", null]))
        .await;
    assert!(
        reply.problem(400).0["error"]
            .to_string()
            .contains("invalid"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_batch_answers_each_item_on_its_own() {
    let node = Node::serving(&["counter"]).await;
    let items = json!([
        { "key": "a", "method": "increment", "args": [1] },
        { "key": "b", "method": "increment", "args": ["x"] },
        { "key": "", "method": "increment", "args": [1] },
        { "key": "a", "method": "nothing", "args": [] },
        { "key": "a", "method": "increment", "args": [1] },
    ]);
    let answers = node.client().post("/g/counter/$batch", items).await.ok();
    let statuses: Vec<_> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 422, 400, 404, 200], "{answers}");
    assert_eq!(answers[4]["value"], 2, "{answers}");
}
