//! What goes wrong leaves no trace.

use std::sync::Arc;

use super::catalogue::kind_record;
use super::messages::answer;
use super::{Rig, good, grain, message, turn, writing};
use crate::artifacts::digest_of;
use crate::door::{Commit, Loaded, Store, StoreError};

pub(super) async fn a_full_store_changes_nothing_and_recovers(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    good(store.commit(writing(&cart, epoch, &[("a", Some(b"1"))]))).await;
    rig.set_free_bytes(1000);
    let sends = vec![message(1, 100)];
    let refused = store
        .commit(Commit {
            sends,
            ..writing(&cart, epoch, &[("a", Some(b"2"))])
        })
        .await;
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    assert!(matches!(store.ready().await, Err(StoreError::Full { .. })));
    assert!(matches!(
        store.put_send(message(2, 100)).await,
        Err(StoreError::Full { .. })
    ));
    let component = vec![1; 100];
    let refused = store.put_artifact(digest_of(&component), component).await;
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(
        good(store.read(&cart, "a")).await,
        Some(b"1".to_vec()),
        "reading goes on"
    );
    assert_eq!(good(store.sends(None, 9)).await.items, []);
    rig.set_free_bytes(u64::MAX);
    good(store.ready()).await;
    let head = good(store.commit(writing(&cart, epoch, &[("a", Some(b"3"))])))
        .await
        .head;
    assert_eq!(head.version, 2, "the activation goes on where it was");
}

pub(super) async fn a_closed_store_says_so(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    let waiting = store.commit(writing(&cart, epoch, &[("a", Some(b"1"))]));
    let (kept, closed) = tokio::join!(waiting, store.close());
    assert!(
        kept.is_ok() && closed.is_ok(),
        "what was handed over before is still kept: {kept:?}"
    );
    assert!(matches!(
        store.commit(turn(&cart, epoch)).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.load(&cart).await, Err(StoreError::Closed)));
    assert!(matches!(
        store.read(&cart, "a").await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        store.put_value("n", None).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.artifacts().await, Err(StoreError::Closed)));
    assert!(matches!(store.ready().await, Err(StoreError::Closed)));
    good(store.close()).await;
}

pub(super) async fn a_refused_change_does_not_touch_its_neighbours(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    for round in 1..=50_u64 {
        // All three are handed over before anything is waited for: an engine may keep them as one group.
        let first = store.commit(writing(&cart, epoch, &[("n", Some(&round.to_be_bytes()))]));
        let conflict = store.put_kind(Some(kind_record("none", 1)), kind_record("none", 2));
        let last = store.put_send(message(round.into(), round));
        let (first, conflict, last) = tokio::join!(first, conflict, last);
        assert_eq!(first.unwrap().head.version, round);
        assert!(
            matches!(conflict, Err(StoreError::Conflict { .. })),
            "{conflict:?}"
        );
        last.unwrap();
    }
    assert_eq!(good(store.kinds()).await, []);
    assert_eq!(good(store.sends(None, 99)).await.items.len(), 50);
}

pub(super) async fn everything_is_there_after_opening_again(rig: &dyn Rig) {
    if !rig.is_durable() {
        return;
    }
    let cart = grain("cart/7");
    let component = vec![5; 1000];
    let store = rig.open();
    let old = good(store.load(&cart)).await.epoch;
    let long = vec![3; 70_000];
    let reply = Some(answer("key", 5000));
    let everything = Commit {
        sends: vec![message(1, 100)],
        reply,
        ..writing(&cart, old, &[("a", Some(b"1")), ("b", Some(&long))])
    };
    let head = good(store.commit(everything)).await.head;
    good(store.put_kind(None, kind_record("cart", 1))).await;
    good(store.put_value("node", Some(b"n1".to_vec()))).await;
    good(store.put_artifact(digest_of(&component), component.clone())).await;
    good(store.close()).await;
    drop(store);
    // Once after a proper end, once after the store was merely dropped.
    for _ in 0..2 {
        let store = rig.open();
        let loaded = same_as_before(&store).await;
        assert_eq!(loaded.head, head);
        assert!(old < loaded.epoch);
        assert!(matches!(
            store.commit(turn(&cart, old)).await,
            Err(StoreError::Stale { .. })
        ));
        assert_eq!(
            good(store.artifact(digest_of(&component))).await,
            Some(component.clone())
        );
    }
}

async fn same_as_before(store: &Arc<dyn Store>) -> Loaded {
    let cart = grain("cart/7");
    let loaded = good(store.load(&cart)).await;
    assert_eq!(good(store.read(&cart, "b")).await, Some(vec![3; 70_000]));
    assert_eq!(
        good(store.reply(&cart, "key", 0)).await,
        Some(answer("key", 5000))
    );
    assert_eq!(good(store.sends_due(100, 9)).await.0, [message(1, 100)]);
    assert_eq!(good(store.kinds()).await, [kind_record("cart", 1)]);
    assert_eq!(good(store.value("node")).await, Some(b"n1".to_vec()));
    loaded
}
