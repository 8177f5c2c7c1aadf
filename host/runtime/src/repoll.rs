//! A future that is polled again at once where it only asks for that.
//!
//! `FuturesUnordered`, in which Wasmtime keeps what its guests wait for, wakes its own task once it has polled each of its futures, whether or not
//! one of them has become ready meanwhile. To tokio a task that is woken while it runs is one that yields: it goes to the end of the queue,
//! and a sleeping thread is woken to take it. For a turn that waits for another grain that is several times the cost of the turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

/// A poll after which a future may be polled again at once has taken less. A guest that yields at a tick has taken more, and lets others run.
const SHORT: Duration = Duration::from_micros(200);
/// Polls in a row. Nested, each `FuturesUnordered` asks once.
const POLLS_MAX: u32 = 4;

const AT_REST: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

/// Polls `body` again at once, a few times, if it has woken itself within a short poll.
#[derive(Debug)]
pub struct Repoll<F> {
    body: Pin<Box<F>>,
    signal: Arc<Signal>,
    waker: Waker,
}

/// What the body is woken by.
#[derive(Debug, Default)]
struct Signal {
    state: AtomicU8,
    task: AtomicWaker,
}

impl<F: Future> Repoll<F> {
    /// Wraps a future.
    pub fn new(body: F) -> Self {
        let signal = Arc::<Signal>::default();
        Self {
            body: Box::pin(body),
            waker: Waker::from(signal.clone()),
            signal,
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == AT_REST {
            self.task.wake();
        }
    }
}

impl<F: Future> Future for Repoll<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.signal.task.register(cx.waker());
        let began = Instant::now();
        for _ in 0..POLLS_MAX {
            this.signal.state.store(POLLED, Ordering::Release);
            let polled = this
                .body
                .as_mut()
                .poll(&mut Context::from_waker(&this.waker));
            if polled.is_ready() {
                return polled;
            }
            let rests = this.signal.state.compare_exchange(
                POLLED,
                AT_REST,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if rests.is_ok() {
                return Poll::Pending;
            }
            if SHORT < began.elapsed() {
                break;
            }
        }
        // Whoever wakes it from here on finds it woken already.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use futures::StreamExt;
    use futures::stream::FuturesUnordered;
    use tokio::sync::oneshot;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<F: Future>(future: &mut Pin<Box<F>>, count: &Arc<Count>) -> (Poll<F::Output>, usize) {
        let waker = Waker::from(count.clone());
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        (polled, count.0.swap(0, Ordering::Relaxed))
    }

    #[test]
    fn one_that_waits_wakes_its_task_only_when_it_can_go_on() {
        let count = Arc::default();
        let bare = |receiver: oneshot::Receiver<u8>| async move {
            let mut nested = FuturesUnordered::from_iter([Box::pin(async move {
                let mut inner = FuturesUnordered::from_iter([receiver]);
                inner.next().await
            })]);
            nested.next().await
        };
        let (_sender, receiver) = oneshot::channel();
        let (_, woken) = poll(&mut Box::pin(bare(receiver)), &count);
        assert_ne!(woken, 0, "what this module is for has become needless");

        let (sender, receiver) = oneshot::channel();
        let mut future = Box::pin(Repoll::new(bare(receiver)));
        assert_eq!(poll(&mut future, &count), (Poll::Pending, 0));
        sender.send(7).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let (polled, _) = poll(&mut future, &count);
        assert_eq!(polled, Poll::Ready(Some(Some(Ok(7)))));
    }

    #[test]
    fn one_that_always_asks_lets_others_run() {
        let count = Arc::default();
        let polls = AtomicUsize::new(0);
        let mut future = Box::pin(Repoll::new(poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })));
        assert_eq!(poll(&mut future, &count), (Poll::Pending, 1));
        assert!(polls.load(Ordering::Relaxed) <= 4);
    }

    #[test]
    fn one_that_has_worked_for_long_lets_others_run() {
        let count = Arc::default();
        let mut polls = 0;
        let mut future = Box::pin(Repoll::new(poll_fn(|cx| {
            polls += 1;
            let began = Instant::now();
            while began.elapsed() <= SHORT {
                std::hint::spin_loop();
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })));
        assert_eq!(poll(&mut future, &count), (Poll::Pending, 1));
        drop(future);
        assert_eq!(polls, 1);
    }
}
