//! §2.10: how two pictures become one, and what is not looked at.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::shown_tests::{picture as shown_picture, shown, told};
use super::world_tests::{CLUSTER, at, from, gossip, member, node, received, step};
use crate::id::Time;
use crate::membership::effects::{Effect, Rejected};
use crate::membership::fixture::{picture, with};
use crate::membership::gossip::{Delta, Gossip, SparseSeen, VersionDigest};
use crate::membership::inputs::Event;
use crate::membership::machine::Membership;
use crate::membership::member::{Decider, Member, Profile, Status};
use crate::membership::message::{
    ClusterId, DeltaMessage, Envelope, GossipMessage, GossipStatus, Message,
};
use crate::membership::protocol::{ProtocolRange, ProtocolVersion};

fn hear(a: &mut Membership, host: &str, message: Message) -> Vec<String> {
    let effects = step(a, 0, from(host, 0, message));
    told(a, &effects)
}

fn status(of: &Gossip) -> Message {
    Message::Status(GossipStatus {
        version: VersionDigest::of(of),
        seen: SparseSeen::new(of.seen(), of.members().len()),
        answers: false,
        relay: None,
    })
}

/// The same as an answer.
fn answering(status: Message) -> Message {
    let Message::Status(status) = status else {
        unreachable!("it is a status");
    };
    Message::Status(GossipStatus {
        answers: true,
        ..status
    })
}

fn difference(base: &Gossip, to: &Gossip) -> Message {
    Message::GossipDelta(DeltaMessage {
        delta: Delta::new((VersionDigest::of(base), base), to),
        time_to_live: Duration::from_secs(2),
        relay: None,
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
        ["to c: status (answers, seen by a b)"]
    );
}

#[test]
fn a_newer_picture_is_taken_and_the_sender_hears_that_it_was_seen() {
    let mut a = member(picture("a b c"));
    let newer = leaving(a.gossip().clone(), "b", "c");
    assert_eq!(
        hear(&mut a, "b", gossip(newer)),
        [
            "to b: status (answers, seen by a)",
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
fn a_status_of_one_version_is_answered_with_who_else_has_seen_it() {
    let base = picture("a b c d");
    let mut a = member(with(base.clone(), "", "a b c"));
    let same = status(a.gossip());
    assert_eq!(hear(&mut a, "b", same), [""; 0]);
    assert_eq!(
        hear(&mut a, "b", status(&with(base.clone(), "", "b d"))),
        ["to b: status (answers, seen by a c)"]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c d, seen by a b c d");
    // An answer is not answered.
    let answer = answering(status(&with(base.clone(), "", "b")));
    assert_eq!(hear(&mut a, "b", answer), [""; 0]);
    // More are named than there are members.
    let Message::Status(of_more) = status(&with(picture("a b c d e f"), "", "f")) else {
        unreachable!("it is a status");
    };
    let version = VersionDigest::of(&base);
    let foreign = Message::Status(GossipStatus { version, ..of_more });
    assert_eq!(
        hear(&mut a, "b", foreign),
        ["log rejected status from b: Malformed 1"]
    );
}

#[test]
fn a_status_of_another_version_is_answered_by_whoever_knows_more() {
    let base = picture("a b c");
    let older = with(base.clone(), "", "a b");
    let newer = with(leaving(base.clone(), "b", "c"), "", "b");
    let mut a = member(older.clone());
    // Who knows neither it nor what came before says where it is itself.
    let where_a_is = ["to b: status (answers, seen by )"];
    assert_eq!(hear(&mut a, "b", status(&newer)), where_a_is);
    // Who does tells what is new since then.
    hear(&mut a, "b", gossip(newer.clone()));
    assert_eq!(
        hear(&mut a, "c", status(&older)),
        ["to c: gossip-delta (a b c:l, seen by a b)"]
    );
    // An old word of one that has seen the newer one by now; if it insists, it is told all that there is to tell.
    assert_eq!(
        hear(&mut a, "b", status(&older)),
        ["to b: status (asks, seen by a b)"]
    );
    assert_eq!(
        hear(&mut a, "b", answering(status(&older))),
        ["to b: version (2 counters)"]
    );
    // Where neither knows the other's version, the clocks say.
    let concurrent = leaving(base.clone(), "c", "b");
    let answer = answering(status(&concurrent));
    assert_eq!(hear(&mut a, "b", answer), ["to b: version (2 counters)"]);
    let version = |of: &Gossip| Message::Version(Arc::clone(of.version()));
    for further in [older, concurrent] {
        assert_eq!(
            hear(&mut a, "b", version(&further)),
            ["to b: gossip (a b c:l, seen by a b)"]
        );
    }
    assert_eq!(hear(&mut a, "b", version(&newer)), [""; 0]);
    let newest = leaving(newer, "b", "b");
    assert_eq!(
        hear(&mut a, "b", version(&newest)),
        ["to b: version (2 counters)"]
    );
}

#[test]
fn a_difference_is_taken_in_like_the_picture_that_it_leads_to() {
    let base = with(picture("a b c"), "", "a b c");
    let mut a = member(base.clone());
    let newer = leaving(base.clone(), "b", "c");
    for _twice in 0..2 {
        let told = hear(&mut a, "b", difference(&base, &newer));
        let after = shown_picture(a.gossip());
        assert_eq!(
            (told[0].as_str(), after.as_str()),
            ("to b: status (answers, seen by a)", "a b c:l, seen by a b")
        );
    }
    // It comes late, from one that has not heard of the newer one.
    let late = leaving(base.clone(), "c", "b");
    let told = hear(&mut a, "c", difference(&base, &late));
    assert_eq!(
        told,
        [
            "to c: gossip-delta (a b:l c:l, seen by a)",
            "log member-changed b up leaving"
        ]
    );
    // And once more: its sender is behind.
    assert_eq!(
        hear(&mut a, "c", difference(&base, &newer)),
        ["to c: gossip-delta (a b:l c:l, seen by a)"]
    );
}

#[test]
fn a_difference_to_a_picture_that_is_not_there_is_answered_with_what_is() {
    let mut a = member(picture("a b c"));
    let before = a.gossip().clone();
    let newer = leaving(before.clone(), "b", "c");
    let newest = leaving(newer.clone(), "b", "b");
    assert_eq!(
        hear(&mut a, "b", difference(&newer, &newest)),
        ["to b: status (answers, seen by )"]
    );
    assert_eq!(a.gossip(), &before);
}

#[test]
fn a_damaged_difference_is_answered_with_a_wish_for_all() {
    let mut a = member(picture("a b c"));
    let before = a.gossip().clone();
    let newer = leaving(before.clone(), "b", "c");
    let mut damaged = Delta::new((VersionDigest::of(&before), &before), &newer);
    damaged.version = VersionDigest::of(&leaving(newer, "b", "b"));
    let message = Message::GossipDelta(DeltaMessage {
        delta: damaged,
        time_to_live: Duration::from_secs(2),
        relay: None,
    });
    assert_eq!(
        hear(&mut a, "b", message),
        [
            "to b: version (1 counters)",
            "log rejected gossip-delta from b: Malformed 1"
        ]
    );
    assert_eq!(a.gossip(), &before);
}

#[test]
fn a_difference_must_pass_the_checks_of_a_picture() {
    let base = with(picture("a b c"), "a→c", "a b c");
    let newer = leaving(base.clone(), "b", "c");
    let without = {
        let mut without = base.clone();
        let b = node("b");
        let mut change = without.change(&b);
        change.down(&node("a"), Decider::Operator).unwrap();
        change.remove(&node("a")).unwrap();
        drop(change);
        without
    };
    for (host, picture, arrived, reason) in [
        ("c", &newer, 1500, Rejected::UnreachableSender),
        ("x", &newer, 1500, Rejected::UnknownSender),
        ("b", &newer, 0, Rejected::Expired),
        ("b", &without, 1500, Rejected::WithoutSelf),
    ] {
        let mut a = member(base.clone());
        let event = from(host, arrived, difference(&base, picture));
        let line = alloc::format!("log rejected gossip-delta from {host}: {reason:?} 1");
        // A stranger is asked for all of its picture: it may have been let in.
        let asked = (host == "x").then(|| String::from("to x: version (1 counters)"));
        // It was held up, as a message must be that is too late.
        let told = [String::from("log heartbeat-starvation 1s")].into_iter();
        assert_eq!(
            shown(&step(&mut a, 2000, event)),
            told.chain(asked).chain([line]).collect::<Vec<_>>()
        );
        assert_eq!(a.gossip(), &base);
    }
}

#[test]
fn the_leader_hears_once_and_directly_that_a_version_was_seen() {
    // a joins, so b leads.
    let base = with(picture("a:j b c"), "", "a b c");
    let mut a = member(base.clone());
    assert_eq!(
        hear(&mut a, "c", gossip(leaving(base.clone(), "c", "c"))),
        [
            "to c: status (answers, seen by a)",
            "log member-changed c up leaving"
        ]
    );
    let known = with(leaving(base, "c", "c"), "", "b c");
    assert_eq!(
        hear(&mut a, "c", gossip(known.clone())),
        [
            "to c: status (answers, seen by a)",
            "to b: status (answers, seen by a)"
        ]
    );
    assert_eq!(
        hear(&mut a, "c", gossip(known)),
        ["to c: status (answers, seen by a)"]
    );
}

#[test]
fn news_brings_the_next_round_forward_but_not_below_a_third_of_an_interval() {
    let base = with(picture("a b c d e f"), "", "a b c d e f");
    let third = Duration::from_secs(1) / 3;
    for (last, arrives, next) in [(0, 700, at(700)), (600, 700, at(600).after(third))] {
        let mut a = member(base.clone());
        a.rounds.gossip_before = at(last);
        let news = gossip(leaving(base.clone(), "b", "c"));
        step(&mut a, arrives, from("b", arrives, news));
        assert_eq!(a.rounds.gossip, next);
    }
    // That all agree is news, too.
    let mut a = member(with(base.clone(), "", "a b"));
    assert_eq!(a.rounds.gossip, at(1000));
    step(
        &mut a,
        500,
        from("b", 500, gossip(with(base.clone(), "", "a b c"))),
    );
    assert_eq!(a.rounds.gossip, at(1000));
    step(&mut a, 600, from("b", 600, gossip(base)));
    assert_eq!(a.rounds.gossip, at(600));
}

#[test]
fn a_round_tells_who_has_not_seen_and_asks_who_has() {
    let mut a = member(with(picture("a b"), "", "a b"));
    a.update(|change| change.set_status(&node("b"), Status::Leaving))
        .unwrap();
    let round = step(&mut a, 1000, Event::Wake);
    let lines = told(&a, &round);
    let delta = "to b: gossip-delta (a b:l, seen by a)";
    assert!(lines.contains(&delta.into()), "{lines:?}");
    // Nothing is known that b could build on.
    let mut asks = member(with(picture("a b"), "", "a"));
    let lines = shown(&step(&mut asks, 1000, Event::Wake));
    assert!(lines.contains(&"to b: status".into()), "{lines:?}");
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

#[test]
fn a_member_that_is_not_reached_is_heard_if_it_says_that_this_node_is_down() {
    let told = |own: &str, theirs: &str| {
        let mut a = member(with(picture(own), "a→b", ""));
        let said = shown(&step(&mut a, 0, from("b", 0, gossip(picture(theirs)))));
        (a.own_status(), said)
    };
    let (status, _) = told("a b c", "a:d b c");
    assert_eq!(status, Some(Status::Down));
    // Not for anything else; nor from one that goes itself, by its own word or by this node's; nor of another incarnation.
    for (own, theirs) in [
        ("a b c", "a b c:d"),
        ("a b c", "a:d b:d c"),
        ("a b:d c", "a:d b c"),
        ("a b c", "b c"),
    ] {
        let (status, said) = told(own, theirs);
        assert_eq!(status, Some(Status::Up), "{own} {theirs}");
        let refused = said.contains(&"log rejected gossip from b: UnreachableSender 1".into());
        assert!(refused, "{said:?}");
    }
}
