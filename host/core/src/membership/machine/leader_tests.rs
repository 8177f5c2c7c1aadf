//! §2.3 and §2.5: what the leader does with agreement, and without.

use super::shown_tests::{picture as shown_picture, shown};
use super::world_tests::{member, member_with, step};
use crate::membership::fixture::{picture, with};
use crate::membership::gossip::Gossip;
use crate::membership::inputs::Event;
use crate::membership::machine::Membership;
use crate::membership::settings::{Optional, RoleSettings, Settings};

/// One round of the leader, and only that.
fn round(a: &mut Membership, millis: u64) -> alloc::vec::Vec<alloc::string::String> {
    let mut out = alloc::vec::Vec::new();
    a.leader_actions(super::world_tests::at(millis), &mut out);
    a.settle(super::world_tests::at(millis), &mut out);
    shown(&out)
}

/// Everybody has seen it.
fn agreed(members: &str) -> Gossip {
    let names: alloc::string::String = members
        .split_whitespace()
        .map(|text| alloc::format!("{} ", text.split([':', '@', '/', '+']).next().unwrap()))
        .collect();
    with(picture(members), "", &names)
}

#[test]
fn with_agreement_joining_members_are_let_up_in_the_order_of_their_addresses() {
    let mut a = member(agreed("a c:j b:w"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed b weakly-up up",
            "log member-changed c joining up",
            "persist the cluster of a b c"
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a");
    let numbers = a.gossip().members().iter().map(|member| member.up_number);
    assert_eq!(
        numbers.collect::<alloc::vec::Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
}

#[test]
fn nobody_but_the_leader_acts() {
    let mut a = member(agreed("a/1+x b:j"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed b joining up",
            "persist the cluster of a b"
        ]
    );
    // `a` comes after `A` in the order of addresses.
    let mut a = member(agreed("A a b:j c:l"));
    assert_eq!(round(&mut a, 1000), [""; 0]);
}

#[test]
fn there_must_be_enough_members_in_all_and_of_each_role() {
    let settings = Settings {
        min_members: 3,
        role: [("web".into(), RoleSettings { min_members: 2 })].into(),
        ..Settings::default()
    };
    let mut few = member_with(settings.clone(), agreed("a+web b:j+web"));
    assert_eq!(round(&mut few, 1000), [""; 0]);
    let mut of_role = member_with(settings.clone(), agreed("a+web b:j c:j"));
    assert_eq!(round(&mut of_role, 1000), [""; 0]);
    let mut enough = member_with(settings, agreed("a+web b:j+web c:j"));
    assert_eq!(round(&mut enough, 1000).len(), 3);
}

#[test]
fn who_leaves_exits_and_the_oldest_hear_of_it_at_once() {
    let mut a = member(agreed("a b c:l d"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "to b: gossip-delta",
            "log member-changed c leaving exiting",
            "persist the cluster of a b d"
        ]
    );
}

#[test]
fn who_has_shut_down_is_removed_and_who_has_not_is_waited_for() {
    let mut a = member(agreed("a b c:e"));
    assert_eq!(round(&mut a, 1000), [""; 0]);
    let confirmed = super::world_tests::from(
        "c",
        1500,
        crate::membership::message::Message::ExitingConfirmed,
    );
    assert_eq!(step(&mut a, 1500, confirmed), []);
    assert_eq!(
        round(&mut a, 2000),
        ["log member-changed c exiting removed"]
    );
    assert_eq!(shown_picture(a.gossip()), "a b, seen by a");
    assert!(
        a.gossip()
            .tombstones()
            .contains(&super::world_tests::node("c"))
    );
}

#[test]
fn who_is_down_or_exiting_is_removed_once_unreachable() {
    let mut a = member(with(picture("a b:d c:e d:d"), "a→b a→c", "a"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed b down removed",
            "log member-changed c exiting removed"
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a d:d, seen by a");
}

#[test]
fn one_unreachable_member_stops_everything_but_weakly_up() {
    let mut a = member(with(picture("a b c:j d:l e:j"), "a→b b→e", "a b c d e"));
    assert_eq!(round(&mut a, 1000), [""; 0]);
    assert_eq!(round(&mut a, 7999), [""; 0]);
    // `e` cannot be reached by `b`, which is not down.
    assert_eq!(
        round(&mut a, 8000),
        ["log member-changed c joining weakly-up"]
    );
    assert_eq!(
        shown_picture(a.gossip()),
        "a b c:w d:l e:j, seen by a, a→b, b→e"
    );
}

#[test]
fn weakly_up_can_be_switched_off() {
    let settings = Settings {
        allow_weakly_up_members: Optional(None),
        ..Settings::default()
    };
    let mut a = member_with(settings, with(picture("a b c:j"), "a→b", "a b c"));
    round(&mut a, 1000);
    assert_eq!(round(&mut a, 60_000), [""; 0]);
}

#[test]
fn an_unable_leader_says_so_at_the_twentieth_round_then_each_sixtieth_and_when_it_can_again() {
    let mut a = member(with(picture("a b c"), "a→b", "a b"));
    for n in 1..20 {
        assert_eq!(round(&mut a, 1000 * n), [""; 0]);
    }
    let unable = ["log leader-incapacitated unseen c unreachable b"];
    assert_eq!(round(&mut a, 20_000), unable);
    for n in 21..60 {
        assert_eq!(round(&mut a, 1000 * n), [""; 0]);
    }
    assert_eq!(round(&mut a, 60_000), unable);
    a.gossip = agreed("a b c");
    assert_eq!(round(&mut a, 61_000), ["log leader-restored"]);
    assert_eq!(round(&mut a, 62_000), [""; 0]);
}

#[test]
fn members_that_prepare_are_ready_with_agreement_and_nobody_is_let_up_meanwhile() {
    let mut a = member(agreed("a:p b:p c:j"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed a preparing-for-shutdown ready-for-shutdown",
            "log member-changed b preparing-for-shutdown ready-for-shutdown",
        ]
    );
}

#[test]
fn each_data_centre_has_a_leader_of_its_own() {
    let mut a = member(agreed(
        "a@west b@west:j c@east d@east:j"
            .replace("@west:j", ":j@west")
            .replace("@east:j", ":j@east")
            .as_str(),
    ));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed b joining up",
            "persist the cluster of a b c"
        ]
    );
}

#[test]
fn what_another_data_centre_declared_dead_is_removed_here() {
    let mut a = member(agreed("a@west c:d@east d:e@east"));
    assert_eq!(
        round(&mut a, 1000),
        [
            "log member-changed c down removed",
            "log member-changed d exiting removed"
        ]
    );
}

#[test]
fn a_tombstone_is_forgotten_after_its_time() {
    let mut a = member(with(picture("a b:d"), "a→b", "a"));
    assert_eq!(round(&mut a, 1000), ["log member-changed b down removed"]);
    let day = 24 * 3600 * 1000;
    assert_eq!(round(&mut a, day), [""; 0]);
    assert_eq!(a.gossip().tombstones().len(), 1);
    assert_eq!(round(&mut a, day + 1000), [""; 0]);
    assert_eq!(a.gossip().tombstones().len(), 0);
}

#[test]
fn the_round_comes_once_a_second() {
    let mut a = member(agreed("a b c:j"));
    let woken = shown(&step(&mut a, 1000, Event::Wake));
    assert!(
        woken.contains(&"log member-changed c joining up".into()),
        "{woken:?}"
    );
    assert_eq!(a.rounds.leader, super::world_tests::at(2000));
}
