//! Weighted rendezvous hashing: every node computes the owner of a key, and a change of members moves as few keys as can be.
//!
//! The score of a key at a node is `capacity / −ln u`, where `u` is drawn from a hash of both, between 0 and 1; the highest score owns. A
//! node's part of the keys is its part of the capacity, and when a node comes or goes only its own keys move. A node goes into the hash by
//! its address, not its incarnation: what it owned before a restart it owns after it.
//!
//! Hashes and formula are frozen in `tests/golden/rendezvous.txt`, as all nodes must agree, whatever their version and platform.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::mix;
use crate::hash::Hasher;
use crate::id::{Key, KindName};
use crate::membership::address::{Address, UniqueAddress};

#[cfg(test)]
mod tests;

/// The nodes among which keys are divided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendezvous {
    /// The nodes of each capacity, by address. Among them the highest hash has the highest score, so that one logarithm a capacity is enough.
    classes: BTreeMap<u32, Vec<Node>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    hash: u64,
    node: UniqueAddress,
}

/// The best node of one capacity.
struct Best<'a> {
    score: f64,
    draw: u64,
    node: &'a UniqueAddress,
}

impl Rendezvous {
    /// Divides among nodes of these capacities, in whatever order they come; one of capacity 0 owns nothing. Of two incarnations of one
    /// address the one with the greater uid counts.
    pub fn new<'a>(nodes: impl IntoIterator<Item = (&'a UniqueAddress, u32)>) -> Self {
        let mut by_address: BTreeMap<&Address, (&UniqueAddress, u32)> = BTreeMap::new();
        for (node, capacity) in nodes {
            let known = by_address.entry(&node.address).or_insert((node, capacity));
            if known.0.uid < node.uid {
                *known = (node, capacity);
            }
        }
        let mut classes: BTreeMap<u32, Vec<Node>> = BTreeMap::new();
        for (node, capacity) in by_address.into_values() {
            if 0 < capacity {
                classes.entry(capacity).or_default().push(Node {
                    hash: node_hash(&node.address),
                    node: node.clone(),
                });
            }
        }
        Self { classes }
    }

    /// Who owns the grain of this kind and key. None if there is no node.
    pub fn owner(&self, kind: &KindName, key: &Key) -> Option<&UniqueAddress> {
        self.owner_of_hash(key_hash(kind, key))
    }

    /// The same for a key that was hashed by someone else, such as a router's.
    pub fn owner_of_hash(&self, key: u64) -> Option<&UniqueAddress> {
        let mut best: Option<Best<'_>> = None;
        for (capacity, nodes) in &self.classes {
            let draws = nodes.iter().map(|node| (draw(key, node.hash), &node.node));
            // Equal draws go to the lower address, which comes first.
            let highest = draws.reduce(|best, next| if best.0 < next.0 { next } else { best });
            let Some((draw, node)) = highest else {
                continue;
            };
            let next = Best {
                score: score(draw, *capacity),
                draw,
                node,
            };
            if best.as_ref().is_none_or(|best| next.beats(best)) {
                best = Some(next);
            }
        }
        best.map(|best| best.node)
    }
}

impl Best<'_> {
    fn beats(&self, other: &Self) -> bool {
        let by_score = self.score.total_cmp(&other.score);
        let by_draw = by_score.then(self.draw.cmp(&other.draw));
        by_draw.then(other.node.cmp(self.node)).is_gt()
    }
}

/// The hash of a grain.
pub fn key_hash(kind: &KindName, key: &Key) -> u64 {
    Hasher::new()
        .text(kind.as_str())
        .text(key.as_str())
        .finish()
}

/// The hash of a node: of its address alone.
pub fn node_hash(address: &Address) -> u64 {
    let hasher = Hasher::new().text(address.host());
    hasher.number(u64::from(address.port())).finish()
}

/// What a key draws at a node: 52 random bits, which a float holds exactly.
fn draw(key: u64, node: u64) -> u64 {
    mix(key ^ node) >> 12
}

/// Higher is better. The draw is moved by half a step, so that it is neither 0 nor 1.
fn score(draw: u64, capacity: u32) -> f64 {
    let u = (draw as f64 + 0.5) / (1_u64 << 52) as f64;
    f64::from(capacity) / -libm::log(u)
}
