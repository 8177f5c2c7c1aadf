//! What follows from a picture that has changed.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::downing::{self, Observation, Picture};
use crate::membership::effects::{Effect, LeaseRequest, Marker, TerminateReason};
use crate::membership::gossip::Gossip;
use crate::membership::member::{Decider, Member, Status};
use crate::membership::reachability::Reach;

/// What was told of last.
#[derive(Debug, Default)]
pub(super) struct Told {
    gossip: Gossip,
    unreachable: BTreeSet<UniqueAddress>,
    leads: bool,
}

/// A member then and now.
struct Step<'a> {
    before: Option<&'a Member>,
    after: Option<&'a Member>,
}

impl Membership {
    /// Draws every conclusion from what an event has changed, until there is nothing new: a conclusion may itself change the picture.
    pub(super) fn settle(&mut self, now: Time, out: &mut Vec<Effect>) {
        while self.changed && self.phase == Phase::Member {
            self.publish(now, out);
            self.follow_shutdown();
            self.mind_own_status(out);
        }
    }

    /// Tells everyone who minds what is new in the picture.
    pub(super) fn publish(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.changed = false;
        self.graves.note(&self.gossip, now);
        let view = self.view();
        let unreachable: BTreeSet<UniqueAddress> = view.unreachable().cloned().collect();
        let leads = view.leader() == Some(&self.this);
        let told = Told {
            gossip: self.gossip.clone(),
            unreachable,
            leads,
        };
        let before = core::mem::replace(&mut self.told, told);
        self.tell_steps(now, &before.gossip, out);
        self.tell_reachability(now, &before.unreachable, out);
        if before.leads != leads {
            self.drive_downing(now, downing::Event::Leader(leads), out);
        }
    }

    fn tell_steps(&mut self, now: Time, before: &Gossip, out: &mut Vec<Effect>) {
        let after = self.told.gossip.clone();
        for step in steps(before.members(), after.members()) {
            match (step.before, step.after) {
                (Some(gone), None) => self.tell_removed(now, gone, out),
                (before, Some(member)) => self.tell_step(now, before, member, out),
                (None, None) => {}
            }
        }
    }

    fn tell_step(
        &mut self,
        now: Time,
        before: Option<&Member>,
        member: &Member,
        out: &mut Vec<Effect>,
    ) {
        if before.is_none() {
            // What was known of an incarnation that is let in only now says nothing about it.
            self.forget_watched(now, &member.node);
            if self.is_own_dc(member) && member.node != self.this {
                self.near.insert(now, &member.node);
            }
        }
        self.far.update(member);
        out.push(Effect::Log(Marker::MemberChanged {
            node: member.node.clone(),
            from: before.map(|before| before.status),
            to: member.status,
        }));
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

    fn tell_removed(&mut self, now: Time, gone: &Member, out: &mut Vec<Effect>) {
        self.forget_watched(now, &gone.node);
        self.quarantine.removed(now, &gone.node);
        out.push(Effect::Log(Marker::MemberChanged {
            node: gone.node.clone(),
            from: Some(gone.status),
            to: Status::Removed,
        }));
        self.drive_downing(now, downing::Event::Removed(&gone.node), out);
    }

    fn tell_reachability(
        &mut self,
        now: Time,
        before: &BTreeSet<UniqueAddress>,
        out: &mut Vec<Effect>,
    ) {
        let after = &self.told.unreachable;
        let lost: Vec<UniqueAddress> = after.difference(before).cloned().collect();
        let back: Vec<UniqueAddress> = before.difference(after).cloned().collect();
        for node in &lost {
            self.near.set_reachable(now, node, false);
            let Some(member) = self.gossip.member(node).cloned() else {
                continue;
            };
            out.push(Effect::Log(Marker::Unreachable {
                node: node.clone(),
                status: member.status,
            }));
            self.drive_downing(now, downing::Event::Unreachable(&member), out);
        }
        for node in &back {
            self.near.set_reachable(now, node, true);
            // One that was removed is not back.
            let Some(member) = self.gossip.member(node).cloned() else {
                continue;
            };
            out.push(Effect::Log(Marker::Reachable {
                node: node.clone(),
                status: member.status,
            }));
            self.drive_downing(now, downing::Event::Reachable(&member), out);
        }
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
                out.push(Effect::Explain(explanation));
                return;
            }
            downing::Effect::Down { nodes, decision } => {
                for node in nodes {
                    out.push(Effect::Log(Marker::DowningNode {
                        node: node.clone(),
                        decision: decision.name(),
                    }));
                    let by = Decider::Policy(self.policy.clone());
                    self.down(&node, by, out);
                }
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

    /// Membership has ended.
    pub(super) fn end(&mut self, reason: TerminateReason, out: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        self.changed = false;
        out.push(Effect::Terminate { reason });
    }
}

fn picture(gossip: &Gossip, this: &UniqueAddress, dc: &alloc::sync::Arc<str>) -> Picture {
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

/// The members that differ in their status between two lists, both in the order of their addresses.
fn steps<'a>(before: &'a [Member], after: &'a [Member]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    if core::ptr::eq(before, after) {
        return steps;
    }
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return steps,
            (Some(_), None) => core::cmp::Ordering::Less,
            (None, Some(_)) => core::cmp::Ordering::Greater,
            (Some(one), Some(other)) => one.node.cmp(&other.node),
        };
        let step = Step {
            before: before.next_if(|_| order.is_le()),
            after: after.next_if(|_| order.is_ge()),
        };
        let status = |member: Option<&Member>| member.map(|member| member.status);
        if status(step.before) != status(step.after) {
            steps.push(step);
        }
    }
}
