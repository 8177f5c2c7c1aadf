//! A thousand scenarios that nobody wrote, each held against every rule.

use std::sync::atomic::{AtomicU64, Ordering};

use granary_sim::random::check;
use granary_sim::run::LINES_BEFORE;

/// How many seeds are drawn each time.
const SEEDS: u64 = 1000;

#[test]
fn a_thousand_seeds_hold() {
    let next = AtomicU64::new(0);
    let work = || -> (u64, Vec<String>) {
        let (mut running, mut broken) = (0, Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if SEEDS <= seed {
                return (running, broken);
            }
            match check(seed, LINES_BEFORE) {
                Ok(checked) => running += u64::from(0 < checked.running),
                Err(found) => {
                    let before: Vec<String> =
                        found.before.iter().map(ToString::to_string).collect();
                    broken.push(format!("{}\nseed {seed}: {}", before.join("\n"), found.why));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let done: Vec<(u64, Vec<String>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let broken: Vec<&String> = done.iter().flat_map(|(_, broken)| broken).collect();
    assert!(
        broken.is_empty(),
        "{} of {SEEDS} seeds; the first:\n{}",
        broken.len(),
        broken[0]
    );
    // A run in which nobody is left shows little; most must show more.
    let running: u64 = done.iter().map(|(running, _)| running).sum();
    assert!(
        SEEDS / 2 < running,
        "only {running} of {SEEDS} clusters were alive in the end"
    );
}

#[test]
fn a_drawn_scenario_comes_to_the_same_end_bit_for_bit() {
    for seed in 0..20 {
        assert_eq!(check(seed, LINES_BEFORE), check(seed, LINES_BEFORE));
    }
}
