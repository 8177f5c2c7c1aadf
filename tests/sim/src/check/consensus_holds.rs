//! Once it is quiet, every member says that all agree on the topology, and on a value of shared state just when they do.

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
        let counts = |place: &usize| {
            let own = world.state(*place).zip(world.hosts()[*place].this.as_ref());
            let own = own.and_then(|(state, this)| state.member(this));
            own.is_some_and(|own| own.status.counts())
        };
        let settled: Vec<usize> = view::settled(world).filter(counts).collect();
        let name = |place: usize| &world.hosts()[place].node.name;
        let value = |place: usize| {
            let set = world.hosts()[place].shared.get(&(AGREED.to_owned(), None));
            set.cloned().flatten()
        };
        let all_have = |wanted: &Option<String>| {
            wanted.is_some() && settled.iter().all(|place| value(*place) == *wanted)
        };
        let agree = settled
            .first()
            .is_some_and(|first| all_have(&value(*first)));
        let mut first = None;
        for place in &settled {
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
                let values: Vec<_> = settled.iter().map(|place| value(*place)).collect();
                return Err(format!(
                    "{} says of {AGREED} {found:?}, where the values are {values:?}",
                    name(*place)
                ));
            }
        }
        Ok(())
    }
}
