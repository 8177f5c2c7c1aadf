//! The leader's word to all: who tells whom, and what is done when it does not come.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::shown_tests::{picture as shown_picture, told};
use super::world_tests::{at, from, gossip, member, node, step};
use crate::membership::fixture::{picture, with};
use crate::membership::gossip::{Delta, Gossip, SparseSeen, VersionDigest};
use crate::membership::inputs::Event;
use crate::membership::machine::Membership;
use crate::membership::member::Status;
use crate::membership::message::{DeltaMessage, GossipStatus, Message, Relay};

fn hear(a: &mut Membership, millis: u64, host: &str, message: Message) -> Vec<String> {
    let effects = step(a, millis, from(host, millis, message));
    told(a, &effects)
}

/// What a round tells, at a moment at which nothing else is due.
fn round(a: &mut Membership, millis: u64) -> Vec<String> {
    a.rounds.gossip = at(millis);
    let effects = step(a, millis, Event::Wake);
    let lines = told(a, &effects);
    let of_pictures = |line: &String| line.contains("gossip") || line.contains("status");
    lines.into_iter().filter(of_pictures).collect()
}

fn leaving(mut gossip: Gossip, by: &str, who: &str) -> Gossip {
    let by = node(by);
    let mut change = gossip.change(&by);
    change.set_status(&node(who), Status::Leaving).unwrap();
    drop(change);
    gossip
}

fn word(base: &Gossip, to: &Gossip, relay: (u32, u32)) -> Message {
    Message::GossipDelta(DeltaMessage {
        delta: Delta::new((VersionDigest::of(base), base), to),
        time_to_live: Duration::from_secs(2),
        relay: Relay::new(relay.0, relay.1).ok(),
    })
}

fn agreed(on: &Gossip, relay: (u32, u32)) -> Message {
    Message::Status(GossipStatus {
        version: VersionDigest::of(on),
        seen: SparseSeen::new(on.seen(), on.members().len()),
        answers: false,
        relay: Relay::new(relay.0, relay.1).ok(),
    })
}

#[test]
fn the_leader_tells_all_what_is_new_and_then_that_all_agree() {
    let mut a = member(with(picture("a b c d"), "", "a b c d"));
    a.update(|change| change.set_status(&node("c"), Status::Leaving))
        .unwrap();
    let b = node("b");
    step(&mut a, 0, Event::Quarantined { node: node("x") });
    assert_eq!(
        round(&mut a, 500),
        ["b", "c", "d"].map(|host| alloc::format!(
            "to {host}: gossip-delta (a b c:l d, seen by a, to {host})"
        ))
    );
    // It is told once. The next round asks one of them.
    let next = round(&mut a, 600);
    assert!(next.len() == 1 && !next[0].contains(", to "), "{next:?}");
    let seen = a
        .gossip()
        .seen_as(with(a.gossip().clone(), "", "a b c d").seen().clone());
    step(&mut a, 700, from("b", 700, gossip(seen)));
    assert!(a.is_converged() && a.gossip().is_seen_by(&b));
    assert_eq!(
        round(&mut a, 700),
        ["b", "c", "d"]
            .map(|host| alloc::format!("to {host}: status (asks, seen by a b c d, to {host})"))
    );
}

#[test]
fn the_leaders_word_is_handed_on_and_the_leader_alone_hears_that_it_was_seen() {
    // a joins, so b leads.
    let base = with(picture("a:j b c d"), "", "a b c d");
    let mut a = member(base.clone());
    let newer = leaving(base.clone(), "b", "c");
    let heard = hear(&mut a, 0, "d", word(&base, &newer, (0, 3)));
    assert_eq!(
        heard,
        [
            "to b: gossip-delta (a:j b c:l d, seen by b, to b)",
            "to c: gossip-delta (a:j b c:l d, seen by b, to c)",
            "log member-changed c up leaving",
            "to b: status (answers, seen by a)"
        ]
    );
    // One that has nobody to tell.
    let newest = leaving(newer.clone(), "b", "d");
    let heard = hear(&mut a, 0, "d", word(&newer, &newest, (0, 1)));
    assert_eq!(
        heard,
        [
            "log member-changed d up leaving",
            "to b: status (answers, seen by a)"
        ]
    );
    // What all agree on is handed on alike, and not answered.
    let all = with(newest, "", "a b c d");
    let heard = hear(&mut a, 0, "d", agreed(&all, (1, 4)));
    assert_eq!(
        heard,
        ["b", "c", "d"]
            .map(|host| alloc::format!("to {host}: status (asks, seen by a b c d, to {host})"))
    );
    assert!(a.is_converged());
}

#[test]
fn a_word_on_a_picture_that_is_not_there_is_handed_on_and_asked_about() {
    let base = with(picture("a:j b c"), "", "a b c");
    let mut a = member(base.clone());
    let newer = leaving(base.clone(), "b", "c");
    let newest = leaving(newer.clone(), "b", "b");
    let effects = step(&mut a, 0, from("b", 0, word(&newer, &newest, (0, 3))));
    let lines = super::shown_tests::shown(&effects);
    assert_eq!(
        lines,
        ["to b: status", "to b: gossip-delta", "to c: gossip-delta"]
    );
    assert_eq!(a.gossip(), &base);
}

#[test]
fn who_changes_something_tells_the_leader_first() {
    let base = with(picture("a:j b c d"), "", "a b c d");
    let mut a = member(base);
    a.update(|change| change.set_status(&node("c"), Status::Leaving))
        .unwrap();
    step(&mut a, 0, Event::Quarantined { node: node("x") });
    assert_eq!(
        round(&mut a, 500),
        ["to b: gossip-delta (a:j b c:l d, seen by a)"]
    );
    assert!(!a.rounds.has_news);
    // If the leader does not answer, anybody is told: it is not known yet that it cannot be reached.
    let mut others = Vec::new();
    for at in 1..=20 {
        others.extend(round(&mut a, 500 + at));
    }
    assert!(
        others
            .iter()
            .any(|line| line.starts_with("to d: gossip-delta"))
    );
}

#[test]
fn it_is_left_to_the_leader_for_an_interval_to_tell_what_it_knows() {
    let base = with(picture("a:j b c d e f"), "", "a b c d e f");
    let newer = leaving(base.clone(), "b", "c");
    let mut a = member(base.clone());
    hear(&mut a, 200, "b", word(&base, &newer, (0, 1)));
    // Few have seen it, and yet the round that was due next is not brought forward.
    assert_eq!(a.rounds.gossip, at(1000));
    assert!(!a.is_in_a_hurry(at(1199)) && a.is_in_a_hurry(at(1200)));
    // Nor does anybody hear the news itself a second time.
    let asked = round(&mut a, 1000);
    assert!(
        asked.len() == 1 && asked[0].contains("status (asks"),
        "{asked:?}"
    );
    assert_eq!(shown_picture(a.gossip()), "a:j b c:l d e f, seen by a b");
    // Who speaks with other data centres does not wait.
    let abroad = with(
        picture("a:j@west b@west c@west d@west e@east"),
        "",
        "a b c d e",
    );
    let mut a = member(abroad.clone());
    hear(
        &mut a,
        700,
        "b",
        word(&abroad, &leaving(abroad.clone(), "b", "c"), (0, 1)),
    );
    assert!(a.is_in_a_hurry(at(700)) || !a.leader_tells(at(700)));
}
