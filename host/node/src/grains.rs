//! Calls to grains: finding the activation or making one, the mailbox, the answer.
//!
//! A live grain is one task that drives the machine of [`granary_core::activation`]; a table in shards says which grains are live.
//! A warm call touches one shard's lock for the look-up and nothing else that is shared.

pub mod call;
pub mod inspect;

mod driver;
mod edit;
mod fingerprint;
mod host;
mod load;
mod memory;
mod message;
mod pressure;
mod streamed;
pub(crate) mod table;
mod turn;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use granary_core::activation::DeactivateReason;
use granary_core::error::{CallError, Failure};
use granary_core::id::{CallId, GrainId, KindName};
use granary_core::limits::Limits;
use granary_runtime::{BoxFuture, HttpBody, handover};
use granary_store::Head;
use http_body_util::BodyExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

pub use call::{Answer, AnswerBody, Call, CallArguments, CallerInfo, Encoding, Timing};
pub use inspect::{ActivationInfo, ActivationState, Explanation, GrainInfo, LastFailure, TurnInfo};
pub use streamed::{Ending, Streamed, Ways};
pub(crate) use turn::HOOK_REFUSED;

use crate::kinds::KindEntry;
use crate::node::shared::Shared;
use call::failure;
use driver::Driver;
use load::{choose, refused};
use message::{Cancel, Checked, HttpJob, Job, Message, Pending};
use table::Handle;

/// How often a call looks for an activation that does not go away under its hands.
const PUSHES_MAX: usize = 100;

/// Calls to grains. Cheap to clone.
#[derive(Clone)]
pub struct Grains {
    shared: Arc<Shared>,
}

impl Grains {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Calls a method and waits for the answer. A method's `err` is `Err` with [`CallError::App`].
    /// Dropping the future gives the call up: one that waits is taken out, one that runs is finished for nobody.
    pub async fn call(&self, call: Call) -> Result<Answer, Failure> {
        if self.shared.is_stopping() {
            return Err(failure(stopping(), &call, None));
        }
        dispatch(&self.shared, call, None).await
    }

    /// Serves a request through a component's `wasi:http/incoming-handler`, as one turn. The response of a turn that writes comes
    /// after its commit.
    pub async fn http(
        &self,
        grain: GrainId,
        request: http::Request<HttpBody>,
        caller: CallerInfo,
    ) -> Result<http::Response<HttpBody>, Failure> {
        let CallerInfo {
            principal,
            baggage,
            timeout,
        } = caller;
        let method = request.method().as_str().to_owned();
        let call = Call {
            principal,
            baggage,
            timeout,
            ..Call::new(grain, method, Vec::new())
        };
        if self.shared.is_stopping() {
            return Err(failure(stopping(), &call, None));
        }
        let entry = entry(&self.shared, &call)?;
        let limits = limits(&entry);
        let (parts, body) = request.into_parts();
        let limit = usize::try_from(limits.http_body).unwrap_or(usize::MAX);
        let body = http_body_util::Limited::new(body, limit)
            .map_err(std::io::Error::other)
            .boxed_unsync();
        let (respond, response) = oneshot::channel();
        let job = HttpJob {
            request: http::Request::from_parts(parts, body),
            respond,
        };
        let arrived = Instant::now();
        let deadline = arrived + call.timeout.unwrap_or(limits.call_timeout);
        let (handle, id) = (activation(&self.shared, &call.grain, &entry), call.id);
        let job = Job::Http(Some(Box::new(job)));
        let (pending, mut answer) = pending(call, job, (arrived, deadline), entry);
        push(&self.shared, handle.clone(), pending);
        let mut abandoned = Abandoned {
            handle: Arc::clone(&handle),
            call: Some(id),
        };
        tokio::pin!(response);
        let (found, ended) = tokio::select! {
            biased;
            response = &mut response => match response {
                Ok(response) => (Some(response), None),
                // Nothing comes any more: the turn's own end says why.
                Err(_) => (None, (&mut answer).await.ok()),
            },
            ended = &mut answer => match ended {
                Ok(Ok(_)) => (response.await.ok(), None),
                Ok(Err(failure)) => (None, Some(Err(failure))),
                Err(_) => (None, None),
            },
        };
        // From here on the turn is the response's: a client that goes away does not end it.
        abandoned.call = None;
        match ended {
            Some(Err(failure)) => Err(failure),
            Some(Ok(_)) | None => found.ok_or_else(|| lost(&handle.grain).into()),
        }
    }

    /// What the store knows of a grain, without activating it.
    pub async fn head(&self, grain: &GrainId) -> Result<Head, Failure> {
        let head = self.shared.store.head(grain).await;
        head.map_err(|error| in_frame(refused(&self.shared, &error), grain))
    }

    /// Every activation on this node.
    pub fn activations(&self) -> Vec<ActivationInfo> {
        let now = self.shared.clock.now().0;
        let infos = self
            .shared
            .table
            .all()
            .into_iter()
            .map(|handle| handle.info(now));
        infos
            .filter(|info| info.state != ActivationState::Dormant)
            .collect()
    }

    /// How many live activations a kind has.
    pub fn live(&self, kind: &KindName) -> usize {
        self.shared.table.live(kind)
    }

    /// What is known of a grain, without activating it. Errors: `NotFound` for an unknown kind, `Unavailable`.
    pub async fn describe(&self, grain: &GrainId) -> Result<GrainInfo, Failure> {
        let Some(entry) = self.shared.kinds.entry(&grain.kind) else {
            return Err(in_frame(
                self.shared.kinds.unknown(grain.kind.as_str()),
                grain,
            ));
        };
        let head = self.head(grain).await?;
        let handle = self.shared.table.get(grain);
        let activation = handle.map(|handle| handle.info(self.shared.clock.now().0));
        Ok(GrainInfo {
            grain: grain.clone(),
            node: self.shared.name.clone(),
            state_version: head.version,
            state_bytes: head.bytes,
            state_keys: head.keys,
            wrote_last: head.revision,
            changed_at_ms: head.changed_at_ms,
            runs_next: choose(&entry.record, head.revision, None),
            activation: activation.filter(|info| info.state != ActivationState::Dormant),
        })
    }

    /// Why a grain does what it does.
    pub async fn explain(&self, grain: &GrainId) -> Explanation {
        inspect::explain(&self.shared, grain).await
    }

    /// Lets a grain finish its turn, then drops its activation. Whether it was live.
    pub async fn deactivate(&self, grain: &GrainId) -> bool {
        let Some(handle) = self.shared.table.get(grain) else {
            return false;
        };
        let was_live = handle.live.read().is_some();
        handle.leave(DeactivateReason::Requested).await;
        was_live
    }

    /// Cancels a call: a waiting one is answered `cancelled`; a running one is told, and stopped after two seconds. Whether it was found.
    pub async fn cancel(&self, call: CallId) -> bool {
        for handle in self.shared.table.all() {
            let (found, answer) = oneshot::channel();
            let cancel = Message::Cancel(Box::new(Cancel {
                call,
                stop: true,
                found: Some(found),
            }));
            if handle.inbox.send(cancel).await.is_ok() && answer.await == Ok(true) {
                return true;
            }
        }
        false
    }
}

/// Calls a method on behalf of a client, a grain or the pump. `until`: the caller's own deadline, which no call outlives. The call is on its
/// way at once, and what comes back waits for its answer.
pub(crate) fn dispatch<'a>(
    shared: &'a Arc<Shared>,
    call: Call,
    until: Option<Instant>,
) -> impl Future<Output = Result<Answer, Failure>> + Send + use<'a> {
    let arrived = Instant::now();
    let called = entry(shared, &call).map(|entry| {
        let handle = shared.table.get(&call.grain);
        let metrics = match &handle {
            Some(handle) => Arc::clone(&handle.metrics),
            None => shared.metrics.kind(&call.grain.kind),
        };
        (
            metrics,
            called(shared, call, handle, entry, (arrived, until)),
        )
    });
    async move {
        let (metrics, called) = called?;
        let answer = match called {
            Called::Begun(begun) => begun.answer().await,
            Called::Refused(failure) => Err(*failure),
            Called::Later(begun) => match begun.await {
                Ok(begun) => begun.answer().await,
                Err(failure) => Err(failure),
            },
        };
        let own = CallError::App {
            value: String::new(),
            rolled_back: false,
        };
        let error = match &answer {
            Ok(answer) => answer.is_app_error().then_some(&own),
            Err(failure) => Some(&failure.error),
        };
        metrics.called(error, arrived.elapsed());
        answer
    }
}

/// What has become of a call so far.
enum Called<'a> {
    /// It is on its way.
    Begun(Begun),
    /// It fits no method.
    Refused(Box<Failure>),
    /// Its kind has to be made ready first. In a box, as it is rare and takes a lot of room.
    Later(BoxFuture<'a, Result<Begun, Failure>>),
}

fn called(
    shared: &Arc<Shared>,
    mut call: Call,
    handle: Option<Arc<Handle>>,
    entry: Arc<KindEntry>,
    (arrived, until): (Instant, Option<Instant>),
) -> Called<'_> {
    match check_at_once(&mut call, handle.as_deref(), &entry) {
        Some(Ok(checked)) => {
            let begun = begin(shared, call, checked, (handle, entry), (arrived, until));
            Called::Begun(begun)
        }
        Some(Err(error)) => {
            let revision = entry.record.current;
            Called::Refused(Box::new(failure(error, &call, Some(revision))))
        }
        None => Called::Later(Box::pin(async move {
            match check_when_ready(shared, &mut call, &entry).await {
                Ok(checked) => {
                    let since = (Instant::now(), until);
                    Ok(begin(shared, call, checked, (handle, entry), since))
                }
                Err(error) => Err(failure(error, &call, Some(entry.record.current))),
            }
        })),
    }
}

/// A call that waits for its answer. Dropped before that, it is given up.
struct Begun {
    abandoned: Abandoned,
    answer: oneshot::Receiver<Result<Answer, Failure>>,
}

impl Begun {
    async fn answer(mut self) -> Result<Answer, Failure> {
        let answer = self.answer.await;
        self.abandoned.call = None;
        let grain = &self.abandoned.handle.grain;
        answer.unwrap_or_else(|_| Err(in_frame(lost(grain), grain)))
    }
}

fn begin(
    shared: &Arc<Shared>,
    call: Call,
    checked: Checked,
    (handle, entry): (Option<Arc<Handle>>, Arc<KindEntry>),
    (arrived, until): (Instant, Option<Instant>),
) -> Begun {
    let patience = call
        .timeout
        .or(checked.spec.timeout)
        .unwrap_or_else(|| checked.linked.spec().limits.call_timeout);
    let deadline = arrived + patience;
    let deadline = until.map_or(deadline, |until| until.min(deadline));
    let handle = handle.unwrap_or_else(|| activation(shared, &call.grain, &entry));
    let id = call.id;
    let job = Job::Method(Ok(checked));
    let (pending, answer) = pending(call, job, (arrived, deadline), entry);
    push(shared, Arc::clone(&handle), pending);
    let abandoned = Abandoned {
        handle,
        call: Some(id),
    };
    Begun { abandoned, answer }
}

/// Reads a call as a method of what is live, or else of what is current. The activation reads it once more if it runs neither.
async fn check(
    shared: &Shared,
    call: &mut Call,
    handle: Option<&Handle>,
    entry: &Arc<KindEntry>,
) -> Result<Checked, CallError> {
    match check_at_once(call, handle, entry) {
        Some(checked) => checked,
        None => check_when_ready(shared, call, entry).await,
    }
}

/// None: what is current has to be made ready first.
fn check_at_once(
    call: &mut Call,
    handle: Option<&Handle>,
    entry: &KindEntry,
) -> Option<Result<Checked, CallError>> {
    let ready = entry.ready(entry.record.current);
    if let Some(live) = handle.and_then(Handle::linked) {
        let checked = Checked::new(call, &live);
        let is_current = || {
            ready
                .as_ref()
                .is_some_and(|ready| Arc::ptr_eq(ready, &live))
        };
        // What is live may be an older revision, which this very call replaces.
        if checked.is_ok() || is_current() {
            return Some(checked);
        }
    }
    Some(Checked::new(call, &ready?))
}

async fn check_when_ready(
    shared: &Shared,
    call: &mut Call,
    entry: &Arc<KindEntry>,
) -> Result<Checked, CallError> {
    let linked = shared.kinds.linked(entry, entry.record.current).await?;
    Checked::new(call, &linked)
}

fn pending(
    call: Call,
    job: Job,
    (arrived, deadline): (Instant, Instant),
    entry: Arc<KindEntry>,
) -> (Pending, oneshot::Receiver<Result<Answer, Failure>>) {
    let (reply, answer) = oneshot::channel();
    (
        Pending {
            call,
            job,
            arrived,
            deadline,
            entry,
            reply,
            streaming: None,
        },
        answer,
    )
}

/// The activation of a grain, begun if there is none.
fn activation(shared: &Arc<Shared>, grain: &GrainId, entry: &KindEntry) -> Arc<Handle> {
    shared
        .table
        .get_or_insert(grain, || Driver::start(shared, grain, entry))
}

/// Puts a call into its activation's inbox; into that of the next one, if it has just gone.
fn push(shared: &Arc<Shared>, mut handle: Arc<Handle>, pending: Pending) {
    let mut message = Message::Call(Box::new(pending));
    for _ in 0..PUSHES_MAX {
        let refused = match handover::hand_over(|| handle.inbox.try_send(message)) {
            Ok(()) => return,
            Err(TrySendError::Closed(refused)) => refused,
            Err(TrySendError::Full(Message::Call(pending))) => {
                let detail = format!(
                    "the inbox of {} is full; limits.mailbox-calls raises it",
                    handle.grain
                );
                return pending.refuse(CallError::Overloaded { detail });
            }
            Err(TrySendError::Full(_)) => return,
        };
        // It has gone but not yet left the table.
        shared.table.remove(&handle);
        let Message::Call(pending) = refused else {
            return;
        };
        handle = activation(shared, &pending.call.grain, &pending.entry);
        message = Message::Call(pending);
    }
    if let Message::Call(pending) = message {
        pending.refuse(CallError::Unavailable {
            detail: "no activation stays alive".to_owned(),
        });
    }
}

/// A call that came too late for its activation: the next one takes it.
pub(crate) fn pass_on(shared: &Arc<Shared>, pending: Pending) {
    if shared.is_stopping() {
        return pending.refuse(stopping());
    }
    let handle = activation(shared, &pending.call.grain, &pending.entry);
    push(shared, handle, pending);
}

/// Tells the activation when a caller no longer waits.
struct Abandoned {
    handle: Arc<Handle>,
    call: Option<CallId>,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            // If the inbox is full, the call waits for its deadline instead.
            drop(self.handle.inbox.try_send(Message::Cancel(Box::new(Cancel {
                call,
                stop: false,
                found: None,
            }))));
        }
    }
}

fn entry(shared: &Shared, call: &Call) -> Result<Arc<KindEntry>, Failure> {
    shared.kinds.entry(&call.grain.kind).ok_or_else(|| {
        shared.metrics.calls_astray.increment(1);
        failure(shared.kinds.unknown(call.grain.kind.as_str()), call, None)
    })
}

fn limits(entry: &KindEntry) -> Limits {
    entry
        .record
        .revision(entry.record.current)
        .map(|revision| revision.spec.limits)
        .unwrap_or_default()
}

fn stopping() -> CallError {
    CallError::Unavailable {
        detail: "the node is stopping".to_owned(),
    }
}

fn lost(grain: &GrainId) -> CallError {
    CallError::UnknownOutcome {
        detail: format!("the activation of {grain} ended without an answer"),
    }
}

/// An error that concerns a grain but no method of it.
pub(crate) fn in_frame(error: CallError, grain: &GrainId) -> Failure {
    Failure {
        error,
        grain: Some(grain.clone()),
        method: None,
        revision: None,
        chain: vec![grain.clone()],
    }
}
