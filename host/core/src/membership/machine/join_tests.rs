//! §2.6: the way in, from both sides.

use alloc::vec::Vec;
use core::time::Duration;

use super::shown_tests::{picture as shown_picture, shown};
use super::world_tests::{
    CLUSTER, World, address, all, at, from, machine, machine_with, member, node, received, start,
    statuses, step,
};
use crate::membership::address::UniqueAddress;
use crate::membership::effects::{Effect, TerminateReason};
use crate::membership::fixture::picture;
use crate::membership::gossip::MEMBERS_MAX;
use crate::membership::inputs::{Command, CommandId, Event};
use crate::membership::machine::Membership;
use crate::membership::member::{Member, Profile, Status};
use crate::membership::message::{
    ClusterId, ConfigCheck, Envelope, InitJoin, InitJoinAck, Join, Message, NackReason, Presence,
    RefuseReason, Welcome,
};
use crate::membership::protocol::{ProtocolRange, ProtocolVersion};
use crate::membership::settings::{Optional, Settings};

/// A message of the way in: the sender belongs to the cluster that it names, if any.
pub(super) fn handshake(host: &str, cluster: Option<ClusterId>, message: Message) -> Event {
    received(
        0,
        Envelope {
            from: node(host),
            to: Some(1),
            cluster,
            version: ProtocolVersion(1),
            message,
        },
    )
}

fn ack() -> Message {
    Message::InitJoinAck(InitJoinAck {
        check: ConfigCheck::Unchecked(init_join().config),
        protocol: ProtocolRange::SUPPORTED,
        before: Vec::new(),
    })
}

/// A welcome to the cluster that `a` formed.
pub(super) fn welcome(members: &str) -> Message {
    Message::Welcome(Welcome {
        founder: node("a"),
        gossip: picture(members),
    })
}

pub(super) fn init_join() -> InitJoin {
    let settings = Settings::default();
    InitJoin {
        name: settings.name,
        protocol: ProtocolRange::SUPPORTED,
        config: [("downing.strategy", "keep-majority")]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
    }
}

pub(super) fn join() -> Join {
    Join {
        name: "granary".into(),
        profile: Profile::plain().into(),
        after: Vec::new(),
    }
}

/// `x`, which searches through `a`.
pub(super) fn searching(settings: Settings, known: Option<ClusterId>) -> Membership {
    let mut x = machine_with("x", settings, known);
    step(&mut x, 0, start(&["a", "b"]));
    x
}

/// `x`, which asked `a` to let it in.
pub(super) fn asking() -> Membership {
    let mut x = searching(Settings::default(), None);
    let asked = step(&mut x, 0, handshake("a", Some(CLUSTER), ack()));
    assert_eq!(shown(&asked), ["to a: join"]);
    x
}

#[test]
fn a_lone_seed_forms_a_cluster_and_is_up_at_once() {
    let mut a = machine("a");
    let formed = step(&mut a, 0, start(&["a"]));
    assert_eq!(
        shown(&formed),
        [
            "persist the cluster of a",
            "log cluster-formed",
            "log member-changed a none up"
        ]
    );
    assert_eq!(shown_picture(a.gossip()), "a, seen by a");
    assert_eq!(a.gossip().members()[0].up_number, Some(1));
}

#[test]
fn a_node_asks_all_others_once_a_second_and_nobody_else() {
    let mut x = machine("x");
    let asked = ["to a?: init-join", "to b?: init-join"];
    assert_eq!(shown(&step(&mut x, 0, start(&["a", "b", "x"]))), asked);
    assert_eq!(x.next_wake(), Some(at(1000)));
    assert_eq!(step(&mut x, 999, Event::Wake), []);
    assert_eq!(shown(&step(&mut x, 1000, Event::Wake)), asked);
}

#[test]
fn the_first_seed_forms_a_cluster_when_the_others_have_none_either() {
    let mut a = machine("a");
    step(&mut a, 0, start(&["a", "b"]));
    let nack = Message::InitJoinNack(NackReason::NotInACluster);
    let formed = step(&mut a, 0, handshake("b", None, nack));
    assert_eq!(shown(&formed)[1], "log cluster-formed");
}

#[test]
fn one_that_is_about_to_join_is_no_reason_to_form_a_cluster() {
    let mut a = machine("a");
    step(&mut a, 0, start(&["a", "b"]));
    let nack = Message::InitJoinNack(NackReason::NotAccepting);
    assert_eq!(step(&mut a, 0, handshake("b", None, nack)), []);
}

#[test]
fn the_welcome_is_adopted_and_answered() {
    let mut x = asking();
    let letter = welcome("a b x:j");
    let done = step(&mut x, 0, handshake("a", Some(CLUSTER), letter));
    assert_eq!(
        shown(&done),
        [
            "persist the cluster of a b",
            "to a: status",
            "log member-changed a none up",
            "log member-changed b none up",
            "log member-changed x none joining",
        ]
    );
    assert_eq!(x.cluster(), Some(CLUSTER));
}

#[test]
fn a_welcome_from_somebody_else_or_without_this_node_is_none() {
    let mut x = asking();
    let letter = welcome("a b x:j");
    assert_eq!(
        shown(&step(&mut x, 0, handshake("b", Some(CLUSTER), letter))),
        ["log rejected welcome from b: Unexpected 1"]
    );
    let letter = welcome("a b");
    assert_eq!(
        shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), letter))),
        ["log rejected welcome from a: WithoutSelf 1"]
    );
    let other = welcome("a b x#9:j");
    assert_eq!(
        shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), other))),
        ["log rejected welcome from a: WithoutSelf 2"]
    );
}

#[test]
fn a_refusal_that_passes_is_tried_again_soon() {
    let mut x = asking();
    let refused = Message::JoinRefused(RefuseReason::OldIncarnation { before: [7].into() });
    assert_eq!(
        shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), refused))),
        ["log join-failed by a: an older incarnation of this address is being removed"]
    );
    assert_eq!(x.next_wake(), Some(at(1000)));
    assert_eq!(
        shown(&step(&mut x, 1000, Event::Wake))[0],
        "to a?: init-join"
    );
}

#[test]
fn a_refusal_for_good_ends_the_node() {
    let mut x = asking();
    let refused = Message::JoinRefused(RefuseReason::Gone);
    let ended = step(&mut x, 0, handshake("a", Some(CLUSTER), refused));
    assert!(matches!(
        &ended[1],
        Effect::Terminate {
            reason: TerminateReason::JoinRefused { .. }
        }
    ));
    assert_eq!((ended.len(), x.next_wake()), (2, None));
}

#[test]
fn a_join_that_takes_too_long_ends_the_node() {
    let settings = Settings {
        shutdown_after_unsuccessful_join_seed_nodes: Optional(Some(Duration::from_secs(20))),
        ..Settings::default()
    };
    let mut x = searching(settings, None);
    step(&mut x, 19_500, Event::Wake);
    assert_eq!(x.next_wake(), Some(at(20_000)));
    assert_eq!(
        shown(&step(&mut x, 20_000, Event::Wake)),
        [
            "log join-failed: no join succeeded in time",
            "terminate: JoinTimedOut"
        ]
    );
}

#[test]
fn a_node_that_knows_its_cluster_passes_another_by() {
    let mut x = searching(Settings::default(), Some(ClusterId(8)));
    let other = "its cluster is 00000000000000000000000000000007, not the one this node belongs to";
    let answered = step(&mut x, 0, handshake("a", Some(CLUSTER), ack()));
    assert_eq!(
        shown(&answered),
        [alloc::format!("log join-failed by a: {other}")]
    );
    let nack = Message::InitJoinNack(NackReason::OtherCluster(CLUSTER));
    let answered = step(&mut x, 0, handshake("a", Some(CLUSTER), nack));
    assert_eq!(
        shown(&answered),
        [alloc::format!("log join-failed by a: {other}")]
    );
}

#[test]
fn no_common_protocol_ends_the_join() {
    let newer = ProtocolRange {
        lowest: ProtocolVersion(3),
        highest: ProtocolVersion(4),
    };
    let mut x = searching(Settings::default(), None);
    let nack = Message::InitJoinNack(NackReason::NoCommonProtocol(newer));
    let ended = shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), nack)));
    assert_eq!(
        ended[0],
        "log join-failed by a: it speaks the protocol versions 3 to 4"
    );
    assert!(ended[1].starts_with("terminate: JoinRefused"), "{ended:?}");
}

#[test]
fn a_question_that_cannot_lead_to_a_join_is_answered_with_the_reason() {
    let newer = ProtocolRange {
        lowest: ProtocolVersion(3),
        highest: ProtocolVersion(4),
    };
    let nack = |a: &mut Membership, cluster, change: &dyn Fn(&mut InitJoin)| {
        let mut question = init_join();
        change(&mut question);
        let question = Message::InitJoin(question);
        shown(&step(a, 0, handshake("x", cluster, question)))
    };
    let mut a = member(picture("a b"));
    assert_eq!(
        nack(&mut a, None, &|question| question.name = "mill".into()),
        ["to x: init-join-nack (its cluster is named 'granary')"]
    );
    assert_eq!(
        nack(&mut a, None, &|question| question.protocol = newer),
        ["to x: init-join-nack (it speaks the protocol versions 1 to 1)"]
    );
    assert_eq!(
        nack(&mut a, Some(ClusterId(8)), &|_| {}),
        [
            "to x: init-join-nack (its cluster is 00000000000000000000000000000007, not the one this node belongs to)"
        ]
    );
    let mut going = member(picture("a:e b"));
    assert_eq!(
        nack(&mut going, None, &|_| {}),
        ["to x: init-join-nack (it is itself about to join, or to go)"]
    );
    let mut alone = searching(Settings::default(), None);
    let question = Message::InitJoin(init_join());
    assert_eq!(
        shown(&step(&mut alone, 0, handshake("b", None, question))),
        ["to b: init-join-nack (it belongs to no cluster itself)"]
    );
    let mut asking = asking();
    let question = Message::InitJoin(init_join());
    assert_eq!(
        shown(&step(&mut asking, 0, handshake("b", None, question))),
        ["to b: init-join-nack (it is itself about to join, or to go)"]
    );
}

#[test]
fn a_join_is_let_in_welcomed_and_told_of() {
    let mut a = member(picture("a b"));
    let joined = step(&mut a, 0, handshake("x", None, Message::Join(join())));
    assert_eq!(
        shown(&joined),
        [
            "to x: welcome (of a: a b x:j, seen by a)",
            "to b: gossip (a b x:j, seen by a)",
            "log welcomed x none",
            "log member-changed x none joining",
        ]
    );
    // The welcome got lost.
    assert_eq!(
        shown(&step(
            &mut a,
            5,
            handshake("x", None, Message::Join(join()))
        )),
        ["to x: welcome (of a: a b x:j, seen by a)"]
    );
}

#[test]
fn a_join_is_refused_with_its_reason() {
    let refused = |a: &mut Membership, cluster, change: &dyn Fn(&mut Join)| {
        let mut wish = join();
        change(&mut wish);
        shown(&step(a, 0, handshake("x", cluster, Message::Join(wish))))
    };
    let mut a = member(picture("a b"));
    assert_eq!(
        refused(&mut a, None, &|join| join.name = "mill".into()),
        ["to x: join-refused (its cluster is named 'granary')"]
    );
    assert_eq!(
        refused(&mut a, Some(ClusterId(8)), &|_| {}),
        [
            "to x: join-refused (its cluster is 00000000000000000000000000000007, not the one this node belongs to)"
        ]
    );
    assert_eq!(
        refused(&mut a, None, &|join| {
            let mut profile = Profile::plain();
            profile.roles.insert("dc-east".into());
            join.profile = profile.into();
        }),
        [
            "to x: join-refused (the profile breaks a limit: the role 'dc-east' says a data centre, which is set on its own)"
        ]
    );
    assert_eq!(
        refused(&mut a, None, &|join| {
            let newer = ProtocolRange {
                lowest: ProtocolVersion(3),
                highest: ProtocolVersion(4),
            };
            let mut profile = Profile::plain();
            profile.protocol = newer;
            join.profile = profile.into();
        }),
        ["to x: join-refused (it speaks the protocol versions 1 to 1)"]
    );
    let mut going = member(picture("a:d b"));
    assert_eq!(
        refused(&mut going, None, &|_| {}),
        ["to x: join-refused (it is itself about to go)"]
    );
    let mut preparing = member(picture("a:p b:p"));
    assert_eq!(
        refused(&mut preparing, None, &|_| {}),
        ["to x: join-refused (the whole cluster is shutting down)"]
    );
    let mut gossip = picture("a b x:d");
    gossip.change(&node("a")).remove(&node("x")).unwrap();
    let mut after = member(gossip);
    assert_eq!(
        refused(&mut after, None, &|_| {}),
        ["to x: join-refused (this incarnation was removed; a restarted one may join)"]
    );
}

#[test]
fn a_full_cluster_refuses_a_join_and_takes_it_once_there_is_room() {
    let mut gossip = picture("a");
    let this = node("a");
    let mut change = gossip.change(&this);
    for uid in 1..MEMBERS_MAX as u64 {
        let node = UniqueAddress::new(address(&alloc::format!("m{uid}")), uid);
        change
            .join(Member::joining(node, Profile::plain().into()))
            .unwrap();
    }
    drop(change);
    let mut a = member(gossip);
    let wish = || handshake("x", None, Message::Join(join()));
    assert_eq!(
        shown(&step(&mut a, 0, wish())),
        ["to x: join-refused (the cluster has its 10000 members)"]
    );
    // The joiner asks again later: a member may go.
    let mut x = asking();
    let refused = Message::JoinRefused(RefuseReason::Full { limit: 10_000 });
    let told = shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), refused)));
    assert_eq!(
        told,
        ["log join-failed by a: the cluster has its 10000 members"]
    );
    assert_eq!(x.next_wake(), Some(at(1000)));
}

#[test]
fn a_new_incarnation_waits_until_the_old_one_is_declared_dead_and_removed() {
    let mut a = member(picture("a b"));
    let again_after = |millis, after: &[u64]| {
        let event = Envelope {
            from: node("b#2"),
            to: Some(1),
            cluster: None,
            version: ProtocolVersion(1),
            message: Message::Join(Join {
                after: after.into(),
                ..join()
            }),
        };
        received(millis, event)
    };
    let again = |millis| again_after(millis, &[1]);
    // It was not told of the one that is there, so it may have ended before that one began.
    let unsure = again_after(0, &[3]);
    assert_eq!(
        shown(&step(&mut a, 0, unsure)),
        ["to b: join-refused (an older incarnation of this address is being removed)"]
    );
    assert_eq!(
        shown(&step(&mut a, 0, again(0))),
        [
            "to b: gossip (a b:d, seen by a, aTb)",
            "to b: join-refused (an older incarnation of this address is being removed)",
            "log member-changed b up down",
            "log unreachable b",
            "persist the cluster of a",
        ]
    );
    // Not twice.
    assert_eq!(
        shown(&step(&mut a, 500, again(500))),
        ["to b: join-refused (an older incarnation of this address is being removed)"]
    );
    assert!(
        shown(&step(&mut a, 1000, Event::Wake))
            .contains(&"log member-changed b down removed".into())
    );
    assert_eq!(
        shown(&step(&mut a, 1500, again(1500)))[0],
        "to b: welcome (of a: a b:j, seen by a)"
    );
}

#[test]
fn an_operator_names_the_node_to_join_through() {
    let command = |host: &str| Event::Command {
        id: CommandId(1),
        command: Command::Join {
            address: address(host),
        },
    };
    let mut x = machine("x");
    assert_eq!(
        shown(&step(&mut x, 0, command("a"))),
        ["to a?: init-join", "reply to 1: Done"]
    );
    assert_eq!(
        shown(&step(&mut x, 0, command("a"))),
        ["reply to 1: this node already belongs to a cluster, or is joining one"]
    );
    // What may have got lost is said again, and after ten seconds all begins anew.
    for millis in [1000, 3000, 7000, 10_000] {
        let asked = shown(&step(&mut x, millis, Event::Wake));
        assert_eq!(asked, ["to a?: init-join"]);
    }
    let nack = Message::InitJoinNack(NackReason::NotInACluster);
    assert_eq!(
        shown(&step(&mut x, 10_000, handshake("a", None, nack))),
        ["log join-failed by a: it belongs to no cluster itself"]
    );
    assert_eq!(
        shown(&step(&mut x, 10_000, handshake("b", Some(CLUSTER), ack()))),
        [""; 0]
    );
    assert_eq!(
        shown(&step(&mut x, 10_000, handshake("a", Some(CLUSTER), ack()))),
        ["to a: join"]
    );
    let letter = welcome("a b x:j");
    step(&mut x, 10_000, handshake("a", Some(CLUSTER), letter));
    assert_eq!(x.cluster(), Some(CLUSTER));
    let mut alone = machine("x");
    let formed = shown(&step(&mut alone, 0, command("x")));
    assert_eq!(formed[1], "log cluster-formed");
}

#[test]
fn nobody_speaks_before_the_welcome() {
    let mut x = asking();
    let told = super::world_tests::gossip(picture("a b x:j"));
    assert_eq!(
        shown(&step(&mut x, 0, from("a", 0, told))),
        ["log rejected gossip from a: Unexpected 1"]
    );
    assert_eq!(x.gossip().members(), []);
}

#[test]
fn who_is_spoken_to_as_a_member_asks_for_the_welcome_that_got_lost() {
    let told = || super::world_tests::gossip(picture("a b x:j"));
    let mut x = asking();
    // Whom it asked may be slow; whoever else speaks can be reached.
    assert_eq!(
        shown(&step(&mut x, 1000, from("b", 1000, told()))),
        ["to b: join", "log rejected gossip from b: Unexpected 1"]
    );
    let letter = welcome("a b x:j");
    step(&mut x, 1000, handshake("b", Some(CLUSTER), letter));
    assert_eq!(x.cluster(), Some(CLUSTER));
}

#[test]
fn who_gave_up_waiting_for_its_welcome_still_asks_for_it() {
    let mut x = asking();
    // It asks again until it gives up.
    for millis in (1000..=10_000).step_by(1000) {
        step(&mut x, millis, Event::Wake);
    }
    let searched = shown(&step(&mut x, 11_000, Event::Wake));
    assert_eq!(searched, ["to a?: init-join", "to b?: init-join"]);
    let told = super::world_tests::gossip(picture("a b x:j"));
    assert_eq!(
        shown(&step(&mut x, 11_500, from("b", 11_500, told))),
        ["to b: join", "log rejected gossip from b: Unexpected 1"]
    );
    let letter = welcome("a b x:j");
    step(&mut x, 11_500, handshake("b", Some(CLUSTER), letter));
    assert_eq!(x.cluster(), Some(CLUSTER));
}

#[test]
fn an_answer_to_a_question_is_no_sign_of_being_a_member() {
    let presence = Message::Presence(Presence {
        founder: node("a"),
        members: Some(2),
        lowest: address("a"),
    });
    let mut x = searching(Settings::default(), None);
    let told = step(&mut x, 100, from("b", 100, presence));
    assert_eq!(shown(&told), [""; 0]);
}

#[test]
fn five_nodes_become_one_cluster_in_whatever_order_they_start() {
    let hosts = ["a", "b", "c", "d", "e"];
    for first in 0..hosts.len() {
        let mut world = World::new();
        for at in 0..hosts.len() {
            let host = hosts[(first + at) % hosts.len()];
            world.add(host, machine(host));
            world.handle(host, start(&["a", "b"]));
            world.run_until(world.now + 700);
        }
        world.run_until(30_000);
        for host in hosts {
            assert_eq!(
                statuses(&world, host),
                all(&hosts, Status::Up),
                "{host} of {first}"
            );
        }
        assert!(world.is_converged());
        let ages = world.nodes["a"].gossip().members().iter();
        let mut ages: Vec<_> = ages.filter_map(|member| member.up_number).collect();
        ages.sort_unstable();
        assert_eq!(ages, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn without_the_first_seed_nobody_is_up() {
    let mut world = World::of(&["b", "c"], &["a", "b"], &Settings::default());
    world.run_until(60_000);
    assert!(
        world
            .nodes
            .values()
            .all(|node| node.gossip().members().is_empty())
    );
}
