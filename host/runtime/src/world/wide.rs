//! Where a world passes 64-bit integers: the numbers of JavaScript hold them exactly up to 2^53 only.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

use super::World;
use super::typescript::{camel, is_free};

/// The namespaces whose integers are no author's business: times, versions and sizes, all far below 2^53.
const HOST: [&str; 2] = ["granary", "wasi"];

/// A function that takes or answers 64-bit integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wide {
    /// The function with its interface: `counter.increment`.
    pub function: String,
    /// Where they are: `by: u64`, `order.items.id: s64`, `result: u64`.
    pub places: Vec<String>,
}

impl World {
    /// The functions of the project's own interfaces, exported and imported, that pass 64-bit integers.
    pub fn wide(&self) -> Vec<Wide> {
        let world = &self.resolve.worlds[self.world];
        let mut found = Vec::new();
        for (key, item) in world.exports.iter().chain(&world.imports) {
            match item {
                WorldItem::Interface { id, .. } => self.wide_of(*id, &mut found),
                WorldItem::Function(function) => {
                    let name = self.resolve.name_world_key(key);
                    found.extend(wide(&self.resolve, function, name));
                }
                WorldItem::Type { .. } => {}
            }
        }
        found
    }

    fn wide_of(&self, id: InterfaceId, found: &mut Vec<Wide>) {
        let interface = &self.resolve.interfaces[id];
        let namespace = interface
            .package
            .map(|package| self.resolve.packages[package].name.namespace.as_str());
        if namespace.is_some_and(|namespace| HOST.contains(&namespace)) {
            return;
        }
        let name = interface.name.as_deref().unwrap_or_default();
        for function in interface.functions.values() {
            let place = format!("{name}.{}", function.item_name());
            found.extend(wide(&self.resolve, function, place));
        }
    }

    /// For each exported interface, by its name in JavaScript, the functions that take 64-bit integers, and for each of their parameters its
    /// name and where the integers are in it: `{"counter": {"increment": [["by", "u64"]]}}`. Those of functions that the world exports by
    /// itself stand under the empty name.
    pub fn wide_arguments(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut objects: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut add = |object: String, function: &Function| {
            let shapes = function.params.iter();
            let shapes: Vec<Value> = shapes
                .map(|parameter| json!([parameter.name, shape(&self.resolve, &parameter.ty)]))
                .collect();
            if shapes.iter().any(|shape| !shape[1].is_null()) {
                let functions = objects.entry(object).or_default();
                functions.insert(camel(&function.name), shapes.into());
            }
        };
        for (key, item) in &self.resolve.worlds[self.world].exports {
            match (key, item) {
                (WorldKey::Interface(id), WorldItem::Interface { .. }) => {
                    let interface = &self.resolve.interfaces[*id];
                    let Some(name) = &interface.name else {
                        continue;
                    };
                    let functions = interface.functions.values().filter(|f| is_free(f));
                    functions.for_each(|function| add(camel(name), function));
                }
                (_, WorldItem::Function(function)) => add(String::new(), function),
                (_, WorldItem::Interface { .. } | WorldItem::Type { .. }) => {}
            }
        }
        objects
    }
}

fn wide(resolve: &Resolve, function: &Function, name: String) -> Option<Wide> {
    let mut found = Vec::new();
    for parameter in &function.params {
        places(resolve, &parameter.ty, &parameter.name, &mut found);
    }
    if let Some(result) = &function.result {
        places(resolve, result, "result", &mut found);
    }
    (!found.is_empty()).then_some(Wide {
        function: name,
        places: found,
    })
}

/// Adds every place of a 64-bit integer within a type.
fn places(resolve: &Resolve, ty: &Type, path: &str, found: &mut Vec<String>) {
    match ty {
        Type::U64 => found.push(format!("{path}: u64")),
        Type::S64 => found.push(format!("{path}: s64")),
        Type::Id(id) => {
            for (name, inner) in parts(&resolve.types[*id].kind) {
                let path = name.map_or_else(|| path.to_owned(), |name| format!("{path}.{name}"));
                places(resolve, &inner, &path, found);
            }
        }
        Type::Bool
        | Type::U8
        | Type::U16
        | Type::U32
        | Type::S8
        | Type::S16
        | Type::S32
        | Type::F32
        | Type::F64
        | Type::Char
        | Type::String
        | Type::ErrorContext => {}
    }
}

/// What a type is made of, with the names of fields and cases. The items of a list have none.
fn parts(kind: &TypeDefKind) -> Vec<(Option<String>, Type)> {
    match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            fields
                .map(|field| (Some(field.name.clone()), field.ty))
                .collect()
        }
        TypeDefKind::Tuple(tuple) => {
            let types = tuple.types.iter().enumerate();
            types.map(|(at, ty)| (Some(at.to_string()), *ty)).collect()
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            cases
                .filter_map(|case| Some((Some(case.name.clone()), case.ty?)))
                .collect()
        }
        TypeDefKind::Result(result) => {
            let named = |name: &str, ty: Option<Type>| Some((Some(name.to_owned()), ty?));
            [named("ok", result.ok), named("err", result.err)]
                .into_iter()
                .flatten()
                .collect()
        }
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => vec![(None, *ty)],
        TypeDefKind::Map(key, value) => vec![(None, *key), (None, *value)],
        TypeDefKind::Future(_)
        | TypeDefKind::Stream(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Handle(_)
        | TypeDefKind::Resource
        | TypeDefKind::Unknown => Vec::new(),
    }
}

/// Where the 64-bit integers are in a value of JavaScript: null where there are none, else `"u64"`, `{"each": …}` for a list or map,
/// `{"fields": {…}}` for a record or tuple, `{"cases": {…}}` for what has a tag.
fn shape(resolve: &Resolve, ty: &Type) -> Value {
    let kind = match ty {
        Type::U64 => return "u64".into(),
        Type::S64 => return "s64".into(),
        Type::Id(id) => &resolve.types[*id].kind,
        Type::Bool
        | Type::U8
        | Type::U16
        | Type::U32
        | Type::S8
        | Type::S16
        | Type::S32
        | Type::F32
        | Type::F64
        | Type::Char
        | Type::String
        | Type::ErrorContext => return Value::Null,
    };
    if let TypeDefKind::Type(inner) = kind {
        return shape(resolve, inner);
    }
    if let TypeDefKind::Option(inner) = kind
        && !is_option(resolve, inner)
    {
        return shape(resolve, inner);
    }
    let is_tagged = matches!(
        kind,
        TypeDefKind::Variant(_) | TypeDefKind::Result(_) | TypeDefKind::Option(_)
    );
    let mut named = Map::new();
    for (name, inner) in parts(kind) {
        let inner = shape(resolve, &inner);
        if inner.is_null() {
            continue;
        }
        match name {
            Some(name) if is_tagged => named.insert(name, inner),
            Some(name) => named.insert(camel(&name), inner),
            None if is_tagged => named.insert("some".to_owned(), inner),
            None => return json!({ "each": inner }),
        };
    }
    match named.is_empty() {
        true => Value::Null,
        false if is_tagged => json!({ "cases": named }),
        false => json!({ "fields": named }),
    }
}

fn is_option(resolve: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else {
        return false;
    };
    let kind = &resolve.types[*id].kind;
    if let TypeDefKind::Type(inner) = kind {
        return is_option(resolve, inner);
    }
    matches!(kind, TypeDefKind::Option(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_64_bit_integer_is_found_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let wit = "package a:b@0.1.0;
            interface api {
              record item { the-id: s64, name: string }
              variant shape { nothing, many(list<item>) }
              plain: func(by: u32) -> string;
              add: func(by: u64, how: shape) -> result<u64, string>;
              deep: func(one: option<option<u64>>, two: option<tuple<u8, u64>>, three: string);
            }
            interface other { get: func() -> u64; }
            world grain { import other; export api; export look-up: func(at: u64) -> string; }";
        std::fs::write(folder.path().join("a.wit"), wit).unwrap();
        let world = World::open(folder.path()).unwrap();
        let shown: Vec<String> = world
            .wide()
            .into_iter()
            .map(|wide| format!("{} ({})", wide.function, wide.places.join(", ")))
            .collect();
        assert_eq!(
            shown,
            [
                "look-up (at: u64)",
                "api.add (by: u64, how.many.the-id: s64, result.ok: u64)",
                "api.deep (one: u64, two.1: u64)",
                "other.get (result: u64)",
            ]
        );
        assert_eq!(
            json!(world.wide_arguments()),
            json!({ "": { "lookUp": [["at", "u64"]] }, "api": {
                "add": [["by", "u64"], ["how", { "cases": { "many": { "each": { "fields": { "theId": "s64" } } } } }]],
                "deep": [["one", { "cases": { "some": "u64" } }], ["two", { "fields": { "1": "u64" } }], ["three", null]],
            } })
        );
    }
}
