//! Nobody is downed on one node's word, and no word is given to two decisions that exclude each other.

use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::decision::Decision;
use super::resolver_tests::*;
use super::tests::{node, nodes};
use super::{Ballot, Effect, Event};
use crate::membership::member::Status;

const ALL: [&str; 5] = ["a", "b", "c", "d", "e"];

/// `name` among five members, and whether it leads.
fn rig(name: &'static str) -> Rig {
    let mut rig = Rig::new(keep_majority(), name, &ALL);
    rig.hear(Event::Leader(name == "a"));
    rig
}

/// The leader of five has not reached two of them for so long that it asks the others for their votes.
fn asking() -> (Rig, Vec<Effect>) {
    let mut rig = rig("a");
    rig.mark("a", "d");
    rig.mark("a", "e");
    let mut asked = Vec::new();
    rig.wake_until(20, |_, rig| {
        rig.hear_alone(Event::Wake);
        asked = rig.hear_alone(Event::Seen);
    });
    (rig, acts(asked))
}

fn ballot(rig: &Rig, number: u64, down: &str) -> Ballot {
    Ballot {
        number,
        electorate: rig.picture().electorate(),
        down: nodes(down),
    }
}

fn ask(rig: &Rig, number: u64, down: &str, of: &[&str]) -> Effect {
    let of = of.iter().map(|name| node(name)).collect();
    let electorate = if down.is_empty() {
        0
    } else {
        rig.picture().electorate()
    };
    Effect::Ask {
        ballot: Ballot {
            electorate,
            ..ballot(rig, number, down)
        },
        of,
    }
}

fn voted(rig: &mut Rig, by: &str, number: u64, bound: &[&str]) -> Vec<Effect> {
    acts(rig.hear_alone(Event::Voted {
        by: &node(by),
        vote: &vote(number, bound),
    }))
}

/// What a node answers to a question of `by`.
fn asked(rig: &mut Rig, by: &str, leads: bool, ballot: &Ballot) -> Vec<Effect> {
    rig.hear_alone(Event::Asked {
        by: &node(by),
        ballot,
        leads,
    })
}

fn yes(to: &str, number: u64, bound: &[&str]) -> Vec<Effect> {
    vec![Effect::Vote {
        to: node(to),
        vote: vote(number, bound),
    }]
}

/// No vote, for these are spared by it.
fn no(to: &str, number: u64, spared: &[&str]) -> Vec<Effect> {
    yes(to, number, spared)
}

#[test]
fn nobody_is_downed_before_enough_have_voted_for_it() {
    let (mut rig, effects) = asking();
    assert_eq!(effects, [ask(&rig, 1, "d e", &["b", "c"])]);
    // Of whom was not asked no vote counts; of five two are too few.
    assert_eq!(voted(&mut rig, "d", 1, &[]), []);
    assert_eq!(voted(&mut rig, "b", 1, &[]), []);
    assert_eq!(
        voted(&mut rig, "c", 1, &[]),
        [down(&["d", "e"], Decision::DownUnreachable)]
    );
    // What was carried out is not taken back.
    assert_eq!(voted(&mut rig, "c", 1, &[]), []);
}

#[test]
fn who_does_not_vote_is_asked_again_and_after_a_while_anew() {
    let (mut rig, _) = asking();
    voted(&mut rig, "b", 1, &[]);
    let mut said = Vec::new();
    rig.wake_until_ms(23_700, |at, rig| {
        let effects = acts(rig.hear_alone(Event::Wake));
        said.extend(effects.into_iter().map(|effect| (at, effect)));
    });
    let again = (1..10).map(|n| (20_000 + 300 * n, ask(&rig, 1, "d e", &["c"])));
    let mut wanted: Vec<_> = again.collect();
    wanted.extend([
        (23_000, ask(&rig, 1, "", &["b", "c"])),
        (23_000, ask(&rig, 2, "d e", &["b", "c"])),
        (23_300, ask(&rig, 2, "d e", &["b", "c"])),
        (23_600, ask(&rig, 2, "d e", &["b", "c"])),
    ]);
    assert_eq!(said, wanted);
    // A vote for what was taken back is no vote, and who gave it hears so.
    assert_eq!(voted(&mut rig, "b", 1, &[]), [ask(&rig, 1, "", &["b"])]);
}

#[test]
fn a_question_is_taken_back_when_what_it_rests_on_changes() {
    let (mut rig, _) = asking();
    let taken_back = ask(&rig, 1, "", &["b", "c"]);
    let mut changed = Vec::new();
    rig.marks_lost("d", &mut changed);
    assert_eq!(changed, [taken_back]);
    assert_eq!(voted(&mut rig, "c", 1, &[]).len(), 1);
    // One that only joins changes the members, too.
    let (mut rig, _) = asking();
    rig.member("f", Status::Joining);
    assert_eq!(voted(&mut rig, "b", 1, &[]), []);
    let late = voted(&mut rig, "c", 1, &[]);
    assert_eq!(late, [ask(&rig, 1, "", &["b", "c"])]);
}

#[test]
fn those_who_have_voted_go_when_they_stay_too_few() {
    let (mut rig, _) = asking();
    rig.silence(&["c"]);
    let unstable = Effect::Unstable {
        changes: 2,
        lasting: Duration::from_secs(55),
    };
    let all = down(&["b", "c", "d", "e", "a"], Decision::DownAll);
    assert_eq!(rig.acts_until(55), [(55_000, unstable), (55_000, all)]);

    let (mut rig, _) = asking();
    rig.never_unstable();
    rig.silence(&["c"]);
    assert_eq!(rig.acts_until(59), []);
    assert_eq!(
        rig.acts_until(61),
        [(60_000, down(&["b", "a"], Decision::DownReachable))]
    );
}

#[test]
fn a_vote_is_given_to_the_leader_and_to_no_other_decision() {
    let mut rig = rig("c");
    let question = ballot(&rig, 7, "d e");
    assert_eq!(asked(&mut rig, "b", false, &question), []);
    assert_eq!(asked(&mut rig, "d", false, &question), yes("d", 7, &[]));
    assert_eq!(asked(&mut rig, "a", true, &question), yes("a", 7, &[]));
    let not_asked = Ballot {
        down: nodes(""),
        ..question.clone()
    };
    assert_eq!(asked(&mut rig, "d", false, &not_asked), []);
    // A question that comes twice, or too late.
    assert_eq!(asked(&mut rig, "a", true, &question), yes("a", 7, &[]));
    let late = ballot(&rig, 6, "b");
    assert_eq!(asked(&mut rig, "a", true, &late), []);
    // It spares one whom the first one downs; and who asked for that is to go by this one, and may never say what came of it.
    let other = ballot(&rig, 1, "a d");
    assert_eq!(asked(&mut rig, "b", true, &other), no("b", 1, &["e"]));
    let spares_askers = ballot(&rig, 1, "b");
    assert_eq!(asked(&mut rig, "b", true, &spares_askers), []);
    // The same, and one that downs more: whoever asks for it must not count the voter for what it had voted on.
    let same = ballot(&rig, 2, "d e");
    assert_eq!(asked(&mut rig, "b", true, &same), yes("b", 2, &[]));
    let more = ballot(&rig, 3, "a d e");
    assert_eq!(asked(&mut rig, "b", true, &more), yes("b", 3, &["d", "e"]));
    // Both are reminded until it is known what came of it.
    let reminded = [yes("a", 7, &[]), yes("b", 3, &["d", "e"])].concat();
    let mut said = Vec::new();
    rig.wake_until(1, |_, rig| said.extend(rig.hear_alone(Event::Wake)));
    assert_eq!(said, reminded);
    // Another number is not the one that was promised.
    let taken_back = |number| Ballot {
        electorate: 0,
        down: nodes(""),
        number,
    };
    assert_eq!(asked(&mut rig, "b", true, &taken_back(4)), []);
    let other = Ballot { number: 8, ..other };
    assert_eq!(asked(&mut rig, "d", true, &other), no("d", 8, &["e"]));
    assert_eq!(asked(&mut rig, "a", true, &taken_back(7)), []);
    assert_eq!(asked(&mut rig, "b", true, &taken_back(3)), []);
    assert_eq!(asked(&mut rig, "d", true, &other), yes("d", 8, &[]));
}

#[test]
fn a_promise_ends_when_it_is_kept_or_its_asker_is_down() {
    for ends in [&["d", "e"][..], &["a"]] {
        let mut rig = rig("c");
        let question = ballot(&rig, 1, "d e");
        assert_eq!(asked(&mut rig, "a", true, &question), yes("a", 1, &[]));
        for name in ends {
            rig.member(name, Status::Down);
        }
        let other = ballot(&rig, 1, "a");
        assert_eq!(asked(&mut rig, "b", true, &other), yes("b", 1, &[]));
    }
}

/// A leader of three that has voted for downing `a` and `b` themselves when `b` asked, and has never heard of `b` again.
fn owing() -> Rig {
    let mut rig = Rig::new(keep_majority(), "c", &["a", "b", "c"]);
    rig.never_unstable();
    let question = ballot(&rig, 1, "a b");
    assert_eq!(asked(&mut rig, "b", false, &question), yes("b", 1, &[]));
    rig.mark("a", "b");
    rig.mark("c", "b");
    rig
}

#[test]
fn who_is_bound_to_one_that_goes_downs_whom_that_one_wanted_to_down() {
    let mut rig = owing();
    // `b` may yet say what came of it: the wider decision comes when votes are waited for no longer.
    let mut acts = rig.until(61);
    let reminders = |(_, effect): &(u64, Effect)| !matches!(effect, Effect::Vote { .. });
    acts.retain(reminders);
    let [(_, Effect::Explain(explanation)), (at, goes)] = &acts[..] else {
        panic!("{acts:?}")
    };
    assert_eq!(*at, 60_000);
    assert_eq!(*goes, down(&["a", "b"], Decision::DownUnreachable));
    assert_eq!(
        explanation.because.to_string(),
        "2 reachable members outnumber 1; and those who go may have downed, with the vote of this node: a:7000"
    );
    assert_eq!(explanation.replay().as_ref(), Some(&**explanation));
}

#[test]
fn a_leader_whose_voters_are_bound_to_one_that_goes_downs_whom_that_one_wanted_to_down() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.never_unstable();
    rig.mark("a", "b");
    rig.mark("c", "b");
    let mut downs = Vec::new();
    rig.wake_until(61, |at, rig| {
        let woken = rig.hear_alone(Event::Wake);
        let seen = rig.hear_alone(Event::Seen);
        for effect in [woken, seen].concat() {
            let Effect::Ask { ballot, .. } = effect else {
                continue;
            };
            // `c` has voted for `b`, which wanted to down `a` and itself.
            if !ballot.down.is_empty() {
                let is_first = ballot.down == nodes("b");
                let effects = voted(rig, "c", ballot.number, if is_first { &["a"] } else { &[] });
                downs.extend(effects.into_iter().map(|it| (at, it)));
            }
        }
    });
    assert_eq!(
        downs,
        [(60_000, down(&["b", "a"], Decision::DownUnreachable))]
    );
}

#[test]
fn who_is_bound_and_gets_no_votes_for_the_wider_decision_goes_itself() {
    let mut rig = owing();
    let mut said = Vec::new();
    rig.wake_until(63, |at, rig| {
        let woken = rig.hear_alone(Event::Wake);
        let seen = rig.hear_alone(Event::Seen);
        said.extend([woken, seen].concat().into_iter().map(|it| (at, it)));
    });
    let (wide, own) = (nodes("a b"), nodes("b"));
    let asked = said.iter().filter_map(|(at, effect)| {
        let Effect::Ask { ballot, .. } = effect else {
            return None;
        };
        let is_bound_to_more = ballot.down != own && !ballot.down.is_empty();
        is_bound_to_more.then(|| (*at, ballot.down == wide))
    });
    let asked: Vec<_> = asked.collect();
    let wanted: Vec<_> = (0..10).map(|n| (60_000 + 300 * n, true)).collect();
    assert_eq!(asked, wanted);
    let is_down = |(_, effect): &(u64, Effect)| matches!(effect, Effect::Down { .. });
    said.retain(is_down);
    // And takes along who may have been downed with its vote.
    assert_eq!(said, [(63_000, down(&["a", "c"], Decision::DownReachable))]);
}

#[test]
fn of_a_promise_only_what_is_not_done_binds() {
    let mut rig = rig("c");
    let question = ballot(&rig, 1, "d e");
    assert_eq!(asked(&mut rig, "a", true, &question), yes("a", 1, &[]));
    let spares = |rig: &Rig| ballot(rig, 1, "b e");
    let question = spares(&rig);
    assert_eq!(asked(&mut rig, "d", true, &question), []);
    rig.member("d", Status::Down);
    // `e` is still to go, for all that is known.
    let none = ballot(&rig, 2, "b");
    assert_eq!(asked(&mut rig, "b", true, &none), []);
    let question = spares(&rig);
    assert_eq!(asked(&mut rig, "b", true, &question), yes("b", 1, &["e"]));
}

#[test]
fn who_knows_other_members_does_not_vote() {
    let mut rig = rig("c");
    let question = ballot(&rig, 1, "e");
    rig.member("d", Status::Down);
    assert_eq!(asked(&mut rig, "a", true, &question), []);
    rig.member("c", Status::Exiting);
    let question = ballot(&rig, 1, "e");
    assert_eq!(asked(&mut rig, "a", true, &question), []);
}

#[test]
fn who_is_to_go_votes_for_it_and_wants_nothing_else_any_more() {
    let (mut rig, _) = asking();
    let other = ballot(&rig, 4, "b");
    assert_eq!(asked(&mut rig, "c", false, &other), []);
    let alike = ballot(&rig, 5, "d e");
    assert_eq!(asked(&mut rig, "b", false, &alike), yes("b", 5, &[]));
    let against = ballot(&rig, 1, "a b");
    let taken_back = ask(&rig, 1, "", &["b", "c"]);
    // It is bound to the one that wants the same until that is taken back.
    let mut hindered = no("c", 1, &["d", "e"]);
    hindered.push(taken_back);
    assert_eq!(asked(&mut rig, "c", false, &against), hindered);
    asked(
        &mut rig,
        "b",
        false,
        &Ballot {
            down: nodes(""),
            ..alike
        },
    );
    assert_eq!(asked(&mut rig, "c", false, &against), yes("c", 1, &[]));
}

#[test]
fn a_vote_of_who_is_bound_counts_only_where_it_is_not_needed() {
    let (mut rig, _) = asking();
    assert_eq!(voted(&mut rig, "b", 1, &["c"]), []);
    // `c` is not counted any more, and two of five are too few.
    assert_eq!(voted(&mut rig, "c", 1, &[]), []);
    let (mut rig, _) = asking();
    assert_eq!(voted(&mut rig, "b", 1, &["d"]), []);
    assert_eq!(
        voted(&mut rig, "c", 1, &[]),
        [down(&["d", "e"], Decision::DownUnreachable)]
    );
}
