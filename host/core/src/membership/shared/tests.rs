use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::membership::address::Address;

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// A node among `members`.
fn state(this: &str, members: &[&str]) -> SharedState {
    let mut state = SharedState::new(node(this), SharedStateSettings::default());
    for member in members {
        state.insert(&node(member));
    }
    state
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn set(state: &mut SharedState, key: &str, value: &str) -> bool {
    state.set(key.into(), bytes(value)).unwrap()
}

/// What is published under a key, as `a=1 b=2`.
fn shown(state: &SharedState, key: &str) -> String {
    let values = state.get(key).into_iter();
    let pairs: Vec<String> = values
        .map(|(node, value)| {
            let text = core::str::from_utf8(&value).unwrap().to_string();
            format!("{}={text}", node.address.host())
        })
        .collect();
    pairs.join(" ")
}

/// One round of anti-entropy that `one` begins. Returns how many messages it took.
fn exchange(one: &mut SharedState, other: &mut SharedState) -> usize {
    let mut messages = 1;
    let first = other.compare(&one.summary());
    assert_eq!(first.delta, None);
    let Some(digest) = first.digest else {
        return messages;
    };
    messages += 1;
    let second = one.compare(&digest);
    if let Some(delta) = &second.delta {
        messages += 1;
        assert_eq!(other.apply(delta).refused, []);
    }
    if let Some(digest) = &second.digest {
        messages += 1;
        let third = other.compare(digest);
        assert_eq!(third.digest, None, "an answer is not asked back");
        if let Some(delta) = &third.delta {
            messages += 1;
            assert_eq!(one.apply(delta).refused, []);
        }
    }
    messages
}

#[test]
fn values_go_both_ways_in_one_round() {
    let (mut a, mut b) = (state("a", &["b"]), state("b", &["a"]));
    assert!(set(&mut a, "k", "1"));
    assert!(set(&mut b, "k", "2"));
    assert_eq!(exchange(&mut a, &mut b), 5);
    assert_eq!(
        (shown(&a, "k"), shown(&b, "k")),
        ("a=1 b=2".into(), "a=1 b=2".into())
    );
    assert_eq!(exchange(&mut a, &mut b), 1, "both are alike: one summary");
}

#[test]
fn one_change_among_many_costs_a_digest_of_one_part() {
    let names: Vec<String> = (0..320).map(|n| format!("n{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut a, mut b) = (state("a", &all), state("b", &all));
    for name in &all {
        let mut other = state(name, &["a", "b"]);
        set(&mut other, "k", "1");
        exchange(&mut other, &mut a);
    }
    let rounds =
        core::iter::repeat_with(|| exchange(&mut a, &mut b)).take_while(|messages| 1 < *messages);
    assert!(rounds.count() <= 2);
    let mut one = state("n7", &["a", "b"]);
    set(&mut one, "k", "1");
    set(&mut one, "k", "2");
    exchange(&mut one, &mut a);
    let Some(SharedDigest::Parts { parts, known, .. }) = b.compare(&a.summary()).digest else {
        panic!("they differ");
    };
    assert_eq!(parts.count_ones(), 1);
    assert!(known.len() < 30, "{} of 320", known.len());
    assert_eq!(exchange(&mut a, &mut b), 3);
    assert_eq!(a.summary(), b.summary());
}

#[test]
fn the_same_value_again_is_no_change() {
    let mut a = state("a", &[]);
    assert!(set(&mut a, "k", "1"));
    let before = a.summary();
    assert!(!set(&mut a, "k", "1"));
    assert_eq!(a.summary(), before);
    assert!(set(&mut a, "k", "2"));
    assert_ne!(a.summary(), before);
}

#[test]
fn what_changed_is_told_by_key_and_incarnation() {
    let (mut a, mut b) = (state("a", &["b"]), state("b", &["a"]));
    set(&mut a, "k", "1");
    set(&mut a, "l", "1");
    let Some(SharedDigest::Parts { parts, known, .. }) = a.compare(&b.summary()).digest else {
        panic!("they differ");
    };
    assert_eq!((parts.count_ones(), known.len()), (1, 1));
    let delta = a.delta(u32::MAX, &BTreeMap::new()).unwrap();
    let changed = b.apply(&delta).changed;
    let expected = [(node("a"), "k".into()), (node("a"), "l".into())];
    assert_eq!(changed, BTreeSet::from(expected));
    assert_eq!(
        b.apply(&delta),
        Applied::default(),
        "a repetition is nothing"
    );
}

#[test]
fn a_deletion_reaches_who_had_the_value() {
    let (mut a, mut b) = (state("a", &["b"]), state("b", &["a"]));
    set(&mut a, "k", "1");
    exchange(&mut a, &mut b);
    assert!(a.delete(&"k".into()));
    assert!(!a.delete(&"k".into()));
    assert_eq!(shown(&a, "k"), "");
    exchange(&mut b, &mut a);
    assert_eq!(shown(&b, "k"), "");
}

#[test]
fn maps_merge_entry_by_entry() {
    let (mut a, mut b) = (state("a", &["b"]), state("b", &["a"]));
    let put = |state: &mut SharedState, entry: &str, value: &str| {
        let value = bytes(value);
        assert!(state.set_entry("m".into(), entry.into(), value).unwrap());
    };
    put(&mut a, "x", "1");
    exchange(&mut a, &mut b);
    put(&mut a, "y", "2");
    assert!(a.remove_entry("m".into(), "x".into()));
    assert!(!a.remove_entry("m".into(), "x".into()));
    put(&mut b, "x", "3");
    exchange(&mut a, &mut b);
    let map = |entry: &str, value: &str| BTreeMap::from([(entry.into(), bytes(value))]);
    let expected = BTreeMap::from([(node("a"), map("y", "2")), (node("b"), map("x", "3"))]);
    assert_eq!(a.get_map("m"), expected);
    assert_eq!(b.get_map("m"), expected);
    // The value beside the map's entries is another place, and deleting the key deletes both.
    set(&mut a, "m", "v");
    assert_eq!(shown(&a, "m"), "a=v");
    assert!(a.delete(&"m".into()));
    exchange(&mut a, &mut b);
    assert_eq!(b.get_map("m"), BTreeMap::from([(node("b"), map("x", "3"))]));
    assert_eq!(shown(&b, "m"), "");
}

#[test]
fn a_removed_incarnations_values_are_gone_and_stay_away() {
    let (mut a, mut b, mut c) = (
        state("a", &["b", "c"]),
        state("b", &["a", "c"]),
        state("c", &["a", "b"]),
    );
    set(&mut c, "k", "old");
    exchange(&mut c, &mut a);
    exchange(&mut c, &mut b);
    assert_eq!(a.remove(&node("c")), BTreeSet::from(["k".into()]));
    assert_eq!(shown(&a, "k"), "");
    // b has not seen the removal yet, and still has the value.
    exchange(&mut b, &mut a);
    assert_eq!(shown(&a, "k"), "");
    // The next incarnation begins at one, below where the old one was, and is believed nevertheless.
    let reborn = UniqueAddress::new(node("c").address, 2);
    let mut new = SharedState::new(reborn.clone(), SharedStateSettings::default());
    new.insert(&node("a"));
    new.set("k".into(), bytes("new")).unwrap();
    a.insert(&reborn);
    exchange(&mut a, &mut new);
    assert_eq!(shown(&a, "k"), "c=new");
}

#[test]
fn who_missed_marks_that_were_given_up_begins_anew() {
    let (mut a, mut b, mut c) = (
        state("a", &["b", "c"]),
        state("b", &["a", "c"]),
        state("c", &["a", "b"]),
    );
    set(&mut a, "gone", "1");
    set(&mut a, "kept", "1");
    exchange(&mut a, &mut b);
    assert!(a.delete(&"gone".into()));
    for n in 0..2 * MARKS_MAX {
        let key: Arc<str> = format!("k{n}").into();
        a.set(Arc::clone(&key), bytes("1")).unwrap();
        a.delete(&key);
    }
    set(&mut a, "late", "1");
    exchange(&mut a, &mut c);
    assert_eq!(shown(&b, "gone"), "a=1");
    // From a third one, which never had the value: b cannot keep it.
    exchange(&mut c, &mut b);
    assert_eq!(
        (shown(&b, "gone"), shown(&b, "kept")),
        ("".into(), "a=1".into())
    );
    assert_eq!(b.summary(), a.summary());
    assert_eq!(c.summary(), a.summary());
}

#[test]
fn a_long_history_comes_in_parts() {
    let (mut a, mut b) = (state("a", &["b"]), state("b", &["a"]));
    for n in 0..40 {
        let value: Arc<[u8]> = vec![n; 20_000].into();
        a.set(format!("k{n}").into(), value).unwrap();
    }
    let mut rounds = 0;
    while a.summary() != b.summary() {
        rounds += 1;
        assert!(exchange(&mut a, &mut b) <= 5);
    }
    assert_eq!(rounds, 3, "800,000 bytes in parts of {DELTA_BYTES_MAX}");
    assert_eq!(b.get("k39")[&node("a")].len(), 20_000);
}

#[test]
fn one_that_changes_all_the_time_does_not_keep_the_others_waiting() {
    let (mut a, mut b) = (state("a", &["b", "c"]), state("b", &["a", "c"]));
    let mut c = state("c", &["a", "b"]);
    set(&mut c, "k", "1");
    exchange(&mut c, &mut a);
    for round in 0..4_u8 {
        for n in 0..15 {
            let value: Arc<[u8]> = vec![round; 20_000].into();
            a.set(format!("k{n}").into(), value).unwrap();
        }
        exchange(&mut a, &mut b);
    }
    assert_eq!(shown(&b, "k"), "c=1");
}

#[test]
fn a_write_that_breaks_a_limit_is_refused_by_name() {
    let mut a = SharedState::new(
        node("a"),
        SharedStateSettings {
            value_bytes: 10,
            node_bytes: 24,
            node_entries: 3,
            ..SharedStateSettings::default()
        },
    );
    let refused = |state: &mut SharedState, key: &str, length: usize| {
        let error = state.set(key.into(), vec![7; length].into()).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(&mut a, "k", 11),
        "shared-state.value-bytes is at most 10, not 11"
    );
    assert_eq!(
        refused(&mut a, &"k".repeat(257), 1),
        "key-bytes is at most 256, not 257"
    );
    a.set("k".into(), vec![7; 10].into()).unwrap();
    a.set("l".into(), vec![7; 10].into()).unwrap();
    assert_eq!(
        refused(&mut a, "m", 9),
        "shared-state.node-bytes is at most 24, not 32"
    );
    assert_eq!(
        a.set("l".into(), vec![8; 10].into()),
        Ok(true),
        "what is overwritten makes room"
    );
    a.set("m".into(), vec![].into()).unwrap();
    assert_eq!(
        refused(&mut a, "n", 0),
        "shared-state.node-entries is at most 3, not 4"
    );
    assert!(a.delete(&"k".into()));
    assert_eq!(a.set("n".into(), vec![].into()), Ok(true));
    assert_eq!(a.get("l")[&node("a")][..], [8; 10]);
}

fn entry(key: &str, seq: u64) -> SharedEntry {
    SharedEntry {
        key: key.into(),
        entry: None,
        seq,
        value: Some(bytes("1")),
    }
}

#[test]
fn what_no_honest_node_sends_is_refused() {
    let delta = |entries: Vec<SharedEntry>, to| OwnerDelta {
        owner: node("b"),
        from: 0,
        to,
        floor: 0,
        entries,
    };
    let refuses = |of: OwnerDelta| {
        let mut a = state("a", &["b"]);
        let applied = a.apply(&SharedDelta([of].into()));
        applied.refused == [node("b")]
    };
    assert!(!refuses(delta(vec![entry("k", 1), entry("l", 2)], 2)));
    assert!(
        refuses(delta(vec![entry("k", 2), entry("l", 1)], 2)),
        "order"
    );
    assert!(
        refuses(delta(vec![entry("k", 1), entry("l", 1)], 2)),
        "twice"
    );
    assert!(refuses(delta(vec![entry("k", 3)], 2)), "beyond its end");
    assert!(refuses(delta(vec![entry("k", 0)], 2)), "before the first");
    assert!(
        refuses(delta(vec![entry(&"k".repeat(257), 1)], 1)),
        "long key"
    );
    let mut long = entry("k", 1);
    long.value = Some(vec![0; VALUE_BYTES_MAX + 1].into());
    assert!(refuses(delta(vec![long], 1)), "long value");
    let marks = (1..=2 * MARKS_MAX as u64 + 1).map(|seq| SharedEntry {
        value: None,
        ..entry(&format!("k{seq}"), seq)
    });
    assert!(refuses(delta(marks.collect(), 4000)), "too many marks");
}

#[test]
fn only_members_are_believed_and_nobody_speaks_for_this_node() {
    let mut a = state("a", &["b"]);
    let of = |owner: &str| OwnerDelta {
        owner: node(owner),
        from: 0,
        to: 1,
        floor: 0,
        entries: vec![entry("k", 1)],
    };
    let applied = a.apply(&SharedDelta([of("a"), of("x")].into()));
    assert_eq!(applied, Applied::default());
    assert_eq!(shown(&a, "k"), "");
}

#[derive(Debug, Clone)]
enum Step {
    Set(usize, u8, u8),
    Delete(usize, u8),
    Burst(usize),
    /// A round between two nodes, of which every message from this one on is lost.
    Exchange(usize, usize, usize),
    /// A delta of the past comes once more.
    Replay(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || 0..4_usize;
    let step = prop_oneof![
        6 => (node(), 0..6_u8, 0..9_u8).prop_map(|(at, key, value)| Step::Set(at, key, value)),
        3 => (node(), 0..6_u8).prop_map(|(at, key)| Step::Delete(at, key)),
        1 => node().prop_map(Step::Burst),
        8 => (node(), node(), 0..7_usize).prop_map(|(a, b, kept)| Step::Exchange(a, b, kept)),
        2 => (0..64_usize, node()).prop_map(|(delta, at)| Step::Replay(delta, at)),
    ];
    proptest::collection::vec(step, 1..60)
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Carries out a round, of which only the first `kept` messages arrive; deltas are noted down.
fn lossy(
    nodes: &mut [SharedState],
    (one, other): (usize, usize),
    kept: usize,
    seen: &mut Vec<SharedDelta>,
) {
    let mut queue = vec![(other, one, nodes[one].summary())];
    let mut sent = 0;
    while let Some((to, from, digest)) = queue.pop() {
        sent += 1;
        if kept < sent {
            return;
        }
        let answer = nodes[to].compare(&digest);
        if let Some(delta) = answer.delta {
            sent += 1;
            if sent <= kept {
                assert_eq!(nodes[from].apply(&delta).refused, []);
            }
            seen.push(delta);
        }
        if let Some(digest) = answer.digest {
            queue.push((from, to, digest));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is lost, repeated or given up: once the nodes can talk, all have what each has written last, and nothing that was deleted.
    #[test]
    fn all_copies_become_what_their_nodes_wrote(steps in steps()) {
        let mut nodes: Vec<SharedState> = NAMES.iter().map(|name| state(name, &NAMES)).collect();
        let mut truth: BTreeMap<(usize, u8), u8> = BTreeMap::new();
        let mut seen: Vec<SharedDelta> = Vec::new();
        for step in steps {
            match step {
                Step::Set(at, key, value) => {
                    nodes[at].set(format!("k{key}").into(), [value].as_slice().into()).unwrap();
                    truth.insert((at, key), value);
                }
                Step::Delete(at, key) => {
                    let was = truth.remove(&(at, key)).is_some();
                    prop_assert_eq!(nodes[at].delete(&format!("k{key}").into()), was);
                }
                Step::Burst(at) => {
                    for n in 0..MARKS_MAX + 10 {
                        let key: Arc<str> = format!("burst{n}").into();
                        nodes[at].set(Arc::clone(&key), bytes("x")).unwrap();
                        nodes[at].delete(&key);
                    }
                }
                Step::Exchange(one, other, kept) if one != other => {
                    lossy(&mut nodes, (one, other), kept, &mut seen);
                }
                Step::Replay(delta, at) if !seen.is_empty() => {
                    let delta = seen[delta % seen.len()].clone();
                    prop_assert_eq!(nodes[at].apply(&delta).refused, []);
                }
                Step::Exchange(..) | Step::Replay(..) => {}
            }
        }
        for _ in 0..12 {
            for (one, other) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
                lossy(&mut nodes, (one, other), 9, &mut Vec::new());
            }
        }
        for state in &nodes {
            prop_assert_eq!(state.summary(), nodes[0].summary());
            for key in 0..6 {
                let of = |at: usize| Some((node(NAMES[at]), [*truth.get(&(at, key))?].as_slice().into()));
                let expected: BTreeMap<UniqueAddress, Arc<[u8]>> = (0..4).filter_map(of).collect();
                prop_assert_eq!(state.get(&format!("k{key}")), expected);
            }
        }
    }
}
