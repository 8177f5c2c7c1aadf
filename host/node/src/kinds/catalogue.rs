//! The snapshot of the catalogue that calls read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use granary_core::id::{Digest, KindName, Revision};
use granary_core::kind::KindRecord;
use granary_runtime::Linked;
use parking_lot::RwLock;
use tokio::sync::OnceCell;

/// What a revision runs, once somebody has asked for it.
pub(super) type Link = OnceCell<Arc<Linked>>;

/// A kind as calls see it. It never changes: a deployment, a rollback or a halt puts another one in its place.
pub struct KindEntry {
    /// What the store keeps.
    pub record: Arc<KindRecord>,
    /// Grows with every change of any kind: an activation that was made under another generation asks again which revision
    /// it should run.
    pub generation: u64,
    links: BTreeMap<Revision, Arc<Link>>,
}

impl KindEntry {
    /// What a revision runs, if that can be told without waiting.
    pub fn ready(&self, revision: Revision) -> Option<Arc<Linked>> {
        self.links.get(&revision)?.get().cloned()
    }

    pub(super) fn link(&self, revision: Revision) -> Option<&Arc<Link>> {
        self.links.get(&revision)
    }
}

pub(super) type Entries = BTreeMap<KindName, Arc<KindEntry>>;

pub(super) struct Catalogue {
    entries: RwLock<Arc<Entries>>,
    generation: AtomicU64,
}

impl Catalogue {
    pub(super) fn new(records: Vec<KindRecord>) -> Self {
        let catalogue = Self {
            entries: RwLock::default(),
            generation: AtomicU64::new(1),
        };
        for record in records {
            catalogue.put(record);
        }
        catalogue
    }

    pub(super) fn all(&self) -> Arc<Entries> {
        self.entries.read().clone()
    }

    pub(super) fn get(&self, name: &KindName) -> Option<Arc<KindEntry>> {
        self.entries.read().get(name).cloned()
    }

    /// Shows a changed kind. What its revisions run is taken over from the entry that it replaces, for those that stayed the same.
    pub(super) fn put(&self, record: KindRecord) {
        let mut entries = self.entries.write();
        let before = entries.get(&record.name);
        let links = record.revisions.iter().map(|kept| {
            let same = before.filter(|entry| entry.record.revision(kept.revision) == Some(kept));
            let known = same.and_then(|entry| entry.link(kept.revision)).cloned();
            (kept.revision, known.unwrap_or_default())
        });
        let links = links.collect();
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let name = record.name.clone();
        let entry = KindEntry {
            record: Arc::new(record),
            generation,
            links,
        };
        Arc::make_mut(&mut entries).insert(name, Arc::new(entry));
    }

    pub(super) fn remove(&self, name: &KindName) {
        Arc::make_mut(&mut self.entries.write()).remove(name);
    }

    /// Whether any kept revision of any kind runs a component.
    pub(super) fn uses(&self, component: Digest) -> bool {
        let all = self.all();
        all.values()
            .flat_map(|entry| &entry.record.revisions)
            .any(|kept| kept.component == component)
    }
}
