//! What is to be done for one grain's activation.

use super::events::{ActivateReason, DeactivateReason, TurnId};
use crate::id::{CallId, Revision};

/// What a turn does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Hands the state of an older revision to `migrate`.
    Migrate(Revision),
    /// Runs the `activate` hook.
    Activate(ActivateReason),
    /// Runs a call.
    Call(CallId),
    /// Runs the `deactivate` hook.
    Deactivate(DeactivateReason),
}

/// Why a call gets no turn, or no answer from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many calls wait.
    MailboxCalls(u32),
    /// Too many bytes wait.
    MailboxBytes(u64),
    /// Its deadline passed.
    TimedOut {
        /// Whether its turn had begun.
        started: bool,
    },
    /// It was given up before its turn.
    Cancelled,
    /// It would have waited in a circle, which the driver knows.
    Deadlock,
    /// There is no instance to run it; the driver knows why.
    NotLoaded,
    /// A hook that had to run first failed in this turn.
    Hook(TurnId),
    /// The node stops.
    Stopping,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Take a new epoch, choose the revision, make an instance.
    Load(ActivateReason),
    /// Run a turn.
    Run {
        /// Which.
        turn: TurnId,
        /// What it does.
        work: Work,
    },
    /// Keep what a turn left.
    Commit(TurnId),
    /// Give a turn's answer to its caller and forget the turn.
    Reply {
        /// The turn.
        turn: TurnId,
        /// The call.
        call: CallId,
    },
    /// Forget a turn to whose answer nobody listens.
    Close(TurnId),
    /// Answer a call in the machine's own words.
    Refuse {
        /// Which.
        call: CallId,
        /// Why.
        why: Refusal,
    },
    /// Tell a running turn that its caller has given up.
    Tell {
        /// Which.
        turn: TurnId,
        /// Whether it is to be stopped.
        stop: bool,
    },
    /// The migration failed in this turn: the grain stays on its old revision and the rollout halts.
    PutBack(TurnId),
    /// Drop the instance and release the epoch.
    Drop,
    /// Nothing is left; the machine takes no more events.
    Gone,
}
