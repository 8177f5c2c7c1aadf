//! What a running turn may know about itself. Every function answers at once.

use std::time::Duration;

use crate::bindings::granary::grain::context as host;
pub use crate::bindings::granary::grain::context::{
    activation_epoch, baggage, call_chain, caller, idempotency_key, is_cancelled, principal,
    revision, self_id, set_baggage,
};
pub use crate::bindings::granary::grain::types::GrainId;

/// The key of the grain whose code is running.
pub fn key() -> String {
    self_id().key
}

/// How long the caller still waits; zero when it has given up.
pub fn deadline_remaining() -> Duration {
    Duration::from_nanos(host::deadline_remaining())
}

impl GrainId {
    /// The grain `kind/key`.
    pub fn new(kind: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            key: key.into(),
        }
    }
}

impl std::fmt::Display for GrainId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}
