//! What Granary keeps: grains' state, the turns' commits, one-way messages, kinds, components.
//!
//! The door is [`Store`]. Every engine passes [`conformance`]; `sled` is the embedded default, `memory` is for tests and
//! for nodes that are told to forget. A store knows no guest, no HTTP and no placement: it checks epochs and keeps bytes.
//!
//! Read in this order.

pub mod conformance;
mod door;
pub mod embedded;
pub mod memory;
pub mod transfer;

mod artifacts;
mod directory;
mod fences;
mod keys;
mod ledger;
mod record;
mod space;
mod table;

pub use door::*;
pub use embedded::Embedded;
#[doc(hidden)]
pub use embedded::fuzz_journal;
pub use memory::Memory;
#[doc(hidden)]
pub use record::fuzz_decode;
pub use space::{RESERVE_BYTES, Space};
