//! Who survives a partition: the trait that a policy implements, and the five strategies of the split brain resolver.
//!
//! Each side of a partition decides for itself, on its own picture. A strategy is safe if no two sides can both decide to stay; where
//! pictures may differ because members were coming or going at that moment, the careful answer is that all go.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Reason};
use super::picture::{Doubt, Picture, Sides, Voter};

/// A decision and the rule behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub decision: Decision,
    /// Why.
    pub because: Reason,
}

/// Decides who survives. A pure function of the picture, so that a decision can be replayed and each side can foresee the other's.
///
/// It is asked when somebody is unreachable and the picture has been at rest; it is never asked about members of other data centres.
pub trait Policy: fmt::Debug + Send + Sync {
    /// Its name in explanations, and in the check that all members use the same.
    fn name(&self) -> &str;

    /// What to do about this picture.
    fn decide(&self, picture: &Picture) -> Verdict;

    /// How long a lease is kept after the last decision that needed it.
    fn release_after(&self) -> Duration {
        RELEASE_AFTER
    }

    /// The most members for which the policy tells the sides of a partition apart, where there is such a limit, and the role of those
    /// that count. Going over it is reported while there is still time.
    fn members_max(&self) -> Option<(usize, Option<&str>)> {
        None
    }

    /// The built-in strategy that this is; with it an explanation can be replayed without the policy.
    fn strategy(&self) -> Option<&Strategy> {
        None
    }
}

/// How long a lease is kept unless a strategy says otherwise.
pub const RELEASE_AFTER: Duration = Duration::from_secs(40);

/// The strategies of the split brain resolver. With a role only members that have it are counted; who is downed does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "strategy",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Strategy {
    /// The side with a fixed number of members stays. The cluster must never have twice as many.
    StaticQuorum {
        /// That number.
        quorum_size: u32,
        /// Who counts.
        role: Option<Arc<str>>,
    },
    /// The larger side stays; of equal sides the one with the lowest address.
    KeepMajority {
        /// Who counts.
        role: Option<Arc<str>>,
    },
    /// The side with the oldest member stays.
    KeepOldest {
        /// Who counts.
        role: Option<Arc<str>>,
        /// Whether an oldest member that is alone against several goes instead of them.
        down_if_alone: bool,
    },
    /// Nobody stays.
    DownAll,
    /// The side that gets a lease stays; the larger side asks first.
    LeaseMajority {
        /// Who counts.
        role: Option<Arc<str>>,
        /// How much later the smaller side asks.
        minority_delay: Duration,
        /// How long the lease is kept after the last decision.
        release_after: Duration,
    },
}

impl Strategy {
    /// The names of all of them.
    pub const NAMES: [&'static str; 5] = [
        "static-quorum",
        "keep-majority",
        "keep-oldest",
        "down-all",
        "lease-majority",
    ];

    /// The role of those who count; none for everybody.
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::StaticQuorum { role, .. }
            | Self::KeepMajority { role }
            | Self::KeepOldest { role, .. }
            | Self::LeaseMajority { role, .. } => role.as_deref(),
            Self::DownAll => None,
        }
    }
}

impl Policy for Strategy {
    fn name(&self) -> &str {
        let [
            static_quorum,
            keep_majority,
            keep_oldest,
            down_all,
            lease_majority,
        ] = Self::NAMES;
        match self {
            Self::StaticQuorum { .. } => static_quorum,
            Self::KeepMajority { .. } => keep_majority,
            Self::KeepOldest { .. } => keep_oldest,
            Self::DownAll => down_all,
            Self::LeaseMajority { .. } => lease_majority,
        }
    }

    fn decide(&self, picture: &Picture) -> Verdict {
        match self {
            Self::StaticQuorum { quorum_size, role } => {
                static_quorum(picture, *quorum_size, role.as_ref())
            }
            Self::KeepMajority { role } => keep_majority(picture, role.as_ref()),
            Self::KeepOldest {
                role,
                down_if_alone,
            } => keep_oldest(picture, role.as_ref(), *down_if_alone),
            Self::DownAll => all(Reason::Unconditional),
            Self::LeaseMajority {
                role,
                minority_delay,
                ..
            } => lease_majority(picture, role.as_ref(), *minority_delay),
        }
    }

    fn release_after(&self) -> Duration {
        match self {
            Self::LeaseMajority { release_after, .. } => *release_after,
            Self::StaticQuorum { .. }
            | Self::KeepMajority { .. }
            | Self::KeepOldest { .. }
            | Self::DownAll => RELEASE_AFTER,
        }
    }

    fn members_max(&self) -> Option<(usize, Option<&str>)> {
        match self {
            Self::StaticQuorum { quorum_size, role } => {
                Some((members_max(*quorum_size), role.as_deref()))
            }
            Self::KeepMajority { .. }
            | Self::KeepOldest { .. }
            | Self::DownAll
            | Self::LeaseMajority { .. } => None,
        }
    }

    fn strategy(&self) -> Option<&Strategy> {
        Some(self)
    }
}

type Role<'a> = Option<&'a Arc<str>>;

/// The most members of which no two disjoint groups both have the quorum.
fn members_max(quorum: u32) -> usize {
    usize::try_from(quorum)
        .unwrap_or(usize::MAX)
        .saturating_mul(2)
        .saturating_sub(1)
}

fn all(because: Reason) -> Verdict {
    Verdict {
        decision: Decision::DownAll,
        because,
    }
}

fn other_side(because: Reason) -> Verdict {
    Verdict {
        decision: Decision::DownUnreachable,
        because,
    }
}

fn this_side(because: Reason) -> Verdict {
    Verdict {
        decision: Decision::DownReachable,
        because,
    }
}

fn nobody(role: Role<'_>) -> Reason {
    Reason::NobodyCounts {
        role: role.cloned(),
    }
}

/// The rule for indirectly connected members, if there are any. What becomes of the others is worked out with the sets.
fn indirect(picture: &Picture) -> Option<Reason> {
    let members = picture.indirectly_connected();
    (!members.is_empty()).then(|| Reason::IndirectlyConnected {
        members: members.into_iter().map(|node| node.address).collect(),
        rest: None,
    })
}

fn down_indirect(because: Reason) -> Verdict {
    Verdict {
        decision: Decision::DownIndirectlyConnected,
        because,
    }
}

fn static_quorum(picture: &Picture, quorum: u32, role: Role<'_>) -> Verdict {
    let sides = picture.sides(role.map(AsRef::as_ref), Doubt::NONE);
    let (here, members) = (sides.here.len(), sides.here.len() + sides.there.len());
    if members_max(quorum) < members {
        return all(Reason::TooManyMembers { members, quorum });
    }
    if let Some(because) = indirect(picture) {
        return down_indirect(because);
    }
    if usize::try_from(quorum).is_ok_and(|quorum| quorum <= here) {
        other_side(Reason::QuorumReached { here, quorum })
    } else {
        this_side(Reason::QuorumMissed { here, quorum })
    }
}

fn keep_majority(picture: &Picture, role: Role<'_>) -> Verdict {
    if let Some(because) = indirect(picture) {
        return down_indirect(because);
    }
    let role_name = role.map(AsRef::as_ref);
    let sides = picture.sides(role_name, Doubt::NONE);
    let Some(lowest) = sides.lowest() else {
        return all(nobody(role));
    };
    let verdict = majority(sides.here.len(), sides.there.len(), lowest, picture);
    // Here as few as there can be, there as many: who joins may be up there, who leaves may be gone there.
    careful(verdict, || {
        let here = picture.sides(
            role_name,
            Doubt {
                possibly_up: false,
                possibly_exiting: true,
            },
        );
        let there = picture.sides(
            role_name,
            Doubt {
                possibly_up: true,
                possibly_exiting: false,
            },
        );
        let Some(mut lowest) = here.lowest() else {
            return all(nobody(role));
        };
        if role.is_some() && !picture.is_led_from_here() {
            // Pekko leaves this out. A leader without the role may have let in one that has it and the lowest address of those: the tie
            // could then seem won on both sides. Without a role the leader is itself the lowest, and on its own side.
            let joining = there.there.iter().filter(|voter| voter.is_joining());
            lowest = joining
                .copied()
                .fold(lowest, |a, b| if b.node < a.node { b } else { a });
        }
        majority(here.here.len(), there.there.len(), lowest, picture)
    })
}

fn majority(here: usize, there: usize, lowest: &Voter, picture: &Picture) -> Verdict {
    let tie = || lowest.node.address.clone();
    let is_there = picture.unreachable().contains(&lowest.node);
    match here.cmp(&there) {
        core::cmp::Ordering::Greater => other_side(Reason::Majority { here, there }),
        core::cmp::Ordering::Less => this_side(Reason::Minority { here, there }),
        core::cmp::Ordering::Equal if is_there => this_side(Reason::TieWithoutLowest {
            each: here,
            lowest: tie(),
        }),
        core::cmp::Ordering::Equal => other_side(Reason::TieWithLowest {
            each: here,
            lowest: tie(),
        }),
    }
}

/// Staying has to hold in the worst case too: if it does not, the other side may decide to stay as well.
fn careful(verdict: Verdict, worst: impl FnOnce() -> Verdict) -> Verdict {
    if verdict.decision != Decision::DownUnreachable {
        return verdict;
    }
    let worst = worst();
    if worst.decision == Decision::DownUnreachable {
        return verdict;
    }
    all(Reason::SidesMayDiffer {
        now: Box::new(verdict.because),
        worst: Box::new(worst.because),
    })
}

fn keep_oldest(picture: &Picture, role: Role<'_>, down_if_alone: bool) -> Verdict {
    if let Some(because) = indirect(picture) {
        return down_indirect(because);
    }
    let role_name = role.map(AsRef::as_ref);
    let sides = picture.sides(role_name, Doubt::NONE);
    let Some(oldest) = sides.oldest() else {
        return all(nobody(role));
    };
    let verdict = with_oldest(oldest, &sides, picture, down_if_alone);
    careful(verdict, || {
        let staying = Doubt {
            possibly_up: false,
            possibly_exiting: true,
        };
        // Who joins may be up on the other side, which can only matter to who counts as alone.
        let doubt = Doubt {
            possibly_up: down_if_alone,
            ..staying
        };
        match picture.sides(role_name, staying).oldest() {
            Some(oldest) => with_oldest(
                oldest,
                &picture.sides(role_name, doubt),
                picture,
                down_if_alone,
            ),
            None => all(nobody(role)),
        }
    })
}

fn with_oldest(
    oldest: &Voter,
    sides: &Sides<'_>,
    picture: &Picture,
    down_if_alone: bool,
) -> Verdict {
    let (here, there) = (sides.here.len(), sides.there.len());
    let is_here = !picture.unreachable().contains(&oldest.node);
    let oldest = oldest.node.address.clone();
    match (is_here, down_if_alone) {
        // Of two members the oldest stays: the other one is no less alone.
        (true, true) if here == 1 && 2 <= there => {
            this_side(Reason::OldestAloneHere { oldest, there })
        }
        (true, true | false) => other_side(Reason::OldestHere { oldest }),
        (false, true) if there == 1 && 2 <= here => {
            other_side(Reason::OldestAloneThere { oldest, here })
        }
        (false, true | false) => this_side(Reason::OldestThere { oldest }),
    }
}

fn lease_majority(picture: &Picture, role: Role<'_>, minority_delay: Duration) -> Verdict {
    if let Some(because) = indirect(picture) {
        return Verdict {
            decision: Decision::AcquireLeaseAndDownIndirectlyConnected {
                delay: Duration::ZERO,
            },
            because,
        };
    }
    let sides = picture.sides(role.map(AsRef::as_ref), Doubt::NONE);
    let compared = match sides.lowest() {
        Some(lowest) => majority(sides.here.len(), sides.there.len(), lowest, picture),
        None => other_side(nobody(role)),
    };
    let delay = if compared.decision == Decision::DownReachable {
        minority_delay
    } else {
        Duration::ZERO
    };
    Verdict {
        decision: Decision::AcquireLeaseAndDownUnreachable { delay },
        because: Reason::Lease {
            sides: Box::new(compared.because),
        },
    }
}
