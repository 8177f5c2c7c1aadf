//! The crash test: load, `kill -9` at a random moment, restart, look. Whatever was acknowledged is there; no idempotency key was
//! executed twice.
//!
//! `CRASH_ROUNDS` sets the number of rounds (8 unless set), `CRASH_SEED` repeats a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Node};

const KEYS: u64 = 8;
const WORKERS: u64 = 8;

/// Prints how to repeat the run, whatever made it fail.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "repeat with: CRASH_SEED={} cargo test --release --workspace crash",
                self.0
            );
        }
    }
}

/// What a client knows: each idempotency key is one increment by 1 of one counter.
#[derive(Default)]
struct Known {
    /// Increments whose answer arrived, with the answer.
    acknowledged: BTreeMap<(u64, String), Value>,
    /// Increments whose answer did not arrive: they may or may not have happened.
    open: BTreeMap<(u64, String), ()>,
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |text| text.parse().unwrap())
}

/// Calls until the node goes away. Every call has a key of its own; now and then an old one is repeated.
async fn load(client: Client, name: String, seed: u64, stop: Arc<AtomicBool>) -> Known {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut known = Known::default();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let repeated = known
            .acknowledged
            .keys()
            .next()
            .filter(|_| random.u8(..) < 25)
            .cloned();
        let (counter, key) =
            repeated.unwrap_or_else(|| (random.u64(..KEYS), format!("{name}-{number}")));
        let reply = client
            .call_once(
                &format!("counter/{counter}"),
                "increment",
                &json!([1]),
                &key,
            )
            .await;
        match reply {
            Some(reply) if reply.status == 200 => {
                let answer = reply.json();
                let before = known
                    .acknowledged
                    .insert((counter, key.clone()), answer.clone());
                assert!(
                    before.is_none_or(|before| before == answer),
                    "{key} was executed twice: {answer}"
                );
            }
            Some(reply) if reply.status < 500 => panic!("an unexpected refusal: {reply}"),
            Some(_) | None => {
                known.open.insert((counter, key), ());
            }
        }
    }
    known
}

/// How many entries belong to one counter.
fn of_counter<V>(entries: &BTreeMap<(u64, String), V>, counter: u64) -> u64 {
    entries.keys().filter(|(of, _)| *of == counter).count() as u64
}

async fn count(client: &Client, counter: u64) -> u64 {
    let found = client.get(&format!("/g/counter/{counter}/get")).await;
    found.ok().as_u64().unwrap()
}

/// Each counter lies between what was acknowledged and what was tried.
async fn check_bounds(client: &Client, rounds: &[Known]) {
    for counter in 0..KEYS {
        let acknowledged: u64 = rounds
            .iter()
            .map(|known| of_counter(&known.acknowledged, counter))
            .sum();
        let open: u64 = rounds
            .iter()
            .map(|known| of_counter(&known.open, counter))
            .sum();
        let found = count(client, counter).await;
        assert!(
            (acknowledged..=acknowledged + open).contains(&found),
            "counter/{counter}: {acknowledged} were acknowledged and {open} more tried, {found} are there"
        );
    }
}

/// Repeating every open key settles it; then each counter is exactly as large as it has keys.
async fn settle(client: &Client, rounds: &mut [Known]) {
    for known in rounds.iter_mut() {
        for ((counter, key), ()) in std::mem::take(&mut known.open) {
            let grain = format!("counter/{counter}");
            let reply = client
                .call_once(&grain, "increment", &json!([1]), &key)
                .await;
            known
                .acknowledged
                .insert((counter, key), reply.unwrap().ok());
        }
    }
    for counter in 0..KEYS {
        let keys: u64 = rounds
            .iter()
            .map(|known| of_counter(&known.acknowledged, counter))
            .sum();
        assert_eq!(
            count(client, counter).await,
            keys,
            "counter/{counter}: each key is executed exactly once"
        );
    }
}

/// No two keys were given the same number.
fn check_answers(rounds: &[Known]) {
    let mut answers: BTreeMap<(u64, String), &str> = BTreeMap::new();
    for ((counter, key), answer) in rounds.iter().flat_map(|known| &known.acknowledged) {
        let other = answers.insert((*counter, answer.to_string()), key);
        assert!(
            other.is_none_or(|other| other == key),
            "counter/{counter}: two keys got the answer {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_and_no_key_is_executed_twice() {
    let rounds = setting("CRASH_ROUNDS", 8);
    let seed = setting("CRASH_SEED", fastrand::u64(..));
    eprintln!("crash test: {rounds} rounds, seed {seed}");
    let _replay = Replay(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut node = Node::serving(&["counter"]).await;
    let mut history = Vec::new();
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |worker| {
            let name = format!("{seed}-{round}-{worker}");
            tokio::spawn(load(
                node.client().clone(),
                name,
                random.u64(..),
                Arc::clone(&stop),
            ))
        };
        let workers: Vec<_> = (0..WORKERS).map(spawn).collect();
        let moment = Duration::from_millis(random.u64(5..400));
        let mut alarm = tokio::time::interval_at(tokio::time::Instant::now() + moment, moment);
        alarm.tick().await;
        node.kill().await;
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            history.push(worker.await.unwrap());
        }
        node.start_again().await;
        check_bounds(node.client(), &history).await;
        settle(node.client(), &mut history).await;
        check_answers(&history);
    }
    let executed: usize = history.iter().map(|known| known.acknowledged.len()).sum();
    eprintln!("crash test: {executed} increments, each there exactly once");
}
