//! Reading a request's body: never more than the limit, never longer than the patience, never copied when it came in one piece.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::header::CONNECTION;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::catalogue as types;
use super::problem::Problem;

/// How much, how slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes at most.
    pub bytes: u64,
    /// The setting that raises it, for the error.
    pub limit: &'static str,
    /// How long to wait for the next piece.
    pub patience: Duration,
}

impl Bounds {
    /// The problem of a body that is too large. Its rest is not read: the connection ends, and the client must not take it for its next request.
    pub(super) fn too_large(&self) -> Box<Problem> {
        let detail = format!(
            "limit '{}' exceeded: the body is longer than {} bytes",
            self.limit, self.bytes
        );
        Problem::new(&types::LIMIT_EXCEEDED, detail)
            .with_status(413)
            .with_header(CONNECTION, "close")
            .over(self.limit)
    }
}

/// Reads the whole of it.
pub(super) async fn whole(mut body: Incoming, bounds: Bounds) -> Result<Bytes, Box<Problem>> {
    if bounds.bytes < body.size_hint().lower() {
        return Err(bounds.too_large());
    }
    let Some(first) = next(&mut body, bounds.patience).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() {
        return if bounds.bytes < first.len() as u64 {
            Err(bounds.too_large())
        } else {
            Ok(first)
        };
    }
    let mut all = BytesMut::from(first);
    while let Some(piece) = next(&mut body, bounds.patience).await? {
        all.extend_from_slice(&piece);
        if bounds.bytes < all.len() as u64 {
            return Err(bounds.too_large());
        }
    }
    if bounds.bytes < all.len() as u64 {
        return Err(bounds.too_large());
    }
    Ok(all.freeze())
}

/// The next piece of data; none at the end.
pub(super) async fn next<B>(body: &mut B, patience: Duration) -> Result<Option<Bytes>, Box<Problem>>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    loop {
        // What has already arrived needs no timer.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => timeout(patience, body.frame())
                .await
                .map_err(|_| slow(patience))?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) if is_slow(&error) => return Err(slow(patience)),
            Some(Err(error)) => {
                return Err(Problem::new(
                    &types::BODY_CUT_OFF,
                    format!("the body was cut off: {error}"),
                ));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
        }
    }
}

/// Whether somewhere below an error a piece of a body did not come in time.
pub(super) fn is_slow(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn slow(patience: Duration) -> Box<Problem> {
    let detail = format!(
        "nothing of the body came for {}",
        humantime::format_duration(patience)
    );
    Problem::new(&types::SLOW_BODY, detail).with_header(CONNECTION, "close")
}

/// A client's body with a limit on its length and on the time between two pieces.
pub(super) struct Patient {
    body: Incoming,
    left: u64,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// The time runs: only while somebody waits for a piece.
    waits: bool,
}

impl Patient {
    pub(super) fn new(body: Incoming, bytes_max: u64, patience: Duration) -> Self {
        Self {
            body,
            left: bytes_max,
            patience,
            timer: None,
            waits: false,
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let Poll::Ready(polled) = Pin::new(&mut this.body).poll_frame(cx) else {
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(sleep(this.patience)));
            if !std::mem::replace(&mut this.waits, true) {
                timer.as_mut().reset(Instant::now() + this.patience);
            }
            return timer.as_mut().poll_deadline(cx);
        };
        this.waits = false;
        Poll::Ready(polled.map(|frame| {
            let frame = frame.map_err(io::Error::other)?;
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            this.left = this
                .left
                .checked_sub(bytes)
                .ok_or_else(|| io::Error::other("the body is longer than the limit 'http-body'"))?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

trait PollDeadline {
    fn poll_deadline<T>(self, cx: &mut Context<'_>) -> Poll<Option<Result<T, io::Error>>>;
}

impl PollDeadline for Pin<&mut Sleep> {
    fn poll_deadline<T>(self, cx: &mut Context<'_>) -> Poll<Option<Result<T, io::Error>>> {
        self.poll(cx).map(|()| {
            Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the body came too slowly",
            )))
        })
    }
}
