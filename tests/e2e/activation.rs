//! The life of an activation: hooks, rest, replacement, side-by-side reads, what a turn knows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Node, guests, until};

async fn diary(client: &Client, key: &str) -> Vec<String> {
    let days = client
        .call(&format!("hooks/{key}"), "read", json!([]))
        .await
        .ok();
    days.as_array()
        .unwrap()
        .iter()
        .map(|day| day.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn hooks_run_as_turns_and_say_why() {
    let mut node = Node::serving(&["hooks"]).await;
    let client = node.client().clone();
    client.call("hooks/a", "note", json!(["hello"])).await.ok();
    assert_eq!(diary(&client, "a").await, ["activate message", "hello"]);
    client.delete("/g/hooks/a").await.ok();
    assert_eq!(
        diary(&client, "a").await,
        [
            "activate message",
            "hello",
            "deactivate requested",
            "activate message"
        ]
    );
    client.call("hooks/a", "trap", json!([])).await.problem(500);
    assert_eq!(
        diary(&client, "a").await.last().unwrap(),
        "activate recovery"
    );
    let mut manifest = guests::manifest("hooks");
    manifest["description"] = json!("another revision");
    node.deploy_as("hooks", "hooks", manifest).await.ok();
    assert_eq!(
        diary(&client, "a").await[5..],
        ["deactivate upgrade", "activate upgrade"]
    );
    assert_eq!(node.stop().await, 0);
    node.start_again().await;
    assert_eq!(
        diary(node.client(), "a").await[7..],
        ["deactivate shutdown", "activate message"]
    );
}

#[tokio::test]
async fn an_idle_activation_goes_to_rest_and_comes_back_with_its_state() {
    let node = Node::start().await;
    let mut manifest = guests::manifest("hooks");
    manifest["limits"]["idle"] = json!("1s");
    node.deploy_as("hooks", "hooks", manifest).await.ok();
    node.client()
        .call("hooks/a", "note", json!(["hello"]))
        .await
        .ok();
    until("rest", || async {
        let live = node.client().get("/v1/activations").await.ok();
        (!live.to_string().contains("hooks")).then_some(())
    })
    .await;
    assert_eq!(
        diary(node.client(), "a").await,
        [
            "activate message",
            "hello",
            "deactivate idle",
            "activate message"
        ]
    );
}

#[tokio::test]
async fn hooks_that_go_wrong_cost_their_own_call_and_nothing_else() {
    let node = Node::serving(&["hooks"]).await;
    let client = node.client();
    for key in ["refuse-1", "trap-activate-1", "loop-activate-1"] {
        for _ in 0..2 {
            let reply = client
                .call(&format!("hooks/{key}"), "note", json!(["x"]))
                .await;
            reply.problem(reply.status);
            assert!(500 <= reply.status, "{reply}");
        }
        let state = client.get(&format!("/v1/state/hooks/{key}")).await;
        assert_eq!(
            state.ok()["keys"],
            0,
            "nothing of a failed hook is kept: {state}"
        );
    }
    for key in ["trap-deactivate-1", "loop-deactivate-1"] {
        client
            .call(&format!("hooks/{key}"), "note", json!(["x"]))
            .await
            .ok();
        client.delete(&format!("/g/hooks/{key}")).await.ok();
        let days = diary(client, key).await;
        assert_eq!(days, ["activate message", "x", "activate message"], "{key}");
    }
}

#[tokio::test]
async fn pressure_makes_room_for_new_activations() {
    let node = Node::with("[engine]\nslots = 4").start().await;
    node.deploy("counter").await.ok();
    for round in 1..=2 {
        for key in 0..12 {
            assert_eq!(
                node.client()
                    .call(&format!("counter/{key}"), "increment", json!([1]))
                    .await
                    .ok(),
                round
            );
        }
    }
    let live = node.client().get("/v1/activations").await.ok();
    assert!(live["activations"].as_array().unwrap().len() <= 4, "{live}");
}

#[tokio::test]
async fn a_node_without_a_free_slot_says_overloaded() {
    let node = Node::with("[engine]\nslots = 2").start().await;
    node.deploy("runaway").await.ok();
    let calls = (0..6).map(|key| {
        let client = node.client().clone();
        async move {
            client
                .call(&format!("runaway/{key}"), "sleep", json!([1500]))
                .await
        }
    });
    let replies = futures::future::join_all(calls).await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(!refused.is_empty() && refused.len() < 6, "{replies:?}");
    for reply in refused {
        reply.problem(429).is("overloaded", &["slots"]);
    }
}

#[tokio::test]
async fn reads_of_an_async_component_run_side_by_side_and_writes_alone() {
    let node = Node::serving(&["async-reader"]).await;
    let client = node.client();
    let meetings = (0..4).map(|_| client.get("/g/async-reader/a/meet?guests=4"));
    for reply in futures::future::join_all(meetings).await {
        assert!(4 <= reply.ok().as_u64().unwrap(), "{reply}");
    }
    let increments = (0..10).map(|_| client.call("async-reader/a", "slow-increment", json!([])));
    for reply in futures::future::join_all(increments).await {
        reply.ok();
    }
    assert_eq!(
        client.get("/g/async-reader/a/get").await.ok(),
        10,
        "no count is lost"
    );
    let refused = client.get("/g/async-reader/a/write-while-reading").await;
    assert!(400 <= refused.status, "{refused}");
    assert_eq!(
        client.call("async-reader/a", "plain", json!([])).await.ok(),
        10
    );
}

#[tokio::test]
async fn reads_that_share_an_activation_with_a_trap_are_told_and_can_be_repeated() {
    let node = Node::serving(&["async-reader"]).await;
    let client = node.client();
    // It waits for a third one that never comes.
    let read = client.get("/g/async-reader/a/meet?guests=3");
    let trap = client.get("/g/async-reader/a/trap-when-met?guests=2");
    let (read, trap) = futures::future::join(read, trap).await;
    trap.problem(500).is("guest-trap", &[]);
    assert_eq!(read.problem(read.status).outcome(), "no-effect", "{read}");
    assert_eq!(client.get("/g/async-reader/a/get").await.ok(), 0);
}

#[tokio::test]
async fn a_turn_knows_who_calls_and_for_how_long() {
    let node = Node::serving(&["relay"]).await;
    let grain = |key: &str| json!({ "kind": "relay", "key": key });
    let about = node.client().call("relay/a", "about", json!([])).await.ok();
    assert_eq!(
        (&about["self-id"], &about["caller"], &about["chain"]),
        (&grain("a"), &Value::Null, &json!([]))
    );
    assert!(
        about["deadline-ms"].as_u64().unwrap() <= 30_000 && about["revision"] == 1,
        "{about}"
    );
    let relayed = node
        .client()
        .call("relay/a", "about-of", json!([grain("b"), "hello"]))
        .await
        .ok();
    let relayed: Value = serde_json::from_str(relayed.as_str().unwrap()).unwrap();
    assert_eq!(
        (&relayed["self-id"], &relayed["caller"]),
        (&grain("b"), &grain("a"))
    );
    assert_eq!(
        (&relayed["chain"], &relayed["baggage"]),
        (&json!([grain("a")]), &json!("hello"))
    );
    let first = about["epoch"].as_u64().unwrap();
    node.client().delete("/g/relay/a").await.ok();
    let second = node.client().call("relay/a", "about", json!([])).await.ok()["epoch"]
        .as_u64()
        .unwrap();
    assert!(first < second, "an epoch grows with each activation");
}

#[tokio::test]
async fn a_call_can_be_cancelled_while_it_runs() {
    let node = Node::serving(&["relay"]).await;
    let client = node.client();
    let request = client
        .request(reqwest::Method::POST, "/g/relay/a/until-cancelled")
        .header("prefer", "respond-async");
    let accepted = client.send(request.json(&json!([20_000]))).await;
    let place = accepted.header("location");
    until("the turn", || async {
        let explained = client.get("/v1/activations/relay/a/explain").await;
        explained.text().contains("until-cancelled").then_some(())
    })
    .await;
    client.delete(&place).await;
    let free = tokio::time::timeout(
        Duration::from_secs(10),
        client.call("relay/a", "about", json!([])),
    );
    free.await
        .expect("the grain is free long before the turn's own end")
        .ok();
}
