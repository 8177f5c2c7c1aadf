//! The two engines. Everything that changes compiled code is set in [`settings`] and nowhere else: two builders that differ by one
//! flag would refuse each other's cache.

pub(crate) mod capacity;
pub(crate) mod lane;
pub(crate) mod ticker;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::guest::Guest;
use crate::imports;
use ticker::Ticker;

/// Which of the two engines runs a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// For components without async functions: a call costs a quarter.
    Sync,
    /// For components that use the component model's async.
    Async,
}

impl EngineKind {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sync, Self::Async];

    /// The word in the names of cache directories.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// How long a guest runs before the host looks at it.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// The largest linear memory that can exist; `limits.memory` has the same maximum. It is address space, not memory: a slot costs only what
/// its guest touches.
const MEMORY_BYTES_MAX: usize = 256 << 20;
/// Core instances and tables a grain may take: a Rust component has three, a Go one five.
const CORES_PER_GRAIN: u32 = 5;
/// Guest stack. Host functions run on what is above it.
const GUEST_STACK_BYTES: usize = 1 << 20;
const FIBER_STACK_BYTES: usize = 2 << 20;

/// One engine with what is linked for it.
pub(crate) struct GuestEngine {
    pub(crate) kind: EngineKind,
    pub(crate) engine: Engine,
    pub(crate) plain: Linker<Guest>,
    pub(crate) with_config: Linker<Guest>,
    /// Names the settings and the version of the compiler: code compiled under another one is of no use.
    pub(crate) compat: String,
}

impl GuestEngine {
    /// Makes one with room for `slots` grains.
    pub(crate) fn new(kind: EngineKind, slots: u32) -> wasmtime::Result<Self> {
        let engine = Engine::new(&settings(kind, slots))?;
        let mut plain = Linker::new(&engine);
        imports::link(&mut plain, kind)?;
        let mut with_config = plain.clone();
        imports::link_config(&mut with_config)?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compat = format!("{}-{:016x}", kind.word(), hasher.finish());
        Ok(Self {
            kind,
            engine,
            plain,
            with_config,
            compat,
        })
    }
}

fn settings(kind: EngineKind, slots: u32) -> Config {
    let with_async = kind == EngineKind::Async;
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(with_async)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        .concurrency_support(with_async)
        .wasm_threads(false)
        .wasm_memory64(false)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // A stack goes back to the pool with its store: what it grew to must not stay resident, nor what lies on it readable.
        .async_stack_zeroing(true)
        .memory_reservation(MEMORY_BYTES_MAX as u64)
        .memory_may_move(false)
        .gc_heap_reservation(MEMORY_BYTES_MAX as u64)
        .gc_heap_may_move(false)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    let mut pool = PoolingAllocationConfig::new();
    // An async store may run several fibers at once; a synchronous one runs one and keeps it while it rests.
    let stacks = if with_async {
        slots.saturating_mul(2)
    } else {
        slots
    };
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORES_PER_GRAIN))
        .total_tables(slots.saturating_mul(CORES_PER_GRAIN))
        .total_memories(slots.saturating_mul(2))
        .total_stacks(stacks.saturating_add(16))
        .total_gc_heaps(slots.min(256))
        .max_memory_size(MEMORY_BYTES_MAX)
        .table_elements(65_536)
        .max_tables_per_module(8)
        .max_unused_warm_slots(64)
        .linear_memory_keep_resident(0)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Both engines. The async one is made when the first component needs it: its stacks cost mappings even while nobody uses them.
pub(crate) struct Engines {
    sync: Arc<GuestEngine>,
    concurrent: Mutex<Option<Arc<GuestEngine>>>,
    concurrent_slots: u32,
    ticker: Arc<Ticker>,
}

impl Engines {
    /// Starts the synchronous engine and the clock of both.
    pub(crate) fn new(sync: GuestEngine, concurrent_slots: u32) -> std::io::Result<Arc<Self>> {
        let ticker = Ticker::start(&sync.engine)?;
        Ok(Arc::new(Self {
            sync: Arc::new(sync),
            concurrent: Mutex::new(None),
            concurrent_slots,
            ticker,
        }))
    }

    /// The engine of a kind.
    pub(crate) fn get(&self, kind: EngineKind) -> wasmtime::Result<Arc<GuestEngine>> {
        if kind == EngineKind::Sync {
            return Ok(self.sync.clone());
        }
        let mut slot = self.concurrent.lock();
        if let Some(engine) = &*slot {
            return Ok(engine.clone());
        }
        let engine = Arc::new(GuestEngine::new(EngineKind::Async, self.concurrent_slots)?);
        self.ticker.add(&engine.engine);
        *slot = Some(engine.clone());
        Ok(engine)
    }
}
