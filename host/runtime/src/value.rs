//! JSON, CBOR, query strings and raw bytes ↔ the values of WIT types.
//!
//! # Values
//!
//! | WIT | JSON |
//! |---|---|
//! | `bool`, `u8` … `u32`, `s8` … `s32` | a number within range; `3.0` is an integer too |
//! | `u64`, `s64` | a number or a string of digits; written as a string beyond 2⁵³ − 1 |
//! | `f32`, `f64` | a number, `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `char`, `string` | a string |
//! | `list<u8>` | base64 (an array of numbers is accepted) |
//! | `list<T>`, `list<T, N>`, `tuple` | an array; the count is checked where the type has one |
//! | `map<K, V>` | an object; integers, characters, booleans and enums are keys in their text form |
//! | record | an object by WIT names; a missing `option` is `none`, an unknown or repeated member is an error |
//! | variant | `{"case": payload}`; a case without payload is the string `"case"` (`{"case": null}` is accepted) |
//! | enum | the case's name |
//! | flags | an array of names, none twice |
//! | `option<T>` | `null` or the value; `option<option<T>>` is `null` or `{"some": …}` |
//! | `result` | `{"ok": …}` or `{"err": …}`; around a method's whole result it is taken off |
//!
//! CBOR is the same with byte strings for `list<u8>` and its own numbers.
//!
//! # Arguments
//!
//! 1. **An array is the arguments in order**, always. A method that takes one list is called with `[[1,2,3]]`.
//! 2. **An object is the arguments by name.** One exception: where the first parameter is a record, a variant or a `result`, an object
//!    whose first member is not named like a parameter is that parameter's value. The exception is off for a method where the type itself
//!    has a member named like a parameter, so that the meaning never depends on luck.
//! 3. **Anything else is the value of the first parameter.**
//!
//! Parameters of type `option` may be left out: anywhere by name, at the end in order. So 2 (the exception) and 3 work for methods with more
//! than one parameter if all others are options. An empty body is no arguments.
//!
//! # Limits
//!
//! Depth, number of values, and the memory that the decoded value takes are counted while reading and refused before anything is allocated.

use granary_core::error::{CallError, LimitName};
use wasmtime::component::Val;

mod arguments;
mod budget;
mod cbor;
mod json;
mod number;
mod read;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod typed;
mod write;

pub(crate) use arguments::takes_bare_object;
pub(crate) use typed::LastFit;
pub use typed::Typed;

/// The arguments of one call, fully checked against the method's type: entering the guest with them cannot fail on a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    vals: Vec<Val>,
    host_bytes: u64,
}

impl Arguments {
    /// The values in the order of the parameters.
    pub fn vals(&self) -> &[Val] {
        &self.vals
    }

    /// An estimate of the memory that they take on the host.
    pub fn host_bytes(&self) -> u64 {
        self.host_bytes
    }
}

/// What a method returned: nothing or one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Results(Option<Val>);

impl Results {
    /// Takes what the guest returned. `vals` has at most one element.
    pub fn new(vals: Vec<Val>) -> Self {
        Self(vals.into_iter().next())
    }

    /// Whether the method answered `err`: its type is `result` and this is the error case.
    pub fn is_err(&self) -> bool {
        matches!(self.0, Some(Val::Result(Err(_))))
    }
}

/// A result, encoded. The outermost `result` is taken off: what is left is the value of `ok` or of `err`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The encoded value. Empty if there is none.
    pub bytes: Vec<u8>,
    /// Whether it is the value of `err`.
    pub is_err: bool,
    /// Whether there is no value (a unit method, or an `ok` without a payload): HTTP answers 204.
    pub is_unit: bool,
}

/// Choices of the caller on how a result is written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonOptions {
    /// Write every 64-bit integer as a string, not only those that a double cannot hold (`?int64=string`).
    pub int64_as_string: bool,
}

/// Why bytes are no value of a type, or a value is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{detail}", pointer, if pointer.is_empty() { "" } else { ": " })]
pub struct ValueError {
    /// An RFC 6901 pointer to the wrong place; empty for the whole.
    pub pointer: String,
    /// What was expected and what was there.
    pub detail: String,
    /// The limit that was exceeded, if that is what happened.
    pub limit: Option<LimitName>,
}

impl From<ValueError> for CallError {
    fn from(error: ValueError) -> Self {
        match error.limit {
            Some(limit) => Self::LimitExceeded {
                limit,
                detail: error.detail,
            },
            None => Self::Invalid {
                pointer: error.pointer,
                detail: error.detail,
            },
        }
    }
}
