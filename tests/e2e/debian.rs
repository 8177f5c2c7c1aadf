//! The tool chains of Debian's own packages, where there is neither rustup nor Zig: found, named, and what they build runs.
//!
//! On a machine without those packages there is nothing to look at, and the tests say so.

use std::path::Path;

use serde_json::json;

use crate::harness::{Cli, Node, repository};

/// The path of a machine on which nobody has put anything beside Debian's packages.
const PATH: &str = "/usr/bin:/bin";

const RUST: (&str, [&str; 5]) = (
    "rustc-web cargo-web rust-web-src lld-22 wasi-libc",
    [
        "/usr/bin/rustc",
        "/usr/bin/cargo",
        "/usr/bin/wasm-ld-22",
        "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
        "/usr/lib/wasm32-wasi/libc.a",
    ],
);

const C: (&str, [&str; 4]) = (
    "clang-22 libclang-rt-22-dev-wasm32 lld-22 wasi-libc",
    [
        "/usr/bin/clang-22",
        "/usr/bin/wasm-ld-22",
        "/usr/lib/llvm-22/lib/clang/22/lib/wasi",
        "/usr/lib/wasm32-wasi/libc.a",
    ],
);

/// Whether the packages are there.
fn are_there(test: &str, packages: &str, files: &[&str]) -> bool {
    let missing = files.iter().find(|file| !Path::new(file).exists());
    if let Some(file) = missing {
        eprintln!(
            "{test} is left out, there is no {file}: apt-get install -y --no-install-recommends {packages}"
        );
    }
    missing.is_none()
}

/// Makes a project in a language, and sees that what is built of it runs.
async fn from_nothing_to_an_answer(language: &str, variables: &[(&str, &Path)]) {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start().await;
    Cli::run(folder.path(), None, &["new", "errands", "--lang", language])
        .await
        .ok();
    let project = folder.path().join("errands");
    let deployed = Cli::run_with(&project, Some(&node), &["deploy"], variables).await;
    deployed.ok();
    for (item, count) in [("milk", 1), ("bread", 2)] {
        let added = node.client().call("errands/mine", "add", json!([item]));
        assert_eq!(added.await.ok(), count);
    }
    let refused = node.client().call("errands/mine", "add", json!([""]));
    refused.await.problem(400);
    let items = node.client().call("errands/mine", "items", json!([]));
    assert_eq!(items.await.ok(), json!(["milk", "bread"]));
}

#[tokio::test]
async fn rust_is_built_with_debians_packages_where_there_is_no_rustup() {
    if !are_there("Rust of Debian", RUST.0, &RUST.1) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Its standard library is built along: once a checkout.
    let target = repository().join("target").join("debian");
    let variables = [("PATH", Path::new(PATH)), ("CARGO_TARGET_DIR", &target)];
    let granary =
        async |arguments: &[&str]| Cli::run_with(folder.path(), None, arguments, &variables).await;
    let found = granary(&["toolchain", "list"]).await.ok();
    assert!(
        found.contains("rustc of Debian, linked with /usr/bin/wasm-ld-"),
        "{found}"
    );
    let installed = granary(&["toolchain", "install", "rust"]).await.ok();
    assert!(!installed.contains("wasm32-wasip2"), "{installed}");
    from_nothing_to_an_answer("rust", &variables).await;
}

#[tokio::test]
async fn the_route_of_rust_is_the_one_that_is_wished() {
    let folder = tempfile::tempdir().unwrap();
    let list = async |wish: &str| {
        let variables = [("GRANARY_GUEST_TOOLCHAIN", Path::new(wish))];
        Cli::run_with(folder.path(), None, &["toolchain", "list"], &variables).await
    };
    let unknown = list("nix").await;
    assert!(
        unknown.out.contains("GRANARY_GUEST_TOOLCHAIN is 'nix'"),
        "{}{}",
        unknown.out,
        unknown.err
    );
    let rustup = list("rustup").await.ok();
    assert!(
        rustup.contains("rustc with the target wasm32-wasip2"),
        "{rustup}"
    );
    if are_there("Rust of Debian, wished", RUST.0, &RUST.1) {
        let debian = list("debian").await.ok();
        assert!(debian.contains("rustc of Debian"), "{debian}");
    }
}

#[tokio::test]
async fn c_is_built_with_debians_clang_where_there_is_no_zig() {
    if !are_there("C of Debian", C.0, &C.1) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("PATH", Path::new(PATH)),
        ("GRANARY_TOOLCHAINS", folder.path()),
    ];
    let found = Cli::run_with(folder.path(), None, &["toolchain", "list"], &variables).await;
    let found = found.ok();
    assert!(found.contains("/usr/bin/clang-22"), "{found}");
    from_nothing_to_an_answer("c", &variables).await;
}
