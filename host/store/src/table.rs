//! The one ordered table that an engine keeps, and a draft of changes over it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::door::StoreError;
use crate::keys;

/// Looks at one entry and says whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// Changes that are kept together: `None` removes.
pub(crate) type Changes = BTreeMap<Vec<u8>, Changed>;

/// What becomes of an entry.
type Changed = Option<Vec<u8>>;

/// Ordered entries. Everything that a store means by them is in `ledger`; an engine only keeps them.
pub(crate) trait Table {
    /// One entry.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the entries whose keys start with `prefix` and are at or behind `from`, in order.
    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

impl Table for BTreeMap<Vec<u8>, Vec<u8>> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Self::get(self, key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut range = keys::range(prefix);
        range.start = range.start.max(from.to_vec());
        if range.end <= range.start {
            return Ok(());
        }
        for (key, value) in self.range(range) {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Changes that are not in the table yet, and what reading sees with them.
pub(crate) struct Draft<'t> {
    table: &'t dyn Table,
    changes: Changes,
    /// What `changes` held before the running attempt touched it, in the order of the touches.
    undo: Vec<(Vec<u8>, Option<Changed>)>,
}

impl<'t> Draft<'t> {
    /// No changes yet.
    pub(crate) fn new(table: &'t dyn Table) -> Self {
        Self {
            table,
            changes: Changes::new(),
            undo: Vec::new(),
        }
    }

    /// All changes so far.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Runs `change`; when it fails, the draft is as it was before.
    pub(crate) fn attempt<R>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.undo.clear();
        let outcome = change(self);
        if outcome.is_err() {
            while let Some((key, before)) = self.undo.pop() {
                match before {
                    Some(before) => self.changes.insert(key, before),
                    None => self.changes.remove(&key),
                };
            }
        }
        outcome
    }

    /// Puts an entry.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.change(key, None);
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.changes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// The first `limit` keys that start with `prefix`.
    pub(crate) fn keys(&self, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let changed = || self.changes.range(keys::range(prefix));
        let mut found: Vec<Vec<u8>> = Vec::new();
        // Some of those in the table may be removed in the draft.
        let wanted = limit.saturating_add(changed().count());
        self.table.scan(prefix, prefix, &mut |key, _| {
            if found.len() == wanted {
                return Ok(ControlFlow::Break(()));
            }
            found.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        found.extend(changed().map(|(key, _)| key.clone()));
        found.sort_unstable();
        found.dedup();
        found.retain(|key| !matches!(self.changes.get(key), Some(None)));
        found.truncate(limit);
        Ok(found)
    }

    /// One entry, as it will be.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.table.get(key),
        }
    }
}

/// Changes as a test writes them.
#[cfg(test)]
pub(crate) fn changes(entries: &[(&str, Option<&str>)]) -> Changes {
    let bytes = |text: &str| text.as_bytes().to_vec();
    entries
        .iter()
        .map(|(key, value)| (bytes(key), value.map(bytes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_over_its_table() {
        let table: BTreeMap<Vec<u8>, Vec<u8>> = [b"a1", b"a2", b"a3", b"b1"]
            .iter()
            .map(|k| (k.to_vec(), k.to_vec()))
            .collect();
        let mut draft = Draft::new(&table);
        draft.remove(b"a1".to_vec());
        draft.put(b"a0".to_vec(), b"new".to_vec());
        assert_eq!(draft.get(b"a1").unwrap(), None);
        assert_eq!(draft.get(b"a2").unwrap(), Some(b"a2".to_vec()));
        assert_eq!(
            draft.keys(b"a", 2).unwrap(),
            [b"a0".to_vec(), b"a2".to_vec()]
        );
        assert_eq!(draft.keys(b"a", 9).unwrap().len(), 3);
    }

    #[test]
    fn a_failed_attempt_leaves_the_draft_as_it_was() {
        let table = BTreeMap::new();
        let mut draft = Draft::new(&table);
        draft.put(b"kept".to_vec(), b"1".to_vec());
        let failed: Result<(), StoreError> = draft.attempt(|draft| {
            draft.put(b"kept".to_vec(), b"2".to_vec());
            draft.put(b"kept".to_vec(), b"3".to_vec());
            draft.remove(b"other".to_vec());
            Err(StoreError::Closed)
        });
        assert!(failed.is_err());
        assert_eq!(
            draft.into_changes(),
            Changes::from([(b"kept".to_vec(), Some(b"1".to_vec()))])
        );
    }
}
