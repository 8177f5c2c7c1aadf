//! Whether a node still answers: the phi accrual detector, the deadline detector, and the watch over this node's own sleep.
//!
//! In: when answers arrived, and when the questions to them had been sent. Out: a suspicion, or a verdict.
//!
//! The phi accrual detector is Pekko's, with three things that its users had to learn to ask for. A burst of answers that had queued up
//! somewhere does not teach it that answers come in bursts: a sample is never shorter than the distance at which the questions were sent.
//! Time in which this node itself slept counts for nobody ([`OwnStall`]). And a suspicion is finite, however long the silence.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::id::Time;

#[cfg(test)]
mod tests;

/// How the phi accrual detector judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhiSettings {
    /// From this suspicion on a node counts as unreachable. Above 0.
    pub threshold: f64,
    /// How many intervals are remembered. At least 1; at most [`PhiSettings::SAMPLES_MAX`].
    pub max_sample_size: u32,
    /// The smallest standard deviation that is believed. Above zero; a network that was calm so far would otherwise never be allowed a
    /// hiccup.
    pub min_std_deviation: Duration,
    /// How long an answer may be late before lateness counts at all.
    pub acceptable_heartbeat_pause: Duration,
    /// The interval that is assumed at the first answer. Above zero.
    pub first_heartbeat_estimate: Duration,
    /// Answers closer together than this are a burst and no sample; zero turns the rule off.
    pub burst_interval: Duration,
}

impl PhiSettings {
    /// The most intervals that may be remembered: the exact sums of [`History`] hold so many.
    pub const SAMPLES_MAX: u32 = 65_536;

    /// Pekko's numbers, and the burst rule at a quarter of the usual interval.
    pub const DEFAULT: Self = Self {
        threshold: 8.0,
        max_sample_size: 1_000,
        min_std_deviation: Duration::from_millis(100),
        acceptable_heartbeat_pause: Duration::from_secs(3),
        first_heartbeat_estimate: Duration::from_secs(1),
        burst_interval: Duration::from_millis(250),
    };
}

/// How the deadline detector judges: a node is available as long as its last answer is younger than both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineSettings {
    /// How often questions are sent.
    pub heartbeat_interval: Duration,
    /// How late an answer may be.
    pub acceptable_heartbeat_pause: Duration,
}

impl DeadlineSettings {
    /// Pekko's numbers between data centres.
    pub const DEFAULT: Self = Self {
        heartbeat_interval: Duration::from_secs(3),
        acceptable_heartbeat_pause: Duration::from_secs(10),
    };
}

/// Which detector, and how it judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DetectorSettings {
    /// The suspicion grows with the silence, measured against what was usual.
    Phi(PhiSettings),
    /// A fixed time, for links whose delays say nothing about the node behind them.
    Deadline(DeadlineSettings),
}

impl DetectorSettings {
    /// How late an answer may be at least.
    pub fn acceptable_pause(&self) -> Duration {
        match self {
            Self::Phi(settings) => settings.acceptable_heartbeat_pause,
            Self::Deadline(settings) => settings.acceptable_heartbeat_pause,
        }
    }
}

/// When an answer arrived, and when its question had been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Beat {
    arrived: Time,
    sent: Time,
}

/// What is known of one node's answers. It is available until it has answered once, and thereafter as long as its answers keep coming.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    settings: DetectorSettings,
    history: History,
    last: Option<Beat>,
}

impl Detector {
    /// Knows nothing yet.
    pub fn new(settings: DetectorSettings) -> Self {
        let samples = match settings {
            DetectorSettings::Phi(phi) => phi.max_sample_size,
            DetectorSettings::Deadline(_) => 1,
        };
        Self {
            settings,
            history: History::new(samples),
            last: None,
        }
    }

    /// Whether the node has answered at all, so that its silence means something.
    pub fn is_monitoring(&self) -> bool {
        self.last.is_some()
    }

    /// Whether the node counts as reachable.
    pub fn is_available(&self, now: Time) -> bool {
        match (&self.settings, self.last) {
            (_, None) => true,
            (DetectorSettings::Phi(settings), Some(_)) => self.phi(now) < settings.threshold,
            (DetectorSettings::Deadline(settings), Some(last)) => {
                now.since(last.arrived)
                    < settings.heartbeat_interval + settings.acceptable_heartbeat_pause
            }
        }
    }

    /// The suspicion: −log₁₀ of how probable it is that an answer still comes. 0 before the first answer, and always for a deadline.
    pub fn phi(&self, now: Time) -> f64 {
        let (DetectorSettings::Phi(settings), Some(last)) = (&self.settings, self.last) else {
            return 0.0;
        };
        let mean =
            self.history.mean_ms() + milliseconds(settings.acceptable_heartbeat_pause.as_nanos());
        let deviation = libm::sqrt(self.history.variance_ms2())
            .max(milliseconds(settings.min_std_deviation.as_nanos()));
        phi(
            milliseconds(now.since(last.arrived).as_nanos()),
            mean,
            deviation,
        )
    }

    /// An answer arrived to a question of `sent` (the same clock: this node's own). Returns the time since the answer before it if that was
    /// so long that the acceptable pause is nearly used up, which is worth a warning.
    pub fn heartbeat(&mut self, now: Time, sent: Time) -> Option<Duration> {
        let beat = Beat { arrived: now, sent };
        let Some(last) = self.last else {
            self.last = Some(beat);
            if let DetectorSettings::Phi(settings) = &self.settings {
                let mean = settings.first_heartbeat_estimate;
                let spread = mean / 4;
                self.history.push(mean.saturating_sub(spread));
                self.history.push(mean + spread);
            }
            return None;
        };
        let arrived = now.since(last.arrived);
        if let DetectorSettings::Phi(settings) = self.settings
            && settings.burst_interval <= arrived
            // An outage says how long an outage was, and nothing about the intervals of a healthy node.
            && self.is_available(now)
        {
            self.history.push(arrived.max(sent.since(last.sent)));
        }
        self.last = Some(beat);
        let pause = self.settings.acceptable_pause();
        (Duration::ZERO < pause && pause * 2 <= arrived * 3).then_some(arrived)
    }

    /// This node slept for `stalled`: silence in that time was its own.
    pub fn take_out(&mut self, now: Time, stalled: Duration) {
        if let Some(last) = &mut self.last {
            last.arrived = last.arrived.after(stalled).min(now);
            last.sent = last.sent.after(stalled).min(now);
        }
    }
}

/// The last intervals, and their mean and variance. The sums are whole numbers, so nothing drifts, however long the node lives.
#[derive(Debug, Clone, PartialEq, Eq)]
struct History {
    intervals: VecDeque<u64>,
    max: usize,
    sum: u128,
    squares: u128,
}

impl History {
    /// The longest interval that is told from longer ones, in nanoseconds: 19 hours. With it the squares of [`PhiSettings::SAMPLES_MAX`]
    /// samples fit.
    const INTERVAL_MAX: u64 = 1 << 46;

    fn new(samples: u32) -> Self {
        let max = samples.clamp(1, PhiSettings::SAMPLES_MAX);
        Self {
            intervals: VecDeque::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            sum: 0,
            squares: 0,
        }
    }

    fn push(&mut self, interval: Duration) {
        let interval = u64::try_from(interval.as_nanos())
            .unwrap_or(u64::MAX)
            .min(Self::INTERVAL_MAX);
        if self.intervals.len() == self.max
            && let Some(oldest) = self.intervals.pop_front()
        {
            let oldest = u128::from(oldest);
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        let exact = u128::from(interval);
        self.sum += exact;
        self.squares += exact * exact;
        self.intervals.push_back(interval);
    }

    fn mean_ms(&self) -> f64 {
        match self.intervals.len() {
            0 => 0.0,
            count => self.sum as f64 / count as f64 / NANOS_PER_MS,
        }
    }

    /// The variance of the population, in square milliseconds.
    fn variance_ms2(&self) -> f64 {
        let count = self.intervals.len();
        if count == 0 {
            return 0.0;
        }
        // n·Σx² − (Σx)² is a whole number and never negative; only the last step rounds.
        let exact = self.squares * count as u128 - self.sum * self.sum;
        exact as f64 / (count as f64 * count as f64) / (NANOS_PER_MS * NANOS_PER_MS)
    }
}

const NANOS_PER_MS: f64 = 1e6;

fn milliseconds(nanos: u128) -> f64 {
    nanos as f64 / NANOS_PER_MS
}

/// −log₁₀ of the chance that an interval is longer than `elapsed`, if intervals are normally distributed: the logistic approximation that
/// Pekko uses, as the one function `ln(1 + eˣ) / ln 10` that both of its branches are, so that neither end overflows.
fn phi(elapsed: f64, mean: f64, deviation: f64) -> f64 {
    let y = (elapsed - mean) / deviation;
    let x = y * (1.5976 + 0.070_566 * y * y);
    (x.max(0.0) + libm::log1p(libm::exp(-libm::fabs(x)))) / core::f64::consts::LN_10
}

/// Notices that this node itself slept: stopped, starved of CPU, or moved to another machine. What it then sees of others is its own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStall {
    interval: Duration,
    pause: Duration,
    last_tick: Option<Time>,
    suspended_until: Option<Time>,
}

impl OwnStall {
    /// Ticks are due each `interval`; after a stall nothing is judged for `pause`, in which the answers that wait come in.
    pub fn new(interval: Duration, pause: Duration) -> Self {
        Self {
            interval,
            pause,
            last_tick: None,
            suspended_until: None,
        }
    }

    /// The tick is done now.
    pub fn ticked(&mut self, now: Time) {
        self.last_tick = Some(now);
    }

    /// Looks at the time, which whoever sees an event does before anything else. Returns how long this node slept, once a stall.
    pub fn notice(&mut self, now: Time) -> Option<Duration> {
        let gap = now.since(self.last_tick?);
        if gap < self.interval * 2 {
            return None;
        }
        self.last_tick = Some(now);
        self.suspended_until = Some(now.after(self.pause));
        Some(gap - self.interval)
    }

    /// Whether silence may be held against others.
    pub fn judges(&self, now: Time) -> bool {
        self.suspended_until.is_none_or(|until| until <= now)
    }
}
