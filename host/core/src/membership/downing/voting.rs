//! The resolver's part in votes: it asks for them, and gives its own.

use alloc::vec;
use alloc::vec::Vec;

use super::explain::Explanation;
use super::picture::Picture;
use super::ports::Effect;
use super::resolver::Downing;
use super::strategy::Policy;
use super::votes::{self, Ballot, Question, Vote};
use crate::id::Time;
use crate::membership::address::UniqueAddress;

impl Downing {
    pub(super) fn ask_for_votes(
        &mut self,
        now: Time,
        explanation: Explanation,
        policy: &dyn Policy,
        out: &mut Vec<Effect>,
    ) {
        self.questions += 1;
        let picture = explanation.picture.clone();
        let mut question = Question::new(self.questions, explanation, now);
        self.promises.prune(&picture);
        let this = &self.config.this;
        if let Some(vote) = self.promises.answer(this, question.ballot(), now) {
            question.take(this, &vote);
        }
        // As long again as it took to get here, for all questions about this together.
        let most = self.config.stable_after.saturating_mul(2);
        self.votes_until.get_or_insert_with(|| now.after(most));
        self.question = Some(question);
        self.advance_question(now, policy, &|| picture.clone(), out);
    }

    /// Carries out what has votes enough, asks again, or gives up.
    pub(super) fn advance_question(
        &mut self,
        now: Time,
        policy: &dyn Policy,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let is_carried = |question: &Question| question.is_carried(policy);
        let is_due = |question: &Question| question.next_wake() <= now;
        let Some(question) = &mut self.question else {
            return;
        };
        let is_late = self.votes_until.is_some_and(|until| until <= now);
        if !is_carried(question) && !is_due(question) && !is_late {
            return;
        }
        let is_over = question.is_over(now);
        if !question.is_about(&picture()) || (is_over && !question.is_wider()) {
            self.take_back(now);
        } else if !is_over && is_carried(question) {
            self.carry(now, out);
        } else if !(is_late || is_over) || !self.give_way(now, policy, out) {
            self.ask_again(now, out);
        }
    }

    fn ask_again(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(question) = &mut self.question else {
            return;
        };
        let of = question.whom_to_ask(now);
        let ballot = question.ballot().clone();
        if !of.is_empty() {
            out.push(Effect::Ask { ballot, of });
        }
    }

    /// Enough votes do not come: looks for a decision that needs others, or none. Returns whether the question is done with.
    fn give_way(&mut self, now: Time, policy: &dyn Policy, out: &mut Vec<Effect>) -> bool {
        let Some(question) = &self.question else {
            return true;
        };
        let is_over = question.is_over(now);
        let wider = question.wider(policy);
        if wider.is_none()
            && let Some(alone) = question.alone(policy)
        {
            self.act(now, alone, out);
            return true;
        }
        self.votes_until = Some(now.after(self.config.stable_after));
        if is_over || wider.is_some() {
            self.take_back(now);
        }
        let is_wider = wider.is_some();
        if let Some(wider) = wider {
            self.decide(now, wider, policy, out);
        }
        is_over || is_wider
    }

    fn carry(&mut self, now: Time, out: &mut Vec<Effect>) {
        if let Some(question) = self.question.take() {
            self.carried.insert(question.ballot().number);
            self.act(now, question.into_explanation(), out);
        }
    }

    /// What was asked is not asked any more, and never acted on.
    pub(super) fn take_back(&mut self, now: Time) {
        if let Some(question) = self.question.take() {
            let (ballot, asked) = question.taken_back();
            self.promises.release(&self.config.this, ballot.number, now);
            self.taken_back.push((ballot, asked));
        }
    }

    pub(super) fn on_asked(
        &mut self,
        now: Time,
        (by, leads): (&UniqueAddress, bool),
        ballot: &Ballot,
        picture: &Picture,
        out: &mut Vec<Effect>,
    ) {
        if ballot.down.is_empty() {
            self.promises.release(by, ballot.number, now);
            return;
        }
        let this = &self.config.this;
        let may_vote = picture.voter(this).is_some_and(|own| own.is_downable());
        if !may_vote || ballot.electorate != picture.electorate() {
            return;
        }
        let own = self.question.as_ref().map(Question::ballot);
        let is_to_go = ballot.down.contains(this);
        let is_alike = own.is_some_and(|own| own.down == ballot.down);
        let is_selfless = ballot.down.contains(by);
        if !leads && !is_to_go && !is_alike && !is_selfless {
            return;
        }
        if is_to_go && !is_alike {
            // Who is to go anyway need not have its own way.
            self.take_back(now);
        }
        self.promises.prune(picture);
        if let Some(vote) = self.promises.answer(by, ballot, now) {
            let to = by.clone();
            out.push(Effect::Vote { to, vote });
        }
    }

    pub(super) fn on_voted(
        &mut self,
        now: Time,
        (by, vote): (&UniqueAddress, &Vote),
        policy: &dyn Policy,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let is_open = |question: &Question| question.ballot().number == vote.number;
        match &mut self.question {
            Some(question) if is_open(question) => {
                question.take(by, vote);
                self.advance_question(now, policy, picture, out);
            }
            Some(_) | None if self.carried.contains(&vote.number) => {}
            Some(_) | None => {
                let ballot = votes::taken_back(vote.number);
                let of = vec![by.clone()];
                out.push(Effect::Ask { ballot, of });
            }
        }
    }

    /// Tells those again for whom this node has voted, while it does not know what came of it.
    pub(super) fn remind(
        &mut self,
        now: Time,
        picture: &dyn Fn() -> Picture,
        out: &mut Vec<Effect>,
    ) {
        let due = self.promises.next_wake(&self.config.this);
        if due.is_none_or(|at| now < at) {
            return;
        }
        self.promises.prune(&picture());
        for (to, vote) in self.promises.reminders(now, &self.config.this) {
            out.push(Effect::Vote { to, vote });
        }
    }
}
