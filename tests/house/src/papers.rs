//! The papers that lead a newcomer: README, ARCHITECTURE, licences.

use crate::tree::{assert_none, files, text, toml};

/// The most lines of the map.
const ARCHITECTURE_LINES_MAX: usize = 250;

/// The lines inside fenced blocks of a Markdown text, without blank ones and comments.
fn commands(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside && !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            found.push(line.trim().to_owned());
        }
    }
    found
}

#[test]
fn the_readme_has_exactly_two_commands_before_the_tour() {
    let readme = text("README.md");
    let tour = readme
        .lines()
        .position(|line| line.starts_with('#') && line.to_lowercase().contains("tour"));
    let tour = tour.expect("README.md has a heading with the word 'tour'");
    let before: Vec<&str> = readme.lines().take(tour).collect();
    let commands = commands(&before.join("\n"));
    assert_eq!(
        commands.len(),
        2,
        "one runs the main job, one passes the tests: {commands:?}"
    );
    assert!(
        commands[0].starts_with("cargo run --release"),
        "{}",
        commands[0]
    );
    assert_eq!(commands[1], "cargo test --release --workspace");
}

#[test]
fn continuous_integration_runs_the_readmes_test_command() {
    let script = text(".ci/run");
    assert!(
        script
            .lines()
            .any(|line| line.trim() == "cargo test --release --workspace"),
        ".ci/run runs exactly that"
    );
}

#[test]
fn the_map_is_short_and_names_every_crate() {
    let map = text("ARCHITECTURE.md");
    let lines = map.lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "ARCHITECTURE.md has {lines} lines"
    );
    let root = toml("Cargo.toml");
    let members = root["workspace"]["members"]
        .as_array()
        .expect("members is a list");
    let name = |member: &str| {
        toml(&format!("{member}/Cargo.toml"))["package"]["name"]
            .as_str()
            .map(str::to_owned)
    };
    let names = members
        .iter()
        .filter_map(toml::Value::as_str)
        .filter_map(name);
    let missing: Vec<String> = names.filter(|name| !map.contains(name.as_str())).collect();
    assert_none("ARCHITECTURE.md does not mention:", &missing);
}

#[test]
fn both_licences_are_there_and_every_crate_names_them() {
    assert!(text("LICENSE-APACHE").contains("Apache License"));
    assert!(text("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert_eq!(
        toml("Cargo.toml")["workspace"]["package"]["license"].as_str(),
        Some("Apache-2.0 OR MIT")
    );
    let mut findings = Vec::new();
    for manifest in files().iter().filter(|file| file.ends_with("/Cargo.toml")) {
        let table = toml(manifest);
        let Some(package) = table.get("package") else {
            continue;
        };
        let licence = package.get("license");
        let inherits = licence
            .and_then(|licence| licence.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true);
        let private = package.get("publish").and_then(toml::Value::as_bool) == Some(false);
        if !inherits
            && licence.and_then(toml::Value::as_str) != Some("Apache-2.0 OR MIT")
            && !private
        {
            findings.push(manifest.clone());
        }
    }
    assert_none("license = \"Apache-2.0 OR MIT\" is missing in:", &findings);
}

/// Each is handed out alone. Copies, because packers of npm and Go leave links out.
#[test]
fn every_sdk_has_both_licences_and_a_readme() {
    for package in ["c", "go", "python", "rust", "rust/macros", "ts"] {
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let own = text(&format!("guest-sdk/{package}/{licence}"));
            assert!(own == text(licence), "{package}: {licence} is another one");
        }
        let readme = text(&format!("guest-sdk/{package}/README.md"));
        assert!(
            readme.starts_with("# ") && readme.contains("granary"),
            "{package}"
        );
    }
}

#[test]
fn no_room_is_empty() {
    let root = toml("Cargo.toml");
    let members = root["workspace"]["members"]
        .as_array()
        .expect("members is a list");
    let mut findings = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        let sources = files()
            .into_iter()
            .filter(|file| file.starts_with(&format!("{member}/")) && file.ends_with(".rs"));
        let lines: usize = sources.map(|file| text(&file).lines().count()).sum();
        if lines < 20 {
            findings.push(format!("{member}: {lines} lines"));
        }
    }
    assert_none(
        "a folder is added when there is something to put into it:",
        &findings,
    );
}

#[test]
fn fuzz_targets_have_their_property_on_the_stable_toolchain_too() {
    let manifest = toml("fuzz/Cargo.toml");
    let targets = manifest["bin"]
        .as_array()
        .expect("fuzz/Cargo.toml lists its targets");
    let ours: Vec<String> = files()
        .into_iter()
        .filter(|file| file.starts_with("host/") && file.ends_with(".rs"))
        .collect();
    let properties = ours
        .iter()
        .filter(|file| text(file).contains("proptest!"))
        .count();
    assert!(
        targets.len() <= properties,
        "{} fuzz targets, but only {properties} files with proptest!",
        targets.len()
    );
}
