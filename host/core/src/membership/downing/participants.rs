//! Who takes part in a cluster that has come apart, and so whose word counts.
//!
//! A record outlives the link to its observer. What a member said of another one before it was cut off itself stays in the table of the other
//! side, where both then look as if they were connected by way of others. Pekko believes it; each side may then down the other as indirectly
//! connected, whatever the strategy says, and both stay. And a picture may be at rest because nobody has noticed yet that half of the members
//! are out of reach. So before a decision the picture becomes a new version, and all members confirm it by having seen that version or a later
//! one. Those who do take part. Nothing is decided before everybody else is marked by somebody, and then the records of those who
//! take part are the ones that count.
//!
//! Let P be those who take part on one side, of all members M. Records among P alone make its members indirectly connected. So whatever they are, what
//! is left of the picture without them is P against M without P, and if M is more than P, some of P stay only where the strategy lets P stay: what is
//! indirect only takes members from P. Two sides that have no member in common cannot both win so; that is what the strategies are made for, with their
//! doubts about who was just let in or go. If they have one in common, its vote decides ([`votes`](super::votes)).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::picture::{Observation, Picture};
use crate::id::Time;
use crate::membership::address::UniqueAddress;

/// Members that have confirmed the picture since they were asked to, and since its records last changed.
#[derive(Debug)]
pub(super) struct Participants {
    /// Those that took part when they were asked. One of them that is marked is connected by way of others, and may take longer to answer.
    expected: BTreeSet<UniqueAddress>,
    /// How long they are waited for.
    until: Time,
    /// How many members each one watches. Where it is all of them, one that this node does not mark is there, whoever else marks it, and is waited for
    /// until it answers or this node marks it, too: without it this node could take itself for one that is cut off.
    watched: usize,
    rows: Vec<Observation>,
    confirmed: BTreeSet<UniqueAddress>,
}

impl Participants {
    /// Nobody has confirmed this picture yet.
    pub(super) fn asked(picture: &Picture, until: Time, watched: usize) -> Self {
        Self {
            expected: picture.seen_by().clone(),
            until,
            watched,
            rows: picture.rows().to_vec(),
            confirmed: BTreeSet::new(),
        }
    }

    /// Looks at the picture again. Returns it as those see it who take part, once everybody has confirmed it or cannot be waited for.
    pub(super) fn settle(&mut self, now: Time, picture: &Picture) -> Option<Picture> {
        if *self.rows != *picture.rows() {
            self.rows = picture.rows().to_vec();
            self.confirmed.clear();
        }
        self.confirmed.insert(picture.this().clone());
        self.confirmed.extend(picture.seen_by().iter().cloned());
        let mut expected = picture
            .voters()
            .filter(|voter| voter.is_downable() && self.expected.contains(&voter.node));
        let is_missing = expected.any(|voter| !self.confirmed.contains(&voter.node));
        if is_missing && now < self.until {
            return None;
        }
        let watches_all = picture.voters().count() <= self.watched.saturating_add(1);
        if watches_all && !picture.answering().is_subset(&self.confirmed) {
            return None;
        }
        picture.as_seen_by(&self.confirmed)
    }
}
