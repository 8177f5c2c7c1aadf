//! What the resolver is told, what it wants, and how it is set up.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::decision::Decision;
use super::explain::Explanation;
use super::strategy::Policy;
use super::votes::{Ballot, Vote};
use crate::membership::address::UniqueAddress;
use crate::membership::member::Member;

/// How downing works on this node.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node.
    pub this: UniqueAddress,
    /// Its data centre. Members of others are not this node's business.
    pub dc: Arc<str>,
    /// Who decides; none leaves unreachable members to an operator.
    pub policy: Option<Arc<dyn Policy>>,
    /// How long the picture must not have changed before something is decided.
    pub stable_after: Duration,
    /// How many members each one watches.
    pub watched: usize,
    /// When reachability keeps changing for this much longer than `stable_after`, or is at rest and for so long not confirmed, every node downs
    /// all; none: never.
    pub down_all_when_unstable: Option<Duration>,
}

/// What happened. Members of other data centres may be passed, and are ignored.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A member was let in while views did not converge.
    WeaklyUp(&'a Member),
    /// A member was let in.
    Up(&'a Member),
    /// A member wants to leave.
    Left(&'a Member),
    /// A member may leave.
    Exited(&'a Member),
    /// A member was downed, by whomever.
    Downed(&'a Member),
    /// A member is gone.
    Removed(&'a UniqueAddress),
    /// A member cannot be reached.
    Unreachable(&'a Member),
    /// A member can be reached again.
    Reachable(&'a Member),
    /// Whether this node leads its data centre.
    Leader(bool),
    /// A current member has shut this node out for good.
    QuarantinedBy(&'a UniqueAddress),
    /// Somebody has seen the picture, or it has changed.
    Seen,
    /// A member asks for this node's vote, or takes its question back.
    Asked {
        /// Who.
        by: &'a UniqueAddress,
        /// The question.
        ballot: &'a Ballot,
        /// Whether it is whom this node takes for the leader.
        leads: bool,
    },
    /// A member has given its vote.
    Voted {
        /// Who.
        by: &'a UniqueAddress,
        /// The vote.
        vote: &'a Vote,
    },
    /// The lease's keeper has answered.
    Lease(LeaseAnswer),
    /// The moment of [`Downing::next_wake`] has come.
    Wake,
}

/// What the lease's keeper says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// This node holds it.
    Acquired,
    /// Another one holds it.
    Denied,
    /// It could not be asked for, or was lost.
    Failed,
    /// It was given back.
    Released,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep this for audit, and log it. Comes before the downing that it explains.
    Explain(Box<Explanation>),
    /// Down these incarnations, in this order: this node, if it goes too, comes last.
    Down {
        /// Whom.
        nodes: Vec<UniqueAddress>,
        /// By which decision.
        decision: Decision,
    },
    /// Make the picture a new version, so that everybody who sees it shows that news still goes to them and back.
    Confirm,
    /// Ask these members for their votes, or tell them that a question is taken back.
    Ask {
        /// The question.
        ballot: Ballot,
        /// Whom.
        of: Vec<UniqueAddress>,
    },
    /// Give a member this node's vote.
    Vote {
        /// Whom.
        to: UniqueAddress,
        /// The vote.
        vote: Vote,
    },
    /// Try to get the lease, and say how it went.
    AcquireLease,
    /// Let go of the lease, and say how it went.
    ReleaseLease,
    /// The lease was got, and this is done with it.
    LeaseAcquired {
        /// What is done.
        decision: Decision,
    },
    /// The lease was denied, and this is done without it.
    LeaseDenied {
        /// What is done.
        decision: Decision,
    },
    /// The lease was let go.
    LeaseReleased,
    /// Reachability does not come to rest: all are downed.
    Unstable {
        /// Changes so far.
        changes: u32,
        /// Time since the first one.
        lasting: Duration,
    },
    /// There are more members than the policy can tell the sides of: a partition would now down all.
    TooManyMembers {
        /// Members that count.
        members: usize,
        /// The most that there should be.
        most: usize,
    },
}
