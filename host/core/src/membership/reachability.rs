//! Who cannot reach whom, as each node itself has said.
//!
//! Invariants: only an observer changes its own rows, each change under a version of its own; who is terminated for an observer stays so;
//! two tables are merged observer by observer, never row by row.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::UniqueAddress;

/// What one node says of another. The order is the one in which opinions win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// It answers.
    Reachable,
    /// It does not answer.
    Unreachable,
    /// It will never answer again: the transport gave this incarnation up.
    Terminated,
}

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who says so.
    pub observer: UniqueAddress,
    /// Of whom.
    pub subject: UniqueAddress,
    /// What.
    pub reach: Reach,
    /// Which change of the observer's this is.
    pub version: u64,
}

/// What one observer says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Observer {
    /// How many changes it has made. Kept when no row is left.
    pub(crate) version: u64,
    pub(crate) rows: BTreeMap<UniqueAddress, (Reach, u64)>,
}

/// The table of all observations. Who is not in it is reachable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reachability {
    pub(crate) observers: BTreeMap<UniqueAddress, Observer>,
}

impl Reachability {
    /// `observer` finds `subject` so. Says whether that changed anything: the same again, "reachable" of someone about whom nothing was
    /// said, and everything about who is terminated do not.
    pub fn set(&mut self, observer: &UniqueAddress, subject: &UniqueAddress, reach: Reach) -> bool {
        match self.by(observer, subject) {
            Some(Reach::Terminated) => return false,
            Some(known) if known == reach => return false,
            None if reach == Reach::Reachable => return false,
            Some(_) | None => {}
        }
        let said = self.observers.entry(observer.clone()).or_default();
        said.version += 1;
        said.rows.insert(subject.clone(), (reach, said.version));
        if said
            .rows
            .values()
            .all(|(reach, _)| *reach == Reach::Reachable)
        {
            said.rows.clear();
        }
        true
    }

    /// `observer` takes back that `subject` is gone for good: from now on it is as unreachable as any other. Says whether it had said so.
    pub fn pardon(&mut self, observer: &UniqueAddress, subject: &UniqueAddress) -> bool {
        let said = self.observers.get_mut(observer);
        let Some(said) = said.filter(|said| {
            let row = said.rows.get(subject);
            row.is_some_and(|(reach, _)| *reach == Reach::Terminated)
        }) else {
            return false;
        };
        said.version += 1;
        said.rows
            .insert(subject.clone(), (Reach::Unreachable, said.version));
        true
    }

    /// What one node says of another; nothing if it never had a reason to.
    pub fn by(&self, observer: &UniqueAddress, subject: &UniqueAddress) -> Option<Reach> {
        let (reach, _) = self.observers.get(observer)?.rows.get(subject)?;
        Some(*reach)
    }

    /// Whether one node can reach another, in its own eyes.
    pub fn is_reachable_from(&self, observer: &UniqueAddress, subject: &UniqueAddress) -> bool {
        self.by(observer, subject).unwrap_or(Reach::Reachable) == Reach::Reachable
    }

    /// What comes of all that is said of a node: the worst.
    pub fn aggregate(&self, subject: &UniqueAddress) -> Reach {
        let said = self
            .observers
            .values()
            .filter_map(|said| said.rows.get(subject));
        said.map(|(reach, _)| *reach)
            .max()
            .unwrap_or(Reach::Reachable)
    }

    /// Whether nobody says that a node cannot be reached.
    pub fn is_reachable(&self, subject: &UniqueAddress) -> bool {
        self.aggregate(subject) == Reach::Reachable
    }

    /// Every node that some observer, of those that count, cannot reach, and what comes of their words. None of them is `Reachable`.
    pub fn judged<'a>(
        &'a self,
        mut counts: impl FnMut(&'a UniqueAddress) -> bool,
    ) -> BTreeMap<&'a UniqueAddress, Reach> {
        let mut judged = BTreeMap::new();
        for (observer, said) in &self.observers {
            if said.rows.is_empty() || !counts(observer) {
                continue;
            }
            for (subject, (reach, _)) in &said.rows {
                if *reach != Reach::Reachable {
                    let worst = judged.entry(subject).or_insert(*reach);
                    *worst = (*reach).max(*worst);
                }
            }
        }
        judged
    }

    /// The nodes that are unreachable when all is said; not those that are terminated.
    pub fn all_unreachable(&self) -> BTreeSet<&UniqueAddress> {
        let judged = self.judged(|_| true).into_iter();
        judged
            .filter_map(|(node, reach)| (reach == Reach::Unreachable).then_some(node))
            .collect()
    }

    /// The nodes that are unreachable or terminated when all is said.
    pub fn all_unreachable_or_terminated(&self) -> BTreeSet<&UniqueAddress> {
        self.judged(|_| true).into_keys().collect()
    }

    /// The nodes that one observer calls unreachable.
    pub fn all_unreachable_from(&self, observer: &UniqueAddress) -> BTreeSet<&UniqueAddress> {
        let rows = self
            .observers
            .get(observer)
            .into_iter()
            .flat_map(|said| &said.rows);
        rows.filter_map(|(subject, (reach, _))| (*reach == Reach::Unreachable).then_some(subject))
            .collect()
    }

    /// Each node that somebody calls unreachable, and who does.
    pub fn observers_by_unreachable(&self) -> BTreeMap<&UniqueAddress, BTreeSet<&UniqueAddress>> {
        let mut grouped: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (observer, subject, reach, _) in self.rows() {
            if reach == Reach::Unreachable {
                grouped.entry(subject).or_default().insert(observer);
            }
        }
        grouped
    }

    /// Who has rows.
    pub fn observers(&self) -> impl Iterator<Item = &UniqueAddress> {
        let with_rows = self
            .observers
            .iter()
            .filter(|(_, said)| !said.rows.is_empty());
        with_rows.map(|(observer, _)| observer)
    }

    /// How many changes each observer has made.
    pub fn versions(&self) -> impl Iterator<Item = (&UniqueAddress, u64)> {
        self.observers
            .iter()
            .map(|(observer, said)| (observer, said.version))
    }

    /// Every row, by observer and then by subject.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.rows()
            .map(|(observer, subject, reach, version)| Record {
                observer: observer.clone(),
                subject: subject.clone(),
                reach,
                version,
            })
    }

    /// Observer, subject, what, and which change of the observer's.
    pub fn rows(&self) -> impl Iterator<Item = (&UniqueAddress, &UniqueAddress, Reach, u64)> {
        self.observers.iter().flat_map(|(observer, said)| {
            let rows = said.rows.iter();
            rows.map(move |(subject, (reach, version))| (observer, subject, *reach, *version))
        })
    }

    /// Whether two tables have the same rows.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        core::ptr::eq(self, other) || self.rows().eq(other.rows())
    }

    /// Forgets nodes, as observers and as subjects.
    pub fn remove(&mut self, gone: impl Fn(&UniqueAddress) -> bool) {
        self.observers.retain(|observer, said| {
            said.rows.retain(|subject, _| !gone(subject));
            !gone(observer)
        });
    }

    /// What both tables say of those who are allowed.
    ///
    /// Of each observer the rows of the side that has seen more of its changes count, all of them. If both have seen the same ones, the
    /// rows are the same, but that one side may have removed somebody the other has not heard about yet; who is gone is not allowed.
    #[must_use]
    pub fn merge(&self, other: &Self, allowed: impl Fn(&UniqueAddress) -> bool) -> Self {
        let none = Observer::default();
        let both: BTreeSet<_> = self
            .observers
            .keys()
            .chain(other.observers.keys())
            .collect();
        let mut observers = BTreeMap::new();
        for observer in both.into_iter().filter(|observer| allowed(observer)) {
            let ours = self.observers.get(observer).unwrap_or(&none);
            let theirs = other.observers.get(observer).unwrap_or(&none);
            let newer = match ours.version.cmp(&theirs.version) {
                core::cmp::Ordering::Greater => ours,
                core::cmp::Ordering::Less => theirs,
                core::cmp::Ordering::Equal if theirs.rows.len() < ours.rows.len() => theirs,
                core::cmp::Ordering::Equal => ours,
            };
            let rows = newer.rows.iter().filter(|(subject, _)| allowed(subject));
            let said = Observer {
                version: newer.version,
                rows: rows.map(|(subject, row)| (subject.clone(), *row)).collect(),
            };
            observers.insert(observer.clone(), said);
        }
        Self { observers }
    }
}

impl FromIterator<Record> for Reachability {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut table = Self::default();
        for record in records {
            let said = table.observers.entry(record.observer).or_default();
            said.version = said.version.max(record.version);
            said.rows
                .insert(record.subject, (record.reach, record.version));
        }
        table
    }
}

#[cfg(test)]
mod tests;
