//! `/v1/activations`: who is live, why it does what it does, and how to drop it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_core::id::GrainId;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Doc, Path, Query, Route, grain_id, page_size, route};
use crate::grains::ActivationInfo;
use crate::http::catalogue as types;
use crate::http::describe::named;
use crate::http::face::Shared;
use crate::http::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/v1/activations/{kind}/{key}";
    vec![
        route(
            Method::GET,
            "/v1/activations",
            list,
            Doc::new("listActivations", "Live activations of this node")
                .query("kind", "Only of this kind")
                .query(
                    "state",
                    "Only in this state: activating, idle, running, deactivating",
                )
                .query(
                    "order",
                    "memory, queued, idle or turns: the most first; by grain unless said",
                )
                .query(
                    "after",
                    "Continue behind this grain (kind/key), in the order of grains",
                )
                .query("limit", "At most so many, 100 unless said")
                .json(200, "One page"),
        ),
        route(
            Method::GET,
            ONE,
            show,
            Doc::new("getActivation", "What is known of a grain, live or not")
                .json(200, "The grain"),
        ),
        route(
            Method::DELETE,
            ONE,
            deactivate,
            Doc::new(
                "dropActivation",
                "Lets a grain finish its turn, then drops it",
            )
            .json(200, "Whether it was live"),
        ),
        route(
            Method::GET,
            "/v1/activations/{kind}/{key}/explain",
            explain,
            Doc::new(
                "explainGrain",
                "Why a grain does what it does: turn, mailbox, who waits, last failure, limits",
            )
            .json(200, "The explanation"),
        ),
        route(
            Method::POST,
            "/v1/activations/{kind}/{key}/deactivate",
            deactivate,
            Doc::new(
                "deactivateGrain",
                "Lets a grain finish its turn, then drops its activation",
            )
            .json(200, "Whether it was live"),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    Memory,
    Queued,
    Idle,
    Turns,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    kind: Option<String>,
    state: Option<String>,
    order: Option<Order>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<ListQuery>,
) -> Answer<Response> {
    let after = query.after.as_deref().map(GrainId::parse).transpose();
    let after =
        after.map_err(|error| Problem::new(&types::BAD_REQUEST, format!("?after=: {error}")))?;
    let mut all = shared.node.grains.activations();
    all.retain(|info| fits(info, &query));
    let total = all.len();
    match query.order {
        None => all.sort_unstable_by(|a, b| a.grain.cmp(&b.grain)),
        Some(Order::Memory) => {
            all.sort_unstable_by_key(|info| std::cmp::Reverse(info.memory_bytes))
        }
        Some(Order::Queued) => all.sort_unstable_by_key(|info| std::cmp::Reverse(info.queued)),
        Some(Order::Idle) => all.sort_unstable_by_key(|info| std::cmp::Reverse(info.idle_ms)),
        Some(Order::Turns) => all.sort_unstable_by_key(|info| std::cmp::Reverse(info.turns)),
    }
    if let Some(after) = &after {
        all.retain(|info| info.grain > *after);
    }
    let limit = page_size(query.limit);
    let more = limit < all.len();
    all.truncate(limit);
    let next = all
        .last()
        .filter(|_| more && query.order.is_none())
        .map(|info| info.grain.to_string());
    Ok(axum::Json(json!({ "activations": all, "total": total, "next": next })).into_response())
}

fn fits(info: &ActivationInfo, query: &ListQuery) -> bool {
    let state = || serde_json::to_value(info.state).unwrap_or_default();
    query
        .kind
        .as_deref()
        .is_none_or(|kind| info.grain.kind.as_str() == kind)
        && query
            .state
            .as_deref()
            .is_none_or(|wanted| state() == wanted)
}

async fn show(
    State(shared): State<Arc<Shared>>,
    Path((kind, key)): Path<(String, String)>,
) -> Answer<Response> {
    let grain = grain_id(&kind, &key)?;
    shared.kind(&grain.kind)?;
    Ok(axum::Json(named(&grain, &shared.node.grains.describe(&grain).await?)).into_response())
}

async fn explain(
    State(shared): State<Arc<Shared>>,
    Path((kind, key)): Path<(String, String)>,
) -> Answer<Response> {
    let grain = grain_id(&kind, &key)?;
    shared.kind(&grain.kind)?;
    Ok(axum::Json(named(&grain, &shared.node.grains.explain(&grain).await)).into_response())
}

async fn deactivate(
    State(shared): State<Arc<Shared>>,
    Path((kind, key)): Path<(String, String)>,
) -> Answer<Response> {
    let grain = grain_id(&kind, &key)?;
    shared.kind(&grain.kind)?;
    let deactivated = shared.node.grains.deactivate(&grain).await;
    Ok(axum::Json(json!({ "grain": grain, "deactivated": deactivated })).into_response())
}
