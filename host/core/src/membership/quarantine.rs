//! Which incarnations are shut out, and until when.
//!
//! Keyed by incarnation: a node that comes back at the same address is another one and is let in at once. Nobody is declared dead because of
//! an entry here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::UniqueAddress;
use super::settings::QuarantineSettings;
use crate::id::Time;

/// The most incarnations that are remembered; beyond it, the one whose time is up first is let go.
pub(super) const QUARANTINED_MAX: usize = 65_536;

/// The incarnations that are shut out.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    removed_node_after: Duration,
    time_to_live: Duration,
    /// Until when.
    shut_out: BTreeMap<UniqueAddress, Time>,
    /// Who was removed, and when it is to be shut out.
    pending: BTreeMap<UniqueAddress, Time>,
}

impl Quarantine {
    /// Shuts nobody out.
    pub(super) fn new(settings: &QuarantineSettings) -> Self {
        Self {
            removed_node_after: settings.removed_node_after,
            time_to_live: settings.time_to_live,
            shut_out: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// A member was removed: after a while, in which its last words may still come, it is shut out.
    pub(super) fn removed(&mut self, now: Time, node: &UniqueAddress) {
        if !self.shut_out.contains_key(node) && self.pending.len() < QUARANTINED_MAX {
            let when = now.after(self.removed_node_after);
            self.pending.entry(node.clone()).or_insert(when);
        }
    }

    /// Shuts one out at once. Returns until when; none if it is already.
    pub(super) fn shut_out(&mut self, now: Time, node: &UniqueAddress) -> Option<Time> {
        if self.shut_out.contains_key(node) {
            return None;
        }
        if QUARANTINED_MAX <= self.shut_out.len() {
            let first = self.shut_out.iter().min_by_key(|(_, until)| **until);
            let first = first.map(|(node, _)| node.clone());
            first.and_then(|node| self.shut_out.remove(&node));
        }
        self.pending.remove(node);
        let until = now.after(self.time_to_live);
        self.shut_out.insert(node.clone(), until);
        Some(until)
    }

    /// Lets one in again. Returns whether it was shut out, or about to be.
    pub(super) fn clear(&mut self, node: &UniqueAddress) -> bool {
        let pending = self.pending.remove(node).is_some();
        self.shut_out.remove(node).is_some() || pending
    }

    /// Whether it is shut out.
    pub(super) fn holds(&self, node: &UniqueAddress) -> bool {
        self.shut_out.contains_key(node)
    }

    /// Everyone who is shut out, and until when.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&UniqueAddress, Time)> {
        self.shut_out.iter().map(|(node, until)| (node, *until))
    }

    /// When [`Quarantine::wake`] has something to do.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let times = self.pending.values().chain(self.shut_out.values());
        times.min().copied()
    }

    /// Lets those go whose time is up. Returns who is shut out from now on, and until when.
    pub(super) fn wake(&mut self, now: Time) -> Vec<(UniqueAddress, Time)> {
        self.shut_out.retain(|_, until| now < *until);
        let due = self.pending.iter().filter(|(_, when)| **when <= now);
        let due: Vec<UniqueAddress> = due.map(|(node, _)| node.clone()).collect();
        let shut_out = due.into_iter().filter_map(|node| {
            let until = self.shut_out(now, &node)?;
            Some((node, until))
        });
        shut_out.collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::membership::address::Address;

    fn node(uid: u64) -> UniqueAddress {
        UniqueAddress::new(Address::new("a", 7000).unwrap(), uid)
    }

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    const DAY: u64 = 24 * 3600;

    #[test]
    fn a_removed_incarnation_is_shut_out_after_a_while_and_another_one_is_not() {
        let mut quarantine = Quarantine::new(&QuarantineSettings::default());
        quarantine.removed(at(0), &node(1));
        assert!(!quarantine.holds(&node(1)));
        assert_eq!(quarantine.next_wake(), Some(at(5)));
        assert_eq!(quarantine.wake(at(4)), vec![]);
        assert_eq!(quarantine.wake(at(5)), vec![(node(1), at(DAY + 5))]);
        assert!(quarantine.holds(&node(1)) && !quarantine.holds(&node(2)));
        assert_eq!(
            quarantine.iter().collect::<Vec<_>>(),
            [(&node(1), at(DAY + 5))]
        );
        assert_eq!(quarantine.next_wake(), Some(at(DAY + 5)));
        assert_eq!(quarantine.wake(at(DAY + 5)), vec![]);
        assert!(!quarantine.holds(&node(1)));
        assert_eq!(quarantine.next_wake(), None);
    }

    #[test]
    fn an_operator_lets_one_in_again() {
        let mut quarantine = Quarantine::new(&QuarantineSettings::default());
        assert_eq!(quarantine.shut_out(at(0), &node(1)), Some(at(DAY)));
        assert_eq!(quarantine.shut_out(at(9), &node(1)), None);
        assert!(quarantine.clear(&node(1)));
        assert!(!quarantine.clear(&node(1)));
        assert!(!quarantine.holds(&node(1)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut quarantine = Quarantine::new(&QuarantineSettings::default());
        for uid in 0..=QUARANTINED_MAX as u64 {
            quarantine.shut_out(at(uid), &node(uid));
        }
        assert_eq!(quarantine.iter().count(), QUARANTINED_MAX);
        assert!(!quarantine.holds(&node(0)) && quarantine.holds(&node(1)));
    }
}
