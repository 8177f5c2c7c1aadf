//! A document, read as a value of a given type. What comes out has exactly that type.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use wasmtime::component::Val;

use super::budget::{Budget, FIELD_BYTES, VAL_BYTES};
use super::number;
use super::source::{Read, Source, Token, Wrong, excerpt};
use crate::interface::{Members, Shape, Ty, Types, nearest};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// What a case carries, if it carries something.
type Payload = Option<Box<Val>>;

/// Reads values of an interface's types from one document.
pub(super) struct Reader<'t, 'b, S> {
    pub(super) types: &'t Types,
    pub(super) budget: &'b mut Budget,
    pub(super) source: S,
}

impl<'a, S: Source<'a>> Reader<'_, '_, S> {
    /// The next value of the document. Its own [`VAL_BYTES`] are the caller's to pay: it knows where the value will lie.
    pub(super) fn value(&mut self, ty: Ty) -> Read<Val> {
        self.budget.node()?;
        let types = self.types;
        Ok(match types.shape(ty) {
            Shape::Bool => Val::Bool(self.bool()?),
            Shape::U8 => Val::U8(number::unsigned(&mut self.source, "u8")?),
            Shape::U16 => Val::U16(number::unsigned(&mut self.source, "u16")?),
            Shape::U32 => Val::U32(number::unsigned(&mut self.source, "u32")?),
            Shape::U64 => Val::U64(number::unsigned_or_text(&mut self.source)?),
            Shape::S8 => Val::S8(number::signed(&mut self.source, "s8")?),
            Shape::S16 => Val::S16(number::signed(&mut self.source, "s16")?),
            Shape::S32 => Val::S32(number::signed(&mut self.source, "s32")?),
            Shape::S64 => Val::S64(number::signed_or_text(&mut self.source)?),
            Shape::F32 => Val::Float32(number::float32(&mut self.source)?),
            Shape::F64 => Val::Float64(number::float64(&mut self.source)?),
            Shape::Char => Val::Char(self.char()?),
            Shape::String => Val::String(self.string()?),
            Shape::Bytes => Val::List(self.bytes()?),
            Shape::List(of) => Val::List(self.list(*of, ty)?),
            Shape::FixedList(of, len) => {
                Val::FixedLengthList(self.fixed_list(*of, *len as usize, ty)?)
            }
            Shape::Map(key, value) => Val::Map(self.map(*key, *value, ty)?),
            Shape::Record(members, of) => Val::Record(self.record(members, of, ty)?),
            Shape::Tuple(of) => Val::Tuple(self.tuple(of, ty)?),
            Shape::Variant(members, of) => self.variant(members, of, ty)?,
            Shape::Enum(members) => Val::Enum(self.enum_case(members, ty)?),
            Shape::Flags(members) => Val::Flags(self.flags(members, ty)?),
            Shape::Option(of) => Val::Option(self.option(*of)?),
            Shape::NestedOption(of) => Val::Option(self.nested_option(*of, ty)?),
            Shape::Result(ok, err) => Val::Result(self.result(*ok, *err, ty)?),
            Shape::Live(wit) => {
                return Err(Wrong::new(format!("a {wit} cannot be written as data")));
            }
        })
    }

    #[cold]
    pub(super) fn expected(&mut self, what: &str) -> Box<Wrong> {
        // A malformed document is told as such, not as a wrong type.
        match self.source.token() {
            Err(malformed) => malformed,
            Ok(_) => Wrong::new(format!("expected {what}, found {}", self.source.found())),
        }
    }

    #[cold]
    fn expected_type(&mut self, ty: Ty, form: &str) -> Box<Wrong> {
        let name = self.types.wit(ty);
        self.expected(&format!("{form} for {name}"))
    }

    fn boxed(&mut self, ty: Ty) -> Read<Box<Val>> {
        self.budget.charge(VAL_BYTES)?;
        self.value(ty).map(Box::new)
    }

    fn bool(&mut self) -> Read<bool> {
        match self.source.token() {
            Ok(Token::Bool) => self.source.bool(),
            _ => Err(self.expected("true or false")),
        }
    }

    fn text(&mut self, what: &str) -> Read<Cow<'a, str>> {
        match self.source.token() {
            Ok(Token::Text) => self.source.text(),
            _ => Err(self.expected(what)),
        }
    }

    fn string(&mut self) -> Read<String> {
        let text = self.text("a string")?;
        self.budget.charge(text.len() as u64)?;
        Ok(text.into_owned())
    }

    fn char(&mut self) -> Read<char> {
        one_char(&self.text("a string of one character")?)
    }

    fn bytes(&mut self) -> Read<Vec<Val>> {
        match self.source.token()? {
            Token::Text => {
                let text = self.source.text()?;
                self.budget
                    .charge((text.len() as u64 / 4 + 1) * 3 * (VAL_BYTES + 1))?;
                let engine = if text.contains(['-', '_']) {
                    &BASE64_URL
                } else {
                    &BASE64
                };
                let bytes = engine
                    .decode(text.as_bytes())
                    .map_err(|why| Wrong::new(format!("expected base64: {why}")))?;
                Ok(bytes.into_iter().map(Val::U8).collect())
            }
            Token::Bytes => {
                let bytes = self.source.bytes()?;
                self.budget.charge(bytes.len() as u64 * VAL_BYTES)?;
                Ok(bytes.iter().copied().map(Val::U8).collect())
            }
            Token::Array => self.byte_array(),
            Token::Null | Token::Bool | Token::Number | Token::Object => {
                Err(self.expected("base64 text or an array of numbers"))
            }
        }
    }

    fn byte_array(&mut self) -> Read<Vec<Val>> {
        self.elements(|reader| {
            reader.budget.node()?;
            number::unsigned(&mut reader.source, "u8").map(Val::U8)
        })
    }

    /// An array whose elements one function reads.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Read<Val>) -> Read<Vec<Val>> {
        self.source.array()?;
        self.budget.enter()?;
        let mut vals = Vec::new();
        while self.source.element(vals.len())? {
            self.budget.grow(&mut vals)?;
            let val = element(self).map_err(|wrong| wrong.inside(vals.len()))?;
            vals.push(val);
        }
        self.budget.leave();
        Ok(vals)
    }

    fn list(&mut self, of: Ty, ty: Ty) -> Read<Vec<Val>> {
        self.announced(Token::Array, ty, "an array")?;
        self.elements(|reader| reader.value(of))
    }

    fn announced(&mut self, token: Token, ty: Ty, form: &str) -> Read<()> {
        if self.source.token()? == token {
            return Ok(());
        }
        Err(self.expected_type(ty, form))
    }

    fn fixed_list(&mut self, of: Ty, len: usize, ty: Ty) -> Read<Vec<Val>> {
        let vals = self.list(of, ty)?;
        if vals.len() != len {
            return Err(Wrong::new(format!(
                "expected {len} elements, found {}",
                vals.len()
            )));
        }
        Ok(vals)
    }

    fn tuple(&mut self, of: &[Ty], ty: Ty) -> Read<Vec<Val>> {
        self.announced(Token::Array, ty, "an array")?;
        let wrong_count =
            |found: &str| Wrong::new(format!("expected {} elements, found {found}", of.len()));
        let mut at = 0;
        let vals = self.elements(|reader| {
            let ty = *of.get(at).ok_or_else(|| wrong_count("more"))?;
            at += 1;
            reader.value(ty)
        })?;
        if vals.len() < of.len() {
            return Err(wrong_count(&vals.len().to_string()));
        }
        Ok(vals)
    }

    fn record(&mut self, members: &Members, of: &[Ty], ty: Ty) -> Read<Vec<(String, Val)>> {
        self.announced(Token::Object, ty, "an object")?;
        self.fields(members, of, "field")
    }

    /// An object's members as the fields of a record, in the record's order. `sort`: what one of them is called in errors.
    pub(super) fn fields(
        &mut self,
        members: &Members,
        of: &[Ty],
        sort: &str,
    ) -> Read<Vec<(String, Val)>> {
        self.source.object()?;
        self.budget.enter()?;
        self.budget
            .charge(FIELD_BYTES * members.len() as u64 + members.names_bytes())?;
        let mut fields: Vec<(String, Val)> = Vec::with_capacity(members.len());
        // A name is never empty in WIT: an empty one marks a field that has not come yet.
        let absent = || (String::new(), Val::Bool(false));
        let (mut taken, mut guess) = (0, 0);
        while let Some(key) = self.source.key(taken)? {
            let Some(at) = members.find(&key, guess) else {
                return Err(unknown(sort, &key, members));
            };
            if fields.get(at).is_some_and(|field| !field.0.is_empty()) {
                return Err(Wrong::new(format!("{sort} given twice")).inside(key));
            }
            let val = self.value(of[at]).map_err(|wrong| wrong.inside(&key))?;
            if fields.len() <= at {
                fields.resize_with(at + 1, absent);
            }
            fields[at] = (members.name(at).to_owned(), val);
            taken += 1;
            guess = at + 1;
        }
        self.budget.leave();
        fields.resize_with(members.len(), absent);
        for (at, field) in fields
            .iter_mut()
            .enumerate()
            .filter(|(_, field)| field.0.is_empty())
        {
            *field = (
                members.name(at).to_owned(),
                self.left_out(members.name(at), of[at], sort)?,
            );
        }
        Ok(fields)
    }

    /// What stands for a field or an argument that is not there: `none`, if its type has that.
    pub(super) fn left_out(&self, name: &str, ty: Ty, sort: &str) -> Read<Val> {
        if self.types.is_optional(ty) {
            return Ok(Val::Option(None));
        }
        Err(Wrong::new(format!("{sort} missing: expected {}", self.types.wit(ty))).inside(name))
    }

    /// An object with one member: its name, and whatever reads its value.
    fn single<T>(&mut self, ty: Ty, read: impl FnOnce(&mut Self, &str) -> Read<T>) -> Read<T> {
        self.source.object()?;
        self.budget.enter()?;
        let Some(key) = self.source.key(0)? else {
            return Err(Wrong::new(format!(
                "expected an object with one member for {}, found none",
                self.types.wit(ty)
            )));
        };
        let value = read(self, &key)?;
        if self.source.key(1)?.is_some() {
            return Err(Wrong::new(format!(
                "expected an object with one member for {}, found more",
                self.types.wit(ty)
            )));
        }
        self.budget.leave();
        Ok(value)
    }

    fn variant(&mut self, members: &Members, of: &[Option<Ty>], ty: Ty) -> Read<Val> {
        let find = |name: &str| {
            members
                .find(name, 0)
                .ok_or_else(|| unknown_case(name, members))
        };
        let (at, payload) = match self.source.token()? {
            Token::Text => {
                let name = self.source.text()?;
                let at = find(&name)?;
                if let Some(payload) = of[at] {
                    let wit = self.types.wit(payload);
                    return Err(Wrong::new(format!(
                        "case '{name}' carries a {wit}: expected {{\"{name}\": …}}"
                    )));
                }
                (at, None)
            }
            Token::Object => self.single(ty, |reader, name| {
                let at = find(name)?;
                let payload = reader.payload(of[at]).map_err(|wrong| wrong.inside(name))?;
                Ok((at, payload))
            })?,
            Token::Null | Token::Bool | Token::Number | Token::Bytes | Token::Array => {
                return Err(self.expected_type(ty, "an object with one member or a case's name"));
            }
        };
        let name = members.name(at);
        self.budget.charge(name.len() as u64)?;
        Ok(Val::Variant(name.to_owned(), payload))
    }

    /// What a case carries. One that carries nothing is written with `null`.
    fn payload(&mut self, ty: Option<Ty>) -> Read<Payload> {
        match ty {
            Some(ty) => self.boxed(ty).map(Some),
            None => match self.source.token()? {
                Token::Null => self.source.null().map(|()| None),
                Token::Bool
                | Token::Number
                | Token::Text
                | Token::Bytes
                | Token::Array
                | Token::Object => Err(self.expected("null: the case carries nothing")),
            },
        }
    }

    fn result(
        &mut self,
        ok: Option<Ty>,
        err: Option<Ty>,
        ty: Ty,
    ) -> Read<Result<Payload, Payload>> {
        let neither = |name: &str| {
            Wrong::new(format!(
                "expected \"ok\" or \"err\", found {}",
                excerpt(name)
            ))
        };
        match self.source.token()? {
            Token::Text => match self.source.text()?.as_ref() {
                "ok" if ok.is_none() => Ok(Ok(None)),
                "err" if err.is_none() => Ok(Err(None)),
                other => Err(neither(other)),
            },
            Token::Object => self.single(ty, |reader, name| match name {
                "ok" => reader
                    .payload(ok)
                    .map(Ok)
                    .map_err(|wrong| wrong.inside("ok")),
                "err" => reader
                    .payload(err)
                    .map(Err)
                    .map_err(|wrong| wrong.inside("err")),
                other => Err(neither(other)),
            }),
            Token::Null | Token::Bool | Token::Number | Token::Bytes | Token::Array => {
                Err(self.expected_type(ty, "{\"ok\": …} or {\"err\": …}"))
            }
        }
    }

    fn option(&mut self, of: Ty) -> Read<Option<Box<Val>>> {
        if self.source.token()? == Token::Null {
            return self.source.null().map(|()| None);
        }
        self.boxed(of).map(Some)
    }

    fn nested_option(&mut self, of: Ty, ty: Ty) -> Read<Option<Box<Val>>> {
        match self.source.token()? {
            Token::Null => self.source.null().map(|()| None),
            Token::Object => self.single(ty, |reader, name| match name {
                "some" => reader
                    .boxed(of)
                    .map(Some)
                    .map_err(|wrong| wrong.inside("some")),
                other => Err(Wrong::new(format!(
                    "expected \"some\", found {}",
                    excerpt(other)
                ))),
            }),
            Token::Bool | Token::Number | Token::Text | Token::Bytes | Token::Array => {
                Err(self.expected_type(ty, "null or {\"some\": …}"))
            }
        }
    }

    fn enum_case(&mut self, members: &Members, ty: Ty) -> Read<String> {
        let Token::Text = self.source.token()? else {
            return Err(self.expected_type(ty, "a case's name"));
        };
        let name = self.source.text()?;
        if members.find(&name, 0).is_none() {
            return Err(unknown_case(&name, members));
        }
        self.budget.charge(name.len() as u64)?;
        Ok(name.into_owned())
    }

    fn flags(&mut self, members: &Members, ty: Ty) -> Read<Vec<String>> {
        self.announced(Token::Array, ty, "an array of flags' names")?;
        self.source.array()?;
        self.budget.enter()?;
        self.budget.charge(members.len() as u64)?;
        let mut set = vec![false; members.len()];
        let mut taken = 0;
        while self.source.element(taken)? {
            self.budget.node()?;
            let name = self
                .text("a flag's name")
                .map_err(|wrong| wrong.inside(taken))?;
            let Some(at) = members.find(&name, taken) else {
                return Err(Wrong::new(unknown_text("flag", &name, members)).inside(taken));
            };
            if std::mem::replace(&mut set[at], true) {
                return Err(
                    Wrong::new(format!("flag {} given twice", excerpt(&name))).inside(taken)
                );
            }
            self.budget
                .charge(size_of::<String>() as u64 + name.len() as u64)?;
            taken += 1;
        }
        self.budget.leave();
        let mut names = Vec::with_capacity(taken);
        names.extend(
            members
                .iter()
                .zip(&set)
                .filter(|(_, set)| **set)
                .map(|(member, _)| member.name.clone()),
        );
        Ok(names)
    }

    fn map(&mut self, key: Ty, value: Ty, ty: Ty) -> Read<Vec<(Val, Val)>> {
        self.announced(Token::Object, ty, "an object")?;
        self.source.object()?;
        self.budget.enter()?;
        let (mut pairs, mut seen) = (Vec::new(), HashSet::new());
        while let Some(name) = self.source.key(pairs.len())? {
            self.budget.node()?;
            self.budget.grow(&mut pairs)?;
            // Once in the set, once in the value.
            self.budget
                .charge(2 * (size_of::<String>() + name.len()) as u64)?;
            let entry = self
                .map_key(key, &name)
                .and_then(|key| Ok((key, self.value(value)?)));
            let entry = entry.map_err(|wrong| wrong.inside(clip(&name)))?;
            if let Some(name) = seen.replace(name) {
                return Err(Wrong::new("key given twice").inside(clip(&name)));
            }
            pairs.push(entry);
        }
        self.budget.leave();
        Ok(pairs)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all the other types of keys are integers"
    )]
    fn map_key(&self, ty: Ty, text: &str) -> Read<Val> {
        Ok(match self.types.shape(ty) {
            Shape::String => Val::String(text.to_owned()),
            Shape::Char => Val::Char(one_char(text)?),
            Shape::Bool => match text {
                "true" => Val::Bool(true),
                "false" => Val::Bool(false),
                other => {
                    return Err(Wrong::new(format!(
                        "expected the key true or false, found {}",
                        excerpt(other)
                    )));
                }
            },
            Shape::Enum(members) if members.find(text, 0).is_some() => Val::Enum(text.to_owned()),
            Shape::Enum(members) => return Err(unknown_case(text, members)),
            shape => return number::from_text(shape, text),
        })
    }
}

fn one_char(text: &str) -> Read<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Ok(char),
        _ => Err(Wrong::new(format!(
            "expected one character, found {}",
            excerpt(text)
        ))),
    }
}

/// A name from outside, short enough for a pointer.
fn clip(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cold]
fn unknown_text(sort: &str, name: &str, members: &Members) -> String {
    let hint = nearest(name, members.iter().map(|member| member.name.as_str()));
    let hint = hint
        .map(|hint| format!("; did you mean '{hint}'?"))
        .unwrap_or_default();
    format!("unknown {sort} {}{hint}", excerpt(name))
}

#[cold]
fn unknown(sort: &str, name: &str, members: &Members) -> Box<Wrong> {
    Wrong::new(unknown_text(sort, name, members)).inside(clip(name))
}

#[cold]
fn unknown_case(name: &str, members: &Members) -> Box<Wrong> {
    const SHOWN: usize = 8;
    let mut names: Vec<_> = members
        .iter()
        .take(SHOWN)
        .map(|member| member.name.as_str())
        .collect();
    if SHOWN < members.len() {
        names.push("…");
    }
    Wrong::new(format!(
        "{} (cases: {})",
        unknown_text("case", name, members),
        names.join(", ")
    ))
}
