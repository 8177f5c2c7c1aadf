//! `/g/{kind}/{key}/{method}`: a request becomes a call, its answer a response. The hottest path of the node.

use std::sync::Arc;
use std::time::Duration;

use granary_core::error::{CallError, Failure};
use granary_core::id::GrainId;
use granary_core::kind::{KindRecord, KindSpec, MethodSpec, Mode};
use granary_runtime::Payload;
use http::header::{ALLOW, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::body::{self, Bounds};
use super::catalogue as types;
use super::face::{InFlight, Shared};
use super::path::{self, PathError, Target};
use super::problem::Problem;
use super::reply::{self, Caching, Reply};
use super::request::{self, Content, Wishes};
use super::{batch, describe, raw, stream};
use crate::grains::{Call, CallArguments, Encoding};

/// Serves a request whose path begins with `/g/`. What is rarer than a method's call waits in a box of its own: every request's future has
/// the room of all that it may wait for, and is moved a few times.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    principal: Option<Arc<str>>,
) -> Result<Reply, Box<Problem>> {
    let in_flight = shared.enter()?;
    let uri = request.uri().clone();
    let rest = uri.path().strip_prefix("/g/").unwrap_or_default();
    let target = path::parse(rest).map_err(|error| {
        let ty = if error == PathError::Form {
            &types::UNKNOWN_ROUTE
        } else {
            &types::BAD_PATH
        };
        Problem::new(ty, error.to_string())
    })?;
    match target {
        Target::Method { grain, method }
            if method == "http" && Box::pin(serves_http(shared, &grain)).await =>
        {
            // The guest's root, written without its slash.
            Box::pin(raw::serve(
                shared, grain, "/", request, principal, in_flight,
            ))
            .await
        }
        Target::Method { grain, method } => {
            let asked = Asked {
                grain,
                method: method.into_owned(),
                path: uri.path(),
                query: uri.query(),
                reads: request.method() != Method::POST,
                principal,
            };
            match *request.method() {
                Method::POST => asked.post(shared, request, in_flight).await,
                Method::GET | Method::HEAD => {
                    Box::pin(asked.get(shared, &request, in_flight)).await
                }
                Method::OPTIONS => Ok(options(asked.allowed(shared))),
                _ => Err(not_allowed(request.method(), asked.allowed(shared))
                    .about(&asked.grain, Some(&asked.method))),
            }
        }
        Target::Grain { grain } => match *request.method() {
            Method::GET | Method::HEAD => Box::pin(describe::show(shared, &grain)).await,
            Method::DELETE => Box::pin(describe::drop_grain(shared, &grain, uri.query())).await,
            Method::OPTIONS => Ok(options("GET, HEAD, DELETE")),
            _ => Err(not_allowed(request.method(), "GET, HEAD, DELETE").about(&grain, None)),
        },
        Target::Batch { kind } => match *request.method() {
            Method::POST => Box::pin(batch::serve(shared, kind, request, principal)).await,
            Method::OPTIONS => Ok(options("POST")),
            _ => Err(not_allowed(request.method(), "POST").about_kind(kind.as_str())),
        },
        Target::Raw { grain, rest } => {
            Box::pin(raw::serve(
                shared, grain, rest, request, principal, in_flight,
            ))
            .await
        }
    }
}

/// Whether a kind is served raw and has no method of the name `http`.
async fn serves_http(shared: &Shared, grain: &GrainId) -> bool {
    let component = shared.node.kinds.interface(&grain.kind, None).await;
    component.is_ok_and(|component| {
        component.interface.http.is_some() && component.interface.method("http").is_none()
    })
}

/// What a request under `/g/{kind}/{key}/{method}` is about.
pub(super) struct Asked<'a> {
    pub(super) grain: GrainId,
    pub(super) method: String,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// Only a `read` method will do.
    pub(super) reads: bool,
    principal: Option<Arc<str>>,
}

impl Asked<'_> {
    async fn post(
        self,
        shared: &Arc<Shared>,
        request: Request<Incoming>,
        in_flight: InFlight,
    ) -> Result<Reply, Box<Problem>> {
        let node = &shared.node;
        if let Some(ways) = node.grains.ways(&self.grain, &self.method).await {
            return Box::pin(stream::post(shared, self, request, (ways, in_flight))).await;
        }
        let (parts, incoming) = request.into_parts();
        let mut wishes = Wishes::from_headers(&parts.headers)?;
        wishes.no_stream()?;
        if let Some(query) = self.query {
            wishes.add_query(query)?;
        }
        let kind = shared.kind(&self.grain.kind)?;
        let payload = self
            .payload(shared, &kind, incoming, wishes.content)
            .await?;
        let respond_async = wishes.respond_async.then_some(wishes.delay);
        if wishes.respond_async && wishes.accept != Encoding::JsonInt64Strings {
            // A kept result is shown within a JSON document.
            wishes.accept = Encoding::Json;
        }
        let call = self.call(CallArguments::Payload(payload), wishes);
        match respond_async {
            None => sent(shared, &kind, call, None).await,
            Some(delay) => Box::pin(submitted(shared, call, delay)).await,
        }
    }

    /// The arguments in a body.
    pub(super) async fn payload(
        &self,
        shared: &Shared,
        kind: &KindRecord,
        incoming: Incoming,
        content: Content,
    ) -> Result<Payload, Box<Problem>> {
        let bounds = Bounds {
            bytes: arguments_max(kind),
            limit: "arguments",
            patience: shared.settings.body_timeout,
        };
        let bytes = body::whole(incoming, bounds)
            .await
            .map_err(|problem| problem.about(&self.grain, Some(&self.method)))?;
        let bytes = Vec::from(bytes);
        Ok(match content {
            Content::Json => Payload::Json(bytes),
            Content::Cbor => Payload::Cbor(bytes),
            Content::Raw => Payload::Raw(bytes),
        })
    }

    async fn get(
        self,
        shared: &Arc<Shared>,
        request: &Request<Incoming>,
        in_flight: InFlight,
    ) -> Result<Reply, Box<Problem>> {
        let mut wishes = Wishes::from_headers(request.headers())?;
        let kind = shared.kind(&self.grain.kind)?;
        let Some(spec) = read_method(&kind, &self.method) else {
            return Err(not_allowed(&Method::GET, "POST").about(&self.grain, Some(&self.method)));
        };
        let node = &shared.node;
        if let Some(ways) = node.grains.ways(&self.grain, &self.method).await {
            let refused = match *request.method() {
                _ if ways.takes => Some(("POST", "the body that it takes as a stream")),
                Method::HEAD => Some(("GET, POST", "its turn, which is the stream")),
                _ => None,
            };
            if let Some((allowed, what)) = refused {
                let verb = request.method();
                let detail = format!(
                    "{verb} is not allowed here, {allowed} is: '{}' cannot do without {what}",
                    self.method
                );
                return Err(Problem::new(&types::METHOD_NOT_ALLOWED, detail)
                    .with_header(ALLOW, allowed)
                    .about(&self.grain, Some(&self.method)));
            }
            return stream::get(shared, self, wishes, (ways, in_flight)).await;
        }
        wishes.no_stream()?;
        let caching = Caching {
            seconds: spec.cache_seconds,
            private: shared.gate.needs_token(),
            variant: variant(self.query.unwrap_or_default(), wishes.accept),
        };
        if let Some(known) = wishes.if_none_match.take()
            && let Some(etag) = self.unchanged(shared, &kind, &known, caching).await?
        {
            return Ok(reply::not_modified(&etag, &shared.node_header, caching));
        }
        let query = self.own_query(shared, &mut wishes).await?;
        let call = self.call(CallArguments::Query(query), wishes);
        sent(shared, &kind, call, Some(caching)).await
    }

    /// The ETag, if it is among those that the client knows. Asks the store only: nothing is activated.
    async fn unchanged(
        &self,
        shared: &Shared,
        kind: &KindRecord,
        known: &HeaderValue,
        caching: Caching,
    ) -> Result<Option<String>, Box<Problem>> {
        let head = shared.node.grains.head(&self.grain).await?;
        let etag = caching
            .tag(kind.revision_for(head.revision), head.version)
            .to_string();
        let known = known
            .to_str()
            .unwrap_or_default()
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"));
        Ok(known
            .into_iter()
            .any(|tag| tag == etag || tag == "*")
            .then_some(etag))
    }

    /// The query without the wishes in it. A parameter of the method's own goes before a wish of the same name.
    pub(super) async fn own_query(
        &self,
        shared: &Shared,
        wishes: &mut Wishes,
    ) -> Result<String, Box<Problem>> {
        let query = self.query.unwrap_or_default();
        let is_wish = |pair: &&str| pair.starts_with("timeout=") || pair.starts_with("int64=");
        if !query.split('&').any(|pair| is_wish(&pair)) {
            return Ok(query.to_owned());
        }
        let component = shared
            .node
            .kinds
            .interface(&self.grain.kind, None)
            .await
            .map_err(super::control::deploy_problem)?;
        let method = component.interface.method(&self.method);
        let is_own = |name: &str| {
            method.is_some_and(|method| method.params.iter().any(|param| param.name == name))
        };
        let mut own = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("timeout", value)) if !is_own("timeout") => {
                    wishes.timeout = Some(request::duration("?timeout=", value)?)
                }
                Some(("int64", "string")) if !is_own("int64") => wishes.int64_as_string(),
                Some(_) | None => own.push(pair),
            }
        }
        Ok(own.join("&"))
    }

    pub(super) fn call(self, arguments: CallArguments, wishes: Wishes) -> Call {
        Call {
            id: Call::fresh_id(),
            grain: self.grain,
            method: self.method,
            arguments,
            accept: wishes.accept,
            timeout: wishes.timeout,
            idempotency_key: wishes.idempotency_key,
            principal: self.principal.as_deref().map(str::to_owned),
            baggage: wishes.baggage,
            chain: Vec::new(),
            read_only: self.reads,
            streams: false,
            settles: None,
        }
    }

    fn allowed(&self, shared: &Shared) -> &'static str {
        let kind = shared.node.kinds.get(self.grain.kind.as_str());
        if kind.is_some_and(|kind| read_method(&kind, &self.method).is_some()) {
            "GET, HEAD, POST"
        } else {
            "POST"
        }
    }
}

/// Tells the arguments and the encoding of one `GET` from another's (FNV-1a: the same on every run of the node).
fn variant(query: &str, encoding: Encoding) -> Option<u32> {
    let encoding = match encoding {
        Encoding::Json => b'j',
        Encoding::JsonInt64Strings => b'i',
        Encoding::Cbor => b'c',
        Encoding::Raw | Encoding::Typed => b'r',
    };
    if query.is_empty() && encoding == b'j' {
        return None;
    }
    let bytes = query.bytes().chain([0, encoding]);
    Some(bytes.fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    }))
}

/// Calls and waits.
async fn sent(
    shared: &Shared,
    kind: &KindRecord,
    call: Call,
    caching: Option<Caching>,
) -> Result<Reply, Box<Problem>> {
    match shared.node.grains.call(call).await {
        Ok(answer) => Ok(reply::answer(answer, &shared.node_header, caching)),
        Err(failure) => Err(call_problem(failure, kind)),
    }
}

/// Keeps the call and answers at once.
async fn submitted(shared: &Shared, call: Call, delay: Duration) -> Result<Reply, Box<Problem>> {
    let id = shared.node.sends.submit(call, delay).await?;
    let location = format!("/v1/calls/{id}");
    let mut reply = reply::json(
        StatusCode::ACCEPTED,
        &json!({ "id": id, "location": location }),
    );
    if let Ok(location) = HeaderValue::try_from(location) {
        reply.headers_mut().insert(LOCATION, location);
    }
    Ok(reply)
}

/// A failure as a problem; a method's `err` has the status that its manifest chose.
pub(super) fn call_problem(failure: Failure, kind: &KindRecord) -> Box<Problem> {
    let status = match (&failure.error, &failure.method) {
        (CallError::App { .. }, Some(method)) => {
            let spec = failure
                .revision
                .and_then(|revision| kind.revision(revision))
                .map(|record| &record.spec);
            spec.or_else(|| current(kind))
                .and_then(|spec| spec.methods.get(method))
                .and_then(|method| method.err_status)
        }
        _ => None,
    };
    let problem: Box<Problem> = failure.into();
    match status {
        Some(status) => problem.with_status(status),
        None => problem,
    }
}

fn current(kind: &KindRecord) -> Option<&KindSpec> {
    kind.revision(kind.current).map(|record| &record.spec)
}

/// Bytes of arguments that a kind takes.
fn arguments_max(kind: &KindRecord) -> u64 {
    current(kind).map_or(0, |spec| spec.limits.arguments)
}

fn read_method<'a>(kind: &'a KindRecord, method: &str) -> Option<&'a MethodSpec> {
    current(kind)?
        .methods
        .get(method)
        .filter(|method| method.mode == Mode::Read)
}

/// 405 with what would be allowed.
pub(super) fn not_allowed(method: &Method, allowed: &'static str) -> Box<Problem> {
    let why = if *method == Method::GET {
        "; GET is for methods that the manifest calls read"
    } else {
        ""
    };
    Problem::new(
        &types::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed here, {allowed} is{why}"),
    )
    .with_header(ALLOW, allowed)
}

fn options(allowed: &'static str) -> Reply {
    let headers = HeaderMap::from_iter([(ALLOW, HeaderValue::from_static(allowed))]);
    reply::empty(StatusCode::NO_CONTENT, headers)
}
