//! Opening the table, at the start and after a failure.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::Settings;
use super::desk::{self, reason};
use super::journal::{Journal, JournalError};
use super::table::SledTable;
use crate::directory::{self, Directory};
use crate::door::StoreError;
use crate::keys;
use crate::table::Table;

/// How often the store was opened.
const OPENED: &str = "opened";
/// The number of the last group of changes.
pub(crate) const GROUP: &str = "group";

/// sled lets go of its file a moment after it was dropped.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(5);

/// What opening needs at most on a device that is full to the last byte: sled clears torn segments and writes a snapshot.
pub(crate) const BALLAST_BYTES: usize = 8 << 20;

/// A table, and the numbers that it goes on from.
pub(crate) struct Opened {
    pub(crate) table: SledTable,
    /// How often it was opened, this time included.
    pub(crate) count: u64,
    /// The last group's number.
    pub(crate) group: u64,
    /// The journal, of which everything is in the table.
    pub(crate) journal: Journal,
}

/// Opens the table of a held directory and counts that. Errors: `Unreadable`, `Full`, `Failed`.
pub(crate) fn open(directory: &mut Directory, settings: &Settings) -> Result<Opened, StoreError> {
    settings.space.check(0)?;
    let table = sled_table(directory, settings)?;
    let count = number(&table, OPENED)?;
    if count.is_none() && !directory.is_new() {
        let why =
            "the table in store/sled is damaged: it has lost what every table holds".to_owned();
        return Err(StoreError::Unreadable {
            dir: directory.path().to_owned(),
            why,
            source: None,
        });
    }
    let count = count.unwrap_or(0) + 1;
    let in_table = number(&table, GROUP)?.unwrap_or(0);
    let journal = open_journal(directory)?;
    let (mut changes, group) = journal
        .groups_after(in_table)
        .map_err(|e| unreadable_journal(directory, e))?;
    if in_table < group {
        tracing::info!(
            groups = group - in_table,
            "the journal is brought into the table"
        );
    }
    changes.extend([numbered(OPENED, count), numbered(GROUP, group)]);
    let kept = desk::guarded("counting the start", || table.keep(&changes))?;
    kept.map_err(|e| unreadable(directory, &e))?;
    if directory.is_new() {
        SledTable::sync_names(&directory.table()).map_err(|e| unreadable(directory, &e.into()))?;
        directory.seal()?;
    }
    Ok(Opened {
        table,
        count,
        group,
        journal,
    })
}

/// The journal of a held directory; made where nothing was ever acknowledged. Errors: `Unreadable`, `Full`.
fn open_journal(directory: &Directory) -> Result<Journal, StoreError> {
    let path = directory.file(directory::JOURNAL);
    let made = if directory.is_new() {
        Journal::make(&path)
    } else {
        Ok(())
    };
    made.and_then(|()| Journal::open(&path))
        .map_err(|e| unreadable_journal(directory, e.into()))
}

fn unreadable_journal(directory: &Directory, error: JournalError) -> StoreError {
    let dir = directory.path();
    match error {
        JournalError::File(e) => directory::cannot(dir, "the file store/journal cannot be used", e),
        JournalError::Gap { .. } | JournalError::Damaged { .. } => StoreError::Unreadable {
            dir: dir.to_owned(),
            why: format!("the file store/journal is damaged: {error}"),
            source: None,
        },
    }
}

/// The table of a held directory. Errors: `Unreadable`, `Full`.
pub(crate) fn sled_table(
    directory: &Directory,
    settings: &Settings,
) -> Result<SledTable, StoreError> {
    let until = Instant::now() + RELEASE_TIMEOUT;
    loop {
        let opened = desk::guarded("opening", || {
            SledTable::open(&directory.table(), settings.cache_bytes)
        });
        let error = match opened {
            Ok(Ok(table)) => return Ok(table),
            Ok(Err(error)) => error,
            Err(panic) => sled::Error::ReportableBug(reason(&panic)),
        };
        // The directory is ours: only a table of this process can still hold the file.
        let held = matches!(&error, sled::Error::Io(e) if e.to_string().contains("could not acquire lock"));
        if !held || until <= Instant::now() {
            return Err(unreadable(directory, &error));
        }
        thread::sleep(RELEASE_POLL);
    }
}

/// An entry of the engine's own.
pub(crate) fn numbered(name: &str, number: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    (keys::engine(name), Some(number.to_be_bytes().to_vec()))
}

/// The number in such an entry. Errors: `Damaged`, `Failed`.
pub(crate) fn number(table: &dyn Table, name: &str) -> Result<Option<u64>, StoreError> {
    let found = desk::guarded("reading", || table.get(&keys::engine(name)))??;
    let decode = |bytes: Vec<u8>| {
        let bytes = bytes.try_into().map_err(|_| StoreError::Damaged {
            place: format!("number '{name}'"),
            why: "it is not eight bytes long".to_owned(),
        })?;
        Ok(u64::from_be_bytes(bytes))
    };
    found.map(decode).transpose()
}

/// Why a table does not open: `Full` where that was the reason.
fn unreadable(directory: &Directory, error: &sled::Error) -> StoreError {
    let dir = directory.path();
    if let sled::Error::Io(e) = error {
        return directory::cannot(
            dir,
            &format!("the table in store/sled does not open ({e})"),
            e.kind().into(),
        );
    }
    let why = format!("the table in store/sled is damaged ({error})");
    StoreError::Unreadable {
        dir: dir.to_owned(),
        why,
        source: None,
    }
}

/// Room that is ours on a full device: thrown away to open the table after a write met the end of the device.
pub(crate) struct Ballast {
    file: PathBuf,
    thrown: bool,
}

impl Ballast {
    /// That of a directory.
    pub(crate) fn in_directory(directory: &Directory) -> Self {
        let file = directory.file("ballast");
        let there = fs::metadata(&file).is_ok_and(|found| found.len() == BALLAST_BYTES as u64);
        Self {
            file,
            thrown: !there,
        }
    }

    /// Whether it is missing.
    pub(crate) fn is_thrown(&self) -> bool {
        self.thrown
    }

    /// Takes room for it. Without it a full device only takes longer to recover from, so a failure is no error.
    pub(crate) fn lay(&mut self) {
        match fs::write(&self.file, vec![0; BALLAST_BYTES]) {
            Ok(()) => self.thrown = false,
            Err(e) => tracing::debug!("no room was set aside: {e}"),
        }
    }

    /// Gives its room back.
    pub(crate) fn throw(&mut self) {
        self.thrown = true;
        if let Err(e) = fs::remove_file(&self.file) {
            tracing::debug!("no room was given back: {e}");
        }
    }
}
