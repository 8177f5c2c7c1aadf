//! Whom a node tells how much.

use super::super::super::fixture::{node, picture, with};
use super::super::super::member::Member;
use alloc::vec::Vec;

use super::*;

/// The next version, which `a` makes.
fn next(gossip: &Gossip) -> Gossip {
    let mut next = gossip.clone();
    let a = node("a");
    let mut change = next.change(&a);
    let x = alloc::format!("x#{}", gossip.version().len() + gossip.tombstones().len());
    let profile = gossip.members()[0].profile.clone();
    change.join(Member::joining(node(&x), profile)).unwrap();
    change.remove(&node(&x)).unwrap();
    drop(change);
    next
}

/// What is told, and on which version.
fn told(history: &mut History, to: &str) -> Result<Option<VersionDigest>, ()> {
    match history.telling(&node(to)) {
        Telling::Seen => Ok(None),
        Telling::Delta(delta) => Ok(Some(delta.base)),
        Telling::Whole => Err(()),
    }
}

#[test]
fn a_member_is_told_from_the_newest_picture_that_it_is_known_to_have() {
    let one = with(picture("a b c d e f"), "", "a b c");
    let two = with(next(&one), "", "a b");
    let three = next(&two);
    let mut history = History::default();
    assert_eq!(told(&mut history, "b"), Err(()));
    let versions: Vec<_> = [&one, &two, &three].map(|it| history.follow(it)).into();
    assert_eq!(told(&mut history, "a"), Ok(None));
    assert_eq!(told(&mut history, "b"), Ok(Some(versions[1])));
    assert_eq!(told(&mut history, "c"), Ok(Some(versions[0])));
    assert_eq!(told(&mut history, "d"), Err(()));
    // What it says itself counts, too.
    assert!(history.had(&node("d"), versions[0]));
    assert_eq!(told(&mut history, "d"), Ok(Some(versions[0])));
    assert!(history.had(&node("d"), versions[2]));
    assert_eq!(told(&mut history, "d"), Ok(None));
    assert!(!history.had(&node("d"), VersionDigest::of(&next(&three))));
    // A stranger has been in none of them.
    assert!(history.had(&node("z"), versions[0]));
    assert_eq!(told(&mut history, "z"), Err(()));
}

#[test]
fn who_has_seen_a_picture_later_is_known_later() {
    let one = with(picture("a b c d e f"), "", "a");
    let two = next(&one);
    let mut history = History::default();
    let version = history.follow(&one);
    assert_eq!(history.follow(&with(one.clone(), "", "a b")), version);
    history.follow(&two);
    assert_eq!(told(&mut history, "b"), Ok(Some(version)));
    assert_eq!(
        history.follow(&with(two.clone(), "", "a b")),
        history.version()
    );
    assert_eq!(told(&mut history, "b"), Ok(None));
}

#[test]
fn what_is_told_is_what_there_is_now() {
    let one = with(picture("a b c d e f"), "", "a b");
    let mut gossip = next(&one);
    let mut history = History::default();
    history.follow(&one);
    for _ in 0..3 {
        history.follow(&gossip);
        for _ in 0..2 {
            let Telling::Delta(delta) = history.telling(&node("b")) else {
                panic!("b has had a picture before");
            };
            assert_eq!(delta.apply(&one).as_ref(), Ok(&gossip));
            assert_eq!(history.apply(&delta).as_ref(), Ok(&gossip));
            gossip.see(&node("d"));
            history.follow(&gossip);
        }
        gossip = next(&gossip);
    }
}

#[test]
fn a_picture_that_is_all_new_is_told_whole() {
    let one = with(picture("a"), "", "a");
    let mut history = History::default();
    let version = history.follow(&one);
    let mut many = one;
    let a = node("a");
    let mut change = many.change(&a);
    for name in ["b", "c", "d"] {
        let profile = change.gossip().members()[0].profile.clone();
        let joining = Member::joining(node(name), profile);
        change.join(joining).unwrap();
    }
    change.remove(&node("d")).unwrap();
    change.remove(&node("c")).unwrap();
    drop(change);
    history.follow(&many);
    history.had(&node("b"), version);
    assert_eq!(told(&mut history, "b"), Err(()));
}

#[test]
fn only_so_many_pictures_are_kept_and_first_of_all_those_that_others_have() {
    let mut gossip = with(picture("a b c d e f"), "", "a b");
    let mut history = History::default();
    let first = history.follow(&gossip);
    gossip = with(next(&gossip), "", "a c");
    let second = history.follow(&gossip);
    for _ in 0..2 * HISTORY_MAX {
        gossip = next(&gossip);
        history.follow(&gossip);
    }
    assert_eq!(told(&mut history, "b"), Ok(Some(first)));
    for _ in 0..HISTORY_MAX - 1 {
        gossip = with(next(&gossip), "", "a d");
        history.follow(&gossip);
    }
    assert_eq!(told(&mut history, "b"), Ok(Some(first)));
    gossip = with(next(&gossip), "", "a d");
    history.follow(&gossip);
    gossip = next(&gossip);
    let after = history.follow(&gossip);
    assert_eq!(told(&mut history, "b"), Err(()));
    assert_eq!(told(&mut history, "c"), Err(()));
    let mut on_second = Delta::new((first, &gossip), &next(&gossip));
    on_second.base = second;
    let (needed, actual) = (second, after);
    assert_eq!(
        history.apply(&on_second),
        Err(DeltaError::OtherBase { needed, actual })
    );
}

#[test]
fn all_are_told_from_what_most_have_or_were_told() {
    let base = |history: &mut History| history.telling_all().map(|delta| delta.base);
    let one = with(picture("a b c d e"), "", "a b");
    let mut history = History::default();
    assert_eq!(base(&mut history), None);
    let first = history.follow(&one);
    assert_eq!(base(&mut history), None);
    let two = next(&one);
    let second = history.follow(&two);
    // Two of five are not most.
    assert_eq!(base(&mut history), None);
    assert!(history.had(&node("c"), first));
    assert_eq!(base(&mut history), Some(first));
    // All were told of the second one now.
    let three = next(&two);
    history.follow(&three);
    let told = history.telling_all().unwrap();
    assert_eq!(told.base, second);
    assert_eq!(told.apply(&two).as_ref(), Ok(&three));
}
