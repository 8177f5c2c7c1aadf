//! Reads of an async component, side by side in one store.
//!
//! A session borrows the store when the first read comes and gives it back when the last one has ended and nothing of the guest runs any more. It is a task
//! of its own, so that no caller's fate is the others'; a trap, though, is everybody's: it ends the store. A session that runs long moves to
//! the slow lane as a whole.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use granary_core::error::CallError;
use granary_core::turn::Wishes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use wasmtime::component::{Accessor, Func, GuestTaskId, HasSelf, Instance as Component, Val};
use wasmtime::{AsContextMut, StoreContextMut};

use super::guard::{Body, Slow, poll_metered};
use super::live::Live;
use super::slot::Slot;
use super::{Answered, Ended, failure};
use crate::engine::lane::SlowLane;
use crate::guest::Guest;
use crate::guest::meter::Meter;
use crate::guest::turn::Turn;
use crate::link::Exports;
use crate::{Arguments, Method, Results, TurnContext};

/// How long a guest may go on after its last turn has answered.
pub(crate) const TAIL: Duration = Duration::from_secs(5);

/// One read.
pub(crate) struct Read {
    pub(crate) context: Arc<TurnContext>,
    pub(crate) method: Arc<Method>,
    pub(crate) arguments: Arguments,
    pub(crate) done: oneshot::Sender<Ended>,
}

/// The reads of one instance.
#[derive(Default)]
pub(crate) struct Reads {
    state: Mutex<Waiting>,
    came: Notify,
    /// Ends the session and the store with it.
    killed: Notify,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    in_session: bool,
}

impl Reads {
    /// Adds a read. Whether a session must be started for it.
    pub(crate) fn push(&self, read: Read) -> bool {
        let mut state = self.state.lock();
        state.reads.push_back(read);
        self.came.notify_one();
        !std::mem::replace(&mut state.in_session, true)
    }

    /// Stops the session: one of its reads is out of time.
    pub(crate) fn kill(&self) {
        self.killed.notify_one();
    }

    fn pop(&self) -> Option<Read> {
        self.state.lock().reads.pop_front()
    }

    /// Ends the session unless another read has come.
    fn close(&self) -> bool {
        let mut state = self.state.lock();
        state.in_session = !state.reads.is_empty();
        !state.in_session
    }

    /// Ends the session whatever has come; the reads that will not run.
    fn abandon(&self) -> VecDeque<Read> {
        let mut state = self.state.lock();
        state.in_session = false;
        std::mem::take(&mut state.reads)
    }
}

/// Starts a session.
pub(crate) fn start(slot: Arc<Slot>, reads: Arc<Reads>, meter: Arc<Meter>, lane: SlowLane) {
    meter.begin_turn();
    let body = Box::pin(run(slot, reads));
    drop(tokio::spawn(Session {
        body: Some(body),
        meter,
        lane,
    }));
}

async fn run(slot: Arc<Slot>, reads: Arc<Reads>) {
    // Where the store is gone, the callers learn it from their dropped channels.
    let Some(mut lease) = slot.borrow().await else {
        drop(reads.abandon());
        return;
    };
    let alive = tokio::select! {
        biased;
        () = reads.killed.notified() => false,
        alive = side_by_side(lease.live(), &reads) => alive,
    };
    if alive {
        lease.give_back();
    } else {
        drop(lease);
        drop(reads.abandon());
    }
}

/// What a caller is told whose read ended with another one's.
pub(crate) fn conflict() -> CallError {
    CallError::Conflict {
        detail:
            "another read of the same activation failed and ended this one, too; repeat the call"
                .to_owned(),
    }
}

/// The reads that were started and have not answered.
type Open = Mutex<Vec<(GuestTaskId, oneshot::Sender<Ended>)>>;

/// Runs reads until none is left. Whether the store lives on.
async fn side_by_side(live: &mut Live, reads: &Reads) -> bool {
    let open = Open::default();
    live.store.data_mut().turns.begin();
    live.store.data_mut().room.begin_turn();
    live.store.data().output.begin_turn();
    let target = Target {
        component: live.component(),
        exports: live.store.data().linked.exports().clone(),
    };
    loop {
        let ran = live
            .store
            .run_concurrent(async |accessor| session(accessor, &target, reads, &open).await)
            .await;
        match ran {
            Ok(Ok(())) if reads.close() => break,
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => {
                fail_all(live, error, open.into_inner());
                return false;
            }
        }
    }
    live.store.data().output.end_turn();
    true
}

/// Where reads go.
struct Target {
    component: Component,
    exports: Arc<Exports>,
}

type Store<'a> = &'a Accessor<Guest, HasSelf<Guest>>;

/// The life of a session within the store: starts what comes, passes on what is done, and ends when the guest has come to rest.
async fn session(
    store: Store<'_>,
    target: &Target,
    reads: &Reads,
    open: &Open,
) -> wasmtime::Result<()> {
    let mut running = FuturesUnordered::new();
    loop {
        while let Some(read) = reads.pop() {
            running.push(one(store, target, read, open));
        }
        if running.is_empty() {
            tokio::select! {
                biased;
                () = reads.came.notified() => {}
                at_rest = timeout(TAIL, poll_fn(|cx| store.poll_no_interesting_tasks(cx))) => {
                    return at_rest.map_err(|_| wasmtime::format_err!("work went on for {TAIL:?} after the last answer"));
                }
            }
        } else {
            tokio::select! {
                biased;
                () = reads.came.notified() => {}
                Some(done) = running.next() => done?,
            }
        }
    }
}

async fn one(store: Store<'_>, target: &Target, read: Read, open: &Open) -> wasmtime::Result<()> {
    let Read {
        context,
        method,
        arguments,
        done,
    } = read;
    let Some((function, count)) =
        store.with(|mut access| find(access.as_context_mut(), target, &method))
    else {
        let limits = store.with(|mut access| access.as_context_mut().data().linked.spec().limits);
        let detail = format!("this revision has no method '{}'", method.name);
        let result = Err(CallError::NotFound { detail });
        drop(done.send(Ended {
            result,
            wishes: Wishes::new(false, limits, 0),
            cpu: Duration::ZERO,
            poisoned: false,
        }));
        return Ok(());
    };
    let mut results = vec![Val::Bool(false); count];
    let (call, task) = store.with(|mut access| {
        let mut store = access.as_context_mut();
        store.set_epoch_deadline(1);
        let call = function.start_call_concurrent(&mut store, arguments.vals(), &mut results)?;
        let task = call.task();
        let guest = store.data_mut();
        let turn = Turn::new(context, guest.linked.spec().limits, Arc::default());
        guest.turns.beside.push((task, turn));
        Ok::<_, wasmtime::Error>((call, task))
    })?;
    open.lock().push((task, done));
    function.finish_call_concurrent(store, call).await?;
    let turn = store.with(|mut access| finish(access.as_context_mut().data_mut(), task));
    let done = take(&mut open.lock(), task);
    if let (Some(turn), Some(done)) = (turn, done) {
        let (cpu, wishes) = (turn.used(), turn.wishes);
        drop(done.send(Ended {
            result: Ok(Answered::Method(Results::new(results))),
            wishes,
            cpu,
            poisoned: false,
        }));
    }
    Ok(())
}

fn find(
    mut store: StoreContextMut<'_, Guest>,
    target: &Target,
    method: &Arc<Method>,
) -> Option<(Func, usize)> {
    let function = target.exports.function(target.exports.method(method)?)?;
    Some((
        target.component.get_func(&mut store, function.index)?,
        function.results,
    ))
}

/// Ends a turn, charging it what it has used since the last tick.
fn finish(guest: &mut Guest, task: GuestTaskId) -> Option<Turn> {
    let used = guest.meter.look().used;
    guest.turns.charge(used, &guest.linked.spec().limits);
    take(&mut guest.turns.beside, task)
}

fn take<T>(list: &mut Vec<(GuestTaskId, T)>, task: GuestTaskId) -> Option<T> {
    let at = list.iter().position(|(id, _)| *id == task)?;
    Some(list.swap_remove(at).1)
}

/// The store has died: every read that was under way hears of it.
fn fail_all(
    live: &mut Live,
    error: wasmtime::Error,
    open: Vec<(GuestTaskId, oneshot::Sender<Ended>)>,
) {
    let limits = live.store.data().linked.spec().limits;
    let mut turns = std::mem::take(&mut live.store.data_mut().turns.beside);
    // A read that the host stopped is known to be the one; of a trap nobody can tell whose it was.
    let stopped = turns.iter().any(|(_, turn)| turn.was_stopped());
    let shared = failure::call_error(error, &mut live.store, None);
    for (task, done) in open {
        let turn = take(&mut turns, task);
        let cpu = turn.as_ref().map_or(Duration::ZERO, Turn::used);
        let own = turn.and_then(Turn::into_stopped);
        let error = match own {
            Some(own) => own,
            None if stopped => conflict(),
            None => shared.clone(),
        };
        drop(done.send(Ended {
            result: Err(error),
            wishes: Wishes::new(false, limits, 0),
            cpu,
            poisoned: true,
        }));
    }
    live.store.data().output.end_turn();
}

/// The task of a session.
struct Session {
    body: Option<Body<()>>,
    meter: Arc<Meter>,
    lane: SlowLane,
}

impl Future for Session {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(());
        };
        if poll_metered(body, &this.meter, cx).is_ready() {
            return Poll::Ready(());
        }
        if !this.meter.wants_slow_lane() {
            return Poll::Pending;
        }
        if let Some(body) = this.body.take() {
            this.meter.demote();
            drop(
                this.lane
                    .handle()
                    .spawn(Slow::new(body, this.meter.clone())),
            );
        }
        Poll::Ready(())
    }
}
