//! A picture as what differs from another one that the receiver has.
//!
//! Applied to the picture that it was made from it gives exactly the picture that was meant; applied to any other it is refused. What is
//! said of members goes by their place in the list, as in [`form`](super::form).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::super::address::UniqueAddress;
use super::super::member::{Decider, Member, Profile, Status};
use super::super::reachability::Reachability;
use super::super::vector_clock::{ClockNode, VectorClock};
use super::form::{FormError, MemberForm, ObserverForm, at, at_most, checked_table, place, rising};
use super::{Gossip, MEMBERS_MAX, Seen, SparseSeen, TOMBSTONES_MAX};
use crate::hash::Hasher;

/// A version in eight bytes: its clock, and how many members and tombstones there are.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionDigest([u8; 8]);

impl VersionDigest {
    /// The version of a picture.
    pub fn of(gossip: &Gossip) -> Self {
        let mut hasher = Hasher::new()
            .number(gossip.members.len() as u64)
            .number(gossip.tombstones.len() as u64);
        for (node, count) in gossip.version.iter() {
            hasher = hasher.number(node.0).number(count);
        }
        Self(hasher.finish().to_le_bytes())
    }
}

impl fmt::Debug for VersionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_le_bytes(self.0))
    }
}

/// Why a delta leads to no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It was made from another picture.
    #[error("a delta on the version {needed:?} was held against {actual:?}")]
    OtherBase {
        /// The version that it is made from.
        needed: VersionDigest,
        /// The version at hand.
        actual: VersionDigest,
    },
    /// It says two things of one place, or takes away what is not there.
    #[error("a delta contradicts itself, or its base, on the {what} at place {at}")]
    Contradiction {
        /// Of what.
        what: &'static str,
        /// The place.
        at: u32,
    },
    /// What comes of it is another version than it says.
    #[error("a delta to the version {needed:?} leads to {actual:?}")]
    OtherVersion {
        /// What it should lead to.
        needed: VersionDigest,
        /// What it leads to.
        actual: VersionDigest,
    },
    /// What comes of it is no picture.
    #[error("what a delta leads to is no picture")]
    Form(#[from] FormError),
}

/// What makes one picture of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The version that it is made from.
    pub base: VersionDigest,
    /// The version that it leads to.
    pub version: VersionDigest,
    seen: SparseSeen,
    changes: Arc<Changes>,
}

/// What differs between two versions, but for who has seen them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Changes {
    /// Members of the base that are none any more, and whether they have a tombstone now.
    gone: Vec<(u32, bool)>,
    /// Members of both.
    changed: Vec<ChangedForm>,
    /// Those that no member of the base has.
    profiles: Vec<Arc<Profile>>,
    /// New members. Their profile is that of a member of the base, by its place, or behind them one of `profiles`.
    added: Vec<MemberForm>,
    /// New tombstones, but for those of `gone`.
    buried: Vec<UniqueAddress>,
    /// Places among the tombstones of the base.
    forgotten: Vec<u32>,
    /// Places among the members that there are now, or behind them among the tombstones, and counters; 0 for none any more.
    counters: Vec<(u32, u64)>,
    /// Members whose words are not in the table any more.
    silent: Vec<u32>,
    /// All words of those who said something else.
    observers: Vec<ObserverForm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChangedForm {
    /// Place among the members of the base.
    member: u32,
    status: Status,
    up_number: Option<u32>,
    downed_by: Option<Decider>,
    /// As of a new member, if it is another one.
    profile: Option<u32>,
}

impl Delta {
    /// What makes `base`, whose version that is, `picture`.
    pub fn new(base: (VersionDigest, &Gossip), picture: &Gossip) -> Self {
        let changes = Arc::new(Changes::new(base.1, picture));
        Self::of(base.0, (VersionDigest::of(picture), picture), changes)
    }

    /// The same, where the changes are known.
    pub(super) fn of(
        base: VersionDigest,
        (version, picture): (VersionDigest, &Gossip),
        changes: Arc<Changes>,
    ) -> Self {
        Self {
            base,
            version,
            seen: SparseSeen::new(&picture.seen, picture.members.len()),
            changes,
        }
    }

    /// The picture that it makes of `base`. Errors: every [`DeltaError`].
    pub fn apply(&self, base: &Gossip) -> Result<Gossip, DeltaError> {
        let (needed, actual) = (self.base, VersionDigest::of(base));
        if needed != actual {
            return Err(DeltaError::OtherBase { needed, actual });
        }
        let made = self.changes.apply(base)?;
        let (needed, actual) = (self.version, VersionDigest::of(&made));
        if needed != actual {
            return Err(DeltaError::OtherVersion { needed, actual });
        }
        self.seen_on(&made)
    }

    /// The picture that it leads to, where one of this version is known.
    pub(super) fn seen_on(&self, same: &Gossip) -> Result<Gossip, DeltaError> {
        Ok(Gossip {
            seen: self.seen.among(same.members.len())?,
            ..same.clone()
        })
    }
}

/// Both lists side by side: each member of either, where they are.
fn side_by_side<'a>(
    base: &'a [Member],
    picture: &'a [Member],
) -> impl Iterator<Item = (Option<(usize, &'a Member)>, Option<&'a Member>)> {
    let mut base = base.iter().enumerate().peekable();
    let mut picture = picture.iter().peekable();
    core::iter::from_fn(move || {
        let order = match (base.peek(), picture.peek()) {
            (None, None) => return None,
            (Some(_), None) => core::cmp::Ordering::Less,
            (None, Some(_)) => core::cmp::Ordering::Greater,
            (Some((_, before)), Some(now)) => before.node.cmp(&now.node),
        };
        let before = base.next_if(|_| order.is_le());
        Some((before, picture.next_if(|_| order.is_ge())))
    })
}

impl Changes {
    pub(super) fn new(base: &Gossip, picture: &Gossip) -> Self {
        let mut changes = Self::default();
        if !Arc::ptr_eq(&base.members, &picture.members) {
            changes.compare_members(base, picture);
        }
        if !Arc::ptr_eq(&base.tombstones, &picture.tombstones) {
            changes.compare_tombstones(base, picture);
        }
        changes.compare_counters(base, picture);
        if !Arc::ptr_eq(&base.reachability, &picture.reachability) || !changes.gone.is_empty() {
            changes.compare_tables(base, picture);
        }
        changes
    }

    /// How many things it says: what is compared with how many a whole picture says.
    pub(super) fn items(&self) -> usize {
        let rows = self.observers.iter().map(|said| 1 + said.rows.len());
        self.gone.len()
            + self.changed.len()
            + self.added.len()
            + self.buried.len()
            + self.forgotten.len()
            + self.counters.len()
            + self.silent.len()
            + rows.sum::<usize>()
    }

    fn compare_members(&mut self, base: &Gossip, picture: &Gossip) {
        let mut known = Profiles::of(base);
        for (before, now) in side_by_side(&base.members, &picture.members) {
            match (before, now) {
                (Some((at, before)), None) => {
                    let is_buried = picture.tombstones.contains(&before.node);
                    self.gone.push((place(at), is_buried));
                }
                (Some((at, before)), Some(now)) if before != now => {
                    let is_other = before.profile != now.profile;
                    self.changed.push(ChangedForm {
                        member: place(at),
                        status: now.status,
                        up_number: now.up_number,
                        downed_by: now.downed_by.clone(),
                        profile: is_other.then(|| known.place(&now.profile)),
                    });
                }
                (None, Some(now)) => self.added.push(MemberForm {
                    node: now.node.clone(),
                    status: now.status,
                    up_number: now.up_number,
                    downed_by: now.downed_by.clone(),
                    profile: known.place(&now.profile),
                }),
                (Some(_) | None, Some(_) | None) => {}
            }
        }
        self.profiles = known.new;
    }

    fn compare_tombstones(&mut self, base: &Gossip, picture: &Gossip) {
        let new = picture.tombstones.difference(&base.tombstones);
        let stood = new.filter(|node| !base.has(node));
        self.buried = stood.cloned().collect();
        let places = base.tombstones.iter().enumerate();
        let forgotten = places.filter(|(_, node)| !picture.tombstones.contains(*node));
        self.forgotten = forgotten.map(|(at, _)| place(at)).collect();
    }

    fn compare_counters(&mut self, base: &Gossip, picture: &Gossip) {
        let before: BTreeMap<ClockNode, u64> = base.version.iter().collect();
        let mut differ: BTreeMap<ClockNode, u64> = picture
            .version
            .iter()
            .filter(|(node, count)| before.get(node) != Some(count))
            .collect();
        for node in before.into_keys() {
            if picture.version.get(node) == 0 {
                differ.insert(node, 0);
            }
        }
        for (at, node) in counted(picture).enumerate() {
            if differ.is_empty() {
                break;
            }
            if let Some(count) = differ.remove(&node.into()) {
                self.counters.push((place(at), count));
            }
        }
    }

    fn compare_tables(&mut self, base: &Gossip, picture: &Gossip) {
        let carried = carried(base, &picture.members, !self.gone.is_empty());
        let before = carried.observers.keys();
        let silent = before.filter(|node| !picture.reachability.observers.contains_key(*node));
        let mut silent: Vec<u32> = silent
            .filter_map(|node| picture.index(node).map(place))
            .collect();
        silent.sort_unstable();
        self.silent = silent;
        let said = picture.reachability.observers.iter();
        let differ = said.filter(|(node, said)| carried.observers.get(*node) != Some(*said));
        self.observers = differ
            .filter_map(|(node, said)| ObserverForm::new(picture, node, said))
            .collect();
    }

    fn apply(&self, base: &Gossip) -> Result<Gossip, DeltaError> {
        rising("gone", self.gone.iter().map(|(at, _)| at))?;
        rising("changed", self.changed.iter().map(|changed| changed.member))?;
        rising("added", self.added.iter().map(|added| &added.node))?;
        at_most(
            "profiles",
            self.added.len() + self.changed.len(),
            self.profiles.len(),
        )?;
        for profile in &self.profiles {
            profile.check().map_err(FormError::Profile)?;
        }
        let (members, buried) = self.members(base)?;
        let tombstones = self.tombstones(base, buried)?;
        if let Some(both) = members
            .iter()
            .find(|member| tombstones.contains(&member.node))
        {
            let node = both.node.clone();
            return Err(FormError::Gone { node }.into());
        }
        let mut made = Gossip {
            members,
            tombstones,
            seen: Seen::default(),
            ..base.clone()
        };
        made.version = self.version(base, &made)?;
        made.reachability = self.table(base, &made)?;
        Ok(made)
    }

    /// The members that there are now, and which of those that are gone have a tombstone.
    fn members(&self, base: &Gossip) -> Result<(Arc<Vec<Member>>, Vec<UniqueAddress>), DeltaError> {
        let mut buried = Vec::new();
        if self.gone.is_empty() && self.changed.is_empty() && self.added.is_empty() {
            return Ok((base.members.clone(), buried));
        }
        let mut members = Vec::with_capacity(base.members.len() + self.added.len());
        let mut gone = self.gone.iter().peekable();
        let mut changed = self.changed.iter().peekable();
        let mut added = self.added.iter().peekable();
        for (here, member) in base.members.iter().enumerate() {
            let here = place(here);
            while let Some(new) = added.next_if(|new| new.node < member.node) {
                members.push(self.added(base, new)?);
            }
            let left = gone.next_if(|(at, _)| *at == here);
            let moved = changed.next_if(|changed| changed.member == here);
            match (left, moved) {
                (Some(_), Some(_)) => return Err(contradiction("members", here)),
                (Some((_, is_buried)), None) => {
                    buried.extend(is_buried.then(|| member.node.clone()));
                }
                (None, Some(moved)) => members.push(self.moved(base, member, moved)?),
                (None, None) => members.push(member.clone()),
            }
        }
        for new in added {
            members.push(self.added(base, new)?);
        }
        let beyond = gone.next().map(|(at, _)| *at);
        if let Some(beyond) = beyond.or_else(|| changed.next().map(|changed| changed.member)) {
            let what = "members";
            return Err(FormError::Place { what, at: beyond }.into());
        }
        at_most("members", 2 * MEMBERS_MAX, members.len())?;
        rising("members", members.iter().map(|member| &member.node))?;
        Ok((Arc::new(members), buried))
    }

    fn added(&self, base: &Gossip, new: &MemberForm) -> Result<Member, FormError> {
        let profile = self.profile(base, new.profile)?;
        new.clone().with(profile)
    }

    fn moved(
        &self,
        base: &Gossip,
        before: &Member,
        now: &ChangedForm,
    ) -> Result<Member, FormError> {
        let profile = match now.profile {
            Some(other) => self.profile(base, other)?,
            None => before.profile.clone(),
        };
        let form = MemberForm {
            node: before.node.clone(),
            status: now.status,
            up_number: now.up_number,
            downed_by: now.downed_by.clone(),
            profile: 0,
        };
        form.with(profile)
    }

    fn profile(&self, base: &Gossip, named: u32) -> Result<Arc<Profile>, FormError> {
        let index = usize::try_from(named).unwrap_or(usize::MAX);
        match base.members.get(index) {
            Some(alike) => Ok(alike.profile.clone()),
            None => {
                let behind = place(index - base.members.len());
                Ok(at("profiles", &self.profiles, behind)?.clone())
            }
        }
    }

    fn tombstones(
        &self,
        base: &Gossip,
        buried: Vec<UniqueAddress>,
    ) -> Result<Arc<BTreeSet<UniqueAddress>>, DeltaError> {
        rising("forgotten", self.forgotten.iter())?;
        rising("tombstones", self.buried.iter())?;
        if buried.is_empty() && self.buried.is_empty() && self.forgotten.is_empty() {
            return Ok(base.tombstones.clone());
        }
        let mut forgotten = self.forgotten.iter().peekable();
        let mut tombstones = BTreeSet::new();
        for (here, node) in base.tombstones.iter().enumerate() {
            if forgotten.next_if(|at| **at == place(here)).is_none() {
                tombstones.insert(node.clone());
            }
        }
        if let Some(beyond) = forgotten.next() {
            let (what, at) = ("tombstones", *beyond);
            return Err(FormError::Place { what, at }.into());
        }
        for (here, node) in self.buried.iter().enumerate() {
            if base.has(node) || !tombstones.insert(node.clone()) {
                return Err(contradiction("tombstones", place(here)));
            }
        }
        tombstones.extend(buried);
        at_most("tombstones", 2 * TOMBSTONES_MAX, tombstones.len())?;
        Ok(Arc::new(tombstones))
    }

    fn version(&self, base: &Gossip, made: &Gossip) -> Result<Arc<VectorClock>, DeltaError> {
        rising("counters", self.counters.iter().map(|(at, _)| at))?;
        let mut version = base.version.clone();
        let clock = Arc::make_mut(&mut version);
        let left = self.gone.iter().filter(|(_, is_buried)| !is_buried);
        for (gone, _) in left {
            clock.prune(ClockNode::from(&at("members", &base.members, *gone)?.node));
        }
        let mut forgotten = self.forgotten.iter().peekable();
        for (here, node) in base.tombstones.iter().enumerate() {
            if forgotten.peek().is_none() {
                break;
            }
            if forgotten.next_if(|at| **at == place(here)).is_some() && !made.has(node) {
                clock.prune(node.into());
            }
        }
        let mut counters = self.counters.iter().peekable();
        for (here, node) in counted(made).enumerate() {
            if counters.peek().is_none() {
                break;
            }
            if let Some((_, count)) = counters.next_if(|(at, _)| *at == place(here)) {
                clock.set(node.into(), *count);
            }
        }
        match counters.next() {
            Some((beyond, _)) => {
                let (what, at) = ("counters", *beyond);
                Err(FormError::Place { what, at }.into())
            }
            None => Ok(version),
        }
    }

    fn table(&self, base: &Gossip, made: &Gossip) -> Result<Arc<Reachability>, DeltaError> {
        rising("silent", self.silent.iter())?;
        let nodes: Vec<_> = made.members.iter().map(|member| &member.node).collect();
        let said = checked_table(self.observers.clone(), &nodes)?;
        if self.gone.is_empty() && self.silent.is_empty() && said.observers.is_empty() {
            return Ok(base.reachability.clone());
        }
        let mut table = carried(base, &made.members, !self.gone.is_empty());
        for here in &self.silent {
            let node: &UniqueAddress = at("silent", &nodes, *here)?;
            if table.observers.remove(node).is_none() || said.observers.contains_key(node) {
                return Err(contradiction("observers", *here));
            }
        }
        table.observers.extend(said.observers);
        Ok(Arc::new(table))
    }
}

fn contradiction(what: &'static str, at: u32) -> DeltaError {
    DeltaError::Contradiction { what, at }
}

/// Who may have a counter: the members, then the removed.
fn counted(gossip: &Gossip) -> impl Iterator<Item = &UniqueAddress> {
    let nodes = gossip.members.iter().map(|member| &member.node);
    nodes.chain(gossip.tombstones.iter())
}

/// What the table of `base` says of those who are still members.
fn carried(base: &Gossip, members: &[Member], has_gone: bool) -> Reachability {
    let mut table = Reachability::clone(&base.reachability);
    if has_gone {
        let stays = |node: &UniqueAddress| {
            members
                .binary_search_by(|member| member.node.cmp(node))
                .is_ok()
        };
        table.remove(|node| !stays(node));
    }
    table
}

/// Where a delta's receiver finds a profile.
struct Profiles<'a> {
    base: &'a [Member],
    /// Of the members of the base and of the new ones; made when it is first asked for, since most changes bring nobody new.
    places: BTreeMap<&'a Profile, u32>,
    new: Vec<Arc<Profile>>,
    added: BTreeMap<Arc<Profile>, u32>,
}

impl<'a> Profiles<'a> {
    fn of(base: &'a Gossip) -> Self {
        Self {
            base: &base.members,
            places: BTreeMap::new(),
            new: Vec::new(),
            added: BTreeMap::new(),
        }
    }

    fn place(&mut self, profile: &Arc<Profile>) -> u32 {
        if self.places.is_empty() {
            for (at, member) in self.base.iter().enumerate() {
                let places = self.places.entry(member.profile.as_ref());
                places.or_insert_with(|| place(at));
            }
        }
        if let Some(known) = self.places.get(profile.as_ref()) {
            return *known;
        }
        let behind = place(self.base.len() + self.new.len());
        *self.added.entry(profile.clone()).or_insert_with(|| {
            self.new.push(profile.clone());
            behind
        })
    }
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
