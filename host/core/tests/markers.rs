//! The markers of the log as JSON, held by a golden file: whoever searches logs relies on names and fields.
//!
//! `UPDATE_GOLDEN=1` writes the file. A name or field that changes breaks somebody's alarm; a new one does not.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests stand outside of #[test] functions, and one reads UPDATE_GOLDEN"
)]

use std::path::PathBuf;
use std::time::Duration;

use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::downing::Reason;
use granary_core::membership::effects::{Marker, Rejected};
use granary_core::membership::member::Status;
use granary_core::membership::message::ClusterId;

fn a() -> UniqueAddress {
    "a.example:7000#00000000000000ff".parse().unwrap()
}

fn b() -> UniqueAddress {
    "[::1]:7000#ffffffffffffffff".parse().unwrap()
}

fn address() -> Address {
    a().address
}

const LASTING: Duration = Duration::from_micros(1_500_900);

/// One of each, in the order of their names.
fn markers() -> Vec<Marker> {
    let mut markers = of_members();
    markers.extend(of_joining());
    markers.extend(of_the_cluster());
    markers.extend(of_downing());
    markers
}

fn of_members() -> Vec<Marker> {
    vec![
        Marker::Unreachable {
            node: a(),
            status: Status::WeaklyUp,
        },
        Marker::Reachable {
            node: a(),
            status: Status::Up,
        },
        Marker::HeartbeatStarvation { stalled: LASTING },
        Marker::LeaderIncapacitated {
            unseen: vec![a()],
            unreachable: vec![a(), b()],
        },
        Marker::LeaderRestored,
    ]
}

fn of_joining() -> Vec<Marker> {
    vec![
        Marker::JoinFailed {
            by: Some(address()),
            reason: "its cluster is named 'shop'".to_owned(),
        },
        Marker::JoinIncompatible {
            by: address(),
            problems: vec!["region is missing".to_owned()],
        },
        Marker::Welcomed {
            node: b(),
            product_version: Some("1.2.3".to_owned()),
            problems: vec!["region is missing".to_owned()],
        },
    ]
}

fn of_the_cluster() -> Vec<Marker> {
    vec![
        Marker::MemberChanged {
            node: a(),
            from: None,
            to: Status::Joining,
        },
        Marker::IllegalTransition {
            node: a(),
            from: Status::Down,
            to: Status::Leaving,
        },
        Marker::Rejected {
            from: address(),
            message: "gossip",
            reason: Rejected::UnknownSender,
            count: 4,
        },
        Marker::ClusterFormed {
            cluster: ClusterId(0xff),
        },
        Marker::RivalCluster {
            by: a(),
            founder: b(),
            theirs: 5,
            ours: 3,
        },
    ]
}

fn of_downing() -> Vec<Marker> {
    vec![
        Marker::Downing {
            policy: "keep-majority".to_owned(),
            decision: "down-unreachable",
            because: Reason::Majority { here: 3, there: 1 },
            says: Reason::Majority { here: 3, there: 1 }.to_string(),
            down: [a()].into(),
            unreachable: [a()].into(),
            indirectly_connected: [].into(),
            delay: Duration::ZERO,
        },
        Marker::DowningNode {
            node: a(),
            decision: "down-unreachable",
        },
        Marker::DowningInstability {
            changes: 7,
            lasting: LASTING,
        },
        Marker::TooManyMembers {
            members: 9,
            most: 5,
        },
        Marker::LeaseAcquired {
            decision: "acquire-lease-and-down-unreachable",
        },
        Marker::LeaseDenied {
            decision: "down-reachable",
        },
        Marker::LeaseReleased,
        Marker::Quarantined {
            node: a(),
            lasting: Duration::from_secs(86_400),
        },
    ]
}

#[test]
fn each_marker_has_its_json() {
    let markers = markers();
    let names: Vec<_> = markers.iter().map(Marker::name).collect();
    assert_eq!(names, Marker::NAMES, "one of each");
    let mut found = serde_json::to_string_pretty(&markers).unwrap();
    found.push('\n');
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/markers.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, golden, "{}", file.display());
    let written: Vec<serde_json::Value> = serde_json::from_str(&golden).unwrap();
    let written: Vec<_> = written.iter().map(|marker| &marker["marker"]).collect();
    assert_eq!(written, Marker::NAMES);
}
