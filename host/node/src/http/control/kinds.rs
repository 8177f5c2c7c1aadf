//! `/v1/kinds`: the catalogue, its revisions and what is generated from them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use granary_core::id::{Digest, Revision};
use granary_core::kind::{KindRecord, RevisionRecord};
use granary_runtime::client::{self, ClientError, Look};
use granary_runtime::{Component, json_schema, openapi};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Doc, Json, Path, Query, Route, kind_name, route};
use crate::http::catalogue as types;
use crate::http::face::Shared;
use crate::http::problem::Problem;
use crate::kinds::DeployError;
use crate::manifest::kind_from_json;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        route(
            Method::GET,
            "/v1/kinds",
            list,
            Doc::new("listKinds", "Every kind").json(200, "The kinds, by name"),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}",
            show,
            Doc::new(
                "getKind",
                "A kind with its revisions, methods and live activations",
            )
            .json(200, "The kind"),
        ),
        route(
            Method::DELETE,
            "/v1/kinds/{kind}",
            remove,
            Doc::new(
                "removeKind",
                "Removes a kind; the state of its grains stays",
            )
            .json(200, "How many activations were dropped"),
        ),
        route(
            Method::POST,
            "/v1/kinds/{kind}/rollback",
            rollback,
            Doc::new("rollbackKind", "Makes an earlier revision the current one")
                .query("to", "The revision; the one before the current unless said")
                .json(200, "What was done"),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/diff",
            diff,
            Doc::new(
                "diffRevisions",
                "What two revisions differ in: interface, grants, imports, limits",
            )
            .query(
                "from",
                "The older side; the one before the current unless said",
            )
            .query("to", "The newer side; the current one unless said")
            .json(200, "The differences"),
        ),
    ];
    routes.extend(revision_routes());
    routes
}

fn revision_routes() -> Vec<Route> {
    vec![
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions",
            revisions,
            Doc::new("listRevisions", "A kind's kept revisions").json(200, "The revisions, oldest first"),
        ),
        route(
            Method::POST,
            "/v1/kinds/{kind}/revisions",
            deploy,
            Doc::new("deployKind", "Makes an uploaded component the current revision: {component, manifest}, the manifest as a [kinds.NAME] section")
                .query("dry-run", "true: only tell what would be done")
                .query("breaking", "true: deploy although the new interface breaks callers, or a client does not fit the kind that it calls")
                .body("application/json")
                .json(200, "The plan, or that nothing differs")
                .json(201, "There is a new revision"),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions/{revision}",
            revision,
            Doc::new("getRevision", "One revision; 'current' is understood").json(200, "The revision"),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions/{revision}/wit",
            wit,
            Doc::new("getWit", "A revision's interface as WIT").gives(200, "The text", Some("text/plain")),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions/{revision}/client.wit",
            client_wit,
            Doc::new("getClientWit", "The package through which other components call a revision with types, as WIT")
                .query("async", "true: with methods that are async functions")
                .query("package", "The package's name with its version; NAMESPACE:KIND-client in the version of the kind's own unless said")
                .gives(200, "The text", Some("text/plain")),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions/{revision}/openapi.json",
            openapi_of,
            Doc::new("getKindOpenapi", "OpenAPI 3.1 of a revision's methods").json(200, "The document"),
        ),
        route(
            Method::GET,
            "/v1/kinds/{kind}/revisions/{revision}/schema.json",
            schema_of,
            Doc::new("getKindSchema", "JSON Schema of a revision's types").json(200, "The schema"),
        ),
    ]
}

async fn list(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    let kinds: Vec<_> = shared
        .node
        .kinds
        .list()
        .iter()
        .map(|kind| line(&shared, kind))
        .collect();
    axum::Json(json!({ "kinds": kinds }))
}

fn line(shared: &Shared, kind: &KindRecord) -> Value {
    let current = kind.revision(kind.current);
    json!({
        "name": kind.name,
        "current": kind.current,
        "before": kind.before,
        "rollout": kind.rollout,
        "description": current.map(|record| record.spec.description.as_str()),
        "component": current.map(|record| record.component),
        "deployed_at_ms": current.map(|record| record.deployed_at_ms),
        "live_activations": shared.node.grains.live(&kind.name),
    })
}

async fn show(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
) -> Answer<axum::Json<Value>> {
    let record = shared.kind(&kind_name(&kind)?)?;
    let component = shared
        .node
        .kinds
        .interface(&record.name, None)
        .await
        .map_err(deploy_problem)?;
    let current = record.revision(record.current);
    let mut shown = line(&shared, &record);
    shown["methods"] = methods(&component, current);
    shown["http"] = component.interface.http.is_some().into();
    shown["imports"] = component
        .interface
        .imports
        .iter()
        .map(|import| import.name.as_str())
        .collect();
    shown["grants"] = current.map(|record| record.spec.grants.describe()).into();
    shown["limits"] = json!(current.map(|record| record.spec.limits));
    shown["revisions"] = record.revisions.iter().map(summary).collect();
    Ok(axum::Json(shown))
}

fn methods(component: &Component, current: Option<&RevisionRecord>) -> Value {
    let shown = component.interface.methods.iter().map(|method| {
        let spec = current
            .and_then(|record| record.spec.methods.get(&method.name))
            .cloned()
            .unwrap_or_default();
        let mut params: Vec<_> = method
            .params
            .iter()
            .map(|param| json!({ "name": param.name, "type": param.wit }))
            .collect();
        let body = method.stream_param.iter();
        params.extend(body.map(|name| json!({ "name": name, "type": "stream<u8>" })));
        json!({
            "name": method.name,
            "mode": spec.mode,
            "params": params,
            "result": method.result,
            "docs": method.docs,
            "not_callable": method.not_callable,
        })
    });
    shown.collect()
}

fn summary(record: &RevisionRecord) -> Value {
    json!({
        "revision": record.revision,
        "component": record.component,
        "deployed_at_ms": record.deployed_at_ms,
        "verdict": record.verdict,
    })
}

async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
) -> Answer<axum::Json<Value>> {
    let name = kind_name(&kind)?;
    let live = shared
        .node
        .kinds
        .remove(&name)
        .await
        .map_err(deploy_problem)?;
    Ok(axum::Json(
        json!({ "kind": name, "dropped_activations": live }),
    ))
}

async fn revisions(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
) -> Answer<axum::Json<Value>> {
    let record = shared.kind(&kind_name(&kind)?)?;
    let revisions: Vec<_> = record.revisions.iter().map(summary).collect();
    Ok(axum::Json(
        json!({ "current": record.current, "revisions": revisions }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    component: Digest,
    #[serde(default)]
    manifest: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[derive(Default)]
struct DeployQuery {
    dry_run: bool,
    breaking: bool,
}

async fn deploy(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    Query(query): Query<DeployQuery>,
    Json(deployment): Json<Deployment>,
) -> Answer<Response> {
    let name = kind_name(&kind)?;
    let manifest = if deployment.manifest.is_null() {
        json!({})
    } else {
        deployment.manifest
    };
    let spec = kind_from_json(&name, &manifest).map_err(|problems| {
        Problem::new(&types::BAD_BODY, problems.to_string()).about_kind(name.as_str())
    })?;
    let about = |error| deploy_problem(error).about_kind(name.as_str());
    if query.dry_run {
        let plan = shared
            .node
            .kinds
            .plan(spec, deployment.component)
            .await
            .map_err(about)?;
        return Ok(axum::Json(plan).into_response());
    }
    let deployed = shared
        .node
        .kinds
        .deploy(spec, deployment.component, query.breaking)
        .await
        .map_err(about)?;
    let status = if deployed.unchanged {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let location = format!("/v1/kinds/{name}/revisions/{}", deployed.revision);
    Ok((status, [(LOCATION, location)], axum::Json(deployed)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackQuery {
    to: Option<Revision>,
}

async fn rollback(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    Query(query): Query<RollbackQuery>,
) -> Answer<Response> {
    let name = kind_name(&kind)?;
    let deployed = shared
        .node
        .kinds
        .rollback(&name, query.to)
        .await
        .map_err(deploy_problem)?;
    Ok(axum::Json(deployed).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    from: Option<Revision>,
    to: Option<Revision>,
}

async fn diff(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Answer<Response> {
    let record = shared.kind(&kind_name(&kind)?)?;
    let to = query.to.unwrap_or(record.current);
    let earlier = record
        .revisions
        .iter()
        .map(|record| record.revision)
        .rfind(|revision| *revision < to);
    let Some(from) = query.from.or(earlier) else {
        return Err(deploy_problem(DeployError::NothingBefore {
            kind: record.name.clone(),
        }));
    };
    let diff = shared
        .node
        .kinds
        .diff(&record.name, from, to)
        .await
        .map_err(deploy_problem)?;
    Ok(axum::Json(diff).into_response())
}

/// The record of a revision named in a path, `current` included.
fn revision_of(
    shared: &Shared,
    kind: &str,
    revision: &str,
) -> Answer<(Arc<KindRecord>, RevisionRecord)> {
    let record = shared.kind(&kind_name(kind)?)?;
    let number = match revision {
        "current" => record.current,
        text => text
            .parse()
            .map(Revision)
            .map_err(|_| Problem::new(&types::BAD_PATH, format!("'{text}' is no revision")))?,
    };
    let kept = || {
        record
            .revisions
            .iter()
            .map(|record| record.revision)
            .collect()
    };
    let found = record.revision(number).cloned();
    let missing = || {
        deploy_problem(DeployError::NoRevision {
            kind: record.name.clone(),
            revision: number,
            kept: kept(),
        })
    };
    let found = found.ok_or_else(missing)?;
    Ok((record, found))
}

async fn revision(
    State(shared): State<Arc<Shared>>,
    Path((kind, revision)): Path<(String, String)>,
) -> Answer<Response> {
    let (kind, record) = revision_of(&shared, &kind, &revision)?;
    let mut shown = summary(&record);
    shown["current"] = (kind.current == record.revision).into();
    shown["spec"] = json!(record.spec);
    shown["grants"] = record.spec.grants.describe().into();
    Ok(axum::Json(shown).into_response())
}

async fn component_of(
    shared: &Shared,
    kind: &str,
    revision: &str,
) -> Answer<(RevisionRecord, Arc<Component>)> {
    let (kind, record) = revision_of(shared, kind, revision)?;
    let component = shared
        .node
        .kinds
        .interface(&kind.name, Some(record.revision))
        .await
        .map_err(deploy_problem)?;
    Ok((record, component))
}

async fn wit(
    State(shared): State<Arc<Shared>>,
    Path((kind, revision)): Path<(String, String)>,
) -> Answer<Response> {
    let (_, component) = component_of(&shared, &kind, &revision).await?;
    Ok((
        [(CONTENT_TYPE, "text/plain; charset=utf-8")],
        component.interface.wit.clone(),
    )
        .into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientQuery {
    #[serde(default, rename = "async")]
    is_async: bool,
    package: Option<String>,
}

async fn client_wit(
    State(shared): State<Arc<Shared>>,
    Path((kind, revision)): Path<(String, String)>,
    Query(query): Query<ClientQuery>,
) -> Answer<Response> {
    let (record, component) = component_of(&shared, &kind, &revision).await?;
    let kind = record.spec.name.as_str();
    let methods = &component.interface.methods;
    let problem = |error: ClientError| {
        let ty = match error {
            ClientError::Name { .. } => &types::BAD_REQUEST,
            ClientError::Wit { .. }
            | ClientError::NoWorld { .. }
            | ClientError::NothingToCall
            | ClientError::Twice { .. }
            | ClientError::Unwritable { .. } => &types::NO_CLIENT,
        };
        Problem::new(ty, error.to_string()).about_kind(kind)
    };
    let package = match query.package {
        Some(package) => package,
        None => client::package(kind, methods).map_err(problem)?,
    };
    let look = Look {
        package,
        is_async: query.is_async,
    };
    let text = client::wit(methods, &look).map_err(problem)?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn openapi_of(
    State(shared): State<Arc<Shared>>,
    Path((kind, revision)): Path<(String, String)>,
) -> Answer<Response> {
    let (record, component) = component_of(&shared, &kind, &revision).await?;
    Ok(axum::Json(openapi(&record.spec, record.revision, &component.interface)).into_response())
}

async fn schema_of(
    State(shared): State<Arc<Shared>>,
    Path((kind, revision)): Path<(String, String)>,
) -> Answer<Response> {
    let (_, component) = component_of(&shared, &kind, &revision).await?;
    Ok(axum::Json(json_schema(&component.interface)).into_response())
}

/// Why a deployment or a question about a kind was refused, as a problem.
pub(crate) fn deploy_problem(error: DeployError) -> Box<Problem> {
    let detail = error.to_string();
    match error {
        DeployError::NoKind { name, .. } => {
            Problem::new(&types::NOT_FOUND, detail).about_kind(name)
        }
        DeployError::NoRevision { kind, .. } => {
            Problem::new(&types::NO_REVISION, detail).about_kind(kind.as_str())
        }
        DeployError::NothingBefore { kind } => {
            Problem::new(&types::NOTHING_BEFORE, detail).about_kind(kind.as_str())
        }
        DeployError::NoArtifact { .. } => Problem::new(&types::NO_ARTIFACT, detail),
        DeployError::Component(error) => super::artifacts::component_problem(error),
        DeployError::Link(_) => Problem::new(&types::BAD_GRANTS, detail),
        DeployError::NoMethod { nearest, .. } => {
            Problem::new(&types::NO_METHOD, detail).with("nearest", nearest)
        }
        DeployError::NotAsync { .. } => Problem::new(&types::NOT_ASYNC, detail),
        DeployError::Start { backtrace, .. } => {
            Problem::new(&types::START_FAILED, detail).with_backtrace(backtrace)
        }
        DeployError::Breaking { plan } => {
            Problem::new(&types::BREAKING, detail).with("plan", json!(plan))
        }
        DeployError::Misfit { plan } => {
            Problem::new(&types::CLIENT_MISFIT, detail).with("plan", json!(plan))
        }
        DeployError::Conflict { kind } => {
            Problem::new(&types::DEPLOY_CONFLICT, detail).about_kind(kind.as_str())
        }
        DeployError::Unavailable { .. } => Problem::new(&types::UNAVAILABLE, detail),
    }
}
