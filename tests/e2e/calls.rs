//! Calls between grains: chains, circles, and a failure that is made good.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Node, until};

/// A node with the kinds that call each other.
async fn node() -> Node {
    Node::serving(&["account", "transfer"]).await
}

async fn balance(client: &Client, account: &str) -> Value {
    client
        .call(&format!("account/{account}"), "balance", json!([]))
        .await
        .ok()
}

fn order(amount: u64) -> Value {
    json!([{ "from": "ada", "to": "bob", "amount": amount }])
}

#[tokio::test]
async fn money_moves_and_asking_again_moves_nothing() {
    let mut node = node().await;
    node.client()
        .call("account/ada", "deposit", json!([100]))
        .await
        .ok();
    assert_eq!(
        node.client()
            .call("transfer/1", "run", order(30))
            .await
            .ok(),
        "done"
    );
    assert_eq!(
        node.client()
            .call("transfer/1", "run", order(30))
            .await
            .ok(),
        "done"
    );
    node.crash_and_start_again().await;
    let client = node.client();
    assert_eq!(
        client.call("transfer/1", "run", order(30)).await.ok(),
        "done"
    );
    assert_eq!(
        (balance(client, "ada").await, balance(client, "bob").await),
        (json!(70), json!(30))
    );
}

#[tokio::test]
async fn a_receiver_that_refuses_is_made_good_by_a_refund() {
    let node = node().await;
    let client = node.client();
    client
        .call("account/ada", "deposit", json!([100]))
        .await
        .ok();
    client
        .call("account/bob", "freeze", json!([true]))
        .await
        .ok();
    let outcome = client.call("transfer/2", "run", order(30)).await.ok();
    assert!(
        outcome["refunded"].as_str().unwrap().contains("frozen"),
        "{outcome}"
    );
    until("the refund", || async {
        (balance(client, "ada").await == 100).then_some(())
    })
    .await;
    assert_eq!(balance(client, "bob").await, 0);
}

#[tokio::test]
async fn a_payer_that_refuses_stops_it_before_anything_has_changed() {
    let node = node().await;
    let client = node.client();
    let refused = client
        .call("transfer/3", "run", order(30))
        .await
        .problem(400);
    assert!(
        refused.0["error"].to_string().contains("refused"),
        "{refused:?}"
    );
    assert_eq!(
        (balance(client, "ada").await, balance(client, "bob").await),
        (json!(0), json!(0))
    );
}

#[tokio::test]
async fn a_circle_is_refused_at_once_and_by_name() {
    let node = node().await;
    let started = Instant::now();
    let reply = node
        .client()
        .call("transfer/4", "circular", json!(["ada"]))
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "not after a timeout"
    );
    assert!(
        reply
            .text()
            .contains("transfer/4 → account/ada → transfer/4"),
        "{reply}"
    );
    // The one in the middle answers with the refusal that it got; asked from outside, the whole chain is told.
    let own = node.client().call("account/ada", "ask", json!(["4"])).await;
    assert!(own.status < 300, "{own}");
    // Both go on.
    node.client()
        .call("transfer/4", "describe", json!([]))
        .await
        .ok();
    assert_eq!(balance(node.client(), "ada").await, 0);
}

#[tokio::test]
async fn chains_that_block_each_other_crosswise_never_hang() {
    let node = node().await;
    let client = node.client();
    for round in 0..10 {
        let (transfer, account) = (format!("t{round}"), format!("a{round}"));
        let one =
            (0..4).map(|_| client.post(&format!("/g/account/{account}/ask"), json!([transfer])));
        let other = (0..4).map(|_| {
            client.post(
                &format!("/g/transfer/{transfer}/circular"),
                json!([account]),
            )
        });
        let started = Instant::now();
        let both = futures::future::join(
            futures::future::join_all(one),
            futures::future::join_all(other),
        );
        let (one, other) = both.await;
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "nobody waits for a timeout: {:?}",
            started.elapsed()
        );
        for reply in one.iter().chain(&other).filter(|reply| 300 <= reply.status) {
            assert!(reply.text().contains("deadlock"), "{reply}");
        }
        assert!(
            other.iter().all(|reply| 300 <= reply.status),
            "a circle can never succeed"
        );
    }
}

/// A path of `relay` grains. Before each step two paths wait for each other at the gate, if there is one.
fn path(keys: &[&str], gate: Option<&str>) -> Value {
    let hop = |key: &&str| json!({ "to": { "kind": "relay", "key": key }, "gate": gate });
    json!([keys.iter().map(hop).collect::<Vec<_>>()])
}

#[tokio::test]
async fn of_two_chains_that_meet_head_on_exactly_one_is_refused() {
    let node = Node::serving(&["relay", "async-reader"]).await;
    let client = node.client();
    for round in 0..5 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let gate = format!("gate{round}");
        let started = Instant::now();
        let one = client.post(&format!("/g/relay/{a}/relay"), path(&[&b], Some(&gate)));
        let other = client.post(&format!("/g/relay/{b}/relay"), path(&[&a], Some(&gate)));
        let (one, other) = futures::future::join(one, other).await;
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "nobody waits for a timeout"
        );
        let refused: Vec<_> = [&one, &other]
            .into_iter()
            .filter(|reply| 300 <= reply.status)
            .collect();
        assert_eq!(refused.len(), 1, "{one}\n{other}");
        let text = refused[0].text();
        assert!(
            text.contains("deadlock")
                && text.contains(&format!("relay/{a}"))
                && text.contains(&format!("relay/{b}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn longer_circles_are_named_whole_and_chains_without_one_pass() {
    let node = Node::serving(&["relay"]).await;
    let client = node.client();
    let circle = client
        .post("/g/relay/a/relay", path(&["b", "c", "d", "a"], None))
        .await;
    let named = "relay/a → relay/b → relay/c → relay/d → relay/a";
    assert!(
        300 <= circle.status && circle.text().contains(named),
        "{circle}"
    );
    let own = client.post("/g/relay/a/relay", path(&["a"], None)).await;
    assert!(
        300 <= own.status && own.text().contains("relay/a → relay/a"),
        "{own}"
    );
    assert_eq!(
        client
            .post("/g/relay/a/relay", path(&["b", "c", "d"], None))
            .await
            .ok(),
        json!(["a", "b", "c", "d"])
    );
    // Many chains through the same grains, none of them a circle: all pass, however they queue.
    let chains = (0..30).map(|_| client.post("/g/relay/a/relay", path(&["b", "c", "d"], None)));
    for reply in futures::future::join_all(chains).await {
        reply.ok();
    }
    let long: Vec<String> = (0..80).map(|n| format!("n{n}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let refused = client.post("/g/relay/a/relay", path(&long, None)).await;
    assert!(
        300 <= refused.status && refused.text().contains("64"),
        "a chain has an end: {refused}"
    );
}

#[tokio::test]
async fn a_callers_deadline_is_its_callees_too() {
    let node = Node::serving(&["relay", "runaway"]).await;
    let sleeper = json!({ "kind": "runaway", "key": "a" });
    let arguments = json!([sleeper, "sleep", "[20000]", 200, null]);
    let started = Instant::now();
    let reply = node.client().call("relay/a", "call", arguments).await;
    assert!(reply.text().contains("timeout"), "{reply}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn deadlocks_are_told_as_events() {
    let node = node().await;
    node.client()
        .call("transfer/5", "circular", json!(["ada"]))
        .await;
    until("the event", || async {
        let events = node.client().get("/v1/events?follow=false").await.text();
        (events.contains("deadlock") && events.contains("transfer/5")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_of_one_grain_run_one_at_a_time_in_arrival_order() {
    let node = Node::serving(&["counter"]).await;
    let calls = (0..200).map(|_| node.client().call("counter/one", "increment", json!([1])));
    let mut answers: Vec<u64> = futures::future::join_all(calls)
        .await
        .iter()
        .map(|reply| reply.ok().as_u64().unwrap())
        .collect();
    answers.sort_unstable();
    assert_eq!(answers, (1..=200).collect::<Vec<_>>());
}
