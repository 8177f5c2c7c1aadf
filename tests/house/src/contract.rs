//! `wit/` is the contract: one copy, read in place, every item explained; one place on each side that turns it into Rust.

use wit_parser::{Docs, Resolve, WorldItem};

use crate::tree::{assert_none, files, files_with, product_lines, root, text};

/// Sources that hold a macro call, comments and this crate aside.
fn calls(needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in files_with(&["rs"])
        .into_iter()
        .filter(|file| !file.starts_with("tests/house/"))
    {
        let lines = product_lines(&file);
        let uses = lines
            .iter()
            .filter(|line| !line.trim_start().starts_with("//") && line.contains(needle));
        found.extend(uses.map(|_| file.clone()));
    }
    found
}

#[test]
fn the_host_binds_the_contract_in_one_place() {
    let places = calls("bindgen!(");
    assert_eq!(
        places,
        ["host/runtime/src/bindings.rs"],
        "the only bindgen! is there, once"
    );
    assert!(
        text(&places[0]).contains("../../wit"),
        "it reads wit/ in place"
    );
}

#[test]
fn the_sdk_binds_the_contract_in_one_place() {
    let places: Vec<String> = calls("generate!(")
        .into_iter()
        .filter(|file| file.starts_with("guest-sdk/"))
        .collect();
    assert_eq!(
        places,
        ["guest-sdk/rust/src/bindings.rs"],
        "the SDK's only generate! is there, once"
    );
    assert!(
        text(&places[0]).contains("path: \"wit\""),
        "it reads what lies in its package"
    );
    // A link in the repository, which becomes files where the package is packed or carried.
    assert_eq!(
        std::fs::read_link(root().join("guest-sdk/rust/wit")).unwrap(),
        std::path::Path::new("../../wit"),
        "which is wit/ in place"
    );
}

#[test]
fn there_is_one_copy_of_the_contract() {
    let declares = |file: &String| {
        text(file)
            .lines()
            .any(|line| line.trim_start().starts_with("package granary:grain@"))
    };
    let copies: Vec<String> = files_with(&["wit"])
        .into_iter()
        .filter(|file| !file.starts_with("wit/") && declares(file))
        .collect();
    assert_none(
        "wit/ is the only copy of granary:grain; these are others:",
        &copies,
    );
    assert!(files().contains(&"wit/world.wit".to_owned()));
}

#[test]
fn every_item_of_the_contract_is_explained() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(root().join("wit"))
        .unwrap_or_else(|error| panic!("{error:#}"));
    let mut findings = Vec::new();
    let mut check = |docs: &Docs, name: &str| {
        if docs
            .contents
            .as_deref()
            .unwrap_or_default()
            .trim()
            .is_empty()
        {
            findings.push(name.to_owned());
        }
    };
    check(&resolve.packages[package].docs, "package granary:grain");
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        check(&interface.docs, name);
        for (item, function) in &interface.functions {
            check(&function.docs, &format!("{name}.{item}"));
        }
        for (item, id) in &interface.types {
            let is_use = matches!(
                resolve.types[*id].kind,
                wit_parser::TypeDefKind::Type(wit_parser::Type::Id(_))
            );
            if !is_use {
                check(&resolve.types[*id].docs, &format!("{name}.{item}"));
            }
        }
    }
    for (name, id) in &resolve.packages[package].worlds {
        let world = &resolve.worlds[*id];
        check(&world.docs, &format!("world {name}"));
        for item in world.imports.values().chain(world.exports.values()) {
            if let WorldItem::Function(function) = item {
                check(&function.docs, &format!("world {name}: {}", function.name));
            }
        }
    }
    assert_none("explain each item with ///:", &findings);
}
