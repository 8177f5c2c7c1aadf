//! Imports what an HTTP component for wasmCloud imports, and nothing of Granary. A request's path is a command and its words.

use bindings::exports::test::wasmcloud_style::methods;
use bindings::wasi::blobstore::blobstore;
use bindings::wasi::blobstore::container::Container;
use bindings::wasi::blobstore::types::{IncomingValue, ObjectId, OutgoingValue};
use bindings::wasi::config0_2_0_draft::runtime;
use bindings::wasi::config0_2_0_rc_1::store as config;
use bindings::wasi::io::streams::StreamError;
use bindings::wasi::keyvalue::{atomics, batch, store};
use bindings::wasi::logging::logging::{Level, log};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../../host/runtime/wit/deps/io",
            "../../../host/runtime/wit/deps/keyvalue-draft",
            "../../../host/runtime/wit/deps/blobstore",
            "../../../host/runtime/wit/deps/logging",
            "../../../host/runtime/wit/deps/config-draft",
            "../../../host/runtime/wit/deps/config-rc1",
            "wit",
        ],
        world: "test:wasmcloud-style/component",
        generate_all,
    });
    export!(Component with_types_in self);
    use super::Component;
}

/// What a stream takes at once.
const WRITE_BYTES: usize = 4096;

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        match run(&words) {
            Ok(text) => respond(outparam, 200, &text),
            Err(text) => respond(outparam, 400, &text),
        }
    }
}

impl methods::Guest for Component {
    async fn try_to_write() -> Vec<String> {
        let set = store::open("default").and_then(|bucket| bucket.set("k", b"v"));
        let created = blobstore::create_container("c").map(drop);
        vec![format!("{set:?}"), format!("{created:?}")]
    }
}

fn run(words: &[&str]) -> Result<String, String> {
    match words {
        ["count"] => kv(store::open("").and_then(|b| atomics::increment(&b, "count", 1)))
            .map(|count| count.to_string()),
        ["keys"] => kv(keys()),
        ["numbers"] => kv(numbers()),
        ["put", container, name, kib] => put(container, name, kib.parse().expect("a number")),
        ["get", container, name, start, end] => {
            let number = |text: &str| text.parse().unwrap_or(u64::MAX);
            let value =
                blobstore::get_container(container)?.get_data(name, number(start), number(end))?;
            Ok(summary(&IncomingValue::incoming_value_consume_sync(value)?))
        }
        ["stream", container, name] => stream(container, name),
        ["info", container, name] => {
            let container = blobstore::get_container(container)?;
            let info = container.object_info(name)?;
            let age = container.info()?.created_at <= info.created_at;
            Ok(format!(
                "{} {} {} {age}",
                info.container, info.name, info.size
            ))
        }
        ["list", container] => list(&blobstore::get_container(container)?),
        ["move", from, name, to, new] => {
            if !blobstore::container_exists(to)? {
                blobstore::create_container(to)?;
            }
            let id = |container: &str, object: &str| ObjectId {
                container: container.to_owned(),
                object: object.to_owned(),
            };
            blobstore::copy_object(&id(from, name), &id(to, "copy"))?;
            blobstore::move_object(&id(from, name), &id(to, new))?;
            let left = blobstore::get_container(from)?.has_object(name)?;
            Ok(format!("left behind: {left}"))
        }
        ["delete", container, name] => {
            let container = blobstore::get_container(container)?;
            container.delete_object(name)?;
            container.has_object(name).map(|has| has.to_string())
        }
        ["clear", container] => {
            blobstore::get_container(container)?.clear()?;
            blobstore::delete_container(container)?;
            blobstore::container_exists(container).map(|exists| exists.to_string())
        }
        ["unfinished", container, name] => {
            let container = blobstore::get_container(container)?;
            let value = OutgoingValue::new_outgoing_value();
            container.write_data(name, &value)?;
            drop(value);
            container.has_object(name).map(|has| has.to_string())
        }
        ["log"] => {
            log(Level::Debug, "", "opening");
            log(Level::Warn, "orders", "late\nvery late");
            log(Level::Critical, "orders", "lost");
            Ok(String::new())
        }
        ["config", name] => Ok(format!("{:?} {:?}", runtime::get(name), config::get_all())),
        other => Err(format!("there is no {other:?}")),
    }
}

fn keys() -> Result<String, store::Error> {
    let bucket = store::open("many")?;
    let entries: Vec<_> = (0..2500)
        .map(|at: u32| (format!("k{at:04}"), b"v".to_vec()))
        .collect();
    batch::set_many(&bucket, &entries)?;
    let (mut pages, mut keys, mut cursor) = (0, Vec::new(), None);
    loop {
        let page = bucket.list_keys(cursor)?;
        pages += 1;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            let whole = keys.iter().eq(entries.iter().map(|(key, _)| key));
            return Ok(format!("{pages} pages, whole: {whole}"));
        }
    }
}

/// A number in eight bytes is counted on in eight bytes; what is no number is refused.
fn numbers() -> Result<String, store::Error> {
    let bucket = store::open("numbers")?;
    bucket.set("n", &41_u64.to_le_bytes())?;
    let sum = atomics::increment(&bucket, "n", 1)?;
    let binary = bucket.get("n")? == Some(42_u64.to_le_bytes().to_vec());
    bucket.set("t", b"text")?;
    let refused = atomics::increment(&bucket, "t", 1);
    let wanted = ["n", "absent"].map(str::to_owned);
    let found = batch::get_many(&bucket, &wanted)?;
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    Ok(format!("{sum} {binary} {refused:?} {found:?}"))
}

fn put(container: &str, name: &str, kib: usize) -> Result<String, String> {
    let container = if blobstore::container_exists(container)? {
        blobstore::get_container(container)?
    } else {
        blobstore::create_container(container)?
    };
    let value = OutgoingValue::new_outgoing_value();
    let body = value
        .outgoing_value_write_body()
        .map_err(|()| "no stream".to_owned())?;
    container.write_data(name, &value)?;
    let bytes: Vec<u8> = (0..kib << 10).map(byte).collect();
    for part in bytes.chunks(WRITE_BYTES) {
        body.blocking_write_and_flush(part)
            .map_err(|error| format!("{error:?}"))?;
    }
    drop(body);
    let again = value.outgoing_value_write_body().is_err();
    OutgoingValue::finish(value)?;
    Ok(format!("one stream: {again}"))
}

/// Every byte tells where it belongs.
fn byte(at: usize) -> u8 {
    u8::try_from(at % 251).expect("less than 251")
}

fn stream(container: &str, name: &str) -> Result<String, String> {
    let container = blobstore::get_container(container)?;
    let value = container.get_data(name, 0, u64::MAX)?;
    // What was opened stays whole, whatever becomes of the object.
    container.delete_object(name)?;
    let size = value.size();
    let body = IncomingValue::incoming_value_consume_async(value)?;
    let mut bytes = Vec::new();
    loop {
        match body.blocking_read(64 << 10) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(format!("{error:?}")),
        }
    }
    Ok(format!("{size} {}", summary(&bytes)))
}

fn summary(bytes: &[u8]) -> String {
    let right = bytes
        .iter()
        .enumerate()
        .all(|(at, found)| *found == byte(at));
    let first = bytes.first().map_or("nothing".to_owned(), u8::to_string);
    format!(
        "{} bytes, first {first}, from the start: {right}",
        bytes.len()
    )
}

fn list(container: &Container) -> Result<String, String> {
    let names = container.list_objects()?;
    let (skipped, _) = names.skip_stream_object_names(1)?;
    let mut found = Vec::new();
    loop {
        let (names, ended) = names.read_stream_object_names(2)?;
        found.extend(names);
        if ended {
            return Ok(format!("{skipped} skipped: {}", found.join(" ")));
        }
    }
}

fn kv<T>(result: Result<T, store::Error>) -> Result<T, String> {
    result.map_err(|error| format!("{error:?}"))
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

wasip2::http::proxy::export!(Component);
