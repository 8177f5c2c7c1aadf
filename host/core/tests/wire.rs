//! The bytes of every message, held by golden files; and what is not a message, is cut, is longer, is another version's or is noise.
//!
//! `UPDATE_GOLDEN=1` writes the files. A file that changes is a new version of the protocol, unless no program with the old one ever
//! left the house.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stand outside of #[test] functions"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use granary_core::id::Time;
use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::gossip::{Delta, Gossip, MEMBERS_MAX, SparseSeen, VersionDigest};
use granary_core::membership::member::{AppVersion, Decider, Member, Profile, Status};
use granary_core::membership::message::{
    Beat, ClusterId, ConfigCheck, DeltaMessage, Envelope, GossipMessage, GossipStatus, InitJoin,
    InitJoinAck, Join, Message, NackReason, Presence, RefuseReason, Relay, Welcome,
};
use granary_core::membership::protocol::{ProtocolRange, ProtocolVersion};
use granary_core::membership::reachability::Reach;
use granary_core::membership::shared::{Known, OwnerDelta, SharedDelta, SharedDigest, SharedEntry};
use granary_core::membership::wire::{self, EncodeError, WireError};
use proptest::prelude::*;

#[path = "wire/voting.rs"]
mod voting;

fn node(name: &str, uid: u64) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), uid)
}

fn profile() -> Arc<Profile> {
    Arc::new(Profile {
        roles: ["backend".into(), "web".into()].into(),
        dc: "east".into(),
        app_version: AppVersion::parse("1.2.3-rc.1").unwrap(),
        protocol: ProtocolRange::SUPPORTED,
        kinds: ["cart".parse().unwrap()].into(),
        capacity: 2,
        labels: [("zone".into(), "a".into())].into(),
    })
}

fn gossip() -> Gossip {
    let (a, b, c, d) = (node("a", 1), node("b", 2), node("c", 3), node("d", 4));
    let mut gossip = Gossip::default();
    let mut change = gossip.change(&a);
    for joining in [&a, &b, &c, &d] {
        change
            .join(Member::joining(joining.clone(), profile()))
            .unwrap();
    }
    change.promote(&a, 1).unwrap();
    change.promote(&b, 2).unwrap();
    change.set_status(&b, Status::Leaving).unwrap();
    change
        .down(&c, Decider::Policy("keep-majority".into()))
        .unwrap();
    change.remove(&d).unwrap();
    change.observe(&b, Reach::Unreachable);
    change.observe(&c, Reach::Terminated);
    drop(change);
    gossip.see(&b);
    gossip
}

fn config() -> BTreeMap<String, String> {
    [("downing.strategy".to_owned(), "keep-majority".to_owned())].into()
}

fn range(lowest: u16, highest: u16) -> ProtocolRange {
    ProtocolRange {
        lowest: ProtocolVersion(lowest),
        highest: ProtocolVersion(highest),
    }
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

/// At least one message of each kind, with every field and every case in use.
fn messages() -> Vec<(&'static str, Message)> {
    let mut all = Vec::new();
    all.extend(of_joining());
    all.extend(refusals().map(|(name, reason)| (name, Message::JoinRefused(reason))));
    all.extend(nacks().map(|(name, reason)| (name, Message::InitJoinNack(reason))));
    all.extend(of_membership());
    all.extend(of_shared_state());
    all
}

fn named(name: &str) -> Message {
    let found = messages().into_iter().find(|(each, _)| *each == name);
    found.unwrap().1
}

fn of_joining() -> [(&'static str, Message); 5] {
    let ack = |check| {
        Message::InitJoinAck(InitJoinAck {
            check,
            protocol: range(1, 2),
            before: vec![9],
        })
    };
    let asked = InitJoin {
        name: "shop".to_owned(),
        protocol: range(1, 1),
        config: config(),
    };
    let join = Join {
        name: "shop".to_owned(),
        profile: profile(),
        after: vec![9],
    };
    let problems = vec!["'x' is missing".to_owned()];
    [
        ("init-join", Message::InitJoin(asked)),
        ("ack-compatible", ack(ConfigCheck::Compatible(config()))),
        ("ack-incompatible", ack(ConfigCheck::Incompatible(problems))),
        ("ack-unchecked", ack(ConfigCheck::Unchecked(config()))),
        ("join", Message::Join(join)),
    ]
}

fn refusals() -> [(&'static str, RefuseReason); 9] {
    [
        ("refused-name", RefuseReason::OtherName("shop".to_owned())),
        ("refused-cluster", RefuseReason::OtherCluster(ClusterId(7))),
        (
            "refused-protocol",
            RefuseReason::NoCommonProtocol(range(2, 3)),
        ),
        ("refused-gone", RefuseReason::Gone),
        ("refused-shutting-down", RefuseReason::ShuttingDown),
        (
            "refused-profile",
            RefuseReason::BadProfile("65 roles".to_owned()),
        ),
        ("refused-not-accepting", RefuseReason::NotAccepting),
        (
            "refused-old-incarnation",
            RefuseReason::OldIncarnation { before: vec![9] },
        ),
        ("refused-full", RefuseReason::Full { limit: 10_000 }),
    ]
}

fn nacks() -> [(&'static str, NackReason); 5] {
    [
        ("nack-no-cluster", NackReason::NotInACluster),
        ("nack-not-accepting", NackReason::NotAccepting),
        ("nack-name", NackReason::OtherName("shop".to_owned())),
        ("nack-cluster", NackReason::OtherCluster(ClusterId(7))),
        ("nack-protocol", NackReason::NoCommonProtocol(range(2, 3))),
    ]
}

/// What may have come of [`gossip`] since.
fn later() -> Gossip {
    let (a, b, d) = (node("a", 1), node("b", 2), node("d", 4));
    let mut later = gossip();
    let mut change = later.change(&a);
    let own = Profile {
        dc: "west".into(),
        ..Profile::clone(&profile())
    };
    for (name, profile) in [("aa", profile()), ("e", own.into())] {
        change
            .join(Member::joining(node(name, 5), profile))
            .unwrap();
    }
    change.set_status(&b, Status::Exiting).unwrap();
    change.remove(&node("c", 3)).unwrap();
    change.forget(&d);
    change.observe(&b, Reach::Reachable);
    drop(change);
    later
}

fn of_membership() -> [(&'static str, Message); 14] {
    let gossip = gossip();
    let version = VersionDigest::of(&gossip);
    let beat = Beat {
        seq: 300,
        sent: Time(1_500_000_000),
    };
    let status = GossipStatus {
        version,
        seen: SparseSeen::new(gossip.seen(), gossip.members().len()),
        answers: true,
        relay: None,
    };
    let delta = DeltaMessage {
        delta: Delta::new((version, &gossip), &later()),
        time_to_live: Duration::from_millis(2500),
        relay: Relay::new(1, 3).ok(),
    };
    let clock = gossip.version().clone();
    let sent = GossipMessage {
        gossip: gossip.clone(),
        time_to_live: Duration::from_millis(2500),
    };
    let presence = Presence {
        founder: node("a", 1),
        members: Some(300),
        lowest: node("a", 1).address,
    };
    let founder = node("a", 1);
    [
        ("welcome", Message::Welcome(Welcome { founder, gossip })),
        ("status", Message::Status(status)),
        ("version", Message::Version(clock)),
        ("gossip", Message::Gossip(sent)),
        ("gossip-delta", Message::GossipDelta(delta)),
        ("heartbeat", Message::Heartbeat(beat)),
        ("heartbeat-reply", Message::HeartbeatReply(beat)),
        ("cross-heartbeat", Message::CrossHeartbeat(beat)),
        ("cross-heartbeat-reply", Message::CrossHeartbeatReply(beat)),
        ("gone", Message::Gone),
        ("exiting-confirmed", Message::ExitingConfirmed),
        ("presence", Message::Presence(presence)),
        ("ballot", voting::ballot()),
        ("vote", voting::vote()),
    ]
}

fn of_shared_state() -> [(&'static str, Message); 4] {
    let entry = |entry: Option<&str>, value: Option<&str>| SharedEntry {
        key: "color".into(),
        entry: entry.map(Into::into),
        seq: 9,
        value: value.map(bytes),
    };
    let parts = SharedDigest::Parts {
        parts: 0b101,
        known: Arc::new([(node("b", 2), Known { seq: 9, floor: 1 })].into()),
        ask: true,
    };
    let delta = OwnerDelta {
        owner: node("b", 2),
        from: 3,
        to: 9,
        floor: 1,
        entries: vec![entry(None, Some("red")), entry(Some("wall"), None)],
    };
    let words = Arc::new([bytes("one"), bytes("two")]);
    [
        (
            "shared-summary",
            Message::SharedStateDigest(SharedDigest::Summary(Arc::new(core::array::from_fn(
                |part| part as u64,
            )))),
        ),
        ("shared-parts", Message::SharedStateDigest(parts)),
        (
            "shared-state",
            Message::SharedState(SharedDelta(Arc::new([delta]))),
        ),
        ("broadcast", Message::Broadcast(words)),
    ]
}

fn envelope(message: Message) -> Envelope {
    let handshake = message.is_of_joining();
    Envelope {
        from: node("a.example", 0x1122_3344_5566_7788),
        to: (!handshake).then_some(0x99aa_bbcc_ddee_ff00),
        cluster: (!handshake).then_some(ClusterId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
        version: ProtocolVersion(1),
        message,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let words: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{}", words.join(" ")).unwrap();
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let words = text.split_whitespace();
    words
        .map(|word| u8::from_str_radix(word, 16).unwrap())
        .collect()
}

fn golden(name: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join(format!("tests/golden/wire-1/{name}.hex"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether to write the golden files is the developer's wish, not a setting of the core"
)]
fn may_write() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn every_message_is_written_as_in_its_golden_file_and_read_back() {
    for (name, message) in messages() {
        let envelope = envelope(message);
        let bytes = wire::encode(&envelope).unwrap();
        let path = golden(name);
        if may_write() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, hex(&bytes)).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(hex(&bytes), kept, "{}", path.display());
        assert_eq!(wire::decode(&unhex(&kept)), Ok(envelope), "{name}");
    }
}

#[test]
fn golden_files_are_of_messages_that_there_are() {
    let names: Vec<_> = messages()
        .into_iter()
        .map(|(name, _)| format!("{name}.hex"))
        .collect();
    for file in std::fs::read_dir(golden("x").parent().unwrap()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn a_message_that_is_cut_anywhere_is_none() {
    for (name, message) in messages() {
        let bytes = wire::encode(&envelope(message)).unwrap();
        for end in 0..bytes.len() {
            let found = wire::decode(&bytes[..end]);
            let cut = matches!(&found, Err(WireError::Truncated { actual, .. }) if *actual == end);
            assert!(cut, "{name} cut after {end}: {found:?}");
        }
    }
}

#[test]
fn what_follows_a_message_is_not_swallowed() {
    let mut bytes = wire::encode(&envelope(Message::Gone)).unwrap();
    let needed = bytes.len();
    bytes.extend_from_slice(&bytes.clone());
    let extra = needed;
    assert_eq!(
        wire::decode(&bytes),
        Err(WireError::Trailing { needed, extra })
    );
    // Inside the body's length, too.
    let mut bytes = wire::encode(&envelope(Message::ExitingConfirmed)).unwrap();
    bytes.push(0);
    bytes[44] = 1;
    let kind = "exiting-confirmed";
    let (max, actual) = (0, 1);
    assert_eq!(
        wire::decode(&bytes),
        Err(WireError::TooLarge { kind, max, actual })
    );
    let mut bytes = wire::encode(&envelope(named("heartbeat"))).unwrap();
    bytes.push(0);
    bytes[44] += 1;
    let from = node("a.example", 0x1122_3344_5566_7788);
    let kind = "heartbeat";
    assert_eq!(wire::decode(&bytes), Err(WireError::Body { kind, from }));
}

#[test]
fn a_damaged_head_is_named() {
    let good = wire::encode(&envelope(Message::Gone)).unwrap();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        wire::decode(&bytes)
    };
    let from = node("a.example", 0x1122_3344_5566_7788);
    assert_eq!(with(0, b'G'), Err(WireError::NotAMessage));
    assert_eq!(wire::decode(b"GET / HTTP/1.1"), Err(WireError::NotAMessage));
    assert_eq!(
        with(6, 200),
        Err(WireError::Kind {
            kind: 200,
            from: from.clone()
        })
    );
    assert_eq!(with(6, 0), Err(WireError::Kind { kind: 0, from }));
    assert_eq!(with(7, 7), Err(WireError::Head));
    // A uid and a cluster, and no word that they are there.
    assert_eq!(with(7, 1), Err(WireError::Head));
    assert_eq!(with(7, 2), Err(WireError::Head));
    assert_eq!(
        with(48, b'/').map_err(|error| matches!(error, WireError::Sender(_))),
        Err(true)
    );
    assert_eq!(with(48, 0xff), Err(WireError::Head));
    let long =
        with(43, 1).map_err(|error| matches!(error, WireError::Truncated { needed: 313, .. }));
    assert_eq!(long, Err(true));
    assert_eq!(
        wire::decode(&good).map(|read| read.message),
        Ok(Message::Gone)
    );
}

#[test]
fn a_length_is_not_believed_before_it_is_checked() {
    let mut bytes = wire::encode(&envelope(named("status"))).unwrap();
    bytes[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
    let (kind, max, actual) = ("status", 8 << 10, u32::MAX as usize);
    assert_eq!(
        wire::decode(&bytes),
        Err(WireError::TooLarge { kind, max, actual })
    );
    // Each kind has a limit, and is called what its messages are called.
    for (_, message) in messages() {
        let name = message.name();
        let mut bytes = wire::encode(&envelope(message)).unwrap();
        bytes[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        let found = wire::decode(&bytes);
        assert!(
            matches!(&found, Err(WireError::TooLarge { kind, max, .. }) if *kind == name && *max < wire::MESSAGE_BYTES_MAX),
            "{name}: {found:?}"
        );
    }
    // A list of a billion entries in a body of six bytes.
    let mut bytes = wire::encode(&envelope(Message::Broadcast(Arc::new([])))).unwrap();
    bytes.pop();
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    bytes[44] = 6;
    assert!(matches!(
        wire::decode(&bytes),
        Err(WireError::Body {
            kind: "broadcast",
            ..
        })
    ));
}

#[test]
fn more_than_a_receiver_takes_is_not_written() {
    let word = vec![0; 16 << 10].into();
    let words: Arc<[Arc<[u8]>]> = vec![word; 20].into();
    let (kind, max) = ("broadcast", (256 << 10) + 10 * 1024);
    let found = wire::encode(&envelope(Message::Broadcast(words)));
    let actual = 1 + 20 * ((16 << 10) + 3);
    assert_eq!(found, Err(EncodeError::TooLarge { kind, max, actual }));
}

#[test]
fn a_later_version_is_refused_by_name_but_for_the_words_of_a_join() {
    let future = ProtocolVersion(2);
    for (name, message) in messages() {
        let mut asked = envelope(message);
        asked.version = future;
        let is_handshake = asked.message.is_of_handshake();
        let Ok(bytes) = wire::encode(&asked) else {
            assert!(!is_handshake, "{name}");
            let present = Envelope {
                version: ProtocolVersion(1),
                ..asked
            };
            let mut bytes = wire::encode(&present).unwrap();
            bytes[4] = 2;
            let from = present.from;
            let reads = ProtocolRange::SUPPORTED;
            assert_eq!(
                wire::decode(&bytes),
                Err(WireError::Version {
                    version: future,
                    reads,
                    from
                }),
                "{name}"
            );
            continue;
        };
        assert!(is_handshake, "{name}");
        // It may say more than this version knows.
        let mut longer = bytes.clone();
        longer.push(77);
        let length = u32::from_le_bytes(bytes[44..48].try_into().unwrap()) + 1;
        longer[44..48].copy_from_slice(&length.to_le_bytes());
        for bytes in [bytes, longer] {
            assert_eq!(wire::decode(&bytes).as_ref(), Ok(&asked), "{name}");
        }
    }
    let mut bytes = wire::encode(&envelope(Message::Gone)).unwrap();
    bytes[4] = 0;
    let found = wire::decode(&bytes);
    assert!(matches!(
        found,
        Err(WireError::Version {
            version: ProtocolVersion(0),
            ..
        })
    ));
    // A kind that only a later version has is that version's, not damage.
    (bytes[4], bytes[6]) = (9, 200);
    let found = wire::decode(&bytes);
    assert!(matches!(
        found,
        Err(WireError::Version {
            version: ProtocolVersion(9),
            ..
        })
    ));
}

/// What was read can be written, and is read again as the same.
fn holds(bytes: &[u8]) {
    match wire::decode(bytes) {
        Ok(envelope) if envelope.version == ProtocolVersion(1) => {
            let again = wire::encode(&envelope).unwrap();
            assert_eq!(wire::decode(&again), Ok(envelope));
        }
        Ok(envelope) => assert!(envelope.message.is_of_handshake()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_refused_without_harm(noise in prop::collection::vec(any::<u8>(), 0..256)) {
        holds(&noise);
        let mut bytes = b"gran\x01\x00".to_vec();
        bytes.extend_from_slice(&noise);
        holds(&bytes);
    }

    #[test]
    fn damaged_messages_are_refused_or_are_messages(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (_, message) = messages().swap_remove(which.index(messages().len()));
        let mut bytes = wire::encode(&envelope(message)).unwrap();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        holds(&bytes);
    }

    #[test]
    fn bodies_of_noise_are_refused_or_are_messages(kind in 1u8..21, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = wire::encode(&envelope(Message::Gone)).unwrap();
        bytes[6] = kind;
        bytes[44] = u8::try_from(body.len()).unwrap();
        bytes.extend_from_slice(&body);
        holds(&bytes);
    }
}

#[test]
fn places_beyond_every_picture_are_refused() {
    let max = u32::try_from(2 * MEMBERS_MAX).unwrap();
    for (first, end, is_fine) in [
        (0, 0, true),
        (3, max, true),
        (4, 3, false),
        (0, max + 1, false),
    ] {
        assert_eq!(Relay::new(first, end).is_ok(), is_fine, "{first}..{end}");
    }
    let relay = Relay::new(1, 3).unwrap();
    assert_eq!(
        (relay.among(9), relay.among(2), relay.among(0)),
        (1..3, 1..2, 0..0)
    );
    let gossip = gossip();
    let status = |relay| {
        Message::Status(GossipStatus {
            version: VersionDigest::of(&gossip),
            seen: SparseSeen::new(gossip.seen(), gossip.members().len()),
            answers: false,
            relay,
        })
    };
    // The places are the last two bytes.
    let mut bytes = wire::encode(&envelope(status(Some(relay)))).unwrap();
    let last = bytes.len() - 1;
    assert_eq!(bytes[last - 1..], [1, 3]);
    bytes[last] = 0;
    let read = wire::decode(&bytes);
    assert!(
        matches!(read, Err(WireError::Body { kind: "status", .. })),
        "{read:?}"
    );
}
