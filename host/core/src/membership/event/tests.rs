//! What one picture after another tells.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use super::super::fixture::{names, node, picture, with};
use super::super::gossip::Gossip;
use super::super::view::View;
use super::*;

/// What `a`, in data centre x, tells of a picture after a state.
fn after(state: &ClusterState, gossip: &Gossip) -> ClusterState {
    let me = node("a");
    let view = View::new(gossip, &me, "x");
    state
        .next(&view, &BTreeSet::new())
        .unwrap_or_else(|| state.clone())
}

fn told(event: &ClusterEvent) -> String {
    let list = |nodes: &[UniqueAddress]| names(nodes).join(" ");
    let what = if let ClusterEvent::MemberRemoved { member, previous } = event {
        alloc::format!(
            "{}#{} {previous}",
            member.node.address.host(),
            member.node.uid
        )
    } else if let ClusterEvent::UnreachableDataCenter { dc } = event {
        dc.as_ref().into()
    } else if let ClusterEvent::ReachableDataCenter { dc } = event {
        dc.as_ref().into()
    } else if let ClusterEvent::RoleLeaderChanged { role, leader } = event {
        let leader = leader.as_ref().map_or("-", |leader| leader.address.host());
        alloc::format!("{role} {leader}")
    } else if let ClusterEvent::SeenChanged { converged, seen_by } = event {
        alloc::format!("{converged} {}", list(seen_by))
    } else if let ClusterEvent::ReachabilityChanged { records } = event {
        records.len().to_string()
    } else if let ClusterEvent::TombstonesChanged { tombstones } = event {
        list(tombstones)
    } else if let ClusterEvent::TopologyChanged { topology } = event {
        topology.epoch.to_string()
    } else if let Some(node) = event.node() {
        alloc::format!("{}#{}", node.address.host(), node.uid)
    } else {
        String::new()
    };
    alloc::format!("{} {what}", event.name()).trim_end().into()
}

/// The events between two states; applied to the first they lead to the second.
fn between(before: &ClusterState, after: &ClusterState) -> Vec<String> {
    let events = diff(before, after, &Interest::all());
    let mut folded = before.clone();
    events.iter().for_each(|event| folded.apply(event));
    assert!(
        folded.tells_the_same_as(after),
        "{folded:?} is not {after:?}"
    );
    events.iter().map(told).collect()
}

#[test]
fn one_difference_is_told_in_one_order() {
    let old = with(
        picture("a@x b@x c:l@x d:e@x+web e@x+web g@y h@y"),
        "a→b",
        "a b",
    );
    let before = after(&ClusterState::default(), &old);
    let mut new = old.clone();
    let a = node("a");
    let mut change = new.change(&a);
    change.remove(&node("d")).unwrap();
    change.remove(&node("e")).unwrap();
    let again = Member::joining(node("e#2"), old.member(&node("e")).unwrap().profile.clone());
    change.join(again).unwrap();
    change.promote(&node("e#2"), 9).unwrap();
    change.set_status(&node("c"), Status::Exiting).unwrap();
    change
        .down(&node("b"), super::super::member::Decider::Operator)
        .unwrap();
    change.observe(&node("b"), super::super::reachability::Reach::Reachable);
    change.observe(&node("c"), super::super::reachability::Reach::Unreachable);
    change.observe(&node("h"), super::super::reachability::Reach::Unreachable);
    drop(change);
    let now = after(&before, &new);
    assert_eq!(
        between(&before, &now),
        [
            "tombstones-changed d e",
            "member-removed d#1 exiting",
            "member-removed e#1 up",
            "member-downed b#1",
            "member-exited c#1",
            "member-up e#2",
            "unreachable-member c#1",
            "reachable-member b#1",
            "unreachable-data-center y",
            "role-leader-changed web e",
            "seen-changed false a",
            "reachability-changed 2",
            "topology-changed 2",
        ]
    );
    assert_eq!(now.version, before.version + 1);
    assert_eq!(
        between(&now, &before)[..4],
        [
            "tombstones-changed",
            "member-removed e#2 up",
            "member-up b#1",
            "member-left c#1"
        ]
    );
}

#[test]
fn a_new_subscriber_can_be_told_the_present_as_events() {
    let gossip = with(
        picture("a@x b:w@x c:j@x+web d:p@x e:d@x f:r@y"),
        "d→e",
        "a d e f",
    );
    let now = after(&ClusterState::default(), &gossip);
    assert_eq!(
        between(&ClusterState::default(), &now),
        [
            "member-up a#1",
            "member-weakly-up b#1",
            "member-joined c#1",
            "member-preparing-for-shutdown d#1",
            "member-downed e#1",
            "member-ready-for-shutdown f#1",
            "unreachable-member e#1",
            "leader-changed a#1",
            "role-leader-changed dc-x a",
            "role-leader-changed web c",
            "seen-changed true a d e f",
            "reachability-changed 1",
            "topology-changed 1",
        ]
    );
}

#[test]
fn who_was_out_of_reach_and_is_removed_does_not_come_back_into_reach() {
    let gossip = with(picture("a@x b@x c:d@x"), "b→c", "a b");
    let before = after(&ClusterState::default(), &gossip);
    let mut new = gossip.clone();
    new.change(&node("a")).remove(&node("c")).unwrap();
    let events = between(&before, &after(&before, &new));
    assert_eq!(
        events[..2],
        ["tombstones-changed c", "member-removed c#1 down"]
    );
    assert!(
        !events
            .iter()
            .any(|event| event.starts_with("reachable-member"))
    );
}

#[test]
fn the_same_picture_tells_nothing() {
    let gossip = with(picture("a@x b@x"), "", "a");
    let first = after(&ClusterState::default(), &gossip);
    let me = node("a");
    let none = BTreeSet::new();
    assert_eq!(first.next(&View::new(&gossip, &me, "x"), &none), None);
    let mut seen = gossip.clone();
    seen.see(&node("b"));
    let second = after(&first, &seen);
    assert!(Arc::ptr_eq(&first.members, &second.members));
    assert_eq!(between(&first, &second), ["seen-changed true a b"]);
    assert_eq!(diff(&first, &second, &Interest::default()), []);
    let confirmed = BTreeSet::from([node("b")]);
    let agreed = first
        .next(&View::new(&gossip, &me, "x"), &confirmed)
        .unwrap();
    assert_eq!(between(&first, &agreed), ["seen-changed true a"]);
}

#[test]
fn two_views_that_are_settled_are_told_without_a_status() {
    let gossip = picture("a@x b@x/5");
    let before = after(&ClusterState::default(), &gossip);
    let other = gossip.merge(&picture("a@x b@x/4"));
    let mut after = before.clone();
    after.members = other.shared_members();
    assert_eq!(between(&before, &after), ["member-changed b#1"]);
}

#[test]
fn a_nodes_own_end_is_told_last() {
    let gossip = with(picture("a:e@x b@x c:e@x"), "", "a b");
    let before = after(&ClusterState::default(), &gossip);
    assert_eq!(
        between(&before, &before.ended(&node("a"))),
        ["member-removed a#1 exiting", "seen-changed false b"]
    );
    let leading = after(
        &ClusterState::default(),
        &with(picture("a@x b@x"), "", "a b"),
    );
    assert_eq!(
        between(&leading, &leading.ended(&node("a")))[..3],
        [
            "member-removed a#1 up",
            "leader-changed",
            "role-leader-changed dc-x -"
        ]
    );
    assert_eq!(leading.ended(&node("z")).members, leading.members);
}

#[test]
fn the_topology_is_where_grains_may_live() {
    let state = |gossip: &Gossip| after(&ClusterState::default(), gossip);
    let hash = |members: &str, rows: &str| state(&with(picture(members), rows, "")).topology.hash;
    let two = hash("a@x b@x", "");
    assert_eq!(two, hash("a@x b@x c:j@x d:l@x e:e@x f:d@x", ""));
    assert_eq!(
        two,
        hash("a:p@x b:r@x", ""),
        "a shutdown of all moves nothing"
    );
    assert_eq!(two, hash("a@x b@x c@x", "a→c"));
    assert_eq!(two, hash("a@x b@x c@y", "a→c"));
    assert_ne!(two, hash("a@x b:w@x", ""));
    assert_ne!(two, hash("a@x b@x c@x", ""));
    assert_eq!(
        two,
        hash("a@x b@x d:d@x", "d→b"),
        "the words of who is down"
    );
    let first = state(&picture("a@x b@x"));
    let mut gossip = picture("a@x b@x");
    gossip
        .change(&node("b"))
        .set_status(&node("b"), Status::PreparingForShutdown)
        .unwrap();
    let second = after(&first, &gossip);
    assert_eq!((second.topology, first.topology.epoch), (first.topology, 1));
}

#[test]
fn the_oldest_of_a_state_is_the_one_of_the_view() {
    let gossip = picture("a@x/3 b:l@x/1 c:w@x d@y/0 e@x/2+web");
    let now = after(&ClusterState::default(), &gossip);
    let me = node("a");
    let view = View::new(&gossip, &me, "x");
    for role in [None, Some("web"), Some("db")] {
        assert_eq!(now.oldest("x", role), view.oldest(role), "{role:?}");
    }
    assert_eq!(now.oldest("x", None), Some(&node("b")));
}
