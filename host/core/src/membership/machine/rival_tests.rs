//! Two clusters of one id: a node that seems to be the last of its cluster forms it again, and is not.

use alloc::vec::Vec;

use super::shown_tests::shown;
use super::world_tests::{
    CLUSTER, World, address, from, machine_with, member, node, received, start, statuses, step,
};
use crate::membership::effects::{Effect, TerminateReason};
use crate::membership::fixture::{picture, with};
use crate::membership::inputs::Event;
use crate::membership::machine::Membership;
use crate::membership::member::{Member, Profile, Status};
use crate::membership::message::{Envelope, Message, Presence};
use crate::membership::protocol::ProtocolVersion;
use crate::membership::settings::{Settings, StrategyName};

/// `x` tells `a`, whose address alone it knows, of the cluster that it is in.
fn presence(founder: &str, members: Option<u32>) -> Event {
    let founder = node(founder);
    let lowest = address("x");
    let envelope = Envelope {
        from: node("x"),
        to: None,
        cluster: Some(CLUSTER),
        version: ProtocolVersion(1),
        message: Message::Presence(Presence {
            founder,
            members,
            lowest,
        }),
    };
    received(0, envelope)
}

/// `a`, which formed the cluster of `a` and `b` that both have seen.
fn settled() -> Membership {
    member(with(picture("a b"), "", "a b"))
}

fn statuses_of(machine: &Membership) -> Vec<alloc::string::String> {
    let members = machine.gossip().members().iter();
    let shown = |it: &Member| alloc::format!("{} {}", it.node.address.host(), it.status);
    members.map(shown).collect()
}

fn told(effects: &[Effect]) -> Vec<alloc::string::String> {
    let lines = shown(effects).into_iter();
    lines.filter(|line| line.contains("presence")).collect()
}

#[test]
fn contact_points_that_are_no_members_are_told_of_the_cluster_now_and_then() {
    let mut a = settled();
    let contact_points = ["a", "b", "x"].map(address).into();
    step(&mut a, 0, Event::Contacts { contact_points });
    let mut times = Vec::new();
    for second in 1..=100 {
        let said = told(&step(&mut a, 1000 * second, Event::Wake));
        // `b`, which never answers, is looked for, too.
        times.extend(said.into_iter().filter(|line| line.starts_with("to x")));
    }
    assert!((17..=35).contains(&times.len()), "{}", times.len());
    assert_eq!(times[0], "to x?: presence (of a: Some(2))");
}

#[test]
fn nobody_is_told_where_all_contact_points_are_members() {
    let mut a = settled();
    let contact_points = ["a"].map(address).into();
    step(&mut a, 0, Event::Contacts { contact_points });
    for second in 1..=100 {
        assert_eq!(told(&step(&mut a, 1000 * second, Event::Wake)), [""; 0]);
    }
}

#[test]
fn one_cluster_says_nothing_more_to_itself() {
    let mut a = member(with(picture("a b x"), "", "a b"));
    assert_eq!(step(&mut a, 0, presence("a", Some(9))), []);
}

#[test]
fn one_of_this_cluster_that_nobody_here_knows_hears_that_it_is_there() {
    let mut a = settled();
    assert_eq!(
        shown(&step(&mut a, 0, presence("a", Some(9)))),
        ["to x: presence (of a: Some(2))"]
    );
    let answer = Message::Presence(Presence {
        founder: node("a"),
        members: Some(2),
        lowest: address("x"),
    });
    assert_eq!(step(&mut a, 0, from("x", 0, answer)), [], "not for ever");
    let mut going = member(picture("a:e b"));
    assert_eq!(step(&mut going, 0, presence("a", Some(9))), []);
}

#[test]
fn who_is_shut_out_by_a_stranger_of_its_cluster_finds_out_which_of_the_two_stays() {
    let shut_out = || Event::QuarantinedBy { node: node("x") };
    // Any other node may say that: it is none of this one's business.
    assert_eq!(step(&mut settled(), 0, shut_out()), []);
    let removed = || {
        let mut a = settled();
        step(&mut a, 0, presence("a", Some(1)));
        step(&mut a, 0, shut_out());
        assert!(a.gossip().tombstones().contains(&node("x")));
        a
    };
    let mut stays = removed();
    let said = shown(&step(&mut stays, 0, presence("a", Some(1))));
    assert!(
        said.iter().any(|line| line.starts_with("quarantine x")),
        "{said:?}"
    );
    // `x` is a contact point of nobody, and hears of the larger side all the same.
    let told = told(&step(&mut stays, 7000, Event::Wake));
    assert_eq!(
        told,
        ["to x?: presence (of a: None)"],
        "`b` has yet to see it"
    );
    let mut goes = removed();
    let said = shown(&step(&mut goes, 0, presence("a", Some(3))));
    assert!(
        said.iter()
            .any(|line| line.starts_with("log rival-cluster")),
        "{said:?}"
    );
    assert_eq!(statuses_of(&goes), ["a down", "b down"]);
}

#[test]
fn where_nobody_counts_a_stranger_of_the_cluster_is_asked_to_let_this_node_in_once_more() {
    // `b`, in another data centre, let it in and is gone; `x` has come since.
    let mut lost = member(picture("a:w b@west"));
    let asked = shown(&step(&mut lost, 0, presence("a", Some(2))));
    assert_eq!(asked, ["to x: join"]);
    // `x` knows of it now, and shows it all the others.
    let mut theirs = picture("c@west x@west");
    let this = Member::joining(node("a"), Profile::plain().into());
    theirs.change(&node("x")).join(this).unwrap();
    step(
        &mut lost,
        0,
        from("x", 0, super::world_tests::gossip(theirs)),
    );
    assert_eq!(
        statuses_of(&lost),
        ["a weakly-up", "b up", "c up", "x up"],
        "nobody is lost, and nobody goes back"
    );
    assert_eq!(step(&mut lost, 0, presence("a", Some(2))), []);
}

#[test]
fn the_larger_cluster_only_answers() {
    let answer = ["to x: presence (of a: Some(2))"];
    for theirs in [None, Some(0), Some(1)] {
        assert_eq!(
            shown(&step(&mut settled(), 0, presence("b", theirs))),
            answer
        );
    }
    // Of equals the founder with the lower address goes on.
    assert_eq!(
        shown(&step(&mut settled(), 0, presence("b", Some(2)))),
        answer
    );
    // While members do not agree their number says nothing, and is not told.
    let mut torn = member(with(picture("a b c"), "a→b", "a c"));
    assert_eq!(
        shown(&step(&mut torn, 0, presence("b", Some(2)))),
        ["to x: presence (of a: None)"]
    );
}

#[test]
fn the_smaller_cluster_ends_with_all_its_members_and_remembers_the_other() {
    let mut a = settled();
    assert_eq!(
        shown(&step(&mut a, 0, presence("x", Some(3)))),
        [
            "to x: presence (of a: Some(2))",
            "log rival-cluster by x: 3 of x and 2",
            "to b: gossip-delta",
            "to b: gossip (a:d b:d, seen by )",
            "log member-changed a up down",
            "log member-changed b up down",
            "persist the cluster of x",
            "begin exit: Downed",
        ]
    );
    // Nothing more is said of it while it goes.
    assert_eq!(
        shown(&step(&mut a, 0, presence("x", Some(3)))),
        ["to x: presence (of a: Some(0))"]
    );
    let mut ended = Vec::new();
    for second in 1..8 {
        ended.extend(step(&mut a, 1000 * second, Event::Wake));
    }
    let by = address("x");
    let reason = TerminateReason::Rival { by };
    assert_eq!(ended.last(), Some(&Effect::Terminate { reason }));
}

#[test]
fn of_equals_the_founder_with_the_higher_address_goes() {
    let mut b = settled();
    b.founder = node("c");
    let lines = shown(&step(&mut b, 0, presence("b", Some(2))));
    assert_eq!(lines[1], "log rival-cluster by x: 2 of b and 2");
}

#[test]
fn a_node_that_searches_asks_the_member_that_it_hears() {
    let mut a = machine_with("a", Settings::default(), Some(CLUSTER));
    step(&mut a, 0, start(&["a", "b"]));
    assert_eq!(
        shown(&step(&mut a, 0, presence("c", None))),
        ["to b?: init-join", "to x?: init-join"]
    );
}

#[test]
fn two_clusters_of_one_id_become_one() {
    let hosts = ["a", "b", "c", "d", "e"];
    let mut settings = Settings::default();
    settings.downing.strategy = StrategyName::KeepMajority;
    let mut world = World::of(&hosts, &["a", "b"], &settings);
    world.run_until(20_000);
    let cluster = world.nodes["c"].cluster();
    for restarted in ["a", "b"] {
        for other in ["c", "d", "e"] {
            world.cut(restarted, other);
        }
    }
    for restarted in ["a", "b"] {
        // What they knew of the members is lost.
        let mut again = machine_with(restarted, settings.clone(), cluster);
        again.this.uid = 2;
        again.founder.uid = 2;
        world.crash(restarted);
        world.add(restarted, again);
    }
    world.handle("a", start(&["a", "b"]));
    world.handle("b", start(&["a", "b"]));
    world.run_until(70_000);
    assert_eq!(statuses(&world, "a").len(), 2);
    assert_eq!(statuses(&world, "c").len(), 3);
    assert_eq!(world.nodes["a"].cluster(), world.nodes["c"].cluster());
    world.cut.clear();
    world.run_until(100_000);
    for gone in ["a", "b"] {
        let reason = world.ended.get(gone);
        assert!(
            matches!(reason, Some(TerminateReason::Rival { .. })),
            "{gone}: {reason:?}"
        );
    }
    let alive: Vec<_> = ["c", "d", "e"].map(|host| (host.into(), Status::Up)).into();
    assert_eq!(statuses(&world, "c"), alive);
}

#[test]
fn contact_points_in_other_data_centres_are_told_if_these_cannot_be_seen() {
    let told_of = |members: &str, rows: &str| {
        let mut a = member(with(picture(members), rows, "a"));
        let contact_points = ["a", "b", "x"].map(address).into();
        step(&mut a, 0, Event::Contacts { contact_points });
        let said = (1..=11).flat_map(|second| told(&step(&mut a, 1000 * second, Event::Wake)));
        said.into_iter().any(|line| line.starts_with("to x"))
    };
    assert!(!told_of("a b x@west", ""));
    // Not all of another data centre are watched: who is not may be lost with the rest.
    assert!(told_of("a b x@west y@west", "b→y"));
    // Nobody watches it before somebody here was let up.
    assert!(told_of("a:w b:j x@west", ""));
}

#[test]
fn who_was_let_in_by_another_data_centre_and_not_up_yet_ends_alone() {
    // `b` counts for more, but may be long gone: nobody here could tell.
    let mut a = member(with(picture("a:w b@west c@west"), "", "a"));
    let effects = shown(&step(&mut a, 0, presence("x", Some(1))));
    assert_eq!(a.own_status(), Some(Status::Down));
    assert_eq!(statuses_of(&a), ["a down", "b up", "c up"]);
    assert!(effects.contains(&"persist the cluster of x".into()));
    // Who says that members do not agree has no say.
    let mut a = member(with(picture("a:w b@west c@west"), "", "a"));
    step(&mut a, 0, presence("x", None));
    assert_eq!(a.own_status(), Some(Status::WeaklyUp));
}

#[test]
fn who_was_removed_and_tells_that_it_is_there_hears_so() {
    let mut own = picture("a b x:d");
    own.change(&node("a")).remove(&node("x")).unwrap();
    let mut a = member(with(own, "", "a b"));
    assert_eq!(
        shown(&step(&mut a, 0, presence("a", Some(3)))),
        ["to x: gone"]
    );
}

#[test]
fn of_two_sides_that_have_removed_each_other_the_smaller_one_ends() {
    let told = |members, lowest, to: Option<u64>| {
        let mut removed = with(picture("a b c:d"), "", "a b");
        removed.change(&node("a")).remove(&node("c")).unwrap();
        removed.see(&node("b"));
        let mut a = member(removed);
        let presence = Message::Presence(Presence {
            founder: node("a"),
            members,
            lowest: node(lowest).address,
        });
        let Event::Received {
            from,
            arrived,
            mut envelope,
        } = from("c", 0, presence)
        else {
            unreachable!("a message")
        };
        envelope.to = to;
        let event = Event::Received {
            from,
            arrived,
            envelope,
        };
        let said = shown(&step(&mut a, 0, event));
        (a.own_status(), said)
    };
    let uid = Some(node("a").uid);
    let (status, said) = told(Some(3), "c", uid);
    assert_eq!(status, Some(Status::Down), "{said:?}");
    assert_eq!(said[0], "log rival-cluster by c: 3 of a and 2");
    // The larger one tells the other one, which cannot know; of equals the one with the lowest address stays.
    for (members, lowest) in [(Some(1), "c"), (Some(2), "c")] {
        let (status, said) = told(members, lowest, uid);
        assert_eq!(status, Some(Status::Up));
        assert_eq!(said, ["to c: presence (of a: Some(2))"]);
    }
    let (status, _) = told(Some(2), "0", uid);
    assert_eq!(status, Some(Status::Down));
    // While they do not agree they say nothing of their number.
    assert_eq!(told(None, "c", uid), (Some(Status::Up), Vec::new()));
    // One that was only told of by its address does not know that this node is gone for it, too.
    let (status, said) = told(Some(3), "c", None);
    assert_eq!(
        (status, said),
        (Some(Status::Up), alloc::vec!["to c: gone".into()])
    );
}

#[test]
fn who_is_shut_out_by_one_that_it_has_removed_listens_to_it_again() {
    let mut removed = with(picture("a b c:d"), "", "a b");
    removed.change(&node("a")).remove(&node("c")).unwrap();
    let mut a = member(removed);
    step(&mut a, 0, Event::Quarantined { node: node("c") });
    let word = || Event::QuarantinedBy { node: node("c") };
    assert_eq!(shown(&step(&mut a, 0, word())), ["let in c"]);
    assert_eq!(shown(&step(&mut a, 0, word())), Vec::<&str>::new());
    assert_eq!(a.own_status(), Some(Status::Up));
    // It has more members, and shuts it out again: so `c` listens in its turn.
    a.gossip.see(&node("b"));
    let told = |members| {
        Message::Presence(Presence {
            founder: node("a"),
            members: Some(members),
            lowest: address("c"),
        })
    };
    // What is told to an address alone counts now.
    let tell = |members| {
        let Event::Received {
            from,
            arrived,
            mut envelope,
        } = from("c", 0, told(members))
        else {
            unreachable!("a message")
        };
        envelope.to = None;
        Event::Received {
            from,
            arrived,
            envelope,
        }
    };
    let said = shown(&step(&mut a, 0, tell(1)));
    assert!(said[0].starts_with("quarantine c"), "{said:?}");
    let lets_in = |said: Vec<alloc::string::String>| said.contains(&"let in c".into());
    assert!(!lets_in(shown(&step(&mut a, 29_000, word()))));
    // Once more it listens, and has fewer.
    assert!(lets_in(shown(&step(&mut a, 30_000, word()))));
    step(&mut a, 30_000, tell(3));
    assert_eq!(a.own_status(), Some(Status::Down));
}
