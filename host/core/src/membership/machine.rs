//! One node's membership: events in, effects out.
//!
//! In: messages, commands, the passing of time, what the driver's transport and lease have to say. Out: messages, changes for subscribers,
//! replies, and what the driver is to do.
//!
//! Invariants: nobody takes a step that [`Status::may_become`](super::member::Status::may_become) does not know; a node speaks as a member only between its
//! welcome and its end; a message counts only from a member that is reachable from here, or from one that a member has let in who is gone, and only if it was
//! meant for this incarnation; an
//! incarnation that was removed is never let in again; a node that is down, or was removed by the others, ends.
//!
//! Read in this order.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use self::admit::Introduction;
use self::join::Asking;
use self::leader::Duty;
use super::address::{Address, UniqueAddress};
use super::bootstrap::Bootstrap;
use super::broadcast::Broadcasts;
use super::compatibility::JoinConfig;
use super::consensus::Consensus;
use super::cross_dc::CrossDcHeartbeats;
use super::downing::{self, Downing, Policy};
use super::effects::{Effect, ExitReason, Rejected};
use super::gossip::{Gossip, Graves, History, VersionDigest};
use super::inputs::Event;
use super::member::Profile;
use super::message::{ClusterId, KnownCluster};
use super::quarantine::Quarantine;
use super::ring::Heartbeats;
use super::settings::{Settings, SettingsError};
use super::shared::SharedState;
use super::state::ClusterState;
use super::subscription::{Callbacks, Subscriptions};
use super::targets::Targets;
use super::view::{Gates, View};
use crate::id::Time;

mod admit;
mod commands;
mod exchange;
mod join;
mod leader;
mod leave;
mod publish;
mod receive;
mod relay;
mod rival;
mod share;
mod watch;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod leader_tests;
#[cfg(test)]
mod leave_tests;
#[cfg(test)]
mod relay_tests;
#[cfg(test)]
mod rival_tests;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod tell_tests;
#[cfg(test)]
mod unanswered_tests;
#[cfg(test)]
mod watch_tests;
#[cfg(test)]
mod world_tests;

/// How far the node itself has come.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// It has not been told to join.
    Idle,
    /// It asks contact points whether they belong to a cluster.
    Searching,
    /// It asked a node to let it in.
    Asking(Asking),
    /// It was let in.
    Member,
    /// It is over.
    Ended,
}

/// When the next round of each kind is due. Rounds follow each other at a fixed delay: after a pause they do not bunch up.
#[derive(Debug, Clone)]
struct Rounds {
    gossip: Time,
    /// When the last one was.
    gossip_before: Time,
    /// The news that the next one may have been brought forward for: a version, and whether the members agree on it.
    gossip_news: Option<(VersionDigest, bool)>,
    /// Since when that is known.
    news_since: Time,
    /// No round has told of it yet.
    has_news: bool,
    /// Which third of the gossip interval the next round stands for.
    gossip_third: u32,
    leader: Time,
    reaper: Time,
    shared: Time,
    presence: Time,
}

/// What has been counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pictures that came and were taken in, or were known.
    pub gossip_received: u64,
    /// When the last of them came.
    pub last_gossip: Option<Time>,
    /// Messages that were not looked at, by reason.
    pub rejected: BTreeMap<Rejected, u64>,
    /// How often this node was held up so long that it judged nobody for a while.
    pub stalls: u64,
    /// Heartbeats that were answered alarmingly late.
    pub late_heartbeats: u64,
    /// Answers to heartbeats that did not count: repeated, out of order, or of somebody who was not asked.
    pub stale_heartbeats: u64,
    /// Steps that were asked for and are not legal.
    pub illegal_transitions: u64,
    /// Incarnations whose shared values broke a limit or came out of order, each time.
    pub shared_refused: u64,
}

/// One node's membership. The driver hands in events and carries out effects; see [`Event`] and [`Effect`].
///
/// `now` may count from any moment, and nodes' clocks need not agree; one node's never goes back.
pub struct Membership {
    this: UniqueAddress,
    profile: Arc<Profile>,
    settings: Settings,
    config: JoinConfig,
    gates: Gates,
    targets: Targets,
    rng: fastrand::Rng,
    cluster: Option<ClusterId>,
    /// What the driver keeps for the next start.
    kept: Option<KnownCluster>,
    /// Who formed the cluster; this node until it has joined one.
    founder: UniqueAddress,
    /// When it was let in only other data centres had members that count.
    is_from_afar: bool,
    /// Whom new nodes ask.
    contact_points: Vec<Address>,
    /// The incarnations at this address of which this one was told.
    after: Vec<u64>,
    phase: Phase,
    bootstrap: Option<Bootstrap>,
    /// Who has asked to be let in, and was not yet.
    introduced: BTreeMap<UniqueAddress, Introduction>,
    /// Rounds of questions to contact points.
    unanswered: u32,
    /// The search ends then.
    join_until: Option<Time>,
    gossip: Gossip,
    history: History,
    /// The last version of which the leader was told that this node has seen it.
    reported: Option<VersionDigest>,
    graves: Graves,
    /// The picture may differ from the one that was told of last.
    changed: bool,
    rounds: Rounds,
    duty: Duty,
    /// Who has shut down and told this node so.
    exiting_confirmed: BTreeSet<UniqueAddress>,
    /// The whole cluster shuts down. There is no way back.
    preparing: bool,
    exit_begun: Option<ExitReason>,
    /// The driver has gone through its shutdown phases.
    has_exited: bool,
    down_ticks: u32,
    near: Heartbeats,
    far: CrossDcHeartbeats,
    round_trips: BTreeMap<UniqueAddress, Duration>,
    downing: Downing,
    /// The name of the policy.
    policy: Arc<str>,
    quarantine: Quarantine,
    /// Whom this node has removed, and who has removed it; of those that are on the smaller side, when this node listens to them again.
    rifts: BTreeMap<UniqueAddress, Option<Time>>,
    /// The last one of this cluster that told this node of it without being known here.
    stranger: Option<UniqueAddress>,
    shared: SharedState,
    consensus: Consensus,
    broadcasts: Broadcasts,
    /// What was told of last.
    state: Arc<ClusterState>,
    subscriptions: Subscriptions,
    callbacks: Callbacks,
    counters: Counters,
}

impl Membership {
    /// A node that belongs to no cluster yet. `known`: the one that it once belonged to, as the driver kept it. `seed`: the source of every
    /// choice at random; another one on each start. Errors: everything that is wrong with the settings and the profile.
    pub fn new(
        settings: Settings,
        this: UniqueAddress,
        profile: Profile,
        known: Option<KnownCluster>,
        seed: u64,
        now: Time,
    ) -> Result<Self, SettingsError> {
        settings.check(&profile)?;
        let profile = Arc::new(profile);
        let (near, far) = watch::heartbeats(&settings, &this, &profile, now);
        let config = settings.downing_config(&this, &profile);
        Ok(Self {
            config: JoinConfig::new(&settings, env!("CARGO_PKG_VERSION")),
            gates: settings.gates(),
            targets: settings.targets(),
            rng: fastrand::Rng::with_seed(seed),
            cluster: known.as_ref().map(|known| known.id),
            kept: known,
            founder: this.clone(),
            is_from_afar: false,
            contact_points: Vec::new(),
            after: Vec::new(),
            phase: Phase::Idle,
            bootstrap: None,
            introduced: BTreeMap::new(),
            join_until: None,
            unanswered: 0,
            gossip: Gossip::default(),
            history: History::default(),
            reported: None,
            graves: Graves::default(),
            changed: false,
            rounds: Rounds {
                gossip: now,
                gossip_before: now,
                gossip_news: None,
                news_since: now,
                has_news: false,
                gossip_third: 0,
                leader: now,
                reaper: now,
                shared: now,
                presence: now,
            },
            duty: Duty::default(),
            exiting_confirmed: BTreeSet::new(),
            preparing: false,
            exit_begun: None,
            has_exited: false,
            down_ticks: 0,
            near,
            far,
            round_trips: BTreeMap::new(),
            policy: config
                .policy
                .as_ref()
                .map_or("off", |policy| policy.name())
                .into(),
            downing: Downing::new(config, now),
            quarantine: Quarantine::new(&settings.quarantine),
            rifts: BTreeMap::new(),
            stranger: None,
            shared: SharedState::new(this.clone(), settings.shared_state.clone()),
            consensus: Consensus::default(),
            broadcasts: Broadcasts::default(),
            state: Arc::default(),
            subscriptions: Subscriptions::new(settings.subscriber_events as usize),
            callbacks: Callbacks::default(),
            counters: Counters::default(),
            settings,
            this,
            profile,
        })
    }

    /// Takes one event in and says what is to be done.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Effect>) {
        self.notice_stall(now, out);
        match event {
            Event::Start { contact_points } | Event::Contacts { contact_points } => {
                self.contacts(now, contact_points, out);
            }
            Event::Received {
                from,
                arrived,
                envelope,
            } => self.receive(now, (&from, arrived), &envelope, out),
            Event::Wake => self.wake(now, out),
            Event::Command { id, command } => self.command(now, id, command, out),
            Event::Quarantined { node } => self.quarantined(now, &node, out),
            Event::QuarantinedBy { node } => self.quarantined_by(now, &node, out),
            Event::ExitingDone => self.exiting_done(now, out),
            Event::Lease(answer) => self.drive_downing(now, downing::Event::Lease(answer), out),
        }
        self.settle(now, out);
    }

    /// When [`Event::Wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        match self.phase {
            Phase::Ended => None,
            Phase::Idle | Phase::Searching | Phase::Asking(_) => {
                let waits = self.consensus.next_wake();
                self.join_wake().into_iter().chain(waits).min()
            }
            Phase::Member => {
                let rounds = &self.rounds;
                let rounds = [rounds.gossip, rounds.leader, rounds.reaper, rounds.shared];
                let beats = [self.near.next_wake(), self.far.next_wake()];
                let rest = [
                    self.quarantine.next_wake(),
                    self.downing.next_wake(),
                    self.consensus.next_wake(),
                    self.broadcasts.next_wake(),
                    self.presence_wake(),
                ];
                let rest = rest.into_iter().flatten();
                rounds.into_iter().chain(beats).chain(rest).min()
            }
        }
    }

    /// The cluster as this node tells of it: everything in it is of one picture. Once the membership has ended, as it was then, without this
    /// node.
    pub fn state(&self) -> &Arc<ClusterState> {
        &self.state
    }

    /// The values that members share.
    pub fn shared(&self) -> &SharedState {
        &self.shared
    }

    /// What all members agree on under a key that is watched; none while they do not.
    pub fn agreed(&self, key: &str) -> Option<u64> {
        self.consensus.agreed(key)
    }

    /// Lets another rule than the settings' decide who survives a partition. To be called before the node joins.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn Policy>, now: Time) -> Self {
        self.policy = policy.name().into();
        self.config = self.config.with_policy(&self.policy);
        let config = downing::Config {
            policy: Some(policy),
            ..self.settings.downing_config(&self.this, &self.profile)
        };
        self.downing = Downing::new(config, now);
        self
    }

    /// Which incarnation this is.
    pub fn this(&self) -> &UniqueAddress {
        &self.this
    }

    /// The cluster that the node belongs to, or once belonged to.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// Who formed the cluster that the node belongs to; the node itself until it belongs to one.
    pub fn founder(&self) -> &UniqueAddress {
        &self.founder
    }

    /// The picture as it is gossiped.
    pub fn gossip(&self) -> &Gossip {
        &self.gossip
    }

    /// What the picture means to this node.
    pub fn view(&self) -> View<'_> {
        View::new(&self.gossip, &self.this, &self.profile.dc)
    }

    /// Whether the members agree on the picture, as far as this node knows.
    pub fn is_converged(&self) -> bool {
        self.view().is_converged(&self.exiting_confirmed)
    }

    /// The incarnations that are shut out, and until when.
    pub fn quarantined_nodes(&self) -> impl Iterator<Item = (&UniqueAddress, Time)> {
        self.quarantine.iter()
    }

    /// How long whoever takes over what a removed member held waits, so that the other side of a partition has stopped by then.
    pub fn removal_margin(&self) -> Duration {
        self.downing.removal_margin()
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How strongly each watched member is suspected, of both kinds of heartbeats.
    pub fn suspicions(&self, now: Time) -> impl Iterator<Item = (&UniqueAddress, f64)> {
        self.near.suspicions(now).chain(self.far.suspicions(now))
    }

    /// How long the last heartbeat to each watched member took, there and back.
    pub fn round_trips(&self) -> impl Iterator<Item = (&UniqueAddress, Duration)> {
        self.round_trips.iter().map(|(node, trip)| (node, *trip))
    }

    fn wake(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.consensus_timers(now, out);
        self.join_timers(now, out);
        self.search(now, out);
        if self.phase != Phase::Member {
            return;
        }
        self.beat(now, out);
        if self.rounds.reaper <= now {
            self.rounds.reaper = now.after(self.settings.unreachable_nodes_reaper_interval);
            self.reap(now);
        }
        if self.rounds.gossip <= now {
            self.gossip_tick(now, out);
        }
        if self.rounds.leader <= now {
            self.rounds.leader = now.after(self.settings.leader_actions_interval);
            self.leader_actions(now, out);
            self.shut_down_when_down(out);
        }
        if self.rounds.shared <= now {
            self.rounds.shared = now.after(self.settings.shared_state.interval);
            self.share(out);
        }
        self.tell_presence(now, out);
        self.speak(now, out);
        self.quarantine_timers(now, out);
        self.drive_downing(now, downing::Event::Wake, out);
    }

    /// A new version, and that the members agree on one, do not wait for the next round if the last one was a third of an interval ago:
    /// the more hops news takes, the more such waits would add up. What the leader knows it tells to all ([`Self::spread`]).
    pub(super) fn hasten(&mut self, now: Time) {
        let version = self.history.follow(&self.gossip);
        let agreed = self.state.converged;
        let Some((before, had_agreed)) = self.rounds.gossip_news.replace((version, agreed)) else {
            return;
        };
        let is_new = version != before;
        if is_new || (agreed && !had_agreed) {
            self.rounds.has_news = true;
            self.rounds.news_since = now;
        } else {
            return;
        }
        let is_due = if is_new {
            self.is_in_a_hurry(now)
        } else {
            !self.leader_tells(now)
        };
        if is_due {
            let third = self.settings.gossip.interval / 3;
            let soonest = self.rounds.gossip_before.after(third).max(now);
            self.rounds.gossip = self.rounds.gossip.min(soonest);
            self.rounds.gossip_third = 0;
        }
    }

    /// One round in each interval, and two more while members should hear of something soon.
    fn gossip_tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.rounds.gossip_before = now;
        let interval = self.settings.gossip.interval;
        let hurries = self.is_in_a_hurry(now);
        if self.rounds.gossip_third == 0 || hurries {
            self.gossip_round(out);
        }
        let left = 3 - self.rounds.gossip_third;
        if hurries {
            self.rounds.gossip_third = (self.rounds.gossip_third + 1) % 3;
            self.rounds.gossip = now.after(interval / 3);
        } else {
            self.rounds.gossip_third = 0;
            self.rounds.gossip = now.after(interval * left / 3);
        }
    }

    /// From here on the node is a member: its rounds begin, each at a moment of its own, so that nodes that start together do not speak together.
    fn become_member(&mut self, now: Time) {
        self.phase = Phase::Member;
        self.bootstrap = None;
        self.join_until = None;
        let settings = &self.settings;
        let (gossip, leader) = (settings.gossip.interval, settings.leader_actions_interval);
        let reaper = settings.unreachable_nodes_reaper_interval;
        let shared = settings.shared_state.interval;
        (self.near, self.far) = watch::heartbeats(settings, &self.this, &self.profile, now);
        let mut somewhere = |interval: Duration| {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            now.after(Duration::from_nanos(self.rng.u64(0..=nanos)))
        };
        self.rounds = Rounds {
            gossip: somewhere(gossip),
            gossip_before: now,
            gossip_news: None,
            news_since: now,
            has_news: false,
            gossip_third: 0,
            leader: somewhere(leader),
            reaper: somewhere(reaper),
            shared: somewhere(shared),
            presence: somewhere(rival::PRESENCE_INTERVAL),
        };
    }
}
