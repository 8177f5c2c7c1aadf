//! The cluster as a node tells of it: one consistent state, made from one picture.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::address::UniqueAddress;
use super::event::ClusterEvent;
use super::gossip::Seen;
use super::member::{Member, Status};
use super::order::by_age;
use super::reachability::{Reachability, Record};
use super::vector_clock::VectorClock;
use super::view::View;
use crate::hash::Hasher;

/// Where grains may live, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Topology {
    /// Equal on two nodes if the same members are full ones and can be reached, and the same are weakly so: they then answer every question
    /// of placement alike. For people, and in JSON, it is written in 16 hexadecimal digits, like a uid.
    #[serde(with = "hex")]
    pub hash: u64,
    /// Counts the changes of the hash that this node has seen. It orders what one node does; between nodes the hash is compared.
    pub epoch: u64,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            hash: Hasher::new().finish(),
            epoch: 0,
        }
    }
}

/// The cluster as one node sees it. Everything in it is from one version of its picture. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterState {
    /// Grows with every change of this state. It orders what one node says, and tells nothing to others.
    pub version: u64,
    /// The members, in the order of their addresses.
    pub members: Arc<Vec<Member>>,
    /// Those that some member of the own data centre cannot reach there; never the node itself.
    pub unreachable: Arc<BTreeSet<UniqueAddress>>,
    /// Those that are no place for grains, as somebody who counts cannot reach them: it may be the node itself, but nobody is in it because of what a
    /// member says that is down. The same on all nodes of a data centre that have one topology hash. Events do not tell it.
    pub out_of_reach: Arc<BTreeSet<UniqueAddress>>,
    /// The other data centres that cannot be reached.
    pub unreachable_dcs: Arc<BTreeSet<Arc<str>>>,
    /// Who leads the own data centre.
    pub leader: Option<UniqueAddress>,
    /// Who leads the members of each role of the own data centre.
    pub role_leaders: Arc<BTreeMap<Arc<str>, UniqueAddress>>,
    /// Whether the members agree.
    pub converged: bool,
    /// Where grains may live.
    pub topology: Topology,
    /// The incarnations that were removed and must not come back.
    pub tombstones: Arc<BTreeSet<UniqueAddress>>,
    /// Who says what of whom.
    pub reachability: Arc<Reachability>,
    /// Which members have seen the picture.
    pub(super) seen: Seen,
    /// Which picture it is made from. Two pictures of one version are equal, but for who has seen them.
    clock: Arc<VectorClock>,
}

impl ClusterState {
    /// The state that follows this one, with `view`'s picture; none if nothing is different.
    pub fn next(
        &self,
        view: &View<'_>,
        exiting_confirmed: &BTreeSet<UniqueAddress>,
    ) -> Option<Self> {
        let gossip = view.gossip();
        let converged = view.is_converged(exiting_confirmed);
        let same_picture = *self.clock == **gossip.version();
        if same_picture && self.converged == converged && self.seen == *gossip.seen() {
            return None;
        }
        let mut next = self.clone();
        next.converged = converged;
        next.seen = gossip.seen().clone();
        if !same_picture {
            next.clock = gossip.version().clone();
            keep(&mut next.unreachable, view.unreachable().cloned().collect());
            keep(&mut next.unreachable_dcs, view.unreachable_dcs());
            keep(&mut next.role_leaders, view.role_leaders());
            next.leader = view.leader().cloned();
            next.topology = self.topology.followed_by(view);
            let reachable = view.reachable_members().map(|member| &member.node);
            let reachable: BTreeSet<&UniqueAddress> = reachable.collect();
            let nodes = gossip.members().iter().map(|member| &member.node);
            let beyond = nodes.filter(|node| !reachable.contains(node));
            keep(&mut next.out_of_reach, beyond.cloned().collect());
            next.members = gossip.shared_members();
            next.reachability = gossip.shared_reachability();
            next.tombstones = gossip.tombstones().clone();
        }
        next.version += 1;
        Some(next)
    }

    /// The state when this node's membership has ended: it is not a member any more, and tells of nothing that comes after.
    #[must_use]
    pub fn ended(&self, me: &UniqueAddress) -> Self {
        let mut ended = self.clone();
        if let Ok(at) = ended.place(me) {
            ended.change_members(|members| drop(members.remove(at)));
        }
        ended.leader = ended.leader.filter(|leader| leader != me);
        let leaders = ended
            .role_leaders
            .iter()
            .filter(|(_, leader)| *leader != me);
        ended.role_leaders = Arc::new(leaders.map(|(r, l)| (r.clone(), l.clone())).collect());
        ended.converged = false;
        ended.version += 1;
        ended
    }

    /// A member.
    pub fn member(&self, node: &UniqueAddress) -> Option<&Member> {
        self.members.get(self.place(node).ok()?)
    }

    /// Who has seen the picture.
    pub fn seen_by(&self) -> impl Iterator<Item = &UniqueAddress> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(at, member)| self.seen.has(at).then_some(&member.node))
    }

    /// The oldest member of a data centre that counts, of those with a role if one is named: the host of what there is one of.
    pub fn oldest(&self, dc: &str, role: Option<&str>) -> Option<&UniqueAddress> {
        let members = self.members.iter();
        let fit = members.filter(|member| member.dc().as_ref() == dc && member.status.counts());
        let of_role = fit.filter(|member| role.is_none_or(|role| member.has_role(role)));
        of_role
            .min_by(|a, b| by_age(a, b))
            .map(|member| &member.node)
    }

    /// Whether two states tell the same, but for what each node counts for itself.
    pub fn tells_the_same_as(&self, other: &Self) -> bool {
        let told = |state: &Self| Self {
            version: 0,
            topology: Topology {
                epoch: 0,
                ..state.topology
            },
            reachability: Arc::default(),
            out_of_reach: Arc::default(),
            clock: Arc::default(),
            ..state.clone()
        };
        told(self) == told(other) && self.reachability.says_the_same_as(&other.reachability)
    }

    /// Takes in one event. All events since a state, applied to it, lead to the present one.
    pub fn apply(&mut self, event: &ClusterEvent) {
        match event {
            ClusterEvent::MemberJoined { member }
            | ClusterEvent::MemberWeaklyUp { member }
            | ClusterEvent::MemberUp { member }
            | ClusterEvent::MemberPreparingForShutdown { member }
            | ClusterEvent::MemberReadyForShutdown { member }
            | ClusterEvent::MemberLeft { member }
            | ClusterEvent::MemberExited { member }
            | ClusterEvent::MemberDowned { member }
            | ClusterEvent::MemberChanged { member } => self.put(member),
            ClusterEvent::MemberRemoved { member, .. } => {
                if let Ok(at) = self.place(&member.node) {
                    self.change_members(|members| drop(members.remove(at)));
                }
                Arc::make_mut(&mut self.unreachable).remove(&member.node);
            }
            ClusterEvent::UnreachableMember { member } => {
                Arc::make_mut(&mut self.unreachable).insert(member.node.clone());
            }
            ClusterEvent::ReachableMember { member } => {
                Arc::make_mut(&mut self.unreachable).remove(&member.node);
            }
            ClusterEvent::UnreachableDataCenter { dc } => {
                Arc::make_mut(&mut self.unreachable_dcs).insert(dc.clone());
            }
            ClusterEvent::ReachableDataCenter { dc } => {
                Arc::make_mut(&mut self.unreachable_dcs).remove(dc);
            }
            ClusterEvent::LeaderChanged { leader } => self.leader.clone_from(leader),
            ClusterEvent::RoleLeaderChanged { role, leader } => {
                let leaders = Arc::make_mut(&mut self.role_leaders);
                match leader {
                    Some(leader) => drop(leaders.insert(role.clone(), leader.clone())),
                    None => drop(leaders.remove(role)),
                }
            }
            ClusterEvent::SeenChanged { converged, seen_by } => {
                self.converged = *converged;
                self.seen = self.places(seen_by);
            }
            ClusterEvent::ReachabilityChanged { records } => {
                self.reachability = Arc::new(records.iter().cloned().collect());
            }
            ClusterEvent::TombstonesChanged { tombstones } => {
                self.tombstones = Arc::new(tombstones.iter().cloned().collect());
            }
            ClusterEvent::TopologyChanged { topology } => self.topology = *topology,
            ClusterEvent::ClusterShuttingDown => {}
        }
        self.version += 1;
    }

    fn put(&mut self, member: &Member) {
        match self.place(&member.node) {
            Ok(at) => {
                if let Some(known) = Arc::make_mut(&mut self.members).get_mut(at) {
                    known.clone_from(member);
                }
            }
            Err(at) => self.change_members(|members| members.insert(at, member.clone())),
        }
    }

    /// Changes who is a member; who has seen the picture moves with its place.
    fn change_members(&mut self, change: impl FnOnce(&mut Vec<Member>)) {
        let seen_by: Vec<_> = self.seen_by().cloned().collect();
        change(Arc::make_mut(&mut self.members));
        self.seen = self.places(&seen_by);
    }

    fn places(&self, nodes: &[UniqueAddress]) -> Seen {
        let places = nodes.iter().filter_map(|node| self.place(node).ok());
        places.collect()
    }

    fn place(&self, node: &UniqueAddress) -> Result<usize, usize> {
        self.members
            .binary_search_by(|member| member.node.cmp(node))
    }
}

/// Replaces what is different and keeps what is not, so that states go on to share it.
fn keep<T: PartialEq>(kept: &mut Arc<T>, new: T) {
    if **kept != new {
        *kept = Arc::new(new);
    }
}

impl Topology {
    fn followed_by(self, view: &View<'_>) -> Self {
        let mut hasher = Hasher::new();
        for member in view.reachable_members() {
            let class = match member.status {
                // A shutdown of the whole cluster moves nothing.
                Status::Up | Status::PreparingForShutdown | Status::ReadyForShutdown => 1,
                Status::WeaklyUp => 2,
                Status::Joining
                | Status::Leaving
                | Status::Exiting
                | Status::Down
                | Status::Removed => continue,
            };
            hasher = hasher.number(member.node.hash64()).number(class);
        }
        let hash = hasher.finish();
        let epoch = self.epoch + u64::from(hash != self.hash);
        Self { hash, epoch }
    }
}

mod hex {
    use alloc::string::String;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{number:016x}"))
        } else {
            number.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16).ok();
        let digits = number.filter(|_| text.len() == 16 && !text.starts_with('+'));
        digits.ok_or_else(|| de::Error::custom("a hash is 16 hexadecimal digits"))
    }
}

impl Serialize for ClusterState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut state = serializer.serialize_struct("ClusterState", 11)?;
        state.serialize_field("version", &self.version)?;
        state.serialize_field("members", &self.members)?;
        state.serialize_field("unreachable", &self.unreachable)?;
        state.serialize_field("unreachable-data-centers", &self.unreachable_dcs)?;
        state.serialize_field("leader", &self.leader)?;
        state.serialize_field("role-leaders", &self.role_leaders)?;
        state.serialize_field("converged", &self.converged)?;
        state.serialize_field("seen-by", &self.seen_by().collect::<Vec<_>>())?;
        state.serialize_field("topology", &self.topology)?;
        state.serialize_field("tombstones", &self.tombstones)?;
        let records: Vec<Record> = self.reachability.records().collect();
        state.serialize_field("reachability", &records)?;
        state.end()
    }
}
