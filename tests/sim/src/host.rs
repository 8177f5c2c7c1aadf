//! The driver of one node's machine: what a process with sockets and timers is elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use granary_core::id::Time;
use granary_core::membership::Membership;
use granary_core::membership::address::UniqueAddress;
use granary_core::membership::effects::TerminateReason;
use granary_core::membership::inputs::Event;
use granary_core::membership::message::KnownCluster;
use granary_core::membership::settings::Settings;

use crate::clock::Clock;
use crate::heard::Heard;
use crate::scenario::Node;

/// The most messages that wait for a paused node, as in the buffers of its sockets; later ones are lost.
pub const WAITING_MAX: usize = 10_000;

/// What has become of a node's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Process {
    /// It was not started.
    Never,
    /// It runs.
    Running,
    /// It stands still.
    Paused,
    /// It is gone without a word.
    Crashed,
    /// It has ended by itself.
    Ended(TerminateReason),
}

/// One node: its process, and what outlives that.
pub struct Host {
    /// What the scenario says of it.
    pub node: Node,
    /// What its next start goes by.
    pub settings: Settings,
    /// Its process.
    pub process: Process,
    /// The machine of the latest process; it stays when that has ended, for its last picture.
    pub machine: Option<Membership>,
    /// The latest incarnation.
    pub this: Option<UniqueAddress>,
    /// How often it was started.
    pub starts: u64,
    /// Its clock.
    pub clock: Clock,
    /// What it keeps on its disk.
    pub stored: Option<KnownCluster>,
    /// When its next wake-up is due.
    pub wake: Option<Duration>,
    /// What waits for a paused process.
    pub waiting: VecDeque<Event>,
    /// The incarnations that its transport has nothing to do with, and until when.
    pub quarantined: BTreeMap<UniqueAddress, Time>,
    /// The events that its machines have published, in order.
    pub heard: Vec<Heard>,
    /// Commands sent so far; their ids.
    pub commands: u64,
    /// What its shared state was set to in this incarnation, by key and, where that holds a map, by entry.
    pub shared: BTreeMap<(String, Option<String>), Option<String>>,
    /// The words that this incarnation was handed, and how often each.
    pub delivered: BTreeMap<String, u32>,
}

impl Host {
    /// A node that was not started.
    pub fn new(node: Node, clock: Clock) -> Self {
        Self {
            settings: node.settings.clone(),
            node,
            process: Process::Never,
            machine: None,
            this: None,
            starts: 0,
            clock,
            stored: None,
            wake: None,
            waiting: VecDeque::new(),
            quarantined: BTreeMap::new(),
            heard: Vec::new(),
            commands: 0,
            shared: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    /// Whether its process is there and not paused.
    pub fn runs(&self) -> bool {
        self.process == Process::Running
    }

    /// Whether its process is there.
    pub fn is_there(&self) -> bool {
        matches!(self.process, Process::Running | Process::Paused)
    }

    /// Ends its process. Its machine stays, for its last picture.
    pub fn stop(&mut self, process: Process) {
        self.process = process;
        self.wake = None;
        self.waiting.clear();
        self.quarantined.clear();
    }
}
