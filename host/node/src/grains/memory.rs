//! The committed state of one grain, as far as it is in memory: what reads of the guest are answered from.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use parking_lot::Mutex;

/// A state that was loaded whole stays whole up to this size, in bytes of keys and values.
const WHOLE_BYTES_MAX: usize = 256 << 10;

/// Bytes of single values kept of a state that is not whole, in each of the two generations.
const GENERATION_BYTES_MAX: usize = 64 << 10;

/// Invariant: it never holds anything that is not committed, and what it holds is the newest committed value.
#[derive(Debug)]
pub(crate) struct StateMemory(Mutex<Versioned>);

#[derive(Debug)]
struct Versioned {
    kept: Kept,
    /// The state's: how many commits have changed it.
    version: u64,
}

#[derive(Debug)]
enum Kept {
    Whole {
        entries: BTreeMap<String, Vec<u8>>,
        bytes: usize,
    },
    Some(Generations),
}

/// The values used last. When the young generation is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<String, Option<Vec<u8>>>,
    young_bytes: usize,
    old: HashMap<String, Option<Vec<u8>>>,
}

impl StateMemory {
    /// From what the store loaded; `None` if the state is too large to come along.
    pub(crate) fn new(entries: Option<BTreeMap<String, Vec<u8>>>, version: u64) -> Self {
        let kept = match entries {
            Some(entries) => {
                let bytes = entries
                    .iter()
                    .map(|(key, value)| key.len() + value.len())
                    .sum();
                Kept::Whole { entries, bytes }
            }
            None => Kept::Some(Generations::default()),
        };
        Self(Mutex::new(Versioned { kept, version }))
    }

    /// The state's version.
    pub(crate) fn version(&self) -> u64 {
        self.0.lock().version
    }

    /// A value, if that can be told: `Some(None)` says that there is none.
    pub(crate) fn get(&self, key: &str) -> Option<Option<Vec<u8>>> {
        match &mut self.0.lock().kept {
            Kept::Whole { entries, .. } => Some(entries.get(key).cloned()),
            Kept::Some(generations) => generations.get(key),
        }
    }

    /// Remembers what the store said of a key when it was asked at this version: a commit since then knows better.
    pub(crate) fn remember(&self, key: &str, value: Option<&Vec<u8>>, version: u64) {
        let mut state = self.0.lock();
        if state.version != version {
            return;
        }
        if let Kept::Some(generations) = &mut state.kept {
            generations.put(key.to_owned(), value.cloned());
        }
    }

    /// Entries after `after` whose keys start with `prefix`, and whether there are more; `None` if the store has to be asked.
    pub(crate) fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        entries_max: usize,
        bytes_max: usize,
    ) -> Option<Listed> {
        let state = self.0.lock();
        let Kept::Whole { entries, .. } = &state.kept else {
            return None;
        };
        let from = match after {
            Some(after) if prefix <= after => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let mut found = entries
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (key, value) in found.by_ref() {
            bytes += key.len() + value.len();
            if entries_max <= page.len() || (!page.is_empty() && bytes_max < bytes) {
                return Some((page, true));
            }
            page.push((key.clone(), value.clone()));
        }
        Some((page, false))
    }

    /// Takes over what a commit wrote, which made this version of the state.
    pub(crate) fn commit(&self, writes: BTreeMap<String, Option<Vec<u8>>>, version: u64) {
        let mut state = self.0.lock();
        let Versioned { kept, version: at } = &mut *state;
        *at = version;
        match kept {
            Kept::Whole { entries, bytes } => {
                for (key, value) in writes {
                    let key_bytes = key.len();
                    *bytes += value.as_ref().map_or(0, |value| key_bytes + value.len());
                    let before = match value {
                        Some(value) => entries.insert(key, value),
                        None => entries.remove(&key),
                    };
                    *bytes -= before.map_or(0, |before| key_bytes + before.len());
                }
                if WHOLE_BYTES_MAX < *bytes {
                    *kept = Kept::Some(Generations::default());
                }
            }
            Kept::Some(generations) => {
                for (key, value) in writes {
                    generations.put(key, value);
                }
            }
        }
    }
}

/// A page, and whether there are more behind it.
pub(crate) type Listed = (Vec<(String, Vec<u8>)>, bool);

impl Generations {
    fn get(&mut self, key: &str) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: String, value: Option<Vec<u8>>) {
        self.old.remove(&key);
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
        if GENERATION_BYTES_MAX < bytes {
            self.young.remove(&key);
            return;
        }
        if GENERATION_BYTES_MAX < self.young_bytes + bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
            self.old.remove(&key);
        }
        // A value that replaces another is counted twice: the generation only ends a little earlier.
        self.young_bytes += bytes;
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(of: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        of.iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_whole_state_answers_everything_and_pages_end_where_they_must() {
        let memory = StateMemory::new(
            Some(entries(&[
                ("a", "1"),
                ("b/1", "2"),
                ("b/2", "3"),
                ("b/3", "4"),
                ("c", "5"),
            ])),
            0,
        );
        assert_eq!(memory.get("a"), Some(Some(b"1".to_vec())));
        assert_eq!(memory.get("x"), Some(None));
        let keys = |page: Option<Listed>| {
            page.map(|(page, more)| (page.into_iter().map(|e| e.0).collect::<Vec<_>>(), more))
        };
        let two = || vec!["b/1".to_owned(), "b/2".to_owned()];
        assert_eq!(keys(memory.list("b/", None, 2, 100)), Some((two(), true)));
        assert_eq!(
            keys(memory.list("b/", Some("b/2"), 2, 100)),
            Some((vec!["b/3".to_owned()], false))
        );
        assert_eq!(keys(memory.list("b/", None, 9, 8)), Some((two(), true)));
        assert_eq!(
            keys(memory.list("b/", None, 9, 1)),
            Some((vec!["b/1".to_owned()], true)),
            "one entry always fits"
        );
        assert_eq!(
            keys(memory.list("b/", Some("a"), 9, 100)).map(|page| page.0.len()),
            Some(3)
        );
    }

    #[test]
    fn a_state_that_outgrows_memory_is_no_longer_whole_but_stays_right() {
        let memory = StateMemory::new(Some(entries(&[("a", "1")])), 0);
        memory.commit(
            BTreeMap::from([("big".to_owned(), Some(vec![0; WHOLE_BYTES_MAX]))]),
            1,
        );
        assert_eq!(memory.get("a"), None);
        assert_eq!(memory.list("", None, 1, 1), None);
        memory.remember("a", Some(&b"0".to_vec()), 0);
        assert_eq!(
            memory.get("a"),
            None,
            "the store was asked before the commit"
        );
        memory.remember("a", Some(&b"1".to_vec()), 1);
        assert_eq!(memory.get("a"), Some(Some(b"1".to_vec())));
    }

    proptest! {
        #[test]
        fn what_it_answers_is_always_the_newest_commit(
            whole in any::<bool>(),
            steps in prop::collection::vec((0u8..6, 0usize..40_000, any::<bool>()), 1..120),
        ) {
            let memory = StateMemory::new(whole.then(BTreeMap::new), 0);
            let mut truth: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            // What the store says, and when it was asked: told with the next step.
            let mut asked: Option<(String, Option<Vec<u8>>, u64)> = None;
            for (version, (key, size, write)) in (1..).zip(steps) {
                let key = key.to_string();
                if write {
                    let value = (size % 7 != 0).then(|| vec![7; size]);
                    match &value {
                        Some(value) => drop(truth.insert(key.clone(), value.clone())),
                        None => drop(truth.remove(&key)),
                    }
                    memory.commit(BTreeMap::from([(key.clone(), value)]), version);
                } else {
                    let said = (key.clone(), truth.get(&key).cloned(), memory.version());
                    if let Some((key, value, version)) = asked.replace(said) {
                        memory.remember(&key, value.as_ref(), version);
                    }
                }
                for (key, value) in (0..6).map(|key| (key.to_string(), truth.get(&key.to_string()))) {
                    if let Some(answered) = memory.get(&key) {
                        prop_assert_eq!(answered.as_ref(), value);
                    }
                }
            }
        }
    }
}
