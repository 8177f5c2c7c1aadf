//! What a delta makes of its base, and what is refused. That any two pictures have one is a law, in `random`.

use alloc::vec;

use super::super::super::fixture::{node, picture, with};
use super::super::super::reachability::Reach;
use super::*;

/// What leads from one to the other, in bytes and back.
fn sent(base: &Gossip, to: &Gossip) -> Delta {
    let delta = Delta::new((VersionDigest::of(base), base), to);
    let bytes = postcard::to_allocvec(&delta).unwrap();
    assert_eq!(postcard::from_bytes(&bytes).as_ref(), Ok(&delta));
    delta
}

fn base() -> Gossip {
    with(picture("a b c:l d+web"), "a→c b→c", "a b c d")
}

/// The base after `a` has let in, moved on, removed and observed somebody.
fn changed() -> Gossip {
    let mut changed = base();
    let a = node("a");
    let mut change = changed.change(&a);
    let like_d = base().member(&node("d")).unwrap().profile.clone();
    change.join(Member::joining(node("b5000"), like_d)).unwrap();
    let own = Arc::new(Profile {
        roles: ["own".into()].into(),
        ..Profile::plain()
    });
    change
        .join(Member::joining(node("e"), own.clone()))
        .unwrap();
    change.join(Member::joining(node("f"), own)).unwrap();
    change.down(&node("c"), Decider::Operator).unwrap();
    change.remove(&node("c")).unwrap();
    change.set_status(&node("d"), Status::Leaving).unwrap();
    assert!(change.observe(&node("d"), Reach::Terminated));
    drop(change);
    changed.see(&node("d"));
    changed
}

#[test]
fn a_delta_says_what_is_different_and_nothing_else() {
    let (base, changed) = (base(), changed());
    let delta = sent(&base, &changed);
    assert_eq!(delta.apply(&base), Ok(changed.clone()));
    let changes = &delta.changes;
    assert_eq!(changes.gone, [(2, true)]);
    let moved: Vec<_> = changes
        .changed
        .iter()
        .map(|it| (it.member, it.status, it.profile))
        .collect();
    assert_eq!(moved, [(3, Status::Leaving, None)]);
    // One has the profile of d; two share one that nobody had before.
    let added: Vec<_> = changes
        .added
        .iter()
        .map(|it| (it.node.clone(), it.profile))
        .collect();
    assert_eq!(added, [(node("b5000"), 3), (node("e"), 4), (node("f"), 4)]);
    assert_eq!(changes.profiles.len(), 1);
    assert_eq!((changes.buried.len(), changes.forgotten.len()), (0, 0));
    assert_eq!(changes.counters, [(0, 3)]);
    assert_eq!((changes.observers.len(), changes.silent.len()), (1, 0));
    // Who has only been removed or forgotten costs no address.
    let mut forgotten = changed.clone();
    forgotten.change(&node("a")).forget(&node("c"));
    let delta = sent(&changed, &forgotten);
    assert_eq!(delta.apply(&changed), Ok(forgotten));
    assert_eq!(delta.changes.forgotten, [0]);
}

#[test]
fn a_change_in_a_large_cluster_is_told_in_a_few_bytes() {
    let names: Vec<_> = (1000..2000).map(|port| alloc::format!("a{port}")).collect();
    let base = picture(&names.join(" "));
    let mut left = base.clone();
    left.change(&node("a1500"))
        .set_status(&node("a1700"), Status::Leaving)
        .unwrap();
    let bytes = postcard::to_allocvec(&sent(&base, &left)).unwrap();
    assert_eq!(bytes.len(), 40);
    let whole = postcard::to_allocvec(&left).unwrap();
    assert!(10_000 < whole.len());
}

#[test]
fn a_delta_on_another_picture_is_refused() {
    let (base, changed) = (base(), changed());
    let delta = sent(&base, &changed);
    let refused = |picture: &Gossip| DeltaError::OtherBase {
        needed: VersionDigest::of(&base),
        actual: VersionDigest::of(picture),
    };
    for other in [Gossip::default(), changed, picture("a b c:l d")] {
        assert_eq!(delta.apply(&other), Err(refused(&other)));
    }
    // Who has seen it makes no other picture of it.
    assert!(delta.apply(&with(base.clone(), "", "b")).is_ok());
}

#[test]
fn what_contradicts_itself_or_its_base_is_refused_by_name() {
    let (base, changed) = (base(), changed());
    let order = |what| Err(FormError::Order { what }.into());
    let place = |what, at| Err(FormError::Place { what, at }.into());
    let twice = |what, at| Err(DeltaError::Contradiction { what, at });
    let again = |it: &mut Changes| it.changed.push(it.changed[0].clone());
    type Slip<'a> = (Result<Gossip, DeltaError>, &'a dyn Fn(&mut Changes));
    let cases: [Slip<'_>; 20] = [
        (order("gone"), &|it| it.gone.push((1, true))),
        (place("members", 4), &|it| it.gone.push((4, true))),
        (twice("members", 3), &|it| it.gone.push((3, true))),
        (order("changed"), &again),
        (place("members", 9), &|it| it.changed[0].member = 9),
        (order("added"), &|it| it.added.swap(0, 1)),
        (order("members"), &|it| it.added[0].node = node("b")),
        (place("profiles", 1), &|it| it.added[0].profile = 5),
        (
            Err(DeltaError::Form(FormError::Member {
                node: node("d"),
                status: Status::Removed,
            })),
            &|it| it.changed[0].status = Status::Removed,
        ),
        (
            Err(DeltaError::Form(FormError::Member {
                node: node("e"),
                status: Status::Up,
            })),
            &|it| it.added[1].status = Status::Up,
        ),
        (
            Err(DeltaError::Form(FormError::TooMany {
                what: "profiles",
                max: 4,
                actual: 5,
            })),
            &|it| it.profiles = vec![it.profiles[0].clone(); 5],
        ),
        (order("tombstones"), &|it| {
            it.buried = vec![node("x"), node("w")]
        }),
        (twice("tombstones", 0), &|it| it.buried = vec![node("c")]),
        (
            Err(DeltaError::Form(FormError::Gone { node: node("e") })),
            &|it| it.buried = vec![node("e")],
        ),
        (place("tombstones", 0), &|it| it.forgotten = vec![0]),
        (order("counters"), &|it| it.counters.push((0, 1))),
        (place("counters", 7), &|it| it.counters.push((7, 1))),
        // The picture's places: b5000 is the second, and has said nothing; b has.
        (twice("observers", 1), &|it| it.silent = vec![1]),
        (twice("observers", 2), &|it| {
            it.silent = vec![2];
            it.observers[0].observer = 2;
        }),
        (place("rows", 17), &|it| it.observers[0].rows[0].0 = 17),
    ];
    for (at, (refused, slip)) in cases.into_iter().enumerate() {
        let mut delta = sent(&base, &changed);
        slip(Arc::make_mut(&mut delta.changes));
        assert_eq!(delta.apply(&base), refused, "case {at}");
    }
}

#[test]
fn what_leads_elsewhere_than_it_says_is_refused() {
    let (base, changed) = (base(), changed());
    let mut delta = sent(&base, &changed);
    Arc::make_mut(&mut delta.changes).counters[0].1 += 1;
    let found = delta.apply(&base);
    assert!(
        matches!(found, Err(DeltaError::OtherVersion { needed, .. }) if needed == VersionDigest::of(&changed))
    );
}
