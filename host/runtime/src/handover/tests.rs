use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::*;

const BOUND: Duration = Duration::from_secs(60);

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A task whose owner is polled by hand. Wants a runtime around it.
fn by_hand<F: Future<Output = ()> + Send + 'static>(body: F) -> Owner<F> {
    Owner(Arc::new(Handed::new(body)))
}

fn poll<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> (Poll<F::Output>, usize) {
    let waker = Waker::from(count.clone());
    let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
    (polled, count.take())
}

/// Waits in two `FuturesUnordered`, one within the other.
async fn nested(receiver: oneshot::Receiver<u8>) {
    let inner = Box::pin(async move {
        let mut inner = FuturesUnordered::from_iter([receiver]);
        inner.next().await
    });
    let mut outer = FuturesUnordered::from_iter([inner]);
    assert_eq!(outer.next().await, Some(Some(Ok(7))));
}

#[tokio::test]
async fn one_that_waits_wakes_its_task_only_when_it_can_go_on() {
    let count = Arc::default();
    let (_sender, receiver) = oneshot::channel();
    let (_, woken) = poll(&mut Box::pin(nested(receiver)), &count);
    assert_ne!(woken, 0, "polling again at once has become needless");

    let (sender, receiver) = oneshot::channel();
    let mut task = by_hand(nested(receiver));
    assert_eq!(poll(&mut task, &count), (Poll::Pending, 0));
    sender.send(7).unwrap();
    assert_eq!(count.take(), 1);
    assert_eq!(poll(&mut task, &count), (Poll::Ready(()), 0));
}

#[tokio::test]
async fn one_that_always_asks_lets_others_run() {
    let count = Arc::default();
    let polls = Arc::<AtomicUsize>::default();
    let counted = polls.clone();
    let mut task = by_hand(poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(poll(&mut task, &count), (Poll::Pending, 1));
    assert_eq!(polls.load(Ordering::Relaxed), POLLS_MAX as usize);
}

#[tokio::test]
async fn one_that_has_worked_for_long_lets_others_run() {
    let count = Arc::default();
    let polls = Arc::<AtomicUsize>::default();
    let counted = polls.clone();
    let (to_other, other) = oneshot::channel::<()>();
    let other_count = Arc::default();
    let mut other = by_hand(async move { drop(other.await) });
    assert_eq!(poll(&mut other, &other_count), (Poll::Pending, 0));
    let mut to_other = Some(to_other);
    let mut task = by_hand(poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        to_other.take().map(|other| other.send(()));
        let began = Instant::now();
        while began.elapsed() <= SHORT {
            std::hint::spin_loop();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(poll(&mut task, &count), (Poll::Pending, 1));
    assert_eq!(polls.load(Ordering::Relaxed), 1);
    assert_eq!(other_count.take(), 1, "it was for tokio to poll it");
}

#[tokio::test]
async fn the_last_one_woken_is_polled_here_and_the_others_by_tokio() {
    let count = Arc::default();
    let waiting = |receiver: oneshot::Receiver<()>| by_hand(async move { drop(receiver.await) });
    let (to_first, first) = oneshot::channel();
    let (to_second, second) = oneshot::channel();
    let (mut first, mut second) = (waiting(first), waiting(second));
    assert_eq!(poll(&mut first, &count), (Poll::Pending, 0));
    assert_eq!(poll(&mut second, &count), (Poll::Pending, 0));
    hand_over(|| {
        to_first.send(()).unwrap();
        to_second.send(()).unwrap();
        assert_eq!(count.take(), 1, "the first one gave way");
        // Within, nothing is polled.
        hand_over(|| ());
        assert!(second.0.body.lock().is_some());
    });
    assert!(second.0.body.lock().is_none(), "it has ended here");
    assert!(first.0.body.lock().is_some());
    assert_eq!(count.take(), 1, "tokio is told of the end");
    assert_eq!(poll(&mut second, &count), (Poll::Ready(()), 0));
    assert_eq!(poll(&mut first, &count), (Poll::Ready(()), 0));
}

#[tokio::test]
async fn a_panic_is_the_end_of_the_one_that_panicked() {
    let count = Arc::default();
    let dropped = Arc::new(());
    let held = dropped.clone();
    let (to_task, told) = oneshot::channel::<()>();
    let mut task = by_hand(async move {
        let _held = held;
        told.await.unwrap();
        panic!("as the test wants it");
    });
    assert_eq!(poll(&mut task, &count), (Poll::Pending, 0));
    hand_over(|| to_task.send(()).unwrap());
    assert_eq!(Arc::strong_count(&dropped), 1);
    assert_eq!(count.take(), 1);
    assert_eq!(poll(&mut task, &count), (Poll::Ready(()), 0));
}

#[test]
fn one_of_another_runtime_is_not_polled_here() {
    let (home, other) = (
        Builder::new_multi_thread().worker_threads(1).build(),
        Builder::new_current_thread().build(),
    );
    let (home, other) = (home.unwrap(), other.unwrap());
    let (to_task, told) = oneshot::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let (by, polled_by) = oneshot::channel::<ThreadId>();
    home.block_on(async {
        spawn(async move {
            started.send(()).unwrap();
            told.await.unwrap();
            by.send(thread::current().id()).unwrap();
        });
        has_started.await.unwrap();
    });
    // Whether the task waits already makes no difference to what must not happen.
    other.block_on(async { hand_over(|| to_task.send(()).unwrap()) });
    assert_ne!(
        polled_by.blocking_recv().unwrap(),
        thread::current().id(),
        "its timers would tick here"
    );
}

#[tokio::test]
async fn the_body_goes_with_the_task() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let alive = Arc::new(());
    let held = alive.clone();
    runtime.spawn(async move {
        let (sender, mut receiver) = mpsc::channel::<()>(1);
        spawn(async move {
            // It waits for itself, as one does whose handle is known to what it waits for.
            let _held = (held, sender);
            receiver.recv().await;
        });
    });
    tokio::task::spawn_blocking(move || drop(runtime))
        .await
        .unwrap();
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// Tokens that wander from task to task, and callers from outside who wait for answers: a lost wake-up would stop one for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    const TASKS: usize = 8;
    const HOPS: u32 = 20_000;
    const TOKENS: usize = 24;
    const CALLS: usize = 20_000;
    let (done, mut all) = mpsc::unbounded_channel();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..TASKS).map(|_| mpsc::unbounded_channel::<u32>()).unzip();
    for (at, mut inbox) in receivers.into_iter().enumerate() {
        let next = senders[(at + 1) % TASKS].clone();
        let done = done.clone();
        spawn(async move {
            while let Some(left) = inbox.recv().await {
                let told = match left {
                    0 => done.send(()).is_ok(),
                    left => next.send(left - 1).is_ok(),
                };
                assert!(told);
            }
        });
    }
    let (to_server, mut calls) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    spawn(async move {
        while let Some(call) = calls.recv().await {
            call.send(()).unwrap();
        }
    });
    let callers = (0..4).map(|_| {
        let to_server = to_server.clone();
        tokio::spawn(async move {
            for _ in 0..CALLS {
                let (reply, answer) = oneshot::channel();
                hand_over(|| to_server.send(reply).unwrap());
                answer.await.unwrap();
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for token in 0..TOKENS {
        hand_over(|| senders[token % TASKS].send(HOPS).unwrap());
    }
    timeout(BOUND, async {
        for _ in 0..TOKENS {
            all.recv().await.unwrap();
        }
        for caller in callers {
            caller.await.unwrap();
        }
    })
    .await
    .expect("somebody waits for ever");
}
