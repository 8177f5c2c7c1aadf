//! Nodes whose views have one topology hash place every grain alike, and a view that changes moves no grain but those of hosts that came or went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use granary_core::id::{GrainId, Key, KindName};
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::state::ClusterState;
use granary_core::placement::hosts::{Needs, hosts};

use super::Rule;
use crate::random::KIND;
use crate::world::{Fact, World};

/// How many keys are placed.
const KEYS: usize = 16;

/// Where the keys are, and who could have had them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    owners: Vec<Option<UniqueAddress>>,
    hosts: BTreeSet<Address>,
}

/// What each topology hash came to first, and in whose view; and what each node saw last.
#[derive(Default)]
pub struct PlacementAgrees {
    of_hash: BTreeMap<u64, (UniqueAddress, Placed)>,
    last: BTreeMap<UniqueAddress, (u64, Placed)>,
}

fn place(state: &ClusterState) -> Placed {
    let kind = KindName::parse(KIND).expect("it is written as one");
    let members = state.members.iter();
    let hosts = hosts(members, &state.out_of_reach, &kind, &Needs::default());
    let owners = (0..KEYS).map(|number| {
        let key = Key::parse(&format!("key-{number}")).expect("it is short");
        let grain = GrainId::new(kind.clone(), key);
        hosts.owner(&grain).map(|host| host.node.clone())
    });
    Placed {
        owners: owners.collect(),
        hosts: hosts
            .all()
            .iter()
            .map(|host| host.node.address.clone())
            .collect(),
    }
}

/// The first key that moved though its host stayed and its new host is no newcomer.
fn needless_move(before: &Placed, after: &Placed) -> Option<usize> {
    let owners = before.owners.iter().zip(&after.owners);
    let mut moves = owners.map(|(from, to)| match (from, to) {
        (Some(from), Some(to)) => {
            from.address != to.address
                && after.hosts.contains(&from.address)
                && before.hosts.contains(&to.address)
        }
        (Some(from), None) => after.hosts.contains(&from.address),
        (None, Some(to)) => before.hosts.contains(&to.address),
        (None, None) => false,
    });
    moves.position(|needless| needless)
}

impl Rule for PlacementAgrees {
    fn name(&self) -> &'static str {
        "placement agrees"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::View { this, state } = fact else {
            return Ok(());
        };
        let hash = state.topology.hash;
        let known = self.last.get(*this);
        if known.is_some_and(|(last, _)| *last == hash) {
            return Ok(());
        }
        let placed = place(state);
        if let Some(key) = known.and_then(|(_, before)| needless_move(before, &placed)) {
            return Err(format!(
                "{}: key-{key} moves, though its host is there and the next one was before",
                world.name(this)
            ));
        }
        let (first, found) = self
            .of_hash
            .entry(hash)
            .or_insert_with(|| ((*this).clone(), placed.clone()));
        if *found != placed {
            return Err(format!(
                "{} and {} see the topology {hash:016x} and place {:?} and {:?}",
                world.name(first),
                world.name(this),
                found.owners,
                placed.owners
            ));
        }
        self.last.insert((*this).clone(), (hash, placed));
        Ok(())
    }
}
