//! Deploying, rolling back and removing.

use std::sync::Arc;

use granary_core::id::{Digest, KindName, Revision};
use granary_core::kind::{KindRecord, KindSpec, Mode, RevisionRecord, Rollout};
use granary_core::limits::REVISIONS_KEPT;
use granary_runtime::{Component, Linked, Verdict};
use granary_store::StoreError;

use super::plan::{DeployError, Deployed, Plan};
use super::{Kinds, differences, revision_record, trial};
use crate::observe::events::What;
use crate::observe::now_ms;

/// A deployment that passed every check but the one for callers.
struct Checked {
    plan: Plan,
    old: Option<Arc<KindRecord>>,
    linked: Arc<Linked>,
}

impl Kinds {
    /// What deploying would do. The component is checked, linked and started once on trial; nothing is kept.
    pub async fn plan(&self, spec: KindSpec, component: Digest) -> Result<Plan, DeployError> {
        Ok(self.check(&spec, component).await?.plan)
    }

    /// Makes a new revision the current one. The same component with the same settings makes none. Every activation
    /// finishes its turn; its next call runs the new revision. Errors: nothing was changed.
    pub async fn deploy(
        &self,
        spec: KindSpec,
        component: Digest,
        allow_breaking: bool,
    ) -> Result<Deployed, DeployError> {
        let _guard = self.shared.changing.lock().await;
        let Checked { plan, old, linked } = self.check(&spec, component).await?;
        if plan.unchanged {
            return Ok(deployed(plan, true));
        }
        if plan.verdict == Some(Verdict::Breaking) && !allow_breaking {
            return Err(DeployError::Breaking {
                plan: Box::new(plan),
            });
        }
        if !plan.misfits.is_empty() && !allow_breaking {
            return Err(DeployError::Misfit {
                plan: Box::new(plan),
            });
        }
        let revision = RevisionRecord {
            revision: plan.to,
            component,
            spec,
            deployed_at_ms: now_ms(),
            verdict: differences::verdict_name(plan.verdict).to_owned(),
        };
        let (record, dropped) = with_revision(old.as_deref(), revision);
        self.put(old.as_deref().cloned(), record).await?;
        self.link_now(&plan.kind, plan.to, linked);
        self.forget_artifacts(&dropped).await;
        let done = deployed(plan, false);
        self.shared.events.push(What::Deployed {
            kind: done.kind.clone(),
            revision: done.revision,
            verdict: done.verdict.clone(),
        });
        Ok(done)
    }

    /// Makes an earlier revision the current one; the one before the current if none is named. A pointer moves, nothing is
    /// compiled, no state is touched.
    pub async fn rollback(
        &self,
        name: &KindName,
        to: Option<Revision>,
    ) -> Result<Deployed, DeployError> {
        let _guard = self.shared.changing.lock().await;
        let entry = self.known(name)?;
        let old = entry.record.as_ref();
        let to = match to {
            Some(to) => revision_record(old, to)?.revision,
            None => revision_before(old)
                .ok_or_else(|| DeployError::NothingBefore { kind: name.clone() })?,
        };
        let done = Deployed {
            kind: name.clone(),
            revision: to,
            before: Some(old.current),
            unchanged: to == old.current && old.rollout == Rollout::Done,
            verdict: "rollback".into(),
            live_activations: self.live(name),
            warnings: self.left_behind(old, to).await?,
        };
        if done.unchanged {
            return Ok(done);
        }
        let record = KindRecord {
            current: to,
            before: Some(old.current),
            rollout: Rollout::Done,
            ..old.clone()
        };
        self.put(Some(old.clone()), record).await?;
        self.shared.events.push(What::RolledBack {
            kind: name.clone(),
            from: old.current,
            to,
        });
        Ok(done)
    }

    /// Removes a kind; the state of its grains stays. Activations end with their running turn. How many were live.
    pub async fn remove(&self, name: &KindName) -> Result<usize, DeployError> {
        let _guard = self.shared.changing.lock().await;
        let entry = self.known(name)?;
        self.shared.store.remove_kind(name).await?;
        self.shared.catalogue.remove(name);
        let components: Vec<_> = entry
            .record
            .revisions
            .iter()
            .map(|kept| kept.component)
            .collect();
        self.forget_artifacts(&components).await;
        self.shared
            .events
            .push(What::Removed { kind: name.clone() });
        Ok(self.live(name))
    }

    async fn check(&self, spec: &KindSpec, digest: Digest) -> Result<Checked, DeployError> {
        let component = self.component(digest).await?;
        check_methods(spec, &component)?;
        let linked = self.shared.runtime.link(&component, spec)?;
        let old = self.entry(&spec.name).map(|entry| entry.record.clone());
        let current = match &old {
            Some(record) => {
                let current = revision_record(record, record.current)?;
                Some((current, self.component(current.component).await?))
            }
            None => None,
        };
        let newest = old
            .iter()
            .flat_map(|record| &record.revisions)
            .map(|kept| kept.revision.0)
            .max();
        let mut plan = differences::plan(
            spec,
            &component,
            current.as_ref().map(|(r, c)| (*r, &c.interface)),
        );
        // A halted rollout is not settled by deploying the same thing again: then it is tried again.
        let halted = old
            .as_ref()
            .is_some_and(|record| record.rollout != Rollout::Done);
        plan.unchanged &= !halted;
        plan.to = if plan.unchanged {
            plan.to
        } else {
            Revision(newest.unwrap_or(0) + 1)
        };
        plan.live_activations = self.live(&spec.name);
        self.check_clients(&mut plan, spec, &component).await?;
        if !plan.unchanged {
            trial::start(&linked, &spec.name, plan.to).await?;
        }
        Ok(Checked { plan, old, linked })
    }

    async fn put(
        &self,
        expected: Option<KindRecord>,
        record: KindRecord,
    ) -> Result<(), DeployError> {
        let kind = record.name.clone();
        match self.shared.store.put_kind(expected, record.clone()).await {
            Ok(()) => {
                self.shared.catalogue.put(record);
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => Err(DeployError::Conflict { kind }),
            Err(error) => Err(error.into()),
        }
    }

    /// What was linked for the check is what runs: the first call does not wait for it.
    fn link_now(&self, name: &KindName, revision: Revision, linked: Arc<Linked>) {
        if let Some(cell) = self
            .entry(name)
            .as_deref()
            .and_then(|entry| entry.link(revision))
        {
            // Somebody may have been faster; both are the same.
            drop(cell.set(linked));
        }
    }

    /// Removes a component and what was compiled of it; whether it was there. The caller has seen that no revision runs it.
    pub(crate) async fn remove_component(&self, digest: Digest) -> Result<bool, StoreError> {
        let there = self.shared.store.remove_artifact(digest).await?;
        if let Err(error) = self.shared.runtime.forget(digest).await {
            tracing::warn!(component = %digest, %error, "what was compiled of a component could not be removed");
        }
        Ok(there)
    }

    /// Removes components of revisions that are no longer kept, unless another revision runs them.
    async fn forget_artifacts(&self, components: &[Digest]) {
        for digest in components {
            if self.shared.catalogue.uses(*digest) {
                continue;
            }
            if let Err(error) = self.remove_component(*digest).await {
                tracing::warn!(component = %digest, %error, "an old component could not be removed");
            }
        }
    }
}

fn deployed(plan: Plan, unchanged: bool) -> Deployed {
    let misfits = plan.misfits.iter().map(|misfit| {
        format!("it was built with a client that does not fit the kind that it calls: {misfit}")
    });
    let callers = plan
        .callers
        .iter()
        .map(|caller| format!("a client of this kind does not fit any more: {caller}"));
    let more: Vec<_> = misfits.chain(callers).collect();
    Deployed {
        verdict: differences::verdict_name(plan.verdict).to_owned(),
        kind: plan.kind,
        revision: plan.to,
        before: plan.from,
        unchanged,
        live_activations: plan.live_activations,
        warnings: [plan.warnings, more].concat(),
    }
}

/// The record with one revision more, and the components of revisions that it no longer keeps.
fn with_revision(old: Option<&KindRecord>, revision: RevisionRecord) -> (KindRecord, Vec<Digest>) {
    // While a rollout is halted, most grains run the revision before: that is the one to fall back to again.
    let before = old.map(|record| match &record.rollout {
        Rollout::Done => record.current,
        Rollout::Halted { from, .. } => *from,
    });
    let mut record = KindRecord {
        name: revision.spec.name.clone(),
        current: revision.revision,
        before,
        rollout: Rollout::Done,
        revisions: old
            .map(|record| record.revisions.clone())
            .unwrap_or_default(),
    };
    record.revisions.push(revision);
    let mut dropped = Vec::new();
    while REVISIONS_KEPT < record.revisions.len() {
        let needed = |kept: &RevisionRecord| {
            kept.revision == record.current || Some(kept.revision) == record.before
        };
        let Some(oldest) = record.revisions.iter().position(|kept| !needed(kept)) else {
            break;
        };
        dropped.push(record.revisions.remove(oldest).component);
    }
    (record, dropped)
}

fn revision_before(record: &KindRecord) -> Option<Revision> {
    if let Rollout::Halted { from, .. } = &record.rollout {
        return Some(*from);
    }
    record
        .revisions
        .iter()
        .map(|kept| kept.revision)
        .filter(|revision| *revision < record.current)
        .max()
}

fn check_methods(spec: &KindSpec, component: &Component) -> Result<(), DeployError> {
    for (name, settings) in &spec.methods {
        let Some(method) = component.interface.method(name) else {
            return Err(DeployError::NoMethod {
                method: name.clone(),
                nearest: component.interface.nearest(name).map(str::to_owned),
            });
        };
        // Others run where one waits; a plain function cannot wait.
        if settings.mode == Mode::Interleave && !method.is_async {
            return Err(DeployError::NotAsync {
                method: name.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(number: u64) -> RevisionRecord {
        RevisionRecord {
            revision: Revision(number),
            component: Digest([u8::try_from(number).unwrap(); 32]),
            spec: KindSpec::bare(KindName::parse("cart").unwrap()),
            deployed_at_ms: 0,
            verdict: "first".into(),
        }
    }

    fn numbers(record: &KindRecord) -> Vec<u64> {
        record
            .revisions
            .iter()
            .map(|kept| kept.revision.0)
            .collect()
    }

    #[test]
    fn the_oldest_revisions_go_but_never_the_one_to_fall_back_to() {
        let (mut record, _) = with_revision(None, revision(1));
        for number in 2..=32 {
            record = with_revision(Some(&record), revision(number)).0;
        }
        assert_eq!(record.revisions.len(), REVISIONS_KEPT);
        let rolled_back = KindRecord {
            current: Revision(1),
            before: Some(Revision(32)),
            ..record
        };
        let (record, dropped) = with_revision(Some(&rolled_back), revision(33));
        assert_eq!(dropped, [Digest([2; 32])]);
        assert_eq!(
            (record.before, record.current),
            (Some(Revision(1)), Revision(33))
        );
        assert_eq!(numbers(&record)[..2], [1, 3]);
    }

    #[test]
    fn rolling_back_goes_one_down_and_out_of_a_halt_to_where_the_grains_are() {
        let (first, _) = with_revision(None, revision(1));
        assert_eq!(revision_before(&first), None);
        let (second, _) = with_revision(Some(&first), revision(2));
        let (third, _) = with_revision(Some(&second), revision(3));
        assert_eq!(revision_before(&third), Some(Revision(2)));
        let halted = KindRecord {
            rollout: Rollout::Halted {
                from: Revision(1),
                because: String::new(),
            },
            ..third
        };
        assert_eq!(revision_before(&halted), Some(Revision(1)));
        assert_eq!(
            with_revision(Some(&halted), revision(4)).0.before,
            Some(Revision(1))
        );
    }
}
