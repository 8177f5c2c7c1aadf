//! The engine that forgets: for tests, and for nodes that are told to keep nothing.

use std::collections::BTreeMap;
use std::future::ready;

use granary_core::id::{CallId, Digest, Epoch, GrainId, KindName};
use granary_core::kind::KindRecord;
use parking_lot::Mutex;

use crate::door::{
    Commit, Committed, Head, Loaded, Page, PageSize, Pending, ReplyRecord, ResultRecord,
    SendRecord, Settled, Store, StoreError,
};
use crate::fences::Fences;
use crate::ledger::{self, Change, Done};
use crate::space::Space;
use crate::table::{Draft, Table};

/// Everything in memory, gone with the value.
#[derive(Debug)]
pub struct Memory {
    space: Space,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    open: bool,
    table: BTreeMap<Vec<u8>, Vec<u8>>,
    fences: Fences,
    artifacts: BTreeMap<Digest, Vec<u8>>,
}

impl Memory {
    /// Empty.
    pub fn new() -> Self {
        Self::with_space(Space::unlimited())
    }

    /// Empty, with a stated amount of room.
    pub fn with_space(space: Space) -> Self {
        let kept = Kept {
            open: true,
            table: BTreeMap::new(),
            fences: Fences::new(1),
            artifacts: BTreeMap::new(),
        };
        Self {
            space,
            kept: Mutex::new(kept),
        }
    }

    fn with<T>(
        &self,
        look: impl FnOnce(&mut Kept) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut kept = self.kept.lock();
        if !kept.open {
            return Err(StoreError::Closed);
        }
        look(&mut kept)
    }

    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Table) -> Result<T, StoreError>,
    ) -> Pending<'_, T> {
        Box::pin(ready(self.with(|kept| look(&kept.table))))
    }

    fn change(
        &self,
        change: &Change,
        fence: Option<(&GrainId, Epoch)>,
    ) -> Result<Done, StoreError> {
        self.with(|kept| {
            if let Some((grain, epoch)) = fence {
                // It is never under way: the change is done before the lock is given back.
                kept.fences.check(grain, epoch)?;
            }
            self.space.check(change.bytes() as u64)?;
            let mut draft = Draft::new(&kept.table);
            let done = ledger::apply(&mut draft, change)?;
            for (key, value) in draft.into_changes() {
                match value {
                    Some(value) => kept.table.insert(key, value),
                    None => kept.table.remove(&key),
                };
            }
            Ok(done)
        })
    }

    fn changing<T: Send + 'static>(
        &self,
        change: &Change,
        answer: impl FnOnce(Done) -> T,
    ) -> Pending<'_, T> {
        Box::pin(ready(self.change(change, None).map(answer)))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn load<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Loaded> {
        Box::pin(ready(self.with(|kept| {
            let epoch = kept.fences.begin(grain);
            let (head, entries) = ledger::load(&kept.table, grain)?;
            Ok(Loaded {
                epoch,
                head,
                entries,
            })
        })))
    }

    fn release(&self, grain: &GrainId, epoch: Epoch) {
        self.kept.lock().fences.release(grain, epoch);
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        let (grain, epoch) = (commit.grain.clone(), commit.epoch);
        let done = self.change(&Change::Commit(Box::new(commit)), Some((&grain, epoch)));
        Box::pin(ready(done.map(|done| Committed { head: done.head })))
    }

    fn head<'a>(&'a self, grain: &'a GrainId) -> Pending<'a, Head> {
        self.look(|table| ledger::head(table, grain))
    }

    fn read<'a>(&'a self, grain: &'a GrainId, key: &'a str) -> Pending<'a, Option<Vec<u8>>> {
        self.look(|table| ledger::read(table, grain, key))
    }

    fn list<'a>(
        &'a self,
        grain: &'a GrainId,
        prefix: &'a str,
        after: Option<&'a str>,
        size: PageSize,
    ) -> Pending<'a, Page<(String, Vec<u8>)>> {
        self.look(|table| ledger::list(table, grain, prefix, after, size))
    }

    fn reply<'a>(
        &'a self,
        grain: &'a GrainId,
        key: &'a str,
        now_ms: u64,
    ) -> Pending<'a, Option<ReplyRecord>> {
        self.look(|table| ledger::reply(table, grain, key, now_ms))
    }

    fn replies<'a>(
        &'a self,
        grain: &'a GrainId,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Page<ReplyRecord>> {
        self.look(|table| ledger::replies(table, grain, after, limit))
    }

    fn grains<'a>(
        &'a self,
        kind: Option<&'a KindName>,
        after: Option<&'a GrainId>,
        limit: usize,
    ) -> Pending<'a, Page<(GrainId, Head)>> {
        self.look(|table| ledger::grains(table, kind, after, limit))
    }

    fn purge<'a>(&'a self, grain: &'a GrainId, epoch: Epoch) -> Pending<'a, ()> {
        let done = self.change(&Change::Purge(grain.clone()), Some((grain, epoch)));
        Box::pin(ready(done.map(drop)))
    }

    fn put_send(&self, send: SendRecord) -> Pending<'_, ()> {
        self.changing(&Change::PutSend(Box::new(send)), drop)
    }

    fn send(&self, id: CallId) -> Pending<'_, Option<SendRecord>> {
        self.look(|table| ledger::send(table, id))
    }

    fn sends(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>> {
        self.look(|table| ledger::sends(table, after, limit))
    }

    fn sends_due(&self, now_ms: u64, limit: usize) -> Pending<'_, (Vec<SendRecord>, Option<u64>)> {
        self.look(|table| ledger::sends_due(table, now_ms, limit))
    }

    fn sends_given_up(&self, after: Option<CallId>, limit: usize) -> Pending<'_, Page<SendRecord>> {
        self.look(|table| ledger::sends_given_up(table, after, limit))
    }

    fn settle(&self, settled: Settled) -> Pending<'_, bool> {
        self.changing(&Change::Settle(settled), |done| 0 < done.count)
    }

    fn result(&self, id: CallId, now_ms: u64) -> Pending<'_, Option<ResultRecord>> {
        self.look(|table| ledger::result(table, id, now_ms))
    }

    fn kinds(&self) -> Pending<'_, Vec<KindRecord>> {
        self.look(ledger::kinds)
    }

    fn put_kind(&self, expected: Option<KindRecord>, record: KindRecord) -> Pending<'_, ()> {
        self.changing(&Change::PutKind(Box::new((expected, record))), drop)
    }

    fn remove_kind<'a>(&'a self, name: &'a KindName) -> Pending<'a, bool> {
        self.changing(&Change::RemoveKind(name.clone()), |done| 0 < done.count)
    }

    fn put_artifact(&self, digest: Digest, bytes: Vec<u8>) -> Pending<'_, ()> {
        Box::pin(ready(self.with(|kept| {
            self.space.check(bytes.len() as u64)?;
            kept.artifacts.insert(digest, bytes);
            Ok(())
        })))
    }

    fn artifact(&self, digest: Digest) -> Pending<'_, Option<Vec<u8>>> {
        Box::pin(ready(
            self.with(|kept| Ok(kept.artifacts.get(&digest).cloned())),
        ))
    }

    fn artifacts(&self) -> Pending<'_, Vec<(Digest, u64)>> {
        Box::pin(ready(self.with(|kept| {
            Ok(kept
                .artifacts
                .iter()
                .map(|(digest, bytes)| (*digest, bytes.len() as u64))
                .collect())
        })))
    }

    fn remove_artifact(&self, digest: Digest) -> Pending<'_, bool> {
        Box::pin(ready(
            self.with(|kept| Ok(kept.artifacts.remove(&digest).is_some())),
        ))
    }

    fn value<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Vec<u8>>> {
        self.look(|table| ledger::value(table, name))
    }

    fn put_value<'a>(&'a self, name: &'a str, value: Option<Vec<u8>>) -> Pending<'a, ()> {
        self.changing(&Change::PutValue(name.to_owned(), value), drop)
    }

    fn expire(&self, now_ms: u64, limit: usize) -> Pending<'_, usize> {
        self.changing(&Change::Expire { now_ms, limit }, |done| done.count)
    }

    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(ready(self.with(|_| self.space.check(0))))
    }

    fn close(&self) -> Pending<'_, ()> {
        self.kept.lock().open = false;
        Box::pin(ready(Ok(())))
    }

    fn engine(&self) -> &'static str {
        "memory"
    }
}
