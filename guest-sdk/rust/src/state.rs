//! The grain's own durable state: keys of text, values of bytes or of anything that serde can write as JSON.
//!
//! A turn sees its own writes at once. All of them are committed when it ends, or none.
//!
//! Up to 256 KiB of state lie in the host's memory, and nothing here waits. Of a larger state a value may have to come from the store, and the
//! component stands still until it is there, other turns that run beside this one included. In an `async func` (feature `async`) the
//! functions that end in `_async` do the same and let the others go on.

use std::vec::IntoIter;

#[cfg(feature = "async")]
use crate::bindings::asynchronous::granary::grain::async_state as host_async;
use crate::bindings::granary::grain::state::{self as host, Page};
pub use crate::bindings::granary::grain::state::{Entry, StateError, StateErrorCode};

/// How many entries one request to the host asks for.
const PAGE_ENTRIES: u32 = 256;

/// Why a value could not be read or written. The turn goes on; nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host refused.
    Refused(StateError),
    /// What is stored does not fit the Rust type that this revision keeps there. It is as it was: a [`Migration`](crate::hooks::Migration)
    /// reads it with the old type and sets the new one.
    #[cfg(feature = "json")]
    Json {
        /// The key of the value.
        key: String,
        /// The revision that is running.
        revision: u64,
        /// The Rust type of its code.
        expected: &'static str,
        /// How the stored text begins.
        stored: String,
        /// What does not fit, and where.
        source: serde_json::Error,
    },
    /// The value that was to be set has no JSON.
    #[cfg(feature = "json")]
    Unwritable {
        /// The key of the value.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The value was written for another version of its Rust type. It is as it was: read it with a [`Value`] of that version, in
    /// [`Migration`](crate::hooks::Migration), and set the new one.
    #[cfg(feature = "json")]
    Version {
        /// The key of the value.
        key: String,
        /// The version that wrote it; none if it was written without one.
        found: Option<u32>,
        /// The version that was to be read; none if the [`Value`] has none.
        expected: Option<u32>,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refused) => {
                let code = match refused.code {
                    StateErrorCode::BadKey => "bad state key",
                    StateErrorCode::TooLarge => "state too large",
                    StateErrorCode::ReadOnly => "state is read-only here",
                    StateErrorCode::Unavailable => "state unavailable",
                };
                write!(f, "{code}: {}", refused.text)
            }
            #[cfg(feature = "json")]
            Self::Json {
                key,
                revision,
                expected,
                stored,
                source,
            } => write!(
                f,
                "the value under `{key}` does not fit its type: {source}; revision {revision} keeps {expected}, stored is {stored}"
            ),
            #[cfg(feature = "json")]
            Self::Unwritable { key, source } => {
                write!(f, "the value for `{key}` has no JSON: {source}")
            }
            #[cfg(feature = "json")]
            Self::Version {
                key,
                found,
                expected,
            } => write!(
                f,
                "the value under `{key}` was written {}, and this code reads one {}: nothing was changed; migrate it, or go back to the revision that wrote it",
                Versioned(*found),
                Versioned(*expected)
            ),
        }
    }
}

/// A version in words.
#[cfg(feature = "json")]
struct Versioned(Option<u32>);

#[cfg(feature = "json")]
impl std::fmt::Display for Versioned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(version) => write!(f, "in version {version}"),
            None => f.write_str("without a version"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            #[cfg(feature = "json")]
            Self::Version { .. } => None,
            #[cfg(feature = "json")]
            Self::Json { source, .. } | Self::Unwritable { source, .. } => Some(source),
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

/// [`get_bytes`] for an `async func`: others go on while the store is asked.
#[cfg(feature = "async")]
pub async fn get_bytes_async(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(host_async::get(key.to_owned()).await?)
}

/// [`set_bytes`] for an `async func`. The turn sees the value from when this has been awaited.
#[cfg(feature = "async")]
pub async fn set_bytes_async(key: &str, value: Vec<u8>) -> Result<(), Error> {
    Ok(host_async::set(key.to_owned(), value).await?)
}

/// [`delete`] for an `async func`.
#[cfg(feature = "async")]
pub async fn delete_async(key: &str) -> Result<(), Error> {
    Ok(host_async::delete(key.to_owned()).await?)
}

/// How many commits have changed this grain's state.
pub fn version() -> u64 {
    host::version()
}

/// Every key that starts with `prefix`, with its bytes, in the order of the keys.
///
/// Pages are fetched as they are needed. After an error the scan ends.
pub fn scan(prefix: impl Into<String>) -> Scan {
    Scan {
        prefix: prefix.into(),
        page: Vec::new().into_iter(),
        rest: Rest::From(None),
    }
}

/// The iterator behind [`scan`].
#[derive(Debug)]
pub struct Scan {
    prefix: String,
    page: IntoIter<Entry>,
    rest: Rest,
}

impl Scan {
    /// The same as [`next`](Iterator::next) for an `async func`: others go on while the store is asked.
    #[cfg(feature = "async")]
    pub async fn next_async(&mut self) -> Option<Result<(String, Vec<u8>), Error>> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok((entry.key, entry.value)));
            }
            let cursor = self.cursor()?;
            let page = host_async::scan(self.prefix.clone(), cursor, PAGE_ENTRIES).await;
            if let Err(refused) = self.turn(page) {
                return Some(Err(refused));
            }
        }
    }

    /// Where the next page begins; none if there is none.
    fn cursor(&mut self) -> Option<Option<String>> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::From(cursor) => Some(cursor),
            Rest::Nothing => None,
        }
    }

    fn turn(&mut self, page: Result<Page, StateError>) -> Result<(), Error> {
        let page = page?;
        self.page = page.entries.into_iter();
        self.rest = page
            .cursor
            .map_or(Rest::Nothing, |after| Rest::From(Some(after)));
        Ok(())
    }
}

#[derive(Debug)]
enum Rest {
    /// More pages may follow: after this cursor, or from the start.
    From(Option<String>),
    Nothing,
}

impl Iterator for Scan {
    type Item = Result<(String, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok((entry.key, entry.value)));
            }
            let cursor = self.cursor()?;
            let page = host::scan(&self.prefix, cursor.as_deref(), PAGE_ENTRIES);
            if let Err(refused) = self.turn(page) {
                return Some(Err(refused));
            }
        }
    }
}

#[cfg(feature = "json")]
pub use typed::{Value, get, scan_of, set};

#[cfg(feature = "json")]
mod typed {
    use std::marker::PhantomData;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::{Error, delete, get_bytes, scan, set_bytes};

    /// The value under a key, or none. It is kept as JSON.
    pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
        get_bytes(key)?.map(|bytes| read(key, &bytes)).transpose()
    }

    fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes).map_err(|source| Error::Json {
            key: key.to_owned(),
            revision: running(),
            expected: std::any::type_name::<T>(),
            stored: shown(bytes),
            source,
        })
    }

    /// The revision whose code this is. Outside of a component there is none.
    fn running() -> u64 {
        if cfg!(target_family = "wasm") {
            crate::context::revision()
        } else {
            0
        }
    }

    /// As much of a stored text as an error shows.
    fn shown(bytes: &[u8]) -> String {
        const MOST: usize = 80;
        let text = String::from_utf8_lossy(bytes);
        match text.char_indices().nth(MOST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.into_owned(),
        }
    }

    /// Puts a value under a key, as JSON.
    pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
        set_bytes(key, &write(key, value)?)
    }

    fn write<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(value).map_err(|source| Error::Unwritable {
            key: key.to_owned(),
            source,
        })
    }

    /// Every key that starts with `prefix`, with its value: [`scan`] for values that [`set`] has written.
    pub fn scan_of<T: DeserializeOwned>(
        prefix: impl Into<String>,
    ) -> impl Iterator<Item = Result<(String, T), Error>> {
        scan(prefix).map(|entry| {
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
    ///
    /// # When the type changes
    ///
    /// New code meets the state that old code wrote. Serde reads it where it can: a new field with `#[serde(default)]` is no change.
    /// Where the old value would not fit, or would fit and mean something else, count the type's [`version`](Self::version) up. An
    /// older value is then [`Error::Version`], with both versions, and stays as it is until [`Migration`](crate::hooks::Migration)
    /// or the code itself replaces it:
    ///
    /// ```no_run
    /// use granary_sdk::state::{Error, Value};
    ///
    /// /// In euros, until there were cents.
    /// const OLD: Value<u64> = Value::at("price");
    /// /// In cents.
    /// const PRICE: Value<u64> = Value::at("price").version(2);
    ///
    /// fn migrate() -> Result<(), Error> {
    ///     if let Some(euros) = OLD.get()? {
    ///         PRICE.set(&(euros * 100))?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[derive(Debug, Clone, Copy)]
    pub struct Value<T> {
        key: &'static str,
        version: Option<u32>,
        of: PhantomData<fn() -> T>,
    }

    /// How a value with a version is kept. Without one, it is kept as it is.
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        #[serde(rename = "$version")]
        version: u32,
        value: &'a T,
    }

    #[derive(Deserialize)]
    struct Content<T> {
        value: T,
    }

    /// How the text of an [`Envelope`] begins. No field of a Rust type is called so, unless by `#[serde(rename)]`.
    const MARK: &[u8] = br#"{"$version":"#;

    /// The version that a value was written in, and none if it was written without. It costs no parsing.
    fn version_of(bytes: &[u8]) -> Option<u32> {
        let rest = bytes.strip_prefix(MARK)?;
        let digits = rest.split(|byte| *byte == b',').next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn open<T: DeserializeOwned>(
        key: &str,
        bytes: &[u8],
        expected: Option<u32>,
    ) -> Result<T, Error> {
        let found = version_of(bytes);
        if found != expected {
            return Err(Error::Version {
                key: key.to_owned(),
                found,
                expected,
            });
        }
        if expected.is_none() {
            return read(key, bytes);
        }
        read(key, bytes).map(|content: Content<T>| content.value)
    }

    fn seal<T: Serialize>(key: &str, value: &T, version: Option<u32>) -> Result<Vec<u8>, Error> {
        match version {
            Some(version) => write(key, &Envelope { version, value }),
            None => write(key, value),
        }
    }

    impl<T: Serialize + DeserializeOwned> Value<T> {
        /// The value under `key`.
        pub const fn at(key: &'static str) -> Self {
            Self {
                key,
                version: None,
                of: PhantomData,
            }
        }

        /// Tells values of this type from those that were written under the same key for another version of it.
        #[must_use]
        pub const fn version(self, version: u32) -> Self {
            Self {
                version: Some(version),
                ..self
            }
        }

        /// The value, or none if it was never set.
        pub fn get(&self) -> Result<Option<T>, Error> {
            let bytes = get_bytes(self.key)?;
            bytes
                .map(|bytes| open(self.key, &bytes, self.version))
                .transpose()
        }

        /// Puts the value, whichever version was there.
        pub fn set(&self, value: &T) -> Result<(), Error> {
            set_bytes(self.key, &seal(self.key, value, self.version)?)
        }

        /// [`get`](Self::get) for an `async func`: others go on while the store is asked.
        #[cfg(feature = "async")]
        pub async fn get_async(&self) -> Result<Option<T>, Error> {
            let bytes = super::get_bytes_async(self.key).await?;
            bytes
                .map(|bytes| open(self.key, &bytes, self.version))
                .transpose()
        }

        /// [`set`](Self::set) for an `async func`. The turn sees the value from when this has been awaited.
        #[cfg(feature = "async")]
        pub async fn set_async(&self, value: &T) -> Result<(), Error> {
            let bytes = seal(self.key, value, self.version)?;
            super::set_bytes_async(self.key, bytes).await
        }

        /// [`delete`](Self::delete) for an `async func`.
        #[cfg(feature = "async")]
        pub async fn delete_async(&self) -> Result<(), Error> {
            super::delete_async(self.key).await
        }

        /// Removes the value.
        pub fn delete(&self) -> Result<(), Error> {
            delete(self.key)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{open, seal};
        use crate::state::Error;

        fn versions(result: Result<u64, Error>) -> (Option<u32>, Option<u32>, String) {
            let error = result.unwrap_err();
            let text = error.to_string();
            match error {
                Error::Version {
                    found, expected, ..
                } => (found, expected, text),
                Error::Refused(_) | Error::Json { .. } | Error::Unwritable { .. } => {
                    panic!("{text}")
                }
            }
        }

        #[test]
        fn a_value_without_a_version_is_plain_json() {
            let bytes = seal("n", &5_u64, None).unwrap();
            assert_eq!(bytes, b"5");
            assert_eq!(open::<u64>("n", &bytes, None).unwrap(), 5);
        }

        #[test]
        fn a_value_is_read_in_its_own_version() {
            let bytes = seal("n", &5_u64, Some(2)).unwrap();
            assert_eq!(bytes, br#"{"$version":2,"value":5}"#);
            assert_eq!(open::<u64>("n", &bytes, Some(2)).unwrap(), 5);
        }

        #[test]
        fn another_version_is_an_error_with_both() {
            let second = seal("n", &5_u64, Some(2)).unwrap();
            let (found, expected, text) = versions(open("n", &second, Some(3)));
            assert_eq!((found, expected), (Some(2), Some(3)));
            assert_eq!(
                text,
                "the value under `n` was written in version 2, and this code reads one in version 3: nothing was changed; \
                 migrate it, or go back to the revision that wrote it"
            );
            let (found, expected, text) = versions(open("n", b"5", Some(1)));
            assert_eq!((found, expected), (None, Some(1)));
            assert!(text.contains("was written without a version"), "{text}");
            // Code from before the versions meets what later code wrote.
            let (found, expected, _) = versions(open("n", &second, None));
            assert_eq!((found, expected), (Some(2), None));
        }

        #[test]
        fn a_value_that_fits_no_version_of_its_own_is_named() {
            let wrong = open::<u64>("n", br#"{"$version":2,"value":"five"}"#, Some(2));
            let wrong = wrong.unwrap_err();
            assert!(matches!(&wrong, Error::Json { key, .. } if key == "n"));
            let words = wrong.to_string();
            for part in [
                "`n`",
                "invalid type: string \"five\"",
                "revision 0 keeps",
                "u64",
                "stored is {\"$version\":2",
            ] {
                assert!(words.contains(part), "{words}");
            }
        }

        #[test]
        fn a_long_value_is_shown_by_its_beginning() {
            let long = format!("\"{}\"", "ä".repeat(100));
            let words = open::<u64>("n", long.as_bytes(), None)
                .unwrap_err()
                .to_string();
            assert!(words.ends_with("ää…"), "{words}");
        }
    }
}
