//! The one thread that writes.
//!
//! In: requests. Out: groups, each of them one frame of the journal that is durable before anybody hears of it. When the journal has
//! grown, what it holds goes into the table as one batch. The last group's number is part of that: when the write failed, the table
//! is opened anew and the number tells whether the batch was kept.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::MutexGuard;

use super::Settings;
use super::desk::{self, Desk, Request, Shared, Waiting, reason};
use super::journal::{self, Journal};
use super::open::{self, Ballast};
use crate::directory::{self, Directory};
use crate::door::StoreError;
use crate::ledger::{self, Done};
use crate::table::{Changes, Draft};

/// The most changes of one group: nobody waits for more than that.
const GROUP_CHANGES_MAX: usize = 4096;
/// A group takes no further change beyond this many bytes.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// The longest that the writer waits for others to join a group: about what a sync takes.
const GATHER_MAX: Duration = Duration::from_micros(200);

/// The writer's own state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    directory: Directory,
    settings: Settings,
    ballast: Ballast,
    journal: Journal,
    /// The number of the last group.
    group: u64,
    /// How many wanted something written when a group was done: its own changes and those that had come in the meantime.
    busy: usize,
    /// The journal's groups could not be brought into the table.
    is_overdue: bool,
}

/// What became of a group.
enum Fate {
    Kept,
    /// It is certain that nothing of it is there.
    Full,
    Failed(String),
}

impl Writer {
    /// Starts the thread. `group`: the number of the last group, which is in the table.
    pub(crate) fn start(
        shared: Arc<Shared>,
        directory: Directory,
        settings: Settings,
        journal: Journal,
        group: u64,
    ) -> io::Result<JoinHandle<()>> {
        let ballast = Ballast::in_directory(&directory);
        let mut writer = Self {
            shared,
            directory,
            settings,
            ballast,
            journal,
            group,
            busy: 0,
            is_overdue: false,
        };
        writer.lay_ballast();
        thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || writer.run())
    }

    fn run(mut self) {
        loop {
            let mut desk = self.shared.desk.lock();
            while desk.queue.is_empty() && !desk.closing {
                self.shared.arrived.wait(&mut desk);
            }
            self.gather(&mut desk);
            let group = take_group(&mut desk);
            if !group.is_empty() {
                let members = group.len();
                desk.group_open = true;
                drop(desk);
                self.write(group);
                self.busy = members + self.shared.desk.lock().queue.len();
                continue;
            }
            let next = desk.queue.pop_front();
            drop(desk);
            match next {
                Some(Request::Then(run)) => run(),
                Some(Request::Ready(answer)) => drop(answer.send(self.ready())),
                Some(Request::Change(_)) => {
                    unreachable!("invariant: changes at the front are a group")
                }
                None => return self.end(),
            }
        }
    }

    /// Lets a group grow to most of those who are busy committing: a sync costs the same for one as for a hundred, and whoever was
    /// just answered will soon ask again. One who commits alone never waits.
    fn gather(&self, desk: &mut MutexGuard<'_, Desk>) {
        let most = self.busy * 3 / 4;
        if desk.queue.len() < most && !desk.closing {
            desk.wanted = most;
            // Whether they came or the time is up, those who are there are written.
            let _came = self.shared.arrived.wait_for(desk, GATHER_MAX);
            desk.wanted = 1;
        }
    }

    /// Everything is written. Lets go of the table and the directory.
    fn end(mut self) {
        self.shared.jobs.close();
        // What stays in the journal is brought into the table by the next start.
        let _brought = self.bring_in();
        let table = self.shared.table.write().take();
        let dropped = desk::guarded("closing", || drop(table));
        self.directory.release();
        let mut desk = self.shared.desk.lock();
        desk.closed = true;
        let answers = std::mem::take(&mut desk.wait_for_close);
        drop(desk);
        let reason = dropped.err().map(|error| reason(&error));
        for answer in answers {
            drop(
                answer.send(
                    reason
                        .as_ref()
                        .map_or(Ok(()), |text| Err(desk::failed("closing", text))),
                ),
            );
        }
    }

    fn ready(&mut self) -> Result<(), StoreError> {
        self.settings.space.check(0)?;
        self.open_if_needed()?;
        self.lay_ballast();
        Ok(())
    }

    fn write(&mut self, group: Vec<Waiting>) {
        let bytes: usize = group.iter().map(|waiting| waiting.change.bytes()).sum();
        let tried = self
            .settings
            .space
            .check(bytes as u64)
            .and_then(|()| self.open_if_needed());
        let (fate, outcomes) = match tried.and_then(|()| self.draft(&group)) {
            Ok((changes, outcomes)) if changes.is_empty() => (Fate::Kept, outcomes),
            Ok((changes, outcomes)) => (self.keep(changes), outcomes),
            Err(StoreError::Full { .. }) => (Fate::Full, Vec::new()),
            Err(error) => (Fate::Failed(reason(&error)), Vec::new()),
        };
        self.finish(group, &fate, outcomes);
        if self.journal.is_due() && !self.is_overdue {
            // If it fails, it is tried again when the journal is full.
            self.is_overdue = !matches!(self.bring_in(), Fate::Kept);
        }
        if self.ballast.is_thrown() && matches!(fate, Fate::Kept) {
            self.lay_ballast();
        }
    }

    /// Turns the requests into changes of the table, each on top of those before it.
    fn draft(
        &self,
        group: &[Waiting],
    ) -> Result<(Changes, Vec<Result<Done, StoreError>>), StoreError> {
        self.shared.read(|table| {
            let mut draft = Draft::new(table);
            let outcomes = group
                .iter()
                .map(|waiting| ledger::apply(&mut draft, &waiting.change))
                .collect();
            Ok((draft.into_changes(), outcomes))
        })
    }

    fn keep(&mut self, changes: Changes) -> Fate {
        let frame = journal::frame(self.group + 1, &changes);
        if !self.journal.fits(&frame) {
            match self.bring_in() {
                Fate::Kept => {}
                not_kept @ (Fate::Full | Fate::Failed(_)) => return not_kept,
            }
        }
        if !self.journal.fits(&frame) {
            let before = self.group;
            self.group += 1;
            let fate = self.keep_in_table(&changes);
            if !matches!(fate, Fate::Kept) {
                // The numbers of the journal must follow on that of the table.
                self.group = before;
            }
            return fate;
        }
        match self.journal.append(&frame) {
            Ok(()) => {
                self.group += 1;
                self.shared.pending.write().extend(changes);
                Fate::Kept
            }
            Err(error) if directory::is_full(error.kind()) => Fate::Full,
            Err(error) => {
                tracing::error!(dir = %self.directory.path().display(), "the journal cannot be written: {error}");
                Fate::Failed(error.to_string())
            }
        }
    }

    /// Brings what the journal holds into the table.
    fn bring_in(&mut self) -> Fate {
        let shared = Arc::clone(&self.shared);
        // Readers go on beside it; only this thread changes it.
        let pending = shared.pending.read();
        let fate = match self.open_if_needed() {
            _ if pending.is_empty() => Fate::Kept,
            Ok(()) => self.keep_in_table(&pending),
            Err(StoreError::Full { .. }) => Fate::Full,
            Err(error) => Fate::Failed(reason(&error)),
        };
        drop(pending);
        if matches!(fate, Fate::Kept) {
            self.shared.pending.write().clear();
            self.journal.restart();
            self.is_overdue = false;
        }
        fate
    }

    /// Keeps changes in the table, with the number of the last group.
    fn keep_in_table(&mut self, changes: &Changes) -> Fate {
        let number = Changes::from([open::numbered(open::GROUP, self.group)]);
        let kept = {
            let table = self.shared.table.read();
            let table = table
                .as_ref()
                .expect("invariant: only this thread takes the table away");
            desk::guarded("writing", || table.keep(changes.iter().chain(&number)))
        };
        match kept {
            Ok(Ok(())) => Fate::Kept,
            Ok(Err(error)) => self.recover(&error),
            Err(panic) => self.recover(&sled::Error::ReportableBug(reason(&panic))),
        }
    }

    /// After a failed write sled refuses everything. Opens it anew and finds out whether the group was kept.
    fn recover(&mut self, error: &sled::Error) -> Fate {
        tracing::error!(dir = %self.directory.path().display(), "writing failed, the table is opened anew: {error}");
        let full = matches!(error, sled::Error::Io(e) if directory::is_full(e.kind()));
        if full {
            self.ballast.throw();
        }
        let table = self.shared.table.write().take();
        let dropped = desk::guarded("closing", || drop(table));
        let opened = dropped.and_then(|()| self.open_if_needed());
        if let Err(still) = opened {
            return Fate::Failed(format!("{error}; opening the table anew: {still}"));
        }
        match self.number_in_table() {
            Ok(Some(group)) if group == self.group => Fate::Kept,
            Ok(_) if full => Fate::Full,
            Ok(_) => Fate::Failed(error.to_string()),
            Err(still) => Fate::Failed(format!("{error}; reading after it: {still}")),
        }
    }

    fn number_in_table(&self) -> Result<Option<u64>, StoreError> {
        let table = self.shared.table.read();
        let table = table
            .as_ref()
            .expect("invariant: only this thread takes the table away");
        open::number(table, open::GROUP)
    }

    /// Opens the table if it was closed by a failure. Errors: `Full`, `Unreadable`.
    fn open_if_needed(&mut self) -> Result<(), StoreError> {
        if self.shared.table.read().is_some() {
            return Ok(());
        }
        let table = open::sled_table(&self.directory, &self.settings)?;
        // A batch whose fate was unknown may be there after all.
        let in_table = open::number(&table, open::GROUP)?;
        self.group = self.group.max(in_table.unwrap_or(0));
        *self.shared.table.write() = Some(table);
        tracing::info!(dir = %self.directory.path().display(), "the table was opened anew");
        Ok(())
    }

    fn lay_ballast(&mut self) {
        if self.ballast.is_thrown()
            && self
                .settings
                .space
                .check(open::BALLAST_BYTES as u64)
                .is_ok()
        {
            self.ballast.lay();
        }
    }

    /// Answers the group and those who read while it was written.
    fn finish(&self, group: Vec<Waiting>, fate: &Fate, outcomes: Vec<Result<Done, StoreError>>) {
        let kept = matches!(fate, Fate::Kept);
        let mut desk = self.shared.desk.lock();
        desk.group_open = false;
        desk.groups_failed += u64::from(!kept);
        for grain in group.iter().filter_map(|waiting| waiting.grain.as_ref()) {
            desk.fences.leave(grain);
        }
        let parked = std::mem::take(&mut desk.parked);
        drop(desk);
        let mut outcomes = outcomes.into_iter();
        for waiting in group {
            let outcome = match fate {
                Fate::Kept => outcomes
                    .next()
                    .expect("invariant: a kept group has an outcome for each change"),
                Fate::Full => Err(self.settings.space.full()),
                Fate::Failed(text) => Err(desk::failed("writing", text)),
            };
            drop(waiting.answer.send(outcome));
        }
        for parked in parked {
            parked(kept);
        }
    }
}

/// The changes at the front of the queue, up to the limits of a group.
fn take_group(desk: &mut Desk) -> Vec<Waiting> {
    let mut group = Vec::new();
    let mut bytes = 0;
    while group.len() < GROUP_CHANGES_MAX && bytes < GROUP_BYTES_MAX {
        match desk.queue.pop_front() {
            Some(Request::Change(waiting)) => {
                bytes += waiting.change.bytes();
                group.push(waiting);
            }
            Some(other) => {
                desk.queue.push_front(other);
                break;
            }
            None => break,
        }
    }
    group
}
