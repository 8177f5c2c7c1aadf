//! Streams of a method: the body that is sent, the items that are printed as they come.

use std::os::fd::AsFd;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Response};
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::follow::Parser;
use crate::cli::terminal::Terminal;

/// What `invoke` can print: a stream as events, for they tell an item from an error.
pub const ACCEPT: &str = "text/event-stream, application/json";

/// A file as a request's body, or standard input for `-`. It is read while it is sent.
pub fn body(path: &str) -> Result<Body, Error> {
    let file = match path {
        "-" => std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map(std::fs::File::from),
        _ => std::fs::File::open(path),
    };
    match file {
        Ok(file) => Ok(tokio::fs::File::from_std(file).into()),
        Err(e) => Err(Error::usage(
            format!("{path} cannot be read: {e}"),
            "give --body a file, or - for standard input",
        )),
    }
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A value.
    Whole,
    /// Items.
    Events,
    /// Bytes.
    Bytes,
}

/// Whether an answer is a stream.
pub fn sort(response: &Response) -> Sort {
    let value = response.headers().get(CONTENT_TYPE);
    match value.map(|value| value.as_bytes()) {
        Some(b"text/event-stream") => Sort::Events,
        Some(b"application/octet-stream") => Sort::Bytes,
        Some(_) | None => Sort::Whole,
    }
}

/// Prints each item on a line of its own, as it comes.
pub async fn print_items(
    client: &Client,
    terminal: &Terminal,
    mut response: Response,
) -> Result<(), Error> {
    let mut parser = Parser::default();
    while let Some(part) = response.chunk().await.map_err(|e| client.unreachable(&e))? {
        for event in parser.feed(&part) {
            match event.name.as_deref() {
                Some("end") => return Ok(()),
                Some("error") => {
                    let problem = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                    return Err(Error::problem(problem));
                }
                Some(_) | None => terminal.out(event.data),
            }
        }
    }
    Err(broken_off())
}

/// Prints bytes as they come.
pub async fn print_bytes(
    client: &Client,
    terminal: &Terminal,
    mut response: Response,
) -> Result<(), Error> {
    loop {
        match response.chunk().await {
            Ok(Some(part)) => terminal.out_bytes(&part),
            Ok(None) => return Ok(()),
            Err(e) if e.is_body() || e.is_decode() => return Err(broken_off()),
            Err(e) => return Err(client.unreachable(&e)),
        }
    }
}

fn broken_off() -> Error {
    Error::new(
        Exit::Failure,
        "the stream was broken off before its end",
        "granary events says why",
    )
}
