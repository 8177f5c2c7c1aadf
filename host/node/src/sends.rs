//! One-way messages and asynchronous calls: kept durably, delivered by a pump, each handled once because the commit of the turn that
//! handles one also removes it.
//!
//! Messages to one grain are delivered one after the other, in the order in which they became due, as long as each succeeds; one that has to be
//! tried again does not hold up those behind it.

mod deliver;
pub(crate) mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use granary_core::error::{CallError, Failure};
use granary_core::id::{CallId, GrainId};
use granary_core::limits::IDEMPOTENCY_RETENTION;
use granary_runtime::Payload;
use granary_store::{ResultRecord, SendRecord, Settled, Store, StoreError};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use crate::grains::call::{Settling, failure};
use crate::grains::{Answer, Call, CallArguments, Grains};
use crate::kinds::Kinds;
use crate::observe::events::Events;
use crate::observe::now_ms;

/// How far an asynchronous call is.
#[derive(Debug, Clone, PartialEq)]
pub enum CallStatus {
    /// No such call, or its result has been forgotten.
    Unknown,
    /// Not handled yet.
    Waiting {
        /// The grain.
        target: GrainId,
        /// The method.
        method: String,
        /// How often it was tried.
        attempts: u32,
        /// When it is tried next: milliseconds since the Unix epoch.
        due_at_ms: u64,
        /// Whether it is being delivered just now.
        running: bool,
    },
    /// Handled: the answer, or the method's `err`, or that it was cancelled.
    Done {
        /// The grain.
        target: GrainId,
        /// The method.
        method: String,
        /// The answer.
        result: Result<Answer, Failure>,
    },
    /// Given up after too many tries, or because trying again makes no sense.
    GivenUp {
        /// The grain.
        target: GrainId,
        /// The method.
        method: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        failure: Failure,
    },
}

/// One-way messages and asynchronous calls. Cheap to clone.
#[derive(Clone)]
pub struct Sends {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    grains: Grains,
    kinds: Kinds,
    events: Arc<Events>,
    /// Something may have become due: notified by whoever commits a send.
    due: Arc<Notify>,
    /// Grains to which something is being delivered, and the messages themselves.
    busy: Mutex<Busy>,
    /// Counts deliveries that ended, for those who wait for one.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct Busy {
    targets: BTreeSet<GrainId>,
    messages: BTreeSet<CallId>,
}

impl Sends {
    /// Puts the two sides together. `due` is notified by [`Grains`] when a turn that sends has been committed. Nothing is
    /// delivered before [`Sends::pump`] runs.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        grains: Grains,
        kinds: Kinds,
        events: Arc<Events>,
        due: Arc<Notify>,
    ) -> Self {
        let (busy, ended) = (Mutex::default(), watch::Sender::new(0));
        Self {
            shared: Arc::new(Shared {
                store,
                grains,
                kinds,
                events,
                due,
                busy,
                ended,
            }),
        }
    }

    /// Accepts an asynchronous call: kind, method and arguments are checked, the call is kept, then this answers. A
    /// second one with the same idempotency key gives the first one's id.
    pub async fn submit(&self, call: Call, delay: Duration) -> Result<CallId, Failure> {
        let in_frame = |error: CallError| failure(error, &call, None);
        let CallArguments::Payload(Payload::Json(arguments)) = &call.arguments else {
            let detail = "an asynchronous call takes its arguments as JSON".to_owned();
            return Err(in_frame(CallError::Invalid {
                pointer: String::new(),
                detail,
            }));
        };
        self.check(&call, arguments).await.map_err(in_frame)?;
        let id = call
            .idempotency_key
            .as_ref()
            .map_or(call.id, |key| id_of(&call.grain, key));
        let now = now_ms();
        let store = &self.shared.store;
        let known = store
            .send(id)
            .await
            .map_err(|error| in_frame(unavailable(&error)))?
            .is_some()
            || store
                .result(id, now)
                .await
                .map_err(|error| in_frame(unavailable(&error)))?
                .is_some();
        if known {
            return Ok(id);
        }
        let record = SendRecord {
            id,
            from: call.chain.last().cloned(),
            target: call.grain.clone(),
            method: call.method.clone(),
            arguments: arguments.clone(),
            baggage: call.baggage.clone(),
            principal: call.principal.clone(),
            idempotency_key: call.idempotency_key.clone(),
            due_at_ms: now.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            sent_at_ms: now,
            attempts: 0,
            keep_result: true,
            given_up: None,
        };
        store
            .put_send(record)
            .await
            .map_err(|error| in_frame(unavailable(&error)))?;
        self.shared.due.notify_one();
        Ok(id)
    }

    /// How far a call is.
    pub async fn status(&self, id: CallId) -> Result<CallStatus, Failure> {
        // The result is looked for last: a call that ends between the two look-ups is then found there.
        if let Some(record) = self
            .shared
            .store
            .send(id)
            .await
            .map_err(|error| unavailable(&error))?
        {
            return Ok(self.status_of(record));
        }
        let result = self
            .shared
            .store
            .result(id, now_ms())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(match result {
            Some(ResultRecord {
                target,
                method,
                answer,
                ..
            }) => CallStatus::Done {
                target,
                method,
                result: kept::decode(&answer)?,
            },
            None => CallStatus::Unknown,
        })
    }

    /// The same, but waits at most so long for its end.
    pub async fn wait(&self, id: CallId, at_most: Duration) -> Result<CallStatus, Failure> {
        let mut ended = self.shared.ended.subscribe();
        let deadline = tokio::time::Instant::now() + at_most;
        loop {
            ended.borrow_and_update();
            let status = self.status(id).await?;
            if !matches!(status, CallStatus::Waiting { .. }) {
                return Ok(status);
            }
            if !matches!(
                tokio::time::timeout_at(deadline, ended.changed()).await,
                Ok(Ok(()))
            ) {
                return Ok(status);
            }
        }
    }

    /// Cancels a call that has not begun, or tells one that runs. Whether it was there.
    pub async fn cancel(&self, id: CallId) -> Result<bool, Failure> {
        let store = &self.shared.store;
        let Some(record) = store.send(id).await.map_err(|error| unavailable(&error))? else {
            return Ok(false);
        };
        if self.shared.busy.lock().messages.contains(&id) {
            return Ok(self.shared.grains.cancel(id).await);
        }
        let error = CallError::Cancelled {
            detail: "cancelled before it began".into(),
        };
        let settled = settled_with(&record, Err(frame(error, &record)));
        let there = store
            .settle(settled)
            .await
            .map_err(|error| unavailable(&error))?;
        self.tell_ended();
        Ok(there)
    }

    /// Those that were given up, in the order of their ids, after one; and whether there are more.
    pub async fn given_up(
        &self,
        after: Option<CallId>,
        limit: usize,
    ) -> Result<(Vec<SendRecord>, bool), Failure> {
        let page = self
            .shared
            .store
            .sends_given_up(after, limit)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok((page.items, page.more))
    }

    /// Tries a given-up one again. Whether it was there.
    pub async fn retry(&self, id: CallId) -> Result<bool, Failure> {
        let store = &self.shared.store;
        let Some(record) = store.send(id).await.map_err(|error| unavailable(&error))? else {
            return Ok(false);
        };
        if record.given_up.is_none() {
            return Ok(false);
        }
        let record = SendRecord {
            given_up: None,
            attempts: 0,
            due_at_ms: now_ms(),
            ..record
        };
        store
            .put_send(record)
            .await
            .map_err(|error| unavailable(&error))?;
        self.shared.due.notify_one();
        Ok(true)
    }

    async fn check(&self, call: &Call, arguments: &[u8]) -> Result<(), CallError> {
        let Some(entry) = self.shared.kinds.entry(&call.grain.kind) else {
            return Err(self.shared.kinds.unknown(call.grain.kind.as_str()));
        };
        let linked = self
            .shared
            .kinds
            .linked(&entry, entry.record.current)
            .await?;
        let method = method(&linked, &call.method)?;
        method.arguments_from_json(arguments, &linked.spec().limits)?;
        Ok(())
    }

    fn status_of(&self, record: SendRecord) -> CallStatus {
        let running = self.shared.busy.lock().messages.contains(&record.id);
        let SendRecord {
            target,
            method,
            attempts,
            due_at_ms,
            given_up,
            ..
        } = record;
        match given_up {
            None => CallStatus::Waiting {
                target,
                method,
                attempts,
                due_at_ms,
                running,
            },
            Some(bytes) => CallStatus::GivenUp {
                target,
                method,
                attempts,
                failure: kept::decode_failure(&bytes),
            },
        }
    }

    fn tell_ended(&self) {
        self.shared
            .ended
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The method that a call names. Errors: `NotFound` with the nearest name.
pub(crate) fn method<'a>(
    linked: &'a granary_runtime::Linked,
    name: &str,
) -> Result<&'a Arc<granary_runtime::Method>, CallError> {
    let interface = &linked.component().interface;
    interface.method(name).ok_or_else(|| {
        let nearest = interface
            .nearest(name)
            .map(|near| format!("; did you mean '{near}'?"))
            .unwrap_or_default();
        CallError::NotFound {
            detail: format!(
                "kind '{}' has no method '{name}'{nearest}",
                linked.spec().name
            ),
        }
    })
}

/// The settlement of a message, with its result if that is to be kept.
pub(crate) fn settled(
    id: CallId,
    keep: bool,
    target: &GrainId,
    method: &str,
    result: &Result<Answer, Failure>,
) -> Settled {
    let retention = u64::try_from(IDEMPOTENCY_RETENTION.as_millis()).unwrap_or(u64::MAX);
    let result = keep.then(|| ResultRecord {
        target: target.clone(),
        method: method.to_owned(),
        answer: kept::encode(result),
        expires_at_ms: now_ms().saturating_add(retention),
    });
    Settled { id, result }
}

fn settled_with(record: &SendRecord, result: Result<Answer, Failure>) -> Settled {
    settled(
        record.id,
        record.keep_result,
        &record.target,
        &record.method,
        &result,
    )
}

/// An asynchronous call's id, where its idempotency key decides it.
fn id_of(grain: &GrainId, key: &str) -> CallId {
    let hash = Sha256::new()
        .chain_update(grain.to_string())
        .chain_update([0])
        .chain_update(key)
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    CallId(u128::from_be_bytes(id))
}

fn frame(error: CallError, record: &SendRecord) -> Failure {
    Failure {
        error,
        grain: Some(record.target.clone()),
        method: Some(record.method.clone()),
        revision: None,
        chain: record
            .from
            .iter()
            .chain([&record.target])
            .cloned()
            .collect(),
    }
}

fn unavailable(error: &StoreError) -> CallError {
    CallError::Unavailable {
        detail: error.to_string(),
    }
}

/// The call that delivers a message.
fn delivery(record: &SendRecord, patience: Duration) -> Call {
    let settles = Settling {
        id: record.id,
        keep_result: record.keep_result,
        from: record.from.clone(),
    };
    Call {
        id: record.id,
        timeout: Some(patience),
        idempotency_key: record.idempotency_key.clone(),
        principal: record.principal.clone(),
        baggage: record.baggage.clone(),
        settles: Some(settles),
        ..Call::new(
            record.target.clone(),
            record.method.clone(),
            record.arguments.clone(),
        )
    }
}
