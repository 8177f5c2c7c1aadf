//! What a node sees, by the names that a scenario gives.

use std::collections::BTreeSet;

use granary_core::id::GrainId;
use granary_core::membership::address::UniqueAddress;
use granary_core::membership::machine::Membership;
use granary_core::membership::member::{Member, Status};
use granary_core::membership::state::ClusterState;
use granary_core::placement::hosts::{Needs, hosts};

use crate::world::World;

/// The members of a view.
pub fn all(state: &ClusterState) -> impl Iterator<Item = &Member> {
    state.members.iter()
}

/// The incarnations that run and are not paused.
pub fn running(world: &World) -> impl Iterator<Item = &UniqueAddress> {
    let running = world.hosts().iter().filter(|host| host.runs());
    running.filter_map(|host| host.this.as_ref())
}

/// The nodes that run and belong to a cluster: they see themselves as members.
pub fn settled(world: &World) -> impl Iterator<Item = usize> {
    (0..world.hosts().len()).filter(|place| {
        let host = &world.hosts()[*place];
        let state = world.state(*place).filter(|_| host.runs());
        let own = state.zip(host.this.as_ref());
        own.is_some_and(|(state, this)| state.member(this).is_some())
    })
}

/// The data centre of a node.
pub fn dc(world: &World, place: usize) -> &str {
    &world.hosts()[place].node.profile.dc
}

/// The data centres that are led by somebody who was let up: in all others nobody may decide about those that are gone, and what is left waits for
/// an operator.
pub fn living_dcs(world: &World) -> BTreeSet<&str> {
    let was_up = |place: &usize| {
        let own = world.state(*place).zip(world.hosts()[*place].this.as_ref());
        let own = own.and_then(|(state, this)| state.member(this));
        own.is_some_and(|own| own.up_number.is_some())
    };
    let living = settled(world).filter(was_up);
    living.map(|place| dc(world, place)).collect()
}

/// Whether what is left waits for an operator, so that nothing can be said of it as a whole: nobody is left who was ever let up, or there are two
/// clusters that cannot meet.
pub fn waits_for_operator(world: &World) -> bool {
    let mut settled = settled(world);
    let first = settled.next();
    living_dcs(world).is_empty()
        || first.is_some_and(|first| settled.any(|other| !can_meet(world, first, other)))
}

/// Whether two nodes can have heard of each other. Two clusters of one id, each formed by another node, meet where a contact point of the one runs that
/// is none of its members, and stay two as long as there is none. Two sides of what one node formed were one cluster: they are never excused.
fn can_meet(world: &World, one: usize, other: usize) -> bool {
    let founder = |place: usize| {
        let machine = world.hosts()[place].machine.as_ref();
        machine.map(Membership::founder)
    };
    let is_member = |place: usize, node: &UniqueAddress| {
        let state = world.state(place);
        state.is_some_and(|state| state.member(node).is_some())
    };
    let tells = |place: usize| {
        let seeds = &world.hosts()[place].node.seeds;
        running(world).any(|node| seeds.contains(&node.address) && !is_member(place, node))
    };
    founder(one) == founder(other) || tells(one) || tells(other)
}

/// A status as scenarios write it.
pub fn word(status: &Status) -> &'static str {
    status.name()
}

/// A node's status in a view. Of two incarnations the latest counts.
pub fn status(world: &World, state: &ClusterState, place: usize) -> Status {
    let host = &world.hosts()[place];
    let mut at = all(state).filter(|member| member.node.address == host.node.address);
    let latest = host.this.as_ref().and_then(|this| state.member(this));
    latest
        .or_else(|| at.next())
        .map_or(Status::Removed, |member| member.status)
}

/// The places of nodes.
fn places<'a>(world: &World, nodes: impl Iterator<Item = &'a UniqueAddress>) -> BTreeSet<usize> {
    nodes
        .filter_map(|node| world.place(&node.address))
        .collect()
}

/// The nodes in a view.
pub fn members(world: &World, state: &ClusterState) -> BTreeSet<usize> {
    places(world, all(state).map(|member| &member.node))
}

/// The nodes that are unreachable in a view.
pub fn unreachable(world: &World, state: &ClusterState) -> BTreeSet<usize> {
    places(world, state.unreachable.iter())
}

/// Who leads in a view.
pub fn leader(world: &World, state: &ClusterState) -> Option<usize> {
    let leader = state.leader.as_ref();
    leader.and_then(|leader| world.place(&leader.address))
}

/// Who leads those with a role.
pub fn role_leader(world: &World, state: &ClusterState, role: &str) -> Option<usize> {
    let leader = state.role_leaders.get(role);
    leader.and_then(|leader| world.place(&leader.address))
}

/// The oldest node of the data centre of `place`, of those with a role if one is named.
pub fn oldest(world: &World, place: usize, role: Option<&str>) -> Option<usize> {
    let dc = &world.hosts()[place].node.profile.dc;
    let oldest = world.state(place)?.oldest(dc, role)?;
    world.place(&oldest.address)
}

/// What `reader` reads of the latest incarnation of `owner`.
pub fn shared(world: &World, reader: usize, owner: usize, key: &str) -> Option<String> {
    let machine = world.hosts()[reader].machine.as_ref()?;
    let owner = world.hosts()[owner].this.as_ref()?;
    let value = machine.shared().get_of(owner, key)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The same of an entry of a map.
pub fn shared_entry(
    world: &World,
    reader: usize,
    owner: usize,
    (key, entry): (&str, &str),
) -> Option<String> {
    let machine = world.hosts()[reader].machine.as_ref()?;
    let owner = world.hosts()[owner].this.as_ref()?;
    let maps = machine.shared().get_map(key);
    let value = maps.get(owner)?.get(entry)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Who hosts a grain in a view, by its kind and key alone.
pub fn owner(state: &ClusterState, grain: &GrainId) -> Option<UniqueAddress> {
    let needs = Needs::default();
    let hosts = hosts(
        state.members.iter(),
        &state.out_of_reach,
        &grain.kind,
        &needs,
    );
    hosts.owner(grain).map(|host| host.node.clone())
}

/// Whether two views have the same members, as far along and as old, and the same that are unreachable. Nobody sees itself as unreachable, so
/// a node that only the other one calls so is a difference, too.
pub fn alike(one: &ClusterState, other: &ClusterState) -> bool {
    one.members == other.members && one.unreachable == other.unreachable
}

/// What names a picture, so that two nodes can tell whether they have the same: its members and what is said of whom.
pub fn picture(state: &ClusterState) -> String {
    let records: Vec<_> = state.reachability.records().collect();
    format!("{:?} {records:?}", state.members)
}

/// A view in words.
pub fn shown(world: &World, state: &ClusterState) -> String {
    let member = |member: &Member| {
        let far = match state.unreachable.contains(&member.node) {
            true => ", unreachable",
            false => "",
        };
        format!(
            "{} ({}{far})",
            world.name(&member.node),
            member.status.name()
        )
    };
    let members: Vec<String> = all(state).map(member).collect();
    match members.is_empty() {
        true => "nobody".to_owned(),
        false => members.join(", "),
    }
}
