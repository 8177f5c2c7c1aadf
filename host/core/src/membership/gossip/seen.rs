//! Which members have seen a version, as bits by their place in the list.

use alloc::vec;
use alloc::vec::Vec;
use core::iter;

/// Which members have seen a version, by their place in the list of members. Two pictures of one version have one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The lowest bit of the first byte is the first member. The last byte is not 0.
    bytes: Vec<u8>,
}

impl Seen {
    /// Whether the member at this place has.
    pub fn has(&self, at: usize) -> bool {
        let byte = self.bytes.get(at / 8).copied().unwrap_or_default();
        byte & (1 << (at % 8)) != 0
    }

    /// How many have.
    pub fn count(&self) -> usize {
        let ones = self.bytes.iter().map(|byte| byte.count_ones() as usize);
        ones.sum()
    }

    /// Nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Those of this set that are not in another.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let others = other.bytes.iter().copied().chain(iter::repeat(0));
        let bytes = self.bytes.iter().zip(others);
        let mut rest = Self {
            bytes: bytes.map(|(ours, theirs)| ours & !theirs).collect(),
        };
        rest.trim();
        rest
    }

    /// The first `members` places.
    pub(super) fn all(members: usize) -> Self {
        let mut all = Self {
            bytes: vec![u8::MAX; members.div_ceil(8)],
        };
        all.cut(members);
        all
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// None if the last byte is 0: a set is written in one way.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (bytes.last() != Some(&0)).then_some(Self { bytes })
    }

    /// The last place that is in it.
    pub(super) fn last(&self) -> Option<usize> {
        let last = self.bytes.last()?;
        let top = usize::try_from(last.ilog2()).ok()?;
        Some((self.bytes.len() - 1) * 8 + top)
    }

    pub(super) fn insert(&mut self, at: usize) {
        if self.bytes.len() <= at / 8 {
            self.bytes.resize(at / 8 + 1, 0);
        }
        if let Some(byte) = self.bytes.get_mut(at / 8) {
            *byte |= 1 << (at % 8);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(byte) = self.bytes.get_mut(at / 8) {
            *byte &= !(1 << (at % 8));
        }
        self.trim();
    }

    /// Adds those of another set; places from `members` on do not exist.
    pub(super) fn union(&mut self, other: &Self, members: usize) {
        if self.bytes.len() < other.bytes.len() {
            self.bytes.resize(other.bytes.len(), 0);
        }
        for (ours, theirs) in self.bytes.iter_mut().zip(&other.bytes) {
            *ours |= theirs;
        }
        self.cut(members);
    }

    /// Forgets the places from `members` on.
    pub(super) fn cut(&mut self, members: usize) {
        self.bytes.truncate(members.div_ceil(8));
        if let Some(last) = self.bytes.get_mut(members / 8) {
            *last &= (1 << (members % 8)) - 1;
        }
        self.trim();
    }

    fn trim(&mut self) {
        let used = self.bytes.iter().rposition(|byte| *byte != 0);
        self.bytes.truncate(used.map_or(0, |last| last + 1));
    }
}

impl FromIterator<usize> for Seen {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut seen = Self::default();
        places.into_iter().for_each(|at| seen.insert(at));
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(places: &[usize]) -> Seen {
        places.iter().copied().collect()
    }

    #[test]
    fn a_set_is_equal_to_itself_however_it_came_about() {
        let mut seen = of(&[0, 7, 8, 30]);
        assert_eq!(
            (seen.count(), seen.has(8), seen.has(9), seen.has(999)),
            (4, true, false, false)
        );
        seen.remove(30);
        seen.remove(999);
        assert_eq!(seen, of(&[8, 7, 0]));
        assert_eq!(seen.without(&of(&[7, 99])), of(&[0, 8]));
        assert_eq!(seen.without(&seen), Seen::default());
        assert_eq!((seen.last(), Seen::default().last()), (Some(8), None));
    }

    #[test]
    fn all_members_are_in_the_set_of_all() {
        for members in 0..=20 {
            assert_eq!(Seen::all(members), (0..members).collect());
        }
    }

    #[test]
    fn places_without_a_member_are_not_taken_over() {
        for members in 0..=20 {
            let mut seen = of(&[0, 1]);
            seen.union(&of(&[7, 8, 9, 15, 16, 17, 40]), members);
            let all = [0, 1, 7, 8, 9, 15, 16, 17, 40];
            let known: Vec<usize> = all.into_iter().filter(|at| *at < members).collect();
            assert_eq!(seen, of(&known), "{members} members");
        }
    }
}
