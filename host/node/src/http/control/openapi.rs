//! `/v1/openapi.json`: made from the routes themselves, so that neither can be without the other.

use http::Method;
use serde_json::{Map, Value, json};

use super::{Doc, routes};

/// The data plane's routes, which the router does not serve.
fn data_routes() -> Vec<(Method, &'static str, Doc)> {
    const METHOD: &str = "/g/{kind}/{key}/{method}";
    const GRAIN: &str = "/g/{kind}/{key}";
    let read = Doc::new(
        "read",
        "Calls a read method; arguments are query parameters",
    )
    .header(
        "if-none-match",
        "The ETag of a copy: answered 304 from the state version, without activating the grain",
    )
    .json(200, "The result, with an ETag")
    .gives(304, "The copy is current", None);
    let batch = Doc::new(
        "batch",
        "Calls many: a list of {key, method, args}; calls of one key in order, others side by side",
    )
    .body("application/json")
    .json(
        200,
        "A list of {status, value or problem} in the same order",
    );
    let describe = Doc::new(
        "describeGrain",
        "What is known of a grain, without activating it",
    )
    .json(200, "The grain");
    let drop_grain = Doc::new("dropGrain", "Drops a grain's activation")
        .query("purge", "true: erase its state, too")
        .json(200, "What was done");
    let raw = Doc::new("rawHttp", "Any request, by any method: the component's own wasi:http/incoming-handler serves it, streaming both ways")
        .gives(200, "Whatever the component answers", None);
    let health = Doc::new(
        "getHealth",
        "Whether the process answers; never asks for a token",
    )
    .json(200, "It does");
    vec![
        (Method::POST, METHOD, call()),
        (Method::GET, METHOD, read),
        (Method::POST, "/g/{kind}/$batch", batch),
        (Method::GET, GRAIN, describe),
        (Method::DELETE, GRAIN, drop_grain),
        (Method::GET, "/g/{kind}/{key}/http/{*path}", raw),
        (Method::GET, "/healthz", health),
    ]
}

fn call() -> Doc {
    Doc::new(
        "call",
        "Calls a method: a JSON list of arguments, an object by parameter name, or a lone value",
    )
    .query("timeout", "How long to wait, as in 5s")
    .query("delay", "Call later, durably; answers 202")
    .query("at", "Call at this moment (RFC 3339), durably; answers 202")
    .query("wait", "0: do not wait; answers 202")
    .query(
        "int64",
        "string: every 64-bit integer of the result as a string",
    )
    .header(
        "idempotency-key",
        "A second call with the same key gets the first one's answer",
    )
    .header("prefer", "respond-async: do not wait; answers 202")
    .header("grain-timeout", "As ?timeout=")
    .header(
        "baggage",
        "W3C baggage that travels with every call that this one causes",
    )
    .body("application/json")
    .json(200, "The result")
    .json(202, "Kept; Location tells where to ask")
    .gives(204, "The method returns nothing", None)
}

fn all() -> Vec<(Method, &'static str, Doc)> {
    let mut all = data_routes();
    all.extend(
        routes()
            .into_iter()
            .map(|route| (route.method, route.path, route.doc)),
    );
    all
}

/// Every path, as a pattern.
pub(super) fn paths() -> Vec<&'static str> {
    all().into_iter().map(|(_, path, _)| path).collect()
}

/// The document.
pub(super) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, doc) in all() {
        let item = paths
            .entry(path.replace("{*", "{"))
            .or_insert_with(|| json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation(path, &doc);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Granary",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Calls to grains under /g, control under /v1. Each kind has a document of its own under /v1/kinds/KIND/revisions/REVISION/openapi.json.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": problem_schema() },
        },
        "security": [{}, { "bearer": [] }],
    })
}

fn operation(path: &str, doc: &Doc) -> Value {
    let in_path = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{'))
        .map(|part| {
            let name = part.trim_start_matches('*').trim_end_matches('}');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
    let named = |place: &'static str| move |(name, text): &(&'static str, &'static str)| json!({ "name": name, "in": place, "description": text, "schema": { "type": "string" } });
    let parameters: Vec<Value> = in_path
        .chain(doc.query.iter().map(named("query")))
        .chain(doc.headers.iter().map(named("header")))
        .collect();
    let mut responses = Map::new();
    for (status, text, media) in &doc.answers {
        let content = media.map(|media| json!({ media: {} }));
        let mut response = json!({ "description": text });
        if let Some(content) = content {
            response["content"] = content;
        }
        responses.insert(status.to_string(), response);
    }
    let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    responses.insert(
        "default".into(),
        json!({ "description": "A problem", "content": problem }),
    );
    let mut operation = json!({ "operationId": doc.id, "summary": doc.summary, "parameters": parameters, "responses": responses });
    if let Some(media) = doc.body {
        operation["requestBody"] = json!({ "content": { media: {} } });
    }
    operation
}

fn problem_schema() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance", "node", "retryable", "outcome", "try"],
        "properties": {
            "type": text, "title": text, "detail": text, "instance": text, "node": text,
            "status": { "type": "integer" },
            "kind": text, "key": text, "method": text, "revision": { "type": "integer" },
            "call-chain": texts,
            "retryable": { "type": "boolean", "description": "Whether the same call may be repeated without doing anything twice" },
            "outcome": { "enum": ["not-started", "no-effect", "committed", "unknown"] },
            "try": { "type": "string", "description": "What to do" },
            "error": { "description": "The value of the method's err" },
            "pointer": { "type": "string", "description": "JSON pointer to the wrong place of the arguments" },
            "limit": text,
            "backtrace": texts,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_documented_once_and_under_a_name_of_its_own() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|(_, _, doc)| doc.id).collect();
        let places: BTreeSet<_> = all
            .iter()
            .map(|(method, path, _)| (method.as_str(), *path))
            .collect();
        assert_eq!((names.len(), places.len()), (all.len(), all.len()));
        let document = document();
        for (method, path, doc) in &all {
            let operation =
                &document["paths"][path.replace("{*", "{")][method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["operationId"], doc.id);
            assert!(!doc.answers.is_empty(), "{} answers something", doc.id);
        }
    }
}
