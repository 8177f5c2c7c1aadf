//! Whether there is room for more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::door::StoreError;

/// What stays free on the device: room for what the engine writes besides the changes themselves.
pub const RESERVE_BYTES: u64 = 16 << 20;

/// How many bytes a change may cost for each of its own: log, rewritten pages, the snapshot at the next start.
const WRITTEN_PER_BYTE: u64 = 4;

#[derive(Debug, Clone)]
enum Free {
    Device,
    Unlimited,
    Stated(Arc<AtomicU64>),
}

/// The room that an engine has. Asked before every group of changes, so that a full disk is met while nothing is lost.
#[derive(Debug, Clone)]
pub struct Space {
    dir: PathBuf,
    free: Free,
    reserve: u64,
}

impl Space {
    /// The device that holds `dir`, less `reserve` bytes ([`RESERVE_BYTES`] unless there is a reason).
    pub fn of_device(dir: &Path, reserve: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            free: Free::Device,
            reserve,
        }
    }

    /// Memory: no bound.
    pub fn unlimited() -> Self {
        Self {
            dir: PathBuf::from("memory"),
            free: Free::Unlimited,
            reserve: 0,
        }
    }

    /// As many free bytes as `free` says, for tests of what happens when there are none.
    pub fn stated(dir: &Path, free: Arc<AtomicU64>) -> Self {
        Self {
            dir: dir.to_owned(),
            free: Free::Stated(free),
            reserve: RESERVE_BYTES,
        }
    }

    /// Whether `bytes` more may be written. Errors: `Full`, `Failed` if the system does not tell.
    pub fn check(&self, bytes: u64) -> Result<(), StoreError> {
        let free = match &self.free {
            Free::Unlimited => return Ok(()),
            Free::Stated(free) => free.load(Ordering::SeqCst),
            Free::Device => {
                let found = rustix::fs::statvfs(&self.dir);
                let found = found.map_err(|e| StoreError::Failed {
                    place: "asking for free space",
                    source: Box::new(e),
                })?;
                found.f_bavail.saturating_mul(found.f_frsize)
            }
        };
        if free
            < self
                .reserve
                .saturating_add(bytes.saturating_mul(WRITTEN_PER_BYTE))
        {
            return Err(self.full());
        }
        Ok(())
    }

    /// The error of a full device.
    pub fn full(&self) -> StoreError {
        StoreError::Full {
            dir: self.dir.clone(),
        }
    }
}
