//! Methods with streams: the body of the request as a `stream<u8>`, the items of a result as they come.
//!
//! A stream that ends well ends with its turn: what the turn wrote is durable then. Server-sent events say so with an event `end`, the other
//! forms with the regular end of the body. One that fails says why, where its form has a place for that (an event `error`; a last line
//! `{"problem": …}`), and lines and bytes are then broken off, so that nobody takes half for the whole.
//!
//! A stream is one call. Its events have no ids, for there is nothing that a second call could go on from; `Last-Event-ID` is not looked at.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use granary_core::error::Failure;
use granary_core::kind::KindRecord;
use granary_runtime::{HttpBody, StreamFormat};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::Patient;
use super::catalogue as types;
use super::data::{Asked, call_problem};
use super::face::{InFlight, Shared};
use super::problem::Problem;
use super::raw;
use super::reply::{self, Reply};
use super::request::Wishes;
use crate::grains::{CallArguments, Ending, Streamed, Ways};

/// How long a stream of events, of a grain or of the node, is silent before a comment is sent: proxies cut connections that rest for
/// somewhat longer.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells proxies not to gather what comes into larger pieces: the words of nginx, which others understand, too.
pub(super) static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

type Served = Result<Reply, Box<Problem>>;

/// `POST`. Where the body is a stream, the other arguments are in the query.
pub(super) async fn post(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    request: Request<Incoming>,
    (ways, in_flight): (Ways, InFlight),
) -> Served {
    let (mut parts, incoming) = request.into_parts();
    let kind = shared.kind(&asked.grain.kind)?;
    if !ways.takes {
        let mut wishes = Wishes::from_headers(&parts.headers)?;
        if let Some(query) = asked.query {
            wishes.add_query(query)?;
        }
        let payload = asked
            .payload(shared, &kind, incoming, wishes.content)
            .await?;
        let sent = (CallArguments::Payload(payload), None);
        return Sending::new(shared, kind, in_flight)
            .send(asked, wishes, ways, sent)
            .await;
    }
    // Whatever it is called, it is bytes.
    parts.headers.remove(CONTENT_TYPE);
    let mut wishes = Wishes::from_headers(&parts.headers)?;
    let query = asked.own_query(shared, &mut wishes).await?;
    // How long it may be is for the turn to say.
    let body = Patient::new(incoming, u64::MAX, shared.settings.body_timeout);
    let sent = (CallArguments::Query(query), Some(HttpBody::new(body)));
    Sending::new(shared, kind, in_flight)
        .send(asked, wishes, ways, sent)
        .await
}

/// `GET` on a `read` method, as a browser's `EventSource` does it.
pub(super) async fn get(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    mut wishes: Wishes,
    (ways, in_flight): (Ways, InFlight),
) -> Served {
    let kind = shared.kind(&asked.grain.kind)?;
    let query = asked.own_query(shared, &mut wishes).await?;
    Sending::new(shared, kind, in_flight)
        .send(asked, wishes, ways, (CallArguments::Query(query), None))
        .await
}

struct Sending<'s> {
    shared: &'s Arc<Shared>,
    kind: Arc<KindRecord>,
    in_flight: InFlight,
}

impl<'s> Sending<'s> {
    fn new(shared: &'s Arc<Shared>, kind: Arc<KindRecord>, in_flight: InFlight) -> Self {
        Self {
            shared,
            kind,
            in_flight,
        }
    }

    async fn send(
        self,
        asked: Asked<'_>,
        wishes: Wishes,
        ways: Ways,
        (arguments, body): (CallArguments, Option<HttpBody>),
    ) -> Served {
        let format = format(&wishes, ways)?;
        let path = asked.path.to_owned();
        let node = &self.shared.node_header;
        let call = asked.call(arguments, wishes);
        let grains = &self.shared.node.grains;
        match grains.stream(call, body, format).await {
            Ok(Streamed::Reply(reply, ending)) => {
                let (mut head, items) = reply.into_parts();
                let form = Form::of(&head.headers, format);
                head.headers
                    .insert(&ACCEL_BUFFERING, HeaderValue::from_static("no"));
                let flowing = Flowing {
                    items,
                    ending,
                    form,
                    stage: Stage::Items,
                    quiet: (form == Form::Events).then(Quiet::new),
                    kind: self.kind,
                    node: node.to_str().unwrap_or_default().to_owned(),
                    path,
                };
                let reply = Response::from_parts(head, flowing.boxed_unsync());
                Ok(raw::for_client(reply, node, self.in_flight))
            }
            Ok(Streamed::Answer(answer)) => Ok(reply::answer(*answer, node, None)),
            Err(failure) => Err(call_problem(failure, &self.kind)),
        }
    }
}

/// How items are written. What cannot be said of a stream is refused.
fn format(wishes: &Wishes, ways: Ways) -> Result<StreamFormat, Box<Problem>> {
    let refuse = |what: &str| {
        let detail = format!("a method with a stream cannot be called with {what}");
        Err(Problem::new(&types::BAD_REQUEST, detail))
    };
    if wishes.respond_async {
        return refuse(
            "Prefer: respond-async, a delay or ?wait=0: somebody has to be there for it",
        );
    }
    if wishes.idempotency_key.is_some() {
        return refuse("an Idempotency-Key: what has flowed is not kept");
    }
    match ways.gives {
        None => wishes.no_stream()?,
        Some(flow) if !flow.is_bytes() => wishes.stream_of_items()?,
        Some(_) => {}
    }
    Ok(wishes.stream.unwrap_or_default())
}

/// What a stream is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Events,
    Bytes,
}

impl Form {
    fn of(headers: &HeaderMap, format: StreamFormat) -> Self {
        let is_bytes = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value == "application/octet-stream");
        match format {
            _ if is_bytes => Self::Bytes,
            StreamFormat::Lines => Self::Lines,
            StreamFormat::Events => Self::Events,
        }
    }
}

/// How far a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Items,
    /// The reason was written; what was written leaves before the connection is cut.
    Breaking {
        flushed: bool,
    },
    Over,
}

/// A stream on its way to its client: its items, then how it ended.
struct Flowing {
    items: HttpBody,
    ending: Option<Ending>,
    form: Form,
    stage: Stage,
    /// Lines and bytes have no words that say nothing.
    quiet: Option<Quiet>,
    kind: Arc<KindRecord>,
    node: String,
    path: String,
}

/// Notices that a stream has been silent for [`KEEP_ALIVE`].
struct Quiet {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Quiet {
    fn new() -> Self {
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + KEEP_ALIVE));
        Self { since, timer }
    }

    /// Something was sent. The timer is left alone: it costs more than to look once too often.
    fn over(&mut self) {
        self.since = Instant::now();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let silent = self.since + KEEP_ALIVE <= Instant::now();
            if silent {
                self.over();
            }
            self.timer.as_mut().reset(self.since + KEEP_ALIVE);
            if silent {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

type Piece = Option<Result<Frame<Bytes>, io::Error>>;

impl Flowing {
    fn poll_items(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            let items = Pin::new(&mut self.items).poll_frame(cx);
            if let Poll::Ready(Some(item)) = items {
                return Poll::Ready(Some(item));
            }
            // A turn that has failed gives nothing more, even if its guest still holds the stream.
            let ended = self.ending.as_mut().map(|ending| Pin::new(ending).poll(cx));
            match ended {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(Err(failure))) => return Poll::Ready(self.fail(failure)),
                // What its last moment has brought is there now.
                Some(Poll::Ready(Ok(_))) => self.ending = None,
                None if items.is_pending() => return Poll::Pending,
                None => return Poll::Ready(self.end()),
            }
        }
    }

    fn end(&mut self) -> Piece {
        self.stage = Stage::Over;
        match self.form {
            Form::Events => Some(Ok(Frame::data(Bytes::from_static(
                b"event: end\ndata: {}\n\n",
            )))),
            Form::Lines | Form::Bytes => None,
        }
    }

    fn fail(&mut self, failure: Failure) -> Piece {
        self.ending = None;
        let problem = call_problem(failure, &self.kind).to_json(&self.node, &self.path);
        let (before, after): (&[u8], &[u8]) = match self.form {
            Form::Events => (b"event: error\ndata: ", b"\n\n"),
            Form::Lines => (b"{\"problem\":", b"}\n"),
            Form::Bytes => {
                self.stage = Stage::Over;
                return Some(Err(broken_off()));
            }
        };
        self.stage = match self.form {
            Form::Events => Stage::Over,
            Form::Lines | Form::Bytes => Stage::Breaking { flushed: false },
        };
        Some(Ok(Frame::data([before, &problem, after].concat().into())))
    }
}

impl Body for Flowing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = self.get_mut();
        match this.stage {
            Stage::Items => {
                let piece = this.poll_items(cx);
                match &mut this.quiet {
                    // Each piece is whole events: a comment between two of them is in nobody's way.
                    Some(quiet) if piece.is_pending() => quiet
                        .poll(cx)
                        .map(|()| Some(Ok(Frame::data(Bytes::from_static(b":\n\n"))))),
                    Some(quiet) => {
                        quiet.over();
                        piece
                    }
                    None => piece,
                }
            }
            Stage::Breaking { flushed: false } => {
                this.stage = Stage::Breaking { flushed: true };
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Stage::Breaking { flushed: true } => {
                this.stage = Stage::Over;
                Poll::Ready(Some(Err(broken_off())))
            }
            Stage::Over => Poll::Ready(None),
        }
    }
}

fn broken_off() -> io::Error {
    io::Error::other("the turn failed after its reply had begun")
}
