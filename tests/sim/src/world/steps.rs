//! The steps of a scenario, taken.

use std::fmt;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::inputs::{Command, Target};

use super::{Fact, World};
use crate::host::Process;
use crate::scenario::Action;

/// Why a step could not be taken as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// The node.
    pub node: String,
    /// What is the matter with it.
    pub why: &'static str,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "impossible: {} {}", self.node, self.why)
    }
}

impl World {
    /// Takes a step. Errors: a node is not in the state that the step is about; the step was taken for the nodes named before it.
    pub fn take(&mut self, action: &Action) -> Result<(), Impossible> {
        self.tell(&Fact::Step(action));
        match action {
            Action::Start(nodes) => {
                for node in nodes {
                    if self.hosts[*node].is_there() {
                        return Err(self.impossible(*node, "runs already"));
                    }
                    self.start(*node);
                }
            }
            Action::Crash(nodes) => nodes.iter().for_each(|node| self.crash(*node)),
            Action::Restart(nodes) => {
                for node in nodes {
                    self.crash(*node);
                    self.start(*node);
                }
            }
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node)),
            Action::Resume(nodes) => {
                for node in nodes {
                    if self.hosts[*node].process == Process::Paused {
                        self.resume(*node);
                    }
                }
            }
            Action::Leave { node, via } => {
                let via = self.via(Some(via.unwrap_or(*node)), *node)?;
                let node = Target::Incarnation(self.incarnation(*node)?);
                self.command(via, Command::Leave { node });
            }
            Action::Down { node, via } => {
                let via = self.via(*via, *node)?;
                let node = Target::Incarnation(self.incarnation(*node)?);
                self.command(via, Command::Down { node });
            }
            Action::PrepareShutdown { via } => {
                let via = self.via(*via, usize::MAX)?;
                self.command(via, Command::PrepareShutdown);
            }
            Action::SetState {
                node,
                key,
                entry,
                value,
            } => self.set_state(*node, (key, entry.as_deref()), value.as_deref())?,
            Action::Broadcast { node, word } => {
                let via = self.via(Some(*node), *node)?;
                let bytes = word.as_bytes().into();
                self.command(via, Command::Broadcast { bytes });
            }
            Action::Skew { nodes, by } => nodes.iter().for_each(|node| self.skew(*node, *by)),
            Action::Settings(settings) => {
                for (node, settings) in settings {
                    self.hosts[*node].settings = settings.clone();
                }
            }
            Action::Cut(_)
            | Action::Heal(_)
            | Action::Loss(..)
            | Action::Duplicate(..)
            | Action::Latency(..) => self.network.change(action),
        }
        Ok(())
    }

    fn crash(&mut self, host: usize) {
        if !self.hosts[host].is_there() {
            return;
        }
        if let Some(this) = self.hosts[host].this.clone() {
            self.tell(&Fact::Crashed { this: &this });
        }
        self.stop(host, Process::Crashed);
    }

    fn pause(&mut self, host: usize) {
        if self.hosts[host].runs() {
            self.hosts[host].process = Process::Paused;
            self.changed.insert(host);
        }
    }

    fn skew(&mut self, host: usize, by: i64) {
        let now = self.now;
        let clock = &mut self.hosts[host].clock;
        // What it shows now is what it may not go behind.
        let _shown = clock.read(now);
        clock.put(by);
        self.schedule(host);
    }

    fn set_state(
        &mut self,
        host: usize,
        (key, entry): (&str, Option<&str>),
        value: Option<&str>,
    ) -> Result<(), Impossible> {
        let via = self.via(Some(host), host)?;
        let place = (key.to_owned(), entry.map(str::to_owned));
        self.hosts[host]
            .shared
            .insert(place, value.map(str::to_owned));
        let key = key.into();
        let value = value.map(|value| value.as_bytes().into());
        let command = match (entry.map(Into::into), value) {
            (None, Some(value)) => Command::SetState { key, value },
            (None, None) => Command::DeleteState { key },
            (Some(entry), Some(value)) => Command::SetMapEntry { key, entry, value },
            (Some(entry), None) => Command::RemoveMapEntry { key, entry },
        };
        self.command(via, command);
        Ok(())
    }

    /// The node that an operator asks: the named one, or the first that runs and is not `about`.
    fn via(&self, named: Option<usize>, about: usize) -> Result<usize, Impossible> {
        if let Some(named) = named {
            let runs = self.hosts[named].runs();
            return if runs {
                Ok(named)
            } else {
                Err(self.impossible(named, "does not run, so it cannot be asked"))
            };
        }
        let mut running = (0..self.hosts.len()).filter(|host| self.hosts[*host].runs());
        let other = running.clone().find(|host| *host != about);
        other
            .or_else(|| running.next())
            .ok_or_else(|| self.impossible(0, "does not run, nor does any other node"))
    }

    fn incarnation(&self, host: usize) -> Result<UniqueAddress, Impossible> {
        let this = self.hosts[host].this.clone();
        this.ok_or_else(|| self.impossible(host, "was never started"))
    }

    fn impossible(&self, host: usize, why: &'static str) -> Impossible {
        Impossible {
            node: self.hosts[host].node.name.clone(),
            why,
        }
    }
}
