//! Who a node is: an address, and the incarnation that answers there.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hash::Hasher;

/// Why a text is no address. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// An address is written `host:port`; a host that itself holds `:` stands in brackets.
    #[error("an address is written host:port; '{text}' has no port")]
    NoPort {
        /// The text as given.
        text: String,
    },
    /// The port is a number from 1 to 65535.
    #[error("the port of '{text}' is not a number from 1 to 65535")]
    Port {
        /// The text as given.
        text: String,
    },
    /// A host is 1 to 253 bytes of letters, digits, `-`, `.`, `_` and, in brackets, `:` and `%`.
    #[error("'{text}' does not name a host")]
    Host {
        /// The text as given.
        text: String,
    },
    /// An incarnation is an address, `#` and 16 hexadecimal digits.
    #[error(
        "an incarnation is written host:port#uid, the uid in 16 hexadecimal digits, not '{text}'"
    )]
    Uid {
        /// The text as given.
        text: String,
    },
}

/// Where a node listens: a host, by name or number, and a port. Cheap to clone.
///
/// Ordered by host as text, then by port as a number: `b:9000` comes before `b:10000`. This is Pekko's address order, on which the
/// choice of a leader and of the lowest address rests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// The longest host, in bytes.
    pub const HOST_BYTES_MAX: usize = 253;

    /// Puts the two together. Errors: [`AddressError::Host`], [`AddressError::Port`] for port 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let fits =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'%');
        if host.is_empty() || Self::HOST_BYTES_MAX < host.len() || !host.bytes().all(fits) {
            return Err(AddressError::Host { text: host.into() });
        }
        if port == 0 {
            return Err(AddressError::Port { text: host.into() });
        }
        Ok(Self {
            host: host.into(),
            port,
        })
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NoPort { text: text.into() });
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(AddressError::NoPort { text: text.into() });
        }
        let port = port
            .parse()
            .map_err(|_not_a_number| AddressError::Port { text: text.into() })?;
        Self::new(bare.unwrap_or(host), port).map_err(|error| match error {
            AddressError::Port { .. } => AddressError::Port { text: text.into() },
            AddressError::Host { .. } | AddressError::NoPort { .. } | AddressError::Uid { .. } => {
                AddressError::Host { text: text.into() }
            }
        })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        alloc::format!("{address}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One incarnation of the node at an address: address and the 64-bit uid that its process drew when it started.
///
/// Members, reachability, tombstones, clocks and messages are keyed by this, never by the address alone: a node that comes back at the same
/// address is another member. Ordered by address, then uid.
///
/// For people, and in JSON and TOML, it is written `host:port#uid`, the uid in 16 hexadecimal digits: many readers of JSON
/// cannot hold 64 bits in a number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UniqueAddress {
    /// Where it listens.
    pub address: Address,
    /// What its process drew when it started.
    pub uid: u64,
}

impl UniqueAddress {
    /// Puts the two together.
    pub fn new(address: Address, uid: u64) -> Self {
        Self { address, uid }
    }

    /// The same on every node and version. Short enough for clocks and digests, and spread over the whole range.
    pub fn hash64(&self) -> u64 {
        Hasher::new()
            .text(&self.address.host)
            .number(u64::from(self.address.port))
            .number(self.uid)
            .finish()
    }
}

impl FromStr for UniqueAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let no_uid = || AddressError::Uid { text: text.into() };
        let (address, uid) = text.rsplit_once('#').ok_or_else(no_uid)?;
        if uid.len() != 16 || !uid.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(no_uid());
        }
        let uid = u64::from_str_radix(uid, 16).map_err(|_not_a_number| no_uid())?;
        Ok(Self::new(address.parse()?, uid))
    }
}

impl Serialize for UniqueAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (&self.address, self.uid).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for UniqueAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            let (address, uid) = Deserialize::deserialize(deserializer)?;
            Ok(Self { address, uid })
        }
    }
}

impl PartialOrd for UniqueAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UniqueAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.address
            .cmp(&other.address)
            .then(self.uid.cmp(&other.uid))
    }
}

impl fmt::Display for UniqueAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:016x}", self.address, self.uid)
    }
}

impl fmt::Debug for UniqueAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn addresses_are_ordered_by_host_and_then_by_port_as_a_number() {
        let mut addresses: Vec<Address> = ["b:9000", "b:10000", "a:65535", "B:1"]
            .map(|text| text.parse().unwrap())
            .into();
        addresses.sort();
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["B:1", "a:65535", "b:9000", "b:10000"]);
    }

    #[test]
    fn each_rule_has_its_error() {
        let error = |text: &str| text.parse::<Address>().unwrap_err();
        let text = |text: &str| text.into();
        assert_eq!(error("a"), AddressError::NoPort { text: text("a") });
        assert_eq!(
            error("::1:7"),
            AddressError::NoPort {
                text: text("::1:7")
            }
        );
        assert_eq!(error("a:0"), AddressError::Port { text: text("a:0") });
        assert_eq!(
            error("a:65536"),
            AddressError::Port {
                text: text("a:65536")
            }
        );
        assert_eq!(error(":7"), AddressError::Host { text: text(":7") });
        assert_eq!(
            error("a b:7"),
            AddressError::Host {
                text: text("a b:7")
            }
        );
        let long = "a".repeat(Address::HOST_BYTES_MAX + 1);
        assert_eq!(
            Address::new(&long, 7),
            Err(AddressError::Host { text: long })
        );
    }

    #[test]
    fn an_incarnation_survives_its_text() {
        for text in [
            "a.example:7000#00000000000000ff",
            "[::1]:7000#ffffffffffffffff",
        ] {
            assert_eq!(text.parse::<UniqueAddress>().unwrap().to_string(), text);
        }
        for text in [
            "a:7000",
            "a:7000#ff",
            "a:7000#+0000000000000ff",
            "a#00000000000000ff",
        ] {
            assert!(text.parse::<UniqueAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_hash_tells_incarnations_apart() {
        let a: UniqueAddress = "a:7000#0000000000000001".parse().unwrap();
        let again = UniqueAddress::new(a.address.clone(), 2);
        assert_ne!(a.hash64(), again.hash64());
        assert_eq!(a.hash64(), a.clone().hash64());
    }
}
