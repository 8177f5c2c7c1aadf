//! What people see of grains: who is live, what it does, why it does not answer.

use std::sync::Arc;

use granary_core::id::{CallId, Epoch, GrainId, Revision};
use granary_core::limits::Limits;
use serde::Serialize;
use tokio::sync::oneshot;

use super::message::{Inside, Message};
use super::table::Handle;
use crate::node::shared::Shared;

/// What an activation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationState {
    /// Nothing is in memory; the next call activates it.
    Dormant,
    /// Being loaded, migrated or woken by its `activate` hook.
    Activating,
    /// Live, nothing to do.
    Idle,
    /// Live, running a turn.
    Running,
    /// On its way out.
    Deactivating,
}

/// A live activation, in one line.
#[derive(Debug, Clone, Serialize)]
pub struct ActivationInfo {
    /// Which grain.
    pub grain: GrainId,
    /// What it does.
    pub state: ActivationState,
    /// The revision that runs; none before it was loaded.
    pub revision: Option<Revision>,
    /// Its fencing number; none before it was loaded.
    pub epoch: Option<Epoch>,
    /// Calls that wait.
    pub queued: u32,
    /// Bytes of guest memory.
    pub memory_bytes: u64,
    /// How long since its last turn, in milliseconds.
    pub idle_ms: u64,
    /// Turns since it was activated.
    pub turns: u64,
}

/// What is known of a grain, live or not.
#[derive(Debug, Clone, Serialize)]
pub struct GrainInfo {
    /// Which grain.
    pub grain: GrainId,
    /// The node that answers.
    pub node: String,
    /// How many commits changed its state.
    pub state_version: u64,
    /// Bytes of its state, keys included.
    pub state_bytes: u64,
    /// How many keys it has.
    pub state_keys: u64,
    /// The revision that committed last; none if it never committed.
    pub wrote_last: Option<Revision>,
    /// When it last committed: milliseconds since the Unix epoch; 0 for never.
    pub changed_at_ms: u64,
    /// The revision that its next call runs.
    pub runs_next: Revision,
    /// Its activation, if it is live.
    pub activation: Option<ActivationInfo>,
}

/// A turn that is running.
#[derive(Debug, Clone, Serialize)]
pub struct TurnInfo {
    /// The call; none for a hook of the grain's own.
    pub call: Option<CallId>,
    /// The method, or the hook's name.
    pub method: String,
    /// For how long, in milliseconds.
    pub since_ms: u64,
    /// Whether its commit is under way.
    pub committing: bool,
    /// Who called; none from outside.
    pub caller: Option<GrainId>,
    /// The grains that it waits for.
    pub waits_for: Vec<GrainId>,
}

/// The last failure of a grain's own making.
#[derive(Debug, Clone, Serialize)]
pub struct LastFailure {
    /// When: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was running.
    pub method: String,
    /// The error's name.
    pub error: &'static str,
    /// What happened.
    pub detail: String,
    /// The guest's stack, innermost first.
    pub backtrace: Vec<String>,
}

/// Why a grain does what it does: everything that a person asks when it does not answer.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Which grain.
    pub grain: GrainId,
    /// The node that answers.
    pub node: String,
    /// One sentence: what it is doing, and what would change that.
    pub summary: String,
    /// Its activation, if it is live.
    pub activation: Option<ActivationInfo>,
    /// Its running turns.
    pub turns: Vec<TurnInfo>,
    /// Calls that wait in its mailbox, the next one first, at most 100.
    pub mailbox: Vec<CallId>,
    /// The grains whose turns wait for this one.
    pub waited_for_by: Vec<GrainId>,
    /// Its last trap, limit or refused hook while this node ran.
    pub last_failure: Option<LastFailure>,
    /// The limits that hold for it; none if its kind is unknown.
    pub limits: Option<Limits>,
    /// The revision that is current for its kind.
    pub current_revision: Option<Revision>,
    /// Its state, without activating it; none if the store could not be asked.
    pub state_version: Option<u64>,
}

/// Puts together what store, table and task know.
pub(crate) async fn explain(shared: &Arc<Shared>, grain: &GrainId) -> Explanation {
    let handle = shared.table.get(grain);
    let activation = handle
        .as_ref()
        .map(|handle| handle.info(shared.clock.now().0));
    let inside = match &handle {
        Some(handle) => ask(handle).await,
        None => Inside::default(),
    };
    let entry = shared.kinds.entry(&grain.kind);
    let record = entry.as_ref().map(|entry| &entry.record);
    let head = shared.store.head(grain).await.ok();
    let waited_for_by = shared.waits.lock().waited_for_by(grain);
    let runs = activation.as_ref().and_then(|info| info.revision);
    let limits_of = record.and_then(|record| record.revision(runs.unwrap_or(record.current)));
    Explanation {
        grain: grain.clone(),
        node: shared.name.clone(),
        summary: summary(
            record.is_some(),
            activation.as_ref(),
            &inside,
            shared.is_store_full(),
        ),
        activation,
        turns: inside.turns,
        mailbox: inside.mailbox,
        waited_for_by,
        last_failure: inside.last_failure,
        limits: limits_of.map(|revision| revision.spec.limits),
        current_revision: record.map(|record| record.current),
        state_version: head.map(|head| head.version),
    }
}

async fn ask(handle: &Handle) -> Inside {
    let (answer, inside) = oneshot::channel();
    if handle.inbox.send(Message::Explain(answer)).await.is_err() {
        return Inside::default();
    }
    inside.await.unwrap_or_default()
}

fn summary(
    known: bool,
    activation: Option<&ActivationInfo>,
    inside: &Inside,
    store_full: bool,
) -> String {
    if !known {
        return "its kind is not deployed; `granary deploy` it first".to_owned();
    }
    let full = if store_full {
        "; the store is full, so that turns which write are refused"
    } else {
        ""
    };
    let Some(activation) = activation else {
        return format!("it is not in memory; the next call activates it{full}");
    };
    let waiting = match activation.queued {
        0 => String::new(),
        1 => ", 1 call waits behind it".to_owned(),
        many => format!(", {many} calls wait behind it"),
    };
    let doing = match (activation.state, inside.turns.first()) {
        (ActivationState::Dormant, _) => {
            "its last instance was dropped; the next call makes a new one".to_owned()
        }
        (ActivationState::Activating, _) => "it is being activated".to_owned(),
        (ActivationState::Idle, _) => format!("it has been at rest for {} ms", activation.idle_ms),
        (ActivationState::Deactivating, _) => "it is being dismissed".to_owned(),
        (ActivationState::Running, Some(turn)) => running_summary(turn),
        (ActivationState::Running, None) => "it is running a turn".to_owned(),
    };
    format!("{doing}{waiting}{full}")
}

fn running_summary(turn: &TurnInfo) -> String {
    let since = format!(
        "it has been running '{}' for {} ms",
        turn.method, turn.since_ms
    );
    if turn.committing {
        return format!("{since} and waits for its commit");
    }
    match turn.waits_for.as_slice() {
        [] => since,
        others => {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            format!("{since} and waits for {}", others.join(" and "))
        }
    }
}
