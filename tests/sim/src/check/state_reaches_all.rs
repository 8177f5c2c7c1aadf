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
        if view::waits_for_operator(world) {
            // Those that are left may not know each other.
            return Ok(());
        }
        for owner in view::settled(world) {
            for ((key, entry), value) in &world.hosts()[owner].shared {
                reaches_all(world, owner, (key, entry.as_deref()), value.as_deref())?;
            }
        }
        Ok(())
    }
}

fn reaches_all(
    world: &World,
    owner: usize,
    (key, entry): (&str, Option<&str>),
    value: Option<&str>,
) -> Result<(), String> {
    let name = |place: usize| world.hosts()[place].node.name.as_str();
    for reader in view::settled(world) {
        let found = match entry {
            None => view::shared(world, reader, owner, key),
            Some(entry) => view::shared_entry(world, reader, owner, (key, entry)),
        };
        if found.as_deref() != value {
            let (owner, reader) = (name(owner), name(reader));
            let entry = entry.map_or_else(String::new, |entry| format!("[{entry}]"));
            return Err(format!(
                "{owner}/{key}{entry} is {value:?}, but {reader} reads {found:?}"
            ));
        }
    }
    Ok(())
}
