//! §2.17: whether a joiner's configuration fits, seen from both sides.

use alloc::vec::Vec;

use super::join_tests::{handshake, init_join, join, searching};
use super::shown_tests::shown;
use super::world_tests::{CLUSTER, address, machine, member, member_with, received, step};
use crate::membership::effects::Effect;
use crate::membership::fixture::picture;
use crate::membership::inputs::{Command, CommandId, Event};
use crate::membership::message::{ConfigCheck, InitJoinAck, Message};
use crate::membership::protocol::ProtocolRange;
use crate::membership::settings::{Settings, StrategyName};

#[test]
fn a_configuration_that_does_not_fit_ends_the_join_where_that_is_enforced() {
    let misfit = || {
        Message::InitJoinAck(InitJoinAck {
            check: ConfigCheck::Incompatible(["x is missing".into()].into()),
            protocol: ProtocolRange::SUPPORTED,
            before: Vec::new(),
        })
    };
    let mut x = searching(Settings::default(), None);
    let ended = shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), misfit())));
    assert_eq!(ended[0], "log join-failed by a: x is missing");
    assert!(ended[1].starts_with("terminate: JoinRefused"), "{ended:?}");

    let mut lenient = Settings::default();
    lenient.configuration_compatibility_check.enforce_on_join = false;
    let mut x = searching(lenient, None);
    assert_eq!(
        shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), misfit()))),
        ["log join-incompatible by a: x is missing", "to a: join"]
    );
}

#[test]
fn the_joiner_checks_the_members_values_too() {
    let theirs = Message::InitJoinAck(InitJoinAck {
        check: ConfigCheck::Compatible([("downing.strategy".into(), "down-all".into())].into()),
        protocol: ProtocolRange::SUPPORTED,
        before: Vec::new(),
    });
    let mut x = searching(Settings::default(), None);
    let ended = shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), theirs)));
    assert_eq!(
        ended[0],
        "log join-failed by a: downing.strategy is incompatible"
    );
}

#[test]
fn a_member_that_does_not_insist_says_its_values_for_the_joiner_to_check() {
    let mut settings = Settings::default();
    settings.configuration_compatibility_check.enforce_on_join = false;
    settings.downing.strategy = StrategyName::DownAll;
    let mut a = member_with(settings, picture("a b"));
    let question = Message::InitJoin(init_join());
    let told = step(&mut a, 0, handshake("x", None, question));
    let [Effect::Send { envelope, .. }] = told.as_slice() else {
        panic!("an answer and nothing else: {told:?}");
    };
    let mut x = searching(Settings::default(), None);
    let ended = shown(&step(&mut x, 0, received(0, envelope.clone())));
    assert_eq!(
        ended[0],
        "log join-failed by a: downing.strategy is incompatible"
    );
    assert!(ended[1].starts_with("terminate: JoinRefused"), "{ended:?}");
    // Neither of them insists: both say it, and the node is let in.
    let mut lenient = Settings::default();
    lenient.configuration_compatibility_check.enforce_on_join = false;
    let mut x = searching(lenient, None);
    assert_eq!(
        shown(&step(&mut x, 0, received(0, envelope.clone()))),
        [
            "log join-incompatible by a: downing.strategy is incompatible",
            "to a: join"
        ]
    );
    let joined = shown(&step(
        &mut a,
        0,
        handshake("x", None, Message::Join(join())),
    ));
    let said = "log welcomed x none; downing.strategy is incompatible";
    assert!(joined.iter().any(|line| line == said), "{joined:?}");
}

#[test]
fn the_log_tells_of_which_version_the_program_of_a_new_member_is() {
    let mut a = member(picture("a b"));
    let mut question = init_join();
    let long = "7".repeat(100);
    question.config.insert("product-version".into(), long);
    step(&mut a, 0, handshake("x", None, Message::InitJoin(question)));
    let mut joined = shown(&step(
        &mut a,
        0,
        handshake("x", None, Message::Join(join())),
    ));
    joined.retain(|line| line.starts_with("log welcomed"));
    assert_eq!(
        joined,
        [alloc::format!("log welcomed x {}", "7".repeat(64))]
    );
}

#[test]
fn a_member_answers_a_question_with_its_configuration() {
    let mut a = member(picture("a b"));
    let question = Message::InitJoin(init_join());
    assert_eq!(
        shown(&step(&mut a, 0, handshake("x", None, question))),
        ["to x: init-join-ack (compatible)"]
    );
    let mut other = init_join();
    other.config.clear();
    let question = Message::InitJoin(other);
    assert_eq!(
        shown(&step(&mut a, 0, handshake("x", None, question))),
        ["to x: init-join-ack (downing.strategy is missing)"]
    );
}

#[test]
fn no_configuration_that_does_not_fit_comes_in_by_hand() {
    let command = Command::Join {
        address: address("a"),
    };
    let id = CommandId(1);
    let mut x = machine("x");
    step(&mut x, 0, Event::Command { id, command });
    let theirs = Message::InitJoinAck(InitJoinAck {
        check: ConfigCheck::Compatible([("downing.strategy".into(), "down-all".into())].into()),
        protocol: ProtocolRange::SUPPORTED,
        before: Vec::new(),
    });
    let ended = shown(&step(&mut x, 0, handshake("a", Some(CLUSTER), theirs)));
    assert_eq!(
        ended[0],
        "log join-failed by a: downing.strategy is incompatible"
    );
    assert!(ended[1].starts_with("terminate: JoinRefused"), "{ended:?}");
}
