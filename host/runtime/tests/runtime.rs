//! The runtime as the node sees it, with guests written by hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail them"
)]

#[path = "runtime/bench.rs"]
mod bench;
#[path = "runtime/beside.rs"]
mod beside;
#[path = "runtime/cache.rs"]
mod cache;
#[path = "runtime/flows.rs"]
mod flows;
#[path = "runtime/limits.rs"]
mod limits;
#[path = "runtime/linking.rs"]
mod linking;
#[path = "runtime/measures.rs"]
mod measures;
#[path = "runtime/turns.rs"]
mod turns;
