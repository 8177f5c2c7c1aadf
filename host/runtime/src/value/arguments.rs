//! One document or query string, read as the arguments of a method.

use std::borrow::Cow;

use granary_core::error::LimitName;
use granary_core::limits::Limits;
use wasmtime::component::Val;

use super::budget::{Budget, VAL_BYTES};
use super::cbor::CborSource;
use super::json::JsonSource;
use super::read::Reader;
use super::source::{Read, Source, Token, Wrong, excerpt};
use super::{Arguments, ValueError};
use crate::interface::{Method, Shape, Ty, Types, nearest};

impl Method {
    /// Arguments from JSON text, in one of the forms of the [module](crate::value).
    pub fn arguments_from_json(
        &self,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Arguments, ValueError> {
        self.arguments(body, limits, |budget| {
            let text = std::str::from_utf8(body).map_err(|why| {
                Wrong::new(format!(
                    "malformed JSON at byte {}: not UTF-8",
                    why.valid_up_to()
                ))
            })?;
            let is_empty = text.trim_ascii().is_empty();
            self.document(JsonSource::new(text), is_empty, budget)
        })
    }

    /// Arguments from CBOR, in the forms of JSON. A byte string is a `list<u8>`.
    pub fn arguments_from_cbor(
        &self,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Arguments, ValueError> {
        self.arguments(body, limits, |budget| {
            self.document(CborSource::new(body), body.is_empty(), budget)
        })
    }

    /// The body as the argument of a method whose one parameter is a `list<u8>`.
    pub fn arguments_from_raw(
        &self,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Arguments, ValueError> {
        self.arguments(body, limits, |budget| {
            if !self.takes_raw() {
                let why = format!(
                    "raw bytes fit a method whose only parameter is list<u8>; '{}' is ({})",
                    self.name,
                    self.signature()
                );
                return Err(Wrong::new(why));
            }
            budget.charge(VAL_BYTES * body.len() as u64)?;
            Ok(vec![Val::List(body.iter().copied().map(Val::U8).collect())])
        })
    }

    /// Arguments from a query string, by parameter name: `by=3&name=x`. A string, a character and an enum take the text as it is, a `list<u8>`
    /// as base64; every other type takes JSON, or else the text as a JSON string.
    pub fn arguments_from_query(
        &self,
        query: &str,
        limits: &Limits,
    ) -> Result<Arguments, ValueError> {
        self.arguments(query.as_bytes(), limits, |budget| {
            let mut vals: Vec<Option<Val>> = vec![None; self.params.len()];
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
                let name = percent_decoded(name)?;
                let found = self.params.iter().position(|param| param.name == *name);
                let at = found.ok_or_else(|| self.unknown_parameter(&name))?;
                if vals[at].is_some() {
                    return Err(Wrong::new("parameter given twice").inside(&*name));
                }
                let val = percent_decoded(text)
                    .and_then(|text| self.query_value(self.params[at].ty, &text, budget));
                vals[at] = Some(val.map_err(|wrong| wrong.inside(&*name))?);
            }
            let reader = self.reader(JsonSource::new(""), budget);
            let filled = vals.into_iter().zip(&self.params);
            filled
                .map(|(val, param)| {
                    val.map_or_else(|| reader.left_out(&param.name, param.ty, "parameter"), Ok)
                })
                .collect()
        })
    }

    /// Whether [`Method::arguments_from_raw`] can work: the only parameter is a `list<u8>`.
    pub fn takes_raw(&self) -> bool {
        matches!(self.params.as_slice(), [param] if matches!(self.types.shape(param.ty), Shape::Bytes))
    }

    fn arguments(
        &self,
        body: &[u8],
        limits: &Limits,
        read: impl FnOnce(&mut Budget) -> Read<Vec<Val>>,
    ) -> Result<Arguments, ValueError> {
        if limits.arguments < body.len() as u64 {
            let detail = format!(
                "the arguments have {} bytes, at most {} are accepted",
                body.len(),
                limits.arguments
            );
            return Err(Wrong::limit(LimitName::Arguments, detail).into());
        }
        if let Some(why) = &self.not_callable {
            return Err(Wrong::new(why.clone()).into());
        }
        let mut budget = Budget::new(limits);
        budget
            .charge(VAL_BYTES * self.params.len() as u64)
            .map_err(ValueError::from)?;
        let vals = read(&mut budget).map_err(ValueError::from)?;
        debug_assert_eq!(vals.len(), self.params.len());
        Ok(Arguments {
            vals,
            host_bytes: budget.used(),
        })
    }

    fn reader<'t, 'b, S>(&'t self, source: S, budget: &'b mut Budget) -> Reader<'t, 'b, S> {
        Reader {
            types: &self.types,
            budget,
            source,
        }
    }

    fn document<'a, S: Source<'a>>(
        &self,
        source: S,
        is_empty: bool,
        budget: &mut Budget,
    ) -> Read<Vec<Val>> {
        let mut reader = self.reader(source, budget);
        if is_empty {
            return self.rest(Vec::new());
        }
        let vals = match reader.source.token()? {
            Token::Array => self.in_order(&mut reader)?,
            Token::Object
                if self.params.is_empty() || !self.is_bare(&mut reader.source.clone())? =>
            {
                self.by_name(&mut reader)?
            }
            Token::Null if self.params.is_empty() => {
                reader.source.null()?;
                Vec::new()
            }
            Token::Object
            | Token::Null
            | Token::Bool
            | Token::Number
            | Token::Text
            | Token::Bytes => self.bare(&mut reader)?,
        };
        reader.source.end()?;
        Ok(vals)
    }

    fn in_order<'a, S: Source<'a>>(&self, reader: &mut Reader<'_, '_, S>) -> Read<Vec<Val>> {
        let mut vals = Vec::with_capacity(self.params.len());
        reader.source.array()?;
        reader.budget.enter()?;
        while reader.source.element(vals.len())? {
            let Some(param) = self.params.get(vals.len()) else {
                let expected = self.params.len();
                return Err(Wrong::new(format!(
                    "too many arguments: expected at most {expected} ({})",
                    self.signature()
                )));
            };
            let val = reader
                .value(param.ty)
                .map_err(|wrong| wrong.inside(vals.len()))?;
            vals.push(val);
        }
        reader.budget.leave();
        self.rest(vals)
    }

    fn by_name<'a, S: Source<'a>>(&self, reader: &mut Reader<'_, '_, S>) -> Read<Vec<Val>> {
        let types: Vec<_> = self.params.iter().map(|param| param.ty).collect();
        let fields = reader.fields(&self.param_names, &types, "parameter")?;
        Ok(fields.into_iter().map(|(_, val)| val).collect())
    }

    fn bare<'a, S: Source<'a>>(&self, reader: &mut Reader<'_, '_, S>) -> Read<Vec<Val>> {
        let Some(first) = self.params.first() else {
            return Err(reader.expected("no arguments: an empty body, [] or {}"));
        };
        if let Some(second) = self
            .params
            .iter()
            .skip(1)
            .find(|param| !self.types.is_optional(param.ty))
        {
            let more = format!(
                "an array of arguments or an object by name: '{}' is needed too ({})",
                second.name,
                self.signature()
            );
            return Err(reader.expected(&more));
        }
        let val = reader.value(first.ty)?;
        let mut vals = Vec::with_capacity(self.params.len());
        vals.push(val);
        self.rest(vals)
    }

    /// Fills the parameters that were left out at the end.
    fn rest(&self, mut vals: Vec<Val>) -> Read<Vec<Val>> {
        for param in &self.params[vals.len()..] {
            if !self.types.is_optional(param.ty) {
                let expected =
                    format!("parameter '{}' missing: expected {}", param.name, param.wit);
                return Err(Wrong::new(format!("{expected} ({})", self.signature())));
            }
            vals.push(Val::Option(None));
        }
        Ok(vals)
    }

    /// Whether an object is the value of the first parameter, not the arguments by name.
    fn is_bare<'a>(&self, source: &mut impl Source<'a>) -> Read<bool> {
        if !self.bare_object {
            return Ok(false);
        }
        source.object()?;
        let first = source.key(0)?;
        Ok(first.is_none_or(|key| self.param_names.find(&key, 0).is_none()))
    }

    fn query_value(&self, ty: Ty, text: &str, budget: &mut Budget) -> Read<Val> {
        let quoted = serde_json::Value::from(text).to_string();
        let mut read = |text: &str| {
            let mut reader = self.reader(JsonSource::new(text), budget);
            let val = reader.value(ty)?;
            reader.source.end()?;
            Ok(val)
        };
        let starts_like_json = text.starts_with([
            '[', '{', '"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ]);
        let shape = self.types.shape(self.types.without_option(ty));
        let is_text = matches!(shape, Shape::String | Shape::Char | Shape::Enum(_))
            || matches!(shape, Shape::Bytes) && !text.starts_with(['[', '"']);
        let is_json = starts_like_json || matches!(text, "true" | "false" | "null");
        if is_json && !is_text {
            read(text)
        } else {
            read(&quoted)
        }
    }

    fn unknown_parameter(&self, name: &str) -> Box<Wrong> {
        let hint = nearest(name, self.params.iter().map(|param| param.name.as_str()));
        let hint = hint
            .map(|hint| format!("; did you mean '{hint}'?"))
            .unwrap_or_default();
        Wrong::new(format!(
            "unknown parameter {}{hint} ({})",
            excerpt(name),
            self.signature()
        ))
    }

    /// The parameters in WIT syntax, for errors.
    fn signature(&self) -> String {
        let params: Vec<_> = self
            .params
            .iter()
            .map(|param| format!("{}: {}", param.name, param.wit))
            .collect();
        if params.is_empty() {
            "no parameters".into()
        } else {
            params.join(", ")
        }
    }
}

/// Whether a lone object can be the value of the first parameter without ever being taken for arguments by name: no member that its type may
/// have is named like a parameter.
pub(crate) fn takes_bare_object(types: &Types, names: &[&str], params: &[Ty]) -> bool {
    let Some((first, others)) = params.split_first() else {
        return false;
    };
    if others.iter().any(|ty| !types.is_optional(*ty)) {
        return false;
    }
    let mut inner = *first;
    while let Shape::Option(of) = types.shape(inner) {
        inner = *of;
    }
    match types.shape(inner) {
        Shape::Record(members, _) | Shape::Variant(members, _) => !names.iter().any(|name| members.find(name, 0).is_some()),
        Shape::Result(..) => !names.iter().any(|name| matches!(*name, "ok" | "err")),
        Shape::NestedOption(_) => !names.contains(&"some"),
        Shape::Bool
        | Shape::S8
        | Shape::U8
        | Shape::S16
        | Shape::U16
        | Shape::S32
        | Shape::U32
        | Shape::S64
        | Shape::U64
        | Shape::F32
        | Shape::F64
        | Shape::Char
        | Shape::String
        | Shape::Bytes
        | Shape::List(_)
        | Shape::FixedList(..)
        // Its keys may be anything.
        | Shape::Map(..)
        | Shape::Tuple(_)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::Live(_) => false,
    }
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte.
fn percent_decoded(text: &str) -> Read<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = || {
        Wrong::new(format!(
            "malformed query: {} is not percent-encoded UTF-8",
            excerpt(text)
        ))
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or_else(malformed)?;
                let digits = std::str::from_utf8(digits)
                    .ok()
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                bytes.push(
                    digits
                        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                        .ok_or_else(malformed)?,
                );
                rest = after;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| malformed())
}
