//! A request's body on its way into the guest, no faster than the guest reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use granary_core::error::{CallError, LimitName};
use http_body::Body as _;
use http_body_util::LengthLimitError;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, StreamProducer, StreamReader, StreamResult, Val, VecBuffer,
};

use super::Progress;
use crate::HttpBody;
use crate::guest::Guest;

/// The argument that a body becomes.
pub(super) fn stream(
    mut store: StoreContextMut<'_, Guest>,
    body: Option<HttpBody>,
    progress: Arc<Progress>,
) -> wasmtime::Result<Val> {
    let limit = store.data().linked.spec().limits.http_body;
    let upload = Upload {
        body,
        limit,
        progress,
    };
    let reader = StreamReader::new(&mut store, upload)?;
    Ok(Val::Stream(reader.try_into_stream_any(&mut store)?))
}

struct Upload {
    body: Option<HttpBody>,
    limit: u64,
    progress: Arc<Progress>,
}

impl Upload {
    /// The next bytes that are there; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while let Some(body) = &mut self.body {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(data)),
                    // Trailers are not the guest's.
                    Ok(_) | Err(_) => {}
                },
                Some(Err(error)) => {
                    // The guest cannot tell an end from a break: the turn must not count.
                    self.progress.fail(broken(&error, self.limit));
                    self.body = None;
                }
                None => self.body = None,
            }
        }
        Poll::Ready(None)
    }
}

impl StreamProducer<Guest> for Upload {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, Guest>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A guest that only asks whether there is something must find it there when it reads.
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let result = match self.get_mut().poll_bytes(cx) {
            Poll::Ready(Some(bytes)) => {
                destination.set_buffer(Vec::from(bytes).into());
                StreamResult::Completed
            }
            Poll::Ready(None) => StreamResult::Dropped,
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(Ok(result))
    }
}

fn broken(error: &std::io::Error, limit: u64) -> CallError {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<LengthLimitError>())
    {
        return CallError::LimitExceeded {
            limit: LimitName::HttpBody,
            detail: format!("the body is longer than {limit} bytes; raise limits.http-body"),
        };
    }
    CallError::Cancelled {
        detail: format!("the body did not come whole: {error}"),
    }
}
