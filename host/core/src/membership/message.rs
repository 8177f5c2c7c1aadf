//! What nodes say to each other.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::{Address, UniqueAddress};
use super::downing::{Ballot, Vote};
use super::gossip::{Delta, Gossip, MEMBERS_MAX, SparseSeen, VersionDigest};
use super::member::Profile;
use super::protocol::{ProtocolRange, ProtocolVersion};
use super::shared::{SharedDelta, SharedDigest};
use super::vector_clock::VectorClock;
use crate::id::Time;

/// Which cluster: drawn by the node that formed it. Written as 32 hexadecimal digits.
///
/// A driver keeps it beside the node's data. A node that knows one never forms another, and members of one refuse every message of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(pub u128);

/// What a node keeps of its cluster over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KnownCluster {
    /// Which cluster.
    pub id: ClusterId,
    /// Members that stayed in it when the node last knew, the oldest ones: who is asked at the next start, and of whom most must be alone, too, before the
    /// cluster is formed again.
    pub members: Vec<Address>,
}

/// A text is no cluster id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cluster id is 32 hexadecimal digits")]
pub struct NotAClusterId;

/// A message and what must be known of it before it is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sends.
    pub from: UniqueAddress,
    /// The incarnation it is meant for. None while the sender does not know it: only the words of joining may come so.
    pub to: Option<u64>,
    /// The sender's cluster; none before it belongs to one.
    pub cluster: Option<ClusterId>,
    /// In which version the message is written.
    pub version: ProtocolVersion,
    /// The message.
    pub message: Message,
}

/// What one node says to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// "Do you belong to a cluster, and would my configuration fit?"
    InitJoin(InitJoin),
    /// "I do, and this is mine."
    InitJoinAck(InitJoinAck),
    /// "I do not", or "you cannot come to us".
    InitJoinNack(NackReason),
    /// "Let me in."
    Join(Join),
    /// "No", and whether asking again may help.
    JoinRefused(RefuseReason),
    /// "You are in; this is the picture."
    Welcome(Welcome),
    /// "This is how far my picture is", where the picture itself is most likely known.
    Status(GossipStatus),
    /// "I do not know your version; this is mine", change by change.
    Version(Arc<VectorClock>),
    /// The picture.
    Gossip(GossipMessage),
    /// The picture, as what differs from one that the receiver has.
    GossipDelta(DeltaMessage),
    /// "Are you there?"
    Heartbeat(Beat),
    /// "I am", with the question's own words.
    HeartbeatReply(Beat),
    /// The same across data centres.
    CrossHeartbeat(Beat),
    /// The same across data centres.
    CrossHeartbeatReply(Beat),
    /// "You were removed": the answer to an incarnation that does not know it.
    Gone,
    /// "I have seen that I am exiting and have shut down; do not wait for me."
    ExitingConfirmed,
    /// How far the sender's copies of shared state are, so that the receiver can send what is missing.
    SharedStateDigest(SharedDigest),
    /// Changes of shared state.
    SharedState(SharedDelta),
    /// Words to all members, outside every order.
    Broadcast(Arc<[Arc<[u8]>]>),
    /// "The cluster is here", to a contact point that the sender does not have among its members.
    Presence(Presence),
    /// "Do you vote for downing these?", or that this is taken back.
    Ballot(Ballot),
    /// "Yes, and for nothing else until I hear what came of it."
    Vote(Vote),
}

/// A question for a contact point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitJoin {
    /// The cluster's name.
    pub name: String,
    /// What the asker speaks.
    pub protocol: ProtocolRange,
    /// What its configuration says where members must agree, but for what is sensitive.
    pub config: BTreeMap<String, String>,
}

/// The answer of a contact point that belongs to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitJoinAck {
    /// What it says of the asker's configuration.
    pub check: ConfigCheck,
    /// What it speaks.
    pub protocol: ProtocolRange,
    /// The uids of those that are members at the asker's address. Whoever can name them has begun after them.
    pub before: Vec<u64>,
}

/// What a member says of a joiner's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigCheck {
    /// It fits; these are the member's own values, for the joiner to check.
    Compatible(BTreeMap<String, String>),
    /// It does not fit, for each of these reasons.
    Incompatible(Vec<String>),
    /// It does not insist; these are the member's own values, for the joiner to check.
    Unchecked(BTreeMap<String, String>),
}

/// Why a contact point does not take part in a join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NackReason {
    /// It belongs to no cluster itself. Only this answer is a reason to form one.
    NotInACluster,
    /// It is about to join a cluster, or to leave it.
    NotAccepting,
    /// It is a member of a cluster with another name.
    OtherName(String),
    /// The asker once belonged to another cluster.
    OtherCluster(ClusterId),
    /// There is no version that both speak.
    NoCommonProtocol(ProtocolRange),
}

/// A wish to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The cluster's name.
    pub name: String,
    /// What the joiner says of itself.
    pub profile: Arc<Profile>,
    /// The uids that it was told of as members at its address: one that is not among them may be later than this wish, which may have been
    /// under way for long.
    pub after: Vec<u64>,
}

/// What a new member needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who formed the cluster. One that was formed again has the same id, and another founder.
    pub founder: UniqueAddress,
    /// The picture.
    pub gossip: Gossip,
}

/// A member tells of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who formed it.
    pub founder: UniqueAddress,
    /// How many members stay in it. None while they do not agree: then the number may be any.
    pub members: Option<u32>,
    /// The lowest address of those who stay.
    pub lowest: Address,
}

/// Why a join is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefuseReason {
    /// The member belongs to a cluster with another name. For good.
    OtherName(String),
    /// The joiner once belonged to another cluster. For good.
    OtherCluster(ClusterId),
    /// There is no version that both speak. For good.
    NoCommonProtocol(ProtocolRange),
    /// This incarnation was removed or shut out; a restarted one may join. For good.
    Gone,
    /// The whole cluster is shutting down; once it is gone, a new one may be formed.
    ShuttingDown,
    /// What the joiner says of itself breaks a limit. For good.
    BadProfile(String),
    /// The member itself is leaving or down: another one may accept.
    NotAccepting,
    /// These incarnations of this address, by their uids, are to be removed first; asking again, with their names, will succeed.
    OldIncarnation {
        /// The uids.
        before: Vec<u64>,
    },
    /// So many members are the most that a cluster may have.
    Full {
        /// The limit.
        limit: u32,
    },
}

/// How far a sender's picture is. A few bytes where all is quiet, however large the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipStatus {
    /// The version of its picture.
    pub version: VersionDigest,
    /// Who has seen it; in an answer, those of them that the receiver does not know of.
    pub seen: SparseSeen,
    /// It answers what the receiver said, and wants no answer about who has seen the version.
    pub answers: bool,
    /// It is the leader's word to all, which the receiver is to hand on.
    pub relay: Option<Relay>,
}

/// The picture, sent to a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GossipMessage {
    /// The picture.
    pub gossip: Gossip,
    /// How long it may be under way, or wait to be handled, before it is worth nothing.
    pub time_to_live: Duration,
}

/// What differs between the picture and one that the receiver has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeltaMessage {
    /// The difference.
    pub delta: Delta,
    /// As in [`GossipMessage`].
    pub time_to_live: Duration,
    /// As in [`GossipStatus`].
    pub relay: Option<Relay>,
}

/// Whom the receiver of the leader's word to all is to tell in turn, because nobody else will: members, by their places in the picture. Whoever
/// has another picture tells those that stand there in its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Relay {
    first: u32,
    end: u32,
}

/// Two numbers are no places of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no picture has the places {first}..{end}")]
pub struct NoPlaces {
    /// The first place.
    pub first: u32,
    /// The one behind the last.
    pub end: u32,
}

/// A heartbeat or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Counts the heartbeats from one node to another.
    pub seq: u64,
    /// When it was sent, by the asker's clock. The answer brings it back as it is, so that only one clock is read.
    pub sent: Time,
}

impl Relay {
    /// Errors: [`NoPlaces`] if the end is before the beginning, or beyond every picture.
    pub fn new(first: u32, end: u32) -> Result<Self, NoPlaces> {
        let max = u32::try_from(2 * MEMBERS_MAX).unwrap_or(u32::MAX);
        if first <= end && end <= max {
            Ok(Self { first, end })
        } else {
            Err(NoPlaces { first, end })
        }
    }

    /// The places, as far as there are so many members.
    pub fn among(self, members: usize) -> Range<usize> {
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX).min(members);
        place(self.first)..place(self.end)
    }
}

impl TryFrom<(u32, u32)> for Relay {
    type Error = NoPlaces;

    fn try_from((first, end): (u32, u32)) -> Result<Self, NoPlaces> {
        Self::new(first, end)
    }
}

impl From<Relay> for (u32, u32) {
    fn from(relay: Relay) -> Self {
        (relay.first, relay.end)
    }
}

impl RefuseReason {
    /// Whether the same incarnation may ask again.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::NotAccepting
            | Self::OldIncarnation { .. }
            | Self::ShuttingDown
            | Self::Full { .. } => true,
            Self::OtherName(_)
            | Self::OtherCluster(_)
            | Self::NoCommonProtocol(_)
            | Self::Gone
            | Self::BadProfile(_) => false,
        }
    }
}

impl Message {
    /// Whether it may come without the receiver's uid: the sender cannot know it yet.
    pub fn is_of_joining(&self) -> bool {
        match self {
            Self::InitJoin(_) | Self::Join(_) | Self::Presence(_) => true,
            Self::InitJoinAck(_)
            | Self::InitJoinNack(_)
            | Self::JoinRefused(_)
            | Self::Welcome(_)
            | Self::Status(_)
            | Self::Version(_)
            | Self::Gossip(_)
            | Self::GossipDelta(_)
            | Self::Heartbeat(_)
            | Self::HeartbeatReply(_)
            | Self::CrossHeartbeat(_)
            | Self::CrossHeartbeatReply(_)
            | Self::Gone
            | Self::ExitingConfirmed
            | Self::SharedStateDigest(_)
            | Self::SharedState(_)
            | Self::Broadcast(_)
            | Self::Ballot(_)
            | Self::Vote(_) => false,
        }
    }

    /// Whether two nodes may say it to each other before they know that they fit: it is written alike in every version.
    pub fn is_of_handshake(&self) -> bool {
        match self {
            Self::InitJoin(_)
            | Self::InitJoinAck(_)
            | Self::InitJoinNack(_)
            | Self::Join(_)
            | Self::JoinRefused(_) => true,
            Self::Welcome(_)
            | Self::Status(_)
            | Self::Version(_)
            | Self::Gossip(_)
            | Self::GossipDelta(_)
            | Self::Heartbeat(_)
            | Self::HeartbeatReply(_)
            | Self::CrossHeartbeat(_)
            | Self::CrossHeartbeatReply(_)
            | Self::Gone
            | Self::ExitingConfirmed
            | Self::SharedStateDigest(_)
            | Self::SharedState(_)
            | Self::Broadcast(_)
            | Self::Presence(_)
            | Self::Ballot(_)
            | Self::Vote(_) => false,
        }
    }

    /// The same with another share in telling it; what is never for all stays as it is.
    #[must_use]
    pub fn relayed(&self, relay: Option<Relay>) -> Self {
        let mut message = self.clone();
        if let Self::Status(GossipStatus { relay: own, .. })
        | Self::GossipDelta(DeltaMessage { relay: own, .. }) = &mut message
        {
            *own = relay;
        }
        message
    }

    /// A short name for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InitJoin(_) => "init-join",
            Self::InitJoinAck(_) => "init-join-ack",
            Self::InitJoinNack(_) => "init-join-nack",
            Self::Join(_) => "join",
            Self::JoinRefused(_) => "join-refused",
            Self::Welcome(_) => "welcome",
            Self::Status(_) => "status",
            Self::Version(_) => "version",
            Self::Gossip(_) => "gossip",
            Self::GossipDelta(_) => "gossip-delta",
            Self::Heartbeat(_) => "heartbeat",
            Self::HeartbeatReply(_) => "heartbeat-reply",
            Self::CrossHeartbeat(_) => "cross-heartbeat",
            Self::CrossHeartbeatReply(_) => "cross-heartbeat-reply",
            Self::Gone => "gone",
            Self::ExitingConfirmed => "exiting-confirmed",
            Self::SharedStateDigest(_) => "shared-state-digest",
            Self::SharedState(_) => "shared-state",
            Self::Broadcast(_) => "broadcast",
            Self::Presence(_) => "presence",
            Self::Ballot(_) => "ballot",
            Self::Vote(_) => "vote",
        }
    }
}

impl Envelope {
    /// The sender's address.
    pub fn address(&self) -> &Address {
        &self.from.address
    }
}

impl fmt::Display for NackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInACluster => f.write_str("it belongs to no cluster itself"),
            Self::NotAccepting => f.write_str("it is itself about to join, or to go"),
            Self::OtherName(name) => write!(f, "its cluster is named '{name}'"),
            Self::OtherCluster(id) => {
                write!(f, "its cluster is {id}, not the one this node belongs to")
            }
            Self::NoCommonProtocol(range) => write!(f, "it speaks the protocol versions {range}"),
        }
    }
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherName(name) => write!(f, "its cluster is named '{name}'"),
            Self::OtherCluster(id) => {
                write!(f, "its cluster is {id}, not the one this node belongs to")
            }
            Self::NoCommonProtocol(range) => write!(f, "it speaks the protocol versions {range}"),
            Self::Gone => f.write_str("this incarnation was removed; a restarted one may join"),
            Self::ShuttingDown => f.write_str("the whole cluster is shutting down"),
            Self::BadProfile(reason) => write!(f, "the profile breaks a limit: {reason}"),
            Self::NotAccepting => f.write_str("it is itself about to go"),
            Self::OldIncarnation { .. } => {
                f.write_str("an older incarnation of this address is being removed")
            }
            Self::Full { limit } => write!(f, "the cluster has its {limit} members"),
        }
    }
}

impl FromStr for ClusterId {
    type Err = NotAClusterId;

    fn from_str(text: &str) -> Result<Self, NotAClusterId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAClusterId);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_too_long| NotAClusterId)
    }
}

impl TryFrom<String> for ClusterId {
    type Error = NotAClusterId;

    fn try_from(text: String) -> Result<Self, NotAClusterId> {
        text.parse()
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        alloc::format!("{id}")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_cluster_id_survives_its_text() {
        let id = ClusterId(7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("7".parse::<ClusterId>(), Err(NotAClusterId));
        assert_eq!("+1".repeat(16).parse::<ClusterId>(), Err(NotAClusterId));
    }

    #[test]
    fn a_refusal_says_whether_to_ask_again() {
        assert!(RefuseReason::OldIncarnation { before: Vec::new() }.may_retry());
        assert!(!RefuseReason::Gone.may_retry());
    }
}
