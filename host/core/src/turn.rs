//! What one turn wants to leave behind, held back until it ends: the whole of it becomes one commit, or none of it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::error::LimitName;
use crate::id::GrainId;
use crate::limits::{Limits, STATE_KEY_BYTES_MAX};
use crate::overlap::Seen;

/// Why the buffer refused a wish. Nothing was noted down; the turn goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A state key is 1 to 512 bytes long.
    #[error("a state key is 1 to {STATE_KEY_BYTES_MAX} bytes long, not {actual}")]
    BadKey {
        /// Its length.
        actual: usize,
    },
    /// A limit of the kind.
    #[error("limit '{}' is {limit}; this would make {actual}", name.key())]
    TooLarge {
        /// Which.
        name: LimitName,
        /// Its value.
        limit: u64,
        /// What it would have become.
        actual: u64,
    },
    /// The method is a `read` method.
    #[error("a read method may not write")]
    ReadOnly,
}

/// A one-way message, as the turn wished it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendWish {
    /// To whom.
    pub target: GrainId,
    /// Which method.
    pub method: String,
    /// Its arguments, as JSON text.
    pub arguments: Vec<u8>,
    /// How long to hold it back after the commit.
    pub delay: Duration,
    /// The baggage that travels with it.
    pub baggage: BTreeMap<String, String>,
}

/// The wishes of one turn. Invariant: `state_bytes` is the size of the whole state as it will be after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    writable: bool,
    bounds: Bounds,
    state_bytes: u64,
    writes: BTreeMap<String, Option<Vec<u8>>>,
    sends: Vec<SendWish>,
    seen: Seen,
}

/// The limits that bound them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    state_value: u64,
    state_total: u64,
    sends: u32,
}

impl Wishes {
    /// An empty buffer. `state_bytes`: the size of the grain's state now, keys included.
    pub fn new(writable: bool, limits: Limits, state_bytes: u64) -> Self {
        Self {
            writable,
            bounds: Bounds {
                state_value: limits.state_value,
                state_total: limits.state_total,
                sends: limits.sends,
            },
            state_bytes,
            writes: BTreeMap::new(),
            sends: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Checks a state key. Errors: [`Refused::BadKey`].
    pub fn check_key(key: &str) -> Result<(), Refused> {
        if key.is_empty() || STATE_KEY_BYTES_MAX < key.len() {
            return Err(Refused::BadKey { actual: key.len() });
        }
        Ok(())
    }

    /// What the turn itself wrote under a key: `None` if it did not touch it, `Some(None)` if it removed it.
    pub fn written(&self, key: &str) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(Option::as_deref)
    }

    /// Every key that the turn touched, in order.
    pub fn writes(&self) -> &BTreeMap<String, Option<Vec<u8>>> {
        &self.writes
    }

    /// Notes a write (`None` removes). `replaces`: how many bytes the value has that lies there now, this turn's own writes
    /// included; `None` if the key is absent.
    pub fn write(
        &mut self,
        key: &str,
        value: Option<Vec<u8>>,
        replaces: Option<u64>,
    ) -> Result<(), Refused> {
        Self::check_key(key)?;
        if !self.writable {
            return Err(Refused::ReadOnly);
        }
        let key_bytes = key.len() as u64;
        let new_bytes = value.as_ref().map(|value| value.len() as u64);
        if let Some(actual) = new_bytes.filter(|bytes| self.bounds.state_value < *bytes) {
            return Err(Refused::TooLarge {
                name: LimitName::StateValue,
                limit: self.bounds.state_value,
                actual,
            });
        }
        let gone = replaces.map_or(0, |bytes| bytes + key_bytes);
        let come = new_bytes.map_or(0, |bytes| bytes + key_bytes);
        let total = self.state_bytes.saturating_sub(gone) + come;
        // A removal is never refused: it is the way out of a full state.
        if gone < come && self.bounds.state_total < total {
            return Err(Refused::TooLarge {
                name: LimitName::StateTotal,
                limit: self.bounds.state_total,
                actual: total,
            });
        }
        self.state_bytes = total;
        self.writes.insert(key.into(), value);
        Ok(())
    }

    /// Notes a one-way message.
    pub fn send(&mut self, wish: SendWish) -> Result<(), Refused> {
        if !self.writable {
            return Err(Refused::ReadOnly);
        }
        let actual = self.sends.len() as u64 + 1;
        let limit = u64::from(self.bounds.sends);
        if limit < actual {
            return Err(Refused::TooLarge {
                name: LimitName::Sends,
                limit,
                actual,
            });
        }
        self.sends.push(wish);
        Ok(())
    }

    /// What the turn has seen of the state. Only that of an interleaved turn is noted.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The same, to note more.
    pub fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// Whether there is anything to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.sends.is_empty()
    }

    /// The size of the state after the commit, keys included.
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// The wishes themselves, for the commit.
    pub fn into_parts(self) -> (BTreeMap<String, Option<Vec<u8>>>, Vec<SendWish>) {
        (self.writes, self.sends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(state_total: u64) -> Wishes {
        Wishes::new(
            true,
            Limits {
                state_total,
                state_value: 10,
                sends: 1,
                ..Limits::DEFAULT
            },
            0,
        )
    }

    #[test]
    fn the_total_follows_every_write() {
        let mut w = wishes(20);
        w.write("a", Some(b"12345".to_vec()), None).unwrap();
        w.write("b", Some(b"12345".to_vec()), None).unwrap();
        assert_eq!(w.state_bytes(), 12);
        let refused = w.write("c", Some(b"12345678".to_vec()), None);
        assert_eq!(
            refused,
            Err(Refused::TooLarge {
                name: LimitName::StateTotal,
                limit: 20,
                actual: 21
            })
        );
        w.write("a", None, Some(5)).unwrap();
        assert_eq!(
            (w.state_bytes(), w.written("a"), w.written("c")),
            (6, Some(None), None)
        );
    }

    #[test]
    fn a_full_state_can_still_shrink() {
        let mut w = Wishes::new(
            true,
            Limits {
                state_total: 10,
                ..Limits::DEFAULT
            },
            100,
        );
        assert!(w.write("a", Some(b"1".to_vec()), Some(50)).is_ok());
        assert!(w.write("b", None, Some(20)).is_ok());
        assert!(w.write("c", Some(b"1".to_vec()), None).is_err());
    }

    #[test]
    fn values_keys_sends_and_read_turns_have_their_refusals() {
        let mut w = wishes(1000);
        let refused = w.write("a", Some(alloc::vec![0; 11]), None);
        assert_eq!(
            refused,
            Err(Refused::TooLarge {
                name: LimitName::StateValue,
                limit: 10,
                actual: 11
            })
        );
        assert_eq!(w.write("", None, None), Err(Refused::BadKey { actual: 0 }));
        assert_eq!(
            w.write(&"k".repeat(513), None, None),
            Err(Refused::BadKey { actual: 513 })
        );
        let wish = SendWish {
            target: GrainId::parse("a/b").unwrap(),
            method: "m".into(),
            arguments: b"[]".to_vec(),
            delay: Duration::ZERO,
            baggage: BTreeMap::new(),
        };
        w.send(wish.clone()).unwrap();
        assert_eq!(
            w.send(wish),
            Err(Refused::TooLarge {
                name: LimitName::Sends,
                limit: 1,
                actual: 2
            })
        );
        let mut read = Wishes::new(false, Limits::DEFAULT, 0);
        assert_eq!(read.write("a", None, None), Err(Refused::ReadOnly));
        assert!(read.is_empty());
    }
}
