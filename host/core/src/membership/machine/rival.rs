//! Two clusters of one id: how they hear of each other, and which one ends.
//!
//! A node that knows its cluster forms it again only when it seems stopped whole. That can be an error, after a partition or with an old list of
//! members; then there are two. They have one id and no member in common, and two founders: an incarnation joins once, and is told by its welcome who
//! formed what it joined. The two sides of a partition have one founder, so no partition is ever taken for this.
//!
//! Two sides of one founder become two clusters if each has removed the other: what no policy does by itself, operators may. They never speak of
//! members again; but one of them that tells the other where it is hears that it was removed, or is shut out, by one that it has removed itself. From there
//! on it is the same. Where they shut each other out, one listens again, compares, and if it is the one that stays shuts the other out anew, which then
//! listens in its turn.
//!
//! Members tell contact points that they do not have among them of their cluster. Such a one may be searching: then it asks the teller. Or it may
//! be in the other cluster: then the one with fewer members ends, all of it; of equals the one whose founder, or lowest member, has the higher address. Its nodes
//! remember the teller, so that once they are started again they join there, instead of forming a cluster a third time.
//!
//! Or it is one of the teller's own cluster, of whom nobody there knows any more, since all those that did are gone. Then it asks to be let in once more.
//! If instead it has removed the teller, which never knew it, the teller's answer hears that it is shut out. Such a stranger is removed in turn: from there on
//! it is the same as with two sides that have removed each other, and the larger one tells the smaller one of itself wherever that is.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::bootstrap::KNOWN_MEMBERS_MAX;
use crate::membership::effects::{Effect, Marker};
use crate::membership::member::{Decider, Member, Status};
use crate::membership::message::{Envelope, KnownCluster, Message, Presence};
use crate::membership::order::by_age;

/// How often one of a few members tells. In a larger cluster each one tells less often, so that all together do not tell more.
pub(super) const PRESENCE_INTERVAL: Duration = Duration::from_secs(4);
/// How long the larger of two sides does not listen to the smaller one, which is to hear of it in the meantime.
const LISTEN_AFTER: Duration = Duration::from_secs(30);
/// From so many members on each one tells less often.
const TELLERS: usize = 8;
/// How many contact points are told at a time.
const TOLD_MAX: usize = 3;

impl Membership {
    /// When to look for contact points that are missing; never where there are no others than this node, and no other side.
    pub(super) fn presence_wake(&self) -> Option<Time> {
        let mut others = self.contact_points.iter();
        let others = others.any(|address| *address != self.this.address);
        (others || !self.rifts.is_empty()).then_some(self.rounds.presence)
    }

    /// Tells contact points that are missing among the members of this cluster.
    pub(super) fn tell_presence(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.presence_wake().is_none_or(|due| now < due) {
            return;
        }
        let times = self.gossip.members().len().div_ceil(TELLERS).max(1);
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        // Somewhere between half of the interval and half as much again.
        let half = PRESENCE_INTERVAL.saturating_mul(times) / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX / 2);
        let more = Duration::from_nanos(self.rng.u64(0..=nanos.saturating_mul(2)));
        self.rounds.presence = now.after(half).after(more);
        if self.is_going() {
            return;
        }
        let mut missing = self.missing();
        missing.extend(self.smaller_sides(now));
        for _ in 0..TOLD_MAX {
            if missing.is_empty() {
                break;
            }
            let one = missing.swap_remove(self.rng.usize(0..missing.len()));
            self.send_to(&one, None, Message::Presence(self.presence()), out);
        }
    }

    /// Contact points at whose addresses nobody is a member and can be reached. Of another data centre only some members are watched, and none by a data
    /// centre of which nobody was let up.
    fn missing(&self) -> Vec<Address> {
        let view = self.view();
        let away = view.unreachable_dcs();
        let watches = self.is_of_living_dc();
        let is_reachable = |member: &Member| match self.is_own_dc(member) {
            true => !view.is_unreachable(&member.node),
            false => watches && !away.contains(member.dc()),
        };
        let is_here = |address: &Address| {
            let mut at = self.gossip.at(address);
            at.any(|member| member.status != Status::Down && is_reachable(member))
        };
        let missing = self.contact_points.iter();
        let missing = missing.filter(|address| !is_here(address));
        missing.cloned().collect()
    }

    /// Where those are of a smaller side that have yet to hear of it: they may be contact points of nobody.
    fn smaller_sides(&self, now: Time) -> impl Iterator<Item = Address> {
        let smaller = move |until: &Option<Time>| until.is_some_and(|until| now < until);
        let sides = self.rifts.iter().filter(move |(_, until)| smaller(until));
        let sides = sides.map(|(node, _)| node.address.clone());
        sides.filter(|address| !self.contact_points.contains(address))
    }

    fn presence(&self) -> Presence {
        Presence {
            founder: self.founder.clone(),
            members: self.is_converged().then(|| self.staying()),
            lowest: self.lowest(),
        }
    }

    /// The lowest address of those who stay.
    fn lowest(&self) -> Address {
        let mut members = self.gossip.members().iter();
        let lowest = members.find(|member| !member.status.is_going());
        lowest.map_or_else(|| self.this.address.clone(), |it| it.node.address.clone())
    }

    /// One that this node knows as removed says the same of this node: there are two clusters.
    pub(super) fn on_rift(&self, envelope: &Envelope, out: &mut Vec<Effect>) {
        if !self.is_going() {
            self.reply_to(envelope, Message::Presence(self.presence()), out);
        }
    }

    /// How many members are neither down nor exiting.
    fn staying(&self) -> u32 {
        let members = self.gossip.members().iter();
        let staying = members.filter(|member| !member.status.is_going());
        u32::try_from(staying.count()).unwrap_or(u32::MAX)
    }

    /// One that this node has removed has removed this node, too. They are to find out which one stays, and can only if one of them hears the other. Who
    /// has heard enough lets that be the other one.
    pub(super) fn listen_again(&mut self, now: Time, by: &UniqueAddress, out: &mut Vec<Effect>) {
        let until = self.rifts.get(by).copied().flatten();
        if until.is_some_and(|until| now < until) {
            return;
        }
        let gossip = &self.gossip;
        self.rifts
            .retain(|node, _| gossip.tombstones().contains(node));
        self.rifts.insert(by.clone(), None);
        self.clear_quarantine(by, out);
    }

    /// A member of this node's cluster, or of one with the same id, says that it is there.
    pub(super) fn on_presence(
        &mut self,
        now: Time,
        envelope: &Envelope,
        presence: &Presence,
        out: &mut Vec<Effect>,
    ) {
        match self.phase {
            Phase::Searching => {
                if let Some(bootstrap) = &mut self.bootstrap {
                    bootstrap.hears(now, envelope.address());
                }
                self.search(now, out);
                return;
            }
            Phase::Member if presence.founder != self.founder => {}
            // This incarnation is told by its name only by one that has heard from it that both have removed each other.
            Phase::Member
                if self.has_removed(&envelope.from)
                    && (envelope.to.is_some() || self.rifts.contains_key(&envelope.from)) => {}
            Phase::Member if self.has_removed(&envelope.from) => {
                // Nothing else that it sends comes here, if all that it knows are gone.
                self.reply_to(envelope, Message::Gone, out);
                return;
            }
            Phase::Member if !self.gossip.has(&envelope.from) => {
                self.on_stranger(envelope, out);
                return;
            }
            Phase::Idle | Phase::Asking(_) | Phase::Member | Phase::Ended => return,
        }
        // What is sent to an address asks for an answer; the answer goes to an incarnation, unless that one would not hear it.
        let is_shut_out = self.rifts.contains_key(&envelope.from);
        if envelope.to.is_none() && !is_shut_out {
            self.reply_to(envelope, Message::Presence(self.presence()), out);
        }
        let Some(theirs) = presence.members else {
            return;
        };
        let ours = self.staying();
        let order = (&presence.founder, &presence.lowest);
        let is_less = ours < theirs || (ours == theirs && order < (&self.founder, &self.lowest()));
        let gives_way = is_less || !self.is_of_living_dc();
        if !gives_way && is_shut_out {
            let again = now.after(LISTEN_AFTER);
            self.rifts.insert(envelope.from.clone(), Some(again));
            self.shut_out_again(now, &envelope.from, out);
        } else if !gives_way && envelope.to.is_some() && presence.founder == self.founder {
            // The other one cannot know yet.
            self.on_rift(envelope, out);
        }
        if gives_way && !self.is_going() {
            out.push(Effect::Log(Marker::RivalCluster {
                by: envelope.from.clone(),
                founder: presence.founder.clone(),
                theirs,
                ours,
            }));
            self.give_way(envelope.address(), out);
        }
    }

    /// One of this very cluster of whom this node does not know speaks, and does not know of this node either. Where nobody of this data centre counts, this
    /// node may be lost: whoever had let it in is gone, and the news of it with them. It asks to be let in once more, which changes nothing for those
    /// who know of it. Anybody else answers, so that such a one hears of it.
    fn on_stranger(&mut self, envelope: &Envelope, out: &mut Vec<Effect>) {
        let from = &envelope.from;
        if self.quarantine.holds(from) || self.is_going() {
            return;
        }
        if !self.is_of_living_dc() {
            self.wish(&from.address, Some(from.uid), out);
        } else if envelope.to.is_none() {
            self.stranger = Some(from.clone());
            self.reply_to(envelope, Message::Presence(self.presence()), out);
        }
    }

    /// Who has shut this node out is of its cluster, and came to it on the other side of a partition: this side was removed, in favour of one that it does
    /// not even know. Having removed that one in turn, they are two sides that find out which one stays.
    pub(super) fn shut_out_by_stranger(
        &mut self,
        now: Time,
        by: &UniqueAddress,
        out: &mut Vec<Effect>,
    ) {
        self.stranger = None;
        self.update(|change| change.keep_out(by));
        self.listen_again(now, by, out);
    }

    /// Whether somebody of this data centre counts. Where nobody does, the members were let in by another data centre, and may wait for its dead: they
    /// never agree, and speak for no cluster.
    pub(super) fn is_of_living_dc(&self) -> bool {
        self.view().members().any(|member| member.status.counts())
    }

    /// Ends this cluster, in favour of another one that has a member there. One who speaks for no cluster ends alone.
    fn give_way(&mut self, to: &Address, out: &mut Vec<Effect>) {
        if !self.is_of_living_dc() {
            let this = self.this.clone();
            self.down(&this, &Decider::Rival(to.clone()), out);
            return;
        }
        let members = self.gossip.members().iter();
        let mut all: Vec<UniqueAddress> = members.map(|member| member.node.clone()).collect();
        all.sort_by_key(|node| *node == self.this);
        for node in all {
            self.down(&node, &Decider::Rival(to.clone()), out);
        }
    }

    /// A member of the cluster that this one has given way to, if it has.
    pub(super) fn rival(&self) -> Option<&Address> {
        let own = self.gossip.member(&self.this)?;
        match &own.downed_by {
            Some(Decider::Rival(by)) => Some(by),
            Some(Decider::Operator | Decider::Others | Decider::NewIncarnation)
            | Some(Decider::Policy(_))
            | None => None,
        }
    }

    /// Lets the driver keep what the next start needs, if it is not what is kept. A node that is on its way out keeps what it knew before: what it sees of the
    /// others from now on is no news of who stays.
    pub(super) fn remember(&mut self, out: &mut Vec<Effect>) {
        let members = match self.rival() {
            Some(by) => Vec::from([by.clone()]),
            None if self.is_going() => return,
            None => self.oldest_members(),
        };
        let known = self.cluster.map(|id| KnownCluster { id, members });
        if self.kept != known {
            self.kept.clone_from(&known);
            out.extend(known.map(Effect::PersistCluster));
        }
    }

    /// The members that count, those with the lowest up numbers where there are many: they change the least. This node where there is none.
    fn oldest_members(&self) -> Vec<Address> {
        let members = self.gossip.members().iter();
        let mut oldest: Vec<&Member> = members.filter(|it| it.status.counts()).collect();
        if KNOWN_MEMBERS_MAX < oldest.len() {
            oldest.select_nth_unstable_by(KNOWN_MEMBERS_MAX, |a, b| by_age(a, b));
            oldest.truncate(KNOWN_MEMBERS_MAX);
        }
        let mut oldest: Vec<Address> = oldest
            .into_iter()
            .map(|member| member.node.address.clone())
            .collect();
        oldest.sort();
        if oldest.is_empty() {
            oldest.push(self.this.address.clone());
        }
        oldest
    }
}
