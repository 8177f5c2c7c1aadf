//! A node that sees itself down ends within a bound, and once it is quiet no incarnation runs that one which runs, too, has seen down.
//! One that was let in and declared dead before it heard its welcome cannot know, and never was a member in its own eyes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::member::Status;

use super::Rule;
use crate::scenario::Action;
use crate::view;
use crate::world::{Fact, World};

/// How long a node may go on after it has seen that it is down. It tells the others first, for four rounds of gossip, and shuts down.
const BOUND: Duration = Duration::from_secs(10);

/// Whom each node has seen down, and since when it has known so of itself. What a node saw that is itself gone binds nobody: it may have been
/// cut off when it declared everybody dead, and have told nobody.
#[derive(Default)]
pub struct DownedNodesEnd {
    downed: BTreeMap<UniqueAddress, BTreeSet<UniqueAddress>>,
    knows: BTreeMap<UniqueAddress, Duration>,
}

impl Rule for DownedNodesEnd {
    fn name(&self) -> &'static str {
        "downed nodes end"
    }

    fn see(&mut self, world: &World, at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let (this, state) = match fact {
            Fact::View { this, state } => (*this, *state),
            Fact::Ended { this, .. } | Fact::Crashed { this } => {
                self.knows.remove(*this);
                return Ok(());
            }
            Fact::Step(Action::Resume(nodes)) => {
                // Nobody can end while it stands still.
                for node in nodes
                    .iter()
                    .filter_map(|node| world.hosts()[*node].this.as_ref())
                {
                    if let Some(since) = self.knows.get_mut(node) {
                        *since = at;
                    }
                }
                return Ok(());
            }
            Fact::Started { .. }
            | Fact::Notice { .. }
            | Fact::Callback { .. }
            | Fact::Log { .. }
            | Fact::Explained { .. }
            | Fact::Sent { .. }
            | Fact::Answered { .. }
            | Fact::Step(_) => return Ok(()),
        };
        for member in view::all(state).filter(|member| member.status == Status::Down) {
            let downed = self.downed.entry(this.clone()).or_default();
            downed.insert(member.node.clone());
            if member.node == *this {
                self.knows.entry(this.clone()).or_insert(at);
            }
        }
        let late = |(node, since): &(&UniqueAddress, &Duration)| {
            **since + BOUND < at && view::running(world).any(|running| running == *node)
        };
        match self.knows.iter().find(late) {
            Some((node, since)) => Err(format!(
                "{} has known since {since:?} that it is down, and still runs",
                world.name(node)
            )),
            None => Ok(()),
        }
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        for by in view::running(world) {
            let downed = self.downed.get(by);
            let still = |node: &&UniqueAddress| downed.is_some_and(|downed| downed.contains(*node));
            // Whoever was never told of a picture never was a member.
            let was_in = |node: &&UniqueAddress| {
                let place = world.place(&node.address);
                let state = place.and_then(|place| world.state(place));
                state.is_some_and(|state| state.version != 0)
            };
            let mut members = view::running(world).filter(was_in);
            if let Some(node) = members.find(still) {
                let (by, node) = (world.name(by), world.name(node));
                return Err(format!("{by} has seen {node} down, and both run"));
            }
        }
        Ok(())
    }
}
