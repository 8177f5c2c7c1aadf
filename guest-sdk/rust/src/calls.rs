//! Calls to other grains by name.
//!
//! Where the other kind is known when this one is built, its client package is the shorter way: import `demo:counter-client/counter@0.1.0` in
//! the world, and `Ref::new("visits").increment(1)` calls it with its own types. `granary build` makes the package; `granary wit client`
//! shows it.
//!
//! ```no_run
//! use std::time::Duration;
//! use granary_sdk::calls::{self, Error};
//!
//! fn take(article: &str, count: u32) -> Result<u32, Error> {
//!     let stock = calls::grain("stock", article).timeout(Duration::from_secs(2));
//!     // Leaves only if this turn commits, and is handled once.
//!     calls::grain("audit", "2031").send("taken", &(article, count))?;
//!     // Arguments are a tuple in the order of the parameters. The answer is the method's result, or the value of its `ok`.
//!     stock.call("take", &(count,))
//! }
//! ```
//!
//! # Several at a time
//!
//! An `async func` of a component with the feature `async` awaits its calls: `call_async` and `call_payload_async` are the same as `call`
//! and `call_payload`, but the guest goes on meanwhile. So one turn asks several grains at a time, and takes the time of the slowest:
//!
//! ```no_run
//! # #[cfg(feature = "async")] mod example {
//! use granary_sdk::calls::{self, Error};
//!
//! async fn total(shops: (&str, &str)) -> Result<u64, Error> {
//!     let (one, other) = (calls::grain("shop", shops.0), calls::grain("shop", shops.1));
//!     let (one, other) = futures::join!(
//!         one.call_async::<u64>("sold", &()),
//!         other.call_async::<u64>("sold", &()),
//!     );
//!     Ok(one? + other?)
//! }
//! # }
//! ```
//!
//! While a turn awaits, other turns of the same grain run only if both are of methods with `mode = "interleave"` or `"read"` in the manifest.
//! The plain `call` blocks all of them. To drop the future gives the call up.
//!
//! # Types in an answer
//!
//! Serde reads what the host writes in JSON: names as they are in the WIT, so say `#[serde(rename_all = "kebab-case")]`; a variant is
//! an enum, `{"case": payload}` or `"case"`. An integer beyond 2^53 comes as a text of its digits. Where the answer is that integer,
//! `call` reads it; where it is a part of the answer, mark it with [`wide`]. Bytes come as base64.

use std::time::Duration;

use crate::bindings::granary::grain::calls as host;
pub use crate::bindings::granary::grain::calls::{CallOptions, Payload, SendOptions};
pub use crate::bindings::granary::grain::types::{CallError, CallErrorCode, GrainId};

/// Another grain, and how to call it.
#[derive(Debug, Clone)]
pub struct Remote {
    id: GrainId,
    options: CallOptions,
}

/// The grain `kind/key`. It need not exist yet: a first message makes it.
pub fn grain(kind: impl Into<String>, key: impl Into<String>) -> Remote {
    Remote {
        id: GrainId::new(kind, key),
        options: CallOptions::default(),
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the type is generated, and a derive there falls on every type of the contract"
)]
impl Default for CallOptions {
    fn default() -> Self {
        Self {
            timeout: None,
            idempotency_key: None,
        }
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the type is generated, and a derive there falls on every type of the contract"
)]
impl Default for SendOptions {
    fn default() -> Self {
        Self { delay: None }
    }
}

impl Remote {
    /// Which grain it is.
    pub fn id(&self) -> &GrainId {
        &self.id
    }

    /// Waits no longer than this. No call outlives the deadline of the turn that makes it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(nanoseconds(timeout));
        self
    }

    /// Makes a repeated call harmless: a second one of the same method with the same key gets the first one's answer.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Calls a method with arguments that are already encoded. The answer comes in the same encoding.
    pub fn call_payload(&self, method: &str, arguments: &Payload) -> Result<Payload, CallError> {
        host::call(&self.id, method, arguments, &self.options)
    }

    /// The same as [`Remote::call_payload`], but the guest goes on until it awaits the answer.
    #[cfg(feature = "async")]
    pub async fn call_payload_async(
        &self,
        method: &str,
        arguments: Payload,
    ) -> Result<Payload, CallError> {
        use crate::bindings::asynchronous::granary::grain::async_calls;
        let (id, options) = (self.id.clone(), self.options.clone());
        async_calls::call(id, method.to_owned(), arguments, options).await
    }

    /// Sends a message with arguments that are already encoded; held back for `delay` after the commit.
    pub fn send_payload(
        &self,
        method: &str,
        arguments: &Payload,
        delay: Duration,
    ) -> Result<(), CallError> {
        let delay = (!delay.is_zero()).then(|| nanoseconds(delay));
        host::send(&self.id, method, arguments, SendOptions { delay })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl CallError {
    /// Whether the called grain is certainly unchanged, so that the call may simply be repeated.
    pub fn had_no_effect(&self) -> bool {
        match self.code {
            CallErrorCode::Overloaded
            | CallErrorCode::Deadlock
            | CallErrorCode::Cancelled
            | CallErrorCode::Denied
            | CallErrorCode::NotFound
            | CallErrorCode::Invalid
            | CallErrorCode::GuestTrap
            | CallErrorCode::LimitExceeded
            | CallErrorCode::Conflict
            | CallErrorCode::Unavailable => true,
            CallErrorCode::Timeout | CallErrorCode::UnknownOutcome | CallErrorCode::App => false,
        }
    }

    /// The code and the text, in words: `deadlock: cart/7 → stock/3 → cart/7`.
    pub fn describe(&self) -> String {
        let code = match self.code {
            CallErrorCode::Overloaded => "overloaded",
            CallErrorCode::Deadlock => "deadlock",
            CallErrorCode::Timeout => "timeout",
            CallErrorCode::Cancelled => "cancelled",
            CallErrorCode::Denied => "denied",
            CallErrorCode::NotFound => "not found",
            CallErrorCode::Invalid => "invalid",
            CallErrorCode::GuestTrap => "guest trap",
            CallErrorCode::LimitExceeded => "limit exceeded",
            CallErrorCode::Conflict => "conflict",
            CallErrorCode::Unavailable => "unavailable",
            CallErrorCode::UnknownOutcome => "unknown outcome",
            CallErrorCode::App => "answered",
        };
        format!("{code}: {}", self.text)
    }
}

#[cfg(feature = "json")]
pub use typed::{Error, wide};

#[cfg(feature = "json")]
mod typed {
    use std::fmt;
    use std::time::Duration;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::{CallError, CallErrorCode, Payload, Remote};

    /// Why a typed call gave no answer.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Error {
        /// The call failed, or the method answered `err`.
        Call(CallError),
        /// The arguments cannot be written as JSON. Nothing was called.
        Arguments(serde_json::Error),
        /// The method ran, but its answer does not fit the Rust type.
        Answer(serde_json::Error),
    }

    impl Error {
        /// Whether the method ran and answered `err`.
        pub fn is_app(&self) -> bool {
            matches!(self, Self::Call(failed) if failed.code == CallErrorCode::App)
        }

        /// The value of the method's `err`, if that is what came back and it fits the type.
        pub fn app<E: DeserializeOwned>(&self) -> Option<E> {
            match self {
                Self::Call(failed) if failed.code == CallErrorCode::App => {
                    serde_json::from_str(&failed.text).ok()
                }
                Self::Call(_) | Self::Arguments(_) | Self::Answer(_) => None,
            }
        }

        /// Whether the called grain is certainly unchanged, so that the call may simply be repeated.
        pub fn had_no_effect(&self) -> bool {
            match self {
                Self::Call(failed) => failed.had_no_effect(),
                Self::Arguments(_) => true,
                Self::Answer(_) => false,
            }
        }
    }

    impl From<CallError> for Error {
        fn from(failed: CallError) -> Self {
            Self::Call(failed)
        }
    }

    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Call(failed) => f.write_str(&failed.describe()),
                Self::Arguments(_) => f.write_str("the arguments cannot be written as JSON"),
                Self::Answer(_) => f.write_str("the answer does not fit its type"),
            }
        }
    }

    impl std::error::Error for Error {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            match self {
                Self::Call(_) => None,
                Self::Arguments(source) | Self::Answer(source) => Some(source),
            }
        }
    }

    impl Remote {
        /// Calls a method and waits for its answer. `arguments` is a tuple in the order of the parameters (`&()` for none) or a
        /// struct with their names. The answer is the method's result, or the value of its `ok`; its `err` comes as [`Error::app`].
        pub fn call<R: DeserializeOwned>(
            &self,
            method: &str,
            arguments: &impl Serialize,
        ) -> Result<R, Error> {
            answered(&self.call_payload(method, &payload(arguments)?)?)
        }

        /// The same as [`Remote::call`], but the guest goes on until it awaits the answer.
        #[cfg(feature = "async")]
        pub async fn call_async<R: DeserializeOwned>(
            &self,
            method: &str,
            arguments: &impl Serialize,
        ) -> Result<R, Error> {
            answered(&self.call_payload_async(method, payload(arguments)?).await?)
        }

        /// Sends a message without waiting. It leaves only if this turn commits, and is handled once.
        pub fn send(&self, method: &str, arguments: &impl Serialize) -> Result<(), Error> {
            self.send_after(Duration::ZERO, method, arguments)
        }

        /// The same, held back for `delay` after the commit.
        pub fn send_after(
            &self,
            delay: Duration,
            method: &str,
            arguments: &impl Serialize,
        ) -> Result<(), Error> {
            Ok(self.send_payload(method, &payload(arguments)?, delay)?)
        }
    }

    fn answered<R: DeserializeOwned>(answer: &Payload) -> Result<R, Error> {
        match answer {
            Payload::Json(text) => read(text.as_bytes()),
            Payload::Cbor(bytes) | Payload::Raw(bytes) => read(bytes),
        }
    }

    fn read<R: DeserializeOwned>(answer: &[u8]) -> Result<R, Error> {
        // A method without a result answers with nothing at all.
        let text = if answer.is_empty() { b"null" } else { answer };
        serde_json::from_slice(text).or_else(|wrong| match digits(text) {
            Some(digits) => serde_json::from_slice(digits).map_err(Error::Answer),
            None => Err(Error::Answer(wrong)),
        })
    }

    /// The number in a text of digits: how the host writes an integer beyond 2^53.
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let digits = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let number = digits.strip_prefix(b"-").unwrap_or(digits);
        number.iter().all(u8::is_ascii_digit).then_some(digits)
    }

    fn payload(arguments: &impl Serialize) -> Result<Payload, Error> {
        let text = serde_json::to_string(arguments).map_err(Error::Arguments)?;
        // `()` says "no arguments" better than `null` would.
        Ok(Payload::Json(if text == "null" {
            "[]".to_owned()
        } else {
            text
        }))
    }

    /// For a 64-bit integer within an answer: `#[serde(with = "granary_sdk::calls::wide")]`.
    pub mod wide {
        use std::fmt::Display;
        use std::str::FromStr;

        use serde::de::{Deserialize, Deserializer, Error};
        use serde::{Serialize, Serializer};

        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written<T> {
            Number(T),
            Digits(String),
        }

        /// Writes a number.
        pub fn serialize<T: Serialize, S: Serializer>(
            value: &T,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.serialize(serializer)
        }

        /// Reads a number, or its digits.
        pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
        where
            T: Deserialize<'de> + FromStr<Err: Display>,
            D: Deserializer<'de>,
        {
            match Written::deserialize(deserializer)? {
                Written::Number(number) => Ok(number),
                Written::Digits(digits) => digits.parse().map_err(D::Error::custom),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{payload, read};
        use crate::calls::Payload;

        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Balance {
            #[serde(with = "super::wide")]
            in_cents: u64,
        }

        #[test]
        fn an_integer_beyond_2_to_the_53_is_read_from_its_digits() {
            assert_eq!(read::<u64>(b"7").unwrap(), 7);
            assert_eq!(read::<u64>(b"\"18446744073709551615\"").unwrap(), u64::MAX);
            assert_eq!(read::<i64>(b"\"-9223372036854775808\"").unwrap(), i64::MIN);
            assert_eq!(read::<String>(b"\"7\"").unwrap(), "7");
            assert!(read::<u64>(b"\"seven\"").is_err());
        }

        #[test]
        fn a_wide_field_is_a_number_or_its_digits() {
            let most = Balance { in_cents: u64::MAX };
            assert_eq!(
                read::<Balance>(br#"{"in-cents":"18446744073709551615"}"#).unwrap(),
                most
            );
            assert_eq!(
                read::<Balance>(br#"{"in-cents":7}"#).unwrap(),
                Balance { in_cents: 7 }
            );
        }

        #[test]
        fn nothing_is_said_as_no_arguments_and_read_as_no_answer() {
            assert_eq!(payload(&()).unwrap(), Payload::Json("[]".to_owned()));
            assert_eq!(
                payload(&("a", 1)).unwrap(),
                Payload::Json(r#"["a",1]"#.to_owned())
            );
            read::<()>(b"").unwrap();
        }
    }
}
