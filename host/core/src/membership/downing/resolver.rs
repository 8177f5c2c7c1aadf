//! When to decide: waits until the picture is at rest and confirmed, asks the policy, asks for votes, or for the lease where the policy wants one, downs.
//!
//! In: changes of the own data centre's members, who leads, questions and votes, the lease's answers, time. Out: whom to down, with the explanation.
//!
//! Invariants: only a leader that was let in decides, except that every node gives up a cluster that finds no rest; nobody is downed
//! before `stable-after` has passed without a change, and then everybody has confirmed the picture who is not marked; while a lease or votes are being
//! asked for nothing else is decided.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::decision::Decision;
use super::explain::{Cause, Explanation};
use super::participants::Participants;
use super::picture::{Doubt, Picture};
use super::ports::{Config, Effect, Event, LeaseAnswer};
use super::strategy::Policy;
use super::votes::{self, Ballot, Promises, Question};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::member::{Member, Status};

/// How often a picture that called for no action is looked at again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the lease's keeper has for an answer. One that is late counts as a failure.
const LEASE_ANSWER_MAX: Duration = Duration::from_secs(5);

/// The split brain resolver of one node, or nothing where there is no policy.
#[derive(Debug)]
pub struct Downing {
    pub(super) config: Config,
    is_leader: bool,
    was_let_in: bool,
    is_gone: bool,
    /// Members that are unreachable or down, with how far they have come.
    unreachable: BTreeMap<UniqueAddress, Status>,
    stable_at: Time,
    /// Not before this moment is the picture looked at again.
    look_at: Time,
    /// Who has confirmed the picture; none while nobody has been asked to.
    participants: Option<Participants>,
    unrest: Option<Unrest>,
    pub(super) question: Option<Question>,
    /// The numbers of this node's questions, and of those that were carried.
    pub(super) questions: u64,
    pub(super) carried: BTreeSet<u64>,
    /// Questions to be taken back.
    pub(super) taken_back: Vec<(Ballot, Vec<UniqueAddress>)>,
    /// When votes are no longer waited for.
    pub(super) votes_until: Option<Time>,
    pub(super) promises: Promises,
    asking: Option<Asking>,
    lease: Lease,
    /// When to see whether there are too many members.
    size_check_at: Option<Time>,
    size_reported: usize,
    last_idle: Option<Decision>,
}

/// Changes of reachability since everything was last well.
#[derive(Debug, Clone, Copy)]
struct Unrest {
    first: Time,
    changes: u32,
}

/// A decision that waits for its lease.
#[derive(Debug)]
struct Asking {
    explanation: Box<Explanation>,
    /// When to ask; when it was asked, how long to wait for the answer.
    until: Time,
    is_asked: bool,
}

/// What this node has to do with the lease.
#[derive(Debug)]
enum Lease {
    NotHeld,
    /// Held until these are gone.
    HeldFor(BTreeSet<UniqueAddress>),
    /// Held until then.
    HeldUntil(Time),
    /// It is being let go; if nothing is heard by then, it is tried again.
    Releasing(Time),
}

impl Downing {
    /// A resolver that has seen nothing yet.
    pub fn new(config: Config, now: Time) -> Self {
        Self {
            stable_at: now.after(config.stable_after),
            config,
            is_leader: false,
            was_let_in: false,
            is_gone: false,
            unreachable: BTreeMap::new(),
            look_at: now,
            participants: None,
            unrest: None,
            question: None,
            questions: 0,
            carried: BTreeSet::new(),
            taken_back: Vec::new(),
            votes_until: None,
            promises: Promises::default(),
            asking: None,
            lease: Lease::NotHeld,
            size_check_at: None,
            size_reported: 0,
            last_idle: None,
        }
    }

    #[cfg(test)]
    pub(super) fn give_nobody_up(&mut self) {
        self.config.down_all_when_unstable = None;
    }

    /// How long whoever takes over from a removed member waits, so that the other side of a partition has stopped by then.
    pub fn removal_margin(&self) -> Duration {
        match self.config.policy {
            Some(_) => self.config.stable_after,
            None => Duration::ZERO,
        }
    }

    /// Takes one event in. `picture` is called only when something is to be decided.
    pub fn handle(
        &mut self,
        now: Time,
        event: Event<'_>,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let Some(policy) = self.config.policy.clone() else {
            return;
        };
        if self.is_gone {
            return;
        }
        match event {
            Event::Leader(is_leader) => {
                self.is_leader = is_leader;
                self.begin_anew(now);
            }
            Event::Removed(node) => self.on_removed(now, node, &*policy),
            Event::QuarantinedBy(by) => {
                let cause = Cause::Quarantined {
                    by: by.address.clone(),
                };
                self.act(now, Explanation::new(&*policy, cause, picture()), out);
            }
            Event::Seen => {
                if self.participants.is_some() {
                    self.look_at = now;
                }
                self.on_wake(now, &*policy, picture, out);
            }
            Event::Asked { by, ballot, leads } => {
                self.on_asked(now, (by, leads), ballot, &picture(), out);
            }
            Event::Voted { by, vote } => self.on_voted(now, (by, vote), &*policy, picture, out),
            Event::Lease(answer) => self.on_lease(now, answer, &*policy, out),
            Event::Wake => self.on_wake(now, &*policy, picture, out),
            Event::WeaklyUp(member)
            | Event::Up(member)
            | Event::Left(member)
            | Event::Exited(member)
            | Event::Downed(member)
            | Event::Unreachable(member)
            | Event::Reachable(member) => {
                if member.profile.dc == self.config.dc {
                    self.on_member(now, event, member, &*policy);
                }
            }
        }
        for (ballot, of) in self.taken_back.drain(..) {
            out.push(Effect::Ask { ballot, of });
        }
    }

    /// When this wants to be woken at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        if self.is_gone || self.config.policy.is_none() {
            return None;
        }
        let decide_at = self
            .wants_decision()
            .then(|| match (&self.question, self.votes_until) {
                (Some(question), Some(until)) => question.next_wake().min(until),
                (Some(_) | None, _) => self.stable_at.max(self.look_at),
            });
        let release_at = match &self.lease {
            Lease::HeldUntil(at) | Lease::Releasing(at) if self.asking.is_none() => Some(*at),
            Lease::NotHeld | Lease::HeldFor(_) | Lease::HeldUntil(_) | Lease::Releasing(_) => None,
        };
        let asking_at = self.asking.as_ref().map(|asking| asking.until);
        let moments = [
            decide_at,
            self.give_up_at(),
            asking_at,
            release_at,
            self.size_check_at,
            self.promises.next_wake(&self.config.this),
        ];
        moments.into_iter().flatten().min()
    }

    fn on_member(&mut self, now: Time, event: Event<'_>, member: &Member, policy: &dyn Policy) {
        let is_this = member.node == self.config.this;
        if let Some(status) = self.unreachable.get_mut(&member.node) {
            *status = member.status;
        }
        match event {
            Event::WeaklyUp(_) => self.was_let_in |= is_this,
            Event::Up(_) => {
                self.was_let_in |= is_this;
                self.disturb(now);
                if policy.members_max().is_some() {
                    // Members come in batches: one look at all of them.
                    self.size_check_at
                        .get_or_insert_with(|| now.after(LOOK_INTERVAL));
                }
            }
            Event::Exited(_) => self.disturb(now),
            // One that is down is as good as unreachable: it takes part in nothing.
            Event::Unreachable(_) | Event::Downed(_) if !is_this => {
                self.unreachable.insert(member.node.clone(), member.status);
                self.on_change(now);
            }
            Event::Reachable(_) if !is_this => {
                self.unreachable.remove(&member.node);
                self.on_change(now);
            }
            Event::Left(_)
            | Event::Downed(_)
            | Event::Unreachable(_)
            | Event::Reachable(_)
            | Event::Removed(_)
            | Event::Leader(_)
            | Event::QuarantinedBy(_)
            | Event::Seen
            | Event::Asked { .. }
            | Event::Voted { .. }
            | Event::Lease(_)
            | Event::Wake => {}
        }
        self.settle();
    }

    /// Nothing is decided before the picture has been at rest again.
    fn disturb(&mut self, now: Time) {
        self.stable_at = now.after(self.config.stable_after);
        self.votes_until = None;
        self.begin_anew(now);
    }

    /// Who confirms the picture, and who votes, is to be seen again.
    fn begin_anew(&mut self, now: Time) {
        self.participants = None;
        self.take_back(now);
    }

    fn on_change(&mut self, now: Time) {
        self.disturb(now);
        let unrest = self.unrest.get_or_insert(Unrest {
            first: now,
            changes: 0,
        });
        unrest.changes = unrest.changes.saturating_add(1);
    }

    /// Unrest is over once nobody is unreachable whose fate is still open. Members that only join cannot keep a cluster unstable.
    fn settle(&mut self) {
        if !self.unreachable.values().any(|status| status.counts()) {
            self.unrest = None;
        }
    }

    fn on_removed(&mut self, now: Time, node: &UniqueAddress, policy: &dyn Policy) {
        if *node == self.config.this {
            // A lease that is still held runs out by itself: to let it go now would let the other side in too early.
            self.is_gone = true;
            return;
        }
        self.unreachable.remove(node);
        self.settle();
        if let Lease::HeldFor(nodes) = &mut self.lease {
            nodes.remove(node);
            if nodes.is_empty() {
                self.lease = Lease::HeldUntil(now.after(policy.release_after()));
            }
        }
    }

    /// Whether somebody is unreachable about whom there is something to decide, and it is for this node to do so.
    fn wants_decision(&self) -> bool {
        let is_downable =
            |status: &Status| !matches!(status, Status::Down | Status::Exiting | Status::Removed);
        self.is_leader
            && self.was_let_in
            && self.asking.is_none()
            && self.unreachable.values().any(is_downable)
    }

    /// When a cluster that finds no rest is given up.
    fn give_up_at(&self) -> Option<Time> {
        let longer = self.config.down_all_when_unstable?;
        let unrest = self.unrest.filter(|_| self.asking.is_none())?;
        let given_up = unrest
            .first
            .after(self.config.stable_after.saturating_add(longer));
        // Well on the way to rest by then, it is only still to be confirmed, and voted on.
        let is_at_rest = self.stable_at <= given_up.after(self.config.stable_after / 2);
        Some(if is_at_rest {
            self.stable_at
                .after(self.config.stable_after.saturating_add(longer))
        } else {
            given_up
        })
    }

    fn on_wake(
        &mut self,
        now: Time,
        policy: &dyn Policy,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        self.check_size(now, policy, picture, out);
        self.advance_lease(now, policy, out);
        self.remind(now, picture, out);
        if self.give_up_at().is_some_and(|at| at <= now) {
            self.give_up(now, policy, picture, out);
        } else if self.question.is_some() {
            self.advance_question(now, policy, picture, out);
        } else if self.wants_decision() && self.stable_at.max(self.look_at) <= now {
            self.look_at = now.after(LOOK_INTERVAL);
            let picture = picture();
            let Some(participants) = &mut self.participants else {
                let until = now.after(self.config.stable_after / 2);
                self.participants = Some(Participants::asked(&picture, until, self.config.watched));
                out.push(Effect::Confirm);
                return;
            };
            if let Some(picture) = participants.settle(now, &picture) {
                let explanation = Explanation::new(policy, Cause::Unreachable, picture);
                self.decide(now, explanation, policy, out);
            }
        }
    }

    fn check_size(
        &mut self,
        now: Time,
        policy: &dyn Policy,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let Some((most, role)) = policy.members_max() else {
            return;
        };
        if self.size_check_at.is_none_or(|at| now < at) {
            return;
        }
        self.size_check_at = None;
        let members = picture().sides(role, Doubt::NONE).all().count();
        if most < members && members != self.size_reported {
            out.push(Effect::TooManyMembers { members, most });
        }
        self.size_reported = members;
    }

    /// Every node does this, not only the leader: where reachability keeps changing nobody knows who leads.
    fn give_up(
        &mut self,
        now: Time,
        policy: &dyn Policy,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let Some(unrest) = self.unrest.take() else {
            return;
        };
        let (changes, lasting) = (unrest.changes, now.since(unrest.first));
        out.push(Effect::Unstable { changes, lasting });
        let cause = Cause::Unstable { changes, lasting };
        self.act(now, Explanation::new(policy, cause, picture()), out);
    }

    pub(super) fn decide(
        &mut self,
        now: Time,
        explanation: Explanation,
        policy: &dyn Policy,
        out: &mut Vec<Effect>,
    ) {
        let Some(delay) = explanation.decision.lease_delay() else {
            if votes::are_needed(&explanation) {
                self.ask_for_votes(now, explanation, policy, out);
            } else {
                self.act(now, explanation, out);
            }
            return;
        };
        if matches!(self.lease, Lease::HeldFor(_) | Lease::HeldUntil(_)) {
            self.act_with_lease(now, explanation, policy, out);
            return;
        }
        self.asking = Some(Asking {
            explanation: Box::new(explanation),
            until: now.after(delay),
            is_asked: false,
        });
        self.advance_lease(now, policy, out);
    }

    /// Asks for the lease when the delay is over; takes silence for a failure; lets go of a lease that is no longer needed.
    fn advance_lease(&mut self, now: Time, policy: &dyn Policy, out: &mut Vec<Effect>) {
        match &mut self.asking {
            Some(asking) if asking.until <= now && !asking.is_asked => {
                asking.is_asked = true;
                asking.until = now.after(LEASE_ANSWER_MAX);
                self.lease = Lease::NotHeld;
                out.push(Effect::AcquireLease);
            }
            Some(asking) if asking.until <= now => {
                self.on_lease(now, LeaseAnswer::Failed, policy, out);
            }
            Some(_) | None => {}
        }
        match self.lease {
            Lease::HeldUntil(at) | Lease::Releasing(at) if at <= now && self.asking.is_none() => {
                self.release(now, out);
            }
            Lease::NotHeld | Lease::HeldFor(_) | Lease::HeldUntil(_) | Lease::Releasing(_) => {}
        }
    }

    fn release(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.lease = Lease::Releasing(now.after(LEASE_ANSWER_MAX));
        out.push(Effect::ReleaseLease);
    }

    fn on_lease(
        &mut self,
        now: Time,
        answer: LeaseAnswer,
        policy: &dyn Policy,
        out: &mut Vec<Effect>,
    ) {
        let is_asked = self.asking.as_ref().is_some_and(|asking| asking.is_asked);
        match answer {
            LeaseAnswer::Acquired => match self.asking.take_if(|_| is_asked) {
                Some(asking) => {
                    let decision = asking.explanation.decision;
                    out.push(Effect::LeaseAcquired { decision });
                    self.act_with_lease(now, *asking.explanation, policy, out);
                }
                // Too late: what it was for has been decided without it.
                None => self.release(now, out),
            },
            LeaseAnswer::Denied if is_asked => self.denied(now, policy, out),
            LeaseAnswer::Failed if is_asked => {
                self.denied(now, policy, out);
                // Who could not be asked may have granted it all the same.
                self.release(now, out);
            }
            LeaseAnswer::Denied => {}
            LeaseAnswer::Failed => match &mut self.lease {
                Lease::Releasing(again_at) => *again_at = now.after(LOOK_INTERVAL),
                Lease::NotHeld | Lease::HeldFor(_) | Lease::HeldUntil(_) => {
                    self.lease = Lease::NotHeld;
                }
            },
            LeaseAnswer::Released => {
                if let Lease::Releasing(_) = self.lease {
                    self.lease = Lease::NotHeld;
                    out.push(Effect::LeaseReleased);
                }
            }
        }
    }

    fn act_with_lease(
        &mut self,
        now: Time,
        explanation: Explanation,
        policy: &dyn Policy,
        out: &mut Vec<Effect>,
    ) {
        let mut downed = explanation.down.clone();
        downed.remove(&self.config.this);
        self.act(now, explanation, out);
        // The lease is kept until the last of those who were downed with it is gone, and a while longer.
        if let Lease::HeldFor(earlier) = &mut self.lease {
            downed.append(earlier);
        }
        self.lease = if downed.is_empty() {
            Lease::HeldUntil(now.after(policy.release_after()))
        } else {
            Lease::HeldFor(downed)
        };
    }

    fn denied(&mut self, now: Time, policy: &dyn Policy, out: &mut Vec<Effect>) {
        let Some(asking) = self.asking.take() else {
            return;
        };
        let Some(explanation) = asking.explanation.without_lease(policy) else {
            return;
        };
        let decision = explanation.decision;
        out.push(Effect::LeaseDenied { decision });
        self.act(now, explanation, out);
    }

    pub(super) fn act(&mut self, now: Time, explanation: Explanation, out: &mut Vec<Effect>) {
        let decision = explanation.decision;
        let this = &self.config.this;
        let mut nodes: Vec<_> = explanation.down.iter().cloned().collect();
        nodes.sort_by_key(|node| node == this);
        if nodes.is_empty() {
            // It is looked at again and again until something changes; once is enough for the log.
            if self.last_idle.replace(decision) != Some(decision) {
                out.push(Effect::Explain(Box::new(explanation)));
            }
            return;
        }
        out.push(Effect::Explain(Box::new(explanation)));
        out.push(Effect::Down { nodes, decision });
        self.unrest = None;
        self.last_idle = None;
        self.disturb(now);
    }
}
