//! Words to all members: at once if it has been quiet, gathered if many come, never more than fit.
//!
//! A word may get lost, and there is no order between words of several nodes: who needs more publishes it ([`super::shared`]). In: words.
//! Out: parcels of them, each to be sent to every member.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::Time;

/// The longest word, in bytes.
pub const WORD_BYTES_MAX: usize = 16 << 10;
/// The most words that wait.
pub const WORDS_MAX: usize = 1024;
/// The most bytes that wait, which is the longest parcel.
pub const PARCEL_BYTES_MAX: usize = 256 << 10;
/// Parcels are at least so far apart: what comes meanwhile is gathered.
pub const PARCEL_INTERVAL: Duration = Duration::from_millis(10);

/// Why a word is not sent. The words before it are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} is at most {max}, not {actual}")]
pub struct BroadcastError {
    /// The name of the limit.
    pub limit: &'static str,
    /// The limit.
    pub max: usize,
    /// What it would be.
    pub actual: usize,
}

/// The words of one node that are to be sent.
#[derive(Debug, Clone, Default)]
pub struct Broadcasts {
    waiting: Vec<Arc<[u8]>>,
    bytes: usize,
    not_before: Time,
}

impl Broadcasts {
    /// Takes a word; one that waits already is sent once. Errors: [`BroadcastError`].
    pub fn say(&mut self, word: Arc<[u8]>) -> Result<(), BroadcastError> {
        let length = word.len();
        at_most("broadcast-word-bytes", WORD_BYTES_MAX, length)?;
        if self.waiting.contains(&word) {
            return Ok(());
        }
        at_most("broadcast-words", WORDS_MAX, self.waiting.len() + 1)?;
        at_most("broadcast-bytes", PARCEL_BYTES_MAX, self.bytes + length)?;
        self.bytes += length;
        self.waiting.push(word);
        Ok(())
    }

    /// When a parcel is due.
    pub fn next_wake(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.not_before)
    }

    /// The words to send now; none if none wait, or the last parcel has only just gone.
    pub fn wake(&mut self, now: Time) -> Option<Arc<[Arc<[u8]>]>> {
        if self.waiting.is_empty() || now < self.not_before {
            return None;
        }
        self.not_before = now.after(PARCEL_INTERVAL);
        self.bytes = 0;
        Some(core::mem::take(&mut self.waiting).into())
    }
}

fn at_most(limit: &'static str, max: usize, actual: usize) -> Result<(), BroadcastError> {
    if max < actual {
        return Err(BroadcastError { limit, max, actual });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const MS: u64 = 1_000_000;

    fn word(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    fn parcel(broadcasts: &mut Broadcasts, ms: u64) -> Vec<Arc<[u8]>> {
        let parcel = broadcasts.wake(Time(ms * MS));
        parcel.map(|words| words.to_vec()).unwrap_or_default()
    }

    #[test]
    fn the_first_word_goes_at_once_and_the_next_ones_together() {
        let mut broadcasts = Broadcasts::default();
        assert_eq!(broadcasts.next_wake(), None);
        broadcasts.say(word("a")).unwrap();
        assert_eq!(broadcasts.next_wake(), Some(Time(0)));
        assert_eq!(parcel(&mut broadcasts, 100), [word("a")]);
        for text in ["b", "c", "b"] {
            broadcasts.say(word(text)).unwrap();
        }
        assert_eq!(broadcasts.next_wake(), Some(Time(110 * MS)));
        assert_eq!(parcel(&mut broadcasts, 109), []);
        assert_eq!(parcel(&mut broadcasts, 110), [word("b"), word("c")]);
        assert_eq!(parcel(&mut broadcasts, 200), []);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_rest_is_sent() {
        let mut broadcasts = Broadcasts::default();
        let long: Arc<[u8]> = vec![0; WORD_BYTES_MAX + 1].into();
        assert_eq!(
            broadcasts.say(long),
            Err(BroadcastError {
                limit: "broadcast-word-bytes",
                max: WORD_BYTES_MAX,
                actual: WORD_BYTES_MAX + 1
            })
        );
        for n in 0..16_u8 {
            broadcasts.say(vec![n; WORD_BYTES_MAX].into()).unwrap();
        }
        let full = broadcasts.say(word("x")).unwrap_err();
        assert_eq!(full.limit, "broadcast-bytes");
        assert_eq!(parcel(&mut broadcasts, 0).len(), 16);
        for n in 0..WORDS_MAX {
            broadcasts
                .say((n as u64).to_le_bytes().as_slice().into())
                .unwrap();
        }
        let many = broadcasts.say(word("x")).unwrap_err();
        assert_eq!(
            (many.limit, many.actual),
            ("broadcast-words", WORDS_MAX + 1)
        );
    }
}
