//! As long as nothing goes wrong within a data centre, nobody is declared dead and nobody ends, whatever becomes of the links between data centres.

use std::time::Duration;

use granary_core::membership::effects::TerminateReason;

use super::Rule;
use crate::scenario::{Action, Links};
use crate::view;
use crate::world::{Fact, World};

/// Whether anything was done to a node, or to a link within a data centre.
#[derive(Default)]
pub struct DistanceDownsNobody {
    is_hurt: bool,
}

impl Rule for DistanceDownsNobody {
    fn name(&self) -> &'static str {
        "distance downs nobody"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(action) => {
                self.is_hurt |= hurts(world, action);
                Ok(())
            }
            Fact::Explained { this, explanation } if !self.is_hurt => {
                match explanation.down.first() {
                    None => Ok(()),
                    Some(node) => Err(format!(
                        "{} downs {}, and nothing happened to their data centre",
                        world.name(this),
                        world.name(node)
                    )),
                }
            }
            Fact::Ended { this, reason } if !self.is_hurt && !was_refused(reason) => Err(format!(
                "{} has ended, and nothing happened to its data centre: {reason:?}",
                world.name(this)
            )),
            Fact::Started { .. }
            | Fact::View { .. }
            | Fact::Notice { .. }
            | Fact::Callback { .. }
            | Fact::Log { .. }
            | Fact::Explained { .. }
            | Fact::Sent { .. }
            | Fact::Ended { .. }
            | Fact::Crashed { .. }
            | Fact::Answered { .. } => Ok(()),
        }
    }
}

/// Who was never a member belongs to no data centre yet.
fn was_refused(reason: &TerminateReason) -> bool {
    match reason {
        TerminateReason::JoinTimedOut | TerminateReason::JoinRefused { .. } => true,
        TerminateReason::Left
        | TerminateReason::Downed
        | TerminateReason::Removed
        | TerminateReason::Rival { .. } => false,
    }
}

/// Whether a step does something to a node or to a link within a data centre.
fn hurts(world: &World, action: &Action) -> bool {
    match action {
        Action::Cut(links)
        | Action::Loss(links, _)
        | Action::Duplicate(links, _)
        | Action::Latency(links, _) => match links {
            Links::All | Links::Of(_) => true,
            Links::Between { from, to, .. } => {
                let near = |one: &usize| {
                    let mut others = to.iter();
                    others.any(|other| view::dc(world, *one) == view::dc(world, *other))
                };
                from.iter().any(near)
            }
        },
        Action::Crash(_)
        | Action::Restart(_)
        | Action::Pause(_)
        | Action::Leave { .. }
        | Action::Down { .. }
        | Action::Skew { .. } => true,
        Action::Start(_)
        | Action::Resume(_)
        | Action::Heal(_)
        | Action::PrepareShutdown { .. }
        | Action::SetState { .. }
        | Action::Broadcast { .. }
        | Action::Settings(_) => false,
    }
}
