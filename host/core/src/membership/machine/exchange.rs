//! How the pictures of all members become one.
//!
//! A picture is told as what differs from one that the receiver is known to have ([`History`](crate::membership::gossip::History)), or whole; the
//! receiver makes the whole picture of it, and from there on it does not matter how it came.
//!
//! What is new goes to the leader and from there to all ([`relay`](super::relay)). Nothing rests on that, nor on any one message. A status names
//! a version by its digest: whoever knows that version tells what came since, whoever does not answers with its own, and if that is unknown, too, the clocks are
//! exchanged, which ends in a whole picture. A difference on a picture that is not there is answered like such a status, a damaged one with the
//! clock. So what is lost, doubled or late is made good by the next round between any two.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::effects::{Effect, Rejected};
use crate::membership::gossip::{
    Change, DeltaError, Gossip, Seen, SparseSeen, Telling, VersionDigest,
};
use crate::membership::member::{Decider, Member, Status};
use crate::membership::message::{DeltaMessage, Envelope, GossipMessage, GossipStatus, Message};
use crate::membership::vector_clock::{Relation, VectorClock};
use crate::membership::view::View;

impl Membership {
    /// Tells one member of the picture, or asks it whether it has it.
    pub(super) fn gossip_round(&mut self, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member {
            return;
        }
        if core::mem::take(&mut self.rounds.has_news) && self.tell_news(out) {
            return;
        }
        let view = View::new(&self.gossip, &self.this, &self.profile.dc);
        let Some(peer) = self.targets.choose(&view, &mut self.rng) else {
            return;
        };
        let near = self.is_near(&peer);
        let is_known = self.gossip.is_seen_by(&peer) || self.leader_has_it();
        if !near || is_known || !self.has_base_for(&peer) {
            self.send_status(&peer, None, out);
        } else {
            self.send_picture(&peer, out);
        }
    }

    /// Whether a member is known to have anything to build on. Who may have is asked before it is told everything.
    pub(super) fn has_base_for(&mut self, peer: &UniqueAddress) -> bool {
        self.history.follow(&self.gossip);
        self.history.telling(peer) != Telling::Whole
    }

    /// Tells the leader that this node has seen a version that the leader has: it waits for all, and what comes next waits for it. Once
    /// for each version; if it gets lost, the rounds bring it.
    pub(super) fn report(&mut self, out: &mut Vec<Effect>) {
        let version = self.history.follow(&self.gossip);
        let Some(leader) = self.state.leader.clone() else {
            return;
        };
        let is_due = self.reported != Some(version)
            && leader != self.this
            && self.gossip.is_seen_by(&leader)
            && self.gossip.can_reach(&self.this, &leader);
        let place = self.gossip.index(&self.this);
        let place = place.filter(|at| is_due && self.gossip.seen().has(*at));
        if let Some(place) = place {
            let seen = Seen::from_iter([place]);
            self.send_status(&leader, Some(&seen), out);
        }
    }

    /// Tells some members at random, all at once: this node may have no other chance.
    pub(super) fn gossip_burst(&mut self, count: usize, out: &mut Vec<Effect>) {
        let view = View::new(&self.gossip, &self.this, &self.profile.dc);
        let peers = self.targets.burst(&view, count, &mut self.rng);
        for peer in peers {
            self.send_picture(&peer, out);
        }
    }

    /// Tells one member at random that is not `knows`.
    pub(super) fn tell_another(&mut self, knows: &UniqueAddress, out: &mut Vec<Effect>) {
        let view = View::new(&self.gossip, &self.this, &self.profile.dc);
        let two = self.targets.burst(&view, 2, &mut self.rng);
        if let Some(other) = two.iter().find(|node| *node != knows) {
            self.send_picture(other, out);
        }
    }

    /// Whether something is under way that members should hear of soon.
    pub(super) fn is_in_a_hurry(&self, now: Time) -> bool {
        let own = self
            .gossip
            .members()
            .iter()
            .filter(|member| self.is_own_dc(member));
        let (mut members, mut seen) = (0_usize, 0_usize);
        for member in own {
            if member.status == Status::Down {
                return true;
            }
            members += 1;
            seen += usize::from(self.gossip.is_seen_by(&member.node));
        }
        2 * seen < members && !self.leader_tells(now)
    }

    pub(super) fn on_status(
        &mut self,
        from: &UniqueAddress,
        status: &GossipStatus,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.may_gossip(from)?;
        if status.relay.is_some() {
            self.hand_on(status.relay, &Message::Status(status.clone()), out);
        }
        let ours = self.history.follow(&self.gossip);
        let is_known = self.history.had(from, status.version);
        if status.version == ours {
            return self.on_seen(from, status, out);
        }
        // What it says twice counts more than what others have said of it.
        let insists = status.answers && self.history.telling(from) == Telling::Seen;
        if is_known && !insists {
            self.send_picture(from, out);
        } else if status.answers {
            // Digests lead no further.
            self.send_version(from, out);
        } else {
            self.send_status(from, Some(&Seen::default()), out);
        }
        Ok(())
    }

    /// A member has this very version, and knows who has seen it.
    fn on_seen(
        &mut self,
        from: &UniqueAddress,
        status: &GossipStatus,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        let members = self.gossip.members().len();
        let theirs = status.seen.among(members);
        let theirs = theirs.map_err(|_not_of_members| Rejected::Malformed)?;
        if !theirs.without(self.gossip.seen()).is_empty() {
            self.gossip.union_seen(&theirs);
            self.changed = true;
        }
        let lacks = self.gossip.seen().without(&theirs);
        if !status.answers && status.relay.is_none() && !lacks.is_empty() {
            self.send_status(from, Some(&lacks), out);
        }
        Ok(())
    }

    /// A member has a version that this node did not know by its digest.
    pub(super) fn on_version(
        &mut self,
        from: &UniqueAddress,
        version: &VectorClock,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.may_gossip(from)?;
        match version.compare(self.gossip.version()) {
            Relation::Same => {}
            Relation::After => self.send_version(from, out),
            // All of it: whatever it was that they could not make out, that they can.
            Relation::Before | Relation::Concurrent => self.send_whole(from, out),
        }
        Ok(())
    }

    pub(super) fn on_gossip(
        &mut self,
        times: (Time, Time),
        from: &UniqueAddress,
        message: &GossipMessage,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        in_time(times, message.time_to_live)?;
        if self.may_gossip(from).is_err() {
            return self.on_verdict(from, &message.gossip, out);
        }
        let version = VersionDigest::of(&message.gossip);
        self.take_in(times.0, (from, version), &message.gossip, false, out)
    }

    pub(super) fn on_delta(
        &mut self,
        times: (Time, Time),
        from: &UniqueAddress,
        message: &DeltaMessage,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        in_time(times, message.time_to_live)?;
        let delta = &message.delta;
        let relay = message.relay;
        self.history.follow(&self.gossip);
        if let Err(unheard) = self.may_gossip(from) {
            let theirs = self.history.apply(delta).map_err(|_unknown| unheard)?;
            return self.on_verdict(from, &theirs, out);
        }
        self.history.had(from, delta.base);
        match self.history.apply(delta) {
            Ok(gossip) => {
                let version = (from, delta.version);
                let taken = self.take_in(times.0, version, &gossip, relay.is_some(), out);
                self.hand_on(relay, &Message::GossipDelta(message.clone()), out);
                taken
            }
            Err(DeltaError::OtherBase { .. }) => {
                // It is long ago that this node had that version.
                self.send_status(from, Some(&Seen::default()), out);
                self.hand_on(relay, &Message::GossipDelta(message.clone()), out);
                Ok(())
            }
            Err(
                DeltaError::Contradiction { .. }
                | DeltaError::OtherVersion { .. }
                | DeltaError::Form(_),
            ) => {
                self.send_version(from, out);
                Err(Rejected::Malformed)
            }
        }
    }

    /// Takes in a member's picture, however it was told.
    fn take_in(
        &mut self,
        now: Time,
        (from, version): (&UniqueAddress, VersionDigest),
        remote: &Gossip,
        is_relayed: bool,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        if !remote.has(&self.this) {
            return Err(Rejected::WithoutSelf);
        }
        self.counters.gossip_received += 1;
        self.counters.last_gossip = Some(now);
        let taken = self.gossip.reconcile(remote, &self.this, false);
        let has_news = matches!(taken.relation, Relation::After | Relation::Concurrent);
        let mut gossip = taken.gossip;
        let is_hidden = self.hides(&gossip);
        if !is_hidden {
            gossip.see(&self.this);
        }
        if gossip != self.gossip {
            self.gossip = gossip;
            self.changed = true;
        }
        self.history.follow(&self.gossip);
        self.history.had(from, version);
        if has_news {
            self.send_picture(from, out);
        } else if taken.talk_back && !is_hidden && !is_relayed {
            let lacks = self.gossip.seen().without(remote.seen());
            self.send_status(from, Some(&lacks), out);
        }
        Ok(())
    }

    /// Whether this node keeps it to itself that it has seen a picture: one in which it exits, until it has handed over.
    fn hides(&self, gossip: &Gossip) -> bool {
        let own = gossip.member(&self.this).map(|member| member.status);
        own == Some(Status::Exiting) && !self.has_exited
    }

    /// A member that this node does not reach says something. It is not heard, unless it is that this node is down: the two may be the only ones that can
    /// still speak with each other, in one direction. An incarnation that is down stays so, and a picture names incarnations, so this is no old news of
    /// another one. It is no verdict if it is by one that is down itself: the other side of a partition, which goes, may have taken this one with it.
    fn on_verdict(
        &mut self,
        from: &UniqueAddress,
        remote: &Gossip,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        let is_down = |gossip: &Gossip, node: &UniqueAddress| {
            gossip
                .member(node)
                .is_none_or(|member| member.status == Status::Down)
        };
        let is_verdict = remote.has(&self.this) && is_down(remote, &self.this);
        if !is_verdict || is_down(remote, from) || is_down(&self.gossip, from) {
            return Err(Rejected::UnreachableSender);
        }
        let this = self.this.clone();
        self.down(&this, &Decider::Others, out);
        Ok(())
    }

    fn may_gossip(&self, from: &UniqueAddress) -> Result<(), Rejected> {
        if self.gossip.can_reach(&self.this, from) {
            Ok(())
        } else {
            Err(Rejected::UnreachableSender)
        }
    }

    /// Makes changes of this node's own, as one new version that everybody has to see.
    pub(super) fn update<R>(&mut self, make: impl FnOnce(&mut Change<'_>) -> R) -> R {
        let mut change = self.gossip.change(&self.this);
        let result = make(&mut change);
        let is_changed = change.is_changed();
        drop(change);
        if is_changed {
            if self.hides(&self.gossip) {
                self.gossip.unsee(&self.this);
            }
            self.changed = true;
        }
        result
    }

    /// Tells a member of the picture, in as few words as it needs.
    pub(super) fn send_picture(&mut self, to: &UniqueAddress, out: &mut Vec<Effect>) {
        let version = self.history.follow(&self.gossip);
        match self.history.telling(to) {
            Telling::Seen => self.send_status(to, None, out),
            Telling::Delta(delta) => {
                let message = Message::GossipDelta(DeltaMessage {
                    delta,
                    time_to_live: self.settings.gossip.time_to_live,
                    relay: None,
                });
                if self.state.leader.as_ref() == Some(to) && self.gossip.is_seen_by(&self.this) {
                    self.reported = Some(version);
                }
                self.send(to, message, out);
            }
            Telling::Whole => self.send_whole(to, out),
        }
    }

    fn send_whole(&self, to: &UniqueAddress, out: &mut Vec<Effect>) {
        let message = Message::Gossip(GossipMessage {
            gossip: self.gossip.clone(),
            time_to_live: self.settings.gossip.time_to_live,
        });
        self.send(to, message, out);
    }

    /// Says how far the picture is. `lacks`: as an answer, with those who have seen it and of whom the receiver does not know.
    pub(super) fn send_status(
        &mut self,
        to: &UniqueAddress,
        lacks: Option<&Seen>,
        out: &mut Vec<Effect>,
    ) {
        let version = self.history.follow(&self.gossip);
        let seen = lacks.unwrap_or_else(|| self.gossip.seen());
        let place = self.gossip.index(&self.this);
        if self.state.leader.as_ref() == Some(to) && place.is_some_and(|at| seen.has(at)) {
            self.reported = Some(version);
        }
        let message = Message::Status(GossipStatus {
            version,
            seen: SparseSeen::new(seen, self.gossip.members().len()),
            answers: lacks.is_some(),
            relay: None,
        });
        self.send(to, message, out);
    }

    pub(super) fn send_version(&self, to: &UniqueAddress, out: &mut Vec<Effect>) {
        let version = Message::Version(self.gossip.version().clone());
        self.send(to, version, out);
    }

    /// Sends to an incarnation.
    pub(super) fn send(&self, to: &UniqueAddress, message: Message, out: &mut Vec<Effect>) {
        self.send_to(&to.address, Some(to.uid), message, out);
    }

    /// Answers whoever sent `envelope`.
    pub(super) fn reply_to(&self, envelope: &Envelope, message: Message, out: &mut Vec<Effect>) {
        self.send(&envelope.from, message, out);
    }

    pub(super) fn send_to(
        &self,
        to: &Address,
        uid: Option<u64>,
        message: Message,
        out: &mut Vec<Effect>,
    ) {
        let member = uid.and_then(|uid| {
            let node = UniqueAddress::new(to.clone(), uid);
            self.gossip.member(&node)
        });
        let theirs = member.map(|member| member.profile.protocol);
        let ours = self.profile.protocol;
        // Who is not a member is spoken with in the oldest version: it may know no other.
        let version = theirs.map_or(Some(ours.lowest), |theirs| ours.common(theirs));
        out.push(Effect::Send {
            to: to.clone(),
            envelope: Envelope {
                from: self.this.clone(),
                to: uid,
                cluster: self.cluster,
                version: version.unwrap_or(ours.lowest),
                message,
            },
        });
    }

    /// Whether a node is a member of this node's data centre.
    pub(super) fn is_near(&self, node: &UniqueAddress) -> bool {
        let member = self.gossip.member(node);
        member.is_some_and(|member| self.is_own_dc(member))
    }

    pub(super) fn is_own_dc(&self, member: &Member) -> bool {
        member.profile.dc == self.profile.dc
    }
}

/// What waited for too long may be of a time that is gone.
fn in_time((now, arrived): (Time, Time), time_to_live: Duration) -> Result<(), Rejected> {
    if time_to_live <= now.since(arrived) {
        return Err(Rejected::Expired);
    }
    Ok(())
}
