//! The grain's own durable state: keys of text, values of bytes or of anything that serde can write as JSON.
//!
//! A turn sees its own writes at once. All of them are committed when it ends, or none.

use std::vec::IntoIter;

use crate::bindings::granary::grain::state as host;
pub use crate::bindings::granary::grain::state::{Entry, StateError};

/// How many entries one request to the host asks for.
const PAGE_ENTRIES: u32 = 256;

/// Why a value could not be read or written. The turn goes on; nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host refused.
    Refused(StateError),
    /// The value does not fit its Rust type.
    #[cfg(feature = "json")]
    Json {
        /// The key of the value.
        key: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(StateError::BadKey(why)) => write!(f, "bad state key: {why}"),
            Self::Refused(StateError::TooLarge(why)) => write!(f, "state too large: {why}"),
            Self::Refused(StateError::ReadOnly(why)) => write!(f, "state is read-only here: {why}"),
            Self::Refused(StateError::Unavailable(why)) => write!(f, "state unavailable: {why}"),
            #[cfg(feature = "json")]
            Self::Json { key, .. } => write!(f, "the value under `{key}` does not fit its type"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            #[cfg(feature = "json")]
            Self::Json { source, .. } => Some(source),
        }
    }
}

impl From<StateError> for Error {
    fn from(refused: StateError) -> Self {
        Self::Refused(refused)
    }
}

/// The bytes under a key, or none.
pub fn get_bytes(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(host::get(key)?)
}

/// Puts bytes under a key.
pub fn set_bytes(key: &str, value: &[u8]) -> Result<(), Error> {
    Ok(host::set(key, value)?)
}

/// Removes a key. Removing one that is not there is no error.
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(host::delete(key)?)
}

/// How many commits have changed this grain's state.
pub fn version() -> u64 {
    host::version()
}

/// Every key that starts with `prefix`, with its bytes, in the order of the keys.
///
/// Pages are fetched as they are needed. After an error the listing ends.
pub fn list(prefix: impl Into<String>) -> List {
    List {
        prefix: prefix.into(),
        page: Vec::new().into_iter(),
        rest: Rest::From(None),
    }
}

/// The iterator behind [`list`].
#[derive(Debug)]
pub struct List {
    prefix: String,
    page: IntoIter<Entry>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// More pages may follow: after this cursor, or from the start.
    From(Option<String>),
    Nothing,
}

impl Iterator for List {
    type Item = Result<(String, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok((entry.key, entry.value)));
            }
            let Rest::From(cursor) = std::mem::replace(&mut self.rest, Rest::Nothing) else {
                return None;
            };
            match host::list(&self.prefix, cursor.as_deref(), PAGE_ENTRIES) {
                Ok(page) => {
                    self.page = page.entries.into_iter();
                    self.rest = page
                        .cursor
                        .map_or(Rest::Nothing, |after| Rest::From(Some(after)));
                }
                Err(refused) => return Some(Err(refused.into())),
            }
        }
    }
}

#[cfg(feature = "json")]
pub use typed::{Value, get, list_of, set};

#[cfg(feature = "json")]
mod typed {
    use std::marker::PhantomData;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::{Error, delete, get_bytes, list, set_bytes};

    /// The value under a key, or none. It is kept as JSON.
    pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
        get_bytes(key)?.map(|bytes| read(key, &bytes)).transpose()
    }

    fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes).map_err(|source| Error::Json {
            key: key.to_owned(),
            source,
        })
    }

    /// Puts a value under a key, as JSON.
    pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|source| Error::Json {
            key: key.to_owned(),
            source,
        })?;
        set_bytes(key, &bytes)
    }

    /// Every key that starts with `prefix`, with its value: [`list`] for values that [`set`] has written.
    pub fn list_of<T: DeserializeOwned>(
        prefix: impl Into<String>,
    ) -> impl Iterator<Item = Result<(String, T), Error>> {
        list(prefix).map(|entry| {
            let (key, bytes) = entry?;
            let value = read(&key, &bytes)?;
            Ok((key, value))
        })
    }

    /// One key of the state and the type of its value, named once.
    ///
    /// ```no_run
    /// use granary_sdk::state::{Error, Value};
    ///
    /// const COUNT: Value<u64> = Value::at("count");
    ///
    /// fn increment() -> Result<u64, Error> {
    ///     let count = COUNT.get()?.unwrap_or(0) + 1;
    ///     COUNT.set(&count)?;
    ///     Ok(count)
    /// }
    /// ```
    #[derive(Debug, Clone, Copy)]
    pub struct Value<T> {
        key: &'static str,
        of: PhantomData<fn() -> T>,
    }

    impl<T: Serialize + DeserializeOwned> Value<T> {
        /// The value under `key`.
        pub const fn at(key: &'static str) -> Self {
            Self {
                key,
                of: PhantomData,
            }
        }

        /// The value, or none if it was never set.
        pub fn get(&self) -> Result<Option<T>, Error> {
            get(self.key)
        }

        /// Puts the value.
        pub fn set(&self, value: &T) -> Result<(), Error> {
            set(self.key, value)
        }

        /// Removes the value.
        pub fn delete(&self) -> Result<(), Error> {
            delete(self.key)
        }
    }
}
