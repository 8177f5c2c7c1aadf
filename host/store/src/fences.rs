//! Which activation of each grain may commit.
//!
//! Invariants: epochs only grow, over restarts too; at most one epoch of a grain passes; a grain with a commit under way is never
//! forgotten, so that whoever loads it next waits for that commit. Everything is in memory: the lock on the data
//! directory makes this process the only writer, and a new process begins above every epoch of the last one.

use std::collections::HashMap;

use granary_core::id::{Epoch, GrainId};

use crate::door::StoreError;

/// How many low bits of an epoch count loads; the bits above count how often the store was opened.
const LOADS_BITS: u32 = 40;

#[derive(Debug, Default)]
struct Fence {
    /// None: released.
    newest: Option<Epoch>,
    under_way: u32,
}

impl Fence {
    fn is_unused(&self) -> bool {
        self.newest.is_none() && self.under_way == 0
    }
}

/// The newest epoch of each active grain.
#[derive(Debug)]
pub(crate) struct Fences {
    last: u64,
    grains: HashMap<GrainId, Fence>,
}

impl Fences {
    /// `opened`: how often the store has been opened, this time included.
    pub(crate) fn new(opened: u64) -> Self {
        Self {
            last: opened << LOADS_BITS,
            grains: HashMap::new(),
        }
    }

    /// Begins an activation: every earlier epoch of the grain is stale from now on.
    pub(crate) fn begin(&mut self, grain: &GrainId) -> Epoch {
        self.last += 1;
        let epoch = Epoch(self.last);
        match self.grains.get_mut(grain) {
            Some(fence) => fence.newest = Some(epoch),
            None => {
                self.grains.insert(
                    grain.clone(),
                    Fence {
                        newest: Some(epoch),
                        under_way: 0,
                    },
                );
            }
        }
        epoch
    }

    /// Whether a commit may come in. Errors: `Stale`.
    pub(crate) fn check(&self, grain: &GrainId, held: Epoch) -> Result<(), StoreError> {
        match self.grains.get(grain) {
            Some(fence) if fence.newest == Some(held) => Ok(()),
            other => Err(stale(grain, held, other)),
        }
    }

    /// Lets a commit in and notes it as under way. Errors: `Stale`.
    pub(crate) fn enter(&mut self, grain: &GrainId, held: Epoch) -> Result<(), StoreError> {
        match self.grains.get_mut(grain) {
            Some(fence) if fence.newest == Some(held) => {
                fence.under_way += 1;
                Ok(())
            }
            other => Err(stale(grain, held, other.as_deref())),
        }
    }

    /// The commit is no longer under way.
    pub(crate) fn leave(&mut self, grain: &GrainId) {
        if let Some(fence) = self.grains.get_mut(grain) {
            fence.under_way = fence.under_way.saturating_sub(1);
            if fence.is_unused() {
                self.grains.remove(grain);
            }
        }
    }

    /// Ends an activation, unless a newer one has begun.
    pub(crate) fn release(&mut self, grain: &GrainId, epoch: Epoch) {
        if let Some(fence) = self.grains.get_mut(grain)
            && fence.newest == Some(epoch)
        {
            fence.newest = None;
            if fence.is_unused() {
                self.grains.remove(grain);
            }
        }
    }

    /// Whether a commit of the grain is under way.
    pub(crate) fn under_way(&self, grain: &GrainId) -> bool {
        self.grains
            .get(grain)
            .is_some_and(|fence| 0 < fence.under_way)
    }
}

fn stale(grain: &GrainId, held: Epoch, fence: Option<&Fence>) -> StoreError {
    StoreError::Stale {
        grain: grain.clone(),
        held,
        newest: fence.and_then(|fence| fence.newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_activation_fences_the_older_one() {
        let grain = GrainId::parse("cart/7").unwrap();
        let mut fences = Fences::new(1);
        let old = fences.begin(&grain);
        let new = fences.begin(&grain);
        assert!(old < new && Epoch(1 << LOADS_BITS) < old);
        let refused = fences.enter(&grain, old).unwrap_err();
        assert!(matches!(refused, StoreError::Stale { newest: Some(newest), .. } if newest == new));
        fences.release(&grain, old);
        assert!(
            fences.enter(&grain, new).is_ok(),
            "releasing an old epoch does not touch the new one"
        );
    }

    #[test]
    fn a_grain_is_forgotten_once_released_and_at_rest() {
        let grain = GrainId::parse("cart/7").unwrap();
        let mut fences = Fences::new(1);
        let epoch = fences.begin(&grain);
        fences.enter(&grain, epoch).unwrap();
        fences.release(&grain, epoch);
        assert!(fences.under_way(&grain));
        assert!(matches!(
            fences.enter(&grain, epoch),
            Err(StoreError::Stale { newest: None, .. })
        ));
        fences.leave(&grain);
        assert!(fences.grains.is_empty());
    }

    #[test]
    fn a_reopened_store_begins_above_every_earlier_epoch() {
        let grain = GrainId::parse("cart/7").unwrap();
        let mut first = Fences::new(1);
        let last = (0..1000).map(|_| first.begin(&grain)).next_back().unwrap();
        assert!(last < Fences::new(2).begin(&grain));
    }
}
