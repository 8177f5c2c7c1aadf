//! Every setting of membership, as it is written under `[cluster]`, with the values that hold where nothing is written.
//!
//! Names are Pekko's in kebab case, gathered into sections. [`Settings::problems`] says everything that cannot be, not just the first.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::span::{Optional, Period};

mod check;
mod number;
mod span;
mod uses;

#[cfg(test)]
mod tests;

/// What holds for `stable-after` where nothing is written.
const STABLE_AFTER: Duration = Duration::from_secs(20);

/// Settings that contradict themselves or each other, all of them, each with its name. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// Each problem.
    pub problems: Vec<Problem>,
}

/// One setting that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its path below `[cluster]`, such as `downing.quorum-size`.
    pub setting: String,
    /// Why, and what would do.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.reason)
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let gap = if at == 0 { "" } else { "; " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

/// How membership works on this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of the settings of membership"
)]
pub struct Settings {
    /// The cluster's name. A node of another name is not let in.
    pub name: String,
    /// The leader lets nobody up before so many members have joined.
    #[serde(deserialize_with = "number::whole")]
    pub min_members: u32,
    /// The same for each role.
    pub role: BTreeMap<Arc<str>, RoleSettings>,
    /// After so long without convergence, members that are reachable are let in as weakly up.
    pub allow_weakly_up_members: Optional,
    /// How often the leader looks for something to do.
    #[serde(with = "span")]
    pub leader_actions_interval: Duration,
    /// How often the failure detector's opinion goes into the reachability table.
    #[serde(with = "span")]
    pub unreachable_nodes_reaper_interval: Duration,
    /// How long the picture must not have changed before downing decides: 20 s. May stand here or as `downing.stable-after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_after: Option<Period>,
    /// A node that was not let in for so long by the one that it asks looks for another. Until then it asks again and again, at ever longer distances.
    #[serde(with = "span")]
    pub retry_unsuccessful_join_after: Duration,
    /// How long a first contact point waits for the others before it forms a cluster.
    #[serde(with = "span")]
    pub seed_node_timeout: Duration,
    /// A node whose join has not succeeded after so long stops.
    pub shutdown_after_unsuccessful_join_seed_nodes: Optional,
    /// How a first cluster comes to be.
    pub bootstrap: BootstrapSettings,
    /// How pictures are exchanged.
    pub gossip: GossipSettings,
    /// When a member of the own data centre counts as unreachable.
    pub failure_detector: FailureDetectorSettings,
    /// How data centres watch each other.
    pub multi_data_center: MultiDataCenterSettings,
    /// Who survives a partition.
    pub downing: DowningSettings,
    /// What members and those who join must agree on.
    pub configuration_compatibility_check: CompatibilitySettings,
    /// How incarnations that were shut out are remembered.
    pub quarantine: QuarantineSettings,
    /// The values that members share.
    pub shared_state: SharedStateSettings,
    /// Changes that may wait for a subscriber; one who falls further behind is told so, and later gets in one go what is different by then.
    #[serde(deserialize_with = "number::whole")]
    pub subscriber_events: u32,
}

/// What holds for members of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table of the settings of a role"
)]
pub struct RoleSettings {
    /// The leader lets nobody up before so many members of the role have joined.
    #[serde(deserialize_with = "number::whole")]
    pub min_members: u32,
}

/// How a first cluster comes to be.
///
/// A node that once belonged to a cluster forms it anew only when every contact point says that it belongs to none, and so do more than half of the
/// members that the node knew last: the whole cluster was stopped. It asks these members, too, so contact points that restart find a cluster
/// whose other members live on. A node that was alone in its cluster, and is its own only contact point, forms it again at once.
///
/// What a node knew last may be old, and then two clusters of one id can come to be. Members tell contact points that are missing among them of their
/// cluster; where the two meet, the one with fewer members ends, and its nodes, started again, join the other. If most of the members are lost
/// for good, a node forms the cluster again when it is told to join itself; its log names those that it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of bootstrap settings"
)]
pub struct BootstrapSettings {
    /// Who may form a cluster when no contact point belongs to one.
    pub mode: BootstrapMode,
    /// So many contact points, this node among them, must answer before a cluster is formed.
    #[serde(deserialize_with = "number::whole")]
    pub required_contact_points: u32,
    /// With [`BootstrapMode::StableObservation`]: how long the set of contact points must not have changed.
    #[serde(with = "span")]
    pub stable_margin: Duration,
    /// Whether this node may form a cluster at all.
    pub new_cluster_enabled: bool,
}

/// Who may form a cluster when no contact point belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapMode {
    /// The first of the listed contact points: as soon as all others say that they belong to none, or after `seed-node-timeout`.
    SeedNodes,
    /// The contact point with the lowest address, once the set has been the same for `stable-margin`.
    StableObservation,
}

/// How pictures are exchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of gossip settings"
)]
pub struct GossipSettings {
    /// How often a node gossips; three times as often while something is under way.
    #[serde(with = "span")]
    pub interval: Duration,
    /// Gossip that waited longer than this is dropped.
    #[serde(with = "span")]
    pub time_to_live: Duration,
    /// How likely a member that has not seen the current picture is preferred.
    #[serde(deserialize_with = "number::real")]
    pub different_view_probability: f64,
    /// From so many members on, that likelihood falls.
    #[serde(deserialize_with = "number::whole")]
    pub reduce_different_view_probability: u32,
    /// How long a removed incarnation is remembered as such.
    #[serde(with = "span")]
    pub prune_tombstones_after: Duration,
}

/// When a member of the own data centre counts as unreachable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of failure detector settings"
)]
pub struct FailureDetectorSettings {
    /// How often a heartbeat is sent.
    #[serde(with = "span")]
    pub heartbeat_interval: Duration,
    /// The suspicion at which a member is unreachable: 8 means a mistake in 10⁸ heartbeats.
    #[serde(deserialize_with = "number::real")]
    pub threshold: f64,
    /// Intervals that are remembered.
    #[serde(deserialize_with = "number::whole")]
    pub max_sample_size: u32,
    /// The least deviation that is reckoned with.
    #[serde(with = "span")]
    pub min_std_deviation: Duration,
    /// A silence that is no reason for suspicion.
    #[serde(with = "span")]
    pub acceptable_heartbeat_pause: Duration,
    /// How many members watch each member.
    #[serde(deserialize_with = "number::whole")]
    pub monitored_by_nr_of_members: u32,
    /// A member that never answered is suspected after so long.
    #[serde(with = "span")]
    pub expected_response_after: Duration,
}

/// How data centres watch each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of settings between data centres"
)]
pub struct MultiDataCenterSettings {
    /// So many of the oldest members of a data centre speak with the others.
    #[serde(deserialize_with = "number::whole")]
    pub cross_data_center_connections: u32,
    /// How likely a round of gossip goes to another data centre.
    #[serde(deserialize_with = "number::real")]
    pub cross_data_center_gossip_probability: f64,
    /// When a member of another data centre counts as unreachable.
    pub failure_detector: CrossFailureDetectorSettings,
}

/// When a member of another data centre counts as unreachable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of failure detector settings"
)]
pub struct CrossFailureDetectorSettings {
    /// How often a heartbeat is sent.
    #[serde(with = "span")]
    pub heartbeat_interval: Duration,
    /// How much longer than the interval a member may be silent.
    #[serde(with = "span")]
    pub acceptable_heartbeat_pause: Duration,
    /// A member that never answered is suspected after so long.
    #[serde(with = "span")]
    pub expected_response_after: Duration,
}

/// Who survives a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of downing settings"
)]
pub struct DowningSettings {
    /// The rule.
    pub strategy: StrategyName,
    /// How long the picture must not have changed before downing decides: 20 s. May stand here or above the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_after: Option<Period>,
    /// Only members of this role count; all of them where it is empty.
    pub role: Arc<str>,
    /// With `static-quorum`, which needs it: how many members a surviving side has.
    #[serde(deserialize_with = "number::whole_or_none")]
    pub quorum_size: Option<u32>,
    /// With `keep-oldest`: whether an oldest member that is alone is downed.
    pub down_if_alone: bool,
    /// With `lease-majority`: how long the smaller side waits before it asks for the lease.
    #[serde(with = "span")]
    pub minority_delay: Duration,
    /// With `lease-majority`: how long the lease is held after the last decision.
    #[serde(with = "span")]
    pub release_after: Duration,
    /// When reachability keeps changing for longer than `stable-after` and this, every node downs all; also when members do not confirm for so long
    /// what was at rest.
    pub down_all_when_unstable: DownAllWhenUnstable,
}

/// The rule by which a partition is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyName {
    /// The side with a fixed number of members.
    StaticQuorum,
    /// The larger side.
    KeepMajority,
    /// The side of the oldest member.
    KeepOldest,
    /// No side.
    DownAll,
    /// The side that gets a lease.
    LeaseMajority,
    /// Nobody decides: unreachable members stay until an operator downs them.
    Off,
}

/// When a cluster that finds no rest gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownAllWhenUnstable {
    /// After `stable-after` and three quarters of it, at least 4 s.
    On,
    /// Never.
    Off,
    /// After `stable-after` and this.
    After(Duration),
}

/// What members and those who join must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of settings of the configuration check"
)]
pub struct CompatibilitySettings {
    /// Whether a node that does not agree stays out; else it only warns.
    pub enforce_on_join: bool,
    /// Further values that all members must have in common, by name.
    pub required: BTreeMap<String, String>,
    /// Names that are compared nowhere and never leave this node; a name stands for all that begin with it and a dot.
    pub sensitive: Vec<String>,
}

/// How incarnations that were shut out are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of quarantine settings"
)]
pub struct QuarantineSettings {
    /// An incarnation is shut out so long after it was removed.
    #[serde(with = "span")]
    pub removed_node_after: Duration,
    /// How long it stays shut out.
    #[serde(with = "span")]
    pub time_to_live: Duration,
}

/// The values that members share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table of shared state settings"
)]
pub struct SharedStateSettings {
    /// How often digests are exchanged.
    #[serde(with = "span")]
    pub interval: Duration,
    /// Bytes of one value.
    #[serde(deserialize_with = "number::whole")]
    pub value_bytes: u32,
    /// Bytes of all values of one node, keys included.
    #[serde(deserialize_with = "number::whole")]
    pub node_bytes: u32,
    /// Keys, and entries of maps, of one node.
    #[serde(deserialize_with = "number::whole")]
    pub node_entries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "granary".into(),
            min_members: 1,
            role: BTreeMap::new(),
            allow_weakly_up_members: Optional(Some(Duration::from_secs(7))),
            leader_actions_interval: Duration::from_secs(1),
            unreachable_nodes_reaper_interval: Duration::from_secs(1),
            stable_after: None,
            retry_unsuccessful_join_after: Duration::from_secs(10),
            seed_node_timeout: Duration::from_secs(5),
            shutdown_after_unsuccessful_join_seed_nodes: Optional(None),
            bootstrap: BootstrapSettings::default(),
            gossip: GossipSettings::default(),
            failure_detector: FailureDetectorSettings::default(),
            multi_data_center: MultiDataCenterSettings::default(),
            downing: DowningSettings::default(),
            configuration_compatibility_check: CompatibilitySettings::default(),
            quarantine: QuarantineSettings::default(),
            shared_state: SharedStateSettings::default(),
            subscriber_events: 1024,
        }
    }
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        Self {
            mode: BootstrapMode::SeedNodes,
            required_contact_points: 1,
            stable_margin: Duration::from_secs(5),
            new_cluster_enabled: true,
        }
    }
}

impl Default for GossipSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            time_to_live: Duration::from_secs(2),
            different_view_probability: 0.8,
            reduce_different_view_probability: 400,
            prune_tombstones_after: Duration::from_secs(24 * 3600),
        }
    }
}

impl Default for FailureDetectorSettings {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(1),
            threshold: 8.0,
            max_sample_size: 1000,
            min_std_deviation: Duration::from_millis(100),
            acceptable_heartbeat_pause: Duration::from_secs(3),
            monitored_by_nr_of_members: 9,
            expected_response_after: Duration::from_secs(1),
        }
    }
}

impl Default for MultiDataCenterSettings {
    fn default() -> Self {
        Self {
            cross_data_center_connections: 5,
            cross_data_center_gossip_probability: 0.2,
            failure_detector: CrossFailureDetectorSettings::default(),
        }
    }
}

impl Default for CrossFailureDetectorSettings {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(3),
            acceptable_heartbeat_pause: Duration::from_secs(10),
            expected_response_after: Duration::from_secs(1),
        }
    }
}

impl Default for DowningSettings {
    fn default() -> Self {
        Self {
            strategy: StrategyName::KeepMajority,
            stable_after: None,
            role: "".into(),
            quorum_size: None,
            down_if_alone: true,
            minority_delay: Duration::from_secs(2),
            release_after: Duration::from_secs(40),
            down_all_when_unstable: DownAllWhenUnstable::On,
        }
    }
}

impl Default for CompatibilitySettings {
    fn default() -> Self {
        Self {
            enforce_on_join: true,
            required: BTreeMap::new(),
            sensitive: Vec::new(),
        }
    }
}

impl Default for QuarantineSettings {
    fn default() -> Self {
        Self {
            removed_node_after: Duration::from_secs(5),
            time_to_live: Duration::from_secs(24 * 3600),
        }
    }
}

impl Default for SharedStateSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            value_bytes: 64 << 10,
            node_bytes: 1 << 20,
            node_entries: 1024,
        }
    }
}

impl Settings {
    /// How long the picture must not have changed before downing decides, and how long who takes over from a removed member waits.
    pub fn stable_after(&self) -> Duration {
        let written = self.stable_after.or(self.downing.stable_after);
        written.map_or(STABLE_AFTER, |period| period.0)
    }

    /// How much longer than `stable-after` reachability may keep changing before every node downs all; `None` for ever.
    pub fn down_all_when_unstable(&self) -> Option<Duration> {
        match self.downing.down_all_when_unstable {
            DownAllWhenUnstable::On => {
                Some((self.stable_after() * 3 / 4).max(Duration::from_secs(4)))
            }
            DownAllWhenUnstable::Off => None,
            DownAllWhenUnstable::After(beyond) => Some(beyond),
        }
    }
}

impl Serialize for DownAllWhenUnstable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On => serializer.serialize_str("on"),
            Self::Off => serializer.serialize_str("off"),
            Self::After(beyond) => serializer.collect_str(&span::Shown(*beyond)),
        }
    }
}

impl<'de> Deserialize<'de> for DownAllWhenUnstable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            period => span::parse(period).map(Self::After).map_err(|reason| {
                serde::de::Error::custom(alloc::format!("{reason}; or \"on\" or \"off\""))
            }),
        }
    }
}
