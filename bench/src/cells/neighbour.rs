//! A counter under load beside 16 grains that loop: what becomes of its slowest answers.

use serde_json::json;

use super::Scale;
use crate::guests::Guest;
use crate::load::{Load, Target};
use crate::report::{Finding, Target as Promise};
use crate::servers::{Process, deploy};

const LOOPS: u64 = 16;

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let node = Process::node(None).await?;
    deploy(&node.base, &Guest::sample("counter").await?).await?;
    // The most that a manifest may ask for: no loop ends while it is watched.
    let limits = json!({ "cpu-time": "10s", "wall-time": "600s", "call-timeout": "600s" });
    deploy(
        &node.base,
        &Guest::sample("runaway").await?.limited(&limits),
    )
    .await?;
    let load = Load {
        connections: 16,
        ..scale.load
    };
    let counter = Target::call(&node.base, "counter/{key}", "increment-memory", "[1]", 16)?;
    let alone = load.put_on(&counter).await?;
    let loops = Target::call(&node.base, "runaway/{key}", "loop-forever", "[]", LOOPS)?;
    let loops = tokio::spawn(async move { loops.ask_each_once(usize::try_from(LOOPS)?).await });
    let beside = load.put_on(&counter).await?;
    anyhow::ensure!(
        !loops.is_finished(),
        "the loops ended before the measurement did"
    );
    loops.abort();
    let growth = beside.ms(99.0) / alone.ms(99.0);
    Ok(vec![
        Finding::new("neighbour", "counter's p99, alone", alone.ms(99.0), "ms").noting(&alone),
        Finding::new(
            "neighbour",
            "counter's p99, beside 16 loops",
            beside.ms(99.0),
            "ms",
        )
        .noting(&beside),
        Finding::new("neighbour", "growth of p99", growth, "×").promised(Promise::AtMost(3.0)),
    ])
}
