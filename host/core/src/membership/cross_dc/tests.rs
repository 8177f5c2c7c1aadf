use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::membership::address::Address;
use crate::membership::detector::{DeadlineSettings, DetectorSettings};
use crate::membership::member::Profile;
use crate::membership::protocol::ProtocolRange;

const SECOND: u64 = 1_000_000_000;

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// Such as `a2`: the member `a2` of the data centre `a`, its up number 2.
fn member(name: &str, status: Status) -> Member {
    let age = name[1..].parse().unwrap();
    Member {
        node: node(name),
        status,
        up_number: Some(age),
        downed_by: None,
        profile: Arc::new(Profile {
            roles: BTreeSet::new(),
            dc: name[..1].into(),
            app_version: "1".parse().unwrap(),
            kinds: BTreeSet::new(),
            capacity: 1,
            labels: BTreeMap::new(),
            protocol: ProtocolRange::SUPPORTED,
        }),
    }
}

fn heartbeats(this: &str, members: &str) -> CrossDcHeartbeats {
    let settings = HeartbeatSettings {
        heartbeat_interval: Duration::from_secs(3),
        expected_response_after: Duration::from_secs(1),
        detector: DetectorSettings::Deadline(DeadlineSettings::DEFAULT),
    };
    let mut heartbeats = CrossDcHeartbeats::new(node(this), this[..1].into(), 2, settings, Time(0));
    for name in members.split_whitespace() {
        heartbeats.update(&member(name, Status::Up));
    }
    heartbeats
}

fn receivers(heartbeats: &CrossDcHeartbeats) -> String {
    let names: Vec<&str> = heartbeats
        .receivers()
        .map(|node| node.address.host())
        .collect();
    names.join(" ")
}

#[test]
fn the_oldest_watch_the_oldest_of_every_other_data_centre() {
    let all = "a1 a2 a3 b4 b2 b3 c1";
    assert_eq!(receivers(&heartbeats("a1", all)), "b2 b3 c1");
    assert_eq!(receivers(&heartbeats("b3", all)), "a1 a2 c1");
    assert_eq!(receivers(&heartbeats("c1", all)), "a1 a2 b2 b3");
    let dormant = heartbeats("a3", all);
    assert_eq!(
        (dormant.is_active(), receivers(&dormant)),
        (false, String::new())
    );
}

#[test]
fn who_has_not_been_up_neither_watches_nor_is_watched() {
    let mut one = heartbeats("a1", "b1");
    assert!(!one.is_active());
    one.update(&member("a1", Status::WeaklyUp));
    assert!(!one.is_active());
    one.update(&member("a1", Status::Up));
    one.update(&member("b2", Status::Joining));
    assert_eq!(receivers(&one), "b1");
    one.update(&member("b2", Status::Up));
    assert_eq!(receivers(&one), "b1 b2");
    // Who is going still counts: its silence must be seen.
    one.update(&member("b2", Status::Down));
    assert_eq!(receivers(&one), "b1 b2");
}

#[test]
fn the_next_oldest_takes_over() {
    let mut one = heartbeats("a3", "a1 a2 a3 b1 b2 b3");
    one.remove(&node("a1"));
    assert_eq!(receivers(&one), "b1 b2");
    one.remove(&node("b1"));
    assert_eq!(receivers(&one), "b2 b3");
    one.remove(&node("b2"));
    one.remove(&node("b3"));
    assert_eq!(receivers(&one), "");
}

#[test]
fn silence_longer_than_interval_and_pause_is_unavailable_and_ends_with_the_watch() {
    let mut one = heartbeats("a1", "a1 b1 b2");
    let mut now = 0;
    let mut pings = Vec::new();
    while now <= 30 * SECOND {
        one.notice(Time(now));
        pings.clear();
        one.wake(Time(now), &mut pings);
        for ping in pings.iter().filter(|ping| ping.to == node("b1")) {
            assert!(
                one.answered(Time(now), &ping.to, ping.seq, ping.sent)
                    .is_some()
            );
        }
        now = one.next_wake().0;
    }
    let verdict = |one: &CrossDcHeartbeats, name| one.verdict(Time(now), &node(name));
    assert_eq!(verdict(&one, "b1"), Verdict::Available);
    assert_eq!(verdict(&one, "b2"), Verdict::Unavailable);
    // A node that is no longer one of the oldest has no opinion about anybody.
    one.update(&member("a0", Status::Up));
    one.update(&member("a1", Status::Up));
    assert!(one.is_active());
    let mut older = member("a2", Status::Up);
    older.up_number = Some(0);
    one.update(&older);
    assert!(!one.is_active());
    assert_eq!(verdict(&one, "b2"), Verdict::Available);
}

#[test]
fn an_answer_from_who_was_not_asked_counts_for_nothing() {
    let mut one = heartbeats("a1", "a1 b1");
    one.wake(Time(0), &mut Vec::new());
    assert_eq!(one.answered(Time(1), &node("c1"), 1, Time(0)), None);
    assert_eq!(one.answered(Time(1), &node("a1"), 1, Time(0)), None);
}
