//! A turn that serves an HTTP request, with both bodies streaming.
//!
//! The output gate holds here, too: what a caller sees is durable. So a response leaves at once, and streams without a limit, if the turn has
//! written nothing when the guest sets it; from then on the turn may not write any more (state and sends refuse with words that say so). If the turn
//! *has* written, its response is held back, whole, until the commit, and may then be as large as `limits.result`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use granary_core::error::{CallError, LimitName};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Func, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error, WasiHttpView};

use crate::HttpBody;
use crate::guest::Guest;
use crate::guest::turn::Gate;
use crate::instance::live::Broken;
use crate::instance::{Answered, HeldResponse};

/// One request and where its response goes.
pub(crate) struct Exchange {
    pub(crate) request: Request<HttpBody>,
    pub(crate) respond: oneshot::Sender<Response<HttpBody>>,
    pub(crate) gate: Arc<Gate>,
}

type Set = Result<Response<HyperOutgoingBody>, ErrorCode>;
type Handler = (
    Resource<HostIncomingRequest>,
    Resource<HostResponseOutparam>,
);

/// Runs the handler and passes its response on.
pub(crate) async fn serve(
    store: &mut Store<Guest>,
    handler: Func,
    exchange: Exchange,
) -> Result<Answered, Broken> {
    let limits = store.data().linked.spec().limits;
    let (set, response) = oneshot::channel();
    let (request, outparam) =
        resources(store, exchange.request, limits.http_body, set).map_err(Broken::Dead)?;
    let handler = handler
        .typed::<Handler, ()>(&*store)
        .map_err(Broken::Dead)?;
    let passing = pass_on(response, exchange.respond, exchange.gate, limits.result);
    tokio::pin!(passing);
    let running = handler.call_async(store, (request, outparam));
    tokio::pin!(running);
    let mut passed = None;
    let ran = loop {
        tokio::select! {
            biased;
            ran = &mut running => break ran,
            done = &mut passing, if passed.is_none() => passed = Some(done),
        }
    };
    ran.map_err(Broken::Dead)?;
    let passed = match passed {
        Some(passed) => passed,
        None => tokio::time::timeout(limits.tail_time, passing)
            .await
            .unwrap_or(Passed::Unfinished),
    };
    passed.answer(limits.result)
}

fn resources(
    store: &mut Store<Guest>,
    request: Request<HttpBody>,
    body_bytes_max: u64,
    set: oneshot::Sender<Set>,
) -> wasmtime::Result<Handler> {
    let tls = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    let mut request = request.map(|body| limit(body, body_bytes_max));
    if request.uri().authority().is_none() && !request.headers().contains_key(header::HOST) {
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("granary"));
    }
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let outparam = http.new_response_outparam(set)?;
    Ok((request, outparam))
}

fn limit(
    body: HttpBody,
    bytes_max: u64,
) -> http_body_util::combinators::UnsyncBoxBody<Bytes, Error> {
    let limited = Limited::new(body, usize::try_from(bytes_max).unwrap_or(usize::MAX));
    limited
        .map_err(move |error| {
            if error.is::<LengthLimitError>() {
                Error::HttpRequestBodySize(Some(bytes_max))
            } else {
                Error::InternalError(Some(error.to_string()))
            }
        })
        .boxed_unsync()
}

/// What became of a response.
enum Passed {
    /// The guest set none.
    Nothing,
    /// The guest set an error instead.
    Code(String),
    /// It is on its way.
    Left,
    /// It waits for the commit.
    Held(HeldResponse),
    /// It is larger than what may be held.
    TooLarge,
    /// Its body broke off, or never ended.
    Unfinished,
}

async fn pass_on(
    set: oneshot::Receiver<Set>,
    respond: oneshot::Sender<Response<HttpBody>>,
    gate: Arc<Gate>,
    held_max: u64,
) -> Passed {
    let response = match set.await {
        Ok(Ok(response)) => response,
        Ok(Err(code)) => return Passed::Code(format!("{code:?}")),
        Err(_) => return Passed::Nothing,
    };
    if !gate.wrote() {
        // Guest and this code are polled by one task: nothing is written between the look and the closing.
        gate.leave();
        // A caller that has gone away is no business of the guest's; its body then closes.
        drop(respond.send(response.map(|body| {
            body.map_err(|code| io::Error::other(format!("{code:?}")))
                .boxed_unsync()
        })));
        return Passed::Left;
    }
    let (head, body) = response.into_parts();
    match Limited::new(body, usize::try_from(held_max).unwrap_or(usize::MAX))
        .collect()
        .await
    {
        Ok(whole) => {
            let trailers = whole.trailers().cloned();
            let body = Full::new(whole.to_bytes()).map_err(|never| match never {});
            let body = match trailers {
                Some(trailers) => body
                    .with_trailers(std::future::ready(Some(Ok(trailers))))
                    .boxed_unsync(),
                None => body.boxed_unsync(),
            };
            Passed::Held(HeldResponse::new(Response::from_parts(head, body), respond))
        }
        Err(error) if error.is::<LengthLimitError>() => Passed::TooLarge,
        Err(_) => Passed::Unfinished,
    }
}

impl Passed {
    fn answer(self, held_max: u64) -> Result<Answered, Broken> {
        let trap = |detail: &str| {
            Err(Broken::Refused(CallError::GuestTrap {
                detail: detail.to_owned(),
                backtrace: Vec::new(),
            }))
        };
        match self {
            Self::Left => Ok(Answered::Http(None)),
            Self::Held(held) => Ok(Answered::Http(Some(held))),
            Self::Nothing => trap("the HTTP handler returned without setting a response"),
            Self::Code(code) => trap(&format!("the HTTP handler answered with the error {code}")),
            Self::Unfinished => {
                trap("the HTTP handler returned without finishing the body of its response")
            }
            Self::TooLarge => {
                let detail = format!(
                    "the response of a turn that writes is held until the commit and may have {held_max} bytes; raise limits.result"
                );
                Err(Broken::Refused(CallError::LimitExceeded {
                    limit: LimitName::Result,
                    detail,
                }))
            }
        }
    }
}
