//! What was sent, counted.

use std::collections::BTreeMap;
use std::time::Duration;

/// Messages and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many messages.
    pub messages: u64,
    /// How many bytes they are on the wire; 0 unless they were encoded.
    pub bytes: u64,
}

/// What was sent, by kind, and a digest of all that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    kinds: BTreeMap<&'static str, Count>,
    digest: u64,
}

impl Tally {
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

    pub(crate) fn sent(&mut self, from: usize, kind: &'static str, bytes: u64) {
        let count = self.kinds.entry(kind).or_default();
        count.messages += 1;
        count.bytes += bytes;
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
