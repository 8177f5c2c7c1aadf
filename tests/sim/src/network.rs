//! The network between nodes: latency, loss, duplicates and cuts, each drawn from the seed or set by a step.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::scenario::{Action, Link, Links};

/// What carries messages, from each node to each other.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    default: Link,
    /// Links that differ from the rest.
    own: BTreeMap<(usize, usize), Link>,
    /// One flag a link, `from * nodes + to`; empty until the first cut.
    cut: Vec<bool>,
    rng: Rng,
}

/// When the copies of a message arrive: nothing, once or twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// The first copy, after so long.
    pub first: Option<Duration>,
    /// The second copy.
    pub second: Option<Duration>,
}

impl Network {
    /// A network of `nodes` that carries everything as `link` says.
    pub fn new(nodes: usize, link: Link, seed: u64) -> Self {
        Self {
            nodes,
            default: link,
            own: BTreeMap::new(),
            cut: Vec::new(),
            rng: Rng::with_seed(seed),
        }
    }

    /// Whether nothing goes that way.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        let at = from * self.nodes + to;
        self.cut.get(at).copied().unwrap_or(false)
    }

    /// What becomes of one message. Every draw is made whether it matters or not, so that a change of one rate leaves the rest as it was.
    pub fn send(&mut self, from: usize, to: usize) -> Arrivals {
        let link = self.own.get(&(from, to)).unwrap_or(&self.default);
        let (lost, twice) = (self.rng.f64() < link.loss, self.rng.f64() < link.duplicate);
        let (first, second) = (self.rng.f64(), self.rng.f64());
        if lost || self.is_cut(from, to) {
            return Arrivals::default();
        }
        let after = |share: f64| {
            let (least, most) = link.latency;
            least + (most - least).mul_f64(share)
        };
        Arrivals {
            first: Some(after(first)),
            second: twice.then(|| after(second)),
        }
    }

    /// Changes what a step is about; other steps change nothing here.
    pub fn change(&mut self, action: &Action) {
        match action {
            Action::Cut(links) => self.set_cut(links, true),
            Action::Heal(links) => self.set_cut(links, false),
            Action::Loss(links, loss) => self.set_links(links, |link| link.loss = *loss),
            Action::Duplicate(links, duplicate) => {
                self.set_links(links, |link| link.duplicate = *duplicate);
            }
            Action::Latency(links, latency) => {
                self.set_links(links, |link| link.latency = *latency);
            }
            Action::Start(_)
            | Action::Crash(_)
            | Action::Restart(_)
            | Action::Pause(_)
            | Action::Resume(_)
            | Action::Leave { .. }
            | Action::Down { .. }
            | Action::PrepareShutdown { .. }
            | Action::SetState { .. }
            | Action::Broadcast { .. }
            | Action::Skew { .. }
            | Action::Settings(_) => {}
        }
    }

    fn set_cut(&mut self, links: &Links, cut: bool) {
        if *links == Links::All && !cut {
            self.cut.clear();
            return;
        }
        if self.cut.is_empty() {
            self.cut = vec![false; self.nodes * self.nodes];
        }
        for (from, to) in self.pairs(links) {
            self.cut[from * self.nodes + to] = cut;
        }
    }

    fn set_links(&mut self, links: &Links, change: impl Fn(&mut Link)) {
        if *links == Links::All {
            change(&mut self.default);
            for link in self.own.values_mut() {
                change(link);
            }
            return;
        }
        for pair in self.pairs(links) {
            change(self.own.entry(pair).or_insert(self.default));
        }
    }

    fn pairs(&self, links: &Links) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let mut both = |from: usize, to: usize, back: bool| {
            if from != to {
                pairs.push((from, to));
                if back {
                    pairs.push((to, from));
                }
            }
        };
        match links {
            Links::All => {
                for from in 0..self.nodes {
                    (0..self.nodes).for_each(|to| both(from, to, false));
                }
            }
            Links::Between { from, to, one_way } => {
                for from in from {
                    to.iter().for_each(|to| both(*from, *to, !one_way));
                }
            }
            Links::Of(nodes) => {
                for node in nodes {
                    (0..self.nodes).for_each(|other| both(*node, other, true));
                }
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: usize, to: usize, one_way: bool) -> Links {
        Links::Between {
            from: vec![from],
            to: vec![to],
            one_way,
        }
    }

    #[test]
    fn a_one_way_cut_lets_the_other_way_through_and_heals() {
        let mut network = Network::new(3, Link::default(), 1);
        network.change(&Action::Cut(between(0, 1, true)));
        assert_eq!(network.send(0, 1), Arrivals::default());
        assert!(network.send(1, 0).first.is_some());
        assert!(network.send(0, 2).first.is_some());
        network.change(&Action::Heal(Links::All));
        assert!(network.send(0, 1).first.is_some());
    }

    #[test]
    fn shares_and_latencies_are_those_that_were_set() {
        let mut network = Network::new(2, Link::default(), 7);
        network.change(&Action::Loss(between(0, 1, true), 0.3));
        network.change(&Action::Duplicate(Links::All, 0.5));
        let latency = (Duration::from_millis(5), Duration::from_millis(9));
        network.change(&Action::Latency(Links::All, latency));
        let sent: Vec<Arrivals> = (0..10_000).map(|_| network.send(0, 1)).collect();
        let arrived: Vec<Duration> = sent.iter().filter_map(|arrivals| arrivals.first).collect();
        let twice = sent
            .iter()
            .filter(|arrivals| arrivals.second.is_some())
            .count();
        assert!((6800..7200).contains(&arrived.len()), "{}", arrived.len());
        assert!((3300..3700).contains(&twice), "{twice}");
        assert!(
            arrived
                .iter()
                .all(|after| (latency.0..=latency.1).contains(after))
        );
        assert!(network.send(1, 0).first.is_some());
    }
}
