//! A node for one test, and the guests that run on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use granary_core::error::{CallError, Failure};
use granary_core::id::{Digest, GrainId, KindName};
use granary_core::kind::{KindSpec, MethodSpec, Mode};
use serde_json::Value;
use sha2::Digest as _;

use crate::grains::{Answer, AnswerBody, Call};
use crate::kinds::Deployed;
use crate::node::{Node, NodeSettings};

/// Guests that import clients of other kinds: `granary build` makes those first, and these tests have no use for them.
const WITH_CLIENTS: [&str; 4] = ["async-caller", "chain-first", "tally", "typed-caller"];

/// The guests are built once a run, as their own projects, for the target that uploaders use.
static BUILT: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    ["sample-grains", "tests/guests"].map(|folder| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder);
        let mut build = Command::new(env!("CARGO"));
        build
            .args([
                "build",
                "--quiet",
                "--release",
                "--target",
                "wasm32-wasip2",
                "--workspace",
            ])
            .args(WITH_CLIENTS.iter().flat_map(|name| ["--exclude", name]))
            .current_dir(&folder);
        build.env_remove("CARGO_TARGET_DIR");
        assert!(
            build.status().unwrap().success(),
            "the guests in {} do not build",
            folder.display()
        );
        folder.join("target/wasm32-wasip2/release")
    })
});

fn component(guest: &str) -> Vec<u8> {
    let file = format!("{}.wasm", guest.replace('-', "_"));
    let found = BUILT
        .iter()
        .map(|folder| folder.join(&file))
        .find(|path| path.exists());
    std::fs::read(found.unwrap_or_else(|| panic!("there is no guest {guest}"))).unwrap()
}

pub(super) fn grain(text: &str) -> GrainId {
    GrainId::parse(text).unwrap()
}

/// A kind's settings with some read methods.
pub(super) fn spec(kind: &str, reads: &[&str]) -> KindSpec {
    let read = MethodSpec {
        mode: Mode::Read,
        ..MethodSpec::default()
    };
    let methods = reads
        .iter()
        .map(|name| ((*name).to_owned(), read.clone()))
        .collect();
    KindSpec {
        methods,
        ..KindSpec::bare(KindName::parse(kind).unwrap())
    }
}

pub(super) async fn node() -> Arc<Node> {
    with_slots(64).await
}

pub(super) async fn with_slots(slots: u32) -> Arc<Node> {
    Node::start(NodeSettings {
        slots: Some(slots),
        ..NodeSettings::in_memory("test")
    })
    .await
    .unwrap()
}

/// A node with one kind, named as its guest.
pub(super) async fn with(guest: &str, reads: &[&str]) -> Arc<Node> {
    let node = node().await;
    deploy(&node, guest, spec(guest, reads)).await;
    node
}

pub(super) async fn deploy(node: &Node, guest: &str, spec: KindSpec) -> Deployed {
    let bytes = component(guest);
    let digest = Digest(sha2::Sha256::digest(&bytes).into());
    node.store.put_artifact(digest, bytes).await.unwrap();
    node.kinds.deploy(spec, digest, true).await.unwrap()
}

pub(super) async fn call(
    node: &Node,
    to: &str,
    method: &str,
    json: &str,
) -> Result<Answer, Failure> {
    node.grains.call(Call::new(grain(to), method, json)).await
}

/// The result of a call that must succeed.
pub(super) async fn ask(node: &Node, to: &str, method: &str, json: &str) -> Value {
    value(&call(node, to, method, json).await.unwrap())
}

pub(super) fn value(answer: &Answer) -> Value {
    match &answer.body {
        AnswerBody::Json(json) => serde_json::from_slice(json).unwrap(),
        AnswerBody::Unit => Value::Null,
        AnswerBody::Cbor(_) | AnswerBody::Raw(_) | AnswerBody::Typed(_) => panic!("not JSON"),
    }
}

pub(super) fn error(result: Result<Answer, Failure>) -> CallError {
    result.map(|answer| value(&answer)).unwrap_err().error
}

/// Begins a call and does not wait for it.
pub(super) fn begin(
    node: &Arc<Node>,
    call: Call,
) -> tokio::task::JoinHandle<Result<Answer, Failure>> {
    let node = Arc::clone(node);
    tokio::spawn(async move { node.grains.call(call).await })
}

/// Waits for a state, at most ten seconds.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reached().await {
        assert!(Instant::now() < deadline, "{what} does not come about");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until a grain runs a turn of a method.
pub(super) async fn until_running(node: &Node, to: &str, method: &str) {
    let to = grain(to);
    until(method, || async {
        node.grains
            .explain(&to)
            .await
            .turns
            .iter()
            .any(|turn| turn.method == method)
    })
    .await;
}

/// Waits until so many calls wait at a grain.
pub(super) async fn until_waiting(node: &Node, to: &str, calls: usize) {
    let to = grain(to);
    until("a queue", || async {
        node.grains.explain(&to).await.mailbox.len() == calls
    })
    .await;
}
