//! How the pictures of all members become one.

use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::effects::{Effect, Rejected};
use crate::membership::gossip::{Change, Gossip};
use crate::membership::member::{Member, Status};
use crate::membership::message::{Envelope, GossipMessage, GossipStatus, Message};
use crate::membership::vector_clock::Relation;
use crate::membership::view::View;

impl Membership {
    /// Tells one member of the picture, or asks it whether it has it.
    pub(super) fn gossip_round(&mut self, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member {
            return;
        }
        let view = View::new(&self.gossip, &self.this, &self.profile.dc);
        let Some(peer) = self.targets.choose(&view, &mut self.rng) else {
            return;
        };
        let near = self.is_near(&peer);
        if !near || self.gossip.is_seen_by(&peer) {
            self.send_status(&peer, out);
        } else {
            self.send_picture(&peer, out);
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
    pub(super) fn is_in_a_hurry(&self) -> bool {
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
        2 * seen < members
    }

    pub(super) fn on_status(
        &mut self,
        from: &UniqueAddress,
        status: &GossipStatus,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        self.may_gossip(from)?;
        if status.seen != self.gossip.seen().digest() {
            self.send_picture(from, out);
            return Ok(());
        }
        match status.version.compare(self.gossip.version()) {
            Relation::Same => {}
            Relation::After => self.send_status(from, out),
            Relation::Before | Relation::Concurrent => self.send_picture(from, out),
        }
        Ok(())
    }

    pub(super) fn on_gossip(
        &mut self,
        (now, arrived): (Time, Time),
        from: &UniqueAddress,
        message: &GossipMessage,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        if message.time_to_live <= now.since(arrived) {
            return Err(Rejected::Expired);
        }
        self.may_gossip(from)?;
        let remote = &message.gossip;
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
        if taken.talk_back && (has_news || !is_hidden) {
            self.send_picture(from, out);
        }
        Ok(())
    }

    /// Whether this node keeps it to itself that it has seen a picture: one in which it exits, until it has handed over.
    fn hides(&self, gossip: &Gossip) -> bool {
        let own = gossip.member(&self.this).map(|member| member.status);
        own == Some(Status::Exiting) && !self.has_exited
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

    pub(super) fn send_picture(&self, to: &UniqueAddress, out: &mut Vec<Effect>) {
        let message = Message::Gossip(GossipMessage {
            gossip: self.gossip.clone(),
            time_to_live: self.settings.gossip.time_to_live,
        });
        self.send(to, message, out);
    }

    fn send_status(&self, to: &UniqueAddress, out: &mut Vec<Effect>) {
        let message = Message::Status(GossipStatus {
            version: self.gossip.version().clone(),
            seen: self.gossip.seen().digest(),
        });
        self.send(to, message, out);
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
