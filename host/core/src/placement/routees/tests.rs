use alloc::string::{String, ToString};

use super::*;
use crate::membership::address::Address;
use crate::membership::member::Profile;

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

fn member(name: &str, status: Status) -> Member {
    let profile = Profile {
        roles: [name.into(), "web".into()].into(),
        ..Profile::plain()
    };
    let mut member = Member::joining(node(name), Arc::new(profile));
    member.status = status;
    member
}

fn settings(total: u32, per_node: u32) -> RouterSettings {
    RouterSettings {
        total_instances: total,
        max_instances_per_node: per_node,
        ..RouterSettings::default()
    }
}

/// A router on `a`, and what happened to its routees last, as `+b0 -c1`.
struct Bench {
    routees: Routees,
    happened: String,
}

impl Bench {
    fn new(settings: RouterSettings) -> Self {
        Self {
            routees: Routees::new(node("a"), settings, 7),
            happened: String::new(),
        }
    }

    /// These members are up.
    fn up(&mut self, names: &str) -> &mut Self {
        self.view(names, "")
    }

    fn view(&mut self, names: &str, unreachable: &str) -> &mut Self {
        let up = names.split_whitespace();
        let members: Vec<Member> = up.map(|name| member(name, Status::Up)).collect();
        self.members(&members, unreachable)
    }

    fn members(&mut self, members: &[Member], unreachable: &str) -> &mut Self {
        let unreachable = unreachable.split_whitespace().map(node).collect();
        let mut out = Vec::new();
        self.routees.update(members, &unreachable, &mut out);
        self.note(&out);
        self
    }

    fn note(&mut self, events: &[RouteeEvent]) {
        let shown: Vec<String> = events
            .iter()
            .map(|event| match event {
                RouteeEvent::Added(routee) => alloc::format!("+{}", name(routee)),
                RouteeEvent::Removed(routee) => alloc::format!("-{}", name(routee)),
            })
            .collect();
        self.happened = shown.join(" ");
    }

    fn all(&self) -> String {
        let names: Vec<String> = self.routees.all().map(name).collect();
        names.join(" ")
    }

    fn route(&mut self, route: Route) -> String {
        let names: Vec<String> = self.routees.route(route).iter().map(name).collect();
        names.join(" ")
    }

    /// How many of `count` messages go to each node.
    fn spread(&mut self, count: u64, route: impl Fn(u64) -> Route) -> BTreeMap<String, u64> {
        let mut spread = BTreeMap::new();
        for number in 0..count {
            for routee in self.routees.route(route(number)) {
                *spread.entry(routee.node.address.to_string()).or_default() += 1;
            }
        }
        spread
    }
}

fn name(routee: &Routee) -> String {
    alloc::format!("{}{}", routee.node.address.host(), routee.place)
}

#[test]
fn a_group_has_every_path_on_every_node() {
    let mut bench = Bench::new(settings(10_000, 2));
    bench.up("a b c");
    assert_eq!(bench.all(), "a0 a1 b0 b1 c0 c1");
    assert_eq!(bench.happened, "+a0 +b0 +c0 +a1 +b1 +c1");
}

#[test]
fn who_cannot_be_reached_gets_nothing_until_it_can() {
    let mut bench = Bench::new(settings(10_000, 1));
    bench.up("a b c");
    assert_eq!(bench.view("a b c", "c").happened, "-c0");
    assert_eq!(bench.spread(100, |_| Route::RoundRobin).len(), 2);
    assert_eq!(bench.up("a b c").happened, "+c0");
    assert_eq!(bench.up("a b c").happened, "");
}

#[test]
fn only_members_that_are_up_or_weakly_up_with_all_roles_are_sent_to() {
    let members: Vec<Member> = Status::ALL
        .iter()
        .zip(["a", "b", "c", "d", "e", "f", "g", "h", "i"])
        .map(|(status, name)| member(name, *status))
        .collect();
    let mut bench = Bench::new(settings(10, 1));
    assert_eq!(bench.members(&members, "").all(), "b0 c0");
    let mut picky = Bench::new(RouterSettings {
        use_roles: ["web".into(), "c".into()].into(),
        ..RouterSettings::default()
    });
    assert_eq!(picky.members(&members, "").all(), "c0");
    let mut abroad = Bench::new(RouterSettings {
        allow_local_routees: false,
        ..RouterSettings::default()
    });
    assert_eq!(abroad.up("a b").all(), "b0");
}

#[test]
fn a_pool_keeps_to_both_caps() {
    let mut bench = Bench::new(settings(4, 2));
    assert_eq!(bench.up("a b").all(), "a0 a1 b0 b1");
    assert_eq!(bench.up("a b c").happened, "", "four stay four");
    // A node is lost: its routees are made elsewhere, as far as nodes may have them.
    assert_eq!(bench.up("a c").happened, "-b0 -b1 +c0 +c1");
    assert_eq!(bench.up("a").all(), "a0 a1");
    assert_eq!(bench.up("").all(), "");
    assert_eq!(bench.up("a b c d e").happened, "+a0 +b0 +c0 +d0");
}

#[test]
fn a_pool_fills_the_emptiest_node_first() {
    let mut bench = Bench::new(settings(5, 10));
    assert_eq!(bench.up("a b").all(), "a0 a1 a2 b0 b1");
    let mut out = Vec::new();
    let ended = Routee {
        node: node("a"),
        place: 0,
    };
    bench.routees.ended(&ended, &mut out);
    bench.note(&out);
    assert_eq!(bench.happened, "-a0 +a0");
    out.clear();
    let unknown = Routee {
        node: node("x"),
        place: 0,
    };
    bench.routees.ended(&unknown, &mut out);
    assert_eq!(out, []);
}

#[test]
fn in_turn_everyone_gets_as_many() {
    let mut bench = Bench::new(settings(100, 2));
    bench.up("a b c");
    let order: Vec<String> = (0..7).map(|_| bench.route(Route::RoundRobin)).collect();
    assert_eq!(order, ["a0", "a1", "b0", "b1", "c0", "c1", "a0"]);
    let spread = bench.spread(600, |_| Route::RoundRobin);
    assert!(spread.values().all(|count| *count == 200), "{spread:?}");
    // The turn goes on behind the one that was last, although that one is gone.
    while bench.route(Route::RoundRobin) != "b1" {}
    bench.up("a c");
    assert_eq!(bench.route(Route::RoundRobin), "c0");
}

#[test]
fn by_chance_everyone_gets_about_as_many() {
    let mut bench = Bench::new(settings(100, 1));
    bench.up("a b c");
    let spread = bench.spread(3000, |_| Route::Random);
    assert!(
        spread.values().all(|count| (800..1200).contains(count)),
        "{spread:?}"
    );
}

#[test]
fn by_key_the_same_one_gets_it_and_the_keys_are_spread() {
    let mut bench = Bench::new(settings(100, 2));
    bench.up("a b c");
    let owners: Vec<String> = (0..3000)
        .map(|key| bench.route(Route::Key(mix(key))))
        .collect();
    let again: Vec<String> = (0..3000)
        .map(|key| bench.route(Route::Key(mix(key))))
        .collect();
    assert_eq!(owners, again);
    let spread = bench.spread(3000, |key| Route::Key(mix(key)));
    assert!(
        spread.values().all(|count| (800..1200).contains(count)),
        "{spread:?}"
    );
    bench.up("a b");
    for (key, owner) in owners.iter().enumerate() {
        if !owner.starts_with('c') {
            assert_eq!(*owner, bench.route(Route::Key(mix(key as u64))));
        }
    }
}

#[test]
fn all_get_a_broadcast_and_without_routees_nobody_gets_anything() {
    let mut bench = Bench::new(settings(100, 1));
    for route in [
        Route::RoundRobin,
        Route::Random,
        Route::Key(7),
        Route::Broadcast,
    ] {
        assert_eq!(bench.route(route), "");
    }
    bench.up("a b c");
    assert_eq!(bench.route(Route::Broadcast), "a0 b0 c0");
}

#[test]
fn no_routees_are_no_routees() {
    assert_eq!(Bench::new(settings(0, 5)).up("a b").all(), "");
    assert_eq!(Bench::new(settings(5, 0)).up("a b").all(), "");
}
