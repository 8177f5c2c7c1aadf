//! Pictures that are no clean partition, what a lease makes of a decision, and explanations.

use core::time::Duration;

use super::tests::*;
use super::*;

#[test]
fn static_quorum_downs_the_indirectly_connected() {
    check(
        &static_quorum(2, ""),
        "a b c",
        "a>b b>a",
        &[(INDIRECT, "a b")],
    );
}

#[test]
fn indirectly_connected_members_go_and_the_others_stay() {
    let plain = keep_majority("");
    for (side, marks, down) in [
        ("a b", "a>b b>a", "a b"),
        ("a b c", "a>b b>a", "a b"),
        ("a b c", "a>b b>c c>a", "a b c"),
        ("a b c d", "a>d d>a b>c c>b", "a b c d"),
        ("a b c d e", "a>b b>c c>a", "a b c"),
        ("a b c d e f g", "b>c c>b e>f f>e", "b c e f"),
        // Marked, and yet the current gossip was seen.
        ("a b c", "a>b a>c", "a b c"),
        ("a b c d e", "b>c c>b a>d", "a b c d"),
    ] {
        check(&plain, side, marks, &[(INDIRECT, down)]);
    }
    check(
        &keep_oldest("", true),
        "a b c",
        "a>b b>a",
        &[(INDIRECT, "a b")],
    );
    check(&Strategy::DownAll, "a b c", "a>b b>a", &[(ALL, "a b c")]);
}

#[test]
fn a_crash_beside_indirectly_connected_members_is_decided_on_its_own() {
    check(
        &keep_majority(""),
        "a b d e / c",
        "a>b b>a",
        &[(INDIRECT, "a b c")],
    );
    let found = explain(&keep_majority(""), "a b d e / c", "a>b b>a", 0);
    assert_eq!(
        alloc::format!("{}", found.because),
        "marked unreachable, and yet taking part: a:7000, b:7000; of the others: 4 reachable members outnumber 1"
    );
}

#[test]
fn a_clean_partition_beside_indirectly_connected_members_is_decided_on_its_own() {
    let plain = keep_majority("");
    let sides = "a b c / d e";
    check(
        &plain,
        sides,
        "b>c c>b",
        &[(INDIRECT, "b c d e"), (INDIRECT, "b c d e")],
    );
    check(&plain, sides, "", &[("-", ""), (REACHABLE, "d e")]);

    let sides = "a b c / d e f g";
    check(
        &plain,
        sides,
        "b>c c>b",
        &[(INDIRECT, "a b c"), (INDIRECT, "a b c")],
    );
    check(&plain, sides, "", &[("-", ""), (UNREACHABLE, "a b c")]);
    check(
        &plain,
        sides,
        "d>e e>d",
        &[(INDIRECT, "a b c d e"), (INDIRECT, "a b c d e")],
    );
    // Across the partition.
    let across = "b>e e>f f>b";
    check(
        &plain,
        sides,
        across,
        &[(INDIRECT, "a b c e f"), (INDIRECT, "a b c e f")],
    );
    // Found by who has seen the gossip.
    check(
        &plain,
        sides,
        "d>e g>f",
        &[("-", ""), (INDIRECT, "a b c d e f g")],
    );

    let oldest = keep_oldest("", true);
    check(
        &oldest,
        sides,
        "b>c c>b",
        &[(INDIRECT, "a b c"), (INDIRECT, "a b c")],
    );
    check(
        &oldest,
        sides,
        "d>e e>d",
        &[(INDIRECT, "a b c d e"), (INDIRECT, "a b c d e")],
    );
}

#[test]
fn records_that_contradict_each_other_in_every_way_down_all() {
    let all = "a b c d e f g";
    for strategy in [keep_majority(""), lease_majority(""), static_quorum(4, "")] {
        check(&strategy, "a b c / d e f g", "d>e g>f", &[(ALL, all)]);
    }
    let found = explain(&lease_majority(""), "a b c / d e f g", "d>e g>f", 0);
    assert_eq!(
        found.because,
        Reason::StillIndirect {
            members: nodes("d g").into_iter().map(|node| node.address).collect()
        }
    );
}

#[test]
fn marks_on_members_that_cannot_be_downed_condemn_nobody() {
    let lease = lease_majority("");
    check(
        &lease,
        "a b c d / el fd",
        "e>f",
        &[(LEASE_INDIRECT, "e"), (LEASE_INDIRECT, "a b c d e")],
    );
    let marks = "b>e b>f c>e c>f d>e d>f e>f";
    check(
        &keep_majority(""),
        "a b c d / e fe",
        marks,
        &[(INDIRECT, "e")],
    );
    check(
        &keep_majority(""),
        "a b c d / ee f",
        marks,
        &[(INDIRECT, "f")],
    );
    // What a member says that is down is not heard: else `f` would take `a` with it.
    check(
        &keep_majority(""),
        "a b c d / e fd",
        "f>a",
        &[(UNREACHABLE, "e")],
    );
}

#[test]
fn lease_majority_lets_the_larger_side_ask_first() {
    let lease = lease_majority("");
    let asks = |sides: &str, role: &str, side| {
        let found = explain(&lease_majority(role), sides, "", side);
        (
            found.decision.name(),
            found.decision.lease_delay(),
            found.down,
        )
    };
    let (now, later) = (Some(Duration::ZERO), Some(Duration::from_secs(2)));
    assert_eq!(asks("a c e / b d", "", 0), (LEASE, now, nodes("b d")));
    assert_eq!(asks("a c e / b d", "", 1), (LEASE, later, nodes("a c e")));
    // Equal sides: `c` is the lowest address with the role.
    assert_eq!(
        asks("a d e / b c", "role2", 0),
        (LEASE, later, nodes("b c"))
    );
    assert_eq!(
        asks("a d e / b c", "role2", 1),
        (LEASE, now, nodes("a d e"))
    );
    assert_eq!(asks("a / b", "role9", 1), (LEASE, now, nodes("a")));
    check(&lease, "a b c", "a>b b>a", &[(LEASE_INDIRECT, "a b")]);
    check(
        &lease,
        "a b c / d e",
        "b>c c>b",
        &[(LEASE_INDIRECT, "b c d e"), (LEASE_INDIRECT, "a b c")],
    );
    check(&lease, "a b c / d e", "", &[("-", ""), (LEASE, "a b c")]);
}

#[test]
fn a_denied_lease_reverses_the_decision() {
    let lease = lease_majority("");
    for (sides, marks, side, decision, down) in [
        ("a c e / b d", "", 0, REACHABLE, "a c e"),
        ("a c e / b d", "", 1, REACHABLE, "b d"),
        (
            "a b c",
            "a>b b>a",
            0,
            "reverse-down-indirectly-connected",
            "a b c",
        ),
        (
            "a b c / d e",
            "b>c c>b",
            0,
            "reverse-down-indirectly-connected",
            "a b c",
        ),
        (
            "a b c / d e",
            "b>c c>b",
            1,
            "reverse-down-indirectly-connected",
            "b c d e",
        ),
    ] {
        let found = explain(&lease, sides, marks, side)
            .without_lease(&lease)
            .unwrap();
        assert_eq!(
            (found.decision.name(), &found.down),
            (decision, &nodes(down)),
            "{sides} {marks}"
        );
        assert_eq!(found.replay().as_ref(), Some(&found));
    }
    assert_eq!(
        explain(&keep_majority(""), "a / b", "", 0).without_lease(&keep_majority("")),
        None
    );
}

#[test]
fn nothing_is_decided_when_nobody_is_unreachable() {
    for strategy in [
        static_quorum(3, ""),
        keep_oldest("", true),
        Strategy::DownAll,
        lease_majority(""),
    ] {
        check(&strategy, "a", "", &[(UNREACHABLE, "")]);
        check(&strategy, "a bj cl", "", &[(UNREACHABLE, "")]);
    }
}

#[test]
fn a_node_that_was_shut_out_goes_unless_it_is_going_already() {
    let cause = |by: &str| Cause::Quarantined {
        by: node(by).address,
    };
    let policy = keep_majority("");
    let found = Explanation::new(&policy, cause("b"), picture("a b c", "", 0));
    assert_eq!(found.decision, Decision::DownSelfQuarantinedByRemote);
    assert_eq!(found.down, nodes("a"));
    assert_eq!(found.replay().as_ref(), Some(&found));
    let found = Explanation::new(&policy, cause("b"), picture("ae b c", "", 0));
    assert_eq!(found.down, nodes(""));
}

#[test]
fn members_of_other_data_centres_do_not_count() {
    let far = Voter {
        dc: "far".into(),
        ..voter("d")
    };
    let voters = [voter("a"), voter("b"), voter("c"), far];
    let rows = [
        mark("a", "b"),
        mark("a", "c"),
        mark("a", "d"),
        mark("d", "a"),
    ];
    let picture = Picture::new(
        node("a"),
        "default".into(),
        voters,
        rows,
        [node("a"), node("d")],
    );
    assert_eq!(picture.rows(), [mark("a", "b"), mark("a", "c")]);
    let found = Explanation::new(&keep_majority(""), Cause::Unreachable, picture);
    assert_eq!(
        (found.decision, found.down),
        (Decision::DownReachable, nodes("a"))
    );
}

#[test]
fn an_explanation_survives_being_written_down() {
    for strategy in [
        static_quorum(2, "role1"),
        keep_oldest("", true),
        lease_majority("role2"),
    ] {
        let written = explain(&strategy, "al b / c dj e", "b>c", 0);
        let bytes = serde_json::to_vec(&written).unwrap();
        let read: Explanation = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read.replay(), Some(written));
    }
}
