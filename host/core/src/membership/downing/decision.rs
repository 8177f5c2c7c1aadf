//! What can be decided about a partition, and the rule that led there.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::membership::address::Address;

/// What to do about members that cannot be reached. The names are Pekko's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// This side goes.
    DownReachable,
    /// The other side goes.
    DownUnreachable,
    /// Everybody goes.
    DownAll,
    /// Those go that are marked unreachable and yet take part, and with them whom the rest of the picture condemns.
    DownIndirectlyConnected,
    /// With the lease the other side goes, without it this one.
    AcquireLeaseAndDownUnreachable {
        /// How long to wait before asking for the lease.
        delay: Duration,
    },
    /// With the lease the indirectly connected go, without it they and this side.
    AcquireLeaseAndDownIndirectlyConnected {
        /// How long to wait before asking for the lease.
        delay: Duration,
    },
    /// The lease was denied: the indirectly connected go, and everybody who can be reached.
    ReverseDownIndirectlyConnected,
    /// A member has shut this node out for good: this node goes.
    DownSelfQuarantinedByRemote,
}

impl Decision {
    /// The name in kebab case, without the delay.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DownReachable => "down-reachable",
            Self::DownUnreachable => "down-unreachable",
            Self::DownAll => "down-all",
            Self::DownIndirectlyConnected => "down-indirectly-connected",
            Self::AcquireLeaseAndDownUnreachable { .. } => "acquire-lease-and-down-unreachable",
            Self::AcquireLeaseAndDownIndirectlyConnected { .. } => {
                "acquire-lease-and-down-indirectly-connected"
            }
            Self::ReverseDownIndirectlyConnected => "reverse-down-indirectly-connected",
            Self::DownSelfQuarantinedByRemote => "down-self-quarantined-by-remote",
        }
    }

    /// How long to wait before asking for the lease; none where no lease is needed.
    pub fn lease_delay(&self) -> Option<Duration> {
        match self {
            Self::AcquireLeaseAndDownUnreachable { delay }
            | Self::AcquireLeaseAndDownIndirectlyConnected { delay } => Some(*delay),
            Self::DownReachable
            | Self::DownUnreachable
            | Self::DownAll
            | Self::DownIndirectlyConnected
            | Self::ReverseDownIndirectlyConnected
            | Self::DownSelfQuarantinedByRemote => None,
        }
    }

    /// What is done when the lease is denied; none where no lease is needed.
    pub fn reversed(&self) -> Option<Self> {
        match self {
            Self::AcquireLeaseAndDownUnreachable { .. } => Some(Self::DownReachable),
            Self::AcquireLeaseAndDownIndirectlyConnected { .. } => {
                Some(Self::ReverseDownIndirectlyConnected)
            }
            Self::DownReachable
            | Self::DownUnreachable
            | Self::DownAll
            | Self::DownIndirectlyConnected
            | Self::ReverseDownIndirectlyConnected
            | Self::DownSelfQuarantinedByRemote => None,
        }
    }

    /// Whether it goes against members that are reached by way of others.
    pub fn is_indirect(&self) -> bool {
        match self {
            Self::DownIndirectlyConnected
            | Self::AcquireLeaseAndDownIndirectlyConnected { .. }
            | Self::ReverseDownIndirectlyConnected => true,
            Self::DownReachable
            | Self::DownUnreachable
            | Self::DownAll
            | Self::AcquireLeaseAndDownUnreachable { .. }
            | Self::DownSelfQuarantinedByRemote => false,
        }
    }
}

/// The rule that led to a decision, with the numbers that it looked at. `Display` says it as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "rule",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Reason {
    /// There is nothing to decide.
    NothingUnreachable,
    /// More members than a quorum can tell apart.
    TooManyMembers {
        /// Members that count.
        members: usize,
        /// The quorum.
        quorum: u32,
    },
    /// Enough members are reachable.
    QuorumReached {
        /// Reachable members that count.
        here: usize,
        /// The quorum.
        quorum: u32,
    },
    /// Too few members are reachable.
    QuorumMissed {
        /// Reachable members that count.
        here: usize,
        /// The quorum.
        quorum: u32,
    },
    /// Nobody is there whom the strategy could count.
    NobodyCounts {
        /// The role that it asks for.
        role: Option<Arc<str>>,
    },
    /// This side is larger.
    Majority {
        /// Reachable members that count.
        here: usize,
        /// Unreachable members that count.
        there: usize,
    },
    /// The other side is larger.
    Minority {
        /// Reachable members that count.
        here: usize,
        /// Unreachable members that count.
        there: usize,
    },
    /// The sides are equal, and this one has the lowest address.
    TieWithLowest {
        /// Members on each side.
        each: usize,
        /// The lowest address.
        lowest: Address,
    },
    /// The sides are equal, and the other one has the lowest address.
    TieWithoutLowest {
        /// Members on each side.
        each: usize,
        /// The lowest address.
        lowest: Address,
    },
    /// The oldest member is on this side.
    OldestHere {
        /// Its address.
        oldest: Address,
    },
    /// The oldest member is on the other side.
    OldestThere {
        /// Its address.
        oldest: Address,
    },
    /// The oldest member is alone on this side.
    OldestAloneHere {
        /// Its address.
        oldest: Address,
        /// Members on the other side.
        there: usize,
    },
    /// The oldest member is alone on the other side.
    OldestAloneThere {
        /// Its address.
        oldest: Address,
        /// Members on this side.
        here: usize,
    },
    /// The strategy spares nobody.
    Unconditional,
    /// Members are marked unreachable and yet take part.
    IndirectlyConnected {
        /// Those members.
        members: Vec<Address>,
        /// What led to the decision about the rest, where some are unreachable that are not among them.
        rest: Option<Box<Self>>,
    },
    /// Members come and go at this moment: the other side may know more of them, or fewer, and decide the same for itself.
    SidesMayDiffer {
        /// What the picture as it is says.
        now: Box<Self>,
        /// What it says in the worst case.
        worst: Box<Self>,
    },
    /// Without the records among indirectly connected members some still are.
    StillIndirect {
        /// Those members.
        members: Vec<Address>,
    },
    /// The lease decides; the sizes only say who asks first.
    Lease {
        /// How the sides compare.
        sides: Box<Self>,
    },
    /// The lease was denied.
    LeaseDenied {
        /// What would have been done with it, and why.
        wanted: Box<Self>,
    },
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
    /// Some of those who go asked for this node's vote to down others, and may have done so.
    Owed {
        /// Those others.
        members: Vec<Address>,
        /// Why the rest goes.
        rest: Box<Self>,
    },
    /// A policy from outside says so.
    Policy {
        /// Its own words.
        text: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingUnreachable => f.write_str("no member is unreachable"),
            Self::TooManyMembers { members, quorum } => write!(
                f,
                "{members} members count, and two sides could each have the quorum of {quorum}"
            ),
            Self::QuorumReached { here, quorum } => {
                let (members, reach) = of(*here, ["reaches", "reach"]);
                write!(f, "{members} {reach} the quorum of {quorum}")
            }
            Self::QuorumMissed { here, quorum } => {
                let (members, miss) = of(*here, ["misses", "miss"]);
                write!(f, "{members} {miss} the quorum of {quorum}")
            }
            Self::NobodyCounts { role: None } => f.write_str("no member counts"),
            Self::NobodyCounts { role: Some(role) } => {
                write!(f, "no member has the role '{role}'")
            }
            Self::Majority { here, there } => {
                let (members, outnumber) = of(*here, ["outnumbers", "outnumber"]);
                write!(f, "{members} {outnumber} {there}")
            }
            Self::Minority { here, there } => {
                let (members, are) = of(*here, ["is", "are"]);
                write!(f, "{members} {are} fewer than {there}")
            }
            Self::TieWithLowest { each, lowest } => write!(
                f,
                "{each} member{} on each side, and {lowest}, the lowest address, is reachable",
                plural(*each)
            ),
            Self::TieWithoutLowest { each, lowest } => write!(
                f,
                "{each} member{} on each side, and {lowest}, the lowest address, is unreachable",
                plural(*each)
            ),
            Self::OldestHere { oldest } => write!(f, "the oldest member, {oldest}, is reachable"),
            Self::OldestThere { oldest } => {
                write!(f, "the oldest member, {oldest}, is unreachable")
            }
            Self::OldestAloneHere { oldest, there } => write!(
                f,
                "the oldest member, {oldest}, is alone on this side, against {there}"
            ),
            Self::OldestAloneThere { oldest, here } => write!(
                f,
                "the oldest member, {oldest}, is alone on the other side, against {here}"
            ),
            Self::Unconditional => f.write_str("the strategy downs all members"),
            Self::IndirectlyConnected { members, rest } => indirect(f, members, rest.as_deref()),
            Self::SidesMayDiffer { now, worst } => write!(
                f,
                "{now}; but the other side may have let members in or go: in the worst case, {worst}"
            ),
            Self::StillIndirect { members } => {
                f.write_str("no side is clean; indirectly connected in every way: ")?;
                list(f, members)
            }
            Self::Lease { sides } => write!(f, "the lease decides; {sides}"),
            Self::LeaseDenied { wanted } => denied(f, wanted),
            Self::Unstable { changes, lasting } => write!(
                f,
                "reachability changed {changes} times in {} ms and does not come to rest",
                lasting.as_millis()
            ),
            Self::Quarantined { by } => write!(f, "the member {by} has shut this node out"),
            Self::Owed { members, rest } => owed(f, members, rest),
            Self::Policy { text } => f.write_str(text),
        }
    }
}

/// So many reachable members, and the form of the verb that goes with them.
fn of(here: usize, [one, many]: [&'static str; 2]) -> (String, &'static str) {
    let members = alloc::format!("{here} reachable member{}", plural(here));
    (members, if here == 1 { one } else { many })
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn indirect(f: &mut fmt::Formatter<'_>, members: &[Address], rest: Option<&Reason>) -> fmt::Result {
    f.write_str("marked unreachable, and yet taking part: ")?;
    list(f, members)?;
    match rest {
        Some(rest) => write!(f, "; of the others: {rest}"),
        None => Ok(()),
    }
}

fn denied(f: &mut fmt::Formatter<'_>, wanted: &Reason) -> fmt::Result {
    let wanted = if let Reason::Lease { sides } = wanted {
        sides
    } else {
        wanted
    };
    write!(f, "the lease was denied; {wanted}")
}

fn owed(f: &mut fmt::Formatter<'_>, members: &[Address], rest: &Reason) -> fmt::Result {
    write!(
        f,
        "{rest}; and those who go may have downed, with the vote of this node: "
    )?;
    list(f, members)
}

fn list(f: &mut fmt::Formatter<'_>, addresses: &[Address]) -> fmt::Result {
    for (at, address) in addresses.iter().enumerate() {
        let gap = if at == 0 { "" } else { ", " };
        write!(f, "{gap}{address}")?;
    }
    Ok(())
}
