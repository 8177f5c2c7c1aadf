//! State: a number that survives.
//!
//! `counter/visits` and `counter/sales` are two grains with a number each. Whatever a turn writes is committed before its answer
//! leaves; a turn that panics leaves no trace.

use std::sync::atomic::{AtomicU64, Ordering};

use exports::demo::counter::counter::Guest;
use granary_sdk::state::Value;

wit_bindgen::generate!({ path: "wit", world: "grain" });

/// The number's place in the state.
const COUNT: Value<u64> = Value::at("count");

/// The memory of one activation: fast, and gone when the grain goes to rest.
static IN_MEMORY: AtomicU64 = AtomicU64::new(0);

struct Counter;

impl Guest for Counter {
    fn increment(by: u64) -> u64 {
        let count = Self::get().saturating_add(by);
        COUNT.set(&count).expect("a number fits into the state");
        count
    }

    fn get() -> u64 {
        COUNT.get().expect("the state is readable").unwrap_or(0)
    }

    fn increment_memory(by: u64) -> u64 {
        IN_MEMORY.fetch_add(by, Ordering::Relaxed) + by
    }
}

granary_sdk::grain!(Counter);
