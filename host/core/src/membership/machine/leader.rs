//! What the leader of a data centre does: let members up, see them off, and say when it cannot.

use alloc::vec::Vec;

use super::Membership;
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::effects::{Effect, Marker};
use crate::membership::gossip::{Change, ChangeError};
use crate::membership::member::Status;
use crate::membership::view::View;

/// After so many rounds without agreement the log hears of it.
const FIRST_NOTICE: u32 = 20;
/// And again after each so many.
const NEXT_NOTICE: u32 = 60;

/// What a leader remembers between its rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Duty {
    /// Since when the members have not agreed.
    failing_since: Option<Time>,
    /// Rounds in which they did not.
    failed_rounds: u32,
}

/// What the leader found to do.
#[derive(Debug, Default)]
struct Work {
    up: Vec<(UniqueAddress, u32)>,
    weakly_up: Vec<UniqueAddress>,
    exiting: Vec<UniqueAddress>,
    ready: Vec<UniqueAddress>,
    removed: Vec<UniqueAddress>,
    forgotten: Vec<UniqueAddress>,
}

impl Membership {
    /// One round.
    pub(super) fn leader_actions(&mut self, now: Time, out: &mut Vec<Effect>) {
        let view = self.view();
        if view.leader() != Some(&self.this) {
            self.duty = Duty::default();
        } else if view.is_converged(&self.exiting_confirmed) {
            let work = self.find_work(now, &view);
            self.is_able_again(out);
            self.carry_out(work, out);
        } else {
            let weakly_up = self.find_weakly_up(now, &view);
            self.is_unable(now, out);
            self.carry_out(weakly_up, out);
        }
        let gossip = &self.gossip;
        self.exiting_confirmed.retain(|node| gossip.has(node));
    }

    fn find_work(&self, now: Time, view: &View<'_>) -> Work {
        let of_status = |status: Status| -> Vec<UniqueAddress> {
            let members = view.members().filter(|member| member.status == status);
            members.map(|member| member.node.clone()).collect()
        };
        let may_let_up = !self.preparing && view.is_enough(&self.gates);
        let keep = self.settings.gossip.prune_tombstones_after;
        Work {
            up: if may_let_up {
                view.promotions()
            } else {
                Vec::new()
            },
            exiting: of_status(Status::Leaving),
            ready: of_status(Status::PreparingForShutdown),
            removed: view.removals(&self.exiting_confirmed),
            forgotten: self.graves.due(now, keep),
            ..Work::default()
        }
    }

    /// Who is let in without agreement, once that has lasted long enough.
    fn find_weakly_up(&self, now: Time, view: &View<'_>) -> Work {
        let mut work = Work::default();
        let since = self.duty.failing_since.unwrap_or(now);
        let after = self.settings.allow_weakly_up_members.0;
        let is_due = after.is_some_and(|after| after <= now.since(since));
        if is_due && !self.preparing && view.is_enough(&self.gates) {
            work.weakly_up = view.weak_promotions();
        }
        work
    }

    fn carry_out(&mut self, work: Work, out: &mut Vec<Effect>) {
        let done = self.update(|change| work.apply(change));
        debug_assert_eq!(done, Ok(()), "a leader takes legal steps alone");
        for node in &work.removed {
            self.exiting_confirmed.remove(node);
        }
        if !work.exiting.is_empty() {
            // Whoever takes something over from them should hear of it first.
            for node in self.view().exiting_targets(&work.exiting) {
                if node != self.this && self.gossip.can_reach(&self.this, &node) {
                    self.send_picture(&node, out);
                }
            }
        }
    }

    fn is_unable(&mut self, now: Time, out: &mut Vec<Effect>) {
        let duty = &mut self.duty;
        duty.failing_since.get_or_insert(now);
        duty.failed_rounds = duty.failed_rounds.saturating_add(1);
        let rounds = duty.failed_rounds;
        if rounds == FIRST_NOTICE || rounds.is_multiple_of(NEXT_NOTICE) {
            let hindrance = self.view().hindrance(&self.exiting_confirmed);
            out.push(Effect::Log(Marker::LeaderIncapacitated {
                unseen: hindrance.unseen,
                unreachable: hindrance.unreachable,
            }));
        }
    }

    fn is_able_again(&mut self, out: &mut Vec<Effect>) {
        if FIRST_NOTICE <= self.duty.failed_rounds {
            out.push(Effect::Log(Marker::LeaderRestored));
        }
        self.duty = Duty::default();
    }

    /// The two that will most likely lead once this node is gone.
    pub(super) fn next_leaders(&self) -> Vec<UniqueAddress> {
        let view = self.view();
        let first = view.leader_without(&[&self.this]);
        let second = first.and_then(|first| view.leader_without(&[&self.this, first]));
        first.into_iter().chain(second).cloned().collect()
    }
}

impl Work {
    fn apply(&self, change: &mut Change<'_>) -> Result<(), ChangeError> {
        for (node, up_number) in &self.up {
            change.promote(node, *up_number)?;
        }
        for node in &self.weakly_up {
            change.set_status(node, Status::WeaklyUp)?;
        }
        for node in &self.exiting {
            change.set_status(node, Status::Exiting)?;
        }
        for node in &self.ready {
            change.set_status(node, Status::ReadyForShutdown)?;
        }
        for node in &self.removed {
            change.remove(node)?;
        }
        for gone in &self.forgotten {
            change.forget(gone);
        }
        Ok(())
    }
}
