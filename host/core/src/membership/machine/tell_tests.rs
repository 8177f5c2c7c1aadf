//! §2.18 and §1.A, C, D: what subscribers, callbacks and those who share values hear.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::shown_tests::shown;
use super::world_tests::{World, address, at, from, gossip, machine, member, node, start, step};
use crate::membership::consensus::{Extract, TOPOLOGY, WaitId};
use crate::membership::effects::Effect;
use crate::membership::event::Interest;
use crate::membership::fixture::{picture, with};
use crate::membership::inputs::{CallbackId, Command, CommandId, Event, Target};
use crate::membership::machine::Membership;
use crate::membership::member::Status;
use crate::membership::settings::Settings;
use crate::membership::state::ClusterState;
use crate::membership::subscription::{Mode, Notice, SubscriberId};

fn command(a: &mut Membership, command: Command) -> Vec<String> {
    let id = CommandId(1);
    shown(&step(a, 0, Event::Command { id, command }))
}

fn subscribe(mode: Mode, interest: Interest) -> Command {
    Command::Subscribe {
        subscriber: SubscriberId(5),
        mode,
        interest,
    }
}

#[test]
fn a_subscriber_hears_the_present_first_and_then_changes_in_their_order() {
    let mut a = member(with(picture("a b c"), "", "a b c"));
    assert_eq!(
        command(&mut a, subscribe(Mode::Snapshot, Interest::default())),
        ["publish to 5: snapshot of 3 members", "reply to 1: Done"]
    );
    let mut told = a.gossip().clone();
    told.change(&node("b"))
        .set_status(&node("a"), Status::Leaving)
        .unwrap();
    assert_eq!(
        shown(&step(&mut a, 0, from("b", 0, gossip(told)))),
        [
            "to b: status",
            "log member-changed a up leaving",
            "publish to 5: member-left a",
            "publish to 5: topology-changed",
        ]
    );
    command(
        &mut a,
        Command::Unsubscribe {
            subscriber: SubscriberId(5),
        },
    );
    let left = command(
        &mut a,
        Command::Leave {
            node: Target::Current(address("b")),
        },
    );
    assert!(
        !left.iter().any(|line| line.starts_with("publish")),
        "{left:?}"
    );
}

#[test]
fn who_subscribes_before_the_join_misses_nothing() {
    let mut a = machine("a");
    assert_eq!(
        command(&mut a, subscribe(Mode::Events, Interest::all())),
        ["reply to 1: Done"]
    );
    assert_eq!(
        shown(&step(&mut a, 0, start(&["a"])))[3..],
        [
            "publish to 5: member-up a",
            "publish to 5: leader-changed a",
            "publish to 5: role-leader-changed dc-default a",
            "publish to 5: seen-changed",
            "publish to 5: topology-changed",
        ]
    );
}

#[test]
fn the_end_is_told_last() {
    let mut a = member(with(picture("a:e b"), "", "b"));
    command(&mut a, subscribe(Mode::Snapshot, Interest::default()));
    command(
        &mut a,
        Command::OnMemberRemoved {
            callback: CallbackId(8),
        },
    );
    let ended = shown(&step(&mut a, 0, Event::ExitingDone));
    let told: Vec<_> = ended
        .iter()
        .filter(|line| !line.starts_with("to "))
        .collect();
    assert_eq!(
        told,
        [
            "publish to 5: cluster-shutting-down",
            "publish to 5: member-removed a exiting",
            "callback 8",
            "terminate: Left",
        ]
    );
    assert!(a.state().member(&node("a")).is_none());
    assert_eq!(
        command(
            &mut a,
            Command::OnMemberRemoved {
                callback: CallbackId(9)
            }
        ),
        ["callback 9", "reply to 1: Done"]
    );
}

#[test]
fn nothing_more_can_be_asked_of_a_membership_that_has_ended() {
    let mut a = member(with(picture("a:e b"), "", "b"));
    let wait = Command::AwaitConsensus {
        wait: WaitId(3),
        key: "step".into(),
        timeout: Duration::from_secs(60),
    };
    command(
        &mut a,
        Command::RegisterConsensus {
            key: "step".into(),
            extract: Extract::NUMBER,
        },
    );
    command(&mut a, wait.clone());
    let ended = shown(&step(&mut a, 0, Event::ExitingDone));
    assert!(ended.contains(&"waited 3: None".into()), "{ended:?}");
    let stopped = ["reply to 1: this node's membership has ended"];
    assert_eq!(command(&mut a, wait), stopped);
    assert_eq!(command(&mut a, Command::PrepareShutdown), stopped);
}

#[test]
fn a_callback_is_called_once_whenever_it_was_asked_for() {
    let mut a = machine("a");
    assert_eq!(
        command(
            &mut a,
            Command::OnMemberUp {
                callback: CallbackId(1)
            }
        ),
        ["reply to 1: Done"]
    );
    let formed = shown(&step(&mut a, 0, start(&["a"])));
    assert_eq!(
        formed
            .iter()
            .filter(|line| line.starts_with("callback"))
            .count(),
        1
    );
    assert_eq!(
        command(
            &mut a,
            Command::OnMemberUp {
                callback: CallbackId(2)
            }
        ),
        ["callback 2", "reply to 1: Done"]
    );
}

#[test]
fn events_fold_to_the_state() {
    let hosts = ["a", "b", "c", "d"];
    let mut world = World::new();
    for host in hosts {
        world.add(host, machine(host));
        world.command(host, subscribe(Mode::Events, Interest::all()));
        world.handle(host, start(&["a"]));
    }
    world.run_until(15_000);
    world.command(
        "a",
        Command::Leave {
            node: Target::Current(address("d")),
        },
    );
    world.crash("c");
    world.run_until(70_000);
    for host in ["a", "b"] {
        let mut folded = ClusterState::default();
        for (_, teller, effect) in &world.effects {
            if let (
                true,
                Effect::Publish {
                    notice: Notice::Event(event),
                    ..
                },
            ) = (teller == host, effect)
            {
                folded.apply(event);
            }
        }
        assert!(
            folded.tells_the_same_as(world.nodes[host].state()),
            "{host}"
        );
    }
}

#[test]
fn shared_values_reach_all_and_go_with_their_node() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(15_000);
    let set = |value: &[u8]| Command::SetState {
        key: "colour".into(),
        value: value.into(),
    };
    world.command("a", set(b"red"));
    world.run_until(18_000);
    let at_c = |world: &World| {
        world.nodes["c"]
            .shared()
            .get_of(&node("a"), "colour")
            .cloned()
    };
    assert_eq!(at_c(&world), Some(Arc::from(&b"red"[..])));
    world.command("a", set(b"blue"));
    world.run_until(21_000);
    assert_eq!(at_c(&world), Some(Arc::from(&b"blue"[..])));
    world.crash("a");
    world.run_until(60_000);
    assert_eq!(at_c(&world), None);
}

#[test]
fn a_value_that_is_too_long_is_refused_by_name() {
    let mut a = member(picture("a"));
    let long = Command::SetState {
        key: "k".into(),
        value: alloc::vec![0; (64 << 10) + 1].into(),
    };
    let told = command(&mut a, long);
    assert!(told[0].contains("is at most 65536, not 65537"), "{told:?}");
}

#[test]
fn agreement_is_told_and_revoked() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(15_000);
    world.command(
        "a",
        Command::RegisterConsensus {
            key: "step".into(),
            extract: Extract::NUMBER,
        },
    );
    world.command(
        "a",
        Command::RegisterConsensus {
            key: TOPOLOGY.into(),
            extract: Extract::WHOLE,
        },
    );
    world.command(
        "a",
        Command::AwaitConsensus {
            wait: WaitId(3),
            key: "step".into(),
            timeout: Duration::from_secs(60),
        },
    );
    let set = |number: u64| Command::SetState {
        key: "step".into(),
        value: number.to_le_bytes().into(),
    };
    for host in hosts {
        world.command(host, set(4));
    }
    world.run_until(20_000);
    assert_eq!(world.nodes["a"].agreed("step"), Some(4));
    world.command("b", set(5));
    world.run_until(25_000);
    assert_eq!(world.nodes["a"].agreed("step"), None);
    let told: Vec<String> = world
        .effects
        .iter()
        .flat_map(|(_, _, effect)| shown(core::slice::from_ref(effect)))
        .filter(|line| line.starts_with("agreed on step") || line.starts_with("waited"))
        .collect();
    assert_eq!(
        told,
        [
            "agreed on step: Some(4)",
            "waited 3: Some(4)",
            "agreed on step: None"
        ]
    );
}

#[test]
fn a_word_reaches_every_member_this_one_too() {
    let mut a = member(picture("a b c"));
    let word = |byte: u8| Command::Broadcast {
        bytes: [byte].as_slice().into(),
    };
    assert_eq!(
        command(&mut a, word(1)),
        [
            "deliver from a: [1]",
            "to b: broadcast ([[1]])",
            "to c: broadcast ([[1]])",
            "reply to 1: Done",
        ]
    );
    // The next one waits for a moment, for others that may come.
    assert_eq!(command(&mut a, word(2)), ["reply to 1: Done"]);
    assert_eq!(a.next_wake(), Some(at(10)));
    assert_eq!(
        shown(&step(&mut a, 10, Event::Wake))[0],
        "deliver from a: [2]"
    );
    let mut x = machine("x");
    assert_eq!(
        command(&mut x, word(1)),
        ["reply to 1: this node is not a member of a cluster; join first"]
    );
}
