//! A node decides about a partition of its own data centre: it never declares members of another one dead.

use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::effects::Marker;

use super::Rule;
use crate::view;
use crate::world::{Fact, World};

/// Keeps nothing: it looks at each decision by itself.
pub struct DecidesForItsOwn;

impl Rule for DecidesForItsOwn {
    fn name(&self) -> &'static str {
        "decides for its own"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Explained { this, explanation } => explanation
                .down
                .iter()
                .try_for_each(|node| is_own(world, this, node)),
            Fact::Log {
                this,
                marker: Marker::DowningNode { node, .. },
            } => is_own(world, this, node),
            Fact::Started { .. }
            | Fact::View { .. }
            | Fact::Notice { .. }
            | Fact::Callback { .. }
            | Fact::Log { .. }
            | Fact::Sent { .. }
            | Fact::Ended { .. }
            | Fact::Crashed { .. }
            | Fact::Answered { .. }
            | Fact::Step(_) => Ok(()),
        }
    }
}

fn is_own(world: &World, this: &UniqueAddress, node: &UniqueAddress) -> Result<(), String> {
    let dc = |node: &UniqueAddress| world.place(&node.address).map(|at| view::dc(world, at));
    if dc(this) == dc(node) {
        return Ok(());
    }
    let (this, node) = (world.name(this), world.name(node));
    Err(format!(
        "{this} downs {node}, which is in another data centre"
    ))
}
