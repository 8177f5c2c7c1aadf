//! The catalogue of kinds: deploying, rolling back, and what each revision runs.
//!
//! The store keeps it; a snapshot in memory answers calls without a lock that anybody holds for long. Changes are made one
//! after the other; each is in the store before the snapshot shows it.

pub mod catalogue;
mod clients;
mod deploy;
mod differences;
mod import;
pub mod plan;
mod trial;

use std::sync::{Arc, OnceLock};

use granary_core::error::CallError;
use granary_core::id::{Digest, KindName, Revision};
use granary_core::kind::{KindRecord, Rollout};
use granary_runtime::{Component, Linked, Runtime};
use granary_store::{Store, StoreError};
use tokio::sync::Mutex;

pub use catalogue::KindEntry;
pub use plan::{Affected, DeployError, Deployed, Diff, Differences, LimitChange, Plan};

use crate::observe::events::{Events, What};
use catalogue::Catalogue;

/// Counts the live activations of a kind.
pub type LiveCounter = Arc<dyn Fn(&KindName) -> usize + Send + Sync>;

/// The kinds of a node. Cheap to clone.
#[derive(Clone)]
pub struct Kinds {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    runtime: Arc<Runtime>,
    events: Arc<Events>,
    catalogue: Catalogue,
    /// Held while a kind is changed, so that two changes do not pass each other between store and snapshot.
    changing: Mutex<()>,
    live: OnceLock<LiveCounter>,
}

impl Kinds {
    /// Reads the catalogue. Components are compiled or mapped when they are first needed, or by [`Kinds::prepare`].
    pub async fn new(
        store: Arc<dyn Store>,
        runtime: Arc<Runtime>,
        events: Arc<Events>,
    ) -> Result<Self, StoreError> {
        let catalogue = Catalogue::new(store.kinds().await?);
        let shared = Shared {
            store,
            runtime,
            events,
            catalogue,
            changing: Mutex::new(()),
            live: OnceLock::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Says how live activations are counted. Only the first call counts.
    pub fn set_live(&self, counter: LiveCounter) {
        // A second counter would be a mistake of the wiring; the first one stays right.
        drop(self.shared.live.set(counter));
    }

    /// Every kind, by name.
    pub fn list(&self) -> Vec<Arc<KindRecord>> {
        self.shared
            .catalogue
            .all()
            .values()
            .map(|entry| entry.record.clone())
            .collect()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<Arc<KindRecord>> {
        let name = KindName::parse(name).ok()?;
        self.entry(&name).map(|entry| entry.record.clone())
    }

    /// One of them with what it runs. Cheap: one shared lock, one reference count.
    pub fn entry(&self, name: &KindName) -> Option<Arc<KindEntry>> {
        self.shared.catalogue.get(name)
    }

    /// The kind whose name is most like a wrong one.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let all = self.shared.catalogue.all();
        let by_likeness = all
            .keys()
            .map(|known| (strsim::jaro_winkler(name, known.as_str()), known));
        let (likeness, known) = by_likeness.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (0.7 < likeness).then(|| known.to_string())
    }

    /// The error of a call to a kind that is not there, with the nearest name.
    pub fn unknown(&self, name: &str) -> CallError {
        let nearest = self
            .nearest(name)
            .map(|near| format!("; did you mean '{near}'?"))
            .unwrap_or_default();
        CallError::NotFound {
            detail: format!("there is no kind '{name}'{nearest}"),
        }
    }

    /// What a revision runs: compiled or mapped first if need be. Errors: `Unavailable`, when the component is lost,
    /// damaged, or no longer fits.
    pub async fn linked(
        &self,
        entry: &Arc<KindEntry>,
        revision: Revision,
    ) -> Result<Arc<Linked>, CallError> {
        let unavailable = |detail: String| CallError::Unavailable { detail };
        let (Some(record), Some(cell)) = (entry.record.revision(revision), entry.link(revision))
        else {
            return Err(unavailable(format!(
                "revision {revision} of kind '{}' is no longer kept",
                entry.record.name
            )));
        };
        let linked = cell.get_or_try_init(|| async {
            let component = self
                .component(record.component)
                .await
                .map_err(|error| unavailable(error.to_string()))?;
            self.shared
                .runtime
                .link(&component, &record.spec)
                .map_err(|error| unavailable(error.to_string()))
        });
        linked.await.cloned()
    }

    /// Compiles or maps the current revision of every kind, one kind after the other.
    pub async fn prepare(&self) {
        for entry in self.shared.catalogue.all().values() {
            if let Err(error) = self.linked(entry, entry.record.current).await {
                tracing::error!(kind = %entry.record.name, %error, "a kind cannot be prepared");
            }
        }
    }

    /// The kinds whose current revision is not yet ready to run.
    pub fn unprepared(&self) -> Vec<KindName> {
        let all = self.shared.catalogue.all();
        let waiting = all
            .values()
            .filter(|entry| entry.ready(entry.record.current).is_none());
        waiting.map(|entry| entry.record.name.clone()).collect()
    }

    /// The component of a revision, the current one if none is named.
    pub async fn interface(
        &self,
        name: &KindName,
        revision: Option<Revision>,
    ) -> Result<Arc<Component>, DeployError> {
        let entry = self.known(name)?;
        let revision = revision.unwrap_or(entry.record.current);
        self.component(revision_record(&entry.record, revision)?.component)
            .await
    }

    /// What two revisions differ in.
    pub async fn diff(
        &self,
        name: &KindName,
        from: Revision,
        to: Revision,
    ) -> Result<Diff, DeployError> {
        let entry = self.known(name)?;
        let (old, new) = (
            revision_record(&entry.record, from)?,
            revision_record(&entry.record, to)?,
        );
        let (was, is) = (
            self.component(old.component).await?,
            self.component(new.component).await?,
        );
        Ok(differences::diff(
            name,
            (old, &was.interface),
            (new, &is.interface),
        ))
    }

    /// Stops a rollout: grains that have not moved stay on the revision before. Nothing happens unless `to` is current and
    /// still rolling out. Errors: of the store; then the rollout goes on and the next failing migration tries again.
    pub async fn halt(
        &self,
        name: &KindName,
        to: Revision,
        grain: &granary_core::id::GrainId,
        because: &str,
    ) -> Result<(), StoreError> {
        let _guard = self.shared.changing.lock().await;
        let Some(entry) = self.entry(name) else {
            return Ok(());
        };
        let old = entry.record.as_ref();
        let (true, Rollout::Done, Some(from)) = (old.current == to, &old.rollout, old.before)
        else {
            return Ok(());
        };
        let rollout = Rollout::Halted {
            from,
            because: format!("{grain}: {because}"),
        };
        let record = KindRecord {
            rollout,
            ..old.clone()
        };
        self.shared
            .store
            .put_kind(Some(old.clone()), record.clone())
            .await?;
        self.shared.catalogue.put(record);
        tracing::warn!(kind = %name, %from, %to, %grain, because, "rollout halted: a migration failed");
        let (kind, grain, because) = (name.clone(), grain.clone(), because.to_owned());
        self.shared.events.push(What::Halted {
            kind,
            from,
            to,
            grain,
            because,
        });
        Ok(())
    }

    fn known(&self, name: &KindName) -> Result<Arc<KindEntry>, DeployError> {
        self.entry(name).ok_or_else(|| DeployError::NoKind {
            name: name.to_string(),
            nearest: self.nearest(name.as_str()),
        })
    }

    fn live(&self, name: &KindName) -> usize {
        self.shared.live.get().map_or(0, |count| count(name))
    }

    /// A component by its digest: from the runtime's memory or cache, else from the store.
    async fn component(&self, digest: Digest) -> Result<Arc<Component>, DeployError> {
        if let Some(component) = self.shared.runtime.cached(digest).await {
            return Ok(component);
        }
        let Some(bytes) = self.shared.store.artifact(digest).await? else {
            return Err(DeployError::NoArtifact { digest });
        };
        Ok(self.shared.runtime.component(digest, bytes).await?)
    }
}

fn revision_record(
    record: &KindRecord,
    revision: Revision,
) -> Result<&granary_core::kind::RevisionRecord, DeployError> {
    record
        .revision(revision)
        .ok_or_else(|| DeployError::NoRevision {
            kind: record.name.clone(),
            revision,
            kept: record.revisions.iter().map(|kept| kept.revision).collect(),
        })
}

impl From<StoreError> for DeployError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable {
            detail: error.to_string(),
        }
    }
}
