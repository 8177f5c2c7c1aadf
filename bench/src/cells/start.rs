//! From start to ready with 20 kinds whose compiled components are in the cache, and from there to the first answer of a kind that brings
//! its interpreter along.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Scale;
use crate::guests::Guest;
use crate::report::{Finding, Target};
use crate::servers::{Process, deploy, first_answer};

const KINDS: u8 = 20;

pub(super) async fn measure(scale: &Scale) -> anyhow::Result<Vec<Finding>> {
    let data = TempDir::new()?;
    let node = Process::node(Some(data.path())).await?;
    let counter = Guest::sample("counter").await?;
    for number in 0..KINDS {
        deploy(&node.base, &counter.again(number)).await?;
    }
    node.stop().await?;
    let mut took = Vec::new();
    for _ in 0..scale.rounds {
        let started = Instant::now();
        let node = Process::node(Some(data.path())).await?;
        took.push(started.elapsed());
        node.stop().await?;
    }
    let worst = took.iter().max().copied().unwrap_or(Duration::MAX);
    let finding = Finding::new(
        "start",
        "start to ready, 20 cached kinds",
        worst.as_secs_f64(),
        "s",
    );
    let mut findings = vec![
        finding
            .promised(Target::AtMost(0.5))
            .noting(format!("the slowest of {}", took.len())),
    ];
    if scale.languages {
        for (language, sample, most_ms) in INTERPRETED {
            findings.push(first(scale, language, sample, most_ms).await?);
        }
    }
    Ok(findings)
}

/// Languages whose interpreter is part of every component, their sample, and the most milliseconds of its first answer.
const INTERPRETED: [(&str, &str, f64); 2] = [
    ("Python", "counter-python", 50.0),
    ("JavaScript", "counter-ts", 10.0),
];

/// The first answer after a start: the compiled component is mapped, an instance made, the grain activated, the turn run. What the disk takes
/// to make the turn durable is the same for every language, and only told.
async fn first(
    scale: &Scale,
    language: &str,
    sample: &str,
    most_ms: f64,
) -> anyhow::Result<Finding> {
    let data = TempDir::new()?;
    let node = Process::node(Some(data.path())).await?;
    deploy(&node.base, &Guest::sample(sample).await?).await?;
    node.stop().await?;
    let (mut worst, mut durable) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..scale.rounds {
        let node = Process::node(Some(data.path())).await?;
        let (whole, commit) = first_answer(&node.base, sample).await?;
        worst = worst.max(whole.saturating_sub(commit));
        durable = durable.max(whole);
        node.stop().await?;
    }
    let what = format!("{language}: first answer after a start, without its commit");
    let finding = Finding::new("start", &what, worst.as_secs_f64() * 1e3, "ms");
    Ok(finding.promised(Target::AtMost(most_ms)).noting(format!(
        "cached; the slowest of {}; {:.1} ms with the commit in the store on disk",
        scale.rounds,
        durable.as_secs_f64() * 1e3
    )))
}
