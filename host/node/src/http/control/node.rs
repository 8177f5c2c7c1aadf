//! The node itself: what it is, how it does, what it is configured to, and the pages for scrapers and people.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Doc, Path, Route, openapi, route};
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(
            Method::GET,
            "/",
            index,
            Doc::new("getIndex", "Where to begin").json(200, "Links"),
        ),
        route(
            Method::GET,
            "/v1/node",
            node,
            Doc::new("getNode", "Name, version, engine, capacity, store, uptime")
                .json(200, "The node"),
        ),
        route(
            Method::GET,
            "/v1/config",
            config,
            Doc::new("getConfig", "The settings in force, without secrets")
                .json(200, "The settings"),
        ),
        route(
            Method::GET,
            "/v1/openapi.json",
            own_openapi,
            Doc::new("getOpenapi", "This document").json(200, "OpenAPI 3.1"),
        ),
        route(
            Method::GET,
            "/metrics",
            metrics,
            Doc::new("getMetrics", "Numbers for Prometheus").gives(
                200,
                "The page",
                Some("text/plain"),
            ),
        ),
        route(
            Method::GET,
            "/readyz",
            ready,
            Doc::new(
                "getReadiness",
                "Whether the node can serve: the store takes commits, every kind is compiled",
            )
            .json(200, "It can")
            .json(503, "It cannot, and why"),
        ),
        route(
            Method::GET,
            "/problems/{type}",
            problem,
            Doc::new(
                "getProblemType",
                "What a type of problem means and what to do about it",
            )
            .json(200, "The type"),
        ),
    ]
}

async fn index(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    axum::Json(json!({
        "node": shared.node.name,
        "granary": env!("CARGO_PKG_VERSION"),
        "call": "/g/KIND/KEY/METHOD",
        "links": ["/v1/kinds", "/v1/activations", "/v1/events", "/v1/logs", "/v1/node", "/v1/openapi.json", "/metrics", "/healthz", "/readyz"],
    }))
}

async fn node(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    let capacity = shared.node.runtime.capacity();
    axum::Json(json!({
        "name": shared.node.name,
        "version": env!("CARGO_PKG_VERSION"),
        "engine": "wasmtime 48",
        "store": shared.node.store.engine(),
        "uptime_seconds": shared.started.elapsed().as_secs(),
        "capacity": { "slots": capacity.slots, "in_use": capacity.in_use, "limited_by": capacity.limited_by },
        "in_flight": shared.in_flight(),
        "in_flight_max": shared.settings.in_flight_max,
        "kinds": shared.node.kinds.list().len(),
        "authentication": if shared.gate.needs_token() { "bearer" } else { "off" },
    }))
}

async fn config(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    axum::Json(shared.settings.config_shown.clone())
}

async fn own_openapi() -> axum::Json<Value> {
    axum::Json(openapi::document())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let metrics = &shared.node.metrics;
    let capacity = shared.node.runtime.capacity();
    metrics.slots_in_use.set(f64::from(capacity.in_use));
    metrics.http_in_flight.set(f64::from(
        u32::try_from(shared.in_flight()).unwrap_or(u32::MAX),
    ));
    metrics.upkeep();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let mut reasons = Vec::new();
    if shared.stopping.is_cancelled() {
        reasons.push("the node is stopping".to_owned());
    }
    if let Err(error) = shared.node.store.ready().await {
        reasons.push(crate::http::problem::chain_text(&error));
    }
    for kind in shared.node.kinds.unprepared() {
        reasons.push(format!("kind '{kind}' is not compiled yet"));
    }
    let ready = reasons.is_empty();
    let body = axum::Json(json!({ "ready": ready, "reasons": reasons }));
    if ready {
        body.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], body).into_response()
    }
}

async fn problem(Path(slug): Path<String>) -> Answer<axum::Json<Value>> {
    let found = types::ALL.iter().find(|ty| ty.slug == slug);
    let found = found.ok_or_else(|| {
        Problem::new(
            &types::NOT_KEPT,
            format!("there is no type of problem '{slug}'"),
        )
    })?;
    Ok(axum::Json(
        json!({ "type": format!("/problems/{}", found.slug), "title": found.title, "status": found.status, "try": found.hint }),
    ))
}
