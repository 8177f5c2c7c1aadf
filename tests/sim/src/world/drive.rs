//! One machine's events and effects, carried out.

use std::time::Duration;

use granary_core::membership::Membership;
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::consensus::{Extract, TOPOLOGY};
use granary_core::membership::effects::{Effect, LeaseRequest};
use granary_core::membership::event::Interest;
use granary_core::membership::inputs::{Command, CommandId, Event, LeaseAnswer};
use granary_core::membership::message::Envelope;
use granary_core::membership::subscription::{Mode, Notice};
use granary_core::membership::wire;

use super::{AGREED, EXIT_PHASES_MAX, Fact, LISTENER, Pending, REMOVED, UP, Wire, World};
use crate::heard::Heard;
use crate::host::{Process, WAITING_MAX};

impl World {
    /// Starts a process: a new incarnation, and a machine that knows what lies on the disk.
    pub(super) fn start(&mut self, host: usize) {
        let (uid, seed) = (self.rng.u64(1..), self.rng.u64(..));
        let now = self.now;
        let it = &mut self.hosts[host];
        let this = UniqueAddress::new(it.node.address.clone(), uid);
        let started = it.clock.read(now);
        let machine = Membership::new(
            it.settings.clone(),
            this.clone(),
            it.node.profile.clone(),
            it.stored.clone(),
            seed,
            started,
        )
        .expect("a scenario's settings were checked when it was read");
        it.machine = Some(machine);
        it.this = Some(this.clone());
        it.starts += 1;
        it.process = Process::Running;
        it.shared.clear();
        it.delivered.clear();
        self.changed.insert(host);
        self.tell(&Fact::Started { this: &this });
        if self.listening {
            let subscriber = LISTENER;
            let mode = Mode::Events;
            self.command(
                host,
                Command::Subscribe {
                    subscriber,
                    mode,
                    interest: Interest::default(),
                },
            );
        }
        if self.agreeing {
            for key in [TOPOLOGY, AGREED] {
                let (key, extract) = (key.into(), Extract::WHOLE);
                self.command(host, Command::RegisterConsensus { key, extract });
            }
        }
        self.command(host, Command::OnMemberUp { callback: UP });
        self.command(host, Command::OnMemberRemoved { callback: REMOVED });
        let contact_points = self.hosts[host].node.seeds.clone();
        self.drive(host, Event::Start { contact_points });
    }

    /// Hands a command to a node that runs.
    pub(super) fn command(&mut self, host: usize, command: Command) {
        self.hosts[host].commands += 1;
        let id = CommandId(self.hosts[host].commands);
        self.drive(host, Event::Command { id, command });
    }

    /// A message has come to an address.
    pub(super) fn arrive(&mut self, to: usize, mut envelope: Envelope) {
        let now = self.now;
        let host = &mut self.hosts[to];
        let (true, Some(this)) = (host.is_there(), host.this.clone()) else {
            return;
        };
        let clock = host.clock.read(now);
        let from = envelope.from.clone();
        if let Some(until) = host.quarantined.get(&from) {
            if clock < *until {
                self.refuse(&from, this);
                return;
            }
            host.quarantined.remove(&from);
        }
        if let Some(tamper) = &mut self.tamper
            && !tamper.deliver(to, &mut envelope)
        {
            return;
        }
        let event = Event::Received {
            from: from.address,
            arrived: clock,
            envelope,
        };
        self.hand(to, event);
    }

    /// A transport tells the other end that it is shut out, as far as the network lets it.
    fn refuse(&mut self, shut_out: &UniqueAddress, by: UniqueAddress) {
        let (Some(from), Some(to)) = (self.place(&by.address), self.place(&shut_out.address))
        else {
            return;
        };
        if self.hosts[to].this.as_ref() != Some(shut_out) {
            return;
        }
        let start = self.hosts[to].starts;
        if let Some(after) = self.network.send(from, to).first {
            let event = Event::QuarantinedBy { node: by };
            let answer = Pending::Answer {
                host: to,
                start,
                event,
            };
            self.push(after, answer);
        }
    }

    /// Hands an event to a node, or lets it wait for one that is paused.
    pub(super) fn hand(&mut self, host: usize, event: Event) {
        match self.hosts[host].process {
            Process::Running => self.drive(host, event),
            Process::Paused => {
                let waiting = &mut self.hosts[host].waiting;
                if waiting.len() < WAITING_MAX {
                    waiting.push_back(event);
                }
            }
            Process::Never | Process::Crashed | Process::Ended(_) => {}
        }
    }

    /// Lets a paused node go on: what was due comes first, so that a flood cannot put it off.
    pub(super) fn resume(&mut self, host: usize) {
        self.hosts[host].process = Process::Running;
        self.changed.insert(host);
        self.drive(host, Event::Wake);
        while let Some(mut event) = self.hosts[host].waiting.pop_front() {
            if let Event::Received { arrived, .. } = &mut event {
                // Nobody read the socket while it stood still, so it cannot tell when this came.
                *arrived = self.hosts[host].clock.read(self.now);
            }
            self.hand(host, event);
        }
    }

    /// One event, its effects, and when the node is due next.
    pub(super) fn drive(&mut self, host: usize, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let it = &mut self.hosts[host];
            let now = it.clock.read(self.now);
            let mut effects = std::mem::take(&mut self.effects);
            let Some(machine) = &mut it.machine else {
                return;
            };
            let before = machine.state().version;
            machine.handle(now, event, &mut effects);
            let changed = machine.state().version != before;
            let mut notices = 0;
            for effect in effects.drain(..) {
                self.carry_out(host, effect, &mut notices);
            }
            self.effects = effects;
            if changed {
                self.look(host);
            }
            if 0 < notices && self.hosts[host].runs() {
                self.hosts[host].commands += 1;
                let id = CommandId(self.hosts[host].commands);
                let command = Command::Consumed {
                    subscriber: LISTENER,
                    notices,
                };
                next = Some(Event::Command { id, command });
            }
        }
        self.schedule(host);
    }

    /// Tells of a new picture.
    fn look(&mut self, host: usize) {
        self.changed.insert(host);
        if self.watches.is_empty() {
            return;
        }
        let (Some(state), Some(this)) = (self.state(host).cloned(), self.hosts[host].this.clone())
        else {
            return;
        };
        let other = self
            .tamper
            .as_mut()
            .and_then(|tamper| tamper.view(host, &state));
        let fact = Fact::View {
            this: &this,
            state: other.as_ref().unwrap_or(&state),
        };
        self.tell(&fact);
    }

    /// Puts the node's next wake-up into the queue.
    pub(super) fn schedule(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if !it.runs() {
            return;
        }
        let Some(moment) = it.machine.as_ref().and_then(Membership::next_wake) else {
            it.wake = None;
            return;
        };
        let at = it.clock.when(moment, self.now);
        if it.wake != Some(at) {
            it.wake = Some(at);
            self.push(at - self.now, Pending::Wake { host });
        }
    }

    fn carry_out(&mut self, host: usize, mut effect: Effect, notices: &mut u32) {
        if let Some(tamper) = &mut self.tamper
            && !tamper.carry_out(host, &mut effect)
        {
            return;
        }
        let Some(this) = self.hosts[host].this.clone() else {
            return;
        };
        let this = &this;
        match effect {
            Effect::Send { to, envelope } => {
                let (to, envelope) = (&to, &envelope);
                self.tell(&Fact::Sent { this, to, envelope });
                self.send(host, to, envelope);
            }
            Effect::Publish { notice, .. } => {
                *notices += 1;
                let notice = &notice;
                self.hear(host, notice);
                self.tell(&Fact::Notice { this, notice });
            }
            Effect::Reply { result, .. } => {
                if let Err(error) = result {
                    let why = error.to_string();
                    let answer = &format!("refused: {why}");
                    self.tell(&Fact::Answered { this, answer });
                    self.refused = Some(why);
                }
            }
            Effect::Callback { callback } => self.tell(&Fact::Callback { this, callback }),
            Effect::Lease(request) => self.lease(host, this, request),
            Effect::PersistCluster(cluster) => self.hosts[host].stored = Some(cluster),
            Effect::BeginExit { .. } => {
                let most = u64::try_from(EXIT_PHASES_MAX.as_nanos()).unwrap_or(u64::MAX);
                let after = Duration::from_nanos(self.rng.u64(0..=most));
                self.answer(host, after, Event::ExitingDone);
            }
            Effect::Terminate { reason } => {
                let reason = &reason;
                self.tell(&Fact::Ended { this, reason });
                self.stop(host, Process::Ended(reason.clone()));
            }
            Effect::Explain(explanation) => {
                let explanation = &explanation;
                self.tell(&Fact::Explained { this, explanation });
            }
            Effect::Log(marker) => {
                let marker = &marker;
                self.tell(&Fact::Log { this, marker });
            }
            Effect::Quarantine { node, until } => {
                self.hosts[host].quarantined.insert(node, until);
            }
            Effect::ClearQuarantine { node } => {
                self.hosts[host].quarantined.remove(&node);
            }
            Effect::Deliver { bytes, .. } => {
                let word = String::from_utf8_lossy(&bytes).into_owned();
                *self.hosts[host].delivered.entry(word).or_default() += 1;
            }
            // What is agreed on is asked for, and nothing in a scenario waits for it.
            Effect::Consensus { .. } | Effect::Waited { .. } | Effect::SharedChanged { .. } => {}
        }
    }

    fn send(&mut self, from: usize, to: &Address, envelope: &Envelope) {
        let bytes = match self.wire {
            Wire::Unseen => None,
            Wire::Counted | Wire::Crossed => Some(wire::encode(envelope)),
        };
        let bytes = bytes.map(|bytes| bytes.expect("a machine's own messages keep to the limits"));
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.tally.sent(from, envelope.message.name(), length);
        let Some(to) = self.place(to) else {
            return;
        };
        let read = bytes.filter(|_| self.wire == Wire::Crossed).map(|bytes| {
            wire::decode(&bytes).expect("what was written by this program can be read by it")
        });
        let envelope = read.as_ref().unwrap_or(envelope);
        let arrivals = self.network.send(from, to);
        for after in [arrivals.first, arrivals.second].into_iter().flatten() {
            let envelope = envelope.clone();
            self.push(after, Pending::Arrival { to, envelope });
        }
    }

    fn hear(&mut self, host: usize, notice: &Notice) {
        if let Notice::Event(event) = notice {
            let heard = Heard::new(self.now, event, |address| self.place(address));
            self.hosts[host].heard.push(heard);
        }
    }

    /// Something that this process will hear of, and no later one.
    fn answer(&mut self, host: usize, after: Duration, event: Event) {
        let start = self.hosts[host].starts;
        self.push(after, Pending::Answer { host, start, event });
    }

    fn lease(&mut self, host: usize, this: &UniqueAddress, request: LeaseRequest) {
        let answer = match request {
            LeaseRequest::Acquire => self.lease_answer(host, this),
            LeaseRequest::Release => {
                let lease = self.lease_of(host);
                if lease.holder.as_ref() == Some(this) {
                    *lease = super::Lease::default();
                }
                LeaseAnswer::Released
            }
        };
        let after = Duration::from_millis(self.rng.u64(1..=100));
        self.answer(host, after, Event::Lease(answer));
    }
}
