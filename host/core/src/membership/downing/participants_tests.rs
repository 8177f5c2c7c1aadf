//! Whose word counts: records of members that take no part, and who has confirmed a picture.

use alloc::vec::Vec;

use super::participants::Participants;
use super::tests::*;
use super::*;
use crate::id::Time;

/// Who takes part is who has seen the picture; nobody is waited for.
fn settled(picture: &Picture) -> Option<Picture> {
    Participants::asked(picture, Time(0), 0).settle(Time(0), picture)
}

fn drawn(voters: &[&str], rows: &[(&str, &str)], seen_by: &str) -> Picture {
    Picture::new(
        node("a"),
        "default".into(),
        voters.iter().map(|text| voter(text)),
        rows.iter()
            .map(|(observer, subject)| mark(observer, subject)),
        nodes(seen_by),
    )
}

fn rows(picture: &Picture) -> Vec<(&str, &str)> {
    let rows = picture.rows().iter();
    rows.map(|row| (row.observer.address.host(), row.subject.address.host()))
        .collect()
}

#[test]
fn what_was_said_before_a_cut_keeps_no_second_side_alive() {
    // All marked `g` while it slept, and `a` declared it dead; then it woke up on the side of `c` and `d`. By the tables alone both sides stay.
    let plain = keep_majority("");
    let small = ("c d g / a b e f", "a>g b>g e>g f>g");
    check(&plain, small.0, small.1, &[(INDIRECT, "a b e f g")]);
    let large = ("a b e f / c d gd", "a>g b>g c>g d>g");
    check(&plain, large.0, large.1, &[(INDIRECT, "c d")]);

    for ((sides, marks), decision, down) in [
        (small, Decision::DownReachable, "c d g"),
        (large, Decision::DownUnreachable, "c d"),
    ] {
        let settled = settled(&picture(sides, marks, 0)).unwrap();
        let found = Explanation::new(&plain, Cause::Unreachable, settled);
        assert_eq!((found.decision, &found.down), (decision, &nodes(down)));
    }
}

#[test]
fn members_that_are_connected_by_way_of_others_are_heard() {
    for (side, marks) in [
        ("a b c", "a>b b>a"),
        ("a b c d", "a>d d>a b>c c>b"),
        ("a b c d e", "b>c c>b a>d"),
        ("a b c / d e", "b>c c>b"),
        ("a b c / d e f g", "b>c c>b"),
    ] {
        let picture = picture(side, marks, 0);
        assert_eq!(settled(&picture).as_ref(), Some(&picture), "{side}");
    }
}

#[test]
fn nothing_is_settled_while_somebody_may_be_on_either_side() {
    let voters = ["a", "b", "c", "dj"];
    for (marks, seen_by) in [(&[("a", "c")][..], "a b"), (&[("a", "c"), ("a", "d")], "a")] {
        assert_eq!(settled(&drawn(&voters, marks, seen_by)), None);
    }
    let known = drawn(&voters, &[("a", "c")], "a b d");
    assert_eq!(settled(&known).as_ref(), Some(&known));
    // One that exits marks nothing as seen any more.
    let exiting = drawn(&["a", "b", "ce", "d"], &[("a", "b")], "a d");
    assert_eq!(settled(&exiting).as_ref(), Some(&exiting));
}

#[test]
fn whoever_takes_no_part_is_unreachable_whoever_says_so() {
    let voters = ["a", "b", "c", "d"];
    let known = drawn(&voters, &[("b", "c"), ("c", "b"), ("c", "d")], "a b");
    let settled = settled(&known).unwrap();
    assert_eq!(rows(&settled), [("a", "d"), ("b", "c")]);
}

#[test]
fn a_member_that_exits_is_heard_of_those_who_take_part() {
    // Nobody else could lift its mark: without a decision the members could not agree any more.
    let marks = [("a", "e"), ("b", "d"), ("e", "b"), ("e", "d")];
    let known = drawn(&["a", "b", "c", "d", "ee"], &marks, "a b c");
    let settled = settled(&known).unwrap();
    assert_eq!(rows(&settled), [("a", "e"), ("b", "d"), ("e", "b")]);
    let found = Explanation::new(&keep_majority(""), Cause::Unreachable, settled);
    assert_eq!(found.decision, Decision::DownIndirectlyConnected);
    assert_eq!(found.down, nodes("b d"));
}

#[test]
fn what_only_a_member_says_that_exits_is_said_by_another_one_too() {
    // Left out beside the indirectly connected `b`, it would leave `e` among those who can be reached.
    let marks = [("a", "e"), ("b", "a")];
    let known = drawn(&["ae", "b", "c", "e"], &marks, "a b c");
    let settled = settled(&known).unwrap();
    assert_eq!(rows(&settled), [("a", "e"), ("b", "a"), ("b", "e")]);
    let found = Explanation::new(&keep_oldest("", false), Cause::Unreachable, settled);
    assert_eq!(found.down, nodes("b c"));
}

#[test]
fn confirmations_add_up_until_somebody_is_marked_or_reached_again() {
    let voters = ["a", "b", "c", "d"];
    let seen = |marks: &[(&str, &str)], seen_by| drawn(&voters, marks, seen_by);
    let one = [("a", "d")];
    let mut participants = Participants::asked(&seen(&one, "a"), Time(0), 0);
    assert_eq!(participants.settle(Time(1), &seen(&one, "a b")), None);
    let both = [("a", "d"), ("b", "d")];
    assert_eq!(participants.settle(Time(2), &seen(&both, "a c")), None);
    let settled = participants.settle(Time(3), &seen(&both, "a b"));
    assert_eq!(settled, Some(seen(&both, "a b c")));
}

#[test]
fn who_took_part_when_all_were_asked_is_waited_for() {
    let known = |seen_by| drawn(&["a", "b", "c"], &[("a", "c"), ("c", "a")], seen_by);
    let asked = |seen_by| Participants::asked(&known(seen_by), Time(10), 0);
    // `c` is marked and took part: it may be about to confirm.
    assert_eq!(asked("a b c").settle(Time(9), &known("a b")), None);
    let all = asked("a b c").settle(Time(9), &known("a b c"));
    assert_eq!(all, Some(known("a b c")));
    let without = asked("a b c").settle(Time(10), &known("a b")).unwrap();
    assert_eq!(rows(&without), [("a", "c")]);
    // It took no part then, so nothing is to be waited for.
    let without = asked("a b").settle(Time(9), &known("a b")).unwrap();
    assert_eq!(rows(&without), [("a", "c")]);
}

#[test]
fn who_answers_this_node_is_waited_for_where_each_one_watches_all() {
    let known = |marks: &[(&str, &str)], seen_by| drawn(&["a", "b", "c"], marks, seen_by);
    let others = [("b", "c"), ("c", "b")];
    let asked = |watched| Participants::asked(&known(&others, "a"), Time(10), watched);
    // Nobody answers yet but heartbeats: `a` is not alone.
    assert_eq!(asked(2).settle(Time(99), &known(&others, "a")), None);
    assert_eq!(asked(2).settle(Time(99), &known(&others, "a b")), None);
    let all = asked(2).settle(Time(0), &known(&others, "a b c"));
    assert_eq!(all, Some(known(&others, "a b c")));
    // It need not watch both, or does not reach one itself.
    let alone = asked(1).settle(Time(0), &known(&others, "a")).unwrap();
    assert_eq!(rows(&alone), [("a", "b"), ("a", "c")]);
    let own = [("a", "c"), ("b", "c"), ("c", "b")];
    let without = Participants::asked(&known(&own, "a"), Time(10), 2);
    let without = { without }.settle(Time(0), &known(&own, "a b")).unwrap();
    assert_eq!(rows(&without), [("a", "c"), ("b", "c")]);
}
