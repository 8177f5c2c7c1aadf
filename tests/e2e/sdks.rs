//! The SDKs of C, Zig and Go pass their own tests, with the tool chains and the bindings that the product makes. (Those of Rust, Python and
//! TypeScript need neither: the house runs them.) So do the samples.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Cli, guests, repository};

/// Runs a tool in the folder of an SDK or a sample, and gives what it printed if it went well.
fn run(folder: &str, command: &mut Command) -> String {
    let tool = command.get_program().to_owned();
    let output = command
        .current_dir(repository().join(folder))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", tool.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", tool.display());
    out + &err
}

/// A program that came as a wheel.
fn wheel(program: &str) -> PathBuf {
    let libraries = guests::toolchains().join("python/lib");
    let mut versions = std::fs::read_dir(libraries).unwrap().flatten();
    versions
        .find_map(|entry| {
            let file = entry.path().join("site-packages").join(program);
            file.is_file().then_some(file)
        })
        .unwrap_or_else(|| panic!("{program} is not installed"))
}

/// `make` in the SDK of C, with the bindings of the sample and a folder for what it makes.
fn make(target: &str, out: &Path) -> Command {
    drop(guests::component("counter-c"));
    let bindings = repository().join("sample-grains/target/granary/counter-c/c");
    let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
    let mut make = Command::new("make");
    make.arg(target)
        .arg(setting("BINDINGS", &bindings))
        .arg(setting("OUT", out));
    make
}

/// Whoever writes no C may have no `make`: then there is nothing to run it with.
fn has_make() -> bool {
    let mut make = Command::new("make");
    let is_there = make.arg("--version").output().is_ok();
    if !is_there {
        eprintln!("make is not there");
    }
    is_there
}

#[test]
fn the_sdk_of_c_passes_its_own_tests() {
    if !has_make() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let said = run("guest-sdk/c", &mut make("test", out.path()));
    assert!(
        said.contains(" tests, ") && said.contains(" 0 failed"),
        "{said}"
    );
}

#[test]
fn the_sdk_of_zig_passes_its_own_tests() {
    if !has_make() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let mut make = make("test-zig", out.path());
    make.arg(format!("ZIG={}", wheel("ziglang/zig").display()))
        .env(
            "ZIG_GLOBAL_CACHE_DIR",
            guests::toolchains().join("cache/zig"),
        );
    let said = run("guest-sdk/c", &mut make);
    assert!(said.contains("tests passed"), "{said}");
}

fn go_test() -> Command {
    let cache = guests::toolchains().join("cache");
    let mut go = Command::new(wheel("go/bin/go"));
    // The runtime of the bindings hooks into that of Go.
    go.args(["test", "-ldflags=-checklinkname=0", "./..."])
        .env("GOCACHE", cache.join("go"))
        .env("GOPATH", cache.join("gopath"))
        .envs(["GOPROXY", "GOWORK"].map(|name| (name, OsStr::new("off"))))
        .env("GOTOOLCHAIN", "local");
    go
}

#[test]
fn the_sdk_of_go_passes_its_own_tests() {
    let said = run("guest-sdk/go", &mut go_test());
    let passed = said.lines().filter(|line| line.starts_with("ok "));
    assert!(2 < passed.count(), "{said}");
}

#[tokio::test]
async fn the_tests_of_every_sample_pass() {
    // Builds them.
    drop(guests::component("counter"));
    let samples = repository().join("sample-grains");
    let said = Cli::run(&repository(), None, &["test", "sample-grains"])
        .await
        .ok();
    let mut held = 0;
    for sample in std::fs::read_dir(&samples).unwrap() {
        let sample = sample.unwrap();
        if sample.path().join("tests").is_dir() {
            let name = sample.file_name().into_string().unwrap();
            assert!(said.contains(&format!("{name}/tests/")), "{name}: {said}");
            held += 1;
        }
    }
    assert!(7 < held, "{held} samples have tests");
    assert!(said.contains(", 0 failed"), "{said}");
    // Those in the language itself want what a build leaves in the sample's own folder.
    for sample in ["counter-go", "inventory"] {
        let folder = samples.join(sample);
        Cli::run(&folder, None, &["build"]).await.ok();
        let said = run(&format!("sample-grains/{sample}"), &mut go_test());
        assert!(said.contains("ok "), "{said}");
    }
}
