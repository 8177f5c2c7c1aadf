//! What two revisions differ in: interface, grants, imports, limits.

use std::fmt::Display;
use std::time::Duration;

use granary_core::id::{KindName, Revision};
use granary_core::kind::{KindSpec, RevisionRecord};
use granary_core::limits::Limits;
use granary_runtime::{Component, Interface, Verdict, compare};

use super::plan::{Diff, Differences, LimitChange, Plan};

/// What deploying would change, but for the number of live activations.
pub(super) fn plan(
    spec: &KindSpec,
    component: &Component,
    current: Option<(&RevisionRecord, &Interface)>,
) -> Plan {
    let interface = &component.interface;
    let mut plan = Plan {
        kind: spec.name.clone(),
        from: None,
        to: Revision(1),
        component: component.digest,
        unchanged: false,
        verdict: None,
        differences: Differences {
            changes: Vec::new(),
            grants_added: spec.grants.describe(),
            grants_removed: Vec::new(),
            imports_added: imports(interface),
            imports_removed: Vec::new(),
            limits: limits(&Limits::DEFAULT, &spec.limits),
        },
        live_activations: 0,
        migrates: false,
        misfits: Vec::new(),
        callers: Vec::new(),
        warnings: warnings(spec, interface),
    };
    let Some((old, was)) = current else {
        return plan;
    };
    let (verdict, differences) = between((&old.spec, was), (spec, interface));
    plan.from = Some(old.revision);
    plan.to = old.revision;
    plan.unchanged = old.component == component.digest && old.spec == *spec;
    plan.verdict = Some(verdict);
    plan.differences = differences;
    plan.migrates = interface.migration.is_some();
    plan
}

/// What two kept revisions differ in.
pub(super) fn diff(
    kind: &KindName,
    old: (&RevisionRecord, &Interface),
    new: (&RevisionRecord, &Interface),
) -> Diff {
    let ((old, was), (new, is)) = (old, new);
    let (verdict, differences) = between((&old.spec, was), (&new.spec, is));
    Diff {
        kind: kind.clone(),
        from: old.revision,
        to: new.revision,
        verdict,
        differences,
    }
}

/// What it means for callers, and all of it.
fn between(
    (old, was): (&KindSpec, &Interface),
    (new, is): (&KindSpec, &Interface),
) -> (Verdict, Differences) {
    let comparison = compare(was, is);
    let (grants_added, grants_removed) = sides(&old.grants.describe(), &new.grants.describe());
    let (imports_added, imports_removed) = sides(&imports(was), &imports(is));
    let differences = Differences {
        changes: comparison.changes,
        grants_added,
        grants_removed,
        imports_added,
        imports_removed,
        limits: limits(&old.limits, &new.limits),
    };
    (comparison.verdict, differences)
}

/// The word that the catalogue keeps for a verdict; none is the first revision's.
pub(super) fn verdict_name(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "first",
        Some(Verdict::Same) => "same",
        Some(Verdict::Additive) => "additive",
        Some(Verdict::Breaking) => "breaking",
    }
}

fn imports(interface: &Interface) -> Vec<String> {
    interface
        .imports
        .iter()
        .map(|import| import.name.clone())
        .collect()
}

/// What is only in `new`, and what is only in `old`.
fn sides(old: &[String], new: &[String]) -> (Vec<String>, Vec<String>) {
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect();
    (only(new, old), only(old, new))
}

fn warnings(spec: &KindSpec, interface: &Interface) -> Vec<String> {
    let mut warnings = Vec::new();
    for method in &interface.methods {
        if let Some(why) = &method.not_callable {
            warnings.push(format!(
                "method '{}' cannot be called from outside: {why}",
                method.name
            ));
        }
    }
    for package in spec.clients.keys() {
        if !interface
            .clients
            .iter()
            .any(|client| client.package == *package)
        {
            warnings.push(format!(
                "'clients' names {package}, but the component does not import it"
            ));
        }
    }
    for (grant, used) in [
        ("http", !spec.grants.http.is_empty()),
        ("config", spec.grants.config.is_some()),
    ] {
        let imported = interface
            .imports
            .iter()
            .any(|import| import.needs_grant == Some(grant));
        if used && !imported {
            warnings.push(format!(
                "'{grant}' is granted, but the component does not import it"
            ));
        }
        if imported && !used {
            warnings.push(format!("the component imports '{grant}', but nothing of it is granted: every use will be refused"));
        }
    }
    warnings
}

fn limits(old: &Limits, new: &Limits) -> Vec<LimitChange> {
    let mut changes = Vec::new();
    let mut note = |key, from: &dyn Display, to: &dyn Display| {
        let (from, to) = (from.to_string(), to.to_string());
        if from != to {
            changes.push(LimitChange { key, from, to });
        }
    };
    note("memory", &Bytes(old.memory), &Bytes(new.memory));
    note("cpu-time", &Time(old.cpu_time), &Time(new.cpu_time));
    note("wall-time", &Time(old.wall_time), &Time(new.wall_time));
    note(
        "call-timeout",
        &Time(old.call_timeout),
        &Time(new.call_timeout),
    );
    note("mailbox-calls", &old.mailbox_calls, &new.mailbox_calls);
    note(
        "mailbox-bytes",
        &Bytes(old.mailbox_bytes),
        &Bytes(new.mailbox_bytes),
    );
    note("arguments", &Bytes(old.arguments), &Bytes(new.arguments));
    note("result", &Bytes(old.result), &Bytes(new.result));
    note(
        "host-memory",
        &Bytes(old.host_memory),
        &Bytes(new.host_memory),
    );
    note(
        "state-value",
        &Bytes(old.state_value),
        &Bytes(new.state_value),
    );
    note(
        "state-total",
        &Bytes(old.state_total),
        &Bytes(new.state_total),
    );
    note("sends", &old.sends, &new.sends);
    note(
        "log-rate",
        &Bytes(u64::from(old.log_rate)),
        &Bytes(u64::from(new.log_rate)),
    );
    note("idle", &Time(old.idle), &Time(new.idle));
    note(
        "activation-time",
        &Time(old.activation_time),
        &Time(new.activation_time),
    );
    note(
        "deactivation-time",
        &Time(old.deactivation_time),
        &Time(new.deactivation_time),
    );
    note("http-body", &Bytes(old.http_body), &Bytes(new.http_body));
    note("tail-time", &Time(old.tail_time), &Time(new.tail_time));
    changes
}

/// A size as a manifest writes it.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units
            .into_iter()
            .find(|(unit, _)| 0 < self.0 && self.0.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A duration as a manifest writes it.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_differs_is_shown_as_a_manifest_writes_it() {
        let new = Limits {
            memory: 128 << 20,
            cpu_time: Duration::from_millis(1500),
            ..Limits::DEFAULT
        };
        let memory = LimitChange {
            key: "memory",
            from: "64MiB".into(),
            to: "128MiB".into(),
        };
        let cpu = LimitChange {
            key: "cpu-time",
            from: "1s".into(),
            to: "1s 500ms".into(),
        };
        assert_eq!(limits(&Limits::DEFAULT, &new), [memory, cpu]);
        assert_eq!(limits(&new, &new), []);
    }

    #[test]
    fn each_side_shows_what_the_other_lacks() {
        let (a, b) = (
            ["x".to_owned(), "y".to_owned()],
            ["y".to_owned(), "z".to_owned()],
        );
        assert_eq!(sides(&a, &b), (vec!["z".to_owned()], vec!["x".to_owned()]));
    }
}
