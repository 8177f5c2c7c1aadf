//! `granary:grain/context`: answered from the turn itself.

use std::time::Instant;

use granary_core::id::GrainId;
use granary_core::limits::BAGGAGE_BYTES_MAX;
use wasmtime::StoreContextMut;

use super::{Linked, current, turn};
use crate::TurnContext;
use crate::bindings::granary::grain::types::GrainId as WitGrainId;
use crate::guest::Guest;

type Store<'a> = StoreContextMut<'a, Guest>;

pub(super) fn link(context: &mut Linked<'_>) -> wasmtime::Result<()> {
    context.func_wrap("self-id", |store: Store<'_>, (): ()| {
        Ok((wit_id(&store.data().seat.grain),))
    })?;
    context.func_wrap("revision", |store: Store<'_>, (): ()| {
        Ok((store.data().seat.revision.0,))
    })?;
    context.func_wrap("activation-epoch", |store: Store<'_>, (): ()| {
        Ok((store.data().seat.epoch.0,))
    })?;
    context.func_wrap("caller", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, |turn| turn.caller.as_ref().map(wit_id)).flatten(),))
    })?;
    context.func_wrap("call-chain", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, |turn| {
            turn.chain.iter().map(wit_id).collect::<Vec<_>>()
        })
        .unwrap_or_default(),))
    })?;
    context.func_wrap("principal", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, |turn| turn.principal.clone()).flatten(),))
    })?;
    context.func_wrap("deadline-remaining", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, remaining).unwrap_or(0),))
    })?;
    context.func_wrap("idempotency-key", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, |turn| turn.idempotency_key.clone()).flatten(),))
    })?;
    context.func_wrap("baggage", |store: Store<'_>, (name,): (String,)| {
        Ok((of_turn(store, |turn| turn.baggage.lock().get(&name).cloned()).flatten(),))
    })?;
    context.func_wrap(
        "set-baggage",
        |store: Store<'_>, (name, value): (String, String)| {
            Ok((of_turn(store, |turn| set_baggage(turn, name, value))
                .unwrap_or_else(|| Err("no turn is running".to_owned())),))
        },
    )?;
    context.func_wrap("is-cancelled", |store: Store<'_>, (): ()| {
        Ok((of_turn(store, TurnContext::is_given_up).unwrap_or(false),))
    })
}

pub(super) fn wit_id(grain: &GrainId) -> WitGrainId {
    WitGrainId {
        kind: grain.kind.as_str().to_owned(),
        key: grain.key.as_str().to_owned(),
    }
}

fn of_turn<R>(mut store: Store<'_>, body: impl FnOnce(&TurnContext) -> R) -> Option<R> {
    let key = current(&mut store)?;
    turn(store.data_mut(), key).map(|turn| body(&turn.context))
}

fn remaining(turn: &TurnContext) -> u64 {
    let left = turn.deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
}

fn set_baggage(turn: &TurnContext, name: String, value: String) -> Result<(), String> {
    let mut baggage = turn.baggage.lock();
    let others: usize = baggage
        .iter()
        .filter(|(held, _)| **held != name)
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let bytes = others + name.len() + value.len();
    if BAGGAGE_BYTES_MAX < bytes {
        return Err(format!(
            "the baggage would have {bytes} bytes; at most {BAGGAGE_BYTES_MAX} travel"
        ));
    }
    baggage.insert(name, value);
    Ok(())
}
