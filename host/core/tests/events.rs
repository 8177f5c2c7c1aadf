//! The events and the state as JSON, held by golden files: whoever reads the stream relies on names and fields.
//!
//! `UPDATE_GOLDEN=1` writes the files. A name or field that changes is a new version of the events; a new one is not.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests stand outside of #[test] functions, and one reads UPDATE_GOLDEN"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::event::{ClusterEvent, Interest, diff};
use granary_core::membership::gossip::Gossip;
use granary_core::membership::member::{AppVersion, Decider, Member, Profile, Status};
use granary_core::membership::reachability::{Reach, Record};
use granary_core::membership::state::{ClusterState, Topology};
use granary_core::membership::view::View;

fn node(text: &str) -> UniqueAddress {
    text.parse().unwrap()
}

fn a() -> UniqueAddress {
    node("a.example:7000#00000000000000ff")
}

fn b() -> UniqueAddress {
    node("[::1]:7000#ffffffffffffffff")
}

fn profile() -> Arc<Profile> {
    Arc::new(Profile {
        roles: ["web".into()].into(),
        dc: "east".into(),
        app_version: AppVersion::parse("1.2.3-rc.1").unwrap(),
        kinds: ["cart".parse().unwrap()].into(),
        labels: [("zone".into(), "a".into())].into(),
        ..Profile::plain()
    })
}

fn member(status: Status) -> Member {
    Member {
        node: a(),
        status,
        up_number: (!status.waits_for_up()).then_some(7),
        downed_by: (status == Status::Down).then(|| Decider::Policy("keep-majority".into())),
        profile: profile(),
    }
}

/// One of each, in the order of their names.
fn events() -> Vec<ClusterEvent> {
    let leader = Some(a());
    vec![
        ClusterEvent::TombstonesChanged {
            tombstones: vec![a(), b()],
        },
        ClusterEvent::MemberRemoved {
            member: member(Status::Removed),
            previous: Status::Exiting,
        },
        ClusterEvent::MemberJoined {
            member: member(Status::Joining),
        },
        ClusterEvent::MemberWeaklyUp {
            member: member(Status::WeaklyUp),
        },
        ClusterEvent::MemberUp {
            member: member(Status::Up),
        },
        ClusterEvent::MemberPreparingForShutdown {
            member: member(Status::PreparingForShutdown),
        },
        ClusterEvent::MemberReadyForShutdown {
            member: member(Status::ReadyForShutdown),
        },
        ClusterEvent::MemberLeft {
            member: member(Status::Leaving),
        },
        ClusterEvent::MemberExited {
            member: member(Status::Exiting),
        },
        ClusterEvent::MemberDowned {
            member: member(Status::Down),
        },
        ClusterEvent::MemberChanged {
            member: member(Status::Up),
        },
        ClusterEvent::UnreachableMember {
            member: member(Status::Up),
        },
        ClusterEvent::ReachableMember {
            member: member(Status::Up),
        },
        ClusterEvent::UnreachableDataCenter { dc: "west".into() },
        ClusterEvent::ReachableDataCenter { dc: "west".into() },
        ClusterEvent::LeaderChanged {
            leader: leader.clone(),
        },
        ClusterEvent::RoleLeaderChanged {
            role: "web".into(),
            leader: None,
        },
        ClusterEvent::SeenChanged {
            converged: true,
            seen_by: vec![a(), b()],
        },
        ClusterEvent::ReachabilityChanged {
            records: vec![Record {
                observer: a(),
                subject: b(),
                reach: Reach::Terminated,
                version: 3,
            }],
        },
        ClusterEvent::TopologyChanged {
            topology: Topology { hash: 5, epoch: 9 },
        },
        ClusterEvent::ClusterShuttingDown,
    ]
}

/// A state with something of everything.
fn state() -> ClusterState {
    let (a, b) = (a(), b());
    let mut gossip = Gossip::default();
    let mut change = gossip.change(&a);
    change.join(Member::joining(a.clone(), profile())).unwrap();
    change.promote(&a, 1).unwrap();
    let other = Profile {
        dc: "west".into(),
        ..Profile::plain()
    };
    change
        .join(Member::joining(b.clone(), other.into()))
        .unwrap();
    change.observe(&b, Reach::Unreachable);
    let gone = node("c:7000#0000000000000001");
    change
        .join(Member::joining(gone.clone(), profile()))
        .unwrap();
    change.remove(&gone).unwrap();
    drop(change);
    let view = View::new(&gossip, &a, "east");
    ClusterState::default()
        .next(&view, &BTreeSet::new())
        .unwrap()
}

fn assert_golden(name: &str, found: &str) {
    let version = format!("events-{}", ClusterEvent::VERSION);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(version);
    let file = folder.join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, found).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, golden, "{}", file.display());
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

#[test]
fn each_event_has_its_json() {
    let events = events();
    let names: Vec<_> = events.iter().map(ClusterEvent::name).collect();
    assert_eq!(names, ClusterEvent::NAMES, "one of each");
    for event in events {
        let text = json(&event);
        assert_golden(event.name(), &text);
        assert!(text.contains(&format!("\"event\": \"{}\"", event.name())));
        assert_eq!(serde_json::from_str::<ClusterEvent>(&text).unwrap(), event);
    }
}

#[test]
fn the_state_has_its_json() {
    assert_golden("state", &json(&state()));
}

#[test]
fn an_event_that_is_none_is_refused() {
    for text in [
        r#"{"event": "member-born"}"#,
        r#"{"event": "leader-changed", "leader": "a:7000"}"#,
        r#"{"event": "member-left"}"#,
        r#"{"event": "topology-changed", "topology": {"hash": "5", "epoch": 9}}"#,
    ] {
        assert!(
            serde_json::from_str::<ClusterEvent>(text).is_err(),
            "{text}"
        );
    }
}

#[test]
fn the_present_as_events_is_the_state() {
    let state = state();
    let mut folded = ClusterState::default();
    for event in diff(&folded, &state, &Interest::all()) {
        folded.apply(&event);
    }
    assert!(folded.tells_the_same_as(&state));
}
