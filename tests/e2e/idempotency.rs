//! Idempotency keys: the second call gets the first one's answer, across restarts too.

use serde_json::json;

use crate::harness::Node;

#[tokio::test]
async fn the_same_key_is_executed_once_across_kill_9() {
    let mut node = Node::serving(&["counter"]).await;
    let once = node
        .client()
        .call_once("counter/a", "increment", &json!([5]), "order-1")
        .await
        .unwrap();
    assert_eq!(once.ok(), 5);
    let again = node
        .client()
        .call_once("counter/a", "increment", &json!([5]), "order-1")
        .await
        .unwrap();
    assert_eq!((again.ok(), again.status), (json!(5), once.status));
    node.crash_and_start_again().await;
    let again = node
        .client()
        .call_once("counter/a", "increment", &json!([5]), "order-1")
        .await
        .unwrap();
    assert_eq!(again.ok(), 5);
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 5);
    // Another grain's keys are its own.
    let other = node
        .client()
        .call_once("counter/b", "increment", &json!([5]), "order-1")
        .await
        .unwrap();
    assert_eq!(other.ok(), 5);
}

#[tokio::test]
async fn the_same_key_with_another_call_is_a_mistake_and_is_said_to_be_one() {
    let node = Node::serving(&["counter"]).await;
    node.client()
        .call_once("counter/a", "increment", &json!([5]), "k")
        .await
        .unwrap()
        .ok();
    let other = node
        .client()
        .call_once("counter/a", "increment", &json!([6]), "k")
        .await
        .unwrap();
    assert!(other.status == 422 || other.status == 409, "{other}");
    other.problem(other.status);
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 5);
}

#[tokio::test]
async fn an_err_answer_is_kept_like_any_other_and_a_trap_is_not() {
    let node = Node::serving(&["account", "runaway"]).await;
    let refused = node
        .client()
        .call_once("account/a", "withdraw", &json!([5]), "k")
        .await
        .unwrap();
    assert_eq!(refused.problem(409).case(), "app-error");
    node.client()
        .call("account/a", "deposit", json!([10]))
        .await
        .ok();
    let again = node
        .client()
        .call_once("account/a", "withdraw", &json!([5]), "k")
        .await
        .unwrap();
    assert_eq!(again.problem(409).case(), "app-error");
    assert_eq!(node.client().get("/g/account/a/balance").await.ok(), 10);
    // A turn that left no trace has not used its key up.
    for _ in 0..2 {
        let trapped = node
            .client()
            .call_once("runaway/a", "trap", &json!([]), "k")
            .await
            .unwrap();
        trapped.problem(500);
    }
}

#[tokio::test]
async fn concurrent_calls_under_one_key_are_executed_once() {
    let node = Node::serving(&["counter"]).await;
    let arguments = json!([1]);
    let calls = (0..20).map(|_| {
        node.client()
            .call_once("counter/a", "increment", &arguments, "same")
    });
    for reply in futures::future::join_all(calls).await {
        assert_eq!(reply.unwrap().ok(), 1);
    }
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 1);
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused() {
    let node = Node::serving(&["counter"]).await;
    let reply = node
        .client()
        .call_once("counter/a", "increment", &json!([1]), &"k".repeat(257))
        .await
        .unwrap();
    assert!((400..500).contains(&reply.status), "{reply}");
    reply.problem(reply.status);
}
