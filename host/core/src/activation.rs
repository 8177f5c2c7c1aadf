//! One grain's activation: its mailbox, its turns, its life from the first message to the last.
//!
//! In: what arrived, what the store and the guest answered, the clock. Out: what to load, run, commit, answer and drop. The machine holds
//! no message and no answer, only their ids; its driver keeps the rest.
//!
//! Invariants:
//! 1. At most one exclusive turn exists at a time, and none beside it. Only `read` and `interleave` turns of a component that allows it overlap.
//! 2. Turns begin in the order in which their calls arrived.
//! 3. Each call that arrived is answered exactly once: by [`Effect::Reply`] or by [`Effect::Refuse`].
//! 4. A turn that wants to keep something is answered after its commit was kept, never before.
//! 5. After a turn that failed, was rolled back or was not kept, no further turn enters the same instance: its memory knows
//!    more than the store. The instance is dropped and the next call meets a new one.
//! 6. Commits are kept one at a time, in the order in which their turns ended: a later one knows what an earlier one changed.
//! 7. No turn runs while the instance is being loaded, migrated, woken or dismissed, except the one that does it.

mod effects;
mod events;
mod mailbox;
mod state;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::id::{CallId, Time};

pub use effects::{Effect, Refusal, Work};
pub use events::{ActivateReason, DeactivateReason, End, Event, Facts, Kept, Rules, TurnId};
pub use mailbox::Waiting;
use mailbox::{Full, Mailbox};
pub use state::State;
use state::{Phase, Turn};

/// How often in a row an activation may fail before the calls that wait are refused.
const STUMBLES_MAX: u32 = 3;

/// The machine.
#[derive(Debug)]
pub struct Activation {
    phase: Phase,
    rules: Rules,
    side_by_side: bool,
    hooks: bool,
    mailbox: Mailbox,
    turns: BTreeMap<TurnId, Turn>,
    /// Turns that want to be kept; the first one's commit is under way.
    commits: VecDeque<TurnId>,
    next_turn: u64,
    reason: ActivateReason,
    leave: Option<DeactivateReason>,
    /// The instance must go without a goodbye (invariant 5).
    broken: bool,
    stopping: bool,
    stumbles: u32,
    rests_since: Time,
    /// Not after the earliest moment at which something is due.
    wake: Option<Time>,
}

impl Activation {
    /// A grain of which nothing is in memory.
    pub fn new(now: Time, rules: Rules) -> Self {
        Self {
            phase: Phase::Dormant,
            rules,
            side_by_side: false,
            hooks: false,
            mailbox: Mailbox::default(),
            turns: BTreeMap::new(),
            commits: VecDeque::new(),
            next_turn: 0,
            reason: ActivateReason::Message,
            leave: None,
            broken: false,
            stopping: false,
            stumbles: 0,
            rests_since: now,
            wake: Some(now.after(rules.idle)),
        }
    }

    /// The one door.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Arrived(waiting) => self.on_arrived(now, waiting, out),
            Event::Moded { call, beside } => self.mailbox.set_beside(call, beside),
            Event::Cancel { call, stop } => self.on_cancel(call, stop, out),
            Event::Circle(call) => {
                if self.mailbox.take(call).is_some() {
                    out.push(Effect::Refuse {
                        call,
                        why: Refusal::Deadlock,
                    });
                }
            }
            Event::Loaded(facts) => self.on_loaded(now, facts, out),
            Event::NotLoaded => self.on_not_loaded(now, out),
            Event::Ended { turn, end } => self.on_ended(now, turn, end, out),
            Event::Committed { turn, kept } => self.on_committed(now, turn, kept, out),
            Event::Leave(reason) => self.on_leave(now, reason, out),
            Event::Stop => self.on_stop(now, out),
            Event::Wake => self.on_wake(now, out),
        }
        debug_assert!(
            self.turns.len() <= 1 || self.turns.values().all(|turn| !turn.exclusive),
            "invariant 1"
        );
    }

    /// When to call with [`Event::Wake`] at the latest; it may come too early, never too late.
    pub fn next_wake(&self) -> Option<Time> {
        self.wake
    }

    /// What to show of it.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Dormant | Phase::Gone => State::Dormant,
            Phase::Loading | Phase::Migrating | Phase::Waking => State::Activating,
            Phase::Live if self.turns.is_empty() => State::Idle,
            Phase::Live => State::Running,
            Phase::Leaving(_) => State::Leaving,
        }
    }

    /// How many calls wait.
    pub fn waiting_calls(&self) -> usize {
        self.mailbox.len()
    }

    /// The calls that wait, the next one first.
    pub fn waiting(&self) -> impl Iterator<Item = CallId> + '_ {
        self.mailbox.iter().map(|waiting| waiting.call)
    }

    /// Whether a call waits, so that it has not begun.
    pub fn waits(&self, call: CallId) -> bool {
        self.mailbox.iter().any(|waiting| waiting.call == call)
    }

    /// Whether a turn's commit is under way.
    pub fn is_committing(&self, turn: TurnId) -> bool {
        self.turns.get(&turn).is_some_and(|turn| turn.committing)
    }

    fn on_arrived(&mut self, now: Time, waiting: Waiting, out: &mut Vec<Effect>) {
        let refuse = |why| Effect::Refuse {
            call: waiting.call,
            why,
        };
        if self.stopping || self.phase == Phase::Gone {
            return out.push(refuse(Refusal::Stopping));
        }
        if waiting.deadline <= now {
            return out.push(refuse(Refusal::TimedOut { started: false }));
        }
        // Turns that overlap are bounded by the same limit as calls that wait.
        let beside = self.turns.len().saturating_sub(1);
        match self.mailbox.push(waiting, beside, &self.rules) {
            Ok(()) => {}
            Err(Full::Calls) => {
                return out.push(refuse(Refusal::MailboxCalls(self.rules.mailbox_calls)));
            }
            Err(Full::Bytes) => {
                return out.push(refuse(Refusal::MailboxBytes(self.rules.mailbox_bytes)));
            }
        }
        self.wake_at(waiting.deadline);
        self.advance(now, out);
    }

    fn on_cancel(&mut self, call: CallId, stop: bool, out: &mut Vec<Effect>) {
        if self.mailbox.take(call).is_some() {
            out.push(Effect::Refuse {
                call,
                why: Refusal::Cancelled,
            });
            return;
        }
        let running = self
            .turns
            .iter()
            .find(|(_, turn)| turn.work == Work::Call(call));
        if let Some((turn, _)) = running {
            out.push(Effect::Tell { turn: *turn, stop });
        }
    }

    fn on_loaded(&mut self, now: Time, facts: Facts, out: &mut Vec<Effect>) {
        debug_assert_eq!(self.phase, Phase::Loading);
        self.rules = facts.rules;
        self.side_by_side = facts.side_by_side;
        self.hooks = facts.hooks;
        if self.stopping {
            self.drop_instance(now, ActivateReason::Message, out);
        } else if let Some(from) = facts.migrate {
            self.phase = Phase::Migrating;
            self.begin(Work::Migrate(from), None, true, out);
        } else {
            self.wake_up(now, out);
        }
    }

    /// After loading and migrating: the `activate` hook, then life.
    fn wake_up(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.hooks {
            self.phase = Phase::Waking;
            self.begin(Work::Activate(self.reason), None, true, out);
        } else {
            self.live(now, out);
        }
    }

    fn live(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.phase = Phase::Live;
        self.stumbles = 0;
        self.rests_since = now;
        self.advance(now, out);
    }

    fn on_not_loaded(&mut self, now: Time, out: &mut Vec<Effect>) {
        debug_assert_eq!(self.phase, Phase::Loading);
        self.refuse_all(Refusal::NotLoaded, out);
        self.rest(now);
        self.advance(now, out);
    }

    fn on_ended(&mut self, now: Time, id: TurnId, end: End, out: &mut Vec<Effect>) {
        let Some(turn) = self.turns.get_mut(&id) else {
            debug_assert!(false, "a turn ends once");
            return;
        };
        let keep = match end {
            End::Keep | End::KeepAndDrop => true,
            // That the grain has moved is to be kept, whatever else there is.
            End::Clean | End::Untouched => matches!(turn.work, Work::Migrate(_)),
            End::Failed => false,
        };
        if keep {
            turn.committing = true;
            turn.drop_after = end == End::KeepAndDrop;
            self.commits.push_back(id);
            if self.commits.len() == 1 {
                out.push(Effect::Commit(id));
            }
            return;
        }
        self.finish(now, id, end != End::Failed, out);
    }

    fn on_committed(&mut self, now: Time, id: TurnId, kept: Kept, out: &mut Vec<Effect>) {
        let Some(turn) = self.turns.get(&id).copied() else {
            debug_assert!(false, "a commit belongs to a turn");
            return;
        };
        debug_assert_eq!(self.commits.front(), Some(&id), "invariant 6");
        self.commits.pop_front();
        out.extend(self.commits.front().map(|next| Effect::Commit(*next)));
        match (kept, turn.waited) {
            (Kept::Yes, _) => {
                self.broken |= turn.drop_after;
                self.finish(now, id, true, out);
            }
            (Kept::No | Kept::Fenced { .. }, None) if matches!(turn.work, Work::Deactivate(_)) => {
                self.finish(now, id, false, out);
            }
            (Kept::Fenced { again: true }, Some(waited))
                if !waited.repeated && !turn.answered && !self.stopping =>
            {
                self.turns.remove(&id);
                out.push(Effect::Close(id));
                self.mailbox.put_back(waited);
                self.wake_at(waited.deadline);
                self.broken = true;
                self.advance(now, out);
            }
            // A fenced migration has not failed: whoever fenced it may have moved the grain already.
            (Kept::Fenced { .. }, None) => {
                self.turns.remove(&id);
                self.stumble(now, id, out);
            }
            (Kept::No | Kept::Fenced { .. }, Some(_)) => self.finish(now, id, false, out),
            (Kept::No, None) => {
                self.turns.remove(&id);
                self.refuse_all(Refusal::Hook(id), out);
                out.push(Effect::Close(id));
                self.drop_instance(now, ActivateReason::Recovery, out);
            }
        }
    }

    /// A turn is over: answered, and no longer there.
    fn finish(&mut self, now: Time, id: TurnId, well: bool, out: &mut Vec<Effect>) {
        let Some(turn) = self.turns.remove(&id) else {
            return;
        };
        self.rests_since = now;
        match turn.work {
            Work::Call(call) => {
                self.broken |= !well;
                out.push(if turn.answered {
                    Effect::Close(id)
                } else {
                    Effect::Reply { turn: id, call }
                });
                self.advance(now, out);
            }
            Work::Migrate(_) if well => {
                out.push(Effect::Close(id));
                self.wake_up(now, out);
            }
            Work::Migrate(_) => {
                out.push(Effect::PutBack(id));
                self.stumble(now, id, out);
            }
            Work::Activate(_) if well => {
                out.push(Effect::Close(id));
                self.live(now, out);
            }
            Work::Activate(reason) => {
                // Only the message that caused the activation is refused; the next one tries again.
                if let Some(first) = self.mailbox.pop() {
                    out.push(Effect::Refuse {
                        call: first.call,
                        why: Refusal::Hook(id),
                    });
                }
                out.push(Effect::Close(id));
                self.drop_instance(now, reason, out);
            }
            Work::Deactivate(reason) => {
                out.push(Effect::Close(id));
                self.left(now, reason, out);
            }
        }
    }

    /// An activation came to nothing, for no fault of the first call.
    fn stumble(&mut self, now: Time, hook: TurnId, out: &mut Vec<Effect>) {
        self.stumbles += 1;
        if STUMBLES_MAX <= self.stumbles {
            self.stumbles = 0;
            self.refuse_all(Refusal::Hook(hook), out);
        }
        out.push(Effect::Close(hook));
        let reason = self.reason;
        self.drop_instance(now, reason, out);
    }

    fn on_leave(&mut self, now: Time, reason: DeactivateReason, out: &mut Vec<Effect>) {
        match (self.phase, reason) {
            (Phase::Dormant, DeactivateReason::Upgrade) => {
                if self.reason == ActivateReason::Message {
                    self.reason = ActivateReason::Upgrade;
                }
            }
            (Phase::Dormant, _) => self.go(out),
            (Phase::Live, DeactivateReason::Pressure) if !self.rests() => {}
            (Phase::Live, _) => {
                self.leave.get_or_insert(reason);
                self.advance(now, out);
            }
            (Phase::Loading | Phase::Migrating | Phase::Waking, DeactivateReason::Pressure) => {}
            (Phase::Loading | Phase::Migrating | Phase::Waking, _) => {
                self.leave.get_or_insert(reason);
            }
            (Phase::Leaving(_) | Phase::Gone, _) => {}
        }
    }

    fn on_stop(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.stopping = true;
        self.refuse_all(Refusal::Stopping, out);
        match self.phase {
            Phase::Dormant => self.go(out),
            Phase::Loading | Phase::Migrating | Phase::Waking | Phase::Live => {
                self.leave = Some(DeactivateReason::Shutdown);
                self.advance(now, out);
            }
            Phase::Leaving(_) | Phase::Gone => {}
        }
    }

    fn on_wake(&mut self, now: Time, out: &mut Vec<Effect>) {
        for late in self.mailbox.take_late(now) {
            out.push(Effect::Refuse {
                call: late.call,
                why: Refusal::TimedOut { started: false },
            });
        }
        for (id, turn) in &mut self.turns {
            let Some(waited) = turn.waited else { continue };
            if !turn.answered && waited.deadline <= now {
                turn.answered = true;
                out.push(Effect::Refuse {
                    call: waited.call,
                    why: Refusal::TimedOut { started: true },
                });
                out.push(Effect::Tell {
                    turn: *id,
                    stop: false,
                });
            }
        }
        let rested = self.rests() && self.rests_since.after(self.rules.idle) <= now;
        match self.phase {
            Phase::Dormant if rested => self.go(out),
            Phase::Live if rested => {
                self.leave.get_or_insert(DeactivateReason::Idle);
            }
            Phase::Dormant
            | Phase::Loading
            | Phase::Migrating
            | Phase::Waking
            | Phase::Live
            | Phase::Leaving(_)
            | Phase::Gone => {}
        }
        self.advance(now, out);
        self.rearm();
    }

    /// Begins whatever may begin now.
    fn advance(&mut self, now: Time, out: &mut Vec<Effect>) {
        match self.phase {
            Phase::Dormant if self.stopping => self.go(out),
            Phase::Dormant if !self.mailbox.is_empty() => {
                self.phase = Phase::Loading;
                out.push(Effect::Load(self.reason));
            }
            Phase::Live if self.broken => {
                if self.turns.is_empty() {
                    self.drop_instance(now, ActivateReason::Recovery, out);
                }
            }
            Phase::Live => match self.leave {
                Some(reason) if self.turns.is_empty() => self.dismiss(now, reason, out),
                Some(_) => {}
                None => self.begin_turns(out),
            },
            Phase::Dormant
            | Phase::Loading
            | Phase::Migrating
            | Phase::Waking
            | Phase::Leaving(_)
            | Phase::Gone => {}
        }
        if self.rests() {
            self.wake_at(self.rests_since.after(self.rules.idle));
        }
    }

    fn begin_turns(&mut self, out: &mut Vec<Effect>) {
        while let Some(first) = self.mailbox.first() {
            let beside = first.beside && self.side_by_side;
            let free = self.turns.is_empty()
                || (beside && self.turns.values().all(|turn| !turn.exclusive));
            if !free {
                return;
            }
            let waited = self.mailbox.pop();
            self.begin(Work::Call(first.call), waited, !beside, out);
        }
    }

    fn begin(
        &mut self,
        work: Work,
        waited: Option<Waiting>,
        exclusive: bool,
        out: &mut Vec<Effect>,
    ) {
        let id = TurnId(self.next_turn);
        self.next_turn += 1;
        let turn = Turn {
            work,
            waited,
            exclusive,
            answered: false,
            committing: false,
            drop_after: false,
        };
        self.turns.insert(id, turn);
        out.push(Effect::Run { turn: id, work });
    }

    fn dismiss(&mut self, now: Time, reason: DeactivateReason, out: &mut Vec<Effect>) {
        self.phase = Phase::Leaving(reason);
        if self.hooks {
            self.begin(Work::Deactivate(reason), None, true, out);
        } else {
            self.left(now, reason, out);
        }
    }

    /// The goodbye is said.
    fn left(&mut self, now: Time, reason: DeactivateReason, out: &mut Vec<Effect>) {
        let next = match reason {
            DeactivateReason::Upgrade => ActivateReason::Upgrade,
            DeactivateReason::Idle
            | DeactivateReason::Pressure
            | DeactivateReason::Shutdown
            | DeactivateReason::Requested => ActivateReason::Message,
        };
        self.drop_instance(now, next, out);
        // An upgraded grain stays, so that its next activation knows why it is one.
        if self.phase == Phase::Dormant && reason != DeactivateReason::Upgrade {
            self.go(out);
        }
    }

    fn drop_instance(&mut self, now: Time, next: ActivateReason, out: &mut Vec<Effect>) {
        debug_assert!(self.turns.is_empty());
        out.push(Effect::Drop);
        self.reason = next;
        self.rest(now);
        self.advance(now, out);
    }

    fn rest(&mut self, now: Time) {
        self.phase = Phase::Dormant;
        self.rests_since = now;
        self.broken = false;
        self.leave = None;
    }

    fn go(&mut self, out: &mut Vec<Effect>) {
        if self.phase != Phase::Gone {
            self.phase = Phase::Gone;
            self.wake = None;
            out.push(Effect::Gone);
        }
    }

    fn refuse_all(&mut self, why: Refusal, out: &mut Vec<Effect>) {
        while let Some(waiting) = self.mailbox.pop() {
            out.push(Effect::Refuse {
                call: waiting.call,
                why,
            });
        }
    }

    fn rests(&self) -> bool {
        matches!(self.phase, Phase::Dormant | Phase::Live)
            && self.turns.is_empty()
            && self.mailbox.is_empty()
    }

    fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn rearm(&mut self) {
        if self.phase == Phase::Gone {
            return;
        }
        let waiting = self.mailbox.iter().map(|waiting| waiting.deadline);
        let running = self
            .turns
            .values()
            .filter(|turn| !turn.answered)
            .filter_map(|turn| Some(turn.waited?.deadline));
        let idle = self
            .rests()
            .then(|| self.rests_since.after(self.rules.idle));
        self.wake = waiting.chain(running).chain(idle).min();
    }
}
