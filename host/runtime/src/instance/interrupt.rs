//! What happens when a tick meets a running guest.

use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::guest::Guest;

/// Installs the callback. The deadline itself is set at the start of each turn.
pub(crate) fn install(store: &mut Store<Guest>) {
    store.epoch_deadline_callback(|store| Ok(on_tick(store)));
}

/// Only guest code reaches this: a guest that waits for the host is not met, however many ticks pass.
fn on_tick(mut store: StoreContextMut<'_, Guest>) -> UpdateDeadline {
    let guest = store.data_mut();
    let seen = guest.meter.look();
    let limits = &guest.linked.spec().limits;
    let stop = if guest.turns.is_empty() {
        // Start code has no turn, but the same budget.
        limits.cpu_time <= seen.used
    } else {
        guest.turns.charge(seen.used, limits)
    };
    if stop {
        return UpdateDeadline::Interrupt;
    }
    if seen.long {
        guest.meter.note_long();
        return UpdateDeadline::Yield(1);
    }
    // The deadline passed while the guest waited, or rested: it has only just begun to run again.
    UpdateDeadline::Continue(1)
}
