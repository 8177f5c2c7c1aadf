//! The threads on which the table is read: few, so that reading never takes the machine from the turns.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

/// Something to be done on a thread that may block.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Jobs in the order of their arrival. Their number is bounded by that of the callers that wait for them.
#[derive(Default)]
pub(crate) struct Jobs {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Jobs {
    /// Adds one; without a word if they are closed: whoever waits then meets a closed channel.
    pub(crate) fn push(&self, job: Job) {
        let mut queue = self.queue.lock();
        if !queue.closed {
            queue.jobs.push_back(job);
            drop(queue);
            self.arrived.notify_one();
        }
    }

    /// Takes no more. The threads end when those that are here are done.
    pub(crate) fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            self.arrived.wait(&mut queue);
        }
    }
}

/// Starts the threads.
pub(crate) fn start(jobs: &Arc<Jobs>, threads: usize) -> io::Result<Vec<JoinHandle<()>>> {
    let start = |at: usize| {
        let jobs = Arc::clone(jobs);
        thread::Builder::new()
            .name(format!("store-read-{at}"))
            .spawn(move || {
                while let Some(job) = jobs.next() {
                    job();
                }
            })
    };
    (0..threads).map(start).collect()
}
