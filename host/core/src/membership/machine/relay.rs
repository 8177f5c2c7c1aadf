//! How the leader's word reaches all members of its data centre: each hears it once, and some hand it on.
//!
//! Whoever changes something tells the leader, the leader tells all, and each of them tells the leader that it has seen it; once all have,
//! the leader tells that. This takes three messages for each member, however many there are, and none of them grows with their number. Nothing
//! rests on it: a word that is lost on the way leaves some members to the rounds, in which everybody tells everybody.

use alloc::vec::Vec;

use super::Membership;
use crate::id::Time;
use crate::membership::effects::Effect;
use crate::membership::gossip::SparseSeen;
use crate::membership::message::{DeltaMessage, GossipStatus, Message, Relay};
use crate::membership::view::View;

impl Membership {
    /// What the first round does after something new: the leader tells all of it, another one tells the leader. Whether there was anybody to
    /// tell.
    pub(super) fn tell_news(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(leader) = self.state.leader.clone() else {
            return false;
        };
        if leader == self.this {
            return self.spread(out);
        }
        if self.gossip.is_seen_by(&leader) || !self.gossip.can_reach(&self.this, &leader) {
            return false;
        }
        if self.has_base_for(&leader) {
            self.send_picture(&leader, out);
        } else {
            self.send_status(&leader, None, out);
        }
        true
    }

    /// The leader tells all members of the picture, or that they agree on it. Whether it could.
    fn spread(&mut self, out: &mut Vec<Effect>) -> bool {
        let version = self.history.follow(&self.gossip);
        let members = self.gossip.members().len();
        let all = Relay::new(0, u32::try_from(members).unwrap_or(u32::MAX));
        let message = if self.is_converged() {
            Message::Status(GossipStatus {
                version,
                seen: SparseSeen::new(self.gossip.seen(), members),
                answers: false,
                relay: None,
            })
        } else if let Some(delta) = self.history.telling_all() {
            Message::GossipDelta(DeltaMessage {
                delta,
                time_to_live: self.settings.gossip.time_to_live,
                relay: None,
            })
        } else {
            return false;
        };
        self.hand_on(all.ok(), &message, out)
    }

    /// Tells those that this node is to tell, each with whom it is to tell in turn. Whether there was anybody.
    pub(super) fn hand_on(
        &mut self,
        relay: Option<Relay>,
        message: &Message,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(relay) = relay else {
            return false;
        };
        let places = relay.among(self.gossip.members().len());
        let view = View::new(&self.gossip, &self.this, &self.profile.dc);
        let shares = self.targets.shares(&view, places, &mut self.rng);
        for (to, part) in &shares {
            let end = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let relay = Relay::new(end(part.start), end(part.end)).ok();
            let message = message.relayed(relay);
            self.send(to, message, out);
        }
        !shares.is_empty()
    }

    /// Whether the leader has this very version.
    pub(super) fn leader_has_it(&self) -> bool {
        let leader = self.state.leader.as_ref();
        leader.is_some_and(|leader| {
            *leader != self.this
                && self.gossip.is_seen_by(leader)
                && self.gossip.can_reach(&self.this, leader)
        })
    }

    /// Whether it can be left to the leader for now to tell all of the picture. Not by one that speaks with other data centres: they are none
    /// of that leader's. And not for long: its word may have been lost.
    pub(super) fn leader_tells(&self, now: Time) -> bool {
        let interval = self.settings.gossip.interval;
        now < self.rounds.news_since.after(interval)
            && self.leader_has_it()
            && !self.targets.speaks_abroad(&self.view())
    }
}
