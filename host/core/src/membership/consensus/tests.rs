use super::*;
use crate::membership::address::Address;
use crate::membership::settings::SharedStateSettings;
use crate::membership::shared::{SharedDigest, SharedState};

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// Three nodes that agree on the topology 1, and what each has published under `k`.
struct Bench {
    consensus: Consensus,
    states: Vec<SharedState>,
    view: Electorate,
}

impl Bench {
    fn new() -> Self {
        let names = ["a", "b", "c"];
        let state = |name: &str| {
            let mut state = SharedState::new(node(name), SharedStateSettings::default());
            names.iter().for_each(|other| state.insert(&node(other)));
            state
        };
        let all: BTreeSet<UniqueAddress> = names.iter().map(|name| node(name)).collect();
        let mut consensus = Consensus::default();
        assert!(consensus.is_idle());
        assert!(consensus.register("k".into(), Extract::NUMBER));
        assert!(!consensus.is_idle());
        Self {
            consensus,
            states: names.iter().map(|name| state(name)).collect(),
            view: Electorate {
                topology: 1,
                voters: all.clone(),
                seen: all,
            },
        }
    }

    /// The node publishes a number, and `a` learns it.
    fn publish(&mut self, at: usize, number: u64) {
        let value = number.to_le_bytes().as_slice().into();
        self.states[at].set("k".into(), value).unwrap();
        let ask = SharedDigest::Parts {
            parts: u32::MAX,
            known: Arc::new(BTreeMap::new()),
            ask: false,
        };
        if let Some(delta) = self.states[at].compare(&ask).delta {
            self.states[0].apply(&delta);
        }
    }

    fn update(&mut self) -> Vec<ConsensusEvent> {
        let mut out = Vec::new();
        self.consensus.update(&self.view, &self.states[0], &mut out);
        out
    }
}

fn agreed(value: u64) -> ConsensusEvent {
    let key = "k".into();
    ConsensusEvent::Agreed { key, value }
}

fn lost() -> ConsensusEvent {
    ConsensusEvent::Lost { key: "k".into() }
}

#[test]
fn equal_values_of_all_are_agreement_and_another_value_ends_it() {
    let mut bench = Bench::new();
    bench.publish(0, 7);
    bench.publish(1, 7);
    assert_eq!(bench.update(), []);
    bench.publish(2, 7);
    assert_eq!(bench.update(), [agreed(7)]);
    assert_eq!(bench.update(), []);
    assert_eq!(bench.consensus.agreed("k"), Some(7));
    bench.publish(1, 8);
    assert_eq!(bench.update(), [lost()]);
    assert_eq!(bench.consensus.agreed("k"), None);
    bench.publish(0, 8);
    bench.publish(2, 8);
    assert_eq!(bench.update(), [agreed(8)]);
}

#[test]
fn agreement_on_another_value_is_lost_and_found() {
    let mut bench = Bench::new();
    bench.view.voters = BTreeSet::from([node("a")]);
    bench.publish(0, 7);
    assert_eq!(bench.update(), [agreed(7)]);
    bench.publish(0, 8);
    assert_eq!(bench.update(), [lost(), agreed(8)]);
}

#[test]
fn a_member_that_no_longer_counts_no_longer_disagrees() {
    let mut bench = Bench::new();
    (0..3).for_each(|at| bench.publish(at, 7));
    bench.publish(2, 9);
    assert_eq!(bench.update(), []);
    bench.view.voters.remove(&node("c"));
    assert_eq!(bench.update(), [agreed(7)]);
    bench.view.voters.clear();
    assert_eq!(bench.update(), [lost()], "nobody agrees on nothing");
}

#[test]
fn no_agreement_among_members_who_may_not_know_of_each_other() {
    let mut bench = Bench::new();
    (0..3).for_each(|at| bench.publish(at, 7));
    bench.view.seen.remove(&node("b"));
    assert_eq!(bench.update(), []);
    bench.view.seen.insert(node("b"));
    assert_eq!(bench.update(), [agreed(7)]);
    // A picture with the same topology, which not all have seen yet, changes nothing.
    bench.view.seen = BTreeSet::from([node("a")]);
    assert_eq!(bench.update(), []);
    // One with another topology does, until all have seen it.
    bench.view.topology = 2;
    assert_eq!(bench.update(), [lost()]);
    bench.view.seen = bench.view.voters.clone();
    assert_eq!(bench.update(), [agreed(7)]);
}

#[test]
fn the_topology_is_agreed_on_without_being_published() {
    let mut bench = Bench::new();
    assert!(bench.consensus.register(TOPOLOGY.into(), Extract::WHOLE));
    let key: Arc<str> = TOPOLOGY.into();
    let value = 1;
    assert_eq!(bench.update(), [ConsensusEvent::Agreed { key, value }]);
    bench.view.topology = 2;
    bench.view.seen = BTreeSet::new();
    let key = TOPOLOGY.into();
    assert_eq!(bench.update(), [ConsensusEvent::Lost { key }]);
}

#[test]
fn a_wait_ends_with_agreement_or_with_its_time() {
    let mut bench = Bench::new();
    let mut out = Vec::new();
    let (first, second) = (WaitId(1), WaitId(2));
    let waited = |id, value| ConsensusEvent::Waited { id, value };
    assert!(bench.consensus.wait(first, "k".into(), Time(10), &mut out));
    assert!(bench.consensus.wait(second, "k".into(), Time(20), &mut out));
    assert!(
        bench
            .consensus
            .wait(WaitId(3), "x".into(), Time(20), &mut out)
    );
    assert_eq!(out, [waited(WaitId(3), None)], "nobody watches that");
    assert_eq!(bench.consensus.next_wake(), Some(Time(10)));
    out.clear();
    bench.consensus.wake(Time(10), &mut out);
    assert_eq!(out, [waited(first, None)]);
    (0..3).for_each(|at| bench.publish(at, 7));
    assert_eq!(bench.update(), [agreed(7), waited(second, Some(7))]);
    assert_eq!(bench.consensus.next_wake(), None);
    out.clear();
    assert!(bench.consensus.wait(first, "k".into(), Time(30), &mut out));
    assert_eq!(out, [waited(first, Some(7))]);
}

#[test]
fn who_waits_for_a_key_that_is_dropped_waits_in_vain() {
    let mut bench = Bench::new();
    let mut out = Vec::new();
    assert!(
        bench
            .consensus
            .wait(WaitId(1), "k".into(), Time(10), &mut out)
    );
    bench.consensus.drop_key("k", &mut out);
    let id = WaitId(1);
    assert_eq!(out, [ConsensusEvent::Waited { id, value: None }]);
    assert!(bench.consensus.is_idle());
}

#[test]
fn a_value_of_another_form_is_no_number() {
    assert_eq!((Extract::NUMBER.of)(&[1, 0, 0, 0, 0, 0, 0, 0]), Some(1));
    assert_eq!((Extract::NUMBER.of)(&[1]), None);
    assert_ne!((Extract::WHOLE.of)(&[1]), (Extract::WHOLE.of)(&[2]));
}

#[test]
fn so_many_waits_and_no_more() {
    let mut consensus = Consensus::default();
    let mut out = Vec::new();
    assert!(consensus.register("k".into(), Extract::WHOLE));
    let mut wait = |id| consensus.wait(WaitId(id), "k".into(), Time(10), &mut out);
    assert!((0..WAITS_MAX as u64).all(&mut wait));
    assert!(!wait(WAITS_MAX as u64));
    out.clear();
    consensus.wake(Time(10), &mut out);
    assert_eq!(out.len(), WAITS_MAX);
}

#[test]
fn so_many_keys_and_no_more() {
    let mut consensus = Consensus::default();
    for n in 0..CHECKS_MAX {
        assert!(consensus.register(alloc::format!("k{n}").into(), Extract::WHOLE));
    }
    assert!(!consensus.register("one-more".into(), Extract::WHOLE));
    assert!(consensus.register("k0".into(), Extract::NUMBER));
}
