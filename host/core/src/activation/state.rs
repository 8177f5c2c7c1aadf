//! Where one grain's activation stands.

use super::effects::Work;
use super::events::DeactivateReason;
use super::mailbox::Waiting;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Dormant,
    Loading,
    Migrating,
    Waking,
    Live,
    Leaving(DeactivateReason),
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) work: Work,
    /// The call as it waited; to be put back if the turn runs again.
    pub(super) waited: Option<Waiting>,
    pub(super) exclusive: bool,
    pub(super) answered: bool,
    pub(super) committing: bool,
    /// Whether the instance goes even if the commit is kept.
    pub(super) drop_after: bool,
}

/// What a driver shows of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is in memory.
    Dormant,
    /// Loading, migrating or waking.
    Activating,
    /// Live without a turn.
    Idle,
    /// Live with a turn.
    Running,
    /// Dismissing its instance.
    Leaving,
}
