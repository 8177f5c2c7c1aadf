//! What the parts of membership take from the settings.

use alloc::sync::Arc;

use super::{Settings, StrategyName};
use crate::membership::address::UniqueAddress;
use crate::membership::downing::{Config, Policy, Strategy};
use crate::membership::member::Profile;
use crate::membership::targets::Targets;
use crate::membership::view::Gates;

impl Settings {
    pub(crate) fn gates(&self) -> Gates {
        let roles = self.role.iter();
        Gates {
            members: self.min_members,
            by_role: roles
                .map(|(role, settings)| (Arc::clone(role), settings.min_members))
                .collect(),
        }
    }

    pub(crate) fn targets(&self) -> Targets {
        let far = &self.multi_data_center;
        Targets {
            different_view_probability: self.gossip.different_view_probability,
            reduce_different_view_from: self.gossip.reduce_different_view_probability,
            cross_dc_probability: far.cross_data_center_gossip_probability,
            cross_dc_connections: far.cross_data_center_connections,
        }
    }

    pub(crate) fn downing_config(&self, this: &UniqueAddress, profile: &Profile) -> Config {
        let policy = self.strategy().map(|strategy| {
            let policy: Arc<dyn Policy> = Arc::new(strategy);
            policy
        });
        Config {
            this: this.clone(),
            dc: Arc::clone(&profile.dc),
            policy,
            stable_after: self.stable_after(),
            down_all_when_unstable: self.down_all_when_unstable(),
            watched: usize::try_from(self.failure_detector.monitored_by_nr_of_members)
                .unwrap_or(usize::MAX),
        }
    }

    /// The rule by which a partition is decided; none where nobody decides.
    pub fn strategy(&self) -> Option<Strategy> {
        let downing = &self.downing;
        let role = (!downing.role.is_empty()).then(|| Arc::clone(&downing.role));
        Some(match downing.strategy {
            StrategyName::StaticQuorum => Strategy::StaticQuorum {
                quorum_size: downing.quorum_size.unwrap_or(u32::MAX),
                role,
            },
            StrategyName::KeepMajority => Strategy::KeepMajority { role },
            StrategyName::KeepOldest => Strategy::KeepOldest {
                role,
                down_if_alone: downing.down_if_alone,
            },
            StrategyName::DownAll => Strategy::DownAll,
            StrategyName::LeaseMajority => Strategy::LeaseMajority {
                role,
                minority_delay: downing.minority_delay,
                release_after: downing.release_after,
            },
            StrategyName::Off => return None,
        })
    }
}
