//! The world: its time, its queue of what will happen, its nodes and what is between them.
//!
//! In: a [`Scenario`] and a seed, then steps. Out: facts, to whoever watches. Invariant: everything that is drawn comes from the seed, and
//! everything is carried out in the order of time, then of coming up; so two worlds of one seed are the same to the last bit.

mod drive;
mod steps;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::downing::Explanation;
use granary_core::membership::effects::{Effect, Marker, TerminateReason};
use granary_core::membership::inputs::{CallbackId, Event, LeaseAnswer};
use granary_core::membership::message::Envelope;
use granary_core::membership::state::ClusterState;
use granary_core::membership::subscription::{Notice, SubscriberId};

pub use steps::Untaken;

use crate::clock::Clock;
use crate::host::{Host, Process};
use crate::network::Network;
use crate::scenario::{Action, Scenario};
use crate::tally::Tally;

/// The one who hears every event of a node.
pub const LISTENER: SubscriberId = SubscriberId(1);
/// The callback that waits for the node to be up.
pub const UP: CallbackId = CallbackId(1);
/// The callback that waits for the node to be removed.
pub const REMOVED: CallbackId = CallbackId(2);

/// The key of shared state on which nodes may agree.
pub const AGREED: &str = "agreed";

/// How long a node that ended without a word is still believed to hold the lease.
const LEASE_HELD_AFTER_END: Duration = Duration::from_secs(120);
/// How long a node goes through its shutdown phases, at most.
const EXIT_PHASES_MAX: Duration = Duration::from_millis(500);

/// Something that has just happened.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A process has started.
    Started {
        /// Which incarnation.
        this: &'a UniqueAddress,
    },
    /// A node's picture is another one than before.
    View {
        /// Whose.
        this: &'a UniqueAddress,
        /// The picture.
        state: &'a ClusterState,
    },
    /// A node has told its listener something.
    Notice {
        /// Who.
        this: &'a UniqueAddress,
        /// What.
        notice: &'a Notice,
    },
    /// A node has called back.
    Callback {
        /// Who.
        this: &'a UniqueAddress,
        /// Which.
        callback: CallbackId,
    },
    /// A node has written to its log.
    Log {
        /// Who.
        this: &'a UniqueAddress,
        /// What.
        marker: &'a Marker,
    },
    /// A node has decided about a partition.
    Explained {
        /// Who.
        this: &'a UniqueAddress,
        /// What, and from which picture.
        explanation: &'a Explanation,
    },
    /// A message is on its way.
    Sent {
        /// Whose.
        this: &'a UniqueAddress,
        /// Where to.
        to: &'a Address,
        /// What.
        envelope: &'a Envelope,
    },
    /// A process has ended by itself.
    Ended {
        /// Which.
        this: &'a UniqueAddress,
        /// Why.
        reason: &'a TerminateReason,
    },
    /// A process is gone without a word.
    Crashed {
        /// Which.
        this: &'a UniqueAddress,
    },
    /// A command of a step was answered.
    Answered {
        /// By whom.
        this: &'a UniqueAddress,
        /// In words.
        answer: &'a str,
    },
    /// A step was taken.
    Step(&'a Action),
}

/// Who looks at what happens. Errors: what must not be; the run ends there.
pub trait Watch {
    /// Looks at one fact.
    fn see(&mut self, world: &World, at: Duration, fact: &Fact<'_>) -> Result<(), String>;
}

/// What a test breaks, so that a rule can show that it notices.
pub trait Tamper {
    /// A message arrives, unless this says no.
    fn deliver(&mut self, _to: usize, _envelope: &mut Envelope) -> bool {
        true
    }

    /// An effect is carried out, unless this says no.
    fn carry_out(&mut self, _host: usize, _effect: &mut Effect) -> bool {
        true
    }

    /// Watchers see this instead of the node's own picture.
    fn view(&mut self, _host: usize, _state: &ClusterState) -> Option<ClusterState> {
        None
    }
}

/// What becomes of messages between two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// They are handed on as they are.
    Unseen,
    /// The same, and their bytes are counted.
    Counted,
    /// They arrive as what their bytes are read as.
    Crossed,
}

/// What will happen.
#[derive(Debug)]
enum Pending {
    /// A message arrives.
    Arrival { to: usize, envelope: Envelope },
    /// Something comes back to the process that asked for it.
    Answer {
        host: usize,
        start: u64,
        event: Event,
    },
    /// A node is due.
    Wake { host: usize },
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    number: u64,
    pending: Pending,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The lease that `lease-majority` asks for. It lies outside of every partition.
#[derive(Debug, Default)]
struct Lease {
    holder: Option<UniqueAddress>,
    /// When the holder's process ended, if it has.
    ended: Option<Duration>,
}

/// A cluster that exists only in memory.
pub struct World {
    now: Duration,
    rng: Rng,
    queue: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    network: Network,
    hosts: Vec<Host>,
    places: BTreeMap<Address, usize>,
    /// One for each data centre: each decides for itself, and must not be kept from it by another.
    leases: BTreeMap<Arc<str>, Lease>,
    watches: Vec<Box<dyn Watch>>,
    tamper: Option<Box<dyn Tamper>>,
    listening: bool,
    agreeing: bool,
    wire: Wire,
    tally: Tally,
    /// Hosts whose picture or process is not what it was.
    changed: BTreeSet<usize>,
    broken: Option<String>,
    /// Why the last command was not carried out.
    refused: Option<String>,
    effects: Vec<Effect>,
}

impl World {
    /// The world of a scenario at its beginning: no node has been started.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let network = Network::new(scenario.nodes.len(), scenario.link, rng.u64(..));
        let lead = |rng: &mut Rng| Duration::from_millis(rng.u64(0..1_000_000_000));
        let hosts: Vec<Host> = scenario
            .nodes
            .iter()
            .map(|node| Host::new(node.clone(), Clock::new(lead(&mut rng))))
            .collect();
        let places = hosts.iter().enumerate();
        let places = places.map(|(place, host)| (host.node.address.clone(), place));
        Self {
            now: Duration::ZERO,
            places: places.collect(),
            rng,
            queue: BinaryHeap::new(),
            entries: 0,
            network,
            hosts,
            leases: BTreeMap::new(),
            watches: Vec::new(),
            tamper: None,
            listening: true,
            agreeing: false,
            wire: Wire::Unseen,
            tally: Tally::default(),
            changed: BTreeSet::new(),
            broken: None,
            refused: None,
            effects: Vec::new(),
        }
    }

    /// Lets somebody look at what happens from now on.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.watches.push(watch);
    }

    /// Breaks something, for the test of a rule.
    pub fn tamper(&mut self, tamper: Box<dyn Tamper>) {
        self.tamper = Some(tamper);
    }

    /// Nobody subscribes to events: large worlds take less memory then, and no event can be expected.
    pub fn without_listeners(&mut self) {
        self.listening = false;
    }

    /// Every node that starts from now on watches whether all agree on the topology, and on [`AGREED`].
    pub fn watch_consensus(&mut self) {
        self.agreeing = true;
    }

    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The nodes, in the order of the scenario.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The node that listens at an address.
    pub fn place(&self, address: &Address) -> Option<usize> {
        self.places.get(address).copied()
    }

    /// A node's name; the address of a stranger.
    pub fn name(&self, node: &UniqueAddress) -> String {
        match self.place(&node.address) {
            Some(place) => self.hosts[place].node.name.clone(),
            None => node.to_string(),
        }
    }

    /// What a node sees, if it was ever started; its last picture if it does not run any more.
    pub fn state(&self, host: usize) -> Option<&ClusterState> {
        let machine = self.hosts[host].machine.as_ref()?;
        Some(machine.state())
    }

    /// What was sent so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Says what becomes of messages on the wire.
    pub fn set_wire(&mut self, wire: Wire) {
        self.wire = wire;
    }

    /// Counts from zero again.
    pub fn forget_counts(&mut self) {
        self.tally.clear();
    }

    /// What must not be, but was seen.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Takes the hosts whose picture or process has changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.changed)
    }

    /// When the next thing happens by itself.
    pub fn next(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(entry)| entry.at)
    }

    /// Lets the next thing happen, if it is due by `until`; else moves time there. False when it has.
    pub fn advance(&mut self, until: Duration) -> bool {
        let due = self.next().filter(|at| *at <= until);
        let Some(Reverse(entry)) = due.and_then(|_| self.queue.pop()) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(entry.at);
        self.tally.mix(entry.at, entry.number);
        match entry.pending {
            Pending::Arrival { to, envelope } => self.arrive(to, envelope),
            Pending::Answer { host, start, event } => {
                if self.hosts[host].starts == start {
                    self.hand(host, event);
                }
            }
            Pending::Wake { host } => {
                // A node that was put off since has another entry.
                if self.hosts[host].wake == Some(entry.at) && self.hosts[host].runs() {
                    self.hosts[host].wake = None;
                    self.drive(host, Event::Wake);
                }
            }
        }
        true
    }

    /// Lets time pass until then, or until something is seen that must not be.
    pub fn run_until(&mut self, until: Duration) {
        while self.broken.is_none() && self.advance(until) {}
    }

    fn push(&mut self, after: Duration, pending: Pending) {
        let entry = Entry {
            at: self.now + after,
            number: self.entries,
            pending,
        };
        self.entries += 1;
        self.queue.push(Reverse(entry));
    }

    fn tell(&mut self, fact: &Fact<'_>) {
        if self.watches.is_empty() {
            return;
        }
        let mut watches = std::mem::take(&mut self.watches);
        for watch in &mut watches {
            if let Err(why) = watch.see(self, self.now, fact) {
                self.broken.get_or_insert(why);
            }
        }
        self.watches = watches;
    }

    fn lease_of(&mut self, host: usize) -> &mut Lease {
        let dc = Arc::clone(&self.hosts[host].node.profile.dc);
        self.leases.entry(dc).or_default()
    }

    fn lease_answer(&mut self, host: usize, asker: &UniqueAddress) -> LeaseAnswer {
        let now = self.now;
        let lease = self.lease_of(host);
        let lapsed = lease
            .ended
            .is_some_and(|ended| ended + LEASE_HELD_AFTER_END <= now);
        let free = lease.holder.is_none() || lapsed;
        if free || lease.holder.as_ref() == Some(asker) {
            lease.holder = Some(asker.clone());
            lease.ended = None;
            return LeaseAnswer::Acquired;
        }
        LeaseAnswer::Denied
    }

    /// A process is gone: what it leaves behind outside of itself.
    fn buried(&mut self, host: usize) {
        let (this, now) = (self.hosts[host].this.clone(), self.now);
        let lease = self.lease_of(host);
        if lease.holder.is_some() && lease.holder == this {
            lease.ended.get_or_insert(now);
        }
        self.changed.insert(host);
    }

    fn stop(&mut self, host: usize, process: Process) {
        self.hosts[host].stop(process);
        self.buried(host);
    }
}
