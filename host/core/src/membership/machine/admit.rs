//! The way into a cluster, as a member guards it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::membership::address::{Address, UniqueAddress};
use crate::membership::compatibility::PRODUCT_VERSION;
use crate::membership::effects::{Effect, Marker};
use crate::membership::gossip::ChangeError;
use crate::membership::member::{Decider, Member, Status};
use crate::membership::message::{
    ConfigCheck, Envelope, InitJoin, InitJoinAck, Join, Message, NackReason, RefuseReason, Welcome,
};
use crate::membership::protocol::ProtocolRange;
use crate::membership::reachability::Reach;

/// Joiners that have asked and were not let in yet, of which is kept what they said.
const INTRODUCED_MAX: usize = 64;
/// The longest version of a program that is kept for the log.
const VERSION_CHARS_MAX: usize = 64;

/// What a joiner said of itself, for the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Introduction {
    product_version: Option<String>,
    /// In which its configuration does not fit.
    problems: Vec<String>,
}

impl Membership {
    pub(super) fn on_init_join(
        &mut self,
        envelope: &Envelope,
        question: &InitJoin,
        out: &mut Vec<Effect>,
    ) {
        let answer = match self.would_take_part(envelope, question) {
            Ok(()) => {
                self.introduce(&envelope.from, &question.config);
                Message::InitJoinAck(InitJoinAck {
                    check: self.config_check(question),
                    protocol: self.profile.protocol,
                    before: self.incarnations(&envelope.from),
                })
            }
            Err(reason) => Message::InitJoinNack(reason),
        };
        self.reply_to(envelope, answer, out);
    }

    fn config_check(&self, question: &InitJoin) -> ConfigCheck {
        if !self.config.is_enforced() {
            return ConfigCheck::Unchecked(self.config.shown());
        }
        let problems = self.config.problems(&question.config);
        if problems.is_empty() {
            ConfigCheck::Compatible(self.config.shown())
        } else {
            ConfigCheck::Incompatible(problems)
        }
    }

    /// What the log tells of a joiner once it is let in: it says so when it asks, and not again.
    fn introduce(&mut self, joiner: &UniqueAddress, config: &BTreeMap<String, String>) {
        if self.introduced.len() == INTRODUCED_MAX && !self.introduced.contains_key(joiner) {
            self.introduced.pop_first();
        }
        let product_version = config.get(PRODUCT_VERSION);
        let introduction = Introduction {
            product_version: product_version
                .map(|version| version.chars().take(VERSION_CHARS_MAX).collect()),
            problems: self.config.problems(config),
        };
        self.introduced.insert(joiner.clone(), introduction);
    }

    fn would_take_part(&self, envelope: &Envelope, question: &InitJoin) -> Result<(), NackReason> {
        match self.phase {
            Phase::Idle | Phase::Searching => return Err(NackReason::NotInACluster),
            // Whoever forms a cluster now would form a second one.
            Phase::Asking(_) => return Err(NackReason::NotAccepting),
            Phase::Member | Phase::Ended => {}
        }
        if question.name != self.settings.name {
            return Err(NackReason::OtherName(self.settings.name.clone()));
        }
        if let (Some(ours), Some(_)) = (self.cluster, self.foreign(envelope.cluster)) {
            return Err(NackReason::OtherCluster(ours));
        }
        if let Some(spoken) = self.unspoken(question.protocol) {
            return Err(NackReason::NoCommonProtocol(spoken));
        }
        if self.is_going() {
            return Err(NackReason::NotAccepting);
        }
        Ok(())
    }

    pub(super) fn on_join(&mut self, envelope: &Envelope, join: &Join, out: &mut Vec<Effect>) {
        if self.phase != Phase::Member {
            // Nobody to let anyone in; the other asks again.
            return;
        }
        if self.gossip.has(&envelope.from) {
            // The welcome got lost.
            self.welcome(envelope, out);
            return;
        }
        if let Err(reason) = self.may_let_in(envelope, join) {
            self.refuse(envelope, reason, out);
            return;
        }
        let before = self.incarnations(&envelope.from);
        if !before.is_empty() {
            self.replace(&envelope.from.address, &join.after, out);
            self.refuse(envelope, RefuseReason::OldIncarnation { before }, out);
            return;
        }
        let member = Member::joining(envelope.from.clone(), Arc::clone(&join.profile));
        match self.update(|change| change.join(member)) {
            Ok(()) => {
                self.welcome(envelope, out);
                self.tell_another(&envelope.from, out);
                let introduction = self.introduced.remove(&envelope.from);
                let introduction = introduction.unwrap_or_default();
                out.push(Effect::Log(Marker::Welcomed {
                    node: envelope.from.clone(),
                    product_version: introduction.product_version,
                    problems: introduction.problems,
                }));
            }
            Err(ChangeError::Full { limit }) => {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                self.refuse(envelope, RefuseReason::Full { limit }, out);
            }
            Err(
                ChangeError::AlreadyAMember { .. }
                | ChangeError::NotAMember { .. }
                | ChangeError::AddressTaken { .. }
                | ChangeError::Gone { .. }
                | ChangeError::IllegalTransition { .. },
            ) => debug_assert!(false, "the picture was looked at before"),
        }
    }

    fn may_let_in(&self, envelope: &Envelope, join: &Join) -> Result<(), RefuseReason> {
        let from = &envelope.from;
        if join.name != self.settings.name {
            return Err(RefuseReason::OtherName(self.settings.name.clone()));
        }
        if let (Some(ours), Some(_)) = (self.cluster, self.foreign(envelope.cluster)) {
            return Err(RefuseReason::OtherCluster(ours));
        }
        if let Some(spoken) = self.unspoken(join.profile.protocol) {
            return Err(RefuseReason::NoCommonProtocol(spoken));
        }
        if self.gossip.tombstones().contains(from) || self.quarantine.holds(from) {
            return Err(RefuseReason::Gone);
        }
        if self.is_going() {
            return Err(RefuseReason::NotAccepting);
        }
        if self.preparing {
            return Err(RefuseReason::ShuttingDown);
        }
        if let Err(problem) = join.profile.check() {
            return Err(RefuseReason::BadProfile(problem.to_string()));
        }
        Ok(())
    }

    /// The uids of the other incarnations that are members at an address.
    fn incarnations(&self, of: &UniqueAddress) -> Vec<u64> {
        let others = self.gossip.at(&of.address);
        let others = others.filter(|member| member.node != *of);
        others.map(|member| member.node.uid).collect()
    }

    /// A new incarnation is at the door, and is let in once those before it are removed. Those that it can name have certainly ended: it was told of them
    /// as members, so it ran after them, and an address is one process's at a time. Where it cannot, its wish may have been under way since before
    /// they began; if it lives, it asks again and can.
    fn replace(&mut self, address: &Address, after: &[u64], out: &mut Vec<Effect>) {
        let before: Vec<Member> = self.gossip.at(address).cloned().collect();
        let certain =
            |member: &&Member| member.status != Status::Down && after.contains(&member.node.uid);
        for member in before.iter().filter(certain) {
            self.update(|change| change.observe(&member.node, Reach::Terminated));
            self.down(&member.node, &Decider::NewIncarnation, out);
        }
    }

    fn refuse(&self, envelope: &Envelope, reason: RefuseReason, out: &mut Vec<Effect>) {
        self.reply_to(envelope, Message::JoinRefused(reason), out);
    }

    fn welcome(&mut self, envelope: &Envelope, out: &mut Vec<Effect>) {
        let welcome = Message::Welcome(Welcome {
            founder: self.founder.clone(),
            gossip: self.gossip.clone(),
        });
        self.reply_to(envelope, welcome, out);
    }

    /// Nothing that is down or exiting lets anyone in: it could not tell anybody any more.
    pub(super) fn is_going(&self) -> bool {
        match self.own_status() {
            Some(Status::Down | Status::Exiting | Status::Removed) | None => true,
            Some(
                Status::Joining
                | Status::WeaklyUp
                | Status::Up
                | Status::PreparingForShutdown
                | Status::ReadyForShutdown
                | Status::Leaving,
            ) => false,
        }
    }

    /// What somebody here speaks, if it is nothing of what the joiner speaks: every two members must understand each other.
    fn unspoken(&self, theirs: ProtocolRange) -> Option<ProtocolRange> {
        let members = self
            .gossip
            .members()
            .iter()
            .map(|member| member.profile.protocol);
        let mut members = members.chain([self.profile.protocol]);
        members.find(|ours| ours.common(theirs).is_none())
    }
}
