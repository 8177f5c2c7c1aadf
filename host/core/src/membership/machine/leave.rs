//! The ways out: leaving, being declared dead, and the shutdown of all.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::downing;
use crate::membership::effects::{Effect, ExitReason, Marker, TerminateReason};
use crate::membership::inputs::{Answer, CommandError, Target};
use crate::membership::member::{Decider, Member, Status};
use crate::membership::message::Message;

/// How many members are told at once by a node that may not get another chance.
const LAST_WORDS: usize = 5;
/// A node that is down waits so many ticks for the others to see it: those that were downed with it, and one that stays, which nobody else might tell.
const DOWN_TICKS_MAX: u32 = 4;

impl Membership {
    pub(super) fn leave(
        &mut self,
        target: &Target,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        let member = self.find(target)?;
        match member.status {
            Status::Leaving | Status::Exiting => return Ok(Answer::DoneTo(member.node)),
            Status::Joining
            | Status::WeaklyUp
            | Status::Up
            | Status::PreparingForShutdown
            | Status::ReadyForShutdown
            | Status::Down
            | Status::Removed => {}
        }
        let moved = self.update(|change| change.set_status(&member.node, Status::Leaving));
        if moved.is_err() {
            return Err(self.illegal(&member, Status::Leaving, out));
        }
        self.gossip_round(out);
        Ok(Answer::DoneTo(member.node))
    }

    pub(super) fn down_by_hand(
        &mut self,
        node: &UniqueAddress,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        let member = self.find_incarnation(node)?;
        self.down(&member.node, &Decider::Operator, out);
        Ok(Answer::DoneTo(member.node))
    }

    /// Declares a member dead, and tells it and others at once. Does nothing about one that is, or is no member.
    pub(super) fn down(&mut self, node: &UniqueAddress, by: &Decider, out: &mut Vec<Effect>) {
        self.down_all(core::slice::from_ref(node), by, out);
    }

    /// Declares members dead, as one new version: with one for each of them, each would be told of another one, and where several nodes decide
    /// the same at once, each would answer each with what it has made of those.
    pub(super) fn down_all(
        &mut self,
        nodes: &[UniqueAddress],
        by: &Decider,
        out: &mut Vec<Effect>,
    ) {
        let downed: Vec<&UniqueAddress> = self.update(|change| {
            let mut down = |node: &&UniqueAddress| change.down(node, by.clone()) == Ok(true);
            nodes.iter().filter(&mut down).collect()
        });
        for node in &downed {
            self.gossip.unsee(node);
        }
        for node in downed {
            if *node == self.this {
                self.gossip_burst(LAST_WORDS, out);
            } else {
                // It may be alive: then this is what stops it.
                self.send_picture(node, out);
            }
        }
    }

    pub(super) fn prepare_shutdown(
        &mut self,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        if self.phase != Phase::Member {
            return Err(CommandError::NotJoined);
        }
        if self.preparing {
            return Ok(Answer::Done);
        }
        self.preparing = true;
        self.prepare(|_| true);
        self.gossip_round(out);
        Ok(Answer::Done)
    }

    /// Follows a shutdown that another member began.
    pub(super) fn follow_shutdown(&mut self) {
        if !self.preparing {
            let members = self.gossip.members().iter();
            self.preparing = members.map(|member| member.status).any(Status::shuts_down);
        }
        if self.preparing && self.own_status() == Some(Status::Up) {
            let this = self.this.clone();
            self.prepare(|node| *node == this);
        }
    }

    fn prepare(&mut self, which: impl Fn(&UniqueAddress) -> bool) {
        let up = self.gossip.members().iter();
        let up = up.filter(|member| member.status == Status::Up && which(&member.node));
        let up: Vec<UniqueAddress> = up.map(|member| member.node.clone()).collect();
        self.update(|change| {
            for node in &up {
                let moved = change.set_status(node, Status::PreparingForShutdown);
                debug_assert_eq!(moved, Ok(()), "who is up may prepare");
            }
        });
    }

    /// Acts on what the picture says of this node.
    pub(super) fn mind_own_status(&mut self, out: &mut Vec<Effect>) {
        match self.own_status() {
            Some(Status::Exiting) => self.begin_exit(ExitReason::Left, out),
            Some(Status::Down) => self.begin_exit(ExitReason::Downed, out),
            Some(Status::Joining | Status::WeaklyUp) => self.begin_again_if_deserted(out),
            Some(
                Status::Up
                | Status::PreparingForShutdown
                | Status::ReadyForShutdown
                | Status::Leaving,
            ) => {}
            Some(Status::Removed) | None => self.end(TerminateReason::Removed, out),
        }
    }

    /// The first of a data centre, whom another one has let in that has given itself up since, is not to go on as a cluster: that may have been the smaller
    /// side of a partition, and the larger one does not know of this node.
    fn begin_again_if_deserted(&mut self, out: &mut Vec<Effect>) {
        let mut members = self.gossip.members().iter();
        if self.is_from_afar && !members.any(|member| member.status.counts()) {
            let this = self.this.clone();
            self.down(&this, &Decider::Others, out);
        }
    }

    fn begin_exit(&mut self, reason: ExitReason, out: &mut Vec<Effect>) {
        if self.exit_begun != Some(reason) && self.exit_begun != Some(ExitReason::Downed) {
            self.exit_begun = Some(reason);
            out.push(Effect::BeginExit { reason });
        }
    }

    /// The driver has gone through its shutdown phases.
    pub(super) fn exiting_done(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member || self.has_exited {
            return;
        }
        if self.own_status() != Some(Status::Exiting) {
            // Down: the others may not know yet. Anything else: nobody asked it to.
            return;
        }
        self.has_exited = true;
        let this = self.this.clone();
        self.gossip.see(&this);
        self.changed = true;
        self.publish(now, out);
        self.gossip_burst(LAST_WORDS, out);
        for leader in self.next_leaders() {
            self.send(&leader, Message::ExitingConfirmed, out);
        }
        self.end(TerminateReason::Left, out);
    }

    pub(super) fn on_exiting_confirmed(&mut self, from: &UniqueAddress) {
        if self.gossip.has(from) && self.exiting_confirmed.insert(from.clone()) {
            // The members may agree from now on.
            self.changed = true;
        }
    }

    /// Ends, once the other downed ones know, and one of those who stay, or after a few ticks.
    pub(super) fn shut_down_when_down(&mut self, out: &mut Vec<Effect>) {
        if self.own_status() != Some(Status::Down) {
            self.down_ticks = 0;
            return;
        }
        let view = self.view();
        let members = self.gossip.members().iter();
        let reached = members.filter(|member| {
            self.is_own_dc(member) && member.node != self.this && !view.is_unreachable(&member.node)
        });
        let (downed, stay): (Vec<_>, Vec<_>) =
            reached.partition(|member| member.status == Status::Down);
        let knows = |member: &&Member| self.gossip.is_seen_by(&member.node);
        let all_know = downed.iter().all(knows) && (stay.is_empty() || stay.iter().any(knows));
        if all_know || DOWN_TICKS_MAX <= self.down_ticks {
            let reason = match self.rival() {
                Some(by) => TerminateReason::Rival { by: by.clone() },
                None => TerminateReason::Downed,
            };
            self.end(reason, out);
        } else {
            self.down_ticks += 1;
        }
    }

    /// A member says that the others have removed this incarnation.
    pub(super) fn on_gone(&mut self, now: Time, by: &UniqueAddress, out: &mut Vec<Effect>) {
        if self.own_status() == Some(Status::Exiting) {
            // It is on its way out in good order, and hands over what it holds.
            return;
        }
        self.drive_downing(now, downing::Event::QuarantinedBy(by), out);
        // Nobody listens to it any more, whatever the policy makes of that.
        let this = self.this.clone();
        self.down(&this, &Decider::Others, out);
    }

    pub(super) fn own_status(&self) -> Option<Status> {
        self.gossip.member(&self.this).map(|member| member.status)
    }

    fn find(&self, target: &Target) -> Result<Member, CommandError> {
        match target {
            Target::Incarnation(node) => self.find_incarnation(node),
            Target::Current(address) => {
                self.must_have_joined()?;
                // Where two incarnations stand, the one that is not down is meant.
                let at = self.gossip.at(address);
                let found = at.min_by_key(|member| member.status == Status::Down);
                found.cloned().ok_or_else(|| not_a_member(address))
            }
        }
    }

    fn find_incarnation(&self, node: &UniqueAddress) -> Result<Member, CommandError> {
        self.must_have_joined()?;
        match self.gossip.member(node) {
            Some(member) => Ok(member.clone()),
            None => match self.gossip.at(&node.address).next() {
                Some(other) => Err(CommandError::OtherIncarnation {
                    address: node.address.clone(),
                    current: other.node.clone(),
                }),
                None => Err(not_a_member(node)),
            },
        }
    }

    fn must_have_joined(&self) -> Result<(), CommandError> {
        match self.phase {
            Phase::Member => Ok(()),
            Phase::Idle | Phase::Searching | Phase::Asking(_) | Phase::Ended => {
                Err(CommandError::NotJoined)
            }
        }
    }

    fn illegal(&mut self, member: &Member, to: Status, out: &mut Vec<Effect>) -> CommandError {
        self.counters.illegal_transitions += 1;
        out.push(Effect::Log(Marker::IllegalTransition {
            node: member.node.clone(),
            from: member.status,
            to,
        }));
        CommandError::IllegalTransition {
            node: member.node.clone(),
            from: member.status,
            to,
        }
    }
}

fn not_a_member(node: &dyn ToString) -> CommandError {
    CommandError::NotAMember {
        node: node.to_string(),
    }
}
