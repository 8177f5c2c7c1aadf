//! A callback comes at most once for each incarnation: "up" when the node has been up, "removed" when it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::inputs::CallbackId;
use granary_core::membership::member::Status;

use super::Rule;
use crate::view;
use crate::world::{Fact, REMOVED, UP, World};

/// What has come, and who has been up.
#[derive(Default)]
pub struct CallbacksComeOnce {
    came: BTreeSet<(UniqueAddress, CallbackId)>,
    up: BTreeSet<UniqueAddress>,
}

impl Rule for CallbacksComeOnce {
    fn name(&self) -> &'static str {
        "callbacks come once"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Callback { this, callback } => {
                if !self.came.insert(((*this).clone(), *callback)) {
                    return Err(format!(
                        "{} called back twice: {callback:?}",
                        world.name(this)
                    ));
                }
                Ok(())
            }
            Fact::View { this, state } => {
                // A view may pass over "up"; whoever has a number has been it.
                let own = state.member(this);
                let own = own.filter(|own| own.status != Status::Down);
                if own.is_some_and(|own| own.up_number.is_some()) {
                    self.up.insert((*this).clone());
                }
                Ok(())
            }
            Fact::Ended { this, .. } => {
                let has = |callback| self.came.contains(&((*this).clone(), callback));
                if !has(REMOVED) {
                    return Err(format!(
                        "{} ended and never called back that it is removed",
                        world.name(this)
                    ));
                }
                Ok(())
            }
            Fact::Started { .. }
            | Fact::Notice { .. }
            | Fact::Log { .. }
            | Fact::Explained { .. }
            | Fact::Sent { .. }
            | Fact::Crashed { .. }
            | Fact::Answered { .. }
            | Fact::Step(_) => Ok(()),
        }
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        for node in view::running(world) {
            let came = self.came.contains(&(node.clone(), UP));
            if came != self.up.contains(node) {
                let what = if came {
                    "called back, but was never up"
                } else {
                    "has been up, but never called back"
                };
                return Err(format!("{} {what}", world.name(node)));
            }
            if self.came.contains(&(node.clone(), REMOVED)) {
                return Err(format!(
                    "{} called back that it is removed, and runs",
                    world.name(node)
                ));
            }
        }
        Ok(())
    }
}
