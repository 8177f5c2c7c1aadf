//! What every engine must do, as one suite that is run against each.
//!
//! A test hands [`all`] a [`Rig`] for each case; a case that does not hold panics with what it expected. An engine that
//! passes may be trusted with promises 1 to 3 of the design as far as one process can show it; that they hold when the
//! process is killed is shown by a test of the engine itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite of tests: a case that does not hold ends in a panic"
)]

mod catalogue;
mod failure;
mod fencing;
mod messages;
mod state;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use granary_core::id::{CallId, Epoch, GrainId, KindName, Revision};

use crate::door::{Commit, Pending, SendRecord, Store};

/// How a case gets at an engine. Each case has a new one.
pub trait Rig: Send + Sync {
    /// Opens the store; after the last one was dropped or closed, with what that one kept.
    fn open(&self) -> Arc<dyn Store>;

    /// Whether a store that is opened again still has everything.
    fn is_durable(&self) -> bool;

    /// States how many bytes are free from now on.
    fn set_free_bytes(&self, bytes: u64);
}

type Case = for<'a> fn(&'a dyn Rig) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! cases {
    ($($file:ident::$name:ident,)*) => {
        /// Every case, by name.
        pub const CASES: &[(&str, Case)] = &[$((stringify!($name), |rig| Box::pin($file::$name(rig))),)*];
    };
}

cases! {
    state::a_grain_that_never_committed_is_empty,
    state::a_commit_is_read_back_and_counted,
    state::a_head_counts_exactly_what_is_there,
    state::a_large_state_is_read_key_by_key,
    state::listings_come_in_pages,
    state::grains_are_listed_by_kind_and_key,
    state::a_purged_grain_is_new_again,
    fencing::a_newer_activation_refuses_the_older_one,
    fencing::a_released_activation_may_not_commit,
    fencing::a_load_sees_every_commit_that_was_let_in_before,
    fencing::racing_activations_lose_no_update,
    fencing::commits_of_many_grains_are_all_kept_in_order,
    messages::messages_come_due_in_order,
    messages::a_turn_settles_and_sends_in_one_step,
    messages::given_up_messages_stay_until_settled,
    messages::kept_answers_expire,
    messages::results_expire,
    catalogue::a_kind_is_replaced_only_if_it_is_as_expected,
    catalogue::values_come_and_go,
    catalogue::components_come_and_go,
    failure::a_full_store_changes_nothing_and_recovers,
    failure::a_closed_store_says_so,
    failure::a_refused_change_does_not_touch_its_neighbours,
    failure::everything_is_there_after_opening_again,
}

/// Runs every case, each on a rig of its own.
pub async fn all<R: Rig>(new: impl Fn() -> R) {
    for (name, case) in CASES {
        tracing::info!("{name}");
        let rig = new();
        case(&rig).await;
    }
}

/// How long a case waits for anything.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The answer, which must come and be good.
async fn good<T>(pending: Pending<'_, T>) -> T {
    match tokio::time::timeout(PATIENCE, pending).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("the store refused: {error} ({error:?})"),
        Err(_) => panic!("the store did not answer"),
    }
}

fn grain(text: &str) -> GrainId {
    GrainId::parse(text).unwrap()
}

fn kind(text: &str) -> KindName {
    KindName::parse(text).unwrap()
}

/// A turn that wishes nothing.
fn turn(grain: &GrainId, epoch: Epoch) -> Commit {
    Commit {
        grain: grain.clone(),
        epoch,
        revision: Revision(1),
        now_ms: 1000,
        writes: BTreeMap::new(),
        sends: Vec::new(),
        reply: None,
        settles: None,
    }
}

/// A turn that writes.
fn writing(grain: &GrainId, epoch: Epoch, writes: &[(&str, Option<&[u8]>)]) -> Commit {
    let writes = writes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(<[u8]>::to_vec)))
        .collect();
    Commit {
        writes,
        ..turn(grain, epoch)
    }
}

/// A message to nobody in particular.
fn message(id: u128, due_at_ms: u64) -> SendRecord {
    SendRecord {
        id: CallId(id),
        from: None,
        target: grain("mail/box"),
        method: "take".to_owned(),
        arguments: b"[1]".to_vec(),
        baggage: BTreeMap::from([("trace".to_owned(), "7".to_owned())]),
        principal: Some("someone".to_owned()),
        idempotency_key: None,
        due_at_ms,
        sent_at_ms: 900,
        attempts: 0,
        keep_result: true,
        given_up: None,
    }
}
