//! What a node's membership wants done.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Serialize, Serializer};

use super::address::{Address, UniqueAddress};
use super::consensus::WaitId;
use super::downing::{Explanation, Reason};
use super::inputs::{Answer, CallbackId, CommandError, CommandId};
use super::member::Status;
use super::message::{ClusterId, Envelope, KnownCluster, NackReason, RefuseReason};
use super::subscription::{Notice, SubscriberId};
use crate::id::Time;

/// What the driver is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send. It may get lost; nobody asks for an answer. Heartbeats must not wait behind anything else.
    Send {
        /// Where to.
        to: Address,
        /// What.
        envelope: Envelope,
    },
    /// Hand a change to a subscriber.
    Publish {
        /// Who.
        subscriber: SubscriberId,
        /// What.
        notice: Notice,
    },
    /// Answer a command.
    Reply {
        /// Which.
        id: CommandId,
        /// What it came to.
        result: Result<Answer, CommandError>,
    },
    /// Call back; each is called once.
    Callback {
        /// Which.
        callback: CallbackId,
    },
    /// Keep for audit why members are declared dead. Comes before they are.
    Explain(Box<Explanation>),
    /// Do something with the lease.
    Lease(LeaseRequest),
    /// Keep this beside the node's data in place of what was kept before, and before any effect that follows: the next start needs it.
    PersistCluster(KnownCluster),
    /// Go through the shutdown phases: hand over, stop the grains. Then [`Event::ExitingDone`](super::Event::ExitingDone).
    BeginExit {
        /// Why.
        reason: ExitReason,
    },
    /// Membership has ended: stop the process. Nothing but replies follows.
    Terminate {
        /// Why.
        reason: TerminateReason,
    },
    /// Write to the log.
    Log(Marker),
    /// Have no more to do with this incarnation.
    Quarantine {
        /// Which.
        node: UniqueAddress,
        /// Until when it is shut out.
        until: Time,
    },
    /// The incarnation may be spoken with again.
    ClearQuarantine {
        /// Which.
        node: UniqueAddress,
    },
    /// Hand a word that somebody said to all members to whoever listens.
    Deliver {
        /// Who said it.
        from: UniqueAddress,
        /// The word.
        bytes: Arc<[u8]>,
    },
    /// All members agree on a key of shared state, or do not any more.
    Consensus {
        /// The key.
        key: Arc<str>,
        /// What was taken from every value; none when they do not agree.
        value: Option<u64>,
    },
    /// A wait for agreement is over.
    Waited {
        /// Which.
        id: WaitId,
        /// What they agree on; none if the time was up first, or the key is watched no more.
        value: Option<u64>,
    },
    /// Shared state has changed; [`Membership::shared`](super::Membership::shared) has it.
    SharedChanged {
        /// Whose.
        node: UniqueAddress,
        /// Under which key.
        key: Arc<str>,
    },
}

/// What to do with the lease. Each data centre has one of its own: a partition of one is no business of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseRequest {
    /// Get it.
    Acquire,
    /// Give it back.
    Release,
}

/// Why the node goes through its shutdown phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// It was asked to leave, and the members agree.
    Left,
    /// It was declared dead: what it holds may be taken over at any moment.
    Downed,
}

/// Why membership has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminateReason {
    /// It left in good order.
    Left,
    /// It was declared dead.
    Downed,
    /// It was removed without ever having seen why.
    Removed,
    /// Its cluster was formed a second time while the first one lived, and gives way. Started again, the node joins that one.
    Rival {
        /// A member of the one that goes on.
        by: Address,
    },
    /// No join succeeded in time.
    JoinTimedOut,
    /// It may not join; asking again would not help.
    JoinRefused {
        /// Who said so.
        by: Address,
        /// Why.
        reason: JoinProblem,
    },
}

/// Why a node may not join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinProblem {
    /// The contact point does not take part.
    Nack(NackReason),
    /// The member refused.
    Refused(RefuseReason),
    /// The configurations do not fit, for each of these reasons.
    Configuration(Vec<String>),
}

impl fmt::Display for TerminateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("it left"),
            Self::Downed => f.write_str("it was declared dead"),
            Self::Removed => f.write_str("it was removed"),
            Self::Rival { by } => {
                write!(f, "another cluster of the same id goes on, that of {by}")
            }
            Self::JoinTimedOut => f.write_str("no join succeeded in time"),
            Self::JoinRefused { by, reason } => write!(f, "it may not join, says {by}: {reason}"),
        }
    }
}

impl fmt::Display for JoinProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nack(reason) => fmt::Display::fmt(reason, f),
            Self::Refused(reason) => fmt::Display::fmt(reason, f),
            Self::Configuration(problems) => f.write_str(&problems.join("; ")),
        }
    }
}

/// Why a message was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejected {
    /// It was meant for another incarnation at this address.
    WrongUid,
    /// It says that it comes from another address than it did.
    WrongAddress,
    /// It is another cluster's.
    WrongCluster,
    /// It is written in a version that this node does not speak.
    ProtocolVersion,
    /// Its sender is no member.
    UnknownSender,
    /// Its sender is unreachable from here.
    UnreachableSender,
    /// Its sender was removed or shut out.
    GoneSender,
    /// It waited for too long.
    Expired,
    /// The picture does not hold this node.
    WithoutSelf,
    /// This node has not joined, or does not expect it.
    Unexpected,
    /// It contradicts itself, or the picture that it speaks of.
    Malformed,
}

/// A line of the log, for machines: a name that does not change and its fields. In JSON, names and fields are in kebab case, periods in milliseconds.
///
/// There is none for a singleton that starts or ends: membership knows who is to host one ([`View::oldest`](super::view::View::oldest)), not whether it does.
/// That is for whoever hosts it to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "marker",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Marker {
    /// A member became unreachable.
    Unreachable {
        /// Who.
        node: UniqueAddress,
        /// Its status.
        status: Status,
    },
    /// A member became reachable again.
    Reachable {
        /// Who.
        node: UniqueAddress,
        /// Its status.
        status: Status,
    },
    /// This node was held up for so long that it judges nobody for a while.
    HeartbeatStarvation {
        /// For how long.
        #[serde(rename = "stalled-ms", serialize_with = "millis")]
        stalled: Duration,
    },
    /// The leader cannot do its work.
    LeaderIncapacitated {
        /// Who has not seen the picture.
        unseen: Vec<UniqueAddress>,
        /// Who is unreachable.
        unreachable: Vec<UniqueAddress>,
    },
    /// It can again.
    LeaderRestored,
    /// A join did not succeed.
    JoinFailed {
        /// Who was asked.
        by: Option<Address>,
        /// Why.
        reason: String,
    },
    /// A join goes on although the configurations do not fit, since that is not enforced.
    JoinIncompatible {
        /// Who was asked.
        by: Address,
        /// Each reason.
        problems: Vec<String>,
    },
    /// This node has let another one in.
    Welcomed {
        /// Who.
        node: UniqueAddress,
        /// The version of its program, if it has said so.
        product_version: Option<String>,
        /// In which the configurations do not fit, where that is not enforced.
        problems: Vec<String>,
    },
    /// A member's status changed.
    MemberChanged {
        /// Who.
        node: UniqueAddress,
        /// The status before; none for a new one.
        from: Option<Status>,
        /// The status now.
        to: Status,
    },
    /// A status was asked for that cannot follow; nothing was changed.
    IllegalTransition {
        /// Who.
        node: UniqueAddress,
        /// The status.
        from: Status,
        /// What was asked for.
        to: Status,
    },
    /// A message was not looked at.
    Rejected {
        /// Who sent it.
        from: Address,
        /// Its name.
        message: &'static str,
        /// Why.
        reason: Rejected,
        /// How many were rejected for that reason so far. Only the first, second, fourth, … is written.
        count: u64,
    },
    /// A cluster was formed by this node.
    ClusterFormed {
        /// Its id.
        cluster: ClusterId,
    },
    /// Another cluster of the same id goes on in place of this one, whose members all end.
    RivalCluster {
        /// Its member who said so.
        by: UniqueAddress,
        /// Who formed it.
        founder: UniqueAddress,
        /// How many members it has.
        theirs: u32,
        /// How many this one has.
        ours: u32,
    },
    /// The downing policy has decided. What follows it says with markers of its own; [`Effect::Explain`] has the picture that it was decided from.
    Downing {
        /// The policy's name.
        policy: String,
        /// What is done.
        decision: &'static str,
        /// The rule that led there.
        because: Reason,
        /// The same as a sentence.
        says: String,
        /// Who is downed.
        down: BTreeSet<UniqueAddress>,
        /// Members that somebody cannot reach.
        unreachable: BTreeSet<UniqueAddress>,
        /// Those of them, and those who say so, that take part by way of others.
        indirectly_connected: BTreeSet<UniqueAddress>,
        /// How long this node waits before it asks for the lease; zero where no lease is needed.
        #[serde(rename = "delay-ms", serialize_with = "millis")]
        delay: Duration,
    },
    /// The downing policy declares a member dead.
    DowningNode {
        /// Who.
        node: UniqueAddress,
        /// By which decision.
        decision: &'static str,
    },
    /// Reachability does not come to rest: the downing policy gives all up.
    DowningInstability {
        /// Changes so far.
        changes: u32,
        /// For how long.
        #[serde(rename = "lasting-ms", serialize_with = "millis")]
        lasting: Duration,
    },
    /// There are more members than the downing policy can tell the sides of.
    TooManyMembers {
        /// How many count.
        members: usize,
        /// How many there may be.
        most: usize,
    },
    /// The lease was got, and this follows.
    LeaseAcquired {
        /// The decision.
        decision: &'static str,
    },
    /// The lease was refused, and this follows.
    LeaseDenied {
        /// The decision.
        decision: &'static str,
    },
    /// The lease was given back.
    LeaseReleased,
    /// An incarnation was shut out.
    Quarantined {
        /// Which.
        node: UniqueAddress,
        /// For how long.
        #[serde(rename = "lasting-ms", serialize_with = "millis")]
        lasting: Duration,
    },
}

impl Marker {
    /// The names of all markers.
    pub const NAMES: [&'static str; 21] = [
        "unreachable",
        "reachable",
        "heartbeat-starvation",
        "leader-incapacitated",
        "leader-restored",
        "join-failed",
        "join-incompatible",
        "welcomed",
        "member-changed",
        "illegal-transition",
        "rejected",
        "cluster-formed",
        "rival-cluster",
        "downing",
        "downing-node",
        "downing-instability",
        "too-many-members",
        "lease-acquired",
        "lease-denied",
        "lease-released",
        "quarantined",
    ];

    /// What the log says of a decision.
    pub(super) fn downing(explanation: &Explanation) -> Self {
        Self::Downing {
            policy: explanation.policy.clone(),
            decision: explanation.decision.name(),
            because: explanation.because.clone(),
            says: explanation.because.to_string(),
            down: explanation.down.clone(),
            unreachable: explanation.sets.unreachable.clone(),
            indirectly_connected: explanation.sets.indirectly_connected.clone(),
            delay: explanation.delay,
        }
    }

    /// The name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Reachable { .. } => "reachable",
            Self::HeartbeatStarvation { .. } => "heartbeat-starvation",
            Self::LeaderIncapacitated { .. } => "leader-incapacitated",
            Self::LeaderRestored => "leader-restored",
            Self::JoinFailed { .. } => "join-failed",
            Self::JoinIncompatible { .. } => "join-incompatible",
            Self::Welcomed { .. } => "welcomed",
            Self::MemberChanged { .. } => "member-changed",
            Self::IllegalTransition { .. } => "illegal-transition",
            Self::Rejected { .. } => "rejected",
            Self::ClusterFormed { .. } => "cluster-formed",
            Self::RivalCluster { .. } => "rival-cluster",
            Self::Downing { .. } => "downing",
            Self::DowningNode { .. } => "downing-node",
            Self::DowningInstability { .. } => "downing-instability",
            Self::TooManyMembers { .. } => "too-many-members",
            Self::LeaseAcquired { .. } => "lease-acquired",
            Self::LeaseDenied { .. } => "lease-denied",
            Self::LeaseReleased => "lease-released",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}

fn millis<S: Serializer>(period: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    serializer.serialize_u64(millis)
}
