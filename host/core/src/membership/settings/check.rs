//! What settings cannot be, and cannot be together.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{DownAllWhenUnstable, DowningSettings, Problem, Settings, SettingsError, StrategyName};
use crate::membership::member::Profile;

/// The longest period that any setting may have: beyond it, sums of periods could overflow the clock.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 64;

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
                    "'{name}' is no name: 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.'"
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
        problems.period("leader-actions-interval", self.leader_actions_interval);
        problems.period(
            "unreachable-nodes-reaper-interval",
            self.unreachable_nodes_reaper_interval,
        );
    }

    fn check_join(&self, problems: &mut Problems) {
        problems.period(
            "retry-unsuccessful-join-after",
            self.retry_unsuccessful_join_after,
        );
        problems.period("seed-node-timeout", self.seed_node_timeout);
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
        problems.period("gossip.interval", gossip.interval);
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
        problems.period(
            "failure-detector.heartbeat-interval",
            near.heartbeat_interval,
        );
        problems.period("failure-detector.min-std-deviation", near.min_std_deviation);
        problems.period(
            "failure-detector.expected-response-after",
            near.expected_response_after,
        );
        problems.at_least_one("failure-detector.max-sample-size", near.max_sample_size);
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
        for (name, period) in [
            ("heartbeat-interval", far.heartbeat_interval),
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
        let counts_nobody = matches!(downing.strategy, StrategyName::DownAll | StrategyName::Off);
        if counts_nobody && !downing.role.is_empty() {
            problems.add(
                "downing.role",
                "no member counts with this downing.strategy",
            );
        }
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

    fn check_rest(&self, problems: &mut Problems) {
        for name in self.configuration_compatibility_check.required.keys() {
            problems.name("configuration-compatibility-check.required", name);
        }
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
        problems.period("shared-state.interval", shared.interval);
        problems.at_least_one("shared-state.value-bytes", shared.value_bytes);
        problems.at_least_one("shared-state.node-entries", shared.node_entries);
        if shared.node_bytes < shared.value_bytes {
            problems.add(
                "shared-state.node-bytes",
                "must not be less than shared-state.value-bytes",
            );
        }
        problems.at_least_one("subscriber-events", self.subscriber_events);
    }
}
