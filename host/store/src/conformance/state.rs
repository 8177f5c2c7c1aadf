//! State: what is written is what is read.

use std::collections::BTreeMap;

use granary_core::id::Revision;

use super::{Rig, good, grain, kind, turn, writing};
use crate::door::{Commit, Head, PREFETCH_BYTES_MAX, PageSize};

const WIDE: PageSize = PageSize {
    entries: 1000,
    bytes: 1 << 20,
};

pub(super) async fn a_grain_that_never_committed_is_empty(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let loaded = good(store.load(&cart)).await;
    assert_eq!(
        (loaded.head, loaded.entries),
        (Head::default(), Some(BTreeMap::new()))
    );
    assert_eq!(good(store.read(&cart, "x")).await, None);
    assert_eq!(good(store.grains(None, None, 10)).await.items, []);
}

pub(super) async fn a_commit_is_read_back_and_counted(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    let first = good(store.commit(writing(
        &cart,
        epoch,
        &[("a", Some(b"1")), ("bb", Some(b""))],
    )))
    .await;
    let expected = Head {
        version: 1,
        bytes: 4,
        keys: 2,
        revision: Some(Revision(1)),
        changed_at_ms: 1000,
    };
    assert_eq!(first.head, expected);
    assert_eq!(good(store.read(&cart, "bb")).await, Some(Vec::new()));
    let later = Commit {
        revision: Revision(2),
        now_ms: 2000,
        ..writing(&cart, epoch, &[("a", None), ("bb", Some(b"22"))])
    };
    let second = good(store.commit(later)).await.head;
    assert_eq!(
        second,
        Head {
            version: 2,
            bytes: 4,
            keys: 1,
            revision: Some(Revision(2)),
            changed_at_ms: 2000
        }
    );
    assert_eq!(good(store.head(&cart)).await, second);
    let loaded = good(store.load(&cart)).await;
    assert_eq!(
        loaded.entries,
        Some(BTreeMap::from([("bb".to_owned(), b"22".to_vec())]))
    );
    let silent = good(store.commit(turn(&cart, loaded.epoch))).await.head;
    assert_eq!(
        silent.version, 2,
        "a turn without writes leaves the version"
    );
}

pub(super) async fn a_head_counts_exactly_what_is_there(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for round in 0..60_usize {
        // Over and under the length up to which a value is one entry of a table, and back.
        let (key, size) = (format!("k{}", round % 7), (round * 7919) % 50_000);
        let value = (round % 5 != 4).then(|| vec![u8::try_from(round).unwrap(); size]);
        match &value {
            Some(value) => expected.insert(key.clone(), value.clone()),
            None => expected.remove(&key),
        };
        let head = good(store.commit(writing(&cart, epoch, &[(&key, value.as_deref())])))
            .await
            .head;
        let bytes: usize = expected
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert_eq!(
            (head.keys, head.bytes),
            (expected.len() as u64, bytes as u64),
            "in round {round}"
        );
    }
    for (key, value) in &expected {
        assert_eq!(good(store.read(&cart, key)).await.as_ref(), Some(value));
    }
}

pub(super) async fn a_large_state_is_read_key_by_key(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    let most = usize::try_from(PREFETCH_BYTES_MAX).unwrap();
    let value = vec![7; most - 1];
    good(store.commit(writing(&cart, epoch, &[("v", Some(&value))]))).await;
    let loaded = good(store.load(&cart)).await;
    assert_eq!(
        loaded.entries,
        Some(BTreeMap::from([("v".to_owned(), value)]))
    );
    let large = vec![8; 1 << 20];
    good(store.commit(writing(&cart, loaded.epoch, &[("w", Some(&large))]))).await;
    assert_eq!(good(store.load(&cart)).await.entries, None);
    assert_eq!(good(store.read(&cart, "w")).await, Some(large));
}

pub(super) async fn listings_come_in_pages(rig: &dyn Rig) {
    let store = rig.open();
    let (cart, other) = (grain("cart/7"), grain("cart/70"));
    let epoch = good(store.load(&other)).await.epoch;
    good(store.commit(writing(&other, epoch, &[("item-1", Some(b"other"))]))).await;
    let epoch = good(store.load(&cart)).await.epoch;
    let long = vec![b'l'; 40_000];
    let all: [(&str, Option<&[u8]>); 5] = [
        ("\u{0}", Some(b"0")),
        ("item-1", Some(b"1")),
        ("item-2", Some(&long)),
        ("item-3", Some(b"3")),
        ("z", Some(b"4")),
    ];
    good(store.commit(writing(&cart, epoch, &all))).await;
    let names = async |prefix: &str, after: Option<&str>, size: PageSize| {
        let page = good(store.list(&cart, prefix, after, size)).await;
        (
            page.items
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>(),
            page.more,
        )
    };
    assert_eq!(
        names("", None, WIDE).await.0,
        ["\u{0}", "item-1", "item-2", "item-3", "z"]
    );
    assert_eq!(
        names("item-", None, WIDE).await,
        (
            vec!["item-1".into(), "item-2".into(), "item-3".into()],
            false
        )
    );
    let two = PageSize { entries: 2, ..WIDE };
    assert_eq!(
        names("item-", None, two).await,
        (vec!["item-1".into(), "item-2".into()], true)
    );
    assert_eq!(
        names("item-", Some("item-2"), two).await,
        (vec!["item-3".into()], false)
    );
    assert_eq!(
        names("item-", Some("a"), two).await.0.len(),
        2,
        "after something before the prefix"
    );
    let narrow = PageSize { bytes: 10, ..WIDE };
    assert_eq!(
        names("item-2", None, narrow).await,
        (vec!["item-2".into()], false),
        "one entry is always given"
    );
    assert_eq!(
        names("item-", None, narrow).await,
        (vec!["item-1".into()], true)
    );
    let values = good(store.list(&cart, "item-2", None, WIDE)).await.items;
    assert_eq!(values, [("item-2".to_owned(), long)]);
}

pub(super) async fn grains_are_listed_by_kind_and_key(rig: &dyn Rig) {
    let store = rig.open();
    let all = ["cart-x/1", "cart/1", "cart/1/2", "cart/2", "order/1"].map(grain);
    for grain in all.iter().rev() {
        let epoch = good(store.load(grain)).await.epoch;
        good(store.commit(turn(grain, epoch))).await;
    }
    let loaded_only = grain("cart/9");
    good(store.load(&loaded_only)).await;
    let mut expected = all.to_vec();
    expected.sort();
    let mut found = Vec::new();
    loop {
        let page = good(store.grains(None, found.last(), 2)).await;
        found.extend(page.items.into_iter().map(|(grain, _)| grain));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected);
    let carts = good(store.grains(Some(&kind("cart")), None, 10)).await;
    let carts: Vec<String> = carts
        .items
        .iter()
        .map(|(grain, _)| grain.to_string())
        .collect();
    assert_eq!(carts, ["cart/1", "cart/1/2", "cart/2"]);
}

pub(super) async fn a_purged_grain_is_new_again(rig: &dyn Rig) {
    let store = rig.open();
    let (cart, near) = (grain("cart/7"), grain("cart/7/1"));
    for grain in [&cart, &near] {
        let epoch = good(store.load(grain)).await.epoch;
        let reply = Some(super::messages::answer("key", 5000));
        let long = vec![1; 50_000];
        good(store.commit(Commit {
            reply,
            ..writing(grain, epoch, &[("a", Some(b"1")), ("b", Some(&long))])
        }))
        .await;
    }
    let epoch = good(store.load(&cart)).await.epoch;
    good(store.purge(&cart, epoch)).await;
    assert_eq!(good(store.head(&cart)).await, Head::default());
    assert_eq!(good(store.reply(&cart, "key", 0)).await, None);
    assert_eq!(good(store.load(&cart)).await.entries, Some(BTreeMap::new()));
    assert_eq!(
        good(store.head(&near)).await.keys,
        2,
        "its neighbour is untouched"
    );
    assert!(good(store.reply(&near, "key", 0)).await.is_some());
    assert_eq!(
        good(store.expire(u64::MAX, 100)).await,
        1,
        "nothing of it waits for its expiry"
    );
    assert!(
        store.purge(&cart, epoch).await.is_err(),
        "the load fenced the epoch"
    );
}
