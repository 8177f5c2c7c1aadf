//! Limits: every way in which a guest can misbehave ends in a typed error, and nobody else notices.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Node, granary, guests, until};

/// A node with `runaway` and a neighbour that counts.
async fn node() -> Node {
    Node::serving(&["runaway", "counter"]).await
}

/// The neighbour and the grain itself both go on.
async fn all_go_on(node: &Node) {
    node.client()
        .call("counter/neighbour", "increment", json!([1]))
        .await
        .ok();
    node.client()
        .call("runaway/a", "ping", json!([]))
        .await
        .ok();
}

#[tokio::test]
async fn a_loop_ends_at_its_cpu_time() {
    let node = node().await;
    let problem = node
        .client()
        .call("runaway/a", "loop-forever", json!([]))
        .await
        .problem(507);
    problem.is("limit-exceeded", &["cpu-time", "500"]);
    assert_eq!(
        (problem.outcome(), problem.retryable()),
        ("no-effect", false)
    );
    all_go_on(&node).await;
    // Under the limit nothing happens, and what was used is told.
    let answer = node.client().call("runaway/a", "burn", json!([200])).await;
    assert!(0 < answer.ok().as_u64().unwrap());
    let used: u64 = answer.header("grain-cpu-us").parse().unwrap();
    // It burns for 200 ms of the clock on the wall; how much of them it gets depends on what else runs.
    assert!((20_000..400_000).contains(&used), "{answer}");
}

#[tokio::test]
async fn waiting_costs_no_cpu_time() {
    let node = node().await;
    let answer = node.client().call("runaway/a", "sleep", json!([800])).await;
    answer.ok();
    assert!(
        answer.header("grain-cpu-us").parse::<u64>().unwrap() < 100_000,
        "{answer}"
    );
}

#[tokio::test]
async fn memory_ends_where_the_manifest_says() {
    let node = node().await;
    let problem = node
        .client()
        .call("runaway/a", "exhaust", json!([]))
        .await
        .problem(507);
    problem.is("limit-exceeded", &["memory"]);
    all_go_on(&node).await;
    // A guest that asks politely is refused politely.
    assert_eq!(
        node.client()
            .call("runaway/b", "allocate", json!([8]))
            .await
            .ok(),
        8
    );
    let refused = node
        .client()
        .call("runaway/b", "allocate", json!([100]))
        .await
        .problem(400);
    assert_eq!(refused.case(), "app-error", "{refused:?}");
    all_go_on(&node).await;
}

#[tokio::test]
async fn recursion_ends_at_the_stack() {
    let node = node().await;
    assert_eq!(
        node.client()
            .call("runaway/a", "recurse", json!([100]))
            .await
            .ok(),
        100
    );
    let problem = node
        .client()
        .call("runaway/a", "recurse", json!([0]))
        .await
        .problem(507);
    problem.is("limit-exceeded", &["stack"]);
    all_go_on(&node).await;
}

#[tokio::test]
async fn traps_panics_and_exits_drop_the_turn_and_nothing_else() {
    let node = node().await;
    for (method, arguments) in [
        ("trap", json!([])),
        ("write-and-trap", json!([])),
        ("panic-with", json!(["on purpose"])),
        ("exit", json!([true])),
        ("exit", json!([false])),
    ] {
        let problem = node
            .client()
            .call("runaway/a", method, arguments)
            .await
            .problem(500);
        assert_eq!(problem.case(), "guest-trap", "{method}: {problem:?}");
        assert_eq!(problem.outcome(), "no-effect", "{method}");
    }
    assert_eq!(
        node.client()
            .call("runaway/a", "values", json!([]))
            .await
            .ok(),
        0
    );
    all_go_on(&node).await;
}

#[tokio::test]
async fn what_a_failing_guest_said_reaches_whoever_called() {
    let node = node().await;
    let client = node.client();
    let panic = client
        .call("runaway/a", "panic-with", json!(["line one\nline two"]))
        .await
        .problem(500);
    panic.is(
        "guest-trap",
        &["panicked at", "src/lib.rs", "line one\nline two"],
    );
    let long: Vec<String> = (0..40).map(|at| format!("row {at:02}")).collect();
    let long = client
        .call("runaway/a", "panic-with", json!([long.join("\n")]))
        .await
        .problem(500);
    long.is("guest-trap", &["row 39", "row 25"]);
    assert!(!long.detail().contains("row 10"), "only the last lines");
    for (failed, word) in [(true, "with a failure status"), (false, "with success")] {
        let exit = client.call("runaway/a", "exit", json!([failed])).await;
        exit.problem(500).is("guest-trap", &[word]);
    }
    let printed = granary(
        &node,
        &["invoke", "runaway/a", "panic-with", "\"by command\""],
    )
    .await;
    assert!(printed.err.contains("by command"), "{}", printed.err);
    node.deploy("relay").await.ok();
    let to = json!({ "kind": "runaway", "key": "b" });
    let passed = client
        .call(
            "relay/a",
            "call",
            json!([to, "panic-with", "[\"far away\"]", null, null]),
        )
        .await
        .problem(400);
    let error = passed.0["error"].to_string();
    assert!(
        error.contains("guest-trap") && error.contains("far away"),
        "{error}"
    );
    all_go_on(&node).await;
}

#[tokio::test]
async fn state_has_its_sizes() {
    let node = node().await;
    let client = node.client();
    let refused = client
        .call("runaway/a", "flood-state", json!([16 << 20]))
        .await
        .problem(400);
    assert!(refused.0.to_string().contains("state-total"), "{refused:?}");
    let refused = client
        .call("runaway/a", "write-value", json!([(1 << 20) + 1]))
        .await
        .problem(400);
    assert!(refused.0.to_string().contains("state-value"), "{refused:?}");
    client
        .call("runaway/b", "write-value", json!([1 << 20]))
        .await
        .ok();
    all_go_on(&node).await;
}

#[tokio::test]
async fn a_read_method_may_not_write() {
    let node = node().await;
    let reply = node.client().get("/g/runaway/a/write-while-reading").await;
    assert!(reply.text().contains("read"), "{reply}");
    assert!(400 <= reply.status, "{reply}");
    assert_eq!(
        node.client().get("/v1/state/runaway/a").await.json()["entries"]
            .as_array()
            .map_or(0, Vec::len),
        0
    );
    all_go_on(&node).await;
}

#[tokio::test]
async fn results_have_their_size() {
    let node = node().await;
    let problem = node
        .client()
        .call("runaway/a", "huge-result", json!([5 << 20]))
        .await
        .problem(507);
    assert_eq!(problem.case(), "limit-exceeded");
    let problem = node
        .client()
        .call("runaway/a", "many-results", json!([1_500_000]))
        .await
        .problem(507);
    assert_eq!(problem.case(), "limit-exceeded");
    assert_eq!(
        node.client()
            .call("runaway/a", "huge-result", json!([3]))
            .await
            .ok(),
        json!("AAAA")
    );
    all_go_on(&node).await;
}

#[tokio::test]
async fn sends_of_one_turn_are_counted() {
    let node = node().await;
    let refused = node
        .client()
        .call("runaway/a", "send-flood", json!([1000]))
        .await
        .problem(400);
    assert!(refused.0.to_string().contains("sends"), "{refused:?}");
    all_go_on(&node).await;
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_counted() {
    let node = node().await;
    node.client()
        .call("runaway/a", "flood-log", json!([20_000]))
        .await
        .ok();
    let logs = until("the log", || async {
        let logs = node
            .client()
            .get("/v1/logs?kind=runaway&follow=false&limit=10000")
            .await
            .text();
        logs.contains("line 0 of a flood").then_some(logs)
    })
    .await;
    assert!(
        logs.len() < 1 << 20,
        "64 KiB a second are kept, not {} bytes",
        logs.len()
    );
    until("how many lines were dropped", || async {
        let logs = node
            .client()
            .get("/v1/logs?kind=runaway&follow=false&limit=10000")
            .await
            .text();
        logs.contains("dropped").then_some(())
    })
    .await;
    all_go_on(&node).await;
}

#[tokio::test]
async fn a_turn_that_never_ends_is_dropped_at_its_wall_time() {
    let node = Node::start().await;
    let mut manifest = guests::manifest("runaway");
    manifest["limits"]["wall-time"] = json!("300ms");
    node.deploy_as("runaway", "runaway", manifest).await.ok();
    let problem = node
        .client()
        .call("runaway/a", "sleep", json!([60_000]))
        .await
        .problem(507);
    problem.is("limit-exceeded", &["wall-time"]);
    node.client()
        .call("runaway/a", "ping", json!([]))
        .await
        .ok();
}

#[tokio::test]
async fn a_caller_that_does_not_wait_gets_a_timeout_and_the_grain_goes_on() {
    let node = node().await;
    let path = "/g/runaway/a/sleep";
    let request = node
        .client()
        .request(reqwest::Method::POST, path)
        .header("grain-timeout", "100ms");
    let problem = node
        .client()
        .send(request.json(&json!([3000])))
        .await
        .problem(504);
    assert_eq!((problem.case(), problem.outcome()), ("timeout", "unknown"));
    all_go_on(&node).await;
}

#[tokio::test]
async fn a_full_mailbox_is_an_answer_not_a_wait() {
    let node = Node::start().await;
    let mut manifest = guests::manifest("runaway");
    manifest["limits"]["mailbox-calls"] = json!(4);
    node.deploy_as("runaway", "runaway", manifest).await.ok();
    let calls = (0..12).map(|_| node.client().call("runaway/a", "sleep", json!([300])));
    let replies = futures::future::join_all(calls).await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(
        (5..=8).contains(&refused.len()),
        "{} of 12 were refused",
        refused.len()
    );
    for reply in refused {
        let problem = reply.problem(429);
        problem.is("overloaded", &["mailbox"]);
        assert!(problem.retryable() && problem.outcome() == "not-started");
        assert!(!reply.header("retry-after").is_empty(), "{reply}");
    }
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 429 || reply.status == 204),
        "{replies:?}"
    );
}

#[tokio::test]
async fn sixteen_loops_leave_room_for_a_neighbour() {
    let node = Node::start().await;
    node.deploy("counter").await.ok();
    let mut manifest = guests::manifest("runaway");
    manifest["limits"]["cpu-time"] = json!("3s");
    manifest["limits"]["wall-time"] = json!("120s");
    manifest["limits"]["call-timeout"] = json!("120s");
    node.deploy_as("runaway", "runaway", manifest).await.ok();
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    let loops = (0..16).map(|n| {
        let client = node.client().clone();
        tokio::spawn(async move {
            client
                .call(&format!("runaway/{n}"), "loop-forever", json!([]))
                .await
        })
    });
    let loops: Vec<_> = loops.collect();
    for _ in 0..50 {
        let call = node.client().call("counter/a", "increment", json!([1]));
        let reply = tokio::time::timeout(Duration::from_secs(5), call)
            .await
            .expect("a neighbour is answered in between");
        reply.ok();
    }
    for ended in futures::future::join_all(loops).await {
        let problem = ended.unwrap().problem(507);
        assert_eq!(problem.case(), "limit-exceeded");
    }
    assert_eq!(
        node.client().get("/g/counter/a/get").await.ok(),
        Value::from(51)
    );
}
