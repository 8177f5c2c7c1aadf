//! Which members have seen a version, as bits by their place in the list.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::hash::Hasher;

/// Which members have seen a version, by their place in the list of members. Two pictures of one version have one list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
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

    /// The same for the same set: two nodes compare these before they send each other a picture.
    pub fn digest(&self) -> u64 {
        Hasher::new().bytes(&self.bytes).finish()
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
        assert_eq!(seen.digest(), of(&[0, 7, 8]).digest());
        assert_ne!(seen.digest(), of(&[0, 7]).digest());
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
