//! Four members that change their pictures at random, send them late, twice or never: pictures merge by the laws, statuses only move on,
//! and who is removed stays away.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::fixture::{node, picture};
use super::super::member::{Decider, Member, Profile, Status};
use super::super::reachability::Reach;
use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What happens next, in numbers that the world gives a meaning to.
#[derive(Debug, Clone, Copy)]
struct Step {
    by: usize,
    what: usize,
    whom: usize,
}

/// The pictures of the members, and every picture that there ever was.
struct World {
    now: Vec<Gossip>,
    ever: Vec<Gossip>,
    incarnations: u64,
}

impl World {
    fn new() -> Self {
        let mut first = picture("a b c:w d:j");
        NAMES.iter().for_each(|name| first.see(&node(name)));
        Self {
            now: NAMES.iter().map(|_| first.clone()).collect(),
            ever: Vec::from([first]),
            incarnations: 1,
        }
    }

    fn step(&mut self, step: Step) {
        let by = step.by % NAMES.len();
        let me = node(NAMES[by]);
        let before = self.now[by].clone();
        let after = if step.what < 6 {
            // An old picture as often as a new one.
            let sent = match step.what {
                0..3 => self.now[step.whom % NAMES.len()].clone(),
                _ => self.ever[step.whom % self.ever.len()].clone(),
            };
            // A node takes no picture that leaves it out: it has not joined yet, or is gone.
            if sent.has(&me) {
                before.reconcile(&sent, &me, true).gossip
            } else {
                before.clone()
            }
        } else {
            let mut after = before.clone();
            self.command(&mut after, &me, step);
            after
        };
        only_moves_on(&before, &after);
        self.ever.push(after.clone());
        self.now[by] = after;
    }

    /// `me` tries something, legal or not.
    fn command(&mut self, gossip: &mut Gossip, me: &UniqueAddress, step: Step) {
        let Some(subject) = gossip
            .members()
            .get(step.whom % gossip.members().len().max(1))
        else {
            return;
        };
        let (subject, from) = (subject.node.clone(), subject.status);
        if !gossip.has(me) {
            return;
        }
        let before = gossip.clone();
        let mut change = gossip.change(me);
        let to = Status::ALL[step.what % Status::ALL.len()];
        let done = match (step.what / 9) % 5 {
            0 => {
                self.incarnations += 1;
                let name = alloc::format!("n{}x#{}", step.whom % 3, self.incarnations);
                let profile = Arc::new(Profile::plain());
                change.join(Member::joining(node(&name), profile)).is_ok()
            }
            1 => {
                let reach = [Reach::Reachable, Reach::Unreachable, Reach::Terminated];
                change.observe(&subject, reach[step.what % 3])
            }
            2 => {
                // Perhaps a member by now, of whom `me` has yet to hear.
                let number = step.what as u64 % (self.incarnations + 2);
                let name = alloc::format!("n{}x#{number}", step.whom % 3);
                change.keep_out(&node(&name))
            }
            _ => {
                let done = match to {
                    Status::Up => {
                        let number = u32::try_from(step.whom % 9).unwrap();
                        change.promote(&subject, number).is_ok()
                    }
                    Status::Down => change.down(&subject, Decider::Operator) == Ok(true),
                    Status::Removed => change.remove(&subject).is_ok(),
                    Status::Joining
                    | Status::WeaklyUp
                    | Status::PreparingForShutdown
                    | Status::ReadyForShutdown
                    | Status::Leaving
                    | Status::Exiting => change.set_status(&subject, to).is_ok(),
                };
                assert_eq!(done, from.may_become(to), "{from} to {to}");
                done
            }
        };
        drop(change);
        assert_eq!(done, *gossip != before, "what is refused changes nothing");
    }

    /// Pictures go around until everybody has seen one; who was removed by anybody is left out.
    fn settle(&mut self) {
        let all = self
            .ever
            .iter()
            .fold(Gossip::default(), |all, one| all.merge(one));
        let staying: Vec<usize> = (0..NAMES.len())
            .filter(|at| all.has(&node(NAMES[*at])))
            .collect();
        for _ in 0..3 {
            for from in &staying {
                for to in &staying {
                    let me = node(NAMES[*to]);
                    let next = self.now[*to].reconcile(&self.now[*from], &me, true).gossip;
                    only_moves_on(&self.now[*to], &next);
                    self.now[*to] = next;
                }
            }
        }
        for at in &staying {
            let found = &self.now[*at];
            assert_eq!(found, &self.now[staying[0]], "all have one picture");
            assert!(staying.iter().all(|at| found.is_seen_by(&node(NAMES[*at]))));
        }
    }
}

/// Nobody comes back, no status leads back, and what is known of the removed stays known.
fn only_moves_on(before: &Gossip, after: &Gossip) {
    assert!(after.tombstones().is_superset(before.tombstones()));
    for old in before.members() {
        match after.member(&old.node) {
            Some(new) => assert!(old.status <= new.status, "{old:?} became {new:?}"),
            None => assert!(after.tombstones().contains(&old.node), "{old:?} was lost"),
        }
    }
    for new in after.members() {
        assert!(!after.tombstones().contains(&new.node), "{new:?} is back");
    }
    let known = |node: &UniqueAddress| after.has(node);
    let rows = || after.reachability().rows();
    assert!(rows().all(|(observer, subject, ..)| known(observer) && known(subject)));
}

fn unseen(gossip: &Gossip) -> Gossip {
    let mut unseen = gossip.clone();
    gossip
        .members()
        .iter()
        .for_each(|member| unseen.unsee(&member.node));
    unseen
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..4_usize, 0..54_usize, 0..200_usize);
    let step = step.prop_map(|(by, what, whom)| Step { by, what, whom });
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn pictures_of_one_history_agree_in_the_end_and_nobody_comes_back(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }

    #[test]
    fn pictures_merge_commutatively_associatively_and_idempotently(
        steps in steps(),
        picks in prop::collection::vec((0..200_usize, 0..200_usize, 0..200_usize), 8),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        let at = |pick: usize| &world.ever[pick % world.ever.len()];
        for (x, y, z) in picks {
            let (x, y, z) = (at(x), at(y), at(z));
            let xy = x.merge(y);
            prop_assert_eq!(&xy, &y.merge(x));
            prop_assert_eq!(xy.merge(z), x.merge(&y.merge(z)));
            prop_assert_eq!(x.merge(x), unseen(x));
            prop_assert_eq!(&x.merge(&xy), &xy);
        }
    }

    #[test]
    fn pictures_of_one_version_are_one_picture(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        for x in &world.ever {
            for y in &world.ever {
                match x.relation(y) {
                    Relation::Same => prop_assert_eq!(unseen(x), unseen(y)),
                    Relation::Before => prop_assert_eq!(x.merge(y), unseen(y)),
                    Relation::After => prop_assert_eq!(x.merge(y), unseen(x)),
                    Relation::Concurrent => {}
                }
            }
        }
    }

    #[test]
    fn any_picture_can_be_told_as_what_differs_from_any_other(
        steps in steps(),
        picks in prop::collection::vec((0..200_usize, 0..200_usize, 0..200_usize), 8),
        forgets in any::<bool>(),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        let at = |pick: usize| &world.ever[pick % world.ever.len()];
        for (base, to, other) in picks {
            let (base, mut to, other) = (at(base), at(to).clone(), at(other));
            let gone = to.tombstones().first().cloned();
            let by = to.members().first().map(|member| member.node.clone());
            if let (Some(gone), Some(by), true) = (gone, by, forgets) {
                to.change(&by).forget(&gone);
            }
            let delta = Delta::new((VersionDigest::of(base), base), &to);
            let sent = postcard::to_allocvec(&delta).unwrap();
            prop_assert_eq!(postcard::from_bytes(&sent), Ok(delta.clone()));
            prop_assert_eq!(delta.apply(base), Ok(to));
            if unseen(other) != unseen(base) {
                let refused = delta.apply(other);
                let is_other = matches!(refused, Err(DeltaError::OtherBase { .. }));
                prop_assert!(is_other, "{:?}", refused);
            }
        }
    }

    #[test]
    fn a_delta_of_noise_is_refused_or_leads_to_a_picture(
        steps in steps(),
        picks in (0..200_usize, 0..200_usize),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        let at = |pick: usize| &world.ever[pick % world.ever.len()];
        let (base, to) = (at(picks.0), at(picks.1));
        let delta = Delta::new((VersionDigest::of(base), base), to);
        let mut bytes = postcard::to_allocvec(&delta).unwrap();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(delta) = postcard::from_bytes::<Delta>(&bytes)
            && let Ok(made) = delta.apply(base)
        {
            let sent = postcard::to_allocvec(&made).unwrap();
            prop_assert_eq!(postcard::from_bytes(&sent), Ok(made));
        }
    }

    #[test]
    fn what_is_sent_arrives(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        for gossip in &world.now {
            let sent = postcard::to_allocvec(gossip).unwrap();
            let arrived: Gossip = postcard::from_bytes(&sent).unwrap();
            prop_assert_eq!(&arrived, gossip);
        }
    }
}
