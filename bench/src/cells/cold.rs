//! Activations from cold with a state read, and what an idle activation weighs.

use tempfile::TempDir;

use super::Scale;
use crate::guests::Guest;
use crate::load::Target;
use crate::report::{Finding, Target as Promise};
use crate::servers::{Process, deploy};

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let data = TempDir::new()?;
    let node = Process::node(Some(data.path())).await?;
    deploy(&node.base, &Guest::sample("counter").await?).await?;
    let write = Target::call(
        &node.base,
        "counter/{key}",
        "increment",
        "[1]",
        scale.grains,
    )?;
    write.ask_each_once(scale.load.connections).await?;
    // A new process: nothing is live, everything is on disk.
    node.stop().await?;
    let node = Process::node(Some(data.path())).await?;
    // One activation maps the component and starts every thread; it is not what is counted.
    let first = Target::call(&node.base, "counter/first", "get", "[]", 1)?;
    first.ask_each_once(1).await?;
    let (before, before_once) = node.resident_bytes()?;
    let read = Target::call(&node.base, "counter/{key}", "get", "[]", scale.grains)?;
    let took = read.ask_each_once(scale.load.connections).await?;
    let (after, after_once) = node.resident_bytes()?;
    let again = read.ask_each_once(scale.load.connections).await?;
    let per_second = |took: std::time::Duration| scale.grains as f64 / took.as_secs_f64();
    let weight = |before: u64, after: u64| {
        after.saturating_sub(before) as f64 / 1e6 / (scale.grains as f64 / 1000.0)
    };
    let note = format!(
        "{} grains over HTTP; the same calls warm: {:.0}/s",
        scale.grains,
        per_second(again)
    );
    Ok(vec![
        Finding::new(
            "cold",
            "activations with a state read",
            per_second(took),
            "/s",
        )
        .promised(Promise::AtLeast(5_000.0))
        .noting(note),
        Finding::new(
            "cold",
            "resident memory per 1,000 idle counters",
            weight(before, after),
            "MB",
        )
        .promised(Promise::AtMost(60.0))
        .noting(format!(
            "the process: {:.0} MB before, {:.0} MB after; {:.1} MB with shared pages counted once",
            before as f64 / 1e6,
            after as f64 / 1e6,
            weight(before_once, after_once)
        )),
    ])
}
