//! Streams and futures in a method's signature: which of them the host can pass on.

use wit_parser::{Function, Resolve, Type, TypeDefKind};

use super::ComponentError;
use super::convert::Converter;

/// What a method gives instead of a value, or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Any number of values, one after the other.
    Stream(Item),
    /// One value, later.
    Future(Item),
}

/// What streams and futures may carry: what the host has a type of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named like the types")]
pub enum Item {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
}

impl Flow {
    /// Whether a reply is the bytes themselves: `stream<u8>`.
    pub fn is_bytes(self) -> bool {
        self == Self::Stream(Item::U8)
    }

    /// Whether the caller gets any number of values.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

/// The streams and futures of a signature.
pub(super) struct Flows {
    /// Of the result, or of its `ok`.
    pub(super) result: Option<Flow>,
    /// Whether the last parameter is `stream<u8>`.
    pub(super) takes_stream: bool,
}

/// Reads a signature. Errors: a stream or a future that the host cannot pass on.
pub(super) fn read(
    converter: &mut Converter<'_>,
    function: &Function,
    name: &str,
) -> Result<Flows, ComponentError> {
    let resolve = converter.resolve();
    let mut takes_stream = false;
    for (at, param) in function.params.iter().enumerate() {
        let is_last = at + 1 == function.params.len();
        if is_last && is_bytes(resolve, &param.ty) {
            takes_stream = true;
        } else if has_flow(resolve, &param.ty) {
            return Err(ComponentError::Stream {
                function: name.to_owned(),
                place: format!("parameter '{}'", param.name),
                wit: wit(converter, &param.ty),
                rule: "only the last parameter may be a stream, and only `stream<u8>`: it is the body of the request",
            });
        }
    }
    let result = match &function.result {
        Some(result) => read_result(converter, result, name)?,
        None => None,
    };
    Ok(Flows {
        result,
        takes_stream,
    })
}

fn read_result(
    converter: &mut Converter<'_>,
    result: &Type,
    name: &str,
) -> Result<Option<Flow>, ComponentError> {
    let resolve = converter.resolve();
    let refused = |wit: String, rule| ComponentError::Stream {
        function: name.to_owned(),
        place: "its result".to_owned(),
        wit,
        rule,
    };
    let (inner, err) = match kind(resolve, result) {
        Some(TypeDefKind::Result(of)) => (of.ok.as_ref(), of.err.as_ref()),
        Some(_) | None => (Some(result), None),
    };
    let flow = match inner.and_then(|ty| kind(resolve, ty)) {
        Some(TypeDefKind::Stream(of)) => Some((of, Flow::Stream as fn(Item) -> Flow)),
        Some(TypeDefKind::Future(of)) => Some((of, Flow::Future as fn(Item) -> Flow)),
        Some(_) | None => None,
    };
    let elsewhere = match flow {
        Some(_) => err.is_some_and(|ty| has_flow(resolve, ty)),
        None => has_flow(resolve, result),
    };
    if elsewhere {
        let rule = "the result itself, or the `ok` of a `result`, may be a stream or a future, and nothing within them";
        return Err(refused(wit(converter, result), rule));
    }
    let Some((of, flow)) = flow else {
        return Ok(None);
    };
    match item(resolve, of.as_ref()) {
        Some(item) => Ok(Some(flow(item))),
        None => {
            let rule = "its items must be booleans, numbers, characters, strings or `list<u8>`: write any other type into a string, as JSON";
            let wit = inner.map_or_else(String::new, |ty| wit(converter, ty));
            Err(refused(wit, rule))
        }
    }
}

/// A type as a person reads it.
fn wit(converter: &mut Converter<'_>, ty: &Type) -> String {
    match kind(converter.resolve(), ty) {
        Some(TypeDefKind::Stream(Some(of))) => return format!("stream<{}>", wit(converter, of)),
        Some(TypeDefKind::Future(Some(of))) => return format!("future<{}>", wit(converter, of)),
        Some(_) | None => {}
    }
    match converter.ty(ty) {
        Ok(ty) => converter.types().wit(ty),
        Err(_) => "a type with a resource in it, or one that is too large".to_owned(),
    }
}

/// What a type is, aliases resolved; none for a primitive one.
fn kind<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    let found = &resolve.types[*id].kind;
    if let TypeDefKind::Type(of) = found {
        return kind(resolve, of);
    }
    Some(found)
}

/// Whether a type is `stream<u8>`.
fn is_bytes(resolve: &Resolve, ty: &Type) -> bool {
    match kind(resolve, ty) {
        Some(TypeDefKind::Stream(of)) => item(resolve, of.as_ref()) == Some(Item::U8),
        Some(_) | None => false,
    }
}

fn item(resolve: &Resolve, ty: Option<&Type>) -> Option<Item> {
    Some(match ty? {
        Type::Bool => Item::Bool,
        Type::U8 => Item::U8,
        Type::S8 => Item::S8,
        Type::U16 => Item::U16,
        Type::S16 => Item::S16,
        Type::U32 => Item::U32,
        Type::S32 => Item::S32,
        Type::U64 => Item::U64,
        Type::S64 => Item::S64,
        Type::F32 => Item::F32,
        Type::F64 => Item::F64,
        Type::Char => Item::Char,
        Type::String => Item::String,
        Type::ErrorContext => return None,
        Type::Id(id) => {
            let kind = &resolve.types[*id].kind;
            if let TypeDefKind::Type(of) = kind {
                return item(resolve, Some(of));
            }
            let TypeDefKind::List(of) = kind else {
                return None;
            };
            return (item(resolve, Some(of)) == Some(Item::U8)).then_some(Item::Bytes);
        }
    })
}

/// Whether there is a stream or a future anywhere in a type.
fn has_flow(resolve: &Resolve, ty: &Type) -> bool {
    let Some(kind) = kind(resolve, ty) else {
        return false;
    };
    let any = |ty: &Type| has_flow(resolve, ty);
    let opt = |ty: &Option<Type>| ty.as_ref().is_some_and(any);
    match kind {
        TypeDefKind::Stream(_) | TypeDefKind::Future(_) => true,
        TypeDefKind::Record(record) => record.fields.iter().any(|field| any(&field.ty)),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(any),
        TypeDefKind::Variant(variant) => variant.cases.iter().any(|case| opt(&case.ty)),
        TypeDefKind::Result(of) => opt(&of.ok) || opt(&of.err),
        TypeDefKind::Option(of) | TypeDefKind::List(of) | TypeDefKind::FixedLengthList(of, _) => {
            any(of)
        }
        TypeDefKind::Map(key, value) => any(key) || any(value),
        TypeDefKind::Enum(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Resource
        | TypeDefKind::Handle(_)
        | TypeDefKind::Type(_)
        | TypeDefKind::Unknown => false,
    }
}
