//! Identities. Everything is parsed once, at the border; afterwards the type is trusted.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no identity. `Display` names the rule; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A kind is a name of 1 to 64 bytes.
    #[error("a kind is 1 to {max} bytes long, not {actual}", max = KindName::BYTES_MAX)]
    KindLength {
        /// How many bytes it had.
        actual: usize,
    },
    /// A kind is made of `a-z`, `0-9` and `-`, and starts with a letter.
    #[error("a kind is made of a-z, 0-9 and '-' and starts with a letter; '{text}' does not fit")]
    KindCharacter {
        /// The text as given.
        text: String,
    },
    /// A key must not be empty.
    #[error("the key is empty")]
    KeyEmpty,
    /// A key is at most 512 bytes long.
    #[error("the key is {actual} bytes long; at most {max} are allowed", max = Key::BYTES_MAX)]
    KeyTooLong {
        /// How many bytes it had.
        actual: usize,
    },
    /// A key holds no control characters.
    #[error("the key holds a control character at byte {at}")]
    KeyControl {
        /// The byte offset of the first one.
        at: usize,
    },
    /// A grain is written `kind/key`.
    #[error("a grain is written kind/key; '{text}' has no '/'")]
    NoSlash {
        /// The text as given.
        text: String,
    },
    /// A digest is 64 hexadecimal digits.
    #[error("a SHA-256 digest is 64 hexadecimal digits")]
    Digest,
    /// A call id is 32 hexadecimal digits.
    #[error("a call id is 32 hexadecimal digits")]
    Call,
}

/// The name of a kind: `[a-z][a-z0-9-]*`, at most 64 bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KindName(Arc<str>);

impl KindName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Checks a text. Errors: [`IdError::KindLength`], [`IdError::KindCharacter`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || Self::BYTES_MAX < text.len() {
            return Err(IdError::KindLength { actual: text.len() });
        }
        let fits = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fits || !text.as_bytes()[0].is_ascii_lowercase() {
            return Err(IdError::KindCharacter { text: text.into() });
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A grain's key within its kind: 1 to 512 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key, in bytes.
    pub const BYTES_MAX: usize = 512;

    /// Checks a text. Errors: [`IdError::KeyEmpty`], [`IdError::KeyTooLong`], [`IdError::KeyControl`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::KeyEmpty);
        }
        if Self::BYTES_MAX < text.len() {
            return Err(IdError::KeyTooLong { actual: text.len() });
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(IdError::KeyControl { at });
        }
        Ok(Self(text.into()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A grain: `kind/key`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrainId {
    /// The kind.
    pub kind: KindName,
    /// The key; it may itself contain `/`.
    pub key: Key,
}

impl GrainId {
    /// Puts the two together.
    pub fn new(kind: KindName, key: Key) -> Self {
        Self { kind, key }
    }

    /// Parses `kind/key`; everything behind the first `/` is the key. Errors: every [`IdError`] but the last two.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let Some((kind, key)) = text.split_once('/') else {
            return Err(IdError::NoSlash { text: text.into() });
        };
        Ok(Self {
            kind: KindName::parse(kind)?,
            key: Key::parse(key)?,
        })
    }
}

/// The SHA-256 of a component: its identity as an artifact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// A revision of a kind: 1, 2, 3, … in the order of deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// The fencing number of an activation. Larger is newer; a commit under an older one is refused by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One call, unique in the cluster. The driver draws it; the core only compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(pub u128);

/// Time as the core knows it: nanoseconds since some fixed moment of the driver's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The moment `duration` later; the end of time where that overflows.
    #[must_use]
    pub fn after(self, duration: core::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long from `earlier` until this moment; zero if that lies ahead.
    pub fn since(self, earlier: Self) -> core::time::Duration {
        core::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

macro_rules! text_form {
    ($type:ty, $parse:expr) => {
        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                $parse(text)
            }
        }
        impl TryFrom<String> for $type {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                $parse(&text)
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                alloc::format!("{value}")
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

text_form!(KindName, Self::parse);
text_form!(Key, Self::parse);
text_form!(GrainId, Self::parse);
text_form!(Digest, parse_digest);
text_form!(CallId, parse_call);

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GrainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

fn parse_digest(text: &str) -> Result<Digest, IdError> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(IdError::Digest);
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| IdError::Digest)?;
    }
    Ok(Digest(bytes))
}

fn parse_call(text: &str) -> Result<CallId, IdError> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(IdError::Call);
    }
    u128::from_str_radix(text, 16)
        .map(CallId)
        .map_err(|_| IdError::Call)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_grain_id_keeps_every_slash_after_the_first() {
        let grain = GrainId::parse("file/a/b c/ü").unwrap();
        assert_eq!(
            (grain.kind.as_str(), grain.key.as_str()),
            ("file", "a/b c/ü")
        );
        assert_eq!(grain.to_string(), "file/a/b c/ü");
    }

    #[test]
    fn each_rule_has_its_error() {
        assert_eq!(
            GrainId::parse("cart"),
            Err(IdError::NoSlash {
                text: "cart".into()
            })
        );
        assert_eq!(GrainId::parse("/7"), Err(IdError::KindLength { actual: 0 }));
        assert_eq!(
            GrainId::parse("Cart/7"),
            Err(IdError::KindCharacter {
                text: "Cart".into()
            })
        );
        assert_eq!(
            GrainId::parse("7cart/7"),
            Err(IdError::KindCharacter {
                text: "7cart".into()
            })
        );
        assert_eq!(GrainId::parse("cart/"), Err(IdError::KeyEmpty));
        assert_eq!(
            GrainId::parse("cart/a\nb"),
            Err(IdError::KeyControl { at: 1 })
        );
        let long = "k".repeat(513);
        assert_eq!(Key::parse(&long), Err(IdError::KeyTooLong { actual: 513 }));
        assert!(Key::parse(&long[..512]).is_ok());
        assert!(KindName::parse(&"k".repeat(65)).is_err());
    }

    #[test]
    fn digests_and_call_ids_survive_their_text() {
        let digest = Digest([0xa5; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("zz".repeat(32).parse::<Digest>(), Err(IdError::Digest));
        assert_eq!("+1".repeat(32).parse::<Digest>(), Err(IdError::Digest));
        let call = CallId(7);
        assert_eq!(call.to_string().parse(), Ok(call));
        assert_eq!("7".parse::<CallId>(), Err(IdError::Call));
    }
}
