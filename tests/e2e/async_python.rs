//! Async functions in Python: calls from one turn overlap, and a turn is whole however often it waits.

use serde_json::json;

use crate::harness::{Client, Node};

/// On one node: compiling a Python component takes much longer than all that is seen here.
#[tokio::test]
async fn async_functions_of_python_wait_without_giving_up_a_promise() {
    let node = Node::serving(&["async-python", "async-reader"]).await;
    let client = node.client();
    futures::future::join4(
        two_calls_of_one_turn_are_under_way_at_once(client),
        turns_of_one_activation_overlap_where_they_wait(client),
        the_state_may_be_awaited(client),
        failures_after_a_wait_are_told_as_those_before_it(client),
    )
    .await;
}

async fn two_calls_of_one_turn_are_under_way_at_once(client: &Client) {
    // Each of the two waits at the gate for the other.
    let met = client
        .call("async-python/two", "gather", json!(["gate"]))
        .await;
    assert_eq!(met.ok(), json!([2, 2]));
    let plain = client.call("async-python/two", "plain", json!([])).await;
    assert_eq!(plain.ok(), 0);
}

async fn turns_of_one_activation_overlap_where_they_wait(client: &Client) {
    let exclusive = client.call("async-python/turns", "count-around", json!(["slow"]));
    let other = async {
        // A read beside it sees nothing of a turn that has not committed.
        assert_eq!(client.get("/g/async-python/turns/get").await.ok(), 0);
        client.get("/g/async-reader/slow/meet?guests=2").await.ok()
    };
    let (counted, met) = futures::future::join(exclusive, other).await;
    assert_eq!((counted.ok(), met), (json!(2), json!(2)));
    assert_eq!(client.get("/g/async-python/turns/get").await.ok(), 2);
}

async fn the_state_may_be_awaited(client: &Client) {
    // More than lies in memory, and nothing but what is committed is asked for in the second turn.
    for _ in 0..2 {
        let call = client.call("async-python/state", "awaited", json!([8, 60_000]));
        assert_eq!(call.await.ok(), 7 * 60_000);
    }
}

async fn failures_after_a_wait_are_told_as_those_before_it(client: &Client) {
    let refused = client
        .call("async-python/failing", "ask", json!(["no-such-kind"]))
        .await;
    assert_eq!(refused.problem(400).0["error"], "not-found");
    let thrown = client.call("async-python/failing", "throw", json!(["failing"]));
    let met = client.get("/g/async-reader/failing/meet?guests=2");
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
    assert_eq!(client.get("/g/async-python/failing/get").await.ok(), 0);
}
