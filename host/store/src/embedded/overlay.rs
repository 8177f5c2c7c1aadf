//! The table as readers see it: what is durable in the journal lies over what is in sled.

use std::ops::ControlFlow;

use parking_lot::RwLock;

use super::table::SledTable;
use crate::door::StoreError;
use crate::keys;
use crate::table::{Changes, Table, Visit};

/// Changes over a table. An entry leaves the changes only when the table has it: so they are looked at first, and what is missing in both was
/// in neither.
pub(crate) struct Overlay<'a> {
    pub(crate) pending: &'a RwLock<Changes>,
    pub(crate) table: &'a SledTable,
}

impl Table for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(changed) = self.pending.read().get(key) {
            return Ok(changed.clone());
        }
        self.table.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = keys::range(prefix);
        let start = range.start.max(from.to_vec());
        if range.end <= start {
            return Ok(());
        }
        // Taken out at once: a long look must not keep the writer waiting.
        let changed: Vec<_> = self
            .pending
            .read()
            .range(start..range.end)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut changed = changed.into_iter().peekable();
        let mut stopped = false;
        self.table.scan(prefix, from, &mut |key, value| {
            while let Some((new, value)) = changed.next_if(|(new, _)| new.as_slice() < key) {
                if let Some(value) = value
                    && visit(&new, &value)?.is_break()
                {
                    stopped = true;
                    return Ok(ControlFlow::Break(()));
                }
            }
            let flow = match changed.next_if(|(new, _)| new == key) {
                Some((_, Some(value))) => visit(key, &value)?,
                Some((_, None)) => ControlFlow::Continue(()),
                None => visit(key, value)?,
            };
            stopped = flow.is_break();
            Ok(flow)
        })?;
        for (key, value) in changed {
            if stopped {
                break;
            }
            if let Some(value) = value {
                stopped = visit(&key, &value)?.is_break();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::changes;

    type Entries = Vec<(&'static str, &'static str)>;

    fn scanned(table: &dyn Table, prefix: &str, from: &str, limit: usize) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(key), text(value)));
            Ok(if found.len() == limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        table
            .scan(prefix.as_bytes(), from.as_bytes(), visit)
            .unwrap();
        found
    }

    #[test]
    fn what_is_pending_hides_what_is_in_the_table() {
        let dir = tempfile::tempdir().unwrap();
        let table = SledTable::open(dir.path(), 16 << 20).unwrap();
        table
            .keep(&changes(&[
                ("a1", Some("old")),
                ("a3", Some("old")),
                ("a5", Some("old")),
                ("b1", Some("old")),
            ]))
            .unwrap();
        let pending = RwLock::new(changes(&[
            ("a0", Some("new")),
            ("a3", None),
            ("a4", Some("new")),
            ("a5", Some("new")),
            ("a9", Some("new")),
            ("b1", None),
        ]));
        let overlay = Overlay {
            pending: &pending,
            table: &table,
        };
        let cases: [(&str, &str, usize, Entries); 5] = [
            (
                "a",
                "a",
                9,
                vec![
                    ("a0", "new"),
                    ("a1", "old"),
                    ("a4", "new"),
                    ("a5", "new"),
                    ("a9", "new"),
                ],
            ),
            (
                "a",
                "a",
                3,
                vec![("a0", "new"), ("a1", "old"), ("a4", "new")],
            ),
            ("a", "a", 1, vec![("a0", "new")]),
            (
                "a",
                "a2",
                9,
                vec![("a4", "new"), ("a5", "new"), ("a9", "new")],
            ),
            ("b", "b", 9, vec![]),
        ];
        for (prefix, from, limit, expected) in cases {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(
                scanned(&overlay, prefix, from, limit),
                expected,
                "{prefix} {from} {limit}"
            );
        }
        let get = |key: &str| overlay.get(key.as_bytes()).unwrap();
        assert_eq!(get("a3"), None);
        assert_eq!(get("a5"), Some(b"new".to_vec()));
        assert_eq!(get("a1"), Some(b"old".to_vec()));
    }
}
