//! The steps of a scenario, taken.

use std::fmt;

use granary_core::membership::address::UniqueAddress;
use granary_core::membership::inputs::{Command, Target};
use granary_core::membership::member::Status;

use super::{Fact, World};
use crate::host::Process;
use crate::scenario::Action;

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// A node is not in the state that the step is about.
    Impossible {
        /// The node.
        node: String,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The node that was asked did not do it.
    Refused {
        /// The node.
        by: String,
        /// What it answered.
        why: String,
    },
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Impossible { node, why } => write!(f, "impossible: {node} {why}"),
            Self::Refused { by, why } => write!(f, "refused by {by}: {why}"),
        }
    }
}

impl World {
    /// Takes a step. Errors: the first reason why it was not, or not wholly; it was taken for the nodes for which that was possible.
    pub fn take(&mut self, action: &Action) -> Result<(), Untaken> {
        self.tell(&Fact::Step(action));
        match action {
            Action::Start(nodes) => return self.each(nodes, Self::start_again),
            Action::Crash(nodes) => return self.each(nodes, Self::crash),
            Action::Restart(nodes) => {
                for node in nodes {
                    self.kill(*node);
                    self.start(*node);
                }
            }
            Action::Pause(nodes) => return self.each(nodes, Self::pause),
            Action::Resume(nodes) => return self.each(nodes, Self::go_on),
            Action::Leave { node, via } => {
                let via = self.via(Some(via.unwrap_or(*node)), *node)?;
                let node = Target::Incarnation(self.incarnation(*node)?);
                return self.ask(via, Command::Leave { node });
            }
            Action::Down { node, via } => {
                let via = self.via(*via, *node)?;
                let node = self.seen_by(via, *node)?;
                return self.ask(via, Command::Down { node });
            }
            Action::PrepareShutdown { via } => {
                let via = self.via(*via, usize::MAX)?;
                return self.ask(via, Command::PrepareShutdown);
            }
            Action::SetState {
                node,
                key,
                entry,
                value,
            } => return self.set_state(*node, (key, entry.as_deref()), value.as_deref()),
            Action::Broadcast { node, word } => {
                let via = self.via(Some(*node), *node)?;
                let bytes = word.as_bytes().into();
                return self.ask(via, Command::Broadcast { bytes });
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

    /// Does the same with each node, also after one with which it was not possible.
    fn each(
        &mut self,
        nodes: &[usize],
        one: impl Fn(&mut Self, usize) -> Result<(), Untaken>,
    ) -> Result<(), Untaken> {
        let mut all = Ok(());
        for node in nodes {
            let taken = one(self, *node);
            all = all.and(taken);
        }
        all
    }

    /// Hands a command to a node that runs. Errors: what it has against it.
    fn ask(&mut self, via: usize, command: Command) -> Result<(), Untaken> {
        self.refused = None;
        self.command(via, command);
        match self.refused.take() {
            Some(why) => {
                let by = self.hosts[via].node.name.clone();
                Err(Untaken::Refused { by, why })
            }
            None => Ok(()),
        }
    }

    fn start_again(&mut self, host: usize) -> Result<(), Untaken> {
        if self.hosts[host].is_there() {
            return Err(self.impossible(host, "runs already"));
        }
        self.start(host);
        Ok(())
    }

    fn crash(&mut self, host: usize) -> Result<(), Untaken> {
        if !self.hosts[host].is_there() {
            return Err(self.impossible(host, "does not run, so it cannot crash"));
        }
        self.kill(host);
        Ok(())
    }

    /// Does nothing to one that has ended by itself.
    fn kill(&mut self, host: usize) {
        if !self.hosts[host].is_there() {
            return;
        }
        if let Some(this) = self.hosts[host].this.clone() {
            self.tell(&Fact::Crashed { this: &this });
        }
        self.stop(host, Process::Crashed);
    }

    fn pause(&mut self, host: usize) -> Result<(), Untaken> {
        if !self.hosts[host].runs() {
            return Err(self.impossible(host, "does not run, so it cannot be paused"));
        }
        self.hosts[host].process = Process::Paused;
        self.changed.insert(host);
        Ok(())
    }

    fn go_on(&mut self, host: usize) -> Result<(), Untaken> {
        if self.hosts[host].process != Process::Paused {
            return Err(self.impossible(host, "is not paused, so it cannot go on"));
        }
        self.resume(host);
        Ok(())
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
    ) -> Result<(), Untaken> {
        let via = self.via(Some(host), host)?;
        let place = (key.to_owned(), entry.map(str::to_owned));
        let written = value.map(str::to_owned);
        let key = key.into();
        let value = value.map(|value| value.as_bytes().into());
        let command = match (entry.map(Into::into), value) {
            (None, Some(value)) => Command::SetState { key, value },
            (None, None) => Command::DeleteState { key },
            (Some(entry), Some(value)) => Command::SetMapEntry { key, entry, value },
            (Some(entry), None) => Command::RemoveMapEntry { key, entry },
        };
        self.ask(via, command)?;
        self.hosts[host].shared.insert(place, written);
        Ok(())
    }

    /// The node that an operator asks: the named one, or the first that runs and is not `about`.
    fn via(&self, named: Option<usize>, about: usize) -> Result<usize, Untaken> {
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

    fn incarnation(&self, host: usize) -> Result<UniqueAddress, Untaken> {
        let this = self.hosts[host].this.clone();
        this.ok_or_else(|| self.impossible(host, "was never started"))
    }

    /// The incarnation that another node has among its members: the one that an operator reads there. Where there are two, the one that is not down.
    fn seen_by(&self, via: usize, host: usize) -> Result<UniqueAddress, Untaken> {
        let address = &self.hosts[host].node.address;
        let members = self
            .state(via)
            .into_iter()
            .flat_map(|state| state.members.iter());
        let at = members.filter(|member| member.node.address == *address);
        let seen = at.min_by_key(|member| member.status == Status::Down);
        seen.map(|member| member.node.clone()).ok_or_else(|| {
            self.impossible(host, "is no member in the view of the node that is asked")
        })
    }

    fn impossible(&self, host: usize, why: &'static str) -> Untaken {
        Untaken::Impossible {
            node: self.hosts[host].node.name.clone(),
            why,
        }
    }
}
