//! How a node finds its cluster, or forms the first one.
//!
//! In: contact points, and their answers. Out: whom to ask, and at last whether to form a cluster here.
//!
//! Invariants: a node forms a cluster only if it is itself a contact point, and the one that the others would choose, too; never before the
//! required number has answered; and a node that once belonged to a cluster never does because of somebody's silence.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::Address;
use super::message::ClusterId;
use super::settings::{BootstrapMode, BootstrapSettings};
use crate::id::Time;

/// How often contact points are asked.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// An answer counts for so long; whoever gave it may have joined meanwhile.
const ANSWER_COUNTS: Duration = Duration::from_millis(3500);
/// The most contact points that are asked; what discovery names beyond them is left out.
pub(super) const CONTACT_POINTS_MAX: usize = 1024;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask these whether they belong to a cluster.
    Ask(Vec<Address>),
    /// Form a cluster here.
    Form,
}

/// The search for a cluster.
#[derive(Debug, Clone)]
pub(super) struct Bootstrap {
    this: Address,
    settings: BootstrapSettings,
    seed_node_timeout: Duration,
    known: Option<ClusterId>,
    contact_points: Vec<Address>,
    started: Time,
    changed: Time,
    next_ask: Time,
    /// Who belongs to no cluster, and when they said so.
    alone: BTreeMap<Address, Time>,
}

impl Bootstrap {
    /// Starts to search. `known` is the cluster that this node once belonged to.
    pub(super) fn new(
        this: Address,
        settings: (&BootstrapSettings, Duration),
        known: Option<ClusterId>,
        contact_points: Vec<Address>,
        now: Time,
    ) -> Self {
        let mut bootstrap = Self {
            this,
            settings: settings.0.clone(),
            seed_node_timeout: settings.1,
            known,
            contact_points: Vec::new(),
            started: now,
            changed: now,
            next_ask: now,
            alone: BTreeMap::new(),
        };
        bootstrap.contacts(now, contact_points);
        bootstrap
    }

    /// Discovery found these.
    pub(super) fn contacts(&mut self, now: Time, contact_points: Vec<Address>) {
        let mut distinct: Vec<Address> = Vec::new();
        for address in contact_points {
            if !distinct.contains(&address) && distinct.len() < CONTACT_POINTS_MAX {
                distinct.push(address);
            }
        }
        if distinct == self.contact_points {
            return;
        }
        self.alone.retain(|address, _| distinct.contains(address));
        self.contact_points = distinct;
        self.changed = now;
        self.next_ask = now;
    }

    /// The contact points, in the order they were listed.
    pub(super) fn contact_points(&self) -> &[Address] {
        &self.contact_points
    }

    /// A contact point says that it belongs to no cluster, and which one it once belonged to.
    pub(super) fn is_alone(&mut self, now: Time, from: &Address, known: Option<ClusterId>) {
        if !self.contact_points.contains(from) || *from == self.this {
            return;
        }
        if known.is_some() && self.known.is_some() && known != self.known {
            // It waits for another cluster: what it says is no reason to form this one again.
            self.alone.remove(from);
            return;
        }
        self.alone.insert(from.clone(), now);
    }

    /// Begins again: a join through one of them did not succeed.
    pub(super) fn restart(&mut self, now: Time, next_ask: Time) {
        self.started = now;
        self.next_ask = next_ask;
        self.alone.clear();
    }

    /// When [`Bootstrap::step`] has something to do; none without contact points.
    pub(super) fn next_wake(&self) -> Option<Time> {
        (!self.contact_points.is_empty()).then_some(self.next_ask)
    }

    /// What to do now, if anything.
    pub(super) fn step(&mut self, now: Time) -> Option<Step> {
        if self.may_form(now) {
            return Some(Step::Form);
        }
        if now < self.next_ask || self.contact_points.is_empty() {
            return None;
        }
        self.next_ask = now.after(ASK_INTERVAL);
        let others = self.others().cloned().collect();
        Some(Step::Ask(others))
    }

    fn others(&self) -> impl Iterator<Item = &Address> {
        self.contact_points
            .iter()
            .filter(|address| **address != self.this)
    }

    fn may_form(&self, now: Time) -> bool {
        let fresh = |at: &Time| now.since(*at) < ANSWER_COUNTS;
        let answered = self.alone.values().filter(|at| fresh(at)).count();
        let others = self.others().count();
        if !self.settings.new_cluster_enabled
            || !self.contact_points.contains(&self.this)
            || answered + 1 < self.settings.required_contact_points as usize
        {
            return false;
        }
        let all = answered == others;
        if self.known.is_some() && !(all && 0 < others) {
            // The others may well go on without this node: their silence means nothing.
            return false;
        }
        match self.settings.mode {
            BootstrapMode::SeedNodes => {
                self.contact_points.first() == Some(&self.this)
                    && (all || self.seed_node_timeout <= now.since(self.started))
            }
            BootstrapMode::StableObservation => {
                self.contact_points.iter().min() == Some(&self.this)
                    && self.settings.stable_margin <= now.since(self.changed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn address(host: &str) -> Address {
        Address::new(host, 7000).unwrap()
    }

    fn at(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    fn contact_points(hosts: &[&str]) -> Vec<Address> {
        hosts.iter().map(|host| address(host)).collect()
    }

    fn bootstrap(
        this: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut BootstrapSettings),
    ) -> Bootstrap {
        let mut settings = BootstrapSettings::default();
        change(&mut settings);
        let settings = (&settings, Duration::from_secs(5));
        Bootstrap::new(address(this), settings, None, contact_points(hosts), at(0))
    }

    fn ask(hosts: &[&str]) -> Option<Step> {
        Some(Step::Ask(contact_points(hosts)))
    }

    #[test]
    fn a_lone_first_contact_point_forms_at_once() {
        assert_eq!(
            bootstrap("a", &["a", "a"], |_| {}).step(at(0)),
            Some(Step::Form)
        );
    }

    #[test]
    fn the_first_forms_when_all_others_are_alone_too() {
        let mut first = bootstrap("a", &["a", "b", "c"], |_| {});
        assert_eq!(first.step(at(0)), ask(&["b", "c"]));
        first.is_alone(at(10), &address("b"), None);
        assert_eq!(first.step(at(10)), None);
        first.is_alone(at(20), &address("c"), None);
        assert_eq!(first.step(at(20)), Some(Step::Form));
    }

    #[test]
    fn the_first_forms_when_the_others_are_silent_for_the_timeout() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        for second in 0..5 {
            assert_eq!(first.step(at(1000 * second)), ask(&["b"]));
            assert_eq!(first.next_wake(), Some(at(1000 * second + 1000)));
        }
        assert_eq!(first.step(at(5000)), Some(Step::Form));
    }

    #[test]
    fn nobody_but_the_first_forms() {
        for this in ["b", "z"] {
            let mut other = bootstrap(this, &["a", "b"], |_| {});
            other.is_alone(at(0), &address("a"), None);
            other.is_alone(at(0), &address("b"), None);
            assert!(matches!(other.step(at(60_000)), Some(Step::Ask(_))));
        }
    }

    #[test]
    fn the_first_waits_for_the_required_contact_points_however_long() {
        let mut first = bootstrap("a", &["a", "b", "c"], |settings| {
            settings.required_contact_points = 2;
        });
        assert_eq!(first.step(at(60_000)), ask(&["b", "c"]));
        first.is_alone(at(60_010), &address("c"), None);
        assert_eq!(first.step(at(60_010)), Some(Step::Form));
    }

    #[test]
    fn an_old_answer_does_not_count() {
        let mut first = bootstrap("a", &["a", "b", "c"], |settings| {
            settings.required_contact_points = 2;
        });
        first.is_alone(at(0), &address("b"), None);
        assert_eq!(first.step(at(5000)), ask(&["b", "c"]));
    }

    #[test]
    fn a_stranger_does_not_count() {
        let mut first = bootstrap("a", &["a", "b"], |settings| {
            settings.required_contact_points = 2;
        });
        first.is_alone(at(0), &address("x"), None);
        first.is_alone(at(0), &address("a"), None);
        assert_eq!(first.step(at(6000)), ask(&["b"]));
    }

    #[test]
    fn one_that_knows_its_cluster_never_forms_one_for_silence() {
        let mut first = bootstrap("a", &["a", "b"], |_| {});
        first.known = Some(ClusterId(1));
        assert_eq!(first.step(at(60_000)), ask(&["b"]));
        let mut lone = bootstrap("a", &["a"], |_| {});
        lone.known = Some(ClusterId(1));
        assert_eq!(lone.step(at(60_000)), ask(&[]));
    }

    #[test]
    fn a_cluster_that_stopped_whole_forms_again_when_all_say_so() {
        let mut first = bootstrap("a", &["a", "b", "c"], |_| {});
        first.known = Some(ClusterId(1));
        first.is_alone(at(0), &address("b"), Some(ClusterId(1)));
        first.is_alone(at(0), &address("c"), Some(ClusterId(2)));
        assert_eq!(first.step(at(0)), ask(&["b", "c"]));
        first.is_alone(at(10), &address("c"), Some(ClusterId(1)));
        assert_eq!(first.step(at(10)), Some(Step::Form));
    }

    #[test]
    fn by_observation_the_lowest_forms_once_the_set_is_stable() {
        let stable = |settings: &mut BootstrapSettings| {
            settings.mode = BootstrapMode::StableObservation;
            settings.required_contact_points = 2;
        };
        let mut lowest = bootstrap("a", &["c", "a"], stable);
        assert_eq!(lowest.step(at(0)), ask(&["c"]));
        lowest.contacts(at(3000), contact_points(&["c", "a", "b"]));
        lowest.is_alone(at(7000), &address("b"), None);
        assert_eq!(lowest.step(at(7999)), ask(&["c", "b"]));
        assert_eq!(lowest.step(at(8000)), Some(Step::Form));
        let mut other = bootstrap("b", &["c", "a", "b"], stable);
        other.is_alone(at(9000), &address("a"), None);
        other.is_alone(at(9000), &address("c"), None);
        assert_eq!(other.step(at(9000)), ask(&["c", "a"]));
    }

    #[test]
    fn a_node_that_may_not_form_a_cluster_does_not() {
        let mut first = bootstrap("a", &["a"], |settings| settings.new_cluster_enabled = false);
        assert_eq!(first.step(at(60_000)), ask(&[]));
    }

    #[test]
    fn without_contact_points_there_is_nothing_to_wait_for() {
        let mut node = bootstrap("a", &[], |_| {});
        assert_eq!((node.step(at(0)), node.next_wake()), (None, None));
        node.contacts(at(5), vec![address("b")]);
        assert_eq!(node.next_wake(), Some(at(5)));
    }
}
