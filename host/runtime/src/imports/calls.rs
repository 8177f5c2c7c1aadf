//! `granary:grain/calls` and `async-calls`: calls to other grains, and messages that leave with the commit.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granary_core::error::{CallError, LimitName};
use granary_core::id::{GrainId, Key, KindName};
use granary_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use granary_core::turn::{Refused, SendWish};
use wasmtime::StoreContextMut;
use wasmtime::component::Accessor;

use super::context::wit_id;
use super::{Linked, Reach, waiting};
use crate::bindings::granary::grain::calls::{CallOptions, Payload as WitPayload, SendOptions};
use crate::bindings::granary::grain::types::{
    CallError as WitCallError, CallErrorCode, GrainId as WitGrainId,
};
use crate::guest::Guest;
use crate::{Host, OutgoingCall, Payload};

pub(super) fn link(calls: &mut Linked<'_>) -> wasmtime::Result<()> {
    waiting!(calls, "call", call, (target: WitGrainId, method: String, arguments: WitPayload, options: CallOptions))?;
    calls.func_wrap(
        "send",
        |store: StoreContextMut<'_, Guest>,
         (target, method, arguments, options): (
            WitGrainId,
            String,
            WitPayload,
            SendOptions,
        )| { Ok((send(store, &target, method, arguments, options).map_err(wit_error),)) },
    )
}

type CallParams = (WitGrainId, String, WitPayload, CallOptions);

/// The function that lets its caller go on.
pub(super) fn link_async(calls: &mut Linked<'_>) -> wasmtime::Result<()> {
    calls.func_wrap_concurrent(
        "call",
        |mut accessor: &Accessor<Guest>, params: CallParams| {
            Box::pin(async move {
                let call = match prepare_call(&mut accessor, params) {
                    Ok(call) => call,
                    Err(error) => return Ok((Err(wit_error(error)),)),
                };
                let _under_way = call.turn.call_out();
                Ok((made(accessor.host(), call).await,))
            })
        },
    )
}

async fn call(
    mut reach: impl Reach,
    target: WitGrainId,
    method: String,
    arguments: WitPayload,
    options: CallOptions,
) -> Result<WitPayload, WitCallError> {
    let call = prepare_call(&mut reach, (target, method, arguments, options)).map_err(wit_error)?;
    let holds = call.turn.mode.overlaps();
    made(reach.host(), OutgoingCall { holds, ..call }).await
}

async fn made(host: Arc<dyn Host>, call: OutgoingCall) -> Result<WitPayload, WitCallError> {
    match host.call(call).await {
        Ok(payload) => wit_payload(payload).map_err(wit_error),
        Err(error) => Err(wit_error(error)),
    }
}

fn prepare_call(
    reach: &mut impl Reach,
    (target, method, arguments, options): CallParams,
) -> Result<OutgoingCall, CallError> {
    let unavailable = |detail| CallError::Unavailable { detail };
    let caller = reach.caller().map_err(unavailable)?;
    let target = parse_target(&target)?;
    let idempotency_key = checked_key(options.idempotency_key)?;
    let turn = reach
        .turn(caller, |turn| turn.context.clone())
        .map_err(unavailable)?;
    Ok(OutgoingCall {
        turn,
        target,
        method,
        arguments: payload(arguments),
        timeout: options.timeout.map(Duration::from_nanos),
        idempotency_key,
        holds: false,
    })
}

/// An idempotency key of a fitting length, or none.
pub(super) fn checked_key(key: Option<String>) -> Result<Option<String>, CallError> {
    match key {
        Some(key) if key.is_empty() || IDEMPOTENCY_KEY_BYTES_MAX < key.len() => {
            let detail = format!(
                "an idempotency key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes long, not {}",
                key.len()
            );
            Err(CallError::Invalid {
                pointer: String::new(),
                detail,
            })
        }
        key => Ok(key),
    }
}

fn send(
    mut store: StoreContextMut<'_, Guest>,
    target: &WitGrainId,
    method: String,
    arguments: WitPayload,
    options: SendOptions,
) -> Result<(), CallError> {
    let unavailable = |detail| CallError::Unavailable { detail };
    let caller = store.caller().map_err(unavailable)?;
    let target = parse_target(target)?;
    let arguments = as_json(arguments)?;
    store.host().check_send(&target, &method, &arguments)?;
    let delay = options.delay.map_or(Duration::ZERO, Duration::from_nanos);
    let noted = store.turn(caller, |turn| {
        if !turn.gate.open() {
            return Err(CallError::Denied {
                detail: "the HTTP response has left already: send before you set it".to_owned(),
            });
        }
        turn.gate.note_write();
        let baggage = turn.context.baggage.lock().clone();
        turn.wishes
            .send(SendWish {
                target,
                method,
                arguments,
                delay,
                baggage,
            })
            .map_err(refuse)
    });
    noted.map_err(unavailable)?
}

fn refuse(refused: Refused) -> CallError {
    let detail = refused.to_string();
    match refused {
        Refused::ReadOnly => CallError::Denied {
            detail: "a read method may not send".to_owned(),
        },
        Refused::TooLarge { .. } => CallError::LimitExceeded {
            limit: LimitName::Sends,
            detail,
        },
        Refused::BadKey { .. } => CallError::Invalid {
            pointer: String::new(),
            detail,
        },
    }
}

fn parse_target(target: &WitGrainId) -> Result<GrainId, CallError> {
    let invalid = |part: &str, error: granary_core::id::IdError| CallError::Invalid {
        pointer: format!("/target/{part}"),
        detail: error.to_string(),
    };
    let kind = KindName::parse(&target.kind).map_err(|error| invalid("kind", error))?;
    let key = Key::parse(&target.key).map_err(|error| invalid("key", error))?;
    Ok(GrainId::new(kind, key))
}

fn payload(payload: WitPayload) -> Payload {
    match payload {
        WitPayload::Json(text) => Payload::Json(text.into_bytes()),
        WitPayload::Cbor(bytes) => Payload::Cbor(bytes),
        WitPayload::Raw(bytes) => Payload::Raw(bytes),
    }
}

fn wit_payload(payload: Payload) -> Result<WitPayload, CallError> {
    match payload {
        Payload::Json(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(WitPayload::Json(text)),
            Err(_) => Err(CallError::UnknownOutcome {
                detail: "the answer is not UTF-8".to_owned(),
            }),
        },
        Payload::Cbor(bytes) => Ok(WitPayload::Cbor(bytes)),
        Payload::Raw(bytes) => Ok(WitPayload::Raw(bytes)),
        Payload::Typed(_) => Err(CallError::UnknownOutcome {
            detail: "the answer came in a form that nobody asked for".to_owned(),
        }),
    }
}

/// One-way messages are kept as JSON text, which a person can read where they wait.
fn as_json(payload: WitPayload) -> Result<Vec<u8>, CallError> {
    let bytes = match payload {
        WitPayload::Json(text) => return Ok(text.into_bytes()),
        WitPayload::Raw(bytes) => {
            return Ok(format!("[\"{}\"]", STANDARD.encode(bytes)).into_bytes());
        }
        WitPayload::Cbor(bytes) => bytes,
    };
    let invalid = |detail| CallError::Invalid {
        pointer: String::new(),
        detail,
    };
    let value: ciborium::Value = ciborium::de::from_reader_with_recursion_limit(
        bytes.as_slice(),
        granary_core::limits::JSON_DEPTH_MAX,
    )
    .map_err(|error| invalid(format!("the payload is not CBOR: {error}")))?;
    let json = json_of(value).map_err(invalid)?;
    serde_json::to_vec(&json).map_err(|error| invalid(error.to_string()))
}

fn json_of(value: ciborium::Value) -> Result<serde_json::Value, String> {
    use ciborium::Value;
    Ok(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Integer(value) => integer(value.into())?,
        // JSON has no word for these; the mapping of WIT floats reads them as strings.
        Value::Float(value) if value.is_nan() => "NaN".into(),
        Value::Float(value) if value.is_infinite() => {
            if 0.0 < value { "Infinity" } else { "-Infinity" }.into()
        }
        Value::Float(value) => value.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Array(items) => items
            .into_iter()
            .map(json_of)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Value::Map(entries) => object(entries)?,
        Value::Tag(_, inner) => json_of(*inner)?,
        _ => return Err("the payload has a CBOR value that JSON cannot hold".to_owned()),
    })
}

fn integer(value: i128) -> Result<serde_json::Value, String> {
    match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) => Ok(value.into()),
        (_, Ok(value)) => Ok(value.into()),
        (Err(_), Err(_)) => Err(format!("{value} does not fit into 64 bits")),
    }
}

fn object(entries: Vec<(ciborium::Value, ciborium::Value)>) -> Result<serde_json::Value, String> {
    let mut object = serde_json::Map::new();
    for (name, value) in entries {
        let Ok(name) = name.into_text() else {
            return Err("the payload has a CBOR map whose keys are not text".to_owned());
        };
        object.insert(name, json_of(value)?);
    }
    Ok(object.into())
}

/// An error as a guest is told it.
pub(super) fn wit_error(error: CallError) -> WitCallError {
    let text = error_text(&error);
    let (code, circle) = match error {
        CallError::Overloaded { .. } => (CallErrorCode::Overloaded, Vec::new()),
        CallError::Deadlock { cycle } => (CallErrorCode::Deadlock, cycle),
        CallError::Timeout { .. } => (CallErrorCode::Timeout, Vec::new()),
        CallError::Cancelled { .. } => (CallErrorCode::Cancelled, Vec::new()),
        CallError::Denied { .. } => (CallErrorCode::Denied, Vec::new()),
        CallError::NotFound { .. } => (CallErrorCode::NotFound, Vec::new()),
        CallError::Invalid { .. } => (CallErrorCode::Invalid, Vec::new()),
        CallError::GuestTrap { .. } => (CallErrorCode::GuestTrap, Vec::new()),
        CallError::LimitExceeded { .. } => (CallErrorCode::LimitExceeded, Vec::new()),
        CallError::Conflict { .. } => (CallErrorCode::Conflict, Vec::new()),
        CallError::Unavailable { .. } => (CallErrorCode::Unavailable, Vec::new()),
        CallError::UnknownOutcome { .. } => (CallErrorCode::UnknownOutcome, Vec::new()),
        CallError::App { .. } => (CallErrorCode::App, Vec::new()),
    };
    let circle = circle.iter().map(wit_id).collect();
    WitCallError { code, text, circle }
}

/// What an error says beside its code. With `app` that is the bare value.
fn error_text(error: &CallError) -> String {
    if let CallError::App { value, .. } = error {
        return value.clone();
    }
    if let CallError::Deadlock { cycle } = error {
        let grains: Vec<_> = cycle.iter().map(GrainId::to_string).collect();
        return grains.join(" → ");
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(payload: WitPayload) -> Result<String, CallError> {
        as_json(payload).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn messages_are_kept_as_json_whatever_they_came_as() {
        assert_eq!(json(WitPayload::Json("[1]".into())).unwrap(), "[1]");
        assert_eq!(json(WitPayload::Raw(vec![1, 2, 3])).unwrap(), r#"["AQID"]"#);
        let mut cbor = Vec::new();
        let entry = |name: &str, value: ciborium::Value| (ciborium::Value::from(name), value);
        let list = ciborium::Value::Array(vec![true.into(), ciborium::Value::Null]);
        let value = ciborium::Value::Map(vec![
            entry("n", u64::MAX.into()),
            entry("f", f64::NAN.into()),
            entry("list", list),
        ]);
        ciborium::into_writer(&value, &mut cbor).unwrap();
        assert_eq!(
            json(WitPayload::Cbor(cbor)).unwrap(),
            r#"{"n":18446744073709551615,"f":"NaN","list":[true,null]}"#
        );
        assert!(matches!(
            json(WitPayload::Cbor(vec![0xff])),
            Err(CallError::Invalid { .. })
        ));
    }

    #[test]
    fn an_error_has_a_code_a_text_and_only_for_a_deadlock_a_circle() {
        let cycle: Vec<GrainId> = ["cart/7", "stock/3", "cart/7"]
            .map(|id| GrainId::parse(id).unwrap())
            .into();
        let told = wit_error(CallError::Deadlock {
            cycle: cycle.clone(),
        });
        assert_eq!(told.code, CallErrorCode::Deadlock);
        assert_eq!(told.text, "cart/7 → stock/3 → cart/7");
        let circle: Vec<_> = told.circle.iter().map(|id| (&*id.kind, &*id.key)).collect();
        assert_eq!(circle, [("cart", "7"), ("stock", "3"), ("cart", "7")]);
        let told = wit_error(CallError::App {
            value: "\"empty\"".to_owned(),
            rolled_back: false,
        });
        assert_eq!(
            (told.code, &*told.text, told.circle.len()),
            (CallErrorCode::App, "\"empty\"", 0)
        );
    }
}
