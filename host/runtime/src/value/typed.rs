//! Values that pass from one component to another as they are, without an encoding.
//!
//! The two sides were built apart, so their types may differ as [`crate::compare`] allows: what one gives is moved into the shape that the
//! other takes. Whether that works for every value is settled before the called guest is entered, and remembered.

use std::sync::{Arc, Weak};

use granary_core::error::{CallError, LimitName};
use granary_core::limits::Limits;
use parking_lot::Mutex;
use wasmtime::component::Val;

use super::budget::{Budget, FIELD_BYTES, VAL_BYTES};
use super::json::JsonSource;
use super::read::Reader;
use super::source::{Read, Source as _, Wrong};
use super::{Arguments, Results, ValueError};
use crate::compare::{self, outcomes};
use crate::interface::{Members, Method, Shape, Ty, Types};

/// Arguments or a result as values, with the method whose types they have: the client's for arguments, the called one's for a result.
#[derive(Debug, Clone)]
pub struct Typed {
    vals: Vec<Val>,
    method: Arc<Method>,
    bytes: u64,
}

impl Typed {
    /// The arguments of a client's method. The engine has checked them against its types.
    pub(crate) fn arguments(vals: Vec<Val>, method: Arc<Method>) -> Self {
        let bytes = vals.iter().map(size).sum();
        Self {
            vals,
            method,
            bytes,
        }
    }

    pub(super) fn vals(&self) -> &[Val] {
        &self.vals
    }

    /// What the data takes, names and all that is only there for the encoding left aside.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// Whether the method answered `err`.
    pub fn is_err(&self) -> bool {
        matches!(self.vals.first(), Some(Val::Result(Err(_))))
    }
}

impl PartialEq for Typed {
    fn eq(&self, other: &Self) -> bool {
        self.vals == other.vals && Arc::ptr_eq(&self.method, &other.method)
    }
}

/// The bytes of a value's data.
fn size(val: &Val) -> u64 {
    match val {
        Val::Bool(_) | Val::S8(_) | Val::U8(_) | Val::Enum(_) => 1,
        Val::S16(_) | Val::U16(_) => 2,
        Val::S32(_) | Val::U32(_) | Val::Float32(_) | Val::Char(_) => 4,
        Val::S64(_) | Val::U64(_) | Val::Float64(_) => 8,
        Val::String(text) => text.len() as u64,
        Val::List(of) | Val::Tuple(of) | Val::FixedLengthList(of) => match of.first() {
            Some(Val::U8(_) | Val::S8(_) | Val::Bool(_)) if matches!(val, Val::List(_)) => {
                of.len() as u64
            }
            Some(_) | None => of.iter().map(size).sum(),
        },
        Val::Map(of) => of.iter().map(|(key, of)| size(key) + size(of)).sum(),
        Val::Record(of) => of.iter().map(|(_, of)| size(of)).sum(),
        Val::Flags(of) => of.len() as u64,
        Val::Variant(_, of) | Val::Option(of) | Val::Result(Ok(of) | Err(of)) => {
            1 + of.as_deref().map_or(0, size)
        }
        // None of them is data: no method that has one can be called.
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => 0,
    }
}

/// What a client's method was last found to say of a called one. Both live as long as a revision does, so that the comparison is made once.
#[derive(Debug, Default)]
pub(crate) struct LastFit(Mutex<Option<Known>>);

/// A called method, and what does not fit.
type Known = (Weak<Method>, Option<Arc<str>>);

impl Clone for LastFit {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl LastFit {
    /// What does not fit, in words; none if every value will.
    fn of(&self, client: &Method, called: &Arc<Method>) -> Option<Arc<str>> {
        let mut last = self.0.lock();
        if let Some((known, misfit)) = &*last
            && std::ptr::eq(known.as_ptr(), Arc::as_ptr(called))
        {
            return misfit.clone();
        }
        let misfit = compare::misfits(client, called);
        let misfit = (!misfit.is_empty()).then(|| Arc::from(compare::in_words(&misfit)));
        *last = Some((Arc::downgrade(called), misfit.clone()));
        misfit
    }
}

impl Method {
    /// Arguments from a client's values. Errors: the client does not fit this method; a limit.
    pub fn arguments_from_typed(
        self: &Arc<Self>,
        typed: &Typed,
        limits: &Limits,
    ) -> Result<Arguments, ValueError> {
        let client = &typed.method;
        if let Some(misfit) = client.last_fit.of(client, self) {
            return Err(Wrong::new(format!(
                "the caller's client does not fit method '{}': {misfit}; make the client anew and rebuild the caller",
                self.name
            ))
            .into());
        }
        let mut budget = Budget::new(limits);
        let vals = self.taken(typed, &mut budget).map_err(ValueError::from)?;
        Ok(Arguments {
            vals,
            host_bytes: budget.used(),
        })
    }

    fn taken(&self, typed: &Typed, budget: &mut Budget) -> Read<Vec<Val>> {
        budget.charge(VAL_BYTES * self.params.len() as u64)?;
        let mut vals = Vec::with_capacity(self.params.len());
        let mut mover = Mover {
            from: &typed.method.types,
            to: &self.types,
            budget,
        };
        for ((val, param), into) in typed
            .vals
            .iter()
            .zip(&typed.method.params)
            .zip(&self.params)
        {
            let moved = mover.value(param.ty, into.ty, val.clone());
            vals.push(moved.map_err(|wrong| wrong.inside(&param.name))?);
        }
        // Whatever the method takes beyond what the client knows is optional: else it would not fit.
        vals.resize(self.params.len(), Val::Option(None));
        Ok(vals)
    }

    /// A result as the values that they are. Errors: it is larger than its limit.
    pub fn results_to_typed(
        self: &Arc<Self>,
        results: Results,
        limits: &Limits,
    ) -> Result<Typed, ValueError> {
        let vals: Vec<_> = results.0.into_iter().collect();
        let bytes = vals.iter().map(size).sum();
        if limits.result < bytes {
            let detail = format!("the result has more than {} bytes", limits.result);
            return Err(Wrong::limit(LimitName::Result, detail).into());
        }
        Ok(Typed {
            vals,
            method: Arc::clone(self),
            bytes,
        })
    }

    /// A called method's result as this client's method has it. Errors: its own error where this client knows of none, as JSON text.
    pub(crate) fn answer_from_typed(&self, typed: Typed, limits: &Limits) -> Answer {
        let called = typed.method;
        let val = typed.vals.into_iter().next();
        let (was_ok, was_err) = outcomes(&called);
        let (ok, err) = outcomes(self);
        let mut budget = Budget::new(limits);
        let mut mover = Mover {
            from: &called.types,
            to: &self.types,
            budget: &mut budget,
        };
        match val {
            Some(Val::Result(Err(val))) if was_err.is_some() => {
                let Some(err) = err else {
                    let results = Results(Some(Val::Result(Err(val))));
                    return Err(unknown_error(&called, &results, limits));
                };
                Ok(Err(mover
                    .case(was_err.flatten(), err, val)
                    .map_err(unread)?))
            }
            Some(Val::Result(Ok(val))) if was_err.is_some() => {
                Ok(Ok(mover.case(was_ok, ok, val).map_err(unread)?))
            }
            val => Ok(Ok(mover
                .case(was_ok, ok, val.map(Box::new))
                .map_err(unread)?)),
        }
    }

    /// A called method's result that was kept as JSON text, as this client's method has it.
    pub(crate) fn answer_from_json(&self, json: &[u8], is_err: bool, limits: &Limits) -> Answer {
        let (ok, err) = outcomes(self);
        let ty = if is_err { err.flatten() } else { ok };
        let text = String::from_utf8_lossy(json);
        if is_err && err.is_none() {
            return Err(CallError::App {
                value: text.into_owned(),
                rolled_back: false,
            });
        }
        let mut budget = Budget::new(limits);
        let mut reader = Reader {
            types: &self.types,
            budget: &mut budget,
            source: JsonSource::new(&text),
        };
        let val = match ty {
            Some(ty) => {
                let val = reader.value(ty);
                let val = val.and_then(|val| reader.source.end().map(|()| val));
                Some(Box::new(val.map_err(unread)?))
            }
            None => None,
        };
        Ok(if is_err { Err(val) } else { Ok(val) })
    }
}

/// What a method answered: the payload of its `ok` or of its own `err`.
pub(crate) type Answer = Result<Result<Payload, Payload>, CallError>;

type Payload = Option<Box<Val>>;

/// The client was built before the method had errors of its own: it gets it as the one that can hold any.
fn unknown_error(called: &Method, results: &Results, limits: &Limits) -> CallError {
    match called.results_to_json(results, super::JsonOptions::default(), limits) {
        Ok(body) => CallError::App {
            value: String::from_utf8_lossy(&body.bytes).into_owned(),
            rolled_back: false,
        },
        Err(error) => unread(error),
    }
}

/// The turn has ended and was committed: only its answer is lost.
fn unread(error: impl Into<ValueError>) -> CallError {
    CallError::UnknownOutcome {
        detail: format!("the answer cannot be read: {}", error.into()),
    }
}

/// Moves values between the types of two components that fit each other.
struct Mover<'t, 'b> {
    from: &'t Types,
    to: &'t Types,
    budget: &'b mut Budget,
}

impl Mover<'_, '_> {
    fn value(&mut self, from: Ty, to: Ty, val: Val) -> Read<Val> {
        self.budget.node()?;
        let (was, is) = (self.from.shape(from), self.to.shape(to));
        Ok(match (was, is, val) {
            (Shape::Bytes, Shape::Bytes, Val::List(bytes)) => {
                self.budget.charge(VAL_BYTES * bytes.len() as u64)?;
                Val::List(bytes)
            }
            (Shape::List(was), Shape::List(is), Val::List(list)) => {
                Val::List(self.list(*was, *is, list)?)
            }
            (Shape::FixedList(was, _), Shape::FixedList(is, _), Val::FixedLengthList(list)) => {
                Val::FixedLengthList(self.list(*was, *is, list)?)
            }
            (Shape::FixedList(was, _), Shape::List(is), Val::FixedLengthList(list)) => {
                Val::List(self.list(*was, *is, list)?)
            }
            (Shape::Map(was_key, was), Shape::Map(is_key, is), Val::Map(entries)) => {
                self.budget.charge(2 * VAL_BYTES * entries.len() as u64)?;
                let entries = entries.into_iter().map(|(key, val)| {
                    Ok((
                        self.value(*was_key, *is_key, key)?,
                        self.value(*was, *is, val)?,
                    ))
                });
                Val::Map(entries.collect::<Read<_>>()?)
            }
            (Shape::Record(was, was_types), Shape::Record(is, is_types), Val::Record(fields)) => {
                Val::Record(self.record((was, was_types), (is, is_types), fields)?)
            }
            (Shape::Tuple(was), Shape::Tuple(is), Val::Tuple(parts)) => {
                self.budget.charge(VAL_BYTES * parts.len() as u64)?;
                let parts = parts.into_iter().zip(was.iter().zip(is.iter()));
                let parts = parts.map(|(val, (was, is))| self.value(*was, *is, val));
                Val::Tuple(parts.collect::<Read<_>>()?)
            }
            (
                Shape::Variant(was, was_types),
                Shape::Variant(is, is_types),
                Val::Variant(name, val),
            ) => {
                let (at, now) = (position(was, &name)?, position(is, &name)?);
                Val::Variant(name, self.case(was_types[at], is_types[now], val)?)
            }
            (Shape::Enum(_), Shape::Enum(is), Val::Enum(name)) => {
                position(is, &name)?;
                Val::Enum(name)
            }
            (Shape::Flags(_), Shape::Flags(is), Val::Flags(names)) => {
                for name in &names {
                    position(is, name)?;
                }
                Val::Flags(names)
            }
            (Shape::Option(was), Shape::Option(is), Val::Option(val))
            | (Shape::NestedOption(was), Shape::NestedOption(is), Val::Option(val)) => {
                Val::Option(self.case(Some(*was), Some(*is), val)?)
            }
            (Shape::Result(was, _), Shape::Result(is, _), Val::Result(Ok(val))) => {
                Val::Result(Ok(self.case(*was, *is, val)?))
            }
            (Shape::Result(_, was), Shape::Result(_, is), Val::Result(Err(val))) => {
                Val::Result(Err(self.case(*was, *is, val)?))
            }
            (_, Shape::Option(is), val) => {
                Val::Option(self.case(Some(from), Some(*is), Some(Box::new(val)))?)
            }
            (_, is, val) => return self.leaf(is, val),
        })
    }

    /// Moves what a case carries; what nobody reads any more is dropped.
    fn case(&mut self, was: Option<Ty>, is: Option<Ty>, val: Payload) -> Read<Payload> {
        match (was, is, val) {
            (Some(was), Some(is), Some(mut val)) => {
                self.budget.charge(VAL_BYTES)?;
                let moved = self.value(was, is, std::mem::replace(&mut val, Val::Bool(false)))?;
                *val = moved;
                Ok(Some(val))
            }
            (_, None, _) | (Some(_), Some(_), None) => Ok(None),
            (None, Some(_), _) => Err(Wrong::new("there is no value where one is expected")),
        }
    }

    fn list(&mut self, was: Ty, is: Ty, mut list: Vec<Val>) -> Read<Vec<Val>> {
        self.budget.charge(VAL_BYTES * list.len() as u64)?;
        for (at, val) in list.iter_mut().enumerate() {
            let taken = std::mem::replace(val, Val::Bool(false));
            let moved = self.value(was, is, taken);
            *val = moved.map_err(|wrong| wrong.inside(at))?;
        }
        Ok(list)
    }

    fn record(
        &mut self,
        was: (&Members, &[Ty]),
        is: (&Members, &[Ty]),
        mut fields: Vec<(String, Val)>,
    ) -> Read<Vec<(String, Val)>> {
        self.budget
            .charge(FIELD_BYTES * is.0.len() as u64 + is.0.names_bytes())?;
        let mut moved = Vec::with_capacity(is.0.len());
        for (at, member) in is.0.iter().enumerate() {
            let Some(before) = was.0.find(&member.name, at) else {
                moved.push((member.name.clone(), Val::Option(None)));
                continue;
            };
            let missing = || Wrong::new(format!("there is no field '{}'", member.name));
            let (name, val) = fields.get_mut(before).ok_or_else(missing)?;
            let (name, val) = (
                std::mem::take(name),
                std::mem::replace(val, Val::Bool(false)),
            );
            let val = self
                .value(was.1[before], is.1[at], val)
                .map_err(|wrong| wrong.inside(&member.name))?;
            moved.push((name, val));
        }
        Ok(moved)
    }

    /// A value without parts: as it is, or in a wider type.
    fn leaf(&mut self, is: &Shape, val: Val) -> Read<Val> {
        if let Some(moved) = integer(&val).and_then(|value| widened(is, value)) {
            return Ok(moved);
        }
        match (is, val) {
            (Shape::Bool, val @ Val::Bool(_))
            | (Shape::F32, val @ Val::Float32(_))
            | (Shape::F64, val @ Val::Float64(_))
            | (Shape::Char, val @ Val::Char(_)) => Ok(val),
            (Shape::F64, Val::Float32(value)) => Ok(Val::Float64(value.into())),
            (Shape::String, Val::Char(value)) => Ok(Val::String(value.into())),
            (Shape::String, Val::String(text)) => {
                self.budget.charge(text.len() as u64)?;
                Ok(Val::String(text))
            }
            (_, val) => Err(Wrong::new(format!(
                "a value of another type came: {}",
                sort(&val)
            ))),
        }
    }
}

fn position(members: &Members, name: &str) -> Read<usize> {
    members
        .find(name, 0)
        .ok_or_else(|| Wrong::new(format!("'{name}' is not known here")))
}

fn integer(val: &Val) -> Option<i128> {
    match val {
        Val::S8(value) => Some((*value).into()),
        Val::U8(value) => Some((*value).into()),
        Val::S16(value) => Some((*value).into()),
        Val::U16(value) => Some((*value).into()),
        Val::S32(value) => Some((*value).into()),
        Val::U32(value) => Some((*value).into()),
        Val::S64(value) => Some((*value).into()),
        Val::U64(value) => Some((*value).into()),
        Val::Bool(_)
        | Val::Float32(_)
        | Val::Float64(_)
        | Val::Char(_)
        | Val::String(_)
        | Val::List(_)
        | Val::Map(_)
        | Val::Record(_)
        | Val::Tuple(_)
        | Val::Variant(..)
        | Val::Enum(_)
        | Val::Option(_)
        | Val::Result(_)
        | Val::Flags(_)
        | Val::Resource(_)
        | Val::Future(_)
        | Val::Stream(_)
        | Val::ErrorContext(_)
        | Val::FixedLengthList(_) => None,
    }
}

/// An integer in a type that takes it.
fn widened(is: &Shape, value: i128) -> Option<Val> {
    match is {
        Shape::S8 => value.try_into().ok().map(Val::S8),
        Shape::U8 => value.try_into().ok().map(Val::U8),
        Shape::S16 => value.try_into().ok().map(Val::S16),
        Shape::U16 => value.try_into().ok().map(Val::U16),
        Shape::S32 => value.try_into().ok().map(Val::S32),
        Shape::U32 => value.try_into().ok().map(Val::U32),
        Shape::S64 => value.try_into().ok().map(Val::S64),
        Shape::U64 => value.try_into().ok().map(Val::U64),
        // Only types whose every value is exact there fit.
        Shape::F32 => (i16::try_from(value).ok().map(f32::from))
            .or_else(|| u16::try_from(value).ok().map(f32::from))
            .map(Val::Float32),
        Shape::F64 => (i32::try_from(value).ok().map(f64::from))
            .or_else(|| u32::try_from(value).ok().map(f64::from))
            .map(Val::Float64),
        Shape::Bool
        | Shape::Char
        | Shape::String
        | Shape::Bytes
        | Shape::List(_)
        | Shape::FixedList(..)
        | Shape::Map(..)
        | Shape::Record(..)
        | Shape::Tuple(_)
        | Shape::Variant(..)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::NestedOption(_)
        | Shape::Result(..)
        | Shape::Live(_) => None,
    }
}

fn sort(val: &Val) -> String {
    let text = format!("{val:?}");
    text.split('(').next().unwrap_or_default().to_lowercase()
}
