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
        for owner in view::settled(world) {
            for (key, value) in &world.hosts()[owner].shared {
                reaches_all(world, owner, key, value.as_deref())?;
            }
        }
        Ok(())
    }
}

fn reaches_all(world: &World, owner: usize, key: &str, value: Option<&str>) -> Result<(), String> {
    let name = |place: usize| world.hosts()[place].node.name.as_str();
    for reader in view::settled(world) {
        let found = view::shared(world, reader, owner, key);
        if found.as_deref() != value {
            let (owner, reader) = (name(owner), name(reader));
            return Err(format!(
                "{owner}/{key} is {value:?}, but {reader} reads {found:?}"
            ));
        }
    }
    Ok(())
}
