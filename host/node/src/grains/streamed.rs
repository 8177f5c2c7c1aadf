//! Calls of methods with streams: the reply may begin before the turn has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use granary_core::error::{CallError, Failure};
use granary_core::id::{CallId, GrainId};
use granary_runtime::{Flow, HttpBody, JsonOptions, StreamFormat, Streaming};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::oneshot;

use super::call::{Answer, Call, Encoding, failure};
use super::message::{Cancel, Job, Message};
use super::table::Handle;
use super::{Grains, activation, check, entry, in_frame, lost, pending, push, stopping};
use crate::node::shared::Shared;
use crate::observe::events::What;

/// What comes of a call with streams.
pub enum Streamed {
    /// A reply, whose body goes on. None: its turn has ended already, and well.
    Reply(http::Response<HttpBody>, Option<Ending>),
    /// An answer without a stream.
    Answer(Box<Answer>),
}

/// The streams of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Whether the body of the request is its last argument.
    pub takes: bool,
    /// What its result is, if it is a stream.
    pub gives: Option<Flow>,
}

/// How the turn of a stream ends; what it wrote is then durable. Dropped before that, nobody is left who takes the stream: the guest is
/// told, and has `limits.tail-time` to end it.
pub struct Ending {
    answer: oneshot::Receiver<Result<Answer, Failure>>,
    client: Arc<Client>,
    handle: Arc<Handle>,
    call: CallId,
    began: Instant,
    over: bool,
}

/// Where a stream goes to, or comes from.
struct Client {
    shared: Arc<Shared>,
    grain: GrainId,
    method: String,
    gone: AtomicBool,
}

impl Client {
    /// Notes down that it went away, once.
    fn is_gone(&self, detail: String) {
        if !self.gone.swap(true, Ordering::Relaxed) {
            self.shared.events.push(What::Abandoned {
                grain: self.grain.clone(),
                method: self.method.clone(),
                detail,
            });
        }
    }
}

impl Grains {
    /// The streams of a method of a kind's current revision; none if it has none, or is not there.
    pub async fn ways(&self, grain: &GrainId, method: &str) -> Option<Ways> {
        let kinds = &self.shared.kinds;
        let entry = kinds.entry(&grain.kind)?;
        let of = |interface: &granary_runtime::Interface| {
            let method = interface.method(method)?;
            method.streams().then(|| Ways {
                takes: method.stream_param.is_some(),
                gives: method.flow.filter(|flow| flow.is_stream()),
            })
        };
        match entry.ready(entry.record.current) {
            Some(linked) => of(&linked.component().interface),
            None => of(&kinds.interface(&grain.kind, None).await.ok()?.interface),
        }
    }

    /// Calls a method with streams. The reply of a turn that has written nothing begins with its stream; that of one that has
    /// comes after its commit.
    pub async fn stream(
        &self,
        mut call: Call,
        body: Option<HttpBody>,
        format: StreamFormat,
    ) -> Result<Streamed, Failure> {
        let shared = &self.shared;
        if shared.is_stopping() {
            return Err(failure(stopping(), &call, None));
        }
        let began = Instant::now();
        let entry = entry(shared, &call)?;
        let handle = shared.table.get(&call.grain);
        call.streams = true;
        let checked = match check(shared, &mut call, handle.as_deref(), &entry).await {
            Ok(checked) => checked,
            Err(error) => return Err(failure(error, &call, Some(entry.record.current))),
        };
        let limits = checked.linked.spec().limits;
        let patience = call.timeout.or(checked.spec.timeout);
        // A turn's own time bounds its stream, too: its caller shall be told.
        let patience = patience
            .unwrap_or(limits.call_timeout)
            .min(limits.wall_time);
        let deadline = began + patience;
        let handle = handle.unwrap_or_else(|| activation(shared, &call.grain, &entry));
        let client = Arc::new(Client {
            shared: Arc::clone(shared),
            grain: call.grain.clone(),
            method: call.method.clone(),
            gone: AtomicBool::new(false),
        });
        let (respond, response) = oneshot::channel();
        let streaming = Streaming {
            body: body.map(|body| watched(body, limits.http_body, &client)),
            format,
            json: JsonOptions {
                int64_as_string: call.accept == Encoding::JsonInt64Strings,
            },
            respond,
        };
        let id = call.id;
        let job = Job::Method(Ok(checked));
        let (mut pending, answer) = pending(call, job, (began, deadline), entry);
        pending.streaming = Some(Box::new(streaming));
        push(shared, Arc::clone(&handle), pending);
        let ending = Ending {
            answer,
            client,
            handle,
            call: id,
            began,
            over: false,
        };
        begun(response, ending).await
    }
}

/// Waits for the head of the reply, or for the end of a turn that has none.
async fn begun(
    response: oneshot::Receiver<http::Response<HttpBody>>,
    mut ending: Ending,
) -> Result<Streamed, Failure> {
    tokio::pin!(response);
    tokio::select! {
        biased;
        found = &mut response => match found {
            Ok(reply) => Ok(Streamed::Reply(reply, Some(ending))),
            // Nothing comes any more: the turn's own end says why.
            Err(_) => ending.await.map(|answer| Streamed::Answer(Box::new(answer))),
        },
        ended = &mut ending => {
            let answer = ended?;
            match response.await {
                Ok(reply) => Ok(Streamed::Reply(reply, None)),
                Err(_) => Ok(Streamed::Answer(Box::new(answer))),
            }
        }
    }
}

/// A body no longer than it may be, whose client is watched.
fn watched(body: HttpBody, bytes: u64, client: &Arc<Client>) -> HttpBody {
    let client = Arc::clone(client);
    Limited::new(body, usize::try_from(bytes).unwrap_or(usize::MAX))
        .map_err(move |error| {
            if !error.is::<LengthLimitError>() {
                client.is_gone(format!("the body did not come whole: {error}"));
            }
            std::io::Error::other(error)
        })
        .boxed_unsync()
}

impl Ending {
    fn count(&mut self, error: Option<&CallError>) {
        self.over = true;
        self.handle.metrics.called(error, self.began.elapsed());
    }
}

impl Future for Ending {
    type Output = Result<Answer, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.answer).poll(cx));
        let grain = &self.handle.grain;
        let mut ended = ended.unwrap_or_else(|_| Err(in_frame(lost(grain), grain)));
        if let Err(failure) = &mut ended
            && let CallError::Timeout {
                started: true,
                detail,
            } = &mut failure.error
        {
            *detail = format!(
                "the streams of {grain} had not ended after {} and were broken off; grain-timeout or the method's timeout in the manifest gives them longer, up to limits.wall-time",
                human(self.began.elapsed())
            );
        }
        let error = ended.as_ref().err().map(|failure| failure.error.clone());
        self.count(error.as_ref());
        Poll::Ready(ended)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // If the inbox is full, the deadline tells the guest.
        drop(self.handle.inbox.try_send(Message::Cancel(Box::new(Cancel {
            call: self.call,
            stop: false,
            found: None,
        }))));
        let detail =
            "the client went away before the stream had ended; the guest was told".to_owned();
        self.client.is_gone(detail.clone());
        self.count(Some(&CallError::Cancelled { detail }));
    }
}

fn human(period: Duration) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_millis(
        u64::try_from(period.as_millis()).unwrap_or(u64::MAX),
    ))
}
