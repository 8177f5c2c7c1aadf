//! JSON Schema and OpenAPI from an interface.

mod openapi;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

pub use openapi::openapi;

use crate::interface::{Interface, Member, Members, Method, Shape, Ty, Types};

/// The JSON Schema (2020-12) of every named type (`$defs`), and under `methods` of each method's arguments, result (or the `items` of its
/// stream) and `err`.
pub fn json_schema(interface: &Interface) -> Value {
    let schemas = Schemas::new(interface, "#/$defs/");
    let mut methods = Map::new();
    for method in callable(interface) {
        let mut entry = Map::new();
        insert_docs(&mut entry, method.docs.as_deref());
        entry.insert("arguments".into(), schemas.arguments(method));
        let (ok, err) = schemas.outcomes(method);
        let name = if method.item_ty.is_some() {
            "items"
        } else {
            "result"
        };
        entry.extend(ok.map(|ok| (name.to_owned(), ok)));
        entry.extend(err.map(|err| ("err".to_owned(), err)));
        methods.insert(method.name.clone(), entry.into());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": schemas.definitions(),
        "methods": methods,
    })
}

fn callable(interface: &Interface) -> impl Iterator<Item = &Method> {
    interface
        .methods
        .iter()
        .map(AsRef::as_ref)
        .filter(|method: &&Method| method.not_callable.is_none())
}

fn insert_docs(schema: &mut Map<String, Value>, docs: Option<&str>) {
    if let Some(docs) = docs {
        schema.insert("description".into(), docs.into());
    }
}

/// The schemas of an interface's types; named ones are defined once and referred to.
struct Schemas<'i> {
    types: &'i Types,
    prefix: &'static str,
    names: HashMap<Ty, String>,
}

impl<'i> Schemas<'i> {
    fn new(interface: &'i Interface, prefix: &'static str) -> Self {
        let types = &*interface.types;
        let named = (0..)
            .take(types.len())
            .filter_map(|ty: Ty| Some((ty, types.name(ty)?)));
        let named: Vec<_> = named.collect();
        let mut uses = HashMap::new();
        named
            .iter()
            .for_each(|(_, name)| *uses.entry(name.name.as_str()).or_insert(0) += 1);
        let mut taken = BTreeMap::new();
        for (ty, name) in &named {
            let interface = name
                .interface
                .as_deref()
                .filter(|_| 1 < uses[name.name.as_str()]);
            let qualified =
                interface.map(|interface| format!("{}.{}", short(interface), name.name));
            let mut unique = qualified.unwrap_or_else(|| name.name.clone());
            while taken.contains_key(&unique) {
                unique.push('_');
            }
            taken.insert(unique, *ty);
        }
        Self {
            types,
            prefix,
            names: taken.into_iter().map(|(name, ty)| (ty, name)).collect(),
        }
    }

    /// The definitions of all named types, in the order of the types.
    fn definitions(&self) -> Map<String, Value> {
        let mut named: Vec<_> = self.names.iter().collect();
        named.sort();
        let defined = named.into_iter().map(|(ty, name)| {
            let mut schema = self.inside(*ty);
            insert_docs(
                &mut schema,
                self.types.name(*ty).and_then(|name| name.docs.as_deref()),
            );
            (name.clone(), schema.into())
        });
        defined.collect()
    }

    /// A type where it is mentioned.
    fn of(&self, ty: Ty) -> Value {
        match self.names.get(&ty) {
            Some(name) => json!({ "$ref": format!("{}{name}", self.prefix) }),
            None => self.inside(ty).into(),
        }
    }

    fn inside(&self, ty: Ty) -> Map<String, Value> {
        let schema = match self.types.shape(ty) {
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::U8 => json!({ "type": "integer", "minimum": 0, "maximum": u8::MAX }),
            Shape::U16 => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX }),
            Shape::U32 => {
                json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX })
            }
            Shape::S8 => json!({ "type": "integer", "minimum": i8::MIN, "maximum": i8::MAX }),
            Shape::S16 => json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX }),
            Shape::S32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Shape::U64 => {
                json!({ "type": ["integer", "string"], "format": "uint64", "minimum": 0, "pattern": "^[0-9]+$" })
            }
            Shape::S64 => {
                json!({ "type": ["integer", "string"], "format": "int64", "pattern": "^-?[0-9]+$" })
            }
            Shape::F32 => float("float"),
            Shape::F64 => float("double"),
            Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            Shape::String => json!({ "type": "string" }),
            Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Shape::List(of) => json!({ "type": "array", "items": self.of(*of) }),
            Shape::FixedList(of, len) => {
                json!({ "type": "array", "items": self.of(*of), "minItems": len, "maxItems": len })
            }
            Shape::Map(key, value) => self.map(*key, *value),
            Shape::Record(members, of) => self.record(members, of),
            Shape::Tuple(of) => self.tuple(of, of.len()),
            Shape::Variant(members, of) => {
                let cases = members
                    .iter()
                    .zip(of.iter())
                    .map(|(member, ty)| self.case(member, *ty));
                json!({ "oneOf": cases.collect::<Vec<_>>() })
            }
            Shape::Enum(members) => names(members),
            Shape::Flags(members) => {
                json!({ "type": "array", "items": names(members), "uniqueItems": true })
            }
            Shape::Option(of) => json!({ "anyOf": [self.of(*of), { "type": "null" }] }),
            Shape::NestedOption(of) => {
                json!({ "anyOf": [single("some", self.of(*of)), { "type": "null" }] })
            }
            Shape::Result(ok, err) => json!({ "oneOf": [
                single("ok", self.payload(*ok)),
                single("err", self.payload(*err)),
            ] }),
            Shape::Live(wit) => {
                json!({ "not": {}, "description": format!("{wit}: cannot be written as data") })
            }
        };
        let Value::Object(schema) = schema else {
            unreachable!("every one of these is an object")
        };
        schema
    }

    fn payload(&self, ty: Option<Ty>) -> Value {
        ty.map_or_else(|| json!({ "type": "null" }), |ty| self.of(ty))
    }

    fn case(&self, member: &Member, ty: Option<Ty>) -> Value {
        let schema = match ty {
            Some(ty) => single(&member.name, self.of(ty)),
            None => json!({ "const": member.name }),
        };
        described(schema, member.docs.as_deref())
    }

    fn record(&self, members: &Members, of: &[Ty]) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (member, ty) in members.iter().zip(of) {
            properties.insert(
                member.name.clone(),
                described(self.of(*ty), member.docs.as_deref()),
            );
            if !self.types.is_optional(*ty) {
                required.push(member.name.as_str());
            }
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    /// An array of one type a place, of which the first `required` must be there.
    fn tuple(&self, of: &[Ty], required: usize) -> Value {
        if of.is_empty() {
            return json!({ "type": "array", "maxItems": 0 });
        }
        let items: Vec<_> = of.iter().map(|ty| self.of(*ty)).collect();
        json!({ "type": "array", "prefixItems": items, "items": false, "minItems": required, "maxItems": of.len() })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a string may be anything, and no other type is a key"
    )]
    fn map(&self, key: Ty, value: Ty) -> Value {
        let keys = match self.types.shape(key) {
            Shape::Enum(members) => Some(names(members)),
            Shape::Bool => Some(json!({ "enum": ["true", "false"] })),
            Shape::Char => Some(json!({ "minLength": 1, "maxLength": 1 })),
            Shape::U8 | Shape::U16 | Shape::U32 | Shape::U64 => {
                Some(json!({ "pattern": "^[0-9]+$" }))
            }
            Shape::S8 | Shape::S16 | Shape::S32 | Shape::S64 => {
                Some(json!({ "pattern": "^-?[0-9]+$" }))
            }
            _ => None,
        };
        let mut schema = json!({ "type": "object", "additionalProperties": self.of(value) });
        if let Some(keys) = keys {
            schema["propertyNames"] = keys;
        }
        schema
    }

    /// Every form in which a method's arguments are understood: see [`crate::value`].
    fn arguments(&self, method: &Method) -> Value {
        let types: Vec<_> = method.params.iter().map(|param| param.ty).collect();
        let required = types
            .iter()
            .rposition(|ty| !self.types.is_optional(*ty))
            .map_or(0, |last| last + 1);
        let mut forms = vec![
            self.record(&method.param_names, &types),
            self.tuple(&types, required),
        ];
        let takes_bare = required <= 1 && method.bare_object;
        let is_array = |ty: &Ty| {
            matches!(
                self.types.shape(self.types.without_option(*ty)),
                Shape::List(_) | Shape::FixedList(..) | Shape::Tuple(_) | Shape::Flags(_)
            )
        };
        if let Some(first) = types
            .first()
            .filter(|ty| required <= 1 && (takes_bare || !self.is_object(**ty)) && !is_array(ty))
        {
            forms.push(self.of(*first));
        }
        json!({ "anyOf": forms })
    }

    fn is_object(&self, ty: Ty) -> bool {
        matches!(
            self.types.shape(self.types.without_option(ty)),
            Shape::Record(..) | Shape::Variant(..) | Shape::Map(..) | Shape::Result(..)
        )
    }

    /// The schemas of what a method gives, without the outermost `result`: its value, or the items of its stream, and its `err`.
    fn outcomes(&self, method: &Method) -> (Option<Value>, Option<Value>) {
        let item = method.item_ty.map(|item| self.of(item));
        match method.result_ty.map(|ty| (ty, self.types.shape(ty))) {
            Some((_, Shape::Result(ok, err))) => {
                let ok = item.or_else(|| ok.map(|ok| self.of(ok)));
                (ok, Some(self.payload(*err)))
            }
            Some((ty, _)) => (item.or_else(|| Some(self.of(ty))), None),
            None => (None, None),
        }
    }
}

fn short(interface: &str) -> &str {
    let name = interface
        .split_once('@')
        .map_or(interface, |(name, _)| name);
    name.rsplit('/').next().unwrap_or(name)
}

fn float(format: &str) -> Value {
    json!({ "anyOf": [{ "type": "number", "format": format }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
}

fn single(name: &str, schema: Value) -> Value {
    json!({ "type": "object", "properties": { name: schema }, "required": [name], "additionalProperties": false })
}

/// A schema with a comment. A reference keeps it too: since 2019-09 it may have neighbours.
fn described(mut schema: Value, docs: Option<&str>) -> Value {
    if let (Some(docs), Some(schema)) = (docs, schema.as_object_mut()) {
        schema.insert("description".into(), docs.into());
    }
    schema
}

/// The names of an enum or of flags; with comments, one constant each.
fn names(members: &Members) -> Value {
    if members.iter().all(|member| member.docs.is_none()) {
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        return json!({ "type": "string", "enum": names });
    }
    let names = members
        .iter()
        .map(|member| described(json!({ "const": member.name }), member.docs.as_deref()));
    json!({ "type": "string", "oneOf": names.collect::<Vec<_>>() })
}
