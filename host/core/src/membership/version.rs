//! The version of the program that a member runs.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no version. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppVersionError {
    /// It is too long.
    #[error("a version is at most {max} bytes long, not {actual}", max = AppVersion::BYTES_MAX)]
    TooLong {
        /// How many bytes it had.
        actual: usize,
    },
    /// It starts with one to four numbers, with dots between them.
    #[error("a version starts with 1 to 4 numbers and dots between them; '{text}' does not")]
    Numbers {
        /// The text as given.
        text: String,
    },
    /// A suffix is made of words of letters, digits and `-`, with dots between them.
    #[error(
        "the suffix of '{text}' is not made of letters, digits and '-', with single dots between them"
    )]
    Suffix {
        /// The text as given.
        text: String,
    },
}

/// A version of the program that a member runs: `1.2.3`, `1.2`, `2.0.0-rc.1`, `1.2.3+build7`. Cheap to clone.
///
/// Ordered as semantic versioning orders: number by number, a suffix behind `-` before none, its words as numbers where they are numbers.
/// Where that says "equal", what stands behind `+` decides, so that equal means the same text. Missing numbers are 0 and are written
/// out: `1.2` is kept as `1.2.0`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppVersion(Arc<str>);

/// What an order needs of a version.
#[derive(PartialEq, Eq)]
struct Parts<'a> {
    numbers: [u64; 4],
    suffix: Option<&'a str>,
    build: Option<&'a str>,
}

impl AppVersion {
    /// The longest version, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Checks a text. Errors: every [`AppVersionError`].
    pub fn parse(text: &str) -> Result<Self, AppVersionError> {
        if Self::BYTES_MAX < text.len() {
            return Err(AppVersionError::TooLong { actual: text.len() });
        }
        let (front, build) = split(text, '+');
        let (numbers, suffix) = split(front, '-');
        let wrong_numbers = || AppVersionError::Numbers { text: text.into() };
        let mut parsed = [0; 4];
        for (at, number) in numbers.split('.').enumerate() {
            let place = parsed.get_mut(at).ok_or_else(wrong_numbers)?;
            if !is_number(number) {
                return Err(wrong_numbers());
            }
            *place = number.parse().map_err(|_too_large| wrong_numbers())?;
        }
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let tails = [suffix, build];
        if !tails
            .into_iter()
            .flatten()
            .all(|tail| tail.split('.').all(is_word))
        {
            return Err(AppVersionError::Suffix { text: text.into() });
        }
        let [major, minor, patch, last] = parsed;
        let mut kept = alloc::format!("{major}.{minor}.{patch}");
        if last != 0 {
            kept.push_str(&alloc::format!(".{last}"));
        }
        for (mark, tail) in ['-', '+'].into_iter().zip(tails) {
            if let Some(tail) = tail {
                kept.push(mark);
                kept.push_str(tail);
            }
        }
        Ok(Self(kept.into()))
    }

    /// The version as it is written in full.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Parts<'_> {
        let (front, build) = split(&self.0, '+');
        let (text, suffix) = split(front, '-');
        let mut numbers = [0; 4];
        for (place, number) in numbers.iter_mut().zip(text.split('.')) {
            *place = number.parse().unwrap_or(u64::MAX);
        }
        Parts {
            numbers,
            suffix,
            build,
        }
    }
}

/// `1.2.3-rc` at `-`: what is in front, and what is behind.
fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((front, behind)) => (front, Some(behind)),
        None => (text, None),
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// Word by word: numbers as numbers and before words, words as text; where one ends, the shorter comes first.
fn compare_suffixes(a: &str, b: &str) -> Ordering {
    for (a, b) in a.split('.').zip(b.split('.')) {
        let order = match (is_number(a), is_number(b)) {
            (true, true) => {
                let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
                a.len().cmp(&b.len()).then(a.cmp(b))
            }
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    a.split('.').count().cmp(&b.split('.').count())
}

impl Ord for AppVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.parts(), other.parts());
        let suffixes = || match (a.suffix, b.suffix) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_suffixes(a, b),
        };
        a.numbers
            .cmp(&b.numbers)
            .then_with(suffixes)
            .then_with(|| a.build.cmp(&b.build))
            // `-01` and `-1` are the same number and not the same text.
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for AppVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for AppVersion {
    /// `0.0.0`.
    fn default() -> Self {
        Self("0.0.0".into())
    }
}

impl FromStr for AppVersion {
    type Err = AppVersionError;

    fn from_str(text: &str) -> Result<Self, AppVersionError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AppVersion {
    type Error = AppVersionError;

    fn try_from(text: String) -> Result<Self, AppVersionError> {
        Self::parse(&text)
    }
}

impl From<AppVersion> for String {
    fn from(version: AppVersion) -> Self {
        version.0.as_ref().into()
    }
}

impl fmt::Display for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn version(text: &str) -> AppVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_as_semantic_versioning_orders() {
        let rising = [
            "0.0.0",
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "1.0.0+7",
            "1.0.0.1",
            "1.2",
            "1.9.3",
            "1.10.0",
            "2.0.0-99999999999999999999999",
            "2.0.0-x",
            "2",
        ];
        for (a, left) in rising.iter().enumerate() {
            for (b, right) in rising.iter().enumerate() {
                assert_eq!(
                    version(left).cmp(&version(right)),
                    a.cmp(&b),
                    "{left} {right}"
                );
            }
        }
    }

    #[test]
    fn numbers_that_are_left_out_are_written_out() {
        assert_eq!(version("1.2").to_string(), "1.2.0");
        assert_eq!(version("1-rc+b"), version("1.0.0-rc+b"));
        assert_eq!(version("1.2.3.0"), version("1.2.3"));
        assert_eq!(version("01.2.3"), version("1.2.3"));
        assert_eq!(AppVersion::default(), version("0.0.0"));
        assert_eq!(version("1.2.3-a-b").to_string(), "1.2.3-a-b");
    }

    #[test]
    fn each_rule_has_its_error() {
        for text in [
            "",
            "v1",
            "1.2.x",
            "1..2",
            "1.2.3.4.5",
            "1.99999999999999999999",
            "-rc",
        ] {
            let error = AppVersionError::Numbers { text: text.into() };
            assert_eq!(AppVersion::parse(text), Err(error));
        }
        for text in ["1-", "1-a..b", "1+", "1+a b", "1-ä"] {
            let error = AppVersionError::Suffix { text: text.into() };
            assert_eq!(AppVersion::parse(text), Err(error));
        }
        let long = alloc::format!("1-{}", "a".repeat(127));
        let error = AppVersionError::TooLong { actual: 129 };
        assert_eq!(AppVersion::parse(&long), Err(error));
    }
}
