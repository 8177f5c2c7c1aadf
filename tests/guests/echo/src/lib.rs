//! Answers what it was given, in every type that WIT has.

use exports::test::echo::echo::{self, Color, Inner, Many, Outer, Rights, Shape};
use exports::test::echo::other;

wit_bindgen::generate!({ path: "wit", world: "grain" });

struct Echo;

/// One line for each function that answers its argument.
macro_rules! echo {
    ($($name:ident: $type:ty,)*) => {
        $(fn $name(value: $type) -> $type {
            value
        })*
    };
}

impl echo::Guest for Echo {
    echo! {
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
        lists: Vec<Vec<u16>>,
        triple: (u8, String, bool),
        maybe: Option<u32>,
        maybe_maybe: Option<Option<u32>>,
        maybe_thrice: Option<Option<Option<String>>>,
        a_record: Outer,
        a_variant: Shape,
        an_enum: Color,
        some_flags: Rights,
        many_flags: Many,
        outcomes: Vec<Result<u32, String>>,
        empty_outcomes: Vec<Result<(), ()>>,
        half_outcomes: Vec<Result<(), Color>>,
        outcome: Result<Inner, Shape>,
        maybe_outcome: Option<Result<u8, u8>>,
    }

    fn ok_or_color(value: Option<Color>) -> Result<(), Color> {
        value.map_or(Ok(()), Err)
    }

    fn only_ok(value: Option<u32>) -> Result<u32, ()> {
        value.ok_or(())
    }

    fn nothing() {}

    fn several(first: u8, second_name: String, third: Option<bool>) -> (u8, String, Option<bool>) {
        (first, second_name, third)
    }

    fn two_records(left: Inner, right: Inner) -> Vec<Inner> {
        vec![left, right]
    }

    fn two_optional(left: Option<u8>, right: Option<u8>) -> (Option<u8>, Option<u8>) {
        (left, right)
    }

    fn odd_floats() -> Vec<f64> {
        vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
    }
}

impl other::Guest for Echo {
    fn text(value: String) -> String {
        value
    }

    fn only_here() -> u8 {
        1
    }
}

impl Guest for Echo {
    fn at_root(value: u32) -> u32 {
        value
    }
}

export!(Echo);
