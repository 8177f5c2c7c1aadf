//! What gossip spends on one change grows no faster than n·log n.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use granary_core::membership::downing::Reason;
use granary_sim::measure::{Cost, Growth, grow};
use granary_sim::scenario::{Action, Links, Scenario};
use granary_sim::world::{Fact, Watch, Wire, World};

/// Each four times as many as the one before.
const SIZES: [usize; 3] = [10, 40, 160];
/// One seed's leader acts sooner or later than another's.
const SEEDS: u64 = 3;

#[test]
fn a_change_costs_no_more_than_n_log_n_bytes() {
    let of_size =
        |nodes: usize| -> Vec<Growth> { (1..=SEEDS).map(|seed| grow(nodes, 0.0, seed)).collect() };
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
    let each = |nodes: usize| grow(nodes, 0.0, 1).quiet.bytes as f64 / nodes as f64;
    let (few, many) = (each(SIZES[0]), each(SIZES[1]));
    assert!(many <= few * 1.1, "{few:.0} bytes a node, then {many:.0}");
}

/// Counts who gives a cluster up that finds no rest.
struct GivenUp(Rc<Cell<usize>>);

impl Watch for GivenUp {
    fn see(&mut self, _world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::Explained { explanation, .. } = fact {
            let gives_up = matches!(explanation.because, Reason::Unstable { .. });
            self.0.set(self.0.get() + usize::from(gives_up));
        }
        Ok(())
    }
}

#[test]
fn a_cluster_that_finds_no_rest_is_given_up_in_few_words() {
    const NODES: usize = 100;
    let nodes = (0..NODES)
        .map(|node| format!("[[node]]\nname = \"n{node:02}\"\nseeds = [\"n00\", \"n01\"]\n"));
    let scenario = Scenario::parse(&nodes.collect::<String>()).unwrap();
    let mut world = World::new(&scenario, 1);
    world.without_listeners();
    world.set_wire(Wire::Counted);
    let given_up = Rc::new(Cell::new(0));
    world.watch(Box::new(GivenUp(Rc::clone(&given_up))));
    let run = |world: &mut World, seconds: u64| {
        let until = world.now() + Duration::from_secs(seconds);
        world.run_until(until);
    };
    world.take(&Action::Start((0..NODES).collect())).unwrap();
    run(&mut world, 30);
    world.forget_counts();
    // One is gone, and before the others are sure of it another one is missed, again and again.
    world.take(&Action::Crash(vec![NODES / 2])).unwrap();
    for _ in 0..5 {
        let links = Links::Of(vec![NODES / 3]);
        world.take(&Action::Cut(links.clone())).unwrap();
        run(&mut world, 8);
        world.take(&Action::Heal(links)).unwrap();
        run(&mut world, 4);
    }
    assert!(world.hosts().iter().all(|host| !host.runs()));
    // Whoever hears of the first one's decision in time does not decide, too; each is told of the whole of it at once.
    assert!(given_up.get() <= NODES / 10, "{} gave up", given_up.get());
    let kinds = world.tally().kinds();
    let pictures = kinds.filter(|(kind, _)| !kind.starts_with("heartbeat"));
    let bytes: u64 = pictures.map(|(_, count)| count.bytes).sum();
    let most = 600 * (NODES * NODES) as u64;
    assert!(bytes <= most, "{bytes} bytes of pictures, {most} at most");
}
