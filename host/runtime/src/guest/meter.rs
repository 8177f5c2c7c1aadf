//! How long a guest runs. Shared by the task that polls the guest, which knows when it runs, and the epoch callback, which can stop it.
//!
//! Time counts only while the guest is polled: a turn that waits for the host costs nothing. In the fast lane that is wall-clock time of
//! each poll, at most two ticks of it, since a poll ends at the second tick and whatever is longer was another process's time. In the slow
//! lane, where turns share a core with everyone, it is the thread's own CPU time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::engine::TICK;

/// A turn that has run so long in all belongs into the slow lane, in however small pieces.
const LONG: Duration = Duration::from_millis(50);

/// What a tick finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The turn's time so far.
    pub(crate) used: Duration,
    /// Whether it has run for a tick without a pause, or long in all.
    pub(crate) long: bool,
}

/// One instance's meter, set back for each turn.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// When the current poll began, on the lane's clock; in nanoseconds.
    poll_began: AtomicU64,
    /// What the polls before it used, in nanoseconds.
    used: AtomicU64,
    slow: AtomicBool,
    long: AtomicBool,
    memory: AtomicU64,
}

impl Meter {
    /// Sets it back for a new turn, which starts in the fast lane.
    pub(crate) fn begin_turn(&self) {
        self.used.store(0, Ordering::Relaxed);
        self.slow.store(false, Ordering::Relaxed);
        self.long.store(false, Ordering::Relaxed);
    }

    pub(crate) fn begin_poll(&self) {
        self.poll_began.store(self.clock(), Ordering::Relaxed);
    }

    pub(crate) fn end_poll(&self) {
        let (_, used) = self.now();
        self.used.store(used, Ordering::Relaxed);
    }

    /// From the next poll on the turn runs in the slow lane.
    pub(crate) fn demote(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    /// What the turn has used by now, as seen from within the guest.
    pub(crate) fn look(&self) -> Seen {
        let (ran, used) = self.now();
        Seen {
            used: Duration::from_nanos(used),
            long: nanos(TICK) <= ran || nanos(LONG) <= used,
        }
    }

    /// Notes that the turn runs long: from the end of this poll on it belongs into the slow lane.
    pub(crate) fn note_long(&self) {
        self.long.store(true, Ordering::Relaxed);
    }

    /// Whether it belongs there and is not there yet.
    pub(crate) fn wants_slow_lane(&self) -> bool {
        self.long.load(Ordering::Relaxed) && !self.slow.load(Ordering::Relaxed)
    }

    /// What the turn has used, all its polls together.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// How long this poll has run, and the whole turn. Valid only while the guest is polled.
    fn now(&self) -> (u64, u64) {
        let ran = self
            .clock()
            .saturating_sub(self.poll_began.load(Ordering::Relaxed));
        let charged = if self.slow.load(Ordering::Relaxed) {
            ran
        } else {
            ran.min(2 * nanos(TICK))
        };
        (ran, self.used.load(Ordering::Relaxed) + charged)
    }

    fn clock(&self) -> u64 {
        if self.slow.load(Ordering::Relaxed) {
            let now = clock_gettime(ClockId::ThreadCPUTime);
            let (seconds, nanos) = (
                u64::try_from(now.tv_sec).unwrap_or(0),
                u64::try_from(now.tv_nsec).unwrap_or(0),
            );
            return seconds * 1_000_000_000 + nanos;
        }
        static START: OnceLock<Instant> = OnceLock::new();
        nanos(START.get_or_init(Instant::now).elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_polls_count_and_a_long_poll_in_the_fast_lane_counts_as_two_ticks() {
        let meter = Meter::default();
        meter.begin_turn();
        meter.begin_poll();
        assert!(!meter.look().long);
        let began = Instant::now();
        while began.elapsed() < 3 * TICK {}
        assert_eq!(
            meter.look(),
            Seen {
                used: 2 * TICK,
                long: true
            }
        );
        meter.note_long();
        meter.end_poll();
        assert_eq!(meter.used(), 2 * TICK);
        assert!(meter.wants_slow_lane());
        meter.demote();
        assert!(!meter.wants_slow_lane());
        meter.begin_poll();
        let began = Instant::now();
        while began.elapsed() < 2 * TICK {}
        meter.end_poll();
        assert!(2 * TICK < meter.used());
        meter.begin_turn();
        assert_eq!(meter.used(), Duration::ZERO);
    }
}
