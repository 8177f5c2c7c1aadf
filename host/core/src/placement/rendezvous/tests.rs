use alloc::format;
use alloc::string::{String, ToString};
use std::{fs, path::Path, println};

use super::*;

extern crate std;

fn node(address: &str) -> UniqueAddress {
    UniqueAddress::new(address.parse().unwrap(), 1)
}

fn kind() -> KindName {
    KindName::parse("cart").unwrap()
}

fn key(number: u32) -> Key {
    Key::parse(&format!("user-{number}")).unwrap()
}

fn equal(nodes: &[UniqueAddress]) -> Rendezvous {
    Rendezvous::new(nodes.iter().map(|node| (node, 1)))
}

/// How many of the first `keys` keys each node owns.
fn shares(rendezvous: &Rendezvous, keys: u32) -> BTreeMap<UniqueAddress, u32> {
    let mut shares = BTreeMap::new();
    for number in 0..keys {
        let owner = rendezvous.owner(&kind(), &key(number)).unwrap();
        *shares.entry(owner.clone()).or_default() += 1;
    }
    shares
}

/// The largest deviation of a node's share from the mean, as a part of the mean.
fn deviation(nodes: &[UniqueAddress], keys: u32) -> f64 {
    let shares = shares(&equal(nodes), keys);
    let mean = f64::from(keys) / nodes.len() as f64;
    let of = |node| (f64::from(*shares.get(node).unwrap_or(&0)) - mean).abs() / mean;
    nodes.iter().map(of).fold(0.0, f64::max)
}

type Naming = (&'static str, fn(usize) -> String);

const NAMINGS: [Naming; 4] = [
    ("ports", |n| format!("127.0.0.1:{}", 8080 + n)),
    ("last number", |n| format!("10.0.0.{}:8090", n + 1)),
    ("pods", |n| format!("granary-{n}.granary.svc:7000")),
    ("letters", |n| {
        let letter = b"abcdefghijklmnopqrstuvwxyz"[n % 26];
        format!("{}:7000", char::from(letter).to_string().repeat(n / 26 + 1))
    }),
];

#[test]
fn shares_are_even_also_where_addresses_are_alike() {
    println!("| addresses | 3 nodes | 10 nodes | 50 nodes | 50 nodes, 500,000 keys |");
    println!("|---|---|---|---|---|");
    for (name, naming) in NAMINGS {
        let of = |count, keys| {
            let nodes: Vec<UniqueAddress> = (0..count).map(|n| node(&naming(n))).collect();
            deviation(&nodes, keys)
        };
        let [three, ten, fifty] = [3, 10, 50].map(|count| of(count, 100_000));
        let more = of(50, 500_000);
        let [a, b, c, d] = [three, ten, fifty, more].map(|part| 100.0 * part);
        println!("| {name} | {a:.1} % | {b:.1} % | {c:.1} % | {d:.1} % |");
        assert!(three < 0.05 && ten < 0.05 && more < 0.05, "{name}");
        // 2,000 keys a node deviate by 2.2 % by chance, and by some three times that at the worst of fifty nodes.
        assert!(fifty < 0.09, "{name}: {fifty}");
    }
}

#[test]
fn a_nodes_share_is_its_share_of_the_capacity() {
    let nodes = [node("a:1"), node("b:1"), node("c:1"), node("d:1")];
    let capacities = [1, 2, 5, 0];
    let rendezvous = Rendezvous::new(nodes.iter().zip(capacities));
    let shares = shares(&rendezvous, 80_000);
    for (node, capacity) in nodes.iter().zip(capacities) {
        let share = *shares.get(node).unwrap_or(&0);
        let expected = 10_000 * capacity;
        assert!(
            share.abs_diff(expected) <= expected / 20,
            "{node}: {share}, not {expected}"
        );
    }
}

#[test]
fn who_goes_gives_away_its_own_keys_and_no_others() {
    let nodes: Vec<UniqueAddress> = (0..10).map(|n| node(&format!("n{n}:1"))).collect();
    let before = equal(&nodes);
    let after = equal(&nodes[1..]);
    for number in 0..20_000 {
        let (old, new) = (
            before.owner(&kind(), &key(number)).unwrap(),
            after.owner(&kind(), &key(number)).unwrap(),
        );
        assert!(old == new || *old == nodes[0]);
    }
}

#[test]
fn who_comes_takes_its_share_and_nothing_moves_between_the_others() {
    let nodes: Vec<UniqueAddress> = (0..10).map(|n| node(&format!("n{n}:1"))).collect();
    for count in [3_usize, 9] {
        let (before, after) = (equal(&nodes[..count]), equal(&nodes[..=count]));
        let keys = 50_000_u32;
        let mut moved = 0_u32;
        for number in 0..keys {
            let old = before.owner(&kind(), &key(number)).unwrap();
            let new = after.owner(&kind(), &key(number)).unwrap();
            assert!(old == new || *new == nodes[count], "only to the new one");
            moved += u32::from(old != new);
        }
        let part = 1.0 / (count as f64 + 1.0);
        let expected = f64::from(keys) * part;
        let sigma = libm::sqrt(expected * (1.0 - part));
        assert!(
            (f64::from(moved) - expected).abs() < 3.0 * sigma,
            "{moved} of {keys} moved, not {expected}"
        );
    }
}

#[test]
fn a_change_of_capacity_moves_keys_to_or_from_that_node_alone() {
    let nodes = [node("a:1"), node("b:1"), node("c:1")];
    let before = Rendezvous::new(nodes.iter().zip([1, 2, 3]));
    let after = Rendezvous::new(nodes.iter().zip([4, 2, 3]));
    for number in 0..20_000 {
        let old = before.owner(&kind(), &key(number)).unwrap();
        let new = after.owner(&kind(), &key(number)).unwrap();
        assert!(old == new || *new == nodes[0]);
    }
}

#[test]
fn the_order_of_the_nodes_and_their_incarnation_do_not_matter() {
    let nodes: Vec<UniqueAddress> = (0..7).map(|n| node(&format!("n{n}:1"))).collect();
    let mut turned = nodes.clone();
    turned.rotate_left(3);
    turned.reverse();
    assert_eq!(equal(&nodes), equal(&turned));
    let reborn: Vec<UniqueAddress> = nodes
        .iter()
        .map(|node| UniqueAddress::new(node.address.clone(), 99))
        .collect();
    for number in 0..1000 {
        let old = equal(&nodes);
        let new = equal(&reborn);
        let addresses =
            [&old, &new].map(|nodes| &nodes.owner(&kind(), &key(number)).unwrap().address);
        assert_eq!(addresses[0], addresses[1]);
    }
    let both = Rendezvous::new([(&nodes[0], 1), (&reborn[0], 1)]);
    assert_eq!(both.owner(&kind(), &key(1)), Some(&reborn[0]));
}

#[test]
fn kinds_are_divided_each_on_its_own() {
    let nodes: Vec<UniqueAddress> = (0..10).map(|n| node(&format!("n{n}:1"))).collect();
    let rendezvous = equal(&nodes);
    let other = KindName::parse("order").unwrap();
    let same = (0..1000)
        .filter(|number| {
            rendezvous.owner(&kind(), &key(*number)) == rendezvous.owner(&other, &key(*number))
        })
        .count();
    assert!((50..150).contains(&same), "a tenth by chance: {same}");
    let split = |kind: &str, key: &str| {
        key_hash(&KindName::parse(kind).unwrap(), &Key::parse(key).unwrap())
    };
    assert_ne!(split("ab", "c"), split("a", "bc"));
}

#[test]
fn nobody_owns_where_nobody_is() {
    assert_eq!(Rendezvous::default().owner(&kind(), &key(1)), None);
    let none = node("a:1");
    let rendezvous = Rendezvous::new([(&none, 0)]);
    assert_eq!(rendezvous.owner(&kind(), &key(1)), None);
}

#[test]
fn the_extremes_of_a_draw_have_a_finite_score() {
    for draw in [0, 1, (1 << 52) - 2, (1 << 52) - 1] {
        let score = score(draw, u32::MAX);
        assert!(score.is_finite() && 0.0 < score, "{draw}: {score}");
    }
}

/// Every stage, so that another implementation can find where it differs.
fn vectors() -> String {
    let mut text = String::from(
        "# Rendezvous hashing, frozen. node: address, hash. key: kind, key, hash. draw: key, node, 52 bits, bits of the score at capacity 1 and 3.\n\
         # owner: kind/key, then the owner among the nodes at capacity 1, and among the nodes at capacities 1, 2, 3, 1, 2, 3, …\n",
    );
    let nodes: Vec<UniqueAddress> = (0..10)
        .map(|n| node(&format!("127.0.0.1:{}", 8080 + n)))
        .chain(["[::1]:7000", "granary-0.granary.svc:7000"].map(node))
        .collect();
    for node in &nodes {
        text += &format!("node {} {:016x}\n", node.address, node_hash(&node.address));
    }
    let grains: Vec<(KindName, Key)> = [
        "cart/alice",
        "cart/bob",
        "order/alice",
        "file/a/b c/ü",
        "k/0",
    ]
    .into_iter()
    .map(|grain| {
        let (kind, key) = grain.split_once('/').unwrap();
        (KindName::parse(kind).unwrap(), Key::parse(key).unwrap())
    })
    .chain((0..40).map(|number| (kind(), key(number))))
    .collect();
    let plain = equal(&nodes);
    let weighted = Rendezvous::new(nodes.iter().zip([1, 2, 3].into_iter().cycle()));
    for (kind, key) in &grains {
        text += &format!("key {kind} {key} {:016x}\n", key_hash(kind, key));
    }
    for (kind, key) in grains.iter().take(5) {
        for node in &nodes {
            let draw = draw(key_hash(kind, key), node_hash(&node.address));
            let [one, three] = [1, 3].map(|capacity| score(draw, capacity).to_bits());
            text += &format!(
                "draw {kind}/{key} {} {draw:013x} {one:016x} {three:016x}\n",
                node.address
            );
        }
    }
    for (kind, key) in &grains {
        let [one, other] =
            [&plain, &weighted].map(|nodes| &nodes.owner(kind, key).unwrap().address);
        text += &format!("owner {kind}/{key} {one} {other}\n");
    }
    text
}

#[test]
fn every_version_on_every_platform_computes_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rendezvous.txt");
    let actual = vectors();
    if option_env!("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    for (line, (actual, expected)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(actual, expected, "line {}", line + 1);
    }
    assert_eq!(actual.len(), expected.len());
}
