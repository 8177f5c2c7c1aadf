//! §2.12 to §2.15: heartbeats, what silence means, data centres, and who is shut out.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::join_tests::{asking, searching};
use super::shown_tests::{picture as shown_picture, shown};
use super::world_tests::{
    World, address, all, at, from, gossip, machine, machine_with, member, member_with, node, start,
    statuses, step,
};
use crate::membership::downing::{Decision, LeaseAnswer, Picture, Policy, Reason, Verdict};
use crate::membership::effects::{Effect, JoinProblem, Rejected, TerminateReason};
use crate::membership::fixture::{picture, with};
use crate::membership::inputs::{Command, CommandId, Event};
use crate::membership::machine::{Counters, Membership};
use crate::membership::member::{Profile, Status};
use crate::membership::message::{Beat, KnownCluster, Message, RefuseReason};
use crate::membership::settings::{Settings, StrategyName};
use crate::membership::shared::{OwnerDelta, SharedDelta, SharedEntry, VALUE_BYTES_MAX};

fn beat(seq: u64, millis: u64) -> Beat {
    Beat {
        seq,
        sent: at(millis),
    }
}

fn wake(a: &mut Membership, millis: u64) -> Vec<String> {
    shown(&step(a, millis, Event::Wake))
}

#[test]
fn a_heartbeat_is_answered_with_its_own_words_whoever_sends_it() {
    let mut a = member(picture("a b"));
    for host in ["b", "x"] {
        let answered = step(&mut a, 0, from(host, 0, Message::Heartbeat(beat(7, 3))));
        assert!(matches!(
            &answered[..],
            [Effect::Send { envelope, .. }] if envelope.message == Message::HeartbeatReply(beat(7, 3))
        ));
        let answered = step(
            &mut a,
            0,
            from(host, 0, Message::CrossHeartbeat(beat(8, 3))),
        );
        assert!(matches!(
            &answered[..],
            [Effect::Send { envelope, .. }] if envelope.message == Message::CrossHeartbeatReply(beat(8, 3))
        ));
    }
}

#[test]
fn everyone_near_is_asked_once_a_second() {
    let mut a = member(picture("a b c"));
    a.rounds.gossip = at(60_000);
    a.rounds.leader = at(60_000);
    let asked = ["to b: heartbeat (2)", "to c: heartbeat (2)"];
    assert_eq!(wake(&mut a, 1000), asked);
    assert_eq!(wake(&mut a, 1500), [""; 0]);
}

#[test]
fn an_answer_is_measured_and_one_that_does_not_count_is_counted() {
    let mut a = member(picture("a b"));
    step(
        &mut a,
        40,
        from("b", 40, Message::HeartbeatReply(beat(1, 0))),
    );
    let trips: Vec<_> = a
        .round_trips()
        .map(|(node, trip)| (node.clone(), trip.as_millis()))
        .collect();
    assert_eq!(trips, [(node("b"), 40)]);
    step(
        &mut a,
        50,
        from("b", 50, Message::HeartbeatReply(beat(1, 0))),
    );
    assert_eq!(a.counters().stale_heartbeats, 1);
}

#[test]
fn who_never_answers_becomes_unreachable_and_who_answers_again_reachable() {
    let mut a = member(with(picture("a b c"), "", "a b c"));
    let mut now = 0;
    let lost = loop {
        now += 1000;
        assert!(now < 20_000, "nobody was missed");
        let told = wake(&mut a, now);
        step(
            &mut a,
            now,
            from("c", now, Message::HeartbeatReply(beat(now / 1000 + 1, now))),
        );
        if told.iter().any(|line| line.starts_with("log unreachable")) {
            break told;
        }
    };
    assert!(lost.contains(&"log unreachable b".into()), "{lost:?}");
    assert!((4_000..10_000).contains(&now), "after {now}");
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a, a→b");
    for _ in 0..3 {
        now += 1000;
        wake(&mut a, now);
        step(
            &mut a,
            now,
            from("b", now, Message::HeartbeatReply(beat(now / 1000 + 1, now))),
        );
        step(
            &mut a,
            now,
            from("c", now, Message::HeartbeatReply(beat(now / 1000 + 1, now))),
        );
    }
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a");
}

#[test]
fn a_node_that_was_held_up_judges_nobody_at_first() {
    let mut a = member(with(picture("a b"), "", "a b"));
    for second in 1..=5 {
        wake(&mut a, 1000 * second);
        let answer = Message::HeartbeatReply(beat(second + 1, 1000 * second));
        step(&mut a, 1000 * second, from("b", 1000 * second, answer));
    }
    let told = wake(&mut a, 60_000);
    assert!(told[0].starts_with("log heartbeat-starvation"), "{told:?}");
    assert!(
        !told.iter().any(|line| line.starts_with("log unreachable")),
        "{told:?}"
    );
    assert_eq!(a.counters().stalls, 1);
}

#[test]
fn what_the_transport_gave_up_is_terminated_and_shut_out_but_not_dead() {
    let mut a = member(picture("a b c"));
    let given_up = Event::Quarantined { node: node("b") };
    assert_eq!(
        shown(&step(&mut a, 0, given_up)),
        ["log quarantined b", "log unreachable b"]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a, aTb");
    assert_eq!(
        shown(&step(
            &mut a,
            0,
            from("b", 0, Message::Heartbeat(beat(1, 0)))
        )),
        ["log rejected heartbeat from b: GoneSender 1"]
    );
    let shut_out: Vec<_> = a
        .quarantined_nodes()
        .map(|(node, _)| node.clone())
        .collect();
    assert_eq!(shut_out, [node("b")]);
    let clear = Event::Command {
        id: CommandId(1),
        command: Command::ClearQuarantine { node: node("b") },
    };
    assert_eq!(
        shown(&step(&mut a, 0, clear)),
        ["let in b", "reply to 1: Done"]
    );
    assert_eq!(a.quarantined_nodes().count(), 0);
}

#[test]
fn a_removed_incarnation_is_shut_out_five_seconds_later() {
    let mut a = member(with(picture("a b:d"), "a→b", "a"));
    a.rounds.reaper = at(60_000);
    assert!(wake(&mut a, 1000).contains(&"log member-changed b down removed".into()));
    assert_eq!(a.quarantine.next_wake(), Some(at(6000)));
    let told = wake(&mut a, 6000);
    let shut_out: Vec<_> = told
        .iter()
        .filter(|line| line.contains("quarantine"))
        .collect();
    assert_eq!(shut_out, ["quarantine b", "log quarantined b"]);
}

#[test]
fn a_node_that_a_member_shut_out_asks_the_policy() {
    let mut a = member(with(picture("a b c"), "", "a b c"));
    let told = shown(&step(&mut a, 0, Event::QuarantinedBy { node: node("b") }));
    assert_eq!(
        told[..3],
        [
            "log downing down-self-quarantined-by-remote: the member b:7000 has shut this node out",
            "explain \"down-self-quarantined-by-remote\"",
            "log downing-node a down-self-quarantined-by-remote"
        ]
    );
    assert_eq!(told.last().map(String::as_str), Some("begin exit: Downed"));
    // What a stranger says means nothing.
    let mut other = member(picture("a b"));
    assert_eq!(
        step(&mut other, 0, Event::QuarantinedBy { node: node("x") }),
        []
    );
}

#[test]
fn one_that_is_shut_out_where_it_asks_ends() {
    let shut_out = |host: &str| Event::QuarantinedBy { node: node(host) };
    for mut x in [searching(Settings::default(), None), asking()] {
        // It has not asked `y`.
        assert_eq!(step(&mut x, 0, shut_out("y")), []);
        let ended = step(&mut x, 0, shut_out("a"));
        let reason = TerminateReason::JoinRefused {
            by: address("a"),
            reason: JoinProblem::Refused(RefuseReason::Gone),
        };
        assert_eq!(ended[1], Effect::Terminate { reason });
        assert_eq!((ended.len(), x.next_wake()), (2, None));
    }
}

#[test]
fn the_lease_is_asked_for_and_decides() {
    let mut settings = Settings::default();
    settings.downing.strategy = StrategyName::LeaseMajority;
    let known = with(picture("a b c"), "a→c", "a b c");
    let mut a = member_with(settings, known);
    let mut lines = Vec::new();
    for second in 1..=30 {
        let millis = 1000 * second;
        lines.extend(wake(&mut a, millis));
        let reply = Message::HeartbeatReply(beat(second + 1, millis));
        lines.extend(shown(&step(&mut a, millis, from("b", millis, reply))));
        let mut seen = a.gossip().clone();
        seen.see(&node("b"));
        lines.extend(shown(&step(
            &mut a,
            millis,
            from("b", millis, gossip(seen)),
        )));
    }
    assert!(lines.contains(&"lease Acquire".into()), "{lines:?}");
    let told = shown(&step(&mut a, 30_100, Event::Lease(LeaseAnswer::Acquired)));
    let downed: Vec<_> = told
        .iter()
        .filter(|line| line.contains("downing-node"))
        .collect();
    assert_eq!(
        downed,
        ["log downing-node c acquire-lease-and-down-unreachable"]
    );
    assert!(
        told.contains(&"log member-changed c up down".into()),
        "{told:?}"
    );
}

/// Nobody survives.
#[derive(Debug)]
struct Nobody;

impl Policy for Nobody {
    fn name(&self) -> &str {
        "nobody"
    }

    fn decide(&self, _picture: &Picture) -> Verdict {
        Verdict {
            decision: Decision::DownAll,
            because: Reason::Unconditional,
        }
    }
}

#[test]
fn another_policy_decides_in_place_of_the_settings_and_must_be_everybodys() {
    let plugged = |host: &str| machine(host).with_policy(Arc::new(Nobody), at(0));
    let mut world = World::new();
    for host in ["a", "b", "c"] {
        world.add(host, plugged(host));
        world.handle(host, start(&["a"]));
    }
    world.run_until(15_000);
    world.add("d", machine("d"));
    world.handle("d", start(&["a"]));
    assert!(matches!(
        world.ended.get("d"),
        Some(TerminateReason::JoinRefused { .. })
    ));
    world.crash("c");
    world.run_until(60_000);
    assert_eq!(world.ended.get("a"), Some(&TerminateReason::Downed));
    assert_eq!(world.ended.get("b"), Some(&TerminateReason::Downed));
}

fn dc_node(host: &str, dc: &str) -> Membership {
    let profile = Profile {
        dc: dc.into(),
        ..Profile::plain()
    };
    Membership::new(Settings::default(), node(host), profile, None, 1, at(0)).unwrap()
}

#[test]
fn two_data_centres_are_one_cluster_and_a_cut_between_them_is_one_event_and_no_harm() {
    let mut world = World::new();
    let (west, east) = (["a", "b", "c"], ["x", "y", "z"]);
    for host in west {
        world.add(host, dc_node(host, "west"));
    }
    for host in east {
        world.add(host, dc_node(host, "east"));
    }
    for host in west.iter().chain(&east) {
        world.handle(host, start(&["a"]));
    }
    world.run_until(40_000);
    for host in west.iter().chain(&east) {
        let members = world.nodes[*host].gossip().members().iter();
        let up = members.filter(|member| member.status == Status::Up).count();
        assert_eq!(up, 6, "{host}");
    }
    let leader = |world: &World, host: &str| world.nodes[host].state().leader.clone();
    assert_eq!(leader(&world, "c"), Some(node("a")));
    assert_eq!(leader(&world, "z"), Some(node("x")));
    for one in west {
        for other in east {
            world.cut(one, other);
        }
    }
    world.run_until(100_000);
    let unreachable: Vec<_> = world.nodes["b"]
        .state()
        .unreachable_dcs
        .iter()
        .cloned()
        .collect();
    assert_eq!(unreachable, ["east".into()]);
    assert!(world.nodes["b"].state().unreachable.is_empty());
    assert!(world.ended.is_empty());
    // Life goes on within each.
    world.add("d", dc_node("d", "west"));
    world.handle("d", start(&["a"]));
    world.run_until(120_000);
    let status = |world: &World, viewer: &str, of: &str| world.status(viewer, of);
    assert_eq!(status(&world, "a", "d"), Some(Status::Up));
    world.cut.clear();
    world.run_until(180_000);
    assert!(world.nodes["b"].state().unreachable_dcs.is_empty());
    assert_eq!(status(&world, "z", "d"), Some(Status::Up));
}

#[test]
fn a_crashed_member_comes_back_under_a_new_incarnation() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a", "b"], &Settings::default());
    world.run_until(15_000);
    world.crash("c");
    world.run_until(16_000);
    let profile = Profile::plain();
    let again = Membership::new(
        Settings::default(),
        node("c#2"),
        profile,
        None,
        9,
        at(16_000),
    );
    world.add("c", again.unwrap());
    world.handle("c", start(&["a", "b"]));
    world.run_until(27_000);
    for host in hosts {
        let found = world.nodes[host].gossip().member(&node("c#2"));
        assert_eq!(
            found.map(|member| member.status),
            Some(Status::Up),
            "{host}"
        );
        assert!(
            world.nodes[host].gossip().member(&node("c")).is_none(),
            "{host}"
        );
    }
}

#[test]
fn a_restarted_first_seed_finds_its_cluster() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a", "b"], &Settings::default());
    world.run_until(15_000);
    let known = KnownCluster {
        id: world.nodes["a"].cluster().unwrap(),
        members: hosts.map(address).into(),
    };
    world.crash("a");
    let this = node("a#5");
    let again = Membership::new(
        Settings::default(),
        this.clone(),
        Profile::plain(),
        Some(known),
        4,
        at(15_000),
    );
    world.add("a", again.unwrap());
    world.cut("a", "b");
    world.cut("a", "c");
    world.handle("a", start(&["a", "b"]));
    world.run_until(30_000);
    assert_eq!(world.nodes["a"].gossip().members(), []);
    world.cut.clear();
    world.run_until(60_000);
    assert_eq!(
        world.nodes["b"]
            .gossip()
            .member(&this)
            .map(|member| member.status),
        Some(Status::Up)
    );
}

#[test]
fn two_rules_of_downing_do_not_come_together() {
    let mut settings = Settings::default();
    let mut world = World::of(&["a"], &["a"], &settings);
    settings.downing.strategy = StrategyName::DownAll;
    world.add("b", machine_with("b", settings, None));
    world.handle("b", start(&["a"]));
    world.run_until(5_000);
    assert!(matches!(
        world.ended.get("b"),
        Some(TerminateReason::JoinRefused { .. })
    ));
    assert_eq!(statuses(&world, "a"), all(&["a"], Status::Up));
}

#[test]
fn what_is_measured_is_what_has_happened() {
    let mut a = member(with(picture("a b c"), "", "a b c"));
    assert_eq!(a.counters(), &Counters::default());
    assert_eq!(a.suspicions(at(0)).count(), 0);
    // Four heartbeats, each answered at once by both.
    for second in 0..4 {
        wake(&mut a, 1000 * second);
        for host in ["b", "c"] {
            let answer = Message::HeartbeatReply(beat(second + 1, 1000 * second));
            step(&mut a, 1000 * second, from(host, 1000 * second, answer));
        }
    }
    // From then on by c alone; b's last answer comes when it had been given up, and then once more.
    for second in 4..10 {
        wake(&mut a, 1000 * second);
        let answer = Message::HeartbeatReply(beat(second + 1, 1000 * second));
        step(&mut a, 1000 * second, from("c", 1000 * second, answer));
    }
    let suspected: Vec<(&str, bool)> = a
        .suspicions(at(9000))
        .map(|(node, phi)| (node.address.host(), 8.0 <= phi))
        .collect();
    assert_eq!(suspected, [("b", true), ("c", false)]);
    for _ in 0..2 {
        let answer = Message::HeartbeatReply(beat(5, 4000));
        step(&mut a, 9000, from("b", 9000, answer));
    }
    // The picture as it is, three times; a stranger's; and values of c that break a limit.
    let known = a.gossip().clone();
    for millis in [9100, 9200, 9300] {
        step(&mut a, millis, from("c", millis, gossip(known.clone())));
    }
    step(&mut a, 9400, from("x", 9400, gossip(known)));
    let entry = SharedEntry {
        key: "k".into(),
        entry: None,
        seq: 1,
        value: Some(alloc::vec![0; VALUE_BYTES_MAX + 1].into()),
    };
    let delta = SharedDelta(
        [OwnerDelta {
            owner: node("c"),
            from: 0,
            to: 1,
            floor: 0,
            entries: [entry].into(),
        }]
        .into(),
    );
    step(&mut a, 9500, from("c", 9500, Message::SharedState(delta)));
    assert_eq!(
        a.counters(),
        &Counters {
            gossip_received: 3,
            last_gossip: Some(at(9300)),
            rejected: [(Rejected::UnknownSender, 1)].into(),
            late_heartbeats: 1,
            stale_heartbeats: 1,
            shared_refused: 1,
            ..Counters::default()
        }
    );
}

#[test]
fn who_takes_over_waits_for_as_long_as_a_decision_takes() {
    let settings = |text: &str| toml::from_str::<Settings>(text).unwrap();
    for (text, seconds) in [
        ("", 20),
        ("stable-after = '5s'", 5),
        ("downing.strategy = 'off'", 0),
    ] {
        let a = member_with(settings(text), picture("a b"));
        assert_eq!(a.removal_margin(), Duration::from_secs(seconds));
    }
}

#[test]
fn an_operator_shuts_an_incarnation_out_and_a_member_that_is_let_in_again_is_reached_once_it_answers()
 {
    let mut a = member(with(picture("a b c"), "", "a b c"));
    let command = |a: &mut Membership, command| {
        let id = CommandId(1);
        shown(&step(a, 0, Event::Command { id, command }))
    };
    assert_eq!(
        command(&mut a, Command::Quarantine { node: node("b") }),
        [
            "log quarantined b",
            "quarantine b",
            "reply to 1: Done",
            "log unreachable b",
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a, aTb");
    assert_eq!(
        command(&mut a, Command::Quarantine { node: node("a") }),
        ["reply to 1: a node cannot shut itself out; let it leave, or declare it down"]
    );
    // Another incarnation at its address is another one.
    assert_eq!(
        command(&mut a, Command::ClearQuarantine { node: node("b#2") }),
        ["reply to 1: Done"]
    );
    assert_eq!(
        command(&mut a, Command::ClearQuarantine { node: node("b") }),
        ["let in b", "reply to 1: Done"]
    );
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a, a→b");
    let mut told = Vec::new();
    for second in 1..=3 {
        told.extend(wake(&mut a, 1000 * second));
        for host in ["b", "c"] {
            let answer = Message::HeartbeatReply(beat(second + 1, 1000 * second));
            step(&mut a, 1000 * second, from(host, 1000 * second, answer));
        }
    }
    assert!(told.contains(&"log reachable b".into()), "{told:?}");
    assert_eq!(shown_picture(a.gossip()), "a b c, seen by a");
}
