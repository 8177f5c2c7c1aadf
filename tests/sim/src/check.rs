//! What must never be, whatever happens, and what must be once it is quiet again: one file a rule.
//!
//! Each rule knows the specification and nothing of how the product keeps to it. Each has failed once on a planted bug: `tests/planted`.

pub mod broadcasts_arrive;
pub mod callbacks_come_once;
pub mod consensus_holds;
pub mod decides_for_its_own;
pub mod distance_downs_nobody;
pub mod downed_nodes_end;
pub mod events_fold;
pub mod explanations_replay;
pub mod no_illegal_transition;
pub mod one_leader;
pub mod one_side_survives;
pub mod placement_agrees;
pub mod removed_stays_removed;
pub mod state_reaches_all;
pub mod views_converge;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::world::{Fact, Watch, World};

/// One rule.
pub trait Rule {
    /// Its name, which is its file's.
    fn name(&self) -> &'static str;

    /// Looks at what has just happened. Errors: why that must not be.
    fn see(&mut self, _world: &World, _at: Duration, _fact: &Fact<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Looks at the world after a long quiet. Errors: why it must not be so.
    fn rest(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }
}

/// All rules, watching one world.
#[derive(Clone)]
pub struct Rules(Rc<RefCell<Vec<Box<dyn Rule>>>>);

impl Default for Rules {
    fn default() -> Self {
        Self::of(vec![
            Box::new(no_illegal_transition::NoIllegalTransition::default()),
            Box::new(removed_stays_removed::RemovedStaysRemoved::default()),
            Box::new(one_leader::OneLeader::default()),
            Box::new(downed_nodes_end::DownedNodesEnd::default()),
            Box::new(decides_for_its_own::DecidesForItsOwn),
            Box::new(distance_downs_nobody::DistanceDownsNobody::default()),
            Box::new(events_fold::EventsFold::default()),
            Box::new(explanations_replay::ExplanationsReplay),
            Box::new(callbacks_come_once::CallbacksComeOnce::default()),
            Box::new(placement_agrees::PlacementAgrees::default()),
            Box::new(one_side_survives::OneSideSurvives),
            Box::new(views_converge::ViewsConverge),
            Box::new(state_reaches_all::StateReachesAll),
        ])
    }
}

impl Rules {
    /// The default ones, and those about what only drawn runs do.
    pub fn of_drawn_runs() -> Self {
        let rules = Self::default();
        rules.0.borrow_mut().extend([
            Box::new(consensus_holds::ConsensusHolds) as Box<dyn Rule>,
            Box::new(broadcasts_arrive::BroadcastsArrive),
        ]);
        rules
    }

    /// These rules and no others.
    pub fn of(rules: Vec<Box<dyn Rule>>) -> Self {
        Self(Rc::new(RefCell::new(rules)))
    }

    /// Asks every rule after a long quiet. Errors: the first that does not hold.
    pub fn rest(&self, world: &World) -> Result<(), String> {
        for rule in self.0.borrow_mut().iter_mut() {
            let name = rule.name();
            rule.rest(world).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }
}

impl Watch for Rules {
    fn see(&mut self, world: &World, at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        for rule in self.0.borrow_mut().iter_mut() {
            let name = rule.name();
            let seen = rule.see(world, at, fact);
            seen.map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }
}
