//! Subscribers without a gap and without a double, and callbacks that are called once.

use alloc::collections::BTreeSet;

use super::super::event::Topic;
use super::super::fixture::{node, picture, with};
use super::super::gossip::Gossip;
use super::super::member::Decider;
use super::super::view::View;
use super::*;

const FAST: SubscriberId = SubscriberId(1);
const SLOW: SubscriberId = SubscriberId(2);

/// A node's state and those who hear of it; what each was told and has not taken, and what it knows.
struct World {
    state: Arc<ClusterState>,
    gossip: Gossip,
    subscriptions: Subscriptions,
    told: BTreeMap<SubscriberId, Vec<Notice>>,
    known: BTreeMap<SubscriberId, ClusterState>,
}

impl World {
    fn new(limit: usize) -> Self {
        let gossip = with(picture("a b"), "", "a b");
        let mut world = Self {
            state: Arc::default(),
            gossip,
            subscriptions: Subscriptions::new(limit),
            told: BTreeMap::new(),
            known: BTreeMap::new(),
        };
        world.publish();
        world
    }

    fn publish(&mut self) {
        let me = node("a");
        let view = View::new(&self.gossip, &me, "default");
        let Some(next) = self.state.next(&view, &BTreeSet::new()) else {
            return;
        };
        let events = diff(&self.state, &next, &self.subscriptions.interest());
        for (id, notice) in self.subscriptions.publish(&self.state, &events) {
            self.told.entry(id).or_default().push(notice);
        }
        self.state = Arc::new(next);
    }

    fn subscribe(&mut self, id: SubscriberId, mode: Mode) {
        let told = self
            .subscriptions
            .subscribe(id, mode, Interest::all(), &self.state)
            .unwrap();
        self.told.insert(id, told);
        self.known.insert(id, ClusterState::default());
    }

    /// Takes everything that it was told, in a way that tells what the limit was good for.
    fn take(&mut self, id: SubscriberId) -> Vec<&'static str> {
        let mut names = Vec::new();
        loop {
            let told = self.told.remove(&id).unwrap_or_default();
            if told.is_empty() {
                break;
            }
            let known = self.known.get_mut(&id).unwrap();
            for notice in &told {
                match notice {
                    Notice::Snapshot(state) => known.clone_from(state),
                    Notice::Event(event) => known.apply(event),
                    Notice::Lagged { .. } => {}
                }
                names.push(match notice {
                    Notice::Snapshot(_) => "snapshot",
                    Notice::Event(event) => event.name(),
                    Notice::Lagged { .. } => "lagged",
                });
            }
            let more = self.subscriptions.consumed(id, told.len(), &self.state);
            if !more.is_empty() {
                self.told.insert(id, more);
            }
        }
        assert!(
            self.known[&id].tells_the_same_as(&self.state),
            "what it knows is the present"
        );
        names
    }

    fn joins(&mut self, name: &str) {
        let profile = self.gossip.members()[0].profile.clone();
        let member = Member::joining(node(name), profile);
        self.gossip.change(&node("a")).join(member).unwrap();
        self.publish();
    }
}

#[test]
fn a_snapshot_and_events_lead_to_the_same_present() {
    let mut world = World::new(1000);
    world.subscribe(FAST, Mode::Snapshot);
    world.subscribe(SLOW, Mode::Events);
    world.joins("c");
    assert_eq!(
        world.take(FAST),
        ["snapshot", "member-joined", "seen-changed"]
    );
    let from_the_start = world.take(SLOW);
    assert_eq!(from_the_start[..2], ["member-up", "member-up"]);
    assert_eq!(
        from_the_start[from_the_start.len() - 2..],
        ["member-joined", "seen-changed"]
    );
    assert!(!from_the_start.contains(&"snapshot"));
    world.subscriptions.unsubscribe(FAST);
    world.joins("d");
    assert_eq!(world.told.get(&FAST), None);
    assert_eq!(world.take(SLOW), ["member-joined"]);
}

#[test]
fn one_subscribes_before_there_is_anything_to_tell() {
    let mut world = World::new(1000);
    world.state = Arc::default();
    world.subscribe(FAST, Mode::Events);
    assert_eq!(world.told[&FAST], []);
    world.publish();
    let all = world.take(FAST);
    assert_eq!(all[..3], ["member-up", "member-up", "leader-changed"]);
}

#[test]
fn who_falls_behind_is_told_so_and_catches_up_at_once() {
    let mut world = World::new(4);
    world.subscribe(FAST, Mode::Snapshot);
    world.subscribe(SLOW, Mode::Snapshot);
    world.take(FAST);
    world.joins("c");
    assert_eq!(world.take(FAST), ["member-joined", "seen-changed"]);
    for name in ["d", "e"] {
        world.joins(name);
        assert_eq!(world.take(FAST), ["member-joined"]);
    }
    // The one that comes and goes meanwhile is passed over.
    world.joins("f");
    world.gossip.change(&node("a")).remove(&node("f")).unwrap();
    world.publish();
    assert_eq!(world.told[&SLOW].len(), 4, "the snapshot and two changes");
    assert_eq!(
        world.take(SLOW),
        [
            "snapshot",
            "member-joined",
            "seen-changed",
            "member-joined",
            "lagged",
            "tombstones-changed",
            "member-joined",
        ]
    );
    world.joins("g");
    assert_eq!(world.take(SLOW), ["member-joined"]);
}

#[test]
fn the_number_of_missed_events_is_told() {
    let mut world = World::new(1);
    world.subscribe(SLOW, Mode::Snapshot);
    world.joins("c");
    world.joins("d");
    let told = world.subscriptions.consumed(SLOW, 1, &world.state);
    assert_eq!(told.first(), Some(&Notice::Lagged { missed: 3 }));
    assert_eq!(
        world
            .subscriptions
            .consumed(SubscriberId(9), 1, &world.state),
        []
    );
    assert_eq!(
        world
            .subscriptions
            .consumed(SLOW, told.len() - 1, &world.state),
        []
    );
}

#[test]
fn a_single_change_may_be_larger_than_the_limit() {
    let mut world = World::new(1);
    world.subscribe(FAST, Mode::Events);
    world.take(FAST);
    world.joins("c");
    assert_eq!(world.take(FAST), ["member-joined", "seen-changed"]);
}

#[test]
fn the_end_is_told_even_to_who_fell_behind() {
    let mut world = World::new(1);
    world.subscribe(SLOW, Mode::Snapshot);
    let ended = world.state.ended(&node("a"));
    let mut events = Vec::from([ClusterEvent::ClusterShuttingDown]);
    events.extend(diff(&world.state, &ended, &Interest::all()));
    assert_eq!(world.subscriptions.publish(&world.state, &events), []);
    world.state = Arc::new(ended);
    let told = world.take(SLOW);
    assert_eq!(
        told[..4],
        [
            "snapshot",
            "lagged",
            "cluster-shutting-down",
            "member-removed"
        ]
    );
}

#[test]
fn each_hears_of_what_it_asked_for() {
    let mut world = World::new(1000);
    let interest = Interest::of([Topic::Leaders]);
    let told = world
        .subscriptions
        .subscribe(FAST, Mode::Events, interest.clone(), &world.state);
    let named: Vec<_> = told
        .unwrap()
        .iter()
        .map(|notice| match notice {
            Notice::Event(event) => event.name(),
            Notice::Snapshot(_) | Notice::Lagged { .. } => "something else",
        })
        .collect();
    assert_eq!(named, ["leader-changed", "role-leader-changed"]);
    assert_eq!(world.subscriptions.interest(), interest);
    world.joins("c");
    assert_eq!(world.told.get(&FAST), None);
}

#[test]
fn there_are_not_more_subscribers_than_may_be() {
    let mut world = World::new(1);
    let mut subscribe = |id: usize| {
        let id = SubscriberId(id as u64);
        world
            .subscriptions
            .subscribe(id, Mode::Snapshot, Interest::all(), &world.state)
    };
    assert!((0..SUBSCRIBERS_MAX).all(|id| subscribe(id).is_ok()));
    let (what, limit) = ("subscribers", SUBSCRIBERS_MAX);
    assert_eq!(subscribe(SUBSCRIBERS_MAX), Err(TooMany { what, limit }));
    assert!(subscribe(0).is_ok(), "one that begins anew");
}

fn as_member(members: &str) -> Member {
    picture(members).members()[0].clone()
}

#[test]
fn callbacks_are_called_once_whenever_they_were_asked_for() {
    let (first, second, third, fourth) =
        (CallbackId(1), CallbackId(2), CallbackId(3), CallbackId(4));
    let mut callbacks = Callbacks::default();
    assert_eq!(callbacks.on_up(first), Ok(None));
    assert_eq!(callbacks.on_removed(fourth), Ok(None));
    assert_eq!(callbacks.seen_as(&as_member("a:j")), []);
    assert_eq!(callbacks.on_up(second), Ok(None));
    assert_eq!(callbacks.seen_as(&as_member("a:w")), []);
    assert_eq!(callbacks.seen_as(&as_member("a")), [first, second]);
    assert_eq!(callbacks.seen_as(&as_member("a:l")), []);
    assert_eq!(callbacks.on_up(third), Ok(Some(third)));
    assert_eq!(callbacks.removed(), [fourth]);
    assert_eq!(callbacks.removed(), []);
    assert_eq!(callbacks.on_removed(first), Ok(Some(first)));
    assert_eq!(callbacks.on_up(first), Ok(None));
}

#[test]
fn a_node_that_is_removed_before_it_is_up_never_was_up() {
    let mut callbacks = Callbacks::default();
    let mut member = as_member("a:j");
    assert_eq!(callbacks.on_up(CallbackId(1)), Ok(None));
    member.status = Status::Down;
    member.downed_by = Some(Decider::Operator);
    assert_eq!(callbacks.seen_as(&member), []);
    assert_eq!(callbacks.removed(), []);
    assert_eq!(callbacks.seen_as(&as_member("a")), []);
    // Up may be passed over.
    let mut jumped = Callbacks::default();
    assert_eq!(jumped.on_up(CallbackId(1)), Ok(None));
    assert_eq!(jumped.seen_as(&as_member("a:l")), [CallbackId(1)]);
}

#[test]
fn not_more_callbacks_wait_than_may() {
    let mut callbacks = Callbacks::default();
    for id in 0..CALLBACKS_MAX as u64 {
        assert_eq!(callbacks.on_up(CallbackId(id)), Ok(None));
    }
    let (what, limit) = ("callbacks that wait", CALLBACKS_MAX);
    assert_eq!(callbacks.on_up(CallbackId(0)), Err(TooMany { what, limit }));
}
