//! The runtime of a node.

mod underway;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use granary_core::id::Digest;
use granary_core::kind::KindSpec;
use parking_lot::Mutex;

use crate::cache::compile::{Compilers, Job};
use crate::cache::{Cache, CacheConfig};
use crate::engine::capacity::{self, Capacity, Places};
use crate::engine::lane::SlowLane;
use crate::engine::{EngineKind, Engines, GuestEngine};
use crate::link::{self, Granted, Prelinked};
use crate::{ComponentError, Interface, LinkError, Linked};
use underway::Underway;

/// Components that stay in memory although nobody uses them.
const COMPONENTS_KEPT: usize = 128;
/// Tries to start the engine, each with half the slots of the one before.
const ENGINE_TRIES: u32 = 6;
/// The async engine's share: one place in so many.
const ASYNC_SHARE: u32 = 4;

/// The settings of a runtime.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where compiled components are kept; none: nowhere.
    pub cache: Option<CacheConfig>,
    /// The most live grains; none: as many as the kernel's map limit allows.
    pub slots_max: Option<u32>,
    /// Threads that compile; at least one is used.
    pub compile_threads: usize,
    /// Where relative paths of granted directories start, and within which all of them must lie.
    pub grants_root: PathBuf,
}

/// Why a runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Wasmtime refused its settings, or the kernel the address space.
    #[error("the WebAssembly engine cannot start: {why}")]
    Engine {
        /// In its words.
        why: String,
    },
    /// The cache directory cannot be used.
    #[error("the cache directory {} cannot be used", dir.display())]
    Cache {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

/// A compiled component.
pub struct Component {
    /// Its identity.
    pub digest: Digest,
    /// Its size before compilation.
    pub bytes_len: u64,
    /// What it offers and asks for.
    pub interface: Interface,
    /// The engine that runs it.
    pub engine: EngineKind,
    pub(crate) compiled: wasmtime::component::Component,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("digest", &self.digest)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

type LinkKey = (Digest, bool);

/// Engines, compiled components and the places for live grains.
pub struct Runtime {
    config: RuntimeConfig,
    engines: Arc<Engines>,
    cache: Option<Arc<Cache>>,
    compilers: Compilers,
    places: Arc<Places>,
    lane: SlowLane,
    components: Mutex<HashMap<Digest, Arc<Component>>>,
    mapping: Underway<Option<Arc<Component>>>,
    preparing: Underway<Result<Arc<Component>, ComponentError>>,
    links: Mutex<HashMap<LinkKey, Prelinked>>,
}

impl Runtime {
    /// Starts one. Needs no tokio around it.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        let (engine, plan) = start_engine(config.slots_max)?;
        let cache = config.cache.clone().map(open_cache).transpose()?;
        if let Some(cache) = &cache {
            cache.remove_others(&engine);
        }
        let compilers = Compilers::new(config.compile_threads)
            .map_err(|error| RuntimeError::Thread(io::Error::other(error)))?;
        let concurrent_slots = (plan.slots / ASYNC_SHARE).max(1);
        Ok(Arc::new(Self {
            config,
            engines: Engines::new(engine, concurrent_slots).map_err(RuntimeError::Thread)?,
            cache,
            compilers,
            places: Places::new(plan),
            lane: SlowLane::new().map_err(RuntimeError::Thread)?,
            components: Mutex::default(),
            mapping: Underway::new(),
            preparing: Underway::new(),
            links: Mutex::default(),
        }))
    }

    /// How many grains fit, and how many there are.
    pub fn capacity(&self) -> Capacity {
        self.places.capacity()
    }

    /// Checks, inspects and compiles a component, or takes the compiled one from memory or disk. Requests for the same digest
    /// at the same time compile it once. The caller has checked that the bytes have the digest.
    pub async fn component(
        self: &Arc<Self>,
        digest: Digest,
        bytes: Vec<u8>,
    ) -> Result<Arc<Component>, ComponentError> {
        let prepared = self.clone().prepare(digest, bytes);
        self.preparing.join(digest, prepared).await
    }

    /// A component whose compiled code is in the cache, without its bytes; none if it must be had by [`Self::component`].
    pub async fn cached(self: &Arc<Self>, digest: Digest) -> Option<Arc<Component>> {
        if let Some(component) = self.loaded(digest) {
            return Some(component);
        }
        let runtime = self.clone();
        let mapped = async move {
            // It may have been mapped since.
            if let Some(component) = runtime.loaded(digest) {
                return Some(component);
            }
            let looking = runtime.clone();
            let looked = tokio::task::spawn_blocking(move || looking.look_up(digest)).await;
            let component = Arc::new(looked.ok()??);
            runtime.keep(&component);
            Some(component)
        };
        self.mapping.join(digest, mapped).await
    }

    /// Forgets a component that nothing is to run any more: what was compiled of it goes from memory and disk. Live grains keep theirs to the
    /// end. Errors: its files could not be removed.
    pub async fn forget(self: &Arc<Self>, digest: Digest) -> io::Result<()> {
        self.components.lock().remove(&digest);
        self.links.lock().retain(|(of, _), _| *of != digest);
        let Some(cache) = self.cache.clone() else {
            return Ok(());
        };
        let removed = tokio::task::spawn_blocking(move || cache.remove(digest)).await;
        removed.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// A component that is still in memory.
    pub fn loaded(&self, digest: Digest) -> Option<Arc<Component>> {
        self.components.lock().get(&digest).cloned()
    }

    /// Lays a kind's settings over a component: grants against imports.
    pub fn link(
        self: &Arc<Self>,
        component: &Arc<Component>,
        spec: &KindSpec,
    ) -> Result<Arc<Linked>, LinkError> {
        if let Some(missing) = link::granted::missing(&component.interface, &spec.grants) {
            return Err(missing);
        }
        let engine = self
            .engine(component.engine)
            .map_err(|why| LinkError::Import { why })?;
        let granted = Granted::new(&spec.grants, &self.config.grants_root)?;
        let prelinked = self.prelink(component, &engine, spec.grants.config.is_some())?;
        let shared = link::Shared {
            engine,
            places: self.places.clone(),
            lane: self.lane.clone(),
        };
        Ok(Arc::new(Linked::new(
            component, spec, prelinked, granted, shared,
        )?))
    }

    fn prelink(
        &self,
        component: &Component,
        engine: &GuestEngine,
        with_config: bool,
    ) -> Result<Prelinked, LinkError> {
        let key = (component.digest, with_config);
        if let Some(prelinked) = self.links.lock().get(&key) {
            return Ok(prelinked.clone());
        }
        let prelinked = Prelinked::new(component, engine, with_config)?;
        self.links.lock().insert(key, prelinked.clone());
        Ok(prelinked)
    }

    fn engine(&self, kind: EngineKind) -> Result<Arc<GuestEngine>, String> {
        let engine = self
            .engines
            .get(kind)
            .map_err(|error| format!("the engine for it cannot start: {error:#}"))?;
        Ok(engine)
    }

    async fn prepare(
        self: Arc<Self>,
        digest: Digest,
        bytes: Vec<u8>,
    ) -> Result<Arc<Component>, ComponentError> {
        // It may have been prepared since.
        if let Some(component) = self.loaded(digest) {
            return Ok(component);
        }
        let bytes_len = bytes.len() as u64;
        let node = |why: String| ComponentError::Node { why };
        let runtime = self.clone();
        let looked = tokio::task::spawn_blocking(move || runtime.look(digest, bytes)).await;
        let looked = looked.map_err(|error| node(format!("the inspection failed: {error}")))??;
        let compiled = match looked.compiled {
            Some(compiled) => compiled,
            None => {
                let job = Job {
                    engine: looked.engine.clone(),
                    cache: self.cache.clone(),
                    digest,
                    bytes: looked.bytes,
                };
                self.compilers.compile(job).await?
            }
        };
        let component = Arc::new(Component {
            digest,
            bytes_len,
            interface: looked.interface,
            engine: looked.engine.kind,
            compiled,
        });
        self.keep(&component);
        Ok(component)
    }

    /// Everything but compiling: reads the component and the cache.
    fn look(&self, digest: Digest, bytes: Vec<u8>) -> Result<Looked, ComponentError> {
        let interface = Interface::inspect(&bytes)?;
        let engine = self
            .engine(kind_of(&interface))
            .map_err(|why| ComponentError::Node { why })?;
        let compiled = self.cache.as_ref().and_then(|cache| {
            keep_world(cache, &engine, digest, &interface, &bytes);
            cache.load(&engine, digest)
        });
        Ok(Looked {
            interface,
            engine,
            compiled,
            bytes,
        })
    }

    /// Reads the cache alone.
    fn look_up(&self, digest: Digest) -> Option<Component> {
        let cache = self.cache.as_ref()?;
        let known = cache.world(digest)?;
        let engine = self.engine(known.engine).ok()?;
        let interface = Interface::of_world(&known.world).ok();
        let interface = interface.filter(|interface| kind_of(interface) == engine.kind)?;
        Some(Component {
            digest,
            bytes_len: known.bytes_len,
            compiled: cache.load(&engine, digest)?,
            interface,
            engine: engine.kind,
        })
    }

    fn keep(&self, component: &Arc<Component>) {
        let mut components = self.components.lock();
        if COMPONENTS_KEPT <= components.len() {
            components.retain(|_, held| 1 < Arc::strong_count(held));
            let mut links = self.links.lock();
            links.retain(|(digest, _), _| components.contains_key(digest));
        }
        components.insert(component.digest, component.clone());
    }
}

/// So that the component need not be read when a node starts.
fn keep_world(
    cache: &Cache,
    engine: &GuestEngine,
    digest: Digest,
    interface: &Interface,
    bytes: &[u8],
) {
    if cache.world(digest).is_some() {
        return;
    }
    let Some(world) = interface.world(bytes) else {
        return;
    };
    let kept = cache.store_world(engine, digest, bytes.len() as u64, &world);
    if let Err(error) = kept {
        tracing::warn!(%digest, %error, "what is known of a component could not be kept; it is read again after a restart");
    }
}

fn kind_of(interface: &Interface) -> EngineKind {
    if interface.is_async {
        EngineKind::Async
    } else {
        EngineKind::Sync
    }
}

struct Looked {
    interface: Interface,
    engine: Arc<GuestEngine>,
    compiled: Option<wasmtime::component::Component>,
    bytes: Vec<u8>,
}

fn open_cache(config: CacheConfig) -> Result<Arc<Cache>, RuntimeError> {
    let dir = config.dir.clone();
    let cache = Cache::open(config).map_err(|source| RuntimeError::Cache { dir, source })?;
    Ok(Arc::new(cache))
}

/// Starts the synchronous engine. Where address space is rationed, it gets by with fewer slots.
fn start_engine(slots_max: Option<u32>) -> Result<(GuestEngine, capacity::Plan), RuntimeError> {
    let mut plan = capacity::plan(slots_max);
    let mut last = String::new();
    for _ in 0..ENGINE_TRIES {
        match GuestEngine::new(EngineKind::Sync, plan.slots) {
            Ok(engine) => return Ok((engine, plan)),
            Err(error) => last = format!("{error:#}"),
        }
        tracing::warn!(
            slots = plan.slots,
            why = last,
            "no room for so many places for grains; trying half of them"
        );
        plan.slots = (plan.slots / 2).max(1);
        "the address space of the process (`ulimit -v`); raise it".clone_into(&mut plan.limited_by);
    }
    Err(RuntimeError::Engine { why: last })
}
