//! Who a node is: an address, and the incarnation that answers there.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

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
            AddressError::Host { .. } | AddressError::NoPort { .. } => {
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
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
