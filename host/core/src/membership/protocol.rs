//! Which versions of the cluster's language a node speaks, and which one two nodes use with each other.
//!
//! This is about members and their messages alone. A kind of grains has a version of its own, its application's: a member tells it with its profile
//! (`app-version` and labels), and calls between two versions of a kind are the business of whoever places and calls grains, not of the join.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A version of the cluster's messages. Every envelope says in which one it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProtocolVersion(pub u16);

/// The versions that a node speaks: all from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// The oldest.
    pub lowest: ProtocolVersion,
    /// The newest.
    pub highest: ProtocolVersion,
}

impl ProtocolRange {
    /// What this program speaks.
    pub const SUPPORTED: Self = Self {
        lowest: ProtocolVersion(1),
        highest: ProtocolVersion(1),
    };

    /// The newest version that both speak; `None` if there is none.
    pub fn common(self, other: Self) -> Option<ProtocolVersion> {
        let highest = self.highest.min(other.highest);
        let lowest = self.lowest.max(other.lowest);
        (lowest <= highest).then_some(highest)
    }

    /// Whether a message in this version can be read.
    pub fn speaks(self, version: ProtocolVersion) -> bool {
        (self.lowest..=self.highest).contains(&version)
    }
}

impl Default for ProtocolRange {
    fn default() -> Self {
        Self::SUPPORTED
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for ProtocolRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lowest: u16, highest: u16) -> ProtocolRange {
        ProtocolRange {
            lowest: ProtocolVersion(lowest),
            highest: ProtocolVersion(highest),
        }
    }

    #[test]
    fn the_newest_that_both_speak_is_used() {
        assert_eq!(range(1, 1).common(range(1, 2)), Some(ProtocolVersion(1)));
        assert_eq!(range(1, 3).common(range(2, 5)), Some(ProtocolVersion(3)));
        assert_eq!(range(1, 1).common(range(3, 3)), None);
        assert_eq!(range(3, 3).common(range(1, 1)), None);
    }
}
