//! The door to every engine.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use granary_core::id::{CallId, Digest, Epoch, GrainId, KindName, Revision};
use granary_core::kind::KindRecord;
use serde::{Deserialize, Serialize};

/// An answer that a store is still working on. It needs no runtime of its own and may be dropped: a commit that was
/// handed over is then finished all the same.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store refused. Each text names the place and, where a person can do something, what.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer activation of the grain exists, or this one was released. Nothing was written; drop the activation.
    #[error("activation epoch {held} of {grain} is stale{}", newest.map(|e| format!("; the newest is {e}")).unwrap_or_default())]
    Stale {
        /// The grain.
        grain: GrainId,
        /// The epoch that the commit carried.
        held: Epoch,
        /// The newest, if the grain is active.
        newest: Option<Epoch>,
    },
    /// A precondition (`if_version`, `expected`) does not hold. Nothing was written.
    #[error("{place} is at version {actual}, not {expected}")]
    Conflict {
        /// What was to be changed.
        place: String,
        /// The version asked for.
        expected: u64,
        /// The version found.
        actual: u64,
    },
    /// No space is left on the device. Nothing was written, nothing was lost; it works again once there is space.
    #[error("no space left for the store in {}; free some space, the node recovers by itself", dir.display())]
    Full {
        /// The data directory.
        dir: PathBuf,
    },
    /// Another process holds the data directory.
    #[error("{} is in use by another process{}; stop it, or choose another directory", dir.display(), holder.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// What the lock file says of the holder.
        holder: Option<String>,
    },
    /// A newer Granary wrote the data directory. Nothing was touched.
    #[error("{} has format {found}; this program reads up to {known}: use a newer granary", dir.display())]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The data directory exists but holds something else, or may not be read.
    #[error("{} cannot be read: {why}", dir.display())]
    Unreadable {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The cause, where the system gave one.
        #[source]
        source: Option<std::io::Error>,
    },
    /// A record does not decode. Everything else stays readable.
    #[error("the record {place} is damaged: {why}")]
    Damaged {
        /// Which record.
        place: String,
        /// What does not fit.
        why: String,
    },
    /// The engine failed in some other way. Whether the last commit was kept is unknown.
    #[error("the store failed at {place}")]
    Failed {
        /// What it was doing.
        place: &'static str,
        /// The engine's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// A grain as `load` found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The epoch of the activation that this load begins. Every earlier one is fenced from now on.
    pub epoch: Epoch,
    /// What is known of its state.
    pub head: Head,
    /// The whole state, when it is at most [`PREFETCH_BYTES_MAX`] long; else read it key by key.
    pub entries: Option<BTreeMap<String, Vec<u8>>>,
}

/// A state up to this size comes along with `load`, in bytes.
pub const PREFETCH_BYTES_MAX: u64 = 64 << 10;

/// What a store knows of a grain without reading its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// How many commits changed the state.
    pub version: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// How many keys there are.
    pub keys: u64,
    /// The revision that committed last; none if the grain never committed.
    pub revision: Option<Revision>,
    /// When it last committed: milliseconds since the Unix epoch.
    pub changed_at_ms: u64,
}

/// A turn, ready to be kept: all of it or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Whose turn.
    pub grain: GrainId,
    /// The activation's epoch; the commit is refused unless it is the newest.
    pub epoch: Epoch,
    /// The revision that ran.
    pub revision: Revision,
    /// Now: milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// State writes; `None` removes.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// One-way messages to keep until they are handled.
    pub sends: Vec<SendRecord>,
    /// The answer under an idempotency key.
    pub reply: Option<ReplyRecord>,
    /// The one-way message or asynchronous call that this turn has handled: it is removed, and its result kept if
    /// it was asked for.
    pub settles: Option<Settled>,
}

/// What a commit left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The grain's state after it. Its version grew by one if there were state writes.
    pub head: Head,
}

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyRecord {
    /// The idempotency key, unique within the grain.
    pub key: String,
    /// A hash of method and arguments: the same key with another call is a mistake of the caller's.
    pub fingerprint: u64,
    /// The answer itself, in the encoding of whoever wrote it.
    pub answer: Vec<u8>,
    /// When it may be forgotten: milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
}

/// A one-way message or an asynchronous call, kept until handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendRecord {
    /// Its id.
    pub id: CallId,
    /// The grain that sent it; none from outside.
    pub from: Option<GrainId>,
    /// Its target.
    pub target: GrainId,
    /// The method.
    pub method: String,
    /// The arguments, as JSON text.
    pub arguments: Vec<u8>,
    /// Baggage and principal that travel with it.
    pub baggage: BTreeMap<String, String>,
    /// Who sent it, as authentication named them.
    pub principal: Option<String>,
    /// The idempotency key of an asynchronous call: its answer is kept under it, as that of any other call.
    pub idempotency_key: Option<String>,
    /// When to try next: milliseconds since the Unix epoch.
    pub due_at_ms: u64,
    /// When it was accepted.
    pub sent_at_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether its result is kept for `/v1/calls/{id}`.
    pub keep_result: bool,
    /// Why it was given up, as encoded by whoever did; none while it is to be tried. A given-up one is never due.
    pub given_up: Option<Vec<u8>>,
}

/// The end of a one-way message or asynchronous call.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Which.
    pub id: CallId,
    /// Its result, if it is to be kept.
    pub result: Option<ResultRecord>,
}

/// The kept result of an asynchronous call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// The grain that was called.
    pub target: GrainId,
    /// The method.
    pub method: String,
    /// The answer, in the encoding of whoever wrote it.
    pub answer: Vec<u8>,
    /// When it may be forgotten: milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// The bounds of one page of state.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// Entries at most.
    pub entries: usize,
    /// Bytes of keys and values at most; one entry is always given.
    pub bytes: usize,
}

/// An engine. All methods may be called from async tasks: none blocks the calling thread on a disk.
///
/// Durability: when `commit` (or any other changing call) answers, the change survives `kill -9` and power loss as far as the
/// file system keeps its word after `fsync`. An error other than [`StoreError::Failed`] means that nothing was changed.
pub trait Store: Send + Sync + 'static {
    /// Begins an activation: hands out a new epoch, larger than every earlier one of this grain, and fences those.
    fn load<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Loaded>;

    /// Ends an activation. Later commits under this epoch are refused; a newer activation is not touched.
    fn release(&self, grain: &GrainId, epoch: Epoch);

    /// Keeps a turn. Errors: `Stale`, `Full`, `Closed`, `Failed`.
    fn commit(&self, commit: Commit) -> Pending<'_, Committed>;

    /// What is known of a grain; the default if it never committed.
    fn head<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Head>;

    /// One state value.
    fn read<'a>(&'a self, grain: &'a GrainId, key: &'a str) -> Pending<'a, Option<Vec<u8>>>;

    /// State entries whose keys start with `prefix` and come after `after`, in the order of the keys' bytes.
    fn list<'a>(
        &'a self,
        grain: &'a GrainId,
        prefix: &'a str,
        after: Option<&'a str>,
        size: PageSize,
    ) -> Pending<'a, Page<(String, Vec<u8>)>>;

    /// The answer kept under an idempotency key, unless it has expired at `now_ms`.
    fn reply<'a>(
        &'a self,
        grain: &'a GrainId,
        key: &'a str,
        now_ms: u64,
    ) -> Pending<'a, Option<ReplyRecord>>;

    /// Every answer kept for a grain, expired or not, in the order of the idempotency keys, after one. For backups.
    fn replies<'a>(
        &'a self,
        grain: &'a GrainId,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Page<ReplyRecord>>;

    /// Grains that have committed at least once, of one kind or all, after one in the order of (kind, key).
    fn grains<'a>(
        &'a self,
        kind: Option<&'a KindName>,
        after: Option<&'a GrainId>,
        limit: usize,
    ) -> Pending<'a, Page<(GrainId, Head)>>;

    /// Erases a grain: state, head and kept answers. The epoch must be the newest, as for `commit`.
    fn purge<'a>(&'a self, grain: &'a GrainId, epoch: Epoch) -> Pending<'a, ()>;

    /// Keeps a one-way message or asynchronous call, or replaces the record with the same id.
    fn put_send(&self, send: SendRecord) -> Pending<'_, ()>;

    /// One of them.
    fn send(&self, id: CallId) -> Pending<'_, Option<SendRecord>>;

    /// All of them, given up or not, in the order of their ids, after one. For backups.
    fn sends(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>>;

    /// Those that are due at `now_ms`, earliest first, and when the next one after them is due.
    fn sends_due(&self, now_ms: u64, limit: usize) -> Pending<'_, (Vec<SendRecord>, Option<u64>)>;

    /// Those that were given up, in the order of their ids, after one.
    fn sends_given_up(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>>;

    /// Removes one without handling it, keeping a result if one is given. Whether it was there.
    fn settle(&self, settled: Settled) -> Pending<'_, bool>;

    /// The kept result of an asynchronous call, unless it has expired at `now_ms`.
    fn result(&self, id: CallId, now_ms: u64) -> Pending<'_, Option<ResultRecord>>;

    /// Every kind, by name.
    fn kinds(&self) -> Pending<'_, Vec<KindRecord>>;

    /// Puts a kind, if the kept record is exactly `expected` (none: there is none). Errors: `Conflict` with the kept
    /// record's and the expected record's current revision.
    fn put_kind(&self, expected: Option<KindRecord>, record: KindRecord) -> Pending<'_, ()>;

    /// Removes a kind's record; its grains' state stays. Whether it was there.
    fn remove_kind<'a>(&'a self, name: &'a KindName) -> Pending<'a, bool>;

    /// Keeps a component, checked against its digest by the caller.
    fn put_artifact(&self, digest: Digest, bytes: Vec<u8>) -> Pending<'_, ()>;

    /// A component. Errors: `Damaged` if the bytes no longer have the digest.
    fn artifact(&self, digest: Digest) -> Pending<'_, Option<Vec<u8>>>;

    /// Every component's digest and size in bytes.
    fn artifacts(&self) -> Pending<'_, Vec<(Digest, u64)>>;

    /// Removes a component. Whether it was there.
    fn remove_artifact(&self, digest: Digest) -> Pending<'_, bool>;

    /// A value of the node's own (settings, keys).
    fn value<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Vec<u8>>>;

    /// Puts, or removes with `None`, a value of the node's own.
    fn put_value<'a>(&'a self, name: &'a str, value: Option<Vec<u8>>) -> Pending<'a, ()>;

    /// Forgets kept answers and results that have expired at `now_ms`, at most `limit`. How many went.
    fn expire(&self, now_ms: u64, limit: usize) -> Pending<'_, usize>;

    /// Whether commits can be taken just now. Errors: `Full` until space is back, `Closed`, `Failed`.
    fn ready(&self) -> Pending<'_, ()>;

    /// Writes everything out and refuses all later calls with `Closed`.
    fn close(&self) -> Pending<'_, ()>;

    /// The engine's name for people: `sled`, `memory`.
    fn engine(&self) -> &'static str;
}
