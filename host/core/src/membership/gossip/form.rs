//! A picture as it is sent: each address and each profile once, everything else by place.
//!
//! What comes in is held against the invariants and the limits before it is a [`Gossip`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::super::address::UniqueAddress;
use super::super::member::{Decider, Member, Profile, ProfileError, Status};
use super::super::reachability::{Observer, Reach, Reachability};
use super::super::vector_clock::{ClockNode, VectorClock};
use super::{Gossip, MEMBERS_MAX, SparseSeen, TOMBSTONES_MAX};

/// Why what was sent is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// There are more than may be.
    #[error("a picture holds at most {max} {what}, not {actual}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit. Twice what one node lets in: two sides of a partition may each have let in as many.
        max: usize,
        /// How many there are.
        actual: usize,
    },
    /// Something stands twice or in the wrong order.
    #[error("the {what} of a picture are not in order")]
    Order {
        /// What.
        what: &'static str,
    },
    /// A place in a list that is not there.
    #[error("the {what} of a picture name place {at}, which is not there")]
    Place {
        /// What.
        what: &'static str,
        /// The place.
        at: u32,
    },
    /// A member has a status that none can have in a picture, or lacks what goes with it.
    #[error("a picture cannot hold {node} as {status}")]
    Member {
        /// Which.
        node: UniqueAddress,
        /// Its status.
        status: Status,
    },
    /// A member is also among the removed.
    #[error("{node} is both a member and removed")]
    Gone {
        /// Which.
        node: UniqueAddress,
    },
    /// A member's profile breaks a limit.
    #[error("a profile in a picture breaks a limit")]
    Profile(#[source] ProfileError),
}

/// A picture as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Form {
    pub(super) profiles: Vec<Arc<Profile>>,
    pub(super) members: Vec<MemberForm>,
    pub(super) tombstones: Vec<UniqueAddress>,
    pub(super) seen: SparseSeen,
    /// Place among the members, or behind them among the tombstones, and counter.
    pub(super) version: Vec<(u32, u64)>,
    pub(super) observers: Vec<ObserverForm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberForm {
    pub(super) node: UniqueAddress,
    pub(super) status: Status,
    pub(super) up_number: Option<u32>,
    pub(super) downed_by: Option<Decider>,
    /// Place among the profiles.
    pub(super) profile: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObserverForm {
    /// Place among the members.
    pub(super) observer: u32,
    pub(super) version: u64,
    /// Subject, by its place, opinion and version.
    pub(super) rows: Vec<(u32, Reach, u64)>,
}

impl ObserverForm {
    /// What an observer says in a picture; nothing if it is no member there.
    pub(super) fn new(gossip: &Gossip, observer: &UniqueAddress, said: &Observer) -> Option<Self> {
        let index = |node: &UniqueAddress| gossip.index(node).map(place);
        let rows = said.rows.iter();
        let rows = rows
            .filter_map(|(subject, (reach, version))| Some((index(subject)?, *reach, *version)));
        Some(Self {
            observer: index(observer)?,
            version: said.version,
            rows: rows.collect(),
        })
    }
}

/// A place as it is sent. The limits are far below.
pub(super) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl From<Gossip> for Form {
    fn from(gossip: Gossip) -> Self {
        let mut profiles = Vec::new();
        let mut known: BTreeMap<&Profile, u32> = BTreeMap::new();
        let mut members = Vec::with_capacity(gossip.members.len());
        for member in gossip.members.iter() {
            let profile = *known.entry(member.profile.as_ref()).or_insert_with(|| {
                profiles.push(member.profile.clone());
                place(profiles.len() - 1)
            });
            members.push(MemberForm {
                node: member.node.clone(),
                status: member.status,
                up_number: member.up_number,
                downed_by: member.downed_by.clone(),
                profile,
            });
        }
        let nodes = gossip.members.iter().map(|member| &member.node);
        let counted = nodes.chain(gossip.tombstones.iter()).enumerate();
        let version = counted.filter_map(|(at, node)| {
            let count = gossip.version.get(node.into());
            (count != 0).then_some((place(at), count))
        });
        let observers = gossip.reachability.observers.iter();
        let observers = observers.filter_map(|(node, said)| ObserverForm::new(&gossip, node, said));
        Self {
            version: version.collect(),
            observers: observers.collect(),
            profiles,
            members,
            tombstones: gossip.tombstones.iter().cloned().collect(),
            seen: SparseSeen::new(&gossip.seen, gossip.members.len()),
        }
    }
}

impl TryFrom<Form> for Gossip {
    type Error = FormError;

    fn try_from(form: Form) -> Result<Self, FormError> {
        at_most("members", 2 * MEMBERS_MAX, form.members.len())?;
        at_most("tombstones", 2 * TOMBSTONES_MAX, form.tombstones.len())?;
        at_most("profiles", form.members.len(), form.profiles.len())?;
        rising("tombstones", form.tombstones.iter())?;
        rising("members", form.members.iter().map(|member| &member.node))?;
        for profile in &form.profiles {
            profile.check().map_err(FormError::Profile)?;
        }
        let members = form.members.into_iter();
        let members: Vec<Member> = members
            .map(|member| member.checked(&form.profiles))
            .collect::<Result<_, _>>()?;
        let tombstones: BTreeSet<_> = form.tombstones.into_iter().collect();
        if let Some(both) = members
            .iter()
            .find(|member| tombstones.contains(&member.node))
        {
            let node = both.node.clone();
            return Err(FormError::Gone { node });
        }
        let nodes: Vec<_> = members.iter().map(|member| &member.node).collect();
        let counted: Vec<_> = nodes.iter().copied().chain(&tombstones).collect();
        let version = checked_version(&form.version, &counted)?;
        let reachability = checked_table(form.observers, &nodes)?;
        Ok(Self {
            seen: form.seen.among(members.len())?,
            members: Arc::new(members),
            reachability: Arc::new(reachability),
            version: Arc::new(version),
            tombstones: Arc::new(tombstones),
        })
    }
}

impl MemberForm {
    fn checked(self, profiles: &[Arc<Profile>]) -> Result<Member, FormError> {
        let profile = at("profiles", profiles, self.profile)?.clone();
        self.with(profile)
    }

    /// The member, if one with its status can be in a picture.
    pub(super) fn with(self, profile: Arc<Profile>) -> Result<Member, FormError> {
        let numbered = match self.status {
            Status::Up | Status::PreparingForShutdown | Status::ReadyForShutdown => {
                self.up_number.is_some()
            }
            Status::Joining | Status::WeaklyUp => self.up_number.is_none(),
            Status::Leaving | Status::Exiting | Status::Down => true,
            Status::Removed => false,
        };
        if !numbered || (self.status == Status::Down) != self.downed_by.is_some() {
            let (node, status) = (self.node, self.status);
            return Err(FormError::Member { node, status });
        }
        if let Some(Decider::Policy(name)) = &self.downed_by {
            at_most(
                "bytes of a policy's name",
                Profile::NAME_BYTES_MAX,
                name.len(),
            )?;
        }
        Ok(Member {
            node: self.node,
            status: self.status,
            up_number: self.up_number,
            downed_by: self.downed_by,
            profile,
        })
    }
}

fn checked_version(
    version: &[(u32, u64)],
    counted: &[&UniqueAddress],
) -> Result<VectorClock, FormError> {
    rising("versions", version.iter().map(|(at, _)| at))?;
    let counters = version.iter().map(|(place, count)| {
        let node: &UniqueAddress = at("versions", counted, *place)?;
        Ok((ClockNode::from(node), *count))
    });
    counters.collect()
}

pub(super) fn checked_table(
    observers: Vec<ObserverForm>,
    nodes: &[&UniqueAddress],
) -> Result<Reachability, FormError> {
    rising("observers", observers.iter().map(|said| said.observer))?;
    let mut table = Reachability::default();
    for said in observers {
        rising("rows", said.rows.iter().map(|(subject, ..)| subject))?;
        let mut rows = BTreeMap::new();
        for (subject, reach, version) in said.rows {
            if said.version < version {
                return Err(FormError::Order {
                    what: "versions of rows",
                });
            }
            let subject: &UniqueAddress = at("rows", nodes, subject)?;
            rows.insert(subject.clone(), (reach, version));
        }
        let observer: &UniqueAddress = at("observers", nodes, said.observer)?;
        let version = said.version;
        table
            .observers
            .insert(observer.clone(), Observer { version, rows });
    }
    Ok(table)
}

pub(super) fn at_most(what: &'static str, max: usize, actual: usize) -> Result<(), FormError> {
    if max < actual {
        return Err(FormError::TooMany { what, max, actual });
    }
    Ok(())
}

pub(super) fn rising<T: Ord>(
    what: &'static str,
    items: impl Iterator<Item = T>,
) -> Result<(), FormError> {
    if items.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(FormError::Order { what })
    }
}

pub(super) fn at<'a, T>(
    what: &'static str,
    items: &'a [T],
    place: u32,
) -> Result<&'a T, FormError> {
    let index = usize::try_from(place).unwrap_or(usize::MAX);
    items.get(index).ok_or(FormError::Place { what, at: place })
}
