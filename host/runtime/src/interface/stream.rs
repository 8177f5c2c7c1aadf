//! Streams and futures in a method's signature: which of them the host can pass on.

use wit_parser::{Function, Resolve, Type, TypeDefKind};

use super::ComponentError;
use super::convert::Converter;

/// What a method gives instead of a value, or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// `stream<u8>`: the reply is the bytes themselves.
    Bytes,
    /// Any number of values, one after the other.
    Stream,
    /// One value, later.
    Future,
}

impl Flow {
    /// Whether a reply is the bytes themselves.
    pub fn is_bytes(self) -> bool {
        self == Self::Bytes
    }

    /// Whether the caller gets any number of values, or of bytes.
    pub fn is_stream(self) -> bool {
        self != Self::Future
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
    let (flow, of) = match inner.and_then(|ty| kind(resolve, ty)) {
        Some(TypeDefKind::Stream(Some(of))) if is_u8(resolve, of) => (Some(Flow::Bytes), None),
        Some(TypeDefKind::Stream(of)) => (Some(Flow::Stream), Some(of)),
        Some(TypeDefKind::Future(of)) => (Some(Flow::Future), Some(of)),
        Some(_) | None => (None, None),
    };
    let within = match (flow, of) {
        (Some(_), of) => of
            .and_then(Option::as_ref)
            .into_iter()
            .chain(err)
            .any(|ty| has_flow(resolve, ty)),
        (None, _) => has_flow(resolve, result),
    };
    if within {
        let rule = "the result itself, or the `ok` of a `result`, may be a stream or a future, and nothing within them";
        return Err(refused(wit(converter, result), rule));
    }
    if of.is_some_and(Option::is_none) {
        let rule = "a stream or a future must carry something, as `stream<u32>` does";
        return Err(refused(wit(converter, result), rule));
    }
    Ok(flow)
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
        Some(TypeDefKind::Stream(Some(of))) => is_u8(resolve, of),
        Some(_) | None => false,
    }
}

/// Whether a type is `u8`, or another name of it.
fn is_u8(resolve: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else {
        return *ty == Type::U8;
    };
    matches!(&resolve.types[*id].kind, TypeDefKind::Type(of) if is_u8(resolve, of))
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
