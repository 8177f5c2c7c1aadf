//! The tasks that run beside the calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::shared::Shared;
use crate::observe::now_ms;
use crate::sends::Sends;

/// How often kept answers are looked through for those that have expired.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// How many of them go in one commit.
const EXPIRE_BATCH: usize = 1000;
/// How often a full store is asked whether it has space again, and gauges are set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts them.
pub(super) fn start(shared: &Arc<Shared>, sends: &Sends) -> Vec<JoinHandle<()>> {
    let sends = sends.clone();
    let kinds = shared.kinds.clone();
    vec![
        tokio::spawn(async move { sends.pump().await }),
        tokio::spawn(async move { kinds.prepare().await }),
        tokio::spawn(expire(Arc::clone(shared))),
        tokio::spawn(look(Arc::clone(shared))),
    ]
}

async fn expire(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EXPIRE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        loop {
            match shared.store.expire(now_ms(), EXPIRE_BATCH).await {
                Ok(EXPIRE_BATCH) => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "expired answers could not be removed; the next round tries again");
                    break;
                }
            }
        }
    }
}

async fn look(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kinds_before = 0;
    loop {
        ticks.tick().await;
        let kinds = shared.kinds.list().len();
        if kinds < kinds_before {
            shared
                .table
                .dismiss(|handle| shared.kinds.entry(&handle.grain.kind).is_none());
        }
        kinds_before = kinds;
        shared
            .metrics
            .slots_in_use
            .set(f64::from(shared.runtime.capacity().in_use));
        if shared.is_store_full() && shared.store.ready().await.is_ok() {
            shared.store_accepted();
        }
    }
}
