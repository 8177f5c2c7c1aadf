//! The embedded engine: sled, in a data directory.
//!
//! One thread writes: it takes everything that waits, appends it to the journal, has that synced and answers all at once, so that
//! concurrent turns share one sync; now and then it brings what the journal holds into sled. A few threads read both. No sled
//! call happens on an async thread.
//!
//! Invariants: a commit is let in or refused by its epoch in the order in which calls arrive, and what was let in is
//! applied in that order; a load waits for commits of its grain that were let in before it; nothing is answered, to writers or
//! to readers, that is not durable. After a failed write sled refuses everything until it is opened anew, which the writer does.

mod desk;
mod journal;
mod open;
mod overlay;
mod readers;
mod table;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use granary_core::id::{CallId, Digest, Epoch, GrainId, KindName};
use granary_core::kind::KindRecord;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::desk::{Desk, Request, Shared};
use self::writer::Writer;
use crate::artifacts::Artifacts;
use crate::directory::Directory;
use crate::door::{
    Commit, Committed, Head, Loaded, Page, PageSize, Pending, ReplyRecord, ResultRecord,
    SendRecord, Settled, Store, StoreError,
};
use crate::fences::Fences;
use crate::ledger::{self, Change, Done};
use crate::space::{RESERVE_BYTES, Space};
use crate::table::Table;

#[doc(hidden)]
pub use self::journal::fuzz_journal;

/// How the embedded engine is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory. It is made if there is none.
    pub dir: PathBuf,
    /// Bytes of the table that sled keeps in memory.
    pub cache_bytes: u64,
    /// Threads that read.
    pub reader_threads: usize,
    /// The room that must be left; [`Space::of_device`] with [`RESERVE_BYTES`] unless a test states otherwise.
    pub space: Space,
}

impl Settings {
    /// The defaults for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let space = Space::of_device(&dir, RESERVE_BYTES);
        Self {
            dir,
            cache_bytes: 128 << 20,
            reader_threads: 3,
            space,
        }
    }
}

/// The embedded engine. Dropping it closes it and waits for what is being written.
pub struct Embedded {
    shared: Arc<Shared>,
    artifacts: Artifacts,
    space: Space,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens a data directory; blocks while the log is read. Errors: `Locked`, `NewerFormat`, `Unreadable`, `Full`, `Failed`.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        let mut directory = Directory::hold(&settings.dir)?;
        let artifacts = Artifacts::open(directory.artifacts(), directory.path())?;
        let opened = open::open(&mut directory, &settings)?;
        let space = settings.space.clone();
        let shared = Arc::new(Shared::new(
            Desk::new(Fences::new(opened.count)),
            opened.table,
        ));
        let not_started = |e| StoreError::Failed {
            place: "starting its threads",
            source: Box::new(e),
        };
        let mut threads =
            readers::start(&shared.jobs, settings.reader_threads.max(1)).map_err(not_started)?;
        threads.push(
            Writer::start(
                Arc::clone(&shared),
                directory,
                settings,
                opened.journal,
                opened.group,
            )
            .map_err(not_started)?,
        );
        Ok(Self {
            shared,
            artifacts,
            space,
            threads: Mutex::new(threads),
        })
    }

    /// Reads on a reader thread and answers what is durable. `grain`: all that is read belongs to it.
    fn look<T: Send + 'static>(
        &self,
        grain: Option<&GrainId>,
        look: impl Fn(&dyn Table) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Pending<'_, T> {
        let (answer, answered) = oneshot::channel();
        desk::look(&self.shared, grain.cloned(), Arc::new(look), answer);
        Box::pin(wait(answered))
    }

    /// Does something with files on a reader thread.
    fn file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Artifacts) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, T> {
        let (answer, answered) = oneshot::channel();
        let artifacts = self.artifacts.clone();
        self.shared
            .jobs
            .push(Box::new(move || drop(answer.send(work(&artifacts)))));
        Box::pin(wait(answered))
    }

    fn change<T: Send + 'static>(
        &self,
        change: Change,
        fence: Option<(GrainId, Epoch)>,
        done: impl FnOnce(Done) -> T + Send + 'static,
    ) -> Pending<'_, T> {
        let (answer, answered) = oneshot::channel();
        let put = self.shared.put_change(change, fence, answer);
        Box::pin(async move {
            put?;
            wait(answered).await.map(done)
        })
    }
}

async fn wait<T>(answered: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    // Whoever was to answer is gone: the store was closed in the meantime.
    answered.await.unwrap_or(Err(StoreError::Closed))
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.close(None);
        for thread in self.threads.get_mut().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

impl Store for Embedded {
    fn load<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Loaded> {
        let (answer, answered) = oneshot::channel();
        let begun = self.shared.put_load(grain, answer);
        Box::pin(async move {
            let epoch = begun?;
            let (head, entries) = wait(answered).await?;
            Ok(Loaded {
                epoch,
                head,
                entries,
            })
        })
    }

    fn release(&self, grain: &GrainId, epoch: Epoch) {
        self.shared.desk.lock().fences.release(grain, epoch);
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        let fence = (commit.grain.clone(), commit.epoch);
        self.change(Change::Commit(Box::new(commit)), Some(fence), |done| {
            Committed { head: done.head }
        })
    }

    fn head<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Head> {
        let of = grain.clone();
        self.look(Some(grain), move |table| ledger::head(table, &of))
    }

    fn read<'a>(&'a self, grain: &'a GrainId, key: &'a str) -> Pending<'a, Option<Vec<u8>>> {
        let (of, key) = (grain.clone(), key.to_owned());
        self.look(Some(grain), move |table| ledger::read(table, &of, &key))
    }

    fn list<'a>(
        &'a self,
        grain: &'a GrainId,
        prefix: &'a str,
        after: Option<&'a str>,
        size: PageSize,
    ) -> Pending<'a, Page<(String, Vec<u8>)>> {
        let (of, prefix, after) = (grain.clone(), prefix.to_owned(), after.map(str::to_owned));
        self.look(Some(grain), move |table| {
            ledger::list(table, &of, &prefix, after.as_deref(), size)
        })
    }

    fn reply<'a>(
        &'a self,
        grain: &'a GrainId,
        key: &'a str,
        now_ms: u64,
    ) -> Pending<'a, Option<ReplyRecord>> {
        let (of, key) = (grain.clone(), key.to_owned());
        self.look(Some(grain), move |table| {
            ledger::reply(table, &of, &key, now_ms)
        })
    }

    fn replies<'a>(
        &'a self,
        grain: &'a GrainId,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Page<ReplyRecord>> {
        let (of, after) = (grain.clone(), after.map(str::to_owned));
        self.look(Some(grain), move |table| {
            ledger::replies(table, &of, after.as_deref(), limit)
        })
    }

    fn grains<'a>(
        &'a self,
        kind: Option<&'a KindName>,
        after: Option<&'a GrainId>,
        limit: usize,
    ) -> Pending<'a, Page<(GrainId, Head)>> {
        let (kind, after) = (kind.cloned(), after.cloned());
        self.look(None, move |table| {
            ledger::grains(table, kind.as_ref(), after.as_ref(), limit)
        })
    }

    fn purge<'a>(&'a self, grain: &'a GrainId, epoch: Epoch) -> Pending<'a, ()> {
        self.change(
            Change::Purge(grain.clone()),
            Some((grain.clone(), epoch)),
            drop,
        )
    }

    fn put_send(&self, send: SendRecord) -> Pending<'_, ()> {
        self.change(Change::PutSend(Box::new(send)), None, drop)
    }

    fn send(&self, id: CallId) -> Pending<'_, Option<SendRecord>> {
        self.look(None, move |table| ledger::send(table, id))
    }

    fn sends(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>> {
        self.look(None, move |table| ledger::sends(table, after, limit))
    }

    fn sends_due(&self, now_ms: u64, limit: usize) -> Pending<'_, (Vec<SendRecord>, Option<u64>)> {
        self.look(None, move |table| ledger::sends_due(table, now_ms, limit))
    }

    fn sends_given_up(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>> {
        self.look(None, move |table| {
            ledger::sends_given_up(table, after, limit)
        })
    }

    fn settle(&self, settled: Settled) -> Pending<'_, bool> {
        self.change(Change::Settle(settled), None, |done| 0 < done.count)
    }

    fn result(&self, id: CallId, now_ms: u64) -> Pending<'_, Option<ResultRecord>> {
        self.look(None, move |table| ledger::result(table, id, now_ms))
    }

    fn kinds(&self) -> Pending<'_, Vec<KindRecord>> {
        self.look(None, ledger::kinds)
    }

    fn put_kind(&self, expected: Option<KindRecord>, record: KindRecord) -> Pending<'_, ()> {
        self.change(Change::PutKind(Box::new((expected, record))), None, drop)
    }

    fn remove_kind<'a>(&'a self, name: &'a KindName) -> Pending<'a, bool> {
        self.change(Change::RemoveKind(name.clone()), None, |done| {
            0 < done.count
        })
    }

    fn put_artifact(&self, digest: Digest, bytes: Vec<u8>) -> Pending<'_, ()> {
        let space = self.space.clone();
        self.file(move |artifacts| {
            space.check(bytes.len() as u64)?;
            artifacts.put(digest, &bytes)
        })
    }

    fn artifact(&self, digest: Digest) -> Pending<'_, Option<Vec<u8>>> {
        self.file(move |artifacts| artifacts.get(digest))
    }

    fn artifacts(&self) -> Pending<'_, Vec<(Digest, u64)>> {
        self.file(Artifacts::list)
    }

    fn remove_artifact(&self, digest: Digest) -> Pending<'_, bool> {
        self.file(move |artifacts| artifacts.remove(digest))
    }

    fn value<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Vec<u8>>> {
        let name = name.to_owned();
        self.look(None, move |table| ledger::value(table, &name))
    }

    fn put_value<'a>(&'a self, name: &'a str, value: Option<Vec<u8>>) -> Pending<'a, ()> {
        self.change(Change::PutValue(name.to_owned(), value), None, drop)
    }

    fn expire(&self, now_ms: u64, limit: usize) -> Pending<'_, usize> {
        self.change(Change::Expire { now_ms, limit }, None, |done| done.count)
    }

    fn ready(&self) -> Pending<'_, ()> {
        let (answer, answered) = oneshot::channel();
        // The writer answers: it knows whether the table works, and opens it anew if it does not.
        self.shared.put(Request::Ready(answer));
        Box::pin(wait(answered))
    }

    fn close(&self) -> Pending<'_, ()> {
        let (answer, answered) = oneshot::channel();
        self.shared.close(Some(answer));
        Box::pin(async move {
            // Gone without a word: it had been closed before.
            answered.await.unwrap_or(Ok(()))
        })
    }

    fn engine(&self) -> &'static str {
        "sled"
    }
}
