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

/// What a cluster of one size needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// How many nodes, all started at once.
    pub nodes: usize,
    /// Until every node saw every node up; none if that never came.
    pub all_up: Option<Duration>,
    /// Until every view had converged, too.
    pub converged: Option<Duration>,
    /// Gossip until then.
    pub joining: Count,
    /// Gossip of half a minute of quiet.
    pub quiet: Count,
    /// From a leave until it was removed everywhere.
    pub left: Option<Duration>,
    /// Gossip of that leave.
    pub leaving: Count,
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

/// What was spent on pictures: gossip, its digests and welcomes.
fn gossip(world: &World) -> Count {
    let of_pictures = |kind: &str| matches!(kind, "gossip" | "status" | "welcome");
    let kinds = world.tally().kinds().filter(|(kind, _)| of_pictures(kind));
    kinds.fold(Count::default(), |sum, (_, count)| Count {
        messages: sum.messages + count.messages,
        bytes: sum.bytes + count.bytes,
    })
}

/// Starts `nodes` at once, lets them come up, be quiet, and one of them leave.
pub fn grow(nodes: usize, seed: u64) -> Growth {
    let mut world = world(nodes, "", seed);
    world.set_wire(Wire::Counted);
    take(&mut world, &Action::Start((0..nodes).collect()));
    let up = until(&mut world, |world| all_up(world, nodes));
    let rest = until(&mut world, converged);
    let joining = gossip(&world);
    world.forget_counts();
    let quiet_end = world.now() + QUIET;
    world.run_until(quiet_end);
    let quiet = gossip(&world);
    world.forget_counts();
    let node = nodes / 2;
    let leave = Action::Leave { node, via: Some(0) };
    take(&mut world, &leave);
    let left = until(&mut world, |world| {
        !world.hosts()[node].is_there() && all_up(world, nodes - 1) && converged(world)
    });
    Growth {
        nodes,
        all_up: up,
        converged: up.zip(rest).map(|(up, rest)| up + rest),
        joining,
        quiet,
        left,
        leaving: gossip(&world),
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
