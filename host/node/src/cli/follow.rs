//! `logs` and `events`: streams of what happens, taken up again where they broke.

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::{Client, encode};
use crate::cli::exit::{Error, Exit};
use crate::cli::inspect::{grain_text, parse_kind};
use crate::cli::terminal::{Terminal, Tone, cell};

/// What `logs` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  granary logs -f                  everything\n  granary logs counter             one kind, what is kept\n  granary logs -f counter/visits   one grain, from now on"
)]
pub struct LogsArgs {
    /// A kind, or kind/key; everything unless given
    #[arg(value_name = "KIND[/KEY]")]
    of: Option<String>,
    /// Go on until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// What `events` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Events are deployments, halts, traps, limits, deadlocks, turned-away calls, streams whose client went away and the state of the store."
)]
pub struct EventsArgs {
    /// Go on until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// Prints what guests print.
pub async fn logs(client: &Client, terminal: &Terminal, args: &LogsArgs) -> Result<(), Error> {
    let mut query = String::new();
    if let Some(of) = &args.of {
        let (kind, key) = of
            .split_once('/')
            .map_or((of.as_str(), None), |(kind, key)| (kind, Some(key)));
        query.push_str(&format!("&kind={}", parse_kind(kind)?));
        if let Some(key) = key {
            query.push_str(&format!("&key={}", encode(key)));
        }
    }
    if !args.follow {
        return page(
            client,
            terminal,
            &format!("/v1/logs?follow=false&limit=10000{query}"),
            print_log,
        )
        .await;
    }
    Stream {
        client,
        path: format!("/v1/logs?follow=true{query}"),
    }
    .run(|data| print_log(terminal, data))
    .await
}

/// Prints what happens on the node.
pub async fn events(client: &Client, terminal: &Terminal, args: &EventsArgs) -> Result<(), Error> {
    if !args.follow {
        return page(
            client,
            terminal,
            "/v1/events?follow=false&limit=10000",
            print_event,
        )
        .await;
    }
    Stream {
        client,
        path: "/v1/events?follow=true".to_owned(),
    }
    .run(|data| print_event(terminal, data))
    .await
}

async fn page(
    client: &Client,
    terminal: &Terminal,
    path: &str,
    print: fn(&Terminal, &Value),
) -> Result<(), Error> {
    let page = client.get(path).await?;
    for entry in page["entries"].as_array().into_iter().flatten() {
        print(terminal, entry);
    }
    Ok(())
}

/// One line of a log, for people or as it is.
pub fn print_log(terminal: &Terminal, line: &Value) {
    if terminal.is_json() {
        terminal.out(line.to_string());
        return;
    }
    let Some(text) = line["line"].as_str() else {
        return;
    };
    let grain = terminal.paint(Tone::Strong, &grain_text(line));
    let text = match (line["stream"].as_str(), line["level"].as_str()) {
        (_, Some(level)) => {
            let tone = match level {
                "error" | "critical" => Tone::Bad,
                "warn" => Tone::Warn,
                "trace" | "debug" => Tone::Dim,
                _ => Tone::Good,
            };
            format!("{} {text}", terminal.paint(tone, level))
        }
        (Some("stderr"), None) => terminal.paint(Tone::Warn, text),
        (Some("host"), None) => terminal.paint(Tone::Dim, text),
        (Some(_) | None, None) => text.to_owned(),
    };
    terminal.out(format!(
        "{} {grain} {text}",
        terminal.paint(Tone::Dim, &clock(&line["time_ms"]))
    ));
}

fn print_event(terminal: &Terminal, event: &Value) {
    if terminal.is_json() {
        terminal.out(event.to_string());
        return;
    }
    let Some(name) = event["type"].as_str() else {
        return;
    };
    let tone = match name {
        "deployed" | "started" | "store-recovered" | "rolled-back" => Tone::Good,
        "stopping" | "removed" => Tone::Strong,
        _ => Tone::Bad,
    };
    let mut parts = vec![
        terminal.paint(Tone::Dim, &clock(&event["time_ms"])),
        terminal.paint(tone, name),
    ];
    for (key, value) in event.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "seq" | "time_ms" | "type" | "backtrace") {
            continue;
        }
        let value = match value {
            Value::Array(list) => list.iter().map(grain_text).collect::<Vec<_>>().join(" → "),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => grain_text(value),
        };
        parts.push(
            if matches!(key.as_str(), "grain" | "kind" | "detail" | "because") {
                value
            } else {
                format!("{key}={value}")
            },
        );
    }
    terminal.out(parts.join(" "));
}

/// The time of day, in UTC.
fn clock(millis: &Value) -> String {
    let Some(millis) = millis.as_u64() else {
        return cell(millis);
    };
    let stamp =
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).to_string();
    stamp.get(11..23).unwrap_or(&stamp).to_owned()
}

/// A stream of server-sent events.
pub struct Stream<'a> {
    /// The client.
    pub client: &'a Client,
    /// What to ask for.
    pub path: String,
}

/// How long a node may be gone before following it ends.
const GONE_MAX: Duration = Duration::from_secs(30);

impl Stream<'_> {
    /// Gives each event's data to `each`, and asks again when the connection breaks, until the node stays away.
    pub async fn run(&self, mut each: impl FnMut(&Value)) -> Result<(), Error> {
        let mut last_id: Option<String> = None;
        let mut gone_since: Option<tokio::time::Instant> = None;
        loop {
            match self.once(&mut last_id, &mut each).await {
                // A node that stops ends its streams; it may come back.
                Ok(()) => gone_since = Some(tokio::time::Instant::now()),
                Err(error) if error.exit == Exit::Unreachable && last_id.is_some() => {
                    if GONE_MAX
                        < gone_since
                            .get_or_insert_with(tokio::time::Instant::now)
                            .elapsed()
                    {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn once(
        &self,
        last_id: &mut Option<String>,
        each: &mut impl FnMut(&Value),
    ) -> Result<(), Error> {
        let mut request = self
            .client
            .request(Method::GET, &self.path)
            .header("accept", "text/event-stream");
        if let Some(id) = last_id.as_deref() {
            request = request.header("last-event-id", id);
        }
        let response = self.client.send(request).await?;
        last_id.get_or_insert_with(String::new);
        let mut stream = response.bytes_stream();
        let mut parser = Parser::default();
        while let Some(part) = stream.next().await {
            let part = part.map_err(|e| self.client.unreachable(&e))?;
            for event in parser.feed(&part) {
                if let Some(id) = event.id {
                    *last_id = Some(id);
                }
                match serde_json::from_str(&event.data) {
                    Ok(data) => each(&data),
                    Err(_) => continue,
                }
            }
        }
        Ok(())
    }
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    id: Option<String>,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it says.
    pub data: String,
}

/// Takes a stream apart. An event that is cut in two parts waits for its end.
#[derive(Debug, Default)]
pub struct Parser {
    rest: Vec<u8>,
    event: Event,
}

impl Parser {
    /// Takes on a part of the stream, and gives the events that end in it.
    pub fn feed(&mut self, part: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(part);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
                "data" => self.event.data = format!("{}\n{value}", self.event.data),
                "event" => self.event.name = Some(value.to_owned()),
                "id" => self.event.id = Some(value.to_owned()),
                // A comment keeps the connection alive; other fields say nothing to us.
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_apart_wherever_the_stream_was_cut() {
        let text = ": hello\n\nid: 1-7\nevent: log\ndata: {\"a\":\ndata: 1}\n\nid: 1-8\r\ndata: 2\r\n\r\ndata: 3";
        let expected = [
            Event {
                id: Some("1-7".to_owned()),
                name: Some("log".to_owned()),
                data: "{\"a\":\n1}".to_owned(),
            },
            Event {
                id: Some("1-8".to_owned()),
                name: None,
                data: "2".to_owned(),
            },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|part| parser.feed(part))
                .collect();
            assert_eq!(events, expected, "in parts of {size}");
        }
    }
}
