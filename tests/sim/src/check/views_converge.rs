//! Once it is quiet, all nodes that run see the same members, the view has converged, and it holds no node that is gone and no data centre that is away.
//!
//! Where nobody is left in a data centre who was ever let up, nobody may decide about those of it that are gone, and what is left waits for an operator.
//! So do two clusters that cannot meet.

use std::collections::{BTreeMap, BTreeSet};

use granary_core::membership::member::Member;
use granary_core::membership::state::ClusterState;

use super::Rule;
use crate::view;
use crate::world::World;

/// Keeps nothing: it looks once.
pub struct ViewsConverge;

impl Rule for ViewsConverge {
    fn name(&self) -> &'static str {
        "views converge"
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        if view::waits_for_operator(world) {
            return Ok(());
        }
        let living = view::living_dcs(world);
        let (mut first, mut of_dc) = (None, BTreeMap::new());
        for place in view::settled(world) {
            let Some(state) = world.state(place) else {
                continue;
            };
            holds_the_living(world, place, state, &living)?;
            let (before, seen): (usize, &ClusterState) = *first.get_or_insert((place, state));
            if seen.members != state.members {
                return Err(differ(world, (before, seen), (place, state)));
            }
            let dc = view::dc(world, place);
            if !living.contains(dc) {
                continue;
            }
            let (before, seen) = *of_dc.entry(dc).or_insert((place, state));
            if !view::alike(seen, state) {
                return Err(differ(world, (before, seen), (place, state)));
            }
        }
        Ok(())
    }
}

fn differ(
    world: &World,
    (before, seen): (usize, &ClusterState),
    (place, state): (usize, &ClusterState),
) -> String {
    format!(
        "{} sees {}, and {} sees {}",
        world.hosts()[before].node.name,
        view::shown(world, seen),
        world.hosts()[place].node.name,
        view::shown(world, state)
    )
}

fn holds_the_living(
    world: &World,
    place: usize,
    state: &ClusterState,
    living: &BTreeSet<&str>,
) -> Result<(), String> {
    let name = &world.hosts()[place].node.name;
    if !state.converged && living.contains(view::dc(world, place)) {
        return Err(format!(
            "{name} has not converged: {}",
            view::shown(world, state)
        ));
    }
    let is_gone = |member: &&Member| {
        living.contains(member.dc().as_ref())
            && !view::running(world).any(|running| *running == member.node)
    };
    if let Some(gone) = view::all(state).find(is_gone) {
        return Err(format!(
            "{name} still has {} in its view, who does not run: {}",
            world.name(&gone.node),
            view::shown(world, state)
        ));
    }
    let mut away = state.unreachable_dcs.iter();
    match away.find(|dc| living.contains(dc.as_ref())) {
        Some(dc) => Err(format!("{name} cannot reach {dc}, which is there")),
        None => Ok(()),
    }
}
