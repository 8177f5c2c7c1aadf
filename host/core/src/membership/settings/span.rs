//! Periods as people write them: `"20s"`, `"500ms"`, `"1h 30m"`, and `"off"` where there may be none.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Nanoseconds of each unit, largest first, so that printing takes the longest one that fits.
const UNITS: [(&str, u64); 7] = [
    ("d", 24 * 3600 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses a period: whole numbers, each with its unit. The error says how one is written.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "'{text}' is no period; write a number with its unit, such as \"20s\", \"500ms\" or \"1h 30m\""
        )
    };
    let mut rest = text.trim();
    let mut nanos: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_not_a_number| wrong())?;
        let behind = rest[digits..].trim_start();
        let letters = behind
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (_, unit) = UNITS
            .iter()
            .find(|(name, _)| *name == &behind[..letters])
            .ok_or_else(wrong)?;
        nanos = number
            .checked_mul(*unit)
            .and_then(|part| nanos.checked_add(part))
            .ok_or_else(wrong)?;
        rest = behind[letters..].trim_start();
    }
    Ok(Duration::from_nanos(nanos))
}

/// A period as [`parse`] reads it.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut gap = "";
        for (name, unit) in UNITS {
            if unit <= rest {
                write!(f, "{gap}{}{name}", rest / unit)?;
                rest %= unit;
                gap = " ";
            }
        }
        Ok(())
    }
}

/// A period that may be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Optional(pub Option<Duration>);

/// A period that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

struct PeriodVisitor {
    may_be_off: bool,
}

impl Visitor<'_> for PeriodVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a period: a number with its unit, such as \"20s\"")?;
        if self.may_be_off {
            f.write_str(", or \"off\"")?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if self.may_be_off && text == "off" {
            return Ok(None);
        }
        parse(text).map(Some).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        if self.may_be_off && !on {
            return Ok(None);
        }
        Err(E::invalid_type(serde::de::Unexpected::Bool(on), &self))
    }
}

impl Serialize for Optional {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(period) => serializer.collect_str(&Shown(period)),
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = PeriodVisitor { may_be_off: true };
        deserializer.deserialize_any(visitor).map(Self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Shown(self.0))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// For `#[serde(with)]` on a `Duration`.
pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Shown(*value))
}

/// For `#[serde(with)]` on a `Duration`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let visitor = PeriodVisitor { may_be_off: false };
    let period = deserializer.deserialize_str(visitor)?;
    Ok(period.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_period_survives_its_text() {
        for (text, nanos) in [
            ("20s", 20_000_000_000),
            ("500ms", 500_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("1d 1ns", 86_400_000_000_001),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)));
            assert_eq!(Shown(Duration::from_nanos(nanos)).to_string(), text);
        }
        assert_eq!(parse(" 1h30m "), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_no_period_is_named() {
        for text in [
            "",
            "20",
            "s",
            "-1s",
            "1.5s",
            "20 parsecs",
            "1s2",
            "99999999999d",
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("is no period"), "{error}");
        }
    }
}
