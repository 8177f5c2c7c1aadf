//! Changing a grain's state from outside. The activation goes first; the new epoch then keeps every other writer out, so that a call
//! which comes in between is fenced, runs again and sees the change.

use std::collections::BTreeMap;

use granary_core::activation::DeactivateReason;
use granary_core::error::{CallError, Failure};
use granary_core::id::GrainId;
use granary_core::limits::STATE_KEY_BYTES_MAX;
use granary_store::{Commit, Head, Loaded, StoreError};

use super::load::{choose, refused};
use super::{Grains, in_frame};
use crate::observe::now_ms;

/// How often an edit tries to get a word in between a busy grain's turns.
const TRIES_MAX: usize = 16;

impl Grains {
    /// Changes state keys from outside (`None` removes), as a commit of its own between two turns; the grain's memory is
    /// dropped, so that the next turn reads the new values. Errors: `Conflict` if the state is not at `if_version`.
    pub async fn edit(
        &self,
        grain: &GrainId,
        writes: BTreeMap<String, Option<Vec<u8>>>,
        if_version: Option<u64>,
    ) -> Result<Head, Failure> {
        check_keys(&writes).map_err(|error| in_frame(error, grain))?;
        let Some(entry) = self.shared.kinds.entry(&grain.kind) else {
            return Err(in_frame(
                self.shared.kinds.unknown(grain.kind.as_str()),
                grain,
            ));
        };
        for _ in 0..TRIES_MAX {
            let loaded = self.take_over(grain).await?;
            if let Some(expected) = if_version.filter(|expected| *expected != loaded.head.version) {
                self.shared.store.release(grain, loaded.epoch);
                let detail = format!(
                    "the state of {grain} is at version {}, not {expected}",
                    loaded.head.version
                );
                return Err(in_frame(CallError::Conflict { detail }, grain));
            }
            let commit = Commit {
                grain: grain.clone(),
                epoch: loaded.epoch,
                // An edit is not the work of a revision: the state stays that of the one that wrote it.
                revision: loaded
                    .head
                    .revision
                    .unwrap_or_else(|| choose(&entry.record, None, None)),
                now_ms: now_ms(),
                writes: writes.clone(),
                sends: Vec::new(),
                reply: None,
                settles: None,
            };
            let result = self.shared.store.commit(commit).await;
            self.shared.store.release(grain, loaded.epoch);
            match result {
                Ok(committed) => return Ok(committed.head),
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(in_frame(refused(&self.shared, &error), grain)),
            }
        }
        Err(busy(grain))
    }

    /// Drops a grain's activation and erases its state.
    pub async fn purge(&self, grain: &GrainId) -> Result<(), Failure> {
        for _ in 0..TRIES_MAX {
            let loaded = self.take_over(grain).await?;
            let result = self.shared.store.purge(grain, loaded.epoch).await;
            self.shared.store.release(grain, loaded.epoch);
            match result {
                Ok(()) => return Ok(()),
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(in_frame(refused(&self.shared, &error), grain)),
            }
        }
        Err(busy(grain))
    }

    async fn take_over(&self, grain: &GrainId) -> Result<Loaded, Failure> {
        if let Some(handle) = self.shared.table.get(grain) {
            handle.leave(DeactivateReason::Requested).await;
        }
        let loaded = self.shared.store.load(grain).await;
        loaded.map_err(|error| in_frame(refused(&self.shared, &error), grain))
    }
}

fn check_keys(writes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), CallError> {
    match writes
        .keys()
        .find(|key| key.is_empty() || STATE_KEY_BYTES_MAX < key.len())
    {
        None => Ok(()),
        Some(key) => Err(CallError::Invalid {
            pointer: String::new(),
            detail: format!(
                "a state key is 1 to {STATE_KEY_BYTES_MAX} bytes long, not {}",
                key.len()
            ),
        }),
    }
}

fn busy(grain: &GrainId) -> Failure {
    in_frame(
        CallError::Conflict {
            detail: format!("{grain} is called too often to get a word in; try again"),
        },
        grain,
    )
}
