//! Messages, kept answers and results.

use granary_core::id::CallId;

use super::{Rig, good, grain, message, turn, writing};
use crate::door::{Commit, ReplyRecord, ResultRecord, SendRecord, Settled};

pub(super) fn answer(key: &str, expires_at_ms: u64) -> ReplyRecord {
    ReplyRecord {
        key: key.to_owned(),
        fingerprint: 77,
        answer: b"42".to_vec(),
        expires_at_ms,
    }
}

fn result(expires_at_ms: u64) -> ResultRecord {
    ResultRecord {
        target: grain("mail/box"),
        method: "take".to_owned(),
        answer: b"done".to_vec(),
        expires_at_ms,
    }
}

fn settled(id: u128, result: Option<ResultRecord>) -> Settled {
    Settled {
        id: CallId(id),
        result,
    }
}

fn ids(sends: &[SendRecord]) -> Vec<u128> {
    sends.iter().map(|send| send.id.0).collect()
}

pub(super) async fn messages_come_due_in_order(rig: &dyn Rig) {
    let store = rig.open();
    for (id, due) in [(1, 300), (2, 100), (3, 200), (4, 100), (5, u64::MAX)] {
        good(store.put_send(message(id, due))).await;
    }
    assert_eq!(good(store.sends_due(99, 10)).await, (Vec::new(), Some(100)));
    let (due, next) = good(store.sends_due(200, 10)).await;
    assert_eq!((ids(&due), next), (vec![2, 4, 3], Some(300)));
    assert_eq!(due[0], message(2, 100));
    let (due, next) = good(store.sends_due(200, 2)).await;
    assert_eq!((ids(&due), next), (vec![2, 4], Some(200)));
    // Put off: the same id takes a new place.
    good(store.put_send(SendRecord {
        attempts: 1,
        ..message(2, 400)
    }))
    .await;
    let (due, next) = good(store.sends_due(300, 10)).await;
    assert_eq!((ids(&due), next), (vec![4, 3, 1], Some(400)));
    assert_eq!(good(store.send(CallId(2))).await.unwrap().attempts, 1);
    let page = good(store.sends(Some(CallId(2)), 2)).await;
    assert_eq!((ids(&page.items), page.more), (vec![3, 4], true));
    for id in 1..=4 {
        assert!(good(store.settle(settled(id, None))).await);
    }
    assert!(!good(store.settle(settled(1, Some(result(9000))))).await);
    assert_eq!(
        good(store.result(CallId(1), 0)).await,
        None,
        "what is gone cannot be given a result"
    );
    assert_eq!(
        good(store.sends_due(u64::MAX - 1, 10)).await,
        (Vec::new(), Some(u64::MAX))
    );
}

pub(super) async fn a_turn_settles_and_sends_in_one_step(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    good(store.put_send(message(1, 100))).await;
    let epoch = good(store.load(&cart)).await.epoch;
    let own = SendRecord {
        from: Some(cart.clone()),
        ..message(2, 500)
    };
    let turn = Commit {
        sends: vec![own.clone()],
        reply: Some(answer("key", 5000)),
        settles: Some(settled(1, Some(result(9000)))),
        ..writing(&cart, epoch, &[("a", Some(b"1"))])
    };
    good(store.commit(turn.clone())).await;
    assert_eq!(good(store.send(CallId(1))).await, None);
    assert_eq!(good(store.result(CallId(1), 0)).await, Some(result(9000)));
    assert_eq!(good(store.sends_due(500, 10)).await, (vec![own], None));
    assert_eq!(
        good(store.reply(&cart, "key", 0)).await,
        Some(answer("key", 5000))
    );
    good(store.load(&cart)).await;
    let stale = Commit {
        sends: vec![message(3, 100)],
        settles: Some(settled(2, None)),
        ..turn
    };
    assert!(store.commit(stale).await.is_err());
    assert_eq!(
        ids(&good(store.sends(None, 10)).await.items),
        [2],
        "a refused turn leaves nothing"
    );
}

pub(super) async fn given_up_messages_stay_until_settled(rig: &dyn Rig) {
    let store = rig.open();
    for id in 1..=3 {
        let given_up = Some(format!("reason {id}").into_bytes());
        good(store.put_send(message(id, 100))).await;
        good(store.put_send(SendRecord {
            given_up,
            ..message(id, 100)
        }))
        .await;
    }
    assert_eq!(
        good(store.sends_due(u64::MAX, 10)).await,
        (Vec::new(), None)
    );
    let page = good(store.sends_given_up(None, 2)).await;
    assert_eq!((ids(&page.items), page.more), (vec![1, 2], true));
    let page = good(store.sends_given_up(Some(CallId(2)), 2)).await;
    assert_eq!((ids(&page.items), page.more), (vec![3], false));
    assert!(good(store.settle(settled(1, None))).await);
    good(store.put_send(message(2, 700))).await;
    assert_eq!(ids(&good(store.sends_given_up(None, 9)).await.items), [3]);
    assert_eq!(
        ids(&good(store.sends_due(700, 10)).await.0),
        [2],
        "one may be tried again"
    );
}

pub(super) async fn kept_answers_expire(rig: &dyn Rig) {
    let store = rig.open();
    let cart = grain("cart/7");
    let epoch = good(store.load(&cart)).await.epoch;
    for (key, at) in [("a", 100), ("b", 200), ("c", 300), ("a", 250)] {
        good(store.commit(Commit {
            reply: Some(answer(key, at)),
            ..turn(&cart, epoch)
        }))
        .await;
    }
    assert_eq!(
        good(store.reply(&cart, "a", 249)).await,
        Some(answer("a", 250))
    );
    assert_eq!(
        good(store.reply(&cart, "a", 250)).await,
        None,
        "expired, though still there"
    );
    let all = good(store.replies(&cart, None, 2)).await;
    assert_eq!(
        (all.items, all.more),
        (vec![answer("a", 250), answer("b", 200)], true)
    );
    assert_eq!(
        good(store.expire(199, 10)).await,
        0,
        "its expiry was put off"
    );
    assert_eq!(good(store.expire(250, 1)).await, 1);
    assert_eq!(good(store.expire(250, 10)).await, 1);
    assert_eq!(
        good(store.replies(&cart, Some("a"), 9)).await.items,
        [answer("c", 300)]
    );
}

pub(super) async fn results_expire(rig: &dyn Rig) {
    let store = rig.open();
    for id in 1..=2 {
        good(store.put_send(message(u128::from(id), 100))).await;
        assert!(good(store.settle(settled(u128::from(id), Some(result(id * 1000))))).await);
    }
    assert_eq!(good(store.result(CallId(1), 999)).await, Some(result(1000)));
    assert_eq!(good(store.result(CallId(1), 1000)).await, None);
    assert_eq!(good(store.expire(1500, 10)).await, 1);
    assert_eq!(
        good(store.result(CallId(2), 1500)).await,
        Some(result(2000))
    );
}
