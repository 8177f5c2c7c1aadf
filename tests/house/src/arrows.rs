//! Who may know whom: the table of ARCHITECTURE.md, read from the manifests.

use crate::tree::{assert_none, files, files_with, product_lines, toml};

/// A crate of ours and those of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("host/core", &[]),
    ("host/runtime", &["granary-core"]),
    ("host/store", &["granary-core"]),
    (
        "host/node",
        &[
            "granary-core",
            "granary-runtime",
            "granary-sim",
            "granary-store",
        ],
    ),
    ("tests/sim", &["granary-core"]),
];

/// Libraries with one home: (the start of a name, the folder that may name it, why).
const HOMES: &[(&str, &str, &str)] = &[
    (
        "wasmtime",
        "host/runtime",
        "an upgrade of Wasmtime touches one crate",
    ),
    (
        "cranelift",
        "host/runtime",
        "an upgrade of Wasmtime touches one crate",
    ),
    (
        "sled",
        "host/store",
        "an engine can be replaced behind the trait",
    ),
    ("axum", "host/node", "HTTP is a face of the node"),
    ("tower", "host/node", "HTTP is a face of the node"),
    (
        "clap",
        "host/node",
        "the command line is a face of the node",
    ),
];

/// Every dependency name of a manifest: normal, dev, build, and those of a target.
fn dependencies(manifest: &str) -> Vec<String> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let table = toml(manifest);
    let mut tables = vec![table.clone()];
    if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
        tables.extend(
            targets
                .values()
                .filter_map(|target| target.as_table().cloned()),
        );
    }
    let sections = tables
        .iter()
        .flat_map(|table| SECTIONS.iter().filter_map(|name| table.get(*name)));
    let names = sections
        .filter_map(toml::Value::as_table)
        .flat_map(|section| section.keys().cloned());
    names.collect()
}

fn manifests_below(folder: &str) -> Vec<String> {
    let is_ours = |file: &String| file.ends_with("/Cargo.toml") && file.starts_with(folder);
    files().into_iter().filter(is_ours).collect()
}

#[test]
fn arrows_between_our_crates_are_those_of_the_table() {
    let mut findings = Vec::new();
    for manifest in manifests_below("host/")
        .into_iter()
        .chain(manifests_below("tests/sim"))
    {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
            findings.push(format!(
                "{folder} is not in the table; a crate is added for a border, with its arrows"
            ));
            continue;
        };
        let ours = dependencies(&manifest)
            .into_iter()
            .filter(|name| name.starts_with("granary-"));
        findings.extend(
            ours.filter(|name| !allowed.contains(&name.as_str()))
                .map(|name| format!("{folder} → {name}")),
        );
    }
    assert_none("these arrows are not in the table:", &findings);
}

#[test]
fn guests_and_samples_know_nothing_of_the_host() {
    let mut findings = Vec::new();
    for manifest in manifests_below("guest-sdk/")
        .into_iter()
        .chain(manifests_below("sample-grains/"))
    {
        let host = [
            "granary-core",
            "granary-runtime",
            "granary-store",
            "granary-node",
        ];
        let named = dependencies(&manifest)
            .into_iter()
            .filter(|name| host.contains(&name.as_str()));
        findings.extend(named.map(|name| format!("{manifest} → {name}")));
    }
    assert_none(
        "a guest is built against wit/ and never against the host:",
        &findings,
    );
}

#[test]
fn libraries_with_one_home_are_named_only_there() {
    let mut findings = Vec::new();
    for manifest in manifests_below("host/") {
        for (name, home, why) in HOMES {
            let stray = dependencies(&manifest)
                .into_iter()
                .filter(|dependency| dependency.starts_with(name));
            let stray = stray.filter(|_| !manifest.starts_with(home));
            findings.extend(
                stray.map(|found| format!("{manifest} names {found}; its home is {home}: {why}")),
            );
        }
    }
    assert_none("a library with a border of its own:", &findings);
}

#[test]
fn only_the_runtime_speaks_wasmtime() {
    let mut findings = Vec::new();
    for file in files_with(&["rs"])
        .iter()
        .filter(|file| !file.starts_with("host/runtime/"))
    {
        let uses = |line: &String| line.contains("wasmtime::") || line.contains("wasmtime_wasi");
        let lines = product_lines(file);
        let found = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//") && uses(line));
        findings.extend(
            found
                .map(|(at, _)| format!("{file}:{}", at + 1))
                .filter(|_| !file.starts_with("tests/house/")),
        );
    }
    assert_none(
        "wasmtime's types stay behind the runtime's door:",
        &findings,
    );
}

#[test]
fn every_member_takes_the_workspace_lints_and_is_not_published() {
    let root = toml("Cargo.toml");
    let members = root["workspace"]["members"]
        .as_array()
        .expect("members is a list");
    let mut findings = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        let manifest = toml(&format!("{member}/Cargo.toml"));
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if lints != Some(true) {
            findings.push(format!("{member}: [lints] workspace = true is missing"));
        }
        if manifest["package"]
            .get("publish")
            .and_then(toml::Value::as_bool)
            != Some(false)
        {
            findings.push(format!("{member}: publish = false is missing"));
        }
    }
    assert_none("manifests:", &findings);
}

#[test]
fn versions_are_named_once_in_the_workspace_table() {
    let mut findings = Vec::new();
    for manifest in manifests_below("host/")
        .into_iter()
        .chain(manifests_below("bench/"))
        .chain(manifests_below("tests/sim"))
    {
        let table = toml(&manifest);
        let Some(own) = table.get("dependencies").and_then(toml::Value::as_table) else {
            continue;
        };
        let with_version = |value: &toml::Value| value.is_str() || value.get("version").is_some();
        let stray = own
            .iter()
            .filter(|(_, value)| with_version(value))
            .map(|(name, _)| name);
        // serde is taken without std there, which a workspace dependency cannot say.
        let stray = stray.filter(|name| !(manifest == "host/core/Cargo.toml" && *name == "serde"));
        findings.extend(stray.map(|name| format!("{manifest}: {name}")));
    }
    assert_none(
        "dependencies take their version from the workspace:",
        &findings,
    );
}
