//! The sample grains and the guests that only a test could love, built from source once a run, and the tool chains that build them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use super::node::PROGRAM;
use super::repository;

/// The guests that only a test could love. Those without a manifest are none: they show what must be refused.
const TEST_GUESTS: &str = "tests/guests";

/// Says where the tool chains lie.
pub(crate) const TOOLCHAINS: &str = "GRANARY_TOOLCHAINS";

/// Where the tool chains of all languages are installed for tests: once a checkout, not into the developer's own folder.
pub(crate) fn toolchains_folder() -> PathBuf {
    repository().join("target").join("toolchains")
}

/// Where Rust is built that has the settings of the sample grains, as every new project has: what they depend on is built once a checkout. Cargo
/// keeps a component there by the name of its package alone, so each has a name of its own.
pub(crate) fn cargo_target() -> PathBuf {
    repository().join("sample-grains").join("target")
}

/// What builds guests of every language, installed by the program under test. What is there at its pinned version stays.
static TOOLCHAINS_INSTALLED: LazyLock<()> = LazyLock::new(|| {
    let languages = ["c", "zig", "go", "python", "js", "ts"];
    let output = Command::new(PROGRAM)
        .args(["toolchain", "install"])
        .args(languages)
        .env(TOOLCHAINS, toolchains_folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "no tool chains:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
});

/// Makes sure that guests of every language can be built, and says where their tool chains lie.
pub(crate) fn toolchains() -> PathBuf {
    *TOOLCHAINS_INSTALLED;
    toolchains_folder()
}

/// Whether a project, or one right below it, is written in another language than Rust.
fn needs_toolchains(project: &Path) -> bool {
    let below = std::fs::read_dir(project).into_iter().flatten().flatten();
    let folders = below
        .map(|entry| entry.path())
        .chain([project.to_path_buf()]);
    let texts =
        folders.filter_map(|folder| std::fs::read_to_string(folder.join("granary.toml")).ok());
    let mut lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.any(|line| line.starts_with("language = ") && !line.contains("rust"))
}

/// One of them in every language: `torture-go` lies in `go`.
const TORTURE: &str = "tests/guests/torture";

/// Four kinds that call each other by their types, each in another language: `chain-first` lies in `first`.
const CHAIN: &str = "tests/guests/chain";

/// Builds every guest, with the program under test.
static BUILT: LazyLock<()> = LazyLock::new(|| {
    std::thread::scope(|scope| {
        // Beside each other: the tools of most languages use one processor.
        let lanes = [
            scope.spawn(|| build("sample-grains")),
            scope.spawn(|| [TORTURE, CHAIN].into_iter().for_each(build)),
            scope.spawn(build_guests),
        ];
        for lane in lanes {
            lane.join().unwrap();
        }
    });
});

/// Builds those that are a project each, one by one: three of them are revisions of the same kind.
fn build_guests() {
    let mut guests: Vec<_> = std::fs::read_dir(repository().join(TEST_GUESTS))
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    guests.retain(|entry| entry.path().join("granary.toml").exists());
    guests.retain(|entry| !entry.file_name().to_string_lossy().starts_with(FOREIGN));
    guests.iter().for_each(|entry| {
        build(&format!(
            "{TEST_GUESTS}/{}",
            entry.file_name().to_str().unwrap()
        ))
    });
}

fn build(project: &str) {
    let mut command = Command::new(PROGRAM);
    command
        .args(["build", project])
        .current_dir(repository())
        .stdin(Stdio::null());
    command.env(TOOLCHAINS, toolchains_folder());
    if needs_toolchains(&repository().join(project)) {
        toolchains();
    }
    // Their dependencies build once.
    let target = if project.starts_with(TEST_GUESTS) {
        repository().join(TEST_GUESTS).join("target")
    } else {
        cargo_target()
    };
    command.env("CARGO_TARGET_DIR", target);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{project} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the names of components begin with that tools of other hosts build.
const FOREIGN: &str = "foreign-";

/// JavaScript's older tool, which knows `wasi:http`: nothing that a grain needs, so `granary toolchain` does not have it.
const COMPONENTIZE_JS: &str = "@bytecodealliance/componentize-js@0.23.0";

/// Builds those, with the tools of their own world on the path.
static FOREIGN_BUILT: LazyLock<()> = LazyLock::new(|| {
    let tools = toolchains();
    let prefix = tools.join("foreign");
    let programs = prefix.join("node_modules/.bin");
    if !programs.join("componentize-js").exists() {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ]);
        let output = npm.arg(&prefix).arg(COMPONENTIZE_JS).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no {COMPONENTIZE_JS}:\n{said}");
    }
    let mut path = vec![programs, tools.join("python/bin")];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    for name in ["foreign-js", "foreign-python"] {
        let mut command = Command::new(PROGRAM);
        command
            .args(["build", &format!("{TEST_GUESTS}/{name}")])
            .current_dir(repository())
            .env("PATH", std::env::join_paths(&path).unwrap())
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} does not build:\n{said}");
    }
});

/// Where a guest's source lies, and where its component is left.
fn places(name: &str) -> (PathBuf, PathBuf) {
    let sample = repository().join("sample-grains").join(name);
    let test = repository().join(TEST_GUESTS).join(name);
    let (source, project) = if let Some(language) = name.strip_prefix("torture-") {
        let torture = repository().join(TORTURE);
        (torture.join(language), torture)
    } else if let Some(stop) = name.strip_prefix("chain-") {
        let chain = repository().join(CHAIN);
        (chain.join(stop), chain)
    } else if sample.exists() {
        (sample, repository().join("sample-grains"))
    } else {
        (test.clone(), test)
    };
    (source, project.join("target").join("granary"))
}

/// A guest's kind and its section of `granary.toml`.
fn section(name: &str) -> (String, toml::Value) {
    let text = std::fs::read_to_string(places(name).0.join("granary.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let kinds = table["kinds"].as_table().unwrap();
    let (kind, section) = kinds.iter().next().unwrap();
    (kind.clone(), section.clone())
}

/// A guest's component.
pub(crate) fn component(name: &str) -> Vec<u8> {
    if name.starts_with(FOREIGN) {
        *FOREIGN_BUILT;
    } else {
        *BUILT;
    }
    let file = places(name).1.join(format!("{}.wasm", section(name).0));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A guest's section as a deployment sends it: without what concerns only the build.
pub(crate) fn manifest(name: &str) -> Value {
    let mut section = serde_json::to_value(section(name).1).unwrap();
    let members = section.as_object_mut().unwrap();
    for key in ["build", "component", "command", "language"] {
        members.remove(key);
    }
    section
}
