use std::sync::Arc;

use granary_core::limits::Limits;

use super::*;
use crate::interface::Method;
use crate::interface::sample::api;

mod arguments;
mod properties;
mod typed;
mod types;

/// The method `f` of an interface with these items.
fn method(items: &str) -> Arc<Method> {
    Arc::clone(api(items).method("f").unwrap())
}

/// What goes in as the method's only argument, as it comes out again.
fn there_and_back(method: &Method, json: &str) -> Result<String, ValueError> {
    let arguments = method.arguments_from_json(format!("[{json}]").as_bytes(), &Limits::DEFAULT)?;
    let cbor_way = {
        let results = Results::new(arguments.vals().to_vec());
        let cbor = method.results_to_cbor(&results, &Limits::DEFAULT)?.bytes;
        let document = [&[0x81], cbor.as_slice()].concat();
        method.arguments_from_cbor(&document, &Limits::DEFAULT)?
    };
    let written = |arguments: Arguments| {
        let results = Results::new(arguments.vals().to_vec());
        let body = method.results_to_json(&results, JsonOptions::default(), &Limits::DEFAULT)?;
        Ok::<_, ValueError>(String::from_utf8(body.bytes).unwrap())
    };
    let (json, cbor) = (written(arguments)?, written(cbor_way)?);
    assert_eq!(json, cbor, "JSON and CBOR differ");
    Ok(json)
}

/// The error of a document, as pointer and text.
fn refusal(method: &Method, json: &str) -> (String, String) {
    let error = method
        .arguments_from_json(json.as_bytes(), &Limits::DEFAULT)
        .unwrap_err();
    (error.pointer, error.detail)
}
