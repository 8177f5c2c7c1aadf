//! The main job: upload what stock tools built, call it, kill the process, find every acknowledged change.

use serde_json::json;

use crate::harness::{Cli, Node, granary, guests, repository};

#[tokio::test]
async fn a_component_without_any_sdk_is_called_minutes_after_it_was_written() {
    let node = Node::start().await;
    let deployed = node.deploy_as("greeter", "greeter", json!({})).await;
    assert_eq!(deployed.ok()["revision"], 1, "{deployed}");
    let greeting = node
        .client()
        .call("greeter/ada", "greet", json!(["Ada"]))
        .await;
    assert!(greeting.ok().as_str().unwrap().contains("Ada"));
    assert_eq!(greeting.header("grain-revision"), "1");
}

#[tokio::test]
async fn every_acknowledged_change_is_there_after_kill_9() {
    let mut node = Node::serving(&["counter"]).await;
    for expected in 1..=20 {
        let answer = node
            .client()
            .call("counter/visits", "increment", json!([1]))
            .await;
        assert_eq!(answer.ok(), expected);
    }
    node.crash_and_start_again().await;
    assert_eq!(node.client().get("/g/counter/visits/get").await.ok(), 20);
    assert_eq!(
        node.client()
            .call("counter/visits", "increment", json!([1]))
            .await
            .ok(),
        21
    );
}

#[tokio::test]
async fn memory_is_a_cache_and_state_is_what_counts() {
    let mut node = Node::serving(&["counter"]).await;
    let client = node.client().clone();
    client.call("counter/a", "increment", json!([5])).await.ok();
    assert_eq!(
        client
            .call("counter/a", "increment-memory", json!([5]))
            .await
            .ok(),
        5
    );
    node.crash_and_start_again().await;
    let client = node.client().clone();
    assert_eq!(
        client
            .call("counter/a", "increment-memory", json!([1]))
            .await
            .ok(),
        1
    );
    assert_eq!(client.call("counter/a", "get", json!([])).await.ok(), 5);
}

#[tokio::test]
async fn the_command_line_deploys_and_invokes_a_sample_as_it_stands() {
    let node = Node::start().await;
    let samples = repository().join("sample-grains");
    // Built already or not: `deploy` builds what is out of date.
    drop(guests::component("counter"));
    Cli::run(&samples.join("counter"), Some(&node), &["deploy"])
        .await
        .ok();
    let out = granary(&node, &["invoke", "counter/shop", "increment", "3"])
        .await
        .ok();
    assert_eq!(out.trim(), "3");
    let listed = granary(&node, &["ls", "--output", "json"]).await.json();
    assert!(listed.to_string().contains("counter"), "{listed}");
}

#[tokio::test]
async fn a_clean_stop_loses_nothing_and_says_success() {
    let mut node = Node::serving(&["counter"]).await;
    node.client()
        .call("counter/a", "increment", json!([7]))
        .await
        .ok();
    assert_eq!(node.stop().await, 0);
    node.start_again().await;
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 7);
}
