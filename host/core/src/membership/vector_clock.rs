//! Which of two states comes after the other, or whether neither does.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::UniqueAddress;

/// How one state stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same changes went into both.
    Same,
    /// The other knows every change of this one, and more.
    Before,
    /// This one knows every change of the other, and more.
    After,
    /// Each knows a change that the other does not.
    Concurrent,
}

/// The place of an incarnation in a clock: a hash of it, since clocks travel with every status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockNode(pub u64);

impl From<&UniqueAddress> for ClockNode {
    fn from(node: &UniqueAddress) -> Self {
        Self(node.hash64())
    }
}

/// How many changes each node has made. A node that has made none is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VectorClock {
    counters: BTreeMap<ClockNode, u64>,
}

impl VectorClock {
    /// Counts a change that `node` makes.
    pub fn bump(&mut self, node: ClockNode) {
        *self.counters.entry(node).or_default() += 1;
    }

    /// How many changes `node` has made.
    pub fn get(&self, node: ClockNode) -> u64 {
        self.counters.get(&node).copied().unwrap_or_default()
    }

    /// The nodes that have made changes, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (ClockNode, u64)> + '_ {
        self.counters.iter().map(|(node, count)| (*node, *count))
    }

    /// How many nodes are listed.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether nothing was changed yet.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// How this one stands to `other`.
    pub fn compare(&self, other: &Self) -> Relation {
        self.compare_without(other, |_| false)
    }

    /// How this one stands to `other` if the counters of some nodes are left out.
    pub fn compare_without(&self, other: &Self, left_out: impl Fn(ClockNode) -> bool) -> Relation {
        let more = |this: &Self, that: &Self| {
            this.iter()
                .any(|(node, count)| that.get(node) < count && !left_out(node))
        };
        match (more(other, self), more(self, other)) {
            (false, false) => Relation::Same,
            (true, false) => Relation::Before,
            (false, true) => Relation::After,
            (true, true) => Relation::Concurrent,
        }
    }

    /// Every change of both: node by node, the higher counter.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        for (node, count) in other.iter() {
            let counter = merged.counters.entry(node).or_default();
            *counter = count.max(*counter);
        }
        merged
    }

    /// Sets how many changes `node` has made; 0 is no entry.
    pub(crate) fn set(&mut self, node: ClockNode, count: u64) {
        if count == 0 {
            self.prune(node);
        } else {
            self.counters.insert(node, count);
        }
    }

    /// Forgets the counter of a node.
    pub fn prune(&mut self, node: ClockNode) {
        self.counters.remove(&node);
    }
}

impl FromIterator<(ClockNode, u64)> for VectorClock {
    fn from_iter<I: IntoIterator<Item = (ClockNode, u64)>>(counters: I) -> Self {
        let counted = counters.into_iter().filter(|(_, count)| *count != 0);
        Self {
            counters: counted.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock after these nodes have made a change each, in this order.
    fn clock(nodes: &[u64]) -> VectorClock {
        let mut clock = VectorClock::default();
        for node in nodes {
            clock.bump(ClockNode(*node));
        }
        clock
    }

    #[test]
    fn two_clocks_stand_to_each_other_as_their_changes_do() {
        use Relation::{After, Before, Concurrent, Same};
        let cases: [(&[u64], &[u64], Relation, Relation); 10] = [
            (&[], &[], Same, Same),
            (&[1, 2, 1], &[1, 2, 1], Same, Same),
            (&[1, 2, 1], &[1, 2, 1, 3], Before, After),
            (&[1], &[2], Concurrent, Concurrent),
            (&[1, 2, 1], &[1, 1, 3], Concurrent, Concurrent),
            (&[2, 2], &[1, 2, 2, 3], Before, After),
            (&[1, 2], &[1, 1], Concurrent, Concurrent),
            (&[1, 2, 2, 3], &[1, 2, 2, 2, 2], Concurrent, Concurrent),
            (&[1, 3, 3], &[1, 3, 2], Concurrent, Concurrent),
            (&[1], &[], After, Before),
        ];
        for (x, y, relation, converse) in cases {
            assert_eq!(clock(x).compare(&clock(y)), relation, "{x:?} {y:?}");
            assert_eq!(clock(y).compare(&clock(x)), converse, "{y:?} {x:?}");
        }
    }

    #[test]
    fn a_merge_comes_after_both_and_is_the_same_from_both_sides() {
        for (x, y, entries) in [
            (&[1, 2, 2, 2, 2][..], &[1, 2, 2, 3][..], 3),
            (&[4, 4], &[1, 2, 2, 3], 4),
        ] {
            let (x, y) = (clock(x), clock(y));
            let merged = x.merge(&y);
            assert_eq!(merged.len(), entries);
            assert_eq!(merged, y.merge(&x));
            assert_eq!(x.compare(&merged), Relation::Before);
            assert_eq!(y.compare(&merged), Relation::Before);
        }
    }

    #[test]
    fn a_change_after_a_merge_comes_after_both() {
        let mut merged = clock(&[1, 1]).merge(&clock(&[2]));
        merged.bump(ClockNode(3));
        assert_eq!(merged.compare(&clock(&[1, 1])), Relation::After);
        assert_eq!(merged.compare(&clock(&[2])), Relation::After);
    }

    #[test]
    fn a_pruned_node_stays_away() {
        let both = clock(&[1]).merge(&clock(&[2]));
        let mut pruned = both.clone();
        pruned.prune(ClockNode(1));
        pruned.bump(ClockNode(3));
        assert_eq!(pruned.get(ClockNode(1)), 0);
        assert_eq!(pruned.compare(&both), Relation::Concurrent);
        assert_eq!(pruned.merge(&clock(&[2, 2])).get(ClockNode(1)), 0);
        assert_eq!(
            pruned.compare_without(&both, |node| node == ClockNode(1)),
            Relation::After
        );
    }

    #[test]
    fn a_counter_of_zero_is_no_entry() {
        let clock: VectorClock = [(ClockNode(1), 0), (ClockNode(2), 3)].into_iter().collect();
        assert_eq!((clock.len(), clock.get(ClockNode(2))), (1, 3));
    }
}
