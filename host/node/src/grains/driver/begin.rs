//! What a driver starts: turns and commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Instant;

use granary_core::activation::{TurnId, Work};
use granary_core::error::{CallError, Failure, LimitName};
use granary_core::id::CallId;
use granary_core::kind::Mode;
use granary_core::limits::IDEMPOTENCY_RETENTION;
use granary_core::turn::{SendWish, Wishes};
use granary_runtime::{BoxFuture, TurnContext, TurnHead};
use granary_store::{Commit, ReplyRecord, SendRecord, Settled};
use parking_lot::Mutex;

use super::{Done, Driver, Running};
use crate::grains::call::{Answer, Call, Timing, failure};
use crate::grains::fingerprint::fingerprint;
use crate::grains::load::Current;
use crate::grains::message::{Checked, Job, Pending, arguments};
use crate::grains::turn::{HookTurn, MethodTurn, Outcome, http_turn};
use crate::node::shared::Shared;
use crate::observe::events::What;
use crate::observe::now_ms;
use crate::sends::kept;

impl Driver {
    pub(super) fn begin(&mut self, turn: TurnId, work: Work) {
        match work {
            Work::Call(call) => self.begin_call(turn, call),
            Work::Migrate(from) => {
                let work = granary_runtime::Work::Migrate { from };
                self.begin_hook(turn, "migrate", work, true);
            }
            Work::Activate(reason) => {
                let work = granary_runtime::Work::Activate(reason);
                self.begin_hook(turn, "activate", work, true);
            }
            Work::Deactivate(reason) => {
                let work = granary_runtime::Work::Deactivate(reason);
                self.begin_hook(turn, "deactivate", work, false);
            }
        }
    }

    fn begin_hook(
        &mut self,
        turn: TurnId,
        name: &'static str,
        work: granary_runtime::Work,
        activating: bool,
    ) {
        let Some(current) = &self.current else { return };
        let limits = &current.live.linked.spec().limits;
        let (limit, limit_key) = match activating {
            true => (limits.activation_time, "activation-time"),
            false => (limits.deactivation_time, "deactivation-time"),
        };
        let context = Arc::new(TurnContext {
            call: Call::fresh_id(),
            caller: None,
            chain: Vec::new(),
            principal: None,
            deadline: self.now + limit,
            idempotency_key: None,
            baggage: Mutex::default(),
            cancelled: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            calling: AtomicU32::new(0),
            mode: Mode::Exclusive,
            head: turn_head(current),
        });
        let instance = current.live.instance.clone();
        let hook = HookTurn {
            instance,
            context: Arc::clone(&context),
            work,
            name,
            limit,
            limit_key,
        };
        let state = running(context, None, name.to_owned(), self.now);
        self.turns.insert(turn, state);
        self.jobs.push(Box::pin(async move {
            Done::Ended(turn, Box::new(hook.run().await))
        }));
    }

    fn begin_call(&mut self, turn: TurnId, call: CallId) {
        let (Some(current), Some(pending)) = (&self.current, self.calls.get_mut(&call)) else {
            return;
        };
        let circle = if pending.call.chain.is_empty() {
            None
        } else {
            self.shared.waits.lock().started(call)
        };
        let context = Arc::new(call_context(pending, current));
        let state = running(
            Arc::clone(&context),
            Some(call),
            pending.call.method.clone(),
            self.now,
        );
        let shared = &self.shared;
        if let Some(cycle) = circle {
            let event = What::Deadlock {
                cycle: cycle.clone(),
            };
            self.shared.events.push(event);
            let outcome = Outcome::untouched(Err(CallError::Deadlock { cycle }));
            self.jobs.push(ended(turn, outcome));
            self.turns.insert(turn, state);
            return;
        }
        let job = job(shared, current, pending, (turn, context));
        self.jobs.push(job);
        self.turns.insert(turn, state);
    }

    /// Hands over what a turn left. The store has one answer for all of it.
    pub(super) fn commit(&mut self, turn: TurnId) {
        let (Some(current), Some(running)) = (&self.current, self.turns.get_mut(&turn)) else {
            return;
        };
        let pending = running.call.and_then(|call| self.calls.get(&call));
        let Some(outcome) = &mut running.outcome else {
            return;
        };
        let wishes = outcome.wishes.take();
        let overtaken = wishes
            .as_ref()
            .and_then(|wishes| overtaken(wishes, &running.context, current, &self.handle.grain));
        if let Some(error) = overtaken {
            let refused = std::future::ready(Done::Overtaken(turn, error));
            self.jobs.push(Box::pin(refused));
            return;
        }
        let (writes, wishes) = wishes.map(Wishes::into_parts).unwrap_or_default();
        let now = now_ms();
        let grain = &self.handle.grain;
        let sends: Vec<_> = wishes
            .into_iter()
            .map(|wish| send_record(wish, grain, &running.context, now))
            .collect();
        // The epoch keeps every other writer out, so that the version after this commit is known before it.
        let state_version = current.head.version + u64::from(!writes.is_empty());
        let keeps = pending.filter(|pending| {
            pending.call.settles.is_some() || pending.call.idempotency_key.is_some()
        });
        let kept = keeps.map(|pending| {
            (
                pending,
                end_to_keep(pending, outcome, current, state_version),
            )
        });
        let reply = kept
            .as_ref()
            .and_then(|(pending, end)| reply_record(pending, end, outcome.replayed, now));
        let commit = Commit {
            grain: grain.clone(),
            epoch: current.live.epoch,
            revision: current.live.revision,
            now_ms: now,
            writes: writes.clone(),
            reply,
            settles: kept.and_then(|(pending, end)| settled(pending, &end)),
            sends,
        };
        let sends = !commit.sends.is_empty();
        let (shared, begun) = (Arc::clone(&self.shared), self.now);
        self.jobs.push(Box::pin(async move {
            let result = shared.store.commit(commit).await;
            shared
                .metrics
                .commit_seconds
                .record(begun.elapsed().as_secs_f64());
            Done::Committed {
                turn,
                result,
                writes,
                sends,
            }
        }));
    }
}

/// What a call's turn does, up to its commit.
fn job(
    shared: &Arc<Shared>,
    current: &Current,
    pending: &mut Pending,
    (turn, context): (TurnId, Arc<TurnContext>),
) -> BoxFuture<'static, Done> {
    let at_once = |error| ended(turn, Outcome::untouched(Err(error)));
    let instance = current.live.instance.clone();
    let streaming = pending.streaming.take();
    let checked = match &mut pending.job {
        Job::Method(Err(error)) => return at_once(error.clone()),
        Job::Method(Ok(checked)) if checked.method.streams() && streaming.is_none() => {
            return at_once(used_up());
        }
        Job::Method(Ok(checked)) => checked,
        Job::Http(job) => {
            return match job.take() {
                Some(job) => Box::pin(async move {
                    Done::Ended(turn, Box::new(http_turn(instance, context, *job).await))
                }),
                None => at_once(used_up()),
            };
        }
    };
    let arguments = match take_arguments(checked, &pending.call) {
        Ok(arguments) => arguments,
        Err(error) => return at_once(error),
    };
    let is_read = checked.is_read();
    let has_key = !is_read && pending.call.idempotency_key.is_some();
    let method = MethodTurn {
        shared: Arc::clone(shared),
        grain: pending.call.grain.clone(),
        linked: Arc::clone(&current.live.linked),
        instance,
        context,
        method: Arc::clone(&checked.method),
        arguments,
        accept: pending.call.accept,
        is_read,
        rollback_on_err: checked.spec.rollback_on_err,
        fingerprint: has_key.then(|| fingerprint(&pending.call)),
        settles: pending.call.settles.is_some(),
    };
    Box::pin(async move { Done::Ended(turn, Box::new(method.run(streaming).await)) })
}

/// The end of a request that would have to run again.
fn used_up() -> CallError {
    CallError::Conflict {
        detail: "the request's body or its stream was used up by a turn that was not kept"
            .to_owned(),
    }
}

/// A turn for which nothing has to be waited.
fn ended(turn: TurnId, outcome: Outcome) -> BoxFuture<'static, Done> {
    Box::pin(std::future::ready(Done::Ended(turn, Box::new(outcome))))
}

/// Why a turn must not be committed because of others that ran beside it, if so.
fn overtaken(
    wishes: &Wishes,
    context: &TurnContext,
    current: &Current,
    grain: &granary_core::id::GrainId,
) -> Option<CallError> {
    if wishes.is_empty() || context.head.version == current.head.version {
        return None;
    }
    if let Some(key) = current.changes.since(wishes.seen()) {
        let what = match key {
            "" => "more keys than are told apart".to_owned(),
            key => format!("the key '{key}', which this turn had seen or written"),
        };
        let detail = format!(
            "another turn of {grain} has changed {what}; nothing of this one is kept, repeat the call"
        );
        return Some(CallError::Conflict { detail });
    }
    // The turns were measured one by one; together they may be too much.
    let grown = wishes.state_bytes().saturating_sub(context.head.bytes);
    let total = current.head.bytes.saturating_add(grown);
    let limit = current.live.linked.spec().limits.state_total;
    (0 < grown && limit < total).then(|| CallError::LimitExceeded {
        limit: LimitName::StateTotal,
        detail: format!(
            "with what other turns have written meanwhile the state would have {total} bytes, {limit} are allowed"
        ),
    })
}

fn running(
    context: Arc<TurnContext>,
    call: Option<CallId>,
    method: String,
    began: Instant,
) -> Box<Running> {
    Box::new(Running {
        context,
        call,
        method,
        began,
        ended: None,
        outcome: None,
    })
}

fn turn_head(current: &Current) -> TurnHead {
    TurnHead {
        version: current.head.version,
        bytes: current.head.bytes,
    }
}

fn call_context(pending: &mut Pending, current: &Current) -> TurnContext {
    let mode = match &pending.job {
        Job::Method(Ok(checked)) => checked.spec.mode,
        Job::Method(Err(_)) | Job::Http(_) => Mode::Exclusive,
    };
    let call = &mut pending.call;
    let sender = call
        .settles
        .as_ref()
        .and_then(|settling| settling.from.clone());
    TurnContext {
        call: call.id,
        caller: sender.or_else(|| call.chain.last().cloned()),
        chain: call.chain.clone(),
        principal: call.principal.clone(),
        deadline: pending.deadline,
        idempotency_key: call.idempotency_key.clone(),
        baggage: Mutex::new(call.baggage.clone()),
        cancelled: AtomicBool::new(false),
        given_up: AtomicBool::new(false),
        calling: AtomicU32::new(0),
        mode,
        head: turn_head(current),
    }
}

/// A turn that runs for the second time has to read its arguments again.
fn take_arguments(
    checked: &mut Checked,
    call: &Call,
) -> Result<granary_runtime::Arguments, CallError> {
    checked
        .arguments
        .take()
        .map_or_else(|| arguments(call, &checked.method, &checked.linked), Ok)
}

fn send_record(
    wish: SendWish,
    grain: &granary_core::id::GrainId,
    context: &TurnContext,
    now: u64,
) -> SendRecord {
    SendRecord {
        id: Call::fresh_id(),
        from: Some(grain.clone()),
        target: wish.target,
        method: wish.method,
        arguments: wish.arguments,
        baggage: wish.baggage,
        principal: context.principal.clone(),
        idempotency_key: None,
        due_at_ms: now.saturating_add(u64::try_from(wish.delay.as_millis()).unwrap_or(u64::MAX)),
        sent_at_ms: now,
        attempts: 0,
        keep_result: false,
        given_up: None,
    }
}

/// The answer under the call's idempotency key, unless it lies there already.
fn reply_record(
    pending: &Pending,
    result: &Result<Answer, Failure>,
    replayed: bool,
    now: u64,
) -> Option<ReplyRecord> {
    let is_read = matches!(&pending.job, Job::Method(Ok(checked)) if checked.is_read());
    let key = pending
        .call
        .idempotency_key
        .as_ref()
        .filter(|_| !replayed && !is_read)?;
    let retention = u64::try_from(IDEMPOTENCY_RETENTION.as_millis()).unwrap_or(u64::MAX);
    Some(ReplyRecord {
        key: key.clone(),
        fingerprint: fingerprint(&pending.call),
        answer: kept::encode(result),
        expires_at_ms: now.saturating_add(retention),
    })
}

fn settled(pending: &Pending, result: &Result<Answer, Failure>) -> Option<Settled> {
    let settling = pending.call.settles.as_ref()?;
    let Call { grain, method, .. } = &pending.call;
    Some(crate::sends::settled(
        settling.id,
        settling.keep_result,
        grain,
        method,
        result,
    ))
}

/// The end of a turn as it is kept for those who ask again.
fn end_to_keep(
    pending: &Pending,
    outcome: &Outcome,
    current: &Current,
    state_version: u64,
) -> Result<Answer, Failure> {
    let revision = current.live.revision;
    match (&outcome.result, &outcome.kept) {
        (Ok(_), Some(kept)) => Ok(kept.clone()),
        (Ok(body), None) => Ok(Answer {
            body: body.clone(),
            grain_revision: revision,
            state_version,
            cpu: outcome.cpu,
            cold: false,
            epoch: current.live.epoch,
            replayed: false,
            timing: Timing::default(),
        }),
        (Err(error), _) => Err(failure(error.clone(), &pending.call, Some(revision))),
    }
}
