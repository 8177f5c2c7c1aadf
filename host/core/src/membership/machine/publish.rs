//! What follows from a picture that has changed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::downing::{self, Observation, Picture};
use crate::membership::effects::{Effect, LeaseRequest, Marker, TerminateReason};
use crate::membership::event::{ClusterEvent, Interest, Topic, diff};
use crate::membership::gossip::Gossip;
use crate::membership::member::{Decider, Member, Status};
use crate::membership::message::Message;
use crate::membership::reachability::Reach;
use crate::membership::state::ClusterState;

impl Membership {
    /// Draws every conclusion from what an event has changed, until there is nothing new: a conclusion may itself change the picture.
    pub(super) fn settle(&mut self, now: Time, out: &mut Vec<Effect>) {
        while self.changed && self.phase == Phase::Member {
            self.publish(now, out);
            self.follow_shutdown();
            self.mind_own_status(out);
        }
        if self.phase == Phase::Member {
            self.hasten(now);
            self.report(out);
        }
    }

    /// Tells everyone who minds what is new in the picture.
    pub(super) fn publish(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.changed = false;
        self.graves.note(&self.gossip, now);
        let Some(next) = self.state.next(&self.view(), &self.exiting_confirmed) else {
            return;
        };
        let before = core::mem::replace(&mut self.state, Arc::new(next));
        let mut interest = Interest::default();
        if self.subscriptions.interest().has(Topic::Internals) {
            interest = Interest::all();
        }
        let events = diff(&before, &self.state, &interest);
        for event in &events {
            self.mind(now, &before, event, out);
        }
        self.tell(&before, &events, out);
        if let Some(own) = self.gossip.member(&self.this) {
            let due = self.callbacks.seen_as(own);
            out.extend(
                due.into_iter()
                    .map(|callback| Effect::Callback { callback }),
            );
        }
        self.check_consensus(out);
        self.drive_downing(now, downing::Event::Seen, out);
        if !Arc::ptr_eq(&before.members, &self.state.members) {
            self.remember(out);
        }
    }

    fn tell(&mut self, before: &Arc<ClusterState>, events: &[ClusterEvent], out: &mut Vec<Effect>) {
        let told = self.subscriptions.publish(before, events);
        out.extend(
            told.into_iter()
                .map(|(subscriber, notice)| Effect::Publish { subscriber, notice }),
        );
    }

    /// What follows from an event for the parts of this node.
    fn mind(
        &mut self,
        now: Time,
        before: &ClusterState,
        event: &ClusterEvent,
        out: &mut Vec<Effect>,
    ) {
        match event {
            ClusterEvent::MemberRemoved { member, previous } => {
                self.mind_removed(now, member, *previous, out);
            }
            ClusterEvent::MemberJoined { member }
            | ClusterEvent::MemberWeaklyUp { member }
            | ClusterEvent::MemberUp { member }
            | ClusterEvent::MemberPreparingForShutdown { member }
            | ClusterEvent::MemberReadyForShutdown { member }
            | ClusterEvent::MemberLeft { member }
            | ClusterEvent::MemberExited { member }
            | ClusterEvent::MemberDowned { member } => {
                let known = before.member(&member.node).map(|known| known.status);
                self.mind_status(now, known, member, out);
            }
            ClusterEvent::MemberChanged { member } => self.far.update(member),
            ClusterEvent::UnreachableMember { member } => {
                self.near.set_reachable(now, &member.node, false);
                out.push(Effect::Log(Marker::Unreachable {
                    node: member.node.clone(),
                    status: member.status,
                }));
                self.drive_downing(now, downing::Event::Unreachable(member), out);
            }
            ClusterEvent::ReachableMember { member } => {
                self.near.set_reachable(now, &member.node, true);
                out.push(Effect::Log(Marker::Reachable {
                    node: member.node.clone(),
                    status: member.status,
                }));
                self.drive_downing(now, downing::Event::Reachable(member), out);
            }
            ClusterEvent::LeaderChanged { leader } => {
                let leads = leader.as_ref() == Some(&self.this);
                self.drive_downing(now, downing::Event::Leader(leads), out);
            }
            ClusterEvent::UnreachableDataCenter { .. }
            | ClusterEvent::ReachableDataCenter { .. }
            | ClusterEvent::RoleLeaderChanged { .. }
            | ClusterEvent::SeenChanged { .. }
            | ClusterEvent::ReachabilityChanged { .. }
            | ClusterEvent::TombstonesChanged { .. }
            | ClusterEvent::TopologyChanged { .. }
            | ClusterEvent::ClusterShuttingDown => {}
        }
    }

    fn mind_status(
        &mut self,
        now: Time,
        known: Option<Status>,
        member: &Member,
        out: &mut Vec<Effect>,
    ) {
        if known.is_none() {
            // What was known of an incarnation that is let in only now says nothing about it.
            self.forget_watched(now, &member.node);
            self.shared.insert(&member.node);
            if self.is_own_dc(member) && member.node != self.this {
                self.near.insert(now, &member.node);
            }
        }
        self.far.update(member);
        out.push(Effect::Log(Marker::MemberChanged {
            node: member.node.clone(),
            from: known,
            to: member.status,
        }));
        let passed_up = known.is_none_or(Status::waits_for_up) && member.status != Status::Up;
        if passed_up && member.status.counts() {
            // A view may pass over "up"; this member was let in all the same.
            self.drive_downing(now, downing::Event::Up(member), out);
        }
        let event = match member.status {
            Status::WeaklyUp => downing::Event::WeaklyUp(member),
            Status::Up => downing::Event::Up(member),
            Status::Leaving => downing::Event::Left(member),
            Status::Exiting => downing::Event::Exited(member),
            Status::Down => downing::Event::Downed(member),
            Status::Joining
            | Status::PreparingForShutdown
            | Status::ReadyForShutdown
            | Status::Removed => return,
        };
        self.drive_downing(now, event, out);
    }

    fn mind_removed(&mut self, now: Time, gone: &Member, previous: Status, out: &mut Vec<Effect>) {
        let node = &gone.node;
        self.forget_watched(now, node);
        self.quarantine.removed(now, node);
        for key in self.shared.remove(node) {
            let node = node.clone();
            out.push(Effect::SharedChanged { node, key });
        }
        out.push(Effect::Log(Marker::MemberChanged {
            node: node.clone(),
            from: Some(previous),
            to: Status::Removed,
        }));
        self.drive_downing(now, downing::Event::Removed(node), out);
    }

    /// Hands the policy what happened, and does what it decides.
    pub(super) fn drive_downing(
        &mut self,
        now: Time,
        event: downing::Event<'_>,
        out: &mut Vec<Effect>,
    ) {
        let (gossip, this, dc) = (&self.gossip, &self.this, &self.profile.dc);
        let picture = || picture(gossip, this, dc);
        let mut wanted = Vec::new();
        self.downing.handle(now, event, &picture, &mut wanted);
        for effect in wanted {
            self.do_downing(effect, out);
        }
    }

    fn do_downing(&mut self, effect: downing::Effect, out: &mut Vec<Effect>) {
        let marker = match effect {
            downing::Effect::Explain(explanation) => {
                out.push(Effect::Log(Marker::downing(&explanation)));
                out.push(Effect::Explain(explanation));
                return;
            }
            downing::Effect::Down { nodes, decision } => {
                for node in &nodes {
                    out.push(Effect::Log(Marker::DowningNode {
                        node: node.clone(),
                        decision: decision.name(),
                    }));
                }
                let by = Decider::Policy(self.policy.clone());
                self.down_all(&nodes, &by, out);
                return;
            }
            downing::Effect::Confirm => {
                self.update(|change| change.renew());
                return;
            }
            downing::Effect::Ask { ballot, of } => {
                for node in &of {
                    self.send(node, Message::Ballot(ballot.clone()), out);
                }
                return;
            }
            downing::Effect::Vote { to, vote } => {
                self.send(&to, Message::Vote(vote), out);
                return;
            }
            downing::Effect::AcquireLease => {
                out.push(Effect::Lease(LeaseRequest::Acquire));
                return;
            }
            downing::Effect::ReleaseLease => {
                out.push(Effect::Lease(LeaseRequest::Release));
                return;
            }
            downing::Effect::LeaseAcquired { decision } => Marker::LeaseAcquired {
                decision: decision.name(),
            },
            downing::Effect::LeaseDenied { decision } => Marker::LeaseDenied {
                decision: decision.name(),
            },
            downing::Effect::LeaseReleased => Marker::LeaseReleased,
            downing::Effect::Unstable { changes, lasting } => {
                Marker::DowningInstability { changes, lasting }
            }
            downing::Effect::TooManyMembers { members, most } => {
                Marker::TooManyMembers { members, most }
            }
        };
        out.push(Effect::Log(marker));
    }

    /// Forgets how a node has answered so far.
    fn forget_watched(&mut self, now: Time, node: &UniqueAddress) {
        self.near.remove(now, node);
        self.far.remove(node);
        self.round_trips.remove(node);
    }

    /// Membership has ended: the subscribers hear of it, then the callbacks, and last the driver.
    pub(super) fn end(&mut self, reason: TerminateReason, out: &mut Vec<Effect>) {
        let was_member = self.phase == Phase::Member;
        self.phase = Phase::Ended;
        self.changed = false;
        if was_member {
            let ended = Arc::new(self.state.ended(&self.this));
            let before = core::mem::replace(&mut self.state, ended);
            let mut events = Vec::from([ClusterEvent::ClusterShuttingDown]);
            events.extend(diff(&before, &self.state, &Interest::all()));
            self.tell(&before, &events, out);
        }
        // Nobody will agree on anything any more.
        self.consensus_timers(Time(u64::MAX), out);
        let due = self.callbacks.removed();
        out.extend(
            due.into_iter()
                .map(|callback| Effect::Callback { callback }),
        );
        out.push(Effect::Terminate { reason });
    }
}

fn picture(gossip: &Gossip, this: &UniqueAddress, dc: &Arc<str>) -> Picture {
    let rows = gossip.reachability().rows();
    let rows = rows.filter(|(_, _, reach, _)| *reach != Reach::Reachable);
    let rows = rows.map(|(observer, subject, reach, _)| Observation {
        observer: observer.clone(),
        subject: subject.clone(),
        is_terminated: reach == Reach::Terminated,
    });
    Picture::new(
        this.clone(),
        dc.clone(),
        gossip.members().iter().map(Into::into),
        rows,
        gossip.seen_by().cloned(),
    )
}
