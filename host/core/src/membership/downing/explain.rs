//! A decision in full: what it was made from, the rule, and who goes. Kept for audit, and it replays to the same decision.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Reason};
use super::picture::Picture;
use super::strategy::{Policy, Strategy, Verdict};
use crate::membership::address::{Address, UniqueAddress};

/// What called for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Cause {
    /// Members are unreachable, and nothing has changed for long enough.
    Unreachable,
    /// The same, and the lease that the policy asked for was denied.
    LeaseDenied,
    /// Reachability does not come to rest.
    Unstable {
        /// Changes so far.
        changes: u32,
        /// Time since the first one.
        lasting: Duration,
    },
    /// A member has shut this node out.
    Quarantined {
        /// That member.
        by: Address,
    },
    /// Members are unreachable, and among those who go for it some asked for this node's vote to down others ([`votes`](super::votes)).
    Owed {
        /// Those others.
        down: BTreeSet<UniqueAddress>,
    },
}

/// The sets that a decision was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sets {
    /// Members that can be downed.
    pub downable: BTreeSet<UniqueAddress>,
    /// Members that somebody cannot reach.
    pub unreachable: BTreeSet<UniqueAddress>,
    /// Those of them, and those who say so, that take part by way of others.
    pub indirectly_connected: BTreeSet<UniqueAddress>,
}

/// A decision with everything that it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The policy's name.
    pub policy: String,
    /// The policy itself, where it is a built-in strategy.
    pub strategy: Option<Strategy>,
    /// What called for a decision.
    pub cause: Cause,
    /// What it was made from.
    pub picture: Picture,
    /// The sets drawn from the picture.
    pub sets: Sets,
    /// What is done.
    pub decision: Decision,
    /// How long this node waits before it asks for the lease; zero where no lease is needed.
    pub delay: Duration,
    /// The rule.
    pub because: Reason,
    /// Who is downed.
    pub down: BTreeSet<UniqueAddress>,
}

impl Explanation {
    /// What `policy` makes of `picture`, and why.
    pub fn new(policy: &dyn Policy, cause: Cause, picture: Picture) -> Self {
        let found = Finding::of(policy, &cause, &picture);
        Self {
            policy: policy.name().to_owned(),
            strategy: policy.strategy().cloned(),
            cause,
            sets: Sets {
                downable: picture.downable(),
                unreachable: picture.unreachable().clone(),
                indirectly_connected: picture.indirectly_connected(),
            },
            picture,
            decision: found.verdict.decision,
            delay: found.delay,
            because: found.verdict.because,
            down: found.down,
        }
    }

    /// The decision made again from what is kept here; none if the policy was not a built-in strategy. Equal to this one: if it is
    /// not, either the record was changed or the program decides otherwise than the one that wrote it.
    pub fn replay(&self) -> Option<Self> {
        let strategy = self.strategy.as_ref()?;
        Some(Self::new(
            strategy,
            self.cause.clone(),
            self.picture.clone(),
        ))
    }

    /// What happens instead when the lease is denied; none if the decision needs no lease.
    pub(super) fn without_lease(&self, policy: &dyn Policy) -> Option<Self> {
        self.decision.reversed()?;
        Some(Self::new(policy, Cause::LeaseDenied, self.picture.clone()))
    }
}

/// A verdict with what follows from it.
struct Finding {
    verdict: Verdict,
    delay: Duration,
    down: BTreeSet<UniqueAddress>,
}

impl Finding {
    fn of(policy: &dyn Policy, cause: &Cause, picture: &Picture) -> Self {
        let verdict = match cause {
            Cause::Unreachable | Cause::LeaseDenied if picture.rows().is_empty() => Verdict {
                decision: Decision::DownUnreachable,
                because: Reason::NothingUnreachable,
            },
            Cause::Unreachable | Cause::LeaseDenied | Cause::Owed { .. } => policy.decide(picture),
            Cause::Unstable { changes, lasting } => Verdict {
                decision: Decision::DownAll,
                because: Reason::Unstable {
                    changes: *changes,
                    lasting: *lasting,
                },
            },
            Cause::Quarantined { by } => Verdict {
                decision: Decision::DownSelfQuarantinedByRemote,
                because: Reason::Quarantined { by: by.clone() },
            },
        };
        let verdict = with_rest(policy, picture, verdict);
        // The delay is how long this side waited, also when it waited for a denial.
        let delay = verdict.0.decision.lease_delay().unwrap_or_default();
        let (verdict, extra) = match (cause, verdict.0.decision.reversed()) {
            (Cause::LeaseDenied, Some(decision)) => {
                let wanted = Box::new(verdict.0.because);
                let because = Reason::LeaseDenied { wanted };
                (Verdict { decision, because }, BTreeSet::new())
            }
            (_, _) => verdict,
        };
        let down = targets(picture, verdict.decision, extra);
        match cause {
            Cause::Owed { down: owed } => owing(picture, verdict, down, owed),
            Cause::Unreachable
            | Cause::LeaseDenied
            | Cause::Unstable { .. }
            | Cause::Quarantined { .. } => Self {
                verdict,
                delay,
                down,
            },
        }
    }
}

/// The same, and whoever is owed goes as well.
fn owing(
    picture: &Picture,
    verdict: Verdict,
    mut down: BTreeSet<UniqueAddress>,
    owed: &BTreeSet<UniqueAddress>,
) -> Finding {
    let mut owed = &picture.downable() & owed;
    owed.retain(|node| !down.contains(node));
    let because = Reason::Owed {
        members: owed.iter().map(|node| node.address.clone()).collect(),
        rest: Box::new(verdict.because),
    };
    down.extend(owed);
    Finding {
        verdict: Verdict {
            decision: verdict.decision,
            because,
        },
        delay: Duration::ZERO,
        down,
    }
}

/// For a decision against indirectly connected members: whom the picture without their records condemns beside them. If members are
/// indirectly connected even then, the records contradict each other in a way that no rule sorts out, and all go.
fn with_rest(
    policy: &dyn Policy,
    picture: &Picture,
    mut verdict: Verdict,
) -> (Verdict, BTreeSet<UniqueAddress>) {
    let none = BTreeSet::new();
    let indirect = picture.indirectly_connected();
    if !verdict.decision.is_indirect() || picture.unreachable().is_subset(&indirect) {
        return (verdict, none);
    }
    let clean = picture.without_indirect();
    let second = policy.decide(&clean);
    if second.decision.is_indirect() {
        let members = clean.indirectly_connected().into_iter();
        let because = Reason::StillIndirect {
            members: members.map(|node| node.address).collect(),
        };
        // Without a lease, too: the side that holds it would go as well, and the other one could not have it.
        let verdict = Verdict {
            decision: Decision::DownAll,
            because,
        };
        return (verdict, none);
    }
    let extra = targets(&clean, second.decision, none);
    if let Reason::IndirectlyConnected { rest, .. } = &mut verdict.because {
        *rest = Some(Box::new(second.because));
    }
    (verdict, extra)
}

/// Who is downed by a decision. Never one that is down, exiting or gone already.
fn targets(
    picture: &Picture,
    decision: Decision,
    extra: BTreeSet<UniqueAddress>,
) -> BTreeSet<UniqueAddress> {
    let mut downable = picture.downable();
    let unreachable = picture.unreachable();
    match decision {
        Decision::DownUnreachable | Decision::AcquireLeaseAndDownUnreachable { .. } => {
            downable.retain(|node| unreachable.contains(node));
        }
        Decision::DownReachable => downable.retain(|node| !unreachable.contains(node)),
        Decision::DownAll => {}
        Decision::DownIndirectlyConnected
        | Decision::AcquireLeaseAndDownIndirectlyConnected { .. } => {
            let indirect = picture.indirectly_connected();
            downable.retain(|node| indirect.contains(node) || extra.contains(node));
        }
        Decision::ReverseDownIndirectlyConnected => {
            let indirect = picture.indirectly_connected();
            downable.retain(|node| indirect.contains(node) || !unreachable.contains(node));
        }
        Decision::DownSelfQuarantinedByRemote => downable.retain(|node| node == picture.this()),
    }
    downable
}
