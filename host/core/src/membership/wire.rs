//! Messages as bytes: a head that every version reads, and a body in the version that the head names.
//!
//! The head says who sends, to which incarnation, of which cluster, in which version and what kind of message; so a node can tell whom
//! it does not understand. Numbers are little-endian. One message is one frame; where a frame ends is the transport's business.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `gran` |
//! | 4 | 2 | version of the body |
//! | 6 | 1 | kind of message |
//! | 7 | 1 | 1: the receiver's uid is known; 2: the sender belongs to a cluster |
//! | 8 | 8 | the sender's uid |
//! | 16 | 8 | the receiver's uid, or 0 |
//! | 24 | 16 | the cluster, or 0 |
//! | 40 | 2 | the sender's port |
//! | 42 | 2 | length of the sender's host |
//! | 44 | 4 | length of the body |
//! | 48 | | the host, then the body: [postcard](https://postcard.jamesmunns.com) of what the message holds |
//!
//! The words of a join ([`Message::is_of_handshake`]) have the same body in every version, but that a later one may append to it. For the others
//! a version is fixed by the golden files of its name: what would change them needs a new version.
//!
//! Whether a message is meant for this node, and comes from whom it should, [`Membership`](super::Membership) decides.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::address::{Address, AddressError, UniqueAddress};
use super::broadcast::{PARCEL_BYTES_MAX, WORDS_MAX};
use super::message::{ClusterId, Envelope, Message};
use super::protocol::{ProtocolRange, ProtocolVersion};
use super::shared::{DELTA_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// The largest message, head included: what a transport must be able to carry.
pub const MESSAGE_BYTES_MAX: usize = HEAD_BYTES + Address::HOST_BYTES_MAX + PICTURE_BYTES_MAX;

/// A picture of as many members as there may be fits several times over.
const PICTURE_BYTES_MAX: usize = 16 << 20;
/// A clock or a digest with an entry for each incarnation that is known.
const DIGEST_BYTES_MAX: usize = 2 << 20;
/// A profile with as many kinds as there may be.
const JOIN_BYTES_MAX: usize = 1 << 20;
/// A bit for each member that there may be takes half of it.
const STATUS_BYTES_MAX: usize = 8 << 10;
const HEARTBEAT_BYTES_MAX: usize = 32;
/// The last entry may go over the length at which a message of entries ends, and each one has numbers of its own.
const SHARED_BYTES_MAX: usize = 2 * DELTA_BYTES_MAX + VALUE_BYTES_MAX + 2 * KEY_BYTES_MAX;
/// Two addresses and two numbers.
const PRESENCE_BYTES_MAX: usize = 2 * Address::HOST_BYTES_MAX + 64;
const WORDS_BYTES_MAX: usize = PARCEL_BYTES_MAX + WORDS_MAX * LENGTH_BYTES_MAX;
const LENGTH_BYTES_MAX: usize = 10;

const MAGIC: [u8; 4] = *b"gran";
const HEAD_BYTES: usize = 48;
const HAS_RECEIVER: u8 = 1;
const HAS_CLUSTER: u8 = 2;

/// Why bytes are no message. Nothing of them was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end before the message does.
    #[error("a message of {needed} bytes was cut off after {actual}")]
    Truncated {
        /// The length that they should have.
        needed: usize,
        /// The length that they have.
        actual: usize,
    },
    /// They go on after the message has ended.
    #[error("a message of {needed} bytes is followed by {extra} more")]
    Trailing {
        /// The message's length.
        needed: usize,
        /// Bytes behind it.
        extra: usize,
    },
    /// They do not begin as a message does.
    #[error("these bytes are no cluster message")]
    NotAMessage,
    /// The body is in a version that this program does not read.
    #[error("{from} writes version {version} of the cluster's messages; this node reads {reads}")]
    Version {
        /// The version.
        version: ProtocolVersion,
        /// What could be read.
        reads: ProtocolRange,
        /// Who sent it.
        from: UniqueAddress,
    },
    /// There is no such kind of message in this version.
    #[error("{from} sends a message of the unknown kind {kind}")]
    Kind {
        /// The kind.
        kind: u8,
        /// Who sent it.
        from: UniqueAddress,
    },
    /// The head contradicts itself.
    #[error("the head of a message is damaged")]
    Head,
    /// The sender's address is none.
    #[error("the sender of a message has no address")]
    Sender(#[source] AddressError),
    /// A message of its kind is never so large.
    #[error("a message '{kind}' has at most {max} bytes, not {actual}")]
    TooLarge {
        /// The kind.
        kind: &'static str,
        /// The limit.
        max: usize,
        /// Its length.
        actual: usize,
    },
    /// The body is not what the kind says, or breaks a rule of what it holds.
    #[error("a message '{kind}' from {from} cannot be read")]
    Body {
        /// The kind.
        kind: &'static str,
        /// Who sent it.
        from: UniqueAddress,
    },
}

/// Why a message cannot be written. Only a bug or a broken limit leads here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// This program does not write the version that the envelope asks for.
    #[error("version {version} of the cluster's messages cannot be written")]
    Version {
        /// The version.
        version: ProtocolVersion,
    },
    /// It is larger than a receiver would take.
    #[error("a message '{kind}' has at most {max} bytes, not {actual}")]
    TooLarge {
        /// The kind.
        kind: &'static str,
        /// The limit.
        max: usize,
        /// Its length.
        actual: usize,
    },
    /// It holds what cannot be written.
    #[error("a message '{kind}' holds what cannot be written")]
    Body {
        /// The kind.
        kind: &'static str,
    },
}

/// The kinds of messages, by their number on the wire. A number is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    InitJoin = 1,
    InitJoinAck = 2,
    InitJoinNack = 3,
    Join = 4,
    JoinRefused = 5,
    Welcome = 6,
    Status = 7,
    Gossip = 8,
    Heartbeat = 9,
    HeartbeatReply = 10,
    CrossHeartbeat = 11,
    CrossHeartbeatReply = 12,
    Gone = 13,
    ExitingConfirmed = 14,
    SharedStateDigest = 15,
    SharedState = 16,
    Broadcast = 17,
    Version = 18,
    GossipDelta = 19,
    Presence = 20,
    Ballot = 21,
    Vote = 22,
}

impl Kind {
    const ALL: [Self; 22] = [
        Self::InitJoin,
        Self::InitJoinAck,
        Self::InitJoinNack,
        Self::Join,
        Self::JoinRefused,
        Self::Welcome,
        Self::Status,
        Self::Gossip,
        Self::Heartbeat,
        Self::HeartbeatReply,
        Self::CrossHeartbeat,
        Self::CrossHeartbeatReply,
        Self::Gone,
        Self::ExitingConfirmed,
        Self::SharedStateDigest,
        Self::SharedState,
        Self::Broadcast,
        Self::Version,
        Self::GossipDelta,
        Self::Presence,
        Self::Ballot,
        Self::Vote,
    ];

    fn of(message: &Message) -> Self {
        match message {
            Message::InitJoin(_) => Self::InitJoin,
            Message::InitJoinAck(_) => Self::InitJoinAck,
            Message::InitJoinNack(_) => Self::InitJoinNack,
            Message::Join(_) => Self::Join,
            Message::JoinRefused(_) => Self::JoinRefused,
            Message::Welcome(_) => Self::Welcome,
            Message::Status(_) => Self::Status,
            Message::Version(_) => Self::Version,
            Message::Gossip(_) => Self::Gossip,
            Message::GossipDelta(_) => Self::GossipDelta,
            Message::Heartbeat(_) => Self::Heartbeat,
            Message::HeartbeatReply(_) => Self::HeartbeatReply,
            Message::CrossHeartbeat(_) => Self::CrossHeartbeat,
            Message::CrossHeartbeatReply(_) => Self::CrossHeartbeatReply,
            Message::Gone => Self::Gone,
            Message::ExitingConfirmed => Self::ExitingConfirmed,
            Message::SharedStateDigest(_) => Self::SharedStateDigest,
            Message::SharedState(_) => Self::SharedState,
            Message::Broadcast(_) => Self::Broadcast,
            Message::Presence(_) => Self::Presence,
            Message::Ballot(_) => Self::Ballot,
            Message::Vote(_) => Self::Vote,
        }
    }

    fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    fn name(self) -> &'static str {
        match self {
            Self::InitJoin => "init-join",
            Self::InitJoinAck => "init-join-ack",
            Self::InitJoinNack => "init-join-nack",
            Self::Join => "join",
            Self::JoinRefused => "join-refused",
            Self::Welcome => "welcome",
            Self::Status => "status",
            Self::Version => "version",
            Self::Gossip => "gossip",
            Self::GossipDelta => "gossip-delta",
            Self::Heartbeat => "heartbeat",
            Self::HeartbeatReply => "heartbeat-reply",
            Self::CrossHeartbeat => "cross-heartbeat",
            Self::CrossHeartbeatReply => "cross-heartbeat-reply",
            Self::Gone => "gone",
            Self::ExitingConfirmed => "exiting-confirmed",
            Self::SharedStateDigest => "shared-state-digest",
            Self::SharedState => "shared-state",
            Self::Broadcast => "broadcast",
            Self::Presence => "presence",
            Self::Ballot => "ballot",
            Self::Vote => "vote",
        }
    }

    /// The most bytes of a body.
    fn bytes_max(self) -> usize {
        match self {
            Self::InitJoin | Self::InitJoinAck | Self::InitJoinNack => JOIN_BYTES_MAX,
            Self::Join | Self::JoinRefused => JOIN_BYTES_MAX,
            Self::Welcome | Self::Gossip | Self::GossipDelta => PICTURE_BYTES_MAX,
            Self::Ballot | Self::Vote => PICTURE_BYTES_MAX,
            Self::Version | Self::SharedStateDigest => DIGEST_BYTES_MAX,
            Self::Status => STATUS_BYTES_MAX,
            Self::Heartbeat
            | Self::HeartbeatReply
            | Self::CrossHeartbeat
            | Self::CrossHeartbeatReply => HEARTBEAT_BYTES_MAX,
            Self::Gone | Self::ExitingConfirmed => 0,
            Self::SharedState => SHARED_BYTES_MAX,
            Self::Broadcast => WORDS_BYTES_MAX,
            Self::Presence => PRESENCE_BYTES_MAX,
        }
    }

    fn is_of_handshake(self) -> bool {
        matches!(
            self,
            Self::InitJoin
                | Self::InitJoinAck
                | Self::InitJoinNack
                | Self::Join
                | Self::JoinRefused
        )
    }
}

/// Writes a message. Errors leave nothing behind.
pub fn encode(envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let kind = Kind::of(&envelope.message);
    let version = envelope.version;
    if !ProtocolRange::SUPPORTED.speaks(version) && !kind.is_of_handshake() {
        return Err(EncodeError::Version { version });
    }
    let mut bytes = head(envelope, kind);
    let begin = bytes.len();
    bytes = body(&envelope.message, bytes)
        .map_err(|_postcard| EncodeError::Body { kind: kind.name() })?;
    let length = bytes.len() - begin;
    let max = kind.bytes_max();
    match u32::try_from(length) {
        Ok(written) if length <= max => {
            bytes[44..48].copy_from_slice(&written.to_le_bytes());
            Ok(bytes)
        }
        Ok(_) | Err(_) => Err(EncodeError::TooLarge {
            kind: kind.name(),
            max,
            actual: length,
        }),
    }
}

/// The head, with the body's length left open, and the host.
fn head(envelope: &Envelope, kind: Kind) -> Vec<u8> {
    let host = envelope.from.address.host().as_bytes();
    let receiver = envelope.to.map_or(0, |_uid| HAS_RECEIVER);
    let cluster = envelope.cluster.map_or(0, |_id| HAS_CLUSTER);
    let mut bytes = Vec::with_capacity(2 * HEAD_BYTES + host.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&envelope.version.0.to_le_bytes());
    bytes.push(kind as u8);
    bytes.push(receiver | cluster);
    bytes.extend_from_slice(&envelope.from.uid.to_le_bytes());
    bytes.extend_from_slice(&envelope.to.unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&envelope.cluster.map_or(0, |id| id.0).to_le_bytes());
    bytes.extend_from_slice(&envelope.from.address.port().to_le_bytes());
    // An address keeps its host short.
    let length = u16::try_from(host.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(host);
    bytes
}

fn body(message: &Message, bytes: Vec<u8>) -> postcard::Result<Vec<u8>> {
    fn write(value: &impl Serialize, bytes: Vec<u8>) -> postcard::Result<Vec<u8>> {
        postcard::to_extend(value, bytes)
    }
    match message {
        Message::InitJoin(value) => write(value, bytes),
        Message::InitJoinAck(value) => write(value, bytes),
        Message::InitJoinNack(value) => write(value, bytes),
        Message::Join(value) => write(value, bytes),
        Message::JoinRefused(value) => write(value, bytes),
        Message::Welcome(value) => write(value, bytes),
        Message::Status(value) => write(value, bytes),
        Message::Version(value) => write(value, bytes),
        Message::Gossip(value) => write(value, bytes),
        Message::GossipDelta(value) => write(value, bytes),
        Message::Heartbeat(value)
        | Message::HeartbeatReply(value)
        | Message::CrossHeartbeat(value)
        | Message::CrossHeartbeatReply(value) => write(value, bytes),
        Message::Gone | Message::ExitingConfirmed => Ok(bytes),
        Message::SharedStateDigest(value) => write(value, bytes),
        Message::SharedState(value) => write(value, bytes),
        Message::Broadcast(value) => write(value, bytes),
        Message::Presence(value) => write(value, bytes),
        Message::Ballot(value) => write(value, bytes),
        Message::Vote(value) => write(value, bytes),
    }
}

/// Reads one message, which must be all of `bytes`. Takes bytes from anybody: no length that they name is believed before it is checked.
pub fn decode(bytes: &[u8]) -> Result<Envelope, WireError> {
    let mut head = Head::read(bytes)?;
    let host = head.take(usize::from(head.host_length))?;
    let from = sender(host, head.port, head.from_uid)?;
    let Some(kind) = Kind::numbered(head.kind) else {
        return Err(head.unknown_kind(from));
    };
    let (version, length) = (head.version, head.body_length);
    let is_future = ProtocolRange::SUPPORTED.highest < version;
    let is_read = ProtocolRange::SUPPORTED.speaks(version) || (is_future && kind.is_of_handshake());
    if !is_read {
        return Err(head.unread_version(from));
    }
    if kind.bytes_max() < length {
        return Err(WireError::TooLarge {
            kind: kind.name(),
            max: kind.bytes_max(),
            actual: length,
        });
    }
    let body = head.take(length)?;
    if !head.rest.is_empty() {
        return Err(WireError::Trailing {
            needed: bytes.len() - head.rest.len(),
            extra: head.rest.len(),
        });
    }
    let Some(message) = message(kind, body, is_future) else {
        let kind = kind.name();
        return Err(WireError::Body { kind, from });
    };
    Ok(Envelope {
        from,
        to: head.to,
        cluster: head.cluster,
        version,
        message,
    })
}

fn sender(host: &[u8], port: u16, uid: u64) -> Result<UniqueAddress, WireError> {
    let host = core::str::from_utf8(host).map_err(|_not_text| WireError::Head)?;
    let address = Address::new(host, port).map_err(WireError::Sender)?;
    Ok(UniqueAddress::new(address, uid))
}

/// What stands before host and body.
struct Head<'a> {
    version: ProtocolVersion,
    kind: u8,
    from_uid: u64,
    to: Option<u64>,
    cluster: Option<ClusterId>,
    port: u16,
    host_length: u16,
    body_length: usize,
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(WireError::NotAMessage);
        }
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Err(WireError::Truncated {
                needed: HEAD_BYTES,
                actual: bytes.len(),
            });
        };
        let [_, _, _, _, v0, v1, kind, flags, ..] = *head;
        let (to, cluster) = (part(head, 16), part(head, 24));
        let (to, cluster) = (u64::from_le_bytes(to), u128::from_le_bytes(cluster));
        let has = |flag: u8| flags & flag != 0;
        let is_known = flags & !(HAS_RECEIVER | HAS_CLUSTER) == 0;
        if !is_known || (!has(HAS_RECEIVER) && to != 0) || (!has(HAS_CLUSTER) && cluster != 0) {
            return Err(WireError::Head);
        }
        let body_length = u32::from_le_bytes(part(head, 44));
        Ok(Self {
            version: ProtocolVersion(u16::from_le_bytes([v0, v1])),
            kind,
            from_uid: u64::from_le_bytes(part(head, 8)),
            to: has(HAS_RECEIVER).then_some(to),
            cluster: has(HAS_CLUSTER).then_some(ClusterId(cluster)),
            port: u16::from_le_bytes(part(head, 40)),
            host_length: u16::from_le_bytes(part(head, 42)),
            body_length: usize::try_from(body_length).map_err(|_too_large| WireError::Head)?,
            rest,
            whole: bytes.len(),
        })
    }

    /// The next bytes of what follows.
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(WireError::Truncated {
                needed: (self.whole - self.rest.len()).saturating_add(length),
                actual: self.whole,
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A kind that this program does not know is a later version's, unless the version is one that it does know.
    fn unknown_kind(&self, from: UniqueAddress) -> WireError {
        if ProtocolRange::SUPPORTED.speaks(self.version) {
            let kind = self.kind;
            WireError::Kind { kind, from }
        } else {
            self.unread_version(from)
        }
    }

    fn unread_version(&self, from: UniqueAddress) -> WireError {
        WireError::Version {
            version: self.version,
            reads: ProtocolRange::SUPPORTED,
            from,
        }
    }
}

/// `N` bytes of the head. The head is long enough for every place that is asked for here.
fn part<const N: usize>(head: &[u8; HEAD_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&head[at..at + N]);
    part
}

fn message(kind: Kind, body: &[u8], may_be_longer: bool) -> Option<Message> {
    let read = Body {
        bytes: body,
        may_be_longer,
    };
    Some(match kind {
        Kind::InitJoin => Message::InitJoin(read.whole()?),
        Kind::InitJoinAck => Message::InitJoinAck(read.whole()?),
        Kind::InitJoinNack => Message::InitJoinNack(read.whole()?),
        Kind::Join => Message::Join(read.whole()?),
        Kind::JoinRefused => Message::JoinRefused(read.whole()?),
        Kind::Welcome => Message::Welcome(read.whole()?),
        Kind::Status => Message::Status(read.whole()?),
        Kind::Version => Message::Version(read.whole()?),
        Kind::Gossip => Message::Gossip(read.whole()?),
        Kind::GossipDelta => Message::GossipDelta(read.whole()?),
        Kind::Heartbeat => Message::Heartbeat(read.whole()?),
        Kind::HeartbeatReply => Message::HeartbeatReply(read.whole()?),
        Kind::CrossHeartbeat => Message::CrossHeartbeat(read.whole()?),
        Kind::CrossHeartbeatReply => Message::CrossHeartbeatReply(read.whole()?),
        Kind::Gone => read.nothing(Message::Gone)?,
        Kind::ExitingConfirmed => read.nothing(Message::ExitingConfirmed)?,
        Kind::SharedStateDigest => Message::SharedStateDigest(read.whole()?),
        Kind::SharedState => Message::SharedState(read.whole()?),
        Kind::Broadcast => Message::Broadcast(read.whole()?),
        Kind::Presence => Message::Presence(read.whole()?),
        Kind::Ballot => Message::Ballot(read.whole()?),
        Kind::Vote => Message::Vote(read.whole()?),
    })
}

struct Body<'a> {
    bytes: &'a [u8],
    /// A later version may have appended what this one does not know.
    may_be_longer: bool,
}

impl Body<'_> {
    fn whole<T: DeserializeOwned>(&self) -> Option<T> {
        let (value, rest) = postcard::take_from_bytes(self.bytes).ok()?;
        (rest.is_empty() || self.may_be_longer).then_some(value)
    }

    fn nothing(&self, message: Message) -> Option<Message> {
        self.bytes.is_empty().then_some(message)
    }
}
