//! §2.7 to §2.9: leaving, being declared dead, and the shutdown of all.

use alloc::string::String;
use alloc::vec::Vec;

use super::shown_tests::{picture as shown_picture, shown, told};
use super::world_tests::{World, address, all, from, gossip, member, node, start, statuses, step};
use crate::id::Time;
use crate::membership::effects::{Effect, TerminateReason};
use crate::membership::fixture::{picture, with};
use crate::membership::inputs::{Command, CommandId, Event, Target};
use crate::membership::machine::Membership;
use crate::membership::member::{Decider, Member, Profile, Status};
use crate::membership::message::Message;
use crate::membership::settings::Settings;

fn command(a: &mut Membership, command: Command) -> Vec<String> {
    let id = CommandId(1);
    shown(&step(a, 0, Event::Command { id, command }))
}

fn at(host: &str) -> Target {
    Target::Current(address(host))
}

#[test]
fn leave_marks_the_member_and_is_told_at_once() {
    let mut a = member(with(picture("a b"), "", "a b"));
    assert_eq!(
        command(&mut a, Command::Leave { node: at("b") }),
        [
            "to b: gossip-delta",
            "reply to 1: DoneTo(b:7000#0000000000000001)",
            "log member-changed b up leaving",
        ]
    );
    assert_eq!(
        command(&mut a, Command::Leave { node: at("b") }),
        ["reply to 1: DoneTo(b:7000#0000000000000001)"]
    );
}

#[test]
fn leave_is_legal_before_up_and_during_a_shutdown() {
    for before in ["b:j", "b:w", "b:p", "b:r"] {
        let mut a = member(picture(&alloc::format!("a {before}")));
        let done = command(&mut a, Command::Leave { node: at("b") });
        assert!(done[1].starts_with("reply to 1: DoneTo"), "{done:?}");
    }
}

#[test]
fn leave_of_one_that_is_down_is_refused_and_counted() {
    let mut a = member(picture("a b:d c"));
    assert_eq!(
        command(&mut a, Command::Leave { node: at("b") }),
        [
            "log illegal-transition b down leaving",
            "reply to 1: b:7000#0000000000000001 is down and cannot become leaving",
        ]
    );
    assert_eq!(a.counters().illegal_transitions, 1);
}

#[test]
fn who_is_meant_is_found_or_named() {
    let mut a = member(picture("a b"));
    assert_eq!(
        command(&mut a, Command::Down { node: node("x") }),
        ["reply to 1: x:7000#0000000000000001 is not a member"]
    );
    assert_eq!(
        command(&mut a, Command::Leave { node: at("x") }),
        ["reply to 1: x:7000 is not a member"]
    );
    let gone = node("b#9");
    for wish in [
        Command::Down { node: gone.clone() },
        Command::Leave {
            node: Target::Incarnation(gone),
        },
    ] {
        assert_eq!(
            command(&mut a, wish),
            ["reply to 1: b:7000 is b:7000#0000000000000001 by now; name that one if it is meant"]
        );
    }
    assert_eq!(shown_picture(a.gossip()), "a b, seen by ");
    let mut x = super::world_tests::machine("x");
    for (wish, why) in [
        (Command::Leave { node: at("b") }, "join first"),
        (Command::Down { node: node("b") }, "join first"),
        (Command::PrepareShutdown, "join first"),
    ] {
        let reply = command(&mut x, wish);
        assert!(reply[0].contains(why), "{reply:?}");
    }
}

#[test]
fn a_node_that_exits_shuts_down_first_and_is_seen_to_have_seen_it_only_then() {
    let mut c = member(with(picture("a:l b c"), "", "a b c"));
    let exiting = {
        let mut told = c.gossip().clone();
        told.change(&node("b"))
            .set_status(&node("a"), Status::Exiting)
            .unwrap();
        told
    };
    assert_eq!(
        shown(&step(&mut c, 0, from("b", 0, gossip(exiting)))),
        ["log member-changed a leaving exiting", "begin exit: Left",]
    );
    assert_eq!(shown_picture(c.gossip()), "a:e b c, seen by b");
    let done = step(&mut c, 10, Event::ExitingDone);
    let done = told(&c, &done);
    let mut lines: Vec<&str> = done.iter().map(String::as_str).collect();
    lines[..2].sort_unstable();
    assert_eq!(
        lines,
        [
            "to b: status (asks, seen by a b)",
            "to c: gossip-delta (a:e b c, seen by a b)",
            "to b: exiting-confirmed",
            "to c: exiting-confirmed",
            "terminate: Left",
        ]
    );
    assert_eq!(
        (step(&mut c, 20, Event::ExitingDone), c.next_wake()),
        (Vec::new(), None)
    );
}

#[test]
fn down_is_told_to_the_one_that_is_down() {
    let mut a = member(picture("a b c"));
    assert_eq!(
        command(&mut a, Command::Down { node: node("b") }),
        [
            "to b: gossip (a b:d c, seen by a)",
            "reply to 1: DoneTo(b:7000#0000000000000001)",
            "log member-changed b up down",
            "persist the cluster of a c",
        ]
    );
    let downed_by = a.gossip().member(&node("b")).unwrap().downed_by.clone();
    assert_eq!(downed_by, Some(Decider::Operator));
    // Once is enough.
    assert_eq!(
        command(&mut a, Command::Down { node: node("b") }),
        ["reply to 1: DoneTo(b:7000#0000000000000001)"]
    );
}

#[test]
fn many_are_down_in_one_version_of_which_each_is_told() {
    let mut a = member(picture("a b c d"));
    let mut out = Vec::new();
    let nodes = [node("b"), node("c"), node("x"), node("a")];
    a.down_all(&nodes, &Decider::Operator, &mut out);
    let mut told = shown(&out);
    told[2..].sort_unstable();
    let to = |host| alloc::format!("to {host}: gossip (a:d b:d c:d d, seen by )");
    // Those that are downed, and then the last words of one that goes itself.
    assert_eq!(told, ["b", "c", "b", "c", "d"].map(to));
}

#[test]
fn down_is_legal_for_every_status() {
    for before in ["b:j", "b:w", "b", "b:p", "b:r", "b:l", "b:e"] {
        let mut a = member(picture(&alloc::format!("a {before}")));
        command(&mut a, Command::Down { node: node("b") });
        let status = a.gossip().member(&node("b")).unwrap().status;
        assert_eq!(status, Status::Down, "{before}");
    }
}

#[test]
fn a_node_that_is_down_begins_its_exit_and_ends_when_one_that_stays_knows() {
    let mut a = member(picture("a b c"));
    let downed = command(&mut a, Command::Down { node: node("a") });
    let mut told: Vec<&str> = downed.iter().map(String::as_str).collect();
    told[..2].sort_unstable();
    assert_eq!(
        told,
        [
            "to b: gossip (a:d b c, seen by )",
            "to c: gossip (a:d b c, seen by )",
            "reply to 1: DoneTo(a:7000#0000000000000001)",
            "log member-changed a up down",
            "begin exit: Downed",
        ]
    );
    let waits = shown(&step(&mut a, 1000, Event::Wake));
    assert!(!waits.contains(&"terminate: Downed".into()), "{waits:?}");

    let mut a = member(with(picture("a:d b c"), "", "c"));
    let ended = shown(&step(&mut a, 1000, Event::Wake));
    assert_eq!(ended.last().map(String::as_str), Some("terminate: Downed"));
    assert_eq!(a.next_wake(), None);
    // Nobody that it reaches stays.
    let mut a = member(with(picture("a:d b c"), "b→c c→b", ""));
    let ended = shown(&step(&mut a, 1000, Event::Wake));
    assert_eq!(ended.last().map(String::as_str), Some("terminate: Downed"));
}

#[test]
fn a_node_that_is_down_waits_for_the_others_that_are_but_not_for_long() {
    let mut a = member(with(picture("a:d b:d c"), "", "c"));
    for second in 1..=4 {
        let woken = shown(&step(&mut a, 1000 * second, Event::Wake));
        assert!(
            !woken.contains(&"terminate: Downed".into()),
            "{second}: {woken:?}"
        );
    }
    let woken = shown(&step(&mut a, 5000, Event::Wake));
    assert_eq!(woken.last().map(String::as_str), Some("terminate: Downed"));

    let mut heard = member(with(picture("a:d b:d c"), "", "b c"));
    let woken = shown(&step(&mut heard, 1000, Event::Wake));
    assert_eq!(woken.last().map(String::as_str), Some("terminate: Downed"));
}

#[test]
fn one_that_was_removed_unheard_is_told_and_ends() {
    let mut removed = picture("a b c:d");
    removed.change(&node("a")).remove(&node("c")).unwrap();
    let mut a = member(removed);
    let beat = Message::Heartbeat(crate::membership::message::Beat {
        seq: 1,
        sent: super::world_tests::at(0),
    });
    assert_eq!(
        shown(&step(&mut a, 0, from("c", 0, beat))),
        ["to c: gone", "log rejected heartbeat from c: GoneSender 1"]
    );

    let mut unheard = member(picture("a b c"));
    let ended = shown(&step(&mut unheard, 0, from("b", 0, Message::Gone)));
    assert!(ended.contains(&"begin exit: Downed".into()), "{ended:?}");
    let downed_by = unheard
        .gossip()
        .member(&node("a"))
        .unwrap()
        .downed_by
        .clone();
    assert!(downed_by.is_some());
    // Somebody whom this node itself has removed is told of this cluster: now there are two.
    let mut removed = with(picture("a b c:d"), "", "a b");
    removed.change(&node("a")).remove(&node("c")).unwrap();
    removed.see(&node("b"));
    let mut other = member(removed);
    assert_eq!(
        shown(&step(&mut other, 0, from("c", 0, Message::Gone))),
        ["to c: presence (of a: Some(2))"]
    );
    assert_eq!(other.own_status(), Some(Status::Up));
}

#[test]
fn a_shutdown_of_all_marks_who_is_up_and_cannot_be_taken_back() {
    let mut a = member(picture("a b c:j d:w e:l"));
    let prepared = command(&mut a, Command::PrepareShutdown);
    assert_eq!(
        prepared[1..],
        [
            "reply to 1: Done",
            "log member-changed a up preparing-for-shutdown",
            "log member-changed b up preparing-for-shutdown",
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a:p b:p c:j d:w e:l, seen by a");
    assert_eq!(
        command(&mut a, Command::PrepareShutdown),
        ["reply to 1: Done"]
    );
}

#[test]
fn a_member_that_sees_another_prepare_follows() {
    let mut a = member(picture("a b c"));
    let mut told = a.gossip().clone();
    told.change(&node("b"))
        .set_status(&node("b"), Status::PreparingForShutdown)
        .unwrap();
    assert_eq!(
        shown(&step(&mut a, 0, from("b", 0, gossip(told)))),
        [
            "to b: status",
            "log member-changed b up preparing-for-shutdown",
            "log member-changed a up preparing-for-shutdown",
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a:p b:p c, seen by a");
}

#[test]
fn one_leaves_and_the_others_go_on() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(15_000);
    world.command("a", Command::Leave { node: at("c") });
    world.run_until(25_000);
    assert_eq!(world.ended.get("c"), Some(&TerminateReason::Left));
    assert_eq!(statuses(&world, "a"), all(&["a", "b"], Status::Up));
    assert_eq!(statuses(&world, "b"), all(&["a", "b"], Status::Up));
    let steps: Vec<String> = world
        .effects
        .iter()
        .filter(|(_, host, _)| host == "b")
        .flat_map(|(_, _, effect)| shown(core::slice::from_ref(effect)))
        .filter(|line| line.starts_with("log member-changed c"))
        .collect();
    assert_eq!(
        steps[steps.len() - 3..],
        [
            "log member-changed c up leaving",
            "log member-changed c leaving exiting",
            "log member-changed c exiting removed",
        ]
    );
}

#[test]
fn the_leader_leaves_and_another_one_leads() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(15_000);
    world.command("a", Command::Leave { node: at("a") });
    world.run_until(25_000);
    assert_eq!(world.ended.get("a"), Some(&TerminateReason::Left));
    assert_eq!(statuses(&world, "b"), all(&["b", "c"], Status::Up));
    assert_eq!(
        world.nodes["c"].state().leader,
        Some(world.nodes["b"].this().clone())
    );
}

#[test]
fn a_lone_node_leaves() {
    let mut world = World::of(&["a"], &["a"], &Settings::default());
    world.command("a", Command::Leave { node: at("a") });
    world.run_until(5_000);
    assert_eq!(world.ended.get("a"), Some(&TerminateReason::Left));
}

#[test]
fn a_node_that_was_cut_off_and_declared_dead_ends_when_it_is_heard_again() {
    let hosts = ["a", "b", "c"];
    let mut settings = Settings::default();
    settings.downing.strategy = crate::membership::settings::StrategyName::Off;
    let mut world = World::of(&hosts, &["a"], &settings);
    world.run_until(15_000);
    world.cut("c", "a");
    world.cut("c", "b");
    world.run_until(30_000);
    assert!(world.nodes["a"].state().unreachable.contains(&node("c")));
    world.command("a", Command::Down { node: node("c") });
    world.run_until(35_000);
    assert_eq!(statuses(&world, "b"), all(&["a", "b"], Status::Up));
    assert!(world.nodes.contains_key("c"));
    world.cut.clear();
    world.run_until(45_000);
    assert_eq!(world.ended.get("c"), Some(&TerminateReason::Downed));
    assert_eq!(statuses(&world, "a"), all(&["a", "b"], Status::Up));
}

#[test]
fn the_smaller_side_of_a_partition_goes_and_the_larger_one_stays() {
    let hosts = ["a", "b", "c", "d", "e"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(20_000);
    for one in ["a", "b"] {
        for other in ["c", "d", "e"] {
            world.cut(one, other);
        }
    }
    world.run_until(80_000);
    for host in ["a", "b"] {
        assert_eq!(world.ended.get(host), Some(&TerminateReason::Downed));
    }
    for host in ["c", "d", "e"] {
        assert_eq!(
            statuses(&world, host),
            all(&["c", "d", "e"], Status::Up),
            "{host}"
        );
    }
    let explained = world.effects.iter().filter(|(_, _, effect)| {
        matches!(effect, Effect::Explain(explanation) if explanation.replay().is_some())
    });
    assert!(2 <= explained.count());
}

#[test]
fn the_whole_cluster_prepares_for_its_shutdown() {
    let hosts = ["a", "b", "c"];
    let mut world = World::of(&hosts, &["a"], &Settings::default());
    world.run_until(15_000);
    world.command("b", Command::PrepareShutdown);
    world.run_until(25_000);
    for host in hosts {
        assert_eq!(
            statuses(&world, host),
            all(&hosts, Status::ReadyForShutdown),
            "{host}"
        );
    }
    world.command("a", Command::Leave { node: at("c") });
    world.run_until(35_000);
    assert_eq!(world.ended.get("c"), Some(&TerminateReason::Left));
}

#[test]
fn who_was_let_in_by_one_that_is_gone_makes_itself_known() {
    let seen = |members: &str| {
        // `c`, which let `x` in, was removed before it could tell.
        let mut own = picture("a b c:d");
        own.change(&node("a")).remove(&node("c")).unwrap();
        let mut a = member(own);
        let mut theirs = picture(members);
        let x = Member::joining(node("x"), Profile::plain().into());
        theirs.change(&node("c")).join(x).unwrap();
        step(&mut a, 0, from("x", 0, gossip(theirs)));
        shown_picture(a.gossip())
    };
    assert_eq!(seen("a b c"), "a b x:j, seen by a");
    // On its side of a partition `b` is dead: that is not taken over from a stranger.
    assert_eq!(seen("a b:d c"), "a b, seen by a");
}

#[test]
fn whom_another_data_centre_has_lost_keeps_nobody_from_making_itself_known() {
    // `b` was removed on the side of `c`, which let `x` in in its place and is gone.
    let mut own = picture("a b@west c@south:d");
    own.change(&node("a")).remove(&node("c")).unwrap();
    let mut a = member(own);
    let mut theirs = picture("a b:d@west c@south");
    let x = Member::joining(node("x"), Profile::plain().into());
    theirs.change(&node("c")).join(x).unwrap();
    theirs.change(&node("c")).remove(&node("b")).unwrap();
    step(&mut a, 0, from("x", 0, gossip(theirs)));
    assert_eq!(shown_picture(a.gossip()), "a x:j, seen by a");
}

#[test]
fn who_holds_nothing_begins_again_when_a_stranger_says_that_it_was_removed() {
    let gone = || from("x", 0, Message::Gone);
    let shut_out = || Event::QuarantinedBy { node: node("x") };
    for word in [gone, shut_out] {
        // All that it knows of its own data centre have joined, as it has.
        let mut a = member(picture("a:w b:j c@west"));
        step(&mut a, 0, word());
        assert_eq!(a.own_status(), Some(Status::Down));
        // The stranger may be on the wrong side of a partition, and this node on the right one.
        let mut a = member(picture("a:w b c@west"));
        step(&mut a, 0, word());
        assert_eq!(a.own_status(), Some(Status::WeaklyUp));
    }
}

#[test]
fn the_first_of_a_data_centre_ends_with_the_one_that_let_it_in() {
    let mut world = World::new();
    for (host, dc) in [("a", "east"), ("b", "east"), ("x", "west")] {
        let dc = dc.into();
        let profile = Profile {
            dc,
            ..Profile::plain()
        };
        let settings = Settings::default();
        let node = Membership::new(settings, node(host), profile, None, 1, Time(0)).unwrap();
        world.add(host, node);
    }
    world.handle("a", start(&["a"]));
    world.handle("b", start(&["a"]));
    world.run_until(10_000);
    // `b` is cut off, and lets `x` in; then its data centre is lost on this side.
    world.cut("a", "b");
    world.cut("a", "x");
    world.handle("x", start(&["b"]));
    world.run_until(12_000);
    assert_eq!(world.status("b", "x"), Some(Status::Joining));
    for host in ["a", "b"] {
        let node = node(host);
        world.command("b", Command::Down { node });
    }
    world.run_until(30_000);
    // Alone it would go on beside `a`, which it holds for dead, and which knows nothing of it.
    assert_eq!(world.ended.get("x"), Some(&TerminateReason::Downed));
}

#[test]
fn a_member_that_sees_itself_removed_ends_with_that_reason() {
    let mut a = member(with(picture("a b"), "", "a b"));
    // No picture that comes can do that, for one without this node is not looked at: it is what is left if anything else ever did.
    a.update(|change| change.remove(&node("a"))).unwrap();
    let told = step(&mut a, 0, Event::Wake);
    let reason = TerminateReason::Removed;
    assert_eq!(told.last(), Some(&Effect::Terminate { reason }));
    assert_eq!(a.next_wake(), None);
}
