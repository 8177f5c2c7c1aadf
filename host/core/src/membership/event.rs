//! What changes in the cluster, for whoever wants to know.
//!
//! Events are the difference of two states that one node saw, so that a subscriber may miss a status that was passed over between them. Applied
//! to the first state they lead to the second ([`ClusterState::apply`]).

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::address::UniqueAddress;
use super::member::{Member, Status};
use super::reachability::Record;
use super::state::{ClusterState, Topology};

/// A change in the cluster, as one node saw it. Names and fields in JSON stay as they are within a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum ClusterEvent {
    /// Which removed incarnations are remembered.
    TombstonesChanged {
        /// All of them.
        tombstones: Vec<UniqueAddress>,
    },
    /// A member is gone for good.
    MemberRemoved {
        /// Who, as removed.
        member: Member,
        /// Exiting if it left, down if it was declared dead.
        previous: Status,
    },
    /// A node's join was accepted.
    MemberJoined {
        /// Who.
        member: Member,
    },
    /// A member was let in although the members do not agree.
    MemberWeaklyUp {
        /// Who.
        member: Member,
    },
    /// A member is a full one.
    MemberUp {
        /// Who.
        member: Member,
    },
    /// A member is to stay until the whole cluster stops.
    MemberPreparingForShutdown {
        /// Who.
        member: Member,
    },
    /// A member may be stopped with the whole cluster.
    MemberReadyForShutdown {
        /// Who.
        member: Member,
    },
    /// A member wants to go.
    MemberLeft {
        /// Who.
        member: Member,
    },
    /// The members agree that one goes; it shuts down.
    MemberExited {
        /// Who.
        member: Member,
    },
    /// A member was declared dead.
    MemberDowned {
        /// Who; `downed-by` says by whom.
        member: Member,
    },
    /// Two sides of a partition had told differently of a member of one status: how old it is, or who declared it dead.
    MemberChanged {
        /// Who, as both tell now.
        member: Member,
    },
    /// A member of the own data centre cannot be reached there.
    UnreachableMember {
        /// Who.
        member: Member,
    },
    /// It can again.
    ReachableMember {
        /// Who.
        member: Member,
    },
    /// Some member of another data centre cannot be reached from this one.
    UnreachableDataCenter {
        /// Which.
        dc: Arc<str>,
    },
    /// All of them can again.
    ReachableDataCenter {
        /// Which.
        dc: Arc<str>,
    },
    /// Another member leads the own data centre, or nobody.
    LeaderChanged {
        /// Who.
        leader: Option<UniqueAddress>,
    },
    /// Another member leads those with a role, or nobody.
    RoleLeaderChanged {
        /// The role.
        role: Arc<str>,
        /// Who.
        leader: Option<UniqueAddress>,
    },
    /// More members have seen the picture, or there is a new one.
    SeenChanged {
        /// Whether the members agree.
        converged: bool,
        /// Who has seen it.
        seen_by: Vec<UniqueAddress>,
    },
    /// Somebody says something else of somebody.
    ReachabilityChanged {
        /// All that is said.
        records: Vec<Record>,
    },
    /// Grains may live elsewhere.
    TopologyChanged {
        /// Where, as one number.
        topology: Topology,
    },
    /// This node's membership ends; it is removed next.
    ClusterShuttingDown,
}

/// What a subscriber wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// How far members have come, and the end of this node's membership.
    Members,
    /// Which members and data centres can be reached.
    Reachability,
    /// Who leads.
    Leaders,
    /// Where grains may live.
    Topology,
    /// Who has seen what, all that is said of whom, and who is remembered as removed: a great deal, for finding faults.
    Internals,
}

/// The topics that a subscriber wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interest(BTreeSet<Topic>);

impl Interest {
    /// Everything.
    pub fn all() -> Self {
        Self::of([
            Topic::Members,
            Topic::Reachability,
            Topic::Leaders,
            Topic::Topology,
            Topic::Internals,
        ])
    }

    /// These topics.
    pub fn of(topics: impl IntoIterator<Item = Topic>) -> Self {
        Self(topics.into_iter().collect())
    }

    /// The topics.
    pub fn topics(&self) -> impl Iterator<Item = Topic> + '_ {
        self.0.iter().copied()
    }

    /// Whether it has a topic.
    pub fn has(&self, topic: Topic) -> bool {
        self.0.contains(&topic)
    }
}

impl Default for Interest {
    /// Everything but [`Topic::Internals`].
    fn default() -> Self {
        let mut usual = Self::all();
        usual.0.remove(&Topic::Internals);
        usual
    }
}

impl ClusterEvent {
    /// The version of the names and fields.
    pub const VERSION: u32 = 1;

    /// The names of all events, in the order in which one difference tells them.
    pub const NAMES: [&'static str; 21] = [
        "tombstones-changed",
        "member-removed",
        "member-joined",
        "member-weakly-up",
        "member-up",
        "member-preparing-for-shutdown",
        "member-ready-for-shutdown",
        "member-left",
        "member-exited",
        "member-downed",
        "member-changed",
        "unreachable-member",
        "reachable-member",
        "unreachable-data-center",
        "reachable-data-center",
        "leader-changed",
        "role-leader-changed",
        "seen-changed",
        "reachability-changed",
        "topology-changed",
        "cluster-shutting-down",
    ];

    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TombstonesChanged { .. } => "tombstones-changed",
            Self::MemberRemoved { .. } => "member-removed",
            Self::MemberJoined { .. } => "member-joined",
            Self::MemberWeaklyUp { .. } => "member-weakly-up",
            Self::MemberUp { .. } => "member-up",
            Self::MemberPreparingForShutdown { .. } => "member-preparing-for-shutdown",
            Self::MemberReadyForShutdown { .. } => "member-ready-for-shutdown",
            Self::MemberLeft { .. } => "member-left",
            Self::MemberExited { .. } => "member-exited",
            Self::MemberDowned { .. } => "member-downed",
            Self::MemberChanged { .. } => "member-changed",
            Self::UnreachableMember { .. } => "unreachable-member",
            Self::ReachableMember { .. } => "reachable-member",
            Self::UnreachableDataCenter { .. } => "unreachable-data-center",
            Self::ReachableDataCenter { .. } => "reachable-data-center",
            Self::LeaderChanged { .. } => "leader-changed",
            Self::RoleLeaderChanged { .. } => "role-leader-changed",
            Self::SeenChanged { .. } => "seen-changed",
            Self::ReachabilityChanged { .. } => "reachability-changed",
            Self::TopologyChanged { .. } => "topology-changed",
            Self::ClusterShuttingDown => "cluster-shutting-down",
        }
    }

    /// What it belongs to.
    pub fn topic(&self) -> Topic {
        match self {
            Self::MemberRemoved { .. }
            | Self::MemberJoined { .. }
            | Self::MemberWeaklyUp { .. }
            | Self::MemberUp { .. }
            | Self::MemberPreparingForShutdown { .. }
            | Self::MemberReadyForShutdown { .. }
            | Self::MemberLeft { .. }
            | Self::MemberExited { .. }
            | Self::MemberDowned { .. }
            | Self::MemberChanged { .. }
            | Self::ClusterShuttingDown => Topic::Members,
            Self::UnreachableMember { .. }
            | Self::ReachableMember { .. }
            | Self::UnreachableDataCenter { .. }
            | Self::ReachableDataCenter { .. } => Topic::Reachability,
            Self::LeaderChanged { .. } | Self::RoleLeaderChanged { .. } => Topic::Leaders,
            Self::TopologyChanged { .. } => Topic::Topology,
            Self::SeenChanged { .. }
            | Self::ReachabilityChanged { .. }
            | Self::TombstonesChanged { .. } => Topic::Internals,
        }
    }

    /// The member that it is about.
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::MemberRemoved { member, .. }
            | Self::MemberJoined { member }
            | Self::MemberWeaklyUp { member }
            | Self::MemberUp { member }
            | Self::MemberPreparingForShutdown { member }
            | Self::MemberReadyForShutdown { member }
            | Self::MemberLeft { member }
            | Self::MemberExited { member }
            | Self::MemberDowned { member }
            | Self::MemberChanged { member }
            | Self::UnreachableMember { member }
            | Self::ReachableMember { member } => Some(member),
            Self::UnreachableDataCenter { .. }
            | Self::ReachableDataCenter { .. }
            | Self::LeaderChanged { .. }
            | Self::RoleLeaderChanged { .. }
            | Self::TopologyChanged { .. }
            | Self::SeenChanged { .. }
            | Self::ReachabilityChanged { .. }
            | Self::TombstonesChanged { .. }
            | Self::ClusterShuttingDown => None,
        }
    }

    /// The node that it is about: a member, or who leads now.
    pub fn node(&self) -> Option<&UniqueAddress> {
        if let Self::LeaderChanged { leader } | Self::RoleLeaderChanged { leader, .. } = self {
            return leader.as_ref();
        }
        self.member().map(|member| &member.node)
    }

    /// What tells that a member is as it is.
    fn of_status(member: Member) -> Self {
        match member.status {
            Status::Joining => Self::MemberJoined { member },
            Status::WeaklyUp => Self::MemberWeaklyUp { member },
            Status::Up => Self::MemberUp { member },
            Status::PreparingForShutdown => Self::MemberPreparingForShutdown { member },
            Status::ReadyForShutdown => Self::MemberReadyForShutdown { member },
            Status::Leaving => Self::MemberLeft { member },
            Status::Exiting => Self::MemberExited { member },
            Status::Down => Self::MemberDowned { member },
            Status::Removed => Self::removed(member, Status::Removed),
        }
    }

    fn removed(member: Member, previous: Status) -> Self {
        let status = Status::Removed;
        let member = Member { status, ..member };
        Self::MemberRemoved { member, previous }
    }
}

/// What changed from one state to a later one, in the order in which it is told: who is removed before who is new, members before who can be
/// reached, and who leads after both.
pub fn diff(before: &ClusterState, after: &ClusterState, interest: &Interest) -> Vec<ClusterEvent> {
    let mut events = Vec::new();
    if interest.has(Topic::Internals) && before.tombstones != after.tombstones {
        let tombstones = after.tombstones.iter().cloned().collect();
        events.push(ClusterEvent::TombstonesChanged { tombstones });
    }
    if interest.has(Topic::Members) && !Arc::ptr_eq(&before.members, &after.members) {
        diff_members(&before.members, &after.members, &mut events);
    }
    if interest.has(Topic::Reachability) {
        diff_reachable(before, after, &mut events);
    }
    if interest.has(Topic::Leaders) {
        diff_leaders(before, after, &mut events);
    }
    if interest.has(Topic::Internals) {
        diff_internals(before, after, &mut events);
    }
    if interest.has(Topic::Topology) && before.topology != after.topology {
        let topology = after.topology;
        events.push(ClusterEvent::TopologyChanged { topology });
    }
    events
}

fn diff_members(before: &[Member], after: &[Member], events: &mut Vec<ClusterEvent>) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.node.cmp(&new.node),
        };
        let old = before.next_if(|_| order.is_le());
        let new = after.next_if(|_| order.is_ge());
        match (old, new) {
            (Some(old), None) => events.push(ClusterEvent::removed(old.clone(), old.status)),
            (None, Some(new)) => changes.push(ClusterEvent::of_status(new.clone())),
            (Some(old), Some(new)) if old.status != new.status => {
                changes.push(ClusterEvent::of_status(new.clone()));
            }
            (Some(old), Some(new)) if old != new => {
                let member = new.clone();
                changes.push(ClusterEvent::MemberChanged { member });
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    events.append(&mut changes);
}

fn diff_reachable(before: &ClusterState, after: &ClusterState, events: &mut Vec<ClusterEvent>) {
    if !Arc::ptr_eq(&before.unreachable, &after.unreachable) {
        let lost = after.unreachable.difference(&before.unreachable);
        let lost = lost.filter_map(|node| after.member(node)).cloned();
        events.extend(lost.map(|member| ClusterEvent::UnreachableMember { member }));
        let found = before.unreachable.difference(&after.unreachable);
        let found = found.filter_map(|node| after.member(node)).cloned();
        events.extend(found.map(|member| ClusterEvent::ReachableMember { member }));
    }
    if !Arc::ptr_eq(&before.unreachable_dcs, &after.unreachable_dcs) {
        let lost = after
            .unreachable_dcs
            .difference(&before.unreachable_dcs)
            .cloned();
        events.extend(lost.map(|dc| ClusterEvent::UnreachableDataCenter { dc }));
        let found = before
            .unreachable_dcs
            .difference(&after.unreachable_dcs)
            .cloned();
        events.extend(found.map(|dc| ClusterEvent::ReachableDataCenter { dc }));
    }
}

fn diff_leaders(before: &ClusterState, after: &ClusterState, events: &mut Vec<ClusterEvent>) {
    if before.leader != after.leader {
        let leader = after.leader.clone();
        events.push(ClusterEvent::LeaderChanged { leader });
    }
    if Arc::ptr_eq(&before.role_leaders, &after.role_leaders) {
        return;
    }
    let roles: BTreeSet<_> = before
        .role_leaders
        .keys()
        .chain(after.role_leaders.keys())
        .collect();
    for role in roles {
        let leader = after.role_leaders.get(role);
        if before.role_leaders.get(role) != leader {
            let (role, leader) = (role.clone(), leader.cloned());
            events.push(ClusterEvent::RoleLeaderChanged { role, leader });
        }
    }
}

fn diff_internals(before: &ClusterState, after: &ClusterState, events: &mut Vec<ClusterEvent>) {
    let same_seen = if Arc::ptr_eq(&before.members, &after.members) {
        before.seen == after.seen
    } else {
        before.seen_by().eq(after.seen_by())
    };
    if !same_seen || before.converged != after.converged {
        let converged = after.converged;
        let seen_by = after.seen_by().cloned().collect();
        events.push(ClusterEvent::SeenChanged { converged, seen_by });
    }
    if !before.reachability.says_the_same_as(&after.reachability) {
        let records = after.reachability.records().collect();
        events.push(ClusterEvent::ReachabilityChanged { records });
    }
}

#[cfg(test)]
mod tests;
