//! Async functions in Python: calls from one turn overlap, and a turn is whole however often it waits.

use serde_json::json;

use crate::harness::Node;

async fn node() -> Node {
    Node::serving(&["async-python", "async-reader"]).await
}

#[tokio::test]
async fn two_calls_of_one_turn_are_under_way_at_once() {
    let node = node().await;
    let client = node.client();
    // Each of the two waits at the gate for the other.
    let met = client
        .call("async-python/a", "gather", json!(["gate"]))
        .await;
    assert_eq!(met.ok(), json!([2, 2]));
    let plain = client.call("async-python/a", "plain", json!([])).await;
    assert_eq!(plain.ok(), 0);
}

#[tokio::test]
async fn turns_of_one_activation_overlap_where_they_wait() {
    let node = node().await;
    let client = node.client();
    let exclusive = client.call("async-python/a", "count-around", json!(["slow"]));
    let other = async {
        // A read beside it sees nothing of a turn that has not committed.
        assert_eq!(client.get("/g/async-python/a/get").await.ok(), 0);
        client.get("/g/async-reader/slow/meet?guests=2").await.ok()
    };
    let (counted, met) = futures::future::join(exclusive, other).await;
    assert_eq!((counted.ok(), met), (json!(2), json!(2)));
    assert_eq!(client.get("/g/async-python/a/get").await.ok(), 2);
}

#[tokio::test]
async fn the_state_may_be_awaited() {
    let node = node().await;
    // More than lies in memory, and nothing but what is committed is asked for in the second turn.
    for _ in 0..2 {
        let call = node
            .client()
            .call("async-python/a", "awaited", json!([8, 60_000]));
        assert_eq!(call.await.ok(), 7 * 60_000);
    }
}

#[tokio::test]
async fn failures_after_a_wait_are_told_as_those_before_it() {
    let node = node().await;
    let client = node.client();
    let refused = client
        .call("async-python/a", "ask", json!(["no-such-kind"]))
        .await;
    assert_eq!(refused.problem(400).0["error"], "not-found");
    let thrown = client.call("async-python/a", "throw", json!(["gate"]));
    let met = client.get("/g/async-reader/gate/meet?guests=2");
    let (thrown, met) = futures::future::join(thrown, met).await;
    met.ok();
    let problem = thrown.problem(500);
    problem.is("guest-trap", &[]);
    assert_eq!(problem.outcome(), "no-effect");
    assert!(
        problem.0.to_string().contains("the milk is sour"),
        "in the language's own words: {}",
        problem.0
    );
    assert_eq!(client.get("/g/async-python/a/get").await.ok(), 0);
}
