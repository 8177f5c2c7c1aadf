//! Who waits for whom: the graph that refuses a circle at the moment in which it would close.
//!
//! Only grain-to-grain calls enter it. A turn waits for the calls that it has made; a call that runs is a turn of its own; a call
//! that is queued waits for every turn that runs in its target, because all of them come before it. An edge is therefore added in two
//! steps, [`Waits::call`] by the caller and [`Waits::queued`] by the target, and it is the second that can close a circle.
//!
//! A turn may wait for several calls at a time: it goes on when all of them are answered, so a circle through any of them is one. A turn that
//! runs beside others usually lets them go on while it waits; one whose guest knows only blocking calls holds all of them up, and a call
//! that begins beside it waits for it, too ([`Waits::started`]).
//!
//! In: what callers and mailboxes did, in the order in which they did it. Out: the circle, if there is one.
//!
//! Invariants: every circle is real when it is reported: none of its turns can end before another of them does. No circle stays
//! unreported, because the last of its calls to be queued finds all the others in place.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::{CallId, GrainId};

#[cfg(test)]
mod random;

#[derive(Debug)]
struct Edge {
    /// The turn that waits, named by the call that it runs.
    turn: CallId,
    target: GrainId,
    stage: Stage,
    /// Whether the turns beside the one that waits cannot go on meanwhile.
    holds: bool,
}

/// How far a call is. One that is still on its way blocks nobody yet: its target may be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Travels,
    Queued,
    Runs,
}

#[derive(Debug)]
struct Turn {
    grain: GrainId,
    calls: Vec<CallId>,
}

/// The graph of one node.
#[derive(Debug, Default)]
pub struct Waits {
    /// Turns that wait for something. A turn is named by the call that it runs.
    turns: BTreeMap<CallId, Turn>,
    /// Calls that some turn waits for.
    calls: BTreeMap<CallId, Edge>,
    /// The waiting turns of each grain.
    grains: BTreeMap<GrainId, Vec<CallId>>,
}

impl Waits {
    /// A turn of `grain` calls `target` and waits. `holds`: other turns run beside it, and cannot go on until it has its answer.
    pub fn call(
        &mut self,
        turn: CallId,
        grain: &GrainId,
        call: CallId,
        target: &GrainId,
        holds: bool,
    ) {
        let waiting = self.turns.entry(turn).or_insert_with(|| {
            self.grains.entry(grain.clone()).or_default().push(turn);
            Turn {
                grain: grain.clone(),
                calls: Vec::new(),
            }
        });
        waiting.calls.push(call);
        self.calls.insert(
            call,
            Edge {
                turn,
                target: target.clone(),
                stage: Stage::Travels,
                holds,
            },
        );
    }

    /// The target has put a call into its queue: it waits for the turns that run there. If that closes a circle, the circle, as it is
    /// told to people: the target first and last.
    pub fn queued(&mut self, call: CallId) -> Option<Vec<GrainId>> {
        let edge = self.calls.get_mut(&call)?;
        edge.stage = Stage::Queued;
        let (origin, target) = (edge.turn, edge.target.clone());
        let turns = self.grains.get(&target)?;
        let mut circle = turns.iter().find_map(|turn| self.way(*turn, origin))?;
        circle.push(target);
        Some(circle)
    }

    /// The target has begun to run a call. A circle, told like that of [`Self::queued`], if a turn beside it holds it up that cannot
    /// end before the caller does.
    pub fn started(&mut self, call: CallId) -> Option<Vec<GrainId>> {
        let edge = self.calls.get_mut(&call)?;
        edge.stage = Stage::Runs;
        let (origin, target) = (edge.turn, edge.target.clone());
        let mut circle = self
            .holders(&target)
            .find_map(|turn| self.way(turn, origin))?;
        circle.push(target);
        Some(circle)
    }

    /// A call was answered, or nobody waits for it any more.
    pub fn ended(&mut self, call: CallId) {
        let Some(edge) = self.calls.remove(&call) else {
            return;
        };
        let Some(turn) = self.turns.get_mut(&edge.turn) else {
            return;
        };
        turn.calls.retain(|other| *other != call);
        if !turn.calls.is_empty() {
            return;
        }
        let Some(turn) = self.turns.remove(&edge.turn) else {
            return;
        };
        if let Some(turns) = self.grains.get_mut(&turn.grain) {
            turns.retain(|other| *other != edge.turn);
            if turns.is_empty() {
                self.grains.remove(&turn.grain);
            }
        }
    }

    /// The grains that a turn waits for.
    pub fn waits_for(&self, turn: CallId) -> Vec<GrainId> {
        let calls = self
            .turns
            .get(&turn)
            .into_iter()
            .flat_map(|turn| &turn.calls);
        calls
            .filter_map(|call| Some(self.calls.get(call)?.target.clone()))
            .collect()
    }

    /// The calls that a turn waits for, and whom they call.
    pub fn calls_of(&self, turn: CallId) -> Vec<(CallId, GrainId)> {
        let calls = self
            .turns
            .get(&turn)
            .into_iter()
            .flat_map(|turn| &turn.calls);
        calls
            .filter_map(|call| Some((*call, self.calls.get(call)?.target.clone())))
            .collect()
    }

    /// The grains whose turns wait for a grain, each once.
    pub fn waited_for_by(&self, grain: &GrainId) -> Vec<GrainId> {
        let edges = self.calls.values().filter(|edge| edge.target == *grain);
        let grains: BTreeSet<_> = edges
            .filter_map(|edge| Some(&self.turns.get(&edge.turn)?.grain))
            .collect();
        grains.into_iter().cloned().collect()
    }

    /// Whether nobody waits for anybody.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.calls.is_empty() && self.grains.is_empty()
    }

    /// If `from` cannot end before `to` does: the grains from the one to the other. The walk keeps its own stack, so that a
    /// long chain cannot exhaust the thread's, and sees each waiting turn once.
    fn way(&self, from: CallId, to: CallId) -> Option<Vec<GrainId>> {
        let mut came_from = BTreeMap::from([(from, None)]);
        let mut open = alloc::vec![from];
        while let Some(turn) = open.pop() {
            if turn == to {
                return Some(self.grains_back(&came_from, turn));
            }
            for next in self.blockers(turn) {
                came_from.entry(next).or_insert_with(|| {
                    open.push(next);
                    Some(turn)
                });
            }
        }
        None
    }

    fn grains_back(
        &self,
        came_from: &BTreeMap<CallId, Option<CallId>>,
        end: CallId,
    ) -> Vec<GrainId> {
        let steps = core::iter::successors(Some(end), |at| came_from.get(at).copied().flatten());
        let mut grains: Vec<_> = steps.filter_map(|turn| self.grain_of(turn)).collect();
        grains.reverse();
        grains
    }

    fn grain_of(&self, turn: CallId) -> Option<GrainId> {
        self.turns.get(&turn).map(|turn| turn.grain.clone())
    }

    /// The waiting turns of a grain that hold up those beside them.
    fn holders(&self, grain: &GrainId) -> impl Iterator<Item = CallId> + '_ {
        let turns = self.grains.get(grain).into_iter().flatten().copied();
        turns.filter(|turn| {
            let mut calls = self
                .turns
                .get(turn)
                .into_iter()
                .flat_map(|turn| &turn.calls);
            calls.any(|call| self.calls.get(call).is_some_and(|edge| edge.holds))
        })
    }

    /// The waiting turns that must go on before this one can.
    fn blockers(&self, turn: CallId) -> Vec<CallId> {
        let mut blockers = Vec::new();
        let calls = self
            .turns
            .get(&turn)
            .into_iter()
            .flat_map(|turn| &turn.calls);
        for (call, edge) in calls.filter_map(|call| Some((call, self.calls.get(call)?))) {
            match edge.stage {
                Stage::Travels => {}
                Stage::Queued => {
                    blockers.extend(self.grains.get(&edge.target).into_iter().flatten())
                }
                Stage::Runs => {
                    blockers.extend(self.turns.contains_key(call).then_some(*call));
                    blockers.extend(self.holders(&edge.target));
                }
            }
        }
        blockers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grain(text: &str) -> GrainId {
        GrainId::parse(text).unwrap()
    }

    fn told(circle: Option<Vec<GrainId>>) -> Option<alloc::string::String> {
        circle.map(|grains| {
            grains
                .iter()
                .map(|grain| alloc::format!("{grain}"))
                .collect::<Vec<_>>()
                .join(" → ")
        })
    }

    /// `turn` of `from` calls `to`; the target puts it into its queue, or begins it.
    fn calls(
        waits: &mut Waits,
        turn: u128,
        from: &str,
        call: u128,
        to: &str,
        runs: bool,
    ) -> Option<alloc::string::String> {
        waits.call(CallId(turn), &grain(from), CallId(call), &grain(to), false);
        told(match runs {
            true => waits.started(CallId(call)),
            false => waits.queued(CallId(call)),
        })
    }

    #[test]
    fn a_chain_that_comes_back_is_named_from_the_grain_that_is_called_again() {
        let mut waits = Waits::default();
        assert_eq!(calls(&mut waits, 1, "cart/7", 2, "stock/3", true), None);
        assert_eq!(calls(&mut waits, 2, "stock/3", 3, "depot/1", true), None);
        let circle = calls(&mut waits, 3, "depot/1", 4, "cart/7", false);
        assert_eq!(
            circle.as_deref(),
            Some("cart/7 → stock/3 → depot/1 → cart/7")
        );
        for call in 2..=4 {
            waits.ended(CallId(call));
        }
        assert!(waits.is_empty());
    }

    #[test]
    fn a_grain_that_calls_itself_is_a_circle_of_one() {
        let mut waits = Waits::default();
        assert_eq!(
            calls(&mut waits, 1, "a/1", 2, "a/1", false).as_deref(),
            Some("a/1 → a/1")
        );
    }

    #[test]
    fn two_chains_that_block_each_other_crosswise_are_found_by_the_second() {
        let mut waits = Waits::default();
        assert_eq!(calls(&mut waits, 1, "a/1", 11, "b/1", false), None);
        assert_eq!(
            calls(&mut waits, 2, "b/1", 12, "a/1", false).as_deref(),
            Some("a/1 → b/1 → a/1")
        );
        waits.ended(CallId(12));
        assert_eq!(
            calls(&mut waits, 2, "b/1", 13, "c/1", false),
            None,
            "the refused one goes on with something else"
        );
    }

    #[test]
    fn a_call_that_runs_waits_for_its_own_calls_only() {
        let mut waits = Waits::default();
        assert_eq!(calls(&mut waits, 1, "a/1", 2, "b/1", true), None);
        // Another turn runs beside call 2 in b/1 and waits for a/1: that is its own affair, not that of turn 1.
        assert_eq!(calls(&mut waits, 3, "b/1", 4, "a/1", false), None);
    }

    #[test]
    fn a_call_on_its_way_blocks_nobody() {
        let mut waits = Waits::default();
        waits.call(CallId(1), &grain("a/1"), CallId(11), &grain("b/1"), false);
        assert_eq!(calls(&mut waits, 2, "b/1", 12, "a/1", false), None);
        assert_eq!(
            told(waits.queued(CallId(11))).as_deref(),
            Some("b/1 → a/1 → b/1")
        );
    }

    #[test]
    fn a_circle_through_any_of_several_calls_is_one() {
        let mut waits = Waits::default();
        // Turn 1 waits for three grains at a time; only the way through the second one comes back.
        assert_eq!(calls(&mut waits, 1, "a/1", 2, "b/1", true), None);
        assert_eq!(calls(&mut waits, 1, "a/1", 3, "c/1", true), None);
        assert_eq!(calls(&mut waits, 1, "a/1", 4, "d/1", true), None);
        assert_eq!(calls(&mut waits, 2, "b/1", 5, "d/1", false), None);
        assert_eq!(calls(&mut waits, 4, "d/1", 6, "e/1", true), None);
        assert_eq!(
            calls(&mut waits, 3, "c/1", 7, "a/1", false).as_deref(),
            Some("a/1 → c/1 → a/1")
        );
        waits.ended(CallId(7));
        // Two calls of one turn to the same grain, one after the other in its queue, are none.
        assert_eq!(calls(&mut waits, 6, "e/1", 8, "f/1", true), None);
        assert_eq!(calls(&mut waits, 6, "e/1", 9, "f/1", false), None);
        for call in 2..=9 {
            waits.ended(CallId(call));
        }
        assert!(waits.is_empty());
    }

    #[test]
    fn a_turn_that_waits_with_a_blocking_call_holds_up_those_beside_it() {
        for holds in [false, true] {
            let mut waits = Waits::default();
            let (a, b) = (grain("a/1"), grain("b/1"));
            waits.call(CallId(1), &a, CallId(2), &b, holds);
            assert_eq!(waits.started(CallId(2)), None);
            // What the called grain asks of the first one begins at once, beside turn 1.
            waits.call(CallId(2), &b, CallId(3), &a, false);
            let circle = holds.then_some("a/1 → b/1 → a/1");
            assert_eq!(told(waits.started(CallId(3))).as_deref(), circle);
        }
        let mut waits = Waits::default();
        let (a, b) = (grain("a/1"), grain("b/1"));
        // Call 3 runs in a/1 already when turn 1 beside it waits for the grain that made it.
        waits.call(CallId(2), &b, CallId(3), &a, false);
        assert_eq!(waits.started(CallId(3)), None);
        waits.call(CallId(1), &a, CallId(4), &b, true);
        assert_eq!(
            told(waits.queued(CallId(4))).as_deref(),
            Some("b/1 → a/1 → b/1")
        );
    }

    #[test]
    fn what_is_answered_is_forgotten_and_people_see_the_rest() {
        let mut waits = Waits::default();
        calls(&mut waits, 1, "a/1", 2, "b/1", true);
        calls(&mut waits, 1, "a/1", 3, "c/1", true);
        assert_eq!(waits.waits_for(CallId(1)), [grain("b/1"), grain("c/1")]);
        assert_eq!(waits.waited_for_by(&grain("c/1")), [grain("a/1")]);
        waits.ended(CallId(3));
        waits.ended(CallId(3));
        assert_eq!(waits.waits_for(CallId(1)), [grain("b/1")]);
        assert_eq!(waits.waited_for_by(&grain("c/1")), []);
        waits.ended(CallId(2));
        assert!(waits.is_empty());
    }
}
