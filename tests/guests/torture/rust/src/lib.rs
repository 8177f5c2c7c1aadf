//! What a grain of any language must be able to do, in Rust.

use std::time::Duration;

use exports::granary::grain::lifecycle::{ActivateReason, DeactivateReason, Guest as Lifecycle};
use exports::granary::grain::migration::Guest as Migration;
use exports::test::torture::journey::Guest as Journey;
use exports::test::torture::trouble::Guest as Trouble;
use exports::test::torture::types::{Color, Guest as Types, Order, Rights, Shape};
use granary_sdk::calls;
use granary_sdk::{context, state};

wit_bindgen::generate!({
    path: ["../../../../wit", "../wit"],
    world: "test:torture/grain",
    with: {
        "granary:grain/types@0.1.0": granary_sdk::bindings::granary::grain::types,
        "granary:grain/context@0.1.0": granary_sdk::bindings::granary::grain::context,
        "granary:grain/state@0.1.0": granary_sdk::bindings::granary::grain::state,
        "granary:grain/calls@0.1.0": granary_sdk::bindings::granary::grain::calls,
    },
});

struct Torture;

/// Functions that answer their argument.
macro_rules! there_and_back {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(fn $name(value: $type) -> $type {
            value
        })*
    };
}

impl Types for Torture {
    there_and_back! {
        boolean: bool,
        unsigned8: u8,
        unsigned16: u16,
        unsigned32: u32,
        unsigned64: u64,
        signed8: i8,
        signed16: i16,
        signed32: i32,
        signed64: i64,
        float32: f32,
        float64: f64,
        character: char,
        text: String,
        bytes: Vec<u8>,
        numbers: Vec<i64>,
        texts: Vec<String>,
        pair: (u8, String),
        maybe: Option<u32>,
        maybe_maybe: Option<Option<u32>>,
        a_record: Order,
        a_variant: Shape,
        an_enum: Color,
        some_flags: Rights,
        outcomes: Vec<Result<u32, String>>,
    }
}

impl Trouble for Torture {
    fn fail(words: String) -> Result<u32, String> {
        state::set("failed", &true).expect("the state takes a word");
        Err(words)
    }

    fn throw(words: String) {
        state::set("thrown", &true).expect("the state takes a word");
        panic!("{words}");
    }

    fn exit(status: u8) {
        std::process::exit(status.into());
    }

    fn abort() {
        state::set("aborted", &true).expect("the state takes a word");
        std::process::abort();
    }

    fn check(words: String) {
        state::set("checked", &true).expect("the state takes a word");
        assert!(words.is_empty(), "{words}");
    }

    fn spin() {
        let mut rounds = 0_u64;
        loop {
            rounds = std::hint::black_box(rounds.wrapping_add(1));
        }
    }

    fn hoard() {
        let mut all = Vec::new();
        loop {
            all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }

    fn speak(line: String) {
        println!("{line}");
        eprintln!("{line}");
    }

    fn has(key: String) -> bool {
        state::get_bytes(&key)
            .expect("the state is readable")
            .is_some()
    }
}

impl Lifecycle for Torture {
    fn activate(reason: ActivateReason) -> Result<(), String> {
        if Self::has("locked".to_owned()) {
            return Err("it is locked".to_owned());
        }
        let reason = match reason {
            ActivateReason::Message => "message",
            ActivateReason::Recovery => "recovery",
            ActivateReason::Upgrade => "upgrade",
        };
        state::set("activated", reason).map_err(|error| error.to_string())
    }

    fn deactivate(_reason: DeactivateReason) {}
}

impl Migration for Torture {
    fn migrate(from: u64) -> Result<(), String> {
        state::set("migrated", &from).map_err(|error| error.to_string())
    }
}

impl Journey for Torture {
    fn call(kind: String, key: String, text: String) -> Result<String, String> {
        calls::grain(kind, key)
            .call("text", &(text,))
            .map_err(|error| error.to_string())
    }

    fn who() -> (String, Option<String>, u32) {
        let caller = context::caller().map(|id| id.to_string());
        let waiting = context::call_chain().len();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        (context::self_id().to_string(), caller, waiting)
    }

    fn time_left() -> u64 {
        let left: Duration = context::deadline_remaining();
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }

    fn baggage(name: String) -> Option<String> {
        context::baggage(&name)
    }

    fn onward(path: String) -> Result<String, String> {
        let (next, rest) = path.split_once(' ').unwrap_or((&path, ""));
        if let Some((kind, key)) = next.split_once('/') {
            let answer = calls::grain(kind, key).call("onward", &(rest,));
            return answer.map_err(|error| error.to_string());
        }
        let (me, caller, waiting) = Self::who();
        let caller = caller.unwrap_or_default();
        let trip = context::baggage("trip").unwrap_or_default();
        Ok(format!(
            "{me} {caller} {waiting} {} {trip}",
            Self::time_left()
        ))
    }
}

granary_sdk::grain!(Torture);
