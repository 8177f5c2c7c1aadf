//! The scenario file: a cluster, what happens to it, and what must then hold.
//!
//! ```toml
//! seed = 7                       # 0 unless given; every draw comes from it
//!
//! [network]                      # between any two nodes; all of it optional
//! latency = ["1ms", "20ms"]      # drawn for each message, so that messages overtake each other
//! loss = 0.0                     # share of messages that are lost
//! duplicate = 0.0                # share of messages that arrive twice
//!
//! [cluster]                      # the membership settings of every node, as in node.toml
//! downing.strategy = "keep-majority"
//!
//! [[node]]
//! name = "a"                     # also its host; every node listens on port 7000, so "a" < "b" in address order
//! roles = ["web"]                # none unless given
//! dc = "default"
//! app-version = "1.0.0"
//! seeds = ["a", "b"]             # the contact points; the first node of the file unless given
//! kinds = []                     # kinds that it hosts
//! capacity = 1
//! labels = { zone = "x" }
//!
//! [[step]]
//! at = "0s"
//! do = "start"
//! nodes = ["a", "b"]
//!
//! [[expect]]
//! at = "10s"                     # or within = ["10s", "30s"], or always = ["10s", "60s"]; windows include both ends
//! on = ["a", "b"]                # whose view; all nodes that run and are not paused unless given
//! status = { a = "up" }
//! ```
//!
//! # Steps
//!
//! Steps at one moment run in the order of the file, after what was expected of that moment. `node = "a"` and `nodes = ["a"]` mean the same.
//!
//! | `do` | keys | what happens |
//! |---|---|---|
//! | `start` | `nodes` (all unless given) | a process starts, with a uid of its own |
//! | `crash` | `nodes` | it is gone without a word; what it had stored stays |
//! | `restart` | `nodes` | it is gone without a word if it runs, and starts again with a new uid |
//! | `pause`, `resume` | `nodes` | it stands still, as under a debugger; its clock goes on, and messages wait for it |
//! | `cut` | `from`, `to` (all others unless given), `one-way = false` | messages from the ones to the others are lost |
//! | `heal` | `from`, `to`, `one-way`; or nothing, or `all = true` | the links carry messages again |
//! | `leave` | `node`, `via` (itself unless given) | an operator asks `via` to let `node` leave |
//! | `down` | `node`, `via` (the first other running node unless given) | an operator declares the node's latest incarnation down |
//! | `prepare-shutdown` | `via` (the first running node unless given) | the whole cluster prepares to stop |
//! | `set-state` | `node`, `key`, `value` (deletes without it) | shared state of that node |
//! | `skew` | `nodes`, `by` (`"2s"`, `"-2s"`) | its clock is put forward at once; backward it stands until time has caught up, for a node's clock never goes back |
//! | `loss`, `duplicate` | `rate`, and links | messages are lost or doubled from now on |
//! | `latency` | `range = ["1ms", "20ms"]`, and links | messages take that long from now on |
//! | `settings` | `nodes`, and any key of `[cluster]` | these hold for the next start of the nodes |
//!
//! Links are `from` and `to` with `one-way`, or `nodes` for all links of these nodes, or nothing for all links.
//!
//! # Expectations
//!
//! All keys of one `[[expect]]` must hold at the same moment, on each node that it looks at.
//!
//! | key | holds when |
//! |---|---|
//! | `status = { c = "up" }` | the view has `c` in that status, or in one of a list; `"removed"` is a node that is not in the view |
//! | `members = ["a", "b"]` | the view has exactly these nodes, whatever their status |
//! | `unreachable = []` | exactly these are unreachable in the view |
//! | `leader = "a"` | `a` leads in the view; `false` where nobody is to lead |
//! | `role-leader = { web = "a" }` | the same among the nodes with a role |
//! | `oldest = "a"`, `oldest = { web = "a" }` | the oldest node of the own data centre, or of those with a role |
//! | `terminated = ["c"]` | each of these has ended by itself; `[]`: none has, so far |
//! | `converged = true` | the view has converged |
//! | `event = { name = "member-removed", node = "c", previous = "exiting" }` | the node has published such an event: up to `at`, or in the window |
//! | `state = { "a/key" = "value" }`, `state = { a = { key = "value" } }` | the shared state of `a` reads so; `false` where there is to be none |
//! | `same-view = true` | all these nodes see the same members, statuses and unreachable nodes |
//!
//! An event is looked for by any of `name`, `node`, `previous` (status), `role` and `dc`; for `leader-changed`, `node` is the new leader.
//! `count = 2` wants exactly so many, `count = 0` none; `order = ["member-left", "member-exited", "member-removed"]` wants these names
//! to follow one another, others between them or not. A list of such tables wants each of them.

mod expect;
mod node;
mod reader;
mod step;

use std::fmt;
use std::time::Duration;

pub use expect::{EventWant, Expect, Want, When};
pub use node::Node;
pub use reader::Problem;
pub use step::{Action, Links, Step};

use reader::Reader;

/// The longest span of time in a scenario.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most nodes of one scenario.
pub const NODES_MAX: usize = 4096;

/// What carries messages between two nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// The shortest and the longest way.
    pub latency: (Duration, Duration),
    /// The share of messages that are lost.
    pub loss: f64,
    /// The share of messages that arrive twice.
    pub duplicate: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(1), Duration::from_millis(20)),
            loss: 0.0,
            duplicate: 0.0,
        }
    }
}

fn link<'t>(reader: &mut Reader<'t>, field: &reader::Field<'t>) -> Link {
    let mut link = Link::default();
    let Some(mut fields) = reader.table(field) else {
        return link;
    };
    if let Some(field) = fields.take("latency") {
        link.latency = reader.range(&field).unwrap_or(link.latency);
    }
    if let Some(field) = fields.take("loss") {
        link.loss = reader.share(&field).unwrap_or(link.loss);
    }
    if let Some(field) = fields.take("duplicate") {
        link.duplicate = reader.share(&field).unwrap_or(link.duplicate);
    }
    reader.finish(fields);
    link
}

/// A whole scenario, checked. Nodes are named by their place in `nodes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Where every draw comes from.
    pub seed: u64,
    /// The network at the start.
    pub link: Link,
    /// The nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// What happens, in the order of time, then of the file.
    pub steps: Vec<Step>,
    /// What must hold.
    pub expects: Vec<Expect>,
}

/// Why a file is no scenario: every slip in it, in the order of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError(pub Vec<Problem>);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    /// Reads a file's text. Errors: every unknown key, wrong value and impossible step, each with line and key.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let mut reader = Reader::new(text);
        let tree = match toml::de::DeTable::parse(text) {
            Ok(tree) => tree,
            Err(error) => {
                let line = reader.line(error.span().map_or(0, |span| span.start));
                reader.problem(line, "", error.message().trim());
                return Err(ScenarioError(reader.problems));
            }
        };
        let mut top = reader.top(tree.get_ref());
        let seed = top.take("seed").and_then(|field| reader.number(&field));
        let link = match top.take("network") {
            Some(field) => link(&mut reader, &field),
            None => Link::default(),
        };
        let cluster = top.take("cluster");
        let nodes = top.take("node").map(|field| reader.tables(&field));
        let (mut nodes, names) = node::read(&mut reader, nodes.unwrap_or_default());
        node::settle(&mut reader, &mut nodes, cluster);
        let steps = top.take("step").map(|field| reader.tables(&field));
        let steps = step::read(&mut reader, steps.unwrap_or_default(), &names, &nodes);
        let expects = top.take("expect").map(|field| reader.tables(&field));
        let expects = expect::read(&mut reader, expects.unwrap_or_default(), &names);
        reader.finish(top);
        let mut problems = reader.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            return Err(ScenarioError(problems));
        }
        Ok(Self {
            seed: seed.unwrap_or(0),
            link,
            nodes,
            steps,
            expects,
        })
    }
}
