//! Grains that call each other: chains, circles, messages.

use std::time::{Duration, Instant};

use granary_core::error::CallError;
use serde_json::json;

use super::rig::*;
use crate::grains::Call;
use crate::sends::CallStatus;

/// A path of relays. Before each step two paths wait for each other at the gate, if there is one.
fn path(keys: &[&str], gate: Option<&str>) -> String {
    let hops: Vec<_> = keys
        .iter()
        .map(|key| json!({"to": {"kind": "relay", "key": key}, "gate": gate}))
        .collect();
    json!([hops]).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_many_grains_and_comes_back() {
    let node = with("relay", &["about", "notes"]).await;
    assert_eq!(
        ask(&node, "relay/a", "relay", &path(&["b", "c", "d"], None)).await,
        json!(["a", "b", "c", "d"])
    );
    let about = ask(
        &node,
        "relay/a",
        "about-of",
        r#"[{"kind":"relay","key":"b"},"hello"]"#,
    )
    .await;
    let about: serde_json::Value = serde_json::from_str(about.as_str().unwrap()).unwrap();
    assert_eq!(
        (about["caller"]["key"].as_str(), about["baggage"].as_str()),
        (Some("a"), Some("hello")),
        "{about}"
    );
    assert!(node.shared.waits.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_refused_at_once_and_by_name() {
    let node = with("relay", &[]).await;
    let began = Instant::now();
    let refused = error(call(&node, "relay/a", "relay", &path(&["b", "c", "a"], None)).await);
    assert!(
        refused
            .to_string()
            .contains("relay/a → relay/b → relay/c → relay/a"),
        "{refused}"
    );
    let alone = error(call(&node, "relay/s", "relay", &path(&["s"], None)).await);
    assert!(alone.to_string().contains("relay/s → relay/s"), "{alone}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(node.shared.waits.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_chains_that_block_each_other_exactly_one_is_refused() {
    let node = with("relay", &[]).await;
    deploy(&node, "async-reader", spec("async-reader", &["meet"])).await;
    let one = begin(
        &node,
        Call::new(grain("relay/a"), "relay", path(&["b"], Some("gate"))),
    );
    let two = begin(
        &node,
        Call::new(grain("relay/b"), "relay", path(&["a"], Some("gate"))),
    );
    let ends = [one.await.unwrap(), two.await.unwrap()];
    let refused: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{ends:?}");
    assert!(
        refused[0].to_string().contains("deadlock"),
        "{}",
        refused[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_chains_without_a_circle_are_all_served() {
    let node = with("relay", &[]).await;
    // Every chain goes from an earlier letter to a later one, so that none can close a circle.
    let chains = (0..60).map(|at| {
        let mut keys = vec!["a", "b", "c", "d", "e", "f"];
        keys.retain(|_| fastrand::bool());
        let start = if at % 2 == 0 { "relay/0" } else { "relay/00" };
        begin(&node, Call::new(grain(start), "relay", path(&keys, None)))
    });
    for chain in chains.collect::<Vec<_>>() {
        chain.await.unwrap().unwrap();
    }
    assert!(node.shared.waits.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_an_async_component_meet_and_its_writes_do_not() {
    let node = with("async-reader", &["meet", "get"]).await;
    let meet = || begin(&node, Call::new(grain("async-reader/a"), "meet", "[3]"));
    for guest in [meet(), meet(), meet()] {
        guest.await.unwrap().unwrap();
    }
    let add = || {
        begin(
            &node,
            Call::new(grain("async-reader/a"), "slow-increment", "[]"),
        )
    };
    for one in [add(), add(), add()] {
        one.await.unwrap().unwrap();
    }
    assert_eq!(ask(&node, "async-reader/a", "get", "").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_leaves_with_its_turn_and_is_handled_once() {
    let node = with("relay", &["notes"]).await;
    let to_b = r#"[{"kind":"relay","key":"b"},"note","[\"hello\"]""#;
    ask(&node, "relay/a", "send", &format!("{to_b},null]")).await;
    error(call(&node, "relay/a", "send-and-trap", &format!("{to_b}]")).await);
    until("the message", || async {
        ask(&node, "relay/b", "notes", "").await == json!(["hello"])
    })
    .await;
    until("its end", || async {
        node.store
            .sends_due(u64::MAX, 10)
            .await
            .unwrap()
            .0
            .is_empty()
    })
    .await;
    assert_eq!(ask(&node, "relay/b", "notes", "").await, json!(["hello"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_call_keeps_its_answer() {
    let node = with("counter", &["get"]).await;
    let submit = || Call {
        idempotency_key: Some("k".into()),
        ..Call::new(grain("counter/a"), "increment", "[4]")
    };
    let id = node.sends.submit(submit(), Duration::ZERO).await.unwrap();
    assert_eq!(
        node.sends.submit(submit(), Duration::ZERO).await.unwrap(),
        id
    );
    let CallStatus::Done { result, .. } =
        node.sends.wait(id, Duration::from_secs(10)).await.unwrap()
    else {
        panic!("it is not done");
    };
    assert_eq!(value(&result.unwrap()), 4);
    assert_eq!(ask(&node, "counter/a", "get", "").await, 4);
    // The same key by the ordinary way finds the same answer.
    assert!(node.grains.call(submit()).await.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_handled_is_given_up_and_listed() {
    let node = with("relay", &[]).await;
    let id = node
        .sends
        .submit(
            Call::new(grain("relay/a"), "note", r#"["x"]"#),
            Duration::ZERO,
        )
        .await
        .unwrap();
    node.sends.wait(id, Duration::from_secs(10)).await.unwrap();
    let wrong = Call::new(grain("relay/a"), "no-such-method", "[]");
    let refused = node.sends.submit(wrong, Duration::ZERO).await.unwrap_err();
    assert!(
        matches!(refused.error, CallError::NotFound { .. }),
        "{refused}"
    );
}
