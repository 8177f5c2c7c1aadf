//! Who watches whom between data centres: the few oldest of each the few oldest of every other.
//!
//! In: members of every data centre. Out: heartbeats and verdicts; none while this node is not among the oldest of its own data centre.
//!
//! Invariants: only members that have been up count; nobody of this node's data centre is watched; a node that stops being one of the
//! oldest is forgotten, and so are all when this node stops being one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::UniqueAddress;
use super::heartbeat::{HeartbeatSettings, Ping, Pulse, Verdict, Watch};
use super::member::{Member, Status};
use crate::id::Time;

#[cfg(test)]
mod tests;

/// The heartbeats of one node to other data centres.
#[derive(Debug, Clone)]
pub struct CrossDcHeartbeats {
    this: UniqueAddress,
    dc: Arc<str>,
    per_dc: usize,
    /// The members of each data centre by age, the oldest first.
    members: BTreeMap<Arc<str>, BTreeSet<(u32, UniqueAddress)>>,
    /// Where in `members` a node stands.
    places: BTreeMap<UniqueAddress, (Arc<str>, u32)>,
    receivers: BTreeSet<UniqueAddress>,
    watch: Watch,
}

impl CrossDcHeartbeats {
    /// Knows nobody. `per_dc`: how many of the oldest of a data centre watch and are watched.
    pub fn new(
        this: UniqueAddress,
        dc: Arc<str>,
        per_dc: usize,
        settings: HeartbeatSettings,
        now: Time,
    ) -> Self {
        Self {
            this,
            dc,
            per_dc,
            members: BTreeMap::new(),
            places: BTreeMap::new(),
            receivers: BTreeSet::new(),
            watch: Watch::new(settings, now),
        }
    }

    /// A member of any data centre is there, or has another status.
    pub fn update(&mut self, member: &Member) {
        self.take(&member.node);
        let has_been_up = match member.status {
            Status::Joining | Status::WeaklyUp | Status::Removed => false,
            Status::Up
            | Status::PreparingForShutdown
            | Status::ReadyForShutdown
            | Status::Leaving
            | Status::Exiting
            | Status::Down => true,
        };
        if has_been_up {
            // Who was never up and is nevertheless leaving comes after everybody with an age.
            let age = member.up_number.unwrap_or(u32::MAX);
            let dc = Arc::clone(&member.profile.dc);
            let members = self.members.entry(Arc::clone(&dc)).or_default();
            members.insert((age, member.node.clone()));
            self.places.insert(member.node.clone(), (dc, age));
        }
        self.changed();
    }

    /// A member is removed.
    pub fn remove(&mut self, node: &UniqueAddress) {
        self.take(node);
        self.changed();
    }

    /// Whether this node is one of those that watch.
    pub fn is_active(&self) -> bool {
        let own = self.members.get(&self.dc).into_iter().flatten();
        own.take(self.per_dc).any(|(_, node)| *node == self.this)
    }

    /// When [`CrossDcHeartbeats::wake`] has something to do.
    pub fn next_wake(&self) -> Time {
        self.watch.next_wake()
    }

    /// Looks at the time, before anything else that an event brings. Returns how long this node slept, if it did.
    pub fn notice(&mut self, now: Time) -> Option<Duration> {
        self.watch.notice(now)
    }

    /// Sends a round if it is due, and suspects who has never answered.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Ping>) {
        self.watch.wake(now, &self.receivers, out);
    }

    /// A node has answered. None if the answer does not count.
    pub fn answered(
        &mut self,
        now: Time,
        from: &UniqueAddress,
        seq: u64,
        sent: Time,
    ) -> Option<Pulse> {
        self.watch.answered(now, from, seq, sent)
    }

    /// Whom this node watches.
    pub fn receivers(&self) -> impl Iterator<Item = &UniqueAddress> {
        self.receivers.iter()
    }

    /// What is to be thought of a node. One that is not watched from here is available.
    pub fn verdict(&self, now: Time, node: &UniqueAddress) -> Verdict {
        self.watch.verdict(now, node)
    }

    /// The suspicion against each watched node that has answered.
    pub fn suspicions(&self, now: Time) -> impl Iterator<Item = (&UniqueAddress, f64)> {
        self.watch.suspicions(now)
    }

    fn take(&mut self, node: &UniqueAddress) {
        let Some((dc, age)) = self.places.remove(node) else {
            return;
        };
        if let Some(members) = self.members.get_mut(&dc) {
            members.remove(&(age, node.clone()));
            if members.is_empty() {
                self.members.remove(&dc);
            }
        }
    }

    fn changed(&mut self) {
        let mut receivers = BTreeSet::new();
        if self.is_active() {
            let others = self.members.iter().filter(|(dc, _)| **dc != self.dc);
            let oldest = others.flat_map(|(_, members)| members.iter().take(self.per_dc));
            receivers.extend(oldest.map(|(_, node)| node.clone()));
        }
        for node in self.receivers.difference(&receivers) {
            self.watch.forget(node);
        }
        self.receivers = receivers;
    }
}
