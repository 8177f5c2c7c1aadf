//! Which grains are live: a table in shards, and the handle of each activation.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use granary_core::activation::{DeactivateReason, State};
use granary_core::id::{Epoch, GrainId, KindName, Revision};
use granary_runtime::{Instance, Linked};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use super::inspect::{ActivationInfo, ActivationState};
use super::message::Message;
use crate::observe::metrics::KindMetrics;

/// More shards than cores, so that two calls seldom meet.
const SHARDS: usize = 64;

/// A live instance and what it runs.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) linked: Arc<Linked>,
    pub(crate) instance: Instance,
    pub(crate) revision: Revision,
    pub(crate) epoch: Epoch,
}

/// The way to an activation's task, and what everybody may see of it.
pub(crate) struct Handle {
    pub(crate) grain: GrainId,
    pub(crate) inbox: mpsc::Sender<Message>,
    pub(crate) metrics: Arc<KindMetrics>,
    pub(crate) live: RwLock<Option<Live>>,
    pub(crate) vitals: Vitals,
}

/// Numbers that the task writes and others read; each for itself.
#[derive(Default)]
pub(crate) struct Vitals {
    state: AtomicU8,
    queued: AtomicU32,
    turns: AtomicU64,
    /// Nanoseconds of the node's clock at which the last turn ended.
    rests_since: AtomicU64,
    /// How long loading took, in microseconds.
    reload_us: AtomicU64,
}

impl Vitals {
    pub(crate) fn set_state(&self, state: State, queued: usize) {
        let code = match state {
            State::Dormant => 0,
            State::Activating => 1,
            State::Idle => 2,
            State::Running => 3,
            State::Leaving => 4,
        };
        self.state.store(code, Ordering::Relaxed);
        self.queued
            .store(u32::try_from(queued).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn turn_ended(&self, at_nanos: u64) {
        // Only the activation's own task writes, so that a plain store does.
        self.turns
            .store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.rests_since.store(at_nanos, Ordering::Relaxed);
    }

    pub(crate) fn loaded(&self, took: Duration, at_nanos: u64) {
        self.reload_us.store(
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.rests_since.store(at_nanos, Ordering::Relaxed);
        self.turns.store(0, Ordering::Relaxed);
    }

    fn state(&self) -> ActivationState {
        match self.state.load(Ordering::Relaxed) {
            1 => ActivationState::Activating,
            2 => ActivationState::Idle,
            3 => ActivationState::Running,
            4 => ActivationState::Deactivating,
            _ => ActivationState::Dormant,
        }
    }
}

impl Handle {
    pub(crate) fn linked(&self) -> Option<Arc<Linked>> {
        self.live
            .read()
            .as_ref()
            .map(|live| Arc::clone(&live.linked))
    }

    /// What passivating it would gain: idle time × bytes ÷ the cost of loading it again. None unless it rests.
    pub(crate) fn worth_passivating(&self, now_nanos: u64) -> Option<f64> {
        if self.vitals.state() != ActivationState::Idle {
            return None;
        }
        let bytes = self.live.read().as_ref()?.instance.memory_bytes();
        let idle = now_nanos.saturating_sub(self.vitals.rests_since.load(Ordering::Relaxed));
        let reload = self.vitals.reload_us.load(Ordering::Relaxed).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a rank needs no last digit")]
        Some(idle as f64 * bytes.max(1) as f64 / reload as f64)
    }

    pub(crate) fn info(&self, now_nanos: u64) -> ActivationInfo {
        let live = self.live.read().clone();
        let idle = now_nanos.saturating_sub(self.vitals.rests_since.load(Ordering::Relaxed));
        ActivationInfo {
            grain: self.grain.clone(),
            state: self.vitals.state(),
            revision: live.as_ref().map(|live| live.revision),
            epoch: live.as_ref().map(|live| live.epoch),
            queued: self.vitals.queued.load(Ordering::Relaxed),
            memory_bytes: live.as_ref().map_or(0, |live| live.instance.memory_bytes()),
            idle_ms: idle / 1_000_000,
            turns: self.vitals.turns.load(Ordering::Relaxed),
        }
    }
}

type Shard = Mutex<HashMap<GrainId, Arc<Handle>>>;

/// The live grains of a node.
pub(crate) struct Table {
    shards: Vec<Shard>,
    /// A client that makes up keys of one shard gains nothing but that they wait for each other; within a shard they are hashed by SipHash.
    hasher: RandomState,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl Table {
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn shard(&self, grain: &GrainId) -> &Shard {
        &self.shards[self.hasher.hash_one(grain) as usize % SHARDS]
    }

    pub(crate) fn get(&self, grain: &GrainId) -> Option<Arc<Handle>> {
        self.shard(grain).lock().get(grain).cloned()
    }

    /// The handle of a grain, made by `make` if there is none.
    pub(crate) fn get_or_insert(
        &self,
        grain: &GrainId,
        make: impl FnOnce() -> Arc<Handle>,
    ) -> Arc<Handle> {
        let mut shard = self.shard(grain).lock();
        if let Some(handle) = shard.get(grain) {
            return Arc::clone(handle);
        }
        let handle = make();
        shard.insert(grain.clone(), Arc::clone(&handle));
        handle
    }

    /// Takes a handle out, unless another has taken its place.
    pub(crate) fn remove(&self, handle: &Arc<Handle>) {
        let mut shard = self.shard(&handle.grain).lock();
        if shard
            .get(&handle.grain)
            .is_some_and(|other| Arc::ptr_eq(other, handle))
        {
            shard.remove(&handle.grain);
        }
    }

    /// Every handle at some moment.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The handles of a kind.
    pub(crate) fn of_kind(&self, kind: &KindName) -> Vec<Arc<Handle>> {
        let of_kind = |shard: &Shard| {
            let shard = shard.lock();
            shard
                .values()
                .filter(|handle| handle.grain.kind == *kind)
                .cloned()
                .collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(of_kind).collect()
    }

    /// Tells every activation to end.
    pub(crate) fn stop(&self) {
        for handle in self.all() {
            handle.tell(Message::Stop);
        }
    }

    /// Lets some activations go after their turns.
    pub(crate) fn dismiss(&self, which: impl Fn(&Handle) -> bool) {
        for handle in self.all().into_iter().filter(|handle| which(handle)) {
            handle.tell(Message::Leave {
                reason: DeactivateReason::Requested,
                done: None,
            });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }

    /// How many activations of a kind have an instance.
    pub(crate) fn live(&self, kind: &KindName) -> usize {
        self.of_kind(kind)
            .iter()
            .filter(|handle| handle.live.read().is_some())
            .count()
    }
}

impl Handle {
    /// Sends what must not get lost, without waiting: a full inbox is waited for in a task of its own.
    pub(crate) fn tell(self: &Arc<Self>, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(message)) = self.inbox.try_send(message) {
            let inbox = self.inbox.clone();
            tokio::spawn(async move {
                // A closed inbox has nobody left to tell.
                drop(inbox.send(message).await);
            });
        }
    }

    /// Asks it to drop its instance, and waits until it has.
    pub(crate) async fn leave(&self, reason: DeactivateReason) {
        let (done, gone) = tokio::sync::oneshot::channel();
        if self
            .inbox
            .send(Message::Leave {
                reason,
                done: Some(done),
            })
            .await
            .is_ok()
        {
            // An answer that never comes means that the task has ended: it is gone as well.
            drop(gone.await);
        }
    }
}
