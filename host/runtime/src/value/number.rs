//! Numbers and their texts, range-checked.

use wasmtime::component::Val;

use super::source::{Number, Read, Source, Token, Wrong, excerpt};
use crate::interface::Shape;

/// Integers up to here are exact as doubles, in both directions.
pub(super) const EXACT_MAX: u64 = (1 << 53) - 1;

/// An unsigned integer of up to 32 bits.
pub(super) fn unsigned<'a, T: TryFrom<u64>>(source: &mut impl Source<'a>, wit: &str) -> Read<T> {
    let Token::Number = source.token()? else {
        return Err(expected(source, wit));
    };
    let number = source.number()?;
    if let Number::Unsigned(value) = number {
        return value.try_into().map_err(|_| out_of_range(number, wit));
    }
    whole(number)
        .and_then(|whole| u64::try_from(whole).ok()?.try_into().ok())
        .ok_or_else(|| out_of_range(number, wit))
}

/// A signed integer of up to 32 bits.
pub(super) fn signed<'a, T: TryFrom<i128>>(source: &mut impl Source<'a>, wit: &str) -> Read<T> {
    let Token::Number = source.token()? else {
        return Err(expected(source, wit));
    };
    let number = source.number()?;
    whole(number)
        .and_then(|whole| whole.try_into().ok())
        .ok_or_else(|| out_of_range(number, wit))
}

/// A `u64`: a number, or its decimal digits as a string for those whose numbers are doubles.
pub(super) fn unsigned_or_text<'a>(source: &mut impl Source<'a>) -> Read<u64> {
    match source.token()? {
        Token::Text => parse(&source.text()?, "u64"),
        Token::Null | Token::Bool | Token::Number | Token::Bytes | Token::Array | Token::Object => {
            unsigned(source, "u64")
        }
    }
}

/// An `s64`, likewise.
pub(super) fn signed_or_text<'a>(source: &mut impl Source<'a>) -> Read<i64> {
    match source.token()? {
        Token::Text => parse(&source.text()?, "s64"),
        Token::Null | Token::Bool | Token::Number | Token::Bytes | Token::Array | Token::Object => {
            signed(source, "s64")
        }
    }
}

/// An integer from a map's key.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other types of keys are read elsewhere"
)]
pub(super) fn from_text(shape: &Shape, text: &str) -> Read<Val> {
    Ok(match shape {
        Shape::U8 => Val::U8(parse(text, "u8")?),
        Shape::U16 => Val::U16(parse(text, "u16")?),
        Shape::U32 => Val::U32(parse(text, "u32")?),
        Shape::U64 => Val::U64(parse(text, "u64")?),
        Shape::S8 => Val::S8(parse(text, "s8")?),
        Shape::S16 => Val::S16(parse(text, "s16")?),
        Shape::S32 => Val::S32(parse(text, "s32")?),
        Shape::S64 => Val::S64(parse(text, "s64")?),
        other => unreachable!("no key has this type: {other:?}"),
    })
}

/// Decimal digits in the one form that writing them gives: so equal numbers are equal keys.
fn parse<T: std::str::FromStr + ToString>(text: &str, wit: &str) -> Read<T> {
    let parsed = text
        .parse::<T>()
        .ok()
        .filter(|value| value.to_string() == text);
    parsed.ok_or_else(|| {
        Wrong::new(format!(
            "expected the digits of a {wit}, found the string {}",
            excerpt(text)
        ))
    })
}

pub(super) fn float64<'a>(source: &mut impl Source<'a>) -> Read<f64> {
    Ok(match float(source, "f64")? {
        Number::Float(value) => value,
        Number::Unsigned(value) => value as f64,
        Number::Negative(value) => value as f64,
        Number::Decimal(text) => finite(
            text,
            text.parse().ok().filter(|value: &f64| value.is_finite()),
            "f64",
        )?,
    })
}

pub(super) fn float32<'a>(source: &mut impl Source<'a>) -> Read<f32> {
    Ok(match float(source, "f32")? {
        Number::Float(value) => narrow(value)?,
        Number::Unsigned(value) => value as f32,
        Number::Negative(value) => value as f32,
        // Not by way of f64: rounding twice is not rounding once.
        Number::Decimal(text) => finite(
            text,
            text.parse().ok().filter(|value: &f32| value.is_finite()),
            "f32",
        )?,
    })
}

fn finite<T>(text: &str, value: Option<T>, wit: &str) -> Read<T> {
    value.ok_or_else(|| out_of_range(Number::Decimal(text), wit))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the nearest f32 is what is wanted; an overflow is refused"
)]
fn narrow(value: f64) -> Read<f32> {
    let narrowed = value as f32;
    if narrowed.is_finite() || !value.is_finite() {
        return Ok(narrowed);
    }
    Err(out_of_range(Number::Float(value), "f32"))
}

/// A number, or the name of one that JSON has no number for.
fn float<'a, S: Source<'a>>(source: &mut S, wit: &str) -> Read<Number<'a>> {
    match source.token()? {
        Token::Number => source.number(),
        Token::Text => match source.text()?.as_ref() {
            "NaN" => Ok(Number::Float(f64::NAN)),
            "Infinity" | "inf" => Ok(Number::Float(f64::INFINITY)),
            "-Infinity" | "-inf" => Ok(Number::Float(f64::NEG_INFINITY)),
            other => Err(Wrong::new(format!(
                "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\" for {wit}, found the string {}",
                excerpt(other)
            ))),
        },
        Token::Null | Token::Bool | Token::Bytes | Token::Array | Token::Object => {
            Err(expected(source, wit))
        }
    }
}

/// The integer that a number is, also where it is written `3.0` or `3e2`, as some languages do.
fn whole(number: Number<'_>) -> Option<i128> {
    match number {
        Number::Unsigned(value) => Some(value.into()),
        Number::Negative(value) => Some(value.into()),
        Number::Float(value) => whole_double(value),
        Number::Decimal(text) => whole_double(text.parse().ok()?),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be a whole number within 53 bits"
)]
fn whole_double(value: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i128)
}

#[cold]
fn expected<'a>(source: &mut impl Source<'a>, wit: &str) -> Box<Wrong> {
    Wrong::new(format!(
        "expected a number for {wit}, found {}",
        source.found()
    ))
}

#[cold]
fn out_of_range(number: Number<'_>, wit: &str) -> Box<Wrong> {
    let range = match wit {
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" => "an integer from 0 to 18446744073709551615",
        "s8" => "an integer from -128 to 127",
        "s16" => "an integer from -32768 to 32767",
        "s32" => "an integer from -2147483648 to 2147483647",
        "s64" => "an integer from -9223372036854775808 to 9223372036854775807",
        _ => "a number within its range",
    };
    let found = match number {
        Number::Unsigned(value) => value.to_string(),
        Number::Negative(value) => value.to_string(),
        Number::Float(value) => value.to_string(),
        Number::Decimal(text) => excerpt(text).trim_matches('"').to_owned(),
    };
    Wrong::new(format!("expected {range} for {wit}, found {found}"))
}
