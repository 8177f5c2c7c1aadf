//! A value of a given type, written as a document.

use granary_core::error::LimitName;
use granary_core::limits::Limits;
use wasmtime::component::Val;

use super::sink::{CborSink, JsonSink, Sink, byte};
use super::source::{Read, Wrong};
use super::{Body, JsonOptions, Results, Typed, ValueError};
use crate::interface::{Method, Shape, Ty, Types};

impl Method {
    /// A result as JSON text.
    pub fn results_to_json(
        &self,
        results: &Results,
        options: JsonOptions,
        limits: &Limits,
    ) -> Result<Body, ValueError> {
        let mut sink = JsonSink {
            out: Vec::with_capacity(64),
            int64_as_string: options.int64_as_string,
        };
        let body = self.results_to(results, &mut sink, limits)?;
        Ok(Body {
            bytes: sink.out,
            ..body
        })
    }

    /// A result as CBOR.
    pub fn results_to_cbor(&self, results: &Results, limits: &Limits) -> Result<Body, ValueError> {
        let mut sink = CborSink { out: Vec::new() };
        let body = self.results_to(results, &mut sink, limits)?;
        Ok(Body {
            bytes: sink.out,
            ..body
        })
    }

    /// A result as raw bytes: that of a method for which [`Method::gives_raw`] holds. An `err` has no raw form: it is written as JSON.
    pub fn results_to_raw(&self, results: &Results, limits: &Limits) -> Result<Body, ValueError> {
        if results.is_err() {
            return self.results_to_json(results, JsonOptions::default(), limits);
        }
        let (Some(ty), Some(Val::List(bytes)), _) = self.outcome(results) else {
            return Err(self.not_raw());
        };
        if !matches!(self.types.shape(ty), Shape::Bytes) {
            return Err(self.not_raw());
        }
        check_size(bytes.len(), limits.result)?;
        Ok(Body {
            bytes: bytes.iter().map(byte).collect(),
            is_err: false,
            is_unit: false,
        })
    }

    /// One item of the stream that the method gives, as JSON text.
    pub(crate) fn item_to_json(
        &self,
        item: &Val,
        options: JsonOptions,
        limits: &Limits,
    ) -> Result<Vec<u8>, ValueError> {
        let mut sink = JsonSink {
            out: Vec::with_capacity(64),
            int64_as_string: options.int64_as_string,
        };
        let Some(ty) = self.item_ty else {
            return Err(Wrong::new(format!("'{}' gives no stream", self.name)).into());
        };
        let mut writer = Writer {
            types: &self.types,
            sink: &mut sink,
            bytes_max: limits.result,
        };
        writer.value(ty, item).map_err(ValueError::from)?;
        check_size(sink.out.len(), limits.result)?;
        Ok(sink.out)
    }

    /// Whether [`Method::results_to_raw`] can work: the result is `list<u8>`, or a `result` with that as `ok`.
    pub fn gives_raw(&self) -> bool {
        let ty = self.result_ty.and_then(|ty| {
            if let Shape::Result(ok, _) = self.types.shape(ty) {
                *ok
            } else {
                Some(ty)
            }
        });
        ty.is_some_and(|ty| matches!(self.types.shape(ty), Shape::Bytes))
    }

    fn not_raw(&self) -> ValueError {
        let result = self.result.as_deref().unwrap_or("nothing");
        Wrong::new(format!(
            "only a list<u8> is given as raw bytes; '{}' returns {result}",
            self.name
        ))
        .into()
    }

    /// The value without the outermost `result`, its type, and whether it is that of `err`.
    fn outcome<'r>(&self, results: &'r Results) -> (Option<Ty>, Option<&'r Val>, bool) {
        let shape = self.result_ty.map(|ty| self.types.shape(ty));
        match (shape, &results.0) {
            (Some(Shape::Result(ok, _)), Some(Val::Result(Ok(val)))) => {
                (*ok, val.as_deref(), false)
            }
            (Some(Shape::Result(_, err)), Some(Val::Result(Err(val)))) => {
                (*err, val.as_deref(), true)
            }
            (_, val) => (self.result_ty, val.as_ref(), false),
        }
    }

    fn results_to(
        &self,
        results: &Results,
        sink: &mut impl Sink,
        limits: &Limits,
    ) -> Result<Body, ValueError> {
        let (ty, val, is_err) = self.outcome(results);
        match (ty, val) {
            (Some(ty), Some(val)) => {
                let mut writer = Writer {
                    types: &self.types,
                    sink,
                    bytes_max: limits.result,
                };
                writer.value(ty, val).map_err(ValueError::from)?;
                check_size(writer.sink.len(), limits.result)?;
            }
            (None, _) if is_err => sink.null(),
            (None, _) => {}
            (Some(_), None) => {
                return Err(
                    Wrong::new("the guest returned nothing where its type has a value").into(),
                );
            }
        }
        Ok(Body {
            bytes: Vec::new(),
            is_err,
            is_unit: ty.is_none() && !is_err,
        })
    }
}

impl Typed {
    /// A client's arguments as the JSON text that another caller would write.
    pub fn to_json(&self) -> Vec<u8> {
        let method = self.method();
        let mut sink = JsonSink {
            out: Vec::with_capacity(64),
            int64_as_string: false,
        };
        sink.array(method.params.len());
        for (at, (param, val)) in method.params.iter().zip(self.vals()).enumerate() {
            sink.element(at);
            let mut writer = Writer {
                types: &method.types,
                sink: &mut sink,
                bytes_max: u64::MAX,
            };
            let written = writer.value(param.ty, val);
            written.expect("invariant: nothing but a limit stops the writer, and there is none");
        }
        sink.array_end();
        sink.out
    }
}

fn check_size(bytes: usize, bytes_max: u64) -> Result<(), ValueError> {
    if bytes_max < bytes as u64 {
        Err(too_large(bytes_max).into())
    } else {
        Ok(())
    }
}

#[cold]
fn too_large(bytes_max: u64) -> Box<Wrong> {
    Wrong::limit(
        LimitName::Result,
        format!("the encoded result has more than {bytes_max} bytes"),
    )
}

struct Writer<'t, 's, S> {
    types: &'t Types,
    sink: &'s mut S,
    bytes_max: u64,
}

impl<S: Sink> Writer<'_, '_, S> {
    fn value(&mut self, ty: Ty, val: &Val) -> Read<()> {
        let types = self.types;
        match (types.shape(ty), val) {
            (_, Val::Bool(value)) => self.sink.bool(*value),
            (_, Val::S8(value)) => self.sink.short((*value).into()),
            (_, Val::U8(value)) => self.sink.short((*value).into()),
            (_, Val::S16(value)) => self.sink.short((*value).into()),
            (_, Val::U16(value)) => self.sink.short((*value).into()),
            (_, Val::S32(value)) => self.sink.short((*value).into()),
            (_, Val::U32(value)) => self.sink.short((*value).into()),
            (_, Val::S64(value)) => self.sink.s64(*value),
            (_, Val::U64(value)) => self.sink.u64(*value),
            (_, Val::Float32(value)) => self.sink.f32(*value),
            (_, Val::Float64(value)) => self.sink.f64(*value),
            (_, Val::Char(value)) => self.sink.text(value.encode_utf8(&mut [0; 4])),
            (_, Val::String(value)) => self.text(value)?,
            (Shape::Bytes, Val::List(values)) => {
                self.room(values.len())?;
                self.sink.bytes(values);
            }
            (Shape::List(of), Val::List(values)) => self.array(values, |_| Some(*of))?,
            (Shape::FixedList(of, _), Val::FixedLengthList(values)) => {
                self.array(values, |_| Some(*of))?
            }
            (Shape::Tuple(of), Val::Tuple(values)) => {
                self.array(values, |at| of.get(at).copied())?
            }
            (Shape::Map(key, value), Val::Map(pairs)) => self.map(*key, *value, pairs)?,
            (Shape::Record(members, of), Val::Record(fields)) => {
                self.sink.object(fields.len());
                for (at, ((_, val), ty)) in fields.iter().zip(of.iter()).enumerate() {
                    self.room(0)?;
                    self.sink.key(at, members.name(at));
                    self.value(*ty, val)?;
                }
                self.sink.object_end();
            }
            (Shape::Variant(..), Val::Variant(name, None)) => self.sink.text(name),
            (Shape::Variant(members, of), Val::Variant(name, Some(val))) => {
                let payload = members.find(name, 0).and_then(|at| of[at]);
                self.single(name, payload, Some(val))?;
            }
            (_, Val::Enum(name)) => self.sink.text(name),
            (_, Val::Flags(names)) => {
                self.sink.array(names.len());
                for (at, name) in names.iter().enumerate() {
                    self.sink.element(at);
                    self.sink.text(name);
                }
                self.sink.array_end();
            }
            (Shape::Option(_) | Shape::NestedOption(_), Val::Option(None)) => self.sink.null(),
            (Shape::Option(of), Val::Option(Some(val))) => self.value(*of, val)?,
            (Shape::NestedOption(of), Val::Option(Some(val))) => {
                self.single("some", Some(*of), Some(val))?
            }
            (Shape::Result(ok, _), Val::Result(Ok(val))) => {
                self.single("ok", *ok, val.as_deref())?
            }
            (Shape::Result(_, err), Val::Result(Err(val))) => {
                self.single("err", *err, val.as_deref())?
            }
            (shape, _) => {
                return Err(Wrong::new(format!(
                    "the guest returned a value that is no {shape:?}"
                )));
            }
        }
        Ok(())
    }

    /// Errors if so many more bytes would be too many: nothing large is copied before.
    fn room(&self, more: usize) -> Read<()> {
        if self.bytes_max < (self.sink.len() + more) as u64 {
            Err(too_large(self.bytes_max))
        } else {
            Ok(())
        }
    }

    fn text(&mut self, value: &str) -> Read<()> {
        self.room(value.len())?;
        self.sink.text(value);
        Ok(())
    }

    fn array(&mut self, values: &[Val], ty: impl Fn(usize) -> Option<Ty>) -> Read<()> {
        self.sink.array(values.len());
        for (at, val) in values.iter().enumerate() {
            self.room(0)?;
            self.sink.element(at);
            let ty =
                ty(at).ok_or_else(|| Wrong::new("the guest returned a tuple that is too long"))?;
            self.value(ty, val)?;
        }
        self.sink.array_end();
        Ok(())
    }

    /// A map may hold a key twice: the last one holds, as the component model has it.
    fn map(&mut self, key: Ty, value: Ty, pairs: &[(Val, Val)]) -> Read<()> {
        let mut last = std::collections::BTreeMap::new();
        for (at, (key_val, _)) in pairs.iter().enumerate() {
            last.insert(self.key_text(key, key_val)?, at);
        }
        self.sink.object(last.len());
        let mut written = 0;
        for (at, (key_val, val)) in pairs.iter().enumerate() {
            let name = self.key_text(key, key_val)?;
            if last.get(&name) != Some(&at) {
                continue;
            }
            self.room(name.len())?;
            self.sink.key(written, &name);
            self.value(value, val)?;
            written += 1;
        }
        self.sink.object_end();
        Ok(())
    }

    fn key_text(&self, ty: Ty, val: &Val) -> Read<String> {
        if let Val::String(text) | Val::Enum(text) = val {
            self.room(text.len())?;
            return Ok(text.clone());
        }
        if let Val::Char(value) = val {
            return Ok(value.to_string());
        }
        let mut sink = JsonSink {
            out: Vec::new(),
            int64_as_string: false,
        };
        Writer {
            types: self.types,
            sink: &mut sink,
            bytes_max: self.bytes_max,
        }
        .value(ty, val)?;
        let text = String::from_utf8(sink.out).map_err(|_| Wrong::new("a key that is no text"))?;
        Ok(text.trim_matches('"').to_owned())
    }

    fn single(&mut self, name: &str, ty: Option<Ty>, val: Option<&Val>) -> Read<()> {
        self.room(name.len())?;
        self.sink.object(1);
        self.sink.key(0, name);
        match (ty, val) {
            (Some(ty), Some(val)) => self.value(ty, val)?,
            (None, _) | (_, None) => self.sink.null(),
        }
        self.sink.object_end();
        Ok(())
    }
}
