//! `/g/{kind}/{key}/http/…`: the request goes to the guest as it is, its response comes back as it is; both bodies stream.

use std::sync::Arc;
use std::time::Instant;

use granary_core::id::GrainId;
use granary_core::kind::KindRecord;
use granary_runtime::HttpBody;
use http::header::{
    AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::{Body, Incoming};

use super::body::{Bounds, Patient};
use super::catalogue as types;
use super::control::deploy_problem;
use super::face::{InFlight, Shared};
use super::problem::Problem;
use super::reply::{GRAIN_NODE, Reply, ReplyBody};
use super::request::Wishes;
use crate::grains::CallerInfo;

/// Headers of one connection, not of the request (RFC 9110 §7.6.1).
static OF_THE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

pub(super) async fn serve(
    shared: &Arc<Shared>,
    grain: GrainId,
    rest: &str,
    request: Request<Incoming>,
    principal: Option<Arc<str>>,
    in_flight: InFlight,
) -> Result<Reply, Box<Problem>> {
    let kind = shared.kind(&grain.kind)?;
    let component = shared.node.kinds.interface(&grain.kind, None).await;
    if component.map_err(deploy_problem)?.interface.http.is_none() {
        let detail = format!(
            "kind '{}' does not export wasi:http/incoming-handler",
            grain.kind
        );
        return Err(Problem::new(&types::NOT_FOUND, detail).about(&grain, None));
    }
    let bounds = Bounds {
        bytes: body_max(&kind),
        limit: "http-body",
        patience: shared.settings.body_timeout,
    };
    if bounds.bytes < request.body().size_hint().lower() {
        return Err(bounds.too_large().about(&grain, None));
    }
    let caller = caller(request.headers(), principal)?;
    let request =
        for_guest(request, rest, bounds, shared).map_err(|problem| problem.about(&grain, None))?;
    let begun = Instant::now();
    let answered = shared
        .node
        .grains
        .http(grain.clone(), request, caller)
        .await;
    // Until the head of the response: its body may go on for long.
    let error = answered.as_ref().err().map(|failure| &failure.error);
    shared
        .node
        .metrics
        .kind(&grain.kind)
        .called(error, begun.elapsed());
    let response = match answered {
        Ok(response) => response,
        Err(failure) => return Err(failure.into()),
    };
    Ok(for_client(response, &shared.node_header, in_flight))
}

fn body_max(kind: &KindRecord) -> u64 {
    kind.revision(kind.current)
        .map_or(0, |record| record.spec.limits.http_body)
}

/// Only what concerns the call; the rest is the guest's to understand.
fn caller(headers: &HeaderMap, principal: Option<Arc<str>>) -> Result<CallerInfo, Box<Problem>> {
    let mut ours = HeaderMap::new();
    for name in ["baggage", "grain-timeout"] {
        for value in headers.get_all(name) {
            ours.append(name, value.clone());
        }
    }
    let wishes = Wishes::from_headers(&ours)?;
    Ok(CallerInfo {
        principal: principal.as_deref().map(str::to_owned),
        baggage: wishes.baggage,
        timeout: wishes.timeout,
    })
}

fn for_guest(
    request: Request<Incoming>,
    rest: &str,
    bounds: Bounds,
    shared: &Shared,
) -> Result<Request<HttpBody>, Box<Problem>> {
    let (mut parts, body) = request.into_parts();
    let host = parts
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| parts.uri.authority().map(|a| a.as_str()));
    let scheme = if shared.settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let query = parts
        .uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let uri = format!("{scheme}://{}{rest}{query}", host.unwrap_or("localhost"));
    parts.uri = uri.parse::<Uri>().map_err(|error| {
        Problem::new(
            &types::BAD_REQUEST,
            format!("the guest cannot be given '{uri}': {error}"),
        )
    })?;
    drop_connection_headers(&mut parts.headers);
    if shared.gate.needs_token() {
        // The token opens this node; it is not the guest's to see.
        parts.headers.remove(AUTHORIZATION);
    }
    let body = Patient::new(body, bounds.bytes, bounds.patience);
    Ok(Request::from_parts(parts, HttpBody::new(body)))
}

/// A reply as a turn made it.
pub(super) fn for_client(
    response: Response<HttpBody>,
    node: &HeaderValue,
    in_flight: InFlight,
) -> Reply {
    let (mut parts, body) = response.into_parts();
    drop_connection_headers(&mut parts.headers);
    parts.headers.insert(&GRAIN_NODE, node.clone());
    Response::from_parts(parts, ReplyBody::Guest(body, Some(in_flight)))
}

fn drop_connection_headers(headers: &mut HeaderMap) {
    for name in &OF_THE_CONNECTION {
        headers.remove(name);
    }
}
