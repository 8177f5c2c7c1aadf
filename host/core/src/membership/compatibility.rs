//! Whether a node's configuration fits the cluster's, seen from both sides of a join.
//!
//! The joiner sends what its configuration says of the settings that it requires to be equal; the member compares them with its own, and
//! answers with its own values, which the joiner compares again: either may require what the other does not know. What is sensitive is
//! compared nowhere and sent nowhere.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use super::settings::{CompatibilitySettings, Settings, StrategyName};

/// The setting that says who survives a partition: two rules in one cluster would save two sides, or none.
pub const DOWNING_STRATEGY: &str = "downing.strategy";

/// The version of the program. It is always told, for the log, and need not be equal: nodes are updated one by one.
pub const PRODUCT_VERSION: &str = "product-version";

/// What a node's configuration says of the settings that all members must have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinConfig {
    required: BTreeMap<String, String>,
    product_version: String,
    enforce: bool,
}

impl JoinConfig {
    /// Takes from the settings what members must agree on, but for what they call sensitive.
    pub fn new(settings: &Settings, product_version: &str) -> Self {
        let check = &settings.configuration_compatibility_check;
        let mut required = check.required.clone();
        let strategy = Written(settings.downing.strategy).to_string();
        required.insert(DOWNING_STRATEGY.into(), strategy);
        required.retain(|key, _| !is_sensitive(check, key));
        Self {
            required,
            product_version: product_version.into(),
            enforce: check.enforce_on_join,
        }
    }

    /// The same where another policy than the settings' decides who survives: its name is what members must have in common.
    #[must_use]
    pub fn with_policy(mut self, name: &str) -> Self {
        if let Some(strategy) = self.required.get_mut(DOWNING_STRATEGY) {
            *strategy = name.into();
        }
        self
    }

    /// What the other side is told.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let mut shown = self.required.clone();
        shown
            .entry(PRODUCT_VERSION.into())
            .or_insert_with(|| self.product_version.clone());
        shown
    }

    /// Everything in which the other side does not fit, by the names of the settings; nothing if it fits.
    pub fn problems(&self, theirs: &BTreeMap<String, String>) -> Vec<String> {
        let problem = |(key, ours): (&String, &String)| match theirs.get(key) {
            None => Some(format!("{key} is missing")),
            Some(value) if value != ours => Some(format!("{key} is incompatible")),
            Some(_) => None,
        };
        self.required.iter().filter_map(problem).collect()
    }

    /// Whether a node that does not fit stays out.
    pub fn is_enforced(&self) -> bool {
        self.enforce
    }
}

fn is_sensitive(check: &CompatibilitySettings, key: &str) -> bool {
    check.sensitive.iter().any(|path| {
        key.strip_prefix(path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The strategy by the name that a configuration gives it.
struct Written(StrategyName);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(strategy: StrategyName, required: &[(&str, &str)], sensitive: &[&str]) -> JoinConfig {
        let mut settings = Settings::default();
        settings.downing.strategy = strategy;
        let check = &mut settings.configuration_compatibility_check;
        for (key, value) in required {
            check.required.insert((*key).into(), (*value).into());
        }
        check.sensitive = sensitive.iter().map(|path| (*path).into()).collect();
        JoinConfig::new(&settings, "1.2.3")
    }

    fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
        values.iter().map(owned).collect()
    }

    #[test]
    fn equal_configurations_fit() {
        let one = config(StrategyName::KeepMajority, &[("region", "eu")], &[]);
        assert_eq!(one.problems(&one.shown()), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_named() {
        let ours = [("a", "1"), ("b", "2"), ("c", "3")];
        let one = config(StrategyName::KeepMajority, &ours, &[]);
        let other = config(StrategyName::KeepOldest, &[("a", "1"), ("b", "9")], &[]);
        assert_eq!(
            one.problems(&other.shown()),
            [
                "b is incompatible",
                "c is missing",
                "downing.strategy is incompatible"
            ]
        );
        // The other way round only what the other one requires is looked at.
        assert_eq!(
            other.problems(&one.shown()),
            ["b is incompatible", "downing.strategy is incompatible"]
        );
    }

    #[test]
    fn what_is_sensitive_is_neither_sent_nor_compared() {
        let ours = [("tls", "x"), ("tls.key", "secret"), ("tlsx", "open")];
        let one = config(StrategyName::Off, &ours, &["tls"]);
        let shown = map(&[
            ("downing.strategy", "off"),
            ("product-version", "1.2.3"),
            ("tlsx", "open"),
        ]);
        assert_eq!(one.shown(), shown);
        assert_eq!(one.problems(&shown), Vec::<String>::new());
    }

    #[test]
    fn another_product_version_fits() {
        let one = config(StrategyName::Off, &[], &[]);
        let theirs = map(&[("downing.strategy", "off"), ("product-version", "2.0.0")]);
        assert_eq!(one.problems(&theirs), Vec::<String>::new());
        assert_eq!(one.problems(&map(&[])), ["downing.strategy is missing"]);
    }

    #[test]
    fn the_strategy_goes_by_the_name_that_is_written() {
        let one = config(StrategyName::LeaseMajority, &[], &[]);
        assert_eq!(one.shown()[DOWNING_STRATEGY], "lease-majority");
    }
}
