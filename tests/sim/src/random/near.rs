//! Small clusters, for some of the seeds, in which few have to agree: one link is cut while messages get lost, and little else happens.

use std::time::Duration;

use fastrand::Rng;

use crate::scenario::{Action, Links};

/// Sets these draws apart from all others of a seed.
const APART: u64 = 0x736d_616c_6c5f_6e72;

/// A small cluster of a run.
#[derive(Debug, Clone)]
pub(super) struct Near {
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// How many faults there are beside its own.
    pub(super) others: usize,
    link: (usize, usize),
    one_way: bool,
    cut: (Duration, Duration),
    loss: f64,
}

impl Near {
    /// That of a seed; none where more happens.
    pub(super) fn of(seed: u64) -> Option<Self> {
        let mut rng = Rng::with_seed(seed ^ APART);
        if 0 < rng.u8(0..4) {
            return None;
        }
        let nodes = [3, 3, 3, 4, 5][rng.usize(0..5)];
        let from = rng.usize(0..nodes);
        let to = (from + rng.usize(1..nodes)) % nodes;
        let at = Duration::from_millis(rng.u64(10_000..35_000));
        let lasts = Duration::from_millis(rng.u64(5_000..25_000));
        Some(Self {
            nodes,
            others: rng.usize(0..=2),
            link: (from, to),
            one_way: rng.bool(),
            cut: (at, lasts),
            loss: rng.f64() * 0.3,
        })
    }

    /// The cut and the loss, each with what ends it.
    pub(super) fn faults(&self) -> [(Duration, Vec<(Duration, Action)>); 2] {
        let links = Links::Between {
            from: vec![self.link.0],
            to: vec![self.link.1],
            one_way: self.one_way,
        };
        let (at, lasts) = self.cut;
        let cut = vec![
            (Duration::ZERO, Action::Cut(links.clone())),
            (lasts, Action::Heal(links)),
        ];
        let before = Duration::from_secs(5);
        let loss = vec![
            (Duration::ZERO, Action::Loss(Links::All, self.loss)),
            (before + lasts, Action::Loss(Links::All, 0.0)),
        ];
        [(at, cut), (at.saturating_sub(before), loss)]
    }
}
