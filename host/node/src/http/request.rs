//! What a caller says beside the arguments: encodings, key, deadline, baggage. Read in one pass over the headers, which most requests have few of.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use granary_core::limits::{BAGGAGE_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX};
use granary_runtime::StreamFormat;
use http::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::catalogue as types;
use super::problem::Problem;
use crate::grains::Encoding;

/// How the arguments are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Content {
    /// JSON; also where nothing is said.
    #[default]
    Json,
    /// CBOR.
    Cbor,
    /// Bytes.
    Raw,
}

/// The wishes of one request.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub content: Content,
    pub accept: Encoding,
    /// How the items of a stream are to be written, if the client says so.
    pub stream: Option<StreamFormat>,
    /// Whether nothing but a stream will do.
    pub stream_only: bool,
    /// Whether the client accepts nothing that the items of a stream are written as.
    pub no_items: bool,
    pub idempotency_key: Option<String>,
    pub respond_async: bool,
    pub delay: Duration,
    pub timeout: Option<Duration>,
    pub baggage: BTreeMap<String, String>,
    pub if_none_match: Option<HeaderValue>,
}

/// The names under which a client finds its own request again.
#[derive(Debug, Default)]
pub(super) struct Echoed {
    pub traceparent: Option<HeaderValue>,
    pub request_id: Option<HeaderValue>,
}

impl Echoed {
    /// Looks for both in one pass.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let mut echoed = Self::default();
        for (name, value) in headers {
            if *name == TRACEPARENT {
                echoed.traceparent = Some(value.clone());
            } else if *name == REQUEST_ID {
                echoed.request_id = Some(value.clone());
            }
        }
        echoed
    }
}

static GRAIN_TIMEOUT: HeaderName = HeaderName::from_static("grain-timeout");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static PREFER: HeaderName = HeaderName::from_static("prefer");
static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest timeout and delay that a request may ask for.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

impl Wishes {
    /// From the headers.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Box<Problem>> {
        let mut wishes = Self::default();
        for (name, value) in headers {
            // Standard names compare as small numbers.
            if *name == CONTENT_TYPE {
                wishes.content = content(value)?;
            } else if *name == ACCEPT {
                wishes.accept(value)?;
            } else if *name == IF_NONE_MATCH {
                wishes.if_none_match = Some(value.clone());
            } else {
                wishes.own_header(name, value)?;
            }
        }
        Ok(wishes)
    }

    fn own_header(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Box<Problem>> {
        if *name == IDEMPOTENCY_KEY {
            self.idempotency_key = Some(idempotency_key(value)?);
        } else if *name == PREFER {
            let prefers = |wish: &str| {
                text(name, value).map(|v| {
                    v.split([',', ';'])
                        .any(|part| part.trim().eq_ignore_ascii_case(wish))
                })
            };
            self.respond_async |= prefers("respond-async")?;
        } else if *name == GRAIN_TIMEOUT {
            self.timeout = Some(duration("the grain-timeout header", text(name, value)?)?);
        } else if *name == BAGGAGE {
            add_baggage(&mut self.baggage, text(name, value)?)?;
        }
        Ok(())
    }

    /// From a `POST`'s query, whose every member is a wish.
    pub(super) fn add_query(&mut self, query: &str) -> Result<(), Box<Problem>> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (name, value) {
                ("wait", "0" | "false") => self.respond_async = true,
                ("wait", "1" | "true") | ("int64", "number") => {}
                ("delay", _) => {
                    self.delay = duration("?delay=", value)?;
                    self.respond_async = true;
                }
                ("at", _) => {
                    self.delay = until(value)?;
                    self.respond_async = true;
                }
                ("timeout", _) => self.timeout = Some(duration("?timeout=", value)?),
                ("int64", "string") => self.int64_as_string(),
                _ => {
                    let detail = format!(
                        "'?{pair}' is not understood; a POST knows timeout, delay, at, wait=0 and int64=string"
                    );
                    return Err(Problem::new(&types::BAD_REQUEST, detail));
                }
            }
        }
        Ok(())
    }

    /// The first encoding of the list that can be given, and the first form of a stream before it. Weights are not read: who lists several
    /// takes any of them.
    fn accept(&mut self, value: &HeaderValue) -> Result<(), Box<Problem>> {
        let mut parts = value.as_bytes().split(|byte| *byte == b',');
        self.no_items = parts.all(|part| {
            matches!(
                essence(part),
                b"application/cbor" | b"application/octet-stream"
            )
        });
        for part in value.as_bytes().split(|byte| *byte == b',') {
            let encoding = match essence(part) {
                b"*/*" | b"application/*" | b"application/json" | b"text/json" | b"" => {
                    Encoding::Json
                }
                b"application/cbor" => Encoding::Cbor,
                b"application/octet-stream" => Encoding::Raw,
                b"text/event-stream" => {
                    self.stream.get_or_insert(StreamFormat::Events);
                    continue;
                }
                b"application/x-ndjson" => {
                    self.stream.get_or_insert(StreamFormat::Lines);
                    continue;
                }
                _ => continue,
            };
            self.accept = encoding;
            self.stream_only = false;
            return Ok(());
        }
        self.stream_only = self.stream.is_some();
        if self.stream_only {
            return Ok(());
        }
        // A browser's address line asks for HTML first and for anything last, which the loop has found.
        let detail = format!(
            "none of '{}' can be given",
            String::from_utf8_lossy(value.as_bytes())
        );
        Err(Problem::new(&types::NOT_ACCEPTABLE, detail))
    }

    /// Errors if the client wants a stream and nothing else: for a method that gives none.
    pub(super) fn no_stream(&self) -> Result<(), Box<Problem>> {
        if !self.stream_only {
            return Ok(());
        }
        Err(Problem::new(
            &types::NOT_ACCEPTABLE,
            "the method gives a value, no stream; accept application/json",
        ))
    }

    /// Errors if the client wants a value in a form that a stream of items cannot have: for a method that gives one.
    pub(super) fn stream_of_items(&self) -> Result<(), Box<Problem>> {
        if !self.no_items {
            return Ok(());
        }
        Err(Problem::new(
            &types::NOT_ACCEPTABLE,
            "the method gives a stream, whose items are JSON; accept application/x-ndjson or text/event-stream",
        ))
    }

    /// Writes 64-bit integers as strings.
    pub(super) fn int64_as_string(&mut self) {
        if self.accept == Encoding::Json {
            self.accept = Encoding::JsonInt64Strings;
        }
    }
}

/// A duration as people write it: `30s`, `1m 30s`, `250ms`; a bare number is seconds.
pub(super) fn duration(place: &str, value: &str) -> Result<Duration, Box<Problem>> {
    let wrong = |why: String| {
        Problem::new(
            &types::BAD_REQUEST,
            format!("{place} '{value}': {why}; write 250ms, 30s or 5m"),
        )
    };
    let parsed = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(value).map_err(|error| wrong(error.to_string()))?,
    };
    if DURATION_MAX < parsed {
        return Err(wrong("longer than a year".into()));
    }
    Ok(parsed)
}

fn until(value: &str) -> Result<Duration, Box<Problem>> {
    let text = value
        .replace("%3A", ":")
        .replace("%3a", ":")
        .replace("%2B", "+");
    let wrong = |why: &str| {
        Problem::new(
            &types::BAD_REQUEST,
            format!("?at= '{value}': {why}; write 2030-01-31T12:00:00Z"),
        )
    };
    let at = humantime::parse_rfc3339(&text).map_err(|error| wrong(&error.to_string()))?;
    // A moment that has passed is now.
    let delay = at.duration_since(SystemTime::now()).unwrap_or_default();
    if DURATION_MAX < delay {
        Err(wrong("more than a year away"))
    } else {
        Ok(delay)
    }
}

fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, Box<Problem>> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| {
        Problem::new(
            &types::BAD_REQUEST,
            format!("the header '{name}' is not UTF-8"),
        )
    })
}

fn idempotency_key(value: &HeaderValue) -> Result<String, Box<Problem>> {
    let key = text(&IDEMPOTENCY_KEY, value)?.trim();
    // The draft standard writes it as a quoted string; everybody else does not.
    let key = key
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .unwrap_or(key);
    if key.is_empty() || IDEMPOTENCY_KEY_BYTES_MAX < key.len() {
        let detail = format!(
            "an Idempotency-Key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes long, not {}",
            key.len()
        );
        return Err(Problem::new(&types::BAD_REQUEST, detail));
    }
    Ok(key.to_owned())
}

fn add_baggage(baggage: &mut BTreeMap<String, String>, header: &str) -> Result<(), Box<Problem>> {
    for member in header.split(',') {
        // Properties behind ';' are for tracing systems; a grain sees names and values.
        let pair = member.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else {
            if pair.trim().is_empty() {
                continue;
            }
            return Err(Problem::new(
                &types::BAD_REQUEST,
                format!("the baggage member '{}' has no '='", pair.trim()),
            ));
        };
        baggage.insert(unescaped(name.trim()), unescaped(value.trim()));
    }
    let bytes: usize = baggage
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if BAGGAGE_BYTES_MAX < bytes {
        let detail =
            format!("the baggage has {bytes} bytes; at most {BAGGAGE_BYTES_MAX} are carried");
        return Err(Problem::new(&types::BAD_REQUEST, detail));
    }
    Ok(())
}

/// Percent-decoded where that gives UTF-8, else as it came.
fn unescaped(text: &str) -> String {
    super::path::decoded(text).unwrap_or_else(|| text.to_owned())
}

fn content(value: &HeaderValue) -> Result<Content, Box<Problem>> {
    match essence(value.as_bytes()) {
        b"application/json" | b"text/json" => Ok(Content::Json),
        b"application/cbor" => Ok(Content::Cbor),
        b"application/octet-stream" => Ok(Content::Raw),
        // What curl -d says when it is told nothing: the body decides.
        b"application/x-www-form-urlencoded" | b"" => Ok(Content::Json),
        other if other.ends_with(b"+json") => Ok(Content::Json),
        other => {
            let detail = format!(
                "'{}' is not understood as arguments",
                String::from_utf8_lossy(other)
            );
            Err(Problem::new(&types::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    value
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn wishes(pairs: &[(&'static str, &str)]) -> Result<Wishes, u16> {
        Wishes::from_headers(&headers(pairs)).map_err(|problem| problem.status())
    }

    #[test]
    fn encodings_are_chosen_by_their_media_types() {
        let content = |value| wishes(&[("content-type", value)]).map(|w| w.content);
        assert_eq!(
            content("application/json; charset=utf-8"),
            Ok(Content::Json)
        );
        assert_eq!(content("application/vnd.cart+json"), Ok(Content::Json));
        assert_eq!(content("application/cbor"), Ok(Content::Cbor));
        assert_eq!(content("application/octet-stream"), Ok(Content::Raw));
        assert_eq!(content("text/html"), Err(415));
        assert_eq!(wishes(&[]).unwrap().content, Content::Json);
        let accept = |value| wishes(&[("accept", value)]).map(|w| w.accept);
        assert_eq!(accept("*/*"), Ok(Encoding::Json));
        assert_eq!(
            accept("text/html, application/cbor;q=0.9, */*;q=0.1"),
            Ok(Encoding::Cbor)
        );
        assert_eq!(accept("application/octet-stream"), Ok(Encoding::Raw));
        assert_eq!(accept("image/png"), Err(406));
        let stream = |value| {
            let wishes = wishes(&[("accept", value)]).unwrap();
            (wishes.stream, wishes.no_stream().is_ok())
        };
        assert_eq!(
            stream("text/event-stream"),
            (Some(StreamFormat::Events), false)
        );
        assert_eq!(
            stream("application/x-ndjson, application/json"),
            (Some(StreamFormat::Lines), true)
        );
        assert_eq!(stream("*/*, text/event-stream"), (None, true));
        let items = |value| {
            let wishes = wishes(&[("accept", value)]).unwrap();
            wishes.stream_of_items().is_ok()
        };
        assert!(!items("application/cbor"));
        assert!(!items("application/octet-stream, application/cbor"));
        assert!(items("application/cbor, application/x-ndjson"));
        assert!(items("application/cbor, */*;q=0.1"));
        assert!(items("application/json"));
    }

    #[test]
    fn keys_deadlines_and_baggage_are_checked() {
        assert_eq!(
            wishes(&[("idempotency-key", "\"abc\"")])
                .unwrap()
                .idempotency_key
                .as_deref(),
            Some("abc")
        );
        assert_eq!(wishes(&[("idempotency-key", "")]).map(|_| ()), Err(400));
        assert_eq!(
            wishes(&[("idempotency-key", &"k".repeat(257))]).map(|_| ()),
            Err(400)
        );
        assert_eq!(
            wishes(&[("grain-timeout", "250ms")]).unwrap().timeout,
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            wishes(&[("grain-timeout", "5")]).unwrap().timeout,
            Some(Duration::from_secs(5))
        );
        assert_eq!(wishes(&[("grain-timeout", "soon")]).map(|_| ()), Err(400));
        let baggage = wishes(&[
            ("baggage", "user=ada%20l;p=1, tier=gold"),
            ("baggage", "x="),
        ])
        .unwrap()
        .baggage;
        let pairs: Vec<_> = baggage
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("tier", "gold"), ("user", "ada l"), ("x", "")]);
        assert_eq!(wishes(&[("baggage", "novalue")]).map(|_| ()), Err(400));
        assert_eq!(
            wishes(&[("baggage", &format!("a={}", "x".repeat(9000)))]).map(|_| ()),
            Err(400)
        );
        assert!(
            wishes(&[("prefer", "respond-async, wait=10")])
                .unwrap()
                .respond_async
        );
        assert_eq!(
            wishes(&[("idempotency-key", "ü")])
                .unwrap()
                .idempotency_key
                .as_deref(),
            Some("ü")
        );
    }

    #[test]
    fn a_posts_query_holds_wishes_only() {
        let query = |text: &str| {
            let mut wishes = Wishes::default();
            wishes
                .add_query(text)
                .map(|()| wishes)
                .map_err(|problem| problem.status())
        };
        let asked = query("delay=10s&timeout=2s&int64=string").unwrap();
        assert_eq!(
            (asked.delay, asked.timeout),
            (Duration::from_secs(10), Some(Duration::from_secs(2)))
        );
        assert!(asked.respond_async);
        assert_eq!(asked.accept, Encoding::JsonInt64Strings);
        assert!(query("wait=0").unwrap().respond_async);
        assert_eq!(
            query("at=2001-01-01T00%3A00:00Z").unwrap().delay,
            Duration::ZERO
        );
        assert_eq!(query("by=3").map(|_| ()), Err(400));
        assert_eq!(query("delay=99999999999").map(|_| ()), Err(400));
    }
}
