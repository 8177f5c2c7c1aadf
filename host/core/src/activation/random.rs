//! Random lives of one grain, checked against the invariants at every step.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::Revision;

/// What the world owes the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Load,
    End(TurnId),
    Commit(TurnId),
}

/// A driver that answers at random, and a witness of what it saw.
struct World {
    machine: Activation,
    now: u64,
    due: Vec<Due>,
    running: BTreeMap<TurnId, Work>,
    overlap: BTreeSet<CallId>,
    /// Turns that asked for a commit which has not been kept.
    unkept: BTreeSet<TurnId>,
    arrived: BTreeSet<CallId>,
    answered: BTreeSet<CallId>,
    begun: Vec<CallId>,
    repeated: BTreeSet<CallId>,
    has_instance: bool,
    spoiled: bool,
    gone: bool,
    next_call: u128,
}

impl World {
    fn new() -> Self {
        let rules = Rules {
            mailbox_calls: 8,
            mailbox_bytes: 60,
            idle: Duration::from_nanos(50),
        };
        Self {
            machine: Activation::new(Time(0), rules),
            now: 0,
            due: Vec::new(),
            running: BTreeMap::new(),
            overlap: BTreeSet::new(),
            unkept: BTreeSet::new(),
            arrived: BTreeSet::new(),
            answered: BTreeSet::new(),
            begun: Vec::new(),
            repeated: BTreeSet::new(),
            has_instance: false,
            spoiled: false,
            gone: false,
            next_call: 0,
        }
    }

    fn handle(&mut self, event: Event) {
        if self.gone {
            return;
        }
        let mut out = Vec::new();
        self.machine.handle(Time(self.now), event, &mut out);
        for effect in out {
            self.see(effect);
        }
    }

    fn see(&mut self, effect: Effect) {
        match effect {
            Effect::Load(_) => {
                assert!(
                    !self.has_instance && self.due.is_empty(),
                    "one thing at a time"
                );
                self.due.push(Due::Load);
            }
            Effect::Run { turn, work } => {
                assert!(self.has_instance && !self.spoiled, "invariant 5: {work:?}");
                self.check_overlap(work);
                if let Work::Call(call) = work {
                    self.begun.push(call);
                }
                self.running.insert(turn, work);
                self.due.push(Due::End(turn));
            }
            Effect::Commit(turn) => {
                assert!(
                    !self.due.iter().any(|due| matches!(due, Due::Commit(_))),
                    "invariant 6"
                );
                self.unkept.insert(turn);
                self.due.push(Due::Commit(turn));
            }
            Effect::Reply { turn, call } => {
                assert!(!self.unkept.contains(&turn), "invariant 4");
                assert_eq!(self.running.remove(&turn), Some(Work::Call(call)));
                self.answer(call);
            }
            Effect::Close(turn) => drop(self.running.remove(&turn)),
            Effect::Refuse { call, .. } => self.answer(call),
            Effect::Tell { turn, .. } => assert!(self.running.contains_key(&turn)),
            Effect::PutBack(turn) => {
                assert!(matches!(self.running.get(&turn), Some(Work::Migrate(_))))
            }
            Effect::Drop => {
                assert!(self.has_instance && self.running.is_empty());
                self.has_instance = false;
                self.spoiled = false;
            }
            Effect::Gone => {
                assert!(!self.has_instance && self.due.is_empty());
                self.gone = true;
            }
        }
    }

    fn check_overlap(&self, work: Work) {
        let may_overlap =
            |work: &Work| matches!(work, Work::Call(call) if self.overlap.contains(call));
        let alone = self.running.is_empty();
        assert!(
            alone || (may_overlap(&work) && self.running.values().all(may_overlap)),
            "invariants 1 and 7"
        );
    }

    fn answer(&mut self, call: CallId) {
        assert!(self.arrived.contains(&call));
        assert!(
            self.answered.insert(call),
            "invariant 3: {call} was answered twice"
        );
    }

    fn settle(&mut self, choice: u8, outcome: u8) {
        if self.due.is_empty() {
            return;
        }
        let due = self.due.remove(usize::from(choice) % self.due.len());
        match due {
            Due::Load if outcome.is_multiple_of(8) => self.handle(Event::NotLoaded),
            Due::Load => {
                self.has_instance = true;
                let facts = Facts {
                    migrate: (outcome % 8 == 1).then_some(Revision(1)),
                    hooks: outcome.is_multiple_of(2),
                    side_by_side: true,
                    rules: Rules {
                        mailbox_calls: 8,
                        mailbox_bytes: 60,
                        idle: Duration::from_nanos(50),
                    },
                };
                self.handle(Event::Loaded(facts));
            }
            Due::End(turn) => {
                let ends = [
                    End::Untouched,
                    End::Clean,
                    End::Keep,
                    End::Keep,
                    End::KeepAndDrop,
                    End::Failed,
                ];
                let end = ends[usize::from(outcome) % ends.len()];
                self.spoiled |= end == End::Failed;
                self.handle(Event::Ended { turn, end });
            }
            Due::Commit(turn) => self.decide(turn, outcome),
        }
    }

    fn decide(&mut self, turn: TurnId, outcome: u8) {
        let again = outcome.is_multiple_of(2);
        let all = [
            Kept::Yes,
            Kept::Yes,
            Kept::Yes,
            Kept::No,
            Kept::Fenced { again },
        ];
        let kept = all[usize::from(outcome) % all.len()];
        // What was refused is told to the caller as such: it may be answered.
        self.unkept.remove(&turn);
        if kept != Kept::Yes {
            self.spoiled = true;
            if let (Kept::Fenced { again: true }, Some(Work::Call(call))) =
                (kept, self.running.get(&turn))
            {
                self.repeated.insert(*call);
            }
        }
        self.handle(Event::Committed { turn, kept });
    }

    fn act(&mut self, (action, choice, outcome): (u8, u8, u8)) {
        match action % 12 {
            0..=3 => {
                self.next_call += 1;
                let call = CallId(self.next_call);
                let beside = choice % 3 == 0;
                if !self.gone {
                    self.arrived.insert(call);
                }
                if beside {
                    self.overlap.insert(call);
                }
                let deadline = Time(self.now + 1 + u64::from(outcome));
                self.handle(Event::Arrived(Waiting {
                    call,
                    bytes: u64::from(choice % 16),
                    beside,
                    deadline,
                    repeated: false,
                }));
            }
            4..=8 => self.settle(choice, outcome),
            9 => {
                self.now += u64::from(choice);
                self.handle(Event::Wake);
            }
            10 => {
                let call = CallId(u128::from(choice) % self.next_call.max(1) + 1);
                self.handle(if outcome.is_multiple_of(2) {
                    Event::Cancel { call, stop: true }
                } else {
                    Event::Circle(call)
                });
            }
            _ => {
                let reasons = [
                    DeactivateReason::Pressure,
                    DeactivateReason::Upgrade,
                    DeactivateReason::Requested,
                ];
                let event = if outcome == 0 {
                    Event::Stop
                } else {
                    Event::Leave(reasons[usize::from(choice) % 3])
                };
                self.handle(event);
            }
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        self.handle(Event::Stop);
        for _ in 0..1000 {
            if self.due.is_empty() {
                break;
            }
            self.settle(0, 2);
        }
    }
}

proptest! {
    #[test]
    fn every_life_keeps_the_invariants_and_answers_every_call(
        steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..200),
    ) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
        }
        world.finish();
        prop_assert!(world.gone, "a stopped grain goes");
        prop_assert_eq!(&world.arrived, &world.answered);
        let first_turns: Vec<_> = world.begun.iter().filter(|call| !world.repeated.contains(call)).collect();
        prop_assert!(first_turns.is_sorted(), "invariant 2");
    }
}
