//! `/v1/artifacts`: components by their digest.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_core::id::Digest;
use granary_runtime::{ComponentError, Interface};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::upload::{Piece, Received};
use super::{Answer, Doc, Path, Query, Route, route};
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::Problem;
use crate::node::Node;

/// How long an upload waits for its component to be compiled before it answers that this goes on.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a question for a component's state may wait for an end.
const STATUS_WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) static UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
static UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/v1/artifacts/{digest}";
    vec![
        route(
            Method::GET,
            "/v1/artifacts",
            list,
            Doc::new("listArtifacts", "Every component").json(200, "Digests and sizes"),
        ),
        route(Method::PUT, ONE, put, put_doc()),
        route(
            Method::GET,
            "/v1/artifacts/{digest}/status",
            status,
            status_doc(),
        ),
        route(
            Method::HEAD,
            ONE,
            head,
            Doc::new(
                "headArtifact",
                "Whether a component is there, or how much of it is",
            )
            .gives(200, "It is complete; Content-Length has its size", None)
            .gives(
                404,
                "It is not, or not all of it: then Upload-Offset tells where to continue",
                None,
            ),
        ),
        route(
            Method::GET,
            ONE,
            get,
            Doc::new("getArtifact", "A component's bytes").gives(
                200,
                "The bytes",
                Some("application/wasm"),
            ),
        ),
        route(
            Method::DELETE,
            ONE,
            delete,
            Doc::new(
                "deleteArtifact",
                "Removes a component that no kept revision uses",
            )
            .gives(204, "It is gone", None),
        ),
    ]
}

fn put_doc() -> Doc {
    Doc::new(
        "putArtifact",
        "Uploads a component under its SHA-256, whole or piece by piece",
    )
    .header(
        "content-range",
        "bytes FIRST-LAST/TOTAL: which piece this is; all of it unless said",
    )
    .header(
        "prefer",
        "respond-async: answer at once, whatever is still to be compiled",
    )
    .body("application/wasm")
    .json(200, "It was there already")
    .json(201, "It is complete, checked and compiled")
    .json(
        202,
        "A piece was kept: continue at Upload-Offset; or all is being compiled: ask Location",
    )
}

fn status_doc() -> Doc {
    Doc::new(
        "getArtifactStatus",
        "Whether a component is ready, still being compiled, or was refused",
    )
    .query(
        "wait",
        "Answer when it is no longer compiling, after so many seconds at the latest; at most 60",
    )
    .json(
        200,
        "Its state: compiling, ready or failed, then with the problem",
    )
}

fn digest(text: &str) -> Answer<Digest> {
    text.parse().map_err(|error: granary_core::id::IdError| {
        Problem::new(&types::BAD_PATH, error.to_string())
    })
}

async fn list(State(shared): State<Arc<Shared>>) -> Answer<axum::Json<Value>> {
    let artifacts = shared.node.store.artifacts().await?;
    let artifacts: Vec<_> = artifacts
        .into_iter()
        .map(|(digest, bytes)| json!({ "digest": digest, "bytes": bytes, "used_by": users(&shared.node, digest) }))
        .collect();
    Ok(axum::Json(json!({ "artifacts": artifacts })))
}

async fn put(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    let digest = digest(&text)?;
    let piece = Piece::from_headers(&headers)?;
    if is_kept(&shared, digest).await? {
        super::upload::discard(body, shared.settings.body_timeout).await?;
        return Ok(axum::Json(json!({ "digest": digest, "already": true })).into_response());
    }
    match shared
        .uploads
        .receive(digest, piece, body, shared.settings.body_timeout)
        .await?
    {
        Received::Part { offset } => {
            let headers = [(&UPLOAD_OFFSET, offset.to_string())];
            Ok((
                StatusCode::ACCEPTED,
                headers,
                axum::Json(json!({ "digest": digest, "offset": offset })),
            )
                .into_response())
        }
        Received::Whole { bytes } => whole(&shared, digest, bytes, &headers).await,
    }
}

/// Checks a component, keeps it and has it compiled. The answer does not wait long for that.
async fn whole(
    shared: &Shared,
    digest: Digest,
    bytes: Vec<u8>,
    headers: &HeaderMap,
) -> Answer<Response> {
    let (interface, bytes) = inspected(bytes).await?;
    let size = bytes.len();
    // In this order: what is refused in the end is taken out again.
    let store = &shared.node.store;
    store.put_artifact(digest, bytes.clone()).await?;
    let compile = shared.compiles.start(&shared.node, digest, bytes)?;
    let ended = if prefers_async(headers) {
        None
    } else {
        compile.within(PATIENCE).await
    };
    let mut description = described(digest, size, &interface);
    match ended {
        Some(Ok(_)) => {
            description["state"] = "ready".into();
            Ok((StatusCode::CREATED, axum::Json(description)).into_response())
        }
        Some(Err(error)) => Err(component_problem(error)),
        None => {
            description["state"] = "compiling".into();
            let headers = [
                (LOCATION, format!("/v1/artifacts/{digest}/status")),
                (RETRY_AFTER, "1".to_owned()),
            ];
            Ok((StatusCode::ACCEPTED, headers, axum::Json(description)).into_response())
        }
    }
}

/// `Prefer: respond-async` (RFC 7240).
fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|wish| wish.trim().eq_ignore_ascii_case("respond-async"))
}

/// What a component offers and asks for. Quick beside compiling, but not for an async thread.
async fn inspected(bytes: Vec<u8>) -> Answer<(Interface, Vec<u8>)> {
    let looked = tokio::task::spawn_blocking(move || {
        Interface::inspect(&bytes).map(|interface| (interface, bytes))
    });
    match looked.await {
        Ok(looked) => looked.map_err(component_problem),
        Err(error) => Err(Problem::new(&types::INTERNAL, error.to_string())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    wait: Option<u64>,
}

async fn status(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Query(query): Query<StatusQuery>,
) -> Answer<axum::Json<Value>> {
    let digest = digest(&text)?;
    let compile = match shared.compiles.get(digest) {
        Some(compile) => compile,
        None if shared.node.runtime.loaded(digest).is_some()
            && is_kept(&shared, digest).await? =>
        {
            return Ok(axum::Json(json!({ "digest": digest, "state": "ready" })));
        }
        None => {
            let kept = shared.node.store.artifact(digest).await?;
            let bytes = kept.ok_or_else(|| no_artifact(digest))?;
            // Compiled before the node was last started, most likely: then it only has to be mapped.
            shared.compiles.start(&shared.node, digest, bytes)?
        }
    };
    let patience = Duration::from_secs(query.wait.unwrap_or(0)).min(STATUS_WAIT_MAX);
    let mut answer = json!({ "digest": digest, "state": "ready" });
    match compile.within(patience).await {
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            let path = format!("/v1/artifacts/{digest}");
            let problem = component_problem(error).to_json(&shared.node.name, &path);
            answer["state"] = "failed".into();
            answer["problem"] = serde_json::from_slice(&problem).unwrap_or_default();
        }
        None => {
            answer["state"] = "compiling".into();
            answer["elapsed_ms"] = json!(compile.elapsed().as_millis());
        }
    }
    Ok(axum::Json(answer))
}

fn described(digest: Digest, bytes: usize, interface: &Interface) -> Value {
    let methods: Vec<_> = interface
        .methods
        .iter()
        .map(|method| method.name.as_str())
        .collect();
    let imports: Vec<_> = interface
        .imports
        .iter()
        .map(|import| import.name.as_str())
        .collect();
    json!({
        "digest": digest,
        "bytes": bytes,
        "methods": methods,
        "imports": imports,
        "http": interface.http.is_some(),
    })
}

async fn head(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Answer<Response> {
    let digest = digest(&text)?;
    let kept = shared
        .node
        .store
        .artifacts()
        .await?
        .into_iter()
        .find(|(kept, _)| *kept == digest);
    if let Some((_, bytes)) = kept {
        let headers = [
            (CONTENT_LENGTH, bytes.to_string()),
            (CONTENT_TYPE, "application/wasm".to_owned()),
        ];
        return Ok((headers, [(&UPLOAD_COMPLETE, "?1")]).into_response());
    }
    let problem = no_artifact(digest);
    match shared.uploads.offset(digest).await {
        Some(offset) => Err(problem
            .with_header(UPLOAD_OFFSET.clone(), &offset.to_string())
            .with_header(UPLOAD_COMPLETE.clone(), "?0")),
        None => Err(problem),
    }
}

async fn get(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Answer<Response> {
    let digest = digest(&text)?;
    let bytes = shared
        .node
        .store
        .artifact(digest)
        .await?
        .ok_or_else(|| no_artifact(digest))?;
    let etag = HeaderValue::try_from(format!("\"{digest}\""))
        .map_err(|_| Problem::new(&types::INTERNAL, "a digest is no header"))?;
    Ok((
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/wasm")),
            (ETAG, etag),
        ],
        bytes,
    )
        .into_response())
}

async fn delete(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Answer<StatusCode> {
    let digest = digest(&text)?;
    let users = users(&shared.node, digest);
    if !users.is_empty() {
        return Err(Problem::new(
            &types::IN_USE,
            format!("component {digest} is used by {}", users.join(", ")),
        ));
    }
    let there = shared.node.kinds.remove_component(digest).await?;
    let begun = shared.uploads.forget(digest).await;
    if there || begun {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_artifact(digest))
    }
}

async fn is_kept(shared: &Shared, digest: Digest) -> Answer<bool> {
    Ok(shared
        .node
        .store
        .artifacts()
        .await?
        .iter()
        .any(|(kept, _)| *kept == digest))
}

/// The kept revisions that run a component, as `kind revision N`.
pub(super) fn users(node: &Node, digest: Digest) -> Vec<String> {
    let kinds = node.kinds.list();
    let revisions = kinds
        .iter()
        .flat_map(|kind| kind.revisions.iter().map(|record| (&kind.name, record)));
    revisions
        .filter(|(_, record)| record.component == digest)
        .map(|(kind, record)| format!("{kind} revision {}", record.revision))
        .collect()
}

fn no_artifact(digest: Digest) -> Box<Problem> {
    Problem::new(&types::NOT_KEPT, format!("there is no component {digest}"))
}

/// Why a component was refused, as a problem of its own type.
pub(super) fn component_problem(error: ComponentError) -> Box<Problem> {
    let ty = match &error {
        ComponentError::NotWasm { .. } => &types::NOT_WASM,
        ComponentError::CoreModule => &types::CORE_MODULE,
        ComponentError::Truncated { .. } => &types::TRUNCATED,
        ComponentError::Invalid { .. } => &types::INVALID_COMPONENT,
        ComponentError::TooLarge { .. } => &types::COMPONENT_TOO_LARGE,
        ComponentError::UnknownImport { .. } => &types::UNKNOWN_IMPORT,
        ComponentError::OtherVersion { .. } => &types::OTHER_VERSION,
        ComponentError::Client { .. } => &types::BAD_CLIENT,
        ComponentError::NoExports => &types::NO_EXPORTS,
        ComponentError::Resource { .. } => &types::RESOURCE,
        ComponentError::Stream { .. } | ComponentError::Unsupported { .. } => {
            &types::UNSUPPORTED_COMPONENT
        }
        ComponentError::Compile { .. } => &types::COMPILE_FAILED,
        ComponentError::Node { .. } => &types::UNAVAILABLE,
    };
    let problem = Problem::new(ty, error.to_string());
    match error {
        ComponentError::UnknownImport { name, nearest } => {
            problem.with("import", name).with("nearest", nearest)
        }
        ComponentError::OtherVersion { name, versions, .. } => {
            problem.with("interface", name).with("versions", versions)
        }
        ComponentError::Truncated { offset } | ComponentError::Invalid { offset, .. } => {
            problem.with("offset", offset)
        }
        ComponentError::Client { import, .. } => problem.with("import", import),
        ComponentError::Stream { function, wit, .. } => {
            problem.with("function", function).with("wit", wit)
        }
        ComponentError::NotWasm { .. }
        | ComponentError::CoreModule
        | ComponentError::TooLarge { .. }
        | ComponentError::NoExports
        | ComponentError::Resource { .. }
        | ComponentError::Unsupported { .. }
        | ComponentError::Compile { .. }
        | ComponentError::Node { .. } => problem,
    }
}
