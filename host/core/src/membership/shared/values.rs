//! One incarnation's values, as its own node writes them and as others follow.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    KEY_BYTES_MAX, Known, MARKS_MAX, NODE_BYTES_MAX, NODE_ENTRIES_MAX, OwnerDelta, SharedEntry,
    VALUE_BYTES_MAX,
};
use crate::membership::address::UniqueAddress;

/// A place for a value: a key, or an entry of the map under a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) key: Arc<str>,
    pub(super) entry: Option<Arc<str>>,
}

impl Slot {
    fn bytes(&self) -> usize {
        self.key.len() + self.entry.as_ref().map_or(0, |entry| entry.len())
    }
}

/// What stands in a place, since which change. No value is a mark of deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    seq: u64,
    value: Option<Arc<[u8]>>,
}

/// Entries that no honest node sends. What came before them was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// The values of one incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Values {
    seq: u64,
    floor: u64,
    stands: BTreeMap<Slot, Stand>,
    /// The same places by their last change.
    order: BTreeMap<u64, Slot>,
    /// How many of them hold a value.
    live: usize,
    /// Bytes of keys and values where there is a value.
    bytes: usize,
}

impl Values {
    pub(super) fn known(&self) -> Known {
        Known {
            seq: self.seq,
            floor: self.floor,
        }
    }

    /// Whether nothing ever happened to it.
    pub(super) fn is_new(&self) -> bool {
        self.seq == 0 && self.floor == 0
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<&Arc<[u8]>> {
        self.stands.get(slot)?.value.as_ref()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (&Slot, &Arc<[u8]>)> {
        let live = self.stands.iter();
        live.filter_map(|(slot, stand)| Some((slot, stand.value.as_ref()?)))
    }

    pub(super) fn live_under(&self, key: &Arc<str>) -> impl Iterator<Item = (&Slot, &Arc<[u8]>)> {
        let first = Slot {
            key: Arc::clone(key),
            entry: None,
        };
        let under = self.stands.range(first..);
        under
            .take_while(move |(slot, _)| slot.key == *key)
            .filter_map(|(slot, stand)| Some((slot, stand.value.as_ref()?)))
    }

    /// How many values, and how many bytes, there would be with this one.
    pub(super) fn with(&self, slot: &Slot, value: &[u8]) -> (usize, usize) {
        let (mut live, mut bytes) = (self.live, self.bytes);
        if let Some(old) = self.get(slot) {
            live -= 1;
            bytes -= slot.bytes() + old.len();
        }
        (live + 1, bytes + slot.bytes() + value.len())
    }

    pub(super) fn set(&mut self, slot: Slot, value: Arc<[u8]>) {
        self.put(self.seq + 1, slot, Some(value));
    }

    /// Returns whether there was a value.
    pub(super) fn delete(&mut self, slot: &Slot) -> bool {
        if self.get(slot).is_none() {
            return false;
        }
        self.put(self.seq + 1, slot.clone(), None);
        while MARKS_MAX < self.stands.len() - self.live {
            self.give_up_oldest_mark();
        }
        true
    }

    /// What is new since `known`, as far as there is room.
    pub(super) fn since(
        &self,
        owner: &UniqueAddress,
        known: Known,
        room: &mut usize,
    ) -> Option<OwnerDelta> {
        let behind_marks = |one: &Known, floor: u64| one.floor < floor && one.seq < floor;
        // A receiver that has begun anew past marks which this copy still holds would take the values before them for living ones.
        if known.seq >= self.seq || (self.floor < known.floor && known.seq < known.floor) {
            return None;
        }
        let from = if behind_marks(&known, self.floor) {
            0
        } else {
            known.seq
        };
        let mut delta = OwnerDelta {
            owner: owner.clone(),
            from,
            to: self.seq,
            floor: self.floor,
            entries: Vec::new(),
        };
        for (seq, slot) in self.order.range(from + 1..) {
            if *room == 0 {
                // Cut short: the rest follows once the receiver has said that it has come so far.
                delta.to = delta.entries.last().map_or(from, |entry| entry.seq);
                break;
            }
            let value = self.stands.get(slot).and_then(|stand| stand.value.clone());
            let bytes = slot.bytes() + value.as_ref().map_or(0, |value| value.len());
            *room = room.saturating_sub(bytes + ENTRY_BYTES);
            delta.entries.push(SharedEntry {
                key: Arc::clone(&slot.key),
                entry: slot.entry.clone(),
                seq: *seq,
                value,
            });
        }
        Some(delta)
    }

    /// Follows the incarnation. Returns the keys under which something changed. Errors: [`Broken`].
    pub(super) fn apply(&mut self, delta: &OwnerDelta) -> Result<BTreeSet<Arc<str>>, Broken> {
        let mut changed = BTreeSet::new();
        let catching_up = self.seq < self.floor;
        let is_stale = delta.to <= self.seq && delta.floor <= self.floor;
        if self.seq < delta.from || is_stale || (delta.floor < self.floor && catching_up) {
            return Ok(changed);
        }
        if self.floor < delta.floor {
            if self.seq < delta.floor {
                if delta.from != 0 {
                    return Ok(changed);
                }
                changed.extend(self.live().map(|(slot, _)| Arc::clone(&slot.key)));
                *self = Self::default();
            }
            self.floor = delta.floor;
            self.give_up_marks();
        }
        let mut last = delta.from;
        for entry in &delta.entries {
            if entry.seq <= last || delta.to < entry.seq {
                return Err(Broken);
            }
            last = entry.seq;
            if self.seq < entry.seq {
                self.follow(entry)?;
                changed.insert(Arc::clone(&entry.key));
            }
        }
        self.seq = self.seq.max(delta.to);
        Ok(changed)
    }

    fn follow(&mut self, entry: &SharedEntry) -> Result<(), Broken> {
        let slot = Slot {
            key: Arc::clone(&entry.key),
            entry: entry.entry.clone(),
        };
        let fits = |text: &str| text.len() <= KEY_BYTES_MAX;
        if !fits(&slot.key) || !slot.entry.as_deref().is_none_or(fits) {
            return Err(Broken);
        }
        // In the middle of a delta there may be what was overwritten since beside what overwrote it: twice the limits, and never more.
        if let Some(value) = &entry.value {
            let (live, bytes) = self.with(&slot, value);
            let is_small = value.len() <= VALUE_BYTES_MAX;
            if !is_small || 2 * NODE_ENTRIES_MAX < live || 2 * NODE_BYTES_MAX < bytes {
                return Err(Broken);
            }
        } else if 2 * MARKS_MAX <= self.stands.len() - self.live {
            return Err(Broken);
        }
        self.put(entry.seq, slot, entry.value.clone());
        Ok(())
    }

    fn put(&mut self, seq: u64, slot: Slot, value: Option<Arc<[u8]>>) {
        self.take(&slot);
        if let Some(value) = &value {
            self.live += 1;
            self.bytes += slot.bytes() + value.len();
        }
        self.order.insert(seq, slot.clone());
        self.stands.insert(slot, Stand { seq, value });
        self.seq = seq;
    }

    fn take(&mut self, slot: &Slot) {
        let Some(old) = self.stands.remove(slot) else {
            return;
        };
        self.order.remove(&old.seq);
        if let Some(value) = old.value {
            self.live -= 1;
            self.bytes -= slot.bytes() + value.len();
        }
    }

    fn give_up_oldest_mark(&mut self) {
        let is_mark = |slot: &Slot| self.get(slot).is_none();
        let oldest = self.order.iter().find(|(_, slot)| is_mark(slot));
        if let Some((seq, slot)) = oldest.map(|(seq, slot)| (*seq, slot.clone())) {
            self.take(&slot);
            self.floor = seq;
        }
    }

    fn give_up_marks(&mut self) {
        let up_to_floor = self.order.range(..=self.floor);
        let marks = up_to_floor.filter(|(_, slot)| self.get(slot).is_none());
        let marks: Vec<Slot> = marks.map(|(_, slot)| slot.clone()).collect();
        for slot in &marks {
            self.take(slot);
        }
    }
}

/// What an entry takes in a message beside its key and value, roughly.
const ENTRY_BYTES: usize = 16;
