//! Making room: when every place for an instance is taken, resting activations go, those first whose memory is worth most.

use std::sync::Arc;
use std::time::Duration;

use granary_core::activation::DeactivateReason;
use granary_core::error::CallError;
use granary_runtime::{Instance, Linked, Seat};
use tokio::time::{Instant, timeout_at};

use super::message::Message;
use crate::node::shared::Shared;

/// One search frees this part of all places, so that the next activations find some.
const FREED_AT_ONCE: u32 = 64;
/// How long to wait for those that were asked to go.
const PATIENCE: Duration = Duration::from_millis(50);

/// Makes an instance; where no place is free, makes one by passivating others, and waits for it at most so long.
pub(crate) async fn instantiate(
    shared: &Arc<Shared>,
    linked: &Arc<Linked>,
    seat: impl Fn() -> Seat,
    at_most: Duration,
) -> Result<Instance, CallError> {
    let until = Instant::now() + at_most;
    loop {
        let freed = shared.place_free.notified();
        let refused = match linked.instantiate(seat()).await {
            Err(refused @ CallError::Overloaded { .. }) => refused,
            made => return made,
        };
        if !relieve(shared) || until <= Instant::now() {
            return Err(refused);
        }
        // Whoever was asked to go may have got a call in the meantime: then somebody else is asked.
        drop(timeout_at(until.min(Instant::now() + PATIENCE), freed).await);
    }
}

/// Tells some resting activations to go. Whether any was found, or somebody else has just done the same.
fn relieve(shared: &Arc<Shared>) -> bool {
    let Ok(_one) = shared.relieving.try_lock() else {
        return true;
    };
    let capacity = shared.runtime.capacity();
    if capacity.in_use < capacity.slots {
        return true;
    }
    let now = shared.clock.now().0;
    let all = shared.table.all();
    let mut ranked: Vec<_> = all
        .into_iter()
        .filter_map(|handle| Some((handle.worth_passivating(now)?, handle)))
        .collect();
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    ranked.truncate((capacity.slots / FREED_AT_ONCE).max(1) as usize);
    for (_, handle) in &ranked {
        handle.tell(Message::Leave {
            reason: DeactivateReason::Pressure,
            done: None,
        });
    }
    !ranked.is_empty()
}
