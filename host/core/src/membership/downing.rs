//! Who survives when members cannot reach each other: the split brain resolver.
//!
//! A partition and a crash look alike from the inside, so each side has to decide without asking the other, by a rule under which no
//! two sides both stay. [`strategy`] has the rules, [`picture`] what they look at, [`explain`] what follows and why, [`participants`] whose
//! word counts, [`votes`] why no two sides stay, and [`resolver`] the machine that waits for the right moment. A policy of one's own implements [`Policy`]; without one nobody is ever downed but by
//! an operator.
//!
//! Read in this order.

pub mod decision;
pub mod explain;
mod participants;
pub mod picture;
mod ports;
pub mod resolver;
pub mod strategy;
pub mod votes;
mod voting;

#[cfg(test)]
mod confirm_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod participants_tests;
#[cfg(test)]
mod picture_tests;
#[cfg(test)]
mod resolver_tests;
#[cfg(test)]
mod safety_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod votes_tests;

pub use self::decision::{Decision, Reason};
pub use self::explain::{Cause, Explanation};
pub use self::picture::{Observation, Picture, Voter};
pub use self::ports::{Config, Effect, Event, LeaseAnswer};
pub use self::resolver::Downing;
pub use self::strategy::{Policy, Strategy, Verdict};
pub use self::votes::{Ballot, Vote};
