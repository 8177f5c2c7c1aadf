//! Several data centres, for some of the seeds: which nodes are in which, and what happens between them and to whole ones.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;

use crate::scenario::{Action, Link, Links};

/// Sets these draws apart from all others of a seed.
const APART: u64 = 0x6461_7461_6365_6e74;

/// The data centres of a run.
#[derive(Debug, Clone)]
pub(super) struct Far {
    rng: Rng,
    /// Where each node is.
    dcs: Vec<usize>,
    count: usize,
    /// Whether nothing happens but between data centres.
    only: bool,
}

impl Far {
    /// Those of a seed; none where all nodes are in one.
    pub(super) fn of(seed: u64) -> Option<Self> {
        let mut rng = Rng::with_seed(seed ^ APART);
        if 0 < rng.u8(0..4) {
            return None;
        }
        let count = rng.usize(2..=3);
        let nodes = rng.usize(4..=10);
        let mut dcs: Vec<usize> = (0..count).collect();
        dcs.extend((count..nodes).map(|_| rng.usize(0..count)));
        rng.shuffle(&mut dcs);
        let only = rng.u8(0..4) == 0;
        Some(Self {
            rng,
            dcs,
            count,
            only,
        })
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.dcs.len()
    }

    /// The name of a node's data centre.
    pub(super) fn dc(&self, node: usize) -> String {
        format!("dc-{}", self.dcs[node])
    }

    /// One contact point in each data centre.
    pub(super) fn first_of_each(&self) -> Vec<usize> {
        let first = |dc| self.dcs.iter().position(|own| *own == dc);
        let mut first: Vec<usize> = (0..self.count).filter_map(first).collect();
        first.sort_unstable();
        first
    }

    /// Whether links go between data centres alone: what happens to them is no reason to down anybody.
    pub(super) fn is_far(&self, links: &Links) -> bool {
        match links {
            Links::All | Links::Of(_) => false,
            Links::Between { from, to, .. } => {
                let near = |one: &usize| to.iter().any(|other| self.dcs[*one] == self.dcs[*other]);
                !from.iter().any(near)
            }
        }
    }

    /// A fault about data centres; none where it is to be one of those that happen without them, too.
    pub(super) fn fault(&mut self) -> Option<Vec<(Duration, Action)>> {
        let later = Duration::from_millis(self.rng.u64(100..40_000));
        if self.only || self.rng.u8(0..3) == 0 {
            return Some(self.between(later));
        }
        match self.rng.u8(0..4) {
            0 => Some(self.within(later)),
            1 => Some(self.whole(later)),
            _ => None,
        }
    }

    /// Something that happens between data centres.
    fn between(&mut self, later: Duration) -> Vec<(Duration, Action)> {
        let at_once = Duration::ZERO;
        let links = self.far_links();
        match self.rng.u8(0..6) {
            0 => {
                let most = Duration::from_millis(self.rng.u64(20..4_000));
                let slow = Action::Latency(links.clone(), (Duration::from_millis(1), most));
                let usual = Action::Latency(links, Link::default().latency);
                vec![(at_once, slow), (later, usual)]
            }
            1 => {
                let loss = self.rng.f64();
                let well = Action::Loss(links.clone(), 0.0);
                vec![(at_once, Action::Loss(links, loss)), (later, well)]
            }
            _ => {
                let heals = Action::Heal(links.clone());
                vec![(at_once, Action::Cut(links)), (later, heals)]
            }
        }
    }

    /// Links between one data centre and another, or all others, or between two nodes of these.
    fn far_links(&mut self) -> Links {
        let dc = self.rng.usize(0..self.count);
        let other = (dc + self.rng.usize(1..self.count)) % self.count;
        let from = self.of_dc(dc);
        let (from, to) = match self.rng.u8(0..4) {
            0 => {
                let to = self.of_dc(other);
                (vec![self.one(&from)], vec![self.one(&to)])
            }
            1 => {
                let to = (0..self.nodes()).filter(|node| self.dcs[*node] != dc);
                (from, to.collect())
            }
            _ => (from, self.of_dc(other)),
        };
        let one_way = self.rng.u8(0..3) == 0;
        Links::Between { from, to, one_way }
    }

    /// A partition of one data centre. The others may reach both sides, or one of them only.
    fn within(&mut self, later: Duration) -> Vec<(Duration, Action)> {
        let dc = self.rng.usize(0..self.count);
        let own = self.of_dc(dc);
        let from: BTreeSet<usize> = own.iter().copied().filter(|_| self.rng.bool()).collect();
        let bridged = self.rng.bool();
        let others = (0..self.nodes()).filter(|node| !bridged || self.dcs[*node] == dc);
        let to: Vec<usize> = others.filter(|node| !from.contains(node)).collect();
        let from = from.into_iter().collect();
        let one_way = self.rng.u8(0..4) == 0;
        let links = Links::Between { from, to, one_way };
        let heals = Action::Heal(links.clone());
        vec![(Duration::ZERO, Action::Cut(links)), (later, heals)]
    }

    /// Something that happens to a whole data centre.
    fn whole(&mut self, later: Duration) -> Vec<(Duration, Action)> {
        let at_once = Duration::ZERO;
        let dc = self.rng.usize(0..self.count);
        let own = self.of_dc(dc);
        match self.rng.u8(0..5) {
            0 => vec![(at_once, Action::Crash(own))],
            1 => {
                let starts = own.iter().map(|node| {
                    let after = Duration::from_millis(self.rng.u64(0..3_000));
                    (later + after, Action::Start(vec![*node]))
                });
                let starts: Vec<_> = starts.collect();
                let crash = (at_once, Action::Crash(own));
                std::iter::once(crash).chain(starts).collect()
            }
            2 => vec![(at_once, Action::Restart(own))],
            3 => vec![
                (at_once, Action::Pause(own.clone())),
                (later, Action::Resume(own)),
            ],
            _ => {
                let leaves = own.into_iter().map(|node| {
                    let after = Duration::from_millis(self.rng.u64(0..5_000));
                    (after, Action::Leave { node, via: None })
                });
                leaves.collect()
            }
        }
    }

    fn of_dc(&self, dc: usize) -> Vec<usize> {
        let all = 0..self.nodes();
        all.filter(|node| self.dcs[*node] == dc).collect()
    }

    fn one(&mut self, nodes: &[usize]) -> usize {
        nodes[self.rng.usize(0..nodes.len())]
    }
}
