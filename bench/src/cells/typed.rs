//! A call of one grain to another through a client: typed values, the callee's turn and its commit to the store in memory.
//!
//! What is measured from the outside is a turn of the caller that makes one such call, one that makes none, and the callee's method called by
//! itself, in turns. The difference of the first two medians is what the call adds; what of that is not the callee's own is the way between them.

use std::time::Instant;

use anyhow::anyhow;
use granary_core::id::GrainId;
use granary_node::grains::Call;
use granary_node::node::Node;
use hdrhistogram::Histogram;

use super::Scale;
use crate::guests::Guest;
use crate::report::{Finding, Target};
use crate::servers::{deploy, in_process};

/// The sample that is called, in each language.
const CALLED: [&str; 6] = [
    "counter",
    "counter-c",
    "counter-zig",
    "counter-go",
    "counter-ts",
    "counter-python",
];

/// Turns of the caller with a call and without, and the callee's own.
struct Latency {
    with: Histogram<u64>,
    without: Histogram<u64>,
    own: Histogram<u64>,
}

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let turns = scale.calls / 4;
    let called = if scale.languages {
        &CALLED[..]
    } else {
        &CALLED[..1]
    };
    let mut findings = Vec::new();
    for name in called {
        // A runtime of its own, as for the calls from inside.
        let latency = std::thread::spawn(move || -> anyhow::Result<Latency> {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            // It calls all the time, which no caller does: tokio is not to move it to another thread for that after every 128 steps.
            let turns = tokio::task::unconstrained(turns_in_a_row(name, turns));
            runtime.block_on(async move { tokio::spawn(turns).await? })
        });
        let latency = tokio::task::spawn_blocking(move || latency.join())
            .await?
            .map_err(|_| anyhow!("the calls panicked"))??;
        findings.extend(found(name, &latency));
    }
    Ok(findings)
}

fn found(name: &str, latency: &Latency) -> Vec<Finding> {
    let us = |of: &Histogram<u64>| of.value_at_quantile(0.5) as f64 / 1e3;
    let (with, without, own) = (us(&latency.with), us(&latency.without), us(&latency.own));
    let note = format!(
        "p50 of a turn with the call {with:.1} µs, without {without:.1} µs, of the callee's own {own:.1} µs, {} of each",
        latency.with.len()
    );
    let call = with - without;
    let what = format!("typed call to {name}, beyond its own cost");
    let beyond = Finding::new("typed", what, call - own, "µs").promised(Target::AtMost(5.0));
    if name == CALLED[0] {
        let whole = Finding::new("typed", "typed call, p50", call, "µs");
        return vec![whole.promised(Target::AtMost(15.0)).noting(note), beyond];
    }
    vec![beyond.noting(note)]
}

async fn turns_in_a_row(called: &str, turns: u64) -> anyhow::Result<Latency> {
    let (node, server) = in_process(None).await?;
    // The client is that of the kind `counter`, whatever its language.
    let counter = Guest {
        kind: CALLED[0].to_owned(),
        ..Guest::sample(called).await?
    };
    deploy(&server.base, &counter).await?;
    deploy(&server.base, &Guest::sample("tally").await?).await?;
    let mut latency = Latency {
        with: Histogram::new(3)?,
        without: Histogram::new(3)?,
        own: Histogram::new(3)?,
    };
    for number in 0..turns + turns / 10 {
        // Both turns of the caller come after one of the callee, so that the processor's caches are as cold for the one as for the other.
        let before = timed(&node, "counter/one", "increment", "[1]").await?;
        let with = timed(&node, "tally/one", "count", r#"[["one"],1]"#).await?;
        let after = timed(&node, "counter/one", "increment", "[1]").await?;
        let without = timed(&node, "tally/one", "count", "[[],1]").await?;
        if turns / 10 <= number {
            latency.with.record(with)?;
            latency.without.record(without)?;
            latency.own.record(before)?;
            latency.own.record(after)?;
        }
    }
    node.stop().await;
    Ok(latency)
}

/// How long a call takes, in nanoseconds.
async fn timed(node: &Node, grain: &str, method: &str, arguments: &str) -> anyhow::Result<u64> {
    let call = Call::new(GrainId::parse(grain)?, method, arguments);
    let started = Instant::now();
    node.grains.call(call).await?;
    Ok(u64::try_from(started.elapsed().as_nanos())?)
}
