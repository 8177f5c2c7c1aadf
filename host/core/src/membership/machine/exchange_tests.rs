//! §2.10: how two pictures become one, and what is not looked at.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::shown_tests::{picture as shown_picture, shown};
use super::world_tests::{CLUSTER, at, from, gossip, member, node, received, step};
use crate::id::Time;
use crate::membership::effects::{Effect, Rejected};
use crate::membership::fixture::{picture, with};
use crate::membership::gossip::Gossip;
use crate::membership::inputs::Event;
use crate::membership::machine::Membership;
use crate::membership::member::{Member, Profile, Status};
use crate::membership::message::{ClusterId, Envelope, GossipMessage, GossipStatus, Message};
use crate::membership::protocol::{ProtocolRange, ProtocolVersion};

fn hear(a: &mut Membership, host: &str, message: Message) -> Vec<String> {
    shown(&step(a, 0, from(host, 0, message)))
}

fn status(of: &Gossip) -> Message {
    Message::Status(GossipStatus {
        version: Arc::clone(of.version()),
        seen: of.seen().digest(),
    })
}

/// `by` has made `node` leave.
fn leaving(mut gossip: Gossip, by: &str, who: &str) -> Gossip {
    let by = node(by);
    gossip
        .change(&by)
        .set_status(&node(who), Status::Leaving)
        .unwrap();
    gossip
}

#[test]
fn the_same_picture_adds_who_has_seen_it() {
    let base = picture("a b c");
    let mut a = member(with(base.clone(), "", "a"));
    assert_eq!(
        hear(&mut a, "b", gossip(with(base.clone(), "", "a b"))),
        [""; 0]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a b");
    // The sender does not know that this node has seen it.
    assert_eq!(
        hear(&mut a, "c", gossip(with(base, "", "c"))),
        ["to c: gossip (a b c, seen by a b c)"]
    );
}

#[test]
fn a_newer_picture_is_taken_and_the_sender_hears_that_it_was_seen() {
    let mut a = member(picture("a b c"));
    let newer = leaving(a.gossip().clone(), "b", "c");
    assert_eq!(
        hear(&mut a, "b", gossip(newer)),
        [
            "to b: gossip (a b c:l, seen by a b)",
            "log member-changed c up leaving"
        ]
    );
}

#[test]
fn an_older_picture_is_answered_with_the_newer_one() {
    let older = picture("a b c");
    let mut a = member(leaving(older.clone(), "a", "c"));
    assert_eq!(
        hear(&mut a, "b", gossip(older)),
        ["to b: gossip (a b c:l, seen by a)"]
    );
}

#[test]
fn two_changes_at_a_time_become_one_picture() {
    let base = picture("a b c d");
    let mut a = member(leaving(base.clone(), "a", "c"));
    assert_eq!(
        hear(&mut a, "b", gossip(leaving(base, "b", "d"))),
        [
            "to b: gossip (a b c:l d:l, seen by a)",
            "log member-changed d up leaving"
        ]
    );
}

#[test]
fn the_dead_do_not_come_back_by_late_gossip() {
    let before = with(picture("a b c:d"), "a→c", "a b");
    let mut a = member(before.clone());
    a.rounds.reaper = at(60_000);
    step(&mut a, 1000, Event::Wake);
    assert_eq!(shown_picture(a.gossip()), "a b, seen by a");
    for late in [before.clone(), leaving(before, "b", "b")] {
        step(&mut a, 1500, from("b", 1500, gossip(late)));
        assert!(a.gossip().member(&node("c")).is_none());
    }
}

#[test]
fn a_status_is_answered_by_whoever_knows_more() {
    let base = picture("a b c");
    let older = with(base.clone(), "", "a b");
    let newer = with(leaving(base.clone(), "b", "c"), "", "a b");
    let mut a = member(older.clone());
    assert_eq!(hear(&mut a, "b", status(&older)), [""; 0]);
    assert_eq!(hear(&mut a, "b", status(&newer)), ["to b: status"]);
    assert_eq!(
        hear(&mut a, "b", status(&with(base.clone(), "", "b"))),
        ["to b: gossip (a b c, seen by a b)"]
    );
    let mut ahead = member(newer);
    assert_eq!(
        hear(&mut ahead, "b", status(&older)),
        ["to b: gossip (a b c:l, seen by a b)"]
    );
    let concurrent = with(leaving(base, "a", "b"), "", "a b");
    assert_eq!(
        hear(&mut ahead, "b", status(&concurrent)),
        ["to b: gossip (a b c:l, seen by a b)"]
    );
}

#[test]
fn a_round_tells_who_has_not_seen_and_asks_who_has() {
    let mut a = member(with(picture("a b"), "", "a"));
    let told = shown(&step(&mut a, 1000, Event::Wake));
    assert!(
        told.contains(&"to b: gossip (a b, seen by a)".into()),
        "{told:?}"
    );
    let mut asks = member(with(picture("a b"), "", "a b"));
    let told = shown(&step(&mut asks, 1000, Event::Wake));
    assert!(told.contains(&"to b: status".into()), "{told:?}");
    let mut far = member(with(picture("a@west b@east"), "", "a"));
    let told = shown(&step(&mut far, 1000, Event::Wake));
    assert!(told.contains(&"to b: status".into()), "{told:?}");
}

#[test]
fn rounds_are_three_times_as_many_while_few_have_seen_or_somebody_is_down() {
    let due = |gossip: Gossip| {
        let mut a = member(gossip);
        step(&mut a, 1000, Event::Wake);
        a.rounds.gossip
    };
    let third = Time::after(at(1000), Duration::from_secs(1) / 3);
    assert_eq!(due(with(picture("a b c"), "", "a")), third);
    assert_eq!(due(with(picture("a b c:d"), "", "a b c")), third);
    assert_eq!(due(with(picture("a b c"), "", "a b")), at(2000));
    // Other data centres have rounds of their own.
    assert_eq!(due(with(picture("a@west b:d@east"), "", "a b")), at(2000));
}

#[test]
fn a_lone_node_gossips_with_nobody() {
    let mut a = member(picture("a"));
    assert_eq!(step(&mut a, 1000, Event::Wake), []);
}

#[test]
fn what_is_not_meant_for_this_node_now_is_not_looked_at() {
    let fine = || Envelope {
        from: node("b"),
        to: Some(1),
        cluster: Some(CLUSTER),
        version: ProtocolVersion(1),
        message: gossip(picture("a b c:l")),
    };
    type Slip<'a> = (Rejected, &'a dyn Fn(&mut Envelope));
    let cases: [Slip<'_>; 9] = [
        (Rejected::WrongUid, &|it| it.to = Some(2)),
        (Rejected::WrongUid, &|it| it.to = None),
        (Rejected::WrongCluster, &|it| {
            it.cluster = Some(ClusterId(8))
        }),
        (Rejected::WrongCluster, &|it| it.cluster = None),
        (Rejected::ProtocolVersion, &|it| {
            it.version = ProtocolVersion(2)
        }),
        (Rejected::UnknownSender, &|it| it.from = node("x")),
        (Rejected::UnreachableSender, &|it| it.from = node("c")),
        (Rejected::WithoutSelf, &|it| {
            it.message = gossip(picture("b c"))
        }),
        (Rejected::UnknownSender, &|it| it.from = node("b#2")),
    ];
    for (reason, change) in cases {
        let mut a = member(with(picture("a b c"), "a→c", "a b c"));
        let before = a.gossip().clone();
        let mut envelope = fine();
        change(&mut envelope);
        let host = String::from(envelope.from.address.host());
        assert_eq!(
            shown(&step(&mut a, 0, received(0, envelope))),
            [alloc::format!(
                "log rejected gossip from {host}: {reason:?} 1"
            )]
        );
        assert_eq!((a.counters().rejected[&reason], a.gossip()), (1, &before));
    }
}

#[test]
fn a_message_comes_from_where_it_says() {
    let mut a = member(picture("a b"));
    let event = |from: &str, says: &str| Event::Received {
        from: super::world_tests::address(from),
        arrived: at(0),
        envelope: Envelope {
            from: node(says),
            to: Some(1),
            cluster: Some(CLUSTER),
            version: ProtocolVersion(1),
            message: Message::Gone,
        },
    };
    assert_eq!(
        shown(&step(&mut a, 0, event("x", "b"))),
        ["log rejected gone from x: WrongAddress 1"]
    );
    assert_eq!(
        shown(&step(&mut a, 0, event("a", "a"))),
        ["log rejected gone from a: WrongAddress 2"]
    );
}

#[test]
fn gossip_that_waited_too_long_is_not_looked_at() {
    let mut a = member(picture("a b c"));
    let newer = leaving(a.gossip().clone(), "b", "c");
    let message = || {
        Message::Gossip(GossipMessage {
            gossip: newer.clone(),
            time_to_live: Duration::from_millis(1500),
        })
    };
    let late = from("b", 0, message());
    let late = shown(&step(&mut a, 1500, late));
    assert_eq!(late, ["log rejected gossip from b: Expired 1"]);
    let in_time = shown(&step(&mut a, 1500, from("b", 1, message())));
    assert_eq!(in_time.len(), 2, "{in_time:?}");
}

#[test]
fn a_flood_of_what_is_rejected_does_not_fill_the_log() {
    let mut a = member(picture("a b"));
    let mut lines = 0;
    for _ in 0..1000 {
        lines += hear(&mut a, "x", Message::Gone).len();
    }
    assert_eq!(lines, 10);
    assert_eq!(a.counters().rejected[&Rejected::UnknownSender], 1000);
}

#[test]
fn members_of_two_versions_speak_the_older_one() {
    let profile = |highest| Profile {
        protocol: ProtocolRange {
            lowest: ProtocolVersion(1),
            highest: ProtocolVersion(highest),
        },
        ..Profile::plain()
    };
    let mut gossip = Gossip::default();
    for (host, highest) in [("a", 3), ("b", 2), ("c", 5)] {
        let joining = Member::joining(node(host), profile(highest).into());
        gossip.change(&node("a")).join(joining).unwrap();
    }
    let a = member(gossip);
    let mut out = Vec::new();
    for host in ["b", "c"] {
        a.send(&node(host), Message::Gone, &mut out);
    }
    let mut versions = Vec::new();
    for effect in &out {
        if let Effect::Send { envelope, .. } = effect {
            versions.push(envelope.version.0);
        }
    }
    assert_eq!(versions, [2, 3]);
}
