//! The pictures that a node lately had, and who is known to have had them, too: what others can be told as a difference.
//!
//! In: the node's own picture, whenever it is looked at; and which version another member had. Out: how to tell a member of the present
//! picture. Nothing here has to be true of a member for long: whoever is told of a picture that it does not have any more says so.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::super::address::UniqueAddress;
use super::delta::{Changes, Delta, DeltaError, VersionDigest};
use super::{Gossip, Seen};

/// So many pictures are kept, the present one left out. Nodes change their pictures together, so a member is rarely more than a few behind.
pub(super) const HISTORY_MAX: usize = 16;

/// How a member is told of the present picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// It has this very version, and may lack who has seen it.
    Seen,
    /// It has a version that this follows on.
    Delta(Delta),
    /// Nothing is known of what it has, or the difference would be no smaller.
    Whole,
}

/// The present picture and some before it.
#[derive(Debug, Clone, Default)]
pub struct History {
    present: Option<Had>,
    /// The newest last.
    past: VecDeque<Had>,
}

#[derive(Debug, Clone)]
struct Had {
    version: VersionDigest,
    gossip: Gossip,
    /// Members that are known to have had this version, beside those that have seen it: places in its own list.
    by: Seen,
    /// This node has told all members of it.
    is_told: bool,
    /// What leads from here to the present picture, once somebody was told; none if that is no less than all of it.
    changes: Option<Option<Arc<Changes>>>,
}

impl Had {
    fn new(gossip: &Gossip) -> Self {
        Self {
            version: VersionDigest::of(gossip),
            gossip: gossip.clone(),
            by: Seen::default(),
            is_told: false,
            changes: None,
        }
    }

    fn is_by(&self, node: &UniqueAddress) -> bool {
        let place = self.gossip.index(node);
        place.is_some_and(|at| self.gossip.seen.has(at) || self.by.has(at))
    }

    /// How many are known to have had it.
    fn count(&self) -> usize {
        let mut all = self.by.clone();
        all.union(&self.gossip.seen, self.gossip.members.len());
        all.count()
    }

    /// What makes the present picture of this one; none if that is no less than all of it.
    fn lead_to(&mut self, present: &Self) -> Option<Delta> {
        let (gossip, picture) = (&self.gossip, &present.gossip);
        let changes = self.changes.get_or_insert_with(|| {
            let changes = Changes::new(gossip, picture);
            (changes.items() < picture.items()).then(|| Arc::new(changes))
        });
        let changes = changes.clone()?;
        Some(Delta::of(self.version, (present.version, picture), changes))
    }
}

impl History {
    /// The version of the present picture, which becomes `gossip`.
    pub fn follow(&mut self, gossip: &Gossip) -> VersionDigest {
        if let Some(present) = &mut self.present {
            let is_same = Arc::ptr_eq(&present.gossip.version, &gossip.version)
                || present.gossip.version == gossip.version;
            if is_same {
                if present.gossip.seen != gossip.seen {
                    present.gossip.seen.clone_from(&gossip.seen);
                }
                return present.version;
            }
        }
        let present = Had::new(gossip);
        let version = present.version;
        if let Some(before) = self.present.replace(present) {
            if HISTORY_MAX <= self.past.len() {
                // One that nobody else has had is of no use to anybody.
                let mut past = self.past.iter();
                let useless = past.position(|had| !had.is_told && had.count() <= 1);
                self.past.remove(useless.unwrap_or_default());
            }
            self.past.push_back(before);
            self.past.iter_mut().for_each(|had| had.changes = None);
        }
        version
    }

    /// Takes note that a member had a version; says whether that is the present one or one before it.
    pub fn had(&mut self, node: &UniqueAddress, version: VersionDigest) -> bool {
        let known = self.past.iter_mut().chain(&mut self.present);
        let Some(had) = known.rev().find(|had| had.version == version) else {
            return false;
        };
        if let Some(at) = had.gossip.index(node) {
            had.by.insert(at);
        }
        true
    }

    /// How to tell a member of the present picture.
    pub fn telling(&mut self, to: &UniqueAddress) -> Telling {
        let Some(present) = &self.present else {
            return Telling::Whole;
        };
        if present.is_by(to) {
            return Telling::Seen;
        }
        let base = self.past.iter_mut().rev().find(|had| had.is_by(to));
        let delta = base.and_then(|base| base.lead_to(present));
        delta.map_or(Telling::Whole, Telling::Delta)
    }

    /// What tells all members of the present picture in the same words, where most are known to have had one version before it, or were
    /// told of one like this. Whoever has not says so.
    pub fn telling_all(&mut self) -> Option<Delta> {
        let present = self.present.as_mut()?;
        let is_common = |had: &&mut Had| had.is_told || had.gossip.members.len() < 2 * had.count();
        let delta = self
            .past
            .iter_mut()
            .rev()
            .find(is_common)?
            .lead_to(present)?;
        present.is_told = true;
        Some(delta)
    }

    /// The picture that a delta leads to. Errors: every [`DeltaError`]; [`DeltaError::OtherBase`] if its base is not among these.
    pub fn apply(&self, delta: &Delta) -> Result<Gossip, DeltaError> {
        if let Some(same) = self.find(delta.version) {
            return delta.seen_on(same);
        }
        match self.find(delta.base) {
            Some(base) => delta.apply(base),
            None => Err(DeltaError::OtherBase {
                needed: delta.base,
                actual: self.version(),
            }),
        }
    }

    fn find(&self, version: VersionDigest) -> Option<&Gossip> {
        let mut known = self.present.iter().chain(self.past.iter().rev());
        let found = known.find(|had| had.version == version);
        found.map(|had| &had.gossip)
    }

    fn version(&self) -> VersionDigest {
        let present = self.present.as_ref();
        present.map_or_else(|| VersionDigest::of(&Gossip::default()), |had| had.version)
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
