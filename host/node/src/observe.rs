//! What a node shows of itself: what guests print ([`logs`]), what happened ([`events`]), how much of it ([`metrics`]).
//!
//! Both rings are numbered. A follower asks for what came after the last number that it saw and waits on the ring's newest number, so
//! that a slow one loses nothing but what the ring itself had to drop, and is told so.

pub mod events;
pub mod logs;
pub mod metrics;

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A place in a ring, as a client may keep and send back (`Last-Event-ID`). A place from an earlier run of the node counts as the
/// beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which run of the node numbered it.
    pub run: u64,
    /// The number of the last entry seen; 0 is before the first.
    pub after: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.run, self.after)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, after) = text.split_once('-').ok_or(())?;
        Ok(Self {
            run: u64::from_str_radix(run, 16).map_err(|_| ())?,
            after: after.parse().map_err(|_| ())?,
        })
    }
}

/// One step of a follower: what it had not seen yet.
#[derive(Debug)]
pub struct Batch<T> {
    /// The entries, oldest first.
    pub entries: Vec<T>,
    /// Ask for what comes after this next time.
    pub after: u64,
    /// Whether entries were dropped before the follower could see them.
    pub gap: bool,
}

impl Place {
    /// The number to go on from in a ring that numbers as `run`.
    fn after_in(self, run: u64) -> u64 {
        if self.run == run { self.after } else { 0 }
    }
}

/// Tells followers of an entry. Two may arrive here in the other order; the newest number never goes back.
fn announce(newest: &watch::Sender<u64>, seq: u64) {
    newest.send_if_modified(|newest| {
        let newer = *newest < seq;
        *newest = seq.max(*newest);
        newer
    });
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text() {
        let place = Place {
            run: 0xfeed,
            after: 42,
        };
        assert_eq!(place.to_string(), "feed-42");
        assert_eq!("feed-42".parse(), Ok(place));
        assert!("42".parse::<Place>().is_err());
        assert!("x-1".parse::<Place>().is_err());
    }
}
