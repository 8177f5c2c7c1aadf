//! Who is in the cluster: every node's own picture, how the pictures become one, and who may decide what.
//!
//! The rules are Apache Pekko's (`pekko-cluster`), with the defects left out that its users and ours have named; where a rule differs, the
//! item says so. Nothing here reads a clock, draws a random number or sends: time, a seed and messages come in, effects go out.
//!
//! Read in this order.

pub mod address;
pub mod member;
pub mod version;

pub mod gossip;
pub mod reachability;
pub mod vector_clock;

pub mod order;
pub mod targets;
pub mod view;

pub mod event;
pub mod state;
pub mod subscription;

pub mod detector;
pub mod heartbeat;

pub mod cross_dc;
pub mod ring;

pub mod compatibility;
pub mod protocol;
pub mod settings;

pub mod downing;

pub mod broadcast;
pub mod consensus;
pub mod shared;

pub mod effects;
pub mod inputs;
pub mod message;
pub mod wire;

mod bootstrap;
mod quarantine;

pub mod machine;

#[cfg(test)]
mod fixture;

pub use self::effects::Effect;
pub use self::inputs::{Command, Event};
pub use self::machine::Membership;
