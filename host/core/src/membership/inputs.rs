//! What happens to a node's membership.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::address::{Address, UniqueAddress};
use super::consensus::{Extract, WaitId};
pub use super::downing::LeaseAnswer;
use super::event::Interest;
use super::message::Envelope;
pub use super::subscription::CallbackId;
use super::subscription::{Mode, SubscriberId};
use crate::id::Time;

/// One command, and the reply to it. The driver draws it; the core only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The node may join: these are the contact points, in the order they were listed. Their own address among them is known and may stay.
    /// A second one only replaces the list while the node has not joined.
    Start {
        /// Whom to ask.
        contact_points: Vec<Address>,
    },
    /// Discovery found a new set of contact points.
    Contacts {
        /// All of them.
        contact_points: Vec<Address>,
    },
    /// A message came.
    Received {
        /// The address at the other end, as the driver knows it from the connection.
        from: Address,
        /// When it reached this node; it may have waited since.
        arrived: Time,
        /// The message.
        envelope: Envelope,
    },
    /// The moment that [`next_wake`](super::Membership::next_wake) named has come.
    Wake,
    /// Somebody wants something.
    Command {
        /// Which; the reply names it.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// The transport gave this incarnation up for good: it is another one by now, or broke the protocol.
    Quarantined {
        /// Which.
        node: UniqueAddress,
    },
    /// That node's transport gave *this* incarnation up.
    QuarantinedBy {
        /// Who.
        node: UniqueAddress,
    },
    /// The driver has gone through its shutdown phases after [`Effect::BeginExit`](super::Effect::BeginExit).
    ExitingDone,
    /// What came of a [`LeaseRequest`](super::LeaseRequest).
    Lease(LeaseAnswer),
}

/// A member, named as precisely as the asker can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This incarnation and no other.
    Incarnation(UniqueAddress),
    /// Whoever is a member at the address now. The reply says who that was.
    Current(Address),
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Join through this node, or form a cluster alone where it is this one.
    Join {
        /// Through whom.
        address: Address,
    },
    /// Let a member leave.
    Leave {
        /// Whom.
        node: Target,
    },
    /// Declare a member dead. There is no way back, so the asker says which incarnation was seen to fail: an address may be its successor's by now.
    Down {
        /// Whom.
        node: UniqueAddress,
    },
    /// Prepare the whole cluster for its shutdown. There is no way back.
    PrepareShutdown,
    /// Set a value of this node's shared state.
    SetState {
        /// The key.
        key: Arc<str>,
        /// The value.
        value: Arc<[u8]>,
    },
    /// Delete a value of this node's shared state.
    DeleteState {
        /// The key.
        key: Arc<str>,
    },
    /// Set an entry of a map in this node's shared state.
    SetMapEntry {
        /// The map's key.
        key: Arc<str>,
        /// The entry.
        entry: Arc<str>,
        /// Its value.
        value: Arc<[u8]>,
    },
    /// Remove an entry of a map in this node's shared state.
    RemoveMapEntry {
        /// The map's key.
        key: Arc<str>,
        /// The entry.
        entry: Arc<str>,
    },
    /// Say a word to all members, this one included.
    Broadcast {
        /// The word.
        bytes: Arc<[u8]>,
    },
    /// Hear of every change. May come before the join.
    Subscribe {
        /// Who; a second one of the same name replaces the first.
        subscriber: SubscriberId,
        /// With a snapshot first, or events that lead to the present.
        mode: Mode,
        /// Of what.
        interest: Interest,
    },
    /// Hear of no more changes.
    Unsubscribe {
        /// Who.
        subscriber: SubscriberId,
    },
    /// The subscriber has taken so many notices: there is room for more.
    Consumed {
        /// Who.
        subscriber: SubscriberId,
        /// How many.
        notices: u32,
    },
    /// Call back once when this node is up; at once if it is.
    OnMemberUp {
        /// Which callback.
        callback: CallbackId,
    },
    /// Call back once when this node is no member any more; at once if it never will be.
    OnMemberRemoved {
        /// Which callback.
        callback: CallbackId,
    },
    /// Watch whether all members agree on the value of a key of shared state.
    RegisterConsensus {
        /// The key; [`TOPOLOGY`](super::consensus::TOPOLOGY) for the topology itself.
        key: Arc<str>,
        /// What of the values must be equal.
        extract: Extract,
    },
    /// Wait until all members agree on a key that is watched; the answer comes as [`Effect::Waited`](super::Effect::Waited).
    AwaitConsensus {
        /// The wait.
        wait: WaitId,
        /// The key.
        key: Arc<str>,
        /// How long at most.
        timeout: Duration,
    },
    /// Watch it no more.
    DropConsensus {
        /// The key.
        key: Arc<str>,
    },
    /// Shut an incarnation out, as if the transport had given it up. Nobody is declared dead for that at once; but a member that nobody can reach may be.
    Quarantine {
        /// Which.
        node: UniqueAddress,
    },
    /// Let an incarnation in again that was shut out. A removed one stays removed; a member is unreachable until it answers.
    ClearQuarantine {
        /// Which.
        node: UniqueAddress,
    },
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done, or had been already.
    Done,
    /// It was done to this incarnation.
    DoneTo(UniqueAddress),
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The node has not joined.
    #[error("this node is not a member of a cluster; join first")]
    NotJoined,
    /// The node has joined, or is about to.
    #[error("this node already belongs to a cluster, or is joining one")]
    AlreadyJoined,
    /// Nobody of that name is a member.
    #[error("{node} is not a member")]
    NotAMember {
        /// Who was asked for.
        node: String,
    },
    /// The address is another incarnation's by now.
    #[error("{address} is {current} by now; name that one if it is meant")]
    OtherIncarnation {
        /// The address.
        address: Address,
        /// Who is there.
        current: UniqueAddress,
    },
    /// A member of that status cannot do that.
    #[error("{node} is {from} and cannot become {to}")]
    IllegalTransition {
        /// Who.
        node: UniqueAddress,
        /// Its status.
        from: super::member::Status,
        /// The status that was asked for.
        to: super::member::Status,
    },
    /// Something is too long, or too many.
    #[error("{limit} is at most {max}, not {actual}")]
    Limit {
        /// The name of the limit.
        limit: &'static str,
        /// The limit.
        max: usize,
        /// What it would be.
        actual: usize,
    },
    /// The node itself is meant.
    #[error("a node cannot shut itself out; let it leave, or declare it down")]
    Itself,
    /// The node stops, or has stopped.
    #[error("this node's membership has ended")]
    Stopped,
}
