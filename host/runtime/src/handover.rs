//! Tasks that hand on to each other on one thread.
//!
//! A call between two grains wakes a task three or four times, each for some microseconds of work. tokio hands a thread on to the task that it has just
//! woken at most three times in a row; then, and whenever a task wakes itself, it puts the task into a queue and wakes a sleeping thread to
//! take it, which costs more than the turn. `FuturesUnordered`, in which Wasmtime keeps what its guests wait for, wakes its own task after
//! every poll.
//!
//! A handed task, one that this module has spawned, is therefore polled again at once where it has only woken itself. And the last one that
//! was woken on a thread is polled there when the poll under way comes back, by whoever began it, for as long as that takes little time
//! altogether. tokio gets what is left, and every task that is woken while another one is next already: what can run side by side is spread
//! over the threads.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::{ArcWake, AtomicWaker, waker_ref};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

/// After this time nothing is polled that tokio could run elsewhere. A guest that yields at a tick has taken more, and lets others run.
const SHORT: Duration = Duration::from_micros(200);
/// Polls of one task in a row. Nested, each `FuturesUnordered` asks once.
const POLLS_MAX: u32 = 4;
/// Tasks that are polled one after the other: a call chain as long as is usual, there and back.
const HANDS_MAX: u32 = 32;

const AT_REST: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

/// Runs a future as a handed task of the current runtime.
pub fn spawn<F: Future<Output = ()> + Send + 'static>(body: F) {
    drop(tokio::spawn(Owner(Arc::new(Handed::new(body)))));
}

/// Does `work`, which may wake handed tasks, and polls the last of them before it comes back: see the module. Within a handed task, or outside a
/// runtime, it only does the work.
pub fn hand_over<R>(work: impl FnOnce() -> R) -> R {
    let Some(turn) = Turn::begin() else {
        return work();
    };
    let result = work();
    turn.run();
    result
}

thread_local! {
    /// What this thread polls next. None: nobody would.
    static NEXT: RefCell<Option<Next>> = const { RefCell::new(None) };
}

struct Next {
    home: Id,
    task: Option<Arc<dyn Run>>,
}

/// This thread polls what is woken on it, until this is dropped.
struct Turn {
    began: Instant,
}

impl Turn {
    /// None: somebody further out does so already, or there is no runtime.
    fn begin() -> Option<Self> {
        let home = Handle::try_current().ok()?.id();
        NEXT.with_borrow_mut(|next| {
            if next.is_some() {
                return None;
            }
            *next = Some(Next { home, task: None });
            Some(Self {
                began: Instant::now(),
            })
        })
    }

    fn run(&self) {
        for _ in 0..HANDS_MAX {
            let next = NEXT.with_borrow_mut(|next| next.as_mut()?.task.take());
            let Some(task) = next else { return };
            if SHORT < self.began.elapsed() {
                return task.leave_to_tokio();
            }
            task.run(self.began);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let left = NEXT.with_borrow_mut(Option::take);
        if let Some(task) = left.and_then(|left| left.task) {
            task.leave_to_tokio();
        }
    }
}

/// A task that can be polled by whoever is at hand.
trait Run: Send + Sync {
    /// Polls it on behalf of a thread that has been at it since `began`.
    fn run(self: Arc<Self>, began: Instant);

    /// Has it polled by tokio, after it was woken.
    fn leave_to_tokio(&self);
}

/// A handed task. A waker of it lives on in what its body waits for, so that its owner takes the body out in the end.
struct Handed<F> {
    state: AtomicU8,
    /// tokio's side of it.
    task: AtomicWaker,
    /// Where its timers tick: no other runtime's thread may poll it.
    home: Id,
    body: Mutex<Option<Pin<Box<F>>>>,
}

/// What became of a poll.
enum Polled {
    /// It waits for something.
    Rests,
    /// It has been woken and wants another poll.
    Woken,
    /// It has ended, now or before.
    Ended,
}

impl<F: Future<Output = ()> + Send + 'static> Handed<F> {
    fn new(body: F) -> Self {
        Self {
            state: AtomicU8::new(AT_REST),
            task: AtomicWaker::new(),
            home: Handle::current().id(),
            body: Mutex::new(Some(Box::pin(body))),
        }
    }

    /// Polls it until it rests, or has had its share.
    ///
    /// Whoever has polled it leaves the body to others before it looks whether the task was woken meanwhile. So one who is woken and finds
    /// the body taken only has to leave word.
    fn poll(self: &Arc<Self>, began: Instant) -> Polled {
        for _ in 0..POLLS_MAX {
            let Some(mut body) = self.body.try_lock() else {
                self.state.swap(WOKEN, Ordering::AcqRel);
                return Polled::Rests;
            };
            let Some(future) = &mut *body else {
                return Polled::Ended;
            };
            self.state.swap(POLLED, Ordering::AcqRel);
            let waker = waker_ref(self);
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                let ended = body.take();
                drop(body);
                drop(ended);
                return Polled::Ended;
            }
            drop(body);
            let rests =
                self.state
                    .compare_exchange(POLLED, AT_REST, Ordering::AcqRel, Ordering::Acquire);
            // Another one may have polled it since.
            if matches!(rests, Ok(_) | Err(AT_REST)) {
                return Polled::Rests;
            }
            if SHORT < began.elapsed() {
                break;
            }
        }
        // Whoever wakes it from here on finds it woken already.
        Polled::Woken
    }
}

impl<F: Future<Output = ()> + Send + 'static> Run for Handed<F> {
    fn run(self: Arc<Self>, began: Instant) {
        match catch_unwind(AssertUnwindSafe(|| self.poll(began))) {
            Ok(Polled::Rests) => {}
            Ok(Polled::Woken | Polled::Ended) => self.task.wake(),
            // The hook has told of it. It is this task's end and nobody else's.
            Err(_) => {
                self.end();
                self.task.wake();
            }
        }
    }

    fn leave_to_tokio(&self) {
        self.task.wake();
    }
}

impl<F> Handed<F> {
    fn end(&self) {
        let body = self.body.lock().take();
        drop(body);
    }
}

impl<F: Future<Output = ()> + Send + 'static> ArcWake for Handed<F> {
    fn wake_by_ref(handed: &Arc<Self>) {
        if handed.state.swap(WOKEN, Ordering::AcqRel) != AT_REST {
            return;
        }
        let mut left: Option<Arc<dyn Run>> = Some(handed.clone());
        // A thread that ends polls nothing.
        NEXT.try_with(|next| {
            if let Some(next) = &mut *next.borrow_mut()
                && next.home == handed.home
            {
                std::mem::swap(&mut next.task, &mut left);
            }
        })
        .ok();
        if let Some(task) = left {
            task.leave_to_tokio();
        }
    }
}

/// tokio's side of a handed task.
struct Owner<F>(Arc<Handed<F>>);

impl<F: Future<Output = ()> + Send + 'static> Future for Owner<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let handed = &self.0;
        handed.task.register(cx.waker());
        match hand_over(|| handed.poll(Instant::now())) {
            Polled::Rests => Poll::Pending,
            Polled::Woken => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Polled::Ended => Poll::Ready(()),
        }
    }
}

impl<F> Drop for Owner<F> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests;
