//! Clients of other kinds, linked from the types of the component that imports them.
//!
//! A `ref` is an entry of the store's table: a key, and how to call. A call takes the values as the engine has lifted them, and goes the
//! way of every other call from there on.

use std::sync::Arc;
use std::time::Duration;

use granary_core::error::CallError;
use granary_core::id::{GrainId, IdError, Key};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceAny, ResourceType, Val};

use super::calls::{checked_key, wit_error};
use super::{Linked, Reach};
use crate::guest::Guest;
use crate::interface::{APP, CALL, CODES, ClientImport, ClientMethod, RESOURCE};
use crate::value::Typed;
use crate::{OutgoingCall, Payload};

/// A grain that a guest holds a `ref` to. Whether its key is one shows at the first call: a constructor has no words for it.
struct GrainRef {
    key: Result<Key, IdError>,
    timeout: Option<Duration>,
    idempotency_key: Option<String>,
}

/// Links the clients of one component.
pub(crate) fn link(
    linker: &mut Linker<Guest>,
    clients: &[Arc<ClientImport>],
) -> wasmtime::Result<()> {
    for client in clients {
        let mut instance = linker.instance(&client.name)?;
        instance.resource(
            RESOURCE,
            ResourceType::host::<GrainRef>(),
            |mut store, rep| {
                let table = store.data_mut().table();
                table.delete(Resource::<GrainRef>::new_own(rep))?;
                Ok(())
            },
        )?;
        for (name, _) in &client.makers {
            instance.func_new(name, |store, _, params, results| {
                make(store, params, results)
            })?;
        }
        for at in 0..client.methods.len() {
            link_method(&mut instance, client, at)?;
        }
    }
    Ok(())
}

/// An `async func` leaves the store to the guest's other tasks while it waits; any other blocks it.
fn link_method(
    instance: &mut Linked<'_>,
    client: &Arc<ClientImport>,
    at: usize,
) -> wasmtime::Result<()> {
    let name = &client.methods[at].import;
    let own = Arc::clone(client);
    if client.methods[at].method.is_async {
        return instance.func_new_concurrent(name, move |store, _, params, results| {
            let client = Arc::clone(&own);
            Box::pin(async move { call(store, &client, at, params, results).await })
        });
    }
    instance.func_new_async(name, move |store, _, params, results| {
        let client = Arc::clone(&own);
        Box::new(async move { call(store, &client, at, params, results).await })
    })
}

/// The constructor, and the static function that takes options, too.
fn make(
    mut store: StoreContextMut<'_, Guest>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let (Some(Val::String(key)), Some(result)) = (params.first(), results.first_mut()) else {
        return Err(unlike());
    };
    let mut made = GrainRef {
        key: Key::parse(key),
        timeout: None,
        idempotency_key: None,
    };
    if let Some(Val::Record(options)) = params.get(1) {
        for (_, option) in options {
            let Val::Option(Some(value)) = option else {
                continue;
            };
            if let Val::U64(nanoseconds) = &**value {
                made.timeout = Some(Duration::from_nanos(*nanoseconds));
            } else if let Val::String(key) = &**value {
                made.idempotency_key = Some(key.clone());
            } else {
                return Err(unlike());
            }
        }
    }
    let made = store.data_mut().table().push(made)?;
    *result = Val::Resource(ResourceAny::try_from_resource(made, &mut store)?);
    Ok(())
}

/// The types were checked when the component was inspected.
fn unlike() -> wasmtime::Error {
    wasmtime::format_err!("a client has another type than when it was inspected")
}

async fn call(
    mut reach: impl Reach,
    client: &ClientImport,
    at: usize,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let known = &client.methods[at];
    let Some((Val::Resource(grain), arguments)) = params.split_first() else {
        return Err(unlike());
    };
    // The borrow ends here, whatever becomes of the call.
    let grain = reach.with(|store| grain.try_into_resource::<GrainRef>(store))?;
    let prepared = prepare(&mut reach, client, known, &grain, arguments)?;
    let answer = match prepared {
        Ok(out) => {
            let host = reach.host();
            let _under_way = known.method.is_async.then(|| out.turn.call_out());
            host.call(out).await
        }
        Err(error) => Err(error),
    };
    let limits = reach.with(|store| store.data().linked.spec().limits);
    let method = &known.method;
    let answer = match answer {
        Ok(Payload::Typed(typed)) => method.answer_from_typed(typed, &limits),
        Ok(Payload::Json(json)) => method.answer_from_json(&json, false, &limits),
        // Kept under an idempotency key.
        Err(CallError::App { value, .. }) => {
            method.answer_from_json(value.as_bytes(), true, &limits)
        }
        Ok(Payload::Cbor(_) | Payload::Raw(_)) => Err(CallError::UnknownOutcome {
            detail: "the answer came in an encoding that nobody asked for".to_owned(),
        }),
        Err(error) => Err(error),
    };
    let result = results.first_mut().ok_or_else(unlike)?;
    *result = Val::Result(match answer {
        Ok(Ok(ok)) => Ok(ok),
        Ok(Err(own)) => Err(Some(Box::new(Val::Variant(APP.to_owned(), own)))),
        Err(error) => {
            let error = error_val(error);
            Err(Some(Box::new(if known.merged {
                Val::Variant(CALL.to_owned(), Some(Box::new(error)))
            } else {
                error
            })))
        }
    });
    Ok(())
}

type Prepared = Result<OutgoingCall, CallError>;

fn prepare(
    reach: &mut impl Reach,
    client: &ClientImport,
    known: &ClientMethod,
    grain: &Resource<GrainRef>,
    arguments: &[Val],
) -> wasmtime::Result<Prepared> {
    let unavailable = |detail| CallError::Unavailable { detail };
    let turn = reach
        .caller()
        .and_then(|caller| reach.turn(caller, |turn| turn.context.clone()))
        .map_err(unavailable);
    reach.with(|store| {
        let guest = store.data_mut();
        let kind = guest.linked.called_by(client).clone();
        let grain = guest.table().get(grain)?;
        let (timeout, idempotency_key) = (grain.timeout, grain.idempotency_key.clone());
        let key = grain.key.clone().map_err(|error| CallError::Invalid {
            pointer: "/target/key".to_owned(),
            detail: error.to_string(),
        });
        Ok((|| {
            let turn = turn?;
            let holds = !known.method.is_async && turn.mode.overlaps();
            Ok(OutgoingCall {
                turn,
                target: GrainId::new(kind, key?),
                method: known.method.name.clone(),
                arguments: Payload::Typed(Typed::arguments(
                    arguments.to_vec(),
                    Arc::clone(&known.method),
                )),
                timeout,
                idempotency_key: checked_key(idempotency_key)?,
                holds,
            })
        })())
    })
}

/// A `call-error` as the engine lowers it.
fn error_val(error: CallError) -> Val {
    let field = |name: &str, val| (name.to_owned(), val);
    let told = wit_error(error);
    let code = Val::Enum(CODES[told.code as usize].to_owned());
    let grains = told.circle.into_iter().map(|grain| {
        Val::Record(vec![
            field("kind", Val::String(grain.kind)),
            field("key", Val::String(grain.key)),
        ])
    });
    Val::Record(vec![
        field("code", code),
        field("text", Val::String(told.text)),
        field("circle", Val::List(grains.collect())),
    ])
}
