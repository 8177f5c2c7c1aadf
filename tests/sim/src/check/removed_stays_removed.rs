//! An incarnation that somebody has seen go never comes back: not in that view, and in none once it is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;

use super::Rule;
use crate::view;
use crate::world::{Fact, World};

/// Who is in each view, and who was.
#[derive(Default)]
pub struct RemovedStaysRemoved {
    present: BTreeMap<UniqueAddress, BTreeSet<UniqueAddress>>,
    gone: BTreeMap<UniqueAddress, BTreeSet<UniqueAddress>>,
}

impl Rule for RemovedStaysRemoved {
    fn name(&self) -> &'static str {
        "removed stays removed"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::View { this, state } = fact else {
            return Ok(());
        };
        let now: BTreeSet<UniqueAddress> =
            view::all(state).map(|member| member.node.clone()).collect();
        let gone = self.gone.entry((*this).clone()).or_default();
        if let Some(back) = now.intersection(gone).next() {
            return Err(format!(
                "{} sees {} again, whom it had seen go",
                world.name(this),
                world.name(back)
            ));
        }
        let present = self.present.entry((*this).clone()).or_default();
        gone.extend(present.difference(&now).cloned());
        *present = now;
        Ok(())
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        // A node that ends forgets all others; only those that go on say who is gone.
        let running: Vec<&UniqueAddress> = view::running(world).collect();
        for by in &running {
            for of in &running {
                let gone = self.gone.get(*by).into_iter().flatten();
                let present = self.present.get(*of);
                let mut back =
                    gone.filter(|node| present.is_some_and(|there| there.contains(*node)));
                if let Some(back) = back.next() {
                    return Err(format!(
                        "{} saw {} go, and {} has it in its view",
                        world.name(by),
                        world.name(back),
                        world.name(of)
                    ));
                }
            }
        }
        Ok(())
    }
}
