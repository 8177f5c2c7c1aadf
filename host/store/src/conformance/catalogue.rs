//! Kinds, components and the node's own values.

use granary_core::id::{Digest, Revision};
use granary_core::kind::{KindRecord, KindSpec, RevisionRecord, Rollout};

use super::{Rig, good, kind};
use crate::artifacts::digest_of;
use crate::door::StoreError;

pub(super) fn kind_record(name: &str, current: u64) -> KindRecord {
    let one = |number| RevisionRecord {
        revision: Revision(number),
        component: Digest([1; 32]),
        spec: KindSpec::bare(kind(name)),
        deployed_at_ms: number,
        verdict: "first".to_owned(),
    };
    KindRecord {
        name: kind(name),
        current: Revision(current),
        before: None,
        rollout: Rollout::Halted {
            from: Revision(1),
            because: "cart/7 trapped".to_owned(),
        },
        revisions: (1..=current).map(one).collect(),
    }
}

pub(super) async fn a_kind_is_replaced_only_if_it_is_as_expected(rig: &dyn Rig) {
    let store = rig.open();
    let (first, second) = (kind_record("cart", 1), kind_record("cart", 2));
    let conflict = store.put_kind(Some(first.clone()), second.clone()).await;
    assert!(
        matches!(
            conflict,
            Err(StoreError::Conflict {
                expected: 1,
                actual: 0,
                ..
            })
        ),
        "{conflict:?}"
    );
    good(store.put_kind(None, first.clone())).await;
    let conflict = store.put_kind(None, second.clone()).await;
    assert!(
        matches!(
            conflict,
            Err(StoreError::Conflict {
                expected: 0,
                actual: 1,
                ..
            })
        ),
        "{conflict:?}"
    );
    good(store.put_kind(Some(first), second.clone())).await;
    good(store.put_kind(None, kind_record("account", 1))).await;
    assert_eq!(
        good(store.kinds()).await,
        [kind_record("account", 1), second]
    );
    assert!(good(store.remove_kind(&kind("cart"))).await);
    assert!(!good(store.remove_kind(&kind("cart"))).await);
    assert_eq!(good(store.kinds()).await.len(), 1);
}

pub(super) async fn values_come_and_go(rig: &dyn Rig) {
    let store = rig.open();
    assert_eq!(good(store.value("node")).await, None);
    good(store.put_value("node", Some(b"n1".to_vec()))).await;
    good(store.put_value("node2", Some(Vec::new()))).await;
    assert_eq!(good(store.value("node")).await, Some(b"n1".to_vec()));
    assert_eq!(good(store.value("node2")).await, Some(Vec::new()));
    good(store.put_value("node", None)).await;
    assert_eq!(good(store.value("node")).await, None);
}

pub(super) async fn components_come_and_go(rig: &dyn Rig) {
    let store = rig.open();
    let bytes = vec![9; 300_000];
    let digest = digest_of(&bytes);
    assert_eq!(good(store.artifact(digest)).await, None);
    let again = store.put_artifact(digest, bytes.clone());
    let (one, other) = tokio::join!(again, store.put_artifact(digest, bytes.clone()));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(good(store.artifacts()).await, [(digest, 300_000)]);
    assert_eq!(good(store.artifact(digest)).await, Some(bytes));
    assert!(good(store.remove_artifact(digest)).await);
    assert!(!good(store.remove_artifact(digest)).await);
    assert_eq!(good(store.artifacts()).await, []);
}
