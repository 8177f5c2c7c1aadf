use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::*;
use crate::membership::address::Address;
use crate::membership::member::Profile;

fn node(name: &str) -> UniqueAddress {
    UniqueAddress::new(Address::new(name, 7000).unwrap(), 1)
}

/// Members `a`, `b`, `c`, …, all up, the first the oldest.
fn members(count: u8) -> Vec<Member> {
    let member = |age: u8| {
        let name = char::from(b'a' + age).to_string();
        let mut member = Member::joining(node(&name), Arc::new(Profile::plain()));
        member.status = Status::Up;
        member.up_number = Some(u32::from(age) + 1);
        member
    };
    (0..count).map(member).collect()
}

/// Region by region so many shards, numbered through.
fn regions<'a>(members: &'a [Member], counts: &[u32]) -> Vec<Region<'a, u32>> {
    let mut next = 1;
    let mut regions = Vec::new();
    for (member, count) in members.iter().zip(counts) {
        let shards = (next..next + count).collect();
        regions.push(Region { member, shards });
        next += count;
    }
    regions
}

fn limits(absolute_limit: u32, relative_limit: f64) -> RebalanceSettings {
    RebalanceSettings {
        absolute_limit,
        relative_limit,
    }
}

const NONE: BTreeSet<UniqueAddress> = BTreeSet::new();

fn leaving(members: &[Member], counts: &[u32], settings: RebalanceSettings) -> Vec<u32> {
    let regions = regions(members, counts);
    let leaving = rebalance(&regions, &BTreeSet::new(), members, &NONE, &settings);
    leaving.into_iter().collect()
}

#[test]
fn what_is_above_the_optimum_leaves_first() {
    let members = members(3);
    let all = limits(1000, 1.0);
    assert_eq!(leaving(&members, &[1, 2, 6], all), [4, 5, 6]);
    assert_eq!(leaving(&members, &[0, 0, 6], all), [1, 2, 3, 4]);
    assert_eq!(leaving(&members, &[2, 2, 3], all), [] as [u32; 0]);
    assert_eq!(leaving(&members, &[0, 0, 1], all), [] as [u32; 0]);
    assert_eq!(leaving(&members, &[0, 0, 0], all), [] as [u32; 0]);
    assert_eq!(leaving(&[], &[], all), [] as [u32; 0]);
}

#[test]
fn then_who_has_two_fewer_gets_some() {
    let members = members(4);
    let all = limits(1000, 1.0);
    // 10 shards on 4: at most 3. The last has one, two fewer than the others: one moves, from the best of the full ones.
    assert_eq!(leaving(&members, &[3, 3, 3, 1], all), [1]);
    assert_eq!(leaving(&members, &[3, 3, 2, 2], all), [] as [u32; 0]);
    // 9 on 4: at most 3, so the empty one lacks two.
    assert_eq!(leaving(&members, &[3, 3, 3, 0], all), [1, 4]);
}

#[test]
fn a_round_moves_no_more_than_the_smaller_limit_and_at_least_one() {
    let members = members(2);
    assert_eq!(leaving(&members, &[0, 100], limits(1000, 0.1)).len(), 10);
    assert_eq!(leaving(&members, &[0, 100], limits(7, 0.1)).len(), 7);
    assert_eq!(leaving(&members, &[0, 100], limits(7, 0.0)).len(), 1);
    assert_eq!(leaving(&members, &[0, 100], limits(0, 1.0)).len(), 1);
    assert_eq!(
        leaving(&members, &[0, 100], limits(1000, f64::NAN)).len(),
        1
    );
    assert_eq!(leaving(&members, &[0, 4], limits(1000, 0.1)).len(), 1);
}

#[test]
fn round_after_round_ends_with_even_regions() {
    let members = members(5);
    let mut counts = [0, 33, 7, 90, 1];
    let mut rounds = 0;
    loop {
        let current = regions(&members, &counts);
        let settings = RebalanceSettings::default();
        let leaving = rebalance(&current, &BTreeSet::new(), &members, &NONE, &settings);
        if leaving.is_empty() {
            break;
        }
        rounds += 1;
        for shard in &leaving {
            let from = current
                .iter()
                .position(|region| region.shards.contains(shard));
            counts[from.unwrap()] -= 1;
        }
        for _ in &leaving {
            let to = allocate(&regions(&members, &counts)).unwrap().clone();
            let at = members.iter().position(|member| member.node == to);
            counts[at.unwrap()] += 1;
        }
        assert!(rounds < 100);
    }
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 1, "{counts:?}");
    assert_eq!(counts.iter().sum::<u32>(), 131);
}

#[test]
fn one_round_at_a_time() {
    let members = members(2);
    let regions = regions(&members, &[0, 10]);
    let settings = RebalanceSettings::default();
    let moving = BTreeSet::from([3]);
    let leaving = rebalance(&regions, &moving, &members, &NONE, &settings);
    assert_eq!(leaving, BTreeSet::new());
}

fn is_good(members: &[Member], unreachable: &BTreeSet<UniqueAddress>) -> bool {
    is_a_good_time(&regions(members, &[0, 10]), members, unreachable)
}

#[test]
fn nothing_moves_while_it_would_move_again_or_could_not_arrive() {
    let base = members(3);
    assert!(is_good(&base, &NONE));
    assert!(!is_good(&base, &BTreeSet::from([node("c")])), "unreachable");
    for (status, good) in [
        (Status::Joining, false),
        (Status::WeaklyUp, false),
        (Status::PreparingForShutdown, false),
        (Status::ReadyForShutdown, false),
        (Status::Leaving, true),
        (Status::Exiting, true),
        (Status::Down, true),
    ] {
        let mut members = members(3);
        members[2].status = status;
        assert_eq!(is_good(&members, &NONE), good, "{status}");
    }
    let mut mixed = members(3);
    Arc::make_mut(&mut mixed[1].profile).app_version = "2.0.0".parse().unwrap();
    assert!(!is_good(&mixed, &NONE), "two versions have regions");
    let mut elsewhere = members(3);
    Arc::make_mut(&mut elsewhere[2].profile).dc = "far".into();
    assert!(
        is_good(&elsewhere, &BTreeSet::from([node("c")])),
        "another data centre"
    );
    assert!(!is_a_good_time::<u32>(&[], &base, &NONE), "no region");
}

#[test]
fn the_fittest_takes_a_shard() {
    let taker = |change: &dyn Fn(&mut [Member]), counts: &[u32]| -> String {
        let mut members = members(3);
        change(&mut members);
        let regions = regions(&members, counts);
        allocate(&regions).unwrap().address.host().into()
    };
    assert_eq!(taker(&|_| {}, &[2, 1, 2]), "b", "fewest shards");
    assert_eq!(taker(&|_| {}, &[1, 1, 2]), "a", "the oldest among equals");
    let newer = |members: &mut [Member]| {
        Arc::make_mut(&mut members[2].profile).app_version = "2.0.0".parse().unwrap();
    };
    assert_eq!(taker(&newer, &[0, 0, 9]), "c", "the newest version");
    let leaves = |members: &mut [Member]| {
        newer(members);
        members[2].status = Status::Leaving;
    };
    assert_eq!(taker(&leaves, &[3, 2, 0]), "b", "never one on its way out");
    assert_eq!(allocate::<u32>(&[]), None);
}
