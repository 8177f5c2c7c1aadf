//! What the typed reader asks of an encoding.

use std::borrow::Cow;

use granary_core::error::LimitName;

/// Why reading or writing stopped. The path grows from the inside out, on the way up only: nothing is kept for it while all goes well.
#[derive(Debug)]
pub(super) struct Wrong {
    path: Vec<String>,
    detail: String,
    limit: Option<LimitName>,
}

pub(super) type Read<T> = Result<T, Box<Wrong>>;

impl Wrong {
    pub(super) fn new(detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            path: Vec::new(),
            detail: detail.into(),
            limit: None,
        })
    }

    pub(super) fn limit(limit: LimitName, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            path: Vec::new(),
            detail: detail.into(),
            limit: Some(limit),
        })
    }

    /// Says that the wrong place is inside this member or element.
    #[cold]
    pub(super) fn inside(mut self: Box<Self>, step: impl ToString) -> Box<Self> {
        self.path.push(step.to_string());
        self
    }
}

impl From<Box<Wrong>> for super::ValueError {
    fn from(wrong: Box<Wrong>) -> Self {
        let mut pointer = String::new();
        for step in wrong.path.iter().rev() {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        Self {
            pointer,
            detail: wrong.detail,
            limit: wrong.limit,
        }
    }
}

/// The sort of what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Null,
    Bool,
    Number,
    Text,
    Bytes,
    Array,
    Object,
}

/// A number as far as its encoding says what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number<'a> {
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    Float(f64),
    /// A decimal that is no 64-bit integer, in JSON's grammar.
    Decimal(&'a str),
}

/// A document that is read from its start to its end. Each method takes what [`Source::token`] announced.
pub(super) trait Source<'a>: Clone {
    /// Looks at what comes next, without taking it.
    fn token(&mut self) -> Read<Token>;
    fn null(&mut self) -> Read<()>;
    fn bool(&mut self) -> Read<bool>;
    fn number(&mut self) -> Read<Number<'a>>;
    fn text(&mut self) -> Read<Cow<'a, str>>;
    fn bytes(&mut self) -> Read<Cow<'a, [u8]>>;
    fn array(&mut self) -> Read<()>;
    /// Whether there is another element; if not, the array has been left. `at`: how many were taken before.
    fn element(&mut self, at: usize) -> Read<bool>;
    fn object(&mut self) -> Read<()>;
    /// The next key; none = the object has been left. `at`: how many were taken before.
    fn key(&mut self, at: usize) -> Read<Option<Cow<'a, str>>>;
    /// Errors if anything follows.
    fn end(&mut self) -> Read<()>;
    /// What comes next, in a few words for an error's text.
    fn found(&mut self) -> String;
}

/// A text for an error: short, and on one line.
pub(super) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
