//! What an activation's task is told.

use std::sync::Arc;
use std::time::Instant;

use granary_core::activation::DeactivateReason;
use granary_core::error::{CallError, Failure};
use granary_core::id::CallId;
use granary_core::kind::{MethodSpec, Mode};
use granary_runtime::{Arguments, HttpBody, Linked, Method, Payload, Streaming};
use tokio::sync::oneshot;

use super::call::{Answer, Call, CallArguments, Encoding, failure};
use super::inspect::{LastFailure, TurnInfo};
use crate::kinds::KindEntry;

/// What may be put into an activation's inbox.
pub(crate) enum Message {
    /// A call.
    Call(Box<Pending>),
    /// A call was given up. In a box, as each live grain has room for some thirty messages.
    Cancel(Box<Cancel>),
    /// Drop the instance. `done` is told when it is gone, or dropped when it does not go.
    Leave {
        reason: DeactivateReason,
        done: Option<oneshot::Sender<()>>,
    },
    /// The node stops.
    Stop,
    /// A person asks.
    Explain(oneshot::Sender<Inside>),
}

/// A call that was given up.
pub(crate) struct Cancel {
    pub(crate) call: CallId,
    /// Whether its turn is to be stopped, too.
    pub(crate) stop: bool,
    /// Told whether the call was here.
    pub(crate) found: Option<oneshot::Sender<bool>>,
}

/// What only the task itself knows.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) turns: Vec<TurnInfo>,
    pub(crate) mailbox: Vec<CallId>,
    pub(crate) last_failure: Option<LastFailure>,
}

/// A call in the hands of an activation.
pub(crate) struct Pending {
    pub(crate) call: Call,
    pub(crate) job: Job,
    pub(crate) arrived: Instant,
    pub(crate) deadline: Instant,
    /// The kind as the caller saw it: an activation made under another generation looks whether it is still right.
    pub(crate) entry: Arc<KindEntry>,
    pub(crate) reply: oneshot::Sender<Result<Answer, Failure>>,
    /// The ways of its streams; taken by its first turn.
    pub(crate) streaming: Option<Box<Streaming>>,
}

impl Pending {
    /// Reads the call as a method of what runs, if it was read as one of something else.
    pub(crate) fn fit(&mut self, linked: &Arc<Linked>) {
        let Job::Method(read) = &mut self.job else {
            return;
        };
        if !matches!(read, Ok(checked) if Arc::ptr_eq(&checked.linked, linked)) {
            *read = Checked::new(&mut self.call, linked);
        }
    }

    /// Answers in the node's own words.
    pub(crate) fn refuse(self, error: CallError) {
        let answer = Err(failure(error, &self.call, None));
        // A caller that has gone needs no answer.
        drop(self.reply.send(answer));
    }
}

/// What a call runs.
pub(crate) enum Job {
    /// A method, checked against the component that was current when it came.
    Method(Result<Checked, CallError>),
    /// A raw HTTP request.
    Http(Option<Box<HttpJob>>),
}

/// A raw HTTP request and the way back.
pub(crate) struct HttpJob {
    pub(crate) request: http::Request<HttpBody>,
    pub(crate) respond: oneshot::Sender<http::Response<HttpBody>>,
}

/// A call that fits its method.
pub(crate) struct Checked {
    pub(crate) linked: Arc<Linked>,
    pub(crate) method: Arc<Method>,
    pub(crate) spec: MethodSpec,
    /// Taken by the turn; a turn that has to run again reads them anew.
    pub(crate) arguments: Option<Arguments>,
}

impl Checked {
    /// Reads a call as a method of a component. Nothing has been done if it does not fit.
    pub(crate) fn new(call: &mut Call, linked: &Arc<Linked>) -> Result<Self, CallError> {
        let method = match &call.arguments {
            CallArguments::Payload(Payload::Typed(typed)) => {
                let interface = &linked.component().interface;
                match interface.called_by(typed) {
                    Some(method) => method,
                    None => crate::sends::method(linked, &call.method)?,
                }
            }
            CallArguments::Payload(Payload::Json(_) | Payload::Cbor(_) | Payload::Raw(_))
            | CallArguments::Query(_) => crate::sends::method(linked, &call.method)?,
        };
        if let Some(why) = &method.not_callable {
            return Err(CallError::Invalid {
                pointer: String::new(),
                detail: format!("method '{}' cannot be called: {why}", method.name),
            });
        }
        if method.streams() && !call.streams {
            return Err(CallError::Invalid {
                pointer: String::new(),
                detail: format!(
                    "method '{}' takes or gives a stream, which only a caller over HTTP can pass on, as one request of its own: /g/KIND/KEY/{}",
                    method.name, method.name
                ),
            });
        }
        let spec = linked
            .spec()
            .methods
            .get(&method.name)
            .cloned()
            .unwrap_or_default();
        if call.read_only && spec.mode != Mode::Read {
            let detail = format!(
                "method '{}' is not marked `mode = \"read\"` in the manifest",
                method.name
            );
            return Err(CallError::Denied { detail });
        }
        let arguments = Some(arguments(call, method, linked)?);
        if call.accept == Encoding::Raw && !method.gives_raw() {
            call.accept = Encoding::Json;
        }
        Ok(Self {
            linked: Arc::clone(linked),
            method: Arc::clone(method),
            spec,
            arguments,
        })
    }

    pub(crate) fn is_read(&self) -> bool {
        self.spec.mode == Mode::Read
    }

    pub(crate) fn overlaps(&self) -> bool {
        self.spec.mode.overlaps()
    }
}

/// The arguments of a call, as a method's types want them.
pub(crate) fn arguments(
    call: &Call,
    method: &Arc<Method>,
    linked: &Linked,
) -> Result<Arguments, CallError> {
    let limits = &linked.spec().limits;
    if limits.arguments < call.arguments.len() as u64 {
        return Err(CallError::LimitExceeded {
            limit: granary_core::error::LimitName::Arguments,
            detail: format!(
                "{} bytes came, {} are allowed",
                call.arguments.len(),
                limits.arguments
            ),
        });
    }
    let read = match &call.arguments {
        CallArguments::Payload(Payload::Json(body)) => method.arguments_from_json(body, limits),
        CallArguments::Payload(Payload::Cbor(body)) => method.arguments_from_cbor(body, limits),
        CallArguments::Payload(Payload::Raw(body)) => method.arguments_from_raw(body, limits),
        CallArguments::Payload(Payload::Typed(typed)) => method.arguments_from_typed(typed, limits),
        CallArguments::Query(query) => method.arguments_from_query(query, limits),
    };
    read.map_err(CallError::from)
}
