//! The cells: each measures one promise.

mod cold;
mod inside;
mod neighbour;
mod rates;
mod start;
mod typed;

use std::io::Write as _;
use std::time::Duration;

use crate::load::Load;
use crate::report::Finding;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cell {
    /// Warm calls over HTTP against a bare handler, in memory and durable.
    Rates,
    /// A call inside the process: mailbox, turn and codec.
    Inside,
    /// A call of one grain to another through a client.
    Typed,
    /// Activations from cold, and what an idle one weighs.
    Cold,
    /// From start to ready with 20 cached kinds.
    Start,
    /// A counter beside 16 loops.
    Neighbour,
}

const ALL: [Cell; 6] = [
    Cell::Rates,
    Cell::Inside,
    Cell::Typed,
    Cell::Cold,
    Cell::Start,
    Cell::Neighbour,
];

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// The usual load on a server.
    pub(crate) load: Load,
    /// How often a comparison is repeated.
    pub(crate) rounds: usize,
    /// How many grains are activated.
    pub(crate) grains: u64,
    /// How many calls are made inside the process.
    pub(crate) calls: u64,
    /// Whether samples in other languages than Rust are measured, too: `granary toolchain install` must have made their tools ready.
    pub(crate) languages: bool,
}

impl Scale {
    fn new(quick: bool) -> Self {
        let load = |warm_up_ms, time_ms| Load {
            connections: 64,
            warm_up: Duration::from_millis(warm_up_ms),
            time: Duration::from_millis(time_ms),
        };
        if quick {
            Self {
                load: load(100, 300),
                rounds: 1,
                grains: 300,
                calls: 2_000,
                languages: false,
            }
        } else {
            Self {
                load: load(1000, 4000),
                rounds: 5,
                grains: 4_000,
                calls: 200_000,
                languages: true,
            }
        }
    }
}

/// Measures these cells, or all.
pub(crate) async fn run(cells: &[Cell], quick: bool) -> anyhow::Result<Vec<Finding>> {
    let scale = Scale::new(quick);
    let mut findings = Vec::new();
    for cell in ALL
        .into_iter()
        .filter(|cell| cells.is_empty() || cells.contains(cell))
    {
        writeln!(std::io::stderr(), "measuring: {cell:?} …")?;
        findings.extend(match cell {
            Cell::Rates => rates::measure(&scale).await?,
            Cell::Inside => inside::measure(&scale).await?,
            Cell::Typed => typed::measure(&scale).await?,
            Cell::Cold => cold::measure(&scale).await?,
            Cell::Start => start::measure(&scale).await?,
            Cell::Neighbour => neighbour::measure(&scale).await?,
        });
    }
    Ok(findings)
}
