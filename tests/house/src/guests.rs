//! Projects with a lock file of their own: cargo's word about the workspace does not reach them.

use std::process::Command;

use crate::tree::root;

/// The SDK is a library for guests and a crate of macros, and their unit tests and examples run on the host.
#[test]
fn the_sdk_passes_its_own_tests() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root().join("guest-sdk/rust"))
        .args(["test", "--workspace", "--quiet", "--locked"])
        // Its own target directory: the one of this run may be locked by whoever runs it.
        .env("CARGO_TARGET_DIR", root().join("guest-sdk/rust/target"))
        .output()
        .expect("cargo test runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    // A run without tests is no proof.
    let counted = text(&output.stdout)
        .matches("test result: ok. 0 passed")
        .count();
    let all = text(&output.stdout).matches("test result: ok.").count();
    assert!(counted < all, "{}", text(&output.stdout));
}
