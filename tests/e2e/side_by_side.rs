//! Async grains: turns that wait for several others, interleaved ones, work after the answer.
//!
//! A *gate* is a key of the kind `async-reader`, whose `meet` comes back when two wait there: a turn of the grain under test and the test itself.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Client, Node, Reply, guests, until, within};

async fn node() -> Node {
    Node::serving(&["side-by-side", "async-reader"]).await
}

/// Calls `side-by-side/a` in the background.
fn start(client: &Client, method: &'static str, arguments: Value) -> JoinHandle<Reply> {
    let client = client.clone();
    tokio::spawn(async move { client.call("side-by-side/a", method, arguments).await })
}

async fn done(what: &str, call: JoinHandle<Reply>) -> Reply {
    within(what, call).await.unwrap()
}

/// The methods of the running turns of `side-by-side/a`, each with the grains that it waits for, and how many calls are queued.
async fn turns(client: &Client) -> (Vec<(String, String)>, usize) {
    let explained = client
        .get("/v1/activations/side-by-side/a/explain")
        .await
        .ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let grain = |grain: &Value| format!("{}/{}", text(&grain["kind"]), text(&grain["key"]));
    let turn = |turn: &Value| {
        let waits = turn["waits_for"].as_array().unwrap();
        let waits: Vec<_> = waits.iter().map(grain).collect();
        (text(&turn["method"]), waits.join(" "))
    };
    let turns = explained["turns"].as_array().unwrap().iter().map(turn);
    let mut turns: Vec<_> = turns.collect();
    turns.sort();
    (turns, explained["mailbox"].as_array().unwrap().len())
}

/// Waits until a turn of `side-by-side/a` waits at a gate.
async fn at_gate(client: &Client, method: &str, gate: &str) {
    let wanted = (method.to_owned(), format!("async-reader/{gate}"));
    until(&format!("{method} at {gate}"), || async {
        turns(client).await.0.contains(&wanted).then_some(())
    })
    .await;
}

async fn open(client: &Client, gate: &str) {
    client
        .call(&format!("async-reader/{gate}"), "meet", json!([2]))
        .await
        .ok();
}

fn call(grain: &str, method: &str, arguments: Value) -> Value {
    let (kind, key) = grain.split_once('/').unwrap();
    json!({ "kind": kind, "key": key, "method": method, "arguments": arguments.to_string() })
}

#[tokio::test]
async fn one_turn_waits_for_several_calls_at_a_time() {
    let node = node().await;
    // Each of the three comes back only if all of them are under way at once.
    let meet = || call("async-reader/x", "meet", json!([3]));
    let calls = json!([[meet(), meet(), meet()]]);
    let answers = node.client().call("side-by-side/a", "gather", calls).await;
    assert_eq!(answers.ok(), json!(["3", "3", "3"]));
}

#[tokio::test]
async fn a_call_that_nobody_awaits_any_more_is_given_up() {
    let node = node().await;
    let client = node.client();
    let never = call("async-reader/never", "meet", json!([9]));
    let calls = json!([[never, call("async-reader/x", "meet", json!([1]))]]);
    let first = client.call("side-by-side/a", "first", calls).await;
    assert_eq!(first.ok(), 1);
    let rest = until("nobody waits", || async {
        let waited = client
            .get("/v1/activations/async-reader/never/explain")
            .await
            .ok();
        (waited["waited_for_by"] == json!([])).then_some(())
    });
    rest.await;
    assert_eq!(client.get("/g/side-by-side/a/get").await.ok(), 0);
}

#[tokio::test]
async fn a_circle_through_one_of_several_calls_is_refused_by_name() {
    let node = node().await;
    let back = call("side-by-side/a", "wait-for-nothing", json!([]));
    let calls = json!([[
        call("async-reader/x", "meet", json!([1])),
        call("side-by-side/b", "ask", json!([back])),
    ]]);
    let answers = node.client().call("side-by-side/a", "gather", calls).await;
    let answers = answers.ok();
    assert_eq!(answers[0], "1");
    let circle = "deadlock: side-by-side/a → side-by-side/b → side-by-side/a";
    assert!(answers[1].as_str().unwrap().contains(circle), "{answers}");
}

#[tokio::test]
async fn an_interleaved_turn_runs_while_another_one_waits() {
    let node = node().await;
    let client = node.client();
    let slow = start(client, "put-slowly", json!(["g", "x", "1"]));
    at_gate(client, "put-slowly", "g").await;
    let added = client.call("side-by-side/a", "add", json!([5])).await;
    assert_eq!(added.ok(), 5);
    assert_eq!(
        client.get("/g/side-by-side/a/look?key=x").await.ok(),
        Value::Null,
        "what a turn has written is its own until it ends"
    );
    assert_eq!(client.get("/g/side-by-side/a/get").await.ok(), 5);
    at_gate(client, "put-slowly", "g").await;
    open(client, "g").await;
    assert_eq!(done("the slow turn", slow).await.ok(), "1");
    assert_eq!(client.get("/g/side-by-side/a/look?key=x").await.ok(), "1");
    assert_eq!(client.get("/g/side-by-side/a/get").await.ok(), 5);
}

#[tokio::test]
async fn a_state_that_is_not_in_memory_may_be_awaited() {
    let mut node = node().await;
    // What is above 256 KiB is asked for in the store.
    let bytes = 6 * (64 << 10);
    let fill = node.client().call("side-by-side/a", "fill", json!([6]));
    assert_eq!(fill.await.status, 204);
    for _ in 0..2 {
        let client = node.client();
        let reads = ["filled", "filled-blocking", "filled", "filled"]
            .map(|method| client.call("side-by-side/a", method, json!([])));
        let reads = futures::future::join_all(reads).await;
        let shown = reads.iter().map(ToString::to_string);
        let shown = shown.collect::<Vec<_>>().join("\n");
        for read in reads {
            assert!(
                read.status == 200 && read.ok() == json!([bytes, bytes]),
                "{shown}"
            );
        }
        node.crash_and_start_again().await;
    }
}

#[tokio::test]
async fn a_turn_whose_key_was_changed_meanwhile_is_refused_and_leaves_nothing() {
    let node = node().await;
    let client = node.client();
    let slow = start(client, "add-slowly", json!(["g", 10]));
    at_gate(client, "add-slowly", "g").await;
    client.call("side-by-side/a", "add", json!([5])).await.ok();
    open(client, "g").await;
    let refused = done("the slow turn", slow).await.problem(409);
    refused.is("conflict", &["'count'", "repeat"]);
    assert_eq!(
        (refused.outcome(), refused.retryable()),
        ("no-effect", true)
    );
    let again = start(client, "add-slowly", json!(["h", 10]));
    at_gate(client, "add-slowly", "h").await;
    open(client, "h").await;
    assert_eq!(done("the repetition", again).await.ok(), 15);
}

#[tokio::test]
async fn an_exclusive_turn_waits_for_interleaved_ones_and_later_ones_for_it() {
    let node = node().await;
    let client = node.client();
    let slow = start(client, "put-slowly", json!(["g", "x", "1"]));
    at_gate(client, "put-slowly", "g").await;
    let exclusive = start(client, "answer-then-put", json!(["h", "2"]));
    until("the exclusive call waits", || async {
        (turns(client).await.1 == 1).then_some(())
    })
    .await;
    let later = start(client, "add", json!([1]));
    until("the later call waits behind it", || async {
        (turns(client).await.1 == 2).then_some(())
    })
    .await;
    assert_eq!(turns(client).await.0.len(), 1);
    open(client, "g").await;
    assert_eq!(done("the interleaved turn", slow).await.ok(), "1");
    at_gate(client, "answer-then-put", "h").await;
    assert_eq!(
        turns(client).await,
        (
            vec![("answer-then-put".to_owned(), "async-reader/h".to_owned())],
            1
        )
    );
    open(client, "h").await;
    assert_eq!(done("the exclusive turn", exclusive).await.ok(), "answered");
    assert_eq!(done("the later turn", later).await.ok(), 1);
}

#[tokio::test]
async fn work_after_the_answer_is_part_of_the_turn() {
    let node = node().await;
    let client = node.client();
    let turn = start(client, "answer-then-put", json!(["g", "late"]));
    at_gate(client, "answer-then-put", "g").await;
    assert!(!turn.is_finished(), "the answer waits for the commit");
    open(client, "g").await;
    assert_eq!(done("the turn", turn).await.ok(), "answered");
    let after = || client.get("/g/side-by-side/a/look?key=after");
    assert_eq!(after().await.ok(), "late");

    // The same while another turn runs on beside it.
    let slow = start(client, "put-slowly", json!(["slow", "x", "1"]));
    at_gate(client, "put-slowly", "slow").await;
    let turn = start(client, "answer-then-put-beside", json!(["h", "later"]));
    at_gate(client, "answer-then-put-beside", "h").await;
    assert_eq!(after().await.ok(), "late");
    assert!(!turn.is_finished());
    open(client, "h").await;
    assert_eq!(done("the turn beside", turn).await.ok(), "answered");
    assert_eq!(after().await.ok(), "later");
    at_gate(client, "put-slowly", "slow").await;
    open(client, "slow").await;
    assert_eq!(done("the slow turn", slow).await.ok(), "1");
}

#[tokio::test]
async fn work_after_the_answer_has_an_end() {
    let node = node().await;
    let client = node.client();
    for method in ["answer-then-put", "answer-then-put-beside"] {
        let gate = format!("no-way-{method}");
        let late = start(client, method, json!([gate, "x"]));
        let late = done("the tail limit", late).await;
        let problem = late.problem(507);
        problem.is("limit-exceeded", &["limits.tail-time", "2 s"]);
        assert_eq!(problem.0["limit"], "tail-time");
        assert_eq!(problem.outcome(), "no-effect");
        assert_eq!(
            client.get("/g/side-by-side/a/look?key=after").await.ok(),
            Value::Null
        );
    }
}

#[tokio::test]
async fn a_trap_ends_the_turns_beside_it_without_a_trace() {
    let node = node().await;
    let client = node.client();
    let other = start(client, "put-slowly", json!(["h", "x", "1"]));
    at_gate(client, "put-slowly", "h").await;
    let trap = start(client, "trap-slowly", json!(["g"]));
    at_gate(client, "trap-slowly", "g").await;
    open(client, "g").await;
    for ended in [done("the trap", trap).await, done("the other", other).await] {
        let problem = ended.problem(500);
        problem.is("guest-trap", &["as told"]);
        assert_eq!(problem.outcome(), "no-effect");
    }
    assert_eq!(
        client.get("/g/side-by-side/a/look?key=x").await.ok(),
        Value::Null
    );
}

#[tokio::test]
async fn a_guest_that_waits_for_nothing_is_told_so() {
    let node = node().await;
    let stuck = node
        .client()
        .call("side-by-side/a", "wait-for-nothing", json!([]))
        .await;
    stuck
        .problem(500)
        .is("guest-trap", &["the guest waits for nothing"]);
}

#[tokio::test]
async fn a_blocking_call_holds_up_the_turns_beside_it_and_the_circle_is_seen() {
    let node = node().await;
    let add = call("side-by-side/a", "add", json!([1]));
    let through = |method: &str| {
        let back = call("side-by-side/b", "ask", json!([add.clone()]));
        let client = node.client().clone();
        let method = method.to_owned();
        async move { client.call("side-by-side/a", &method, json!([back])).await }
    };
    // The call comes back to its own grain, where another turn may run beside the first.
    assert_eq!(through("ask").await.ok(), "\"1\"");
    let refused = through("ask-blocking").await.problem(400);
    let circle = "deadlock: side-by-side/a → side-by-side/b → side-by-side/a";
    assert!(
        refused.0["error"].to_string().contains(circle),
        "{}",
        refused.0
    );
}

#[tokio::test]
async fn only_async_methods_may_interleave() {
    let node = Node::start().await;
    let interleave = |method: &str| json!({ "methods": { method: { "mode": "interleave" } } });
    let refused = node
        .deploy_as("counter", "counter", interleave("increment"))
        .await;
    refused
        .problem(422)
        .is("not-async", &["'increment'", "async func"]);
    let refused = node
        .deploy_as("counter", "counter", interleave("incremen"))
        .await;
    refused.problem(422).is("no-method", &["did you mean"]);
    let refused = node
        .deploy_as("async-reader", "async-reader", interleave("plain"))
        .await;
    refused.problem(422).is("not-async", &["'plain'"]);
    let manifest = guests::manifest("side-by-side");
    node.deploy_as("side-by-side", "side-by-side", manifest)
        .await
        .ok();
}
