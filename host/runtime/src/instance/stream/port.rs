//! Where items leave the store.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::channel::mpsc;
use granary_core::error::{CallError, LimitName};
use granary_core::limits::Limits;
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep_until};
use wasmtime::component::{StreamResult, Val};

use super::{Progress, StreamFormat};
use crate::{JsonOptions, Method};

/// Where a stream's items go.
pub(super) enum Sink {
    /// To the client, as they come.
    Leaving(mpsc::Sender<Bytes>),
    /// To whoever keeps them until the commit.
    Held(Arc<Mutex<Vec<u8>>>),
}

/// The host's end of a result's stream.
pub(super) struct Port {
    method: Arc<Method>,
    format: StreamFormat,
    json: JsonOptions,
    limits: Limits,
    /// When the caller stops waiting.
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    progress: Arc<Progress>,
    sink: Sink,
}

impl Port {
    pub(super) fn new(
        (method, format, json): (Arc<Method>, StreamFormat, JsonOptions),
        (deadline, limits): (Instant, Limits),
        progress: Arc<Progress>,
        sink: Sink,
    ) -> Self {
        Self {
            method,
            format,
            json,
            limits,
            deadline,
            timer: None,
            progress,
            sink,
        }
    }

    /// Waits until an item can be taken. `Err`: what the guest's write comes to instead.
    pub(super) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        finish: bool,
    ) -> Poll<Result<(), StreamResult>> {
        if self.progress.is_over() {
            return Poll::Ready(Err(StreamResult::Dropped));
        }
        let Sink::Leaving(sender) = &mut self.sink else {
            return Poll::Ready(Ok(()));
        };
        match sender.poll_ready(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Err(StreamResult::Cancelled)),
            Poll::Pending => {
                // A client that does not read holds the guest no longer than it would wait for an answer.
                let deadline = self.deadline;
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
                timer.as_mut().poll(cx).map(|()| Err(StreamResult::Dropped))
            }
        }
    }

    /// Takes a piece on, for which there is room.
    pub(super) fn put(&mut self, piece: Vec<u8>) -> StreamResult {
        if piece.is_empty() {
            return StreamResult::Completed;
        }
        let taken = match &mut self.sink {
            Sink::Leaving(sender) => sender.try_send(piece.into()).is_ok(),
            Sink::Held(items) => {
                let mut items = items.lock();
                let fits = (items.len() + piece.len()) as u64 <= self.limits.result;
                if fits {
                    items.extend_from_slice(&piece);
                } else {
                    self.progress.fail(held_too_large(self.limits.result));
                }
                fits
            }
        };
        if taken {
            StreamResult::Completed
        } else {
            StreamResult::Dropped
        }
    }

    /// Writes items down until one is too large; then the turn fails.
    pub(super) fn written(&self, items: impl Iterator<Item = Val>) -> (Vec<u8>, bool) {
        let mut piece = Vec::new();
        for item in items {
            let (before, after): (&[u8], &[u8]) = match self.format {
                StreamFormat::Lines => (b"", b"\n"),
                StreamFormat::Events => (b"data: ", b"\n\n"),
            };
            match self.method.item_to_json(&item, self.json, &self.limits) {
                Ok(json) => [before, &json, after]
                    .iter()
                    .for_each(|part| piece.extend_from_slice(part)),
                Err(error) => {
                    self.progress.fail(CallError::LimitExceeded {
                        limit: error.limit.unwrap_or(LimitName::Result),
                        detail: format!("an item of the stream: {error}"),
                    });
                    return (piece, false);
                }
            }
        }
        (piece, true)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.progress.end();
    }
}

fn held_too_large(limit: u64) -> CallError {
    CallError::LimitExceeded {
        limit: LimitName::Result,
        detail: format!(
            "the items of a turn that has written are held until the commit and may have {limit} bytes; raise limits.result, or write nothing before the stream is returned"
        ),
    }
}
