//! Calls a second over HTTP: a bare handler, a counter in memory, a durable one.

use tempfile::TempDir;

use super::Scale;
use crate::guests::Guest;
use crate::load::{Measured, Target};
use crate::report::{Finding, Target as Promise};
use crate::servers::{Process, deploy};

/// How many keys the spread load has.
const KEYS: u64 = 1000;

/// The median run by its rate.
fn median(mut runs: Vec<Measured>) -> anyhow::Result<Measured> {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = runs.len() / 2;
    runs.into_iter()
        .nth(middle)
        .ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let data = TempDir::new()?;
    let bare = Process::bare().await?;
    let node = Process::node(Some(data.path())).await?;
    deploy(&node.base, &Guest::sample("counter").await?).await?;
    let targets = [
        Target::call(&bare.base, "counter/one", "increment", "[1]", 1)?,
        Target::call(&node.base, "counter/one", "increment-memory", "[1]", 1)?,
        Target::call(&node.base, "counter/{key}", "increment-memory", "[1]", KEYS)?,
        Target::call(&node.base, "counter/{key}", "increment", "[1]", KEYS)?,
        Target::call(&node.base, "counter/one", "increment", "[1]", 1)?,
    ];
    for target in &targets {
        target.ask_each_once(scale.load.connections).await?;
    }
    // Side by side in time: what else the machine does then falls on all of them.
    let mut runs: Vec<Vec<Measured>> = vec![Vec::new(); targets.len()];
    for _ in 0..scale.rounds {
        for (target, runs) in targets.iter().zip(&mut runs) {
            runs.push(scale.load.put_on(target).await?);
        }
    }
    let mut medians = Vec::new();
    for runs in runs {
        medians.push(median(runs)?);
    }
    let [bare, one, many, durable, durable_one] = medians.as_slice() else {
        anyhow::bail!("five cells were measured")
    };
    let rate = |what: &str, measured: &Measured| {
        Finding::new("rates", what, measured.rate, "/s").noting(measured)
    };
    let ratio = |what: &str, value: f64| {
        Finding::new("rates", what, value, "×").promised(Promise::AtLeast(0.5))
    };
    Ok(vec![
        rate("bare axum handler", bare),
        rate("counter in memory, 1 key", one),
        rate("counter in memory, 1,000 keys", many),
        rate("counter durable, 1,000 keys", durable),
        rate("counter durable, 1 key", durable_one),
        ratio("in memory, 1 key ÷ bare handler", one.rate / bare.rate),
        ratio(
            "in memory, 1,000 keys ÷ bare handler",
            many.rate / bare.rate,
        ),
        ratio(
            "durable ÷ in memory, 1,000 keys each",
            durable.rate / many.rate,
        ),
    ])
}
