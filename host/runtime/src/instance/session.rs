//! Reads and interleaved turns of an async component, side by side in one store.
//!
//! A session borrows the store when the first turn comes and gives it back when the last one has ended and nothing of the guest runs any more. It is a task
//! of its own, so that no caller's fate is the others'; a trap, though, is everybody's: it ends the store. A session that runs long moves to
//! the slow lane as a whole.
//!
//! A turn ends when its task exits, not when it answers. Wasmtime tells only when all tasks of a store have exited. So while another turn
//! still works on its answer, one that has answered counts as over once it waits for no call and has had several occasions to go on;
//! else when the guest is at rest. What it does later is no part of it: it then has no state and makes no calls.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use granary_core::error::CallError;
use granary_core::turn::Wishes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep_until;
use wasmtime::component::{Accessor, Func, HasSelf, Instance as Component, Val};
use wasmtime::{AsContextMut, StoreContextMut};

use super::guard::{Body, Slow, poll_metered};
use super::live::Live;
use super::slot::Slot;
use super::stream::{self, Channels, Outlet, Progress, Streaming};
use super::{Answered, Ended, failure};
use crate::engine::lane::SlowLane;
use crate::guest::Guest;
use crate::guest::meter::Meter;
use crate::guest::turn::{BesideId, Gate, Turn};
use crate::link::Exports;
use crate::{Arguments, Method, Results, TurnContext, handover};

/// One turn that may run beside others.
pub(crate) struct Entry {
    pub(crate) context: Arc<TurnContext>,
    pub(crate) method: Arc<Method>,
    pub(crate) arguments: Arguments,
    pub(crate) streaming: Option<Box<Streaming>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) done: oneshot::Sender<Ended>,
}

/// The turns of one instance that may overlap.
#[derive(Default)]
pub(crate) struct Beside {
    state: Mutex<Waiting>,
    came: Notify,
    /// Ends the session and the store with it.
    killed: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    in_session: bool,
}

impl Beside {
    /// Adds a turn. Whether a session must be started for it.
    pub(crate) fn push(&self, entry: Entry) -> bool {
        let mut state = self.state.lock();
        state.entries.push_back(entry);
        self.came.notify_one();
        !std::mem::replace(&mut state.in_session, true)
    }

    /// Stops the session: one of its turns is out of time.
    pub(crate) fn kill(&self) {
        self.killed.notify_one();
    }

    fn pop(&self) -> Option<Entry> {
        self.state.lock().entries.pop_front()
    }

    /// Ends the session unless another turn has come.
    fn close(&self) -> bool {
        let mut state = self.state.lock();
        state.in_session = !state.entries.is_empty();
        !state.in_session
    }

    /// Ends the session whatever has come; the turns that will not run.
    fn abandon(&self) -> VecDeque<Entry> {
        let mut state = self.state.lock();
        state.in_session = false;
        std::mem::take(&mut state.entries)
    }
}

/// Starts a session.
pub(crate) fn start(slot: Arc<Slot>, beside: Arc<Beside>, meter: Arc<Meter>, lane: SlowLane) {
    meter.begin_turn();
    let body = Box::pin(run(slot, beside));
    handover::spawn(Session {
        body: Some(body),
        meter,
        lane,
    });
}

async fn run(slot: Arc<Slot>, beside: Arc<Beside>) {
    // Where the store is gone, the callers learn it from their dropped channels.
    let Some(mut lease) = slot.borrow().await else {
        drop(beside.abandon());
        return;
    };
    let alive = tokio::select! {
        biased;
        () = beside.killed.notified() => false,
        alive = side_by_side(lease.live(), &beside) => alive,
    };
    if alive {
        lease.give_back();
    } else {
        drop(lease);
        drop(beside.abandon());
    }
}

/// What a caller is told whose turn ended with another one's.
pub(crate) fn conflict() -> CallError {
    CallError::Conflict {
        detail:
            "another turn of the same activation failed and ended this one, too; repeat the call"
                .to_owned(),
    }
}

/// The turns that were started and have not ended.
type Open = Mutex<Vec<(BesideId, oneshot::Sender<Ended>)>>;

/// Runs turns until none is left. Whether the store lives on.
async fn side_by_side(live: &mut Live, beside: &Beside) -> bool {
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
            .run_concurrent(async |accessor| session(accessor, &target, beside, &open).await)
            .await;
        match ran {
            Ok(Ok(())) if beside.close() => break,
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

/// Where turns go.
struct Target {
    component: Component,
    exports: Arc<Exports>,
}

type Store<'a> = &'a Accessor<Guest, HasSelf<Guest>>;

/// A turn that has answered and may still be at work.
struct Tail {
    turn: BesideId,
    context: Arc<TurnContext>,
    results: Vec<Val>,
    progress: Arc<Progress>,
    since: Instant,
    /// How often in a row it was found to wait for nothing.
    quiet: usize,
}

/// The life of a session within the store: starts what comes, passes on what is done, and ends when the guest has come to rest.
async fn session(
    store: Store<'_>,
    target: &Target,
    beside: &Beside,
    open: &Open,
) -> wasmtime::Result<()> {
    let limit = store.with(|mut access| {
        let store = access.as_context_mut();
        store.data().linked.spec().limits.tail_time
    });
    let mut running = FuturesUnordered::new();
    let mut tails: Vec<Tail> = Vec::new();
    let mut look_at = Instant::now() + limit;
    loop {
        while let Some(entry) = beside.pop() {
            running.push(one(store, target, entry, open));
        }
        let live = running.len();
        tokio::select! {
            biased;
            () = beside.came.notified() => {}
            Some(answered) = running.next() => {
                if tails.is_empty() {
                    look_at = Instant::now() + limit;
                }
                tails.extend(answered?);
                if running.is_empty() {
                    alone(&mut tails);
                }
            }
            () = poll_fn(|cx| store.poll_no_interesting_tasks(cx)), if live == 0 => {
                tails.drain(..).for_each(|tail| end(store, tail, open));
                return Ok(());
            }
            at = quiet(&mut tails, live), if !tails.is_empty() => {
                end(store, tails.swap_remove(at), open);
                if tails.is_empty() {
                    look_at = Instant::now() + limit;
                }
            }
            () = sleep_until(look_at.into()), if live == 0 || !tails.is_empty() => {
                look_at = overdue(store, &tails, live, limit)?;
            }
        }
    }
}

/// Nobody works on an answer any more: those that were only waiting for their rounds have their time from now on.
fn alone(tails: &mut [Tail]) {
    let now = Instant::now();
    let quiet = tails.iter_mut().filter(|tail| tail.is_quiet());
    quiet.for_each(|tail| tail.since = now);
}

/// The first of those that have answered which is over as far as anybody can tell: see the module.
async fn quiet(tails: &mut [Tail], live: usize) -> usize {
    // Each look is one round of the store's event loop, in which each task that yields may take a step.
    let rounds = 8 + 2 * (live + tails.len());
    poll_fn(|cx| {
        // Where nobody else is at work, the guest comes to rest, which says more.
        if live == 0 && !tails.iter().any(|tail| tail.progress.flows()) {
            return Poll::Pending;
        }
        let mut again = false;
        for (at, tail) in tails.iter_mut().enumerate() {
            if !tail.is_quiet() {
                tail.quiet = 0;
                continue;
            }
            tail.quiet += 1;
            if rounds < tail.quiet {
                return Poll::Ready(at);
            }
            again = true;
        }
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Stops turns that go on for too long after their answers. Nobody can stop one task, so that all go. Else: when to look again.
///
/// A guest may keep a stream that nobody takes until it writes the next time, and waits meanwhile for who knows what. That is no reason to
/// stop the others: it goes with the last of them.
fn overdue(
    store: Store<'_>,
    tails: &[Tail],
    live: usize,
    limit: Duration,
) -> wasmtime::Result<Instant> {
    let now = Instant::now();
    // What `quiet` counts the rounds of ends by itself, however long these take on a busy machine.
    let is_counted = 0 < live || tails.iter().any(|tail| tail.progress.flows());
    let late: Vec<_> = tails
        .iter()
        .filter(|tail| tail.until(limit) <= now && !(is_counted && tail.is_quiet()))
        .collect();
    let others = 0 < live || late.len() < tails.len();
    let stop = match late.iter().any(|tail| !tail.progress.flows()) {
        true => true,
        false => !others,
    };
    if !stop {
        let next = tails.iter().map(|tail| tail.until(limit)).min();
        // What was found too late and stays is looked at no sooner than the rest.
        return Ok(next.filter(|next| now < *next).unwrap_or(now + limit));
    }
    store.with(|mut access| {
        let mut store = access.as_context_mut();
        let guest = store.data_mut();
        let limits = guest.linked.spec().limits;
        for tail in late {
            if let Some(turn) = guest.turns.get_mut(tail.turn) {
                turn.stop_tail(&limits, tail.progress.flows());
            }
        }
    });
    Err(wasmtime::format_err!(
        "work went on for {limit:?} after the last answer"
    ))
}

/// Starts a turn and waits for its answer. None: there is nothing to run.
async fn one(
    store: Store<'_>,
    target: &Target,
    entry: Entry,
    open: &Open,
) -> wasmtime::Result<Option<Tail>> {
    let Entry {
        context,
        method,
        arguments,
        streaming,
        progress,
        done,
    } = entry;
    let Some((function, count)) =
        store.with(|mut access| find(access.as_context_mut(), target, &method))
    else {
        drop(done.send(not_found(store, &method)));
        return Ok(None);
    };
    let mut results = vec![Val::Bool(false); count];
    let gate = Arc::<Gate>::default();
    let mut arguments = Cow::Borrowed(arguments.vals());
    let mut outlet = None;
    if method.flows() {
        let channels = Channels {
            context: Arc::clone(&context),
            gate: gate.clone(),
            progress: progress.clone(),
        };
        outlet = Some(store.with(|mut access| {
            let store = access.as_context_mut();
            Outlet::new(store, channels, method, streaming, arguments.to_mut())
        })?);
    }
    let (call, turn) = store.with(|mut access| {
        let mut store = access.as_context_mut();
        store.set_epoch_deadline(1);
        let call = function.start_call_concurrent(&mut store, &arguments, &mut results)?;
        let task = call.task();
        let guest = store.data_mut();
        let limits = guest.linked.spec().limits;
        let turn = Turn::new(Arc::clone(&context), limits, gate);
        let turn = guest.turns.add(task, turn);
        Ok::<_, wasmtime::Error>((call, turn))
    })?;
    open.lock().push((turn, done));
    function.finish_call_concurrent(store, call).await?;
    if let Some(outlet) = outlet
        && let Some(value) =
            store.with(|mut access| outlet.open(access.as_context_mut(), &results))?
    {
        let value = value.await.map_err(|_| stream::no_value())?;
        stream::resolve(&mut results, value);
    }
    Ok(Some(Tail {
        turn,
        context,
        results,
        progress,
        since: Instant::now(),
        quiet: 0,
    }))
}

fn not_found(store: Store<'_>, method: &Method) -> Ended {
    let limits = store.with(|mut access| access.as_context_mut().data().linked.spec().limits);
    let detail = format!("this revision has no method '{}'", method.name);
    Ended {
        result: Err(CallError::NotFound { detail }),
        wishes: Wishes::new(false, limits, 0),
        cpu: Duration::ZERO,
        poisoned: false,
    }
}

impl Tail {
    /// Whether it waits for nothing that can be seen.
    fn is_quiet(&self) -> bool {
        self.context.calling.load(Ordering::Acquire) == 0 && !self.progress.flows()
    }

    /// Until when it may be at work.
    fn until(&self, limit: Duration) -> Instant {
        self.progress.tail_until(&self.context, self.since, limit)
    }
}

/// A turn is over: what it leaves and its answer go to whoever waits for it.
fn end(store: Store<'_>, tail: Tail, open: &Open) {
    let turn = store.with(|mut access| finish(access.as_context_mut().data_mut(), tail.turn));
    let done = waiting(&mut open.lock(), tail.turn);
    if let (Some(turn), Some(done)) = (turn, done) {
        let (cpu, wishes) = (turn.used(), turn.wishes);
        drop(
            done.send(Ended {
                result: tail
                    .progress
                    .close(Answered::Method(Results::new(tail.results))),
                wishes,
                cpu,
                poisoned: false,
            }),
        );
    }
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
fn finish(guest: &mut Guest, turn: BesideId) -> Option<Turn> {
    let used = guest.meter.look().used;
    guest.turns.charge(used, &guest.linked.spec().limits);
    guest.turns.take(turn)
}

/// Who waits for a turn.
fn waiting(
    open: &mut Vec<(BesideId, oneshot::Sender<Ended>)>,
    turn: BesideId,
) -> Option<oneshot::Sender<Ended>> {
    let at = open.iter().position(|(id, _)| *id == turn)?;
    Some(open.swap_remove(at).1)
}

/// The store has died: every turn that was under way hears of it.
fn fail_all(
    live: &mut Live,
    error: wasmtime::Error,
    open: Vec<(BesideId, oneshot::Sender<Ended>)>,
) {
    let limits = live.store.data().linked.spec().limits;
    let mut turns = std::mem::take(&mut live.store.data_mut().turns);
    // A turn that the host stopped is known to be the one; of a trap nobody can tell whose it was.
    let stopped = turns.any_stopped();
    let shared = failure::call_error(error, &mut live.store, None);
    for (turn, done) in open {
        let turn = turns.take(turn);
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
