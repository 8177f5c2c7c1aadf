//! The slow lane: where turns go on that have used up their first tick.
//!
//! Its threads have a low priority: about a tenth of a core's time while others want it, all of it while nobody does. The lowest priority
//! would be a fiftieth, and an honest long turn on a busy node would never end.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};

/// Niceness of the slow lane.
const SLOW_NICE: i32 = 10;

/// A second async runtime. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SlowLane {
    runtime: Arc<Lane>,
}

struct Lane(Option<Runtime>);

impl Drop for Lane {
    fn drop(&mut self) {
        // A runtime may not be dropped from within an async task, and the last turn may well be one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl SlowLane {
    /// Starts its threads: one a core.
    pub(crate) fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("granary-slow")
            .enable_all()
            .on_thread_start(|| be_nice(SLOW_NICE))
            .build()?;
        Ok(Self {
            runtime: Arc::new(Lane(Some(runtime))),
        })
    }

    /// Where to spawn.
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime
            .0
            .as_ref()
            .expect("only taken by drop")
            .handle()
    }
}

/// Lowers the calling thread's priority. Where that is refused, fairness is what the scheduler makes of it.
pub(crate) fn be_nice(nice: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, "a thread could not lower its priority");
    }
}
