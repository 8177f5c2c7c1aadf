//! What one member changes in its picture, as one new version.

use alloc::sync::Arc;

use super::super::address::UniqueAddress;
use super::super::member::{Decider, Member, Status};
use super::super::reachability::Reach;
use super::super::vector_clock::ClockNode;
use super::{Gossip, MEMBERS_MAX, Seen};

/// Why a change is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The incarnation is not a member.
    #[error("{node} is not a member")]
    NotAMember {
        /// Which.
        node: UniqueAddress,
    },
    /// The status cannot follow.
    #[error("{node} is {from} and cannot become {to}")]
    IllegalTransition {
        /// Which member.
        node: UniqueAddress,
        /// Its status.
        from: Status,
        /// What it should become.
        to: Status,
    },
    /// It is a member already.
    #[error("{node} is a member already")]
    AlreadyAMember {
        /// Which.
        node: UniqueAddress,
    },
    /// Another incarnation is a member at the address.
    #[error("another incarnation is a member at that address: {by}")]
    AddressTaken {
        /// Which.
        by: UniqueAddress,
    },
    /// The incarnation was removed.
    #[error("{node} was removed and cannot come back; a restarted node can")]
    Gone {
        /// Which.
        node: UniqueAddress,
    },
    /// There are as many members as may be.
    #[error("a cluster has at most {limit} members")]
    Full {
        /// The limit.
        limit: usize,
    },
}

/// Changes by one member. When it is dropped, what was changed becomes one new version, seen by that member alone: none can be forgotten.
#[derive(Debug)]
#[must_use]
pub struct Change<'a> {
    gossip: &'a mut Gossip,
    by: &'a UniqueAddress,
    changed: bool,
}

impl<'a> Change<'a> {
    pub(super) fn new(gossip: &'a mut Gossip, by: &'a UniqueAddress) -> Self {
        Self {
            gossip,
            by,
            changed: false,
        }
    }

    /// Whether there is anything new.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// The picture, with what was changed so far.
    pub fn gossip(&self) -> &Gossip {
        self.gossip
    }

    /// Lets a node in, as joining. Errors: [`ChangeError::AlreadyAMember`], [`ChangeError::AddressTaken`], [`ChangeError::Gone`],
    /// [`ChangeError::Full`].
    pub fn join(&mut self, member: Member) -> Result<(), ChangeError> {
        let node = member.node.clone();
        if self.gossip.has(&node) {
            return Err(ChangeError::AlreadyAMember { node });
        }
        if let Some(other) = self.gossip.at(&node.address).next() {
            let by = other.node.clone();
            return Err(ChangeError::AddressTaken { by });
        }
        if self.gossip.tombstones.contains(&node) {
            return Err(ChangeError::Gone { node });
        }
        if MEMBERS_MAX <= self.gossip.members.len() {
            return Err(ChangeError::Full { limit: MEMBERS_MAX });
        }
        let members = Arc::make_mut(&mut self.gossip.members);
        let at = members.partition_point(|other| other.node < node);
        members.insert(at, member);
        self.changed = true;
        Ok(())
    }

    /// Moves a member on; to be up, down or removed, more has to be said: [`Self::promote`], [`Self::down`], [`Self::remove`].
    /// Errors: [`ChangeError::NotAMember`], [`ChangeError::IllegalTransition`].
    pub fn set_status(&mut self, node: &UniqueAddress, to: Status) -> Result<(), ChangeError> {
        debug_assert!(
            !matches!(to, Status::Up | Status::Down | Status::Removed),
            "{to} takes more than a status"
        );
        self.step(node, to, |_| {})
    }

    /// Makes a member a full one, with its place in the order of age. Errors: [`ChangeError::NotAMember`],
    /// [`ChangeError::IllegalTransition`].
    pub fn promote(&mut self, node: &UniqueAddress, up_number: u32) -> Result<(), ChangeError> {
        self.step(node, Status::Up, |member| {
            member.up_number = Some(up_number)
        })
    }

    /// Declares a member dead; says whether it was not so already. Errors: [`ChangeError::NotAMember`].
    pub fn down(&mut self, node: &UniqueAddress, by: Decider) -> Result<bool, ChangeError> {
        let is_down = |member: &Member| member.status == Status::Down;
        if self.gossip.member(node).is_some_and(is_down) {
            return Ok(false);
        }
        self.step(node, Status::Down, |member| member.downed_by = Some(by))?;
        Ok(true)
    }

    /// Takes a member out, for good. Errors: [`ChangeError::NotAMember`].
    pub fn remove(&mut self, node: &UniqueAddress) -> Result<(), ChangeError> {
        let Some(at) = self.gossip.index(node) else {
            return Err(ChangeError::NotAMember { node: node.clone() });
        };
        let gone = Arc::make_mut(&mut self.gossip.members).remove(at).node;
        Arc::make_mut(&mut self.gossip.reachability).remove(|other| *other == gone);
        Arc::make_mut(&mut self.gossip.tombstones).insert(gone);
        self.changed = true;
        Ok(())
    }

    /// Keeps one out for good that is no member, as [`Self::remove`] does with one that is. Of a member, and of who is kept out, it is no news.
    pub fn keep_out(&mut self, node: &UniqueAddress) -> bool {
        if self.gossip.has(node) || self.gossip.tombstones.contains(node) {
            return false;
        }
        Arc::make_mut(&mut self.gossip.tombstones).insert(node.clone());
        self.changed = true;
        true
    }

    /// What the member that changes says of another. Says whether that is news; of who is no member, and of itself, it never is.
    pub fn observe(&mut self, subject: &UniqueAddress, reach: Reach) -> bool {
        if subject == self.by || !self.gossip.has(subject) || !self.gossip.has(self.by) {
            return false;
        }
        let known = self.gossip.reachability.by(self.by, subject);
        if known.unwrap_or(Reach::Reachable) == reach || known == Some(Reach::Terminated) {
            return false;
        }
        let table = Arc::make_mut(&mut self.gossip.reachability);
        let changed = table.set(self.by, subject, reach);
        self.changed |= changed;
        changed
    }

    /// The member that changes takes back that another one is gone for good. Says whether it had said so.
    pub fn pardon(&mut self, subject: &UniqueAddress) -> bool {
        if self.gossip.reachability.by(self.by, subject) != Some(Reach::Terminated) {
            return false;
        }
        let table = Arc::make_mut(&mut self.gossip.reachability);
        self.changed |= table.pardon(self.by, subject);
        true
    }

    /// Makes a new version of what is known already: who sees that one shows that news still goes to it and back.
    pub fn renew(&mut self) {
        self.changed = true;
    }

    /// Forgets that an incarnation was removed; says whether there was a tombstone.
    pub fn forget(&mut self, gone: &UniqueAddress) -> bool {
        if !self.gossip.tombstones.contains(gone) {
            return false;
        }
        Arc::make_mut(&mut self.gossip.tombstones).remove(gone);
        Arc::make_mut(&mut self.gossip.version).prune(gone.into());
        self.changed = true;
        true
    }

    fn step(
        &mut self,
        node: &UniqueAddress,
        to: Status,
        more: impl FnOnce(&mut Member),
    ) -> Result<(), ChangeError> {
        let not_a_member = || ChangeError::NotAMember { node: node.clone() };
        let at = self.gossip.index(node).ok_or_else(not_a_member)?;
        let member = self.gossip.members.get(at).ok_or_else(not_a_member)?;
        let from = member.status;
        if !from.may_become(to) {
            let node = node.clone();
            return Err(ChangeError::IllegalTransition { node, from, to });
        }
        if let Some(member) = Arc::make_mut(&mut self.gossip.members).get_mut(at) {
            member.status = to;
            more(member);
            self.changed = true;
        }
        Ok(())
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if self.changed {
            Arc::make_mut(&mut self.gossip.version).bump(ClockNode::from(self.by));
            self.gossip.seen = Seen::default();
            self.gossip.see(self.by);
        }
    }
}
