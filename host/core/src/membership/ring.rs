//! Who watches whom within a data centre: each node its next few on a ring of uids.
//!
//! A uid is random, so its order is a shuffle of the nodes that everybody agrees on. In: members that come and go, and who is unreachable
//! in the view. Out: heartbeats and verdicts.
//!
//! Invariants: a node never watches itself; nobody who was removed is watched; an answer never changes the ring; a node that became
//! unavailable while it was watched stays watched until it answers or is removed, so that its coming back is seen.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::{Address, UniqueAddress};
use super::heartbeat::{HeartbeatSettings, Ping, Pulse, Verdict, Watch};
use crate::id::Time;

#[cfg(test)]
mod tests;

/// The nodes of a data centre, in the order of their uids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    places: BTreeSet<(u64, Address)>,
    unreachable: BTreeSet<UniqueAddress>,
    monitored: usize,
}

impl Ring {
    /// A ring in which each node watches `monitored` others.
    pub fn new(monitored: usize) -> Self {
        Self {
            places: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            monitored,
        }
    }

    /// Puts a node in.
    pub fn insert(&mut self, node: &UniqueAddress) {
        self.places.insert(place(node));
    }

    /// Takes a node out.
    pub fn remove(&mut self, node: &UniqueAddress) {
        self.places.remove(&place(node));
        self.unreachable.remove(node);
    }

    /// Notes whether the view holds a node unreachable.
    pub fn set_reachable(&mut self, node: &UniqueAddress, reachable: bool) {
        if reachable {
            self.unreachable.remove(node);
        } else {
            self.unreachable.insert(node.clone());
        }
    }

    /// Whether the node is on the ring.
    pub fn contains(&self, node: &UniqueAddress) -> bool {
        self.places.contains(&place(node))
    }

    /// Whom `sender` watches: its successors, until as many reachable ones are found as it may watch. Unreachable ones on the way are
    /// watched, too, while there is room: when many nodes go at once, somebody must see each of them go, or none of them could be removed.
    pub fn receivers(&self, sender: &UniqueAddress) -> BTreeSet<UniqueAddress> {
        let from = place(sender);
        let behind = self.places.range((
            core::ops::Bound::Excluded(&from),
            core::ops::Bound::Unbounded,
        ));
        let successors = behind
            .chain(self.places.range(..&from))
            .map(|(uid, address)| UniqueAddress::new(address.clone(), *uid));
        if self.places.len() <= self.monitored.saturating_add(1) {
            return successors.collect();
        }
        let mut chosen = BTreeSet::new();
        let mut wanted = self.monitored;
        for node in successors {
            if wanted == 0 {
                break;
            }
            if !self.unreachable.contains(&node) {
                wanted -= 1;
            } else if self.monitored <= chosen.len() {
                continue;
            }
            chosen.insert(node);
        }
        chosen
    }
}

fn place(node: &UniqueAddress) -> (u64, Address) {
    (node.uid, node.address.clone())
}

/// The heartbeats of one node within its data centre.
#[derive(Debug, Clone)]
pub struct Heartbeats {
    this: UniqueAddress,
    ring: Ring,
    receivers: BTreeSet<UniqueAddress>,
    /// Nodes that the ring no longer gives to this node, but that it had found silent.
    silent: BTreeSet<UniqueAddress>,
    watch: Watch,
}

impl Heartbeats {
    /// Alone on the ring. `monitored`: how many others each node watches.
    pub fn new(
        this: UniqueAddress,
        monitored: usize,
        settings: HeartbeatSettings,
        now: Time,
    ) -> Self {
        let mut ring = Ring::new(monitored);
        ring.insert(&this);
        Self {
            this,
            ring,
            receivers: BTreeSet::new(),
            silent: BTreeSet::new(),
            watch: Watch::new(settings, now),
        }
    }

    /// A member of this data centre is there; whatever its status is.
    pub fn insert(&mut self, now: Time, node: &UniqueAddress) {
        self.ring.insert(node);
        self.changed(now);
    }

    /// A member is removed: nobody waits for its answer any more.
    pub fn remove(&mut self, now: Time, node: &UniqueAddress) {
        if *node == self.this {
            return;
        }
        self.ring.remove(node);
        self.changed(now);
        self.watch.forget(node);
        self.silent.remove(node);
    }

    /// The view holds a member unreachable, or no longer.
    pub fn set_reachable(&mut self, now: Time, node: &UniqueAddress, reachable: bool) {
        if *node != self.this && self.ring.contains(node) {
            self.ring.set_reachable(node, reachable);
            self.changed(now);
        }
    }

    /// When [`Heartbeats::wake`] has something to do.
    pub fn next_wake(&self) -> Time {
        self.watch.next_wake()
    }

    /// Looks at the time, before anything else that an event brings. Returns how long this node slept, if it did.
    pub fn notice(&mut self, now: Time) -> Option<Duration> {
        self.watch.notice(now)
    }

    /// Sends a round if it is due, and suspects who has never answered.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Ping>) {
        let all = self.receivers.union(&self.silent);
        self.watch.wake(now, all, out);
    }

    /// A node has answered. None if the answer does not count.
    pub fn answered(
        &mut self,
        now: Time,
        from: &UniqueAddress,
        seq: u64,
        sent: Time,
    ) -> Option<Pulse> {
        let pulse = self.watch.answered(now, from, seq, sent)?;
        if self.silent.remove(from) && !self.receivers.contains(from) {
            self.watch.forget(from);
        }
        Some(pulse)
    }

    /// Whom this node watches.
    pub fn receivers(&self) -> impl Iterator<Item = &UniqueAddress> {
        self.receivers.union(&self.silent)
    }

    /// What is to be thought of a node. One that is not watched from here is available.
    pub fn verdict(&self, now: Time, node: &UniqueAddress) -> Verdict {
        self.watch.verdict(now, node)
    }

    /// Whether the node's silence would be noticed here.
    pub fn is_monitoring(&self, node: &UniqueAddress) -> bool {
        self.watch.is_monitoring(node)
    }

    /// The suspicion against each watched node that has answered.
    pub fn suspicions(&self, now: Time) -> impl Iterator<Item = (&UniqueAddress, f64)> {
        self.watch.suspicions(now)
    }

    fn changed(&mut self, now: Time) {
        let receivers = self.ring.receivers(&self.this);
        for node in self.receivers.difference(&receivers) {
            // A suspended verdict keeps the node, too: whether it is silent will be known in a moment.
            if self.watch.verdict(now, node) == Verdict::Available {
                self.watch.forget(node);
            } else {
                self.silent.insert(node.clone());
            }
        }
        self.receivers = receivers;
    }
}
