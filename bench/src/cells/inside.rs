//! A call inside the process: through dispatch, mailbox, turn and codec, but no socket.

use std::time::Instant;

use anyhow::anyhow;
use granary_core::id::GrainId;
use granary_node::grains::Call;
use hdrhistogram::Histogram;

use super::Scale;
use crate::guests::Guest;
use crate::report::{Finding, Target};
use crate::servers::{deploy, in_process};

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let calls = scale.calls;
    // A runtime of its own, with the threads of a node: the client's has one, which would spare the wake-ups.
    let latency = std::thread::spawn(move || -> anyhow::Result<Histogram<u64>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async move { tokio::spawn(call_in_a_row(calls)).await? })
    });
    let latency = tokio::task::spawn_blocking(move || latency.join())
        .await?
        .map_err(|_| anyhow!("the calls panicked"))??;
    let us = |percentile: f64| latency.value_at_percentile(percentile) as f64 / 1e3;
    let note = format!(
        "p90 {:.1} µs, p99 {:.1} µs, {} calls one after the other",
        us(90.0),
        us(99.0),
        latency.len()
    );
    let finding = Finding::new("inside", "dynamic call, p50", us(50.0), "µs");
    Ok(vec![finding.promised(Target::AtMost(10.0)).noting(note)])
}

async fn call_in_a_row(calls: u64) -> anyhow::Result<Histogram<u64>> {
    let (node, server) = in_process(None).await?;
    deploy(&server.base, &Guest::sample("counter").await?).await?;
    let grain = GrainId::parse("counter/one")?;
    let mut latency = Histogram::<u64>::new(3)?;
    for number in 0..calls + calls / 10 {
        let started = Instant::now();
        let call = Call::new(grain.clone(), "increment-memory", b"[1]".to_vec());
        node.grains.call(call).await?;
        if calls / 10 <= number {
            latency.record(u64::try_from(started.elapsed().as_nanos())?)?;
        }
    }
    node.stop().await;
    Ok(latency)
}
