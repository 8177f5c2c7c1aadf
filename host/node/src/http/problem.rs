//! The one form of every error: `application/problem+json` (RFC 9457), with what a caller must know to decide what to do.

use axum::response::{IntoResponse, Response};
use granary_core::error::{CallError, Failure, Outcome};
use granary_core::id::GrainId;
use granary_store::StoreError;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::catalogue as types;
use super::catalogue::Type;

/// The media type.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error on its way to a client. `node` and `instance` are added where it leaves.
#[derive(Debug)]
pub(crate) struct Problem {
    ty: &'static Type,
    status: u16,
    detail: String,
    grain: Option<GrainId>,
    kind: Option<String>,
    method: Option<String>,
    revision: Option<u64>,
    chain: Vec<String>,
    retryable: bool,
    outcome: Outcome,
    error: Option<Box<RawValue>>,
    pointer: Option<String>,
    limit: Option<&'static str>,
    backtrace: Vec<String>,
    more: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem of a type, before anything was begun.
    pub(super) fn new(ty: &'static Type, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            ty,
            status: ty.status,
            detail: detail.into(),
            grain: None,
            kind: None,
            method: None,
            revision: None,
            chain: Vec::new(),
            retryable: matches!(ty.status, 408 | 429 | 503),
            outcome: Outcome::NotStarted,
            error: None,
            pointer: None,
            limit: None,
            backtrace: Vec::new(),
            more: Map::new(),
            headers: HeaderMap::new(),
        })
    }

    /// Its status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// With another status.
    pub(super) fn with_status(mut self: Box<Self>, status: u16) -> Box<Self> {
        self.status = status;
        self
    }

    /// With a header. A value that is no header value is left out.
    pub(super) fn with_header(mut self: Box<Self>, name: HeaderName, value: &str) -> Box<Self> {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With a further member.
    pub(super) fn with(mut self: Box<Self>, name: &str, value: impl Into<Value>) -> Box<Self> {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// About a grain and, perhaps, a method.
    pub(super) fn about(mut self: Box<Self>, grain: &GrainId, method: Option<&str>) -> Box<Self> {
        self.grain = Some(grain.clone());
        self.method = method.map(str::to_owned);
        self
    }

    /// About a kind.
    pub(super) fn about_kind(mut self: Box<Self>, kind: impl Into<String>) -> Box<Self> {
        self.kind = Some(kind.into());
        self
    }

    /// With the limit that was met.
    pub(super) fn over(mut self: Box<Self>, limit: &'static str) -> Box<Self> {
        self.limit = Some(limit);
        self
    }

    /// With the guest's stack.
    pub(super) fn with_backtrace(mut self: Box<Self>, backtrace: Vec<String>) -> Box<Self> {
        self.backtrace = backtrace;
        self
    }

    /// Its JSON. `instance` is the request's path.
    pub(super) fn to_json(&self, node: &str, instance: &str) -> Vec<u8> {
        let framed = Framed {
            problem: self,
            node,
            instance,
        };
        serde_json::to_vec(&framed)
            .expect("a problem is made of texts, numbers and JSON that was already checked")
    }

    /// Takes over what a layer or the router added, as `Allow` is.
    pub(super) fn take_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            if *name != CONTENT_TYPE && *name != CONTENT_LENGTH {
                self.headers.append(name, value.clone());
            }
        }
    }

    /// Its headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The same as a value, for one item of a batch.
    pub(super) fn to_value(&self, node: &str, instance: &str) -> Value {
        serde_json::from_slice(&self.to_json(node, instance)).unwrap_or_default()
    }
}

/// Which type a call's error has.
fn type_of(error: &CallError) -> &'static Type {
    match error {
        CallError::Overloaded { .. } => &types::OVERLOADED,
        CallError::Deadlock { .. } => &types::DEADLOCK,
        CallError::Timeout { .. } => &types::TIMEOUT,
        CallError::Cancelled { .. } => &types::CANCELLED,
        CallError::Denied { .. } => &types::DENIED,
        CallError::NotFound { .. } => &types::NOT_FOUND,
        CallError::Invalid { .. } => &types::INVALID,
        CallError::GuestTrap { .. } => &types::GUEST_TRAP,
        CallError::LimitExceeded { .. } => &types::LIMIT_EXCEEDED,
        CallError::Conflict { .. } => &types::CONFLICT,
        CallError::Unavailable { .. } => &types::UNAVAILABLE,
        CallError::UnknownOutcome { .. } => &types::UNKNOWN_OUTCOME,
        CallError::App { .. } => &types::APP_ERROR,
    }
}

impl From<Failure> for Box<Problem> {
    fn from(failure: Failure) -> Self {
        let Failure {
            error,
            grain,
            method,
            revision,
            chain,
        } = failure;
        let mut problem =
            Problem::new(type_of(&error), error.to_string()).with_status(error.http_status());
        problem.retryable = error.retryable();
        problem.outcome = error.outcome();
        problem.grain = grain;
        problem.method = method;
        problem.revision = revision.map(|revision| revision.0);
        problem.chain = chain.iter().map(ToString::to_string).collect();
        match error {
            CallError::Invalid { pointer, detail } => {
                problem.pointer = Some(pointer);
                problem.detail = detail;
            }
            CallError::GuestTrap { backtrace, .. } => problem.backtrace = backtrace,
            CallError::LimitExceeded { limit, .. } => problem.limit = Some(limit.key()),
            CallError::App { value, .. } => {
                "the method answered err".clone_into(&mut problem.detail);
                problem.error = RawValue::from_string(value).ok();
            }
            CallError::Deadlock { cycle } => {
                problem.chain = cycle.iter().map(ToString::to_string).collect();
            }
            CallError::Overloaded { .. } | CallError::Unavailable { .. } => {
                problem
                    .headers
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            CallError::Timeout { .. }
            | CallError::Cancelled { .. }
            | CallError::Denied { .. }
            | CallError::NotFound { .. }
            | CallError::Conflict { .. }
            | CallError::UnknownOutcome { .. } => {}
        }
        problem
    }
}

impl From<CallError> for Box<Problem> {
    fn from(error: CallError) -> Self {
        Failure::from(error).into()
    }
}

impl From<StoreError> for Box<Problem> {
    fn from(error: StoreError) -> Self {
        let detail = chain_text(&error);
        match error {
            StoreError::Full { .. } | StoreError::Closed => {
                Problem::new(&types::UNAVAILABLE, detail).with_header(RETRY_AFTER, "5")
            }
            StoreError::Stale { .. } => Problem::new(&types::CONFLICT, detail),
            StoreError::Conflict { actual, .. } => {
                Problem::new(&types::PRECONDITION_FAILED, detail).with("state-version", actual)
            }
            StoreError::Locked { .. }
            | StoreError::NewerFormat { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Damaged { .. } => Problem::new(&types::STORE, detail),
            StoreError::Failed { .. } => {
                let mut problem = Problem::new(&types::STORE, detail);
                problem.outcome = Outcome::Unknown;
                problem
            }
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Box<Problem> {
    /// Leaves the body to `face`, which knows the node and the path.
    fn into_response(mut self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
            .headers_mut()
            .extend(std::mem::take(&mut self.headers));
        response.extensions_mut().insert(std::sync::Arc::new(*self));
        response
    }
}

struct Framed<'a> {
    problem: &'a Problem,
    node: &'a str,
    instance: &'a str,
}

impl Serialize for Framed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let p = self.problem;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("/problems/{}", p.ty.slug))?;
        map.serialize_entry("title", p.ty.title)?;
        map.serialize_entry("status", &p.status)?;
        map.serialize_entry("detail", &p.detail)?;
        map.serialize_entry("instance", self.instance)?;
        map.serialize_entry("node", self.node)?;
        let kind = p
            .grain
            .as_ref()
            .map(|grain| grain.kind.as_str())
            .or(p.kind.as_deref());
        optional(&mut map, "kind", kind.as_ref())?;
        optional(
            &mut map,
            "key",
            p.grain.as_ref().map(|grain| grain.key.as_str()).as_ref(),
        )?;
        optional(&mut map, "method", p.method.as_ref())?;
        optional(&mut map, "revision", p.revision.as_ref())?;
        optional(
            &mut map,
            "call-chain",
            Some(&p.chain).filter(|chain| !chain.is_empty()),
        )?;
        map.serialize_entry("retryable", &p.retryable)?;
        map.serialize_entry("outcome", &p.outcome)?;
        map.serialize_entry("try", p.ty.hint)?;
        optional(&mut map, "error", p.error.as_ref())?;
        optional(&mut map, "pointer", p.pointer.as_ref())?;
        optional(&mut map, "limit", p.limit.as_ref())?;
        optional(
            &mut map,
            "backtrace",
            Some(&p.backtrace).filter(|lines| !lines.is_empty()),
        )?;
        for (name, value) in &p.more {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn optional<M: SerializeMap, T: Serialize>(
    map: &mut M,
    name: &str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

#[cfg(test)]
mod tests {
    use granary_core::error::LimitName;
    use granary_core::id::Revision;

    use super::*;

    fn text() -> String {
        "what happened".to_owned()
    }

    /// Every error with `status type retryable outcome`.
    fn table() -> Vec<(CallError, &'static str)> {
        let detail = text;
        let cycle = vec![
            GrainId::parse("cart/7").unwrap(),
            GrainId::parse("cart/7").unwrap(),
        ];
        let limit = |limit| CallError::LimitExceeded {
            limit,
            detail: text(),
        };
        let app = |rolled_back| CallError::App {
            value: "{}".into(),
            rolled_back,
        };
        let timeout = |started| CallError::Timeout {
            detail: text(),
            started,
        };
        let invalid = CallError::Invalid {
            pointer: "/0".into(),
            detail: detail(),
        };
        let trap = CallError::GuestTrap {
            detail: detail(),
            backtrace: Vec::new(),
        };
        let errors = [
            CallError::Overloaded { detail: detail() },
            CallError::Deadlock { cycle },
            timeout(true),
            timeout(false),
            CallError::Cancelled { detail: detail() },
            CallError::Denied { detail: detail() },
            CallError::NotFound { detail: detail() },
            invalid,
            trap,
            limit(LimitName::Memory),
            limit(LimitName::Arguments),
            CallError::Conflict { detail: detail() },
            CallError::Unavailable { detail: detail() },
            CallError::UnknownOutcome { detail: detail() },
            app(false),
            app(true),
        ];
        let expected = [
            "429 overloaded true not-started",
            "508 deadlock true not-started",
            "504 timeout false unknown",
            "504 timeout true not-started",
            "499 cancelled false no-effect",
            "403 denied false no-effect",
            "404 not-found false not-started",
            "422 invalid false not-started",
            "500 guest-trap false no-effect",
            "507 limit-exceeded false no-effect",
            "413 limit-exceeded false no-effect",
            "409 conflict true no-effect",
            "503 unavailable true not-started",
            "502 unknown-outcome false unknown",
            "400 app-error false committed",
            "400 app-error false no-effect",
        ];
        errors.into_iter().zip(expected).collect()
    }

    #[test]
    fn each_call_error_has_its_status_type_and_outcome() {
        let grain = GrainId::parse("cart/7").unwrap();
        for (error, expected) in table() {
            let failure = Failure {
                error,
                grain: Some(grain.clone()),
                method: Some("put".into()),
                revision: Some(Revision(3)),
                chain: vec![grain.clone()],
            };
            let problem: Box<Problem> = failure.into();
            let json = problem.to_value("n1", "/g/cart/7/put");
            let text = |member: &str| {
                json[member]
                    .as_str()
                    .unwrap_or_else(|| panic!("no {member}: {json}"))
            };
            let slug = text("type").strip_prefix("/problems/").unwrap();
            assert_eq!(
                format!(
                    "{} {slug} {} {}",
                    json["status"],
                    json["retryable"],
                    text("outcome")
                ),
                expected
            );
            assert_eq!(json["status"], problem.status());
            assert_eq!(
                (
                    text("kind"),
                    text("key"),
                    text("method"),
                    json["revision"].as_u64()
                ),
                ("cart", "7", "put", Some(3))
            );
            assert_eq!((text("node"), text("instance")), ("n1", "/g/cart/7/put"));
            assert!(
                json["call-chain"].is_array()
                    && !text("try").is_empty()
                    && !text("title").is_empty()
            );
        }
    }

    #[test]
    fn what_belongs_to_one_case_is_in_its_own_member() {
        let json = |error: CallError| -> Value {
            let problem: Box<Problem> = error.into();
            problem.to_value("n1", "/")
        };
        assert_eq!(
            json(CallError::App {
                value: "{\"a\":1}".into(),
                rolled_back: false
            })["error"]["a"],
            1
        );
        assert_eq!(
            json(CallError::Invalid {
                pointer: "/a/0".into(),
                detail: text()
            })["pointer"],
            "/a/0"
        );
        assert_eq!(
            json(CallError::LimitExceeded {
                limit: LimitName::CpuTime,
                detail: text()
            })["limit"],
            "cpu-time"
        );
        assert_eq!(
            json(CallError::GuestTrap {
                detail: text(),
                backtrace: vec!["f".into()]
            })["backtrace"][0],
            "f"
        );
    }
}
