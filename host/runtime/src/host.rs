//! What the runtime asks of the node, and what a turn knows of its call.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use granary_core::error::CallError;
use granary_core::id::{CallId, GrainId};
use granary_core::kind::Mode;
use parking_lot::Mutex;

use crate::value::Typed;

/// A boxed answer that somebody is still working on.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Arguments or a result, in one of the encodings that every method understands.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// JSON text.
    Json(Vec<u8>),
    /// CBOR (RFC 8949).
    Cbor(Vec<u8>),
    /// Uninterpreted bytes, for a lone `list<u8>`.
    Raw(Vec<u8>),
    /// The values themselves, from or for a client that the host has linked.
    Typed(Typed),
}

/// Some entries of a grain's state in the order of their keys, and whether there are more behind them.
pub type StatePage = (Vec<(String, Vec<u8>)>, bool);

/// How a guest wrote to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// To its standard output.
    Stdout,
    /// To its standard error.
    Stderr,
    /// Through `wasi:logging`.
    Leveled(LogLevel),
}

/// The levels of `wasi:logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Values and the flow of control.
    Trace,
    /// For somebody who looks for a fault.
    Debug,
    /// For somebody who watches.
    Info,
    /// Something is dangerous.
    Warn,
    /// Something failed.
    Error,
    /// Nothing goes on.
    Critical,
}

/// The grain's state as the turn finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnHead {
    /// How many commits changed the state.
    pub version: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
}

/// What a turn knows of its call; shared between the node and the host functions. One per turn.
#[derive(Debug)]
pub struct TurnContext {
    /// The call's id.
    pub call: CallId,
    /// The grain that called; none from outside.
    pub caller: Option<GrainId>,
    /// The grains that wait for this turn, the first caller first, without the grain itself.
    pub chain: Vec<GrainId>,
    /// Who called from outside, as authentication named them.
    pub principal: Option<String>,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The call's idempotency key.
    pub idempotency_key: Option<String>,
    /// What travels with every call that this turn makes.
    pub baggage: Mutex<BTreeMap<String, String>>,
    /// Set by [`TurnContext::cancel`].
    pub cancelled: AtomicBool,
    /// Set by [`TurnContext::give_up`].
    pub given_up: AtomicBool,
    /// Async calls that it has made and that are not answered. Count one with [`TurnContext::call_out`].
    pub calling: AtomicU32,
    /// Whether the turn may write, and run beside others.
    pub mode: Mode,
    /// The state as the turn finds it.
    pub head: TurnHead,
}

impl TurnContext {
    /// Tells the guest that its caller has given up. A guest that does not stop within the grace time of two
    /// seconds is interrupted at its next instruction; one that waits for the host is not.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the turn is to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Tells the guest that nobody waits for its answer any more. The turn is finished all the same, and nothing interrupts it.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Counts an async call for as long as the answer lives: until then a turn that has answered itself is not over.
    pub fn call_out(self: &Arc<Self>) -> CallingOut {
        self.calling.fetch_add(1, Ordering::AcqRel);
        CallingOut(Arc::clone(self))
    }

    /// Whether nobody waits for the answer any more, for whatever reason.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire) || self.is_cancelled()
    }
}

/// An async call that a turn waits for, or may yet wait for.
#[derive(Debug)]
pub struct CallingOut(Arc<TurnContext>);

impl Drop for CallingOut {
    fn drop(&mut self) {
        self.0.calling.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the runtime asks of the node: one per activation. No method may block the thread; the texts of refusals are shown
/// to the guest.
pub trait Host: Send + Sync + 'static {
    /// The committed value under a key. The turn's own writes are laid over it by the runtime.
    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>>;

    /// Committed entries whose keys start with `prefix` and come after `after`, at most `entries`; and whether there are more.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        entries: usize,
    ) -> BoxFuture<'a, Result<StatePage, String>>;

    /// The same as [`Host::read`], if that can be told without waiting.
    fn cached(&self, key: &str) -> Option<Option<Vec<u8>>>;

    /// How many commits have changed the state by now. What [`Host::read`] and the others give is at least as new.
    fn version(&self) -> u64;

    /// Calls another grain. Dropping the future gives the call up. Typed arguments are answered with typed values, an own `err`
    /// among them; under an idempotency key with JSON text, as answers are kept in that form.
    fn call<'a>(&'a self, call: OutgoingCall) -> BoxFuture<'a, Result<Payload, CallError>>;

    /// Whether a one-way message would be taken: kind and method exist and the arguments (JSON text) fit.
    fn check_send(&self, target: &GrainId, method: &str, arguments: &[u8])
    -> Result<(), CallError>;

    /// One line of the guest's output, without its newline.
    fn log(&self, stream: LogStream, line: &str);

    /// So many bytes of output were dropped over `limits.log-rate`; a line that says so goes to [`Host::log`].
    fn log_dropped(&self, _bytes: u64) {}
}

/// A call that a turn makes.
#[derive(Debug)]
pub struct OutgoingCall {
    /// The turn that makes it: deadline, chain, baggage and principal travel along.
    pub turn: Arc<TurnContext>,
    /// Whom it calls.
    pub target: GrainId,
    /// Which method.
    pub method: String,
    /// With what.
    pub arguments: Payload,
    /// How long it waits at most; never longer than the turn's own deadline.
    pub timeout: Option<Duration>,
    /// The key under which the answer is kept.
    pub idempotency_key: Option<String>,
    /// Whether the turns that run beside this one stand still until it has its answer: it blocks a guest that runs several.
    pub holds: bool,
}
