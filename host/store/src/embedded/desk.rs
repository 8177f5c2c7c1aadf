//! What the threads of the engine share: the requests that wait, the fences, the open table, the answers that wait for a sync.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use granary_core::id::{Epoch, GrainId};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::oneshot;

use super::overlay::Overlay;
use super::readers::Jobs;
use super::table::SledTable;
use crate::door::{Head, StoreError};
use crate::fences::Fences;
use crate::ledger::{self, Change, Done, Entries};
use crate::table::{Changes, Table};

/// Where an answer goes. Nobody may be there any more.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A read that may be made again.
pub(crate) type Look<T> = Arc<dyn Fn(&dyn Table) -> Result<T, StoreError> + Send + Sync>;

/// A change that was let in.
pub(crate) struct Waiting {
    pub(crate) change: Change,
    /// Whose commits the change counts among; it was let in by its epoch.
    pub(crate) grain: Option<GrainId>,
    pub(crate) answer: Answer<Done>,
}

/// Something for the writer.
pub(crate) enum Request {
    /// To be kept, together with its neighbours in the queue.
    Change(Waiting),
    /// To be done once everything before it is durable.
    Then(Box<dyn FnOnce() + Send>),
    /// Whether changes can be taken.
    Ready(Answer<()>),
}

/// Runs when the group that was being written is durable (`true`) or gone.
type Parked = Box<dyn FnOnce(bool) + Send>;

/// The state behind the lock. It is held for moments only, never over a call of sled.
pub(crate) struct Desk {
    pub(crate) fences: Fences,
    pub(crate) queue: VecDeque<Request>,
    /// So many requests wake the writer.
    pub(crate) wanted: usize,
    /// A group is in the table but perhaps not durable.
    pub(crate) group_open: bool,
    /// How many groups failed: what was read before a failure may be gone.
    pub(crate) groups_failed: u64,
    pub(crate) parked: Vec<Parked>,
    pub(crate) closing: bool,
    /// The writer has gone.
    pub(crate) closed: bool,
    pub(crate) wait_for_close: Vec<Answer<()>>,
}

impl Desk {
    /// Nothing waits.
    pub(crate) fn new(fences: Fences) -> Self {
        Self {
            fences,
            queue: VecDeque::new(),
            wanted: 1,
            group_open: false,
            groups_failed: 0,
            parked: Vec::new(),
            closing: false,
            closed: false,
            wait_for_close: Vec::new(),
        }
    }
}

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) desk: Mutex<Desk>,
    /// Wakes the writer.
    pub(crate) arrived: Condvar,
    /// None while it has to be opened anew, and after the end.
    pub(crate) table: RwLock<Option<SledTable>>,
    /// What is in the journal and not yet in the table.
    pub(crate) pending: RwLock<Changes>,
    pub(crate) jobs: Arc<Jobs>,
}

impl Shared {
    /// Around an open table.
    pub(crate) fn new(desk: Desk, table: SledTable) -> Self {
        Self {
            desk: Mutex::new(desk),
            arrived: Condvar::new(),
            table: RwLock::new(Some(table)),
            pending: RwLock::default(),
            jobs: Arc::default(),
        }
    }

    /// Queues something for the writer; without a word if the store is closed: the answer's channel then is.
    pub(crate) fn put(&self, request: Request) {
        let mut desk = self.desk.lock();
        if !desk.closing {
            desk.queue.push_back(request);
            self.wake_for(&desk);
        }
    }

    /// Lets a change in and queues it, in one step. Errors: `Stale`, `Closed`.
    pub(crate) fn put_change(
        &self,
        change: Change,
        fence: Option<(GrainId, Epoch)>,
        answer: Answer<Done>,
    ) -> Result<(), StoreError> {
        let mut desk = self.desk.lock();
        if desk.closing {
            return Err(StoreError::Closed);
        }
        if let Some((grain, epoch)) = &fence {
            desk.fences.enter(grain, *epoch)?;
        }
        let grain = fence.map(|(grain, _)| grain);
        desk.queue.push_back(Request::Change(Waiting {
            change,
            grain,
            answer,
        }));
        self.wake_for(&desk);
        Ok(())
    }

    /// Wakes the writer if what waits is worth it.
    fn wake_for(&self, desk: &Desk) {
        if desk.wanted <= desk.queue.len() {
            self.arrived.notify_one();
        }
    }

    /// Begins an activation. Its state is read once no earlier commit of the grain is under way. Errors: `Closed`.
    pub(crate) fn put_load(
        self: &Arc<Self>,
        grain: &GrainId,
        answer: Answer<(Head, Option<Entries>)>,
    ) -> Result<Epoch, StoreError> {
        let (shared, of) = (Arc::clone(self), grain.clone());
        // From now on nobody but the new activation can commit: what is read then stays so.
        let job =
            Box::new(move || drop(answer.send(shared.read(|table| ledger::load(table, &of)))));
        let mut desk = self.desk.lock();
        if desk.closing {
            return Err(StoreError::Closed);
        }
        let epoch = desk.fences.begin(grain);
        if desk.fences.under_way(grain) {
            let jobs = Arc::clone(&self.jobs);
            desk.queue
                .push_back(Request::Then(Box::new(move || jobs.push(job))));
            self.wake_for(&desk);
        } else {
            drop(desk);
            self.jobs.push(job);
        }
        Ok(epoch)
    }

    /// Takes no more requests; those that wait are still done. `answer` hears of the end.
    pub(crate) fn close(&self, answer: Option<Answer<()>>) {
        let mut desk = self.desk.lock();
        desk.closing = true;
        if !desk.closed {
            desk.wait_for_close.extend(answer);
        }
        drop(desk);
        self.arrived.notify_one();
    }

    /// Reads what is there, durable or not.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&dyn Table) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let table = self.table.read();
        let Some(table) = table.as_ref() else {
            let closed = self.desk.lock().closed;
            return Err(if closed {
                StoreError::Closed
            } else {
                failed("reading", "the table waits to be opened anew")
            });
        };
        let pending = &self.pending;
        guarded("reading", || look(&Overlay { pending, table }))?
    }
}

/// Reads on a reader thread, and answers once what was read is durable.
pub(crate) fn look<T: Send + 'static>(
    shared: &Arc<Shared>,
    grain: Option<GrainId>,
    look: Look<T>,
    answer: Answer<T>,
) {
    let of = Arc::clone(shared);
    shared
        .jobs
        .push(Box::new(move || look_now(of, grain, look, answer)));
}

fn look_now<T: Send + 'static>(
    shared: Arc<Shared>,
    grain: Option<GrainId>,
    look: Look<T>,
    answer: Answer<T>,
) {
    let failed_before = shared.desk.lock().groups_failed;
    let found = shared.read(|table| look(table));
    let mut desk = shared.desk.lock();
    if desk.groups_failed != failed_before {
        drop(desk);
        return self::look(&shared, grain, look, answer);
    }
    let durable = !desk.group_open
        || grain
            .as_ref()
            .is_some_and(|grain| !desk.fences.under_way(grain));
    if !durable {
        let again = Arc::clone(&shared);
        desk.parked.push(Box::new(move |kept| {
            if kept {
                drop(answer.send(found));
            } else {
                self::look(&again, grain, look, answer);
            }
        }));
        return;
    }
    drop(desk);
    drop(answer.send(found));
}

/// Runs something that calls sled; a panic in it becomes an error. Errors: `Failed`.
pub(crate) fn guarded<T>(place: &'static str, run: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        failed(place, text.unwrap_or("the engine panicked"))
    })
}

/// The error of an engine that says something.
pub(crate) fn failed(place: &'static str, text: &str) -> StoreError {
    StoreError::Failed {
        place,
        source: text.to_owned().into(),
    }
}

/// What the engine said.
pub(crate) fn reason(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
