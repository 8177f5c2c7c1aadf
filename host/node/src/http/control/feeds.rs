//! `/v1/logs` and `/v1/events`: one page as JSON, or a stream of server-sent events that a client can take up again where it left off.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use granary_core::id::{Key, KindName};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::{Answer, Doc, Query, Route, kind_name, route};
use crate::http::catalogue as types;
use crate::http::face::{InFlight, Shared};
use crate::http::problem::Problem;
use crate::http::stream::{ACCEL_BUFFERING, KEEP_ALIVE};
use crate::observe::events::{Event as Happened, Filter as EventFilter};
use crate::observe::logs::{Filter as LogFilter, Line};
use crate::observe::{Batch, Place};

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Entries that a follower takes out of the ring at a time.
const STEP: usize = 256;
/// Entries of one JSON page.
const PAGE_MAX: usize = 10_000;

pub(super) fn routes() -> Vec<Route> {
    let feed = |doc: Doc| {
        doc.query("follow", "true: a stream that goes on (text/event-stream); that is also what Accept: text/event-stream asks for")
            .query("after", "Continue behind this id; Last-Event-ID does the same")
            .query("limit", "At most so many on a JSON page, 10000 unless said: the newest")
            .header("last-event-id", "Continue behind this id")
            .json(200, "A page, or a stream of server-sent events")
    };
    vec![
        route(
            Method::GET,
            "/v1/logs",
            logs,
            feed(
                Doc::new("getLogs", "What guests print")
                    .query("kind", "Only of this kind")
                    .query("key", "Only of this key"),
            ),
        ),
        route(
            Method::GET,
            "/v1/events",
            events,
            feed(
                Doc::new("getEvents", "What happened on the node")
                    .query("kind", "Only of this kind")
                    .query("type", "Only of this type, as in trap"),
            ),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedQuery {
    kind: Option<String>,
    key: Option<String>,
    #[serde(rename = "type")]
    name: Option<String>,
    follow: Option<bool>,
    after: Option<String>,
    limit: Option<usize>,
}

impl FeedQuery {
    fn kind(&self) -> Answer<Option<KindName>> {
        self.kind.as_deref().map(kind_name).transpose()
    }

    fn follows(&self, headers: &HeaderMap) -> bool {
        let accepts = || {
            headers
                .get(ACCEPT)
                .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
        };
        self.follow.unwrap_or_else(accepts)
    }

    fn place(&self, headers: &HeaderMap) -> Answer<Option<Place>> {
        let header = headers
            .get(&LAST_EVENT_ID)
            .and_then(|value| value.to_str().ok());
        let Some(text) = header.or(self.after.as_deref()) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|()| {
            Problem::new(
                &types::BAD_REQUEST,
                format!("'{text}' is no id of this feed"),
            )
        })
    }
}

async fn logs(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let key = query.key.as_deref().map(Key::parse).transpose();
    let key = key.map_err(|error| Problem::new(&types::BAD_REQUEST, format!("?key=: {error}")))?;
    let feed = Logs {
        shared: Arc::clone(&shared),
        filter: LogFilter {
            kind: query.kind()?,
            key,
        },
    };
    answered(&shared, feed, &query, &headers)
}

async fn events(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let feed = Events {
        shared: Arc::clone(&shared),
        filter: EventFilter {
            kind: query.kind()?,
            name: query.name.clone(),
        },
    };
    answered(&shared, feed, &query, &headers)
}

/// A ring, seen by one reader.
trait Feed: Send + 'static {
    type Entry: Serialize + Send + Sync;
    fn since(&self, place: Place, limit: usize) -> Batch<Arc<Self::Entry>>;
    fn place(&self, after: u64) -> Place;
    fn watch(&self) -> watch::Receiver<u64>;
    fn name(entry: &Self::Entry) -> &'static str;
    fn seq(entry: &Self::Entry) -> u64;
}

struct Logs {
    shared: Arc<Shared>,
    filter: LogFilter,
}

impl Feed for Logs {
    type Entry = Line;
    fn since(&self, place: Place, limit: usize) -> Batch<Arc<Line>> {
        self.shared.node.logs.since(place, &self.filter, limit)
    }
    fn place(&self, after: u64) -> Place {
        self.shared.node.logs.place(after)
    }
    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.node.logs.watch()
    }
    fn name(_: &Line) -> &'static str {
        "log"
    }
    fn seq(entry: &Line) -> u64 {
        entry.seq
    }
}

struct Events {
    shared: Arc<Shared>,
    filter: EventFilter,
}

impl Feed for Events {
    type Entry = Happened;
    fn since(&self, place: Place, limit: usize) -> Batch<Arc<Happened>> {
        self.shared.node.events.since(place, &self.filter, limit)
    }
    fn place(&self, after: u64) -> Place {
        self.shared.node.events.place(after)
    }
    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.node.events.watch()
    }
    fn name(entry: &Happened) -> &'static str {
        entry.what.name()
    }
    fn seq(entry: &Happened) -> u64 {
        entry.seq
    }
}

fn answered<F: Feed>(
    shared: &Shared,
    feed: F,
    query: &FeedQuery,
    headers: &HeaderMap,
) -> Answer<Response> {
    let place = query.place(headers)?;
    if !query.follows(headers) {
        return Ok(page(
            &feed,
            place,
            query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX),
        ));
    }
    let follower = Follower {
        watch: feed.watch(),
        place: place.unwrap_or_else(|| feed.place(0)),
        feed,
        ready: VecDeque::new(),
        stopping: shared.stopping.clone(),
        _place: shared.follow()?,
    };
    let stream = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok((
        [(&ACCEL_BUFFERING, "no")],
        Sse::new(stream).keep_alive(alive),
    )
        .into_response())
}

/// The newest entries, or the first ones behind a place.
fn page<F: Feed>(feed: &F, place: Option<Place>, limit: usize) -> Response {
    let batch = match place {
        Some(place) => feed.since(place, limit),
        None => feed.since(feed.place(0), usize::MAX - 1),
    };
    let surplus = batch.entries.len().saturating_sub(limit);
    let entries: Vec<&F::Entry> = batch.entries[surplus..].iter().map(Arc::as_ref).collect();
    let next = feed.place(batch.after).to_string();
    axum::Json(json!({ "entries": entries, "next": next, "gap": batch.gap })).into_response()
}

struct Follower<F: Feed> {
    feed: F,
    watch: watch::Receiver<u64>,
    place: Place,
    ready: VecDeque<Event>,
    stopping: tokio_util::sync::CancellationToken,
    _place: InFlight,
}

impl<F: Feed> Follower<F> {
    /// The next event; none when the node stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Seen before looking: what comes in between wakes at once.
            self.watch.mark_unchanged();
            let batch = self.feed.since(self.place, STEP);
            self.place = self.feed.place(batch.after);
            if batch.gap {
                self.ready
                    .push_back(Event::default().event("gap").data("{\"missed\":true}"));
            }
            for entry in &batch.entries {
                let id = self.feed.place(F::seq(entry)).to_string();
                let data = serde_json::to_string(&**entry).unwrap_or_default();
                self.ready
                    .push_back(Event::default().id(id).event(F::name(entry)).data(data));
            }
            if self.ready.is_empty() {
                tokio::select! {
                    changed = self.watch.changed() => changed.ok()?,
                    () = self.stopping.cancelled() => return None,
                }
            }
        }
    }
}
