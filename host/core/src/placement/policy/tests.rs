use alloc::string::{String, ToString};

use super::*;
use crate::membership::address::Address;
use crate::membership::member::Profile;

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// Hosts as `a`, or `b:3` for a capacity, or `c@north` for a zone.
fn hosts(names: &[&str]) -> Hosts {
    let host = |text: &&str| {
        let (text, zone) = text.split_once('@').unwrap_or((text, ""));
        let (name, capacity) = text.split_once(':').unwrap_or((text, "1"));
        let mut profile = Profile {
            capacity: capacity.parse().unwrap(),
            ..Profile::plain()
        };
        if !zone.is_empty() {
            profile.labels.insert("zone".into(), zone.into());
        }
        Host {
            node: node(name),
            profile: Arc::new(profile),
        }
    };
    Hosts::new(names.iter().map(host).collect())
}

fn placement(zone: &str) -> Placement {
    let labels = BTreeMap::from([("zone".into(), zone.into())]);
    Placement::new(node("b"), labels)
}

fn grain(number: usize) -> GrainId {
    GrainId::parse(&alloc::format!("cart/{number}")).unwrap()
}

/// How many of the first grains each host gets.
fn counts(
    placement: &mut Placement,
    policy: &Policy,
    hosts: &Hosts,
    grains: usize,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for number in 0..grains {
        let chosen = placement
            .choose(policy, &grain(number), hosts, |_| 0)
            .unwrap();
        *counts.entry(chosen.node.address.host().into()).or_default() += 1;
    }
    counts
}

fn by_zone(value: Option<&str>, required: bool) -> Policy {
    Policy::ByLabel(LabelRule {
        label: "zone".into(),
        value: value.map(Arc::from),
        required,
    })
}

#[test]
fn by_the_key_every_node_chooses_the_same() {
    let hosts = hosts(&["a", "b", "c"]);
    for number in 0..100 {
        let mut one = placement("");
        let mut other = Placement::new(node("c"), BTreeMap::new());
        let choose = |placement: &mut Placement| {
            let chosen = placement.choose(&Policy::Hash, &grain(number), &hosts, |_| 0);
            chosen.unwrap().node.clone()
        };
        assert_eq!(choose(&mut one), choose(&mut other));
    }
}

#[test]
fn in_turn_each_gets_as_many() {
    let mut placement = placement("");
    let counts = counts(
        &mut placement,
        &Policy::RoundRobin,
        &hosts(&["a", "b", "c"]),
        300,
    );
    assert!(counts.values().all(|count| *count == 100), "{counts:?}");
}

#[test]
fn who_comes_or_goes_disturbs_nobodys_turn() {
    let mut placement = placement("");
    let mut next = |names: &[&str]| {
        let hosts = hosts(names);
        let chosen = placement.choose(&Policy::RoundRobin, &grain(0), &hosts, |_| 0);
        chosen.unwrap().node.address.host().to_string()
    };
    assert_eq!(next(&["a", "c", "d"]), "a");
    assert_eq!(next(&["a", "c", "d"]), "c");
    assert_eq!(next(&["a", "b", "c", "d"]), "d");
    assert_eq!(next(&["a", "b", "c", "d"]), "a");
    assert_eq!(next(&["b", "c", "d"]), "b");
    assert_eq!(next(&["a"]), "a");
}

#[test]
fn every_kind_has_its_own_turn() {
    let hosts = hosts(&["a", "b"]);
    let mut placement = placement("");
    let mut next = |grain: &str| {
        let grain = GrainId::parse(grain).unwrap();
        let chosen = placement.choose(&Policy::RoundRobin, &grain, &hosts, |_| 0);
        chosen.unwrap().node.address.host().to_string()
    };
    assert_eq!(
        [next("x/1"), next("y/1"), next("x/2"), next("y/2")],
        ["a", "a", "b", "b"]
    );
}

#[test]
fn the_least_loaded_for_its_capacity_is_chosen() {
    let hosts = hosts(&["a", "b:4", "c"]);
    let mut placement = placement("");
    let mut choose = |loads: [u64; 3]| {
        let load =
            |node: &UniqueAddress| loads[usize::from(node.address.host().as_bytes()[0] - b'a')];
        let chosen = placement.choose(&Policy::LeastLoaded, &grain(0), &hosts, load);
        chosen.unwrap().node.address.host().to_string()
    };
    assert_eq!(choose([1, 5, 3]), "a");
    assert_eq!(choose([2, 5, 3]), "b", "5 of 4 is less than 2 of 1");
    assert_eq!(choose([2, 9, 1]), "c");
    assert_eq!(choose([u64::MAX, u64::MAX, u64::MAX]), "b");
}

#[test]
fn among_equally_loaded_ones_the_key_decides() {
    let mut placement = placement("");
    let counts = counts(
        &mut placement,
        &Policy::LeastLoaded,
        &hosts(&["a", "b", "c"]),
        900,
    );
    assert!(
        counts.values().all(|count| (240..360).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn the_asking_node_is_preferred_if_it_may_host() {
    let mut placement = placement("");
    let counts_with = counts(
        &mut placement,
        &Policy::PreferLocal,
        &hosts(&["a", "b", "c"]),
        50,
    );
    assert_eq!(counts_with, BTreeMap::from([("b".into(), 50)]));
    let without = hosts(&["a", "c"]);
    let counts_without = counts(&mut placement, &Policy::PreferLocal, &without, 50);
    assert_eq!(
        counts_without,
        counts(&mut placement, &Policy::Hash, &without, 50)
    );
    assert_eq!(counts_without.len(), 2);
}

#[test]
fn a_label_narrows_the_choice() {
    let all = hosts(&["a@north", "b@south", "c@north", "d"]);
    let names = |placement: &mut Placement, policy: &Policy| -> Vec<String> {
        counts(placement, policy, &all, 200).into_keys().collect()
    };
    let mut southern = placement("south");
    assert_eq!(
        names(&mut southern, &by_zone(Some("north"), true)),
        ["a", "c"]
    );
    assert_eq!(names(&mut southern, &by_zone(None, true)), ["b"]);
    assert_eq!(
        names(&mut southern, &by_zone(Some("east"), false)),
        ["a", "b", "c", "d"]
    );
    let error = southern.choose(&by_zone(Some("east"), true), &grain(0), &all, |_| 0);
    assert_eq!(
        error.unwrap_err().to_string(),
        "of 4 members that host the kind 'cart' none has the label zone = 'east'"
    );
}

#[test]
fn without_a_host_there_is_an_error_and_no_choice() {
    let mut placement = placement("north");
    let policies = [
        Policy::Hash,
        Policy::RoundRobin,
        Policy::LeastLoaded,
        Policy::PreferLocal,
        by_zone(Some("north"), true),
        by_zone(None, false),
    ];
    for policy in policies {
        let error = placement
            .choose(&policy, &grain(0), &Hosts::default(), |_| 0)
            .unwrap_err();
        let kind = KindName::parse("cart").unwrap();
        assert_eq!(error, PlacementError::NoHost { kind }, "{policy:?}");
    }
}

#[test]
fn a_policy_is_written_by_its_name() {
    let read = |text: &str| serde_json::from_str::<Policy>(text);
    assert_eq!(read("\"round-robin\"").unwrap(), Policy::RoundRobin);
    let rule = r#"{"by-label":{"label":"zone","required":true}}"#;
    assert_eq!(read(rule).unwrap(), by_zone(None, true));
    assert_eq!(serde_json::to_string(&by_zone(None, true)).unwrap(), rule);
    assert!(read(r#"{"by-label":{"label":"zone","must":true}}"#).is_err());
}
