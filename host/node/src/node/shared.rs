//! What every part of a running node holds on to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use granary_core::id::Time;
use granary_core::waits::Waits;
use granary_runtime::Runtime;
use granary_store::{Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::grains::table::Table;
use crate::kinds::Kinds;
use crate::observe::events::{Events, What};
use crate::observe::logs::Logs;
use crate::observe::metrics::Metrics;

/// The insides of a node, shared by its faces and its tasks.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) kinds: Kinds,
    pub(crate) table: Table,
    /// Only grain-to-grain calls lock it.
    pub(crate) waits: Mutex<Waits>,
    /// A turn that sends has been committed.
    pub(crate) due: Arc<Notify>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    /// An instance was dropped: whoever waits for a place may try again.
    pub(crate) place_free: Notify,
    /// One search for something to passivate at a time.
    pub(crate) relieving: tokio::sync::Mutex<()>,
    pub(crate) stopping: AtomicBool,
    store_full: AtomicBool,
}

/// The parts from which [`Shared`] is made.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) kinds: Kinds,
    pub(crate) logs: Arc<Logs>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            name: parts.name,
            clock: Clock {
                started: Instant::now(),
            },
            store: parts.store,
            runtime: parts.runtime,
            kinds: parts.kinds,
            table: Table::default(),
            waits: Mutex::default(),
            due: Arc::default(),
            logs: parts.logs,
            events: parts.events,
            metrics: parts.metrics,
            place_free: Notify::new(),
            relieving: tokio::sync::Mutex::new(()),
            stopping: AtomicBool::new(false),
            store_full: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Takes note of a store's refusal, so that people learn of a full disk once and not once a call.
    pub(crate) fn store_refused(&self, error: &StoreError) {
        if matches!(error, StoreError::Full { .. }) && !self.store_full.swap(true, Ordering::AcqRel)
        {
            self.events.push(What::StoreFull {
                detail: error.to_string(),
            });
        }
    }

    /// Takes note of a commit that was kept.
    pub(crate) fn store_accepted(&self) {
        if self.store_full.load(Ordering::Relaxed) && self.store_full.swap(false, Ordering::AcqRel)
        {
            self.events.push(What::StoreRecovered);
        }
    }

    pub(crate) fn is_store_full(&self) -> bool {
        self.store_full.load(Ordering::Relaxed)
    }
}

/// The node's clock, as the machines see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        self.time(Instant::now())
    }

    pub(crate) fn time(&self, at: Instant) -> Time {
        Time(0).after(at.saturating_duration_since(self.started))
    }

    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.started + Duration::from_nanos(time.0)
    }
}
