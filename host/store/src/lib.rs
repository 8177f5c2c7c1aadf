//! What Granary keeps: grains' state, the turns' commits, one-way messages, kinds, components.
//!
//! The door is [`Store`]. Every engine passes [`conformance`]; `sled` is the embedded default, `memory` is for tests and
//! for nodes that are told to forget. A store knows no guest, no HTTP and no placement: it checks epochs and keeps bytes.
//!
//! Read in this order.

mod door;

pub use door::*;
