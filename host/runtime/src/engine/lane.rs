//! The slow lane: where turns go on that have used up their first tick.
//!
//! Its threads have a low priority: a thirtieth of a core's time while others want it, all of it while nobody does. So an honest turn of
//! `cpu-time`'s default ends within `wall-time`'s on a node that is busy all the time; with the lowest priority, a seventieth,
//! it would not. They take that time in small slices: with the
//! kernel's usual ones of some milliseconds, a short turn that becomes ready would wait for the end of a long one's slice.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};

/// Niceness of the slow lane.
const SLOW_NICE: i32 = 15;
/// Time slice of the slow lane, where the kernel knows such a thing (Linux 6.12): its least.
const SLOW_SLICE_NS: u64 = 100_000;

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
            .on_thread_start(|| {
                be_nice(SLOW_NICE);
                take_small_slices(SLOW_NICE, SLOW_SLICE_NS);
            })
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

/// Gives the calling thread a time slice of its own; an older kernel takes note of the priority alone.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the system call has no wrapper in the libraries that we use"
)]
fn take_small_slices(nice: i32, slice_ns: u64) {
    let size = u32::try_from(size_of::<libc::sched_attr>()).expect("invariant: it has 48 bytes");
    let attributes = libc::sched_attr {
        size,
        sched_policy: libc::SCHED_OTHER.unsigned_abs(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice_ns,
        sched_deadline: 0,
        sched_period: 0,
    };
    let this_thread: libc::pid_t = 0;
    let flags: libc::c_uint = 0;
    // SAFETY: the call reads `size` bytes of the structure, which outlives it, and keeps no pointer.
    let refused = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            this_thread,
            std::ptr::from_ref(&attributes),
            flags,
        )
    };
    if refused != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "a thread could not choose its time slice");
    }
}

#[cfg(not(target_os = "linux"))]
fn take_small_slices(_nice: i32, _slice_ns: u64) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The last fields of `/proc/thread-self/sched` say what the scheduler has taken note of.
    #[test]
    fn the_kernel_takes_the_slice_and_the_priority() {
        let thread = std::thread::spawn(|| {
            be_nice(SLOW_NICE);
            take_small_slices(SLOW_NICE, SLOW_SLICE_NS);
            let nice = rustix::process::getpriority_process(None);
            (
                nice.ok(),
                std::fs::read_to_string("/proc/thread-self/sched"),
            )
        });
        let (nice, said) = thread.join().unwrap();
        assert_eq!(nice, Some(SLOW_NICE));
        // Only kernels with slices show them.
        let slice = said.ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("se.slice"))?;
            line.rsplit(':').next()?.trim().parse::<u64>().ok()
        });
        assert!(
            slice.is_none_or(|slice| slice == SLOW_SLICE_NS),
            "{slice:?}"
        );
    }
}
