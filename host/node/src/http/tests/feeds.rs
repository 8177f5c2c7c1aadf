//! Logs and events.

use std::time::Duration;

use futures::StreamExt;
use granary_core::id::{GrainId, Revision};
use tokio::time::timeout;

use super::*;
use crate::observe::events::What;
use crate::observe::logs::Stream;

/// One server-sent event.
#[derive(Debug, Default, PartialEq)]
struct Sent {
    id: String,
    event: String,
    data: Value,
}

/// Reads events from an open stream.
struct Reader {
    stream: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: String,
}

impl Reader {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            stream: response.bytes_stream().boxed(),
            buffer: String::new(),
        }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            let Some((text, rest)) = self.buffer.split_once("\n\n") else {
                let piece = timeout(Duration::from_secs(20), self.stream.next()).await;
                let piece = piece.expect("an event in time")?.ok()?;
                self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
                continue;
            };
            let sent = Sent::parse(text);
            self.buffer = rest.to_owned();
            if sent != Sent::default() {
                return Some(sent);
            }
        }
    }
}

impl Sent {
    fn parse(text: &str) -> Self {
        let mut sent = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim_start();
            match name {
                "id" => value.clone_into(&mut sent.id),
                "event" => value.clone_into(&mut sent.event),
                "data" => sent.data = serde_json::from_str(value).unwrap(),
                _ => {}
            }
        }
        sent
    }
}

#[tokio::test]
async fn a_follower_of_the_log_continues_where_it_left_off() {
    let house = House::open(|_| {}).await;
    let push = |grain: &str, line: &str| {
        house.node.logs.push(
            &GrainId::parse(grain).unwrap(),
            Revision(1),
            Stream::Stdout,
            line,
        )
    };
    push("a/1", "one");
    push("b/1", "other");
    let mut reader = Reader::open(house.request(Method::GET, "/v1/logs?follow=true&kind=a")).await;
    let first = reader.next().await.unwrap();
    assert_eq!(
        (
            first.event.as_str(),
            &first.data["line"],
            &first.data["key"]
        ),
        ("log", &json!("one"), &json!("1"))
    );
    push("a/2", "two");
    assert_eq!(reader.next().await.unwrap().data["line"], "two");
    drop(reader);
    push("a/1", "three");
    let again = house
        .request(Method::GET, "/v1/logs?kind=a")
        .header("accept", "text/event-stream")
        .header("last-event-id", &first.id);
    let mut reader = Reader::open(again).await;
    assert_eq!(reader.next().await.unwrap().data["line"], "two");
    assert_eq!(reader.next().await.unwrap().data["line"], "three");
    let page = house.get("/v1/logs?kind=a&limit=2").await.json();
    assert_eq!(
        (&page["entries"][0]["line"], &page["entries"][1]["line"]),
        (&json!("two"), &json!("three")),
        "{page}"
    );
    let next = page["next"].as_str().unwrap();
    assert_eq!(
        house.get(&format!("/v1/logs?after={next}")).await.json()["entries"],
        json!([])
    );
    house
        .get("/v1/logs?after=x")
        .await
        .problem(400, "bad-request");
    house.close().await;
}

#[tokio::test]
async fn events_stream_until_the_node_stops() {
    let mut house = House::open(|_| {}).await;
    let mut reader =
        Reader::open(house.request(Method::GET, "/v1/events?follow=true&type=shed")).await;
    house.node.events.push(What::StoreRecovered);
    house.node.events.push(What::Shed {
        grain: None,
        detail: "full".into(),
    });
    let sent = reader.next().await.unwrap();
    assert_eq!(
        (sent.event.as_str(), &sent.data["detail"]),
        ("shed", &json!("full"))
    );
    // A stream that never ends by itself does not hold up the end.
    timeout(Duration::from_secs(10), house.server.take().unwrap().stop())
        .await
        .unwrap();
    assert_eq!(reader.next().await, None);
    house.close().await;
}

#[tokio::test]
async fn followers_are_counted() {
    let house = House::open(|settings| settings.followers_max = 1).await;
    let reader = Reader::open(house.request(Method::GET, "/v1/events?follow=true")).await;
    house
        .get("/v1/logs?follow=true")
        .await
        .problem(429, "overloaded");
    drop(reader);
    house.close().await;
}
