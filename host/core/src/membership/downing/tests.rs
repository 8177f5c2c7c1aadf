//! The worked pictures of every strategy, from each side of each partition.
//!
//! Letters are members; a suffix says how far one has come (`j` joining, `w` weakly up, `l` leaving, `p` preparing, `r` ready,
//! `e` exiting, `d` down). `/` stands between the sides of a partition, of which each one's first member marks all others. `b>c` is a
//! further mark that both sides know of.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::member::Status;

pub(super) fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// Ages run against addresses up to `e`, the oldest.
pub(super) fn voter(text: &str) -> Voter {
    let (name, suffix) = text.split_at(1);
    let (age, roles): (u32, &[&str]) = match name {
        "a" => (5, &["role3"]),
        "b" => (4, &["role1", "role3"]),
        "c" => (3, &["role2"]),
        "d" => (2, &["role1", "role2", "role3"]),
        "e" => (1, &[]),
        "f" => (6, &[]),
        _ => (7, &[]),
    };
    let status = match suffix {
        "" => Status::Up,
        "j" => Status::Joining,
        "w" => Status::WeaklyUp,
        "l" => Status::Leaving,
        "p" => Status::PreparingForShutdown,
        "r" => Status::ReadyForShutdown,
        "e" => Status::Exiting,
        "d" => Status::Down,
        _ => panic!("{text}"),
    };
    let is_joining = matches!(status, Status::Joining | Status::WeaklyUp);
    Voter {
        node: node(name),
        status,
        up_number: (!is_joining).then_some(age),
        roles: roles.iter().map(|role| Arc::from(*role)).collect(),
        dc: "default".into(),
    }
}

pub(super) fn mark(observer: &str, subject: &str) -> Observation {
    Observation {
        observer: node(&observer[..1]),
        subject: node(&subject[..1]),
        is_terminated: false,
    }
}

/// What the members of one side see.
pub(super) fn picture(sides: &str, marks: &str, side: usize) -> Picture {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let here = words(sides.split('/').nth(side).unwrap());
    let there: Vec<String> = sides
        .split('/')
        .enumerate()
        .filter(|(at, _)| *at != side)
        .flat_map(|(_, others)| words(others))
        .collect();
    let across = there.iter().map(|other| mark(&here[0], other));
    let further = words(marks);
    let further = further.iter().map(|text| {
        let (observer, subject) = text.split_once('>').unwrap();
        mark(observer, subject)
    });
    Picture::new(
        node(&here[0][..1]),
        "default".into(),
        here.iter().chain(&there).map(|text| voter(text)),
        across.chain(further),
        here.iter().map(|text| node(&text[..1])),
    )
}

pub(super) fn explain(strategy: &Strategy, sides: &str, marks: &str, side: usize) -> Explanation {
    let explanation = Explanation::new(strategy, Cause::Unreachable, picture(sides, marks, side));
    assert_eq!(explanation.replay().as_ref(), Some(&explanation));
    explanation
}

pub(super) fn nodes(names: &str) -> BTreeSet<UniqueAddress> {
    names.split_whitespace().map(node).collect()
}

/// `outcomes`: for each side the decision's name and who is downed, `-` for a side that is not asked.
pub(super) fn check(strategy: &Strategy, sides: &str, marks: &str, outcomes: &[(&str, &str)]) {
    for (side, (decision, down)) in outcomes.iter().enumerate() {
        if *decision == "-" {
            continue;
        }
        let found = explain(strategy, sides, marks, side);
        assert_eq!(
            (found.decision.name(), &found.down),
            (*decision, &nodes(down)),
            "{} on side {side} of {sides} with {marks}: {}",
            strategy.name(),
            found.because
        );
    }
}

pub(super) fn static_quorum(quorum_size: u32, role: &str) -> Strategy {
    Strategy::StaticQuorum {
        quorum_size,
        role: some(role),
    }
}

pub(super) fn keep_majority(role: &str) -> Strategy {
    Strategy::KeepMajority { role: some(role) }
}

pub(super) fn keep_oldest(role: &str, down_if_alone: bool) -> Strategy {
    Strategy::KeepOldest {
        role: some(role),
        down_if_alone,
    }
}

pub(super) fn lease_majority(role: &str) -> Strategy {
    Strategy::LeaseMajority {
        role: some(role),
        minority_delay: Duration::from_secs(2),
        release_after: Duration::from_secs(40),
    }
}

pub(super) fn some(role: &str) -> Option<Arc<str>> {
    (!role.is_empty()).then(|| role.into())
}

pub(super) const UNREACHABLE: &str = "down-unreachable";
pub(super) const REACHABLE: &str = "down-reachable";
pub(super) const ALL: &str = "down-all";
pub(super) const INDIRECT: &str = "down-indirectly-connected";
pub(super) const LEASE: &str = "acquire-lease-and-down-unreachable";
pub(super) const LEASE_INDIRECT: &str = "acquire-lease-and-down-indirectly-connected";

#[test]
fn static_quorum_keeps_the_side_that_has_it() {
    let three = static_quorum(3, "");
    check(
        &three,
        "a c e / b d",
        "",
        &[(UNREACHABLE, "b d"), (REACHABLE, "b d")],
    );
    check(
        &three,
        "a b / c d",
        "",
        &[(REACHABLE, "a b"), (REACHABLE, "c d")],
    );
    let role = static_quorum(2, "role3");
    check(
        &role,
        "a b c / d e",
        "",
        &[(UNREACHABLE, "d e"), (REACHABLE, "d e")],
    );
}

#[test]
fn static_quorum_downs_all_when_two_sides_could_have_it() {
    let three = static_quorum(3, "");
    let all = "a b c d e f";
    check(&three, "a b c / d e f", "", &[(ALL, all), (ALL, all)]);
    // That rule comes before the one for indirectly connected members.
    check(&three, "a b c d e / f", "a>b b>a", &[(ALL, all)]);
}

#[test]
fn static_quorum_counts_neither_those_that_join_nor_those_that_exit() {
    let three = static_quorum(3, "");
    check(
        &three,
        "a b cj / d e fj",
        "",
        &[(REACHABLE, "a b c"), (REACHABLE, "d e f")],
    );
    check(
        &three,
        "a b c / d e fj",
        "",
        &[(UNREACHABLE, "d e f"), (REACHABLE, "d e f")],
    );
    check(
        &three,
        "a b cw / d e f",
        "",
        &[(REACHABLE, "a b c"), (UNREACHABLE, "a b c")],
    );
    check(
        &three,
        "a b cl / d e",
        "",
        &[(UNREACHABLE, "d e"), (REACHABLE, "d e")],
    );
    check(
        &three,
        "a b ce / d e",
        "",
        &[(REACHABLE, "a b"), (REACHABLE, "d e")],
    );
    check(
        &three,
        "a br cp / d e",
        "",
        &[(UNREACHABLE, "d e"), (REACHABLE, "d e")],
    );
}

#[test]
fn keep_majority_keeps_the_larger_side() {
    let plain = keep_majority("");
    check(
        &plain,
        "a c e / b d",
        "",
        &[(UNREACHABLE, "b d"), (REACHABLE, "b d")],
    );
    check(
        &plain,
        "a b / c d e",
        "",
        &[(REACHABLE, "a b"), (UNREACHABLE, "a b")],
    );
    check(
        &plain,
        "b / a c",
        "",
        &[(REACHABLE, "b"), (UNREACHABLE, "b")],
    );
}

#[test]
fn keep_majority_keeps_the_lowest_address_of_equal_sides() {
    let plain = keep_majority("");
    check(
        &plain,
        "a b / c d",
        "",
        &[(UNREACHABLE, "c d"), (REACHABLE, "c d")],
    );
    check(&plain, "a / b", "", &[(UNREACHABLE, "b"), (REACHABLE, "b")]);
}

#[test]
fn keep_majority_counts_by_role_and_downs_without_it() {
    check(
        &keep_majority("role3"),
        "a b / c d e",
        "",
        &[(UNREACHABLE, "c d e"), (REACHABLE, "c d e")],
    );
    // `c` has the lowest address of those with the role.
    check(
        &keep_majority("role2"),
        "a d e / b c",
        "",
        &[(REACHABLE, "a d e"), (UNREACHABLE, "a d e")],
    );
    // Implied by the data centre, so that all have it.
    check(
        &keep_majority("dc-default"),
        "a c e / b d",
        "",
        &[(UNREACHABLE, "b d"), (REACHABLE, "b d")],
    );
    check(
        &keep_majority("role3"),
        "c / e",
        "",
        &[(ALL, "c e"), (ALL, "c e")],
    );
}

#[test]
fn keep_majority_does_not_count_who_joins_but_downs_it() {
    let plain = keep_majority("");
    check(
        &plain,
        "b d / aj c",
        "",
        &[(UNREACHABLE, "a c"), (REACHABLE, "a c")],
    );
    check(
        &plain,
        "a bj / c d e",
        "",
        &[(REACHABLE, "a b"), (UNREACHABLE, "a b")],
    );
}

#[test]
fn no_side_stays_when_all_are_too_small() {
    check(
        &keep_majority(""),
        "a b / c d / e",
        "",
        &[(REACHABLE, "a b"), (REACHABLE, "c d"), (REACHABLE, "e")],
    );
}

#[test]
fn keep_majority_doubts_what_the_other_side_made_of_those_that_join() {
    let plain = keep_majority("");
    // Side one let f and g in at the moment of the partition; side two has not seen that.
    check(
        &plain,
        "a b f g / c d e",
        "",
        &[(UNREACHABLE, "c d e"), ("-", "")],
    );
    check(
        &plain,
        "a b fj gj / c d e",
        "",
        &[("-", ""), (ALL, "a b c d e f g")],
    );
    check(
        &plain,
        "a b f / c d e",
        "",
        &[(UNREACHABLE, "c d e"), ("-", "")],
    );
    check(
        &plain,
        "a b fj / c d e",
        "",
        &[("-", ""), (ALL, "a b c d e f")],
    );
    // Who joins on the larger side changes nothing.
    check(
        &plain,
        "a b / c d e fj",
        "",
        &[(REACHABLE, "a b"), ("-", "")],
    );
    check(
        &plain,
        "a b / c d e f",
        "",
        &[("-", ""), (UNREACHABLE, "a b")],
    );
}

#[test]
fn keep_majority_doubts_what_the_other_side_made_of_those_that_leave() {
    let plain = keep_majority("");
    check(
        &plain,
        "al b ej / c d",
        "",
        &[(ALL, "a b c d e"), ("-", "")],
    );
    // Who exits already is not downed.
    check(&plain, "ae b / c d", "", &[("-", ""), (UNREACHABLE, "b")]);
    // Nobody is sure to stay.
    check(&plain, "al bl / c", "", &[(ALL, "a b c"), ("-", "")]);
    // With `a` gone `b` is the lowest address, and it is still on this side.
    check(
        &plain,
        "al b e / cl d",
        "",
        &[(UNREACHABLE, "c d"), ("-", "")],
    );
}

#[test]
fn keep_oldest_keeps_the_side_of_the_oldest() {
    let plain = keep_oldest("", true);
    check(
        &plain,
        "a e / b c d",
        "",
        &[(UNREACHABLE, "b c d"), (REACHABLE, "b c d")],
    );
    // `d` is the oldest of those with the role.
    check(
        &keep_oldest("role2", true),
        "a e / b c d",
        "",
        &[(REACHABLE, "a e"), (UNREACHABLE, "a e")],
    );
    check(
        &keep_oldest("role9", true),
        "a / b",
        "",
        &[(ALL, "a b"), (ALL, "a b")],
    );
}

#[test]
fn an_oldest_that_is_alone_goes_unless_it_is_told_otherwise() {
    let sides = "e / a b c d";
    check(
        &keep_oldest("", true),
        sides,
        "",
        &[(REACHABLE, "e"), (UNREACHABLE, "e")],
    );
    check(
        &keep_oldest("", false),
        sides,
        "",
        &[(UNREACHABLE, "a b c d"), (REACHABLE, "a b c d")],
    );
    check(
        &keep_oldest("", true),
        "b / a",
        "",
        &[(UNREACHABLE, "a"), (REACHABLE, "a")],
    );
}

#[test]
fn keep_oldest_doubts_what_the_other_side_made_of_those_that_leave() {
    let plain = keep_oldest("", true);
    check(&plain, "a b d / c ee", "", &[(UNREACHABLE, "c"), ("-", "")]);
    check(&plain, "a b d / c el", "", &[("-", ""), (ALL, "a b c d e")]);
    check(
        &plain,
        "a el / b c d",
        "",
        &[(ALL, "a b c d e"), (REACHABLE, "b c d")],
    );
    check(
        &plain,
        "a e / bl cl d",
        "",
        &[(UNREACHABLE, "b c d"), (REACHABLE, "b c d")],
    );
    check(
        &plain,
        "dl e / a b c",
        "",
        &[(ALL, "a b c d e"), (REACHABLE, "a b c")],
    );
    check(
        &plain,
        "e / a b cl",
        "",
        &[(REACHABLE, "e"), (UNREACHABLE, "e")],
    );
    check(
        &plain,
        "e / a bl cl dl",
        "",
        &[(REACHABLE, "e"), (ALL, "a b c d e")],
    );
    check(&plain, "d ee / a b c", "", &[(REACHABLE, "d"), ("-", "")]);
    check(
        &plain,
        "d el / a b c",
        "",
        &[("-", ""), (REACHABLE, "a b c")],
    );
    check(&plain, "a / be", "", &[(UNREACHABLE, ""), ("-", "")]);
    check(&plain, "a / bl", "", &[("-", ""), (ALL, "a b")]);
}

#[test]
fn keep_oldest_doubts_who_is_alone_while_members_join() {
    check(
        &keep_oldest("", true),
        "aj e / b c d",
        "",
        &[(REACHABLE, "a e"), (ALL, "a b c d e")],
    );
    check(
        &keep_oldest("", false),
        "aj e / b c d",
        "",
        &[(UNREACHABLE, "b c d"), (REACHABLE, "b c d")],
    );
}

#[test]
fn down_all_downs_all() {
    let all = "a b c d e";
    check(
        &Strategy::DownAll,
        "a b c / d e",
        "",
        &[(ALL, all), (ALL, all)],
    );
}

#[test]
fn keep_majority_doubts_a_tie_that_a_leader_without_the_role_may_have_turned() {
    let role = keep_majority("role2");
    // `b`, which does not count itself, let `c` in; `d` has not seen that, and `c` has the lower address.
    check(&role, "d / b c", "", &[("-", ""), (UNREACHABLE, "d")]);
    check(&role, "d / b cj", "", &[(ALL, "b c d"), ("-", "")]);
    // A leader on this side would know.
    check(&role, "b d / cj", "", &[(UNREACHABLE, "c"), ("-", "")]);
}

#[test]
fn keep_majority_without_a_role_takes_a_tie_as_pekko_does() {
    // In the worst case `b` is up and the leader `a` is gone over there: two each, and `c` is the lowest of those that are certainly up.
    let sides = "c d / al bj";
    check(
        &keep_majority(""),
        sides,
        "",
        &[(UNREACHABLE, "a b"), ("-", "")],
    );
    // Over there it is in fact one against two.
    check(
        &keep_majority(""),
        "c d / ae b",
        "",
        &[("-", ""), (REACHABLE, "b")],
    );
}
