//! Once it is quiet, every member reads what each member has set last.

use super::Rule;
use crate::view;
use crate::world::World;

/// Keeps nothing: it looks once.
pub struct StateReachesAll;

impl Rule for StateReachesAll {
    fn name(&self) -> &'static str {
        "shared state reaches all"
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        let settled: Vec<usize> = view::settled(world).collect();
        for owner in &settled {
            let host = &world.hosts()[*owner];
            for (key, value) in &host.shared {
                for reader in &settled {
                    let found = view::shared(world, *reader, *owner, key);
                    if found != *value {
                        return Err(format!(
                            "{}/{key} is {value:?}, but {} reads {found:?}",
                            host.node.name,
                            world.hosts()[*reader].node.name
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}
