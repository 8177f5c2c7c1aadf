//! Nobody is downed on one node's word, and no word is given to two decisions that exclude each other.

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
    // It spares one whom the first one downs.
    let other = ballot(&rig, 1, "a d");
    assert_eq!(asked(&mut rig, "b", true, &other), []);
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
    assert_eq!(asked(&mut rig, "d", true, &other), []);
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
    assert_eq!(asked(&mut rig, "c", false, &against), [taken_back]);
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
