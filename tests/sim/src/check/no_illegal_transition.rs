//! Nobody sees a member take a path through the statuses that is none.
//!
//! A view may skip statuses, since gossip does. It may not show one that cannot be reached from the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::member::Status;

use super::Rule;
use crate::view;
use crate::world::{Fact, World};

/// What each observer has last seen of each member.
#[derive(Default)]
pub struct NoIllegalTransition {
    seen: BTreeMap<UniqueAddress, BTreeMap<UniqueAddress, Status>>,
}

/// The statuses that may come at once after one. Removal is not in a view, and legal from each.
fn steps(from: Status) -> &'static [Status] {
    use Status::{
        Down, Exiting, Joining, Leaving, PreparingForShutdown, ReadyForShutdown, Removed, Up,
        WeaklyUp,
    };
    match from {
        Joining => &[WeaklyUp, Up, Leaving, Down],
        WeaklyUp => &[Up, Leaving, Down],
        Up => &[PreparingForShutdown, Leaving, Down],
        PreparingForShutdown => &[ReadyForShutdown, Leaving, Down],
        ReadyForShutdown => &[Leaving, Down],
        Leaving => &[Exiting, Down],
        Exiting => &[Down],
        Down | Removed => &[],
    }
}

fn reaches(from: Status, to: Status) -> bool {
    from == to || steps(from).iter().any(|next| reaches(*next, to))
}

impl Rule for NoIllegalTransition {
    fn name(&self) -> &'static str {
        "no illegal transition"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::View { this, state } = fact else {
            return Ok(());
        };
        let seen = self.seen.entry((*this).clone()).or_default();
        for member in view::all(state) {
            let before = seen.insert(member.node.clone(), member.status);
            let Some(before) = before.filter(|before| !reaches(*before, member.status)) else {
                continue;
            };
            return Err(format!(
                "{} saw {} go from {} to {}",
                world.name(this),
                world.name(&member.node),
                view::word(&before),
                view::word(&member.status),
            ));
        }
        Ok(())
    }
}
