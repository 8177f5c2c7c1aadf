//! What gossip spends on one change grows no faster than n·log n.

use std::time::Duration;

use granary_sim::measure::{Cost, Growth, grow};

/// Each four times as many as the one before.
const SIZES: [usize; 3] = [10, 40, 160];
/// One seed's leader acts sooner or later than another's.
const SEEDS: u64 = 3;

#[test]
fn a_change_costs_no_more_than_n_log_n_bytes() {
    let of_size =
        |nodes: usize| -> Vec<Growth> { (1..=SEEDS).map(|seed| grow(nodes, seed)).collect() };
    let sizes = SIZES.map(of_size);
    for growth in sizes.iter().flatten() {
        let up = growth.all_up;
        assert!(
            up.is_some_and(|up| up <= Duration::from_secs(15)),
            "{growth:?}"
        );
    }
    type Of = fn(&Growth) -> Cost;
    let changes: [(&str, Of); 3] = [
        ("leave", |growth| growth.leave),
        ("join", |growth| growth.join),
        ("crash", |growth| growth.crash),
    ];
    for (what, cost) in changes {
        let each = sizes.each_ref().map(|runs| {
            let each = runs.iter().map(|growth| {
                assert!(
                    cost(growth).took.is_some(),
                    "the {what} came to no end: {growth:?}"
                );
                cost(growth).bytes_by_n_log_n(growth.nodes)
            });
            each.sum::<f64>() / runs.len() as f64
        });
        assert!(
            each.is_sorted_by(|few, many| few >= many),
            "bytes of a {what} for each of n·log n among {SIZES:?} nodes: {each:.0?}"
        );
    }
}

#[test]
fn a_quiet_cluster_gossips_as_little_whatever_its_size() {
    let each = |nodes: usize| grow(nodes, 1).quiet.bytes as f64 / nodes as f64;
    let (few, many) = (each(SIZES[0]), each(SIZES[1]));
    assert!(many <= few * 1.1, "{few:.0} bytes a node, then {many:.0}");
}
