//! Every type there and back.

use granary_sdk::{Flags, Record, Variant, interface};

/// One thing.
#[derive(Record)]
pub struct Item {
    id: u64,
    /// What it is called.
    name: String,
    tag: Option<String>,
}

/// A record with records in it.
#[derive(Record)]
pub struct Order {
    customer: String,
    items: Vec<Item>,
    paid: Option<Color>,
}

#[derive(Variant)]
pub enum Color {
    Red,
    DarkGreen,
}

#[derive(Flags)]
pub struct Rights {
    read: bool,
    write: bool,
    look_around: bool,
}

/// Cases with and without a payload.
#[derive(Variant)]
pub enum Shape {
    Nothing,
    Circle(f64),
    Named(Item),
    Many(Vec<String>),
}

struct Types;

/// Each function answers its argument.
#[interface(package = "test:torture@0.1.0")]
impl Types {
    fn boolean(value: bool) -> bool {
        value
    }
    fn unsigned8(value: u8) -> u8 {
        value
    }
    fn unsigned16(value: u16) -> u16 {
        value
    }
    fn unsigned32(value: u32) -> u32 {
        value
    }
    fn unsigned64(value: u64) -> u64 {
        value
    }
    fn signed8(value: i8) -> i8 {
        value
    }
    fn signed16(value: i16) -> i16 {
        value
    }
    fn signed32(value: i32) -> i32 {
        value
    }
    fn signed64(value: i64) -> i64 {
        value
    }
    fn float32(value: f32) -> f32 {
        value
    }
    fn float64(value: f64) -> f64 {
        value
    }
    fn character(value: char) -> char {
        value
    }
    fn text(value: String) -> String {
        value
    }
    fn bytes(value: Vec<u8>) -> Vec<u8> {
        value
    }
    fn numbers(value: Vec<i64>) -> Vec<i64> {
        value
    }
    fn texts(value: Vec<String>) -> Vec<String> {
        value
    }
    fn pair(value: (u8, String)) -> (u8, String) {
        value
    }
    fn maybe(value: Option<u32>) -> Option<u32> {
        value
    }
    fn maybe_maybe(value: Option<Option<u32>>) -> Option<Option<u32>> {
        value
    }
    fn a_record(value: Order) -> Order {
        value
    }
    fn a_variant(value: Shape) -> Shape {
        value
    }
    fn an_enum(value: Color) -> Color {
        value
    }
    fn some_flags(value: Rights) -> Rights {
        value
    }
    /// A result inside a list is a value like another.
    fn outcomes(value: Vec<Result<u32, String>>) -> Vec<Result<u32, String>> {
        value
    }

    /// More core values than a function takes: they come through memory.
    fn many(first: Order, second: Order, third: Order, fourth: Order) -> Vec<Order> {
        vec![first, second, third, fourth]
    }
}

granary_sdk::grain!(Types);
