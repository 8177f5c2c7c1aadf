//! The OpenAPI 3.1 document of one revision of a kind.

use granary_core::id::Revision;
use granary_core::kind::{KindSpec, MethodSpec, Mode};
use serde_json::{Map, Value, json};

use super::{Schemas, callable, insert_docs};
use crate::interface::{Flow, Interface, Method};

/// The OpenAPI 3.1 document of one revision of a kind: each method under `/g/{kind}/{key}/{method}`, in every encoding.
pub fn openapi(spec: &KindSpec, revision: Revision, interface: &Interface) -> Value {
    let schemas = Schemas::new(interface, "#/components/schemas/");
    let kind = spec.name.to_string();
    let mut paths = Map::new();
    for method in callable(interface) {
        let settings = spec.methods.get(&method.name).cloned().unwrap_or_default();
        paths.insert(
            format!("/g/{kind}/{{key}}/{}", method.name),
            path(&schemas, method, &settings),
        );
    }
    if interface.http.is_some() {
        paths.insert(format!("/g/{kind}/{{key}}/http/{{path}}"), raw_path());
    }
    let mut components = schemas.definitions();
    // No WIT name is spelled like this one.
    components.insert("Problem".into(), problem());
    let description = if spec.description.is_empty() {
        format!("Grains of kind {kind}.")
    } else {
        spec.description.clone()
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": kind, "version": revision.to_string(), "description": description },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": parameters(),
            "responses": { "problem": {
                "description": "The call gave no result. `outcome` says whether it had an effect, `retryable` whether to repeat it.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn path(schemas: &Schemas<'_>, method: &Method, settings: &MethodSpec) -> Value {
    let mut item = Map::new();
    item.insert(
        "parameters".into(),
        json!([{ "$ref": "#/components/parameters/key" }]),
    );
    item.insert("post".into(), post(schemas, method, settings));
    // A `GET` has no body.
    if settings.mode == Mode::Read && method.stream_param.is_none() {
        item.insert("get".into(), get(schemas, method, settings));
    }
    item.into()
}

fn operation(method: &Method, id: String) -> Map<String, Value> {
    let mut operation = Map::new();
    operation.insert("operationId".into(), id.into());
    let summary = method.docs.as_deref().and_then(|docs| docs.lines().next());
    operation.extend(summary.map(|summary| ("summary".to_owned(), summary.into())));
    insert_docs(&mut operation, method.docs.as_deref());
    operation
}

fn post(schemas: &Schemas<'_>, method: &Method, settings: &MethodSpec) -> Value {
    if method.stream_param.is_some() {
        return upload(schemas, method, settings);
    }
    let mut operation = operation(method, method.name.clone());
    // Somebody has to be there for a stream, and what has flowed is not kept.
    let names: &[&str] = if method.streams() {
        &["int64"]
    } else {
        &["idempotency-key", "prefer", "int64"]
    };
    let parameters = names
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    operation.insert("parameters".into(), parameters.collect());
    let arguments = schemas.arguments(method);
    let mut content = Map::new();
    content.insert("application/cbor".into(), json!({ "schema": arguments }));
    if method.takes_raw() {
        content.insert("application/octet-stream".into(), json!({}));
    }
    content.insert("application/json".into(), json!({ "schema": arguments }));
    let needs_body = method
        .params
        .iter()
        .any(|param| !method.types.is_optional(param.ty));
    operation.insert(
        "requestBody".into(),
        json!({ "required": needs_body, "content": content }),
    );
    let mut responses = responses(schemas, method, settings);
    if !method.streams() {
        responses.insert("202".into(), json!({
            "description": "Accepted, as `Prefer: respond-async` asked.",
            "headers": { "location": { "description": "Where the outcome will be.", "schema": { "type": "string" } } },
        }));
    }
    operation.insert("responses".into(), responses.into());
    operation.into()
}

/// The body is a stream, so that the other arguments are in the query.
fn upload(schemas: &Schemas<'_>, method: &Method, settings: &MethodSpec) -> Value {
    let mut operation = operation(method, method.name.clone());
    let mut parameters = query(schemas, method);
    parameters.push(json!({ "$ref": "#/components/parameters/int64" }));
    operation.insert("parameters".into(), parameters.into());
    operation.insert(
        "requestBody".into(),
        json!({ "required": true, "content": { "application/octet-stream": {} } }),
    );
    operation.insert(
        "responses".into(),
        responses(schemas, method, settings).into(),
    );
    operation.into()
}

fn query(schemas: &Schemas<'_>, method: &Method) -> Vec<Value> {
    let query = method.params.iter().map(|param| {
        json!({
            "name": param.name,
            "in": "query",
            "required": !method.types.is_optional(param.ty),
            "content": { "application/json": { "schema": schemas.of(param.ty) } },
        })
    });
    query.collect()
}

fn get(schemas: &Schemas<'_>, method: &Method, settings: &MethodSpec) -> Value {
    let mut operation = operation(method, format!("{}.get", method.name));
    let mut parameters = query(schemas, method);
    parameters.push(json!({ "$ref": "#/components/parameters/int64" }));
    if !method.streams() {
        parameters.push(json!({ "$ref": "#/components/parameters/if-none-match" }));
    }
    operation.insert("parameters".into(), parameters.into());
    let mut responses = responses(schemas, method, settings);
    if !method.streams() {
        responses.insert(
            "304".into(),
            json!({ "description": "The state has not changed since the given ETag." }),
        );
    }
    operation.insert("responses".into(), responses.into());
    operation.into()
}

fn responses(schemas: &Schemas<'_>, method: &Method, settings: &MethodSpec) -> Map<String, Value> {
    let (ok, err) = schemas.outcomes(method);
    let mut responses = Map::new();
    match ok {
        Some(schema) => {
            let (description, content) = content(method, &schema);
            let mut response = json!({ "description": description, "content": content });
            if !method.flow.is_some_and(Flow::is_stream) {
                response["headers"] = headers();
            }
            responses.insert("200".into(), response);
        }
        None => {
            responses.insert(
                "204".into(),
                json!({ "description": "Done; there is no result.", "headers": headers() }),
            );
        }
    }
    if let Some(schema) = err {
        let status = settings.err_status.unwrap_or(400);
        let schema = json!({ "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "type": "object", "properties": { "error": schema }, "required": ["error"] },
        ] });
        responses.insert(
            status.to_string(),
            json!({
                "description": "The method answered `err`; its value is `error`.",
                "content": { "application/problem+json": { "schema": schema } },
            }),
        );
    }
    responses.insert(
        "default".into(),
        json!({ "$ref": "#/components/responses/problem" }),
    );
    responses
}

/// What a result is written as.
fn content(method: &Method, schema: &Value) -> (&'static str, Value) {
    let schema = json!({ "schema": schema });
    match method.flow {
        Some(Flow::Bytes) => (
            "The bytes as they come. A stream that fails is broken off.",
            json!({ "application/octet-stream": {} }),
        ),
        Some(Flow::Stream) => (
            "The items as they come, each a line or an event of JSON. A stream that fails ends with a line `{\"problem\": …}` and is broken off, or ends with an event `error`; one that ends well ends with an event `end`. Events have no ids: to connect again is to call again.",
            json!({ "application/x-ndjson": schema, "text/event-stream": schema }),
        ),
        Some(Flow::Future) | None => {
            let mut content = json!({ "application/json": schema, "application/cbor": schema });
            if method.gives_raw() {
                content["application/octet-stream"] = json!({});
            }
            ("The result.", content)
        }
    }
}

fn headers() -> Value {
    let header = |description: &str, kind: &str| json!({ "description": description, "schema": { "type": kind } });
    json!({
        "grain-revision": header("The revision that ran.", "integer"),
        "grain-state-version": header("How many commits have changed the grain's state.", "integer"),
    })
}

fn raw_path() -> Value {
    let operation = json!({
        "description": "Handled by the component's own `wasi:http/incoming-handler`. The path may have any number of segments.",
        "responses": { "default": { "description": "Whatever the component answers." } },
    });
    let mut item = Map::new();
    item.insert(
        "parameters".into(),
        json!([
            { "$ref": "#/components/parameters/key" },
            { "name": "path", "in": "path", "required": true, "schema": { "type": "string" } },
        ]),
    );
    for method in ["get", "head", "post", "put", "patch", "delete", "options"] {
        item.insert(method.into(), operation.clone());
    }
    item.into()
}

fn parameters() -> Value {
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } });
    json!({
        "key": {
            "name": "key", "in": "path", "required": true, "description": "Which grain of the kind.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 512 },
        },
        "idempotency-key": header("Idempotency-Key", "A second call of the same method with the same key gets the first one's answer, for 24 hours."),
        "prefer": header("Prefer", "`respond-async`: answer at once and run later."),
        "if-none-match": header("If-None-Match", "The ETag of an earlier answer."),
        "int64": {
            "name": "int64", "in": "query", "description": "`string`: write every 64-bit integer as a string.",
            "schema": { "enum": ["string"] },
        },
    })
}

fn problem() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "RFC 9457, with what a caller needs to decide what to do.",
        "properties": {
            "type": text(),
            "title": text(),
            "status": { "type": "integer" },
            "detail": text(),
            "instance": text(),
            "kind": text(),
            "key": text(),
            "method": text(),
            "revision": { "type": "integer" },
            "node": text(),
            "call-chain": { "type": "array", "items": text(), "description": "The grains that waited, the first caller first." },
            "retryable": { "type": "boolean" },
            "outcome": { "enum": ["not-started", "no-effect", "committed", "unknown"] },
            "try": { "type": "string", "description": "What to do about it." },
            "limit": { "type": "string", "description": "The limit that was exceeded, by its key in the manifest." },
            "pointer": { "type": "string", "description": "A JSON pointer to the wrong field of the arguments." },
        },
        "required": ["type", "title", "status", "retryable", "outcome"],
    })
}
