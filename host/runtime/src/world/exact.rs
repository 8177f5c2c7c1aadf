//! Where a world passes integers that the runtime of JavaScript changes on their way, described for the SDK's `exact.js`: 64-bit integers, which it
//! has as numbers, `u32`, which it takes for signed, and each that goes out, which it cuts to size.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase as _;
use serde_json::{Map, Value, json};
use wit_parser::{
    Function, FunctionKind, InterfaceId, Resolve, Type, TypeDefKind, WorldItem, WorldKey,
};

use super::World;
use super::typescript::{Way, camel, is_free};
use super::wide::parts;

/// The namespace whose calls need no guard: the SDK makes most of them, with times, versions and sizes far below 2^53.
const CONTRACT: &str = "granary";

/// An imported interface with functions that pass such integers.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactImport {
    /// The interface: `wasi:random/random@0.2.6`.
    pub module: String,
    /// Every name under which a module of JavaScript may import it.
    pub specifiers: Vec<String>,
    /// What the runtime's module of it exports, besides all of it as the default.
    pub names: BTreeSet<String>,
    /// Its functions, and those of its classes: `{"classes": {"Ref": {"methods": {…}}}, "functions": {…}}`.
    pub described: Value,
}

impl World {
    /// For each exported interface, by its name in JavaScript, the functions that pass such integers, and where: `{"counter": {"increment":
    /// {"parameters": [["by", "u64"]], "result": ["result", "u64"]}}}`. Those of functions that the world exports by itself stand under the
    /// empty name.
    pub fn exact_exports(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut objects: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut add = |object: String, function: &Function| {
            if let Some(described) = described(&self.resolve, function, Way::In) {
                let functions = objects.entry(object).or_default();
                functions.insert(camel(&function.name), described);
            }
        };
        for (key, item) in &self.resolve.worlds[self.world].exports {
            let id = match item {
                WorldItem::Interface { id, .. } => *id,
                WorldItem::Function(function) => {
                    add(String::new(), function);
                    continue;
                }
                WorldItem::Type { .. } => continue,
            };
            let interface = &self.resolve.interfaces[id];
            let name = match key {
                WorldKey::Interface(_) => interface.name.as_deref(),
                // Written out within the world.
                WorldKey::Name(name) => Some(name.as_str()),
            };
            let functions = interface.functions.values().filter(|f| is_free(f));
            for function in functions {
                add(camel(name.unwrap_or_default()), function);
            }
        }
        objects
    }

    /// The imported interfaces that pass such integers, but for those of the contract.
    pub fn exact_imports(&self) -> Vec<ExactImport> {
        let imports = self.resolve.worlds[self.world].imports.values();
        let interfaces = imports.filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        });
        let mut found = Vec::new();
        let mut taken = BTreeSet::new();
        for id in interfaces {
            let interface = &self.resolve.interfaces[id];
            let Some(module) = self.resolve.id_of(id) else {
                continue;
            };
            if interface.functions.is_empty() || module.starts_with(&format!("{CONTRACT}:")) {
                continue;
            }
            // Without a version it is the first one of that name.
            let bare = module.split('@').next().unwrap_or(&module).to_owned();
            let is_first = taken.insert(bare.clone());
            if let Some(described) = self.described_interface(id) {
                let mut specifiers = BTreeSet::from([module.clone()]);
                specifiers.extend(is_first.then_some(bare));
                found.push(ExactImport {
                    specifiers: specifiers.into_iter().collect(),
                    names: self.resolve.interfaces[id]
                        .functions
                        .values()
                        .map(|function| exported_name(&self.resolve, function))
                        .collect(),
                    module,
                    described,
                });
            }
        }
        found
    }

    fn described_interface(&self, id: InterfaceId) -> Option<Value> {
        let mut functions = Map::new();
        let mut classes: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for function in self.resolve.interfaces[id].functions.values() {
            let Some(described) = described(&self.resolve, function, Way::Out) else {
                continue;
            };
            let part = match function.kind {
                FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => {
                    functions.insert(camel(&function.name), described);
                    continue;
                }
                FunctionKind::Method(_) | FunctionKind::AsyncMethod(_) => "methods",
                FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => "statics",
                FunctionKind::Constructor(_) => "create",
            };
            let class = classes
                .entry(exported_name(&self.resolve, function))
                .or_default();
            if part == "create" {
                class.insert(part.to_owned(), described);
                continue;
            }
            let methods = class.entry(part).or_insert_with(|| json!({}));
            methods[camel(function.item_name())] = described;
        }
        let is_empty = functions.is_empty() && classes.is_empty();
        (!is_empty).then(|| json!({ "classes": classes, "functions": functions }))
    }
}

/// The name under which the runtime's module has a function, or the class that it belongs to.
fn exported_name(resolve: &Resolve, function: &Function) -> String {
    let resource = function.kind.resource();
    match resource.and_then(|id| resolve.types[id].name.as_deref()) {
        Some(resource) => resource.to_upper_camel_case(),
        None => camel(&function.name),
    }
}

/// Where a function passes such integers; nothing if it does not. `way` is that of the parameters.
fn described(resolve: &Resolve, function: &Function, way: Way) -> Option<Value> {
    // The receiver of a method is no parameter.
    let is_method = matches!(
        function.kind,
        FunctionKind::Method(_) | FunctionKind::AsyncMethod(_)
    );
    let parameters = function.params.iter().skip(usize::from(is_method));
    let parameters: Vec<Value> = parameters
        .map(|parameter| json!([parameter.name, shape(resolve, &parameter.ty, way)]))
        .collect();
    let mut passes = parameters.iter().any(|parameter| !parameter[1].is_null());
    let mut described = json!({ "parameters": parameters });
    // A constructor answers with its object.
    let (plain, error) = match function.result.as_ref().map(|ty| (ty, kind(resolve, ty))) {
        Some((_, Some(TypeDefKind::Result(result)))) => (
            result.ok.map(|ty| ("result.ok", ty)),
            result.err.map(|ty| ("result.err", ty)),
        ),
        Some((ty, _)) => (Some(("result", *ty)), None),
        None => (None, None),
    };
    for (name, answer) in [("result", plain), ("error", error)] {
        let answer = answer.map(|(place, ty)| (place, answer_shape(resolve, &ty, way.back())));
        if let Some((place, shape)) = answer.filter(|(_, shape)| !shape.is_null()) {
            described[name] = json!([place, shape]);
            passes = true;
        }
    }
    if function.kind.is_async() {
        described["async"] = true.into();
    }
    passes.then_some(described)
}

/// The shape of an answer. It may be a stream, whose items are looked at where they go out.
fn answer_shape(resolve: &Resolve, ty: &Type, way: Way) -> Value {
    match kind(resolve, ty) {
        Some(TypeDefKind::Stream(Some(item))) if way == Way::Out => {
            let items = shape(resolve, item, way);
            none_or(items.is_null(), json!({ "items": items }))
        }
        Some(_) | None => shape(resolve, ty, way),
    }
}

/// What a type is behind its aliases, unless it is one of the simple ones.
fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    let Type::Id(id) = ty else {
        return None;
    };
    let found = &resolve.types[*id].kind;
    if let TypeDefKind::Type(inner) = found {
        return kind(resolve, inner);
    }
    Some(found)
}

/// Where such integers are in a value of JavaScript: null where there are none, else the type of one, `{"each": …}` for a list, `{"map": [key,
/// value]}`, `{"fields": {…}}` for a record or tuple, `{"cases": {…}}` for what has a tag.
fn shape(resolve: &Resolve, ty: &Type, way: Way) -> Value {
    let kind_of = match ty {
        Type::U32 => return "u32".into(),
        Type::U64 => return "u64".into(),
        Type::S64 => return "s64".into(),
        // They come in as they are.
        Type::U8 | Type::U16 | Type::S8 | Type::S16 | Type::S32 if way == Way::In => None,
        Type::U8 => return "u8".into(),
        Type::U16 => return "u16".into(),
        Type::S8 => return "s8".into(),
        Type::S16 => return "s16".into(),
        Type::S32 => return "s32".into(),
        Type::Id(_) => kind(resolve, ty),
        Type::Bool | Type::F32 | Type::F64 | Type::Char | Type::String | Type::ErrorContext => None,
    };
    match kind_of {
        Some(TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _)) => {
            let item = shape(resolve, item, way);
            none_or(item.is_null(), json!({ "each": item }))
        }
        Some(TypeDefKind::Map(key, value)) => {
            let (key, value) = (shape(resolve, key, way), shape(resolve, value, way));
            none_or(
                key.is_null() && value.is_null(),
                json!({ "map": [key, value] }),
            )
        }
        Some(TypeDefKind::Option(inner)) => {
            let is_nested = matches!(kind(resolve, inner), Some(TypeDefKind::Option(_)));
            let inner = shape(resolve, inner, way);
            match is_nested {
                true => none_or(inner.is_null(), json!({ "cases": { "some": inner } })),
                false => inner,
            }
        }
        Some(kind @ (TypeDefKind::Variant(_) | TypeDefKind::Result(_))) => {
            let cases = named(resolve, kind, way, |name| name);
            none_or(cases.is_empty(), json!({ "cases": cases }))
        }
        Some(kind) => {
            let fields = named(resolve, kind, way, |name| camel(&name));
            none_or(fields.is_empty(), json!({ "fields": fields }))
        }
        None => Value::Null,
    }
}

fn none_or(is_none: bool, shape: Value) -> Value {
    if is_none { Value::Null } else { shape }
}

/// The shapes of the fields or cases that have any.
fn named(
    resolve: &Resolve,
    kind: &TypeDefKind,
    way: Way,
    rename: fn(String) -> String,
) -> Map<String, Value> {
    let shapes = parts(kind)
        .into_iter()
        .filter_map(|(name, ty)| Some((rename(name?), shape(resolve, &ty, way))));
    shapes.filter(|(_, shape)| !shape.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::open;

    #[test]
    fn what_an_export_passes_is_described_by_its_places() {
        let world = open(
            "package a:b@0.1.0;
            interface api {
              record item { the-id: s64, name: string }
              variant shape { nothing, many(list<item>) }
              plain: func(by: s32, all: list<u8>) -> result<string, bool>;
              small: func(by: u8) -> result<tuple<u8, s8, bool>, list<s16>>;
              other: func(it: item) -> list<option<u16>>;
              add: func(by: u64, how: shape) -> result<u32, option<u64>>;
              deep: func(one: option<option<u64>>, two: option<tuple<u8, u64>>, three: string);
              steps: async func(by: u8) -> result<stream<tuple<s8>>, string>;
              words: async func() -> stream<string>;
              all: async func() -> map<u32, map<string, list<u64>>>;
            }
            world grain {
              export api;
              export in-line: interface { get: func() -> u64; }
              export look-up: func(at: u64) -> string;
            }",
        )
        .unwrap();
        assert_eq!(
            json!(world.exact_exports()),
            json!({
                "": { "lookUp": { "parameters": [["at", "u64"]] } },
                "inLine": { "get": { "parameters": [], "result": ["result", "u64"] } },
                "api": {
                    "add": {
                        "parameters": [
                            ["by", "u64"],
                            ["how", { "cases": { "many": { "each": { "fields": { "theId": "s64" } } } } }],
                        ],
                        "result": ["result.ok", "u32"],
                        "error": ["result.err", "u64"],
                    },
                    "small": {
                        "parameters": [["by", null]],
                        "result": ["result.ok", { "fields": { "0": "u8", "1": "s8" } }],
                        "error": ["result.err", { "each": "s16" }],
                    },
                    "other": {
                        "parameters": [["it", { "fields": { "theId": "s64" } }]],
                        "result": ["result", { "each": "u16" }],
                    },
                    "steps": {
                        "parameters": [["by", null]],
                        "result": ["result.ok", { "items": { "fields": { "0": "s8" } } }],
                        "async": true,
                    },
                    "deep": { "parameters": [
                        ["one", { "cases": { "some": "u64" } }],
                        ["two", { "fields": { "1": "u64" } }],
                        ["three", null],
                    ] },
                    "all": {
                        "parameters": [],
                        "result": ["result", { "map": ["u32", { "map": [null, { "each": "u64" }] }] }],
                        "async": true,
                    },
                },
            })
        );
        assert_eq!(world.exact_imports(), []);
    }

    #[test]
    fn an_import_is_described_by_its_functions_and_classes() {
        let world = open(
            "package a:b@0.1.0;
            interface plain { resource ref { get: func() -> list<u8>; } %delete: func(by: f64) -> s32; }
            interface shop {
              resource price-list { constructor(at: u64); get: func(by: u64) -> string; later: async func() -> u32; find: static func() -> s64; }
              resource ref { constructor(key: string); }
              draw-one: func() -> u64;
              %delete: func(by: s32);
            }
            world grain { import plain; import shop; import alone: func() -> u64; }",
        ).unwrap();
        let imports = world.exact_imports();
        assert_eq!(imports.len(), 1);
        assert_eq!(imports[0].module, "a:b/shop@0.1.0");
        assert_eq!(imports[0].specifiers, ["a:b/shop", "a:b/shop@0.1.0"]);
        assert_eq!(
            imports[0].names,
            ["PriceList", "Ref", "delete", "drawOne"]
                .map(str::to_owned)
                .into()
        );
        assert_eq!(
            imports[0].described,
            json!({
                "functions": {
                    "delete": { "parameters": [["by", "s32"]] },
                    "drawOne": { "parameters": [], "result": ["result", "u64"] },
                },
                "classes": { "PriceList": {
                    "create": { "parameters": [["at", "u64"]] },
                    "methods": {
                        "get": { "parameters": [["by", "u64"]] },
                        "later": { "parameters": [], "result": ["result", "u32"], "async": true },
                    },
                    "statics": { "find": { "parameters": [], "result": ["result", "s64"] } },
                } },
            })
        );
    }
}
