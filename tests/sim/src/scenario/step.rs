//! What happens, and when.

use std::time::Duration;

use granary_core::membership::member::Profile;
use granary_core::membership::settings::Settings;
use serde::Deserialize as _;

use super::node::{Names, Node, overlay};
use super::reader::{Field, Fields, Reader};

/// The most steps of one scenario.
const STEPS_MAX: usize = 100_000;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The line of its moment.
    pub line: usize,
    /// When, from the start.
    pub at: Duration,
    /// What.
    pub action: Action,
    /// The node that is asked must refuse it.
    pub refused: bool,
}

/// Which links between nodes; a link has a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// All of them.
    All,
    /// From each of the first to each of the second; back, too, unless one-way.
    Between {
        /// The ones.
        from: Vec<usize>,
        /// The others.
        to: Vec<usize>,
        /// Not back.
        one_way: bool,
    },
    /// All links from and to these nodes.
    Of(Vec<usize>),
}

/// What happens in a step. Nodes are named by their place in the scenario.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Processes start.
    Start(Vec<usize>),
    /// They are gone without a word.
    Crash(Vec<usize>),
    /// They are gone without a word, and start again.
    Restart(Vec<usize>),
    /// They stand still.
    Pause(Vec<usize>),
    /// They go on.
    Resume(Vec<usize>),
    /// Links carry nothing.
    Cut(Links),
    /// Links carry messages again.
    Heal(Links),
    /// An operator wants a node to leave.
    Leave {
        /// Which.
        node: usize,
        /// Whom the operator asks; the node itself if nobody is named.
        via: Option<usize>,
    },
    /// An operator declares a node down: the incarnation that the asked node has among its members.
    Down {
        /// Which.
        node: usize,
        /// Whom the operator asks; another running node if nobody is named.
        via: Option<usize>,
    },
    /// An operator prepares the whole cluster to stop.
    PrepareShutdown {
        /// Whom the operator asks; any running node if nobody is named.
        via: Option<usize>,
    },
    /// A node's shared state is set, or deleted.
    SetState {
        /// Whose.
        node: usize,
        /// Which.
        key: String,
        /// Of a map under that key, this entry.
        entry: Option<String>,
        /// To what; none deletes it.
        value: Option<String>,
    },
    /// A node says a word to all members.
    Broadcast {
        /// Who.
        node: usize,
        /// What.
        word: String,
    },
    /// Clocks are put forward, or wait.
    Skew {
        /// Whose.
        nodes: Vec<usize>,
        /// By how many nanoseconds.
        by: i64,
    },
    /// The share of messages that are lost.
    Loss(Links, f64),
    /// The share of messages that arrive twice.
    Duplicate(Links, f64),
    /// How long messages take.
    Latency(Links, (Duration, Duration)),
    /// Settings for the next start of nodes.
    Settings(Vec<(usize, Settings)>),
}

/// Whether a node's process can be there, as far as the steps alone tell: it may always end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Never,
    Runs,
    Paused,
    Gone,
}

struct StepReader<'r, 't> {
    reader: &'r mut Reader<'t>,
    names: &'r Names,
    /// The settings of each node's next start, as text.
    cluster: Vec<toml::Table>,
    profiles: Vec<Profile>,
    process: Vec<Process>,
}

pub(super) fn read<'t>(
    reader: &mut Reader<'t>,
    tables: Vec<Fields<'t>>,
    names: &Names,
    nodes: &[Node],
) -> Vec<Step> {
    if STEPS_MAX < tables.len() {
        reader.problem(1, "step", format!("at most {STEPS_MAX} steps"));
        return Vec::new();
    }
    let mut timed = Vec::new();
    for mut fields in tables {
        let Some(at) = fields.take("at") else {
            reader.problem(fields.line, "step.at", "every step has its moment");
            continue;
        };
        if let Some(moment) = reader.duration(&at) {
            timed.push((moment, at.line, fields));
        }
    }
    timed.sort_by_key(|(moment, _, _)| *moment);
    let mut steps = StepReader {
        reader,
        names,
        cluster: nodes.iter().map(|node| node.cluster.clone()).collect(),
        profiles: nodes.iter().map(|node| node.profile.clone()).collect(),
        process: vec![Process::Never; nodes.len()],
    };
    let mut found = Vec::new();
    for (at, line, mut fields) in timed {
        let Some(action) = steps.action(&mut fields, line) else {
            continue;
        };
        let refused = steps.refused(&mut fields, &action);
        steps.follow(&action, line);
        steps.reader.finish(fields);
        found.push(Step {
            line,
            at,
            action,
            refused,
        });
    }
    found
}

impl<'t> StepReader<'_, 't> {
    fn action(&mut self, fields: &mut Fields<'t>, line: usize) -> Option<Action> {
        let Some(field) = fields.take("do") else {
            self.reader
                .problem(line, "step.do", "every step says what is done");
            return None;
        };
        let word = self.reader.text(&field)?;
        let all = || (0..self.names.count()).collect();
        Some(match word.as_str() {
            "start" => Action::Start(self.nodes(fields)?.unwrap_or_else(all)),
            "crash" => Action::Crash(self.some_nodes(fields, &field)?),
            "restart" => Action::Restart(self.some_nodes(fields, &field)?),
            "pause" => Action::Pause(self.some_nodes(fields, &field)?),
            "resume" => Action::Resume(self.some_nodes(fields, &field)?),
            "cut" => Action::Cut(self.cut(fields, &field)?),
            "heal" => Action::Heal(self.heal(fields)?),
            "leave" => Action::Leave {
                node: self.one_node(fields, &field)?,
                via: self.via(fields)?,
            },
            "down" => Action::Down {
                node: self.one_node(fields, &field)?,
                via: self.via(fields)?,
            },
            "prepare-shutdown" => Action::PrepareShutdown {
                via: self.via(fields)?,
            },
            "set-state" => self.set_state(fields, &field)?,
            "broadcast" => self.broadcast(fields, &field)?,
            "skew" => Action::Skew {
                nodes: self.some_nodes(fields, &field)?,
                by: self.by(fields, &field)?,
            },
            "loss" => {
                let rate = self.rate(fields, &field, "loss")?;
                Action::Loss(self.links(fields)?, rate)
            }
            "duplicate" => {
                let rate = self.rate(fields, &field, "duplicate")?;
                Action::Duplicate(self.links(fields)?, rate)
            }
            "latency" => {
                let range = self.wanted(fields, &field, &["range", "latency"])?;
                let range = self.reader.range(&range)?;
                Action::Latency(self.links(fields)?, range)
            }
            "settings" => self.settings(fields, &field)?,
            other => {
                let known = "start, crash, restart, pause, resume, cut, heal, leave, down, prepare-shutdown, \
                             set-state, broadcast, skew, loss, duplicate, latency, settings";
                self.reader
                    .slip(&field, format!("\"{other}\" is none of: {known}"));
                return None;
            }
        })
    }

    /// Only what a node is asked for can be refused; elsewhere the key is unknown.
    fn refused(&mut self, fields: &mut Fields<'t>, action: &Action) -> bool {
        match action {
            Action::Leave { .. }
            | Action::Down { .. }
            | Action::PrepareShutdown { .. }
            | Action::SetState { .. }
            | Action::Broadcast { .. } => {}
            Action::Start(_)
            | Action::Crash(_)
            | Action::Restart(_)
            | Action::Pause(_)
            | Action::Resume(_)
            | Action::Cut(_)
            | Action::Heal(_)
            | Action::Skew { .. }
            | Action::Loss(..)
            | Action::Duplicate(..)
            | Action::Latency(..)
            | Action::Settings(_) => return false,
        }
        let refused = fields.take("refused");
        refused
            .and_then(|field| self.reader.flag(&field))
            .unwrap_or(false)
    }

    /// The first of `keys` that is there; a slip if none is.
    fn wanted(
        &mut self,
        fields: &mut Fields<'t>,
        what: &Field<'t>,
        keys: &[&'static str],
    ) -> Option<Field<'t>> {
        let mut found = keys.iter().filter_map(|key| fields.take(key));
        let first = found.next();
        let double = found.next();
        drop(found);
        if let Some(double) = double {
            self.reader.slip(&double, "says the same thing twice");
        }
        if first.is_none() {
            let key = format!("{}.{}", fields.key, keys[0]);
            self.reader
                .problem(what.line, &key, "is missing for this kind of step");
        }
        first
    }

    /// `nodes` or `node`; the inner none where neither is there.
    fn nodes(&mut self, fields: &mut Fields<'t>) -> Option<Option<Vec<usize>>> {
        let field = match (fields.take("nodes"), fields.take("node")) {
            (Some(field), None) | (None, Some(field)) => field,
            (None, None) => return Some(None),
            (Some(_), Some(double)) => {
                self.reader
                    .slip(&double, "nodes is there, too: one of them will do");
                return None;
            }
        };
        self.names.some(self.reader, &field).map(Some)
    }

    fn some_nodes(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<Vec<usize>> {
        let nodes = self.nodes(fields)?;
        if nodes.as_ref().is_none_or(Vec::is_empty) {
            let key = format!("{}.nodes", fields.key);
            self.reader
                .problem(what.line, &key, "is missing for this kind of step");
            return None;
        }
        nodes
    }

    fn one_node(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<usize> {
        match self.some_nodes(fields, what)?.as_slice() {
            [node] => Some(*node),
            _ => {
                self.reader.slip(what, "names one node at a time");
                None
            }
        }
    }

    fn via(&mut self, fields: &mut Fields<'t>) -> Option<Option<usize>> {
        match fields.take("via") {
            Some(field) => self.names.one(self.reader, &field).map(Some),
            None => Some(None),
        }
    }

    fn cut(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<Links> {
        match self.links(fields)? {
            Links::All => {
                let key = format!("{}.from", fields.key);
                self.reader
                    .problem(what.line, &key, "is missing for this kind of step");
                None
            }
            links @ (Links::Between { .. } | Links::Of(_)) => Some(links),
        }
    }

    fn heal(&mut self, fields: &mut Fields<'t>) -> Option<Links> {
        let all = match fields.take("all") {
            Some(field) => {
                let all = self.reader.flag(&field)?;
                if !all {
                    self.reader.slip(&field, "only true means something");
                    return None;
                }
                all
            }
            None => false,
        };
        let links = self.links(fields)?;
        if all && links != Links::All {
            self.reader.problem(
                fields.line,
                &format!("{}.all", fields.key),
                "from and to are there, too: one of them will do",
            );
            return None;
        }
        Some(links)
    }

    fn links(&mut self, fields: &mut Fields<'t>) -> Option<Links> {
        let one_way = match fields.take("one-way") {
            Some(field) => self.reader.flag(&field)?,
            None => false,
        };
        let (from, to) = (fields.take("from"), fields.take("to"));
        let of = self.nodes(fields)?;
        let others = |known: &[usize]| -> Vec<usize> {
            let all = 0..self.names.count();
            all.filter(|node| !known.contains(node)).collect()
        };
        let (from, to) = match (from, to, of) {
            (None, None, None) => return Some(Links::All),
            (None, None, Some(nodes)) => return Some(Links::Of(nodes)),
            (Some(from), None, None) => {
                let from = self.names.some(self.reader, &from)?;
                let to = others(&from);
                (from, to)
            }
            (None, Some(to), None) => {
                let to = self.names.some(self.reader, &to)?;
                (others(&to), to)
            }
            (Some(from), Some(to), None) => {
                let to_field = to.clone();
                let from = self.names.some(self.reader, &from)?;
                let to = self.names.some(self.reader, &to)?;
                if from.len() == 1 && from == to {
                    self.reader.slip(&to_field, "a node has no link to itself");
                    return None;
                }
                (from, to)
            }
            (Some(double), _, Some(_)) | (None, Some(double), Some(_)) => {
                self.reader
                    .slip(&double, "nodes is there, too: one of them will do");
                return None;
            }
        };
        Some(Links::Between { from, to, one_way })
    }

    fn set_state(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<Action> {
        let node = self.one_node(fields, what)?;
        let key = self.wanted(fields, what, &["key"])?;
        let key = self.reader.text(&key)?;
        let entry = match fields.take("entry") {
            Some(field) => Some(self.reader.text(&field)?),
            None => None,
        };
        let value = match fields.take("value") {
            Some(field) => self.reader.text_or_none(&field)?,
            None => None,
        };
        Some(Action::SetState {
            node,
            key,
            entry,
            value,
        })
    }

    fn broadcast(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<Action> {
        let node = self.one_node(fields, what)?;
        let word = self.wanted(fields, what, &["word"])?;
        let word = self.reader.text(&word)?;
        Some(Action::Broadcast { node, word })
    }

    /// A span of time with a sign.
    fn by(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<i64> {
        let field = self.wanted(fields, what, &["by"])?;
        let text = self.reader.text(&field)?;
        let (sign, bare) = match text.trim().strip_prefix('-') {
            Some(bare) => (-1, bare),
            None => (1, text.trim().trim_start_matches('+')),
        };
        let span = humantime::parse_duration(bare).ok();
        let span = span.filter(|span| *span <= super::DURATION_MAX);
        let by = span.and_then(|span| i64::try_from(span.as_nanos()).ok());
        if by.is_none() {
            self.reader
                .slip(&field, "a span of time is wanted: \"2s\" or \"-150ms\"");
        }
        by.map(|by| sign * by)
    }

    fn rate(
        &mut self,
        fields: &mut Fields<'t>,
        what: &Field<'t>,
        own: &'static str,
    ) -> Option<f64> {
        let field = self.wanted(fields, what, &["rate", own])?;
        self.reader.share(&field)
    }

    fn settings(&mut self, fields: &mut Fields<'t>, what: &Field<'t>) -> Option<Action> {
        let nodes = self.some_nodes(fields, what)?;
        let mut own = toml::Table::new();
        let mut lines = Vec::new();
        for (name, field) in fields.take_rest() {
            let value = self.reader.value(&field)?;
            let table = toml::Table::from_iter([(name.clone(), value)]);
            if let Err(error) = Settings::deserialize(toml::Value::Table(table.clone())) {
                self.reader.slip(&field, error.message().trim());
                return None;
            }
            lines.push((name, field.line));
            overlay(&mut own, &table);
        }
        if own.is_empty() {
            self.reader.slip(what, "names no setting");
            return None;
        }
        let mut settled = Vec::new();
        for node in nodes {
            overlay(&mut self.cluster[node], &own);
            let settings = Settings::deserialize(toml::Value::Table(self.cluster[node].clone()));
            // Each key has just been read by itself.
            let Ok(settings) = settings else { return None };
            if let Err(error) = settings.check(&self.profiles[node]) {
                for problem in error.problems {
                    let first = problem.setting.split('.').next();
                    let mut named = lines.iter();
                    let line = named.find(|(name, _)| first == Some(name.as_str()));
                    let line = line.map_or(what.line, |(_, line)| *line);
                    let key = format!("{}.{}", fields.key, problem.setting);
                    self.reader.problem(line, &key, problem.reason);
                }
                return None;
            }
            settled.push((node, settings));
        }
        Some(Action::Settings(settled))
    }

    /// Follows what the steps make of the processes, and refuses what cannot be.
    fn follow(&mut self, action: &Action, line: usize) {
        let (nodes, after, wants, what): (&[usize], _, &[Process], _) = match action {
            Action::Start(nodes) => (
                nodes,
                Process::Runs,
                // A node may have ended by itself; whether it has is known when the step comes.
                &[Process::Never, Process::Gone, Process::Runs],
                "it is paused",
            ),
            Action::Crash(nodes) => (
                nodes,
                Process::Gone,
                &[Process::Runs, Process::Paused],
                "it does not run",
            ),
            Action::Restart(nodes) => (
                nodes,
                Process::Runs,
                &[Process::Runs, Process::Paused, Process::Gone],
                "it was never started",
            ),
            Action::Pause(nodes) => (
                nodes,
                Process::Paused,
                &[Process::Runs],
                "it does not run, or is paused already",
            ),
            Action::Resume(nodes) => (nodes, Process::Runs, &[Process::Paused], "it is not paused"),
            Action::SetState { node, .. } | Action::Broadcast { node, .. } => (
                std::slice::from_ref(node),
                Process::Runs,
                &[Process::Runs],
                "it does not run, or is paused",
            ),
            Action::Leave { node, .. } | Action::Down { node, .. } => {
                if self.process[*node] == Process::Never {
                    self.impossible(line, *node, "it was never started");
                }
                return;
            }
            Action::PrepareShutdown { .. }
            | Action::Cut(_)
            | Action::Heal(_)
            | Action::Skew { .. }
            | Action::Loss(..)
            | Action::Duplicate(..)
            | Action::Latency(..)
            | Action::Settings(_) => return,
        };
        for node in nodes {
            if !wants.contains(&self.process[*node]) {
                self.impossible(line, *node, what);
            }
            self.process[*node] = after;
        }
    }

    fn impossible(&mut self, line: usize, node: usize, why: &str) {
        let name = self.names.name(node).to_owned();
        self.reader
            .problem(line, "step.do", format!("impossible for {name}: {why}"));
    }
}
