//! Views that have converged on one picture name one leader for each data centre, and that one is a member.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::reachability::Reach;

use super::Rule;
use crate::view;
use crate::world::{Fact, World};

/// The leader that each picture has named first, by data centre and picture.
#[derive(Default)]
pub struct OneLeader {
    named: BTreeMap<(String, String), (UniqueAddress, Option<UniqueAddress>)>,
}

impl Rule for OneLeader {
    fn name(&self) -> &'static str {
        "one leader"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::View { this, state } = fact else {
            return Ok(());
        };
        let leader = state.leader.clone();
        if let Some(leader) = &leader
            && !view::all(state).any(|member| member.node == *leader)
        {
            return Err(format!(
                "{} is led by {}, who is no member in its view",
                world.name(this),
                world.name(leader)
            ));
        }
        if !state.converged {
            return Ok(());
        }
        // A node counts itself among those that can be reached, whatever others say of it: it may then lead a picture in its own view alone.
        let mut rows = state.reachability.rows();
        let is_shunned =
            rows.any(|(_, subject, reach, _)| *subject == **this && reach != Reach::Reachable);
        if is_shunned && leader.as_ref() == Some(*this) {
            return Ok(());
        }
        let Some(own) = view::all(state).find(|member| member.node == **this) else {
            return Ok(());
        };
        let key = (own.profile.dc.to_string(), view::picture(state));
        let (by, named) = self
            .named
            .entry(key)
            .or_insert_with(|| ((*this).clone(), leader.clone()));
        if *named != leader {
            let name = |node: &Option<UniqueAddress>| {
                node.as_ref()
                    .map_or_else(|| "nobody".to_owned(), |node| world.name(node))
            };
            return Err(format!(
                "one converged picture, two leaders: {} for {}, {} for {}",
                name(named),
                world.name(by),
                name(&leader),
                world.name(this)
            ));
        }
        Ok(())
    }
}
