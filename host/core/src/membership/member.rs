//! One member: what it is, and how far it has come.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::address::UniqueAddress;
use super::protocol::ProtocolRange;
use crate::id::KindName;

/// How far a member has come. Whether it can be reached is kept apart, in the reachability table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its join was accepted; it does not count for convergence and hosts nothing.
    Joining,
    /// Let in by the leader while the views do not converge; fit for work without state.
    WeaklyUp,
    /// A full member.
    Up,
    /// It is to stay until the whole cluster stops, and takes part in nothing new.
    PreparingForShutdown,
    /// Every member knows of the shutdown; nodes may be stopped.
    ReadyForShutdown,
    /// It wants to go and hands over.
    Leaving,
    /// The views agree that it goes; it shuts down.
    Exiting,
    /// Declared dead. There is no way back for this incarnation.
    Down,
    /// Gone; a tombstone keeps it away.
    Removed,
}

/// A version of the program that a member runs: numbers, dots and a suffix, ordered as in semantic versioning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppVersion(pub Arc<str>);

/// What a node says of itself when it joins. It does not change while the incarnation lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its roles; the role `dc-<data centre>` is implied and not listed.
    pub roles: BTreeSet<Arc<str>>,
    /// Its data centre.
    pub dc: Arc<str>,
    /// The version of what it runs.
    pub app_version: AppVersion,
    /// The versions of the cluster's messages that it speaks.
    pub protocol: ProtocolRange,
    /// The kinds that it hosts.
    pub kinds: BTreeSet<KindName>,
    /// Its weight in placement against other members; 1 is usual, 0 hosts nothing.
    pub capacity: u32,
    /// Free words for placement rules, such as `zone = "a"`.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// A member as one view sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which incarnation.
    pub node: UniqueAddress,
    /// How far it has come.
    pub status: Status,
    /// Its place in the order of age within its data centre, 1 being the oldest; none until it is up.
    pub up_number: Option<u32>,
    /// What it said of itself.
    pub profile: Arc<Profile>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.node, self.status)
    }
}
