//! A cache that may not grow: what was not used for longest goes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use granary_core::id::Digest;

/// All files of one component.
struct Entry {
    /// With any extension.
    stem: PathBuf,
    used: SystemTime,
    bytes: u64,
}

/// Remembers that compiled code was used now. If that fails, it goes too soon.
pub(super) fn note_use(code: &Path) {
    let now = fs::File::open(code).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = now {
        tracing::debug!(path = %code.display(), %error, "the time of a use cannot be kept");
    }
}

/// Removes components until the others take no more than that; `newest` stays. Another process may remove the same ones meanwhile.
pub(super) fn keep_within(dir: &Path, bytes_max: u64, newest: Digest) -> io::Result<()> {
    let mut entries = entries(dir)?;
    entries.sort_by_key(|entry| entry.used);
    let newest = OsString::from(newest.to_string());
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    for entry in entries {
        if bytes <= bytes_max {
            break;
        }
        if entry.stem.file_name() == Some(&newest) {
            continue;
        }
        super::remove_files(&entry.stem)?;
        bytes -= entry.bytes;
    }
    Ok(())
}

/// The components of every engine, by their compiled code: a file without it is small, and belongs to one that is being written.
fn entries(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for engine in fs::read_dir(dir)?.flatten() {
        // What is no directory is not of the cache.
        for file in fs::read_dir(engine.path()).into_iter().flatten().flatten() {
            let path = file.path();
            let is_code = path.extension().is_some_and(|it| it == "cwasm");
            if let (true, Ok(about)) = (is_code, file.metadata()) {
                found.push(Entry {
                    stem: path.with_extension(""),
                    used: about.modified()?,
                    bytes: about.len(),
                });
            }
        }
    }
    Ok(found)
}
