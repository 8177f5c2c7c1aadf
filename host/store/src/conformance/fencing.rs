//! One committing copy, and commits in the order in which they were let in.

use std::sync::Arc;

use granary_core::id::{Epoch, GrainId};

use super::{Rig, good, grain, turn, writing};
use crate::door::{Store, StoreError};

async fn refused(store: &dyn Store, grain: &GrainId, epoch: Epoch) -> Option<Epoch> {
    match store
        .commit(writing(grain, epoch, &[("stale", Some(b"1"))]))
        .await
    {
        Err(StoreError::Stale { held, newest, .. }) if held == epoch => newest,
        other => panic!("a stale epoch was answered with {other:?}"),
    }
}

pub(super) async fn a_newer_activation_refuses_the_older_one(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let old = good(store.load(&cart)).await.epoch;
    let new = good(store.load(&cart)).await.epoch;
    assert!(old < new);
    assert_eq!(refused(&*store, &cart, old).await, Some(new));
    good(store.commit(turn(&cart, new))).await;
    assert_eq!(good(store.read(&cart, "stale")).await, None);
    assert!(matches!(
        store.purge(&cart, old).await,
        Err(StoreError::Stale { .. })
    ));
}

pub(super) async fn a_released_activation_may_not_commit(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let old = good(store.load(&cart)).await.epoch;
    let new = good(store.load(&cart)).await.epoch;
    store.release(&cart, old);
    good(store.commit(turn(&cart, new))).await;
    store.release(&cart, new);
    assert_eq!(refused(&*store, &cart, new).await, None);
    assert!(new < good(store.load(&cart)).await.epoch);
}

pub(super) async fn a_load_sees_every_commit_that_was_let_in_before(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    for round in 0..100_u32 {
        let epoch = good(store.load(&cart)).await.epoch;
        let value = round.to_be_bytes();
        // Handed over, but nobody waits for it: it is finished all the same, also if its activation ends.
        let commit = store.commit(writing(&cart, epoch, &[("n", Some(&value))]));
        if round % 2 == 0 {
            drop(commit);
            store.release(&cart, epoch);
            let loaded = good(store.load(&cart)).await;
            assert_eq!(loaded.entries.unwrap()["n"], value);
        } else {
            let (loaded, committed) = tokio::join!(store.load(&cart), commit);
            assert_eq!(loaded.unwrap().entries.unwrap()["n"], value);
            assert_eq!(committed.unwrap().head.version, u64::from(round) + 1);
        }
    }
}

pub(super) async fn racing_activations_lose_no_update(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let racers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(race(Arc::clone(&store), cart.clone())))
        .collect();
    let mut kept = 0;
    for racer in racers {
        kept += racer.await.unwrap();
    }
    let loaded = good(store.load(&cart)).await;
    let count = loaded
        .entries
        .unwrap()
        .get("n")
        .map_or(0, |n| u32::from_be_bytes(n.as_slice().try_into().unwrap()));
    assert_eq!(count, kept);
    assert_eq!(loaded.head.version, u64::from(kept));
}

/// Adds one, again and again, as an activation that may be fenced at any moment. How often it was acknowledged.
async fn race(store: Arc<dyn Store>, cart: GrainId) -> u32 {
    let mut kept = 0;
    for _ in 0..50 {
        let loaded = good(store.load(&cart)).await;
        let n = loaded
            .entries
            .unwrap()
            .get("n")
            .map_or(0, |n| u32::from_be_bytes(n.as_slice().try_into().unwrap()));
        match store
            .commit(writing(
                &cart,
                loaded.epoch,
                &[("n", Some(&(n + 1).to_be_bytes()))],
            ))
            .await
        {
            Ok(_) => kept += 1,
            Err(StoreError::Stale { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
    kept
}

pub(super) async fn commits_of_many_grains_are_all_kept_in_order(rig: &dyn Rig) {
    let store = rig.open();
    let all: Vec<GrainId> = (0..64).map(|at| grain(&format!("cart/{at}"))).collect();
    let workers: Vec<_> = all
        .iter()
        .map(|cart| tokio::spawn(count_up(Arc::clone(&store), cart.clone())))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    for cart in &all {
        let loaded = good(store.load(cart)).await;
        assert_eq!((loaded.head.version, loaded.head.keys), (20, 21));
        assert_eq!(loaded.entries.unwrap()["last"], 19_u32.to_be_bytes());
    }
}

async fn count_up(store: Arc<dyn Store>, cart: GrainId) {
    let epoch = good(store.load(&cart)).await.epoch;
    for n in 0..20_u32 {
        let (key, value) = (format!("k{n:02}"), n.to_be_bytes());
        let head = good(store.commit(writing(
            &cart,
            epoch,
            &[(&key, Some(&value)), ("last", Some(&value))],
        )))
        .await
        .head;
        assert_eq!(head.version, u64::from(n) + 1);
        assert_eq!(
            good(store.read(&cart, "last")).await.as_deref(),
            Some(&value[..]),
            "its own commit is seen"
        );
    }
}
