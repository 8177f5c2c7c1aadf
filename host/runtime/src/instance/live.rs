//! A store with its guest, and one turn in it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use granary_core::activation::{ActivateReason, DeactivateReason};
use granary_core::error::CallError;
use granary_core::limits::Limits;
use granary_core::turn::Wishes;
use tokio::time::timeout_at;
use wasmtime::component::{Accessor, Func, Instance as Component, Val};
use wasmtime::{AsContextMut, Store};

use super::failure;
use super::stream::{self, Channels, Outlet, Progress, Streaming};
use super::{Answered, Work};
use crate::engine::EngineKind;
use crate::engine::capacity::Place;
use crate::guest::Guest;
use crate::guest::turn::{Gate, Turn};
use crate::http::incoming;
use crate::link::Exports;
use crate::{Arguments, Method, Results, TurnContext};

/// Rounds of the store's event loop in which the host takes what a guest has written before it came to rest.
const ROUNDS_AT_REST: u8 = 4;

/// A guest that can run. Dropping it frees its memory and its place.
pub(crate) struct Live {
    // In this order: the place is free only once the memory is.
    pub(crate) store: Store<Guest>,
    component: Component,
    functions: Vec<Option<(Func, usize)>>,
    _place: Place,
}

/// What a turn came to.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answered, CallError>,
    pub(crate) wishes: Wishes,
}

impl Live {
    pub(crate) fn new(
        store: Store<Guest>,
        component: Component,
        place: Place,
        exports: &Exports,
    ) -> Box<Self> {
        Box::new(Self {
            store,
            component,
            functions: vec![None; exports.len()],
            _place: place,
        })
    }

    /// Runs one turn alone. On `true` the guest lives on.
    pub(crate) async fn run(&mut self, context: Arc<TurnContext>, work: Work) -> (Outcome, bool) {
        let gate = Arc::new(Gate::default());
        let limits = self.limits();
        let guest = self.store.data_mut();
        guest.room.begin_turn();
        guest.output.begin_turn();
        guest.turns.begin();
        guest.turns.alone = Some(Turn::new(context.clone(), limits, gate.clone()));
        let progress = Arc::<Progress>::default();
        let turn = context.clone();
        let channels = Channels {
            context,
            gate,
            progress: progress.clone(),
        };
        // From here on the next tick counts: until now the store rested, however many have passed.
        self.store.set_epoch_deadline(1);
        // What is rare has a box of its own: a future is moved a few times before it is polled, with the room of everything that it may wait for.
        let mut answered = match &work {
            Work::Method {
                method, arguments, ..
            } if !method.flows() => match self.exported(method) {
                Ok((function, results)) => {
                    let results = self.call(function, arguments.vals(), results).await;
                    results.map(|results| Answered::Method(Results::new(results)))
                }
                Err(error) => Err(error),
            },
            Work::Method { .. }
            | Work::Activate(_)
            | Work::Deactivate(_)
            | Work::Migrate { .. }
            | Work::Http { .. } => Box::pin(self.enter(work, channels)).await,
        };
        if let (EngineKind::Async, Ok(_) | Err(Broken::Refused(_))) =
            (self.store.data().linked.component().engine, &answered)
            && let Err(error) = Box::pin(self.settle(&turn, &progress)).await
        {
            answered = Err(Broken::Dead(error));
        }
        let answered =
            answered.and_then(|answered| progress.close(answered).map_err(Broken::Refused));
        let turn = self.store.data_mut().turns.alone.take();
        let limits = self.limits();
        let nothing = || Wishes::new(false, limits, 0);
        let (result, turn) = match answered {
            Err(Broken::Dead(error)) => {
                let result = Err(failure::call_error(error, &mut self.store, turn));
                self.store.data().output.end_turn();
                let wishes = nothing();
                return (Outcome { result, wishes }, false);
            }
            Err(Broken::Refused(error)) => (Err(error), turn),
            Ok(answered) => (Ok(answered), turn),
        };
        let wishes = turn.map_or_else(nothing, |turn| turn.wishes);
        self.store.data().output.end_turn();
        (Outcome { result, wishes }, true)
    }

    /// Waits until nothing of an async guest runs any more: what it does after its answer still belongs to the turn, and to the commit.
    /// So does its stream, for as long as somebody waits for it.
    async fn settle(&mut self, turn: &TurnContext, progress: &Progress) -> wasmtime::Result<()> {
        let limits = self.limits();
        let since = Instant::now();
        {
            let mut at_rest = pin!(self.store.run_concurrent(async |accessor| {
                poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await
            }));
            let mut until = progress.tail_until(turn, since, limits.tail_time);
            while Instant::now() < until {
                if let Ok(at_rest) = timeout_at(until.into(), &mut at_rest).await {
                    return at_rest;
                }
                until = progress.tail_until(turn, since, limits.tail_time);
            }
        }
        if let Some(turn) = &mut self.store.data_mut().turns.alone {
            turn.stop_tail(&limits, progress.flows());
        }
        Err(wasmtime::format_err!("work went on after the answer"))
    }

    /// The guest itself.
    pub(crate) fn component(&self) -> Component {
        self.component
    }

    async fn enter(&mut self, work: Work, channels: Channels) -> Result<Answered, Broken> {
        let exports = self.store.data().linked.exports().clone();
        match work {
            Work::Method {
                method,
                arguments,
                streaming,
            } => self.flowing(method, arguments, streaming, channels).await,
            Work::Activate(reason) => self.hook(exports.activate, activate_reason(reason)).await,
            Work::Deactivate(reason) => {
                self.hook(exports.deactivate, deactivate_reason(reason))
                    .await
            }
            Work::Migrate { from } => self.hook(exports.migrate, Val::U64(from.0)).await,
            Work::Http { request, respond } => {
                let Some(at) = exports.http else {
                    let detail = "this revision exports no wasi:http/incoming-handler".to_owned();
                    return Err(Broken::Refused(CallError::NotFound { detail }));
                };
                let (handler, _) = self.function(at)?;
                incoming::serve(
                    &mut self.store,
                    handler,
                    incoming::Exchange {
                        request: *request,
                        respond,
                        gate: channels.gate,
                    },
                )
                .await
            }
        }
    }

    /// Calls a method with a stream or a future in its signature.
    async fn flowing(
        &mut self,
        method: Arc<Method>,
        arguments: Arguments,
        streaming: Option<Box<Streaming>>,
        channels: Channels,
    ) -> Result<Answered, Broken> {
        let (function, results) = self.exported(&method)?;
        let mut arguments = arguments.vals().to_vec();
        let store = self.store.as_context_mut();
        let outlet = Outlet::new(store, channels, method, streaming, &mut arguments)
            .map_err(Broken::Dead)?;
        let mut results = self.call(function, &arguments, results).await?;
        let opened = outlet.open(self.store.as_context_mut(), &results);
        if let Some(value) = opened.map_err(Broken::Dead)? {
            let value = self.store.run_concurrent(async |accessor| {
                // A guest that has come to rest gives none any more.
                tokio::select! {
                    biased;
                    value = value => value.ok(),
                    () = at_rest(accessor) => None,
                }
            });
            let value = value
                .await
                .and_then(|value| value.ok_or_else(stream::no_value));
            stream::resolve(&mut results, value.map_err(Broken::Dead)?);
        }
        Ok(Answered::Method(Results::new(results)))
    }

    async fn hook(&mut self, at: Option<usize>, argument: Val) -> Result<Answered, Broken> {
        let Some(at) = at else {
            return Ok(Answered::Hook);
        };
        let (function, results) = self.function(at)?;
        let results = self.call(function, &[argument], results).await?;
        match results.into_iter().next() {
            // Its type was checked when it was linked: an `err` is a text.
            Some(Val::Result(Err(Some(words)))) => {
                let words = if let Val::String(words) = *words {
                    words
                } else {
                    String::new()
                };
                Ok(Answered::HookErr(words))
            }
            Some(_) | None => Ok(Answered::Hook),
        }
    }

    async fn call(
        &mut self,
        function: Func,
        arguments: &[Val],
        results: usize,
    ) -> Result<Vec<Val>, Broken> {
        let mut results = vec![Val::Bool(false); results];
        function
            .call_async(&mut self.store, arguments, &mut results)
            .await
            .map_err(Broken::Dead)?;
        Ok(results)
    }

    /// A method's function, and how many results it has.
    fn exported(&mut self, method: &Arc<Method>) -> Result<(Func, usize), Broken> {
        let Some(at) = self.store.data().linked.exports().method(method) else {
            let detail = format!("this revision has no method '{}'", method.name);
            return Err(Broken::Refused(CallError::NotFound { detail }));
        };
        self.function(at)
    }

    /// Looked up once an instance.
    fn function(&mut self, at: usize) -> Result<(Func, usize), Broken> {
        if let Some(Some(known)) = self.functions.get(at) {
            return Ok(*known);
        }
        let missing = || Broken::Dead(wasmtime::format_err!("an export has gone"));
        let exports = self.store.data().linked.exports().clone();
        let export = exports.function(at).ok_or_else(missing)?;
        let function = self
            .component
            .get_func(&mut self.store, export.index)
            .ok_or_else(missing)?;
        if let Some(slot) = self.functions.get_mut(at) {
            *slot = Some((function, export.results));
        }
        Ok((function, export.results))
    }

    fn limits(&self) -> Limits {
        self.store.data().linked.spec().limits
    }
}

/// Comes back when the guest has come to rest, and the host has taken what it has written before.
async fn at_rest(accessor: &Accessor<Guest>) {
    for _ in 0..ROUNDS_AT_REST {
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        tokio::task::yield_now().await;
    }
}

/// Why a turn has no answer.
pub(crate) enum Broken {
    /// The guest was not entered.
    Refused(CallError),
    /// It was, and cannot be entered again.
    Dead(wasmtime::Error),
}

fn activate_reason(reason: ActivateReason) -> Val {
    let word = match reason {
        ActivateReason::Message => "message",
        ActivateReason::Recovery => "recovery",
        ActivateReason::Upgrade => "upgrade",
    };
    Val::Enum(word.to_owned())
}

fn deactivate_reason(reason: DeactivateReason) -> Val {
    let word = match reason {
        DeactivateReason::Idle => "idle",
        DeactivateReason::Pressure => "pressure",
        DeactivateReason::Upgrade => "upgrade",
        DeactivateReason::Shutdown => "shutdown",
        DeactivateReason::Requested => "requested",
    };
    Val::Enum(word.to_owned())
}
