//! A word that is said while it is quiet is handed to every member, and to none twice.

use super::Rule;
use crate::host::Host;
use crate::random::LAST_WORD;
use crate::view;
use crate::world::World;

/// Keeps nothing: it looks once.
pub struct BroadcastsArrive;

impl Rule for BroadcastsArrive {
    fn name(&self) -> &'static str {
        "broadcasts arrive"
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        if view::waits_for_operator(world) {
            // Those that are left may not know each other.
            return Ok(());
        }
        let word = |host: &Host| format!("{LAST_WORD}{}", host.node.name);
        let handed = |host: &Host, word: &str| host.delivered.get(word).copied().unwrap_or(0);
        // Who was no member yet when all spoke could not say anything, nor be told.
        let hosts = view::settled(world).map(|place| &world.hosts()[place]);
        let members: Vec<&Host> = hosts.filter(|host| 0 < handed(host, &word(host))).collect();
        for host in &members {
            for speaker in &members {
                let word = word(speaker);
                let count = handed(host, &word);
                if count != 1 {
                    let name = &host.node.name;
                    return Err(format!("{name} was handed \"{word}\" {count} times"));
                }
            }
        }
        Ok(())
    }
}
