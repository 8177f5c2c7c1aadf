//! The events that a node publishes, put together, are its picture: after each change its listener knows as much as who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::event::ClusterEvent;
use granary_core::membership::member::Member;
use granary_core::membership::state::ClusterState;
use granary_core::membership::subscription::Notice;

use super::Rule;
use crate::world::{Fact, World};

/// What a listener knows.
#[derive(Debug, Default, PartialEq)]
struct Known {
    members: BTreeMap<UniqueAddress, Member>,
    unreachable: BTreeSet<UniqueAddress>,
    unreachable_dcs: BTreeSet<Arc<str>>,
    leader: Option<UniqueAddress>,
    role_leaders: BTreeMap<Arc<str>, UniqueAddress>,
}

/// What each node's listener knows.
#[derive(Default)]
pub struct EventsFold {
    known: BTreeMap<UniqueAddress, Known>,
}

impl Known {
    fn of(state: &ClusterState) -> Self {
        let members = state.members.iter();
        Self {
            members: members
                .map(|member| (member.node.clone(), member.clone()))
                .collect(),
            unreachable: state.unreachable.iter().cloned().collect(),
            unreachable_dcs: state.unreachable_dcs.iter().cloned().collect(),
            leader: state.leader.clone(),
            role_leaders: state
                .role_leaders
                .iter()
                .map(|(role, leader)| (role.clone(), leader.clone()))
                .collect(),
        }
    }

    /// Takes in an event. Errors: one that cannot come now.
    fn take(&mut self, event: &ClusterEvent) -> Result<(), String> {
        let fits = match event {
            ClusterEvent::MemberRemoved { member, previous } => {
                self.unreachable.remove(&member.node);
                let known = self.members.remove(&member.node);
                known.is_some_and(|known| known.status == *previous)
            }
            ClusterEvent::MemberJoined { member }
            | ClusterEvent::MemberWeaklyUp { member }
            | ClusterEvent::MemberUp { member }
            | ClusterEvent::MemberPreparingForShutdown { member }
            | ClusterEvent::MemberReadyForShutdown { member }
            | ClusterEvent::MemberLeft { member }
            | ClusterEvent::MemberExited { member }
            | ClusterEvent::MemberDowned { member } => {
                let known = self.members.insert(member.node.clone(), member.clone());
                known.is_none_or(|known| known.status != member.status)
            }
            ClusterEvent::MemberChanged { member } => {
                let known = self.members.insert(member.node.clone(), member.clone());
                known.is_some_and(|known| known.status == member.status)
            }
            ClusterEvent::UnreachableMember { member } => {
                self.members.contains_key(&member.node)
                    && self.unreachable.insert(member.node.clone())
            }
            ClusterEvent::ReachableMember { member } => self.unreachable.remove(&member.node),
            ClusterEvent::UnreachableDataCenter { dc } => self.unreachable_dcs.insert(dc.clone()),
            ClusterEvent::ReachableDataCenter { dc } => self.unreachable_dcs.remove(dc),
            ClusterEvent::LeaderChanged { leader } => {
                let other = self.leader != *leader;
                self.leader.clone_from(leader);
                other
            }
            ClusterEvent::RoleLeaderChanged { role, leader } => {
                let known = match leader {
                    Some(leader) => self.role_leaders.insert(role.clone(), leader.clone()),
                    None => self.role_leaders.remove(role),
                };
                known != *leader
            }
            ClusterEvent::SeenChanged { .. }
            | ClusterEvent::ReachabilityChanged { .. }
            | ClusterEvent::TombstonesChanged { .. }
            | ClusterEvent::TopologyChanged { .. }
            | ClusterEvent::ClusterShuttingDown => true,
        };
        match fits {
            true => Ok(()),
            false => Err(format!(
                "{event:?} does not follow from what was told before"
            )),
        }
    }
}

impl Rule for EventsFold {
    fn name(&self) -> &'static str {
        "events fold to the state"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Notice { this, notice } => {
                let known = self.known.entry((*this).clone()).or_default();
                match notice {
                    Notice::Event(event) => known
                        .take(event)
                        .map_err(|why| format!("on {}: {why}", world.name(this))),
                    Notice::Snapshot(state) => {
                        *known = Known::of(state);
                        Ok(())
                    }
                    Notice::Lagged { .. } => Err(format!(
                        "{} says that its listener lagged, who takes everything at once",
                        world.name(this)
                    )),
                }
            }
            Fact::View { this, state } => {
                let known = self.known.entry((*this).clone()).or_default();
                let asked = Known::of(state);
                if *known == asked {
                    return Ok(());
                }
                Err(format!(
                    "{} told its listener {known:?}, and says {asked:?} who is asked",
                    world.name(this)
                ))
            }
            Fact::Started { .. }
            | Fact::Callback { .. }
            | Fact::Log { .. }
            | Fact::Explained { .. }
            | Fact::Sent { .. }
            | Fact::Ended { .. }
            | Fact::Crashed { .. }
            | Fact::Answered { .. }
            | Fact::Step(_) => Ok(()),
        }
    }
}
