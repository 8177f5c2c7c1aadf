//! What is looked at of what arrives.

use alloc::vec::Vec;

use super::share::deliver;
use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::downing::{self, Ballot, Vote};
use crate::membership::effects::{Effect, Marker, Rejected};
use crate::membership::gossip::Gossip;
use crate::membership::member::{Member, Status};
use crate::membership::message::{Envelope, Message};

impl Membership {
    pub(super) fn receive(
        &mut self,
        now: Time,
        (from, arrived): (&Address, Time),
        envelope: &Envelope,
        out: &mut Vec<Effect>,
    ) {
        if self.phase == Phase::Ended {
            return;
        }
        let looked_at = self
            .is_for_us(from, envelope)
            .and_then(|()| self.dispatch(now, arrived, envelope, out));
        if let Err(reason) = looked_at {
            self.reject(envelope, from, reason, out);
        }
    }

    /// The checks that every message must pass before its content matters.
    fn is_for_us(&self, from: &Address, envelope: &Envelope) -> Result<(), Rejected> {
        let message = &envelope.message;
        if envelope.from.address != *from || *from == self.this.address {
            return Err(Rejected::WrongAddress);
        }
        match envelope.to {
            Some(uid) if uid == self.this.uid => {}
            None if message.is_of_joining() => {}
            Some(_) | None => return Err(Rejected::WrongUid),
        }
        // The words of joining are how two nodes find out that they speak no common version, or belong to two clusters.
        if message.is_of_handshake() {
            return Ok(());
        }
        if !self.profile.protocol.speaks(envelope.version) {
            return Err(Rejected::ProtocolVersion);
        }
        if envelope.cluster.is_none() || self.foreign(envelope.cluster).is_some() {
            return Err(Rejected::WrongCluster);
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        now: Time,
        arrived: Time,
        envelope: &Envelope,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        let from = &envelope.from;
        let message = &envelope.message;
        if envelope.to.is_some() && !message.is_of_handshake() && !message.is_of_joining() {
            self.ask_for_lost_welcome(now, from, out);
        }
        match &envelope.message {
            Message::InitJoin(question) => self.on_init_join(envelope, question, out),
            Message::InitJoinAck(ack) => self.on_ack(now, envelope, ack, out),
            Message::InitJoinNack(reason) => self.on_nack(now, envelope, reason, out),
            Message::Join(join) => self.on_join(envelope, join, out),
            Message::JoinRefused(reason) => self.on_refused(now, envelope, reason, out),
            Message::Welcome(welcome) => self.on_welcome(now, envelope, welcome, out)?,
            Message::Heartbeat(beat) => {
                // Whoever asks is answered: it may be a member of whom this node has not heard yet.
                self.is_not_gone(envelope, out)?;
                self.send(from, Message::HeartbeatReply(*beat), out);
            }
            Message::CrossHeartbeat(beat) => {
                self.is_not_gone(envelope, out)?;
                self.send(from, Message::CrossHeartbeatReply(*beat), out);
            }
            Message::HeartbeatReply(beat) => {
                self.is_a_member(envelope, out)?;
                self.on_heartbeat_reply(now, from, *beat);
            }
            Message::CrossHeartbeatReply(beat) => {
                self.is_a_member(envelope, out)?;
                self.on_cross_heartbeat_reply(now, from, *beat);
            }
            Message::Status(status) => {
                self.is_no_stranger(envelope, out)?;
                self.on_status(from, status, out)?;
            }
            Message::Version(version) => {
                self.is_a_member(envelope, out)?;
                self.on_version(from, version, out)?;
            }
            Message::Gossip(message) => {
                self.may_show(envelope, &message.gossip, out)?;
                self.on_gossip((now, arrived), from, message, out)?;
            }
            Message::GossipDelta(message) => {
                self.is_no_stranger(envelope, out)?;
                self.on_delta((now, arrived), from, message, out)?;
            }
            Message::Gone if self.has_removed(from) => self.on_rift(envelope, out),
            Message::Gone => {
                self.may_remove(envelope, out)?;
                self.on_gone(now, from, out);
            }
            Message::ExitingConfirmed => {
                self.is_a_member(envelope, out)?;
                self.on_exiting_confirmed(from);
            }
            Message::SharedStateDigest(digest) => {
                self.is_a_member(envelope, out)?;
                self.on_shared_digest(from, digest, out);
            }
            Message::SharedState(delta) => {
                self.is_a_member(envelope, out)?;
                self.on_shared_state(delta, out);
            }
            Message::Broadcast(words) => {
                self.is_a_member(envelope, out)?;
                deliver(from, words, out);
            }
            Message::Presence(presence) => self.on_presence(now, envelope, presence, out),
            Message::Ballot(ballot) => self.on_ballot(now, envelope, ballot, out)?,
            Message::Vote(vote) => self.on_vote(now, envelope, vote, out)?,
        }
        Ok(())
    }

    /// What members say to each other is heard by members alone, and not from those who were removed or shut out.
    fn is_not_gone(&self, envelope: &Envelope, out: &mut Vec<Effect>) -> Result<(), Rejected> {
        if self.phase != Phase::Member {
            return Err(Rejected::Unexpected);
        }
        if self.gossip.tombstones().contains(&envelope.from) {
            // It may have been cut off while it was removed, and never hear of it otherwise.
            if !matches!(envelope.message, Message::Gone) {
                self.reply_to(envelope, Message::Gone, out);
            }
            return Err(Rejected::GoneSender);
        }
        if self.quarantine.holds(&envelope.from) {
            return Err(Rejected::GoneSender);
        }
        Ok(())
    }

    /// Whether this node, a member, knows an incarnation as removed.
    pub(super) fn has_removed(&self, node: &UniqueAddress) -> bool {
        self.phase == Phase::Member && self.gossip.tombstones().contains(node)
    }

    /// Whose picture is looked at: a member's, and that of a stranger who was let in.
    fn may_show(
        &self,
        envelope: &Envelope,
        theirs: &Gossip,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.is_not_gone(envelope, out)?;
        let from = &envelope.from;
        if self.gossip.has(from) || self.was_let_in(from, theirs) {
            Ok(())
        } else {
            Err(Rejected::UnknownSender)
        }
    }

    fn on_ballot(
        &mut self,
        now: Time,
        envelope: &Envelope,
        ballot: &Ballot,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.is_a_member(envelope, out)?;
        let by = &envelope.from;
        let leads = self.view().leader() == Some(by);
        self.drive_downing(now, downing::Event::Asked { by, ballot, leads }, out);
        Ok(())
    }

    fn on_vote(
        &mut self,
        now: Time,
        envelope: &Envelope,
        vote: &Vote,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.is_a_member(envelope, out)?;
        let by = &envelope.from;
        self.drive_downing(now, downing::Event::Voted { by, vote }, out);
        Ok(())
    }

    /// Who says that this incarnation was removed is to be a member. A stranger may be wrong about one that holds something; one that holds nothing had
    /// better begin again.
    fn may_remove(&self, envelope: &Envelope, out: &mut Vec<Effect>) -> Result<(), Rejected> {
        if self.is_of_living_dc() {
            self.is_a_member(envelope, out)
        } else {
            self.is_not_gone(envelope, out)
        }
    }

    /// Whether a stranger shows by its picture that a member has let it in who is gone by now, and whose news of it got lost with it. Only its own
    /// picture can tell of it then. That picture may come from the other side of a partition; it counts only if it takes nobody from this one. Whom
    /// another data centre has lost is that one's business.
    fn was_let_in(&self, from: &UniqueAddress, theirs: &Gossip) -> bool {
        let members = self.gossip.members().iter();
        let mut staying = members.filter(|member| self.is_own_dc(member));
        let takes = |member: &Member| {
            let known = theirs.member(&member.node);
            theirs.tombstones().contains(&member.node)
                || known.is_some_and(|known| known.status == Status::Down)
        };
        theirs.has(from) && !staying.any(|member| !member.status.is_going() && takes(member))
    }

    /// Asks a stranger that speaks of its picture for all of it: whether it was let in, nothing less can show ([`Self::was_let_in`]).
    fn is_no_stranger(&self, envelope: &Envelope, out: &mut Vec<Effect>) -> Result<(), Rejected> {
        let known = self.is_a_member(envelope, out);
        if known == Err(Rejected::UnknownSender) {
            self.send_version(&envelope.from, out);
        }
        known
    }

    fn is_a_member(&self, envelope: &Envelope, out: &mut Vec<Effect>) -> Result<(), Rejected> {
        self.is_not_gone(envelope, out)?;
        if self.gossip.has(&envelope.from) {
            Ok(())
        } else {
            Err(Rejected::UnknownSender)
        }
    }

    /// Counts what was not looked at. The log hears of the first of a kind, the second, the fourth, …: a flood cannot fill it.
    pub(super) fn reject(
        &mut self,
        envelope: &Envelope,
        from: &Address,
        reason: Rejected,
        out: &mut Vec<Effect>,
    ) {
        let count = self.counters.rejected.entry(reason).or_default();
        *count += 1;
        if count.is_power_of_two() {
            out.push(Effect::Log(Marker::Rejected {
                from: from.clone(),
                message: envelope.message.name(),
                reason,
                count: *count,
            }));
        }
    }
}
