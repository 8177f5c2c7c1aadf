//! Calls `echo` and `relay` through their clients, and says what came of it.

mod shapes;

use exports::test::typed_caller::caller::{CallError, Guest, Seen};
use granary_sdk::calls::CallOptions;
use granary_sdk::context;
use test::echo_client::echo;
use test::relay_client::relay;

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "test:typed-caller/grain",
    additional_derives: [Clone, PartialEq],
    generate_all,
    with: {
        "granary:grain/types@0.1.0": granary_sdk::bindings::granary::grain::types,
        "granary:grain/context@0.1.0": granary_sdk::bindings::granary::grain::context,
        "granary:grain/state@0.1.0": granary_sdk::bindings::granary::grain::state,
        "granary:grain/calls@0.1.0": granary_sdk::bindings::granary::grain::calls,
    },
});

struct Caller;

impl Guest for Caller {
    fn shapes(key: String) -> Result<(u32, Vec<String>), CallError> {
        shapes::all(&echo::Ref::new(&key))
    }

    fn bytes(key: String, len: u32) -> Result<u32, CallError> {
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let back = echo::Ref::new(&key).bytes(&bytes)?;
        assert!(back == bytes, "other bytes came back");
        Ok(back.len() as u32)
    }

    fn texts(key: String, count: u32, len: u32) -> Result<u32, CallError> {
        let texts = vec!["x".repeat(len as usize); count as usize];
        Ok(echo::Ref::new(&key).texts(&texts)?.len() as u32)
    }

    fn about(key: String, note: String, timeout_ms: Option<u32>) -> Result<Seen, CallError> {
        context::set_baggage("note", &note).expect("a short note");
        let relay = match timeout_ms {
            Some(ms) => relay::Ref::with_options(&key, &patient(ms)),
            None => relay::Ref::new(&key),
        };
        let about = relay.about()?;
        Ok(Seen {
            caller: about.caller,
            chain: about.chain,
            deadline_ms: about.deadline_ms,
            baggage: about.baggage,
            idempotency_key: about.idempotency_key,
        })
    }

    fn note(key: String, text: String, idempotency_key: Option<String>) -> Result<(), CallError> {
        relay::Ref::with_options(&key, &keyed(idempotency_key)).note(&text)
    }

    fn notes(key: String) -> Result<Vec<String>, CallError> {
        relay::Ref::new(&key).notes()
    }

    fn slow_note(key: String, ms: u32, timeout_ms: u32) -> Result<(), CallError> {
        relay::Ref::with_options(&key, &patient(timeout_ms)).slow_note("slow", ms)
    }

    fn trap(key: String) -> Result<(), CallError> {
        let me = context::self_id();
        relay::Ref::new(&key).send_and_trap(&me, "refs", "[1,false]")
    }

    fn fail(key: String) -> Result<String, CallError> {
        let me = context::self_id();
        match relay::Ref::new(&key).send_and_fail(&me, "refs", "[1,false]") {
            Ok(()) => Ok("no error".to_owned()),
            Err(relay::StringOrCall::App(words)) => Ok(words),
            Err(relay::StringOrCall::Call(error)) => Err(error),
        }
    }

    fn outcome(
        key: String,
        fails: bool,
        idempotency_key: Option<String>,
    ) -> Result<String, CallError> {
        let inner = echo::Inner {
            id: u64::MAX,
            tag: Some("x".to_owned()),
        };
        let told = if fails {
            Err(echo::Shape::Named(inner))
        } else {
            Ok(inner)
        };
        let echo = echo::Ref::with_options(&key, &keyed(idempotency_key));
        match echo.outcome(told.as_ref()) {
            Ok(inner) => Ok(format!("ok {inner:?}")),
            Err(echo::ShapeOrCall::App(shape)) => Ok(format!("err {shape:?}")),
            Err(echo::ShapeOrCall::Call(error)) => Err(error),
        }
    }

    fn refs(count: u32, keep: bool) -> u32 {
        for at in 0..count {
            let made = echo::Ref::new(&at.to_string());
            if keep {
                std::mem::forget(made);
            }
        }
        count
    }
}

fn patient(ms: u32) -> CallOptions {
    CallOptions {
        timeout: Some(u64::from(ms) * 1_000_000),
        ..CallOptions::default()
    }
}

fn keyed(idempotency_key: Option<String>) -> CallOptions {
    CallOptions {
        idempotency_key,
        ..CallOptions::default()
    }
}

granary_sdk::grain!(Caller);
