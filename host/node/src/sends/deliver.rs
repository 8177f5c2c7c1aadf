//! The pump: takes what is due, delivers it, tries again or gives up.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::error::{CallError, Failure};
use granary_core::id::GrainId;
use granary_store::{SendRecord, StoreError};
use tokio::task::JoinSet;

use super::{Sends, delivery, frame, kept, settled_with};
use crate::observe::events::What;
use crate::observe::now_ms;

/// Messages looked at in one go.
const BATCH: usize = 4096;
/// Grains to which messages are delivered at the same time.
const TARGETS_MAX: usize = 256;
/// A delivery has no caller that loses patience: the turn's own limits end it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Tries of a message whose handler fails by its own fault.
const TRIES_MAX: u32 = 8;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long the pump rests at most: nobody need tell it of a message that another process left.
const REST_MAX: Duration = Duration::from_secs(60);

/// What is to be done with a message after a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It was handled and is gone.
    Handled,
    /// Somebody cancelled it.
    Cancelled,
    /// Try again after this time. Whether the try counts.
    Again(Duration, bool),
    /// Trying again makes no sense.
    GiveUp,
}

impl Sends {
    /// Delivers what is due until it is dropped. Deliveries under way are then dropped too: what they have not committed is
    /// delivered again by the next pump.
    pub(crate) async fn pump(&self) {
        let mut deliveries = JoinSet::new();
        loop {
            let next = self.start_due(&mut deliveries).await;
            let rest = next.map_or(REST_MAX, |due| {
                Duration::from_millis(due.saturating_sub(now_ms())).min(REST_MAX)
            });
            tokio::select! {
                () = self.shared.due.notified() => {}
                Some(_) = deliveries.join_next() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Starts a task for each grain that has something due and is not busy. When the next one is due, if that is known.
    async fn start_due(&self, deliveries: &mut JoinSet<()>) -> Option<u64> {
        let (due, next) = match self.shared.store.sends_due(now_ms(), BATCH).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "one-way messages cannot be read; they wait");
                return Some(now_ms() + 1000);
            }
        };
        let mut by_target: BTreeMap<GrainId, Vec<SendRecord>> = BTreeMap::new();
        {
            let mut busy = self.shared.busy.lock();
            for record in due {
                let free = !busy.targets.contains(&record.target);
                let room = by_target.contains_key(&record.target)
                    || busy.targets.len() + by_target.len() < TARGETS_MAX;
                if free && room {
                    by_target
                        .entry(record.target.clone())
                        .or_default()
                        .push(record);
                }
            }
            busy.targets.extend(by_target.keys().cloned());
            busy.messages
                .extend(by_target.values().flatten().map(|record| record.id));
        }
        for (target, records) in by_target {
            let sends = self.clone();
            deliveries.spawn(async move { sends.deliver_all(target, records).await });
        }
        next
    }

    async fn deliver_all(&self, target: GrainId, records: Vec<SendRecord>) {
        for record in records {
            let id = record.id;
            self.deliver(record).await;
            self.shared.busy.lock().messages.remove(&id);
            self.tell_ended();
        }
        self.shared.busy.lock().targets.remove(&target);
    }

    async fn deliver(&self, record: SendRecord) {
        // It may have been cancelled since it was read.
        match self.shared.store.send(record.id).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
        let Err(failure) = self.shared.grains.call(delivery(&record, PATIENCE)).await else {
            return;
        };
        let noted = match next(&failure.error, record.attempts) {
            Next::Handled => return,
            Next::Cancelled => self
                .shared
                .store
                .settle(settled_with(&record, Err(failure)))
                .await
                .map(drop),
            Next::Again(after, counts) => {
                let wait = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                let attempts = record.attempts + u32::from(counts);
                let again = SendRecord {
                    due_at_ms: now_ms().saturating_add(wait),
                    attempts,
                    ..record
                };
                self.put_back(again).await
            }
            Next::GiveUp => self.give_up(record, failure).await,
        };
        if let Err(error) = noted {
            // The message is still there as it was; it is due, and the pump comes back to it.
            tracing::warn!(%error, "the outcome of a delivery could not be noted down");
        }
    }

    /// Keeps a message for another try, unless the turn that seemed lost has handled it after all.
    async fn put_back(&self, record: SendRecord) -> Result<(), StoreError> {
        match self.shared.store.send(record.id).await? {
            Some(_) => self.shared.store.put_send(record).await,
            None => Ok(()),
        }
    }

    async fn give_up(&self, record: SendRecord, failure: Failure) -> Result<(), StoreError> {
        let failure = Failure {
            chain: frame(failure.error.clone(), &record).chain,
            ..failure
        };
        tracing::warn!(grain = %record.target, method = record.method, %failure, "a one-way message was given up");
        self.shared.events.push(What::GivenUp {
            id: record.id,
            target: record.target.clone(),
            method: record.method.clone(),
            detail: failure.error.to_string(),
        });
        let attempts = record.attempts + 1;
        self.put_back(SendRecord {
            given_up: Some(kept::encode_failure(&failure)),
            attempts,
            ..record
        })
        .await
    }
}

fn next(error: &CallError, attempts: u32) -> Next {
    let backoff = BACKOFF_FIRST
        .saturating_mul(1 << attempts.min(16))
        .min(BACKOFF_MAX);
    match error {
        CallError::App { .. } => Next::Handled,
        CallError::Cancelled { .. } => Next::Cancelled,
        // The node's fault, not the message's: it waits as long as that lasts.
        CallError::Overloaded { .. }
        | CallError::Unavailable { .. }
        | CallError::Deadlock { .. } => Next::Again(backoff.max(Duration::from_secs(1)), false),
        CallError::Timeout { .. }
        | CallError::GuestTrap { .. }
        | CallError::Conflict { .. }
        | CallError::UnknownOutcome { .. }
            if attempts + 1 < TRIES_MAX =>
        {
            Next::Again(backoff, true)
        }
        CallError::Timeout { .. }
        | CallError::GuestTrap { .. }
        | CallError::Conflict { .. }
        | CallError::UnknownOutcome { .. }
        | CallError::Denied { .. }
        | CallError::NotFound { .. }
        | CallError::Invalid { .. }
        | CallError::LimitExceeded { .. } => Next::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_is_tried_eight_times_with_growing_pauses() {
        let trap = CallError::GuestTrap {
            detail: String::new(),
            backtrace: Vec::new(),
        };
        assert_eq!(
            next(&trap, 0),
            Next::Again(Duration::from_millis(100), true)
        );
        assert_eq!(
            next(&trap, 6),
            Next::Again(Duration::from_millis(6400), true)
        );
        assert_eq!(next(&trap, 7), Next::GiveUp);
    }

    #[test]
    fn a_full_node_costs_no_tries_and_wrong_arguments_get_none() {
        let full = CallError::Overloaded {
            detail: String::new(),
        };
        assert_eq!(
            next(&full, 200),
            Next::Again(Duration::from_secs(60), false)
        );
        let invalid = CallError::Invalid {
            pointer: String::new(),
            detail: String::new(),
        };
        assert_eq!(next(&invalid, 0), Next::GiveUp);
        let app = CallError::App {
            value: String::new(),
            rolled_back: true,
        };
        assert_eq!(next(&app, 0), Next::Handled);
    }
}
