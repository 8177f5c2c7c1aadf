//! The worked cases of gossip targets, S7, by their numbers.

use alloc::collections::BTreeSet;

use super::super::fixture::{names, node, picture, with};
use super::super::gossip::Gossip;
use super::super::member::Member;
use super::super::order::by_leader_status;
use super::*;

const SETTINGS: Targets = Targets {
    different_view_probability: 0.8,
    reduce_different_view_from: 400,
    cross_dc_probability: 0.2,
    cross_dc_connections: 5,
};

fn limited(cross_dc_connections: u32) -> Targets {
    Targets {
        cross_dc_connections,
        ..SETTINGS
    }
}

/// Every node that some seed picks when the dice say so. The first letter of each set is the data centre's choice.
fn sets(
    targets: &Targets,
    gossip: &Gossip,
    (me, dc): (&str, &str),
    (cross, prefer_unseen): (bool, bool),
) -> BTreeSet<Vec<alloc::string::String>> {
    let me = node(me);
    let view = View::new(gossip, &me, dc);
    let round = Round {
        cross,
        prefer_unseen,
    };
    let one = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let found = targets.candidates(&view, round, &mut random);
        names(found).into_iter().map(Into::into).collect()
    };
    (0..64).map(one).collect()
}

fn of(sets: &[&[&str]]) -> BTreeSet<Vec<alloc::string::String>> {
    let texts = |set: &&[&str]| set.iter().map(|name| (*name).into()).collect();
    sets.iter().map(texts).collect()
}

#[test]
fn s7_1_who_is_alone_in_its_data_centre_always_speaks_across() {
    let gossip = with(picture("i@dc4 e@dc2 f@dc2"), "", "i e f");
    let never = Targets {
        cross_dc_probability: 0.0,
        ..SETTINGS
    };
    let me = node("i");
    let view = View::new(&gossip, &me, "dc4");
    let one = |seed| never.choose(&view, &mut fastrand::Rng::with_seed(seed));
    let chosen: BTreeSet<_> = (0..64).filter_map(one).collect();
    assert_eq!(names(&chosen), ["e", "f"]);
}

#[test]
fn s7_2_and_3_the_dice_say_whether_to_speak_across() {
    let gossip = with(picture("a@dc1 b@dc1 e@dc2 f@dc2"), "", "a");
    let me = ("a", "dc1");
    assert_eq!(sets(&SETTINGS, &gossip, me, (false, false)), of(&[&["b"]]));
    assert_eq!(
        sets(&SETTINGS, &gossip, me, (true, false)),
        of(&[&["e", "f"]])
    );
}

#[test]
fn s7_4_and_5_who_has_not_seen_the_picture_is_preferred_if_the_dice_say_so() {
    let gossip = with(picture("a b c"), "", "a b");
    let me = ("a", "default");
    assert_eq!(sets(&SETTINGS, &gossip, me, (false, true)), of(&[&["c"]]));
    assert_eq!(
        sets(&SETTINGS, &gossip, me, (false, false)),
        of(&[&["b", "c"]])
    );
    let all = with(gossip, "", "a b c");
    assert_eq!(sets(&SETTINGS, &all, me, (false, true)), of(&[&["b", "c"]]));
}

#[test]
fn s7_6_and_7_only_whom_the_node_itself_cannot_reach_is_left_out() {
    let me = ("a", "default");
    for rows in ["a→b", "a→b b→c", "aTb"] {
        let gossip = with(picture("a b c"), rows, "a");
        assert_eq!(
            sets(&SETTINGS, &gossip, me, (false, false)),
            of(&[&["c"]]),
            "{rows}"
        );
    }
}

#[test]
fn s7_8_to_10_another_data_centre_is_drawn_with_its_oldest() {
    let members = picture("a@dc1 b@dc1 e@dc2 f@dc2 g@dc3 h@dc3");
    let me = ("a", "dc1");
    let cut = with(members.clone(), "a→e a→f", "a");
    assert_eq!(sets(&SETTINGS, &cut, me, (true, false)), of(&[&["g", "h"]]));
    let seen = with(members.clone(), "", "a f h");
    let both = of(&[&["e", "f"], &["g", "h"]]);
    assert_eq!(sets(&SETTINGS, &seen, me, (true, true)), both);
    let oldest = of(&[&["e"], &["g"]]);
    assert_eq!(sets(&limited(1), &members, me, (true, true)), oldest);
    // b is not the one that speaks for its data centre, and nobody who could be spoken with is left for a.
    assert_eq!(
        sets(&limited(1), &members, ("b", "dc1"), (true, false)),
        of(&[&["a"]])
    );
    let alone = with(members, "a→e a→f a→g a→h", "a");
    assert_eq!(sets(&SETTINGS, &alone, me, (true, false)), of(&[&["b"]]));
}

#[test]
fn while_the_oldest_are_dead_the_next_ones_speak_for_their_data_centre() {
    let members = picture("a@dc1 b@dc1 c@dc1 e@dc2 f@dc2");
    // `a` is out of reach: `b` speaks in its place, and is spoken with.
    let dead = with(members, "b→a e→a", "b");
    let across = |me| sets(&limited(1), &dead, me, (true, false));
    assert_eq!(across(("b", "dc1")), of(&[&["e"]]));
    assert_eq!(across(("c", "dc1")), of(&[&["a", "b"]]));
    assert_eq!(across(("e", "dc2")), of(&[&["b"]]));
}

#[test]
fn s7_11_to_13_many_targets_at_once() {
    let burst = |targets: &Targets, gossip: &Gossip, me: &str, dc| {
        let me = node(me);
        let view = View::new(gossip, &me, dc);
        let one = |seed| targets.burst(&view, 3, &mut fastrand::Rng::with_seed(seed));
        let all: BTreeSet<BTreeSet<_>> = (0..64)
            .map(|seed| one(seed).into_iter().collect())
            .collect();
        assert_eq!(all.len(), 1, "three are as many as there are");
        let nodes = all.into_iter().next().unwrap();
        names(&nodes).join(" ")
    };
    assert_eq!(burst(&SETTINGS, &picture("a b c"), "a", "default"), "b c");
    let multi = picture("a@dc1 b@dc1 c@dc1 e@dc2 f@dc2");
    assert_eq!(burst(&limited(1), &multi, "b", "dc1"), "a c");
    assert_eq!(burst(&limited(1), &multi, "a", "dc1"), "b c e");
}

#[test]
fn each_of_those_that_speak_for_another_data_centre_is_told_now_and_then() {
    let gossip = picture("a@dc1 e@dc2 f:d@dc2 g@dc2");
    let me = node("a");
    let view = View::new(&gossip, &me, "dc1");
    let one = |seed| SETTINGS.burst(&view, 3, &mut fastrand::Rng::with_seed(seed));
    let told: BTreeSet<_> = (0..64).flat_map(one).collect();
    assert_eq!(names(&told), ["e", "f", "g"]);
}

#[test]
fn s7_14_the_oldest_of_each_data_centre() {
    let gossip =
        picture("a4@dc-a/1 a3@dc-a/2 a2@dc-a/3 a1@dc-a/4 b4@dc-b/0 b3@dc-b/1 b2@dc-b/2 b1@dc-b/3");
    let me = node("a4");
    let oldest = View::new(&gossip, &me, "dc-a").oldest_by_dc(2, |_| true);
    let numbers = |dc: &str| {
        oldest[dc]
            .iter()
            .filter_map(|m| m.up_number)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (numbers("dc-a"), numbers("dc-b")),
        (Vec::from([1, 2]), Vec::from([0, 1]))
    );
}

#[test]
fn s7_15_the_two_oldest_hear_first_that_a_member_is_exiting() {
    let targets = |gossip: &Gossip, exiting: &[&str]| {
        let me = gossip.members().first().unwrap().node.clone();
        let view = View::new(gossip, &me, "dc-a");
        let exiting: Vec<_> = exiting.iter().map(|name| node(name)).collect();
        names(&view.exiting_targets(&exiting)).join(" ")
    };
    let four = picture("a1:e@dc-a/1 a2@dc-a/2 a3@dc-a/3 a4@dc-a/4 b1@dc-b/1");
    assert_eq!(targets(&four, &["a1"]), "a1 a2");
    let three = picture("a2@dc-a/2 a3@dc-a/3 a4:e@dc-a/4");
    assert_eq!(targets(&three, &["a4"]), "a2 a3");
    assert_eq!(targets(&three, &[]), "");
}

#[test]
fn s7_16_so_do_the_two_oldest_of_each_of_its_roles() {
    let gossip =
        picture("a1 a2 a3 a4 a5:e+r1+r2 a6:e+r1+r3 a7+r1 a8+r1 a9+r2 b1@other+r1 b2@other+r2");
    let me = node("a1");
    let view = View::new(&gossip, &me, "default");
    let targets = view.exiting_targets(&[node("a5"), node("a6")]);
    assert_eq!(names(&targets), ["a1", "a2", "a5", "a6", "a9"]);
}

#[test]
fn s7_17_who_leads_where_nobody_is_up() {
    let gossip = picture("a9000 a8000 a7000:j a5000:j a6000:e a3000:e a4000:d a2000:d a10000");
    let mut members: Vec<&Member> = gossip.members().iter().collect();
    members.sort_by(|a, b| by_leader_status(a, b));
    let ports: Vec<u16> = members.iter().map(|m| m.node.address.port()).collect();
    assert_eq!(
        ports,
        [8000, 9000, 10000, 5000, 7000, 3000, 6000, 2000, 4000]
    );
}

#[test]
fn the_preference_falls_in_a_large_cluster_and_stays_a_likelihood() {
    let near = |size, wanted: f64| {
        let found = SETTINGS.prefer_unseen_probability(size);
        assert!((found - wanted).abs() < 1e-9, "{size}: {found}");
    };
    for (size, wanted) in [
        (1, 0.8),
        (400, 0.8),
        (800, 0.44),
        (1200, 0.08),
        (100_000, 0.08),
    ] {
        near(size, wanted);
    }
    let across: Vec<_> = (1..=6)
        .map(|local| SETTINGS.cross_probability(local))
        .collect();
    assert_eq!(across, [1.0, 0.75, 0.5, 0.25, 0.2, 0.2]);
}

#[test]
fn a_node_alone_has_no_target() {
    let gossip = picture("a");
    let me = node("a");
    let view = View::new(&gossip, &me, "default");
    let mut random = fastrand::Rng::with_seed(7);
    assert_eq!(SETTINGS.choose(&view, &mut random), None);
    assert_eq!(SETTINGS.burst(&view, 5, &mut random), []);
}

#[test]
fn a_word_for_all_reaches_each_of_the_data_centre_once_and_in_few_hops() {
    for members in [1, 2, 8, 9, 10, 70, 200] {
        let others = (1..members).map(|at| alloc::format!("m{at:03}@here"));
        let all: Vec<_> = others.chain(["a@here".into(), "z@there".into()]).collect();
        let gossip = picture(&all.join(" "));
        let mut random = fastrand::Rng::with_seed(members);
        let mut told: Vec<(UniqueAddress, Range<usize>)> = Vec::new();
        let mut next = Vec::from([(node("a"), 0..gossip.members().len())]);
        let mut hops = 0;
        while !next.is_empty() {
            let mut further = Vec::new();
            for (me, places) in &next {
                let view = View::new(&gossip, me, "here");
                further.extend(SETTINGS.shares(&view, places.clone(), &mut random));
            }
            hops += u32::from(!further.is_empty());
            told.extend(further.iter().cloned());
            next = further;
        }
        let mut heard: Vec<_> = told.iter().map(|(to, _)| to.address.host()).collect();
        heard.sort_unstable();
        let wanted: Vec<_> = (1..members).map(|at| alloc::format!("m{at:03}")).collect();
        assert_eq!(heard, wanted);
        assert!(hops <= 4, "{members} members: {hops} hops");
    }
}

#[test]
fn a_word_for_all_goes_around_those_that_cannot_be_reached() {
    let gossip = with(picture("a b c d"), "a→b c→d", "a b c d");
    let me = node("a");
    let view = View::new(&gossip, &me, "default");
    let mut random = fastrand::Rng::with_seed(7);
    let shares = SETTINGS.shares(&view, 0..4, &mut random);
    assert_eq!(shares, [(node("c"), 2..3), (node("d"), 3..4)]);
    // Who has another picture may be told of more places than there are.
    assert_eq!(
        SETTINGS.shares(&view, 3..9, &mut random),
        [(node("d"), 3..4)]
    );
    assert_eq!(SETTINGS.shares(&view, 4..9, &mut random), []);
}

#[test]
fn the_oldest_few_speak_abroad_where_there_is_an_abroad() {
    let speaks = |text: &str, me: &str| {
        let (gossip, me) = (picture(text), node(me));
        limited(1).speaks_abroad(&View::new(&gossip, &me, "here"))
    };
    let two = "a@here b@here z@there";
    assert_eq!([speaks(two, "a"), speaks(two, "b")], [true, false]);
    assert!(!speaks("a@here b@here", "a"));
}
