//! Whom a cluster router sends to: the same few places on every member that fits, as long as it is there.
//!
//! A *group* sends to grains that exist, some paths on every node; a *pool* has its routees made, some on every node and not more than a
//! total. Both are places on nodes, counted from 0, and differ in who reads the number.
//!
//! In: views. Out: routees that come and go; for each message those that get it.
//!
//! Invariants: no routee on a node that does not fit; never more than the total, and never more on a node than it may have.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::mix;
use super::rendezvous::node_hash;
use crate::membership::address::UniqueAddress;
use crate::membership::member::{Member, Status};

#[cfg(test)]
mod tests;

/// Where routees may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RouterSettings {
    /// The most routees in all.
    pub total_instances: u32,
    /// The most routees on a node: a pool's setting; with a group, the number of its paths.
    pub max_instances_per_node: u32,
    /// Whether the router's own node may have routees.
    pub allow_local_routees: bool,
    /// Roles that a node must have, all of them.
    pub use_roles: BTreeSet<Arc<str>>,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            total_instances: 10_000,
            max_instances_per_node: 1,
            allow_local_routees: true,
            use_roles: BTreeSet::new(),
        }
    }
}

/// One that gets messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Routee {
    /// On which node.
    pub node: UniqueAddress,
    /// Which of those on the node: for a group the number of the path.
    pub place: u32,
}

/// What became of a routee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteeEvent {
    /// It is sent to from now on; a pool has it made.
    Added(Routee),
    /// It is sent to no longer; a pool has it stopped, if its node is there to do it.
    Removed(Routee),
}

/// Who gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// One after the other.
    RoundRobin,
    /// Anyone.
    Random,
    /// By the message's key: the same one for the same key, as long as it is there.
    Key(u64),
    /// All.
    Broadcast,
}

/// The routees of one router.
#[derive(Debug, Clone)]
pub struct Routees {
    this: UniqueAddress,
    settings: RouterSettings,
    available: BTreeSet<UniqueAddress>,
    places: BTreeMap<UniqueAddress, BTreeSet<u32>>,
    /// All of them by node and place, each with its hash: what a message needs.
    all: Vec<(Routee, u64)>,
    /// Who got the last message in turn.
    last: Option<Routee>,
    seed: u64,
}

impl Routees {
    /// None yet. `seed`: what [`Route::Random`] draws from.
    pub fn new(this: UniqueAddress, settings: RouterSettings, seed: u64) -> Self {
        Self {
            this,
            settings,
            available: BTreeSet::new(),
            places: BTreeMap::new(),
            all: Vec::new(),
            last: None,
            seed,
        }
    }

    /// The view has changed. Routees on nodes that no longer fit go; free places are filled, the emptiest node first.
    pub fn update<'a>(
        &mut self,
        members: impl IntoIterator<Item = &'a Member>,
        unreachable: &BTreeSet<UniqueAddress>,
        out: &mut Vec<RouteeEvent>,
    ) {
        let fits = |member: &&Member| {
            matches!(member.status, Status::Up | Status::WeaklyUp)
                && !unreachable.contains(&member.node)
                && (self.settings.allow_local_routees || member.node != self.this)
                && self
                    .settings
                    .use_roles
                    .iter()
                    .all(|role| member.has_role(role))
        };
        let fitting = members.into_iter().filter(fits);
        self.available = fitting.map(|member| member.node.clone()).collect();
        let gone = self
            .places
            .keys()
            .filter(|node| !self.available.contains(node));
        let gone: Vec<UniqueAddress> = gone.cloned().collect();
        for node in gone {
            for place in self.places.remove(&node).unwrap_or_default() {
                let node = node.clone();
                out.push(RouteeEvent::Removed(Routee { node, place }));
            }
        }
        self.fill(out);
    }

    /// A routee has ended by itself. Its place is free, and filled again if its node still fits.
    pub fn ended(&mut self, routee: &Routee, out: &mut Vec<RouteeEvent>) {
        let Some(places) = self.places.get_mut(&routee.node) else {
            return;
        };
        if !places.remove(&routee.place) {
            return;
        }
        if places.is_empty() {
            self.places.remove(&routee.node);
        }
        out.push(RouteeEvent::Removed(routee.clone()));
        self.fill(out);
    }

    /// All of them, by node and place.
    pub fn all(&self) -> impl Iterator<Item = &Routee> {
        self.all.iter().map(|(routee, _)| routee)
    }

    /// Who gets the next message. Nobody if there is no routee.
    pub fn route(&mut self, route: Route) -> Vec<Routee> {
        let chosen = match route {
            Route::Broadcast => return self.all().cloned().collect(),
            Route::RoundRobin => {
                let last = self.last.take();
                let behind = |(routee, _): &(Routee, u64)| Some(routee) <= last.as_ref();
                let at = self.all.partition_point(behind);
                let next = self.all.get(at).or_else(|| self.all.first());
                self.last = next.map(|(routee, _)| routee.clone());
                return self.last.iter().cloned().collect();
            }
            Route::Random => {
                self.seed = self.seed.wrapping_add(1);
                // The upper half of the product is below the count: no bias that anybody could measure, and no division.
                let scaled = u128::from(mix(self.seed)) * self.all.len() as u128;
                let at = usize::try_from(scaled >> 64).unwrap_or(0);
                self.all.get(at)
            }
            Route::Key(key) => self.all.iter().max_by_key(|(_, hash)| mix(key ^ hash)),
        };
        chosen.iter().map(|(routee, _)| routee.clone()).collect()
    }

    fn fill(&mut self, out: &mut Vec<RouteeEvent>) {
        let limit = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
        let mut free = limit(self.settings.total_instances);
        free -= self.places.values().map(BTreeSet::len).sum::<usize>();
        let count = |node: &UniqueAddress| self.places.get(node).map_or(0, BTreeSet::len);
        let counted = self
            .available
            .iter()
            .map(|node| (count(node), node.clone()));
        let mut emptiest: BTreeSet<(usize, UniqueAddress)> = counted.collect();
        while 0 < free
            && let Some((count, node)) = emptiest.pop_first()
            && count < limit(self.settings.max_instances_per_node)
        {
            let places = self.places.entry(node.clone()).or_default();
            let Some(place) = (0..).find(|place| !places.contains(place)) else {
                break;
            };
            places.insert(place);
            free -= 1;
            emptiest.insert((count + 1, node.clone()));
            out.push(RouteeEvent::Added(Routee { node, place }));
        }
        self.all = self
            .places
            .iter()
            .flat_map(|(node, places)| places.iter().map(move |place| (node, *place)))
            .map(|(node, place)| {
                let hash = node_hash(&node.address) ^ mix(u64::from(place));
                let node = node.clone();
                (Routee { node, place }, hash)
            })
            .collect();
    }
}
