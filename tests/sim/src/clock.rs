//! A node's own clock: it starts somewhere of its own, may be put forward, and never goes back.

use std::time::Duration;

use granary_core::id::Time;

/// One node's clock. The time of the world is counted from the start of the run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// What it shows when the world starts.
    base: u64,
    /// How far it has been put forward, or back.
    skew: i64,
    /// The latest moment that was read off it.
    shown: u64,
}

/// The earliest moment that any clock starts at: room for clocks that are put back.
const BASE_MIN: u64 = 1_000_000 * 1_000_000_000;

impl Clock {
    /// A clock that starts `lead` after the earliest one.
    pub fn new(lead: Duration) -> Self {
        let lead = u64::try_from(lead.as_nanos()).unwrap_or(u64::MAX / 4);
        Self {
            base: BASE_MIN + lead,
            skew: 0,
            shown: 0,
        }
    }

    /// Puts it forward, or back.
    pub fn put(&mut self, by: i64) {
        self.skew = self.skew.saturating_add(by);
    }

    /// Reads it.
    pub fn read(&mut self, now: Duration) -> Time {
        self.shown = self.shown.max(self.at(now));
        Time(self.shown)
    }

    /// When it will show `moment`: now, if it does already.
    pub fn when(&self, moment: Time, now: Duration) -> Duration {
        now + Duration::from_nanos(moment.0.saturating_sub(self.at(now)))
    }

    fn at(&self, now: Duration) -> u64 {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 4);
        (self.base + now).saturating_add_signed(self.skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_stands_until_time_has_caught_up() {
        let second = Duration::from_secs(1);
        let mut clock = Clock::new(Duration::ZERO);
        let first = clock.read(second * 10);
        clock.put(-4_000_000_000);
        assert_eq!(clock.read(second * 12), first);
        assert_eq!(clock.read(second * 15).since(first), second);
        let wanted = first.after(second * 3);
        assert_eq!(clock.when(wanted, second * 15), second * 17);
    }

    #[test]
    fn a_clock_that_is_put_forward_jumps() {
        let second = Duration::from_secs(1);
        let mut clock = Clock::new(second);
        let first = clock.read(second);
        clock.put(60_000_000_000);
        assert_eq!(clock.read(second).since(first), second * 60);
        assert_eq!(clock.when(first.after(second * 30), second), second);
    }
}
