//! The one error of a call, for every border: HTTP, the command line, WIT and, later, the wire.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{GrainId, Revision};

/// What became of the called grain's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The turn never began.
    NotStarted,
    /// The turn began and left no trace.
    NoEffect,
    /// The turn was committed; the error is its answer.
    Committed,
    /// Nobody can tell.
    Unknown,
}

/// Why a call gave no result. The codes of `granary:grain/types.call-error` are the same cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum CallError {
    /// A queue or the node is full.
    Overloaded {
        /// Which limit, with its value and the setting that raises it.
        detail: String,
    },
    /// The call would have waited in a circle.
    Deadlock {
        /// The circle: first and last grain are the same.
        cycle: Vec<GrainId>,
    },
    /// The deadline passed.
    Timeout {
        /// What it waited for.
        detail: String,
        /// Whether the turn had begun, so that its outcome is unknown.
        started: bool,
    },
    /// Given up by the caller or an operator, before it had an effect.
    Cancelled {
        /// By whom.
        detail: String,
    },
    /// The caller may not, or a `read` method tried to write.
    Denied {
        /// What is missing.
        detail: String,
    },
    /// No such kind or method.
    NotFound {
        /// What was looked for, with the nearest name.
        detail: String,
    },
    /// Arguments that do not fit the method.
    Invalid {
        /// A JSON pointer to the wrong place; empty for the whole.
        pointer: String,
        /// What was expected and what was there.
        detail: String,
    },
    /// The guest trapped; the turn was dropped.
    GuestTrap {
        /// The trap's message, with the guest's own words where it left some.
        detail: String,
        /// The guest's stack, innermost frame first; empty where the component carries no names.
        backtrace: Vec<String>,
    },
    /// The guest used up a limit; the turn was dropped.
    LimitExceeded {
        /// Which one.
        limit: LimitName,
        /// Its value, and the manifest key that raises it.
        detail: String,
    },
    /// The activation was fenced, or another commit came first.
    Conflict {
        /// Which of the two.
        detail: String,
    },
    /// The node cannot serve just now.
    Unavailable {
        /// Why, and what has to happen.
        detail: String,
    },
    /// The answer was lost on its way.
    UnknownOutcome {
        /// Where.
        detail: String,
    },
    /// The method answered `err`.
    App {
        /// The value, as JSON text.
        value: String,
        /// Whether the manifest made this `err` drop the turn (`rollback-on-err`).
        rolled_back: bool,
    },
}

/// The limits that a guest can run into. Each is one key of a manifest's `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitName {
    /// Linear memory and tables of one activation.
    Memory,
    /// Guest CPU time of one turn.
    CpuTime,
    /// The guest's stack.
    Stack,
    /// Wall-clock time of one turn after its answer was given up.
    WallTime,
    /// Bytes of one call's arguments.
    Arguments,
    /// Bytes of one call's result.
    Result,
    /// Bytes of one state value.
    StateValue,
    /// Bytes of a grain's whole state.
    StateTotal,
    /// One-way messages of one turn.
    Sends,
    /// Host memory that arguments or a result need once decoded.
    HostMemory,
    /// Time that a turn may go on after its answer.
    TailTime,
    /// Bytes of a request's body that streams into a turn.
    HttpBody,
}

impl LimitName {
    /// The manifest key under `[limits]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::CpuTime => "cpu-time",
            Self::Stack => "stack",
            Self::WallTime => "wall-time",
            Self::Arguments => "arguments",
            Self::Result => "result",
            Self::StateValue => "state-value",
            Self::StateTotal => "state-total",
            Self::Sends => "sends",
            Self::HostMemory => "host-memory",
            Self::TailTime => "tail-time",
            Self::HttpBody => "http-body",
        }
    }
}

impl CallError {
    /// The case's name, in kebab case as in WIT.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "overloaded",
            Self::Deadlock { .. } => "deadlock",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled { .. } => "cancelled",
            Self::Denied { .. } => "denied",
            Self::NotFound { .. } => "not-found",
            Self::Invalid { .. } => "invalid",
            Self::GuestTrap { .. } => "guest-trap",
            Self::LimitExceeded { .. } => "limit-exceeded",
            Self::Conflict { .. } => "conflict",
            Self::Unavailable { .. } => "unavailable",
            Self::UnknownOutcome { .. } => "unknown-outcome",
            Self::App { .. } => "app",
        }
    }

    /// What became of the turn.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Overloaded { .. }
            | Self::Deadlock { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { started: false, .. } => Outcome::NotStarted,
            Self::Cancelled { .. }
            | Self::Denied { .. }
            | Self::GuestTrap { .. }
            | Self::LimitExceeded { .. }
            | Self::Conflict { .. }
            | Self::App {
                rolled_back: true, ..
            } => Outcome::NoEffect,
            Self::App {
                rolled_back: false, ..
            } => Outcome::Committed,
            Self::Timeout { started: true, .. } | Self::UnknownOutcome { .. } => Outcome::Unknown,
        }
    }

    /// Whether the same call may be repeated with hope, and without doing anything twice.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Overloaded { .. }
            | Self::Deadlock { .. }
            | Self::Conflict { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { started: false, .. } => true,
            Self::Timeout { started: true, .. }
            | Self::Cancelled { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::GuestTrap { .. }
            | Self::LimitExceeded { .. }
            | Self::UnknownOutcome { .. }
            | Self::App { .. } => false,
        }
    }

    /// Its HTTP status (`platform` table): each case has exactly one, but for [`CallError::LimitExceeded`] of
    /// arguments (413) and [`CallError::App`], whose status the manifest may choose.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Overloaded { .. } => 429,
            Self::Deadlock { .. } => 508,
            Self::Timeout { .. } => 504,
            Self::Cancelled { .. } => 499,
            Self::Denied { .. } => 403,
            Self::NotFound { .. } => 404,
            Self::Invalid { .. } => 422,
            Self::GuestTrap { .. } => 500,
            Self::LimitExceeded {
                limit: LimitName::Arguments | LimitName::HttpBody,
                ..
            } => 413,
            Self::LimitExceeded { .. } => 507,
            Self::Conflict { .. } => 409,
            Self::Unavailable { .. } => 503,
            Self::UnknownOutcome { .. } => 502,
            Self::App { .. } => 400,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded { detail }
            | Self::Timeout { detail, .. }
            | Self::Cancelled { detail }
            | Self::Denied { detail }
            | Self::NotFound { detail }
            | Self::GuestTrap { detail, .. }
            | Self::Conflict { detail }
            | Self::Unavailable { detail }
            | Self::UnknownOutcome { detail } => f.write_str(detail),
            Self::LimitExceeded { limit, detail } => {
                write!(f, "limit '{}' exceeded: {detail}", limit.key())
            }
            Self::Invalid { pointer, detail } if pointer.is_empty() => f.write_str(detail),
            Self::Invalid { pointer, detail } => write!(f, "{pointer}: {detail}"),
            Self::Deadlock { cycle } => {
                f.write_str("deadlock: ")?;
                for (at, grain) in cycle.iter().enumerate() {
                    if 0 < at {
                        f.write_str(" → ")?;
                    }
                    fmt::Display::fmt(grain, f)?;
                }
                Ok(())
            }
            Self::App { value, .. } => write!(f, "the method answered err: {value}"),
        }
    }
}

impl core::error::Error for CallError {}

/// A call's error with everything that the caller is told about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub error: CallError,
    /// Which grain; none where the call did not name one.
    pub grain: Option<GrainId>,
    /// Which method.
    pub method: Option<String>,
    /// Which revision ran, or would have.
    pub revision: Option<Revision>,
    /// The grains that waited, the first caller first, the called grain last.
    pub chain: Vec<GrainId>,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self {
            error,
            grain: None,
            method: None,
            revision: None,
            chain: Vec::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.grain, &self.method) {
            (Some(grain), Some(method)) => write!(f, "{grain} {method}: {}", self.error),
            (Some(grain), None) => write!(f, "{grain}: {}", self.error),
            (None, _) => fmt::Display::fmt(&self.error, f),
        }
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}
