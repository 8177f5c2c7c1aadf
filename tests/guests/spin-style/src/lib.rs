//! Imports what an HTTP component that Spin's SDK built imports, and nothing of Granary. A request's path is a command and its words.

use bindings::fermyon::spin::{key_value, variables};
use bindings::wasi::config::store as config;
use bindings::wasi::keyvalue::{atomics, batch, store};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../../host/runtime/wit/deps/keyvalue-draft2",
            "../../../host/runtime/wit/deps/config-draft-2024-09-27",
            "../../../host/runtime/wit/deps/spin",
            "wit",
        ],
        world: "test:spin-style/component",
        generate_all,
    });
}

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        if words == ["late"] {
            respond(outparam, 200, "first");
            // The client ends its body when it has the response.
            read_to_end(&request);
            let store = key_value::Store::open("default").expect("it opens");
            eprintln!("{:?}", store.set("late", b"too late"));
            return;
        }
        match run(&words) {
            Ok(text) => respond(outparam, 200, &text),
            Err(text) => respond(outparam, 400, &text),
        }
    }
}

fn run(words: &[&str]) -> Result<String, String> {
    match words {
        ["hits"] => spin(hits()),
        ["set", label, key, value] => {
            spin(key_value::Store::open(label).and_then(|s| s.set(key, value.as_bytes())))?;
            Ok(String::new())
        }
        ["get", label, key] => {
            let value = spin(key_value::Store::open(label).and_then(|s| s.get(key)))?;
            Ok(value.map_or_else(|| "nothing".to_owned(), text))
        }
        ["delete", label, key] => {
            let store = spin(key_value::Store::open(label))?;
            let was = spin(store.exists(key))?;
            spin(store.delete(key))?;
            Ok(format!("{was} {}", spin(store.exists(key))?))
        }
        ["keys", label] => {
            Ok(spin(key_value::Store::open(label).and_then(|s| s.get_keys()))?.join(","))
        }
        ["fill", bucket, count] => wasi(fill(bucket, count.parse().expect("a number"))),
        ["pages", bucket] => wasi(pages(bucket)),
        ["add", bucket, key, delta] => {
            let delta = delta.parse().expect("a number");
            let sum = store::open(bucket).and_then(|b| atomics::increment(&b, key, delta));
            Ok(wasi(sum)?.to_string())
        }
        ["batch"] => wasi(several()),
        ["compare"] => wasi(compare()),
        ["large", kib] => {
            let bytes = vec![b'x'; kib.parse::<usize>().expect("a number") << 10];
            wasi(store::open("default").and_then(|b| b.set("large", &bytes)))?;
            Ok("kept".to_owned())
        }
        ["variable", name] => variables::get(name).map_err(|e| format!("{e:?}")),
        ["config", name] => {
            let value = config::get(name).map_err(|e| format!("{e:?}"))?;
            Ok(format!("{value:?}"))
        }
        ["panic"] => panic!("as told"),
        other => Err(format!("there is no {other:?}")),
    }
}

fn hits() -> Result<String, key_value::Error> {
    let store = key_value::Store::open("default")?;
    let hits = match store.get("hits")? {
        Some(bytes) => text(bytes).parse().unwrap_or(0),
        None => 0,
    } + 1;
    store.set("hits", hits.to_string().as_bytes())?;
    Ok(hits.to_string())
}

fn fill(bucket: &str, count: u32) -> Result<String, store::Error> {
    let bucket = store::open(bucket)?;
    let entries: Vec<_> = (0..count)
        .map(|at| (format!("k{at:05}"), at.to_string().into_bytes()))
        .collect();
    batch::set_many(&bucket, &entries)?;
    Ok(count.to_string())
}

fn pages(bucket: &str) -> Result<String, store::Error> {
    let bucket = store::open(bucket)?;
    let (mut pages, mut keys, mut cursor) = (0, Vec::new(), None);
    loop {
        let page = bucket.list_keys(cursor.as_deref())?;
        pages += 1;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            let sorted = keys.is_sorted();
            return Ok(format!(
                "{pages} pages, {} keys, sorted: {sorted}",
                keys.len()
            ));
        }
    }
}

fn several() -> Result<String, store::Error> {
    let bucket = store::open("several")?;
    let entry = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
    batch::set_many(&bucket, &[entry("a", "1"), entry("b", "2")])?;
    let keys = ["a", "x", "b"].map(str::to_owned);
    let before = batch::get_many(&bucket, &keys)?;
    batch::delete_many(&bucket, &keys[..2])?;
    let after = batch::get_many(&bucket, &keys)?;
    let shown = |found: Vec<(String, Option<Vec<u8>>)>| {
        let shown = found
            .into_iter()
            .map(|(key, value)| format!("{key}={}", value.map_or("-".to_owned(), text)));
        shown.collect::<Vec<_>>().join(" ")
    };
    Ok(format!("{} / {}", shown(before), shown(after)))
}

fn compare() -> Result<String, store::Error> {
    let bucket = store::open("compared")?;
    let cas = atomics::Cas::new(&bucket, "k")?;
    let first = cas.current()?;
    let swapped = atomics::swap(cas, b"one").is_ok();
    let late = atomics::Cas::new(&bucket, "k")?;
    bucket.set("k", b"two")?;
    let next = match atomics::swap(late, b"three") {
        Err(atomics::CasError::CasFailed(next)) => next,
        Err(atomics::CasError::StoreError(error)) => return Err(error),
        Ok(()) => return Ok("a late swap went through".to_owned()),
    };
    let seen = next.current()?.map(text);
    let again = atomics::swap(next, b"three").is_ok();
    let last = bucket.get("k")?.map(text);
    Ok(format!("{first:?} {swapped} {seen:?} {again} {last:?}"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn spin<T>(result: Result<T, key_value::Error>) -> Result<T, String> {
    result.map_err(|error| format!("{error:?}"))
}

fn wasi<T>(result: Result<T, store::Error>) -> Result<T, String> {
    result.map_err(|error| format!("{error:?}"))
}

fn read_to_end(request: &IncomingRequest) {
    let body = request.consume().expect("a request has one body");
    let stream = body.stream().expect("a body has one stream");
    while stream.blocking_read(1024).is_ok() {}
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
