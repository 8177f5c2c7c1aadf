//! Plausible arguments, made from a method's JSON Schema: what a curl line shows to a newcomer.

use serde_json::{Map, Value, json};

use crate::cli::client::encode;

/// How deep a sample goes before it gives up on a type that holds itself.
const DEPTH_MAX: usize = 8;

/// A ready curl line for every method of a kind's OpenAPI document, in its order.
pub fn curl_lines(base: &str, kind: &str, key: &str, document: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        let Some(method) = path
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty() && !name.contains(['{', '*']))
        else {
            continue;
        };
        let url = format!("{base}/g/{kind}/{}/{}", encode(key), encode(method));
        let body = &operations["post"]["requestBody"]["content"]["application/json"]["schema"];
        let arguments = arguments(document, body);
        lines.push(match (&operations["get"], arguments) {
            (Value::Object(_), None) => format!("curl {url}"),
            (_, None) => format!("curl -X POST {url}"),
            (_, Some(arguments)) => format!(
                "curl {url} -d '{}'",
                arguments.to_string().replace('\'', "'\\''")
            ),
        });
    }
    lines
}

/// A body that fits a request's schema; none for a method without parameters.
fn arguments(root: &Value, schema: &Value) -> Option<Value> {
    let choices: Vec<&Value> = match alternatives(schema) {
        Some(list) => list.iter().map(|choice| resolve(root, choice)).collect(),
        None => vec![resolve(root, schema)],
    };
    let array = choices
        .iter()
        .find(|choice| choice["type"] == "array" && choice["prefixItems"].is_array());
    let object = choices
        .iter()
        .find(|choice| choice["properties"].is_object());
    let chosen = array.or(object).or_else(|| choices.first())?;
    let value = value(root, chosen, "", 0);
    match &value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(members) if members.is_empty() => None,
        Value::Array(_)
        | Value::Object(_)
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => Some(value),
    }
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"]
        .as_array()
        .or_else(|| schema["anyOf"].as_array())
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix('#'));
    reference
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}

/// A value that fits a schema. `name` is what the place is called: a text says it.
fn value(root: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    let schema = resolve(root, schema);
    if DEPTH_MAX < depth {
        return Value::Null;
    }
    let given = ["const", "default", "example"]
        .into_iter()
        .find_map(|key| schema.get(key));
    let listed = || {
        ["examples", "enum"]
            .into_iter()
            .find_map(|key| schema[key].as_array()?.first())
    };
    if let Some(value) = given.or_else(listed) {
        return value.clone();
    }
    if let Some(list) = alternatives(schema) {
        let is_null = |choice: &&Value| resolve(root, choice)["type"] == "null";
        let chosen = list
            .iter()
            .find(|choice| !is_null(choice))
            .or_else(|| list.first());
        return chosen.map_or(Value::Null, |choice| value(root, choice, name, depth + 1));
    }
    match type_of(schema) {
        "object" => object(root, schema, depth),
        "array" => array(root, schema, name, depth),
        "string" if schema["contentEncoding"] == "base64" => json!("aGVsbG8="),
        "string" if schema["maxLength"] == 1 => json!("a"),
        "string" => json!(if name.is_empty() { "text" } else { name }),
        "integer" => schema["minimum"]
            .as_i64()
            .filter(|least| 1 < *least)
            .map_or_else(|| json!(1), Into::into),
        "number" => json!(1.5),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(name) => name,
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)
            if schema["properties"].is_object() =>
        {
            "object"
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "",
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let required: Option<Vec<&str>> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect());
    let is_wanted = |name: &str| required.as_ref().is_none_or(|names| names.contains(&name));
    let members = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_wanted(name));
    members
        .map(|(name, schema)| (name.clone(), value(root, schema, name, depth + 1)))
        .collect::<Map<_, _>>()
        .into()
}

fn array(root: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    if let Some(items) = schema["prefixItems"].as_array() {
        let title = |item: &Value| item["title"].as_str().unwrap_or_default().to_owned();
        return items
            .iter()
            .map(|item| value(root, item, &title(item), depth + 1))
            .collect();
    }
    let single = name.strip_suffix('s').unwrap_or(name);
    json!([value(root, &schema["items"], single, depth + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_line_carries_arguments_that_fit() {
        let document = json!({
            "paths": {
                "/g/cart/{key}/put": { "post": { "requestBody": { "content": { "application/json": { "schema": { "oneOf": [
                    { "type": "array", "prefixItems": [{ "$ref": "#/components/schemas/item" }] },
                    { "type": "object", "properties": { "item": { "$ref": "#/components/schemas/item" } } },
                ] } } } } } },
                "/g/cart/{key}/change": { "post": { "requestBody": { "content": { "application/json": { "schema": { "anyOf": [
                    { "type": "object", "properties": { "sku": { "type": "string" }, "count": { "type": ["integer", "string"] } } },
                    { "type": "array", "prefixItems": [{ "type": "string" }, { "type": ["integer", "string"] }] },
                ] } } } } } },
                "/g/cart/{key}/total": { "post": {}, "get": {} },
                "/g/cart/{key}/clear": { "post": {} },
                "/g/cart/{key}": { "delete": {} },
            },
            "components": { "schemas": { "item": {
                "type": "object",
                "required": ["sku", "count", "tags"],
                "properties": {
                    "sku": { "type": "string" },
                    "count": { "type": "integer", "minimum": 0 },
                    "tags": { "type": "array", "items": { "enum": ["it's", "b"] } },
                    "note": { "anyOf": [{ "type": "null" }, { "type": "string" }] },
                },
            } } },
        });
        assert_eq!(
            curl_lines("http://h", "cart", "a b", &document),
            [
                "curl http://h/g/cart/a%20b/put -d '[{\"sku\":\"sku\",\"count\":1,\"tags\":[\"it'\\''s\"]}]'",
                "curl http://h/g/cart/a%20b/change -d '[\"text\",1]'",
                "curl http://h/g/cart/a%20b/total",
                "curl -X POST http://h/g/cart/a%20b/clear",
            ]
        );
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        let root = json!({ "node": { "type": "array", "items": { "$ref": "#/node" } } });
        assert!(value(&root, &root["node"], "", 0).is_array());
    }
}
