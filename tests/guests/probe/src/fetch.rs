//! One request by `wasi:http`.

use wasip2::http::outgoing_handler::{OutgoingRequest, handle};
use wasip2::http::types::{Fields, IncomingResponse, Method, Scheme};

/// What is kept of the body.
const BODY_BYTES: u64 = 4096;

/// Answers the status and the start of the body.
pub fn fetch(method: &str, url: &str) -> Result<(u16, String), String> {
    let response = respond(method, url)?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let text = stream.blocking_read(BODY_BYTES).unwrap_or_default();
    Ok((
        response.status(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

fn respond(method: &str, url: &str) -> Result<IncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| "bad scheme")?;
    request
        .set_authority(Some(authority))
        .map_err(|()| "bad authority")?;
    request
        .set_path_with_query(Some(if path.is_empty() { "/" } else { path }))
        .map_err(|()| "bad path")?;
    request
        .set_method(&method_of(method))
        .map_err(|()| "bad method")?;
    let coming = handle(request, None).map_err(|code| format!("{code:?}"))?;
    coming.subscribe().block();
    let answer = coming
        .get()
        .ok_or("not ready")?
        .map_err(|()| "taken twice")?;
    answer.map_err(|code| format!("{code:?}"))
}

fn method_of(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    }
}
