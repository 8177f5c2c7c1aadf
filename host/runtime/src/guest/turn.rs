//! The turns that run in a store: one in a synchronous component, several reads and interleaved ones side by side in an async one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use granary_core::error::{CallError, LimitName};
use granary_core::limits::Limits;
use granary_core::turn::Wishes;
use wasmtime::component::GuestTaskId;

use crate::TurnContext;

/// How long a cancelled guest may still tidy up.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// One running turn.
pub(crate) struct Turn {
    pub(crate) context: Arc<TurnContext>,
    pub(crate) wishes: Wishes,
    /// Shared with the task that passes an HTTP response on.
    pub(crate) gate: Arc<Gate>,
    /// Why the host stopped it, if it did.
    stopped: Option<CallError>,
    cancelled_since: Option<Instant>,
    used: Duration,
}

/// Keeps apart what an HTTP turn may not mix: a response that has left, and writes that are not durable yet.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The turn has written something.
    wrote: AtomicBool,
    /// The response has left.
    left: AtomicBool,
}

impl Gate {
    pub(crate) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Acquire)
    }

    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether the turn may still write.
    pub(crate) fn open(&self) -> bool {
        !self.left.load(Ordering::Acquire)
    }

    pub(crate) fn note_write(&self) {
        self.wrote.store(true, Ordering::Release);
    }
}

impl Turn {
    pub(crate) fn new(context: Arc<TurnContext>, limits: Limits, gate: Arc<Gate>) -> Self {
        let wishes = Wishes::new(context.mode.writes(), limits, context.head.bytes);
        Self {
            context,
            wishes,
            gate,
            stopped: None,
            cancelled_since: None,
            used: Duration::ZERO,
        }
    }

    /// Whether the host stopped it.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Why the host stopped it, if it did.
    pub(crate) fn into_stopped(self) -> Option<CallError> {
        self.stopped
    }

    /// Stops it: it went on too long after its answer, or with a stream that nobody takes.
    pub(crate) fn stop_tail(&mut self, limits: &Limits, flows: bool) {
        if flows {
            let detail = format!(
                "nobody took its stream any more, and the guest did not end it within {}",
                human(limits.tail_time)
            );
            self.stopped.get_or_insert(CallError::Cancelled { detail });
            return;
        }
        let detail = format!(
            "the turn went on for {} after its answer; raise limits.tail-time, or end what it has begun",
            human(limits.tail_time)
        );
        self.stopped.get_or_insert(CallError::LimitExceeded {
            limit: LimitName::TailTime,
            detail,
        });
    }

    /// The CPU time that was charged to it.
    pub(crate) fn used(&self) -> Duration {
        self.used
    }

    /// Charges time, and tells whether the guest is now to be stopped; the reason is then noted.
    fn must_stop(&mut self, share: Duration, limits: &Limits) -> bool {
        self.used += share;
        if limits.cpu_time <= self.used {
            self.stopped = Some(CallError::LimitExceeded {
                limit: LimitName::CpuTime,
                detail: format!(
                    "the turn ran for its {} of CPU time without an end; raise limits.cpu-time",
                    human(limits.cpu_time)
                ),
            });
            return true;
        }
        if self.context.is_cancelled() {
            let since = *self.cancelled_since.get_or_insert_with(Instant::now);
            if CANCEL_GRACE <= since.elapsed() {
                let detail = format!(
                    "cancelled, and the guest did not stop within {}",
                    human(CANCEL_GRACE)
                );
                self.stopped = Some(CallError::Cancelled { detail });
                return true;
            }
        }
        false
    }
}

/// A duration as a person writes it.
pub(crate) fn human(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && 0 < duration.as_secs() {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// One of several turns.
///
/// Wasmtime gives a task's id to another one when the task has exited, which may be before its turn is found to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BesideId {
    number: u64,
    /// What it started as.
    task: GuestTaskId,
}

/// The turns of a store.
#[derive(Default)]
pub(crate) struct Turns {
    /// The one turn of a synchronous component, or the turn of an async one that must be alone.
    pub(crate) alone: Option<Turn>,
    /// The turns of an async component that run side by side.
    beside: Vec<(BesideId, Turn)>,
    /// How many there have been.
    numbered: u64,
    /// How much of the store's time has been charged to turns.
    charged: Duration,
}

impl Turns {
    /// Whether none runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.alone.is_none() && self.beside.is_empty()
    }

    /// Adds a turn that has started as a task.
    pub(crate) fn add(&mut self, task: GuestTaskId, turn: Turn) -> BesideId {
        let number = self.numbered;
        self.numbered += 1;
        let id = BesideId { number, task };
        self.beside.push((id, turn));
        id
    }

    /// The turn whose task runs. Of several that started as tasks of one id, only the last can.
    pub(crate) fn of_task(&self, task: GuestTaskId) -> Option<BesideId> {
        let ids = self.beside.iter().map(|(id, _)| *id);
        ids.filter(|id| id.task == task).max_by_key(|id| id.number)
    }

    /// A turn that has not ended.
    pub(crate) fn get_mut(&mut self, id: BesideId) -> Option<&mut Turn> {
        let mut turns = self.beside.iter_mut();
        turns.find(|(other, _)| *other == id).map(|(_, turn)| turn)
    }

    /// Takes a turn out: it has ended.
    pub(crate) fn take(&mut self, id: BesideId) -> Option<Turn> {
        let at = self.beside.iter().position(|(other, _)| *other == id)?;
        Some(self.beside.swap_remove(at).1)
    }

    /// Whether the host has stopped one of those that run side by side.
    pub(crate) fn any_stopped(&self) -> bool {
        self.beside.iter().any(|(_, turn)| turn.was_stopped())
    }

    /// Whether turns run side by side.
    pub(crate) fn several(&self) -> bool {
        !self.beside.is_empty()
    }

    /// Sets the store's time back.
    pub(crate) fn begin(&mut self) {
        self.charged = Duration::ZERO;
    }

    /// Charges what the store has used since the last time, to each turn its share, since nobody can tell which of several
    /// it was. Whether one of them must stop.
    pub(crate) fn charge(&mut self, used: Duration, limits: &Limits) -> bool {
        let count = self.beside.len() + usize::from(self.alone.is_some());
        let share =
            used.saturating_sub(self.charged) / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        self.charged = self.charged.max(used);
        let turns = self
            .alone
            .iter_mut()
            .chain(self.beside.iter_mut().map(|(_, turn)| turn));
        // Each of them is charged, also behind the first that must stop.
        turns.fold(false, |stop, turn| turn.must_stop(share, limits) | stop)
    }
}
