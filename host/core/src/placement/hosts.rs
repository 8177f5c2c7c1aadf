//! Which members may host what.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::rendezvous::Rendezvous;
use crate::id::{GrainId, KindName};
use crate::membership::address::UniqueAddress;
use crate::membership::member::{Member, Profile, Status};

/// A member that may host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Which incarnation.
    pub node: UniqueAddress,
    /// What it said of itself.
    pub profile: Arc<Profile>,
}

/// What a kind asks of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Roles that it must have, all of them.
    pub roles: BTreeSet<Arc<str>>,
    /// Whether members that are only weakly up will do: fit for what has no state, since two sides of a partition may each have one.
    pub weakly_up: bool,
    /// Whether, while members run several versions, only those of the newest will do: what is activated during an update is not activated
    /// again after it.
    pub newest_version: bool,
}

/// The members that may host a kind, in the order of their addresses, ready to be asked for the owner of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    list: Vec<Host>,
    rendezvous: Rendezvous,
}

impl Hosts {
    /// Takes these, in whatever order they come.
    pub fn new(mut list: Vec<Host>) -> Self {
        list.sort_by(|one, other| one.node.cmp(&other.node));
        let weighted = list.iter().map(|host| (&host.node, host.profile.capacity));
        let rendezvous = Rendezvous::new(weighted);
        Self { list, rendezvous }
    }

    /// All of them.
    pub fn all(&self) -> &[Host] {
        &self.list
    }

    /// The one of this incarnation.
    pub fn get(&self, node: &UniqueAddress) -> Option<&Host> {
        let at = self
            .list
            .binary_search_by(|host| host.node.cmp(node))
            .ok()?;
        self.list.get(at)
    }

    /// The one that owns a grain by its kind and key alone. None if there is no host.
    pub fn owner(&self, grain: &GrainId) -> Option<&Host> {
        self.get(self.rendezvous.owner(&grain.kind, &grain.key)?)
    }
}

/// The members that may host a kind: up, reachable, of some capacity, hosting the kind, and as it needs. A member that leaves takes nothing
/// new; one that waits for the whole cluster's shutdown keeps what it has, since nothing moves any more. `unreachable` is
/// [`out_of_reach`](crate::membership::state::ClusterState::out_of_reach): with it nodes of one topology hash answer alike.
pub fn hosts<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    unreachable: &BTreeSet<UniqueAddress>,
    kind: &KindName,
    needs: &Needs,
) -> Hosts {
    let fits = |member: &&Member| {
        let is_up = match member.status {
            Status::Up | Status::PreparingForShutdown | Status::ReadyForShutdown => true,
            Status::WeaklyUp => needs.weakly_up,
            Status::Joining
            | Status::Leaving
            | Status::Exiting
            | Status::Down
            | Status::Removed => false,
        };
        is_up
            && !unreachable.contains(&member.node)
            && 0 < member.profile.capacity
            && member.profile.kinds.contains(kind)
            && needs.roles.iter().all(|role| member.has_role(role))
    };
    let host = |member: &Member| Host {
        node: member.node.clone(),
        profile: Arc::clone(&member.profile),
    };
    let mut hosts: Vec<Host> = members.into_iter().filter(fits).map(host).collect();
    if needs.newest_version
        && let Some(newest) = hosts.iter().map(|host| &host.profile.app_version).max()
    {
        let newest = newest.clone();
        hosts.retain(|host| host.profile.app_version == newest);
    }
    Hosts::new(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::address::Address;

    fn member(name: &str, status: Status, version: &str) -> Member {
        let node = UniqueAddress::new(Address::new(name, 7000).unwrap(), 1);
        let profile = Profile {
            roles: [name.into()].into(),
            kinds: [kind()].into(),
            app_version: version.parse().unwrap(),
            ..Profile::plain()
        };
        let mut member = Member::joining(node, Arc::new(profile));
        member.status = status;
        member
    }

    fn kind() -> KindName {
        KindName::parse("cart").unwrap()
    }

    fn names(
        members: &[Member],
        unreachable: &[&str],
        needs: &Needs,
    ) -> Vec<alloc::string::String> {
        let unreachable = unreachable
            .iter()
            .map(|name| UniqueAddress::new(Address::new(name, 7000).unwrap(), 1))
            .collect();
        let hosts = hosts(members, &unreachable, &kind(), needs);
        hosts
            .all()
            .iter()
            .map(|host| host.node.address.host().into())
            .collect()
    }

    #[test]
    fn who_is_up_hosts_and_nobody_else() {
        let members: Vec<Member> = Status::ALL
            .iter()
            .map(|status| member(status.name(), *status, "1"))
            .rev()
            .collect();
        assert_eq!(
            names(&members, &[], &Needs::default()),
            ["preparing-for-shutdown", "ready-for-shutdown", "up"]
        );
        let stateless = Needs {
            weakly_up: true,
            ..Needs::default()
        };
        assert_eq!(
            names(&members, &["up"], &stateless),
            ["preparing-for-shutdown", "ready-for-shutdown", "weakly-up"]
        );
    }

    #[test]
    fn kind_capacity_roles_and_version_count() {
        let mut members = [
            member("a", Status::Up, "1.9.0"),
            member("b", Status::Up, "1.10.0"),
            member("c", Status::Up, "1.10.0"),
            member("d", Status::Up, "2.0.0"),
            member("e", Status::Up, "2.0.0"),
        ];
        let change = |member: &mut Member, f: &dyn Fn(&mut Profile)| {
            f(Arc::make_mut(&mut member.profile));
        };
        change(&mut members[3], &|profile| profile.kinds.clear());
        change(&mut members[4], &|profile| profile.capacity = 0);
        assert_eq!(names(&members, &[], &Needs::default()), ["a", "b", "c"]);
        let newest = Needs {
            newest_version: true,
            ..Needs::default()
        };
        assert_eq!(names(&members, &[], &newest), ["b", "c"]);
        assert_eq!(names(&members, &["b", "c"], &newest), ["a"]);
        let role = Needs {
            roles: ["b".into(), "dc-default".into()].into(),
            ..Needs::default()
        };
        assert_eq!(names(&members, &[], &role), ["b"]);
    }
}
