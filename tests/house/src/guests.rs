//! Projects with their own tools: cargo's word about the workspace does not reach them.

use std::process::{Command, Output};

use crate::tree::root;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails with everything that was printed, unless the tests passed.
fn assert_passed(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// The number behind a word, as in `Ran 20 tests` and `# pass 13`.
fn number_after(printed: &str, word: &str) -> u32 {
    let rest = printed
        .split(word)
        .nth(1)
        .unwrap_or_else(|| panic!("'{word}' is not in: {printed}"));
    let digits = rest.split_whitespace().next().unwrap_or_default();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number after '{word}' in: {printed}"))
}

/// The SDK is a library for guests and a crate of macros, and their unit tests and examples run on the host.
#[test]
fn the_sdk_passes_its_own_tests() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root().join("guest-sdk/rust"))
        .args(["test", "--workspace", "--quiet", "--locked"])
        // Its own target directory: the one of this run may be locked by whoever runs it.
        .env("CARGO_TARGET_DIR", root().join("guest-sdk/rust/target"))
        // A failed test says where without it, and a quarter of the build is this.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .expect("cargo test runs");
    assert_passed(&output);
    // A run without tests is no proof.
    let counted = text(&output.stdout)
        .matches("test result: ok. 0 passed")
        .count();
    let all = text(&output.stdout).matches("test result: ok.").count();
    assert!(counted < all, "{}", text(&output.stdout));
}

/// Whoever writes no Python may have none: then there is nothing to run it with.
#[test]
fn the_python_sdk_passes_its_own_tests() {
    let mut python = Command::new("python3");
    python
        .current_dir(root().join("guest-sdk/python"))
        .args(["-m", "unittest", "discover", "-s", "tests"])
        .env("PYTHONPATH", "src")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let Ok(output) = python.output() else {
        println!("python3 is not there");
        return;
    };
    assert_passed(&output);
    assert!(0 < number_after(&text(&output.stderr), "Ran "));
}

/// The same of Node.
#[test]
fn the_javascript_sdk_passes_its_own_tests() {
    let mut node = Command::new("node");
    node.current_dir(root().join("guest-sdk/ts")).args([
        "--import",
        "./src/testing.js",
        "--test",
        "--test-reporter=tap",
        "test/",
    ]);
    let Ok(output) = node.output() else {
        println!("node is not there");
        return;
    };
    assert_passed(&output);
    assert!(0 < number_after(&text(&output.stdout), "# pass "));
}
