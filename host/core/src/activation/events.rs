//! What happens to one grain's activation.

use core::time::Duration;

use super::mailbox::Waiting;
use crate::id::{CallId, Revision};
use crate::limits::Limits;

/// A turn, unique within its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub u64);

/// Why a grain is activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivateReason {
    /// A first message, or one after a time of rest.
    Message,
    /// The activation before this one trapped or was fenced.
    Recovery,
    /// A new revision takes over.
    Upgrade,
}

/// Why an activation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeactivateReason {
    /// No message for the kind's idle time.
    Idle,
    /// The node needs the memory or the place.
    Pressure,
    /// A new revision takes over.
    Upgrade,
    /// The node stops.
    Shutdown,
    /// An operator asked for it.
    Requested,
}

/// What loading found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The revision that wrote the state, if `migrate` has to run first.
    pub migrate: Option<Revision>,
    /// Whether the component has hooks around an activation.
    pub hooks: bool,
    /// Whether `read` and `interleave` turns may overlap.
    pub side_by_side: bool,
    /// The limits of the revision that runs.
    pub rules: Rules,
}

/// The limits that the machine itself keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Calls that wait.
    pub mailbox_calls: u32,
    /// Bytes of arguments that wait.
    pub mailbox_bytes: u64,
    /// How long the activation may rest.
    pub idle: Duration,
}

impl From<&Limits> for Rules {
    fn from(limits: &Limits) -> Self {
        Self {
            mailbox_calls: limits.mailbox_calls,
            mailbox_bytes: limits.mailbox_bytes,
            idle: limits.idle,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A call.
    Arrived(Waiting),
    /// A call that waits turns out to be of the other mode under the revision that runs now.
    Moded {
        /// Which.
        call: CallId,
        /// Whether it is a `read` or an `interleave`.
        beside: bool,
    },
    /// The caller or an operator gave a call up.
    Cancel {
        /// Which.
        call: CallId,
        /// Whether a running turn is to be stopped; otherwise it is finished for nobody.
        stop: bool,
    },
    /// A call that waits would wait in a circle.
    Circle(CallId),
    /// The instance is there.
    Loaded(Facts),
    /// There is no instance; the driver knows why.
    NotLoaded,
    /// A turn ended in the guest.
    Ended {
        /// Which.
        turn: TurnId,
        /// How.
        end: End,
    },
    /// A commit was decided.
    Committed {
        /// Whose.
        turn: TurnId,
        /// How.
        kept: Kept,
    },
    /// The instance is to be dropped: for `Pressure` only if it rests, else after the running turns. Calls that wait are kept.
    Leave(DeactivateReason),
    /// The node stops: calls that wait are refused.
    Stop,
    /// The time of `next_wake` has come.
    Wake,
}

/// How a turn ended in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The guest was not entered; the answer is there all the same.
    Untouched,
    /// It answered, and there is nothing to keep.
    Clean,
    /// It answered, and there is something to keep.
    Keep,
    /// It was rolled back, but that it was handled is to be kept.
    KeepAndDrop,
    /// It left nothing, and the instance is not to be trusted.
    Failed,
}

/// How a commit was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is durable.
    Yes,
    /// Nothing was written: the store is full, closed, or broken.
    No,
    /// Nothing was written: a newer activation exists.
    Fenced {
        /// Whether the turn touched nothing outside its own state, so that it may run again.
        again: bool,
    },
}
