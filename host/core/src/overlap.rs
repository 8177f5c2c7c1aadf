//! Which of the turns that run side by side may still commit.
//!
//! Each of them sees what is committed, and its own writes. One that has seen or written a key that another one has committed a change of
//! since has worked on something that is no longer true: its commit is refused, and the caller may repeat the call.
//!
//! In: what turns saw, and what was committed, each with the state's version. Out: a key that was changed in between.
//!
//! Invariant: a change is never overlooked. What is not remembered one by one, because there is too much of it, counts as changed.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// Keys that are remembered one by one.
const KEYS_MAX: usize = 10_000;

/// What one turn has seen of the state, each with the state's version at the first look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    keys: BTreeMap<String, u64>,
    prefixes: BTreeMap<String, u64>,
    /// The version from which on everything counts as seen.
    all: Option<u64>,
}

impl Seen {
    /// The turn looks at a key, or writes it.
    pub fn key(&mut self, key: &str, version: u64) {
        if self.keys.contains_key(key) || !self.has_room(version) {
            return;
        }
        self.keys.insert(key.into(), version);
    }

    /// The turn lists the keys of a prefix.
    pub fn prefix(&mut self, prefix: &str, version: u64) {
        if self.prefixes.contains_key(prefix) || !self.has_room(version) {
            return;
        }
        self.prefixes.insert(prefix.into(), version);
    }

    fn has_room(&mut self, version: u64) -> bool {
        let room = self.keys.len() + self.prefixes.len() < KEYS_MAX;
        if !room {
            self.all.get_or_insert(version);
        }
        room
    }
}

/// What turns have changed while others ran.
#[derive(Debug, Default)]
pub struct Changes {
    /// The version of the last commit that changed a key.
    keys: BTreeMap<String, u64>,
    /// Everything counts as changed by this version.
    floor: u64,
}

impl Changes {
    /// A commit made this version of the state.
    pub fn committed<'k>(&mut self, keys: impl Iterator<Item = &'k String>, version: u64) {
        for key in keys {
            self.keys.insert(key.clone(), version);
        }
        if KEYS_MAX < self.keys.len() {
            self.floor = version;
            self.keys.clear();
        }
    }

    /// Nobody runs: nothing that was changed can have been seen before.
    pub fn forget(&mut self) {
        self.keys.clear();
        self.floor = 0;
    }

    /// A key that was changed after the turn looked at it. `Some("")` if there were too many changes to tell which.
    pub fn since(&self, seen: &Seen) -> Option<&str> {
        let looked = seen.keys.values().chain(seen.prefixes.values());
        if looked.chain(&seen.all).any(|version| *version < self.floor) {
            return Some("");
        }
        let by_key = seen.keys.iter().find_map(|(key, version)| {
            let (key, changed) = self.keys.get_key_value(key)?;
            (version < changed).then_some(key)
        });
        let by_prefix = || {
            seen.prefixes.iter().find_map(|(prefix, version)| {
                let mut under = self
                    .keys
                    .range(prefix.clone()..)
                    .take_while(|(key, _)| key.starts_with(prefix.as_str()));
                under.find(|(_, changed)| version < *changed)
            })
        };
        let by_all = || {
            let since = seen.all?;
            self.keys.iter().find(|(_, changed)| since < **changed)
        };
        by_key
            .or_else(|| by_prefix().map(|(key, _)| key))
            .or_else(|| by_all().map(|(key, _)| key))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    fn changes(list: &[(&str, u64)]) -> Changes {
        let mut changes = Changes::default();
        for (key, version) in list {
            changes.committed([String::from(*key)].iter(), *version);
        }
        changes
    }

    fn seen(keys: &[(&str, u64)], prefixes: &[(&str, u64)]) -> Seen {
        let mut seen = Seen::default();
        keys.iter()
            .for_each(|(key, version)| seen.key(key, *version));
        prefixes
            .iter()
            .for_each(|(prefix, version)| seen.prefix(prefix, *version));
        seen
    }

    #[test]
    fn what_changed_after_the_first_look_is_told() {
        let changes = changes(&[("a", 5), ("b/1", 6)]);
        assert_eq!(changes.since(&seen(&[("a", 4)], &[])), Some("a"));
        assert_eq!(changes.since(&seen(&[("a", 5), ("c", 0)], &[])), None);
        assert_eq!(
            changes.since(&seen(&[("a", 4), ("a", 9)], &[])),
            Some("a"),
            "the first look counts"
        );
        assert_eq!(changes.since(&seen(&[], &[("b/", 5)])), Some("b/1"));
        assert_eq!(changes.since(&seen(&[], &[("b/", 6), ("c/", 0)])), None);
        assert_eq!(changes.since(&Seen::default()), None);
    }

    #[test]
    fn what_nobody_can_have_seen_is_forgotten() {
        let mut changes = changes(&[("a", 5)]);
        changes.forget();
        assert_eq!(changes.since(&seen(&[("a", 5)], &[])), None);
    }

    #[test]
    fn too_much_to_remember_counts_as_changed() {
        let mut many = Seen::default();
        (0..=KEYS_MAX).for_each(|at| many.key(&format!("k{at}"), 3));
        let change = changes(&[("other", 4)]);
        assert_eq!(change.since(&many), Some("other"));
        assert_eq!(changes(&[("other", 3)]).since(&many), None);
        let names: Vec<_> = (0..=KEYS_MAX).map(|at| format!("k{at}")).collect();
        let mut changes = Changes::default();
        changes.committed(names.iter(), 8);
        for (looked, told) in [(7, Some("")), (8, None)] {
            assert_eq!(changes.since(&seen(&[("x", looked)], &[])), told);
        }
    }
}
