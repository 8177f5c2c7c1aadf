//! Of a small cluster in which one link is cut while messages get lost, at most one side goes on, by every strategy that promises so.

use granary_sim::check::Rules;
use granary_sim::check::downed_nodes_end::DownedNodesEnd;
use granary_sim::check::one_side_survives::OneSideSurvives;
use granary_sim::check::removed_stays_removed::RemovedStaysRemoved;
use granary_sim::run::{Steps, play};
use granary_sim::scenario::Scenario;
use granary_sim::world::World;

/// Long after all is well again.
const STEPS: &str = r#"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "cut"
from = "a"
to = "b"
one-way = ONE_WAY
[[step]]
at = "70s"
do = "loss"
rate = 0.0
[[step]]
at = "70s"
do = "heal"
all = true
[[step]]
at = "200s"
do = "heal"
"#;

fn scenario(strategy: &str, nodes: &[&str], one_way: bool) -> Scenario {
    let mut text = format!(
        "[network]\nloss = 0.3\n[cluster]\nstable-after = \"5s\"\ndowning.strategy = {strategy}\n"
    );
    for name in nodes {
        text.push_str(&format!(
            "[[node]]\nname = \"{name}\"\nseeds = [\"a\", \"b\", \"c\"]\n"
        ));
    }
    text.push_str(&STEPS.replace("ONE_WAY", &one_way.to_string()));
    Scenario::parse(&text).expect("the scenario is as the format says")
}

/// Runs that end with nobody; the others end with one cluster.
fn lost(strategy: &str, nodes: &[&str]) -> usize {
    let mut lost = 0;
    for (seed, one_way) in (0..60).flat_map(|seed| [(seed, true), (seed, false)]) {
        let scenario = scenario(strategy, nodes, one_way);
        let rules = Rules::of(vec![
            Box::new(OneSideSurvives),
            Box::new(DownedNodesEnd::default()),
            Box::new(RemovedStaysRemoved::default()),
        ]);
        let mut world = World::new(&scenario, seed);
        world.watch(Box::new(rules.clone()));
        let played = play(&scenario, &mut world, Steps::AllPossible);
        let held = played
            .map_err(|unmet| unmet.why)
            .and_then(|()| rules.rest(&world));
        assert_eq!(held, Ok(()), "{strategy}, seed {seed}, one-way {one_way}");
        lost += usize::from(!world.hosts().iter().any(|host| host.runs()));
    }
    lost
}

#[test]
fn no_two_sides_of_three_go_on_under_loss() {
    for strategy in [
        "\"keep-majority\"",
        "\"keep-oldest\"",
        "\"static-quorum\"\ndowning.quorum-size = 2",
        "\"lease-majority\"",
    ] {
        let lost = lost(strategy, &["a", "b", "c"]);
        // A third of all messages is a lot for three: they may well give up. Most do not.
        assert!(lost < 60, "{strategy}: {lost} of 120 end with nobody");
    }
}

#[test]
fn no_two_sides_of_five_go_on_under_loss() {
    let lost = lost("\"keep-majority\"", &["a", "b", "c", "d", "e"]);
    assert!(lost < 60, "{lost} of 120 end with nobody");
}
