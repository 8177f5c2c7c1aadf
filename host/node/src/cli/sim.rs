//! `sim`: a cluster that exists only in memory, for whoever wants to know what settings do before a partition shows it.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use granary_sim::run::{Outcome, run, run_traced};
use granary_sim::scenario::{FORMAT, Scenario};
use serde_json::json;

use crate::cli::exit::Error;
use crate::cli::terminal::{Terminal, rough};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What `sim` is told.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Run a scenario and check what it expects; --help shows the whole format
    #[command(after_long_help = FORMAT)]
    Run(RunArgs),
}

/// What `sim run` is told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The scenario
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Draw from this seed instead of the file's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run with so many seeds, one after the other, from that one on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Print everything that happens, messages included
    #[arg(long)]
    trace: bool,
}

/// Runs `sim`.
pub fn sim(terminal: &Terminal, command: &SimCommand) -> Result<(), Error> {
    let SimCommand::Run(args) = command;
    let scenario = read(args)?;
    let first = args.seed.unwrap_or(scenario.seed);
    let mut lasted = Duration::ZERO;
    for seed in (0..args.runs).map(|run| first.wrapping_add(run)) {
        let outcome = one(terminal, &scenario, seed, args.trace);
        lasted += outcome.lasted;
        if outcome.unmet.is_some() {
            return Err(broken(terminal, args, &outcome));
        }
    }
    let expects = scenario.expects.len();
    let hold = match expects {
        1 => "1 expectation holds".to_owned(),
        expects => format!("{expects} expectations hold"),
    };
    if terminal.is_json() {
        terminal.json(&json!({
            "held": true, "expectations": expects, "runs": args.runs, "seed": first, "virtual-seconds": lasted.as_secs_f64(),
        }));
        return Ok(());
    }
    let seeds = match args.runs {
        1 => format!("seed {first}"),
        runs => format!("{runs} seeds from {first} on"),
    };
    terminal.out(format!("{hold}; {seeds}, {} of the cluster", rough(lasted)));
    Ok(())
}

fn read(args: &RunArgs) -> Result<Scenario, Error> {
    let path = args.file.display();
    let unread = |why: String| Error::usage(format!("{path}: {why}"), "granary sim run --help");
    let file = std::fs::File::open(&args.file).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    // What a file says of its size need not be so.
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| unread(error.to_string()))?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(unread(format!(
            "a scenario has at most {FILE_BYTES_MAX} bytes"
        )));
    }
    Scenario::parse(&text).map_err(|error| {
        let problems = error.0.iter();
        let lines: Vec<String> = problems
            .map(|problem| format!("{path}, {problem}"))
            .collect();
        Error::usage(lines.join("\n"), "granary sim run --help shows the format")
    })
}

fn one(terminal: &Terminal, scenario: &Scenario, seed: u64, traced: bool) -> Outcome {
    if !traced {
        return run(scenario, seed);
    }
    let told = terminal.clone();
    run_traced(scenario, seed, move |line| match told.is_json() {
        true => told.note(line.to_string()),
        false => told.out(line.to_string()),
    })
}

/// The first expectation that does not hold: what was before, what it is, and how to come there again.
fn broken(terminal: &Terminal, args: &RunArgs, outcome: &Outcome) -> Error {
    let path = args.file.display();
    let (line, at, why) = match &outcome.unmet {
        Some(unmet) => (unmet.line, unmet.at, unmet.why.as_str()),
        None => (None, Duration::ZERO, ""),
    };
    let seed = outcome.seed;
    if terminal.is_json() {
        let before: Vec<String> = outcome.before.iter().map(ToString::to_string).collect();
        terminal.json(&json!({
            "held": false, "seed": seed, "line": line, "at-seconds": at.as_secs_f64(), "why": why, "before": before,
        }));
    } else if !args.trace {
        for line in &outcome.before {
            terminal.out(line.to_string());
        }
    }
    let place = line.map_or_else(String::new, |line| format!(", line {line}"));
    Error::failure(
        format!("{path}{place}: after {at:?}, seed {seed}: {why}"),
        format!("granary sim run {path} --seed {seed} --trace"),
    )
}
