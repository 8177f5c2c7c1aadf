//! One turn of the guest, from the idempotency look-up to the encoded answer. Commits nothing.

use std::sync::Arc;
use std::time::Duration;

use granary_core::activation::End;
use granary_core::error::{CallError, LimitName};
use granary_core::id::GrainId;
use granary_core::turn::Wishes;
use granary_runtime::{
    Answered, Arguments, Body, Ended, HeldResponse, Instance, JsonOptions, Linked, Method, Results,
    Streaming, TurnContext, Typed, ValueError, Work,
};

use super::call::{Answer, AnswerBody, Encoding};
use super::load::{refused, too_slow};
use super::message::HttpJob;
use crate::node::shared::Shared;
use crate::observe::now_ms;
use crate::sends::kept;

/// What stands between the name of a hook and why it refused.
pub(crate) const HOOK_REFUSED: &str = "hook refused: ";

/// What a turn came to.
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) result: Result<AnswerBody, CallError>,
    /// The answer is an earlier call's, kept under the same idempotency key.
    pub(crate) replayed: bool,
    /// That answer, unless it was an `err`.
    pub(crate) kept: Option<Answer>,
    pub(crate) wishes: Option<Wishes>,
    /// A raw HTTP response, or a stream, that has to wait for the commit.
    pub(crate) held: Option<HeldResponse>,
    pub(crate) cpu: Duration,
}

impl Outcome {
    /// The guest was not entered.
    pub(crate) fn untouched(result: Result<AnswerBody, CallError>) -> Self {
        Self {
            end: End::Untouched,
            result,
            replayed: false,
            kept: None,
            wishes: None,
            held: None,
            cpu: Duration::ZERO,
        }
    }

    fn done(end: End, wishes: Wishes, cpu: Duration) -> Self {
        Self {
            end,
            result: Ok(AnswerBody::Unit),
            wishes: Some(wishes),
            held: None,
            cpu,
            replayed: false,
            kept: None,
        }
    }

    fn failed(error: CallError, cpu: Duration) -> Self {
        Self {
            end: End::Failed,
            result: Err(error),
            wishes: None,
            held: None,
            cpu,
            replayed: false,
            kept: None,
        }
    }
}

/// A method's turn.
pub(crate) struct MethodTurn {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grain: GrainId,
    pub(crate) linked: Arc<Linked>,
    pub(crate) instance: Instance,
    pub(crate) context: Arc<TurnContext>,
    pub(crate) method: Arc<Method>,
    pub(crate) arguments: Arguments,
    pub(crate) accept: Encoding,
    pub(crate) is_read: bool,
    pub(crate) rollback_on_err: bool,
    /// The fingerprint of the call, where it has an idempotency key that counts.
    pub(crate) fingerprint: Option<u64>,
    /// Whether the end of the turn has to be noted down even if nothing was written.
    pub(crate) settles: bool,
}

impl MethodTurn {
    pub(crate) async fn run(self, streaming: Option<Box<Streaming>>) -> Outcome {
        if let Some(fingerprint) = self.fingerprint {
            match self.kept(fingerprint).await {
                Ok(None) => {}
                Ok(Some(outcome)) => return outcome,
                Err(error) => return Outcome::untouched(Err(error)),
            }
        }
        let work = Work::Method {
            method: Arc::clone(&self.method),
            arguments: self.arguments,
            streaming,
        };
        let ended = self.instance.run(self.context, work).await;
        let choices = Choices {
            accept: self.accept,
            keeps: self.fingerprint.is_some() || self.settles,
            is_read: self.is_read,
            rollback_on_err: self.rollback_on_err,
        };
        judge(ended, &self.method, &self.linked, &choices)
    }

    /// The answer under the call's idempotency key.
    async fn kept(&self, fingerprint: u64) -> Result<Option<Outcome>, CallError> {
        let Some(key) = &self.context.idempotency_key else {
            return Ok(None);
        };
        let found = self.shared.store.reply(&self.grain, key, now_ms()).await;
        let Some(record) = found.map_err(|error| refused(&self.shared, &error))? else {
            return Ok(None);
        };
        if record.fingerprint != fingerprint {
            let detail = format!(
                "the idempotency key '{key}' was used for another method or other arguments"
            );
            return Err(CallError::Invalid {
                pointer: String::new(),
                detail,
            });
        }
        let end = if self.settles {
            End::Keep
        } else {
            End::Untouched
        };
        Ok(Some(match kept::decode(&record.answer)? {
            Ok(answer) => Outcome {
                end,
                replayed: true,
                kept: Some(answer),
                ..Outcome::untouched(Ok(AnswerBody::Unit))
            },
            Err(failure) => Outcome {
                end,
                replayed: true,
                ..Outcome::untouched(Err(failure.error))
            },
        }))
    }
}

struct Choices {
    accept: Encoding,
    /// Whether its end is noted down even if it wrote nothing.
    keeps: bool,
    is_read: bool,
    rollback_on_err: bool,
}

/// What becomes of a method's turn: the answer is encoded first, because one that cannot be given must not be committed.
fn judge(ended: Ended, method: &Arc<Method>, linked: &Linked, choices: &Choices) -> Outcome {
    let Ended {
        result,
        wishes,
        cpu,
        poisoned,
    } = ended;
    let results = match result {
        Ok(Answered::Method(results)) => results,
        // Its stream has ended; what it gave has left, or waits for the commit.
        Ok(Answered::Http(held)) => return flowed(held, (wishes, poisoned), cpu),
        Ok(Answered::Hook | Answered::HookErr(_)) => {
            return Outcome::failed(mixed_up(), cpu);
        }
        // Nothing was lost that its memory may know of: it lives on.
        Err(error) if !poisoned && wishes.is_empty() => {
            return Outcome {
                result: Err(error),
                ..Outcome::done(End::Clean, wishes, cpu)
            };
        }
        Err(error) => return Outcome::failed(error, cpu),
    };
    let rolled_back = results.is_err() && choices.rollback_on_err;
    let result = match encode(results, method, linked, choices.accept) {
        Ok(Encoded::Typed(typed)) => Ok(AnswerBody::Typed(typed)),
        Ok(Encoded::Body(body)) if body.is_err => Err(CallError::App {
            value: String::from_utf8_lossy(&body.bytes).into_owned(),
            rolled_back,
        }),
        Ok(Encoded::Body(body)) => Ok(answer_body(body, choices.accept)),
        Err(error) => return Outcome::failed(error, cpu),
    };
    if rolled_back {
        // That it was handled is kept even so: neither a message nor a key is executed twice.
        let end = if choices.keeps {
            End::KeepAndDrop
        } else {
            End::Failed
        };
        return Outcome {
            end,
            result,
            wishes: None,
            held: None,
            cpu,
            replayed: false,
            kept: None,
        };
    }
    let keep = choices.keeps || (!choices.is_read && !wishes.is_empty());
    let end = match (keep, poisoned) {
        (true, false) => End::Keep,
        (true, true) => End::KeepAndDrop,
        (false, false) => End::Clean,
        (false, true) => End::Failed,
    };
    Outcome {
        end,
        result,
        wishes: Some(wishes),
        held: None,
        cpu,
        replayed: false,
        kept: None,
    }
}

/// A result as its caller wants it.
enum Encoded {
    Body(Body),
    Typed(Typed),
}

fn encode(
    results: Results,
    method: &Arc<Method>,
    linked: &Linked,
    accept: Encoding,
) -> Result<Encoded, CallError> {
    let limits = &linked.spec().limits;
    let json =
        |int64_as_string| method.results_to_json(&results, JsonOptions { int64_as_string }, limits);
    let written = match accept {
        Encoding::Typed => {
            let typed = method.results_to_typed(results, limits);
            return typed.map(Encoded::Typed).map_err(not_given);
        }
        // An `err` is told in the one form that every face can show.
        _ if results.is_err() => json(false),
        Encoding::Json => json(false),
        Encoding::JsonInt64Strings => json(true),
        Encoding::Cbor => method.results_to_cbor(&results, limits),
        Encoding::Raw => method.results_to_raw(&results, limits),
    };
    written.map(Encoded::Body).map_err(not_given)
}

fn not_given(error: ValueError) -> CallError {
    CallError::LimitExceeded {
        limit: error.limit.unwrap_or(LimitName::Result),
        detail: error.to_string(),
    }
}

fn answer_body(body: Body, accept: Encoding) -> AnswerBody {
    if body.is_unit {
        return AnswerBody::Unit;
    }
    match accept {
        Encoding::Json | Encoding::JsonInt64Strings => AnswerBody::Json(body.bytes),
        Encoding::Cbor => AnswerBody::Cbor(body.bytes),
        Encoding::Raw | Encoding::Typed => AnswerBody::Raw(body.bytes),
    }
}

/// A hook's turn.
pub(crate) struct HookTurn {
    pub(crate) instance: Instance,
    pub(crate) context: Arc<TurnContext>,
    pub(crate) work: Work,
    pub(crate) name: &'static str,
    pub(crate) limit: Duration,
    pub(crate) limit_key: &'static str,
}

impl HookTurn {
    pub(crate) async fn run(self) -> Outcome {
        let running = self.instance.run(self.context, self.work);
        let Ok(ended) = tokio::time::timeout(self.limit, running).await else {
            return Outcome::failed(
                too_slow(self.name, self.limit_key, self.limit),
                Duration::ZERO,
            );
        };
        let Ended {
            result,
            wishes,
            cpu,
            poisoned,
        } = ended;
        let error = match result {
            Ok(Answered::Hook) if !poisoned => {
                let end = if wishes.is_empty() {
                    End::Clean
                } else {
                    End::Keep
                };
                return Outcome::done(end, wishes, cpu);
            }
            Ok(Answered::HookErr(words)) => CallError::Unavailable {
                detail: format!("the grain's '{}' {HOOK_REFUSED}{words}", self.name),
            },
            Ok(Answered::Hook | Answered::Method(_) | Answered::Http(_)) => mixed_up(),
            Err(error) => error,
        };
        Outcome::failed(error, cpu)
    }
}

/// A raw HTTP request's turn.
pub(crate) async fn http_turn(
    instance: Instance,
    context: Arc<TurnContext>,
    job: HttpJob,
) -> Outcome {
    let work = Work::Http {
        request: Box::new(job.request),
        respond: job.respond,
    };
    let Ended {
        result,
        wishes,
        cpu,
        poisoned,
    } = instance.run(context, work).await;
    match result {
        Ok(Answered::Http(held)) => flowed(held, (wishes, poisoned), cpu),
        Ok(Answered::Hook | Answered::HookErr(_) | Answered::Method(_)) => {
            Outcome::failed(mixed_up(), cpu)
        }
        Err(error) => Outcome::failed(error, cpu),
    }
}

/// The end of a turn whose reply has left, or waits for the commit.
fn flowed(
    held: Option<HeldResponse>,
    (wishes, poisoned): (Wishes, bool),
    cpu: Duration,
) -> Outcome {
    let end = match (wishes.is_empty(), poisoned) {
        (true, false) => End::Clean,
        (true, true) => End::Failed,
        (false, false) => End::Keep,
        (false, true) => End::KeepAndDrop,
    };
    Outcome {
        held,
        ..Outcome::done(end, wishes, cpu)
    }
}

fn mixed_up() -> CallError {
    CallError::GuestTrap {
        detail: "the runtime answered another kind of work".to_owned(),
        backtrace: Vec::new(),
    }
}
