//! One turn: its transaction, its answer, its deadline, its key.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::error::{CallError, Outcome};
use granary_core::limits::Limits;

use super::rig::*;
use crate::grains::Call;

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_counts_and_a_read_leaves_no_commit() {
    let node = with("counter", &["get"]).await;
    let first = call(&node, "counter/a", "increment", "[2]").await.unwrap();
    assert_eq!(
        (value(&first), first.state_version, first.cold),
        (2.into(), 1, true)
    );
    let second = call(&node, "counter/a", "increment", r#"{"by":3}"#)
        .await
        .unwrap();
    assert_eq!(
        (value(&second), second.state_version, second.cold),
        (5.into(), 2, false)
    );
    let read = call(&node, "counter/a", "get", "").await.unwrap();
    assert_eq!(
        (value(&read), read.state_version, read.epoch),
        (5.into(), 2, second.epoch)
    );
    assert_eq!(ask(&node, "counter/b", "get", "").await, 0);
    assert_eq!(
        node.grains.head(&grain("counter/b")).await.unwrap().version,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_before_the_grain_is_activated() {
    let node = with("counter", &["get"]).await;
    let wrong = error(call(&node, "counter/a", "increment", r#"["x"]"#).await);
    assert!(matches!(wrong, CallError::Invalid { .. }), "{wrong}");
    let method = error(call(&node, "counter/a", "incremnt", "[1]").await);
    assert!(
        method.to_string().contains("did you mean 'increment'"),
        "{method}"
    );
    let kind = error(call(&node, "conter/a", "increment", "[1]").await);
    assert!(
        kind.to_string().contains("did you mean 'counter'"),
        "{kind}"
    );
    let writing = Call {
        read_only: true,
        ..Call::new(grain("counter/a"), "increment", "[1]")
    };
    assert!(matches!(
        error(node.grains.call(writing).await),
        CallError::Denied { .. }
    ));
    assert_eq!(node.grains.live(&grain("counter/a").kind), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_leaves_no_trace_and_the_next_call_meets_a_new_activation() {
    let node = with("runaway", &["values", "ping"]).await;
    assert_eq!(ask(&node, "runaway/a", "values", "").await, 0);
    let trap = call(&node, "runaway/a", "write-and-trap", "")
        .await
        .unwrap_err();
    assert!(matches!(trap.error, CallError::GuestTrap { .. }), "{trap}");
    assert_eq!(
        (trap.error.outcome(), trap.chain),
        (Outcome::NoEffect, vec![grain("runaway/a")])
    );
    let after = call(&node, "runaway/a", "values", "").await.unwrap();
    assert_eq!((value(&after), after.cold), (0.into(), true));
    let told = node.grains.explain(&grain("runaway/a")).await;
    assert_eq!(
        told.last_failure.map(|last| (last.method, last.error)),
        Some(("write-and-trap".into(), "guest-trap"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_large_is_not_committed() {
    let node = node().await;
    let mut small = spec("runaway", &[]);
    small.limits = Limits {
        result: 1000,
        ..Limits::DEFAULT
    };
    deploy(&node, "runaway", small).await;
    let refused = error(call(&node, "runaway/a", "huge-result", "[100000]").await);
    assert!(
        matches!(refused, CallError::LimitExceeded { .. }),
        "{refused}"
    );
    assert_eq!(
        ask(&node, "runaway/a", "ping", "").await,
        serde_json::Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_answer_rolls_back_only_where_the_manifest_says_so() {
    let node = node().await;
    let mut rolls = spec("relay", &["notes"]);
    rolls
        .methods
        .entry("send-and-fail".into())
        .or_default()
        .rollback_on_err = true;
    deploy(&node, "relay", rolls).await;
    let arguments = r#"[{"kind":"relay","key":"b"},"note","[\"x\"]"]"#;
    let failed = error(call(&node, "relay/a", "send-and-fail", arguments).await);
    assert_eq!(
        failed,
        CallError::App {
            value: r#""as told""#.into(),
            rolled_back: true
        }
    );
    assert_eq!(
        ask(&node, "relay/a", "notes", "").await,
        serde_json::json!([])
    );
    assert_eq!(
        node.grains.head(&grain("relay/a")).await.unwrap().version,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_executed_once_and_answers_alike_afterwards() {
    let node = with("counter", &["get"]).await;
    let keyed = |json: &str| Call {
        idempotency_key: Some("k".into()),
        ..Call::new(grain("counter/a"), "increment", json.to_owned())
    };
    let copies: Vec<_> = (0..10).map(|_| begin(&node, keyed("[1]"))).collect();
    let mut replayed = 0;
    for copy in copies {
        let answer = copy.await.unwrap().unwrap();
        assert_eq!((value(&answer), answer.state_version), (1.into(), 1));
        replayed += usize::from(answer.replayed);
    }
    assert_eq!(replayed, 9);
    assert_eq!(ask(&node, "counter/a", "get", "").await, 1);
    assert!(matches!(
        error(node.grains.call(keyed("[2]")).await),
        CallError::Invalid { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_tells_whether_the_call_had_begun() {
    let node = with("relay", &["notes"]).await;
    let slow = Call {
        timeout: Some(Duration::from_millis(300)),
        ..Call::new(grain("relay/a"), "slow-note", r#"["late",600]"#)
    };
    let running = begin(&node, slow);
    until_running(&node, "relay/a", "slow-note").await;
    let waiting = Call {
        timeout: Some(Duration::from_millis(50)),
        ..Call::new(grain("relay/a"), "note", r#"["never"]"#)
    };
    let waited = error(node.grains.call(waiting).await);
    assert!(
        matches!(waited, CallError::Timeout { started: false, .. }),
        "{waited}"
    );
    let ran = error(running.await.unwrap());
    assert!(
        matches!(ran, CallError::Timeout { started: true, .. }),
        "{ran}"
    );
    assert_eq!(
        ask(&node, "relay/a", "notes", "").await,
        serde_json::json!(["late"]),
        "its turn was finished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_takes_only_a_waiting_call_with_it() {
    let node = with("relay", &["notes"]).await;
    let running = begin(
        &node,
        Call::new(grain("relay/a"), "slow-note", r#"["begun",200]"#),
    );
    until_running(&node, "relay/a", "slow-note").await;
    let waiting = begin(&node, Call::new(grain("relay/a"), "note", r#"["waited"]"#));
    until_waiting(&node, "relay/a", 1).await;
    waiting.abort();
    running.abort();
    until_waiting(&node, "relay/a", 0).await;
    assert_eq!(
        ask(&node, "relay/a", "notes", "").await,
        serde_json::json!(["begun"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_is_answered_and_a_running_one_is_told() {
    let node = with("relay", &["notes"]).await;
    let run = Call::new(grain("relay/a"), "until-cancelled", "[20000]");
    let wait = Call::new(grain("relay/a"), "note", r#"["x"]"#);
    let (run_id, wait_id) = (run.id, wait.id);
    let running = begin(&node, run);
    until_running(&node, "relay/a", "until-cancelled").await;
    let waiting = begin(&node, wait);
    until_waiting(&node, "relay/a", 1).await;
    assert!(node.grains.cancel(wait_id).await);
    assert!(matches!(
        error(waiting.await.unwrap()),
        CallError::Cancelled { .. }
    ));
    assert!(node.grains.cancel(run_id).await);
    assert_eq!(value(&running.await.unwrap().unwrap()), true);
    assert!(!node.grains.cancel(run_id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_is_an_answer() {
    let node = node().await;
    let mut narrow = spec("relay", &[]);
    narrow.limits = Limits {
        mailbox_calls: 2,
        ..Limits::DEFAULT
    };
    deploy(&node, "relay", narrow).await;
    let _running = begin(
        &node,
        Call::new(grain("relay/a"), "slow-note", r#"["x",300]"#),
    );
    until_running(&node, "relay/a", "slow-note").await;
    let waiting: Vec<_> = (0..2)
        .map(|_| begin(&node, Call::new(grain("relay/a"), "note", r#"["y"]"#)))
        .collect();
    until_waiting(&node, "relay/a", 2).await;
    let refused = error(call(&node, "relay/a", "note", r#"["z"]"#).await);
    assert!(
        matches!(&refused, CallError::Overloaded { detail } if detail.contains("mailbox-calls")),
        "{refused}"
    );
    for call in waiting {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_turn_runs_again_where_that_is_safe() {
    let node = with("counter", &["get"]).await;
    ask(&node, "counter/a", "increment", "[1]").await;
    // Somebody else takes a newer epoch: the live activation may not commit any more.
    let taken = node.store.load(&grain("counter/a")).await.unwrap();
    let answer = call(&node, "counter/a", "increment", "[1]").await.unwrap();
    assert_eq!((value(&answer), answer.cold), (2.into(), true));
    assert!(taken.epoch < answer.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_seen_by_the_next_turn_and_a_purge_leaves_nothing() {
    let node = with("counter", &["get"]).await;
    ask(&node, "counter/a", "increment", "[5]").await;
    let a = grain("counter/a");
    let entry = node
        .store
        .list(
            &a,
            "",
            None,
            granary_store::PageSize {
                entries: 9,
                bytes: 999,
            },
        )
        .await
        .unwrap()
        .items
        .remove(0);
    let writes = || BTreeMap::from([(entry.0.clone(), None)]);
    let refused = node.grains.edit(&a, writes(), Some(7)).await.unwrap_err();
    assert!(
        matches!(refused.error, CallError::Conflict { .. }),
        "{refused}"
    );
    let head = node.grains.edit(&a, writes(), Some(1)).await.unwrap();
    assert_eq!((head.version, head.keys), (2, 0));
    assert_eq!(ask(&node, "counter/a", "get", "").await, 0);
    node.grains.purge(&a).await.unwrap();
    assert_eq!(
        node.grains.head(&a).await.unwrap(),
        granary_store::Head::default()
    );
}
