//! From start to ready with 20 kinds whose compiled components are in the cache.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Scale;
use crate::guests::Guest;
use crate::report::{Finding, Target};
use crate::servers::{Process, deploy};

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
    Ok(vec![
        finding
            .promised(Target::AtMost(0.5))
            .noting(format!("the slowest of {}", took.len())),
    ])
}
