//! Clients and the kinds on their other side: what a deployment of either breaks.

use std::sync::Arc;

use granary_core::id::{Digest, KindName, Revision};
use granary_core::kind::{KindRecord, KindSpec};
use granary_runtime::{ClientImport, Component, Interface, Verdict, compare_client};

use super::plan::{Affected, DeployError, Plan};
use super::{Kinds, revision_record};

impl Kinds {
    /// Lays the component's clients against the kinds that they call, and its interface against the clients that call it.
    pub(super) async fn check_clients(
        &self,
        plan: &mut Plan,
        spec: &KindSpec,
        component: &Component,
    ) -> Result<(), DeployError> {
        let interface = &component.interface;
        for client in &interface.clients {
            let kind = client.called(spec);
            let changes = if *kind == spec.name {
                compare_client(client, interface)
            } else {
                match self.entry(kind) {
                    Some(entry) => {
                        let current = revision_record(&entry.record, entry.record.current)?;
                        let called = self.component(current.component).await?;
                        compare_client(client, &called.interface)
                    }
                    None => {
                        plan.warnings.push(format!(
                            "'{}' calls the kind '{kind}', which is not deployed: its calls answer not-found until it is; \
                             `clients` in the manifest names another kind",
                            client.name
                        ));
                        continue;
                    }
                }
            };
            if !changes.is_empty() {
                plan.misfits.push(Affected {
                    kind: kind.clone(),
                    client: client.name.clone(),
                    changes,
                });
            }
        }
        // A client that fits what runs now fits whatever breaks nobody.
        if plan.verdict == Some(Verdict::Breaking) {
            plan.callers = self.callers(&spec.name, interface).await?;
        }
        Ok(())
    }

    /// Warnings about the callers that moving a kind to one of its revisions leaves behind.
    pub(super) async fn left_behind(
        &self,
        record: &KindRecord,
        to: Revision,
    ) -> Result<Vec<String>, DeployError> {
        let revision = revision_record(record, to)?;
        let component = self.component(revision.component).await?;
        let callers = self.callers(&record.name, &component.interface).await?;
        let told = callers
            .iter()
            .map(|caller| format!("a client of this kind does not fit that revision: {caller}"));
        Ok(told.collect())
    }

    /// The kinds whose current revision has a client that does not fit an interface of a kind.
    async fn callers(
        &self,
        name: &KindName,
        interface: &Interface,
    ) -> Result<Vec<Affected>, DeployError> {
        let mut callers = Vec::new();
        for entry in self.shared.catalogue.all().values() {
            let Some(current) = entry.record.revision(entry.record.current) else {
                continue;
            };
            if entry.record.name == *name {
                continue;
            }
            for client in self.clients_of(current.component).await? {
                let changes = match client.called(&current.spec) == name {
                    true => compare_client(&client, interface),
                    false => continue,
                };
                if !changes.is_empty() {
                    callers.push(Affected {
                        kind: entry.record.name.clone(),
                        client: client.name.clone(),
                        changes,
                    });
                }
            }
        }
        Ok(callers)
    }

    /// The clients of a component. One that is not in memory is read, but not compiled for this.
    async fn clients_of(&self, digest: Digest) -> Result<Vec<Arc<ClientImport>>, DeployError> {
        if let Some(component) = self.shared.runtime.loaded(digest) {
            return Ok(component.interface.clients.clone());
        }
        let Some(bytes) = self.shared.store.artifact(digest).await? else {
            return Ok(Vec::new());
        };
        let read = tokio::task::spawn_blocking(move || Interface::inspect(&bytes)).await;
        let interface = read.map_err(|error| DeployError::Unavailable {
            detail: format!("a kind's component could not be read: {error}"),
        })??;
        Ok(interface.clients)
    }
}
