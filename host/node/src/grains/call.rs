//! What a call carries, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use granary_core::error::{CallError, Failure};
use granary_core::id::{CallId, Epoch, GrainId, Revision};
use granary_runtime::{Payload, Typed};

/// The arguments of a call, as they arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum CallArguments {
    /// In one of the encodings.
    Payload(Payload),
    /// A query string without its `?`.
    Query(String),
}

impl CallArguments {
    /// Their size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Payload(Payload::Json(bytes) | Payload::Cbor(bytes) | Payload::Raw(bytes)) => {
                bytes.len()
            }
            Self::Payload(Payload::Typed(typed)) => {
                usize::try_from(typed.bytes()).unwrap_or(usize::MAX)
            }
            Self::Query(query) => query.len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How the caller wants the result written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// JSON; 64-bit integers that a double cannot hold as strings.
    #[default]
    Json,
    /// JSON; every 64-bit integer as a string.
    JsonInt64Strings,
    /// CBOR.
    Cbor,
    /// Bytes as they are, for a method that returns `list<u8>`.
    Raw,
    /// Not at all: the values go to a client that the host has linked.
    Typed,
}

/// A call from outside, or of one grain to another.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id: [`Call::fresh_id`] unless it must be found again.
    pub id: CallId,
    /// Whom.
    pub grain: GrainId,
    /// Which method, by its public name.
    pub method: String,
    /// With what.
    pub arguments: CallArguments,
    /// How the result is to be written.
    pub accept: Encoding,
    /// How long the caller waits; the method's or the kind's own time if left out.
    pub timeout: Option<Duration>,
    /// A second call with the same key gets the first one's answer.
    pub idempotency_key: Option<String>,
    /// Who calls, as authentication named them.
    pub principal: Option<String>,
    /// What travels with every call that this one causes.
    pub baggage: BTreeMap<String, String>,
    /// The grains that wait for it, the first caller first; empty from outside.
    pub chain: Vec<GrainId>,
    /// Only a `read` method will do (`GET`).
    pub read_only: bool,
    /// Whether the caller passes streams on.
    pub(crate) streams: bool,
    /// The kept message that this call delivers: the turn's commit removes it.
    pub(crate) settles: Option<Settling>,
}

/// What a call does to the kept message that it delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settling {
    /// The message.
    pub(crate) id: CallId,
    /// Whether its result is kept.
    pub(crate) keep_result: bool,
    /// The grain that sent it; it does not wait.
    pub(crate) from: Option<GrainId>,
}

impl Call {
    /// A call from outside, with JSON arguments, about which nothing else is said.
    pub fn new(grain: GrainId, method: impl Into<String>, json: impl Into<Vec<u8>>) -> Self {
        Self {
            id: Self::fresh_id(),
            grain,
            method: method.into(),
            arguments: CallArguments::Payload(Payload::Json(json.into())),
            accept: Encoding::Json,
            timeout: None,
            idempotency_key: None,
            principal: None,
            baggage: BTreeMap::new(),
            chain: Vec::new(),
            read_only: false,
            streams: false,
            settles: None,
        }
    }

    /// An id that no other call has.
    pub fn fresh_id() -> CallId {
        CallId(fastrand::u128(..))
    }
}

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerBody {
    /// JSON text.
    Json(Vec<u8>),
    /// CBOR.
    Cbor(Vec<u8>),
    /// Bytes of a `list<u8>`.
    Raw(Vec<u8>),
    /// The values themselves; an own `err` of the method is one of them.
    Typed(Typed),
    /// The method returns nothing.
    Unit,
}

/// Where the time of a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Waiting in the mailbox, activation not counted.
    pub queue: Duration,
    /// Activating; zero for a warm call.
    pub activate: Duration,
    /// Running, with the encoding of the result.
    pub run: Duration,
    /// Committing; zero where there was nothing to commit.
    pub commit: Duration,
}

/// A call that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its result.
    pub body: AnswerBody,
    /// The revision that ran.
    pub grain_revision: Revision,
    /// The state's version after the turn.
    pub state_version: u64,
    /// Guest CPU time.
    pub cpu: Duration,
    /// Whether the grain had to be activated first.
    pub cold: bool,
    /// The activation's fencing number.
    pub epoch: Epoch,
    /// Whether this is the kept answer of an earlier call with the same idempotency key.
    pub replayed: bool,
    /// Where the time went.
    pub timing: Timing,
}

/// Who sends a raw HTTP request.
#[derive(Debug, Clone, Default)]
pub struct CallerInfo {
    /// Who calls, as authentication named them.
    pub principal: Option<String>,
    /// What travels with every call that the turn makes.
    pub baggage: BTreeMap<String, String>,
    /// How long to wait for the head of the response; the kind's own time if left out.
    pub timeout: Option<Duration>,
}

impl Answer {
    /// Whether the method itself answered `err`, as only typed values tell: in every other form that is a failure.
    pub(crate) fn is_app_error(&self) -> bool {
        matches!(&self.body, AnswerBody::Typed(typed) if typed.is_err())
    }
}

/// Puts an error into the frame that callers see.
pub(crate) fn failure(error: CallError, call: &Call, revision: Option<Revision>) -> Failure {
    let mut chain = call.chain.clone();
    chain.push(call.grain.clone());
    Failure {
        error,
        grain: Some(call.grain.clone()),
        method: Some(call.method.clone()),
        revision,
        chain,
    }
}
