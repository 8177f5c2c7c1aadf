//! A call of one grain to another through a client: typed values, the callee's turn and its commit to the store in memory.
//!
//! What is measured from the outside is a turn of the caller that makes one such call, and one that makes none, in turns. The difference of
//! their medians is what the call adds.

use std::time::Instant;

use anyhow::anyhow;
use granary_core::id::GrainId;
use granary_node::grains::Call;
use hdrhistogram::Histogram;

use super::Scale;
use crate::guests::Guest;
use crate::report::{Finding, Target};
use crate::servers::{deploy, in_process};

/// Turns of the caller with a call and without.
struct Latency {
    with: Histogram<u64>,
    without: Histogram<u64>,
}

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let turns = scale.calls / 4;
    // A runtime of its own, as for the calls from inside.
    let latency = std::thread::spawn(move || -> anyhow::Result<Latency> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async move { tokio::spawn(turns_in_a_row(turns)).await? })
    });
    let latency = tokio::task::spawn_blocking(move || latency.join())
        .await?
        .map_err(|_| anyhow!("the calls panicked"))??;
    let us = |of: &Histogram<u64>| of.value_at_quantile(0.5) as f64 / 1e3;
    let (with, without) = (us(&latency.with), us(&latency.without));
    let note = format!(
        "p50 of a turn with the call {with:.1} µs, without {without:.1} µs, {} of each",
        latency.with.len()
    );
    let finding = Finding::new("typed", "typed call, p50", with - without, "µs");
    Ok(vec![finding.promised(Target::AtMost(15.0)).noting(note)])
}

async fn turns_in_a_row(turns: u64) -> anyhow::Result<Latency> {
    let (node, server) = in_process(None).await?;
    deploy(&server.base, &Guest::sample("counter").await?).await?;
    deploy(&server.base, &Guest::sample("tally").await?).await?;
    let grain = GrainId::parse("tally/one")?;
    let call = |arguments: &str| {
        let call = Call::new(grain.clone(), "count", arguments);
        async {
            let started = Instant::now();
            node.grains.call(call).await?;
            anyhow::Ok(u64::try_from(started.elapsed().as_nanos())?)
        }
    };
    let mut latency = Latency {
        with: Histogram::new(3)?,
        without: Histogram::new(3)?,
    };
    for number in 0..turns + turns / 10 {
        let with = call(r#"[["one"],1]"#).await?;
        let without = call("[[],1]").await?;
        if turns / 10 <= number {
            latency.with.record(with)?;
            latency.without.record(without)?;
        }
    }
    node.stop().await;
    Ok(latency)
}
