//! Compiling, in a bounded pool of threads of low priority.

use std::sync::Arc;
use std::time::Instant;

use granary_core::id::Digest;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;
use wasmtime::component::Component;

use super::Cache;
use crate::ComponentError;
use crate::engine::GuestEngine;
use crate::engine::lane::be_nice;

/// Niceness of compiling: grains come first, but an upload must end on a busy node, too.
const COMPILE_NICE: i32 = 5;

/// The threads. Wasmtime's own parallelism stays within them.
pub(crate) struct Compilers {
    pool: ThreadPool,
}

/// What is to be compiled.
pub(crate) struct Job {
    pub(crate) engine: Arc<GuestEngine>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Compilers {
    /// Starts `threads` of them, at least one.
    pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("granary-compile-{index}"))
            .start_handler(|_| be_nice(COMPILE_NICE))
            .panic_handler(|_| tracing::error!("the compiler panicked"))
            .build()?;
        Ok(Self { pool })
    }

    /// Compiles one component and keeps the code in the cache.
    pub(crate) async fn compile(&self, job: Job) -> Result<Component, ComponentError> {
        let (done, result) = oneshot::channel();
        self.pool.spawn(move || {
            let began = Instant::now();
            let compiled = run(&job);
            let seconds = began.elapsed().as_secs_f64();
            tracing::info!(component = %job.digest, bytes = job.bytes.len(), seconds, "compiled a component");
            // Nobody waits for it any more: the cache has it all the same.
            drop(done.send(compiled));
        });
        result.await.unwrap_or_else(|_| {
            Err(ComponentError::Compile {
                why: "the compiler panicked".to_owned(),
            })
        })
    }
}

fn run(job: &Job) -> Result<Component, ComponentError> {
    let refused = |error: wasmtime::Error| ComponentError::Compile {
        why: format!("{error:#}"),
    };
    let engine = &job.engine;
    let Some(cache) = &job.cache else {
        return Component::new(&engine.engine, &job.bytes).map_err(refused);
    };
    let code = engine
        .engine
        .precompile_component(&job.bytes)
        .map_err(refused)?;
    if let Err(error) = cache.store(engine, job.digest, &code) {
        tracing::warn!(digest = %job.digest, %error, "a compiled component could not be kept; it will be compiled again after a restart");
    }
    // Compiling again is what a new engine leads to: whatever the one before has left is of no use now.
    cache.remove_others(engine);
    match cache.load(engine, job.digest) {
        Some(component) => Ok(component),
        // The disk is full or does not keep what it is given. The component works until the next restart.
        None => Component::new(&engine.engine, &job.bytes).map_err(refused),
    }
}
