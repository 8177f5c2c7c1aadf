//! What settings cannot be, and cannot be together.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{DownAllWhenUnstable, DowningSettings, Problem, Settings, SettingsError, StrategyName};
use crate::membership::compatibility::{DOWNING_STRATEGY, PRODUCT_VERSION};
use crate::membership::detector::PhiSettings;
use crate::membership::member::Profile;
use crate::membership::shared::{NODE_BYTES_MAX, NODE_ENTRIES_MAX, VALUE_BYTES_MAX};

/// The longest period that any setting may have: beyond it, sums of periods could overflow the clock.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The shortest period after which something is done again: below it, a node would do little else.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 64;
/// The most values that members may be required to have in common, and the most bytes of one: with all of them a question to join stays far below
/// what the wire carries.
pub(crate) const REQUIRED_MAX: usize = 256;
pub(crate) const REQUIRED_BYTES_MAX: usize = 1024;

/// Gathers what is wrong.
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, setting: &str, reason: impl Into<String>) {
        self.0.push(Problem {
            setting: setting.into(),
            reason: reason.into(),
        });
    }

    fn into_result(self) -> Result<(), SettingsError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SettingsError { problems: self.0 })
        }
    }

    fn period(&mut self, setting: &str, period: Duration) {
        if period.is_zero() {
            self.add(setting, "must be longer than nothing");
        }
        if PERIOD_MAX < period {
            self.add(setting, "must not be longer than a year");
        }
    }

    /// Of something that is done again and again.
    fn interval(&mut self, setting: &str, interval: Duration) {
        if interval < INTERVAL_MIN {
            self.add(setting, "must be at least 10ms");
        }
        if PERIOD_MAX < interval {
            self.add(setting, "must not be longer than a year");
        }
    }

    fn at_most(&mut self, setting: &str, number: u32, most: usize) {
        if usize::try_from(number).is_ok_and(|number| most < number) {
            self.add(setting, format!("must be at most {most}, not {number}"));
        }
    }

    fn role(&mut self, setting: &str, role: &str) {
        if let Err(problem) = Profile::check_role(role) {
            self.add(setting, format!("no member has it: {problem}"));
        }
    }

    fn at_least_one(&mut self, setting: &str, number: u32) {
        if number == 0 {
            self.add(setting, "must be at least 1");
        }
    }

    fn probability(&mut self, setting: &str, value: f64) {
        if !(0.0..=1.0).contains(&value) {
            self.add(
                setting,
                format!("is a probability from 0 to 1, not {value}"),
            );
        }
    }

    fn name(&mut self, setting: &str, name: &str) {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || NAME_BYTES_MAX < name.len() || !name.bytes().all(fits) {
            self.add(
                setting,
                format!(
                    "'{}' is no name: 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.'",
                    begin(name)
                ),
            );
        }
    }
}

impl Settings {
    /// Everything that is wrong with these settings on a node of this profile. Errors: all of it.
    pub fn check(&self, profile: &Profile) -> Result<(), SettingsError> {
        let mut problems = Problems(Vec::new());
        problems.name("name", &self.name);
        self.check_members(&mut problems);
        self.check_join(&mut problems);
        self.check_gossip(&mut problems);
        self.check_detectors(&mut problems);
        self.check_downing(&mut problems);
        self.check_rest(&mut problems);
        if let Err(problem) = profile.check() {
            problems.add("profile", format!("{problem}"));
        }
        problems.into_result()
    }

    fn check_members(&self, problems: &mut Problems) {
        problems.at_least_one("min-members", self.min_members);
        for (role, of_role) in &self.role {
            let setting = format!("role.{role}.min-members");
            problems.role(&format!("role.{role}"), role);
            problems.at_least_one(&setting, of_role.min_members);
            if self.min_members < of_role.min_members && 1 < self.min_members {
                problems.add(
                    &setting,
                    format!(
                        "is {}, more than min-members, which is {}",
                        of_role.min_members, self.min_members
                    ),
                );
            }
        }
        if let Some(period) = self.allow_weakly_up_members.0 {
            problems.period("allow-weakly-up-members", period);
        }
        problems.interval("leader-actions-interval", self.leader_actions_interval);
        problems.interval(
            "unreachable-nodes-reaper-interval",
            self.unreachable_nodes_reaper_interval,
        );
    }

    fn check_join(&self, problems: &mut Problems) {
        problems.interval(
            "retry-unsuccessful-join-after",
            self.retry_unsuccessful_join_after,
        );
        problems.interval("seed-node-timeout", self.seed_node_timeout);
        if let Some(period) = self.shutdown_after_unsuccessful_join_seed_nodes.0 {
            problems.period("shutdown-after-unsuccessful-join-seed-nodes", period);
            if period <= self.seed_node_timeout {
                problems.add(
                    "shutdown-after-unsuccessful-join-seed-nodes",
                    "must be longer than seed-node-timeout, or no first node could ever form a cluster",
                );
            }
        }
        problems.at_least_one(
            "bootstrap.required-contact-points",
            self.bootstrap.required_contact_points,
        );
        problems.period("bootstrap.stable-margin", self.bootstrap.stable_margin);
    }

    fn check_gossip(&self, problems: &mut Problems) {
        let gossip = &self.gossip;
        problems.interval("gossip.interval", gossip.interval);
        problems.period("gossip.time-to-live", gossip.time_to_live);
        problems.period(
            "gossip.prune-tombstones-after",
            gossip.prune_tombstones_after,
        );
        problems.probability(
            "gossip.different-view-probability",
            gossip.different_view_probability,
        );
        problems.at_least_one(
            "gossip.reduce-different-view-probability",
            gossip.reduce_different_view_probability,
        );
        if gossip.prune_tombstones_after <= gossip.time_to_live.saturating_mul(2) {
            problems.add(
                "gossip.prune-tombstones-after",
                "must be longer than twice gossip.time-to-live, or late gossip could bring a removed member back",
            );
        }
    }

    fn check_detectors(&self, problems: &mut Problems) {
        let near = &self.failure_detector;
        problems.interval(
            "failure-detector.heartbeat-interval",
            near.heartbeat_interval,
        );
        problems.period("failure-detector.min-std-deviation", near.min_std_deviation);
        problems.period(
            "failure-detector.expected-response-after",
            near.expected_response_after,
        );
        let (samples, most) = (near.max_sample_size, PhiSettings::SAMPLES_MAX as usize);
        problems.at_least_one("failure-detector.max-sample-size", samples);
        problems.at_most("failure-detector.max-sample-size", samples, most);
        problems.at_least_one(
            "failure-detector.monitored-by-nr-of-members",
            near.monitored_by_nr_of_members,
        );
        if !(near.threshold.is_finite() && 0.0 < near.threshold) {
            problems.add(
                "failure-detector.threshold",
                format!("must be a number above 0, not {}", near.threshold),
            );
        }
        if PERIOD_MAX < near.acceptable_heartbeat_pause {
            problems.add(
                "failure-detector.acceptable-heartbeat-pause",
                "must not be longer than a year",
            );
        }
        let far = &self.multi_data_center;
        problems.at_least_one(
            "multi-data-center.cross-data-center-connections",
            far.cross_data_center_connections,
        );
        problems.probability(
            "multi-data-center.cross-data-center-gossip-probability",
            far.cross_data_center_gossip_probability,
        );
        let far = &far.failure_detector;
        problems.interval(
            "multi-data-center.failure-detector.heartbeat-interval",
            far.heartbeat_interval,
        );
        for (name, period) in [
            ("acceptable-heartbeat-pause", far.acceptable_heartbeat_pause),
            ("expected-response-after", far.expected_response_after),
        ] {
            problems.period(
                &format!("multi-data-center.failure-detector.{name}"),
                period,
            );
        }
    }

    fn check_downing(&self, problems: &mut Problems) {
        let downing = &self.downing;
        problems.period("stable-after", self.stable_after());
        if self.stable_after.is_some() && downing.stable_after.is_some() {
            problems.add(
                "downing.stable-after",
                "is written twice: here and as stable-after",
            );
        }
        match (downing.strategy, downing.quorum_size) {
            (StrategyName::StaticQuorum, None) => problems.add(
                "downing.quorum-size",
                "must be set with downing.strategy = \"static-quorum\": more than half of the members there will be",
            ),
            (StrategyName::StaticQuorum, Some(size)) => {
                problems.at_least_one("downing.quorum-size", size);
            }
            (_, Some(_)) => problems.add(
                "downing.quorum-size",
                "means something with downing.strategy = \"static-quorum\" alone",
            ),
            (_, None) => {}
        }
        let default = DowningSettings::default();
        let lease = downing.strategy == StrategyName::LeaseMajority;
        let oldest = downing.strategy == StrategyName::KeepOldest;
        for (setting, foreign, strategy) in [
            (
                "downing.minority-delay",
                !lease && downing.minority_delay != default.minority_delay,
                "lease-majority",
            ),
            (
                "downing.release-after",
                !lease && downing.release_after != default.release_after,
                "lease-majority",
            ),
            (
                "downing.down-if-alone",
                !oldest && downing.down_if_alone != default.down_if_alone,
                "keep-oldest",
            ),
        ] {
            if foreign {
                problems.add(
                    setting,
                    format!("means something with downing.strategy = \"{strategy}\" alone"),
                );
            }
        }
        self.check_downing_role(problems);
        problems.period("downing.release-after", downing.release_after);
        if PERIOD_MAX < downing.minority_delay {
            problems.add("downing.minority-delay", "must not be longer than a year");
        }
        if let DownAllWhenUnstable::After(beyond) = downing.down_all_when_unstable {
            problems.period("downing.down-all-when-unstable", beyond);
            if beyond < self.stable_after() / 2 {
                problems.add(
                    "downing.down-all-when-unstable",
                    "must be at least half of stable-after, or a partition that is still settling would down all",
                );
            }
        }
    }

    fn check_downing_role(&self, problems: &mut Problems) {
        let downing = &self.downing;
        let counts_nobody = matches!(downing.strategy, StrategyName::DownAll | StrategyName::Off);
        if counts_nobody && !downing.role.is_empty() {
            problems.add(
                "downing.role",
                "no member counts with this downing.strategy",
            );
        } else if !downing.role.is_empty() {
            problems.role("downing.role", &downing.role);
        }
    }

    fn check_rest(&self, problems: &mut Problems) {
        self.check_required(problems);
        problems.period(
            "quarantine.removed-node-after",
            self.quarantine.removed_node_after,
        );
        problems.period("quarantine.time-to-live", self.quarantine.time_to_live);
        if self.quarantine.time_to_live < self.gossip.prune_tombstones_after {
            problems.add(
                "quarantine.time-to-live",
                "must not be shorter than gossip.prune-tombstones-after, or a removed incarnation could come back",
            );
        }
        let shared = &self.shared_state;
        problems.interval("shared-state.interval", shared.interval);
        for (setting, number, most) in [
            (
                "shared-state.value-bytes",
                shared.value_bytes,
                VALUE_BYTES_MAX,
            ),
            (
                "shared-state.node-entries",
                shared.node_entries,
                NODE_ENTRIES_MAX,
            ),
        ] {
            problems.at_least_one(setting, number);
            problems.at_most(setting, number, most);
        }
        problems.at_most("shared-state.node-bytes", shared.node_bytes, NODE_BYTES_MAX);
        if shared.node_bytes < shared.value_bytes {
            problems.add(
                "shared-state.node-bytes",
                "must not be less than shared-state.value-bytes",
            );
        }
        problems.at_least_one("subscriber-events", self.subscriber_events);
    }

    fn check_required(&self, problems: &mut Problems) {
        const SETTING: &str = "configuration-compatibility-check.required";
        let required = &self.configuration_compatibility_check.required;
        if REQUIRED_MAX < required.len() {
            let actual = required.len();
            problems.add(
                SETTING,
                format!("has at most {REQUIRED_MAX} values, not {actual}"),
            );
            return;
        }
        for (name, value) in required {
            problems.name(SETTING, name);
            if name == DOWNING_STRATEGY || name == PRODUCT_VERSION {
                problems.add(
                    SETTING,
                    format!("'{name}' is always told as it is, and cannot be written"),
                );
            }
            if REQUIRED_BYTES_MAX < value.len() {
                let actual = value.len();
                problems.add(
                    SETTING,
                    format!(
                        "the value of '{}' has at most {REQUIRED_BYTES_MAX} bytes, not {actual}",
                        begin(name)
                    ),
                );
            }
        }
    }
}

/// The beginning of a name that may be longer than one should be.
fn begin(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX).collect()
}
