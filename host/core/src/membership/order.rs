//! The orders that every node must compute alike: who is older, and who leads where nobody is fit to.

use core::cmp::Ordering;

use super::address::UniqueAddress;
use super::member::{Member, Status};

/// Ages were compared across data centres, each of which numbers its members on its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{a} and {b} are in different data centres; their ages cannot be compared")]
pub struct DifferentDataCentres {
    /// The one.
    pub a: UniqueAddress,
    /// The other.
    pub b: UniqueAddress,
}

/// The oldest first: by up number, those that have none last, then by address. Only within a data centre.
pub fn by_age(a: &Member, b: &Member) -> Ordering {
    let number = |member: &Member| member.up_number.unwrap_or(u32::MAX);
    number(a).cmp(&number(b)).then_with(|| a.node.cmp(&b.node))
}

/// Who leads if nobody is up: weakly up before joining before exiting before down, then by address.
pub fn by_leader_status(a: &Member, b: &Member) -> Ordering {
    let rank = |member: &Member| match member.status {
        Status::Up
        | Status::PreparingForShutdown
        | Status::ReadyForShutdown
        | Status::Leaving
        | Status::Removed => 0,
        Status::WeaklyUp => 1,
        Status::Joining => 2,
        Status::Exiting => 3,
        Status::Down => 4,
    };
    rank(a).cmp(&rank(b)).then_with(|| a.node.cmp(&b.node))
}

impl Member {
    /// Whether it has been up for longer than another member of its data centre. Errors: [`DifferentDataCentres`].
    pub fn is_older_than(&self, other: &Self) -> Result<bool, DifferentDataCentres> {
        if self.dc() != other.dc() {
            let (a, b) = (self.node.clone(), other.node.clone());
            return Err(DifferentDataCentres { a, b });
        }
        Ok(by_age(self, other).is_lt())
    }
}
