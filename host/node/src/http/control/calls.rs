//! `/v1/calls`: calls that somebody does not wait for, or cancels. `/v1/sends`: those that were given up.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_core::error::Failure;
use granary_core::id::{CallId, GrainId};
use granary_store::SendRecord;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answer, Doc, Path, Query, Route, page_size, route};
use crate::grains::{Answer as CallAnswer, AnswerBody};
use crate::http::catalogue as types;
use crate::http::data;
use crate::http::face::Shared;
use crate::http::path::encode;
use crate::http::problem::Problem;
use crate::http::request;
use crate::sends::CallStatus;

/// The longest that a client may hang on for an answer.
const WAIT_MAX: Duration = Duration::from_secs(300);

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(
            Method::GET,
            "/v1/calls/{id}",
            status,
            Doc::new("getCall", "How far an asynchronous call is, and its result")
                .query(
                    "wait",
                    "How long to wait for its end, as in 30s; not at all unless said",
                )
                .json(
                    200,
                    "status is waiting, running, done or given-up; value or problem is the result",
                ),
        ),
        route(
            Method::DELETE,
            "/v1/calls/{id}",
            cancel,
            Doc::new("cancelCall", "Gives a call up, if it can still be")
                .json(202, "It was told to stop"),
        ),
        route(
            Method::GET,
            "/v1/sends",
            given_up,
            Doc::new(
                "listGivenUp",
                "One-way messages and asynchronous calls that were given up",
            )
            .query("after", "Continue behind this id")
            .query("limit", "At most so many, 100 unless said")
            .json(200, "The list, by id"),
        ),
        route(
            Method::POST,
            "/v1/sends/{id}/retry",
            retry,
            Doc::new("retrySend", "Tries a given-up one again").json(202, "It is due now"),
        ),
    ]
}

fn call_id(text: &str) -> Answer<CallId> {
    text.parse().map_err(|error: granary_core::id::IdError| {
        Problem::new(&types::BAD_PATH, error.to_string())
    })
}

fn not_kept(id: CallId) -> Box<Problem> {
    Problem::new(
        &types::NOT_KEPT,
        format!("there is no call {id}; results are kept for a day"),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    wait: Option<String>,
}

async fn status(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<StatusQuery>,
) -> Answer<Response> {
    let id = call_id(&id)?;
    let wait = query
        .wait
        .map(|wait| request::duration("?wait=", &wait))
        .transpose()?;
    let status = match wait {
        None => shared.node.sends.status(id).await,
        Some(wait) => tokio::select! {
            status = shared.node.sends.wait(id, wait.min(WAIT_MAX)) => status,
            () = shared.stopping.cancelled() => shared.node.sends.status(id).await,
        },
    };
    shown(&shared, id, status?).map(|shown| axum::Json(shown).into_response())
}

fn shown(shared: &Shared, id: CallId, status: CallStatus) -> Answer<Value> {
    let about = |target: &GrainId, method: &str, status: &str| json!({ "id": id, "grain": target, "method": method, "status": status });
    match status {
        CallStatus::Unknown => Err(not_kept(id)),
        CallStatus::Waiting {
            target,
            method,
            attempts,
            due_at_ms,
            running,
        } => {
            let mut shown = about(
                &target,
                &method,
                if running { "running" } else { "waiting" },
            );
            shown["attempts"] = attempts.into();
            shown["due_at_ms"] = due_at_ms.into();
            Ok(shown)
        }
        CallStatus::Done {
            target,
            method,
            result,
        } => {
            let mut shown = about(&target, &method, "done");
            match result {
                Ok(answer) => put_answer(&mut shown, answer),
                Err(failure) => put_problem(&mut shown, shared, &target, failure),
            }
            Ok(shown)
        }
        CallStatus::GivenUp {
            target,
            method,
            attempts,
            failure,
        } => {
            let mut shown = about(&target, &method, "given-up");
            shown["attempts"] = attempts.into();
            put_problem(&mut shown, shared, &target, failure);
            Ok(shown)
        }
    }
}

fn put_problem(shown: &mut Value, shared: &Shared, target: &GrainId, failure: Failure) {
    let method = failure.method.as_deref().unwrap_or_default();
    let instance = format!(
        "/g/{}/{}/{}",
        target.kind,
        encode(target.key.as_str()),
        encode(method)
    );
    let problem = match shared.node.kinds.get(target.kind.as_str()) {
        Some(kind) => data::call_problem(failure, &kind),
        None => failure.into(),
    };
    shown["problem"] = problem.to_value(&shared.node.name, &instance);
}

fn put_answer(shown: &mut Value, answer: CallAnswer) {
    shown["revision"] = answer.grain_revision.0.into();
    shown["state_version"] = answer.state_version.into();
    shown["value"] = match answer.body {
        AnswerBody::Json(json) => serde_json::from_slice(&json).unwrap_or_default(),
        AnswerBody::Unit => Value::Null,
        // Results are kept as JSON.
        AnswerBody::Cbor(_) | AnswerBody::Raw(_) | AnswerBody::Typed(_) => Value::Null,
    };
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Response> {
    let id = call_id(&id)?;
    // An asynchronous call first; else one that somebody waits for.
    let found = shared.node.sends.cancel(id).await? || shared.node.grains.cancel(id).await;
    if !found {
        return Err(not_kept(id));
    }
    Ok((
        StatusCode::ACCEPTED,
        axum::Json(json!({ "id": id, "cancelled": true })),
    )
        .into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    after: Option<CallId>,
    limit: Option<usize>,
}

async fn given_up(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<PageQuery>,
) -> Answer<Response> {
    let (sends, more) = shared
        .node
        .sends
        .given_up(query.after, page_size(query.limit))
        .await?;
    let next = sends.last().filter(|_| more).map(|send| send.id);
    let sends: Vec<_> = sends.iter().map(send_line).collect();
    Ok(axum::Json(json!({ "sends": sends, "next": next })).into_response())
}

fn send_line(send: &SendRecord) -> Value {
    let arguments = std::str::from_utf8(&send.arguments)
        .ok()
        .and_then(|text| RawValue::from_string(text.to_owned()).ok());
    json!({
        "id": send.id,
        "from": send.from,
        "target": send.target,
        "method": send.method,
        "arguments": arguments,
        "attempts": send.attempts,
        "sent_at_ms": send.sent_at_ms,
    })
}

async fn retry(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Response> {
    let id = call_id(&id)?;
    if !shared.node.sends.retry(id).await? {
        return Err(not_kept(id));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(json!({ "id": id }))).into_response())
}
