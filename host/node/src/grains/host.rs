//! The node as one activation sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use granary_core::error::CallError;
use granary_core::id::{CallId, GrainId, Revision};
use granary_core::limits::{CHAIN_GRAINS_MAX, STATE_PAGE_BYTES_MAX};
use granary_runtime::{BoxFuture, Host, LogStream, OutgoingCall, Payload};
use granary_store::PageSize;
use parking_lot::Mutex;

use super::call::{AnswerBody, Call, CallArguments, Encoding};
use super::dispatch;
use super::memory::{Listed, StateMemory};
use super::message::Checked;
use crate::node::shared::Shared;
use crate::observe::logs::Stream;

/// What an activation's guest reaches.
pub(crate) struct ActivationHost {
    shared: Arc<Shared>,
    grain: GrainId,
    revision: Revision,
    memory: Arc<StateMemory>,
    /// Turns that have called another grain: they must not run a second time.
    called_out: Mutex<BTreeSet<CallId>>,
}

impl ActivationHost {
    pub(crate) fn new(
        shared: Arc<Shared>,
        grain: GrainId,
        revision: Revision,
        memory: Arc<StateMemory>,
    ) -> Self {
        Self {
            shared,
            grain,
            revision,
            memory,
            called_out: Mutex::default(),
        }
    }

    /// Whether a turn has called another grain. Forgets it.
    pub(crate) fn take_called_out(&self, turn: CallId) -> bool {
        self.called_out.lock().remove(&turn)
    }

    async fn call_out(&self, out: OutgoingCall) -> Result<Payload, CallError> {
        let OutgoingCall {
            turn,
            target,
            method,
            arguments,
            timeout,
            idempotency_key,
            holds,
        } = out;
        let mut chain = Vec::with_capacity(turn.chain.len() + 1);
        chain.extend_from_slice(&turn.chain);
        chain.push(self.grain.clone());
        if CHAIN_GRAINS_MAX <= chain.len() {
            let detail = format!("the call chain would be longer than {CHAIN_GRAINS_MAX} grains");
            return Err(CallError::Invalid {
                pointer: String::new(),
                detail,
            });
        }
        let accept = match &arguments {
            Payload::Json(_) => Encoding::Json,
            Payload::Cbor(_) => Encoding::Cbor,
            Payload::Raw(_) => Encoding::Raw,
            // What is kept under a key is read by any caller who has it.
            Payload::Typed(_) if idempotency_key.is_some() => Encoding::Json,
            Payload::Typed(_) => Encoding::Typed,
        };
        let call = Call {
            id: Call::fresh_id(),
            grain: target,
            method,
            arguments: CallArguments::Payload(arguments),
            accept,
            timeout,
            idempotency_key,
            principal: turn.principal.clone(),
            baggage: turn.baggage.lock().clone(),
            chain,
            read_only: false,
            streams: false,
            settles: None,
        };
        self.called_out.lock().insert(turn.call);
        self.shared
            .waits
            .lock()
            .call(turn.call, &self.grain, call.id, &call.grain, holds);
        let _edge = Edge {
            shared: &self.shared,
            call: call.id,
        };
        let answer = dispatch(&self.shared, call, Some(turn.deadline)).await;
        match answer.map_err(|failure| failure.error)?.body {
            AnswerBody::Json(json) => Ok(Payload::Json(json)),
            AnswerBody::Cbor(cbor) => Ok(Payload::Cbor(cbor)),
            AnswerBody::Raw(raw) => Ok(Payload::Raw(raw)),
            AnswerBody::Typed(typed) => Ok(Payload::Typed(typed)),
            AnswerBody::Unit => Ok(match accept {
                Encoding::Json | Encoding::JsonInt64Strings => Payload::Json(b"null".to_vec()),
                Encoding::Cbor => Payload::Cbor(vec![0xf6]),
                Encoding::Raw | Encoding::Typed => Payload::Raw(Vec::new()),
            }),
        }
    }
}

/// Takes an edge out of the graph when the caller no longer waits, however that came about.
struct Edge<'a> {
    shared: &'a Shared,
    call: CallId,
}

impl Drop for Edge<'_> {
    fn drop(&mut self) {
        self.shared.waits.lock().ended(self.call);
    }
}

impl Host for ActivationHost {
    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            if let Some(value) = self.memory.get(key) {
                return Ok(value);
            }
            let version = self.memory.version();
            let value = self
                .shared
                .store
                .read(&self.grain, key)
                .await
                .map_err(|error| error.to_string())?;
            self.memory.remember(key, value.as_ref(), version);
            Ok(value)
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        entries: usize,
    ) -> BoxFuture<'a, Result<Listed, String>> {
        Box::pin(async move {
            if let Some(page) = self
                .memory
                .list(prefix, after, entries, STATE_PAGE_BYTES_MAX)
            {
                return Ok(page);
            }
            let size = PageSize {
                entries,
                bytes: STATE_PAGE_BYTES_MAX,
            };
            let page = self
                .shared
                .store
                .list(&self.grain, prefix, after, size)
                .await;
            page.map(|page| (page.items, page.more))
                .map_err(|error| error.to_string())
        })
    }

    fn cached(&self, key: &str) -> Option<Option<Vec<u8>>> {
        self.memory.get(key)
    }

    fn version(&self) -> u64 {
        self.memory.version()
    }

    fn call(&self, call: OutgoingCall) -> BoxFuture<'_, Result<Payload, CallError>> {
        Box::pin(self.call_out(call))
    }

    fn check_send(
        &self,
        target: &GrainId,
        method: &str,
        arguments: &[u8],
    ) -> Result<(), CallError> {
        let Some(entry) = self.shared.kinds.entry(&target.kind) else {
            return Err(self.shared.kinds.unknown(target.kind.as_str()));
        };
        // A kind that is still being compiled takes the message unseen; what does not fit is then given up and listed.
        let Some(linked) = entry.ready(entry.record.current) else {
            return Ok(());
        };
        Checked::new(&mut Call::new(target.clone(), method, arguments), &linked).map(drop)
    }

    fn log(&self, stream: LogStream, line: &str) {
        let stream = match stream {
            LogStream::Stdout => Stream::Stdout,
            LogStream::Stderr => Stream::Stderr,
            LogStream::Leveled(level) => Stream::Log(level),
        };
        self.shared
            .logs
            .push(&self.grain, self.revision, stream, line);
    }

    fn log_dropped(&self, bytes: u64) {
        self.shared
            .metrics
            .kind(&self.grain.kind)
            .log_drops_bytes
            .increment(bytes);
    }
}
