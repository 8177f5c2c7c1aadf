//! By which rule a host is chosen for what is not active yet. What was chosen is written down by the directory; only [`Policy::Hash`] can
//! be computed again.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::hosts::{Host, Hosts};
use crate::id::{GrainId, KindName};
use crate::membership::address::UniqueAddress;

#[cfg(test)]
mod tests;

/// The rule of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    /// By the key alone: every node computes the same host. The rule where nothing is written.
    #[default]
    Hash,
    /// One after the other.
    RoundRobin,
    /// Who has the least to do for its capacity.
    LeastLoaded,
    /// The node that asks, if it may host the kind; else by the key.
    PreferLocal,
    /// By the key among the hosts with a label.
    ByLabel(LabelRule),
}

/// Which hosts a label chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LabelRule {
    /// The label's name, such as `zone`.
    pub label: Arc<str>,
    /// The value it must have; none for the same as at the node that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<str>>,
    /// Whether, where no host has it, there is none to choose; else any host will do.
    #[serde(default)]
    pub required: bool,
}

/// Nothing can be activated: there is no host. Nothing was changed; another view may have one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// No member may host the kind.
    #[error("no member that is up and reachable hosts the kind '{kind}'")]
    NoHost {
        /// The kind.
        kind: KindName,
    },
    /// Members host the kind, but none has the label that is required.
    #[error(
        "of {hosts} members that host the kind '{kind}' none has the label {label} = '{value}'"
    )]
    NoHostWithLabel {
        /// The kind.
        kind: KindName,
        /// The label.
        label: Arc<str>,
        /// The value that it must have.
        value: String,
        /// How many host the kind.
        hosts: usize,
    },
}

/// Chooses hosts for one node, and remembers whose turn it is.
#[derive(Debug, Clone)]
pub struct Placement {
    this: UniqueAddress,
    labels: BTreeMap<Arc<str>, Arc<str>>,
    turns: BTreeMap<KindName, UniqueAddress>,
}

impl Placement {
    /// Chooses for the node `this` with these labels.
    pub fn new(this: UniqueAddress, labels: BTreeMap<Arc<str>, Arc<str>>) -> Self {
        Self {
            this,
            labels,
            turns: BTreeMap::new(),
        }
    }

    /// Chooses among `hosts`. `load`: what a node has to do, by its own account. Errors: [`PlacementError`].
    pub fn choose<'a>(
        &mut self,
        policy: &Policy,
        grain: &GrainId,
        hosts: &'a Hosts,
        load: impl Fn(&UniqueAddress) -> u64,
    ) -> Result<&'a Host, PlacementError> {
        let by_key_among = |some: Hosts| hosts.get(&some.owner(grain)?.node);
        let chosen = match policy {
            Policy::Hash => hosts.owner(grain),
            Policy::RoundRobin => self.next(&grain.kind, hosts.all()),
            Policy::LeastLoaded => by_key_among(least_loaded(hosts, load)),
            Policy::PreferLocal => hosts.get(&self.this).or_else(|| hosts.owner(grain)),
            Policy::ByLabel(rule) => by_key_among(self.labelled(rule, &grain.kind, hosts)?),
        };
        chosen.ok_or_else(|| PlacementError::NoHost {
            kind: grain.kind.clone(),
        })
    }

    /// The host behind the one chosen last, wherever that one would stand by now: who comes or goes disturbs nobody's turn.
    fn next<'a>(&mut self, kind: &KindName, hosts: &'a [Host]) -> Option<&'a Host> {
        let behind = self.turns.get(kind).and_then(|last| {
            let mut behind = hosts.iter();
            behind.find(|host| *last < host.node)
        });
        let chosen = behind.or_else(|| hosts.first())?;
        self.turns.insert(kind.clone(), chosen.node.clone());
        Some(chosen)
    }

    fn labelled(
        &self,
        rule: &LabelRule,
        kind: &KindName,
        hosts: &Hosts,
    ) -> Result<Hosts, PlacementError> {
        let wanted = rule.value.as_ref().or_else(|| self.labels.get(&rule.label));
        let has = |host: &&Host| {
            wanted.is_some_and(|wanted| host.profile.labels.get(&rule.label) == Some(wanted))
        };
        let labelled: Vec<Host> = hosts.all().iter().filter(has).cloned().collect();
        if !labelled.is_empty() || hosts.all().is_empty() {
            return Ok(Hosts::new(labelled));
        }
        if rule.required {
            return Err(PlacementError::NoHostWithLabel {
                kind: kind.clone(),
                label: Arc::clone(&rule.label),
                value: wanted.map_or_else(String::new, |value| String::from(&**value)),
                hosts: hosts.all().len(),
            });
        }
        Ok(hosts.clone())
    }
}

/// All that have the least load for their capacity: among equals the key decides, or every node would choose the same first one at once.
fn least_loaded(hosts: &Hosts, load: impl Fn(&UniqueAddress) -> u64) -> Hosts {
    let mut least: Vec<(&Host, u64)> = Vec::new();
    for host in hosts.all() {
        let load = load(&host.node);
        // a/b < c/d as a·d < c·b: no rounding.
        let scaled = |load: u64, by: &Host| u128::from(load) * u128::from(by.profile.capacity);
        let order = least.first().map_or(Ordering::Less, |(best, lowest)| {
            scaled(load, best).cmp(&scaled(*lowest, host))
        });
        if order.is_lt() {
            least.clear();
        }
        if order.is_le() {
            least.push((host, load));
        }
    }
    Hosts::new(least.into_iter().map(|(host, _)| host.clone()).collect())
}
