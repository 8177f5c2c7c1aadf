//! An HTTP grain with durable state: a raw HTTP turn commits like any other.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add` | one more; the count |
//! | `GET /count` | the count |
//! | `POST /trap` | one more, then a trap: the count stays as it was |

use granary_sdk::state::Value;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

const COUNT: Value<u64> = Value::at("count");

struct Count;

impl Guest for Count {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (status, text) = match path.as_str() {
            "/add" => (200, add().to_string()),
            "/count" => (200, count().to_string()),
            "/trap" => {
                add();
                panic!("as told");
            }
            other => (404, format!("there is no {other}")),
        };
        respond(outparam, status, &text);
    }
}

fn count() -> u64 {
    COUNT.get().expect("the state is readable").unwrap_or(0)
}

fn add() -> u64 {
    let count = count() + 1;
    COUNT.set(&count).expect("the state is writable");
    count
}

fn respond(outparam: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response
        .set_status_code(status)
        .expect("the status is valid");
    let body = response.body().expect("a response has one body");
    ResponseOutparam::set(outparam, Ok(response));
    let out = body.write().expect("a body has one stream");
    let written = out.blocking_write_and_flush(text.as_bytes());
    drop(out);
    if written.is_ok() {
        OutgoingBody::finish(body, None).expect("the body is whole");
    }
}

wasip2::http::proxy::export!(Count);
