//! What a downing policy is shown: the members of one data centre, who cannot reach whom, and who has seen the current gossip.
//!
//! In: members, unreachability records, a seen set. Out: the sets from which every decision is made. A picture does not change.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::hash::Hasher;
use crate::membership::address::UniqueAddress;
use crate::membership::member::{Member, Status};

/// A member as far as downing cares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Voter {
    /// Which incarnation.
    pub node: UniqueAddress,
    /// How far it has come.
    pub status: Status,
    /// Its place in the order of age; none counts as the youngest.
    pub up_number: Option<u32>,
    /// Its roles.
    pub roles: BTreeSet<Arc<str>>,
    /// Its data centre.
    pub dc: Arc<str>,
}

impl From<&Member> for Voter {
    fn from(member: &Member) -> Self {
        Self {
            node: member.node.clone(),
            status: member.status,
            up_number: member.up_number,
            roles: member.profile.roles.clone(),
            dc: Arc::clone(&member.profile.dc),
        }
    }
}

impl Voter {
    /// Whether it counts whatever a strategy doubts; those that do not are counted only where the other side may know more of them.
    fn is_member(&self) -> bool {
        self.status.counts()
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.status, Status::Joining | Status::WeaklyUp)
    }

    /// Whether downing it means anything: it is neither down nor on its way out already.
    pub fn is_downable(&self) -> bool {
        self.is_member() || self.is_joining()
    }

    /// Whether it has the role, listed or implied by its data centre.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role) || role.strip_prefix("dc-") == Some(&*self.dc)
    }

    /// Its place in the order of age, oldest first.
    pub(super) fn age(&self) -> (u32, &UniqueAddress) {
        (self.up_number.unwrap_or(u32::MAX), &self.node)
    }
}

/// One member does not reach another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Observation {
    /// Who says so.
    pub observer: UniqueAddress,
    /// Whom it does not reach.
    pub subject: UniqueAddress,
    /// Whether the subject is known to be gone for good. It decides nothing here; it is kept for those who read an explanation.
    #[serde(default)]
    pub is_terminated: bool,
}

/// Which members a count takes in, beside those that are up and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Count those that join: the other side may have let them in.
    pub possibly_up: bool,
    /// Leave out those that leave: the other side may have let them go.
    pub possibly_exiting: bool,
}

impl Doubt {
    /// The picture as it is.
    pub const NONE: Self = Self {
        possibly_up: false,
        possibly_exiting: false,
    };
}

/// Members on either side of a partition, as far as they count.
#[derive(Debug, Clone, Default)]
pub struct Sides<'a> {
    /// Those that can be reached, in address order.
    pub here: Vec<&'a Voter>,
    /// Those that cannot, in address order.
    pub there: Vec<&'a Voter>,
}

impl<'a> Sides<'a> {
    /// Everyone who counts, in no order.
    pub fn all(&self) -> impl Iterator<Item = &'a Voter> {
        self.here.iter().chain(&self.there).copied()
    }

    /// The member with the lowest address.
    pub fn lowest(&self) -> Option<&'a Voter> {
        self.all().min_by_key(|voter| &voter.node)
    }

    /// The member that has been up the longest.
    pub fn oldest(&self) -> Option<&'a Voter> {
        self.all().min_by_key(|voter| voter.age())
    }
}

/// One data centre as one node sees it at one moment.
///
/// Holds members of the own data centre only, and records between those; what a member says that is down is not heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Picture {
    this: UniqueAddress,
    dc: Arc<str>,
    voters: BTreeMap<UniqueAddress, Voter>,
    rows: Vec<Observation>,
    seen_by: BTreeSet<UniqueAddress>,
    unreachable: BTreeSet<UniqueAddress>,
}

impl Picture {
    /// Puts a picture together for the node `this` in the data centre `dc`.
    pub fn new(
        this: UniqueAddress,
        dc: Arc<str>,
        voters: impl IntoIterator<Item = Voter>,
        rows: impl IntoIterator<Item = Observation>,
        seen_by: impl IntoIterator<Item = UniqueAddress>,
    ) -> Self {
        let voters: BTreeMap<_, _> = voters
            .into_iter()
            .filter(|voter| voter.dc == dc && voter.status != Status::Removed)
            .map(|voter| (voter.node.clone(), voter))
            .collect();
        let is_heard = |row: &Observation| {
            row.observer != row.subject
                && voters.contains_key(&row.subject)
                && voters
                    .get(&row.observer)
                    .is_some_and(|observer| observer.status != Status::Down)
        };
        let mut rows: Vec<_> = rows.into_iter().filter(is_heard).collect();
        rows.sort_unstable();
        rows.dedup();
        let mut seen_by: BTreeSet<_> = seen_by.into_iter().collect();
        seen_by.retain(|node| voters.contains_key(node));
        Self {
            this,
            dc,
            voters,
            unreachable: rows.iter().map(|row| row.subject.clone()).collect(),
            rows,
            seen_by,
        }
    }

    /// Whose picture it is.
    pub fn this(&self) -> &UniqueAddress {
        &self.this
    }

    /// The own data centre's members, in address order.
    pub fn voters(&self) -> impl Iterator<Item = &Voter> {
        self.voters.values()
    }

    /// A member.
    pub(super) fn voter(&self, node: &UniqueAddress) -> Option<&Voter> {
        self.voters.get(node)
    }

    /// The members and how far they have come, as one number: the same on all nodes that know the same of them.
    pub(super) fn electorate(&self) -> u64 {
        let hasher = self.voters.values().fold(Hasher::new(), |hasher, voter| {
            hasher
                .number(voter.node.hash64())
                .number(u64::from(voter.status as u8))
        });
        hasher.finish()
    }

    /// Members that can still be downed and that this node does not say it cannot reach.
    pub(super) fn answering(&self) -> BTreeSet<UniqueAddress> {
        let mut answering = self.downable();
        for row in self.rows.iter().filter(|row| row.observer == self.this) {
            answering.remove(&row.subject);
        }
        answering
    }

    /// Who cannot reach whom.
    pub fn rows(&self) -> &[Observation] {
        &self.rows
    }

    /// Who has seen the gossip that this is drawn from.
    pub fn seen_by(&self) -> &BTreeSet<UniqueAddress> {
        &self.seen_by
    }

    /// Members that somebody cannot reach.
    pub fn unreachable(&self) -> &BTreeSet<UniqueAddress> {
        &self.unreachable
    }

    /// Whether the member that led before anybody was unreachable is on this side: only it lets members in and go.
    pub(super) fn is_led_from_here(&self) -> bool {
        let led = self.voters().find(|voter| voter.is_member());
        led.is_some_and(|leader| !self.unreachable.contains(&leader.node))
    }

    /// Members that can still be downed.
    pub fn downable(&self) -> BTreeSet<UniqueAddress> {
        let downable = self.voters().filter(|voter| voter.is_downable());
        downable.map(|voter| voter.node.clone()).collect()
    }

    /// Members with the role (all of them for none) that count, by whether they can be reached.
    pub fn sides(&self, role: Option<&str>, doubt: Doubt) -> Sides<'_> {
        let mut sides = Sides::default();
        for voter in self.voters() {
            let counts = (voter.is_member() || (doubt.possibly_up && voter.is_joining()))
                && !(doubt.possibly_exiting && voter.status == Status::Leaving)
                && role.is_none_or(|role| voter.has_role(role));
            if !counts {
                continue;
            }
            if self.unreachable.contains(&voter.node) {
                sides.there.push(voter);
            } else {
                sides.here.push(voter);
            }
        }
        sides
    }

    /// Members that are marked unreachable and yet take part, by way of others.
    ///
    /// Neither a crash nor a clean partition looks like this: one that sees others as unreachable while others see it so, or one that
    /// is marked and has seen the current gossip all the same, together with who marked it.
    pub fn indirectly_connected(&self) -> BTreeSet<UniqueAddress> {
        let mut indirect = self.observers_among_subjects();
        indirect.extend(self.marked_though_seen());
        indirect
    }

    fn observers_among_subjects(&self) -> BTreeSet<UniqueAddress> {
        let observers = self.rows.iter().map(|row| &row.observer);
        let both = observers.filter(|observer| self.unreachable.contains(*observer));
        both.cloned().collect()
    }

    fn marked_though_seen(&self) -> BTreeSet<UniqueAddress> {
        let marked = self
            .rows
            .iter()
            .filter(|row| self.seen_by.contains(&row.subject));
        marked
            .flat_map(|row| [row.observer.clone(), row.subject.clone()])
            .collect()
    }

    /// The picture as those see it who take part; none while somebody is neither known to take part nor marked.
    ///
    /// Their records count, and those by which a member that exits, and may be gone, holds up one who takes part. Whoever takes no part is
    /// unreachable, even if nobody has come to mark it whose records always count.
    pub(super) fn as_seen_by(&self, participants: &BTreeSet<UniqueAddress>) -> Option<Self> {
        let takes_part = |node: &UniqueAddress| participants.contains(node);
        let is_marked = |node: &UniqueAddress| self.unreachable.contains(node);
        let downable = self.downable();
        if !downable.iter().all(|it| takes_part(it) || is_marked(it)) {
            return None;
        }
        let mut rows = self.rows.clone();
        rows.retain(|row| {
            let exits = !downable.contains(&row.observer);
            takes_part(&row.observer) || (exits && takes_part(&row.subject))
        });
        // What somebody says that exits is left out where indirectly connected members are.
        let lasting = rows.iter().filter(|row| downable.contains(&row.observer));
        let marked: BTreeSet<_> = lasting.map(|row| row.subject.clone()).collect();
        let mut observers = downable.iter().filter(|node| takes_part(node));
        let own = observers.clone().find(|node| **node == self.this);
        let observer = own.or_else(|| observers.next()).unwrap_or(&self.this);
        let absent = self.unreachable.iter();
        let absent = absent.filter(|node| !takes_part(node) && !marked.contains(*node));
        rows.extend(absent.map(|subject| Observation {
            observer: observer.clone(),
            subject: subject.clone(),
            is_terminated: false,
        }));
        let (this, dc) = (self.this.clone(), Arc::clone(&self.dc));
        let voters = self.voters.values().cloned();
        let participants = participants.iter().cloned();
        Some(Self::new(this, dc, voters, rows, participants))
    }

    /// The same members, of whom these and no others take part, and reach each other alone. None for nobody.
    pub(super) fn split_off(&self, here: &BTreeSet<UniqueAddress>) -> Option<Self> {
        let observer = here.get(&self.this).or_else(|| here.first())?;
        let there = self.downable().into_iter();
        let rows = there
            .filter(|node| !here.contains(node))
            .map(|subject| Observation {
                observer: observer.clone(),
                subject,
                is_terminated: false,
            });
        let (this, dc) = (self.this.clone(), Arc::clone(&self.dc));
        let voters = self.voters.values().cloned();
        Some(Self::new(this, dc, voters, rows, here.iter().cloned()))
    }

    /// The same picture without the records among indirectly connected members, and without those of members that cannot be downed:
    /// what is left is the clean part of the trouble.
    pub(super) fn without_indirect(&self) -> Self {
        let downable = self.downable();
        let crossing = self.observers_among_subjects();
        let marked = self.marked_though_seen();
        let within = |set: &BTreeSet<UniqueAddress>, row: &Observation| {
            set.contains(&row.observer) && set.contains(&row.subject)
        };
        let rows = self.rows.iter().filter(|row| {
            within(&downable, row) && !within(&crossing, row) && !within(&marked, row)
        });
        let rows: Vec<_> = rows.cloned().collect();
        Self {
            unreachable: rows.iter().map(|row| row.subject.clone()).collect(),
            rows,
            ..self.clone()
        }
    }
}

/// A picture as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Picture", rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    this: UniqueAddress,
    dc: Arc<str>,
    members: Vec<Voter>,
    unreachable: Vec<Observation>,
    seen_by: BTreeSet<UniqueAddress>,
}

impl From<Written> for Picture {
    fn from(written: Written) -> Self {
        Self::new(
            written.this,
            written.dc,
            written.members,
            written.unreachable,
            written.seen_by,
        )
    }
}

impl From<Picture> for Written {
    fn from(picture: Picture) -> Self {
        Self {
            this: picture.this,
            dc: picture.dc,
            members: picture.voters.into_values().collect(),
            unreachable: picture.rows,
            seen_by: picture.seen_by,
        }
    }
}
