//! Clusters that exist only in memory: the product's own membership machines, a network and clocks that are drawn from a seed.
//!
//! The door is [`Scenario`]: a file that says which nodes there are, what happens to them and what must then hold. A run is a function
//! of its file and its seed, bit for bit: it waits for nothing, and a day of a cluster takes as long as its messages take to be handled.
//!
//! Read in this order.

pub mod scenario;
pub mod network;
