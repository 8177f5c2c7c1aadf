//! What was promised, measured: `cargo run --release -p bench`.
//!
//! Every figure that a promise names is a *ratio within one run on one machine*, so that it means something elsewhere too. The peer
//! for the rates is a bare axum handler that parses and answers the same JSON; both run as processes of their own, one after the
//! other and again, under the same closed-loop client: hyper on one thread, 64 kept connections, one request each at a time.
//!
//! ```text
//! cargo run --release -p bench                     everything, some three minutes; a table, then JSON
//! cargo run --release -p bench -- --quick          the same in some 15 seconds, too short to be quoted
//! cargo run --release -p bench -- cold inside      only these cells
//! cargo run --release -p bench -- --check          fails if a target is missed
//! cargo run --release -p bench -- peer URL         the same client against somebody else
//! ```
//!
//! # Peers
//!
//! Rates of other systems mean something only beside ours in the same minute. Each of these is installed from its registry; the client
//! is the one above, `{key}` in a URL becomes one of `--keys`.
//!
//! - **workerd** (Durable Objects): `npm i workerd`, a Worker with a Durable Object that counts in memory (`/mem?k=…`) and one that counts in
//!   `storage` (`/inc?k=…`), `workerd serve config.capnp` on port 18787, then
//!   `bench peer --method GET 'http://127.0.0.1:18787/mem?k=d1'` and `bench peer --method GET --keys 1000 'http://127.0.0.1:18787/inc?k=d{key}'`.
//! - **Restate**: `npm i @restatedev/restate-server @restatedev/restate-sdk`, an object `Counter` with a handler `add`, registered, then
//!   `bench peer --keys 1000 'http://127.0.0.1:8080/Counter/{key}/add'`.
//! - **A bare handler**: the cell `memory` measures it in the same run.

mod cells;
mod guests;
mod load;
mod report;
mod servers;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::{Load, Target};

/// The allocator of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what was promised, as ratios within one run on one machine.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

/// What to measure.
#[derive(Args)]
struct Run {
    /// Short: shows that it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Ends with an error if a target is missed.
    #[arg(long)]
    check: bool,
    /// Also writes the JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Which cells; all unless named.
    cells: Vec<cells::Cell>,
}

#[derive(Subcommand)]
enum Command {
    /// Puts the same load on another server.
    Peer(Peer),
    /// The bare handler, as a process of its own.
    #[command(hide = true)]
    Bare,
    /// A node, as a process of its own.
    #[command(hide = true)]
    Node {
        /// Its data directory; none: in memory.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Peer {
    /// Where to; `{key}` becomes a number below `--keys`.
    url: String,
    /// The HTTP method.
    #[arg(long, default_value = "POST")]
    method: http::Method,
    /// The body.
    #[arg(long, default_value = "")]
    body: String,
    /// Kept connections, one request each at a time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many keys.
    #[arg(long, default_value_t = 1)]
    keys: u64,
    /// For how long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if this fails.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => measure(&cli.run),
        Some(Command::Peer(peer)) => put_on(&peer),
        Some(Command::Bare) => servers::run_bare().map(|()| ExitCode::SUCCESS),
        Some(Command::Node { data }) => servers::run_node(data).map(|()| ExitCode::SUCCESS),
    }
}

fn measure(run: &Run) -> anyhow::Result<ExitCode> {
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let findings = client.block_on(cells::run(&run.cells, run.quick))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", report::table(&findings))?;
    let json = serde_json::to_string_pretty(&report::document(&findings, run.quick))?;
    writeln!(out, "{json}")?;
    if let Some(file) = &run.json {
        std::fs::write(file, &json)?;
    }
    let missed = findings.iter().any(|finding| finding.met() == Some(false));
    Ok(if run.check && missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn put_on(peer: &Peer) -> anyhow::Result<ExitCode> {
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let target = Target::parse(&peer.url, peer.method.clone(), &peer.body, peer.keys)?;
    let load = Load {
        connections: peer.connections,
        warm_up: Duration::from_secs(1),
        time: Duration::from_secs(peer.seconds),
    };
    let measured = client.block_on(load.put_on(&target))?;
    writeln!(std::io::stdout(), "{measured}")?;
    Ok(ExitCode::SUCCESS)
}
