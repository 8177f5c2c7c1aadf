//! The core decides and does nothing else: no std, no async, no clock, no socket.

use crate::tree::{assert_none, files_with, product_lines, text, toml};

/// What the core may be built from. `no_std` cannot tell a pure crate from one that brings its own clock.
const DEPENDENCIES: &[&str] = &["serde", "thiserror", "fastrand", "libm", "postcard"];

/// Words of doing, not deciding.
const DOING: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "extern crate std",
    "std::",
    "core::future",
    "Instant::now",
    "SystemTime",
    // Only a generator with a seed: these draw from the thread's.
    "fastrand::u",
    "fastrand::f",
    "fastrand::bool",
    "fastrand::shuffle",
    "fastrand::choice",
    "Rng::new()",
    "Rng::default()",
    "static mut",
    "AtomicU",
    "AtomicBool",
    "spin::",
    "println!",
];

#[test]
fn the_core_has_no_std() {
    let lib = text("host/core/src/lib.rs");
    assert!(
        lib.lines().any(|line| line == "#![no_std]"),
        "host/core/src/lib.rs must say #![no_std]"
    );
}

#[test]
fn the_core_is_built_from_nothing_that_does() {
    let manifest = toml("host/core/Cargo.toml");
    let own = manifest["dependencies"].as_table().expect("a table");
    let stray: Vec<String> = own
        .keys()
        .filter(|name| !DEPENDENCIES.contains(&name.as_str()))
        .cloned()
        .collect();
    assert_none("host/core may not depend on:", &stray);
    assert_eq!(
        own["serde"]
            .get("default-features")
            .and_then(toml::Value::as_bool),
        Some(false),
        "serde without std"
    );
}

#[test]
fn the_core_neither_waits_nor_looks_at_a_clock() {
    let mut findings = Vec::new();
    for file in files_with(&["rs"])
        .iter()
        .filter(|file| file.starts_with("host/core/src/"))
    {
        if file.ends_with("tests.rs") {
            continue;
        }
        for (at, line) in product_lines(file).iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let found = DOING.iter().filter(|word| code.contains(**word));
            findings.extend(found.map(|word| format!("{file}:{}: {word}", at + 1)));
        }
    }
    assert_none(
        "time, randomness and ids come into the core as values:",
        &findings,
    );
}

#[test]
fn the_cores_own_clippy_file_repeats_the_workspaces_thresholds() {
    let (own, root) = (toml("host/core/clippy.toml"), toml("clippy.toml"));
    let differs = root
        .iter()
        .filter(|(name, value)| own.get(*name) != Some(*value));
    let differs: Vec<String> = differs.map(|(name, _)| name.clone()).collect();
    assert_none(
        "a crate's clippy.toml replaces the workspace's; these are missing or differ:",
        &differs,
    );
}
