//! `/v1/artifacts`: components by their digest.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_core::id::Digest;
use granary_runtime::{Component, ComponentError};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::upload::{Piece, Received};
use super::{Answer, Doc, Path, Route, route};
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::Problem;

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
        route(
            Method::PUT,
            ONE,
            put,
            Doc::new(
                "putArtifact",
                "Uploads a component under its SHA-256, whole or piece by piece",
            )
            .header(
                "content-range",
                "bytes FIRST-LAST/TOTAL: which piece this is; all of it unless said",
            )
            .body("application/wasm")
            .json(200, "It was there already")
            .json(201, "It is complete, checked and compiled")
            .json(202, "The piece was kept; continue at Upload-Offset"),
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

fn digest(text: &str) -> Answer<Digest> {
    text.parse().map_err(|error: granary_core::id::IdError| {
        Problem::new(&types::BAD_PATH, error.to_string())
    })
}

async fn list(State(shared): State<Arc<Shared>>) -> Answer<axum::Json<Value>> {
    let artifacts = shared.node.store.artifacts().await?;
    let artifacts: Vec<_> = artifacts
        .into_iter()
        .map(|(digest, bytes)| json!({ "digest": digest, "bytes": bytes, "used_by": users(&shared, digest) }))
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
        Received::Whole { bytes } => {
            // Checked and compiled before it is kept: what is listed can be deployed.
            let component = shared
                .node
                .runtime
                .component(digest, bytes.clone())
                .await
                .map_err(component_problem)?;
            shared.node.store.put_artifact(digest, bytes).await?;
            Ok((StatusCode::CREATED, axum::Json(described(&component))).into_response())
        }
    }
}

fn described(component: &Component) -> Value {
    let interface = &component.interface;
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
        "digest": component.digest,
        "bytes": component.bytes_len,
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
    let users = users(&shared, digest);
    if !users.is_empty() {
        return Err(Problem::new(
            &types::IN_USE,
            format!("component {digest} is used by {}", users.join(", ")),
        ));
    }
    let there = shared.node.store.remove_artifact(digest).await?;
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
fn users(shared: &Shared, digest: Digest) -> Vec<String> {
    let kinds = shared.node.kinds.list();
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
        ComponentError::NoExports => &types::NO_EXPORTS,
        ComponentError::Resource { .. } => &types::RESOURCE,
        ComponentError::Unsupported { .. } => &types::UNSUPPORTED_COMPONENT,
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
