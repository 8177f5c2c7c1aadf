//! Once it is quiet, all nodes that run see the same members, the view has converged, and it holds no node that is gone.
//!
//! Where nobody is left who was ever let up, nobody may decide about those that are gone, and what is left waits for an operator.

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
        let was_up = |place: usize| {
            let own = world.state(place).zip(world.hosts()[place].this.as_ref());
            let own = own.and_then(|(state, this)| state.member(this));
            own.is_some_and(|own| own.up_number.is_some())
        };
        if !view::settled(world).any(was_up) {
            return Ok(());
        }
        let mut first = None;
        for place in view::settled(world) {
            let name = &world.hosts()[place].node.name;
            let Some(state) = world.state(place) else {
                continue;
            };
            if !state.converged {
                return Err(format!(
                    "{name} has not converged: {}",
                    view::shown(world, state)
                ));
            }
            let gone = view::all(state)
                .find(|member| !view::running(world).any(|running| *running == member.node));
            if let Some(gone) = gone {
                return Err(format!(
                    "{name} still has {} in its view, who does not run: {}",
                    world.name(&gone.node),
                    view::shown(world, state)
                ));
            }
            let (before, seen) = *first.get_or_insert((place, state));
            if !view::alike(seen, state) {
                return Err(format!(
                    "{} sees {}, and {name} sees {}",
                    world.hosts()[before].node.name,
                    view::shown(world, seen),
                    view::shown(world, state)
                ));
            }
        }
        Ok(())
    }
}
