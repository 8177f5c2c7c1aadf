//! How soon a dead node is found out, and how often a living one is suspected, on networks that lose, delay and stop: two nodes, a seed,
//! and the defaults of the product.

use alloc::collections::BTreeMap;
use std::println;

use super::*;
use crate::membership::address::Address;
use crate::membership::detector::PhiSettings;
use crate::membership::ring::Heartbeats;

extern crate std;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What the world does to one watcher and the node that it watches.
#[derive(Clone, Copy)]
struct World {
    name: &'static str,
    /// The chance that a message is lost, in each direction, in percent.
    loss: u64,
    /// The longest delay of a message, in milliseconds.
    delay: u64,
    /// How long the watched node stops at a time, at most, in milliseconds; about once a minute.
    peer_stops: u64,
    /// The same for the watcher.
    own_stops: u64,
}

const CALM: World = World {
    name: "calm",
    loss: 0,
    delay: 20,
    peer_stops: 0,
    own_stops: 0,
};

#[rustfmt::skip]
const WORLDS: &[World] = &[
    CALM,
    World { name: "loss 5 %", loss: 5, ..CALM },
    World { name: "loss 10 %", loss: 10, ..CALM },
    World { name: "loss 20 %", loss: 20, ..CALM },
    World { name: "loss 30 %", loss: 30, ..CALM },
    World { name: "delay to 1 s", delay: 1000, ..CALM },
    World { name: "peer stops to 2 s", peer_stops: 2_000, ..CALM },
    World { name: "peer stops to 4 s", peer_stops: 4_000, ..CALM },
    World { name: "peer stops to 8 s", peer_stops: 8_000, ..CALM },
    World { name: "own stops to 4 s", own_stops: 4_000, ..CALM },
    World { name: "own stops to 60 s", own_stops: 60_000, ..CALM },
    World { name: "loss 10 %, both stop to 4 s", loss: 10, delay: 200, peer_stops: 4_000, own_stops: 4_000 },
];

/// A splitmix64 generator; what it draws is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

#[derive(Clone)]
enum Happens {
    /// The watcher's timer.
    Wake,
    /// The watcher looks at its verdict, as the reaper does each second.
    Look,
    Ping(Ping),
    Pong(Ping),
    PeerStops,
    OwnStops,
}

/// By whose rules the watcher judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    Ours,
    /// Samples by arrival alone, bursts taken as they come, no thought of its own stops.
    Pekkos,
}

struct Run {
    world: World,
    rules: Rules,
    numbers: Numbers,
    heartbeats: Heartbeats,
    peer: UniqueAddress,
    due: BTreeMap<(u64, u64), Happens>,
    order: u64,
    own_wakes_at: u64,
    peer_wakes_at: u64,
    dead_from: u64,
    suspected: bool,
    /// When the watcher began to hold the peer unreachable.
    suspicions: Vec<u64>,
}

impl Run {
    fn new(world: World, rules: Rules, seed: u64, dead_from: u64) -> Self {
        let settings = match rules {
            Rules::Ours => PhiSettings::DEFAULT,
            Rules::Pekkos => PhiSettings {
                burst_interval: Duration::ZERO,
                ..PhiSettings::DEFAULT
            },
        };
        let node = |name, uid| UniqueAddress::new(Address::new(name, 7000).unwrap(), uid);
        let settings = HeartbeatSettings {
            heartbeat_interval: Duration::from_secs(1),
            expected_response_after: Duration::from_secs(1),
            detector: DetectorSettings::Phi(settings),
        };
        let mut heartbeats = Heartbeats::new(node("a", 1), 9, settings, Time(0));
        heartbeats.insert(Time(0), &node("b", 2));
        let mut run = Self {
            world,
            rules,
            numbers: Numbers(seed),
            heartbeats,
            peer: node("b", 2),
            due: BTreeMap::new(),
            order: 0,
            own_wakes_at: 0,
            peer_wakes_at: 0,
            dead_from,
            suspected: false,
            suspicions: Vec::new(),
        };
        run.at(0, Happens::Wake);
        run.at(SECOND / 2, Happens::Look);
        run.at(0, Happens::PeerStops);
        run.at(0, Happens::OwnStops);
        run
    }

    fn at(&mut self, time: u64, what: Happens) {
        self.order += 1;
        self.due.insert((time, self.order), what);
    }

    fn send(&mut self, now: u64, what: Happens) {
        if self.numbers.below(100) < self.world.loss {
            return;
        }
        let delay = self.numbers.below(self.world.delay * MS);
        self.at(now + MS + delay, what);
    }

    fn until(&mut self, end: u64) {
        while let Some(entry) = self.due.first_entry() {
            let (now, order) = *entry.key();
            if end < now {
                return;
            }
            let what = entry.remove();
            // Whoever is stopped sees what happens when it goes on, in the old order.
            let (asleep_until, is_stop) = match what {
                Happens::Wake | Happens::Look | Happens::Pong(_) => (self.own_wakes_at, false),
                Happens::Ping(_) => (self.peer_wakes_at, false),
                Happens::PeerStops | Happens::OwnStops => (0, true),
            };
            if now < asleep_until && !is_stop {
                self.due.insert((asleep_until, order), what);
            } else {
                self.happens(now, what);
            }
        }
    }

    fn happens(&mut self, now: u64, what: Happens) {
        if self.rules == Rules::Ours {
            self.heartbeats.notice(Time(now));
        }
        match what {
            Happens::Wake => {
                let mut pings = Vec::new();
                self.heartbeats.wake(Time(now), &mut pings);
                for ping in pings {
                    self.send(now, Happens::Ping(ping));
                }
                let next = self.heartbeats.next_wake().0.max(now + 1);
                self.at(next, Happens::Wake);
            }
            Happens::Look => {
                let verdict = self.heartbeats.verdict(Time(now), &self.peer);
                if verdict == Verdict::Unavailable && !self.suspected {
                    self.suspicions.push(now);
                }
                self.suspected = match verdict {
                    Verdict::Available => false,
                    Verdict::Unavailable => true,
                    Verdict::Suspended => self.suspected,
                };
                self.at(now + SECOND, Happens::Look);
            }
            Happens::Ping(ping) if now < self.dead_from => self.send(now, Happens::Pong(ping)),
            Happens::Ping(_) => {}
            Happens::Pong(ping) => {
                let peer = self.peer.clone();
                let sent = match self.rules {
                    Rules::Ours => ping.sent,
                    Rules::Pekkos => Time(now),
                };
                self.heartbeats.answered(Time(now), &peer, ping.seq, sent);
            }
            Happens::PeerStops => {
                self.peer_wakes_at = now + self.numbers.below(self.world.peer_stops * MS);
                let next = now + self.numbers.below(120 * SECOND);
                self.at(next, Happens::PeerStops);
            }
            Happens::OwnStops => {
                self.own_wakes_at = now + self.numbers.below(self.world.own_stops * MS);
                let next = now + self.numbers.below(120 * SECOND);
                self.at(next, Happens::OwnStops);
            }
        }
    }
}

/// One line of the table.
struct Line {
    /// From death to verdict, in seconds: the shortest, the mean and the longest of fifty.
    detection: (f64, f64, f64),
    /// Wrong verdicts in a thousand hours, from thirty.
    wrong_per_1000_hours: u64,
    /// The same by Pekko's rules.
    wrong_by_pekko: u64,
}

fn wrong_per_1000_hours(world: World, rules: Rules) -> u64 {
    let wrong = |seed: u64| {
        let mut run = Run::new(world, rules, 1000 + seed, u64::MAX);
        run.until(3 * 3600 * SECOND);
        run.suspicions.len()
    };
    let in_thirty_hours: usize = (0..10).map(wrong).sum();
    in_thirty_hours as u64 * 1000 / 30
}

fn measure(world: World) -> Line {
    let mut detections = Vec::new();
    for seed in 0..50 {
        let dies = 120 * SECOND + Numbers(seed).below(60 * SECOND);
        let mut run = Run::new(world, Rules::Ours, seed, dies);
        run.until(dies + 300 * SECOND);
        let found = run.suspicions.last().copied().unwrap_or(u64::MAX);
        assert!(run.suspected, "{}: seed {seed} never found it", world.name);
        detections.push(found.saturating_sub(dies) as f64 / SECOND as f64);
    }
    detections.sort_by(f64::total_cmp);
    Line {
        detection: (
            detections[0],
            detections.iter().sum::<f64>() / detections.len() as f64,
            detections[detections.len() - 1],
        ),
        wrong_per_1000_hours: wrong_per_1000_hours(world, Rules::Ours),
        wrong_by_pekko: wrong_per_1000_hours(world, Rules::Pekkos),
    }
}

fn world(name: &str) -> World {
    let found = WORLDS.iter().find(|world| world.name == name);
    *found.expect("a world of that name")
}

#[test]
fn a_calm_network_finds_out_in_six_seconds_and_is_never_wrong() {
    let line = measure(world("calm"));
    assert!(line.detection.2 < 7.5, "{}", line.detection.2);
    assert_eq!(line.wrong_per_1000_hours, 0);
}

#[test]
fn the_watchers_own_stops_are_held_against_nobody() {
    for name in ["own stops to 4 s", "own stops to 60 s"] {
        assert_eq!(wrong_per_1000_hours(world(name), Rules::Ours), 0, "{name}");
    }
    let by_pekko = wrong_per_1000_hours(world("own stops to 60 s"), Rules::Pekkos);
    assert!(1000 < by_pekko, "the case was met: {by_pekko}");
}

#[test]
fn loss_makes_the_detector_slower_before_it_makes_it_wrong() {
    let line = measure(world("loss 20 %"));
    assert!(line.detection.1 < 15.0, "{}", line.detection.1);
    assert!(
        line.wrong_per_1000_hours <= 1000,
        "{}",
        line.wrong_per_1000_hours
    );
}

#[test]
fn table_of_detection_and_mistakes() {
    println!(
        "| network | found out after, s: shortest | mean | longest | wrong in 1,000 h | by Pekko |"
    );
    println!("|---|---|---|---|---|---|");
    for world in WORLDS {
        let line = measure(*world);
        let (shortest, mean, longest) = line.detection;
        println!(
            "| {} | {shortest:.1} | {mean:.1} | {longest:.1} | {} | {} |",
            world.name, line.wrong_per_1000_hours, line.wrong_by_pekko
        );
        // Who sleeps for minutes itself finds out once it is awake; that it does at all is asserted above.
        assert!(20_000 < world.own_stops || longest < 30.0, "{}", world.name);
    }
}
