//! The way into a cluster, as the one who wants in goes it.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::bootstrap::{Bootstrap, CONTACT_POINTS_MAX, Step};
use crate::membership::effects::{Effect, JoinProblem, Marker, Rejected, TerminateReason};
use crate::membership::inputs::{Answer, CommandError};
use crate::membership::member::Member;
use crate::membership::message::{
    ClusterId, ConfigCheck, Envelope, InitJoin, InitJoinAck, Join, Message, NackReason,
    RefuseReason, Welcome,
};

/// After a refusal that will not last, the next attempt comes so soon.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// The log hears of a search after each so many rounds of questions.
const NOTICE_ASKS: u32 = 30;

/// A wish to be let in that was not answered yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asking {
    /// Whom it was told.
    whom: Address,
    /// It is given up then.
    until: Time,
    /// When it was told last.
    asked: Time,
    /// How long after that it is told again.
    wait: Duration,
    /// Whether the other one was asked before if this node fits, and what it said of that was looked at. One that an operator names was not asked.
    fits: bool,
}

impl Asking {
    fn new(whom: &Address, asked: Time, until: Time, fits: bool) -> Self {
        Self {
            whom: whom.clone(),
            until,
            asked,
            wait: RETRY_SOON,
            fits,
        }
    }

    fn again(&self) -> Time {
        self.asked.after(self.wait)
    }
}

impl Membership {
    /// New contact points: whom this node asks until it has joined, and whom it looks for afterwards.
    pub(super) fn contacts(&mut self, now: Time, mut points: Vec<Address>, out: &mut Vec<Effect>) {
        points.truncate(CONTACT_POINTS_MAX);
        self.contact_points.clone_from(&points);
        match self.phase {
            Phase::Idle | Phase::Searching | Phase::Asking(_) => {}
            Phase::Member | Phase::Ended => return,
        }
        match &mut self.bootstrap {
            Some(bootstrap) => bootstrap.contacts(now, points),
            None => {
                let settings = (&self.settings.bootstrap, self.settings.seed_node_timeout);
                let this = self.this.address.clone();
                let known = self.kept.clone();
                self.bootstrap = Some(Bootstrap::new(this, settings, known, points, now));
                let limit = self.settings.shutdown_after_unsuccessful_join_seed_nodes;
                self.join_until = limit.0.map(|limit| now.after(limit));
            }
        }
        if self.phase == Phase::Idle {
            self.phase = Phase::Searching;
        }
        self.search(now, out);
    }

    /// Asks contact points, or forms a cluster, as is due.
    pub(super) fn search(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.phase != Phase::Searching {
            return;
        }
        let step = self.bootstrap.as_mut().and_then(|found| found.step(now));
        match step {
            Some(Step::Form) => self.form(now, out),
            Some(Step::Ask(whom)) => {
                let question = self.question();
                for address in whom {
                    self.send_to(&address, None, question.clone(), out);
                }
                self.unanswered += 1;
                if self.unanswered.is_multiple_of(NOTICE_ASKS) {
                    self.say_why_nothing_happens(now, out);
                }
            }
            None => {}
        }
    }

    /// A node that waits for what will not come must say so, or nobody knows what to do about it.
    fn say_why_nothing_happens(&mut self, now: Time, out: &mut Vec<Effect>) {
        if let Some(bootstrap) = &self.bootstrap {
            let reason = bootstrap.why_it_waits(now);
            out.push(Effect::Log(Marker::JoinFailed { by: None, reason }));
        }
    }

    /// An operator names the node to join through.
    pub(super) fn join_by_hand(
        &mut self,
        now: Time,
        address: &Address,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        match self.phase {
            Phase::Idle | Phase::Searching => {}
            Phase::Asking(_) | Phase::Member | Phase::Ended => {
                return Err(CommandError::AlreadyJoined);
            }
        }
        if *address == self.this.address {
            self.form(now, out);
        } else {
            self.ask_first(now, address, out);
        }
        Ok(Answer::Done)
    }

    /// Repeats what may have got lost, and gives up what has taken too long.
    pub(super) fn join_timers(&mut self, now: Time, out: &mut Vec<Effect>) {
        if let Phase::Asking(asking) = &mut self.phase {
            let whom = asking.whom.clone();
            if asking.until <= now {
                self.try_again(now, now, &whom, out);
            } else if asking.again() <= now {
                // A wish is as easily lost as its answer. An answer may be long, so that who is slow is not asked ever faster.
                asking.asked = now;
                asking.wait = asking.wait.saturating_mul(2);
                if asking.fits {
                    self.wish(&whom, None, out);
                } else {
                    self.send_to(&whom, None, self.question(), out);
                }
            }
        }
        let joining = matches!(self.phase, Phase::Searching | Phase::Asking(_));
        if joining && self.join_until.is_some_and(|until| until <= now) {
            out.push(Effect::Log(Marker::JoinFailed {
                by: None,
                reason: "no join succeeded in time".into(),
            }));
            self.end(TerminateReason::JoinTimedOut, out);
        }
    }

    /// When [`Membership::join_timers`] or [`Membership::search`] has something to do.
    pub(super) fn join_wake(&self) -> Option<Time> {
        let step = match &self.phase {
            Phase::Searching => self.bootstrap.as_ref().and_then(Bootstrap::next_wake),
            Phase::Asking(asking) => Some(asking.until.min(asking.again())),
            Phase::Idle | Phase::Member | Phase::Ended => return None,
        };
        step.into_iter().chain(self.join_until).min()
    }

    pub(super) fn on_nack(
        &mut self,
        now: Time,
        envelope: &Envelope,
        reason: &NackReason,
        out: &mut Vec<Effect>,
    ) {
        let from = envelope.address();
        let by_hand = self.has_asked_first(from);
        if self.phase != Phase::Searching && !by_hand {
            return;
        }
        match reason {
            // It may form one, or join one: it is asked again.
            NackReason::NotInACluster if by_hand => self.log_join_failed(from, reason, out),
            NackReason::NotInACluster => {
                if let Some(bootstrap) = &mut self.bootstrap {
                    bootstrap.is_alone(now, from, envelope.cluster);
                }
                self.search(now, out);
            }
            NackReason::NotAccepting => {}
            NackReason::OtherName(_) | NackReason::OtherCluster(_) => {
                // An address may have been given to another cluster's node meanwhile; the other contact points may still be right.
                self.log_join_failed(from, reason, out);
            }
            NackReason::NoCommonProtocol(_) => {
                self.log_join_failed(from, reason, out);
                let reason = JoinProblem::Nack(reason.clone());
                self.may_not_join(from, reason, out);
            }
        }
    }

    pub(super) fn on_ack(
        &mut self,
        now: Time,
        envelope: &Envelope,
        ack: &InitJoinAck,
        out: &mut Vec<Effect>,
    ) {
        let from = envelope.address();
        let asked = self.bootstrap.as_ref();
        let asked = asked.is_some_and(|asked| asked.asks(from));
        if !(self.phase == Phase::Searching && asked || self.has_asked_first(from)) {
            return;
        }
        if let Some(other) = self.foreign(envelope.cluster) {
            self.log_join_failed(from, &NackReason::OtherCluster(other), out);
            return;
        }
        if self.profile.protocol.common(ack.protocol).is_none() {
            let reason = NackReason::NoCommonProtocol(ack.protocol);
            self.log_join_failed(from, &reason, out);
            self.may_not_join(from, JoinProblem::Nack(reason), out);
            return;
        }
        let problems = match &ack.check {
            ConfigCheck::Compatible(theirs) | ConfigCheck::Unchecked(theirs) => {
                self.config.problems(theirs)
            }
            ConfigCheck::Incompatible(problems) => problems.clone(),
        };
        let enforced = self.config.is_enforced();
        if !problems.is_empty() && enforced {
            let reason = problems.join("; ");
            self.log_join_failed(from, &reason, out);
            self.may_not_join(from, JoinProblem::Configuration(problems), out);
            return;
        }
        if !problems.is_empty() {
            out.push(Effect::Log(Marker::JoinIncompatible {
                by: from.clone(),
                problems,
            }));
        }
        self.after.clone_from(&ack.before);
        self.ask(now, from, Some(envelope.from.uid), out);
    }

    pub(super) fn on_refused(
        &mut self,
        now: Time,
        envelope: &Envelope,
        reason: &RefuseReason,
        out: &mut Vec<Effect>,
    ) {
        let from = envelope.address();
        if !matches!(&self.phase, Phase::Asking(asking) if asking.whom == *from) {
            return;
        }
        self.log_join_failed(from, reason, out);
        if let RefuseReason::OldIncarnation { before } = reason {
            self.after.clone_from(before);
        }
        let elsewhere = matches!(
            reason,
            RefuseReason::OtherName(_) | RefuseReason::OtherCluster(_)
        );
        if reason.may_retry() || elsewhere {
            self.try_again(now, now.after(RETRY_SOON), from, out);
        } else {
            self.may_not_join(from, JoinProblem::Refused(reason.clone()), out);
        }
    }

    /// Whether this node has asked another one to be let in.
    pub(super) fn asks(&self, address: &Address) -> bool {
        let searching = self.bootstrap.as_ref();
        let searching = searching.is_some_and(|bootstrap| bootstrap.asks(address));
        searching || matches!(&self.phase, Phase::Asking(asking) if asking.whom == *address)
    }

    /// One that was asked hears nothing of this incarnation any more. It was let in and removed without a welcome that came in time, and cannot come
    /// back: without an answer to its questions it would ask for ever.
    pub(super) fn shut_out_by(&mut self, by: &Address, out: &mut Vec<Effect>) {
        let reason = RefuseReason::Gone;
        self.log_join_failed(by, &reason, out);
        self.may_not_join(by, JoinProblem::Refused(reason), out);
    }

    pub(super) fn on_welcome(
        &mut self,
        now: Time,
        envelope: &Envelope,
        welcome: &Welcome,
        out: &mut Vec<Effect>,
    ) -> Result<(), Rejected> {
        if !matches!(&self.phase, Phase::Asking(asking) if asking.whom == *envelope.address()) {
            return Err(Rejected::Unexpected);
        }
        let Some(cluster) = envelope.cluster else {
            return Err(Rejected::WrongCluster);
        };
        if self.foreign(Some(cluster)).is_some() {
            return Err(Rejected::WrongCluster);
        }
        if !welcome.gossip.has(&self.this) {
            return Err(Rejected::WithoutSelf);
        }
        self.cluster = Some(cluster);
        self.founder = welcome.founder.clone();
        self.become_member(now);
        self.gossip = welcome.gossip.clone();
        let mut members = self.gossip.members().iter();
        let is_living = members.any(|member| member.status.counts());
        self.is_from_afar = is_living && !self.is_of_living_dc();
        self.remember(out);
        self.gossip.see(&self.this);
        self.changed = true;
        let version = self.history.follow(&self.gossip);
        self.history.had(&envelope.from, version);
        self.send_picture(&envelope.from, out);
        Ok(())
    }

    /// Forms a cluster: alone, and with every right of a leader, so that this node is the oldest.
    fn form(&mut self, now: Time, out: &mut Vec<Effect>) {
        let drawn = ClusterId(self.rng.u128(1..));
        let cluster = self.cluster.unwrap_or(drawn);
        self.cluster = Some(cluster);
        self.become_member(now);
        let this = Member::joining(self.this.clone(), Arc::clone(&self.profile));
        let joined = self.update(|change| change.join(this));
        debug_assert_eq!(joined, Ok(()), "an empty picture takes its first member");
        self.remember(out);
        out.push(Effect::Log(Marker::ClusterFormed { cluster }));
        self.leader_actions(now, out);
    }

    fn ask(&mut self, now: Time, whom: &Address, uid: Option<u64>, out: &mut Vec<Effect>) {
        let until = now.after(self.settings.retry_unsuccessful_join_after);
        self.phase = Phase::Asking(Asking::new(whom, now, until, true));
        self.wish(whom, uid, out);
    }

    /// The same of one that an operator has named: not before it was asked whether this node fits. What must be equal on all members, such as who survives
    /// a partition, must be so whichever way a node comes in.
    fn ask_first(&mut self, now: Time, whom: &Address, out: &mut Vec<Effect>) {
        let until = now.after(self.settings.retry_unsuccessful_join_after);
        self.phase = Phase::Asking(Asking::new(whom, now, until, false));
        self.send_to(whom, None, self.question(), out);
    }

    fn has_asked_first(&self, whom: &Address) -> bool {
        matches!(&self.phase, Phase::Asking(asking) if asking.whom == *whom && !asking.fits)
    }

    fn question(&self) -> Message {
        Message::InitJoin(InitJoin {
            name: self.settings.name.clone(),
            protocol: self.profile.protocol,
            config: self.config.shown(),
        })
    }

    /// Somebody speaks to this incarnation as to a member while it waits for its welcome: it was let in, and the welcome got lost. Until it has it, it is
    /// a member that answers nothing, and would be taken for dead. Whoever speaks knows of it, and can be reached; whoever let it in may not be, so
    /// that the wait was given up and the search has begun again.
    pub(super) fn ask_for_lost_welcome(
        &mut self,
        now: Time,
        member: &UniqueAddress,
        out: &mut Vec<Effect>,
    ) {
        match &mut self.phase {
            Phase::Searching => self.ask(now, &member.address, Some(member.uid), out),
            Phase::Asking(asking) if asking.asked.after(RETRY_SOON) <= now => {
                asking.asked = now;
                asking.whom.clone_from(&member.address);
                asking.fits = true;
                self.wish(&member.address, Some(member.uid), out);
            }
            Phase::Asking(_) | Phase::Idle | Phase::Member | Phase::Ended => {}
        }
    }

    pub(super) fn wish(&self, whom: &Address, uid: Option<u64>, out: &mut Vec<Effect>) {
        let wish = Message::Join(Join {
            name: self.settings.name.clone(),
            profile: Arc::clone(&self.profile),
            after: self.after.clone(),
        });
        self.send_to(whom, uid, wish, out);
    }

    /// Goes back to the search, or asks the same node again if an operator named it.
    fn try_again(&mut self, now: Time, when: Time, whom: &Address, out: &mut Vec<Effect>) {
        if let Some(bootstrap) = &mut self.bootstrap {
            bootstrap.restart(now, when);
            self.phase = Phase::Searching;
            self.search(now, out);
        } else if when <= now {
            self.ask_first(now, whom, out);
        } else {
            self.phase = Phase::Asking(Asking::new(whom, now, when, false));
        }
    }

    /// It was said for good: the process had better stop than wait for nothing.
    pub(super) fn may_not_join(
        &mut self,
        by: &Address,
        reason: JoinProblem,
        out: &mut Vec<Effect>,
    ) {
        let by = by.clone();
        self.end(TerminateReason::JoinRefused { by, reason }, out);
    }

    fn log_join_failed(&mut self, by: &Address, reason: &dyn ToString, out: &mut Vec<Effect>) {
        out.push(Effect::Log(Marker::JoinFailed {
            by: Some(by.clone()),
            reason: reason.to_string(),
        }));
    }

    /// The cluster of a message, if it is not the one that this node belongs to.
    pub(super) fn foreign(&self, cluster: Option<ClusterId>) -> Option<ClusterId> {
        cluster.filter(|theirs| self.cluster.is_some_and(|ours| ours != *theirs))
    }
}
