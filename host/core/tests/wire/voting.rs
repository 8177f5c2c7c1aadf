//! A question for votes, and a vote.

use granary_core::membership::downing::{Ballot, Vote};
use granary_core::membership::message::Message;

use crate::node;

pub(crate) fn ballot() -> Message {
    Message::Ballot(Ballot {
        number: 3,
        electorate: 0x0102_0304_0506_0708,
        down: [node("b", 2), node("c", 3)].into(),
    })
}

pub(crate) fn vote() -> Message {
    Message::Vote(Vote {
        number: 3,
        bound: [node("b", 2)].into(),
    })
}
