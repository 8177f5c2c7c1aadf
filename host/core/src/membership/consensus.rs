//! Whether all members have published the same under a key of shared state.
//!
//! Agreement needs two things at the same time: every member that counts has published the same value, and every one of them is known to
//! have the same topology as this node. The second keeps an agreement from being reached among members of whom one does not know of the
//! others.
//!
//! In: the view, the shared state, and waiting commands. Out: agreements, and their loss.
//!
//! Invariants: an agreement that is told holds at that moment as far as this node knows; one that no longer holds is revoked before another
//! is told.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::address::UniqueAddress;
use super::shared::SharedState;
use crate::hash::Hasher;
use crate::id::Time;

#[cfg(test)]
mod tests;

/// The key under which the topology itself is agreed on: no value is published, the members' views are compared.
pub const TOPOLOGY: &str = "topology";

/// The most keys that are watched at a time.
pub const CHECKS_MAX: usize = 256;

/// The most waits at a time.
pub const WAITS_MAX: usize = 4096;

/// One wait for agreement. The driver draws it; the core only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// Takes from a published value what must be equal. None: there is nothing yet to agree on.
#[derive(Clone, Copy)]
pub struct Extract {
    /// What is taken, for those who look at the node.
    pub name: &'static str,
    /// The same answer on every node for the same bytes.
    pub of: fn(&[u8]) -> Option<u64>,
}

impl Extract {
    /// The whole value, as a hash.
    pub const WHOLE: Self = Self {
        name: "whole",
        of: |value| Some(Hasher::new().bytes(value).finish()),
    };

    /// The value is a number: eight bytes, the lowest first.
    pub const NUMBER: Self = Self {
        name: "number",
        of: |value| value.try_into().ok().map(u64::from_le_bytes),
    };
}

impl fmt::Debug for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What agreement depends on in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Electorate {
    /// The hash of the topology.
    pub topology: u64,
    /// The members that count: reachable, and up, leaving or on the way to a full shutdown; this node among them if it is.
    pub voters: BTreeSet<UniqueAddress>,
    /// Who has seen the picture that the view was made of.
    pub seen: BTreeSet<UniqueAddress>,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsensusEvent {
    /// All agree on a key.
    Agreed {
        /// The key.
        key: Arc<str>,
        /// What was taken from every value.
        value: u64,
    },
    /// They do not any more.
    Lost {
        /// The key.
        key: Arc<str>,
    },
    /// A wait for agreement is over.
    Waited {
        /// Whose.
        id: WaitId,
        /// What they agree on; none if the time was up first, or the key is watched no more.
        value: Option<u64>,
    },
}

#[derive(Debug, Clone)]
struct Check {
    extract: Extract,
    agreed: Option<u64>,
}

#[derive(Debug, Clone)]
struct Wait {
    id: WaitId,
    key: Arc<str>,
    until: Time,
}

/// The keys that are watched on one node.
#[derive(Debug, Clone, Default)]
pub struct Consensus {
    checks: BTreeMap<Arc<str>, Check>,
    waits: Vec<Wait>,
    /// The topology, and who is known to have seen it. It stays so while pictures of the same topology follow each other.
    confirmed: (u64, BTreeSet<UniqueAddress>),
}

impl Consensus {
    /// Watches a key; once more replaces what is taken from it. Returns false if [`CHECKS_MAX`] keys are watched already.
    /// [`Consensus::update`] is to follow.
    pub fn register(&mut self, key: Arc<str>, extract: Extract) -> bool {
        if CHECKS_MAX <= self.checks.len() && !self.checks.contains_key(&key) {
            return false;
        }
        let agreed = self.checks.get(&key).and_then(|check| check.agreed);
        self.checks.insert(key, Check { extract, agreed });
        true
    }

    /// Watches a key no more; who waits for it waits in vain.
    pub fn drop_key(&mut self, key: &str, out: &mut Vec<ConsensusEvent>) {
        self.checks.remove(key);
        self.end_waits(|wait| (*wait.key == *key).then_some(None), out);
    }

    /// Whether nothing is watched, so that [`Consensus::update`] need not be called.
    pub fn is_idle(&self) -> bool {
        self.checks.is_empty()
    }

    /// What all agree on now. None if they do not, or the key is not watched.
    pub fn agreed(&self, key: &str) -> Option<u64> {
        self.checks.get(key)?.agreed
    }

    /// Waits until a watched key is agreed on, at most until `until`. A key that is not watched ends the wait at once. Returns false if
    /// [`WAITS_MAX`] wait already.
    pub fn wait(
        &mut self,
        id: WaitId,
        key: Arc<str>,
        until: Time,
        out: &mut Vec<ConsensusEvent>,
    ) -> bool {
        match self.checks.get(&key) {
            Some(Check { agreed: None, .. }) if WAITS_MAX <= self.waits.len() => return false,
            Some(Check { agreed: None, .. }) => self.waits.push(Wait { id, key, until }),
            Some(Check { agreed: value, .. }) => {
                let value = *value;
                out.push(ConsensusEvent::Waited { id, value });
            }
            None => out.push(ConsensusEvent::Waited { id, value: None }),
        }
        true
    }

    /// When [`Consensus::wake`] has something to do.
    pub fn next_wake(&self) -> Option<Time> {
        self.waits.iter().map(|wait| wait.until).min()
    }

    /// Ends the waits whose time is up.
    pub fn wake(&mut self, now: Time, out: &mut Vec<ConsensusEvent>) {
        self.end_waits(|wait| (wait.until <= now).then_some(None), out);
    }

    /// Looks at every key again: the view or the shared state has changed.
    pub fn update(
        &mut self,
        view: &Electorate,
        state: &SharedState,
        out: &mut Vec<ConsensusEvent>,
    ) {
        let (topology, confirmed) = &mut self.confirmed;
        if *topology != view.topology {
            *topology = view.topology;
            confirmed.clear();
        }
        confirmed.extend(view.seen.iter().cloned());
        confirmed.retain(|node| view.voters.contains(node) || view.seen.contains(node));
        let is_shared = !view.voters.is_empty() && view.voters.is_subset(confirmed);
        for (key, check) in &mut self.checks {
            let agreed = if !is_shared {
                None
            } else if **key == *TOPOLOGY {
                Some(view.topology)
            } else {
                unanimous(view, state, key, check.extract)
            };
            if agreed == check.agreed {
                continue;
            }
            if check.agreed.is_some() {
                let key = Arc::clone(key);
                out.push(ConsensusEvent::Lost { key });
            }
            if let Some(value) = agreed {
                let key = Arc::clone(key);
                out.push(ConsensusEvent::Agreed { key, value });
            }
            check.agreed = agreed;
        }
        let agreed: BTreeMap<Arc<str>, u64> = self
            .checks
            .iter()
            .filter_map(|(key, check)| Some((Arc::clone(key), check.agreed?)))
            .collect();
        self.end_waits(|wait| agreed.get(&wait.key).map(|value| Some(*value)), out);
    }

    /// Ends every wait for which `over` has an answer.
    fn end_waits(
        &mut self,
        over: impl Fn(&Wait) -> Option<Option<u64>>,
        out: &mut Vec<ConsensusEvent>,
    ) {
        self.waits.retain(|wait| {
            let Some(value) = over(wait) else {
                return true;
            };
            out.push(ConsensusEvent::Waited { id: wait.id, value });
            false
        });
    }
}

/// What every voter has published, if it is the same.
fn unanimous(view: &Electorate, state: &SharedState, key: &str, extract: Extract) -> Option<u64> {
    let mut voters = view.voters.iter();
    let of = |node: &UniqueAddress| (extract.of)(state.get_of(node, key)?);
    let first = of(voters.next()?)?;
    voters.all(|node| of(node) == Some(first)).then_some(first)
}
