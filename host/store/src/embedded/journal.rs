//! The journal: groups of changes that are durable and not yet in sled.
//!
//! A sync of sled costs several handshakes between threads and the device, however little there is to write. So a group is
//! appended to this file, synced once and acknowledged; many groups together go into sled later, in one batch. The file has a fixed
//! length and is filled with zeros when it is made: a sync then writes the data and nothing about the file.
//!
//! ```text
//! length u32 | crc32 of the rest u32 | number u64 | changes        frames from the start, one a group, little-endian
//! ```
//!
//! Numbers grow by one from frame to frame. sled keeps the number of the last group that is in it: what stands here up to that number
//! is of the past. A new row of frames begins at the start of the file again, so behind the newest frame lie older ones; their
//! numbers tell. A torn frame has a wrong checksum, and was never acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::table::Changes;

/// The length of the file. A longer group goes into sled at once.
const JOURNAL_BYTES: usize = 2 << 20;
/// From this length on its groups are brought into sled: about four thousand small turns. Commits wait meanwhile, so that rarely is better than
/// often; and a grain that has committed many times since is written once.
const DUE_BYTES: usize = 1 << 20;
const HEADER_BYTES: usize = 16;
/// In the place of a value's length: the entry is removed.
const REMOVED: u32 = u32::MAX;

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Where the next frame goes.
    end: usize,
    /// A frame that failed may lie at `end`.
    is_dirty: bool,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Its first group is not the one that follows the table's last.
    #[error("it goes on with group {found} after group {expected}: changes between them are lost")]
    Gap { expected: u64, found: u64 },
    /// A frame whose checksum is right makes no sense.
    #[error("group {number} cannot be read")]
    Damaged { number: u64 },
}

impl Journal {
    /// Makes an empty one, in the place of whatever is there. Durable but for its name.
    pub(crate) fn make(path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.write_all_at(&vec![0; JOURNAL_BYTES], 0)?;
        file.sync_all()
    }

    /// Opens it. [`Journal::groups_after`] must come before the first append.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            file,
            end: 0,
            is_dirty: false,
        })
    }

    /// All changes of the groups behind number `last`, the later ones over the earlier, and the number of the last of them.
    pub(crate) fn groups_after(&self, last: u64) -> Result<(Changes, u64), JournalError> {
        let mut bytes = vec![0; JOURNAL_BYTES];
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        groups(&bytes[..read], last)
    }

    /// Whether there is room for a frame.
    pub(crate) fn fits(&self, frame: &[u8]) -> bool {
        self.end + frame.len() <= JOURNAL_BYTES
    }

    /// Whether its groups should be brought into sled.
    pub(crate) fn is_due(&self) -> bool {
        DUE_BYTES <= self.end
    }

    /// Appends a frame that fits. It is durable when this returns; after an error it is certain that it will not be read again, or
    /// nothing more is taken before that is so.
    pub(crate) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.is_dirty {
            self.wipe()?;
        }
        self.is_dirty = true;
        let written = self
            .file
            .write_all_at(frame, self.end as u64)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // If this fails, too, the next append begins with it.
            let _wiped = self.wipe();
            return Err(error);
        }
        self.is_dirty = false;
        self.end += frame.len();
        Ok(())
    }

    /// Everything in it is in sled, and durable there.
    pub(crate) fn restart(&mut self) {
        self.end = 0;
    }

    fn wipe(&mut self) -> io::Result<()> {
        let room = JOURNAL_BYTES.saturating_sub(self.end).min(HEADER_BYTES);
        self.file
            .write_all_at(&[0; HEADER_BYTES][..room], self.end as u64)?;
        self.file.sync_data()?;
        self.is_dirty = false;
        Ok(())
    }
}

/// A group as it is written down.
pub(crate) fn frame(number: u64, changes: &Changes) -> Vec<u8> {
    let mut out = vec![0; HEADER_BYTES];
    out[8..].copy_from_slice(&number.to_le_bytes());
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("invariant: no entry has 4 GiB");
    for (key, value) in changes {
        out.extend_from_slice(&length(key).to_le_bytes());
        let value_length = value.as_deref().map_or(REMOVED, length);
        out.extend_from_slice(&value_length.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let bytes = length(&out);
    out[..4].copy_from_slice(&bytes.to_le_bytes());
    let sum = crc32fast::hash(&out[8..]);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

fn groups(bytes: &[u8], last: u64) -> Result<(Changes, u64), JournalError> {
    let mut changes = Changes::new();
    let (mut rest, mut newest) = (bytes, None);
    while let Some((number, body, behind)) = next_frame(rest) {
        match newest {
            None if number <= last => return Ok((changes, last)),
            None if number != last + 1 => {
                return Err(JournalError::Gap {
                    expected: last,
                    found: number,
                });
            }
            Some(newest) if number != newest + 1 => break,
            None | Some(_) => {}
        }
        read_changes(body, &mut changes).ok_or(JournalError::Damaged { number })?;
        newest = Some(number);
        rest = behind;
    }
    Ok((changes, newest.unwrap_or(last)))
}

/// The frame at the start of some bytes, if a whole one is there: its number, its changes, and what lies behind it.
fn next_frame(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    let (sum, _) = number(rest)?;
    let length = length as usize;
    if length < HEADER_BYTES || bytes.len() < length {
        return None;
    }
    let (frame, behind) = bytes.split_at(length);
    if crc32fast::hash(&frame[8..]) != sum {
        return None;
    }
    let (group, body) = frame[8..].split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*group), body, behind))
}

/// Adds a frame's changes. None: they are not what a frame holds.
fn read_changes(mut body: &[u8], changes: &mut Changes) -> Option<()> {
    while !body.is_empty() {
        let (key_length, rest) = number(body)?;
        let (value_length, rest) = number(rest)?;
        let (key, rest) = rest.split_at_checked(key_length as usize)?;
        let (value, rest) = match value_length {
            REMOVED => (None, rest),
            length => {
                let (value, rest) = rest.split_at_checked(length as usize)?;
                (Some(value.to_vec()), rest)
            }
        };
        changes.insert(key.to_vec(), value);
        body = rest;
    }
    Some(())
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// Reads whatever bytes as a journal, for fuzzing: it never panics.
pub fn fuzz_journal(bytes: &[u8]) {
    // What it finds does not matter.
    let _found = groups(bytes, 0);
    let mut changes = Changes::new();
    let _read = read_changes(bytes, &mut changes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::changes;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        Journal::make(&path).unwrap();
        let journal = Journal::open(&path).unwrap();
        (dir, journal)
    }

    #[test]
    fn groups_are_read_back_in_their_order_up_to_the_first_that_is_not_whole() {
        let (_dir, mut journal) = journal();
        let groups = [
            changes(&[("a", Some("1")), ("b", Some("1"))]),
            changes(&[("a", None), ("c", Some(""))]),
            changes(&[("b", Some("3"))]),
        ];
        for (number, group) in (8..).zip(&groups) {
            journal.append(&frame(number, group)).unwrap();
        }
        let whole = changes(&[("a", None), ("b", Some("3")), ("c", Some(""))]);
        assert_eq!(journal.groups_after(7).unwrap(), (whole, 10));
        // sled has them all, or the journal cannot belong to it.
        assert_eq!(journal.groups_after(10).unwrap(), (Changes::new(), 10));
        assert!(matches!(
            journal.groups_after(5),
            Err(JournalError::Gap {
                expected: 5,
                found: 8
            })
        ));
        // One bit of the last frame.
        let at = (journal.end - 1) as u64;
        journal.file.write_all_at(&[0], at).unwrap();
        let (found, number) = journal.groups_after(7).unwrap();
        assert_eq!(
            (found, number),
            (
                changes(&[("a", None), ("b", Some("1")), ("c", Some(""))]),
                9
            )
        );
    }

    #[test]
    fn a_new_row_covers_the_old_one() {
        let (_dir, mut journal) = journal();
        for (number, text) in (1..=9).zip(["x", "xx", "xxxx"].iter().cycle()) {
            journal
                .append(&frame(number, &changes(&[("old", Some(text))])))
                .unwrap();
        }
        journal.restart();
        assert_eq!(journal.groups_after(9).unwrap().1, 9);
        journal
            .append(&frame(10, &changes(&[("new", Some("1"))])))
            .unwrap();
        assert_eq!(
            journal.groups_after(9).unwrap(),
            (changes(&[("new", Some("1"))]), 10)
        );
    }

    #[test]
    fn a_failed_frame_is_wiped_before_anything_else_is_taken() {
        let (dir, mut journal) = journal();
        journal
            .append(&frame(1, &changes(&[("a", Some("1"))])))
            .unwrap();
        let read_only = Journal::open(&dir.path().join("journal")).unwrap();
        let failed = frame(2, &changes(&[("a", Some("lost"))]));
        // The bytes of a frame are there, but nobody was told that they are.
        journal
            .file
            .write_all_at(&failed, journal.end as u64)
            .unwrap();
        journal.is_dirty = true;
        assert_eq!(read_only.groups_after(0).unwrap().1, 2);
        journal.wipe().unwrap();
        assert_eq!(read_only.groups_after(0).unwrap().1, 1);
        journal
            .append(&frame(2, &changes(&[("a", Some("2"))])))
            .unwrap();
        assert_eq!(
            read_only.groups_after(0).unwrap(),
            (changes(&[("a", Some("2"))]), 2)
        );
    }

    #[test]
    fn a_frame_fits_up_to_the_last_byte() {
        let (_dir, journal) = journal();
        let overhead = frame(1, &changes(&[("k", Some(""))])).len();
        let longest = "x".repeat(JOURNAL_BYTES - overhead);
        assert!(journal.fits(&frame(1, &changes(&[("k", Some(&longest))]))));
        let too_long = "x".repeat(JOURNAL_BYTES - overhead + 1);
        assert!(!journal.fits(&frame(1, &changes(&[("k", Some(&too_long))]))));
    }

    proptest! {
        #[test]
        fn any_changes_come_back(entries in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), prop::option::of(prop::collection::vec(any::<u8>(), 0..50)), 0..20)) {
            let written = frame(1, &entries);
            prop_assert_eq!(groups(&written, 0).unwrap(), (entries, 1));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in 0_usize..100) {
            fuzz_journal(&bytes);
            let mut frame = frame(1, &[(bytes, None)].into());
            let at = flip % frame.len();
            frame[at] ^= 1;
            prop_assert_eq!(groups(&frame, 0).unwrap().1, 0);
        }
    }
}
