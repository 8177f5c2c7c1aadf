//! When a node first heard that another was removed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::address::UniqueAddress;
use super::{Gossip, TOMBSTONES_MAX};
use crate::id::Time;

/// When this node first saw each tombstone, by its own clock. Never sent: nodes' clocks cannot be compared.
///
/// The leader forgets by it. A new leader may have heard later than the one before; then a tombstone stays longer, never shorter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graves {
    since: BTreeMap<UniqueAddress, Time>,
    /// The set that `since` is made from.
    noted: Arc<BTreeSet<UniqueAddress>>,
}

impl Graves {
    /// Takes note of the tombstones of the picture that holds now.
    pub fn note(&mut self, gossip: &Gossip, now: Time) {
        let tombstones = gossip.tombstones();
        if Arc::ptr_eq(tombstones, &self.noted) {
            return;
        }
        self.since.retain(|gone, _| tombstones.contains(gone));
        for gone in tombstones.iter() {
            if !self.since.contains_key(gone) {
                self.since.insert(gone.clone(), now);
            }
        }
        self.noted = tombstones.clone();
    }

    /// Whom the leader should forget: those known for `after`, and the oldest of those beyond [`TOMBSTONES_MAX`].
    pub fn due(&self, now: Time, after: Duration) -> Vec<UniqueAddress> {
        let mut by_age: Vec<_> = self
            .since
            .iter()
            .map(|(gone, since)| (*since, gone))
            .collect();
        by_age.sort_unstable();
        let too_many = by_age.len().saturating_sub(TOMBSTONES_MAX);
        let is_due = |at: usize, since: Time| at < too_many || after <= now.since(since);
        let due = by_age.iter().enumerate();
        due.filter(|(at, (since, _))| is_due(*at, *since))
            .map(|(_, (_, gone))| (*gone).clone())
            .collect()
    }
}
