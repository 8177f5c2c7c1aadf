//! Clusters that exist only in memory: the product's own membership machines, a network and clocks that are drawn from a seed.
//!
//! The door is a [`scenario`]: which nodes there are, what happens to them and what must then hold. A run is a function of its scenario
//! and its seed, bit for bit. It waits for nothing: an hour of a cluster takes as long as its messages take to be handled.
//!
//! It never decides anything that the product decides, and never looks at a clock.
//!
//! Read in this order.

pub mod scenario;

pub mod clock;
pub mod network;

pub mod heard;
pub mod host;
pub mod tally;
pub mod view;
pub mod world;

pub mod judge;
pub mod run;
pub mod trace;

pub mod check;
pub mod measure;
pub mod random;
