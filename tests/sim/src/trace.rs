//! What happens, in lines for people.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use granary_core::membership::subscription::Notice;
use serde::Serialize;
use serde_json::Value;

use crate::scenario::{Action, Links};
use crate::world::{Fact, UP, Watch, World};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Duration,
    /// To which node; empty for a step.
    pub node: String,
    /// What.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs();
        let millis = self.at.subsec_millis();
        write!(
            f,
            "{seconds:>6}.{millis:03}s  {:<8} {}",
            self.node, self.text
        )
    }
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Steps, events, log lines, starts and ends.
    Events,
    /// Messages, too.
    Messages,
}

/// The last lines of a run, while it goes on.
pub struct Last(Rc<RefCell<VecDeque<Line>>>);

impl Last {
    /// The lines.
    pub fn take(self) -> Vec<Line> {
        self.0.borrow_mut().drain(..).collect()
    }
}

/// Keeps the last `count` lines of what happens in a world from now on.
pub fn last(world: &mut World, count: usize) -> Last {
    let lines = Rc::new(RefCell::new(VecDeque::new()));
    let kept = Rc::clone(&lines);
    let keep = move |line: Line| {
        let mut lines = kept.borrow_mut();
        if lines.len() == count {
            lines.pop_front();
        }
        lines.push_back(line);
    };
    world.watch(Box::new(Tracer::new(Detail::Events, keep)));
    Last(lines)
}

/// Turns facts into lines.
pub struct Tracer<F> {
    detail: Detail,
    line: F,
}

impl<F: FnMut(Line)> Tracer<F> {
    /// Hands every line to `line`.
    pub fn new(detail: Detail, line: F) -> Self {
        Self { detail, line }
    }

    fn text(&self, world: &World, fact: &Fact<'_>) -> Option<(String, String)> {
        Some(match fact {
            Fact::Started { this } => (world.name(this), format!("started as {:016x}", this.uid)),
            Fact::View { .. } => return None,
            Fact::Notice { this, notice } => match notice {
                Notice::Event(event) => (world.name(this), format!("event  {}", words(event))),
                Notice::Snapshot(_) => (world.name(this), "event  snapshot".to_owned()),
                Notice::Lagged { missed } => {
                    (world.name(this), format!("event  lagged by {missed}"))
                }
            },
            Fact::Callback { this, callback } => {
                let what = match *callback {
                    UP => "it is up",
                    _ => "it is no member any more",
                };
                (world.name(this), format!("called back: {what}"))
            }
            Fact::Log { this, marker } => (world.name(this), format!("log    {}", words(marker))),
            Fact::Explained { this, explanation } => {
                let down: Vec<String> = explanation
                    .down
                    .iter()
                    .map(|node| world.name(node))
                    .collect();
                let (decision, because) = (explanation.decision.name(), &explanation.because);
                let down = down.join(", ");
                (
                    world.name(this),
                    format!("downs  {down}: {decision}, {because}"),
                )
            }
            Fact::Sent { this, to, envelope } => {
                if self.detail == Detail::Events {
                    return None;
                }
                let to = world.place(to).map_or_else(
                    || to.to_string(),
                    |place| world.hosts()[place].node.name.clone(),
                );
                (
                    world.name(this),
                    format!("sends  {} to {to}", envelope.message.name()),
                )
            }
            Fact::Ended { this, reason } => (world.name(this), format!("ended: {reason}")),
            Fact::Crashed { this } => (world.name(this), "crashed".to_owned()),
            Fact::Answered { this, answer } => (world.name(this), format!("step   {answer}")),
            Fact::Step(action) => (String::new(), step(world, action)),
        })
    }
}

impl<F: FnMut(Line)> Watch for Tracer<F> {
    fn see(&mut self, world: &World, at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        if let Some((node, text)) = self.text(world, fact) {
            (self.line)(Line { at, node, text });
        }
        Ok(())
    }
}

/// An event or a marker as it is in JSON, in words: its name, then its fields. What a member says of itself is left out: the file has it.
fn words(told: &impl Serialize) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(told) else {
        return String::new();
    };
    let mut fields = fields.into_iter();
    // Both begin with their name.
    let name = fields.next().map_or(Value::Null, |(_, name)| name);
    let fields = listed(fields);
    let gap = if fields.is_empty() { "" } else { ": " };
    format!("{}{gap}{fields}", plain(name))
}

fn listed(fields: impl Iterator<Item = (String, Value)>) -> String {
    let told = fields.filter(|(key, value)| key != "profile" && !value.is_null());
    let told: Vec<String> = told
        .map(|(key, value)| format!("{key} {}", plain(value)))
        .collect();
    told.join(", ")
}

fn plain(value: Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text,
        Value::Array(items) => {
            let items: Vec<String> = items.into_iter().map(plain).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => format!("({})", listed(fields.into_iter())),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn names(world: &World, nodes: &[usize]) -> String {
    let names = nodes
        .iter()
        .map(|node| world.hosts()[*node].node.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn links(world: &World, links: &Links) -> String {
    match links {
        Links::All => "all links".to_owned(),
        Links::Of(nodes) => format!("all links of {}", names(world, nodes)),
        Links::Between { from, to, one_way } => {
            let arrow = if *one_way { "→" } else { "↔" };
            format!("{} {arrow} {}", names(world, from), names(world, to))
        }
    }
}

/// A step in words.
fn step(world: &World, action: &Action) -> String {
    let one = |node: &usize| names(world, std::slice::from_ref(node));
    let via = |via: &Option<usize>| {
        via.as_ref()
            .map_or_else(String::new, |via| format!(" via {}", one(via)))
    };
    match action {
        Action::Start(nodes) => format!("step   start {}", names(world, nodes)),
        Action::Crash(nodes) => format!("step   crash {}", names(world, nodes)),
        Action::Restart(nodes) => format!("step   restart {}", names(world, nodes)),
        Action::Pause(nodes) => format!("step   pause {}", names(world, nodes)),
        Action::Resume(nodes) => format!("step   resume {}", names(world, nodes)),
        Action::Cut(cut) => format!("step   cut {}", links(world, cut)),
        Action::Heal(heal) => format!("step   heal {}", links(world, heal)),
        Action::Leave { node, via: asked } => {
            format!("step   leave {}{}", one(node), via(asked))
        }
        Action::Down { node, via: asked } => format!("step   down {}{}", one(node), via(asked)),
        Action::PrepareShutdown { via: asked } => format!("step   prepare-shutdown{}", via(asked)),
        Action::SetState {
            node,
            key,
            entry,
            value,
        } => {
            let entry = entry
                .as_ref()
                .map_or_else(String::new, |entry| format!("[{entry}]"));
            let of = format!("{}/{key}{entry}", one(node));
            match value {
                Some(value) => format!("step   set-state {of} = \"{value}\""),
                None => format!("step   set-state {of} deleted"),
            }
        }
        Action::Broadcast { node, word } => format!("step   broadcast \"{word}\" by {}", one(node)),
        Action::Skew { nodes, by } => {
            let by = *by as f64 / 1e9;
            format!("step   skew {} by {by:+} s", names(world, nodes))
        }
        Action::Loss(on, rate) => format!("step   loss {rate} on {}", links(world, on)),
        Action::Duplicate(on, rate) => format!("step   duplicate {rate} on {}", links(world, on)),
        Action::Latency(on, (least, most)) => {
            format!(
                "step   latency {least:?} to {most:?} on {}",
                links(world, on)
            )
        }
        Action::Settings(settings) => {
            let nodes: Vec<usize> = settings.iter().map(|(node, _)| *node).collect();
            format!("step   settings of {}", names(world, &nodes))
        }
    }
}
