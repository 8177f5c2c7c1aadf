//! The scenario file: a cluster, what happens to it, and what must then hold.
//!
#![doc = include_str!("../SCENARIOS.md")]

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

/// The format, for people.
pub const FORMAT: &str = include_str!("../SCENARIOS.md");

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

#[cfg(test)]
mod tests;
