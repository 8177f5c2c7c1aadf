//! Heartbeats to a few nodes: what to send when, and what the answers mean.
//!
//! [`Watch`] is what [`super::ring`] and [`super::cross_dc`] have in common; those two choose the nodes. In: ticks, answers, and who is
//! watched. Out: heartbeats, and a verdict per node.
//!
//! Invariants: an answer counts once, in the order of the questions, and only from the incarnation that was asked; a node that never
//! answers is found out, too; a node that is not watched is never held unavailable.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::UniqueAddress;
use super::detector::{Detector, DetectorSettings, OwnStall};
use crate::id::Time;

#[cfg(test)]
mod tests;

/// How heartbeats are sent and judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeartbeatSettings {
    /// The delay from one round to the next. Above zero.
    pub heartbeat_interval: Duration,
    /// A node that has not answered its first heartbeat for so long is counted as if it had, and is suspected from then on.
    pub expected_response_after: Duration,
    /// How the answers are judged.
    pub detector: DetectorSettings,
}

/// A heartbeat to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// To whom.
    pub to: UniqueAddress,
    /// The round, to be echoed.
    pub seq: u64,
    /// When it is sent by this node's clock, to be echoed.
    pub sent: Time,
}

/// What an answer that counted has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// From question to answer.
    pub round_trip: Duration,
    /// The time since the answer before, if it was alarmingly long.
    pub late: Option<Duration>,
}

/// Whether a node counts as reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers, or nobody here has a right to doubt it.
    Available,
    /// It has been silent for too long.
    Unavailable,
    /// It is silent, but this node slept: nothing follows from that yet.
    Suspended,
}

/// One watched node.
#[derive(Debug, Clone, PartialEq)]
struct Watched {
    detector: Detector,
    /// When it is taken to have answered its first heartbeat; none once it has.
    first_answer_due: Option<Time>,
    /// The newest round that it has answered.
    answered: u64,
}

/// The watched nodes, and the rounds of heartbeats to them.
#[derive(Debug, Clone)]
pub struct Watch {
    settings: HeartbeatSettings,
    nodes: BTreeMap<UniqueAddress, Watched>,
    seq: u64,
    next_round: Time,
    own: OwnStall,
}

impl Watch {
    /// Watches nobody; the first round is due at once.
    pub fn new(settings: HeartbeatSettings, now: Time) -> Self {
        let pause = settings.detector.acceptable_pause();
        Self {
            settings,
            nodes: BTreeMap::new(),
            seq: 0,
            next_round: now,
            own: OwnStall::new(settings.heartbeat_interval, pause),
        }
    }

    /// When [`Watch::wake`] has something to do.
    pub fn next_wake(&self) -> Time {
        let answers = self.nodes.values().filter_map(|node| node.first_answer_due);
        answers.fold(self.next_round, Time::min)
    }

    /// Looks at the time. Returns how long this node slept, if it did; each stall is told once.
    pub fn notice(&mut self, now: Time) -> Option<Duration> {
        let stalled = self.own.notice(now)?;
        for node in self.nodes.values_mut() {
            node.detector.take_out(now, stalled);
        }
        Some(stalled)
    }

    /// Sends a round to `receivers` if one is due, and suspects who has never answered. The next round is due an interval after this one was
    /// sent, not after it was due: rounds never bunch up.
    pub fn wake<'a>(
        &mut self,
        now: Time,
        receivers: impl IntoIterator<Item = &'a UniqueAddress>,
        out: &mut Vec<Ping>,
    ) {
        for node in self.nodes.values_mut() {
            if node.first_answer_due.is_some_and(|due| due <= now) {
                node.first_answer_due = None;
                node.detector.heartbeat(now, now);
            }
        }
        if now < self.next_round {
            return;
        }
        self.seq += 1;
        self.next_round = now.after(self.settings.heartbeat_interval);
        self.own.ticked(now);
        for to in receivers {
            let settings = self.settings;
            self.nodes.entry(to.clone()).or_insert_with(|| Watched {
                detector: Detector::new(settings.detector),
                first_answer_due: Some(now.after(settings.expected_response_after)),
                answered: 0,
            });
            out.push(Ping {
                to: to.clone(),
                seq: self.seq,
                sent: now,
            });
        }
    }

    /// A watched node has answered the round `seq`, sent at `sent`. None if the answer does not count: it is a repetition, older than one
    /// that has come already, of a round that never was, or from somebody who was not asked.
    pub fn answered(
        &mut self,
        now: Time,
        from: &UniqueAddress,
        seq: u64,
        sent: Time,
    ) -> Option<Pulse> {
        let node = self.nodes.get_mut(from)?;
        if seq <= node.answered || self.seq < seq || now < sent {
            return None;
        }
        node.answered = seq;
        node.first_answer_due = None;
        Some(Pulse {
            round_trip: now.since(sent),
            late: node.detector.heartbeat(now, sent),
        })
    }

    /// Forgets a node: it is watched no longer, or is gone.
    pub fn forget(&mut self, node: &UniqueAddress) {
        self.nodes.remove(node);
    }

    /// Whether the node's silence would be noticed.
    pub fn is_monitoring(&self, node: &UniqueAddress) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.detector.is_monitoring())
    }

    /// What is to be thought of a node. One that is not watched is available.
    pub fn verdict(&self, now: Time, node: &UniqueAddress) -> Verdict {
        match self.nodes.get(node) {
            Some(node) if !node.detector.is_available(now) => {
                if self.own.judges(now) {
                    Verdict::Unavailable
                } else {
                    Verdict::Suspended
                }
            }
            Some(_) | None => Verdict::Available,
        }
    }

    /// The suspicion against each node that has answered, for those who look at the node.
    pub fn suspicions(&self, now: Time) -> impl Iterator<Item = (&UniqueAddress, f64)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.detector.is_monitoring())
            .map(move |(name, node)| (name, node.detector.phi(now)))
    }
}
