//! Answers: a body without a box for what is whole, and the headers that tell a caller where its time went.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use granary_core::id::Revision;
use granary_runtime::HttpBody;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Frame, SizeHint};

use super::face::InFlight;
use super::problem::{PROBLEM_JSON, Problem};
use super::request::{Echoed, REQUEST_ID, TRACEPARENT};
use crate::grains::{Answer, AnswerBody};

/// A response's body.
pub(super) enum ReplyBody {
    /// All of it, at once.
    Whole(Bytes),
    /// What the router made.
    Routed(axum::body::Body),
    /// A guest's own stream. The request counts as being served until its end.
    Guest(HttpBody, Option<InFlight>),
}

pub(super) type Reply = Response<ReplyBody>;

impl hyper::body::Body for ReplyBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Routed(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Guest(body, in_flight) => {
                let polled = Pin::new(body).poll_frame(cx).map_err(Into::into);
                if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    *in_flight = None;
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Routed(body) => body.is_end_stream(),
            Self::Guest(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Routed(body) => body.size_hint(),
            Self::Guest(body, _) => body.size_hint(),
        }
    }
}

static GRAIN_REVISION: HeaderName = HeaderName::from_static("grain-revision");
pub(super) static GRAIN_NODE: HeaderName = HeaderName::from_static("grain-node");
static GRAIN_ACTIVATION: HeaderName = HeaderName::from_static("grain-activation");
static GRAIN_CPU_US: HeaderName = HeaderName::from_static("grain-cpu-us");
static GRAIN_STATE_VERSION: HeaderName = HeaderName::from_static("grain-state-version");
static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a `GET` adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caching {
    /// How long anybody may keep it, in seconds; none: ask again each time.
    pub seconds: Option<u32>,
    /// Whether only the client itself may keep it.
    pub private: bool,
    /// Tells answers to other arguments or in another encoding apart; none for no arguments in JSON.
    pub variant: Option<u32>,
}

/// An ETag: what runs, on what, asked what.
pub(super) struct Tag {
    revision: Revision,
    state_version: u64,
    variant: Option<u32>,
}

impl Caching {
    /// The tag of an answer.
    pub(super) fn tag(self, revision: Revision, state_version: u64) -> Tag {
        Tag {
            revision,
            state_version,
            variant: self.variant,
        }
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}-{}", self.revision, self.state_version)?;
        match self.variant {
            Some(variant) => write!(f, "-{variant:x}\""),
            None => f.write_str("\""),
        }
    }
}

/// The answer of a call.
pub(super) fn answer(answer: Answer, node: &HeaderValue, caching: Option<Caching>) -> Reply {
    let (status, content_type, bytes) = match answer.body {
        AnswerBody::Json(bytes) => (StatusCode::OK, Some("application/json"), bytes),
        AnswerBody::Cbor(bytes) => (StatusCode::OK, Some("application/cbor"), bytes),
        AnswerBody::Raw(bytes) => (StatusCode::OK, Some("application/octet-stream"), bytes),
        // Values are only given to clients that the host has linked.
        AnswerBody::Unit | AnswerBody::Typed(_) => (StatusCode::NO_CONTENT, None, Vec::new()),
    };
    let mut headers = HeaderMap::with_capacity(12);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(&GRAIN_NODE, node.clone());
    headers.insert(
        &GRAIN_ACTIVATION,
        HeaderValue::from_static(if answer.cold { "cold" } else { "warm" }),
    );
    if answer.replayed {
        headers.insert(&IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    let timing = answer.timing;
    let mut values = Values::default();
    let revision = values.write(format_args!("{}", answer.grain_revision.0));
    let cpu = values.write(format_args!("{}", answer.cpu.as_micros()));
    let version = values.write(format_args!("{}", answer.state_version));
    let timing = values.write(format_args!(
        "queue;dur={}, activate;dur={}, run;dur={}, commit;dur={}",
        Millis(timing.queue),
        Millis(timing.activate),
        Millis(timing.run),
        Millis(timing.commit)
    ));
    let tag = |caching: Caching| caching.tag(answer.grain_revision, answer.state_version);
    let etag = caching.map(|caching| values.write(format_args!("{}", tag(caching))));
    let values = values.finish();
    values.put(&mut headers, &GRAIN_REVISION, revision);
    values.put(&mut headers, &GRAIN_CPU_US, cpu);
    values.put(&mut headers, &GRAIN_STATE_VERSION, version);
    values.put(&mut headers, &SERVER_TIMING, timing);
    if let (Some(caching), Some(etag)) = (caching, etag) {
        values.put(&mut headers, &ETAG, etag);
        put_caching(&mut headers, caching);
    }
    finish(status, headers, bytes.into())
}

/// 304 for a client whose copy is current.
pub(super) fn not_modified(etag: &str, node: &HeaderValue, caching: Caching) -> Reply {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(&GRAIN_NODE, node.clone());
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, etag);
    }
    put_caching(&mut headers, caching);
    finish(StatusCode::NOT_MODIFIED, headers, Bytes::new())
}

/// JSON that was made here.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    let bytes = serde_json::to_vec(value).expect("an answer's own types have string keys only");
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(status, headers, bytes.into())
}

/// A problem, as it leaves.
pub(super) fn problem(problem: &Problem, node: &HeaderValue, instance: &str) -> Reply {
    let mut headers = problem.headers().clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(&GRAIN_NODE, node.clone());
    let body = problem.to_json(node.to_str().unwrap_or_default(), instance);
    let status =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    finish(status, headers, body.into())
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode, headers: HeaderMap) -> Reply {
    finish(status, headers, Bytes::new())
}

/// Gives the client back the names of its request.
pub(super) fn echo(headers: &mut HeaderMap, echoed: Echoed) {
    if let Some(traceparent) = echoed.traceparent {
        headers.insert(&TRACEPARENT, traceparent);
    }
    if let Some(id) = echoed.request_id {
        headers.insert(&REQUEST_ID, id);
    }
}

fn finish(status: StatusCode, headers: HeaderMap, body: Bytes) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(body));
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// Drops the body of an answer to `HEAD`, keeping what it says of its length.
pub(super) fn without_body(reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    if let Some(length) = hyper::body::Body::size_hint(&body).exact()
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, ReplyBody::Whole(Bytes::new()))
}

fn put_caching(headers: &mut HeaderMap, caching: Caching) {
    headers.insert(VARY, HeaderValue::from_static("accept"));
    let scope = if caching.private { "private, " } else { "" };
    let value = match caching.seconds {
        None => HeaderValue::from_static("no-cache"),
        Some(seconds) => HeaderValue::try_from(format!("{scope}max-age={seconds}"))
            .unwrap_or(HeaderValue::from_static("no-cache")),
    };
    headers.insert(CACHE_CONTROL, value);
}

/// Several header values in one allocation.
#[derive(Default)]
struct Values(BytesMut);

struct Written(Bytes);

type Range = std::ops::Range<usize>;

impl Values {
    fn write(&mut self, text: std::fmt::Arguments<'_>) -> Range {
        if self.0.capacity() == 0 {
            self.0.reserve(160);
        }
        let start = self.0.len();
        self.0
            .write_fmt(text)
            .expect("a buffer that grows takes every text");
        start..self.0.len()
    }

    fn finish(self) -> Written {
        Written(self.0.freeze())
    }
}

impl Written {
    fn put(&self, headers: &mut HeaderMap, name: &HeaderName, range: Range) {
        if let Ok(value) = HeaderValue::from_maybe_shared(self.0.slice(range)) {
            headers.insert(name, value);
        }
    }
}

/// Milliseconds with microseconds behind the point, without floating point.
struct Millis(std::time::Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            f.write_str("0")
        } else {
            write!(f, "{}.{:03}", micros / 1000, micros % 1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use granary_core::id::Epoch;

    use super::*;
    use crate::grains::Timing;

    #[test]
    fn an_answer_tells_where_its_time_went() {
        let reply = answer(
            Answer {
                body: AnswerBody::Json(b"3".to_vec()),
                grain_revision: Revision(2),
                state_version: 7,
                cpu: Duration::from_micros(41),
                cold: true,
                epoch: Epoch(1),
                replayed: false,
                timing: Timing {
                    queue: Duration::ZERO,
                    activate: Duration::from_micros(1250),
                    run: Duration::from_micros(9),
                    commit: Duration::from_secs(1),
                },
            },
            &HeaderValue::from_static("n1"),
            Some(Caching {
                seconds: Some(60),
                private: true,
                variant: Some(0xab),
            }),
        );
        let header = |name: &str| {
            reply
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(header("grain-revision"), Some("2"));
        assert_eq!(header("grain-node"), Some("n1"));
        assert_eq!(header("grain-activation"), Some("cold"));
        assert_eq!(header("grain-cpu-us"), Some("41"));
        assert_eq!(header("grain-state-version"), Some("7"));
        assert_eq!(header("etag"), Some("\"2-7-ab\""));
        assert_eq!(header("cache-control"), Some("private, max-age=60"));
        assert_eq!(
            header("server-timing"),
            Some("queue;dur=0, activate;dur=1.250, run;dur=0.009, commit;dur=1000.000")
        );
        assert_eq!(reply.status(), 200);
    }

    #[test]
    fn a_unit_answer_is_204_without_a_type() {
        let answer_of = |body| Answer {
            body,
            grain_revision: Revision(1),
            state_version: 0,
            cpu: Duration::ZERO,
            cold: false,
            epoch: Epoch(1),
            replayed: true,
            timing: Timing::default(),
        };
        let reply = answer(
            answer_of(AnswerBody::Unit),
            &HeaderValue::from_static("n1"),
            None,
        );
        assert_eq!(
            (reply.status().as_u16(), reply.headers().get("content-type")),
            (204, None)
        );
        assert_eq!(reply.headers()["idempotency-replayed"], "true");
    }
}
