use alloc::format;
use alloc::string::{String, ToString};

use super::*;
use crate::membership::detector::{DetectorSettings, PhiSettings};

const MS: u64 = 1_000_000;

const SETTINGS: HeartbeatSettings = HeartbeatSettings {
    heartbeat_interval: Duration::from_secs(1),
    expected_response_after: Duration::from_secs(1),
    detector: DetectorSettings::Phi(PhiSettings::DEFAULT),
};

/// `aa` has uid 1, `bb` 2 and so on.
fn node(name: &str) -> UniqueAddress {
    let uid = u64::from(name.as_bytes()[0] - b'a') + 1;
    UniqueAddress::new(Address::new(name, 7000).unwrap(), uid)
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a UniqueAddress>) -> String {
    let mut names: Vec<&str> = nodes.into_iter().map(|node| node.address.host()).collect();
    names.sort_unstable();
    names.join(" ")
}

fn ring(monitored: usize, nodes: &str, unreachable: &str) -> Ring {
    let mut ring = Ring::new(monitored);
    for name in nodes.split_whitespace() {
        ring.insert(&node(name));
    }
    for name in unreachable.split_whitespace() {
        ring.set_reachable(&node(name), false);
    }
    ring
}

const SIX: &str = "aa bb cc dd ee ff";

#[test]
fn each_watches_as_many_as_it_may_and_never_itself() {
    let ring = ring(3, SIX, "");
    for name in SIX.split_whitespace() {
        let receivers = ring.receivers(&node(name));
        assert_eq!(receivers.len(), 3);
        assert!(!receivers.contains(&node(name)));
    }
    assert_eq!(names(&ring.receivers(&node("ee"))), "aa bb ff");
}

#[test]
fn unreachable_ones_on_the_way_are_watched_while_there_is_room() {
    let ring = ring(3, SIX, "aa dd ee");
    let expected = [
        ("aa", "bb cc dd ff"),
        ("bb", "cc dd ee ff"),
        ("cc", "bb dd ee ff"),
        ("dd", "aa bb cc ee ff"),
        ("ee", "aa bb cc ff"),
        ("ff", "aa bb cc"),
    ];
    for (sender, receivers) in expected {
        assert_eq!(names(&ring.receivers(&node(sender))), receivers, "{sender}");
    }
}

#[test]
fn a_small_ring_is_watched_whole() {
    for monitored in [5, 6, 100, usize::MAX] {
        let ring = ring(monitored, SIX, "cc dd");
        assert_eq!(names(&ring.receivers(&node("bb"))), "aa cc dd ee ff");
    }
    assert_eq!(names(&ring(3, "aa", "").receivers(&node("aa"))), "");
}

#[test]
fn equal_uids_fall_back_to_the_address() {
    let twin = |name: &str| UniqueAddress::new(Address::new(name, 7000).unwrap(), 1);
    let mut ring = Ring::new(1);
    for name in ["aa", "bb", "cc"] {
        ring.insert(&twin(name));
    }
    assert_eq!(names(&ring.receivers(&twin("aa"))), "bb");
    assert_eq!(names(&ring.receivers(&twin("cc"))), "aa");
}

/// A node `aa` that watches three, and a clock.
struct Bench {
    heartbeats: Heartbeats,
    now: Time,
    /// The last round.
    pings: Vec<Ping>,
}

impl Bench {
    fn new(nodes: &str) -> Self {
        let mut bench = Self {
            heartbeats: Heartbeats::new(node("aa"), 3, SETTINGS, Time(0)),
            now: Time(0),
            pings: Vec::new(),
        };
        bench.add(nodes);
        bench
    }

    fn add(&mut self, nodes: &str) {
        for name in nodes.split_whitespace() {
            self.heartbeats.insert(self.now, &node(name));
        }
    }

    fn remove(&mut self, nodes: &str) {
        for name in nodes.split_whitespace() {
            self.heartbeats.remove(self.now, &node(name));
        }
    }

    /// One round, which `answering` answer at once.
    fn round(&mut self, answering: &str) {
        self.now = self.heartbeats.next_wake().max(self.now);
        assert_eq!(self.heartbeats.notice(self.now), None);
        self.pings.clear();
        self.heartbeats.wake(self.now, &mut self.pings);
        for ping in self.pings.clone() {
            let answers = answering.split_whitespace();
            if answers.into_iter().any(|name| node(name) == ping.to) {
                let pulse = self
                    .heartbeats
                    .answered(self.now, &ping.to, ping.seq, ping.sent);
                assert!(pulse.is_some(), "{ping:?}");
            }
        }
    }

    fn rounds(&mut self, count: usize, answering: &str) {
        for _ in 0..count {
            self.round(answering);
        }
    }

    fn receivers(&self) -> String {
        names(self.heartbeats.receivers())
    }

    fn unavailable(&self) -> String {
        let all: Vec<UniqueAddress> = SIX.split_whitespace().map(node).collect();
        let is =
            |node: &&UniqueAddress| self.heartbeats.verdict(self.now, node) == Verdict::Unavailable;
        names(all.iter().filter(is))
    }

    fn monitors(&self, name: &str) -> bool {
        self.heartbeats.is_monitoring(&node(name))
    }
}

#[test]
fn a_round_goes_to_every_receiver_an_interval_after_the_last() {
    let mut bench = Bench::new("bb cc");
    bench.round("bb cc");
    let ping = |name: &str, seq, at: u64| Ping {
        to: node(name),
        seq,
        sent: Time(at * MS),
    };
    assert_eq!(bench.pings, [ping("bb", 1, 0), ping("cc", 1, 0)]);
    assert_eq!(bench.heartbeats.next_wake(), Time(1000 * MS));
    // A late round is followed by a whole interval: rounds do not bunch up.
    let mut out = Vec::new();
    bench.heartbeats.wake(Time(1700 * MS), &mut out);
    assert_eq!(out, [ping("bb", 2, 1700), ping("cc", 2, 1700)]);
    assert_eq!(bench.heartbeats.next_wake(), Time(2700 * MS));
    out.clear();
    bench.heartbeats.wake(Time(2000 * MS), &mut out);
    assert_eq!(out, []);
}

#[test]
fn an_unreachable_receiver_is_watched_beside_the_others() {
    let mut bench = Bench::new("cc dd bb ee");
    assert_eq!(bench.receivers(), "bb cc dd");
    bench.heartbeats.set_reachable(Time(0), &node("cc"), false);
    assert_eq!(bench.receivers(), "bb cc dd ee");
    bench.heartbeats.set_reachable(Time(0), &node("cc"), true);
    assert_eq!(bench.receivers(), "bb cc dd");
}

#[test]
fn a_silent_receiver_stays_watched_until_it_answers() {
    let mut bench = Bench::new("cc dd ee");
    bench.round("cc dd ee");
    bench.rounds(9, "cc");
    assert_eq!(bench.unavailable(), "dd ee");
    bench.add("bb");
    assert_eq!(bench.receivers(), "bb cc dd ee");
    bench.round("bb cc dd ee");
    assert_eq!(bench.receivers(), "bb cc dd");
    assert!(!bench.monitors("ee"));
    assert!(bench.monitors("dd"));
    assert_eq!(bench.unavailable(), "");
}

#[test]
fn a_removed_node_is_watched_no_longer_however_silent() {
    let mut bench = Bench::new("cc dd ee");
    bench.round("cc dd ee");
    bench.rounds(9, "dd");
    assert_eq!(bench.unavailable(), "cc ee");
    bench.add("bb");
    assert_eq!(bench.receivers(), "bb cc dd ee");
    bench.remove("cc ee");
    assert_eq!(bench.receivers(), "bb dd");
    assert!(!bench.monitors("cc") && !bench.monitors("ee"));
}

#[test]
fn an_answer_from_somebody_else_counts_for_nothing() {
    let mut bench = Bench::new("bb");
    bench.round("bb");
    let (now, sent) = (bench.now, bench.pings[0].sent);
    let stranger = bench.heartbeats.answered(now, &node("ff"), 1, sent);
    assert_eq!((stranger, bench.monitors("ff")), (None, false));
    let other_life = UniqueAddress::new(node("bb").address, 77);
    let old = bench.heartbeats.answered(now, &other_life, 1, sent);
    assert_eq!(
        (old, bench.heartbeats.is_monitoring(&other_life)),
        (None, false)
    );
}

#[test]
fn an_answer_counts_once_in_order_and_never_from_the_future() {
    let mut bench = Bench::new("bb");
    bench.rounds(3, "");
    let now = Time(2100 * MS);
    let mut answer = |seq, sent_ms: u64| {
        bench
            .heartbeats
            .answered(now, &node("bb"), seq, Time(sent_ms * MS))
            .map(|pulse| pulse.round_trip.as_millis())
    };
    assert_eq!(answer(4, 2000), None, "a round that never was");
    assert_eq!(answer(2, 3000), None, "sent after it arrived");
    assert_eq!(answer(2, 1000), Some(1100));
    assert_eq!(answer(2, 1000), None, "a repetition");
    assert_eq!(answer(1, 0), None, "an older one");
    assert_eq!(answer(3, 2000), Some(100));
}

#[test]
fn who_never_answers_is_found_out() {
    let mut bench = Bench::new("bb cc");
    bench.rounds(3, "cc");
    assert!(bench.monitors("bb"), "taken as answered after a second");
    assert_eq!(bench.unavailable(), "");
    bench.rounds(8, "cc");
    assert_eq!(bench.unavailable(), "bb");
}

#[test]
fn after_its_own_sleep_a_node_does_not_judge_before_the_answers_are_in() {
    let mut bench = Bench::new("bb cc");
    bench.rounds(10, "bb cc");
    bench.now = Time(bench.now.0 + 60_000 * MS);
    let slept = bench.heartbeats.notice(bench.now);
    assert_eq!(slept, Some(Duration::from_secs(59)));
    assert_eq!(bench.heartbeats.notice(bench.now), None, "told once");
    for _ in 0..3 {
        bench.round("cc");
        for name in ["bb", "cc"] {
            assert_ne!(
                bench.heartbeats.verdict(bench.now, &node(name)),
                Verdict::Unavailable
            );
        }
    }
    bench.rounds(5, "cc");
    assert_eq!(bench.unavailable(), "bb", "who went meanwhile is found out");
}

/// A generator of numbers for tests; what it draws is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// One random thing happens to `heartbeats`; `members` is who ought to be on the ring.
fn happen(
    heartbeats: &mut Heartbeats,
    now: Time,
    numbers: &mut Numbers,
    (all, members): (&[UniqueAddress], &mut BTreeSet<UniqueAddress>),
    pings: &mut Vec<Ping>,
) {
    let node = &all[numbers.below(all.len())];
    let before: BTreeSet<_> = heartbeats.receivers.clone();
    match numbers.below(8) {
        0 | 1 => {
            heartbeats.insert(now, node);
            members.insert(node.clone());
        }
        2 => {
            heartbeats.remove(now, node);
            members.remove(node);
            assert!(!heartbeats.is_monitoring(node), "removed");
        }
        3 => heartbeats.set_reachable(now, node, false),
        4 => heartbeats.set_reachable(now, node, true),
        5 => heartbeats.wake(now, pings),
        _ => {
            let Some(ping) = pings.get(numbers.below(pings.len().max(1))) else {
                return;
            };
            let was_silent = heartbeats.silent.contains(&ping.to);
            let pulse = heartbeats.answered(now, &ping.to, ping.seq, ping.sent);
            assert_eq!(heartbeats.receivers, before, "an answer changed the ring");
            if was_silent && pulse.is_some() {
                assert!(!heartbeats.silent.contains(&ping.to));
            }
            if pings.len() > 500 {
                pings.clear();
            }
        }
    }
}

#[test]
fn a_hundred_thousand_random_changes_keep_the_invariants() {
    let this = node("aa");
    let all: Vec<UniqueAddress> = (2..=200)
        .map(|uid| UniqueAddress::new(Address::new(&format!("n{uid}"), 7000).unwrap(), uid))
        .collect();
    let mut numbers = Numbers(7);
    let mut heartbeats = Heartbeats::new(this.clone(), 5, SETTINGS, Time(0));
    let mut members = BTreeSet::new();
    let mut pings = Vec::new();
    let (mut now, mut silent_seen) = (Time(0), 0);
    for _ in 0..100_000 {
        now = Time(now.0 + numbers.below(400) as u64 * MS);
        heartbeats.notice(now);
        let place = (&all[..], &mut members);
        happen(&mut heartbeats, now, &mut numbers, place, &mut pings);
        silent_seen += usize::from(!heartbeats.silent.is_empty());
        let active: BTreeSet<_> = heartbeats.receivers().cloned().collect();
        assert!(!active.contains(&this));
        assert!(active.is_subset(&members), "only members are watched");
        assert!(heartbeats.silent.is_subset(&active));
        let monitored = heartbeats.suspicions(now).map(|(node, _)| node.clone());
        let strays: Vec<String> = monitored
            .filter(|node| !active.contains(node))
            .map(|node| node.to_string())
            .collect();
        assert!(strays.is_empty(), "watched in vain: {strays:?}");
        assert_eq!(heartbeats.receivers, heartbeats.ring.receivers(&this));
    }
    assert!(1000 < silent_seen, "the case was met: {silent_seen}");
}
