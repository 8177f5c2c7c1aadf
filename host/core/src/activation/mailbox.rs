//! The calls that wait for one grain, in the order of their arrival.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Rules;
use crate::id::{CallId, Time};

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub call: CallId,
    /// Bytes of its arguments.
    pub bytes: u64,
    /// Whether it may run beside others of which this is true, too: calls of `read` and `interleave` methods.
    pub beside: bool,
    /// When its caller stops waiting.
    pub deadline: Time,
    /// Whether it had a turn already that left nothing.
    pub repeated: bool,
}

/// Which of the two limits is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Calls,
    Bytes,
}

/// Invariant: `bytes` is the sum over `calls`.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    calls: VecDeque<Waiting>,
    bytes: u64,
}

impl Mailbox {
    /// A full mailbox is an answer, not a wait. One call always fits by its bytes: its size has a limit of its own.
    /// `beside`: turns that run beside another and count as if they waited.
    pub(super) fn push(
        &mut self,
        waiting: Waiting,
        beside: usize,
        rules: &Rules,
    ) -> Result<(), Full> {
        if rules.mailbox_calls as usize <= self.calls.len() + beside {
            return Err(Full::Calls);
        }
        if !self.calls.is_empty() && rules.mailbox_bytes < self.bytes.saturating_add(waiting.bytes)
        {
            return Err(Full::Bytes);
        }
        self.bytes += waiting.bytes;
        self.calls.push_back(waiting);
        Ok(())
    }

    /// Puts a call that has to run again before all others. It was admitted once; no limit keeps it out.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.calls.push_front(Waiting {
            repeated: true,
            ..waiting
        });
    }

    pub(super) fn first(&self) -> Option<Waiting> {
        self.calls.front().copied()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let first = self.calls.pop_front()?;
        self.bytes -= first.bytes;
        Some(first)
    }

    pub(super) fn take(&mut self, call: CallId) -> Option<Waiting> {
        let at = self.calls.iter().position(|waiting| waiting.call == call)?;
        let taken = self.calls.remove(at)?;
        self.bytes -= taken.bytes;
        Some(taken)
    }

    pub(super) fn take_late(&mut self, now: Time) -> Vec<Waiting> {
        if self.calls.iter().all(|waiting| now < waiting.deadline) {
            return Vec::new();
        }
        let (late, rest) = self
            .calls
            .drain(..)
            .partition::<Vec<_>, _>(|waiting| waiting.deadline <= now);
        self.calls = rest.into();
        self.bytes = self.calls.iter().map(|waiting| waiting.bytes).sum();
        late
    }

    pub(super) fn set_beside(&mut self, call: CallId, beside: bool) {
        if let Some(waiting) = self.calls.iter_mut().find(|waiting| waiting.call == call) {
            waiting.beside = beside;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.calls.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}
