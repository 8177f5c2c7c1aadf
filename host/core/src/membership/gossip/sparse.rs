//! Who has seen a picture, as it is sent: in as few bytes as there is to say.

use alloc::vec::Vec;
use core::iter;

use serde::{Deserialize, Serialize};

use super::Seen;
use super::form::{FormError, place};

/// A set of places among the members of a picture that the receiver knows: those that are in it, those that are not, or a bit for each.
///
/// A change begins with few who have seen it and ends with few who have not; in between a bit for each is shortest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseSeen(Coding);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Coding {
    /// These alone: the first place, then how many are left out before each next one.
    Only(Vec<u32>),
    /// All but these, written alike.
    AllBut(Vec<u32>),
    /// The lowest bit of the first byte is the first member. The last byte is not 0.
    Bits(Vec<u8>),
}

impl SparseSeen {
    /// The shortest way to write `seen`, among so many members.
    pub fn new(seen: &Seen, members: usize) -> Self {
        let count = seen.count();
        // Who is listed takes a byte or more; a list that is longer than all bits need not be made.
        let bits = seen.bytes().len();
        if count.min(members.saturating_sub(count)) <= bits {
            let is_few = count <= members.saturating_sub(count);
            let listed = gaps((0..members).filter(|at| seen.has(*at) == is_few));
            if gaps_length(&listed) <= bits {
                return Self(if is_few {
                    Coding::Only(listed)
                } else {
                    Coding::AllBut(listed)
                });
            }
        }
        Self(Coding::Bits(seen.bytes().to_vec()))
    }

    /// The set, among so many members. Errors: [`FormError::Place`], [`FormError::Order`].
    pub fn among(&self, members: usize) -> Result<Seen, FormError> {
        match &self.0 {
            Coding::Only(gaps) => places(gaps, members)?.into_iter().map(Ok).collect(),
            Coding::AllBut(gaps) => {
                let mut seen = Seen::all(members);
                for at in places(gaps, members)? {
                    seen.remove(at);
                }
                Ok(seen)
            }
            Coding::Bits(bytes) => {
                let seen =
                    Seen::from_bytes(bytes.clone()).ok_or(FormError::Order { what: SEEN })?;
                match seen.last() {
                    Some(last) if members <= last => Err(beyond(last)),
                    Some(_) | None => Ok(seen),
                }
            }
        }
    }
}

const SEEN: &str = "seen";

fn beyond(at: usize) -> FormError {
    let (what, at) = (SEEN, place(at));
    FormError::Place { what, at }
}

fn gaps(places: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut next = 0;
    let gaps = places.map(|at| {
        let gap = at - next;
        next = at + 1;
        place(gap)
    });
    gaps.collect()
}

/// How many bytes the gaps take: seven bits go into one.
fn gaps_length(gaps: &[u32]) -> usize {
    let bytes =
        |gap: &u32| iter::successors(Some(*gap >> 7), |rest| (*rest != 0).then_some(rest >> 7));
    gaps.iter()
        .map(|gap| bytes(gap).take_while(|rest| *rest != 0).count() + 1)
        .sum()
}

fn places(gaps: &[u32], members: usize) -> Result<Vec<usize>, FormError> {
    let mut next = 0_usize;
    let places = gaps.iter().map(|gap| {
        let gap = usize::try_from(*gap).unwrap_or(usize::MAX);
        let at = next.saturating_add(gap);
        if members <= at {
            return Err(beyond(at));
        }
        next = at + 1;
        Ok(at)
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn length(seen: &Seen, members: usize) -> usize {
        postcard::to_allocvec(&SparseSeen::new(seen, members))
            .unwrap()
            .len()
    }

    #[test]
    fn the_shortest_of_three_ways_is_taken() {
        let some = |places: &[usize]| places.iter().copied().collect::<Seen>();
        assert_eq!(length(&Seen::default(), 1000), 2);
        assert_eq!(length(&Seen::all(1000), 1000), 2);
        assert_eq!(length(&some(&[3, 900]), 1000), 5);
        let mut most = Seen::all(1000);
        most.remove(500);
        assert_eq!(length(&most, 1000), 4);
        let half: Seen = (0..1000).step_by(2).collect();
        assert_eq!(length(&half, 1000), 127);
    }

    #[test]
    fn what_is_no_set_of_members_is_refused() {
        let place = |at| Err(FormError::Place { what: SEEN, at });
        let order = Err(FormError::Order { what: SEEN });
        for (coding, members, refused) in [
            (Coding::Only(vec![2]), 2, place(2)),
            (Coding::Only(vec![0, 1]), 2, place(2)),
            (Coding::Only(vec![1, u32::MAX]), 9, place(u32::MAX)),
            (Coding::AllBut(vec![9]), 9, place(9)),
            (Coding::Bits(vec![0, 2]), 9, place(9)),
            (Coding::Bits(vec![1, 0]), 9, order),
        ] {
            assert_eq!(
                SparseSeen(coding.clone()).among(members),
                refused,
                "{coding:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_set_is_read_back(bits in prop::collection::vec(any::<bool>(), 0..600), dense in 0..4_u8) {
            let seen: Seen = (0..bits.len()).filter(|at| bits[*at] == (at % 4 <= usize::from(dense))).collect();
            let written = SparseSeen::new(&seen, bits.len());
            prop_assert_eq!(written.among(bits.len()), Ok(seen.clone()));
            let length = postcard::to_allocvec(&written).unwrap().len();
            prop_assert!(length <= 4 + bits.len().div_ceil(8));
        }
    }
}
