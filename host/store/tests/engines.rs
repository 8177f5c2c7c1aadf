//! Every engine against the conformance suite.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on ends in a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use granary_store::conformance::{self, Rig};
use granary_store::embedded::Settings;
use granary_store::{Embedded, Memory, Space, Store};

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
