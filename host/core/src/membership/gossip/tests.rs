//! How pictures change, stand to each other, become one and travel.

use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;

use super::super::fixture::{names, node, picture, with};
use super::super::member::{Decider, Profile, Status};
use super::super::reachability::Reach;
use super::form::Form;
use super::*;
use crate::id::Time;

fn status(gossip: &Gossip, name: &str) -> Option<Status> {
    gossip.member(&node(name)).map(|member| member.status)
}

fn joining(name: &str) -> Member {
    Member::joining(node(name), Arc::new(Profile::plain()))
}

/// `by` does one thing.
fn change(gossip: &Gossip, by: &str, what: impl FnOnce(&mut Change<'_>)) -> Gossip {
    let mut gossip = gossip.clone();
    what(&mut gossip.change(&node(by)));
    gossip
}

#[test]
fn a_change_is_one_new_version_seen_by_who_made_it() {
    let before = with(picture("a b:j c:j"), "", "a b c");
    let after = change(&before, "a", |change| {
        change.promote(&node("b"), 2).unwrap();
        change.promote(&node("c"), 3).unwrap();
    });
    let a = ClockNode::from(&node("a"));
    assert_eq!(after.version().get(a), before.version().get(a) + 1);
    assert_eq!(names(after.seen_by()), ["a"]);
    assert_eq!(before.relation(&after), Relation::Before);
}

#[test]
fn what_is_renewed_says_the_same_and_has_to_be_seen_again() {
    let before = with(picture("a b c"), "a→b", "a b c");
    let after = change(&before, "a", |change| change.renew());
    assert_eq!(before.relation(&after), Relation::Before);
    assert_eq!(names(after.seen_by()), ["a"]);
    assert_eq!(after.members(), before.members());
    assert!(after.reachability().says_the_same_as(before.reachability()));
}

#[test]
fn what_changes_nothing_makes_no_version() {
    let before = with(picture("a b c:d"), "a→b", "a b");
    let after = change(&before, "a", |change| {
        assert_eq!(change.down(&node("c"), Decider::Operator), Ok(false));
        assert!(!change.observe(&node("b"), Reach::Unreachable));
        assert!(!change.observe(&node("c"), Reach::Reachable));
        assert!(!change.observe(&node("a"), Reach::Unreachable), "oneself");
        assert!(!change.observe(&node("z"), Reach::Unreachable), "no member");
        assert!(!change.forget(&node("z")));
        assert!(!change.is_changed());
    });
    assert_eq!(after, before);
    let by_stranger = change(&before, "z", |change| {
        assert!(!change.observe(&node("b"), Reach::Unreachable));
    });
    assert_eq!(by_stranger, before);
}

#[test]
fn each_refusal_has_its_error_and_changes_nothing() {
    let mut before = picture("a b:l c");
    before.change(&node("a")).remove(&node("c")).unwrap();
    let after = change(&before, "a", |change| {
        let (from, to) = (Status::Leaving, Status::ReadyForShutdown);
        let illegal = ChangeError::IllegalTransition {
            node: node("b"),
            from,
            to,
        };
        assert_eq!(change.set_status(&node("b"), to), Err(illegal));
        let stranger = ChangeError::NotAMember { node: node("z") };
        assert_eq!(change.promote(&node("z"), 9), Err(stranger.clone()));
        assert_eq!(
            change.down(&node("z"), Decider::Operator),
            Err(stranger.clone())
        );
        assert_eq!(change.remove(&node("z")), Err(stranger));
        let known = ChangeError::AlreadyAMember { node: node("b") };
        assert_eq!(change.join(joining("b")), Err(known));
        let taken = ChangeError::AddressTaken { by: node("b") };
        assert_eq!(change.join(joining("b#2")), Err(taken));
        let gone = ChangeError::Gone { node: node("c") };
        assert_eq!(change.join(joining("c")), Err(gone));
        assert_eq!(change.gossip().members().len(), 2);
    });
    assert_eq!(after, before);
    let again = change(&before, "a", |change| change.join(joining("c#2")).unwrap());
    assert_eq!(status(&again, "c#2"), Some(Status::Joining));
    assert_eq!(again.at(&node("c").address).count(), 1);
}

#[test]
fn a_cluster_has_room_for_so_many_and_no_more() {
    let (mut gossip, first) = (picture("a"), node("a"));
    let mut change = gossip.change(&first);
    for number in 1..MEMBERS_MAX {
        change.join(joining(&alloc::format!("n{number}x"))).unwrap();
    }
    let full = ChangeError::Full { limit: MEMBERS_MAX };
    assert_eq!(change.join(joining("z")), Err(full));
}

#[test]
fn who_is_removed_leaves_nothing_but_a_tombstone_and_a_counter() {
    let before = with(picture("a b c"), "b→c c→a c→b", "a b c");
    let after = change(&before, "a", |change| change.remove(&node("b")).unwrap());
    assert_eq!(names(after.members().iter().map(|m| &m.node)), ["a", "c"]);
    assert_eq!(names(after.tombstones().iter()), ["b"]);
    assert_eq!(names(after.reachability().observers()), ["c"]);
    assert!(
        after
            .reachability()
            .rows()
            .all(|(_, subject, ..)| *subject == node("a"))
    );
    assert_eq!(names(after.seen_by()), ["a"]);
    assert_ne!(after.version().get(ClockNode::from(&node("b"))), 0);
    assert_eq!(after.relation(&before), Relation::After);
}

#[test]
fn who_is_kept_out_was_no_member_and_becomes_none() {
    let before = picture("a b");
    let after = change(&before, "a", |change| {
        assert!(change.keep_out(&node("x")));
        assert!(!change.keep_out(&node("x")), "it is no news");
        assert!(
            !change.keep_out(&node("b")),
            "a member is removed, or nothing"
        );
        let gone = ChangeError::Gone { node: node("x") };
        assert_eq!(change.join(joining("x")), Err(gone));
    });
    assert!(after.has(&node("b")) && after.tombstones().contains(&node("x")));
    // Whoever has let it in meanwhile lets it go.
    let meanwhile = change(&before, "b", |change| change.join(joining("x")).unwrap());
    assert!(!meanwhile.merge(&after).has(&node("x")));
}

#[test]
fn a_member_that_only_one_side_knows_stays_unless_it_was_removed() {
    let old = picture("a b c:e d:d");
    let here = change(&old, "a", |change| {
        change.remove(&node("c")).unwrap();
        change.join(joining("e")).unwrap();
    });
    let there = change(&old, "b", |change| change.join(joining("f")).unwrap());
    let merged = here.merge(&there);
    assert_eq!(
        names(merged.members().iter().map(|m| &m.node)),
        ["a", "b", "d", "e", "f"]
    );
    assert_eq!(merged, there.merge(&here));
    assert_eq!(merged.seen_by().count(), 0);
    assert_eq!(
        (here.relation(&merged), there.relation(&merged)),
        (Relation::Before, Relation::Before)
    );
    // In Pekko the dead member would be gone here, without a tombstone.
    let newcomer = change(&picture("a b"), "b", |change| {
        change.join(joining("f")).unwrap()
    });
    assert_eq!(status(&old.merge(&newcomer), "d"), Some(Status::Down));
}

#[test]
fn what_a_removed_node_did_last_is_not_lost() {
    // b lets d in and dies; c has heard of it, a has not, and removes b.
    let old = picture("a b c");
    let by_b = change(&old, "b", |change| change.join(joining("d")).unwrap());
    let by_a = change(&old, "a", |change| {
        change.down(&node("b"), Decider::Operator).unwrap();
        change.remove(&node("b")).unwrap();
    });
    let heard = by_a.reconcile(&by_b, &node("c"), true);
    assert_eq!(heard.relation, Relation::Concurrent);
    assert_eq!(status(&heard.gossip, "d"), Some(Status::Joining));
    assert_eq!(status(&heard.gossip, "b"), None);
    // Were b's counter dropped with b, the two pictures would now have one version, and a would never hear of d.
    assert_eq!(by_a.relation(&heard.gossip), Relation::Before);
    let told = by_a.reconcile(&heard.gossip, &node("a"), true);
    assert_eq!(status(&told.gossip, "d"), Some(Status::Joining));
}

#[test]
fn a_tombstone_that_one_side_has_forgotten_does_not_come_back() {
    let old = picture("a b c");
    let removed = change(&old, "a", |change| change.remove(&node("b")).unwrap());
    let forgotten = change(&removed, "a", |change| assert!(change.forget(&node("b"))));
    assert_eq!(removed.relation(&forgotten), Relation::Before);
    assert_eq!(forgotten.relation(&removed), Relation::After);
    let taken = removed.reconcile(&forgotten, &node("c"), true);
    assert_eq!(taken.gossip.tombstones().len(), 0);
    assert!(!taken.gossip.has(&node("b")));
    // Who has changed something meanwhile brings it back for a while: it may have known more of b than who forgot.
    let meanwhile = change(&removed, "c", |change| change.join(joining("d")).unwrap());
    let both = forgotten.reconcile(&meanwhile, &node("a"), true);
    assert_eq!(both.relation, Relation::Concurrent);
    assert_eq!(names(both.gossip.tombstones().iter()), ["b"]);
    // Of a node that had come and gone before this one heard of either, there is nothing to forget.
    let never = change(&old, "c", |change| change.join(joining("d")).unwrap());
    assert_eq!(removed.relation(&never), Relation::Concurrent);
}

#[test]
fn what_arrives_is_taken_kept_or_merged_and_the_sender_hears_what_it_lacks() {
    let old = with(picture("a b c"), "", "a b");
    let new = change(&old, "b", |change| {
        change.set_status(&node("c"), Status::Leaving).unwrap()
    });
    let me = node("a");
    let seen_by = |gossip: &Gossip| names(gossip.seen_by()).join(" ");

    let same = old.reconcile(&with(old.clone(), "", "c"), &me, true);
    assert_eq!((same.relation, same.talk_back), (Relation::Same, true));
    assert_eq!(seen_by(&same.gossip), "a b c");
    assert!(!old.reconcile(&same.gossip, &me, true).talk_back);

    let newer = old.reconcile(&new, &me, true);
    assert_eq!((newer.relation, newer.talk_back), (Relation::Before, true));
    assert_eq!(seen_by(&newer.gossip), "a b");
    let unseen = old.reconcile(&new, &me, false);
    assert_eq!(seen_by(&unseen.gossip), "b");

    let older = new.reconcile(&old, &me, true);
    assert_eq!((older.relation, older.talk_back), (Relation::After, true));
    assert_eq!(seen_by(&older.gossip), "a b");

    let other = change(&old, "a", |change| change.join(joining("d")).unwrap());
    let merged = other.reconcile(&new, &me, true);
    assert_eq!(
        (merged.relation, merged.talk_back),
        (Relation::Concurrent, true)
    );
    assert_eq!(seen_by(&merged.gossip), "a");
}

#[test]
fn an_old_picture_brings_nobody_back() {
    let captured = with(picture("a b c"), "", "a b c");
    let mut now = captured.clone();
    now.change(&node("a"))
        .down(&node("c"), Decider::Operator)
        .unwrap();
    now.change(&node("a")).remove(&node("c")).unwrap();
    let replayed = now.reconcile(&captured, &node("a"), true);
    assert_eq!(replayed.relation, Relation::After);
    assert!(!replayed.gossip.has(&node("c")));
    // Nor does one that somebody has changed since.
    let stale = change(&captured, "b", |change| change.join(joining("d")).unwrap());
    let merged = now.reconcile(&stale, &node("a"), true).gossip;
    assert!(!merged.has(&node("c")) && merged.has(&node("d")));
}

#[test]
fn each_node_reckons_from_when_it_first_saw_a_tombstone() {
    let seconds = Duration::from_secs;
    let at = |s: u64| Time::default().after(seconds(s));
    let mut gossip = picture("a b c d");
    let mut graves = Graves::default();
    graves.note(&gossip, at(0));
    gossip.change(&node("a")).remove(&node("c")).unwrap();
    graves.note(&gossip, at(10));
    gossip.change(&node("a")).remove(&node("d")).unwrap();
    graves.note(&gossip, at(20));
    assert_eq!(graves.due(at(109), seconds(100)), []);
    assert_eq!(graves.due(at(110), seconds(100)), [node("c")]);
    assert_eq!(graves.due(at(120), seconds(100)), [node("c"), node("d")]);
    gossip.change(&node("a")).forget(&node("c"));
    graves.note(&gossip, at(120));
    assert_eq!(graves.due(at(500), seconds(100)), [node("d")]);
}

#[test]
fn the_oldest_tombstones_go_when_there_are_too_many() {
    let mut gossip = picture("a");
    let mut graves = Graves::default();
    let tombstones = (0..=TOMBSTONES_MAX)
        .map(|n| node(&alloc::format!("n{n}x")))
        .collect();
    gossip.tombstones = Arc::new(BTreeSet::from([node("zz")]));
    graves.note(&gossip, Time(0));
    gossip.tombstones = Arc::new(tombstones);
    Arc::make_mut(&mut gossip.tombstones).insert(node("zz"));
    graves.note(&gossip, Time(1));
    let due = graves.due(Time(2), Duration::from_secs(9));
    assert_eq!((due.len(), due.first()), (2, Some(&node("zz"))));
}

/// A picture with something of everything.
fn rich() -> Gossip {
    let mut gossip = picture("a+web b:j@far c:d d:e e/7+web f:w g");
    gossip.change(&node("e")).remove(&node("g")).unwrap();
    with(gossip, "a→c e→c aTd b→e b✓e", "a e")
}

fn bytes(form: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(form).unwrap()
}

#[test]
fn a_picture_survives_its_journey() {
    for gossip in [Gossip::default(), picture("a"), rich()] {
        let sent = bytes(&gossip);
        let arrived: Gossip = postcard::from_bytes(&sent).unwrap();
        assert_eq!(arrived, gossip);
        assert_eq!(bytes(&arrived), sent);
    }
    let (e, a) = (node("e"), node("a"));
    let arrived: Gossip = postcard::from_bytes(&bytes(&rich())).unwrap();
    let profile = |node| &arrived.member(node).unwrap().profile;
    assert!(
        Arc::ptr_eq(profile(&e), profile(&a)),
        "each profile travels once"
    );
}

/// What is said of a picture that was spoiled.
fn flaw(spoil: impl FnOnce(&mut Form)) -> String {
    let mut form = Form::from(rich());
    spoil(&mut form);
    Gossip::try_from(form).expect_err("a flaw").to_string()
}

#[test]
fn what_arrives_is_in_order_and_names_places_that_are_there() {
    let order = |what: &str| alloc::format!("the {what} of a picture are not in order");
    assert_eq!(flaw(|form| form.members.swap(0, 1)), order("members"));
    let twice = flaw(|form| form.members[1] = form.members[0].clone());
    assert_eq!(twice, order("members"));
    let behind = flaw(|form| form.tombstones.push(node("a")));
    assert_eq!(behind, order("tombstones"));
    let observer = flaw(|form| form.observers[0].observer = 77);
    assert_eq!(observer, order("observers"));
    let version = flaw(|form| form.observers[0].version = 0);
    assert_eq!(version, order("versions of rows"));

    let place = |what: &str, at: u32| {
        alloc::format!("the {what} of a picture name place {at}, which is not there")
    };
    assert_eq!(
        flaw(|form| form.members[0].profile = 9),
        place("profiles", 9)
    );
    assert_eq!(flaw(|form| form.version.push((7, 1))), place("versions", 7));
    let row = flaw(|form| form.observers[0].rows[1].0 = 99);
    assert_eq!(row, place("rows", 99));
}

#[test]
fn what_arrives_keeps_to_the_invariants_and_limits() {
    let a = "a:7000#0000000000000001";
    let both = flaw(|form| form.tombstones = vec![node("a")]);
    assert_eq!(both, alloc::format!("{a} is both a member and removed"));
    let removed = flaw(|form| form.members[0].status = Status::Removed);
    assert_eq!(
        removed,
        alloc::format!("a picture cannot hold {a} as removed")
    );
    let ageless = flaw(|form| form.members[0].up_number = None);
    assert_eq!(ageless, alloc::format!("a picture cannot hold {a} as up"));
    let by_nobody = flaw(|form| form.members[2].downed_by = None);
    assert!(by_nobody.ends_with("as down"), "{by_nobody}");

    let many = flaw(|form| form.profiles.extend(vec![form.profiles[0].clone(); 9]));
    assert_eq!(many, "a picture holds at most 6 profiles, not 12");
    let long: Arc<str> = "x".repeat(Profile::NAME_BYTES_MAX + 1).into();
    let long = flaw(|form| form.members[2].downed_by = Some(Decider::Policy(long)));
    assert_eq!(
        long,
        "a picture holds at most 128 bytes of a policy's name, not 129"
    );
    let profile = flaw(|form| Arc::make_mut(&mut form.profiles[0]).dc = "".into());
    assert_eq!(profile, "a profile in a picture breaks a limit");
}

#[test]
fn whoever_says_to_have_seen_it_is_a_member() {
    let mut form = Form::from(rich());
    let seen = [0, 5, 6, 900].into_iter().collect();
    form.seen = SparseSeen::new(&seen, 1000);
    let (what, at) = ("seen", 6);
    assert_eq!(Gossip::try_from(form), Err(FormError::Place { what, at }));
}
