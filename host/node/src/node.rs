//! A node: store, runtime, kinds and grains put together, with the tasks that run beside the calls.

pub(crate) mod shared;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use granary_runtime::{CacheConfig, Runtime, RuntimeConfig, RuntimeError};
use granary_store::embedded::{Embedded, Settings};
use granary_store::{Memory, Store, StoreError};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::grains::{ActivationState, Grains};
use crate::kinds::Kinds;
use crate::observe::events::{Events, What};
use crate::observe::logs::Logs;
use crate::observe::metrics::Metrics;
use crate::sends::Sends;
use shared::{Parts, Shared};

/// How long a stopping node lets calls end before it refuses those that wait.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long it then waits for turns and `deactivate` hooks.
const GOODBYE_MAX: Duration = Duration::from_secs(20);
/// How often it reminds them.
const REMIND: Duration = Duration::from_millis(500);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// The settings of a node, checked.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Its name, for people.
    pub name: String,
    /// Where it keeps everything; none: in memory, forgotten at the end.
    pub data: Option<PathBuf>,
    /// Where it keeps compiled components, if that is not among its data.
    pub cache: Option<CacheConfig>,
    /// The most live grains; none: as many as the kernel allows.
    pub slots: Option<u32>,
    /// Threads that compile components.
    pub compile_threads: usize,
    /// Where relative paths of granted directories start.
    pub grants_root: PathBuf,
}

impl NodeSettings {
    /// A node that forgets everything, for tests and tools.
    pub fn in_memory(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data: None,
            cache: None,
            slots: None,
            compile_threads: 1,
            grants_root: PathBuf::from("."),
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The metrics recorder refused its constants.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
}

/// A running node.
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it keeps.
    pub store: Arc<dyn Store>,
    /// What runs guests.
    pub runtime: Arc<Runtime>,
    /// The catalogue.
    pub kinds: Kinds,
    /// Calls.
    pub grains: Grains,
    /// One-way messages and asynchronous calls.
    pub sends: Sends,
    /// What guests print.
    pub logs: Arc<Logs>,
    /// What happened.
    pub events: Arc<Events>,
    /// How much of it.
    pub metrics: Arc<Metrics>,
    pub(crate) shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stopped: tokio::sync::Mutex<bool>,
}

impl Node {
    /// Opens the store, starts the runtime and the tasks beside it. Cached components are mapped in the background.
    pub async fn start(settings: NodeSettings) -> Result<Arc<Self>, StartError> {
        let NodeSettings {
            name,
            data,
            cache,
            slots,
            compile_threads,
            grants_root,
        } = settings;
        let store = open_store(data.as_deref()).await?;
        let cache = match (cache, data) {
            (None, Some(data)) => Some(CacheConfig {
                dir: data.join("cache"),
                key: node_key(&*store).await?,
                bytes_max: None,
            }),
            (cache, _) => cache,
        };
        let config = RuntimeConfig {
            cache,
            slots_max: slots,
            compile_threads,
            grants_root,
        };
        let runtime = blocking(move || Runtime::new(config)).await?;
        let (logs, events) = (Arc::<Logs>::default(), Arc::<Events>::default());
        let metrics =
            Metrics::new(&name).map_err(|error| StartError::Metrics(error.to_string()))?;
        let kinds = Kinds::new(
            Arc::clone(&store),
            Arc::clone(&runtime),
            Arc::clone(&events),
        )
        .await?;
        let shared = Shared::new(Parts {
            name,
            store,
            runtime,
            kinds,
            logs,
            events,
            metrics: Arc::new(metrics),
        });
        let node = Self::wire(shared);
        node.events.push(What::Started {
            node: node.name.clone(),
        });
        Ok(node)
    }

    fn wire(shared: Arc<Shared>) -> Arc<Self> {
        let grains = Grains::new(Arc::clone(&shared));
        // The kinds must not keep the node alive that holds them.
        let counted = Arc::downgrade(&shared);
        shared.kinds.set_live(Arc::new(move |name| {
            counted
                .upgrade()
                .map_or(0, |shared| shared.table.live(name))
        }));
        let (store, kinds, events) = (
            Arc::clone(&shared.store),
            shared.kinds.clone(),
            Arc::clone(&shared.events),
        );
        let sends = Sends::new(
            store,
            grains.clone(),
            kinds,
            events,
            Arc::clone(&shared.due),
        );
        let tasks = upkeep::start(&shared, &sends);
        Arc::new(Self {
            name: shared.name.clone(),
            store: Arc::clone(&shared.store),
            runtime: Arc::clone(&shared.runtime),
            kinds: shared.kinds.clone(),
            grains,
            sends,
            logs: Arc::clone(&shared.logs),
            events: Arc::clone(&shared.events),
            metrics: Arc::clone(&shared.metrics),
            shared,
            tasks: Mutex::new(tasks),
            stopped: tokio::sync::Mutex::new(false),
        })
    }

    /// Takes no more calls, lets turns end, runs `deactivate` hooks, closes the store. A second call waits for the first.
    pub async fn stop(&self) {
        let mut stopped = self.stopped.lock().await;
        if *stopped {
            return;
        }
        self.shared.stopping.store(true, Ordering::Release);
        self.events.push(What::Stopping {
            node: self.name.clone(),
        });
        // What the pump had begun is delivered again after the next start.
        self.tasks.lock().drain(..).for_each(|task| task.abort());
        let quiet = || {
            self.grains
                .activations()
                .iter()
                .all(|info| info.state == ActivationState::Idle)
        };
        until(quiet, DRAIN_MAX).await;
        // Said again and again: a turn that still runs may bring another grain to life.
        let deadline = Instant::now() + GOODBYE_MAX;
        while !self.shared.table.is_empty() && Instant::now() < deadline {
            self.shared.table.stop();
            until(|| self.shared.table.is_empty(), REMIND).await;
        }
        if !self.shared.table.is_empty() {
            tracing::warn!(
                "some grains did not come to an end; what they had not committed is dropped"
            );
        }
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store did not close cleanly");
        }
        *stopped = true;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.lock().drain(..).for_each(|task| task.abort());
    }
}

async fn open_store(data: Option<&Path>) -> Result<Arc<dyn Store>, StartError> {
    let Some(data) = data else {
        return Ok(Arc::new(Memory::new()));
    };
    let settings = Settings::new(data);
    let opened: Result<_, StoreError> = blocking(move || Embedded::open(settings)).await;
    Ok(Arc::new(opened?))
}

/// The node's own secret: made once, kept with the data.
async fn node_key(store: &dyn Store) -> Result<[u8; 32], StartError> {
    const NAME: &str = "node-key";
    if let Some(key) = store
        .value(NAME)
        .await?
        .and_then(|bytes| bytes.try_into().ok())
    {
        return Ok(key);
    }
    let key = new_key().ok_or_else(|| RuntimeError::Engine {
        why: "the system gives no random numbers".to_owned(),
    })?;
    store.put_value(NAME, Some(key.to_vec())).await?;
    Ok(key)
}

/// A secret to hash with; none if the system gives no random numbers.
pub(crate) fn new_key() -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut key).ok().map(|()| key)
}

/// Runs what waits for a disk or the kernel outside the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn until(reached: impl Fn() -> bool, at_most: Duration) -> bool {
    let deadline = Instant::now() + at_most;
    while !reached() {
        if deadline <= Instant::now() {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}
