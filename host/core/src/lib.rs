//! What Granary decides, without doing any of it.
//!
//! This crate holds the words that the other crates share (ids, limits, errors, a kind's checked settings) and the machines that decide:
//! one [`activation`] per grain, the [`waits`] graph that refuses circles, the [`turn`] buffer that becomes one commit, [`overlap`] that
//! tells which of several turns side by side may commit; [`membership`], a node's picture of its cluster, and [`placement`], what follows
//! from it. It is `no_std` with `alloc`: no clock, no socket, no randomness, no async, no Wasmtime. Time and ids come in as values; wishes
//! go out as plain data.
//!
//! Read in this order.
#![no_std]

extern crate alloc;

pub mod activation;
pub mod error;
pub mod hash;
pub mod id;
pub mod kind;
pub mod limits;
pub mod membership;
pub mod overlap;
pub mod placement;
pub mod turn;
pub mod waits;
