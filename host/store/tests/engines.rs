//! Every engine against the conformance suite.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on ends in a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use granary_core::id::{Epoch, GrainId, Revision};
use granary_store::conformance::{self, Rig};
use granary_store::embedded::Settings;
use granary_store::{Commit, Embedded, Memory, Space, Store, StoreError};

struct InMemory(Arc<AtomicU64>);

impl Rig for InMemory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(Memory::with_space(Space::stated(
            "memory".as_ref(),
            Arc::clone(&self.0),
        )))
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn set_free_bytes(&self, bytes: u64) {
        self.0.store(bytes, Ordering::SeqCst);
    }
}

struct InDirectory(tempfile::TempDir, Arc<AtomicU64>);

impl Rig for InDirectory {
    fn open(&self) -> Arc<dyn Store> {
        let space = Space::stated(self.0.path(), Arc::clone(&self.1));
        Arc::new(
            Embedded::open(Settings {
                space,
                ..Settings::new(self.0.path())
            })
            .unwrap(),
        )
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn set_free_bytes(&self, bytes: u64) {
        self.1.store(bytes, Ordering::SeqCst);
    }
}

fn unlimited() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(u64::MAX))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    conformance::all(|| InMemory(unlimited())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sled_conforms() {
    conformance::all(|| InDirectory(tempfile::tempdir().unwrap(), unlimited())).await;
}

fn counted(grain: &GrainId, epoch: Epoch, n: u64, bytes: usize) -> Commit {
    Commit {
        grain: grain.clone(),
        epoch,
        revision: Revision(1),
        now_ms: n,
        writes: [("n".to_owned(), Some(n.to_be_bytes().repeat(bytes / 8)))].into(),
        sends: Vec::new(),
        reply: None,
        settles: None,
    }
}

/// Turns that stay in the journal, turns that fill it, and turns that are longer than the whole of it, over restarts.
#[tokio::test]
async fn turns_of_every_length_are_there_after_each_start() {
    let dir = tempfile::tempdir().unwrap();
    let grain = GrainId::parse("account/1").unwrap();
    let mut n = 0;
    for lengths in [&[8][..], &[8, 3 << 20, 8], &[100_000; 30], &[], &[3 << 20]] {
        let store = Embedded::open(Settings::new(dir.path())).unwrap();
        let loaded = store.load(&grain).await.unwrap();
        assert_eq!(loaded.head.version, n);
        for length in lengths {
            n += 1;
            let commit = counted(&grain, loaded.epoch, n, *length);
            assert_eq!(store.commit(commit).await.unwrap().head.version, n);
            let value = store.read(&grain, "n").await.unwrap().unwrap();
            assert_eq!((value.len(), &value[..8]), (*length, &n.to_be_bytes()[..]));
        }
        store.close().await.unwrap();
    }
    let store = Embedded::open(Settings::new(dir.path())).unwrap();
    assert_eq!(store.load(&grain).await.unwrap().head.version, n);
}

#[tokio::test]
async fn a_directory_whose_journal_is_gone_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(Settings::new(dir.path())).unwrap();
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(dir.path().join("store/journal")).unwrap();
    let error = Embedded::open(Settings::new(dir.path())).err().unwrap();
    assert!(
        matches!(error, StoreError::Unreadable { .. }) && error.to_string().contains("journal"),
        "{error}"
    );
}
