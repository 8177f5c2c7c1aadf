//! From the WIT parser's types to the flat table.

use std::collections::HashMap;
use std::fmt::Write as _;

use wit_parser::{Docs, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

use super::types::{Member, Members, Shape, Ty, TypeName, Types};

/// The most nodes of all types together once shared anonymous ones are written out, as schemas and WIT text do. How deep they
/// are is bounded by the validator (100).
const TYPE_NODES_MAX: u64 = 200_000;

/// Why a type cannot be in a method's signature.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is a resource in it, at this place.
    Resource(Vec<String>),
    /// It is larger than any data could be.
    TooLarge,
}

impl Refusal {
    /// Adds where the refused type is held, from the inside out.
    fn inside(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::Resource(mut places) => {
                places.push(place());
                Self::Resource(places)
            }
            Self::TooLarge => Self::TooLarge,
        }
    }
}

/// Builds the table of one interface.
pub(super) struct Converter<'r> {
    resolve: &'r Resolve,
    types: Types,
    known: HashMap<Type, Ty>,
    facts: Vec<Facts>,
    nodes: u64,
    /// What the last stream carried.
    item: Option<Ty>,
}

/// What is known of a finished type.
#[derive(Clone, Copy)]
struct Facts {
    /// Nodes where the type is mentioned: one if it has a name.
    mention: u64,
    live: bool,
}

impl<'r> Converter<'r> {
    pub(super) fn new(resolve: &'r Resolve) -> Self {
        Self {
            resolve,
            types: Types::default(),
            known: HashMap::new(),
            facts: Vec::new(),
            nodes: 0,
            item: None,
        }
    }

    pub(super) fn resolve(&self) -> &'r Resolve {
        self.resolve
    }

    /// What the stream carries that was converted last. Asked once a method.
    pub(super) fn item(&mut self) -> Option<Ty> {
        self.item.take()
    }

    /// A result as callers see it: a future in it, or in its `ok`, is its value.
    pub(super) fn resolved(&mut self, ty: &Type) -> Result<Ty, Refusal> {
        let Type::Id(id) = ty else { return self.ty(ty) };
        let kind = &self.resolve.types[*id].kind;
        if let TypeDefKind::Type(of) = kind {
            return self.resolved(of);
        }
        if let TypeDefKind::Future(Some(of)) = kind {
            return self.ty(of);
        }
        if let TypeDefKind::Result(of) = kind {
            let ok = of.ok.as_ref().map(|ok| self.resolved(ok)).transpose()?;
            let err = self.opt(of.err.as_ref(), || "'err'".into())?;
            return self.add(Shape::Result(ok, err), None);
        }
        if let TypeDefKind::Stream(Some(of)) = kind {
            self.item = Some(self.ty(of)?);
        }
        self.ty(ty)
    }

    pub(super) fn finish(self) -> Types {
        self.types
    }

    pub(super) fn types(&self) -> &Types {
        &self.types
    }

    /// Whether there is anything in a type that cannot be written as data.
    pub(super) fn is_live(&self, ty: Ty) -> bool {
        self.facts[ty as usize].live
    }

    /// The index of a type, converted with everything below it.
    pub(super) fn ty(&mut self, ty: &Type) -> Result<Ty, Refusal> {
        if let Some(known) = self.known.get(ty) {
            return Ok(*known);
        }
        let index = match ty {
            Type::Id(id) => self.defined(*id)?,
            Type::Bool => self.add(Shape::Bool, None)?,
            Type::U8 => self.add(Shape::U8, None)?,
            Type::U16 => self.add(Shape::U16, None)?,
            Type::U32 => self.add(Shape::U32, None)?,
            Type::U64 => self.add(Shape::U64, None)?,
            Type::S8 => self.add(Shape::S8, None)?,
            Type::S16 => self.add(Shape::S16, None)?,
            Type::S32 => self.add(Shape::S32, None)?,
            Type::S64 => self.add(Shape::S64, None)?,
            Type::F32 => self.add(Shape::F32, None)?,
            Type::F64 => self.add(Shape::F64, None)?,
            Type::Char => self.add(Shape::Char, None)?,
            Type::String => self.add(Shape::String, None)?,
            Type::ErrorContext => self.add(Shape::Live("error-context".into()), None)?,
        };
        self.known.insert(*ty, index);
        Ok(index)
    }

    fn defined(&mut self, id: TypeId) -> Result<Ty, Refusal> {
        let def = &self.resolve.types[id];
        if let TypeDefKind::Type(of) = &def.kind {
            let aliased = self.ty(of)?;
            // `use other.{item}` is the same type; `type id = string` is a name that the author gave.
            if self.types.name(aliased).is_some() || def.name.is_none() {
                return Ok(aliased);
            }
            return self.add(self.types.shape(aliased).clone(), self.name(def));
        }
        let shape = self.shape(def)?;
        self.add(shape, self.name(def))
    }

    fn shape(&mut self, def: &TypeDef) -> Result<Shape, Refusal> {
        Ok(match &def.kind {
            TypeDefKind::Record(record) => {
                let list = record
                    .fields
                    .iter()
                    .map(|field| member(&field.name, &field.docs));
                let list = Members::new(list.collect());
                let fields = record.fields.iter();
                let types =
                    fields.map(|field| self.part(&field.ty, || format!("field '{}'", field.name)));
                Shape::Record(list, types.collect::<Result<_, _>>()?)
            }
            TypeDefKind::Variant(variant) => {
                let list = variant
                    .cases
                    .iter()
                    .map(|case| member(&case.name, &case.docs));
                let list = Members::new(list.collect());
                let cases = variant.cases.iter();
                let types = cases
                    .map(|case| self.opt(case.ty.as_ref(), || format!("case '{}'", case.name)));
                Shape::Variant(list, types.collect::<Result<_, _>>()?)
            }
            TypeDefKind::Enum(of) => Shape::Enum(Members::new(
                of.cases
                    .iter()
                    .map(|case| member(&case.name, &case.docs))
                    .collect(),
            )),
            TypeDefKind::Flags(of) => Shape::Flags(Members::new(
                of.flags
                    .iter()
                    .map(|flag| member(&flag.name, &flag.docs))
                    .collect(),
            )),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().enumerate();
                let types = types.map(|(at, ty)| self.part(ty, || format!("element {at}")));
                Shape::Tuple(types.collect::<Result<_, _>>()?)
            }
            TypeDefKind::Option(of) => self.option(of)?,
            TypeDefKind::Result(of) => Shape::Result(
                self.opt(of.ok.as_ref(), || "'ok'".into())?,
                self.opt(of.err.as_ref(), || "'err'".into())?,
            ),
            TypeDefKind::List(Type::U8) => Shape::Bytes,
            TypeDefKind::List(of) => Shape::List(self.part(of, || "the elements".into())?),
            TypeDefKind::FixedLengthList(of, len) => {
                Shape::FixedList(self.part(of, || "the elements".into())?, *len)
            }
            TypeDefKind::Map(key, value) => self.map(key, value)?,
            TypeDefKind::Future(of) => self.flow("future", of.as_ref())?,
            TypeDefKind::Stream(of) => self.flow("stream", of.as_ref())?,
            TypeDefKind::Resource | TypeDefKind::Handle(_) => {
                return Err(Refusal::Resource(Vec::new()));
            }
            TypeDefKind::Type(_) | TypeDefKind::Unknown => {
                unreachable!("an alias is followed, a decoded type is known")
            }
        })
    }

    /// Its text tells it from others: all that it may carry has no parts.
    fn flow(&mut self, word: &str, of: Option<&Type>) -> Result<Shape, Refusal> {
        let Some(of) = of else {
            return Ok(Shape::Live(word.to_owned()));
        };
        let of = self.ty(of)?;
        Ok(Shape::Live(format!(
            "{word}<{}>",
            self.types.wit_inside(of)
        )))
    }

    fn option(&mut self, of: &Type) -> Result<Shape, Refusal> {
        let inner = self.ty(of)?;
        Ok(if self.types.is_optional(inner) {
            Shape::NestedOption(inner)
        } else {
            Shape::Option(inner)
        })
    }

    fn map(&mut self, key: &Type, value: &Type) -> Result<Shape, Refusal> {
        let key = self.part(key, || "the keys".into())?;
        let value = self.part(value, || "the values".into())?;
        let has_text_form = !matches!(
            self.types.shape(key),
            Shape::F32
                | Shape::F64
                | Shape::Bytes
                | Shape::List(_)
                | Shape::FixedList(..)
                | Shape::Map(..)
                | Shape::Record(..)
                | Shape::Tuple(_)
                | Shape::Variant(..)
                | Shape::Flags(_)
                | Shape::Option(_)
                | Shape::NestedOption(_)
                | Shape::Result(..)
                | Shape::Live(_)
        );
        if has_text_form {
            return Ok(Shape::Map(key, value));
        }
        Ok(Shape::Live(format!(
            "map with keys of type {}",
            self.types.wit(key)
        )))
    }

    fn part(&mut self, ty: &Type, place: impl FnOnce() -> String) -> Result<Ty, Refusal> {
        self.ty(ty).map_err(|refusal| refusal.inside(place))
    }

    fn opt(
        &mut self,
        ty: Option<&Type>,
        place: impl FnOnce() -> String,
    ) -> Result<Option<Ty>, Refusal> {
        ty.map(|ty| self.part(ty, place)).transpose()
    }

    fn name(&self, def: &TypeDef) -> Option<TypeName> {
        let interface = match def.owner {
            TypeOwner::Interface(id) => self
                .resolve
                .id_of(id)
                .or_else(|| self.resolve.interfaces[id].name.clone()),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        Some(TypeName {
            interface,
            name: def.name.clone()?,
            docs: text(&def.docs),
        })
    }

    /// Puts a finished shape into the table.
    pub(super) fn add(&mut self, shape: Shape, name: Option<TypeName>) -> Result<Ty, Refusal> {
        let mut facts = Facts {
            mention: 1,
            live: matches!(shape, Shape::Live(_)),
        };
        for part in parts(&shape) {
            let part = self.facts[part as usize];
            facts.mention = facts.mention.saturating_add(part.mention);
            facts.live |= part.live;
        }
        self.nodes = self.nodes.saturating_add(facts.mention);
        if TYPE_NODES_MAX < self.nodes {
            return Err(Refusal::TooLarge);
        }
        if name.is_some() {
            facts.mention = 1;
        }
        self.facts.push(facts);
        Ok(self.types.push(shape, name))
    }
}

/// The types that a type is made of, in order.
fn parts(shape: &Shape) -> Vec<Ty> {
    match shape {
        Shape::List(of) | Shape::FixedList(of, _) | Shape::Option(of) | Shape::NestedOption(of) => {
            vec![*of]
        }
        Shape::Map(key, value) => vec![*key, *value],
        Shape::Record(_, of) | Shape::Tuple(of) => of.to_vec(),
        Shape::Variant(_, of) => of.iter().flatten().copied().collect(),
        Shape::Result(ok, err) => ok.iter().chain(err).copied().collect(),
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
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Live(_) => Vec::new(),
    }
}

fn member(name: &str, docs: &Docs) -> Member {
    Member {
        name: name.to_owned(),
        docs: text(docs),
    }
}

/// A doc comment without the spaces around it.
pub(super) fn text(docs: &Docs) -> Option<String> {
    docs.contents
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The place of a refused resource, outermost first.
pub(super) fn place(outermost: &str, mut places: Vec<String>) -> String {
    let mut text = outermost.to_owned();
    while let Some(next) = places.pop() {
        write!(text, ", {next}").expect("writing to a string");
    }
    text
}
