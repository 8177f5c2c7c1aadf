//! Scenarios that nobody wrote: from a seed, a cluster, a time of faults, and a time of quiet in which everything must come right.
//!
//! Some seeds have several data centres, and some are small clusters with a link that is cut while messages get lost. That is drawn apart, so that the
//! others are what they were without it.

mod far;
mod near;

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use granary_core::membership::settings::{DowningSettings, Settings, StrategyName};

use crate::check::Rules;
use crate::run::{Replay, Steps, play};
use crate::scenario::{Action, Link, Links, Scenario, Step};
use crate::trace::Line;
use crate::world::{AGREED, Wire, World};
use far::Far;
use near::Near;

/// How long faults go on.
const FAULTS: Duration = Duration::from_secs(60);
/// How long nothing happens after that, before views are compared.
pub const QUIET: Duration = Duration::from_secs(90);
/// After so long members have decided about a partition that has healed.
const DECIDED_AFTER: Duration = Duration::from_secs(15);
/// The kind that nodes host.
pub const KIND: &str = "counter";
/// What every node says once it is quiet, with its name behind it.
pub const LAST_WORD: &str = "quiet ";
/// How long before the end it says so.
const LAST_WORDS_BEFORE: Duration = Duration::from_secs(10);

/// The sample of a size and a strategy, of which the rest is drawn.
fn draft(rng: &mut Rng, far: Option<&Far>, near: Option<&Near>) -> Scenario {
    let nodes = far.map_or_else(|| rng.usize(3..=8), Far::nodes);
    let nodes = near.map_or(nodes, |near| near.nodes);
    let quorum = nodes / 2 + 1;
    let strategy = match rng.u8(0..5) {
        0 => format!("downing.strategy = \"static-quorum\"\ndowning.quorum-size = {quorum}"),
        1 => "downing.strategy = \"keep-majority\"".to_owned(),
        2 => format!(
            "downing.strategy = \"keep-oldest\"\ndowning.down-if-alone = {}",
            rng.bool()
        ),
        3 => "downing.strategy = \"lease-majority\"".to_owned(),
        _ => "downing.strategy = \"down-all\"".to_owned(),
    };
    let unstable = if rng.bool() { "on" } else { "off" };
    let mut text = format!(
        "[cluster]\nstable-after = \"5s\"\n{strategy}\ndowning.down-all-when-unstable = \"{unstable}\"\n"
    );
    // Two contact points of many nodes may well find only each other after a restart.
    let seeds = match (rng.u8(0..3), far) {
        (0, Some(far)) => format!(
            "{:?}",
            far.first_of_each()
                .into_iter()
                .map(name)
                .collect::<Vec<_>>()
        ),
        (0, None) => "[\"a\", \"b\"]".to_owned(),
        (1, _) => "[\"a\", \"b\", \"c\"]".to_owned(),
        (_, _) => "\"all\"".to_owned(),
    };
    for node in 0..nodes {
        let name = name(node);
        let dc = far.map_or_else(|| "default".to_owned(), |far| far.dc(node));
        let role = if rng.bool() { "\"web\"" } else { "" };
        let kinds = if 0 < rng.u8(0..4) { KIND } else { "other" };
        let capacity = rng.u8(0..4);
        text.push_str(&format!(
            "[[node]]\nname = \"{name}\"\ndc = \"{dc}\"\nroles = [{role}]\nseeds = {seeds}\nkinds = [\"{kinds}\"]\ncapacity = {capacity}\n"
        ));
    }
    Scenario::parse(&text).expect("a scenario that this file writes is one")
}

/// Letters stand in the order of addresses.
fn name(node: usize) -> String {
    char::from(b'a' + u8::try_from(node).unwrap_or(0)).to_string()
}

/// Whether a seed has several data centres.
pub fn is_far(seed: u64) -> bool {
    Far::of(seed).is_some()
}

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::with_seed(seed);
    let mut far = Far::of(seed);
    let near = Near::of(seed).filter(|_| far.is_none());
    let mut scenario = draft(&mut rng, far.as_ref(), near.as_ref());
    scenario.seed = seed;
    let count = scenario.nodes.len();
    let mut steps = Vec::new();
    let mut add = |at: Duration, action: Action| {
        steps.push(Step {
            line: 0,
            at,
            action,
            refused: false,
        });
    };
    for node in 0..count {
        let at = Duration::from_millis(rng.u64(0..8_000));
        add(at, Action::Start(vec![node]));
    }
    let mut cuts = Vec::new();
    let mut others = rng.usize(2..=10);
    let mut first: Vec<(Duration, Vec<(Duration, Action)>)> = Vec::new();
    if let Some(near) = &near {
        others = near.others;
        first = near.faults().into();
    }
    for (at, fault) in first {
        is_one_more_partition(&mut cuts, at, &fault, None);
        for (after, action) in fault {
            add((at + after).min(FAULTS), action);
        }
    }
    for _ in 0..others {
        let at = Duration::from_millis(rng.u64(5_000..55_000));
        let fault = far.as_mut().and_then(Far::fault);
        let fault = fault.unwrap_or_else(|| self::fault(&mut rng, count));
        if is_one_more_partition(&mut cuts, at, &fault, far.as_ref()) {
            continue;
        }
        for (after, action) in fault {
            add((at + after).min(FAULTS), action);
        }
    }
    for _ in 0..rng.usize(0..9) {
        let at = Duration::from_millis(rng.u64(5_000..60_000));
        add(at, shared(&mut rng, count));
    }
    if rng.u8(0..16) == 0 {
        let at = Duration::from_millis(rng.u64(10_000..60_000));
        add(at, Action::PrepareShutdown { via: None });
    }
    if rng.u8(0..16) == 0 {
        // Where it is not the first to form a cluster it is refused.
        let other = rng.usize(1..count);
        let settings = other_settings(&scenario.nodes[other].settings);
        add(Duration::ZERO, Action::Settings(vec![(other, settings)]));
    }
    calm(&mut add, count);
    for node in 0..count {
        let word = format!("{LAST_WORD}{}", scenario.nodes[node].name);
        let at = FAULTS + QUIET - LAST_WORDS_BEFORE;
        add(at, Action::Broadcast { node, word });
    }
    // The last step only keeps the clock going.
    add(FAULTS + QUIET, Action::Heal(Links::All));
    steps.sort_by_key(|step| step.at);
    scenario.steps = steps;
    scenario
}

/// Ends all trouble, whatever it was.
fn calm(add: &mut impl FnMut(Duration, Action), count: usize) {
    add(FAULTS, Action::Heal(Links::All));
    add(FAULTS, Action::Loss(Links::All, 0.0));
    add(FAULTS, Action::Duplicate(Links::All, 0.0));
    let latency = Link::default().latency;
    add(FAULTS, Action::Latency(Links::All, latency));
    add(FAULTS, Action::Resume((0..count).collect()));
}

/// The same settings with another rule for partitions, which the others do not let in.
fn other_settings(settings: &Settings) -> Settings {
    let mut other = settings.clone();
    other.downing = DowningSettings {
        strategy: if settings.downing.strategy == StrategyName::DownAll {
            StrategyName::KeepOldest
        } else {
            StrategyName::DownAll
        },
        ..DowningSettings::default()
    };
    other
}

/// Something that all members are to hear of.
fn shared(rng: &mut Rng, count: usize) -> Action {
    let node = rng.usize(0..count);
    let is_set = 0 < rng.u8(0..4);
    let (key, entry, value) = match rng.u8(0..5) {
        0 | 1 => (
            format!("key-{}", rng.u8(0..3)),
            None,
            rng.u64(..).to_string(),
        ),
        2 => {
            let entry = format!("entry-{}", rng.u8(0..3));
            ("map".to_owned(), Some(entry), rng.u64(..).to_string())
        }
        3 => (AGREED.to_owned(), None, "one".to_owned()),
        _ => {
            let word = rng.u64(..).to_string();
            return Action::Broadcast { node, word };
        }
    };
    Action::SetState {
        node,
        key,
        entry,
        value: is_set.then_some(value),
    }
}

/// Whether a fault cuts the network, or has an operator decide who is dead, while another one does, or has done so shortly before. No policy promises that
/// one side alone survives two partitions that overlap, or an operator who decides otherwise on the other side. Between data centres there is nothing to decide.
fn is_one_more_partition(
    cuts: &mut Vec<(Duration, Duration)>,
    at: Duration,
    fault: &[(Duration, Action)],
    far: Option<&Far>,
) -> bool {
    let lasts = match fault {
        [(_, Action::Cut(links)), _] if far.is_some_and(|far| far.is_far(links)) => return false,
        [(_, Action::Cut(_)), (heals, _)] => *heals,
        [(_, Action::Down { .. })] => Duration::ZERO,
        _ => return false,
    };
    let this = (at, at + lasts + DECIDED_AFTER);
    let overlaps = cuts
        .iter()
        .any(|other| this.0 < other.1 && other.0 < this.1);
    if !overlaps {
        cuts.push(this);
    }
    overlaps
}

/// One fault, and what ends it.
fn fault(rng: &mut Rng, count: usize) -> Vec<(Duration, Action)> {
    let node = rng.usize(0..count);
    let later = Duration::from_millis(rng.u64(100..25_000));
    let at_once = Duration::ZERO;
    let via = rng.bool().then(|| rng.usize(0..count));
    match rng.u8(0..13) {
        0 => vec![(at_once, Action::Crash(vec![node]))],
        1 => vec![
            (at_once, Action::Crash(vec![node])),
            (later, Action::Start(vec![node])),
        ],
        2 => vec![(at_once, Action::Restart(vec![node]))],
        3 => vec![
            (at_once, Action::Pause(vec![node])),
            (later, Action::Resume(vec![node])),
        ],
        4 | 5 => {
            let links = sides(rng, count);
            vec![
                (at_once, Action::Cut(links.clone())),
                (later, Action::Heal(links)),
            ]
        }
        6 => {
            let links = pair(rng, count);
            vec![
                (at_once, Action::Cut(links.clone())),
                (later, Action::Heal(links)),
            ]
        }
        7 => vec![(at_once, Action::Leave { node, via })],
        8 => vec![(at_once, Action::Down { node, via })],
        9 => {
            let by = rng.i64(-3_000_000_000..=3_000_000_000);
            vec![(
                at_once,
                Action::Skew {
                    nodes: vec![node],
                    by,
                },
            )]
        }
        10 => vec![
            (at_once, Action::Loss(Links::All, rng.f64() * 0.3)),
            (later, Action::Loss(Links::All, 0.0)),
        ],
        11 => vec![
            (at_once, Action::Duplicate(Links::All, rng.f64() * 0.3)),
            (later, Action::Duplicate(Links::All, 0.0)),
        ],
        _ => {
            let most = Duration::from_millis(rng.u64(20..1_500));
            let latency = (Duration::from_millis(1), most);
            vec![
                (at_once, Action::Latency(Links::All, latency)),
                (later, Action::Latency(Links::All, Link::default().latency)),
            ]
        }
    }
}

/// Two sides of a partition, or a partition that lets messages through in one direction.
fn sides(rng: &mut Rng, count: usize) -> Links {
    let split: BTreeSet<usize> = (0..count).filter(|_| rng.bool()).collect();
    let (from, to) = (0..count).partition(|node| split.contains(node));
    let one_way = rng.u8(0..4) == 0;
    Links::Between { from, to, one_way }
}

/// One link between two nodes.
fn pair(rng: &mut Rng, count: usize) -> Links {
    let from = rng.usize(0..count);
    let to = (from + rng.usize(1..count)) % count;
    Links::Between {
        from: vec![from],
        to: vec![to],
        one_way: rng.bool(),
    }
}

/// What came of a run that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Runs of one seed have the same digest.
    pub digest: u64,
    /// How many nodes ran in the end.
    pub running: usize,
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed that comes here again.
    pub seed: u64,
    /// When, and which rule, and why.
    pub why: String,
    /// What happened before, the latest last.
    pub before: Vec<Line>,
}

/// Draws a scenario and holds every rule against it. Errors: the first that does not hold, with so many lines of what happened before.
pub fn check(seed: u64, lines: usize) -> Result<Checked, Box<Broken>> {
    let _replay = Replay(seed);
    let scenario = scenario(seed);
    let mut world = World::new(&scenario, seed);
    match hold(&scenario, &mut world) {
        Ok(()) => Ok(Checked {
            digest: world.tally().digest(),
            running: world.hosts().iter().filter(|host| host.runs()).count(),
        }),
        Err(why) => Err(Box::new(Broken {
            seed,
            why,
            before: before(&scenario, seed, lines),
        })),
    }
}

fn hold(scenario: &Scenario, world: &mut World) -> Result<(), String> {
    let rules = Rules::of_drawn_runs();
    world.watch_consensus();
    world.watch(Box::new(rules.clone()));
    world.set_wire(Wire::Crossed);
    play(scenario, world, Steps::WherePossible)
        .map_err(|unmet| format!("after {:?}: {}", unmet.at, unmet.why))?;
    rules.rest(world).map_err(|why| {
        format!(
            "after {:?}, of which {QUIET:?} were quiet: {why}",
            world.now()
        )
    })
}

/// The same run again, written down.
fn before(scenario: &Scenario, seed: u64, lines: usize) -> Vec<Line> {
    let mut world = World::new(scenario, seed);
    let lines = crate::trace::last(&mut world, lines);
    // It ends as it did before.
    drop(hold(scenario, &mut world));
    lines.take()
}
