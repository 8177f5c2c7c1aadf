//! Where things live: which member hosts a grain, whom a router sends to, and what moves when members come and go.
//!
//! Functions of a view and of what is asked, above [`crate::membership`] and unknown to it. Every node that sees the same members answers
//! alike, so that nobody has to be asked.
//!
//! Read in this order.

pub mod hosts;
pub mod policy;
pub mod rebalance;
pub mod rendezvous;
pub mod routees;

/// The finalizer of splitmix64: every bit of the input reaches every bit of the result. Frozen, as nodes of two versions must agree.
pub(crate) const fn mix(input: u64) -> u64 {
    let mut hash = input.wrapping_add(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
