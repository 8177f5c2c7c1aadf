//! From the first message to the last: hooks, upgrades, migrations, pressure, the end of the node.

use std::time::Duration;

use granary_core::error::CallError;
use granary_core::id::Revision;
use granary_core::kind::Rollout;
use granary_core::limits::Limits;
use serde_json::json;

use super::rig::*;
use crate::grains::Call;

#[tokio::test(flavor = "multi_thread")]
async fn a_grain_keeps_a_diary_of_its_life() {
    let node = with("hooks", &["read"]).await;
    assert_eq!(
        ask(&node, "hooks/a", "read", "").await,
        json!(["activate message"])
    );
    assert!(node.grains.deactivate(&grain("hooks/a")).await);
    assert!(!node.grains.deactivate(&grain("hooks/a")).await);
    let trap = error(call(&node, "hooks/a", "trap", "").await);
    assert!(matches!(trap, CallError::GuestTrap { .. }), "{trap}");
    let diary = [
        "activate message",
        "deactivate requested",
        "activate message",
        "activate recovery",
    ];
    assert_eq!(ask(&node, "hooks/a", "read", "").await, json!(diary));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_or_trapping_activate_hook_costs_the_call_and_leaves_no_trace() {
    let node = with("hooks", &["read"]).await;
    let refused = error(call(&node, "hooks/refuse", "note", r#"["x"]"#).await);
    assert!(
        refused.to_string().contains("does not want to"),
        "{refused}"
    );
    let trapped = error(call(&node, "hooks/trap-activate", "note", r#"["x"]"#).await);
    assert!(matches!(trapped, CallError::GuestTrap { .. }), "{trapped}");
    assert_eq!(
        node.grains
            .head(&grain("hooks/refuse"))
            .await
            .unwrap()
            .version,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_grain_leaves_by_itself() {
    let node = node().await;
    let mut brief = spec("hooks", &["read"]);
    brief.limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::DEFAULT
    };
    deploy(&node, "hooks", brief).await;
    ask(&node, "hooks/a", "read", "").await;
    until("rest", || async { node.grains.activations().is_empty() }).await;
    let diary = ["activate message", "deactivate idle", "activate message"];
    assert_eq!(ask(&node, "hooks/a", "read", "").await, json!(diary));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_passivates_what_rests_and_refuses_only_when_nothing_does() {
    let node = with_slots(2).await;
    deploy(&node, "relay", spec("relay", &["notes"])).await;
    for key in ["a", "b", "c", "d"] {
        ask(&node, &format!("relay/{key}"), "note", r#"["x"]"#).await;
    }
    assert!(node.grains.activations().len() <= 2);
    let mut busy = Vec::new();
    for key in ["a", "b"] {
        let grain_of = format!("relay/{key}");
        busy.push(begin(
            &node,
            Call::new(grain(&grain_of), "slow-note", r#"["y",2000]"#),
        ));
        until_running(&node, &grain_of, "slow-note").await;
    }
    let refused = error(call(&node, "relay/c", "notes", "").await);
    assert!(matches!(refused, CallError::Overloaded { .. }), "{refused}");
    for call in busy {
        call.await.unwrap().unwrap();
    }
    assert_eq!(ask(&node, "relay/c", "notes", "").await, json!(["x"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_call_after_a_deployment_runs_the_new_revision_and_none_fails() {
    let node = node().await;
    deploy(&node, "migrator-v1", spec("migrator", &["version"])).await;
    ask(&node, "migrator/a", "set-name", r#"["Ada Lovelace"]"#).await;
    assert_eq!(ask(&node, "migrator/a", "version", "").await, 1);
    let load: Vec<_> = (0..4)
        .map(|_| {
            let node = std::sync::Arc::clone(&node);
            tokio::spawn(async move {
                for _ in 0..100 {
                    call(&node, "migrator/a", "version", "").await.unwrap();
                }
            })
        })
        .collect();
    let deployed = deploy(&node, "migrator-v2", spec("migrator", &["version"])).await;
    assert_eq!(
        (deployed.revision, deployed.before),
        (Revision(2), Some(Revision(1)))
    );
    let first = call(&node, "migrator/a", "version", "").await.unwrap();
    assert_eq!(
        (value(&first), first.grain_revision),
        (2.into(), Revision(2))
    );
    for client in load {
        client.await.unwrap();
    }
    assert_eq!(
        node.grains
            .head(&grain("migrator/a"))
            .await
            .unwrap()
            .revision,
        Some(Revision(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_migration_halts_the_rollout_and_loses_nothing() {
    let node = node().await;
    deploy(&node, "migrator-v1", spec("migrator", &["version"])).await;
    let keys = ["good", "trap", "bad", "later"];
    for key in keys {
        ask(
            &node,
            &format!("migrator/{key}"),
            "set-name",
            r#"["Ada Lovelace"]"#,
        )
        .await;
    }
    deploy(&node, "migrator-v2", spec("migrator", &["version"])).await;
    let mut versions = Vec::new();
    for key in keys {
        versions.push(ask(&node, &format!("migrator/{key}"), "version", "").await);
        assert_eq!(
            ask(&node, &format!("migrator/{key}"), "name", "").await,
            "Ada Lovelace"
        );
    }
    assert_eq!(versions, [2, 1, 1, 1], "one had moved before it was halted");
    let record = node.kinds.get("migrator").unwrap();
    assert!(
        matches!(
            &record.rollout,
            Rollout::Halted {
                from: Revision(1),
                ..
            }
        ),
        "{:?}",
        record.rollout
    );
    let rolled = node.kinds.rollback(&record.name, None).await.unwrap();
    assert_eq!(rolled.revision, Revision(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_finishes_turns_says_goodbye_and_takes_no_more() {
    let node = node().await;
    deploy(&node, "relay", spec("relay", &[])).await;
    deploy(&node, "hooks", spec("hooks", &["read"])).await;
    ask(&node, "hooks/a", "read", "").await;
    let running = begin(
        &node,
        Call::new(grain("relay/a"), "slow-note", r#"["x",200]"#),
    );
    until_running(&node, "relay/a", "slow-note").await;
    node.stop().await;
    running.await.unwrap().unwrap();
    assert!(node.grains.activations().is_empty());
    let refused = error(call(&node, "relay/a", "note", r#"["y"]"#).await);
    assert!(
        matches!(refused, CallError::Unavailable { .. }),
        "{refused}"
    );
}
