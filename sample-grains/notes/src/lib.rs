//! HTTP: an ordinary WASI HTTP component is a grain, as it is. There is no word of Granary in it.
//!
//! It is served under `/g/notes/{key}/http/…`, and the grain keeps its notes in memory while it is awake:
//!
//! | request | answer |
//! |---|---|
//! | `GET /notes` | every note, as a JSON object |
//! | `POST /notes` | takes the body as a new note; 201 and its place |
//! | `GET`, `PUT`, `DELETE /notes/{number}` | that note |
//! | `POST /echo` | the body, sent back while it is still arriving |
//! | `GET /big?mib=8` | so many MiB, made while they are sent |

mod book;
mod streams;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

use streams::{Answer, read_all, respond};

struct Notes;

impl Guest for Notes {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        match (request.method(), segments.as_slice()) {
            (Method::Post, ["echo"]) => streams::echo(&request, outparam),
            (Method::Get, ["big"]) => streams::big(mib(query), outparam),
            (method, ["notes"]) => respond(outparam, &all(&method, &request)),
            (method, ["notes", number]) => respond(outparam, &one(&method, number, &request)),
            _ => respond(
                outparam,
                &Answer::text(
                    404,
                    "there are /notes, /notes/{number}, /echo and /big?mib=…\n",
                ),
            ),
        }
    }
}

fn all(method: &Method, request: &IncomingRequest) -> Answer {
    match method {
        Method::Get => Answer::json(200, &book::all()),
        Method::Post => match read_text(request) {
            Ok(text) => {
                let number = book::add(text);
                Answer::json(201, &number).at(format!("notes/{number}"))
            }
            Err(refused) => refused,
        },
        _ => Answer::text(405, "GET or POST\n"),
    }
}

fn one(method: &Method, number: &str, request: &IncomingRequest) -> Answer {
    let Ok(number) = number.parse() else {
        return Answer::text(404, "a note has a number\n");
    };
    let found = match method {
        Method::Get => book::get(number),
        Method::Delete => book::remove(number),
        Method::Put => match read_text(request) {
            Ok(text) => book::replace(number, text),
            Err(refused) => return refused,
        },
        _ => return Answer::text(405, "GET, PUT or DELETE\n"),
    };
    found.map_or_else(
        || Answer::text(404, "there is no such note\n"),
        |text| Answer::text(200, &text),
    )
}

fn read_text(request: &IncomingRequest) -> Result<String, Answer> {
    let bytes = read_all(request).map_err(|why| Answer::text(400, &why))?;
    String::from_utf8(bytes).map_err(|_| Answer::text(400, "a note is text\n"))
}

fn mib(query: &str) -> u32 {
    query
        .split('&')
        .find_map(|part| part.strip_prefix("mib=")?.parse().ok())
        .unwrap_or(1)
}

wasip2::http::proxy::export!(Notes);
