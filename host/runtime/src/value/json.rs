//! JSON text, read without building anything from it. Strict RFC 8259: no comments, no trailing commas, no lone surrogates.

use std::borrow::Cow;

use super::source::{Number, Read, Source, Token, Wrong, excerpt};

/// A JSON text and how far it has been read.
#[derive(Debug, Clone)]
pub(super) struct JsonSource<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonSource<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn malformed(&self, expected: &str) -> Box<Wrong> {
        let found = match self.text[self.at..].chars().next() {
            Some(letter) => format!("found {letter:?}"),
            None => "the text ends".to_owned(),
        };
        Wrong::new(format!(
            "malformed JSON at byte {}: expected {expected}, {found}",
            self.at
        ))
    }

    fn take(&mut self, byte: u8, expected: &str) -> Read<()> {
        if self.peek() != Some(byte) {
            return Err(self.malformed(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Read<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// Moves over digits; at least one.
    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if start == self.at {
            return Err(self.malformed("a digit"));
        }
        Ok(())
    }

    /// The rest of a string in which an escape was met. `start`: after the opening quote. The position is at the first escape.
    fn escaped(&mut self, start: usize) -> Read<String> {
        let mut out = String::from(&self.text[start..self.at]);
        loop {
            let from = self.at;
            match self.plain() {
                Some(b'"') => {
                    out.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    let letter = self.escape()?;
                    out.push(letter);
                }
                Some(_) => {
                    return Err(
                        self.malformed("no control character inside a string: write it as \\u00XX")
                    );
                }
                None => return Err(self.malformed("the end of a string")),
            }
        }
    }

    /// Moves over ordinary characters of a string, to a quote, a backslash or a control character.
    fn plain(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let plain = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .unwrap_or(rest.len());
        self.at += plain;
        self.peek()
    }

    fn escape(&mut self) -> Read<char> {
        let letter = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.malformed("an escape: one of \" \\ / b f n r t u")),
        };
        self.at += 1;
        Ok(letter)
    }

    fn unicode(&mut self) -> Read<char> {
        let high = self.hex()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.malformed("a character"));
        }
        let low = if high < 0xdc00 && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            self.hex()?
        } else {
            0
        };
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.malformed("the second half of a surrogate pair"));
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            .ok_or_else(|| self.malformed("a character"))
    }

    fn hex(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            return Err(self.malformed("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(digits.iter().fold(0, |value, digit| {
            value * 16 + char::from(*digit).to_digit(16).unwrap_or(0)
        }))
    }

    /// An integer as far as it fits 64 bits, then whatever else a number may have.
    fn magnitude(&mut self) -> Read<Option<u64>> {
        if self.peek() == Some(b'0') {
            self.at += 1;
            return Ok(Some(0));
        }
        let start = self.at;
        let mut value = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value =
                value.and_then(|value| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
            self.at += 1;
        }
        if start == self.at {
            return Err(self.malformed("a digit"));
        }
        Ok(value)
    }
}

impl<'a> Source<'a> for JsonSource<'a> {
    fn token(&mut self) -> Read<Token> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Token::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b'[') => Ok(Token::Array),
            Some(b'{') => Ok(Token::Object),
            Some(b't' | b'f') => Ok(Token::Bool),
            Some(b'n') => Ok(Token::Null),
            Some(_) | None => Err(self.malformed("a value")),
        }
    }

    fn null(&mut self) -> Read<()> {
        self.word("null")
    }

    fn bool(&mut self) -> Read<bool> {
        if self.peek() == Some(b't') {
            return self.word("true").map(|()| true);
        }
        self.word("false").map(|()| false)
    }

    fn number(&mut self) -> Read<Number<'a>> {
        let start = self.at;
        let is_negative = self.peek() == Some(b'-');
        self.at += usize::from(is_negative);
        let magnitude = self.magnitude()?;
        let integer_end = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if integer_end == self.at {
            match magnitude {
                Some(value) if !is_negative => return Ok(Number::Unsigned(value)),
                // `-0` is a float: an integer has no negative zero, and 0 is its value all the same.
                Some(value) if 0 < value && value <= 1 << 63 => {
                    return Ok(Number::Negative(0_i64.wrapping_sub_unsigned(value)));
                }
                Some(_) | None => {}
            }
        }
        Ok(Number::Decimal(&self.text[start..self.at]))
    }

    fn text(&mut self) -> Read<Cow<'a, str>> {
        self.take(b'"', "a string")?;
        let start = self.at;
        if self.plain() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        self.escaped(start).map(Cow::Owned)
    }

    fn bytes(&mut self) -> Read<Cow<'a, [u8]>> {
        Err(self.malformed("a value"))
    }

    fn array(&mut self) -> Read<()> {
        self.take(b'[', "an array")
    }

    fn element(&mut self, at: usize) -> Read<bool> {
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(false);
        }
        if 0 < at {
            self.take(b',', "',' or ']'")?;
        }
        Ok(true)
    }

    fn object(&mut self) -> Read<()> {
        self.take(b'{', "an object")
    }

    fn key(&mut self, at: usize) -> Read<Option<Cow<'a, str>>> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if 0 < at {
            self.take(b',', "',' or '}'")?;
            self.skip_space();
        }
        let key = self.text()?;
        self.skip_space();
        self.take(b':', "':'")?;
        Ok(Some(key))
    }

    fn end(&mut self) -> Read<()> {
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.malformed("the end"));
        }
        Ok(())
    }

    fn found(&mut self) -> String {
        match self.token() {
            Ok(Token::Null) => "null".into(),
            Ok(Token::Bool) => if self.peek() == Some(b't') {
                "true"
            } else {
                "false"
            }
            .into(),
            Ok(Token::Number) => {
                let rest = &self.text[self.at..];
                let end = rest.find(|letter: char| {
                    !matches!(letter, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
                });
                format!(
                    "the number {}",
                    excerpt(&rest[..end.unwrap_or(rest.len())]).trim_matches('"')
                )
            }
            Ok(Token::Text) => match self.clone().text() {
                Ok(text) => format!("the string {}", excerpt(&text)),
                Err(_) => "a string".into(),
            },
            Ok(Token::Bytes) => "bytes".into(),
            Ok(Token::Array) => "an array".into(),
            Ok(Token::Object) => "an object".into(),
            Err(_) => "nothing".into(),
        }
    }
}
