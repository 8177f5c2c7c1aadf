//! Of two sides of a partition at most one survives: once it is quiet, all nodes that run and belong to a cluster belong to one.
//!
//! Where nobody is left who was ever let up, or two clusters cannot meet, there is no side: what is left waits for an operator.

use super::Rule;
use crate::view;
use crate::world::World;

/// Keeps nothing: it looks once.
pub struct OneSideSurvives;

impl Rule for OneSideSurvives {
    fn name(&self) -> &'static str {
        "one side survives"
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        if view::waits_for_operator(world) {
            return Ok(());
        }
        let settled: Vec<usize> = view::settled(world).collect();
        for place in &settled {
            for other in &settled {
                let host = &world.hosts()[*other];
                let (Some(state), Some(node)) = (world.state(*place), &host.this) else {
                    continue;
                };
                if !view::all(state).any(|member| member.node == *node) {
                    return Err(format!(
                        "{} and {} both run as members, and the one does not know the other",
                        world.hosts()[*place].node.name,
                        host.node.name
                    ));
                }
            }
        }
        Ok(())
    }
}
