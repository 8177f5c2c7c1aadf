//! The task of one activation: it waits, lets the machine decide, and carries out what was decided. It decides nothing itself.

mod answer;
mod begin;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use granary_core::activation::{
    Activation, DeactivateReason, Effect, Event, Kept, Rules, TurnId, Waiting,
};
use granary_core::error::CallError;
use granary_core::id::{CallId, GrainId, Revision, Time};
use granary_runtime::{BoxFuture, TurnContext, handover};
use granary_store::{Committed, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::inspect::{LastFailure, TurnInfo};
use super::load::{Current, Load, PutBack};
use super::message::{Cancel, Inside, Job, Message, Pending};
use super::table::Handle;
use super::turn::Outcome;
use crate::kinds::KindEntry;
use crate::node::shared::Shared;

/// Control messages that fit into an inbox beside the calls.
const CONTROL_MAX: usize = 16;
/// Calls that wait and that a person is shown.
const SHOWN_MAX: usize = 100;

type Writes = std::collections::BTreeMap<String, Option<Vec<u8>>>;

/// Something that a driver waited for.
enum Done {
    Loaded(Result<Box<Current>, CallError>),
    Ended(TurnId, Box<Outcome>),
    Committed {
        turn: TurnId,
        result: Result<Committed, StoreError>,
        writes: Writes,
        sends: bool,
    },
    /// A turn must not be committed: what it saw has changed since.
    Overtaken(TurnId, CallError),
}

/// A turn as its driver keeps it.
struct Running {
    context: Arc<TurnContext>,
    call: Option<CallId>,
    method: String,
    began: Instant,
    ended: Option<Instant>,
    outcome: Option<Outcome>,
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    inbox: mpsc::Receiver<Message>,
    /// When what is being looked at came: the clock is read once for each.
    now: Instant,
    machine: Activation,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    // In boxes: a map keeps its room while the grain rests. The ids are random or digests, and the
    // mailbox bounds how many there are: they need no hash that withstands a choice of them.
    calls: HashMap<CallId, Box<Pending>, RandomState>,
    turns: HashMap<TurnId, Box<Running>, RandomState>,
    current: Option<Box<Current>>,
    effects: Vec<Effect>,
    /// Those who wait until the instance is gone.
    leaving: Vec<oneshot::Sender<()>>,
    not_loaded: Option<CallError>,
    circle: Option<Vec<GrainId>>,
    put_back: Option<PutBack>,
    avoid: Option<Revision>,
    last_failure: Option<LastFailure>,
    gone: bool,
}

impl Driver {
    /// Starts the task of a grain that is not live yet.
    pub(crate) fn start(shared: &Arc<Shared>, grain: &GrainId, entry: &KindEntry) -> Arc<Handle> {
        let limits = entry
            .record
            .revision(entry.record.current)
            .map(|revision| revision.spec.limits)
            .unwrap_or_default();
        let (sender, inbox) = mpsc::channel(limits.mailbox_calls as usize + CONTROL_MAX);
        let handle = Arc::new(Handle {
            grain: grain.clone(),
            inbox: sender,
            metrics: shared.metrics.kind(&grain.kind),
            live: parking_lot::RwLock::new(None),
            vitals: super::table::Vitals::default(),
        });
        let driver = Self {
            shared: Arc::clone(shared),
            handle: Arc::clone(&handle),
            inbox,
            now: Instant::now(),
            machine: Activation::new(shared.clock.now(), Rules::from(&limits)),
            jobs: FuturesUnordered::new(),
            calls: HashMap::default(),
            turns: HashMap::default(),
            current: None,
            effects: Vec::new(),
            leaving: Vec::new(),
            not_loaded: None,
            circle: None,
            put_back: None,
            avoid: None,
            last_failure: None,
            gone: false,
        };
        handover::spawn(driver.run());
        handle
    }

    async fn run(mut self) {
        let mut timer = std::pin::pin!(tokio::time::sleep_until(
            self.shared.clock.instant(Time(0)).into()
        ));
        let mut armed: Option<Time> = None;
        while !self.gone {
            // The timer is only moved to an earlier moment: one that fires too early does no harm, and most never fire.
            match self.machine.next_wake() {
                Some(wake) if armed.is_none_or(|armed| wake < armed) => {
                    timer.as_mut().reset(self.shared.clock.instant(wake).into());
                    armed = Some(wake);
                }
                Some(_) | None => {}
            }
            // The timer first: a full inbox must not put off a deadline.
            tokio::select! {
                biased;
                () = &mut timer, if armed.is_some() => {
                    armed = None;
                    self.now = Instant::now();
                    self.step(Event::Wake);
                }
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => {
                    self.now = Instant::now();
                    self.done(done);
                }
                message = self.inbox.recv() => match message {
                    Some(message) => {
                        self.now = Instant::now();
                        self.told(message);
                    }
                    None => return,
                },
            }
            self.handle
                .vitals
                .set_state(self.machine.state(), self.machine.waiting_calls());
            // A full mailbox of short turns must not keep the thread from its other tasks.
            tokio::task::coop::consume_budget().await;
        }
        self.close().await;
    }

    /// Out of the table first; then what had come in before that finds its way to a new activation.
    async fn close(mut self) {
        self.shared.table.remove(&self.handle);
        self.inbox.close();
        while let Some(message) = self.inbox.recv().await {
            match message {
                Message::Call(pending) => super::pass_on(&self.shared, *pending),
                Message::Cancel(_)
                | Message::Leave { .. }
                | Message::Stop
                | Message::Explain(_) => {}
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine
            .handle(self.shared.clock.time(self.now), event, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn told(&mut self, message: Message) {
        match message {
            Message::Call(pending) => self.arrived(pending),
            Message::Cancel(cancel) => {
                let Cancel { call, stop, found } = *cancel;
                if let Some(found) = found {
                    // Whoever asked may have gone.
                    found.send(self.calls.contains_key(&call)).ok();
                }
                self.step(Event::Cancel { call, stop });
            }
            Message::Leave { reason, done } => {
                if reason != DeactivateReason::Pressure || self.calls.is_empty() {
                    self.leaving.extend(done);
                    self.step(Event::Leave(reason));
                }
                if self.current.is_none() && self.jobs.is_empty() {
                    self.leaving.clear();
                }
            }
            Message::Stop => self.step(Event::Stop),
            Message::Explain(answer) => {
                // Whoever asked may have gone.
                drop(answer.send(self.inside()));
            }
        }
    }

    fn arrived(&mut self, mut pending: Box<Pending>) {
        self.see_that_it_is_right(&pending.entry);
        self.fit(&mut pending);
        let call = pending.call.id;
        let waiting = Waiting {
            call,
            bytes: pending.call.arguments.len() as u64,
            beside: overlaps(&pending),
            deadline: self.shared.clock.time(pending.deadline),
            repeated: false,
        };
        let from_grain = !pending.call.chain.is_empty();
        if self.calls.contains_key(&call) {
            let detail = format!("call {call} is here already");
            pending.refuse(CallError::Invalid {
                pointer: String::new(),
                detail,
            });
            return;
        }
        self.calls.insert(call, pending);
        self.step(Event::Arrived(waiting));
        if from_grain && self.machine.waits(call) {
            let circle = self.shared.waits.lock().queued(call);
            if let Some(circle) = circle {
                self.circle = Some(circle);
                self.step(Event::Circle(call));
            }
        }
    }

    /// Lets the machine leave for an upgrade if the kind has changed under the instance.
    fn see_that_it_is_right(&mut self, entry: &KindEntry) {
        let Some(current) = &mut self.current else {
            return;
        };
        if entry.generation <= current.generation {
            return;
        }
        current.generation = entry.generation;
        if !current.is_right(&entry.record, self.avoid) {
            self.step(Event::Leave(DeactivateReason::Upgrade));
        }
    }

    /// Reads a call as a method of what runs here, if it was read as one of something else.
    fn fit(&self, pending: &mut Pending) {
        if let Some(current) = &self.current {
            pending.fit(&current.live.linked);
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Loaded(Ok(current)) => self.loaded(current),
            Done::Loaded(Err(error)) => {
                self.note_failure("(activation)", &error, None);
                self.not_loaded = Some(error);
                self.step(Event::NotLoaded);
            }
            Done::Ended(turn, outcome) => {
                let end = outcome.end;
                self.ended(turn, *outcome);
                self.step(Event::Ended { turn, end });
            }
            Done::Committed {
                turn,
                result,
                writes,
                sends,
            } => {
                let kept = self.committed(turn, result, writes, sends);
                self.step(Event::Committed { turn, kept });
            }
            Done::Overtaken(turn, error) => {
                self.not_committed(turn, error);
                let kept = Kept::No;
                self.step(Event::Committed { turn, kept });
            }
        }
    }

    fn loaded(&mut self, current: Box<Current>) {
        let facts = current.facts;
        self.shared.metrics.activations.increment(1.0);
        self.handle.metrics.activations.increment(1);
        self.handle
            .vitals
            .loaded(current.took, self.shared.clock.time(self.now).0);
        *self.handle.live.write() = Some(current.live.clone());
        for pending in self.calls.values_mut() {
            pending.fit(&current.live.linked);
        }
        self.current = Some(current);
        let waiting: Vec<_> = self.machine.waiting().collect();
        for call in waiting {
            if let Some(beside) = self.calls.get(&call).map(|pending| overlaps(pending)) {
                self.step(Event::Moded { call, beside });
            }
        }
        self.step(Event::Loaded(facts));
        // The kind may have changed while this was being made.
        if let Some(entry) = self.shared.kinds.entry(&self.handle.grain.kind) {
            self.see_that_it_is_right(&entry);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Load(_) => self.load(),
            Effect::Run { turn, work } => self.begin(turn, work),
            Effect::Commit(turn) => self.commit(turn),
            Effect::Reply { turn, call } => self.reply(turn, call),
            Effect::Close(turn) => self.close_turn(turn, None),
            Effect::Refuse { call, why } => self.refuse(call, why),
            Effect::Tell { turn, stop } => self.tell(turn, stop),
            Effect::PutBack(turn) => self.note_put_back(turn),
            Effect::Drop => self.drop_instance(),
            Effect::Gone => self.gone = true,
        }
    }

    fn load(&mut self) {
        let load = Load {
            shared: Arc::clone(&self.shared),
            grain: self.handle.grain.clone(),
            halt: self.put_back.take(),
            avoid: self.avoid,
        };
        self.jobs.push(Box::pin(async move {
            Done::Loaded(load.run().await.map(Box::new))
        }));
    }

    fn note_put_back(&mut self, turn: TurnId) {
        let (Some(current), Some(running)) = (&self.current, self.turns.get(&turn)) else {
            return;
        };
        let error = running
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.result.as_ref().err());
        let because = error.map(ToString::to_string).unwrap_or_default();
        self.avoid = Some(current.live.revision);
        self.put_back = Some(PutBack {
            to: current.live.revision,
            because,
        });
    }

    fn drop_instance(&mut self) {
        *self.handle.live.write() = None;
        if let Some(current) = self.current.take() {
            self.shared
                .store
                .release(&self.handle.grain, current.live.epoch);
            self.shared.metrics.activations.decrement(1.0);
            drop(current);
            self.shared.place_free.notify_waiters();
        }
        for waiter in self.leaving.drain(..) {
            // Whoever asked may have gone.
            waiter.send(()).ok();
        }
    }

    /// A caller has given up. An operator's word stops the guest, and the calls for which it waits.
    fn tell(&mut self, turn: TurnId, stop: bool) {
        let Some(running) = self.turns.get(&turn) else {
            return;
        };
        if !stop {
            running.context.give_up();
            return;
        }
        running.context.cancel();
        let calls = self.shared.waits.lock().calls_of(running.context.call);
        for (call, target) in calls {
            if let Some(handle) = self.shared.table.get(&target) {
                handle.tell(Message::Cancel(Box::new(Cancel {
                    call,
                    stop: true,
                    found: None,
                })));
            }
        }
    }

    fn inside(&self) -> Inside {
        let waits = self.shared.waits.lock();
        let turns = self.turns.iter().map(|(id, running)| TurnInfo {
            call: running.call,
            method: running.method.clone(),
            since_ms: u64::try_from(running.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            committing: self.machine.is_committing(*id),
            caller: running.context.caller.clone(),
            waits_for: waits.waits_for(running.context.call),
        });
        Inside {
            turns: turns.collect(),
            mailbox: self.machine.waiting().take(SHOWN_MAX).collect(),
            last_failure: self.last_failure.clone(),
        }
    }
}

fn overlaps(pending: &Pending) -> bool {
    match &pending.job {
        Job::Method(Ok(checked)) => checked.overlaps(),
        Job::Method(Err(_)) | Job::Http(_) => false,
    }
}

/// How a commit was decided, in the machine's words.
fn kept(result: &Result<Committed, StoreError>, again: bool) -> Kept {
    match result {
        Ok(_) => Kept::Yes,
        Err(StoreError::Stale { .. }) => Kept::Fenced { again },
        Err(
            StoreError::Conflict { .. }
            | StoreError::Full { .. }
            | StoreError::Locked { .. }
            | StoreError::NewerFormat { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Damaged { .. }
            | StoreError::Failed { .. }
            | StoreError::Closed,
        ) => Kept::No,
    }
}
