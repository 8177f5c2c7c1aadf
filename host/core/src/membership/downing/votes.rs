//! Whose word a decision has that lets somebody stay: a vote binds who gives it, so that of two such decisions that exclude each other at most one is
//! carried out.
//!
//! A leader that has found whom to down ([`participants`](super::participants)) asks those who take part for their votes, and downs nobody before it
//! has enough. Enough are the votes of all who take part, or of members that would stay by the policy if all others were out of reach. A decision
//! after which nobody stays of those who take part, and one for which there is a lease, need no votes.
//!
//! A vote is a promise without an end: not to vote for a decision that spares one whom this one downs, until all of those are down, the asker has
//! taken its question back, which it only does if it will never act on it, or the asker is down itself. No clock is in it: who has voted cannot
//! know what came of it. It tells the asker of its vote again until it does, and an asker that has long gone on to something else takes its question back.
//! So a vote, an answer and a question may be lost, doubled, late or overtaken: they have numbers, and one that was taken back does not come again.
//!
//! Why no two sides stay: say that two leaders carry out decisions of which each spares somebody whom the other one downs. Both have votes
//! enough among the same members, for a vote is given only by a member that knows the same members, in the same states, as the asker. Two sets of
//! votes that are enough have a member X in common, since that is what a policy promises: of two sides without a common member at most one stays (most
//! members, or a quorum of less than twice as many, are no two separate sets; there is one oldest). Of the two votes of X the second was given
//! after the first decision was taken back, so that it was never carried out; or after X had heard that it was carried out, so that the second leader
//! had, too, as it knew the same members, and it decided about what was left; or else the second decision downs all that the first one downs. Then X's second vote says so, and
//! does not count unless the rest are enough without it, and without everybody whom the first decision downs: so they are enough among
//! those whom it leaves, too, and meet the votes of whatever is decided among these next.
//!
//! Whose votes do not suffice waits. Votes are given to the leader in the voter's own eyes alone, to one who wants the very same or will go itself, or by
//! one who is to go. Where nobody comes to have enough, and voters are bound to one whom the leader downs, and who will hardly tell them what came of it,
//! it downs whom that one wanted to down, too, and spares nobody whom that one did not. Else those who have voted count as a side of their own, which goes.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::Decision;
use super::explain::{Cause, Explanation};
use super::picture::Picture;
use super::strategy::Policy;
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::member::Status;

/// How often those are asked again who have not voted.
const ASK_INTERVAL: Duration = Duration::from_millis(300);
/// How long one question stands. Then all is looked at again: two leaders may each have votes that the other one lacks.
const QUESTION_MAX: Duration = Duration::from_secs(3);
/// How often who is bound tells the asker again.
const REMIND_INTERVAL: Duration = Duration::from_secs(1);

/// A leader's question to those who take part: do you vote for downing these?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts the questions of one incarnation.
    pub number: u64,
    /// The members that the asker knows, and their states ([`Picture::electorate`]).
    pub electorate: u64,
    /// Who is to be downed. Nobody: the question of this number is taken back.
    pub down: BTreeSet<UniqueAddress>,
}

/// The answer yes, if the question downs all of `bound`. Else it says why it is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// To which question.
    pub number: u64,
    /// Whom other decisions down for which the voter has voted before, and of which it does not know what came of them. If it is no vote: those
    /// whom the question spares, though who asked for that vote goes by it.
    pub bound: BTreeSet<UniqueAddress>,
}

/// Whether a decision may not be carried out on one node's word: it lets some of those stay who take part.
pub(super) fn are_needed(explanation: &Explanation) -> bool {
    let down = &explanation.down;
    let mut stay = participants(&explanation.picture);
    !down.is_empty() && stay.any(|node| !down.contains(node))
}

fn participants(picture: &Picture) -> impl Iterator<Item = &UniqueAddress> {
    let downable = picture.voters().filter(|voter| voter.is_downable());
    let part = downable.filter(|voter| picture.seen_by().contains(&voter.node));
    part.map(|voter| &voter.node)
}

/// Whether those alone would stay if all others were out of reach.
pub(super) fn would_stay(
    policy: &dyn Policy,
    picture: &Picture,
    votes: &BTreeSet<UniqueAddress>,
) -> bool {
    let Some(picture) = picture.split_off(votes) else {
        return false;
    };
    match policy.decide(&picture).decision {
        Decision::DownUnreachable | Decision::AcquireLeaseAndDownUnreachable { .. } => true,
        Decision::DownReachable
        | Decision::DownAll
        | Decision::DownIndirectlyConnected
        | Decision::AcquireLeaseAndDownIndirectlyConnected { .. }
        | Decision::ReverseDownIndirectlyConnected
        | Decision::DownSelfQuarantinedByRemote => false,
    }
}

/// A decision of this node that waits for votes.
#[derive(Debug)]
pub(super) struct Question {
    ballot: Ballot,
    explanation: Box<Explanation>,
    votes: BTreeSet<UniqueAddress>,
    /// Whom earlier decisions down, for which those have voted.
    bound: BTreeSet<UniqueAddress>,
    /// Whom those downed or wanted to down who go by this, with the votes of some who cannot vote for it therefore.
    owed: BTreeSet<UniqueAddress>,
    ask_at: Time,
    until: Time,
}

impl Question {
    pub(super) fn new(number: u64, explanation: Explanation, now: Time) -> Self {
        Self {
            ballot: Ballot {
                number,
                electorate: explanation.picture.electorate(),
                down: explanation.down.clone(),
            },
            explanation: Box::new(explanation),
            votes: BTreeSet::new(),
            bound: BTreeSet::new(),
            owed: BTreeSet::new(),
            ask_at: now,
            until: now.after(QUESTION_MAX),
        }
    }

    pub(super) fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    pub(super) fn is_over(&self, now: Time) -> bool {
        self.until <= now
    }

    /// Whether it was asked about the members that there are now.
    pub(super) fn is_about(&self, picture: &Picture) -> bool {
        self.ballot.electorate == picture.electorate()
    }

    pub(super) fn next_wake(&self) -> Time {
        self.ask_at.min(self.until)
    }

    /// Takes an answer, if it is one to this question.
    pub(super) fn take(&mut self, by: &UniqueAddress, vote: &Vote) {
        let is_asked = participants(&self.explanation.picture).any(|node| node == by);
        if !is_asked || vote.number != self.ballot.number {
            return;
        }
        let bound = vote.bound.iter().cloned();
        if vote.bound.is_subset(&self.ballot.down) {
            self.votes.insert(by.clone());
            self.bound.extend(bound);
        } else {
            self.owed.extend(bound);
        }
    }

    pub(super) fn is_carried(&self, policy: &dyn Policy) -> bool {
        let picture = &self.explanation.picture;
        if self.bound.is_empty() && participants(picture).all(|node| self.votes.contains(node)) {
            return true;
        }
        would_stay(policy, picture, &self.free())
    }

    /// Who has voted, without those whom earlier decisions down.
    fn free(&self) -> BTreeSet<UniqueAddress> {
        &self.votes - &self.bound
    }

    /// The decision that this was about.
    pub(super) fn into_explanation(self) -> Explanation {
        *self.explanation
    }

    /// The same decision, which also downs whoever is owed to those who go. Once: its own question has no wider one.
    pub(super) fn wider(&self, policy: &dyn Policy) -> Option<Explanation> {
        if self.owed.is_empty() || self.is_wider() {
            return None;
        }
        let down = self.owed.clone();
        let picture = self.explanation.picture.clone();
        Some(Explanation::new(policy, Cause::Owed { down }, picture))
    }

    pub(super) fn is_wider(&self) -> bool {
        matches!(self.explanation.cause, Cause::Owed { .. })
    }

    /// What becomes of those who have voted, by themselves, if they are too few: none if they would stay.
    pub(super) fn alone(&self, policy: &dyn Policy) -> Option<Explanation> {
        let picture = self.explanation.picture.split_off(&self.free())?;
        let found = Explanation::new(policy, self.explanation.cause.clone(), picture);
        (!are_needed(&found)).then_some(found)
    }

    /// Whom to ask now.
    pub(super) fn whom_to_ask(&mut self, now: Time) -> Vec<UniqueAddress> {
        if now < self.ask_at {
            return Vec::new();
        }
        self.ask_at = now.after(ASK_INTERVAL);
        let picture = &self.explanation.picture;
        let silent = participants(picture)
            .filter(|node| *node != picture.this() && !self.votes.contains(*node));
        silent.cloned().collect()
    }

    /// The words that take it back, and for whom.
    pub(super) fn taken_back(self) -> (Ballot, Vec<UniqueAddress>) {
        let picture = &self.explanation.picture;
        let asked = participants(picture).filter(|node| *node != picture.this());
        let asked = asked.cloned().collect();
        (taken_back(self.ballot.number), asked)
    }
}

/// The words that take a question back.
pub(super) fn taken_back(number: u64) -> Ballot {
    Ballot {
        number,
        electorate: 0,
        down: BTreeSet::new(),
    }
}

/// For what this node has voted.
#[derive(Debug, Default)]
pub(super) struct Promises {
    by_asker: BTreeMap<UniqueAddress, Promise>,
}

#[derive(Debug)]
struct Promise {
    /// The last question that was heard of.
    number: u64,
    /// Whom it downs; nobody if it was taken back.
    down: BTreeSet<UniqueAddress>,
    bound: BTreeSet<UniqueAddress>,
    remind_at: Time,
}

impl Promises {
    /// Forgets what has been carried out, and whose asker is gone.
    pub(super) fn prune(&mut self, picture: &Picture) {
        let is_there = |node: &UniqueAddress| {
            let voter = picture.voter(node);
            voter.is_some_and(|voter| voter.status != Status::Down)
        };
        self.by_asker.retain(|asker, promise| {
            promise.down.retain(is_there);
            is_there(asker)
        });
    }

    /// Whom those want to down, or have downed, who go by this decision and for whose questions this node has voted.
    fn owed(&self, down: &BTreeSet<UniqueAddress>) -> BTreeSet<UniqueAddress> {
        let promises = self.by_asker.iter();
        let theirs = promises.filter(|(asker, _)| down.contains(*asker));
        let owed = theirs.flat_map(|(_, promise)| &promise.down);
        owed.filter(|node| !down.contains(*node)).cloned().collect()
    }

    /// Takes note that a question was taken back. What the asker asked before that it may have carried out.
    pub(super) fn release(&mut self, asker: &UniqueAddress, number: u64, now: Time) {
        let promise = self.of(asker, now);
        if promise.number == number {
            promise.down.clear();
        } else if promise.down.is_empty() {
            promise.number = promise.number.max(number);
        }
    }

    /// Votes, or says what hinders it, if there is something to say. The same question gets the same answer again.
    pub(super) fn answer(
        &mut self,
        asker: &UniqueAddress,
        ballot: &Ballot,
        now: Time,
    ) -> Option<Vote> {
        let number = ballot.number;
        self.vote(asker, ballot, now).or_else(|| {
            let bound = self.owed(&ballot.down);
            (!bound.is_empty()).then_some(Vote { number, bound })
        })
    }

    /// Votes, if this node is not bound otherwise.
    fn vote(&mut self, asker: &UniqueAddress, ballot: &Ballot, now: Time) -> Option<Vote> {
        let heard = self.by_asker.get(asker);
        if heard.is_some_and(|heard| ballot.number < heard.number) {
            return None;
        }
        if heard.is_some_and(|heard| heard.number == ballot.number) {
            return self.again(asker);
        }
        let others = self.by_asker.iter().filter(|(other, _)| *other != asker);
        let mut bound = BTreeSet::new();
        for (_, other) in others {
            if !other.down.is_subset(&ballot.down) {
                return None;
            }
            if other.down != ballot.down {
                bound.extend(other.down.iter().cloned());
            }
        }
        let promise = self.of(asker, now);
        promise.number = ballot.number;
        promise.down.clone_from(&ballot.down);
        promise.bound = bound;
        promise.remind_at = now.after(REMIND_INTERVAL);
        self.again(asker)
    }

    fn again(&self, asker: &UniqueAddress) -> Option<Vote> {
        let promise = self.by_asker.get(asker)?;
        (!promise.down.is_empty()).then(|| Vote {
            number: promise.number,
            bound: promise.bound.clone(),
        })
    }

    /// Votes whose askers are to be told of them again.
    pub(super) fn reminders(
        &mut self,
        now: Time,
        this: &UniqueAddress,
    ) -> Vec<(UniqueAddress, Vote)> {
        let mut due = Vec::new();
        for (asker, promise) in &mut self.by_asker {
            if asker == this || promise.down.is_empty() || now < promise.remind_at {
                continue;
            }
            promise.remind_at = now.after(REMIND_INTERVAL);
            let (number, bound) = (promise.number, promise.bound.clone());
            due.push((asker.clone(), Vote { number, bound }));
        }
        due
    }

    /// When somebody else is to be told again.
    pub(super) fn next_wake(&self, this: &UniqueAddress) -> Option<Time> {
        let open = self.by_asker.iter();
        let open = open.filter(|(asker, promise)| *asker != this && !promise.down.is_empty());
        open.map(|(_, promise)| promise.remind_at).min()
    }

    fn of(&mut self, asker: &UniqueAddress, now: Time) -> &mut Promise {
        self.by_asker
            .entry(asker.clone())
            .or_insert_with(|| Promise {
                number: 0,
                down: BTreeSet::new(),
                bound: BTreeSet::new(),
                remind_at: now,
            })
    }
}
