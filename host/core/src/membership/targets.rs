//! Whom a node gossips to next.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::address::UniqueAddress;
use super::member::Member;
use super::view::View;

/// So many members one node tells of what is for all.
const FAN_OUT: usize = 8;

/// How targets are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// How likely a member is preferred that has not seen the picture.
    pub different_view_probability: f64,
    /// From so many members on, that likelihood falls, to a tenth at three times as many.
    pub reduce_different_view_from: u32,
    /// How likely a round goes to another data centre, if this one has at least five members.
    pub cross_dc_probability: f64,
    /// So many of the oldest members of a data centre speak with the others.
    pub cross_dc_connections: u32,
}

/// What the dice say of one round.
#[derive(Debug, Clone, Copy)]
struct Round {
    cross: bool,
    prefer_unseen: bool,
}

impl Targets {
    /// The next target; none if nobody can be spoken with.
    pub fn choose(&self, view: &View<'_>, random: &mut fastrand::Rng) -> Option<UniqueAddress> {
        let size = view.gossip().members().len();
        let local = view.members().count();
        let round = Round {
            cross: random.f64() < self.cross_probability(local),
            prefer_unseen: random.f64() < self.prefer_unseen_probability(size),
        };
        let targets = self.candidates(view, round, random);
        let at = below(random, targets.len())?;
        targets.get(at).copied().cloned()
    }

    /// At most so many targets for something that all should know soon. A node that speaks for its data centre gives one place to another.
    pub fn burst(
        &self,
        view: &View<'_>,
        most: usize,
        random: &mut fastrand::Rng,
    ) -> Vec<UniqueAddress> {
        let mut local: Vec<_> = local_candidates(view).collect();
        shuffle(&mut local, random);
        // Any of them: the same one each time may be dead, and nobody know it.
        let across = self.across(view, random);
        let across = below(random, across.len()).and_then(|at| across.get(at).copied());
        local.truncate(most.saturating_sub(usize::from(across.is_some())));
        local
            .into_iter()
            .chain(across)
            .take(most)
            .cloned()
            .collect()
    }

    /// Whom a node tells that is to see to it that all members of its data centre at `places` hear something: each with the places that it
    /// sees to in turn. So each member hears it once, after as many hops as the number of places has digits to the base [`FAN_OUT`].
    ///
    /// Who sees to whom is drawn each time: one that is gone is not in the way of the same others again.
    pub fn shares(
        &self,
        view: &View<'_>,
        places: Range<usize>,
        random: &mut fastrand::Rng,
    ) -> Vec<(UniqueAddress, Range<usize>)> {
        let members = view.gossip().members();
        let end = places.end.min(members.len());
        let each = places.len().div_ceil(FAN_OUT).max(1);
        // Its own place is in no share: nobody is to tell it again.
        let me = view.gossip().index(view.me());
        let me = me.filter(|at| places.contains(at));
        let sides = [
            places.start..me.unwrap_or(end),
            me.map_or(end, |at| at + 1)..end,
        ];
        let parts = sides.into_iter().flat_map(|side| {
            let firsts = side.clone().step_by(each);
            firsts.map(move |first| first..side.end.min(first + each))
        });
        let tell = |part: Range<usize>| {
            let there = members.get(part.clone()).unwrap_or_default();
            let near = there.iter().filter(|member| is_candidate(view, member));
            let near: Vec<_> = near.map(|member| &member.node).collect();
            let first = near.get(below(random, near.len())?)?;
            Some(((*first).clone(), part))
        };
        parts.filter_map(tell).collect()
    }

    /// Whether this node is one of those that speak with other data centres.
    pub fn speaks_abroad(&self, view: &View<'_>) -> bool {
        view.is_multi_dc() && {
            let oldest = self.speakers(view).remove(view.dc());
            let mut oldest = oldest.unwrap_or_default().into_iter();
            oldest.any(|member| member.node == *view.me())
        }
    }

    /// Who speaks for each data centre.
    fn speakers<'a>(&self, view: &View<'a>) -> BTreeMap<Arc<str>, Vec<&'a Member>> {
        let most = usize::try_from(self.cross_dc_connections).unwrap_or(usize::MAX);
        // Who is out of reach keeps nobody from speaking in its place: while the oldest are being found dead, the others would not be heard of.
        let can_speak = |member: &Member| match member.dc().as_ref() == view.dc() {
            true => member.node == *view.me() || view.is_reachable(&member.node),
            false => can_gossip(view, &member.node),
        };
        view.oldest_by_dc(most, can_speak)
    }

    /// A data centre of few members speaks with the others more often; one member alone always.
    fn cross_probability(&self, local: usize) -> f64 {
        let few = match local {
            0 | 1 => 1.0,
            2 => 0.75,
            3 => 0.5,
            4 => 0.25,
            _ => 0.0,
        };
        self.cross_dc_probability.max(few)
    }

    /// In a large cluster everybody would shower the same few who have not seen the picture.
    fn prefer_unseen_probability(&self, size: usize) -> f64 {
        let high = self.different_view_probability;
        let low = high / 10.0;
        let from = f64::from(self.reduce_different_view_from);
        let beyond = f64::from(u32::try_from(size).unwrap_or(u32::MAX)) - from;
        if beyond <= 0.0 {
            high
        } else {
            let share = (beyond / (2.0 * from)).min(1.0);
            high - (high - low) * share
        }
    }

    fn candidates<'a>(
        &self,
        view: &View<'a>,
        round: Round,
        random: &mut fastrand::Rng,
    ) -> Vec<&'a UniqueAddress> {
        if round.cross {
            let across = self.across(view, random);
            if !across.is_empty() {
                return across;
            }
        }
        if round.prefer_unseen {
            let gossip = view.gossip();
            let unseen = local_candidates(view).filter(|node| !gossip.is_seen_by(node));
            let unseen: Vec<_> = unseen.collect();
            if !unseen.is_empty() {
                return unseen;
            }
        }
        local_candidates(view).collect()
    }

    /// The oldest members of another data centre, drawn among those that have one who can be spoken with; nobody if this node does
    /// not speak for its own.
    fn across<'a>(&self, view: &View<'a>, random: &mut fastrand::Rng) -> Vec<&'a UniqueAddress> {
        if !view.is_multi_dc() {
            return Vec::new();
        }
        let mut by_dc = self.speakers(view);
        let ours = by_dc.remove(view.dc()).unwrap_or_default();
        if !ours.iter().any(|member| member.node == *view.me()) {
            return Vec::new();
        }
        let mut others: Vec<_> = by_dc.into_values().collect();
        match below(random, others.len()) {
            Some(at) => others.swap_remove(at).iter().map(|it| &it.node).collect(),
            None => Vec::new(),
        }
    }
}

/// A number below `count`; none below 0. The same on every platform, whatever its word.
fn below(random: &mut fastrand::Rng, count: usize) -> Option<usize> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let at = (count != 0).then(|| random.u32(..count))?;
    usize::try_from(at).ok()
}

fn shuffle<T>(items: &mut [T], random: &mut fastrand::Rng) {
    for last in (1..items.len()).rev() {
        if let Some(other) = below(random, last + 1) {
            items.swap(last, other);
        }
    }
}

/// Neither oneself nor whom one cannot reach oneself: what others say of them does not matter.
fn can_gossip(view: &View<'_>, node: &UniqueAddress) -> bool {
    node != view.me() && view.gossip().can_reach(view.me(), node)
}

fn is_candidate(view: &View<'_>, member: &Member) -> bool {
    member.dc().as_ref() == view.dc() && can_gossip(view, &member.node)
}

fn local_candidates<'a>(view: &View<'a>) -> impl Iterator<Item = &'a UniqueAddress> {
    let nodes = view.members().map(|member| &member.node);
    nodes.filter(|node| can_gossip(view, node))
}

#[cfg(test)]
mod tests;
