//! The control plane: a router whose every route carries its documentation.

mod activations;
mod artifacts;
mod calls;
pub(super) mod compiles;
mod feeds;
mod kinds;
mod node;
mod openapi;
mod state;
mod transfer;
pub(super) mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, OriginalUri};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use granary_core::id::{GrainId, Key, KindName};
use http::{Method, StatusCode};
use tower_http::compression::CompressionLayer;

use super::body::is_slow;
use super::catalogue as types;
use super::face::Shared;
use super::problem::Problem;

pub(super) use kinds::deploy_problem;

/// What a handler answers.
type Answer<T> = Result<T, Box<Problem>>;

/// One route: where, what it is for, what serves it.
struct Route {
    method: Method,
    path: &'static str,
    doc: Doc,
    serve: MethodRouter<Arc<Shared>>,
}

/// What a client must know of a route; `/v1/openapi.json` is made of these.
#[derive(Debug, Clone)]
struct Doc {
    id: &'static str,
    summary: &'static str,
    query: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<&'static str>,
    answers: Vec<(u16, &'static str, Option<&'static str>)>,
}

impl Doc {
    fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
        }
    }

    /// A query parameter.
    fn query(mut self, name: &'static str, text: &'static str) -> Self {
        self.query.push((name, text));
        self
    }

    /// A request header.
    fn header(mut self, name: &'static str, text: &'static str) -> Self {
        self.headers.push((name, text));
        self
    }

    /// The request body's media type.
    fn body(mut self, media: &'static str) -> Self {
        self.body = Some(media);
        self
    }

    /// A JSON answer.
    fn json(self, status: u16, text: &'static str) -> Self {
        self.gives(status, text, Some("application/json"))
    }

    /// An answer of another type, or without a body.
    fn gives(mut self, status: u16, text: &'static str, media: Option<&'static str>) -> Self {
        self.answers.push((status, text, media));
        self
    }
}

/// Puts a route together.
fn route<H, T>(method: Method, path: &'static str, handler: H, doc: Doc) -> Route
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("routes use the standard methods");
    Route {
        method,
        path,
        doc,
        serve: on(filter, handler),
    }
}

fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(artifacts::routes());
    routes.extend(kinds::routes());
    routes.extend(calls::routes());
    routes.extend(activations::routes());
    routes.extend(state::routes());
    routes.extend(transfer::routes());
    routes.extend(feeds::routes());
    routes.extend(node::routes());
    routes
}

/// Bytes of a body that a handler takes whole: a state value, a manifest.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The router of everything outside `/g`.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, route.serve);
    }
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new())
        .with_state(shared)
}

async fn unknown_route(OriginalUri(uri): OriginalUri) -> Box<Problem> {
    let nearest = nearest_route(uri.path());
    let hint = nearest
        .map(|nearest| format!("; did you mean {nearest}?"))
        .unwrap_or_default();
    Problem::new(
        &types::UNKNOWN_ROUTE,
        format!("there is nothing under {}{hint}", uri.path()),
    )
}

/// The router adds `Allow`.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(
        &types::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed here"),
    )
    .into_response()
}

/// The documented path that is most like a wrong one: parameters count as right.
fn nearest_route(path: &str) -> Option<String> {
    let given: Vec<&str> = path.split('/').collect();
    let candidate = |pattern: &'static str| {
        let likely: Vec<&str> = pattern
            .split('/')
            .enumerate()
            .map(|(at, part)| {
                if part.starts_with('{') {
                    given.get(at).copied().unwrap_or(part)
                } else {
                    part
                }
            })
            .collect();
        (
            strsim::normalized_damerau_levenshtein(path, &likely.join("/")),
            pattern,
        )
    };
    let patterns = openapi::paths();
    let best = patterns
        .into_iter()
        .map(candidate)
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (0.6 < best.0).then(|| best.1.to_owned())
}

/// Path parameters; what does not fit is a problem.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Box<Problem>))]
struct Path<T>(T);

/// Query parameters; what does not fit is a problem.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Box<Problem>))]
struct Query<T>(T);

/// A JSON body; what does not fit is a problem.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Box<Problem>))]
struct Json<T>(T);

/// A body of bytes; what is too long is a problem.
struct Whole(bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Box<Problem>;

    async fn from_request(
        request: axum::extract::Request,
        state: &S,
    ) -> Result<Self, Box<Problem>> {
        Ok(Self(bytes::Bytes::from_request(request, state).await?))
    }
}

impl From<PathRejection> for Box<Problem> {
    fn from(rejection: PathRejection) -> Self {
        Problem::new(&types::BAD_PATH, rejection.body_text())
    }
}

impl From<QueryRejection> for Box<Problem> {
    fn from(rejection: QueryRejection) -> Self {
        Problem::new(&types::BAD_REQUEST, rejection.body_text())
    }
}

impl From<JsonRejection> for Box<Problem> {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status().as_u16();
        let ty = match status {
            413 => &types::BODY_TOO_LARGE,
            415 => &types::UNSUPPORTED_MEDIA_TYPE,
            _ if is_slow(&rejection) => return slow_body(),
            _ => &types::BAD_BODY,
        };
        Problem::new(ty, rejection.body_text()).with_status(status)
    }
}

impl From<BytesRejection> for Box<Problem> {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status().as_u16();
        let ty = match status {
            413 => &types::BODY_TOO_LARGE,
            _ if is_slow(&rejection) => return slow_body(),
            _ => &types::BODY_CUT_OFF,
        };
        Problem::new(ty, rejection.body_text()).with_status(status)
    }
}

fn slow_body() -> Box<Problem> {
    Problem::new(&types::SLOW_BODY, "nothing more of the body came in time")
}

/// A kind's name from a path.
fn kind_name(text: &str) -> Answer<KindName> {
    KindName::parse(text).map_err(|error| Problem::new(&types::BAD_PATH, error.to_string()))
}

/// A grain from two parts of a path.
fn grain_id(kind: &str, key: &str) -> Answer<GrainId> {
    let key = Key::parse(key).map_err(|error| Problem::new(&types::BAD_PATH, error.to_string()))?;
    Ok(GrainId::new(kind_name(kind)?, key))
}

/// How many items a page has where nothing is said, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// A page's size from a query.
fn page_size(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)
}
