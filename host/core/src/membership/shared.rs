//! Values that every node publishes and all members read: `(incarnation, key) → bytes`, and maps whose entries merge one by one.
//!
//! Each incarnation writes only its own values and counts its changes, so two copies never contradict each other: the one with the higher
//! count knows more. Copies are brought together by anti-entropy: a summary, a digest of the parts that differ, then what the other lacks,
//! in the order of the changes. What was deleted leaves a mark; the oldest marks are given up, and who has not seen them yet begins anew
//! with that incarnation.
//!
//! In: writes of this node, messages, members that come and go. Out: messages, and which keys changed.
//!
//! Invariants: a node's copy of an incarnation is at every moment a state that the incarnation was in, up to values that it has overwritten
//! since; nothing of an incarnation that is no member is kept or believed; every copy is bounded, whatever others send.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};

use super::address::UniqueAddress;
use super::settings::SharedStateSettings;
use crate::hash::Hasher;

#[cfg(test)]
mod tests;
mod values;

use self::values::{Slot, Values};

/// The longest key, and the longest name of a map's entry, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// The most that `shared-state.value-bytes` may be: what any node takes from another.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// The most that `shared-state.node-bytes` may be.
pub const NODE_BYTES_MAX: usize = 16 << 20;
/// The most that `shared-state.node-entries` may be.
pub const NODE_ENTRIES_MAX: usize = 65_536;
/// Marks of deletion that one incarnation keeps.
pub const MARKS_MAX: usize = 1024;
/// A message of entries ends after so many bytes of keys and values, but not before its first entry.
pub const DELTA_BYTES_MAX: usize = 256 << 10;

/// A write that breaks a limit. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} is at most {max}, not {actual}")]
pub struct SharedError {
    /// The name of the limit.
    pub limit: &'static str,
    /// The limit.
    pub max: usize,
    /// What it would be.
    pub actual: usize,
}

/// How far a copy of an incarnation's values is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Every change up to this one is in, or was overtaken.
    pub seq: u64,
    /// Marks of deletion up to this change may be missing.
    pub floor: u64,
}

/// The incarnations are divided into so many parts, each with a hash of its own: one change then costs a digest of one part.
pub const PARTS: usize = 32;

/// What a node knows, for another one to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharedDigest {
    /// A hash over each part: whose differ answers with these parts.
    Summary(Arc<[u64; PARTS]>),
    /// How far every copy of some parts is.
    Parts {
        /// Which parts, a bit for each.
        parts: u32,
        /// By incarnation.
        known: Arc<BTreeMap<UniqueAddress, Known>>,
        /// Whether the other one is to say how far its own copies are, if the sender's are further.
        ask: bool,
    },
}

/// Changes that the receiver lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedDelta(pub Arc<[OwnerDelta]>);

/// Changes of one incarnation's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerDelta {
    /// Whose values.
    pub owner: UniqueAddress,
    /// The receiver has every change up to this one; 0 where it begins anew.
    pub from: u64,
    /// With these entries it has every change up to this one.
    pub to: u64,
    /// Marks of deletion up to this change may be missing.
    pub floor: u64,
    /// What stands in places that changed in between, in the order of the changes.
    pub entries: Vec<SharedEntry>,
}

/// What stands in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedEntry {
    /// The key.
    pub key: Arc<str>,
    /// The entry, if the value is a map's.
    pub entry: Option<Arc<str>>,
    /// Counts the incarnation's changes.
    pub seq: u64,
    /// The value; none where it was deleted.
    pub value: Option<Arc<[u8]>>,
}

/// What to send back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchange {
    /// What the other one lacks.
    pub delta: Option<SharedDelta>,
    /// How far this node is.
    pub digest: Option<SharedDigest>,
}

/// What became of entries that came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Keys under which something changed, by incarnation.
    pub changed: BTreeSet<(UniqueAddress, Arc<str>)>,
    /// Incarnations whose entries broke a limit or came out of order, and were not taken.
    pub refused: Vec<UniqueAddress>,
}

/// The shared values as one node knows them.
#[derive(Debug, Clone)]
pub struct SharedState {
    this: UniqueAddress,
    settings: SharedStateSettings,
    members: BTreeSet<UniqueAddress>,
    copies: BTreeMap<UniqueAddress, Values>,
    /// The sum of the hashes of how far the copies of each part are.
    sums: [u64; PARTS],
    /// Where the next delta begins, so that an incarnation that changes all the time does not keep the others waiting.
    turn: Option<UniqueAddress>,
}

impl SharedState {
    /// Nothing is published, and only this node may.
    pub fn new(this: UniqueAddress, settings: SharedStateSettings) -> Self {
        Self {
            members: BTreeSet::from([this.clone()]),
            this,
            settings,
            copies: BTreeMap::new(),
            sums: [0; PARTS],
            turn: None,
        }
    }

    /// The incarnation became a member: what it publishes is believed.
    pub fn insert(&mut self, node: &UniqueAddress) {
        self.members.insert(node.clone());
    }

    /// The incarnation is removed, and its values with it. Returns the keys that it had.
    pub fn remove(&mut self, node: &UniqueAddress) -> BTreeSet<Arc<str>> {
        if *node != self.this {
            self.members.remove(node);
        }
        let copy = self.copies.remove(node).unwrap_or_default();
        let sum = &mut self.sums[part_of(node)];
        *sum = sum.wrapping_sub(hash(node, copy.known()));
        copy.live().map(|(slot, _)| Arc::clone(&slot.key)).collect()
    }

    /// Publishes a value. Returns whether that changed anything. Errors: [`SharedError`].
    pub fn set(&mut self, key: Arc<str>, value: Arc<[u8]>) -> Result<bool, SharedError> {
        self.write(Slot { key, entry: None }, value)
    }

    /// Publishes an entry of a map. Returns whether that changed anything. Errors: [`SharedError`].
    pub fn set_entry(
        &mut self,
        key: Arc<str>,
        entry: Arc<str>,
        value: Arc<[u8]>,
    ) -> Result<bool, SharedError> {
        let entry = Some(entry);
        self.write(Slot { key, entry }, value)
    }

    /// Deletes what this node has published under a key: the value, and every entry if it is a map. Returns whether there was anything.
    pub fn delete(&mut self, key: &Arc<str>) -> bool {
        self.change(&self.this.clone(), |own| {
            let slots: Vec<Slot> = own.live_under(key).map(|(slot, _)| slot.clone()).collect();
            for slot in &slots {
                own.delete(slot);
            }
            !slots.is_empty()
        })
    }

    /// Deletes an entry of a map of this node. Returns whether there was one.
    pub fn remove_entry(&mut self, key: Arc<str>, entry: Arc<str>) -> bool {
        let entry = Some(entry);
        let slot = Slot { key, entry };
        self.change(&self.this.clone(), |own| own.delete(&slot))
    }

    /// The value that each member has published under a key.
    pub fn get(&self, key: &str) -> BTreeMap<UniqueAddress, Arc<[u8]>> {
        let slot = Slot {
            key: key.into(),
            entry: None,
        };
        let of = |(owner, copy): (&UniqueAddress, &Values)| {
            copy.get(&slot)
                .map(|value| (owner.clone(), Arc::clone(value)))
        };
        self.copies.iter().filter_map(of).collect()
    }

    /// The value that one member has published under a key.
    pub fn get_of(&self, owner: &UniqueAddress, key: &str) -> Option<&Arc<[u8]>> {
        let slot = Slot {
            key: key.into(),
            entry: None,
        };
        self.copies.get(owner)?.get(&slot)
    }

    /// The map that each member has published under a key.
    pub fn get_map(&self, key: &str) -> BTreeMap<UniqueAddress, BTreeMap<Arc<str>, Arc<[u8]>>> {
        let key: Arc<str> = key.into();
        let mut maps: BTreeMap<UniqueAddress, BTreeMap<Arc<str>, Arc<[u8]>>> = BTreeMap::new();
        for (owner, copy) in &self.copies {
            for (slot, value) in copy.live_under(&key) {
                if let Some(entry) = &slot.entry {
                    let map = maps.entry(owner.clone()).or_default();
                    map.insert(Arc::clone(entry), Arc::clone(value));
                }
            }
        }
        maps
    }

    /// Whether nobody has ever published anything, as far as this node knows.
    pub fn is_empty(&self) -> bool {
        self.sums == [0; PARTS]
    }

    /// What to send to a few members now and then.
    pub fn summary(&self) -> SharedDigest {
        SharedDigest::Summary(Arc::new(self.sums))
    }

    /// Answers what another one knows: at most with a delta and a digest, and with nothing more once both are alike.
    pub fn compare(&mut self, digest: &SharedDigest) -> Exchange {
        let (parts, theirs, ask) = match digest {
            SharedDigest::Summary(sums) => {
                let differ = (0..PARTS).filter(|part| sums[*part] != self.sums[*part]);
                let parts = differ.fold(0, |parts, part| parts | 1 << part);
                return Exchange {
                    delta: None,
                    digest: (parts != 0).then(|| self.digest(parts, true)),
                };
            }
            SharedDigest::Parts { parts, known, ask } => (*parts, known, *ask),
        };
        let lacking = |(owner, known): (&UniqueAddress, &Known)| {
            let own = self.copies.get(owner).map_or(0, |copy| copy.known().seq);
            own < known.seq && self.members.contains(owner) && *owner != self.this
        };
        let lacks = ask && theirs.iter().any(lacking);
        Exchange {
            delta: self.delta(parts, theirs),
            digest: lacks.then(|| self.digest(parts, false)),
        }
    }

    /// Takes in what came.
    pub fn apply(&mut self, delta: &SharedDelta) -> Applied {
        let mut applied = Applied::default();
        for of in delta.0.iter() {
            // Only this node writes its own values, and only a member's are kept.
            if of.owner == self.this || !self.members.contains(&of.owner) {
                continue;
            }
            match self.change(&of.owner, |copy| copy.apply(of)) {
                Ok(keys) => {
                    let keys = keys.into_iter().map(|key| (of.owner.clone(), key));
                    applied.changed.extend(keys);
                }
                Err(_broken) => applied.refused.push(of.owner.clone()),
            }
        }
        applied
    }

    fn digest(&self, parts: u32, ask: bool) -> SharedDigest {
        let asked = self
            .copies
            .iter()
            .filter(|(owner, copy)| is_in(parts, owner) && !copy.is_new());
        let known = asked.map(|(owner, copy)| (owner.clone(), copy.known()));
        SharedDigest::Parts {
            parts,
            known: Arc::new(known.collect()),
            ask,
        }
    }

    fn delta(
        &mut self,
        parts: u32,
        theirs: &BTreeMap<UniqueAddress, Known>,
    ) -> Option<SharedDelta> {
        let mut room = DELTA_BYTES_MAX;
        let mut deltas = Vec::new();
        let start = match &self.turn {
            Some(owner) => Bound::Excluded(owner),
            None => Bound::Unbounded,
        };
        let after = self.copies.range((start, Bound::Unbounded));
        let rest = self
            .copies
            .iter()
            .take(self.copies.len() - after.clone().count());
        let mut last = None;
        let asked = after.chain(rest).filter(|(owner, _)| is_in(parts, owner));
        for (owner, copy) in asked {
            let none = Known { seq: 0, floor: 0 };
            let known = theirs.get(owner).copied().unwrap_or(none);
            let Some(delta) = copy.since(owner, known, &mut room) else {
                continue;
            };
            deltas.push(delta);
            last = Some(owner.clone());
            if room == 0 {
                break;
            }
        }
        if last.is_some() {
            self.turn = last;
        }
        (!deltas.is_empty()).then(|| SharedDelta(deltas.into()))
    }

    fn write(&mut self, slot: Slot, value: Arc<[u8]>) -> Result<bool, SharedError> {
        let entry = slot.entry.as_deref().unwrap_or_default();
        at_most("key-bytes", KEY_BYTES_MAX, slot.key.len())?;
        at_most("entry-bytes", KEY_BYTES_MAX, entry.len())?;
        let limit = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
        let settings = &self.settings;
        at_most(
            "shared-state.value-bytes",
            limit(settings.value_bytes),
            value.len(),
        )?;
        let own = self.copies.entry(self.this.clone()).or_default();
        if own.get(&slot) == Some(&value) {
            return Ok(false);
        }
        let (entries, bytes) = own.with(&slot, &value);
        at_most(
            "shared-state.node-entries",
            limit(settings.node_entries),
            entries,
        )?;
        at_most("shared-state.node-bytes", limit(settings.node_bytes), bytes)?;
        self.change(&self.this.clone(), |own| own.set(slot, value));
        Ok(true)
    }

    /// Every change of a copy goes through here, so that the sums stay true.
    fn change<R>(&mut self, owner: &UniqueAddress, change: impl FnOnce(&mut Values) -> R) -> R {
        let copy = self.copies.entry(owner.clone()).or_default();
        let before = hash(owner, copy.known());
        let result = change(copy);
        let sum = &mut self.sums[part_of(owner)];
        let after = hash(owner, copy.known());
        *sum = sum.wrapping_sub(before).wrapping_add(after);
        result
    }
}

/// A copy to which nothing happened yet is as none.
fn hash(owner: &UniqueAddress, known: Known) -> u64 {
    if known.seq == 0 && known.floor == 0 {
        return 0;
    }
    let hasher = Hasher::new().number(owner.hash64());
    hasher.number(known.seq).number(known.floor).finish()
}

fn part_of(owner: &UniqueAddress) -> usize {
    // The remainder is below 32, and fits whatever a usize is.
    usize::try_from(owner.hash64() % PARTS as u64).unwrap_or(0)
}

fn is_in(parts: u32, owner: &UniqueAddress) -> bool {
    parts & (1 << part_of(owner)) != 0
}

fn at_most(limit: &'static str, max: usize, actual: usize) -> Result<(), SharedError> {
    if max < actual {
        return Err(SharedError { limit, max, actual });
    }
    Ok(())
}
