//! A world in the words of TypeScript: a module for each interface, as the JavaScript runtime hands its values over.
//!
//! An imported interface is a module of functions and classes, with all of them in its default export. An exported one has the interface
//! `Exports`, which the object of the author's module has to fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use heck::{ToLowerCamelCase as _, ToUpperCamelCase as _};
use wit_parser::{
    Docs, Function, FunctionKind, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    TypeOwner, WorldItem, WorldKey,
};

use super::World;
use super::wide::is_wide;

#[cfg(test)]
mod tests;

/// The interface that an exported object has to fit.
const EXPORTS: &str = "Exports";

/// The namespace of those types that look different where they go out: what goes out may be a `bigint` where what comes in is a `number`.
const OUT: &str = "Out";

/// A function of the world that the author's module has to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Where the module has it: `counter.increment`.
    pub place: String,
    /// Its type, as an expression of TypeScript.
    pub wanted: String,
}

/// How a world uses an interface.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    imported: bool,
    exported: bool,
}

impl World {
    /// Declarations of every interface of the world, but for the modules that `declared` names.
    pub fn typescript(&self, declared: &BTreeSet<&str>) -> String {
        let mut text =
            String::from("// What the kind's WIT says, in TypeScript. Made by `granary build`.\n");
        for (id, uses) in self.interfaces() {
            let Some(name) = self.resolve.id_of(id) else {
                continue;
            };
            if !declared.contains(name.as_str()) {
                let writer = Writer::new(&self.resolve, TypeOwner::Interface(id));
                text.push_str(&writer.interface(&name, uses));
            }
        }
        text
    }

    /// The functions of the exported interfaces, and those that the world exports by itself.
    pub fn expected(&self) -> Vec<Expected> {
        let mut expected = Vec::new();
        for item in self.resolve.worlds[self.world].exports.values() {
            let id = match item {
                WorldItem::Interface { id, .. } => id,
                WorldItem::Function(function) => {
                    // There is no module that has its types: they are written out.
                    let writer = Writer::new(&self.resolve, TypeOwner::None);
                    expected.push(Expected {
                        place: camel(&function.name),
                        wanted: format!("({})", writer.signature(function, Way::In, " => ")),
                    });
                    continue;
                }
                WorldItem::Type { .. } => continue,
            };
            let interface = &self.resolve.interfaces[*id];
            let (Some(name), Some(module)) = (&interface.name, self.resolve.id_of(*id)) else {
                continue;
            };
            let functions = interface.functions.values();
            for function in functions.filter(|function| is_free(function)) {
                let (object, method) = (camel(name), camel(&function.name));
                expected.push(Expected {
                    place: format!("{object}.{method}"),
                    wanted: format!("import(\"{module}\").{EXPORTS}[\"{method}\"]"),
                });
            }
        }
        expected
    }

    /// Every interface with a name, and how it is used; in the order of their ids.
    fn interfaces(&self) -> BTreeMap<InterfaceId, Uses> {
        let world = &self.resolve.worlds[self.world];
        let mut interfaces: BTreeMap<InterfaceId, Uses> = BTreeMap::new();
        let of = |item: &(&WorldKey, &WorldItem)| match item.1 {
            WorldItem::Interface { id, .. } => Some(*id),
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        };
        for id in world.imports.iter().filter_map(|item| of(&item)) {
            interfaces.entry(id).or_default().imported = true;
        }
        for id in world.exports.iter().filter_map(|item| of(&item)) {
            interfaces.entry(id).or_default().exported = true;
        }
        interfaces
    }
}

/// Whether a function belongs to no resource.
pub(super) fn is_free(function: &Function) -> bool {
    match function.kind {
        FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => true,
        FunctionKind::Method(_)
        | FunctionKind::AsyncMethod(_)
        | FunctionKind::Static(_)
        | FunctionKind::AsyncStatic(_)
        | FunctionKind::Constructor(_) => false,
    }
}

/// A name as the runtime looks it up.
pub(super) fn camel(name: &str) -> String {
    name.to_lower_camel_case()
}

/// Which way a value goes: what the host hands over is whole; what it takes may lack what is not there, and have a `bigint` for 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

impl Way {
    pub(super) fn back(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }
}

/// Writes one interface.
struct Writer<'a> {
    resolve: &'a Resolve,
    owner: TypeOwner,
}

impl<'a> Writer<'a> {
    fn new(resolve: &'a Resolve, owner: TypeOwner) -> Self {
        Self { resolve, owner }
    }

    fn interface(&self, name: &str, uses: Uses) -> String {
        let TypeOwner::Interface(id) = self.owner else {
            return String::new();
        };
        let interface = &self.resolve.interfaces[id];
        let mut text = format!("\ndeclare module \"{name}\" {{\n");
        for (name, id) in &interface.types {
            text.push_str(&self.definition(name, *id));
        }
        text.push_str(&self.outgoing(id));
        let free = || interface.functions.values().filter(|f| is_free(f));
        if uses.imported {
            let mut all = Vec::new();
            for function in free() {
                text.push_str(&docs(&function.docs, "  "));
                let name = camel(&function.name);
                let own = free_name(&name);
                let signature = self.signature(function, Way::Out, ": ");
                if own == name {
                    writeln!(text, "  export function {name}{signature};").ok();
                } else {
                    // What cannot be declared by its name may still be exported under it.
                    writeln!(text, "  function {own}{signature};").ok();
                    writeln!(text, "  export {{ {own} as {name} }};").ok();
                }
                all.push(format!("{name}: typeof {own}"));
            }
            for (name, id) in &interface.types {
                if matches!(self.resolve.types[*id].kind, TypeDefKind::Resource) {
                    let name = name.to_upper_camel_case();
                    all.push(format!("{name}: typeof {name}"));
                }
            }
            writeln!(text, "  const all: {{ {} }};", all.join("; ")).ok();
            text.push_str("  export default all;\n");
        }
        if uses.exported {
            writeln!(text, "  export interface {EXPORTS} {{").ok();
            for function in free() {
                text.push_str(&docs(&function.docs, "    "));
                let signature = self.signature(function, Way::In, " => ");
                writeln!(text, "    {}: {signature};", camel(&function.name)).ok();
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n");
        text
    }

    /// The definition of a named type.
    fn definition(&self, name: &str, id: TypeId) -> String {
        let ty = &self.resolve.types[id];
        let shown = docs(&ty.docs, "  ");
        let name = type_name(name);
        if matches!(ty.kind, TypeDefKind::Resource) {
            return format!("{shown}{}", self.class(&name, id));
        }
        format!(
            "{shown}  export type {name} = {};\n",
            self.structure(ty, Way::In)
        )
    }

    /// The definitions of the types that look different where they go out.
    fn outgoing(&self, id: InterfaceId) -> String {
        let types = self.resolve.interfaces[id].types.iter();
        let types = types.filter(|(_, id)| is_wide(self.resolve, &Type::Id(**id)));
        let types: String = types
            .map(|(name, id)| {
                let structure = self.structure(&self.resolve.types[*id], Way::Out);
                format!("    export type {} = {structure};\n", type_name(name))
            })
            .collect();
        match types.is_empty() {
            true => types,
            false => format!("  export namespace {OUT} {{\n{types}  }}\n"),
        }
    }

    fn class(&self, name: &str, id: TypeId) -> String {
        let mut text = format!("  export class {name} {{\n");
        let TypeOwner::Interface(interface) = self.owner else {
            return text;
        };
        for function in self.resolve.interfaces[interface].functions.values() {
            if function.kind.resource() != Some(id) {
                continue;
            }
            text.push_str(&docs(&function.docs, "    "));
            let method = camel(function.item_name());
            match function.kind {
                FunctionKind::Constructor(_) => {
                    let parameters = self.parameters(function, 0, Way::Out);
                    writeln!(text, "    constructor({parameters});").ok();
                }
                FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => {
                    let signature = self.signature(function, Way::Out, ": ");
                    writeln!(text, "    static {method}{signature};").ok();
                }
                FunctionKind::Method(_)
                | FunctionKind::AsyncMethod(_)
                | FunctionKind::Freestanding
                | FunctionKind::AsyncFreestanding => {
                    let signature = self.signature(function, Way::Out, ": ");
                    writeln!(text, "    {method}{signature};").ok();
                }
            }
        }
        text.push_str("  }\n");
        text
    }

    /// Parameters and result; `way` is that of the parameters.
    fn signature(&self, function: &Function, way: Way, arrow: &str) -> String {
        // The receiver of a method is no parameter.
        let first = match function.kind {
            FunctionKind::Method(_) | FunctionKind::AsyncMethod(_) => 1,
            FunctionKind::Freestanding
            | FunctionKind::AsyncFreestanding
            | FunctionKind::Static(_)
            | FunctionKind::AsyncStatic(_)
            | FunctionKind::Constructor(_) => 0,
        };
        let result = function.result.as_ref();
        let result = result.map_or_else(|| "void".to_owned(), |ty| self.answer(ty, way.back()));
        let result = if function.kind.is_async() {
            format!("Promise<{result}>")
        } else {
            result
        };
        format!("({}){arrow}{result}", self.parameters(function, first, way))
    }

    fn parameters(&self, function: &Function, first: usize, way: Way) -> String {
        let parameters = function.params.iter().skip(first);
        let shown = parameters.map(|parameter| {
            format!(
                "{}: {}",
                free_name(&camel(&parameter.name)),
                self.ty(&parameter.ty, way)
            )
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// What a function returns. Its `err` is thrown.
    fn answer(&self, ty: &Type, way: Way) -> String {
        match self.resolved(ty) {
            Some(TypeDefKind::Result(result)) => result
                .ok
                .map_or_else(|| "void".to_owned(), |ok| self.ty(&ok, way)),
            Some(_) | None => self.ty(ty, way),
        }
    }

    /// A type where it is used: by its name, if it has one.
    fn ty(&self, ty: &Type, way: Way) -> String {
        match ty {
            Type::Bool => "boolean".to_owned(),
            Type::U64 | Type::S64 if way == Way::Out => "number | bigint".to_owned(),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::S8
            | Type::S16
            | Type::S32
            | Type::S64
            | Type::F32
            | Type::F64 => "number".to_owned(),
            Type::Char | Type::String => "string".to_owned(),
            Type::ErrorContext => "unknown".to_owned(),
            Type::Id(id) => self.defined(*id, way),
        }
    }

    fn defined(&self, id: TypeId, way: Way) -> String {
        let ty = &self.resolve.types[id];
        let named = |name: &str| match way == Way::Out && is_wide(self.resolve, &Type::Id(id)) {
            true => format!("{OUT}.{}", type_name(name)),
            false => type_name(name),
        };
        match &ty.name {
            Some(name) if ty.owner == self.owner => named(name),
            Some(name) => match ty.owner {
                TypeOwner::Interface(owner) => match self.resolve.id_of(owner) {
                    Some(module) => format!("import(\"{module}\").{}", named(name)),
                    None => self.structure(ty, way),
                },
                TypeOwner::World(_) | TypeOwner::None => self.structure(ty, way),
            },
            None => self.structure(ty, way),
        }
    }

    /// A type by what it is made of.
    fn structure(&self, ty: &TypeDef, way: Way) -> String {
        match &ty.kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                object(fields.map(|field| (camel(&field.name), self.ty(&field.ty, way))))
            }
            TypeDefKind::Flags(flags) => {
                let names = flags.flags.iter();
                object(names.map(|flag| (camel(&flag.name), "boolean".to_owned())))
            }
            TypeDefKind::Enum(cases) => {
                let names = cases.cases.iter().map(|case| format!("\"{}\"", case.name));
                names.collect::<Vec<_>>().join(" | ")
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                union(cases.map(|case| (case.name.as_str(), case.ty.map(|ty| self.ty(&ty, way)))))
            }
            TypeDefKind::Result(result) => {
                let payload = |ty: Option<Type>| ty.map(|ty| self.ty(&ty, way));
                union([("ok", payload(result.ok)), ("err", payload(result.err))].into_iter())
            }
            TypeDefKind::Option(inner) => self.option(inner, way),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.ty(ty, way));
                format!("[{}]", types.collect::<Vec<_>>().join(", "))
            }
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(Type::S8) => "Int8Array".to_owned(),
            TypeDefKind::List(Type::U64) if way == Way::Out => {
                "Array<number | bigint> | BigUint64Array".to_owned()
            }
            TypeDefKind::List(Type::S64) if way == Way::Out => {
                "Array<number | bigint> | BigInt64Array".to_owned()
            }
            TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _) => {
                format!("Array<{}>", self.ty(item, way))
            }
            TypeDefKind::Map(key, value) => {
                format!("Map<{}, {}>", self.ty(key, way), self.ty(value, way))
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.defined(*id, way),
            TypeDefKind::Type(inner) => self.ty(inner, way),
            // The runtime's own classes for them are not described anywhere.
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) => "any".to_owned(),
            TypeDefKind::Resource | TypeDefKind::Unknown => "unknown".to_owned(),
        }
    }

    fn option(&self, inner: &Type, way: Way) -> String {
        let shown = self.ty(inner, way);
        match self.resolved(inner) {
            Some(TypeDefKind::Option(_)) => {
                format!("{{ tag: \"none\" }} | {{ tag: \"some\"; val: {shown} }}")
            }
            Some(_) | None if way == Way::Out => format!("{shown} | null | undefined"),
            Some(_) | None => format!("{shown} | null"),
        }
    }

    /// What a type is behind its aliases.
    fn resolved(&self, ty: &Type) -> Option<&'a TypeDefKind> {
        let Type::Id(id) = ty else {
            return None;
        };
        let kind = &self.resolve.types[*id].kind;
        if let TypeDefKind::Type(inner) = kind {
            return self.resolved(inner);
        }
        Some(kind)
    }
}

/// Words of the language, which name no function and no parameter.
const RESERVED: [&str; 48] = [
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// A name that is no word of the language.
fn free_name(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("{name}_");
    }
    name.to_owned()
}

/// The name of a type that does not hide [`EXPORTS`].
fn type_name(name: &str) -> String {
    let name = name.to_upper_camel_case();
    if name == EXPORTS {
        return format!("{name}_");
    }
    name
}

fn object(fields: impl Iterator<Item = (String, String)>) -> String {
    let fields = fields.map(|(name, ty)| format!("{name}: {ty}"));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
}

fn union<'a>(cases: impl Iterator<Item = (&'a str, Option<String>)>) -> String {
    let cases = cases.map(|(name, payload)| match payload {
        Some(ty) => format!("{{ tag: \"{name}\"; val: {ty} }}"),
        None => format!("{{ tag: \"{name}\" }}"),
    });
    cases.collect::<Vec<_>>().join(" | ")
}

fn docs(docs: &Docs, indent: &str) -> String {
    let Some(text) = &docs.contents else {
        return String::new();
    };
    let text = text.trim().replace("*/", "* /");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    match lines.as_slice() {
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let lines = lines.iter().map(|line| format!("{indent} * {line}\n"));
            format!("{indent}/**\n{}{indent} */\n", lines.collect::<String>())
        }
    }
}
