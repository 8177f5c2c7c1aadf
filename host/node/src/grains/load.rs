//! Bringing a grain to life: a new epoch, the right revision, an instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use granary_core::activation::{Facts, Rules};
use granary_core::error::{CallError, LimitName};
use granary_core::id::{GrainId, Revision};
use granary_core::kind::{KindRecord, RevisionRecord};
use granary_core::overlap::Changes;
use granary_runtime::{EngineKind, Linked, Seat};
use granary_store::{Head, StoreError};

use super::host::ActivationHost;
use super::memory::StateMemory;
use super::pressure;
use super::table::Live;
use crate::node::shared::Shared;

/// A migration that failed.
#[derive(Debug, Clone)]
pub(crate) struct PutBack {
    pub(crate) to: Revision,
    pub(crate) because: String,
}

/// A grain that is live as far as its driver is concerned.
pub(crate) struct Current {
    pub(crate) live: Live,
    /// Of the kind, when it was last found to be right.
    pub(crate) generation: u64,
    pub(crate) host: Arc<ActivationHost>,
    pub(crate) memory: Arc<StateMemory>,
    pub(crate) head: Head,
    /// What turns have changed while others ran beside them.
    pub(crate) changes: Changes,
    pub(crate) facts: Facts,
    pub(crate) took: Duration,
    pub(crate) since: Instant,
}

/// What loading needs to know.
pub(crate) struct Load {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grain: GrainId,
    /// The migration that failed just now: the rollout is halted before anything else.
    pub(crate) halt: Option<PutBack>,
    /// A revision to which this grain cannot be moved.
    pub(crate) avoid: Option<Revision>,
}

impl Load {
    /// Does it. Errors leave nothing behind but an epoch that nobody uses.
    pub(crate) async fn run(self) -> Result<Current, CallError> {
        let Self {
            shared,
            grain,
            halt,
            avoid,
        } = self;
        let began = Instant::now();
        if let Some(PutBack { to, because }) = halt
            && let Err(error) = shared.kinds.halt(&grain.kind, to, &grain, &because).await
        {
            tracing::error!(%grain, %error, "a failed migration could not be noted down");
        }
        let entry = shared
            .kinds
            .entry(&grain.kind)
            .ok_or_else(|| shared.kinds.unknown(grain.kind.as_str()))?;
        let loaded = shared
            .store
            .load(&grain)
            .await
            .map_err(|error| refused(&shared, &error))?;
        let revision = choose(&entry.record, loaded.head.revision, avoid);
        let linked = shared.kinds.linked(&entry, revision).await?;
        let memory = Arc::new(StateMemory::new(loaded.entries, loaded.head.version));
        let host = Arc::new(ActivationHost::new(
            Arc::clone(&shared),
            grain.clone(),
            revision,
            Arc::clone(&memory),
        ));
        let seat = || Seat {
            grain: grain.clone(),
            revision,
            epoch: loaded.epoch,
            host: Arc::clone(&host) as _,
        };
        let limit = linked.spec().limits.activation_time;
        let making =
            tokio::time::timeout(limit, pressure::instantiate(&shared, &linked, seat, limit));
        let instance = match making.await {
            Ok(made) => made,
            Err(_) => Err(too_slow("instantiation", "activation-time", limit)),
        };
        let instance = instance.inspect_err(|_| shared.store.release(&grain, loaded.epoch))?;
        let facts = facts(&entry.record, loaded.head.revision, revision, &linked);
        Ok(Current {
            live: Live {
                linked,
                instance,
                revision,
                epoch: loaded.epoch,
            },
            generation: entry.generation,
            host,
            memory,
            head: loaded.head,
            changes: Changes::default(),
            facts,
            took: began.elapsed(),
            since: Instant::now(),
        })
    }
}

/// The revision that a grain runs: its kind's, unless it cannot be moved there.
pub(crate) fn choose(
    record: &KindRecord,
    wrote_last: Option<Revision>,
    avoid: Option<Revision>,
) -> Revision {
    let chosen = record.revision_for(wrote_last);
    match wrote_last {
        Some(own) if avoid == Some(chosen) && record.revision(own).is_some() => own,
        Some(_) | None => chosen,
    }
}

impl Current {
    /// Whether the instance still runs what a grain of its kind should run.
    pub(crate) fn is_right(&self, record: &KindRecord, avoid: Option<Revision>) -> bool {
        let revision = choose(record, self.head.revision, avoid);
        let (spec, component) = (self.live.linked.spec(), self.live.linked.component());
        // A kind that was removed and deployed anew counts from one again: the number alone does not tell.
        let same = |kept: &RevisionRecord| kept.component == component.digest && kept.spec == *spec;
        revision == self.live.revision && record.revision(revision).is_some_and(same)
    }
}

fn facts(
    record: &KindRecord,
    wrote_last: Option<Revision>,
    runs: Revision,
    linked: &Linked,
) -> Facts {
    let component = linked.component();
    // The same code needs no migration of what it wrote itself.
    let foreign = |own: &Revision| {
        record
            .revision(*own)
            .is_none_or(|own| own.component != component.digest)
    };
    let migrates = component.interface.migration.is_some();
    Facts {
        migrate: wrote_last.filter(|own| migrates && *own < runs && foreign(own)),
        hooks: component.interface.lifecycle.is_some(),
        side_by_side: component.engine == EngineKind::Async,
        rules: Rules::from(&linked.spec().limits),
    }
}

/// What a store's refusal means for a call.
pub(crate) fn refused(shared: &Shared, error: &StoreError) -> CallError {
    shared.store_refused(error);
    match error {
        StoreError::Failed { .. } => CallError::UnknownOutcome {
            detail: told(error),
        },
        StoreError::Stale { .. } | StoreError::Conflict { .. } => CallError::Conflict {
            detail: error.to_string(),
        },
        StoreError::Full { .. }
        | StoreError::Locked { .. }
        | StoreError::NewerFormat { .. }
        | StoreError::Unreadable { .. }
        | StoreError::Damaged { .. }
        | StoreError::Closed => CallError::Unavailable {
            detail: error.to_string(),
        },
    }
}

fn told(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

pub(crate) fn too_slow(what: &str, key: &str, limit: Duration) -> CallError {
    CallError::LimitExceeded {
        limit: LimitName::WallTime,
        detail: format!(
            "{what} took longer than {}; limits.{key} raises it",
            humantime::format_duration(limit)
        ),
    }
}

#[cfg(test)]
mod tests {
    use granary_core::id::{Digest, KindName};
    use granary_core::kind::{KindSpec, Rollout};

    use super::*;

    fn record(current: u64, rollout: Rollout) -> KindRecord {
        let name = KindName::parse("a").unwrap();
        let revision = |revision| RevisionRecord {
            revision: Revision(revision),
            component: Digest([0; 32]),
            spec: KindSpec::bare(name.clone()),
            deployed_at_ms: 0,
            verdict: String::new(),
        };
        let revisions = vec![revision(1), revision(2), revision(3)];
        KindRecord {
            name: name.clone(),
            current: Revision(current),
            before: None,
            rollout,
            revisions,
        }
    }

    #[test]
    fn a_grain_that_cannot_be_moved_stays_where_its_state_was_written() {
        let halted = record(
            3,
            Rollout::Halted {
                from: Revision(2),
                because: String::new(),
            },
        );
        let done = record(3, Rollout::Done);
        assert_eq!(choose(&done, Some(Revision(1)), None), Revision(3));
        assert_eq!(
            choose(&done, Some(Revision(1)), Some(Revision(3))),
            Revision(1)
        );
        assert_eq!(
            choose(&halted, Some(Revision(1)), Some(Revision(3))),
            Revision(2)
        );
        assert_eq!(
            choose(&halted, Some(Revision(3)), None),
            Revision(3),
            "it has moved already"
        );
        assert_eq!(choose(&halted, None, None), Revision(2));
        assert_eq!(
            choose(&done, Some(Revision(9)), Some(Revision(3))),
            Revision(3),
            "its own is no longer kept"
        );
    }
}
