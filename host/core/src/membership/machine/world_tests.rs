//! A few nodes on one clock, whose messages arrive at once and in order.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::Time;
use crate::membership::address::Address;
use crate::membership::effects::{Effect, TerminateReason};
pub(super) use crate::membership::fixture::node;
use crate::membership::gossip::Gossip;
use crate::membership::inputs::{Command, CommandId, Event};
use crate::membership::machine::Membership;
use crate::membership::member::{Profile, Status};
use crate::membership::message::{ClusterId, Envelope, GossipMessage, KnownCluster, Message};
use crate::membership::protocol::ProtocolVersion;
use crate::membership::settings::Settings;

pub(super) fn address(host: &str) -> Address {
    Address::new(host, 7000).unwrap()
}

/// The cluster of all tests that begin with a picture.
pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// The node `a`, a member, with this picture; it has drawn every conclusion, and its rounds are due after a second.
pub(super) fn member_with(settings: Settings, gossip: Gossip) -> Membership {
    let this = node("a");
    let profile = gossip.member(&this).expect("a is a member").profile.clone();
    let profile = Profile::clone(&profile);
    let mut machine =
        Membership::new(settings, this, profile, known(Some(CLUSTER)), 1, at(0)).unwrap();
    machine.become_member(at(0));
    machine.rounds.gossip = at(1000);
    machine.rounds.leader = at(1000);
    machine.rounds.reaper = at(1000);
    machine.rounds.shared = at(1000);
    machine.gossip = gossip;
    machine.changed = true;
    machine.settle(at(0), &mut Vec::new());
    machine.beat(at(0), &mut Vec::new());
    machine
}

pub(super) fn member(gossip: Gossip) -> Membership {
    member_with(Settings::default(), gossip)
}

/// A message from a node that knows this one.
pub(super) fn from(host: &str, millis: u64, message: Message) -> Event {
    received(
        millis,
        Envelope {
            from: node(host),
            to: Some(1),
            cluster: Some(CLUSTER),
            version: ProtocolVersion(1),
            message,
        },
    )
}

/// A picture as a message.
pub(super) fn gossip(gossip: Gossip) -> Message {
    Message::Gossip(GossipMessage {
        gossip,
        time_to_live: Duration::from_secs(2),
    })
}

pub(super) fn at(millis: u64) -> Time {
    Time(millis * 1_000_000)
}

/// A cluster of which the members are not known any more.
fn known(cluster: Option<ClusterId>) -> Option<KnownCluster> {
    let members = Vec::new();
    cluster.map(|id| KnownCluster { id, members })
}

pub(super) fn machine(host: &str) -> Membership {
    machine_with(host, Settings::default(), None)
}

pub(super) fn machine_with(
    host: &str,
    settings: Settings,
    cluster: Option<ClusterId>,
) -> Membership {
    let this = node(host);
    let seed = u64::from(host.as_bytes()[0]);
    Membership::new(
        settings,
        this,
        Profile::plain(),
        known(cluster),
        seed,
        at(0),
    )
    .unwrap()
}

pub(super) fn step(machine: &mut Membership, millis: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    machine.handle(at(millis), event, &mut out);
    out
}

pub(super) fn start(hosts: &[&str]) -> Event {
    Event::Start {
        contact_points: hosts.iter().map(|host| address(host)).collect(),
    }
}

pub(super) fn received(millis: u64, envelope: Envelope) -> Event {
    Event::Received {
        from: envelope.from.address.clone(),
        arrived: at(millis),
        envelope,
    }
}

/// Nodes that hear each other at once, but for those that are cut off.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) nodes: BTreeMap<String, Membership>,
    pub(super) cut: BTreeSet<(String, String)>,
    pub(super) ended: BTreeMap<String, TerminateReason>,
    /// What nodes wanted besides sending.
    pub(super) effects: Vec<(u64, String, Effect)>,
    under_way: VecDeque<(String, Event)>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: 0,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
            ended: BTreeMap::new(),
            effects: Vec::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Nodes with these settings, all started with the same contact points.
    pub(super) fn of(hosts: &[&str], seeds: &[&str], settings: &Settings) -> Self {
        let mut world = Self::new();
        for host in hosts {
            world.add(host, machine_with(host, settings.clone(), None));
            world.handle(host, start(seeds));
        }
        world
    }

    pub(super) fn add(&mut self, host: &str, machine: Membership) {
        self.nodes.insert(host.into(), machine);
    }

    pub(super) fn handle(&mut self, host: &str, event: Event) {
        self.under_way.push_back((host.into(), event));
        while let Some((host, event)) = self.under_way.pop_front() {
            let Some(machine) = self.nodes.get_mut(&host) else {
                continue;
            };
            let mut out = Vec::new();
            machine.handle(at(self.now), event, &mut out);
            for effect in out {
                self.carry_out(&host, effect);
            }
        }
    }

    pub(super) fn command(&mut self, host: &str, command: Command) {
        let id = CommandId(0);
        self.handle(host, Event::Command { id, command });
    }

    /// Lets the time pass until `millis`.
    pub(super) fn run_until(&mut self, millis: u64) {
        let mut wakes = 0;
        loop {
            let due = self.nodes.iter().filter_map(|(host, machine)| {
                let wake = machine.next_wake()?;
                Some((wake.0.div_ceil(1_000_000), host.clone()))
            });
            let Some((when, host)) = due.min() else {
                break;
            };
            if millis < when {
                break;
            }
            wakes = if when <= self.now { wakes + 1 } else { 0 };
            assert!(wakes < 1000, "{host} wakes again and again at {when}");
            self.now = self.now.max(when);
            self.handle(&host, Event::Wake);
        }
        self.now = millis;
    }

    /// Cuts both ways between two hosts.
    pub(super) fn cut(&mut self, one: &str, other: &str) {
        self.cut.insert((one.into(), other.into()));
        self.cut.insert((other.into(), one.into()));
    }

    pub(super) fn crash(&mut self, host: &str) {
        self.nodes.remove(host);
    }

    pub(super) fn status(&self, viewer: &str, of: &str) -> Option<Status> {
        let gossip = self.nodes.get(viewer)?.gossip();
        let mut found = gossip.members().iter();
        let found = found.find(|member| member.node.address.host() == of)?;
        Some(found.status)
    }

    /// Whether all running nodes have the same picture and know it.
    pub(super) fn is_converged(&self) -> bool {
        let mut members = self
            .nodes
            .values()
            .map(|machine| machine.gossip().members());
        let first = members.next();
        members.all(|other| Some(other) == first)
            && self.nodes.values().all(Membership::is_converged)
    }

    fn carry_out(&mut self, host: &str, effect: Effect) {
        if let Effect::Send { to, envelope } = effect {
            let to: String = to.host().into();
            if !self.cut.contains(&(host.into(), to.clone())) {
                let event = received(self.now, envelope);
                self.under_way.push_back((to, event));
            }
            return;
        }
        if let Effect::BeginExit { .. } = effect {
            self.under_way.push_back((host.into(), Event::ExitingDone));
        }
        if let Effect::Terminate { reason } = &effect {
            self.ended.insert(host.into(), reason.clone());
            self.nodes.remove(host);
        }
        self.effects.push((self.now, host.into(), effect));
    }
}

/// The statuses that `viewer` sees, by host.
pub(super) fn statuses(world: &World, viewer: &str) -> Vec<(String, Status)> {
    let members = world.nodes[viewer].gossip().members().iter();
    let statuses = members.map(|member| (member.node.address.host().into(), member.status));
    statuses.collect()
}

pub(super) fn all(hosts: &[&str], status: Status) -> Vec<(String, Status)> {
    let mut all = vec![];
    for host in hosts {
        all.push(((*host).into(), status));
    }
    all
}
