//! Who leads, when the members agree, and who may be let up.

use alloc::string::String;
use alloc::vec;

use super::super::fixture::{names, node, picture, with};
use super::*;

fn set(nodes: &str) -> BTreeSet<UniqueAddress> {
    nodes.split_whitespace().map(node).collect()
}

fn leader(gossip: &Gossip, me: &str) -> Option<String> {
    let me = node(me);
    let dc = gossip
        .member(&me)
        .map_or_else(|| "default".into(), |member| member.dc().clone());
    let view = View::new(gossip, &me, &dc);
    view.leader().map(|leader| leader.address.host().into())
}

#[test]
fn the_first_address_leads_of_those_that_count() {
    for (members, rows, me, wanted) in [
        ("a b c", "", "c", "a"),
        ("a:j b c", "", "a", "b"),
        ("a:w b:e c:l", "", "a", "c"),
        ("a:d b c:d", "", "b", "b"),
        ("a b c", "b→a", "b", "b"),
        // A node always reaches itself, so that two may each think that they lead.
        ("a b c", "b→a", "a", "a"),
        ("a b c", "bTa", "c", "b"),
        // Without anybody who counts: weakly up before joining before exiting.
        ("a:e b:j c:w", "", "a", "c"),
        ("a:e b:j", "", "a", "b"),
        ("a:d b:e", "", "a", "b"),
        ("a:p b:r", "", "b", "a"),
        // The words of who is down do not move the lead.
        ("a b c:d", "c→a", "b", "a"),
    ] {
        let gossip = with(picture(members), rows, "");
        assert_eq!(
            leader(&gossip, me).as_deref(),
            Some(wanted),
            "{members} {rows}"
        );
    }
    assert_eq!(leader(&picture("a:d"), "a"), None);
    assert_eq!(leader(&Gossip::default(), "a"), None);
}

#[test]
fn each_data_centre_has_its_leader_and_asks_nobody_else() {
    let gossip = with(picture("a@x b@x c@y d@y"), "c→a d→a a→c", "");
    for (me, wanted) in [("a", "a"), ("b", "a"), ("c", "c"), ("d", "c")] {
        assert_eq!(leader(&gossip, me).as_deref(), Some(wanted), "{me}");
    }
}

#[test]
fn each_role_has_its_leader_the_data_centres_own_among_them() {
    let gossip = with(picture("a b+web c+web+db d:d+old e@y+far"), "", "");
    let me = node("a");
    let leaders = View::new(&gossip, &me, "default").role_leaders();
    let named: Vec<_> = leaders
        .iter()
        .map(|(role, node)| (role.as_ref(), node.address.host()))
        .collect();
    assert_eq!(named, [("db", "c"), ("dc-default", "a"), ("web", "b")]);
    let view = View::new(&gossip, &me, "default");
    assert_eq!(view.role_leader("web"), Some(&node("b")));
    assert_eq!(view.role_leader("old"), None);
    assert_eq!(view.leader_without(&[&node("a")]), Some(&node("b")));
}

/// Whether `me` finds that all agree, some exits being confirmed.
fn converged(gossip: &Gossip, me: &str, dc: &str, confirmed: &str) -> bool {
    let (me, confirmed) = (node(me), set(confirmed));
    let view = View::new(gossip, &me, dc);
    let hindrance = view.hindrance(&confirmed);
    assert_eq!(
        view.is_converged(&confirmed),
        hindrance == Hindrance::default()
    );
    view.is_converged(&confirmed)
}

#[test]
fn members_agree_when_all_that_count_have_seen_the_picture() {
    for (members, seen_by, wanted) in [
        ("", "", true),
        ("a", "a", true),
        ("a", "", false),
        ("a b c", "a b", false),
        ("a b c", "a b c", true),
        ("a b:j c:w d:d e:e", "a", true),
        ("a b:l", "a", false),
        ("a b:p", "a", false),
        ("a b:r", "a", false),
    ] {
        let gossip = with(picture(members), "", seen_by);
        assert_eq!(
            converged(&gossip, "a", "default", ""),
            wanted,
            "{members}, seen by {seen_by}"
        );
    }
    let gossip = with(picture("a b:l"), "", "a");
    assert!(
        converged(&gossip, "a", "default", "b"),
        "an exit that is confirmed"
    );
}

#[test]
fn who_cannot_be_reached_is_in_the_way_unless_it_is_about_to_go() {
    for (members, rows, confirmed, wanted) in [
        ("a b c", "b→c", "", false),
        ("a b c", "bTc", "", false),
        ("a b c:d", "b→c", "", true),
        ("a b c:e", "b→c", "", true),
        ("a b c:j", "b→c", "", false),
        ("a b c", "b→c", "c", true),
        // Its own doubts of oneself are no hindrance, nor are the words of who is down.
        ("a b c", "b→a", "", true),
        ("a b:d c", "b→c", "", true),
    ] {
        let gossip = with(picture(members), rows, "a b c");
        let found = converged(&gossip, "a", "default", confirmed);
        assert_eq!(found, wanted, "{members} {rows} {confirmed}");
    }
    let gossip = with(picture("a b c d"), "b→c", "a b c");
    let me = node("a");
    let hindrance = View::new(&gossip, &me, "default").hindrance(&BTreeSet::new());
    let (unseen, unreachable) = (vec![node("d")], vec![node("c")]);
    assert_eq!(
        hindrance,
        Hindrance {
            unseen,
            unreachable
        }
    );
}

#[test]
fn other_data_centres_do_not_matter_but_for_the_first_member_of_one() {
    let two = with(picture("a@x b@x c@y d@y"), "a→c c→d", "a b");
    assert!(converged(&two, "a", "x", ""));
    assert!(!converged(&two, "c", "y", ""));
    // Nobody of y counts yet: everybody everywhere must have seen it, those that join too.
    for (seen_by, wanted) in [
        ("a b c d e", true),
        ("a b c d", false),
        ("a b c e", false),
        ("b c d e", false),
    ] {
        let first = with(picture("a@x b@x c:j@y d:w@y e:j@x"), "", seen_by);
        assert_eq!(converged(&first, "c", "y", ""), wanted, "seen by {seen_by}");
    }
    let gone = with(picture("a@x c:j@y d:d@y e:e@x"), "", "a c");
    assert!(converged(&gone, "c", "y", ""));
}

#[test]
fn events_tell_of_the_own_data_centre_and_never_of_oneself() {
    let gossip = with(picture("a@x b@x c:d@x d@y"), "a→b b→a c→b d→b a→d", "");
    let me = node("a");
    let view = View::new(&gossip, &me, "x");
    assert_eq!(names(view.unreachable()), ["b"]);
    assert!(view.is_unreachable(&node("b")) && !view.is_unreachable(&node("d")));
    assert!(!view.is_reachable(&node("b")) && !view.is_reachable(&node("d")));
    assert!(!view.is_reachable(&node("z")));
    assert_eq!(names(view.reachable_members().map(|m| &m.node)), ["c"]);
    let y = node("d");
    let there = View::new(&gossip, &y, "y");
    assert_eq!(there.unreachable().count(), 0);
}

#[test]
fn a_data_centre_is_unreachable_when_one_of_its_members_is_from_here() {
    let dcs = |rows: &str| {
        let gossip = with(picture("a@x b@x c@y d@y e@z"), rows, "");
        let me = node("a");
        let dcs = View::new(&gossip, &me, "x").unreachable_dcs();
        dcs.iter()
            .map(|dc| String::from(dc.as_ref()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(dcs(""), "");
    assert_eq!(dcs("b→c"), "y");
    assert_eq!(dcs("b→c a→d a→e"), "y z");
    assert_eq!(dcs("d→c e→c c→e a→b"), "");
    assert_eq!(dcs("bTc"), "");
}

#[test]
fn those_that_wait_are_let_up_in_the_order_of_their_addresses() {
    let promotions = |members: &str| {
        let gossip = picture(members);
        let me = node("a");
        let view = View::new(&gossip, &me, "default");
        let name = |(node, number): (UniqueAddress, u32)| {
            alloc::format!("{}={number}", node.address.host())
        };
        view.promotions()
            .into_iter()
            .map(name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(promotions("c:j a:j b:w"), "a=1 b=2 c=3");
    assert_eq!(
        promotions("a/7 d:j c:w b:l/9 e:j@far f@far/20"),
        "c=10 d=11"
    );
    assert_eq!(promotions("a b"), "");
    let gossip = with(picture("a b:j c:j d:w"), "a→c", "");
    let me = node("a");
    assert_eq!(
        names(&View::new(&gossip, &me, "default").weak_promotions()),
        ["b"]
    );
}

#[test]
fn there_must_be_enough_members_of_each_kind_to_begin() {
    let gates = |members, web| Gates {
        members,
        by_role: BTreeMap::from([("web".into(), web)]),
    };
    let enough = |members: &str, gates: &Gates| {
        let gossip = picture(members);
        let me = node("a");
        View::new(&gossip, &me, "default").is_enough(gates)
    };
    assert!(enough("a:j b:j+web c:j@far", &gates(3, 1)));
    assert!(!enough("a:j b:j+web", &gates(3, 1)));
    assert!(!enough("a:j b:j+web c:j", &gates(3, 2)));
    assert!(
        !enough("a b:d+web c:e+web d+web", &gates(3, 1)),
        "who is about to go does not count"
    );
    assert!(enough("a", &Gates::default()));
}

#[test]
fn the_leader_removes_who_is_gone() {
    let removals = |rows: &str, confirmed: &str| {
        let gossip = with(picture("a b:d c:e d:e e f:d@far g:l@far h:d"), rows, "");
        let me = node("a");
        let view = View::new(&gossip, &me, "default");
        let gone = view.removals(&set(confirmed));
        names(&gone).join(" ")
    };
    assert_eq!(removals("", ""), "f");
    assert_eq!(removals("a→b e→c a→e", "d e"), "b c d f");
    // Two that each call the other dead may both be well, and not know yet that they are down.
    assert_eq!(removals("b→h h→b", ""), "f");
    assert_eq!(removals("b→h h→b d→b", ""), "b f");
}

#[test]
fn the_oldest_counts_and_has_the_role() {
    let gossip = picture("a/3 b:l/1 c:e/0 d:w e/2+web f/4+web g@far/0");
    let me = node("a");
    let view = View::new(&gossip, &me, "default");
    assert_eq!(view.oldest(None), Some(&node("b")));
    assert_eq!(view.oldest(Some("web")), Some(&node("e")));
    assert_eq!(view.oldest(Some("db")), None);
    let ages: Vec<_> = view
        .by_age()
        .iter()
        .map(|member| member.node.address.host())
        .collect();
    assert_eq!(ages, ["c", "b", "e", "a", "f", "d"]);
    let (a, g) = (
        gossip.member(&node("a")).unwrap(),
        gossip.member(&node("g")).unwrap(),
    );
    assert!(a.is_older_than(g).is_err());
    let e = gossip.member(&node("e")).unwrap();
    assert_eq!(e.is_older_than(a), Ok(true));
}
