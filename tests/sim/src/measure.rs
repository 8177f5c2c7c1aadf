//! Figures about large clusters: how long until all are up, what gossip costs, how fast a crash is seen and how often a live node is suspected.

use std::time::Duration;

use granary_core::membership::member::Status;

use crate::scenario::{Action, Links, Scenario};
use crate::tally::Count;
use crate::view;
use crate::world::{Wire, World};

/// How often a large world is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// After so long it is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the quiet cluster is measured.
const QUIET: Duration = Duration::from_secs(30);

/// What one change of a cluster at rest takes, until every view has converged on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// How long it took; none if it never came to an end.
    pub took: Option<Duration>,
    /// What all nodes together spent on pictures until then.
    pub gossip: Count,
}

impl Cost {
    /// The bytes for each of n·log₂ n: what grows no faster keeps this number.
    pub fn bytes_by_n_log_n(&self, nodes: usize) -> f64 {
        let nodes = nodes as f64;
        self.gossip.bytes as f64 / (nodes * nodes.log2())
    }
}

/// What a cluster of one size needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// How many nodes, all started at once.
    pub nodes: usize,
    /// Until every node saw every node up; none if that never came.
    pub all_up: Option<Duration>,
    /// All of them joining, until every view had converged, too.
    pub joining: Cost,
    /// Gossip of half a minute of quiet.
    pub quiet: Count,
    /// One of them leaves and is removed.
    pub leave: Cost,
    /// Another one comes up.
    pub join: Cost,
    /// One crashes, is found to be gone, declared down and removed.
    pub crash: Cost,
}

/// A cluster of `nodes` and what its settings say; nobody subscribes to events, and bytes are counted.
fn world(nodes: usize, cluster: &str, seed: u64) -> World {
    let mut text = format!("[cluster]\n{cluster}\n");
    for node in 0..nodes {
        text.push_str(&format!(
            "[[node]]\nname = \"n{node:04}\"\nseeds = [\"n0000\", \"n0001\", \"n0002\"]\n"
        ));
    }
    let scenario = Scenario::parse(&text).expect("a scenario that this file writes is one");
    let mut world = World::new(&scenario, seed);
    world.without_listeners();
    world
}

/// Takes a step that cannot be refused here.
fn take(world: &mut World, action: &Action) {
    world
        .take(action)
        .expect("the nodes of a measurement run as they were told");
}

/// Lets time pass until `done`, looking now and then; the time it took.
fn until(world: &mut World, done: impl Fn(&World) -> bool) -> Option<Duration> {
    let begin = world.now();
    while world.now() < begin + PATIENCE {
        if done(world) {
            return Some(world.now() - begin);
        }
        let next = world.now() + LOOK;
        world.run_until(next);
    }
    None
}

fn all_up(world: &World, nodes: usize) -> bool {
    (0..world.hosts().len())
        .filter(|place| world.hosts()[*place].runs())
        .all(|place| {
            let state = world.state(place);
            let up = state.map(|state| {
                let up = view::all(state).filter(|member| member.status == Status::Up);
                up.count() == nodes && view::all(state).count() == nodes
            });
            up.unwrap_or(false)
        })
}

fn converged(world: &World) -> bool {
    (0..world.hosts().len())
        .filter(|place| world.hosts()[*place].runs())
        .all(|place| world.state(place).is_some_and(|state| state.converged))
}

/// What was spent on pictures: whole ones, changes, digests and welcomes.
fn gossip(world: &World) -> Count {
    let of_pictures = |kind: &str| {
        let kinds = ["gossip", "gossip-delta", "status", "version", "welcome"];
        kinds.contains(&kind)
    };
    let kinds = world.tally().kinds().filter(|(kind, _)| of_pictures(kind));
    kinds.fold(Count::default(), |sum, (_, count)| Count {
        messages: sum.messages + count.messages,
        bytes: sum.bytes + count.bytes,
    })
}

/// Makes a change, and waits until every node that is left sees `nodes` up and knows that all do.
fn cost(world: &mut World, change: &Action, nodes: usize) -> Cost {
    world.forget_counts();
    take(world, change);
    let took = until(world, |world| all_up(world, nodes) && converged(world));
    Cost {
        took,
        gossip: gossip(world),
    }
}

/// Starts `nodes` at once, lets them come up and be quiet; then one leaves, another one joins, and one crashes, while so large a share of the
/// messages gets lost.
pub fn grow(nodes: usize, loss: f64, seed: u64) -> Growth {
    let mut world = world(nodes + 1, "", seed);
    world.set_wire(Wire::Counted);
    take(&mut world, &Action::Start((0..nodes).collect()));
    let up = until(&mut world, |world| all_up(world, nodes));
    let rest = until(&mut world, converged);
    let joining = Cost {
        took: up.zip(rest).map(|(up, rest)| up + rest),
        gossip: gossip(&world),
    };
    world.forget_counts();
    let quiet_end = world.now() + QUIET;
    world.run_until(quiet_end);
    let quiet = gossip(&world);
    if 0.0 < loss {
        take(&mut world, &Action::Loss(Links::All, loss));
    }
    let leave = Action::Leave {
        node: nodes / 2,
        via: Some(0),
    };
    Growth {
        nodes,
        all_up: up,
        joining,
        quiet,
        leave: cost(&mut world, &leave, nodes - 1),
        join: cost(&mut world, &Action::Start(vec![nodes]), nodes),
        crash: cost(&mut world, &Action::Crash(vec![nodes / 3]), nodes - 1),
    }
}

/// How the failure detector does under one kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// The share of messages lost.
    pub loss: f64,
    /// How long each node in turn stood still; none for no pauses.
    pub pause: Option<Duration>,
    /// How often a node that runs was suspected, in ten minutes, by any of the others.
    pub false_positives: u64,
    /// From a crash until the first node saw it.
    pub first: Option<Duration>,
    /// Until all did.
    pub all: Option<Duration>,
}

/// Ten nodes for ten minutes, with loss and pauses; then one crashes.
pub fn detect(loss: f64, pause: Option<Duration>, seed: u64) -> Detection {
    const NODES: usize = 10;
    let mut world = world(NODES, "downing.strategy = \"off\"", seed);
    take(&mut world, &Action::Start((0..NODES).collect()));
    let up = until(&mut world, |world| all_up(world, NODES));
    debug_assert!(up.is_some(), "ten nodes come up");
    take(&mut world, &Action::Loss(Links::All, loss));
    let mut false_positives = 0;
    let mut suspected = vec![0; NODES];
    let end = world.now() + Duration::from_secs(600);
    let mut round = 0;
    while world.now() < end {
        let node = round % NODES;
        let begin = world.now();
        if let Some(pause) = pause {
            take(&mut world, &Action::Pause(vec![node]));
            false_positives += watch(&mut world, begin + pause, &mut suspected);
            take(&mut world, &Action::Resume(vec![node]));
        }
        false_positives += watch(&mut world, begin + Duration::from_secs(20), &mut suspected);
        round += 1;
    }
    take(&mut world, &Action::Crash(vec![NODES - 1]));
    let crashed = world.now();
    let sees = |world: &World, place: &usize| {
        world
            .state(*place)
            .is_some_and(|state| view::unreachable(world, state).contains(&(NODES - 1)))
    };
    let first = until(&mut world, |world| {
        (0..NODES - 1).any(|place| sees(world, &place))
    });
    let all = until(&mut world, |world| {
        (0..NODES - 1).all(|place| sees(world, &place))
    });
    Detection {
        loss,
        pause,
        false_positives,
        first,
        all: first.zip(all).map(|_| world.now() - crashed),
    }
}

/// Lets time pass and counts how often the number of suspected nodes grew in a view.
fn watch(world: &mut World, end: Duration, suspected: &mut [usize]) -> u64 {
    let mut grown = 0;
    while world.now() < end {
        let next = (world.now() + LOOK).min(end);
        world.run_until(next);
        for (place, before) in suspected.iter_mut().enumerate() {
            let state = world.state(place);
            let now = state.map_or(0, |state| view::unreachable(world, state).len());
            grown += now.saturating_sub(*before) as u64;
            *before = now;
        }
    }
    grown
}
