//! Once it is quiet, every member says that all of its data centre agree on the topology, and on a value of shared state just when they do.

use std::collections::BTreeMap;

use granary_core::membership::consensus::TOPOLOGY;

use super::Rule;
use crate::view;
use crate::world::{AGREED, World};

/// Keeps nothing: it looks once.
pub struct ConsensusHolds;

impl Rule for ConsensusHolds {
    fn name(&self) -> &'static str {
        "consensus holds"
    }

    fn rest(&mut self, world: &World) -> Result<(), String> {
        if view::waits_for_operator(world) {
            // Two clusters may have members in one data centre.
            return Ok(());
        }
        let counts = |place: &usize| {
            let own = world.state(*place).zip(world.hosts()[*place].this.as_ref());
            let own = own.and_then(|(state, this)| state.member(this));
            own.is_some_and(|own| own.status.counts())
        };
        let mut by_dc: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in view::settled(world).filter(counts) {
            by_dc.entry(view::dc(world, place)).or_default().push(place);
        }
        by_dc.values().try_for_each(|members| agree(world, members))
    }
}

/// Whether the members of one data centre know that they agree, and on what.
fn agree(world: &World, members: &[usize]) -> Result<(), String> {
    let name = |place: usize| &world.hosts()[place].node.name;
    let value = |place: usize| {
        let set = world.hosts()[place].shared.get(&(AGREED.to_owned(), None));
        set.cloned().flatten()
    };
    let all_have = |wanted: &Option<String>| {
        wanted.is_some() && members.iter().all(|place| value(*place) == *wanted)
    };
    let agree = members
        .first()
        .is_some_and(|first| all_have(&value(*first)));
    let mut first = None;
    for place in members {
        let Some(machine) = &world.hosts()[*place].machine else {
            continue;
        };
        let topology = machine.agreed(TOPOLOGY);
        if topology != Some(machine.state().topology.hash) {
            let name = name(*place);
            return Err(format!(
                "{name} does not know that all agree on the topology"
            ));
        }
        let found = machine.agreed(AGREED);
        if found.is_some() != agree || *first.get_or_insert(found) != found {
            let values: Vec<_> = members.iter().map(|place| value(*place)).collect();
            return Err(format!(
                "{} says of {AGREED} {found:?}, where the values are {values:?}",
                name(*place)
            ));
        }
    }
    Ok(())
}
