//! One node's picture of the cluster, and how two pictures become one.
//!
//! A picture holds the members, what they say of each other, the removed, a version, and who has seen this very version. Two pictures of one
//! version are equal but for who has seen them.
//!
//! Invariants: an incarnation is a member or has a tombstone, never both; only members are seen, observe and are observed; the version
//! counts members and tombstones alone. [`Gossip::merge`] is commutative, associative and idempotent, and brings nobody back.
//!
//! Three rules differ from Pekko's. A member that only one side knows stays unless the other has its tombstone, even if it is down or
//! exiting: Pekko takes it for removed, from a time before tombstones, and its merge is not associative for that. A removed member's counter stays in
//! the version as long as its tombstone: where Pekko drops it, two different pictures can have one version, and whoever the removed node let
//! in at the last moment is lost to half of the cluster. Tombstones carry no time, since nodes' clocks differ; each node reckons from
//! when it first saw one ([`Graves`]).
//!
//! Between nodes a picture goes whole, or as a [`Delta`] on one of the pictures that its receiver had ([`History`]): the same picture either way.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::address::{Address, UniqueAddress};
use super::member::Member;
use super::reachability::Reachability;
use super::vector_clock::{ClockNode, Relation, VectorClock};
pub use change::{Change, ChangeError};
pub use delta::{Delta, DeltaError, VersionDigest};
pub use form::FormError;
pub use graves::Graves;
pub use history::{History, Telling};
pub use seen::Seen;
pub use sparse::SparseSeen;

mod change;
mod seen;
mod sparse;

mod form;

mod delta;
mod history;

mod graves;

/// The most members of a cluster.
pub const MEMBERS_MAX: usize = 10_000;
/// The most removed incarnations that are remembered.
pub const TOMBSTONES_MAX: usize = 10_000;

/// One node's picture of the cluster. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "form::Form", try_from = "form::Form")]
pub struct Gossip {
    /// In the order of their addresses.
    members: Arc<Vec<Member>>,
    /// Which of them have seen this version.
    seen: Seen,
    reachability: Arc<Reachability>,
    version: Arc<VectorClock>,
    tombstones: Arc<BTreeSet<UniqueAddress>>,
}

/// What comes of a picture that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// The picture that holds now.
    pub gossip: Gossip,
    /// How the one before stood to the one that arrived.
    pub relation: Relation,
    /// Whether the sender lacks something: changes, or who has seen them.
    pub talk_back: bool,
}

impl Gossip {
    /// The members, in the order of their addresses.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The members, to be kept.
    pub fn shared_members(&self) -> Arc<Vec<Member>> {
        self.members.clone()
    }

    /// A member.
    pub fn member(&self, node: &UniqueAddress) -> Option<&Member> {
        self.members.get(self.index(node)?)
    }

    /// Whether an incarnation is a member.
    pub fn has(&self, node: &UniqueAddress) -> bool {
        self.index(node).is_some()
    }

    /// The members at an address: usually one; two incarnations where two sides of a partition let one in each.
    pub fn at(&self, address: &Address) -> impl Iterator<Item = &Member> {
        let first = self
            .members
            .partition_point(|member| member.node.address < *address);
        let rest = self.members.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |member| member.node.address == *address)
    }

    /// Who says what of whom.
    pub fn reachability(&self) -> &Reachability {
        &self.reachability
    }

    /// The same, to be kept.
    pub fn shared_reachability(&self) -> Arc<Reachability> {
        self.reachability.clone()
    }

    /// The version.
    pub fn version(&self) -> &Arc<VectorClock> {
        &self.version
    }

    /// The incarnations that were removed and must not come back.
    pub fn tombstones(&self) -> &Arc<BTreeSet<UniqueAddress>> {
        &self.tombstones
    }

    /// Which members have seen this version, by their place among [`Self::members`].
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Who has seen this version.
    pub fn seen_by(&self) -> impl Iterator<Item = &UniqueAddress> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(at, member)| self.seen.has(at).then_some(&member.node))
    }

    /// Whether a member has seen this version.
    pub fn is_seen_by(&self, node: &UniqueAddress) -> bool {
        self.index(node).is_some_and(|at| self.seen.has(at))
    }

    /// Begins a change by a member. What is changed through it becomes one new version, seen by that member alone.
    pub fn change<'a>(&'a mut self, by: &'a UniqueAddress) -> Change<'a> {
        Change::new(self, by)
    }

    /// A member has seen this version.
    pub fn see(&mut self, node: &UniqueAddress) {
        if let Some(at) = self.index(node) {
            self.seen.insert(at);
        }
    }

    /// A member does not count as having seen this version: it is exiting and still at it, or down.
    pub fn unsee(&mut self, node: &UniqueAddress) {
        if let Some(at) = self.index(node) {
            self.seen.remove(at);
        }
    }

    /// Adds who has seen it according to another picture, which must be of the same version.
    pub fn union_seen(&mut self, seen: &Seen) {
        self.seen.union(seen, self.members.len());
    }

    /// The same picture, seen by others: those places must be places of its members.
    #[must_use]
    pub fn seen_as(&self, seen: Seen) -> Self {
        Self {
            seen,
            ..self.clone()
        }
    }

    /// How many things a picture says.
    fn items(&self) -> usize {
        let said = self.reachability.observers.values();
        let rows = said.map(|said| 1 + said.rows.len());
        self.members.len() + self.tombstones.len() + self.version.len() + rows.sum::<usize>()
    }

    /// How this picture stands to another.
    ///
    /// What a removed node did is left out where one side has forgotten its tombstone: that it was removed, and then forgotten, are counted
    /// as changes of others.
    pub fn relation(&self, other: &Self) -> Relation {
        if self.tombstones == other.tombstones {
            return self.version.compare(&other.version);
        }
        let only = |this: &Self, that: &Self| {
            let only = this.tombstones.difference(&that.tombstones);
            let forgotten = only.filter(|node| !that.has(node));
            forgotten.map(ClockNode::from).collect::<BTreeSet<_>>()
        };
        let (ours, theirs) = (only(self, other), only(other, self));
        let forgotten = |node| ours.contains(&node) || theirs.contains(&node);
        self.version.compare_without(&other.version, forgotten)
    }

    /// What both pictures know, seen by nobody yet.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let tombstones = if self.tombstones == other.tombstones {
            self.tombstones.clone()
        } else {
            Arc::new(self.tombstones.union(&other.tombstones).cloned().collect())
        };
        let members = if Arc::ptr_eq(&self.members, &other.members) {
            self.members.clone()
        } else {
            Arc::new(merge_members(&self.members, &other.members, &tombstones))
        };
        let of_merged = Self {
            members,
            tombstones,
            ..Self::default()
        };
        let same_removed = self.tombstones == other.tombstones;
        let reachability = if same_removed && self.reachability == other.reachability {
            self.reachability.clone()
        } else {
            let is_member = |node: &UniqueAddress| of_merged.has(node);
            Arc::new(self.reachability.merge(&other.reachability, is_member))
        };
        Self {
            reachability,
            version: Arc::new(self.version.merge(&other.version)),
            ..of_merged
        }
    }

    /// Takes in a picture that another member sent. `see`: this node counts as having seen what comes of it.
    ///
    /// Who may send one, to whom and how late is the caller's to check.
    pub fn reconcile(&self, remote: &Self, me: &UniqueAddress, see: bool) -> Reconciled {
        let relation = self.relation(remote);
        let (mut gossip, talk_back) = match relation {
            Relation::Same => {
                let mut gossip = self.clone();
                gossip.union_seen(&remote.seen);
                (gossip, !remote.is_seen_by(me))
            }
            Relation::After => (self.clone(), true),
            Relation::Before => (remote.clone(), !remote.is_seen_by(me)),
            Relation::Concurrent => (self.merge(remote), true),
        };
        if see {
            gossip.see(me);
        }
        Reconciled {
            gossip,
            relation,
            talk_back,
        }
    }

    /// Whether one node, in its own eyes, can reach another.
    pub fn can_reach(&self, from: &UniqueAddress, to: &UniqueAddress) -> bool {
        self.reachability.is_reachable_from(from, to)
    }

    /// The place of a member.
    pub fn index(&self, node: &UniqueAddress) -> Option<usize> {
        let found = self
            .members
            .binary_search_by(|member| member.node.cmp(node));
        found.ok()
    }
}

/// Both lists as one. Both are sorted, and so is the result.
fn merge_members(
    ours: &[Member],
    theirs: &[Member],
    tombstones: &BTreeSet<UniqueAddress>,
) -> Vec<Member> {
    let mut merged = Vec::with_capacity(ours.len().max(theirs.len()));
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(our), Some(their)) => our.node.cmp(&their.node),
        };
        let our = ours.next_if(|_| order.is_le());
        let their = theirs.next_if(|_| order.is_ge());
        let member = match (our, their) {
            (Some(our), Some(their)) => our.merge(their),
            (Some(member), None) | (None, Some(member)) => member.clone(),
            (None, None) => continue,
        };
        if !tombstones.contains(&member.node) {
            merged.push(member);
        }
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
