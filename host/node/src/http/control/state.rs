//! `/v1/state`: what grains keep, read from the store without activating anybody, and changed between two turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granary_core::id::{GrainId, Key};
use granary_core::limits::STATE_PAGE_BYTES_MAX;
use granary_core::turn::Wishes;
use granary_store::{Head, PageSize};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Doc, Path, Query, Route, Whole, grain_id, kind_name, page_size, route};
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    const ENTRY: &str = "/v1/state/{kind}/{key}/{*entry}";
    vec![
        route(
            Method::GET,
            "/v1/state/{kind}",
            grains,
            Doc::new("listStatefulGrains", "The grains of a kind that have state")
                .query("after", "Continue behind this key")
                .query("limit", "At most so many, 100 unless said")
                .json(200, "One page"),
        ),
        route(
            Method::GET,
            "/v1/state/{kind}/{key}",
            entries,
            Doc::new("listStateEntries", "A grain's state entries")
                .query("prefix", "Only keys that begin so")
                .query("after", "Continue behind this state key")
                .query("limit", "At most so many, 100 unless said")
                .json(200, "One page; each value as base64 and, where it is JSON, as json; the ETag is the state version"),
        ),
        route(
            Method::GET,
            ENTRY,
            get,
            Doc::new("getStateValue", "One state value").gives(200, "Its bytes; the ETag is the state version", Some("application/octet-stream")),
        ),
        route(
            Method::PUT,
            ENTRY,
            put,
            Doc::new("putStateValue", "Writes a state value between two turns; the grain's memory is dropped")
                .header("if-match", "The state version that must hold; else 412")
                .body("application/octet-stream")
                .gives(204, "It is durable; the ETag is the new state version", None),
        ),
        route(
            Method::DELETE,
            ENTRY,
            delete,
            Doc::new("deleteStateValue", "Removes a state value between two turns")
                .header("if-match", "The state version that must hold; else 412")
                .gives(204, "It is gone; the ETag is the new state version", None),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrainsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

async fn grains(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    Query(query): Query<GrainsQuery>,
) -> Answer<Response> {
    let kind = kind_name(&kind)?;
    let after = query.after.as_deref().map(Key::parse).transpose();
    let after =
        after.map_err(|error| Problem::new(&types::BAD_REQUEST, format!("?after=: {error}")))?;
    let after = after.map(|key| GrainId::new(kind.clone(), key));
    // A removed kind's state is still there: no look at the catalogue.
    let page = shared
        .node
        .store
        .grains(Some(&kind), after.as_ref(), page_size(query.limit))
        .await?;
    let next = page
        .items
        .last()
        .filter(|_| page.more)
        .map(|(grain, _)| grain.key.clone());
    let grains: Vec<_> = page
        .items
        .iter()
        .map(|(grain, head)| grain_line(grain, head))
        .collect();
    Ok(axum::Json(json!({ "grains": grains, "next": next })).into_response())
}

fn grain_line(grain: &GrainId, head: &Head) -> Value {
    json!({
        "key": grain.key,
        "state_version": head.version,
        "bytes": head.bytes,
        "keys": head.keys,
        "revision": head.revision,
        "changed_at_ms": head.changed_at_ms,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

async fn entries(
    State(shared): State<Arc<Shared>>,
    Path((kind, key)): Path<(String, String)>,
    Query(query): Query<EntriesQuery>,
) -> Answer<Response> {
    let grain = grain_id(&kind, &key)?;
    let head = shared.node.store.head(&grain).await?;
    let size = PageSize {
        entries: page_size(query.limit),
        bytes: STATE_PAGE_BYTES_MAX,
    };
    let page = shared
        .node
        .store
        .list(&grain, &query.prefix, query.after.as_deref(), size)
        .await?;
    let next = page
        .items
        .last()
        .filter(|_| page.more)
        .map(|(key, _)| key.clone());
    let entries: Vec<_> = page
        .items
        .iter()
        .map(|(key, value)| entry_line(key, value))
        .collect();
    let mut shown = grain_line(&grain, &head);
    shown["entries"] = entries.into();
    shown["next"] = next.into();
    Ok(([(ETAG, etag(&head))], axum::Json(shown)).into_response())
}

fn entry_line(key: &str, value: &[u8]) -> Value {
    let mut line = json!({ "key": key, "bytes": value.len(), "base64": STANDARD.encode(value) });
    if let Ok(json) = serde_json::from_slice::<Value>(value) {
        line["json"] = json;
    }
    line
}

fn etag(head: &Head) -> String {
    format!("\"{}\"", head.version)
}

/// A grain and one of its state keys.
fn place(kind: &str, key: &str, entry: &str) -> Answer<GrainId> {
    Wishes::check_key(entry).map_err(|error| Problem::new(&types::BAD_PATH, error.to_string()))?;
    grain_id(kind, key)
}

async fn get(
    State(shared): State<Arc<Shared>>,
    Path((kind, key, entry)): Path<(String, String, String)>,
) -> Answer<Response> {
    let grain = place(&kind, &key, &entry)?;
    let head = shared.node.store.head(&grain).await?;
    let Some(value) = shared.node.store.read(&grain, &entry).await? else {
        return Err(Problem::new(
            &types::NOT_KEPT,
            format!("{grain} has no state key '{entry}'"),
        )
        .about(&grain, None));
    };
    Ok((
        [
            (ETAG, etag(&head)),
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
        ],
        value,
    )
        .into_response())
}

async fn put(
    State(shared): State<Arc<Shared>>,
    Path((kind, key, entry)): Path<(String, String, String)>,
    headers: HeaderMap,
    Whole(value): Whole,
) -> Answer<Response> {
    let grain = place(&kind, &key, &entry)?;
    change(&shared, &grain, entry, Some(value.to_vec()), &headers).await
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((kind, key, entry)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let grain = place(&kind, &key, &entry)?;
    change(&shared, &grain, entry, None, &headers).await
}

async fn change(
    shared: &Shared,
    grain: &GrainId,
    entry: String,
    value: Option<Vec<u8>>,
    headers: &HeaderMap,
) -> Answer<Response> {
    let expected = if_match(headers)?;
    let edited = shared
        .node
        .grains
        .edit(grain, BTreeMap::from([(entry, value)]), expected)
        .await;
    match edited {
        Ok(head) => Ok((StatusCode::NO_CONTENT, [(ETAG, etag(&head))]).into_response()),
        Err(failure) => {
            let conflict = matches!(
                failure.error,
                granary_core::error::CallError::Conflict { .. }
            ) && expected.is_some();
            let detail = failure.error.to_string();
            Err(if conflict {
                Problem::new(&types::PRECONDITION_FAILED, detail).about(grain, None)
            } else {
                failure.into()
            })
        }
    }
}

/// The state version of an `If-Match`; none for `*` or where there is none.
fn if_match(headers: &HeaderMap) -> Answer<Option<u64>> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse();
    version.map(Some).map_err(|_| {
        let detail = format!(
            "If-Match '{text}' is no state version; take the ETag of the answer that you read"
        );
        Problem::new(&types::BAD_REQUEST, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_if_match_is_a_state_version() {
        let parsed = |text: &str| {
            let headers = HeaderMap::from_iter([(IF_MATCH, text.parse().unwrap())]);
            if_match(&headers).map_err(|problem| problem.status())
        };
        assert_eq!(parsed("\"7\""), Ok(Some(7)));
        assert_eq!(parsed("7"), Ok(Some(7)));
        assert_eq!(parsed("*"), Ok(None));
        assert_eq!(parsed("\"1-7\""), Err(400));
    }
}
