//! Which shards move so that all regions have about as many: Pekko's least-shard allocation.
//!
//! In: regions with their shards, and what moves already. Out: the shards that are to leave their region, and the region that takes one. A
//! move is made elsewhere, one round at a time.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::membership::address::UniqueAddress;
use crate::membership::member::{Member, Status};

#[cfg(test)]
mod tests;

/// How much may move in a round: the smaller of both, and at least one shard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RebalanceSettings {
    /// So many shards.
    pub absolute_limit: u32,
    /// This part of all shards, from 0 to 1.
    pub relative_limit: f64,
}

impl Default for RebalanceSettings {
    fn default() -> Self {
        Self {
            absolute_limit: 20,
            relative_limit: 0.1,
        }
    }
}

/// A member that hosts shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region<'a, S> {
    /// The member.
    pub member: &'a Member,
    /// Its shards, in the order in which they leave.
    pub shards: Vec<S>,
}

/// Who takes the next shard: not one on its way out, then the newest version, then the fewest shards, then the oldest member. None if there
/// is no region.
pub fn allocate<'a, S>(regions: &[Region<'a, S>]) -> Option<&'a UniqueAddress> {
    let best = regions.iter().min_by(|one, other| by_fitness(one, other))?;
    Some(&best.member.node)
}

/// The shards that are to leave their region now. None while others move (`moving`), or while moving would be for nothing: see
/// [`is_a_good_time`].
pub fn rebalance<'a, S: Ord + Clone>(
    regions: &[Region<'_, S>],
    moving: &BTreeSet<S>,
    members: impl IntoIterator<Item = &'a Member>,
    unreachable: &BTreeSet<UniqueAddress>,
    settings: &RebalanceSettings,
) -> BTreeSet<S> {
    let total: usize = regions.iter().map(|region| region.shards.len()).sum();
    if !moving.is_empty() || total == 0 || !is_a_good_time(regions, members, unreachable) {
        return BTreeSet::new();
    }
    let mut sorted: Vec<&Region<'_, S>> = regions.iter().collect();
    sorted.sort_by(|one, other| by_fitness(one, other));
    let most = total.div_ceil(regions.len());
    let limit = limit(total, settings);
    let excess = sorted.iter().flat_map(|region| {
        let excess = region.shards.len().saturating_sub(most);
        region.shards.iter().take(excess)
    });
    let leaving: BTreeSet<S> = excess.take(limit).cloned().collect();
    if !leaving.is_empty() {
        return leaving;
    }
    // Nobody has too many, but the optimum was rounded up: a region may still have two fewer than another.
    let missing = |region: &&Region<'_, S>| (most - 1).saturating_sub(region.shards.len());
    let missing: usize = sorted.iter().map(missing).sum();
    let full = sorted.iter().filter(|region| most <= region.shards.len());
    let givers = full.filter_map(|region| region.shards.first());
    givers.take(missing.min(limit)).cloned().collect()
}

/// Whether moving shards makes sense now: all regions run one version, every member of their data centre can be reached, none is about to
/// join, and the cluster is not preparing its shutdown. What is moved before that would move again, or could not arrive.
pub fn is_a_good_time<'a, S>(
    regions: &[Region<'_, S>],
    members: impl IntoIterator<Item = &'a Member>,
    unreachable: &BTreeSet<UniqueAddress>,
) -> bool {
    let Some(first) = regions.first().map(|region| region.member) else {
        return false;
    };
    let version =
        |region: &Region<'_, S>| region.member.profile.app_version == first.profile.app_version;
    let mut here = members
        .into_iter()
        .filter(|member| member.dc() == first.dc());
    regions.iter().all(version)
        && here.all(|member| {
            let is_settled = match member.status {
                Status::Joining
                | Status::WeaklyUp
                | Status::PreparingForShutdown
                | Status::ReadyForShutdown => false,
                Status::Up | Status::Leaving | Status::Exiting | Status::Down | Status::Removed => {
                    true
                }
            };
            is_settled && !unreachable.contains(&member.node)
        })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of shards, and rounding down is what is meant"
)]
fn limit(total: usize, settings: &RebalanceSettings) -> usize {
    let relative = (settings.relative_limit.clamp(0.0, 1.0) * total as f64) as usize;
    let absolute = usize::try_from(settings.absolute_limit).unwrap_or(usize::MAX);
    relative.min(absolute).max(1)
}

fn by_fitness<S>(one: &Region<'_, S>, other: &Region<'_, S>) -> Ordering {
    let leaves = |region: &Region<'_, S>| {
        matches!(
            region.member.status,
            Status::Leaving | Status::Exiting | Status::Down | Status::Removed
        )
    };
    let age = |region: &Region<'_, S>| region.member.up_number.unwrap_or(u32::MAX);
    let (a, b) = (&one.member, &other.member);
    leaves(one)
        .cmp(&leaves(other))
        .then_with(|| b.profile.app_version.cmp(&a.profile.app_version))
        .then_with(|| one.shards.len().cmp(&other.shards.len()))
        .then_with(|| age(one).cmp(&age(other)))
        .then_with(|| a.node.cmp(&b.node))
}
