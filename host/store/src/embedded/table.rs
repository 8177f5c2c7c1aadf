//! The table in sled.
//!
//! sled's log keeps what fits into a fraction of a segment; what does not goes to files of its own that sled never syncs. A
//! leaf holds up to about 20 entries whatever their size. So a value longer than [`PIECE_BYTES_MAX`] is kept in pieces, and a leaf
//! never outgrows the log. And on Linux sled only asks for its pages to be written (`sync_file_range`), which neither
//! empties the device's cache nor keeps the file's length: after each flush the file is synced once more, by us.

use std::fs::{self, File};
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sled::IVec;

use crate::directory;
use crate::door::StoreError;
use crate::keys;
use crate::table::{Table, Visit};

/// The log's segments. Changing it is a new format of the data directory.
const SEGMENT_BYTES: usize = 2 << 20;

/// The longest value in one entry: 20 such entries with the longest keys stay below a quarter of a segment.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// What the entry of a value in pieces starts with; a record's format never gets there.
const IN_PIECES: u8 = 0xff;

/// How often a value in pieces is read again because it changed in the meantime.
const READS_MAX: usize = 100;

/// The open table.
pub(crate) struct SledTable {
    db: sled::Db,
    /// The file that sled appends to, for syncing it.
    log: File,
    /// Whether any value is in pieces: as long as none is, changes need not look for old pieces.
    has_pieces: AtomicBool,
    /// Stamped on each value in pieces, so that a reader notices that it changed.
    stamp: AtomicU64,
}

/// Where a value in pieces says how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manifest {
    stamp: u64,
    pieces: u32,
}

impl Manifest {
    fn encode(self) -> Vec<u8> {
        let mut out = vec![IN_PIECES];
        out.extend_from_slice(&self.stamp.to_be_bytes());
        out.extend_from_slice(&self.pieces.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (stamp, pieces) = bytes.strip_prefix(&[IN_PIECES])?.split_first_chunk::<8>()?;
        Some(Self {
            stamp: u64::from_be_bytes(*stamp),
            pieces: u32::from_be_bytes(pieces.try_into().ok()?),
        })
    }
}

impl SledTable {
    /// Opens or makes it. Errors are sled's.
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, sled::Error> {
        remove_half_snapshots(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES);
        // Nothing is flushed but by the writer: what is not acknowledged may be lost.
        let db = config.flush_every_ms(None).open()?;
        let log = File::open(dir.join("db"))?;
        let has_pieces = db
            .range(keys::range(&[keys::PIECES]))
            .next()
            .transpose()?
            .is_some();
        let table = Self {
            db,
            log,
            has_pieces: AtomicBool::new(has_pieces),
            stamp: AtomicU64::new(0),
        };
        Ok(table)
    }

    /// Keeps all changes or none. They are durable when it returns.
    pub(crate) fn keep<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    ) -> Result<(), sled::Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            if self.has_pieces.load(Ordering::Relaxed) {
                self.remove_pieces(key, &mut batch)?;
            }
            match value {
                Some(value) if PIECE_BYTES_MAX < value.len() => {
                    self.insert_pieces(key, value, &mut batch);
                }
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        self.log.sync_data()?;
        Ok(())
    }

    /// Makes the files' names durable, which sled leaves to chance.
    pub(crate) fn sync_names(dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_file() {
                File::open(path)?.sync_all()?;
            }
        }
        directory::sync(dir)
    }

    fn remove_pieces(&self, key: &[u8], batch: &mut sled::Batch) -> Result<(), sled::Error> {
        if let Some(old) = self.db.get(key)?.and_then(|old| Manifest::decode(&old)) {
            (0..old.pieces).for_each(|at| batch.remove(keys::piece(key, at)));
        }
        Ok(())
    }

    fn insert_pieces(&self, key: &[u8], value: &[u8], batch: &mut sled::Batch) {
        let mut pieces = 0;
        for piece in value.chunks(PIECE_BYTES_MAX) {
            batch.insert(keys::piece(key, pieces), piece);
            pieces += 1;
        }
        let stamp = self.new_stamp();
        batch.insert(key, Manifest { stamp, pieces }.encode());
        self.has_pieces.store(true, Ordering::Relaxed);
    }

    fn new_stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::Relaxed)
    }

    /// The whole value of an entry.
    fn value(&self, key: &[u8], entry: IVec) -> Result<Option<Vec<u8>>, StoreError> {
        let mut entry = entry;
        for _ in 0..READS_MAX {
            let Some(manifest) = Manifest::decode(&entry) else {
                return Ok(Some(entry.to_vec()));
            };
            let value = self.pieces(key, manifest)?;
            let Some(now) = self.db.get(key).map_err(failed)? else {
                return Ok(None);
            };
            // Only if nothing changed in the meantime do the pieces belong together.
            if now == entry {
                return value.map(Some).ok_or_else(|| missing_piece(key));
            }
            entry = now;
        }
        Err(StoreError::Damaged {
            place: place(key),
            why: "it changes faster than it can be read".to_owned(),
        })
    }

    fn pieces(&self, key: &[u8], manifest: Manifest) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = Vec::new();
        for at in 0..manifest.pieces {
            match self.db.get(keys::piece(key, at)).map_err(failed)? {
                Some(piece) => value.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }
}

impl Table for SledTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.db.get(key).map_err(failed)? {
            Some(entry) => self.value(key, entry),
            None => Ok(None),
        }
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let Range { start, end } = keys::range(prefix);
        let start = start.max(from.to_vec());
        if end <= start {
            return Ok(());
        }
        for entry in self.db.range(start..end) {
            let (key, entry) = entry.map_err(failed)?;
            let flow = match entry.first() {
                Some(&IN_PIECES) => match self.value(&key, entry)? {
                    Some(value) => visit(&key, &value)?,
                    None => ControlFlow::Continue(()),
                },
                _ => visit(&key, &entry)?,
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A crash while sled writes its snapshot leaves a file that sled would take for the newest snapshot, and refuse.
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn failed(source: sled::Error) -> StoreError {
    StoreError::Failed {
        place: "reading",
        source: Box::new(source),
    }
}

fn place(key: &[u8]) -> String {
    format!("value '{}'", key.escape_ascii())
}

fn missing_piece(key: &[u8]) -> StoreError {
    StoreError::Damaged {
        place: place(key),
        why: "a piece of it is missing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Changes;

    fn table() -> (tempfile::TempDir, SledTable) {
        let dir = tempfile::tempdir().unwrap();
        let table = SledTable::open(dir.path(), 16 << 20).unwrap();
        (dir, table)
    }

    #[test]
    fn long_values_lie_in_pieces_and_leave_none_behind() {
        let (_dir, table) = table();
        let long: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let put = |value: Option<&[u8]>| {
            table
                .keep(&Changes::from([(
                    b"sx".to_vec(),
                    value.map(<[u8]>::to_vec),
                )]))
                .unwrap()
        };
        put(Some(&long));
        assert_eq!(table.get(b"sx").unwrap().as_deref(), Some(&long[..]));
        let mut seen = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            seen.push((key.to_vec(), value.len()));
            Ok(ControlFlow::Continue(()))
        };
        table.scan(b"s", b"s", visit).unwrap();
        assert_eq!(seen, [(b"sx".to_vec(), long.len())]);
        put(Some(&long[..20_000]));
        assert_eq!(table.db.scan_prefix([keys::PIECES]).count(), 2);
        put(Some(b"\x01short"));
        assert_eq!(
            table.get(b"sx").unwrap().as_deref(),
            Some(&b"\x01short"[..])
        );
        assert_eq!(table.db.len(), 1);
        put(Some(&long));
        put(None);
        assert_eq!(table.db.len(), 0);
    }

    #[test]
    fn the_longest_entries_never_leave_the_log() {
        let (dir, table) = table();
        let value = vec![7; PIECE_BYTES_MAX];
        for round in 0..30_u8 {
            let mut changes = Changes::new();
            for at in 0..40_u8 {
                let key = [&[b's'; 1100][..], &[at, round % 3]].concat();
                changes.insert(key, Some(value.clone()));
            }
            table.keep(&changes).unwrap();
        }
        drop(table);
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    }

    #[test]
    fn a_half_written_snapshot_does_not_matter() {
        let (dir, table) = table();
        table
            .keep(&Changes::from([(b"sx".to_vec(), Some(vec![1]))]))
            .unwrap();
        drop(table);
        fs::write(dir.path().join("snap.FFFFFFFFFFFFFFFF.generating"), "half").unwrap();
        let table = SledTable::open(dir.path(), 16 << 20).unwrap();
        assert_eq!(table.get(b"sx").unwrap(), Some(vec![1]));
    }
}
