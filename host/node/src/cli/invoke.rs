//! `invoke` and `call`: methods of grains.

use std::io::Read;

use clap::{Args, Subcommand};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Map, Value};

use crate::cli::client::{Client, encode, grain_path, parse_grain};
use crate::cli::exit::{Error, Exit};
use crate::cli::inspect::show_fields;
use crate::cli::stream::{self, Sort};
use crate::cli::terminal::{Terminal, Tone, cell};
use crate::config::units::Period;

/// What `invoke` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Arguments are JSON values in order, or name=value; what is no JSON is taken as a text.\n@file reads JSON from a file, - from standard input; alone, that is all the arguments: an array, an object by name, or one value.\n\nExamples:\n  granary invoke counter/visits increment 5\n  granary invoke counter/visits increment by=5 --key order-77\n  granary invoke cart/ada put '{\"sku\": \"tea\", \"quantity\": 2}'\n  granary invoke cart/ada put @item.json\n  granary invoke report/may build --async\n  granary invoke album/ada add name=sea --body sea.jpg\n\nThe items of a stream are printed as they come, each on a line; those of a stream<u8> are bytes."
)]
pub struct InvokeArgs {
    /// The grain: kind/key
    grain: String,
    /// The method; `granary wit show KIND` lists them
    method: String,
    /// Arguments
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    arguments: Vec<String>,
    /// For a method whose last parameter is a stream<u8>: the file that is its body, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["respond_async", "key"])]
    body: Option<String>,
    /// Do not wait: print the id of the call, for `granary call`
    #[arg(long = "async")]
    respond_async: bool,
    /// Begin no sooner than after this time; with --async
    #[arg(long, value_name = "PERIOD", requires = "respond_async", value_parser = Period::parse)]
    delay: Option<Period>,
    /// An idempotency key: a second call with it gets the first one's answer, for 24 hours
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// How long to wait at most, such as 5s
    #[arg(long, value_name = "PERIOD", value_parser = Period::parse)]
    timeout: Option<Period>,
    /// Show what the node says beside the answer: revision, activation, times
    #[arg(long, short)]
    verbose: bool,
}

/// What `call` is told.
#[derive(Debug, Subcommand)]
pub enum CallCommand {
    /// Show how far an asynchronous call is
    Show {
        /// The call's id, as `invoke --async` printed it
        id: String,
    },
    /// Wait for its end and print its result
    Wait {
        /// The call's id
        id: String,
        /// How long to wait at most
        #[arg(long, value_name = "PERIOD", default_value = "5m", value_parser = Period::parse)]
        timeout: Period,
    },
    /// Cancel it: one that has not begun never will
    Cancel {
        /// The call's id
        id: String,
    },
}

/// Calls a method.
pub async fn invoke(client: &Client, terminal: &Terminal, args: &InvokeArgs) -> Result<(), Error> {
    let grain = parse_grain(&args.grain)?;
    let mut path = format!("/g/{}/{}", grain_path(&grain), encode(&args.method));
    if args.body.is_some() {
        path.push_str(&query(&args.arguments)?);
    }
    if let Some(delay) = args.delay {
        path.push_str(&format!(
            "?delay={}",
            encode(&delay.to_string().replace(' ', ""))
        ));
    }
    let mut request = with_wishes(client.request(Method::POST, &path), args);
    if let Some(file) = &args.body {
        request = request
            .header("content-type", "application/octet-stream")
            .body(stream::body(file)?);
    } else if let Some(body) = arguments(&args.arguments)? {
        request = request
            .header("content-type", "application/json")
            .body(body);
    }
    let response = client.send(request).await?;
    if args.verbose {
        show_headers(terminal, &response);
    }
    match stream::sort(&response) {
        Sort::Events => return stream::print_items(client, terminal, response).await,
        Sort::Bytes => return stream::print_bytes(client, terminal, response).await,
        Sort::Whole => {}
    }
    let body = response.bytes().await.map_err(|e| client.unreachable(&e))?;
    if args.respond_async {
        let accepted: Value = serde_json::from_slice(&body).unwrap_or_default();
        if terminal.is_json() {
            terminal.json(&accepted);
        } else {
            terminal.out(cell(&accepted["id"]));
            terminal.note(format!("next: granary call wait {}", cell(&accepted["id"])));
        }
        return Ok(());
    }
    print_result(terminal, &body);
    Ok(())
}

fn with_wishes(mut request: RequestBuilder, args: &InvokeArgs) -> RequestBuilder {
    request = if args.respond_async {
        request.header("prefer", "respond-async")
    } else {
        request.header("accept", stream::ACCEPT)
    };
    if let Some(key) = &args.key {
        request = request.header("idempotency-key", key);
    }
    if let Some(Period(timeout)) = args.timeout {
        request = request.header("grain-timeout", format!("{}ms", timeout.as_millis().max(1)));
    }
    request
}

fn show_headers(terminal: &Terminal, response: &Response) {
    let status = response.status();
    terminal.note(terminal.paint_err(
        Tone::Dim,
        &format!(
            "{} {}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        ),
    ));
    for (name, value) in response.headers() {
        let name = name.as_str();
        let of_interest = name.starts_with("grain-")
            || matches!(
                name,
                "server-timing" | "etag" | "location" | "idempotency-replayed"
            );
        if of_interest {
            let line = format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
            terminal.note(terminal.paint_err(Tone::Dim, &line));
        }
    }
}

/// A result as it came, indented where a person looks; nothing for a unit method.
fn print_result(terminal: &Terminal, body: &[u8]) {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() || value.is_array() => terminal.json(&value),
        Ok(_) | Err(_) if body.is_empty() => {}
        // Numbers stay as they were written: 64 bits do not fit into every program's numbers.
        Ok(_) | Err(_) => terminal.out(String::from_utf8_lossy(body)),
    }
}

/// The body of a call: none, whatever `@file` or `-` holds, an object by name or an array in order.
fn arguments(given: &[String]) -> Result<Option<Vec<u8>>, Error> {
    if let [only] = given
        && let Some(body) = from_elsewhere(only)?
    {
        return Ok(Some(body));
    }
    if given.is_empty() {
        return Ok(None);
    }
    let named: Vec<Option<(&str, &str)>> = given.iter().map(|text| split_name(text)).collect();
    if named.iter().all(Option::is_some) {
        let mut object = Map::new();
        for (name, text) in named.into_iter().flatten() {
            if object.insert(name.to_owned(), value(text)?).is_some() {
                return Err(Error::usage(
                    format!("'{name}' is given twice"),
                    "give each argument once",
                ));
            }
        }
        return Ok(Some(Value::Object(object).to_string().into_bytes()));
    }
    let values = given
        .iter()
        .map(|text| value(text))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Value::Array(values).to_string().into_bytes()))
}

/// Arguments beside a body, by name.
fn query(given: &[String]) -> Result<String, Error> {
    let mut query = String::new();
    for text in given {
        let Some((name, value)) = split_name(text) else {
            return Err(Error::usage(
                format!("{text} has no name"),
                "beside --body, write each argument as name=value",
            ));
        };
        let mark = if query.is_empty() { '?' } else { '&' };
        query.push_str(&format!("{mark}{}={}", encode(name), encode(value)));
    }
    Ok(query)
}

/// `name=value`, if the name could be one of WIT.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits))
        .then_some((name, value))
}

fn value(text: &str) -> Result<Value, Error> {
    if let Some(body) = from_elsewhere(text)? {
        return serde_json::from_slice(&body).map_err(|e| {
            Error::usage(
                format!("{text} holds no JSON: {e}"),
                "put one JSON value into it",
            )
        });
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // A shell eats quotes: a bare word is a text. What looks like JSON but is none is a slip.
        Err(_) if !text.starts_with(['{', '[', '"']) => Ok(Value::String(text.to_owned())),
        Err(e) => Err(Error::usage(
            format!("{text} is no JSON: {e}"),
            "put the argument in single quotes: '{\"a\": 1}'",
        )),
    }
}

fn from_elsewhere(text: &str) -> Result<Option<Vec<u8>>, Error> {
    if text == "-" {
        let mut body = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut body);
        return read
            .map(|_| Some(body))
            .map_err(|e| Error::caused(Exit::Failure, &e, "pipe JSON into it"));
    }
    let Some(path) = text.strip_prefix('@') else {
        return Ok(None);
    };
    let read = std::fs::read(path).map(Some);
    read.map_err(|e| {
        Error::usage(
            format!("{path} cannot be read: {e}"),
            "write a text that begins with @ as '\"@…\"'",
        )
    })
}

/// Shows, waits for or cancels an asynchronous call.
pub async fn call(
    client: &Client,
    terminal: &Terminal,
    command: &CallCommand,
) -> Result<(), Error> {
    match command {
        CallCommand::Show { id } => {
            let status = client.get(&format!("/v1/calls/{}", encode(id))).await?;
            show_fields(terminal, &status);
            Ok(())
        }
        CallCommand::Wait { id, timeout } => wait(client, terminal, id, *timeout).await,
        CallCommand::Cancel { id } => {
            let done = client
                .json(client.request(Method::DELETE, &format!("/v1/calls/{}", encode(id))))
                .await?;
            if terminal.is_json() {
                terminal.json(&done)
            } else {
                terminal.out(format!("{id}: cancelled"))
            }
            Ok(())
        }
    }
}

async fn wait(
    client: &Client,
    terminal: &Terminal,
    id: &str,
    Period(timeout): Period,
) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        // In rounds, so that a proxy on the way does not take a long wait for a dead connection.
        let round = left.min(std::time::Duration::from_secs(25));
        let status = client
            .get(&format!(
                "/v1/calls/{}?wait={}ms",
                encode(id),
                round.as_millis()
            ))
            .await?;
        match status["status"].as_str() {
            Some("waiting" | "running") if !left.is_zero() => {}
            Some("waiting" | "running") => {
                let message = format!("call {id} has not ended within {}", Period(timeout));
                return Err(Error::new(
                    Exit::Timeout,
                    message,
                    format!("granary call show {id}"),
                ));
            }
            Some(_) | None => return finish(terminal, status),
        }
    }
}

fn finish(terminal: &Terminal, mut status: Value) -> Result<(), Error> {
    if status["problem"].is_object() {
        return Err(Error::problem(status["problem"].take()));
    }
    if status["status"] != "done" {
        let message = format!("the call did not end well: {}", cell(&status["status"]));
        return Err(Error::failure(message, "granary call show --output json"));
    }
    if terminal.is_json() {
        terminal.json(&status);
    } else if let Some(result) = status.get("value").filter(|result| !result.is_null()) {
        print_result(terminal, result.to_string().as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(given: &[&str]) -> Result<String, String> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        let body = arguments(&given).map_err(|e| e.message)?;
        Ok(body.map_or_else(String::new, |body| String::from_utf8(body).unwrap()))
    }

    #[test]
    fn arguments_become_the_body_that_the_node_expects() {
        assert_eq!(body(&[]), Ok(String::new()));
        assert_eq!(
            body(&["5", "\"a b\"", "null"]),
            Ok("[5,\"a b\",null]".to_owned())
        );
        assert_eq!(
            body(&["Ada", "-3", "a=b c"]),
            Ok("[\"Ada\",-3,\"a=b c\"]".to_owned())
        );
        assert_eq!(
            body(&["by=5", "note=hello there"]),
            Ok("{\"by\":5,\"note\":\"hello there\"}".to_owned())
        );
        assert_eq!(
            body(&["18446744073709551615"]),
            Ok("[18446744073709551615]".to_owned())
        );
        assert!(body(&["{\"a\": "]).unwrap_err().contains("is no JSON"));
        assert_eq!(body(&["a=1", "a=2"]), Err("'a' is given twice".to_owned()));
        assert!(
            body(&["@/does/not/exist"])
                .unwrap_err()
                .contains("cannot be read")
        );
    }

    #[test]
    fn arguments_beside_a_body_are_named() {
        let given =
            |list: &[&str]| query(&list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            given(&["name=a b", "n=1"]).map_err(|e| e.message),
            Ok("?name=a%20b&n=1".to_owned())
        );
        assert_eq!(given(&[]).map_err(|e| e.message), Ok(String::new()));
        assert_eq!(
            given(&["5"]).map_err(|e| e.message),
            Err("5 has no name".to_owned())
        );
    }

    #[test]
    fn a_file_alone_is_the_whole_body_and_among_others_one_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.json");
        std::fs::write(&file, "[1, 2]").unwrap();
        let file = format!("@{}", file.display());
        assert_eq!(body(&[&file]), Ok("[1, 2]".to_owned()));
        assert_eq!(body(&[&file, "3"]), Ok("[[1,2],3]".to_owned()));
        assert_eq!(
            body(&[&format!("items={file}")]),
            Ok("{\"items\":[1,2]}".to_owned())
        );
    }
}
