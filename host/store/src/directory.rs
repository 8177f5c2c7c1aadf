//! The data directory: who holds it, which format it has, where everything lies.
//!
//! ```text
//! <data>/store/lock        the process that holds it
//! <data>/store/FORMAT      written once everything below exists
//! <data>/store/sled/       the table
//! <data>/store/journal     what is on its way into the table
//! <data>/store/artifacts/  components, by digest
//! ```
//!
//! Invariant: nothing is written before the lock is held and the format is known. A directory without `FORMAT` was never
//! acknowledged to anybody; one with it must hold a table.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::door::StoreError;

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "lock";
const TABLE: &str = "sled";
const ARTIFACTS: &str = "artifacts";
/// What is on its way into the table.
pub(crate) const JOURNAL: &str = "journal";

/// A data directory, held.
#[derive(Debug)]
pub(crate) struct Directory {
    data: PathBuf,
    root: PathBuf,
    /// Unlocked when dropped, or by the system when the process ends in any other way.
    lock: File,
    is_new: bool,
}

impl Directory {
    /// Takes hold of a data directory, which is made where there is none. Errors: `Locked`, `NewerFormat`, `Unreadable`, `Full`.
    pub(crate) fn hold(data: &Path) -> Result<Self, StoreError> {
        let root = data.join("store");
        let told = |why: &'static str| move |e: io::Error| cannot(data, why, e);
        fs::create_dir_all(&root).map_err(told("the directory cannot be made"))?;
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(LOCK_FILE));
        let mut lock = options.map_err(told("the lock file cannot be opened"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    dir: data.to_owned(),
                    holder: holder(&mut lock),
                });
            }
            Err(TryLockError::Error(e)) => {
                return Err(cannot(data, "the lock file cannot be locked", e));
            }
        }
        let is_new = check_format(data, &root)?;
        let content = format!("pid {}\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.write_all(content.as_bytes()))
            .map_err(told("the lock file cannot be written"))?;
        let made = fs::create_dir_all(root.join(TABLE))
            .and_then(|()| fs::create_dir_all(root.join(ARTIFACTS)));
        made.map_err(told("the directory cannot be written"))?;
        Ok(Self {
            data: data.to_owned(),
            root,
            lock,
            is_new,
        })
    }

    /// Whether it has no format yet: nothing in it was ever acknowledged.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Gives it its format. Everything that it holds so far is durable afterwards.
    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        let content = format!("granary store {FORMAT}\n");
        let kept = sync(&self.table())
            .and_then(|()| write_durably(&self.root, FORMAT_FILE, content.as_bytes()))
            .and_then(|()| sync(&self.data));
        kept.map_err(|e| cannot(&self.data, "the format cannot be written", e))?;
        self.is_new = false;
        Ok(())
    }

    /// The directory as its owner named it.
    pub(crate) fn path(&self) -> &Path {
        &self.data
    }

    /// Where the table lies.
    pub(crate) fn table(&self) -> PathBuf {
        self.root.join(TABLE)
    }

    /// Where the components lie.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.root.join(ARTIFACTS)
    }

    /// A file of the engine's own beside them.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Lets go of it, while the value lives on.
    pub(crate) fn release(&self) {
        if let Err(e) = self.lock.unlock() {
            tracing::warn!(dir = %self.data.display(), "the lock was not released: {e}");
        }
    }
}

/// Whether the directory is new. Errors: `NewerFormat`, `Unreadable`.
fn check_format(data: &Path, root: &Path) -> Result<bool, StoreError> {
    let unreadable = |why: String| StoreError::Unreadable {
        dir: data.to_owned(),
        why,
        source: None,
    };
    let text = match fs::read(root.join(FORMAT_FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            refuse_foreign(data, root)?;
            return Ok(true);
        }
        Err(e) => return Err(cannot(data, "its FORMAT file cannot be read", e)),
    };
    let number = text
        .strip_prefix("granary store ")
        .and_then(|rest| rest.trim_end().parse::<u32>().ok());
    match number {
        Some(FORMAT) => Ok(false),
        Some(found) if FORMAT < found => Err(StoreError::NewerFormat {
            dir: data.to_owned(),
            found,
            known: FORMAT,
        }),
        Some(found) => Err(unreadable(format!(
            "its format {found} never was one of Granary's"
        ))),
        None => Err(unreadable(
            "its FORMAT file was not written by Granary".to_owned(),
        )),
    }
}

/// A directory without a format holds nothing but what an interrupted first start leaves. Errors: `Unreadable`.
fn refuse_foreign(data: &Path, root: &Path) -> Result<(), StoreError> {
    let entries =
        fs::read_dir(root).map_err(|e| cannot(data, "the directory cannot be listed", e))?;
    for entry in entries {
        let name = entry
            .map_err(|e| cannot(data, "the directory cannot be listed", e))?
            .file_name();
        let name = name.to_string_lossy();
        if ![LOCK_FILE, TABLE, ARTIFACTS, JOURNAL].contains(&&*name)
            && !name.starts_with(".FORMAT.")
        {
            let why = format!("store/{name} is not Granary's; choose an empty directory");
            return Err(StoreError::Unreadable {
                dir: data.to_owned(),
                why,
                source: None,
            });
        }
    }
    Ok(())
}

fn holder(lock: &mut File) -> Option<String> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(64).read_to_string(&mut text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The error of a directory that refused: `Full` where that was the reason, else `Unreadable`.
pub(crate) fn cannot(dir: &Path, why: &str, source: io::Error) -> StoreError {
    if is_full(source.kind()) {
        return StoreError::Full {
            dir: dir.to_owned(),
        };
    }
    let why = if matches!(
        source.kind(),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists
    ) {
        "it is not a directory".to_owned()
    } else if source.kind() == io::ErrorKind::PermissionDenied {
        format!("{why}: permission denied for this user")
    } else {
        why.to_owned()
    };
    StoreError::Unreadable {
        dir: dir.to_owned(),
        why,
        source: Some(source),
    }
}

/// Whether an error of the system means that there is no room.
pub(crate) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Puts a whole file in place or leaves what was there, through a power failure at any moment.
pub(crate) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Two uploads of one component must not write to one file.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let new = dir.join(format!(".{name}.{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&new, dir.join(name)));
    if placed.is_err() && fs::remove_file(&new).is_err() {
        tracing::debug!(file = %new.display(), "a file that could not be written could not be removed either");
    }
    placed.and_then(|()| sync(dir))
}

/// Makes the names in a directory durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(data: &Path) {
        let mut directory = Directory::hold(data).unwrap();
        assert!(directory.is_new());
        directory.seal().unwrap();
    }

    #[test]
    fn a_held_directory_names_its_holder() {
        let data = tempfile::tempdir().unwrap();
        let held = Directory::hold(data.path()).unwrap();
        let error = Directory::hold(data.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "in use by another process (pid {})",
                std::process::id()
            )),
            "{error}"
        );
        held.release();
        assert!(Directory::hold(data.path()).is_ok());
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        sealed(data.path());
        assert!(!Directory::hold(data.path()).unwrap().is_new());
        fs::write(data.path().join("store/FORMAT"), "granary store 9\n").unwrap();
        let error = Directory::hold(data.path()).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::NewerFormat {
                    found: 9,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_a_data_directory_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let cases: [(&str, &str, &str); 3] = [
            ("store", "text", "it is not a directory"),
            (
                "store/FORMAT",
                "hello",
                "its FORMAT file was not written by Granary",
            ),
            (
                "store/holiday.jpg",
                "",
                "store/holiday.jpg is not Granary's",
            ),
        ];
        for (at, (file, content, why)) in cases.into_iter().enumerate() {
            let data = dir.path().join(at.to_string());
            fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
            fs::write(data.join(file), content).unwrap();
            let error = Directory::hold(&data).unwrap_err();
            assert!(
                matches!(error, StoreError::Unreadable { .. }) && error.to_string().contains(why),
                "{error}"
            );
        }
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(
            Directory::hold(&file)
                .unwrap_err()
                .to_string()
                .contains("it is not a directory")
        );
    }
}
