//! What no tracked file may say: a machine's paths, a registry's address; and what no test may do: sleep, or be switched off.

use crate::tree::{assert_none, files, files_with, text, toml};

/// Files written by tools, which name where they got things from.
fn is_lock(file: &str) -> bool {
    file.ends_with(".lock") || file.ends_with("package-lock.json")
}

/// The places of one machine, and registries. In two halves, so that this file passes its own rule.
fn places() -> Vec<String> {
    let halves: [(&str, &str); 12] = [
        ("/ro", "ot/"),
        ("/wo", "rk/"),
        ("/fa", "rm/"),
        ("/ho", "me/"),
        ("static.rust", "-lang"),
        ("crates", ".io"),
        ("deb.", "debian"),
        ("registry.", "npmjs"),
        ("pypi", ".org"),
        ("proxy.", "golang"),
        ("file:/", "//"),
        ("index.cr", "ates"),
    ];
    halves.iter().map(|(a, b)| format!("{a}{b}")).collect()
}

/// Whether a line names a place: one that starts with `/` counts only where a path begins.
fn names(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !place.starts_with('/')
            || !before.is_some_and(|c| c.is_alphanumeric() || "._-}$)".contains(c))
    })
}

#[test]
fn no_tracked_file_names_a_machine_or_a_registry() {
    let places = places();
    let mut findings = Vec::new();
    for file in files().iter().filter(|file| !is_lock(file)) {
        for (at, line) in text(file).lines().enumerate() {
            let found = places.iter().filter(|place| names(line, place));
            findings.extend(found.map(|place| format!("{file}:{}: {place}", at + 1)));
            let temporary = concat!("/t", "mp/");
            let named = line
                .split(temporary)
                .skip(1)
                .any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
            if named && names(line, temporary) {
                findings.push(format!("{file}:{}: {temporary}", at + 1));
            }
        }
    }
    assert_none("a clone must work on every machine:", &findings);
}

#[test]
fn no_test_sleeps_or_is_switched_off() {
    let banned = [
        concat!("thread::sl", "eep("),
        concat!("time::sl", "eep("),
        concat!("#[ign", "ore"),
    ];
    let mut findings = Vec::new();
    for file in files_with(&["rs"]) {
        let text = text(&file);
        let first_test = if file.starts_with("tests/") && !file.starts_with("tests/guests/")
            || file.ends_with("tests.rs")
        {
            0
        } else {
            text.lines()
                .position(|line| line.trim() == "#[cfg(test)]")
                .unwrap_or(usize::MAX)
        };
        for (at, line) in text.lines().enumerate().skip(first_test) {
            let found = banned.iter().filter(|word| line.contains(**word));
            findings.extend(found.map(|word| format!("{file}:{}: {word}", at + 1)));
        }
    }
    assert_none(
        "a test waits for a state with a bound, and it runs:",
        &findings,
    );
}

#[test]
fn what_cargo_is_told_to_pass_by_has_no_tests() {
    let mut findings = Vec::new();
    for manifest in files().iter().filter(|it| it.ends_with("/Cargo.toml")) {
        let settings = toml(manifest);
        let folder = manifest.trim_end_matches("Cargo.toml");
        let is_off =
            |target: &toml::Value, key| target.get(key) == Some(&toml::Value::Boolean(false));
        let bins = settings.get("bin").and_then(toml::Value::as_array);
        let sources = files_with(&["rs"]);
        let sources = sources
            .iter()
            .filter(|file| file.starts_with(&format!("{folder}src/")));
        let is_lib_off = settings
            .get("lib")
            .is_some_and(|lib| is_off(lib, "doctest"));
        let is_bin_off = bins.into_iter().flatten().any(|bin| is_off(bin, "test"));
        // Beside a library, the program is its one file.
        let has_lib = files().contains(&format!("{folder}src/lib.rs"));
        for file in sources {
            let is_of_bin = is_bin_off && (!has_lib || file.ends_with("src/main.rs"));
            let mut is_open = false;
            for (at, line) in text(file).lines().enumerate() {
                let line = line.trim();
                if is_of_bin && line.starts_with("#[") && line.ends_with("test]") {
                    findings.push(format!("{file}:{}: a test", at + 1));
                }
                let doc = line
                    .strip_prefix("///")
                    .or_else(|| line.strip_prefix("//!"));
                let Some(word) = doc.and_then(|doc| doc.trim().strip_prefix("```")) else {
                    continue;
                };
                is_open = !is_open;
                if is_lib_off && is_open && word != "text" {
                    findings.push(format!("{file}:{}: an example", at + 1));
                }
            }
        }
    }
    assert_none("a test runs:", &findings);
}

#[test]
fn nothing_unfinished_is_tracked() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("unimplem", "ented!("),
        concat!("to", "do!("),
    ];
    let mut findings = Vec::new();
    for file in files_with(&["rs", "toml", "wit", "md"]) {
        for (at, line) in text(&file).lines().enumerate() {
            let found = words.iter().filter(|word| line.contains(**word));
            findings.extend(found.map(|word| format!("{file}:{}: {word}", at + 1)));
        }
    }
    assert_none("a thing is done, or it is an issue:", &findings);
}
