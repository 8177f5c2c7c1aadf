//! Doc comments that a component carries in a custom section.
//!
//! Component types have no room for comments, and stock tool chains drop them when they wrap a core module as a component (checked with
//! rustc's `wasm32-wasip2` and wit-component: neither `package-docs` nor `component-type` sections are left). So `granary build` adds the
//! comments of the WIT package that the kind was built from, in the format of `wit-component`'s `package-docs` but under a name of our own:
//! wit-component refuses a component whose `package-docs` name a world, because a component's world has lost its name.
//!
//! A program that derives its interface from code has no WIT package. Its compiler puts the comments into the core module, one section for
//! each interface, `granary-docs:NAME`. Other custom sections of a core module pass through every tool, so they are read there.

use std::path::Path;

use serde::Deserialize;
use std::collections::BTreeMap;
use wasm_encoder::{CustomSection, Section};
use wit_parser::{
    Docs, Function, Interface, PackageId, PackageMetadata, Resolve, TypeDefKind, TypeId, WorldId,
    WorldItem,
};

/// The custom section that holds the comments.
const SECTION: &str = "granary-docs";

/// Adds the doc comments of a WIT package to a component, unless it carries some. `wit` names files or directories: those that the
/// package needs first, its own last. Errors: the WIT does not parse.
pub fn embed_docs<P: AsRef<Path>>(component: Vec<u8>, wit: &[P]) -> Result<Vec<u8>, String> {
    if !sections(&component, Where::Component).is_empty() {
        return Ok(component);
    }
    let mut resolve = Resolve::default();
    let mut package = None;
    for path in wit {
        package = Some(
            resolve
                .push_path(path)
                .map_err(|error| format!("{error:#}"))?
                .0,
        );
    }
    let Some(package) = package else {
        return Ok(component);
    };
    let metadata = PackageMetadata::extract(&resolve, package)
        .encode()
        .map_err(|error| format!("{error:#}"))?;
    let mut bytes = component;
    CustomSection {
        name: SECTION.into(),
        data: metadata.into(),
    }
    .append_to(&mut bytes);
    Ok(bytes)
}

/// Where comments are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Only in the sections of the binary itself.
    Component,
    /// In the core modules in it, too.
    Everywhere,
}

/// The payloads of all comments.
fn sections(binary: &[u8], place: Where) -> Vec<&[u8]> {
    let mut found = Vec::new();
    collect(binary, place, &mut found);
    found
}

/// Ends where the bytes are no longer understood: comments are never a reason to refuse.
fn collect<'a>(binary: &'a [u8], place: Where, found: &mut Vec<&'a [u8]>) -> Option<()> {
    /// A component's section that holds a core module.
    const MODULE: u8 = 1;
    let mut rest = binary.get(8..)?;
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = read_leb(after)?;
        let (body, after) = after.split_at_checked(size)?;
        rest = after;
        if *id == 0 {
            found.extend(comments(body)?);
        } else if *id == MODULE && place == Where::Everywhere {
            collect(body, Where::Component, found);
        }
    }
    Some(())
}

/// All comments of a component, as custom sections that carry them on.
pub(super) fn carried(component: &[u8]) -> impl Iterator<Item = (&'static str, &[u8])> {
    let payloads = sections(component, Where::Everywhere).into_iter();
    payloads.map(|payload| (SECTION, payload))
}

/// What the body of a custom section holds, if these are comments.
fn comments(custom: &[u8]) -> Option<Option<&[u8]>> {
    let (name_len, body) = read_leb(custom)?;
    let (name, payload) = body.split_at_checked(name_len)?;
    let more = name.strip_prefix(SECTION.as_bytes());
    let is_ours = more.is_some_and(|more| more.is_empty() || more.starts_with(b":"));
    Some(is_ours.then_some(payload))
}

fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// The section's JSON, as far as it is used. Everything that is not understood is passed over: comments are never a reason to refuse.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Comments {
    docs: Option<String>,
    worlds: BTreeMap<String, WorldComments>,
    interfaces: BTreeMap<String, InterfaceComments>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WorldComments {
    docs: Option<String>,
    funcs: BTreeMap<String, FunctionComments>,
    func_exports: BTreeMap<String, FunctionComments>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InterfaceComments {
    docs: Option<String>,
    funcs: BTreeMap<String, FunctionComments>,
    types: BTreeMap<String, TypeComments>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FunctionComments {
    Plain(Option<String>),
    Record {
        #[serde(default)]
        docs: Option<String>,
    },
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TypeComments {
    docs: Option<String>,
    items: BTreeMap<String, String>,
}

/// Puts the comments that the component carries on the items of its own packages and of its world.
pub(super) fn inject(
    component: &[u8],
    resolve: &mut Resolve,
    world: WorldId,
    packages: &[PackageId],
) {
    for payload in sections(component, Where::Everywhere) {
        let [0 | 1, json @ ..] = payload else {
            continue;
        };
        if let Ok(comments) = serde_json::from_slice::<Comments>(json) {
            on_packages(resolve, world, packages, &comments);
        }
    }
}

fn on_packages(resolve: &mut Resolve, world: WorldId, packages: &[PackageId], comments: &Comments) {
    for package in packages {
        set(&mut resolve.packages[*package].docs, comments.docs.as_ref());
        for (name, comments) in &comments.interfaces {
            if let Some(id) = resolve.packages[*package].interfaces.get(name).copied() {
                let types: Vec<_> = resolve.interfaces[id].types.clone().into_iter().collect();
                on_interface(&mut resolve.interfaces[id], comments);
                on_types(resolve, &types, comments);
            }
        }
    }
    for comments in comments.worlds.values() {
        let world = &mut resolve.worlds[world];
        set(&mut world.docs, comments.docs.as_ref());
        for (key, item) in &mut world.exports {
            if let (wit_parser::WorldKey::Name(name), WorldItem::Function(function)) = (key, item) {
                on_function(
                    function,
                    comments
                        .func_exports
                        .get(name)
                        .or_else(|| comments.funcs.get(name)),
                );
            }
        }
    }
}

fn on_interface(interface: &mut Interface, comments: &InterfaceComments) {
    set(&mut interface.docs, comments.docs.as_ref());
    for (name, function) in &mut interface.functions {
        on_function(function, comments.funcs.get(name));
    }
}

fn on_function(function: &mut Function, comments: Option<&FunctionComments>) {
    let docs = match comments {
        Some(FunctionComments::Plain(docs) | FunctionComments::Record { docs }) => docs.as_ref(),
        None => None,
    };
    set(&mut function.docs, docs);
}

fn on_types(resolve: &mut Resolve, types: &[(String, TypeId)], comments: &InterfaceComments) {
    for (name, id) in types {
        let Some(comments) = comments.types.get(name) else {
            continue;
        };
        let def = &mut resolve.types[*id];
        set(&mut def.docs, comments.docs.as_ref());
        let of = |name: &String| comments.items.get(name);
        if let TypeDefKind::Record(record) = &mut def.kind {
            record
                .fields
                .iter_mut()
                .for_each(|field| set(&mut field.docs, of(&field.name)));
        } else if let TypeDefKind::Variant(variant) = &mut def.kind {
            variant
                .cases
                .iter_mut()
                .for_each(|case| set(&mut case.docs, of(&case.name)));
        } else if let TypeDefKind::Enum(cases) = &mut def.kind {
            cases
                .cases
                .iter_mut()
                .for_each(|case| set(&mut case.docs, of(&case.name)));
        } else if let TypeDefKind::Flags(flags) = &mut def.kind {
            flags
                .flags
                .iter_mut()
                .for_each(|flag| set(&mut flag.docs, of(&flag.name)));
        }
    }
}

fn set(docs: &mut Docs, text: Option<&String>) {
    if let Some(text) = text {
        docs.contents = Some(text.clone());
    }
}
