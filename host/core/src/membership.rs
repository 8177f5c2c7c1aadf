//! Who is in the cluster: every node's own picture, how the pictures become one, and who may decide what.
//!
//! The rules are Apache Pekko's (`pekko-cluster`), with the defects left out that its users and ours have named; where a rule differs, the
//! item says so. Nothing here reads a clock, draws a random number or sends: time, a seed and messages come in, effects go out.
//!
//! Read in this order.

pub mod address;
pub mod downing;
pub mod event;
pub mod gossip;
pub mod member;
pub mod order;
pub mod protocol;
pub mod reachability;
pub mod settings;
pub mod state;
pub mod subscription;
pub mod targets;
pub mod view;

pub mod detector;
pub mod heartbeat;
pub mod ring;

pub mod compatibility;
pub mod cross_dc;
pub mod vector_clock;
pub mod version;

pub mod broadcast;
pub mod consensus;
pub mod shared;

#[cfg(test)]
mod fixture;
