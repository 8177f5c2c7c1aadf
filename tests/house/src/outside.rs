//! What comes from outside: licences, banned crates and duplicates, held against deny.toml without installing a tool.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::tree::{assert_none, root, toml};

/// The crates that are built on Linux, as cargo resolved them: (name, version, licence). The lock file also holds optional
/// ones that nothing asks for; `cargo tree` leaves them out.
fn packages() -> BTreeSet<(String, String, String)> {
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--prefix",
        "none",
        "--format",
        "{p};{l}",
    ];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = ["--target", "x86_64-unknown-linux-gnu"];
    let output = Command::new(cargo)
        .current_dir(root())
        .args(arguments)
        .args(target)
        .output()
        .expect("cargo tree runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).expect("cargo tree writes UTF-8");
    let package = |line: &str| {
        let (package, licence) = line.split_once(';')?;
        let (name, version) = package.split_once(" v")?;
        let version = version.split(' ').next()?;
        Some((
            name.to_owned(),
            version.to_owned(),
            licence.trim_end_matches(" (*)").to_owned(),
        ))
    };
    listing
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| package(line).expect("name, version, licence"))
        .collect()
}

/// Whether an SPDX expression can be satisfied: `OR` needs one side, `AND` both. `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let expression = expression.replace(" WITH ", "\u{a0}WITH\u{a0}");
    let words: Vec<&str> = expression
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect();
    let (answer, rest) = any_of(&words, allowed);
    answer && rest.is_empty()
}

fn any_of<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut answer, mut rest) = all_of(words, allowed);
    while let ["OR", behind @ ..] = rest {
        let (other, left) = all_of(behind, allowed);
        (answer, rest) = (answer || other, left);
    }
    (answer, rest)
}

fn all_of<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut answer, mut rest) = one(words, allowed);
    while let ["AND", behind @ ..] = rest {
        let (other, left) = one(behind, allowed);
        (answer, rest) = (answer && other, left);
    }
    (answer, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    match words {
        ["(", behind @ ..] => {
            let (answer, rest) = any_of(behind, allowed);
            (answer, rest.strip_prefix(&[")"]).unwrap_or(rest))
        }
        [licence, rest @ ..] => (allowed.contains(&licence.replace('\u{a0}', " ")), rest),
        [] => (false, words),
    }
}

fn names_under(section: &str, list: &str) -> BTreeSet<String> {
    let deny = toml("deny.toml");
    let entries = deny[section][list].as_array().expect("a list");
    let name = |entry: &toml::Value| {
        entry
            .as_str()
            .or_else(|| entry["crate"].as_str())
            .map(str::to_owned)
    };
    entries.iter().filter_map(name).collect()
}

#[test]
fn expressions_of_licences_are_read_as_they_are_meant() {
    let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
        .map(str::to_owned)
        .into();
    let good = [
        "MIT",
        "GPL-3.0/MIT",
        "GPL-3.0 OR (MIT AND ISC)",
        "Apache-2.0 WITH LLVM-exception OR X",
        "MIT AND ISC",
    ];
    let bad = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0",
        "(MIT OR X) AND GPL-3.0",
        "MIT ISC",
    ];
    assert!(good.iter().all(|text| is_allowed(text, &allowed)));
    assert!(!bad.iter().any(|text| is_allowed(text, &allowed)));
}

#[test]
fn every_licence_is_on_the_list() {
    let allowed = names_under("licenses", "allow");
    let packages = packages();
    let refused = packages
        .iter()
        .filter(|(_, _, licence)| !is_allowed(licence, &allowed));
    let refused: Vec<String> = refused
        .map(|(name, version, licence)| format!("{name} {version}: '{licence}'"))
        .collect();
    assert_none("licences that deny.toml does not allow:", &refused);
    let used = |licence: &String| {
        packages
            .iter()
            .any(|(_, _, expression)| expression.contains(licence.as_str()))
    };
    let unused: Vec<String> = allowed
        .into_iter()
        .filter(|licence| !used(licence))
        .collect();
    assert_none(
        "licences that nothing needs any more; take them off the list:",
        &unused,
    );
}

#[test]
fn banned_crates_stay_out() {
    let banned = names_under("bans", "deny");
    let found = packages()
        .into_iter()
        .filter(|(name, _, _)| banned.contains(name))
        .map(|(name, version, _)| format!("{name} {version}"));
    assert_none("deny.toml bans:", &found.collect::<Vec<_>>());
}

#[test]
fn two_versions_of_a_crate_have_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version, _) in packages() {
        versions.entry(name).or_default().insert(version);
    }
    let doubled: BTreeSet<String> = versions
        .into_iter()
        .filter(|(_, of)| 1 < of.len())
        .map(|(name, _)| name)
        .collect();
    let known = names_under("bans", "skip");
    let new: Vec<String> = doubled.difference(&known).cloned().collect();
    assert_none(
        "new duplicates; unify them, or give deny.toml's `bans.skip` the reason:",
        &new,
    );
    let gone: Vec<String> = known.difference(&doubled).cloned().collect();
    assert_none("no longer duplicated; take them off `bans.skip`:", &gone);
}
