//! Long runs by hand: `cargo run --release -p granary-sim -- seeds` draws scenarios until a rule does not hold, `measure` prints figures.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use granary_sim::measure::{Detection, Growth, detect, grow};
use granary_sim::random::{Broken, check, is_far};
use granary_sim::run::LINES_BEFORE;

/// Runs the cluster core in simulation for as long as it is let.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draws a scenario from each seed and holds every rule against it.
    Seeds {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 1_000_000)]
        count: u64,
        /// How many at a time.
        #[arg(long, default_value_t = 1)]
        jobs: u64,
        /// Of these, only those with several data centres.
        #[arg(long)]
        far: bool,
        /// How much of what happened before is printed.
        #[arg(long, default_value_t = LINES_BEFORE)]
        lines: usize,
    },
    /// Prints what clusters of these sizes need, and how the failure detector does.
    Measure {
        /// How many nodes.
        #[arg(default_values_t = [10, 100, 1000])]
        sizes: Vec<usize>,
        /// The seed of each of them.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Which share of the messages gets lost once they are up.
        #[arg(long, default_value_t = 0.0)]
        loss: f64,
    },
}

fn main() -> ExitCode {
    let told = match Cli::parse().command {
        Command::Seeds {
            from,
            count,
            jobs,
            far,
            lines,
        } => {
            let wanted = |seed: u64| !far || is_far(seed);
            seeds(
                from..from.saturating_add(count),
                wanted,
                (jobs.max(1), lines),
            )
        }
        Command::Measure { sizes, seed, loss } => measure(&sizes, loss, seed),
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        // The reader is gone, or a rule does not hold.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// Every seed, until one breaks a rule. True if none does.
fn seeds(
    seeds: Range<u64>,
    wanted: impl Fn(u64) -> bool + Sync,
    (jobs, lines): (u64, usize),
) -> std::io::Result<bool> {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let work = || -> Option<Box<Broken>> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) || stop.load(Ordering::Relaxed) {
                return None;
            }
            if !wanted(seed) {
                continue;
            }
            if let Err(broken) = check(seed, lines) {
                stop.store(true, Ordering::Relaxed);
                return Some(broken);
            }
        }
    };
    let begun = Instant::now();
    let broken: Vec<Box<Broken>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| {
            worker
                .join()
                .expect("a panic has named its seed, and ends the run")
        });
        joined.flatten().collect()
    });
    let mut out = std::io::stdout().lock();
    for broken in &broken {
        for line in &broken.before {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "seed {}: {}", broken.seed, broken.why)?;
        writeln!(
            out,
            "again: cargo run --release -p granary-sim -- seeds --from {} --count 1",
            broken.seed
        )?;
    }
    if broken.is_empty() {
        writeln!(out, "the seeds {seeds:?} hold, in {:?}", begun.elapsed())?;
    }
    Ok(broken.is_empty())
}

fn measure(sizes: &[usize], loss: f64, seed: u64) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>6} {:>9} {:>12} {:>9} {:>9} {:>12} {:>11} {:>11}",
        "nodes", "all up", "quiet B/n/s", "", "took", "messages", "bytes", "/ n·log2 n"
    )?;
    for nodes in sizes {
        let begun = Instant::now();
        let growth = grow(*nodes, loss, seed);
        rows(&mut out, &growth)?;
        let wall = seconds(Some(begun.elapsed()));
        writeln!(out, "{nodes:>6} {wall:>9} of wall time")?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "{:>6} {:>7} {:>18} {:>11} {:>11}",
        "loss", "pause", "suspicions of live", "first seen", "seen by all"
    )?;
    for loss in [0.0, 0.1, 0.2, 0.3, 0.5] {
        writeln!(out, "{}", detection(&detect(loss, None, seed)))?;
    }
    for pause in [1, 2, 4, 8] {
        let pause = Some(Duration::from_secs(pause));
        writeln!(out, "{}", detection(&detect(0.0, pause, seed)))?;
    }
    Ok(true)
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "never".to_owned(),
        |duration| format!("{:.2} s", duration.as_secs_f64()),
    )
}

fn rows(out: &mut impl Write, growth: &Growth) -> std::io::Result<()> {
    let each = growth.quiet.bytes as f64 / growth.nodes as f64 / 30.0;
    let costs = [
        ("all join", growth.joining),
        ("leave", growth.leave),
        ("join", growth.join),
        ("crash", growth.crash),
    ];
    for (what, cost) in costs {
        writeln!(
            out,
            "{:>6} {:>9} {each:>12.0} {what:>9} {:>9} {:>12} {:>11} {:>11.1}",
            growth.nodes,
            seconds(growth.all_up),
            seconds(cost.took),
            cost.gossip.messages,
            cost.gossip.bytes,
            cost.bytes_by_n_log_n(growth.nodes),
        )?;
    }
    Ok(())
}

fn detection(detection: &Detection) -> String {
    let pause = detection
        .pause
        .map_or_else(|| "–".to_owned(), |pause| format!("{pause:?}"));
    format!(
        "{:>6} {pause:>7} {:>18} {:>11} {:>11}",
        detection.loss,
        detection.false_positives,
        seconds(detection.first),
        seconds(detection.all),
    )
}
