//! Calls whomever it is told to.
//!
//! Its world includes `granary:grain/imports`, because its own interface uses `call-error`; `with` makes those types the SDK's.

use std::thread::sleep;
use std::time::Duration;

use exports::test::relay::relay::{CallError, GrainId, Guest, Hop, TurnInfo};
use granary_sdk::calls::{self, CallErrorCode, Payload, Remote};
use granary_sdk::{context, state};

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "test:relay/grain",
    with: {
        "granary:grain/types@0.1.0": granary_sdk::bindings::granary::grain::types,
        "granary:grain/context@0.1.0": granary_sdk::bindings::granary::grain::context,
        "granary:grain/state@0.1.0": granary_sdk::bindings::granary::grain::state,
        "granary:grain/calls@0.1.0": granary_sdk::bindings::granary::grain::calls,
    },
});

struct Relay;

impl Guest for Relay {
    fn relay(mut path: Vec<Hop>) -> Result<Vec<String>, String> {
        let me = context::key();
        if path.is_empty() {
            return Ok(vec![me]);
        }
        let hop = path.remove(0);
        if let Some(gate) = hop.gate {
            let gate = calls::grain("async-reader", gate);
            let met = gate.call_payload("meet", &Payload::Json("[2]".to_owned()));
            met.map_err(|failed| failed.describe())?;
        }
        let rest: Vec<_> = path.iter().map(json_of_hop).collect();
        let arguments = format!("[[{}]]", rest.join(","));
        match remote(&hop.to).call_payload("relay", &Payload::Json(arguments)) {
            Ok(answer) => {
                let mut keys: Vec<String> =
                    serde_json::from_str(&text(answer)).map_err(|e| e.to_string())?;
                keys.insert(0, me);
                Ok(keys)
            }
            // The error of a grain further on: already in words.
            Err(failed) if failed.code == CallErrorCode::App => {
                Err(serde_json::from_str(&failed.text).unwrap_or(failed.text))
            }
            Err(failed) => Err(failed.describe()),
        }
    }

    fn call(
        to: GrainId,
        method: String,
        arguments: String,
        timeout_ms: Option<u32>,
        idempotency_key: Option<String>,
    ) -> Result<String, CallError> {
        let mut remote = remote(&to);
        if let Some(ms) = timeout_ms {
            remote = remote.timeout(milliseconds(ms));
        }
        if let Some(key) = idempotency_key {
            remote = remote.idempotency_key(key);
        }
        remote
            .call_payload(&method, &Payload::Json(arguments))
            .map(text)
    }

    fn call_raw(to: GrainId, method: String, arguments: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let answer = remote(&to).call_payload(&method, &Payload::Raw(arguments))?;
        Ok(match answer {
            Payload::Json(text) => text.into_bytes(),
            Payload::Cbor(bytes) | Payload::Raw(bytes) => bytes,
        })
    }

    fn send(
        to: GrainId,
        method: String,
        arguments: String,
        delay_ms: Option<u32>,
    ) -> Result<(), CallError> {
        let delay = delay_ms.map_or(Duration::ZERO, milliseconds);
        remote(&to).send_payload(&method, &Payload::Json(arguments), delay)
    }

    fn send_and_trap(to: GrainId, method: String, arguments: String) {
        note("before the trap");
        Self::send(to, method, arguments, None).expect("the message is taken");
        panic!("as told");
    }

    fn send_and_fail(to: GrainId, method: String, arguments: String) -> Result<(), String> {
        note("before the error");
        Self::send(to, method, arguments, None).map_err(|failed| failed.describe())?;
        Err("as told".to_owned())
    }

    fn about() -> TurnInfo {
        TurnInfo {
            self_id: context::self_id(),
            revision: context::revision(),
            epoch: context::activation_epoch(),
            caller: context::caller(),
            chain: context::call_chain(),
            principal: context::principal(),
            deadline_ms: context::deadline_remaining().as_millis() as u64,
            idempotency_key: context::idempotency_key(),
            baggage: context::baggage("note"),
            cancelled: context::is_cancelled(),
        }
    }

    fn about_of(to: GrainId, note: String) -> Result<String, String> {
        context::set_baggage("note", &note)?;
        let answer = remote(&to).call_payload("about", &Payload::Json("[]".to_owned()));
        answer.map(text).map_err(|failed| failed.describe())
    }

    fn until_cancelled(most_ms: u32) -> bool {
        for _ in 0..most_ms / 10 {
            if context::is_cancelled() {
                return true;
            }
            sleep(milliseconds(10));
        }
        false
    }

    fn note(text: String) {
        note(&text);
    }

    fn notes() -> Vec<String> {
        let entries = state::scan_of("note/").map(|entry| entry.expect("the state is readable"));
        entries.map(|(_, text)| text).collect()
    }

    fn slow_note(text: String, ms: u32) {
        sleep(milliseconds(ms));
        note(&text);
    }
}

fn remote(to: &GrainId) -> Remote {
    calls::grain(&to.kind, &to.key)
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn text(answer: Payload) -> String {
    match answer {
        Payload::Json(text) => text,
        Payload::Cbor(bytes) | Payload::Raw(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn json_of_hop(hop: &Hop) -> String {
    let to = serde_json::json!({ "kind": hop.to.kind, "key": hop.to.key });
    serde_json::json!({ "to": to, "gate": hop.gate }).to_string()
}

fn note(text: &str) {
    let count = state::scan("note/").count();
    state::set(&format!("note/{count:08}"), text).expect("the state is writable");
}

granary_sdk::grain!(Relay);
