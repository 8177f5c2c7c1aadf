//! Random clusters, torn apart at random: no two sides stay.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::participants::Participants;
use super::strategy::Strategy;
use super::tests::node;
use super::votes::would_stay;
use super::*;
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::member::Status;

const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

/// A member before the partition, the side it is on, and whether the last word of the leader was about it.
#[derive(Debug, Clone)]
struct Seat {
    status: Status,
    has_role: bool,
    side: usize,
    age: u32,
}

#[derive(Debug, Clone)]
struct World {
    seats: Vec<Seat>,
    /// Whether the leader let members in and go at the very moment of the partition, so that only its side knows.
    has_late_word: bool,
    /// Marks beside those across the partition: who is said to be out of reach by whom, and, as bits, the sides on which that is known. A member
    /// may have said so before the partition, or be connected indirectly.
    marks: Vec<(usize, usize, u8)>,
}

fn status() -> impl Generator<Value = Status> {
    prop_oneof![
        6 => Just(Status::Up),
        2 => Just(Status::Leaving),
        2 => Just(Status::Joining),
        1 => Just(Status::WeaklyUp),
        1 => Just(Status::Exiting),
    ]
}

fn world() -> impl Generator<Value = World> {
    let seat =
        (status(), any::<bool>(), 0usize..3, 1u32..6).prop_map(|(status, has_role, side, age)| {
            Seat {
                status,
                has_role,
                side,
                age,
            }
        });
    let seats = prop::collection::vec(seat, 2..NAMES.len());
    let mark = (0..NAMES.len(), 0..NAMES.len(), 0u8..8);
    let marks = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(mark, 0..3 * NAMES.len())
    ];
    (seats, any::<bool>(), marks).prop_map(|(seats, has_late_word, marks)| World {
        seats,
        has_late_word,
        marks,
    })
}

impl World {
    /// The side of the member that led before the partition: the lowest address that is up.
    fn leading_side(&self) -> Option<usize> {
        let leads = |seat: &&Seat| matches!(seat.status, Status::Up | Status::Leaving);
        self.seats.iter().find(leads).map(|seat| seat.side)
    }

    /// A member as one side knows it.
    fn voter(&self, at: usize, side: usize) -> Voter {
        let seat = &self.seats[at];
        let knows = self.has_late_word && self.leading_side() == Some(side);
        let joining = matches!(seat.status, Status::Joining | Status::WeaklyUp);
        let status = match seat.status {
            Status::Joining | Status::WeaklyUp if knows => Status::Up,
            Status::Leaving if knows => Status::Exiting,
            Status::Joining
            | Status::WeaklyUp
            | Status::Leaving
            | Status::Up
            | Status::PreparingForShutdown
            | Status::ReadyForShutdown
            | Status::Exiting
            | Status::Down
            | Status::Removed => seat.status,
        };
        // Whoever came last is the youngest.
        let age = if joining { 100 } else { seat.age };
        Voter {
            node: node(NAMES[at]),
            status,
            up_number: matches!(status, Status::Up | Status::Leaving | Status::Exiting)
                .then_some(age),
            roles: if seat.has_role {
                [Arc::from("r")].into()
            } else {
                BTreeSet::new()
            },
            dc: "default".into(),
        }
    }

    fn on_side(&self, side: usize) -> Vec<UniqueAddress> {
        let seats = self.seats.iter().enumerate();
        let here = seats.filter(|(_, seat)| seat.side == side);
        here.map(|(at, _)| node(NAMES[at])).collect()
    }

    fn picture(&self, side: usize) -> Option<Picture> {
        let here = self.on_side(side);
        let first = here.first()?.clone();
        let others = (0..3)
            .filter(|other| *other != side)
            .flat_map(|other| self.on_side(other));
        let rows = others.map(|subject| Observation {
            observer: first.clone(),
            subject,
            is_terminated: false,
        });
        let mut rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return None;
        }
        let known = self.marks.iter().filter(|mark| mark.2 & (1 << side) != 0);
        rows.extend(known.map(|(observer, subject, _)| Observation {
            observer: node(NAMES[*observer]),
            subject: node(NAMES[*subject]),
            is_terminated: false,
        }));
        let voters = (0..self.seats.len()).map(|at| self.voter(at, side));
        let picture = Picture::new(first.clone(), "default".into(), voters, rows, here);
        let settled = Participants::asked(&picture, Time(0), 0).settle(Time(0), &picture);
        Some(settled.expect("everybody has seen it or is marked"))
    }

    /// The sides of which somebody stays. `lease` is the side that gets it.
    fn survivors(&self, policy: &Strategy, lease: usize) -> Vec<(usize, String)> {
        let mut survivors = Vec::new();
        for side in 0..3 {
            let Some(picture) = self.picture(side) else {
                continue;
            };
            let downable = picture.downable();
            let mut found = Explanation::new(policy, Cause::Unreachable, picture.clone());
            assert_eq!(found.replay().as_ref(), Some(&found));
            if found.decision.lease_delay().is_some() && side != lease {
                found = found.without_lease(policy).unwrap();
            }
            let stays =
                |node: &&UniqueAddress| downable.contains(*node) && !found.down.contains(*node);
            if self.on_side(side).iter().any(|node| stays(&node)) {
                survivors.push((
                    side,
                    alloc::format!("{}: {}", found.decision.name(), found.because),
                ));
            }
        }
        survivors
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_two_sides_stay(world in world(), by_role in any::<bool>(), if_alone in any::<bool>(), lease in 0usize..3) {
        let role: Option<Arc<str>> = by_role.then(|| "r".into());
        let policies = [
            Strategy::KeepMajority { role: role.clone() },
            Strategy::KeepOldest { role: role.clone(), down_if_alone: if_alone },
            Strategy::DownAll,
            Strategy::LeaseMajority { role, minority_delay: Duration::ZERO, release_after: Duration::ZERO },
        ];
        for policy in policies {
            let survivors = world.survivors(&policy, lease);
            prop_assert!(survivors.len() < 2, "{policy:?}: {survivors:?}");
        }
    }

    #[test]
    fn votes_that_are_enough_have_a_voter_in_common(world in world(), by_role in any::<bool>(), if_alone in any::<bool>()) {
        let role: Option<Arc<str>> = by_role.then(|| "r".into());
        let quorum_size = u32::try_from(world.seats.len() / 2 + 1).unwrap();
        let policies = [
            Strategy::KeepMajority { role: role.clone() },
            Strategy::KeepOldest { role: role.clone(), down_if_alone: if_alone },
            Strategy::StaticQuorum { quorum_size, role },
            Strategy::DownAll,
        ];
        let Some(picture) = world.picture(0) else {
            return Ok(());
        };
        let votes = |side| world.on_side(side).into_iter().collect();
        for policy in policies {
            let enough = |side| would_stay(&policy, &picture, &votes(side));
            let sides = (0..3).filter(|side| enough(*side)).count();
            prop_assert!(sides < 2, "{policy:?}");
        }
    }

    #[test]
    fn no_two_sides_have_a_quorum_that_is_more_than_half(world in world(), by_role in any::<bool>()) {
        let role: Option<Arc<str>> = by_role.then(|| "r".into());
        let quorum_size = u32::try_from(world.seats.len() / 2 + 1).unwrap();
        let survivors = world.survivors(&Strategy::StaticQuorum { quorum_size, role }, 0);
        prop_assert!(survivors.len() < 2, "{survivors:?}");
    }
}
