//! Components for tests, from WIT text alone: their functions have the right types and trap when called.

use wasm_encoder::{CustomSection, Section};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

use super::Interface;

/// A component of the world `grain` in this WIT, which may use the package `granary:grain`.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    component_made(&[], wit, &[])
}

/// The same, made from a core module with these custom sections.
pub(crate) fn component_with_sections(wit: &str, sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    component_made(&[], wit, sections)
}

/// The same, where the WIT may also use these packages.
pub(crate) fn component_beside(packages: &[&str], wit: &str) -> Vec<u8> {
    component_made(packages, wit, &[])
}

fn component_made(packages: &[&str], wit: &str, sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (resolve, world) = resolve(packages, wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    for (name, payload) in sections {
        let (name, data) = ((*name).into(), payload.into());
        CustomSection { name, data }.append_to(&mut module);
    }
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// The interface of such a component.
pub(crate) fn interface(wit: &str) -> Interface {
    Interface::inspect(&component(wit)).unwrap()
}

/// The interface of a component that exports `api` with this inside.
pub(crate) fn api(items: &str) -> Interface {
    interface(&api_wit(items))
}

/// The WIT of such a component.
pub(crate) fn api_wit(items: &str) -> String {
    format!(
        "package demo:shop@0.1.0;\ninterface api {{\n{items}\n}}\nworld grain {{ export api; }}\n"
    )
}

fn resolve(packages: &[&str], wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    resolve
        .push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"))
        .unwrap();
    for text in packages {
        resolve.push_str("package.wit", text).unwrap();
    }
    let package = resolve.push_str("sample.wit", wit).unwrap();
    let world = resolve.packages[package].worlds["grain"];
    (resolve, world)
}
