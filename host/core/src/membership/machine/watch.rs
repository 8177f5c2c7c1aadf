//! Who answers: heartbeats, what follows from them, and who is shut out.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::cross_dc::CrossDcHeartbeats;
use crate::membership::detector::{DeadlineSettings, DetectorSettings, PhiSettings};
use crate::membership::downing;
use crate::membership::effects::{Effect, Marker};
use crate::membership::heartbeat::{HeartbeatSettings, Ping, Pulse, Verdict};
use crate::membership::inputs::CommandError;
use crate::membership::member::{Decider, Profile};
use crate::membership::message::{Beat, Message};
use crate::membership::reachability::Reach;
use crate::membership::ring::Heartbeats;
use crate::membership::settings::Settings;

impl Membership {
    /// Looks at the time before anything else: a node that was held up itself must not judge others by what it missed.
    pub(super) fn notice_stall(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member {
            return;
        }
        let near = self.near.notice(now);
        let far = self.far.notice(now);
        if let Some(stalled) = near.or(far) {
            self.counters.stalls += 1;
            out.push(Effect::Log(Marker::HeartbeatStarvation { stalled }));
        }
    }

    /// Sends the heartbeats that are due.
    pub(super) fn beat(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mut pings = Vec::new();
        self.near.wake(now, &mut pings);
        for Ping { to, seq, sent } in pings.drain(..) {
            self.send(&to, Message::Heartbeat(Beat { seq, sent }), out);
        }
        self.far.wake(now, &mut pings);
        for Ping { to, seq, sent } in pings {
            self.send(&to, Message::CrossHeartbeat(Beat { seq, sent }), out);
        }
    }

    pub(super) fn on_heartbeat_reply(&mut self, now: Time, from: &UniqueAddress, beat: Beat) {
        let pulse = self.near.answered(now, from, beat.seq, beat.sent);
        self.take_pulse(from, pulse);
    }

    pub(super) fn on_cross_heartbeat_reply(&mut self, now: Time, from: &UniqueAddress, beat: Beat) {
        let pulse = self.far.answered(now, from, beat.seq, beat.sent);
        self.take_pulse(from, pulse);
    }

    fn take_pulse(&mut self, from: &UniqueAddress, pulse: Option<Pulse>) {
        let Some(pulse) = pulse else {
            self.counters.stale_heartbeats += 1;
            return;
        };
        self.round_trips.insert(from.clone(), pulse.round_trip);
        self.counters.late_heartbeats += u64::from(pulse.late.is_some());
    }

    /// Writes into the table what the silence of those who are watched means by now.
    pub(super) fn reap(&mut self, now: Time) {
        let mut judged: Vec<(UniqueAddress, Reach)> = Vec::new();
        let said = self.gossip.reachability().all_unreachable_from(&self.this);
        let watched = self.near.receivers().chain(self.far.receivers());
        for node in watched.chain(said) {
            let is_near = self.is_near(node);
            let verdict = if is_near {
                self.near.verdict(now, node)
            } else {
                self.far.verdict(now, node)
            };
            match verdict {
                Verdict::Available => judged.push((node.clone(), Reach::Reachable)),
                Verdict::Unavailable => judged.push((node.clone(), Reach::Unreachable)),
                Verdict::Suspended => {}
            }
        }
        self.update(|change| {
            for (node, reach) in &judged {
                change.observe(node, *reach);
            }
        });
    }

    /// The transport gave an incarnation up. Nobody is declared dead for that.
    pub(super) fn quarantined(&mut self, now: Time, node: &UniqueAddress, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member || *node == self.this {
            return;
        }
        self.update(|change| change.observe(node, Reach::Terminated));
        if let Some(until) = self.quarantine.shut_out(now, node) {
            log_quarantined(node, until.since(now), out);
        }
    }

    /// A node's transport gave this incarnation up; the policy says whether that matters to a member. Who holds nothing begins again, and so does who is
    /// not let in yet: it once was, and those who removed it will never speak to this incarnation.
    pub(super) fn quarantined_by(&mut self, now: Time, by: &UniqueAddress, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Member if self.gossip.has(by) => {
                self.drive_downing(now, downing::Event::QuarantinedBy(by), out);
            }
            // Each has removed the other. They are to find out which one stays, and can only if they hear each other.
            Phase::Member if self.has_removed(by) => self.listen_again(now, by, out),
            Phase::Member if self.stranger.as_ref() == Some(by) => {
                self.shut_out_by_stranger(now, by, out);
            }
            Phase::Member if !self.is_of_living_dc() => {
                let this = self.this.clone();
                self.down(&this, &Decider::Others, out);
            }
            Phase::Searching | Phase::Asking(_) if self.asks(&by.address) => {
                self.shut_out_by(&by.address, out);
            }
            Phase::Idle | Phase::Searching | Phase::Asking(_) | Phase::Member | Phase::Ended => {}
        }
    }

    /// Shuts out whose time has come.
    pub(super) fn quarantine_timers(&mut self, now: Time, out: &mut Vec<Effect>) {
        for (node, until) in self.quarantine.wake(now) {
            tell_quarantined(node, (now, until), out);
        }
    }

    /// Shuts one out that this node had let in again.
    pub(super) fn shut_out_again(
        &mut self,
        now: Time,
        node: &UniqueAddress,
        out: &mut Vec<Effect>,
    ) {
        if let Some(until) = self.quarantine.shut_out(now, node) {
            tell_quarantined(node.clone(), (now, until), out);
        }
    }

    pub(super) fn clear_quarantine(&mut self, node: &UniqueAddress, out: &mut Vec<Effect>) {
        if self.quarantine.clear(node) {
            out.push(Effect::ClearQuarantine { node: node.clone() });
        }
        // What it answers from now on says whether it can be reached.
        self.update(|change| change.pardon(node));
    }

    /// An operator wants nothing to do with an incarnation any more: the transport is told, as it tells otherwise.
    pub(super) fn shut_out(
        &mut self,
        now: Time,
        node: &UniqueAddress,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        if self.phase != Phase::Member {
            return Err(CommandError::NotJoined);
        }
        if *node == self.this {
            return Err(CommandError::Itself);
        }
        self.quarantined(now, node, out);
        let mut entries = self.quarantine.iter();
        if let Some((_, until)) = entries.find(|(other, _)| *other == node) {
            let node = node.clone();
            out.push(Effect::Quarantine { node, until });
        }
        Ok(())
    }
}

fn tell_quarantined(node: UniqueAddress, (now, until): (Time, Time), out: &mut Vec<Effect>) {
    let lasting = until.since(now);
    out.push(Effect::Quarantine {
        node: node.clone(),
        until,
    });
    log_quarantined(&node, lasting, out);
}

fn log_quarantined(node: &UniqueAddress, lasting: Duration, out: &mut Vec<Effect>) {
    out.push(Effect::Log(Marker::Quarantined {
        node: node.clone(),
        lasting,
    }));
}

/// The two kinds of heartbeats as the settings want them, with nobody to watch yet.
pub(super) fn heartbeats(
    settings: &Settings,
    this: &UniqueAddress,
    profile: &Profile,
    now: Time,
) -> (Heartbeats, CrossDcHeartbeats) {
    let near = &settings.failure_detector;
    let watched = usize::try_from(near.monitored_by_nr_of_members).unwrap_or(usize::MAX);
    let near = HeartbeatSettings {
        heartbeat_interval: near.heartbeat_interval,
        expected_response_after: near.expected_response_after,
        detector: DetectorSettings::Phi(PhiSettings {
            threshold: near.threshold,
            max_sample_size: near.max_sample_size,
            min_std_deviation: near.min_std_deviation,
            acceptable_heartbeat_pause: near.acceptable_heartbeat_pause,
            first_heartbeat_estimate: near.heartbeat_interval,
            burst_interval: near.heartbeat_interval / 4,
        }),
    };
    let far = &settings.multi_data_center;
    let speakers = usize::try_from(far.cross_data_center_connections).unwrap_or(usize::MAX);
    let far = HeartbeatSettings {
        heartbeat_interval: far.failure_detector.heartbeat_interval,
        expected_response_after: far.failure_detector.expected_response_after,
        detector: DetectorSettings::Deadline(DeadlineSettings {
            heartbeat_interval: far.failure_detector.heartbeat_interval,
            acceptable_heartbeat_pause: far.failure_detector.acceptable_heartbeat_pause,
        }),
    };
    let dc = Arc::clone(&profile.dc);
    (
        Heartbeats::new(this.clone(), watched, near, now),
        CrossDcHeartbeats::new(this.clone(), dc, speakers, far, now),
    )
}
