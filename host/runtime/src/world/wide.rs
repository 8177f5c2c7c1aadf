//! Where a world passes 64-bit integers: the numbers of JavaScript hold them exactly up to 2^53 only.

use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldItem};

use super::World;

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

/// Whether there is a 64-bit integer within a type.
pub(super) fn is_wide(resolve: &Resolve, ty: &Type) -> bool {
    let mut found = Vec::new();
    places(resolve, ty, "", &mut found);
    !found.is_empty()
}

/// Adds every place of a 64-bit integer within a type.
fn places(resolve: &Resolve, ty: &Type, path: &str, found: &mut Vec<String>) {
    match ty {
        Type::U64 => found.push(format!("{path}: u64")),
        Type::S64 => found.push(format!("{path}: s64")),
        Type::Id(id) if is_hosts(resolve, *id) => {}
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

/// Whether a type is the host's: what clients of other kinds say about a call is no author's business either.
fn is_hosts(resolve: &Resolve, id: TypeId) -> bool {
    let TypeOwner::Interface(interface) = resolve.types[id].owner else {
        return false;
    };
    let package = resolve.interfaces[interface].package;
    let namespace = package.map(|package| resolve.packages[package].name.namespace.as_str());
    namespace.is_some_and(|namespace| HOST.contains(&namespace))
}

/// What a type is made of, with the names of fields and cases. The items of a list have none.
pub(super) fn parts(kind: &TypeDefKind) -> Vec<(Option<String>, Type)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::open;

    #[test]
    fn the_hosts_own_types_are_no_warning() {
        let folder = tempfile::tempdir().unwrap();
        let wit = "package a:b@0.1.0;
            interface api {
              use granary:grain/calls@0.1.0.{call-options};
              with-options: func(options: call-options) -> u32;
              add: func(by: u64, options: call-options);
            }
            world grain { import api; }";
        let calls = "package granary:grain@0.1.0;
            interface calls { record call-options { timeout: option<u64> } }";
        std::fs::create_dir_all(folder.path().join("deps")).unwrap();
        std::fs::write(folder.path().join("a.wit"), wit).unwrap();
        std::fs::write(folder.path().join("deps/calls.wit"), calls).unwrap();
        let wide = World::open(folder.path()).unwrap().wide();
        assert_eq!(wide.len(), 1, "{wide:?}");
        assert_eq!(
            (wide[0].function.as_str(), wide[0].places.join(" ")),
            ("api.add", "by: u64".to_owned())
        );
    }

    #[test]
    fn every_64_bit_integer_is_found_by_its_place() {
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
        let world = open(wit).unwrap();
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
    }
}
