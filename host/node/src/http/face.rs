//! The way of every request: who asks, where it goes, and the one form in which errors leave.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use futures::FutureExt;
use granary_core::error::CallError;
use granary_core::id::KindName;
use granary_core::kind::KindRecord;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{Instrument, Level};

use super::auth::Gate;
use super::body::Patient;
use super::catalogue as types;
use super::control::compiles::Compiles;
use super::control::upload::Uploads;
use super::problem::{PROBLEM_JSON, Problem};
use super::reply::{self, Reply, ReplyBody};
use super::request::Echoed;
use super::settings::HttpSettings;
use super::{control, data};
use crate::node::Node;

/// What every handler sees.
pub(super) struct Shared {
    pub node: Arc<Node>,
    pub settings: HttpSettings,
    pub gate: Gate,
    pub node_header: HeaderValue,
    pub uploads: Uploads,
    pub compiles: Compiles,
    /// Ends the streams that would never end by themselves.
    pub stopping: CancellationToken,
    pub started: Instant,
    in_flight: Arc<AtomicUsize>,
    followers: Arc<AtomicUsize>,
}

/// A place among those that are served at the same time.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn enter(counter: &Arc<AtomicUsize>, most: usize) -> Option<InFlight> {
    let place = InFlight(Arc::clone(counter));
    (counter.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
}

impl Shared {
    pub(super) fn new(
        node: Arc<Node>,
        settings: HttpSettings,
        gate: Gate,
        uploads: Uploads,
    ) -> Self {
        let node_header = HeaderValue::try_from(super::path::encode(&node.name))
            .unwrap_or(HeaderValue::from_static("-"));
        Self {
            node,
            settings,
            gate,
            node_header,
            uploads,
            compiles: Compiles::default(),
            stopping: CancellationToken::new(),
            started: Instant::now(),
            in_flight: Arc::default(),
            followers: Arc::default(),
        }
    }

    /// A place for a data request. Errors: `overloaded`.
    pub(super) fn enter(&self) -> Result<InFlight, Box<Problem>> {
        let most = self.settings.in_flight_max;
        enter(&self.in_flight, most).ok_or_else(|| {
            self.node.metrics.http_shed.increment(1);
            overloaded(format!(
                "{most} requests are being served, which 'http.in-flight-max' allows"
            ))
        })
    }

    /// A place for a stream that stays open. Errors: `overloaded`.
    pub(super) fn follow(&self) -> Result<InFlight, Box<Problem>> {
        let most = self.settings.followers_max;
        enter(&self.followers, most).ok_or_else(|| {
            overloaded(format!(
                "{most} streams are open, which 'http.followers-max' allows"
            ))
        })
    }

    /// Requests being served.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A kind's record. Errors: `not-found`, with the nearest name.
    pub(super) fn kind(&self, name: &KindName) -> Result<Arc<KindRecord>, Box<Problem>> {
        self.node.kinds.get(name.as_str()).ok_or_else(|| {
            self.node.metrics.calls_astray.increment(1);
            let nearest = self.node.kinds.nearest(name.as_str());
            let hint = nearest
                .map(|nearest| format!("; did you mean '{nearest}'?"))
                .unwrap_or_default();
            let error = CallError::NotFound {
                detail: format!("there is no kind '{name}'{hint}"),
            };
            Box::<Problem>::from(error).about_kind(name.as_str())
        })
    }
}

fn overloaded(detail: String) -> Box<Problem> {
    CallError::Overloaded { detail }.into()
}

/// The faces of one node.
pub(super) struct Face {
    pub(super) shared: Arc<Shared>,
    router: Router,
}

impl Face {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let router = control::router(Arc::clone(&shared));
        Self { shared, router }
    }

    /// Serves one request.
    pub(super) async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Reply, Infallible> {
        // Asked first: a span costs more than a warm call's way through this file.
        if !tracing::enabled!(Level::DEBUG) {
            return Ok(self.answered(request).await);
        }
        let span = tracing::debug_span!("http", method = %request.method(), path = request.uri().path(), status = tracing::field::Empty);
        let answered = self.answered(request).instrument(span.clone());
        let reply = Box::pin(answered).await;
        span.record("status", reply.status().as_u16());
        Ok(reply)
    }

    async fn answered(&self, request: Request<Incoming>) -> Reply {
        let uri = request.uri().clone();
        let head = *request.method() == Method::HEAD;
        let echoed = Echoed::from_headers(request.headers());
        let origin = self.shared.gate.allowed_origin(request.headers()).cloned();
        let outcome = AssertUnwindSafe(self.dispatch(request))
            .catch_unwind()
            .await;
        let mut reply = match outcome {
            Ok(Ok(reply)) => reply,
            Ok(Err(problem)) => reply::problem(&problem, &self.shared.node_header, uri.path()),
            Err(_panic) => {
                // The panic hook has already logged where.
                let detail = "serving this request hit a mistake; other requests go on";
                reply::problem(
                    &Problem::new(&types::INTERNAL, detail),
                    &self.shared.node_header,
                    uri.path(),
                )
            }
        };
        reply::echo(reply.headers_mut(), echoed);
        if let Some(origin) = origin {
            allow_origin(reply.headers_mut(), origin);
        }
        let class = usize::from(reply.status().as_u16() / 100).clamp(1, 5) - 1;
        self.shared.node.metrics.http_answers[class].increment(1);
        if head {
            reply::without_body(reply)
        } else {
            reply
        }
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Reply, Box<Problem>> {
        let shared = &self.shared;
        let path = request.uri().path();
        if path == "/healthz" {
            return Ok(reply::json(
                StatusCode::OK,
                &serde_json::json!({ "status": "ok" }),
            ));
        }
        if *request.method() == Method::OPTIONS
            && shared.gate.allowed_origin(request.headers()).is_some()
        {
            return Ok(preflight());
        }
        let principal = shared
            .gate
            .check(request.method(), request.uri(), request.headers())?;
        if path.starts_with("/g/") {
            return data::serve(shared, request, principal).await;
        }
        if !matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        ) {
            // Who changed what, for whoever wants to know later.
            let principal = principal.as_deref().unwrap_or("-");
            tracing::info!(principal, method = %request.method(), path, "control");
        }
        let patience = shared.settings.body_timeout;
        let request =
            request.map(|body| axum::body::Body::new(Patient::new(body, u64::MAX, patience)));
        let response = match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        routed(response)
    }
}

/// Turns what the router answered into a reply. Errors of its own making become problems.
fn routed(response: axum::response::Response) -> Result<Reply, Box<Problem>> {
    let (mut parts, body) = response.into_parts();
    if let Some(problem) = parts.extensions.remove::<Arc<Problem>>() {
        let mut problem = Arc::into_inner(problem)
            .map(Box::new)
            .expect("a response has one problem, and nobody else keeps it");
        problem.take_headers(&parts.headers);
        return Err(problem);
    }
    let status = parts.status;
    let typed = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == PROBLEM_JSON.as_bytes());
    if (status.is_client_error() || status.is_server_error()) && !typed {
        let ty = if status.is_client_error() {
            &types::BAD_REQUEST
        } else {
            &types::INTERNAL
        };
        let detail = status.canonical_reason().unwrap_or("the request failed");
        return Err(Problem::new(ty, detail).with_status(status.as_u16()));
    }
    Ok(Reply::from_parts(parts, ReplyBody::Routed(body)))
}

fn allow_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_name(ORIGIN));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
}

fn preflight() -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, DELETE, HEAD, PATCH"),
    );
    let allowed = "authorization, content-type, accept, idempotency-key, prefer, grain-timeout, baggage, traceparent, if-match, if-none-match, x-request-id";
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(allowed),
    );
    reply::empty(StatusCode::NO_CONTENT, headers)
}
