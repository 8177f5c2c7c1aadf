//! What flows between a turn and its caller: the items of a result, the bytes of a body.
//!
//! The output gate holds as it does for raw HTTP: what a caller sees is durable. The items of a turn that has written nothing when it
//! returns its stream leave one by one, and from then on the turn may not write. Those of a turn that *has* written wait for its commit,
//! all together within `limits.result`.
//!
//! A turn with a stream goes on until its task has exited and the stream has ended: the guest has dropped it, or nobody takes it any more.
//! Its caller learns from the turn's own end how that came about; here a stream only stops.

mod any;
mod items;
mod port;
mod upload;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use granary_core::error::CallError;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{StreamAny, Val};

use super::{Answered, HeldResponse};
use crate::guest::Guest;
use crate::guest::turn::Gate;
use crate::interface::Flow;
use crate::{HttpBody, JsonOptions, Method, TurnContext};
use items::{pipe_future, pipe_stream};
use port::{Port, Sink};

/// Pieces that may wait for a slow client: up to so many writes of the guest's are ahead of it.
const AHEAD_MAX: usize = 16;

/// How the items of a stream are written down. The bytes of a `stream<u8>` are themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamFormat {
    /// A line of JSON an item.
    #[default]
    Lines,
    /// An event an item, for a browser's `EventSource`.
    Events,
}

/// The ways of a call's streams.
#[derive(Debug)]
pub struct Streaming {
    /// The bytes for a last parameter of type `stream<u8>`; none are empty.
    pub body: Option<HttpBody>,
    /// How the items of the result are written.
    pub format: StreamFormat,
    /// How each of them is written as JSON.
    pub json: JsonOptions,
    /// Where the reply goes if the turn has written nothing when it returns its stream. Else it comes with [`Answered::Http`]. Dropped where
    /// there is none.
    pub respond: oneshot::Sender<Response<HttpBody>>,
}

/// What a turn and the ends of its streams, which live in the store, know of each other.
#[derive(Default)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    /// The result's stream goes on.
    flows: bool,
    /// When it ended, or it was first seen that nobody takes it any more.
    ended: Option<Instant>,
    /// The turn is over, so that nothing may flow any more.
    over: bool,
    /// Why the turn must not count although the guest ended well.
    fault: Option<CallError>,
    out: Option<Out>,
}

/// A result that flows.
enum Out {
    /// The reply has left.
    Left(Leaving),
    /// It waits for the commit.
    Held {
        items: Arc<Mutex<Vec<u8>>>,
        head: Response<()>,
        respond: oneshot::Sender<Response<HttpBody>>,
    },
}

/// The way to the client; closed when the turn is over, even if the guest has kept its end.
struct Leaving(mpsc::Sender<Bytes>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.close_channel();
    }
}

impl Progress {
    fn begin(&self, out: Out) {
        let mut state = self.0.lock();
        state.flows = true;
        state.out = Some(out);
    }

    fn end(&self) {
        let mut state = self.0.lock();
        state.flows = false;
        state.ended = Some(Instant::now());
    }

    /// The first reason counts.
    fn fail(&self, error: CallError) {
        self.0.lock().fault.get_or_insert(error);
    }

    fn is_over(&self) -> bool {
        self.0.lock().over
    }

    /// Whether the result's stream goes on: its turn then does, too.
    pub(crate) fn flows(&self) -> bool {
        self.0.lock().flows
    }

    /// Until when the turn may go on after its answer, which is not whole before its stream has ended. Looked at again then: a stream
    /// that somebody waits for moves it on.
    pub(crate) fn tail_until(&self, turn: &TurnContext, since: Instant, tail: Duration) -> Instant {
        let mut state = self.0.lock();
        let from = match (state.flows, turn.is_given_up()) {
            (true, false) => Instant::now(),
            (true, true) => *state.ended.get_or_insert_with(Instant::now),
            (false, _) => state.ended.unwrap_or(since),
        };
        from + tail
    }

    /// Ends a turn that has come to rest: its answer, or what has become of it.
    pub(crate) fn close(&self, answered: Answered) -> Result<Answered, CallError> {
        let mut state = self.0.lock();
        state.over = true;
        match (state.fault.take(), state.out.take()) {
            (Some(fault), _) => Err(fault),
            (None, Some(out)) => Ok(out.into_answer()),
            (None, None) => Ok(answered),
        }
    }
}

impl Out {
    fn into_answer(self) -> Answered {
        match self {
            Self::Left(leaving) => {
                drop(leaving);
                Answered::Http(None)
            }
            Self::Held {
                items,
                head,
                respond,
            } => {
                let bytes = Bytes::from(std::mem::take(&mut *items.lock()));
                let body = Full::new(bytes).map_err(|never| match never {});
                let response = head.map(|()| body.boxed_unsync());
                Answered::Http(Some(HeldResponse::new(response, respond)))
            }
        }
    }
}

/// What a turn shares with its streams.
pub(crate) struct Channels {
    pub(crate) context: Arc<TurnContext>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) progress: Arc<Progress>,
}

/// What is needed to let a method's result flow.
pub(crate) struct Outlet {
    channels: Channels,
    method: Arc<Method>,
    ways: Option<Ways>,
}

type Ways = (
    StreamFormat,
    JsonOptions,
    oneshot::Sender<Response<HttpBody>>,
);

impl Outlet {
    /// Splits the ways of a call: the body becomes the last argument.
    pub(crate) fn new(
        store: StoreContextMut<'_, Guest>,
        channels: Channels,
        method: Arc<Method>,
        streaming: Option<Box<Streaming>>,
        arguments: &mut Vec<Val>,
    ) -> wasmtime::Result<Self> {
        let (body, ways) = match streaming.map(|streaming| *streaming) {
            Some(Streaming {
                body,
                format,
                json,
                respond,
            }) => (body, Some((format, json, respond))),
            None => (None, None),
        };
        if method.stream_param.is_some() {
            arguments.push(upload::stream(store, body, channels.progress.clone())?);
        }
        Ok(Self {
            channels,
            method,
            ways,
        })
    }

    /// Lets flow what the method has returned, if it is a stream. If it is a future, its value will come.
    pub(crate) fn open(
        self,
        store: StoreContextMut<'_, Guest>,
        results: &[Val],
    ) -> wasmtime::Result<Option<oneshot::Receiver<Val>>> {
        let result = match results.first() {
            Some(Val::Result(Ok(Some(inner)))) => Some(&**inner),
            result => result,
        };
        match (self.method.flow, result) {
            (Some(flow), Some(Val::Stream(stream))) => {
                self.stream(store, stream.clone(), flow)?;
                Ok(None)
            }
            (Some(_), Some(Val::Future(future))) => {
                let (sender, receiver) = oneshot::channel();
                pipe_future(store, future.clone(), sender)?;
                Ok(Some(receiver))
            }
            (Some(_) | None, _) => Ok(None),
        }
    }

    fn stream(
        self,
        store: StoreContextMut<'_, Guest>,
        stream: StreamAny,
        flow: Flow,
    ) -> wasmtime::Result<()> {
        let Channels {
            context,
            gate,
            progress,
        } = self.channels;
        let (format, json, respond) = self
            .ways
            .ok_or_else(|| wasmtime::format_err!("nobody can take the stream"))?;
        let head = head(flow, format);
        let (sink, out) = if gate.wrote() {
            let items = Arc::new(Mutex::new(Vec::new()));
            let sink = Sink::Held(items.clone());
            let out = Out::Held {
                items,
                head,
                respond,
            };
            (sink, out)
        } else {
            // Guest and this code are polled by one task: nothing is written between the look and the closing.
            gate.leave();
            let (sender, receiver) = mpsc::channel(AHEAD_MAX);
            let pieces = receiver.map(|piece| Ok::<_, io::Error>(Frame::data(piece)));
            // A client that has gone away is no business of the guest's; its stream is then dropped.
            drop(respond.send(head.map(|()| StreamBody::new(pieces).boxed_unsync())));
            (Sink::Leaving(sender.clone()), Out::Left(Leaving(sender)))
        };
        progress.begin(out);
        let limits = store.data().linked.spec().limits;
        let port = Port::new(
            (self.method, format, json),
            (context.deadline, limits),
            progress,
            sink,
        );
        pipe_stream(store, stream, flow, port)
    }
}

fn head(flow: Flow, format: StreamFormat) -> Response<()> {
    let media_type = match format {
        _ if flow.is_bytes() => "application/octet-stream",
        StreamFormat::Lines => "application/x-ndjson",
        StreamFormat::Events => "text/event-stream",
    };
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head
}

/// Puts the value of a future where the future was.
pub(crate) fn resolve(results: &mut [Val], value: Val) {
    match results.first_mut() {
        Some(Val::Result(Ok(Some(inner)))) => **inner = value,
        Some(result) => *result = value,
        None => {}
    }
}

/// A guest has dropped its future without a value.
pub(crate) fn no_value() -> wasmtime::Error {
    wasmtime::format_err!("the guest dropped its future without a value")
}
