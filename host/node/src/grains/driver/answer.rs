//! How turns and calls end: what callers are told.

use std::time::{Duration, Instant};

use granary_core::activation::{End, Kept, Refusal, TurnId};
use granary_core::error::{CallError, Failure};
use granary_core::id::CallId;
use granary_core::kind::Grants;
use granary_store::{Committed, StoreError};

use super::{Driver, Running, Writes, kept};
use crate::grains::call::{Answer, Timing, failure};
use crate::grains::inspect::LastFailure;
use crate::grains::load::{Current, refused};
use crate::grains::message::Pending;
use crate::grains::turn::Outcome;
use crate::observe::events::What;
use crate::observe::now_ms;

impl Driver {
    /// A turn ended in the guest: its outcome is kept until the machine says what becomes of it.
    pub(super) fn ended(&mut self, turn: TurnId, outcome: Outcome) {
        let now = self.shared.clock.time(self.now);
        self.handle.vitals.turn_ended(now.0);
        self.handle.metrics.cpu(outcome.cpu);
        let Some(running) = self.turns.get_mut(&turn) else {
            return;
        };
        running.ended = Some(self.now);
        let method = running.method.clone();
        // A call that did not fit is its caller's failure.
        let failed = outcome
            .result
            .as_ref()
            .err()
            .filter(|_| outcome.end != End::Untouched)
            .cloned();
        running.outcome = Some(outcome);
        if let Some(error) = failed {
            let revision = self.current.as_ref().map(|current| current.live.revision);
            self.note_failure(&method, &error, revision);
        }
    }

    /// A commit was decided: memory follows the store, or the answer becomes the store's refusal.
    pub(super) fn committed(
        &mut self,
        turn: TurnId,
        result: Result<Committed, StoreError>,
        writes: Writes,
        sends: bool,
    ) -> Kept {
        let turns = self.turns.len();
        let Some(running) = self.turns.get_mut(&turn) else {
            return Kept::No;
        };
        let Some(current) = &mut self.current else {
            return Kept::No;
        };
        let called_out = current.host.take_called_out(running.context.call);
        let reached_out = called_out || current.live.linked.spec().grants != Grants::default();
        let kept = kept(&result, !reached_out);
        match result {
            Ok(Committed { head }) => {
                self.shared.store_accepted();
                current.head = head;
                if 1 < turns {
                    current.changes.committed(writes.keys(), head.version);
                } else {
                    current.changes.forget();
                }
                current.memory.commit(writes, head.version);
                if sends {
                    self.shared.due.notify_one();
                }
            }
            Err(error) => {
                let error = refused(&self.shared, &error);
                tracing::debug!(grain = %self.handle.grain, %error, "a commit was refused");
                if let Some(outcome) = &mut running.outcome {
                    outcome.result = Err(error);
                    outcome.kept = None;
                }
            }
        }
        kept
    }

    /// A turn is not to be committed: its answer becomes the reason.
    pub(super) fn not_committed(&mut self, turn: TurnId, error: CallError) {
        let outcome = self
            .turns
            .get_mut(&turn)
            .and_then(|running| running.outcome.as_mut());
        if let Some(outcome) = outcome {
            outcome.result = Err(error);
            outcome.kept = None;
        }
    }

    pub(super) fn reply(&mut self, turn: TurnId, call: CallId) {
        let Some(pending) = self.calls.remove(&call) else {
            return;
        };
        self.unwait(&pending);
        self.close_turn(turn, Some(pending));
    }

    /// Forgets a turn; answers its call if somebody still listens.
    pub(super) fn close_turn(&mut self, turn: TurnId, pending: Option<Box<Pending>>) {
        let Some(mut running) = self.turns.remove(&turn) else {
            return;
        };
        // A call whose caller was answered before ends here, unless its turn has to run again.
        if let Some(call) = running.call.filter(|call| !self.machine.waits(*call)) {
            self.calls.remove(&call);
        }
        if let Some(current) = &self.current {
            current.host.take_called_out(running.context.call);
        }
        let Some(mut outcome) = running.outcome.take() else {
            return;
        };
        if let Some(held) = outcome.held.take().filter(|_| outcome.result.is_ok()) {
            // A client that has gone needs no response.
            held.release();
        }
        let (Some(pending), Some(current)) = (pending, &self.current) else {
            return;
        };
        let answer = answer(&pending, &running, outcome, (current, self.now));
        // A caller that has gone is no failure of the turn's.
        drop(pending.reply.send(answer));
    }

    pub(super) fn refuse(&mut self, call: CallId, why: Refusal) {
        let error = self.refusal(call, why);
        let keep = matches!(why, Refusal::TimedOut { started: true });
        let Some(pending) = self.calls.remove(&call) else {
            return;
        };
        self.unwait(&pending);
        match &error {
            CallError::Overloaded { detail } => {
                self.handle.metrics.mailbox_rejects.increment(1);
                let (grain, detail) = (Some(self.handle.grain.clone()), detail.clone());
                self.shared.events.push(What::Shed { grain, detail });
            }
            CallError::Deadlock { cycle } => self.shared.events.push(What::Deadlock {
                cycle: cycle.clone(),
            }),
            CallError::Timeout { .. }
            | CallError::Cancelled { .. }
            | CallError::Denied { .. }
            | CallError::NotFound { .. }
            | CallError::Invalid { .. }
            | CallError::GuestTrap { .. }
            | CallError::LimitExceeded { .. }
            | CallError::Conflict { .. }
            | CallError::Unavailable { .. }
            | CallError::UnknownOutcome { .. }
            | CallError::App { .. } => {}
        }
        let revision = self.current.as_ref().map(|current| current.live.revision);
        let answer = Err(failure(error, &pending.call, revision));
        if keep {
            // The turn goes on and its commit may still need to know the call.
            let mut pending = pending;
            let (nobody, _) = tokio::sync::oneshot::channel();
            drop(std::mem::replace(&mut pending.reply, nobody).send(answer));
            self.calls.insert(call, pending);
        } else {
            drop(pending.reply.send(answer));
        }
    }

    fn refusal(&mut self, call: CallId, why: Refusal) -> CallError {
        let grain = &self.handle.grain;
        match why {
            Refusal::MailboxCalls(limit) => CallError::Overloaded {
                detail: format!(
                    "{limit} calls wait for {grain} already; limits.mailbox-calls raises it"
                ),
            },
            Refusal::MailboxBytes(limit) => CallError::Overloaded {
                detail: format!(
                    "{limit} bytes of arguments wait for {grain} already; limits.mailbox-bytes raises it"
                ),
            },
            Refusal::TimedOut { started } => {
                let waited = self
                    .calls
                    .get(&call)
                    .map(|pending| pending.arrived.elapsed())
                    .unwrap_or_default();
                let waited = humantime::format_duration(Duration::from_millis(
                    u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                ));
                let detail = match started {
                    true => format!("{grain} has not answered within {waited}; its turn goes on"),
                    false => format!(
                        "the call waited {waited} for its turn at {grain} and did not begin"
                    ),
                };
                CallError::Timeout { detail, started }
            }
            Refusal::Cancelled => CallError::Cancelled {
                detail: format!("given up before its turn at {grain}"),
            },
            Refusal::Deadlock => CallError::Deadlock {
                cycle: self.circle.take().unwrap_or_default(),
            },
            Refusal::NotLoaded => self.not_loaded.clone().unwrap_or_else(|| fenced(grain)),
            Refusal::Hook(turn) => {
                let outcome = self
                    .turns
                    .get(&turn)
                    .and_then(|running| running.outcome.as_ref());
                outcome
                    .and_then(|outcome| outcome.result.as_ref().err().cloned())
                    .unwrap_or_else(|| fenced(grain))
            }
            Refusal::Stopping => CallError::Unavailable {
                detail: "the node is stopping".to_owned(),
            },
        }
    }

    /// Nobody waits for a call any more. Must come before the next turn begins, so that no circle is seen where there is none.
    fn unwait(&self, pending: &Pending) {
        if !pending.call.chain.is_empty() {
            self.shared.waits.lock().ended(pending.call.id);
        }
    }

    /// Takes note of what a guest did wrong.
    pub(super) fn note_failure(
        &mut self,
        method: &str,
        error: &CallError,
        revision: Option<granary_core::id::Revision>,
    ) {
        let grain = self.handle.grain.clone();
        let revision = revision.unwrap_or(granary_core::id::Revision(0));
        let method = method.to_owned();
        let (detail, backtrace) = match error {
            CallError::GuestTrap { detail, backtrace } => {
                let (detail, backtrace) = (detail.clone(), backtrace.clone());
                let event = (detail.clone(), backtrace.clone(), method.clone());
                self.shared.events.push(What::Trap {
                    grain,
                    revision,
                    method: event.2,
                    detail: event.0,
                    backtrace: event.1,
                });
                (detail, backtrace)
            }
            CallError::LimitExceeded { limit, detail } => {
                let (detail, limit) = (detail.clone(), limit.key());
                let event = What::Limit {
                    grain,
                    revision,
                    method: method.clone(),
                    limit,
                    detail: detail.clone(),
                };
                self.shared.events.push(event);
                (detail, Vec::new())
            }
            CallError::Unavailable { detail } => (detail.clone(), Vec::new()),
            CallError::Overloaded { .. }
            | CallError::Deadlock { .. }
            | CallError::Timeout { .. }
            | CallError::Cancelled { .. }
            | CallError::Denied { .. }
            | CallError::NotFound { .. }
            | CallError::Invalid { .. }
            | CallError::Conflict { .. }
            | CallError::UnknownOutcome { .. }
            | CallError::App { .. } => return,
        };
        let error = error.name();
        self.last_failure = Some(LastFailure {
            at_ms: now_ms(),
            method,
            error,
            detail,
            backtrace,
        });
    }
}

fn fenced(grain: &granary_core::id::GrainId) -> CallError {
    CallError::Conflict {
        detail: format!("{grain} was taken over while it was being activated"),
    }
}

fn answer(
    pending: &Pending,
    running: &Running,
    outcome: Outcome,
    (current, now): (&Current, Instant),
) -> Result<Answer, Failure> {
    let Outcome {
        result,
        replayed,
        kept,
        cpu,
        end,
        ..
    } = outcome;
    let committed = matches!(end, End::Keep | End::KeepAndDrop);
    let committed_at = committed.then_some(now);
    let timing = timing(pending, running, current, committed_at);
    // A read may have seen the state as it was before a turn beside it was committed: its tag must not say more.
    let state_version = if committed {
        current.head.version
    } else {
        running.context.head.version
    };
    let cold = pending.arrived < current.since;
    if let Some(kept) = kept.filter(|_| result.is_ok()) {
        return Ok(Answer {
            cold,
            timing,
            replayed: true,
            ..kept
        });
    }
    let body =
        result.map_err(|error| failure(error, &pending.call, Some(current.live.revision)))?;
    Ok(Answer {
        body,
        grain_revision: current.live.revision,
        state_version,
        cpu,
        cold,
        epoch: current.live.epoch,
        replayed,
        timing,
    })
}

fn timing(
    pending: &Pending,
    running: &Running,
    current: &Current,
    committed: Option<Instant>,
) -> Timing {
    let ready = current.since.max(pending.arrived);
    let ended = running.ended.unwrap_or(running.began);
    Timing {
        queue: running.began.saturating_duration_since(ready),
        activate: current.since.saturating_duration_since(pending.arrived),
        run: ended.saturating_duration_since(running.began),
        commit: committed
            .map(|at| at.saturating_duration_since(ended))
            .unwrap_or_default(),
    }
}
