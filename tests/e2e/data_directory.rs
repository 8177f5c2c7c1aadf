//! The data directory: one node at a time, formats, and a disk that is full.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::harness::{Node, NodeBuilder, until};

#[tokio::test]
async fn a_second_node_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let first = Node::serving(&["counter"]).await;
    first
        .client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    let mut second = NodeBuilder::default().data(first.data()).prepare();
    let (code, said) = second.start_in_vain().await;
    assert_ne!(code, 0);
    for word in ["in use", first.data().to_str().unwrap(), "try:"] {
        assert!(said.contains(word), "'{word}' is missing: {said}");
    }
    assert!(
        said.contains(&first.process_id().to_string()),
        "who holds it is named: {said}"
    );
    assert_eq!(
        first
            .client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        2
    );
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_touched() {
    let mut node = Node::serving(&["counter"]).await;
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    assert_eq!(node.stop().await, 0);
    let file = files_ending(node.data(), "FORMAT")
        .pop()
        .expect("the format is written down");
    let format = std::fs::read_to_string(&file).unwrap();
    let newer = format.replace(|c: char| c.is_ascii_digit(), "9");
    assert_ne!(newer, format);
    std::fs::write(&file, &newer).unwrap();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("format") && said.contains("newer"), "{said}");
    std::fs::write(&file, &format).unwrap();
    node.start_again().await;
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), 1);
}

#[tokio::test]
async fn something_else_in_its_place_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "mine").unwrap();
    let mut node = NodeBuilder::default().data(&file).prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("a-file") && said.contains("try:"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    // A folder that holds something that no store has written.
    let other = folder.path().join("photos");
    std::fs::create_dir_all(other.join("store")).unwrap();
    std::fs::write(other.join("store").join("holiday.jpg"), "mine too").unwrap();
    let mut node = NodeBuilder::default().data(&other).prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(
        said.contains("photos") && said.contains("holiday.jpg"),
        "{said}"
    );
    let photo = std::fs::read_to_string(other.join("store").join("holiday.jpg"));
    assert_eq!(photo.unwrap(), "mine too");
}

#[tokio::test]
async fn a_directory_that_may_not_be_read_is_named() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read every directory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("locked");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut node = NodeBuilder::default().data(&data).prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("locked"), "{said}");
}

/// Every file below a folder whose name ends so.
fn files_ending(folder: &std::path::Path, end: &str) -> Vec<std::path::PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.to_str().unwrap().ends_with(end) {
                found.push(entry);
            }
        }
    }
    found
}

#[tokio::test]
async fn compiled_code_that_somebody_has_changed_is_compiled_again_and_never_run() {
    let mut node = Node::serving(&["counter"]).await;
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    assert_eq!(node.stop().await, 0);
    let compiled = files_ending(node.folder(), ".cwasm");
    assert!(!compiled.is_empty(), "the cache is below the node's folder");
    let before = std::fs::read(&compiled[0]).unwrap();
    for file in &compiled {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(file, bytes).unwrap();
    }
    node.start_again().await;
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        2
    );
    assert_eq!(node.stop().await, 0);
    assert_eq!(
        std::fs::read(&compiled[0]).unwrap(),
        before,
        "it was replaced by what the component compiles to"
    );
    for file in &compiled {
        std::fs::write(file, b"short").unwrap();
    }
    node.start_again().await;
    assert_eq!(
        node.client()
            .call("counter/a", "increment", json!([1]))
            .await
            .ok(),
        3
    );
}

/// A small file system of its own; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small disk needs root and mount(8)");
        }
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_turns_loses_nothing_and_recovers() {
    let Some(disk) = SmallDisk::mount("96m") else {
        return;
    };
    let mut node = NodeBuilder::default()
        .data(&disk.0.path().join("data"))
        .start()
        .await;
    node.deploy("counter").await.ok();
    node.deploy("runaway").await.ok();
    node.client()
        .call("counter/a", "increment", json!([1]))
        .await
        .ok();
    // Somebody else fills the disk.
    let ballast = disk.0.path().join("ballast");
    let mut bytes = Vec::new();
    until("a full disk", || {
        bytes.resize(bytes.len() + (8 << 20), 0_u8);
        let full = std::fs::write(&ballast, &bytes).is_err();
        std::future::ready(full.then_some(()))
    })
    .await;
    let mut counted = 1;
    let refused = until("a refused turn", || async {
        let flood = node
            .client()
            .call("runaway/a", "write-value", json!([500_000]))
            .await;
        (flood.status == 503).then_some(flood)
    })
    .await;
    let problem = refused.problem(503);
    problem.is("unavailable", &["space"]);
    assert_eq!(
        (problem.outcome(), problem.retryable()),
        ("not-started", true)
    );
    // Small turns may still fit; whatever is acknowledged counts.
    for _ in 0..5 {
        let reply = node
            .client()
            .call("counter/a", "increment", json!([1]))
            .await;
        counted += u64::from(reply.status == 200);
        assert!(reply.status == 200 || reply.status == 503, "{reply}");
    }
    assert_eq!(
        node.client().get("/healthz").await.status,
        200,
        "the process is well"
    );
    std::fs::remove_file(&ballast).unwrap();
    until("recovery", || async {
        let ready = node.client().get("/readyz").await.status == 200;
        let reply = node
            .client()
            .call("runaway/b", "write-value", json!([500_000]))
            .await;
        (ready && reply.status < 300).then_some(())
    })
    .await;
    node.crash_and_start_again().await;
    assert_eq!(node.client().get("/g/counter/a/get").await.ok(), counted);
}
