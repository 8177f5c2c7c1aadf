//! CBOR (RFC 8949), read without building anything from it. Definite and indefinite lengths; tags are passed over.

use std::borrow::Cow;

use super::source::{Number, Read, Source, Token, Wrong, excerpt};

/// A CBOR item and how far it has been read. `open` holds, for each array or map around the position, how many elements are left; none = until
/// the break.
#[derive(Debug, Clone)]
pub(super) struct CborSource<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Option<u64>>,
}

/// The head of an item: its major type, and its argument (none = indefinite length).
struct Head {
    major: u8,
    info: u8,
    argument: Option<u64>,
}

const BREAK: u8 = 0xff;

impl<'a> CborSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            open: Vec::new(),
        }
    }

    #[cold]
    fn malformed(&self, why: &str) -> Box<Wrong> {
        Wrong::new(format!("malformed CBOR at byte {}: {why}", self.at))
    }

    fn slice(&mut self, len: u64) -> Read<&'a [u8]> {
        let len = usize::try_from(len).ok();
        let end = len
            .and_then(|len| self.at.checked_add(len))
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.malformed("it ends too soon"));
        };
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn head(&mut self) -> Read<Head> {
        let first = self.slice(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => {
                let bytes = self.slice(1 << (info - 24))?;
                Some(
                    bytes
                        .iter()
                        .fold(0, |value, byte| value << 8 | u64::from(*byte)),
                )
            }
            31 if (2..=5).contains(&major) => None,
            _ => return Err(self.malformed("a reserved length")),
        };
        Ok(Head {
            major,
            info,
            argument,
        })
    }

    fn skip_tags(&mut self) -> Read<()> {
        while self.bytes.get(self.at).is_some_and(|byte| byte >> 5 == 6) {
            self.head()?;
        }
        Ok(())
    }

    /// The content of a string, in one piece or in chunks.
    fn chunks(&mut self) -> Read<Cow<'a, [u8]>> {
        let head = self.head()?;
        if let Some(len) = head.argument {
            return self.slice(len).map(Cow::Borrowed);
        }
        let mut all = Vec::new();
        while self.bytes.get(self.at) != Some(&BREAK) {
            let chunk = self.head()?;
            let Some(len) = chunk.argument.filter(|_| chunk.major == head.major) else {
                return Err(self.malformed("a chunk of another type"));
            };
            all.extend_from_slice(self.slice(len)?);
        }
        self.at += 1;
        Ok(Cow::Owned(all))
    }

    /// Whether the innermost open array or map goes on.
    fn goes_on(&mut self) -> Read<bool> {
        let at_break = self.bytes.get(self.at) == Some(&BREAK);
        let goes_on = match self.open.last_mut() {
            Some(Some(0)) => false,
            Some(Some(left)) => {
                *left -= 1;
                true
            }
            Some(None) if at_break => {
                self.at += 1;
                false
            }
            Some(None) => true,
            None => return Err(self.malformed("not inside an array or a map")),
        };
        if !goes_on {
            self.open.pop();
        }
        Ok(goes_on)
    }
}

/// A half-precision float, which Rust has no stable type for.
fn half(bits: u64) -> f64 {
    let mantissa = f64::from(u16::try_from(bits & 0x3ff).unwrap_or(0));
    let exponent = i32::try_from(bits >> 10 & 0x1f).unwrap_or(0);
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

impl<'a> Source<'a> for CborSource<'a> {
    fn token(&mut self) -> Read<Token> {
        self.skip_tags()?;
        let Some(first) = self.bytes.get(self.at) else {
            return Err(self.malformed("it ends too soon"));
        };
        Ok(match (first >> 5, first & 0x1f) {
            (0 | 1, _) => Token::Number,
            (2, _) => Token::Bytes,
            (3, _) => Token::Text,
            (4, _) => Token::Array,
            (5, _) => Token::Object,
            (7, 20 | 21) => Token::Bool,
            (7, 22 | 23) => Token::Null,
            (7, 25..=27) => Token::Number,
            _ => return Err(self.malformed("expected a value")),
        })
    }

    fn null(&mut self) -> Read<()> {
        self.head().map(drop)
    }

    fn bool(&mut self) -> Read<bool> {
        Ok(self.head()?.info == 21)
    }

    fn number(&mut self) -> Read<Number<'a>> {
        let Head {
            major,
            info,
            argument,
        } = self.head()?;
        let Some(value) = argument else {
            return Err(self.malformed("a number without a value"));
        };
        Ok(match (major, info) {
            (0, _) => Number::Unsigned(value),
            (1, _) => match i64::try_from(value) {
                Ok(value) => Number::Negative(-1 - value),
                // Below every 64-bit integer: it can only be meant as a float.
                Err(_) => Number::Float(-1.0 - value as f64),
            },
            (_, 25) => Number::Float(half(value)),
            (_, 26) => Number::Float(f64::from(f32::from_bits(u32::try_from(value).unwrap_or(0)))),
            _ => Number::Float(f64::from_bits(value)),
        })
    }

    fn text(&mut self) -> Read<Cow<'a, str>> {
        let why = "a text string that is not UTF-8";
        match self.chunks()? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| self.malformed(why)),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .map(Cow::Owned)
                .map_err(|_| self.malformed(why)),
        }
    }

    fn bytes(&mut self) -> Read<Cow<'a, [u8]>> {
        self.chunks()
    }

    fn array(&mut self) -> Read<()> {
        let head = self.head()?;
        self.open.push(head.argument);
        Ok(())
    }

    fn element(&mut self, _at: usize) -> Read<bool> {
        self.goes_on()
    }

    fn object(&mut self) -> Read<()> {
        self.array()
    }

    fn key(&mut self, _at: usize) -> Read<Option<Cow<'a, str>>> {
        if !self.goes_on()? {
            return Ok(None);
        }
        match self.token()? {
            Token::Text => self.text().map(Some),
            // Keys of a `map` with integers: their text form is what JSON has.
            Token::Number => match self.number()? {
                Number::Unsigned(value) => Ok(Some(Cow::Owned(value.to_string()))),
                Number::Negative(value) => Ok(Some(Cow::Owned(value.to_string()))),
                Number::Float(_) | Number::Decimal(_) => {
                    Err(self.malformed("a map key that is a float"))
                }
            },
            Token::Bool => Ok(Some(Cow::Borrowed(if self.bool()? {
                "true"
            } else {
                "false"
            }))),
            Token::Null | Token::Bytes | Token::Array | Token::Object => {
                Err(self.malformed("a map key that is no text"))
            }
        }
    }

    fn end(&mut self) -> Read<()> {
        if self.at < self.bytes.len() {
            return Err(self.malformed("something follows the value"));
        }
        Ok(())
    }

    fn found(&mut self) -> String {
        match self.token() {
            Ok(Token::Null) => "null".into(),
            Ok(Token::Bool) => "a boolean".into(),
            Ok(Token::Number) => match self.clone().number() {
                Ok(Number::Unsigned(value)) => format!("the number {value}"),
                Ok(Number::Negative(value)) => format!("the number {value}"),
                Ok(Number::Float(value)) => format!("the number {value}"),
                Ok(Number::Decimal(_)) | Err(_) => "a number".into(),
            },
            Ok(Token::Text) => match self.clone().text() {
                Ok(text) => format!("the string {}", excerpt(&text)),
                Err(_) => "a string".into(),
            },
            Ok(Token::Bytes) => "a byte string".into(),
            Ok(Token::Array) => "an array".into(),
            Ok(Token::Object) => "a map".into(),
            Err(_) => "nothing".into(),
        }
    }
}
