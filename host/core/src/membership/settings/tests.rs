//! What is written, what it comes to, and everything that cannot be.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::membership::compatibility::JoinConfig;
use crate::membership::fixture::node;
use crate::membership::member::Profile;
use crate::membership::message::{ConfigCheck, Envelope, InitJoin, InitJoinAck, Message};
use crate::membership::protocol::{ProtocolRange, ProtocolVersion};
use crate::membership::wire;

fn read(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn problems(text: &str) -> Vec<String> {
    let settings = read(text).expect("it can be read");
    match settings.check(&Profile::plain()) {
        Ok(()) => Vec::new(),
        Err(error) => error
            .problems
            .into_iter()
            .map(|problem| problem.setting)
            .collect(),
    }
}

#[test]
fn nothing_written_is_the_default_and_fits() {
    assert_eq!(read(""), Ok(Settings::default()));
    assert_eq!(problems(""), [""; 0]);
}

#[test]
fn what_is_written_is_read_and_written_again() {
    let text = r#"
        min-members = 3
        role.backend.min-members = 2
        stable-after = "5s"
        allow-weakly-up-members = "off"
        gossip.interval = "250ms"
        downing.strategy = "static-quorum"
        downing.quorum-size = 2
        downing.down-all-when-unstable = "1m"
    "#;
    let settings = read(text).unwrap();
    assert_eq!(settings.min_members, 3);
    assert_eq!(settings.gates().by_role["backend"], 2);
    assert_eq!(settings.stable_after(), Duration::from_secs(5));
    assert_eq!(settings.allow_weakly_up_members, Optional(None));
    assert_eq!(settings.gossip.interval, Duration::from_millis(250));
    assert_eq!(settings.downing.quorum_size, Some(2));
    assert_eq!(
        settings.down_all_when_unstable(),
        Some(Duration::from_secs(60))
    );
    let written = toml::to_string(&settings).unwrap();
    assert_eq!(read(&written), Ok(settings));
}

#[test]
fn stable_after_may_stand_in_its_section_but_not_twice() {
    let settings = read("downing.stable-after = '7s'").unwrap();
    assert_eq!(settings.stable_after(), Duration::from_secs(7));
    assert_eq!(
        settings.down_all_when_unstable(),
        Some(Duration::from_millis(5250))
    );
    assert_eq!(
        problems("stable-after = '7s'\ndowning.stable-after = '7s'"),
        ["downing.stable-after"]
    );
}

#[test]
fn an_unknown_setting_and_a_wrong_value_are_named() {
    for (text, named) in [
        ("min-member = 3", "min-member"),
        ("gossip.intervall = '1s'", "intervall"),
        ("gossip.interval = 'soon'", "'soon' is no period"),
        ("gossip.interval = 'off'", "'off' is no period"),
        ("downing.strategy = 'keep-smallest'", "keep-smallest"),
        ("downing = 3", "expected a table of downing settings"),
        (
            "min-members = 'three'",
            "expected a whole number from 0 to 4294967295",
        ),
        (
            "downing.quorum-size = -1",
            "expected a whole number from 0 to 4294967295",
        ),
        (
            "subscriber-events = 4294967296",
            "expected a whole number from 0 to 4294967295",
        ),
        ("failure-detector.threshold = 'high'", "expected a number"),
        (
            "downing.down-all-when-unstable = 'maybe'",
            "\"on\" or \"off\"",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn every_problem_is_listed_at_once() {
    let text = r#"
        name = "my cluster"
        min-members = 0
        role.backend.min-members = 0
        shutdown-after-unsuccessful-join-seed-nodes = "5s"
        bootstrap.required-contact-points = 0
        gossip.interval = "0s"
        gossip.different-view-probability = 1.5
        gossip.prune-tombstones-after = "3s"
        failure-detector.threshold = 0.0
        multi-data-center.cross-data-center-gossip-probability = -0.1
        downing.strategy = "keep-majority"
        downing.quorum-size = 3
        downing.minority-delay = "3s"
        downing.down-all-when-unstable = "1s"
        quarantine.time-to-live = "1s"
        shared-state.node-bytes = 1
        subscriber-events = 0
    "#;
    assert_eq!(
        problems(text),
        [
            "name",
            "min-members",
            "role.backend.min-members",
            "shutdown-after-unsuccessful-join-seed-nodes",
            "bootstrap.required-contact-points",
            "gossip.interval",
            "gossip.different-view-probability",
            "gossip.prune-tombstones-after",
            "failure-detector.threshold",
            "multi-data-center.cross-data-center-gossip-probability",
            "downing.quorum-size",
            "downing.minority-delay",
            "downing.down-all-when-unstable",
            "quarantine.time-to-live",
            "shared-state.node-bytes",
            "subscriber-events",
        ]
    );
}

#[test]
fn a_strategy_wants_its_own_settings_and_no_other() {
    for (text, problem) in [
        ("strategy = 'static-quorum'", Some("downing.quorum-size")),
        (
            "strategy = 'static-quorum'\nquorum-size = 0",
            Some("downing.quorum-size"),
        ),
        ("strategy = 'static-quorum'\nquorum-size = 3", None),
        ("strategy = 'lease-majority'\nminority-delay = '0s'", None),
        ("strategy = 'keep-oldest'\ndown-if-alone = false", None),
        (
            "strategy = 'down-all'\ndown-if-alone = false",
            Some("downing.down-if-alone"),
        ),
        ("strategy = 'down-all'\nrole = 'core'", Some("downing.role")),
        (
            "strategy = 'off'\nrelease-after = '1s'",
            Some("downing.release-after"),
        ),
        ("strategy = 'keep-majority'\nrole = 'core'", None),
    ] {
        let found = problems(&alloc::format!("[downing]\n{text}"));
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            Vec::from_iter(problem)
        );
    }
}

#[test]
fn a_problem_reads_as_a_sentence_about_its_setting() {
    let error = read("min-members = 0").unwrap().check(&Profile::plain());
    assert_eq!(
        error.unwrap_err().to_string(),
        "min-members: must be at least 1"
    );
}

#[test]
fn a_profile_is_checked_with_the_settings() {
    let mut profile = Profile::plain();
    profile.roles.insert("dc-west".into());
    let error = Settings::default().check(&profile).unwrap_err();
    assert_eq!(error.problems[0].setting, "profile");
}

#[test]
fn what_would_be_done_all_the_time_is_refused() {
    let intervals = [
        "leader-actions-interval",
        "unreachable-nodes-reaper-interval",
        "retry-unsuccessful-join-after",
        "seed-node-timeout",
        "gossip.interval",
        "failure-detector.heartbeat-interval",
        "multi-data-center.failure-detector.heartbeat-interval",
        "shared-state.interval",
    ];
    for setting in intervals {
        for (period, found) in [
            ("1ns", [setting].as_slice()),
            ("9999us", &[setting]),
            ("10ms", &[]),
        ] {
            assert_eq!(problems(&alloc::format!("{setting} = '{period}'")), found);
        }
        assert_eq!(problems(&alloc::format!("{setting} = '367d'")), [setting]);
    }
}

#[test]
fn what_is_more_than_any_node_keeps_or_carries_is_refused() {
    for (setting, most, beside) in [
        ("failure-detector.max-sample-size", 65_536, ""),
        (
            "shared-state.value-bytes",
            1 << 20,
            "shared-state.node-bytes = 2097152",
        ),
        ("shared-state.node-bytes", 16 << 20, ""),
        ("shared-state.node-entries", 65_536, ""),
    ] {
        let fits = alloc::format!("{setting} = {most}\n{beside}");
        assert_eq!(problems(&fits), [""; 0]);
        let text = alloc::format!("{setting} = {}\n{beside}", most + 1);
        let error = read(&text).unwrap().check(&Profile::plain()).unwrap_err();
        let said = alloc::format!("{setting}: must be at most {most}, not {}", most + 1);
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_required_value_that_is_told_anyway_or_does_not_fit_into_a_message_is_refused() {
    let said = |required: &[(&str, &str)]| {
        let mut settings = Settings::default();
        let check = &mut settings.configuration_compatibility_check;
        let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        check.required = required.iter().map(owned).collect();
        let problems = settings.check(&Profile::plain());
        problems.map_err(|error| error.to_string())
    };
    let long = "x".repeat(1025);
    let named = |reason: &str| {
        Err(alloc::format!(
            "configuration-compatibility-check.required: {reason}"
        ))
    };
    assert_eq!(said(&[("region", &long[1..])]), Ok(()));
    assert_eq!(
        said(&[("region", &long)]),
        named("the value of 'region' has at most 1024 bytes, not 1025")
    );
    for name in ["downing.strategy", "product-version"] {
        assert_eq!(
            said(&[(name, "foo")]),
            named(&alloc::format!(
                "'{name}' is always told as it is, and cannot be written"
            ))
        );
    }
    let names: Vec<String> = (0..257).map(|n| alloc::format!("n{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(said(&many[1..]), Ok(()));
    assert_eq!(said(&many), named("has at most 256 values, not 257"));
}

#[test]
fn a_role_that_no_member_can_have_is_refused() {
    for (text, named) in [
        ("role.\"\".min-members = 2", Some("role.")),
        ("role.\"a\\nb\".min-members = 2", Some("role.a\nb")),
        ("role.dc-.min-members = 2", Some("role.dc-")),
        ("role.dc-west.min-members = 2", None),
        ("role.\"web server\".min-members = 2", None),
        ("downing.role = \"a\\u0000\"", Some("downing.role")),
        ("downing.role = 'dc-west'", None),
    ] {
        assert_eq!(problems(text), Vec::from_iter(named));
    }
}

#[test]
fn all_values_that_may_be_required_fit_into_the_words_of_a_join() {
    let mut settings = Settings::default();
    let required = (0..256).map(|n| (alloc::format!("{n:064}"), "x".repeat(1024)));
    settings.configuration_compatibility_check.required = required.collect();
    assert_eq!(settings.check(&Profile::plain()), Ok(()));
    let config = JoinConfig::new(&settings, "1.2.3");
    let protocol = ProtocolRange::SUPPORTED;
    let ack = |check| {
        let before = Vec::new();
        Message::InitJoinAck(InitJoinAck {
            check,
            protocol,
            before,
        })
    };
    let question = InitJoin {
        name: "x".repeat(64),
        protocol,
        config: config.shown(),
    };
    for message in [
        Message::InitJoin(question),
        ack(ConfigCheck::Compatible(config.shown())),
        ack(ConfigCheck::Incompatible(config.problems(&BTreeMap::new()))),
    ] {
        let envelope = Envelope {
            from: node("a"),
            to: None,
            cluster: None,
            version: ProtocolVersion(1),
            message,
        };
        let bytes = wire::encode(&envelope).unwrap();
        assert_eq!(wire::decode(&bytes).as_ref(), Ok(&envelope));
    }
}
