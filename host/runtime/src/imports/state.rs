//! `granary:grain/state` and `async-state`: the turn's own writes, laid over what is committed.

use std::collections::BTreeMap;
use std::ops::Bound;

use granary_core::kind::Mode;
use granary_core::limits::{STATE_PAGE_BYTES_MAX, STATE_PAGE_ENTRIES_MAX};
use granary_core::overlap::Seen;
use granary_core::turn::{Refused, Wishes};
use wasmtime::StoreContextMut;
use wasmtime::component::Accessor;

use super::{Linked, Reach, TurnKey, concurrent, current, turn, waiting};
use crate::bindings::granary::grain::state::{Entry, Page, StateError, StateErrorCode};
use crate::guest::Guest;
use crate::guest::turn::Turn;

pub(super) fn link(state: &mut Linked<'_>) -> wasmtime::Result<()> {
    waiting!(state, "get", get, (key: String))?;
    waiting!(state, "set", set, (key: String, value: Vec<u8>))?;
    waiting!(state, "delete", delete, (key: String))?;
    waiting!(state, "scan", scan, (prefix: String, cursor: Option<String>, limit: u32))?;
    state.func_wrap(
        "version",
        |mut store: StoreContextMut<'_, Guest>, (): ()| {
            let key = current(&mut store);
            Ok((key
                .and_then(|key| turn(store.data_mut(), key))
                .map_or(0, |turn| turn.context.head.version),))
        },
    )
}

/// The functions that let their caller go on.
pub(super) fn link_async(state: &mut Linked<'_>) -> wasmtime::Result<()> {
    concurrent!(state, "get", get, (key: String))?;
    concurrent!(state, "set", set, (key: String, value: Vec<u8>))?;
    concurrent!(state, "delete", delete, (key: String))?;
    concurrent!(state, "scan", scan, (prefix: String, cursor: Option<String>, limit: u32))
}

pub(super) async fn get(mut reach: impl Reach, key: String) -> Result<Option<Vec<u8>>, StateError> {
    let caller = reach.caller().map_err(unavailable)?;
    Wishes::check_key(&key).map_err(refuse)?;
    look(&mut reach, caller, |seen, version| seen.key(&key, version));
    let own = reach.turn(caller, |turn| {
        turn.wishes
            .written(&key)
            .map(|value| value.map(<[u8]>::to_vec))
    });
    match own.map_err(unavailable)? {
        Some(value) => Ok(value),
        None => committed(&mut reach, &key).await,
    }
}

pub(super) async fn set(reach: impl Reach, key: String, value: Vec<u8>) -> Result<(), StateError> {
    write(reach, key, Some(value)).await
}

pub(super) async fn delete(reach: impl Reach, key: String) -> Result<(), StateError> {
    write(reach, key, None).await
}

async fn write(
    mut reach: impl Reach,
    key: String,
    value: Option<Vec<u8>>,
) -> Result<(), StateError> {
    let caller = reach.caller().map_err(unavailable)?;
    reach.turn(caller, may_write).map_err(unavailable)??;
    Wishes::check_key(&key).map_err(refuse)?;
    look(&mut reach, caller, |seen, version| seen.key(&key, version));
    let lies_there = replaced(&mut reach, caller, &key).await?;
    let noted = reach.turn(caller, |turn| {
        // A stream of the turn's may have begun to leave while this waited.
        may_write(turn)?;
        // What the turn wrote while this waited, if anything, is what is replaced.
        let replaces = turn
            .wishes
            .written(&key)
            .map_or(lies_there, |own| own.map(|value| value.len() as u64));
        turn.gate.note_write();
        turn.wishes.write(&key, value, replaces).map_err(refuse)
    });
    noted.map_err(unavailable)?
}

/// Notes what a turn is about to look at, where another one may change that before it ends.
fn look(reach: &mut impl Reach, caller: TurnKey, what: impl FnOnce(&mut Seen, u64)) {
    reach.with(|store| {
        let guest = store.data_mut();
        // Most turns are alone, and need not ask.
        if turn(guest, caller).is_none_or(|turn| turn.context.mode != Mode::Interleave) {
            return;
        }
        let version = guest.seat.host.version();
        if let Some(turn) = turn(guest, caller) {
            what(turn.wishes.seen_mut(), version);
        }
    });
}

/// Refuses early, before anything is read for nothing.
fn may_write(turn: &mut Turn) -> Result<(), StateError> {
    if !turn.context.mode.writes() {
        return Err(refuse(Refused::ReadOnly));
    }
    if !turn.gate.open() {
        return Err(StateError {
            code: StateErrorCode::ReadOnly,
            text: "the HTTP response has left already: write before you set it".to_owned(),
        });
    }
    Ok(())
}

/// How large the value is that lies under a key now.
async fn replaced(
    reach: &mut impl Reach,
    caller: TurnKey,
    key: &str,
) -> Result<Option<u64>, StateError> {
    let own = reach.turn(caller, |turn| {
        turn.wishes
            .written(key)
            .map(|value| value.map(|value| value.len() as u64))
    });
    match own.map_err(unavailable)? {
        Some(bytes) => Ok(bytes),
        None => Ok(committed(reach, key).await?.map(|value| value.len() as u64)),
    }
}

async fn committed(reach: &mut impl Reach, key: &str) -> Result<Option<Vec<u8>>, StateError> {
    let host = reach.host();
    if let Some(value) = host.cached(key) {
        return Ok(value);
    }
    host.read(key).await.map_err(unavailable)
}

pub(super) async fn scan(
    mut reach: impl Reach,
    prefix: String,
    cursor: Option<String>,
    limit: u32,
) -> Result<Page, StateError> {
    let caller = reach.caller().map_err(unavailable)?;
    look(&mut reach, caller, |seen, version| {
        seen.prefix(&prefix, version);
    });
    let wanted = limit.clamp(1, STATE_PAGE_ENTRIES_MAX) as usize;
    let mut page = PageBuilder {
        entries: Vec::new(),
        bytes: 0,
        wanted,
    };
    let mut after = cursor;
    loop {
        let host = reach.host();
        let (items, more) = host
            .list(&prefix, after.as_deref(), wanted)
            .await
            .map_err(unavailable)?;
        let until = if more {
            items.last().map(|(key, _)| key.clone())
        } else {
            None
        };
        // A store that says "more" without giving anything would never end.
        let more = until.is_some();
        let merged = reach.turn(caller, |turn| {
            overlay(
                turn.wishes.writes(),
                items,
                &prefix,
                after.as_deref(),
                until.as_deref(),
            )
        });
        let merged = merged.map_err(unavailable)?;
        let rest = page.take(merged);
        if rest || !more {
            return Ok(page.finish(rest));
        }
        if page.entries.len() == wanted {
            return Ok(page.finish(true));
        }
        after = until;
    }
}

/// Committed entries with the turn's writes laid over them, between `after` and `until`.
fn overlay(
    writes: &BTreeMap<String, Option<Vec<u8>>>,
    committed: Vec<(String, Vec<u8>)>,
    prefix: &str,
    after: Option<&str>,
    until: Option<&str>,
) -> BTreeMap<String, Vec<u8>> {
    let mut merged: BTreeMap<_, _> = committed.into_iter().collect();
    let from = match after {
        Some(after) if prefix <= after => Bound::Excluded(after),
        Some(_) | None => Bound::Included(prefix),
    };
    for (key, value) in writes.range::<str, _>((from, Bound::Unbounded)) {
        if !key.starts_with(prefix) || until.is_some_and(|until| until < key.as_str()) {
            break;
        }
        match value {
            Some(value) => merged.insert(key.clone(), value.clone()),
            None => merged.remove(key),
        };
    }
    merged
}

struct PageBuilder {
    entries: Vec<Entry>,
    bytes: usize,
    wanted: usize,
}

impl PageBuilder {
    /// Takes what fits. Whether something was left out.
    fn take(&mut self, merged: BTreeMap<String, Vec<u8>>) -> bool {
        for (key, value) in merged {
            let bytes = key.len() + value.len();
            let full =
                self.wanted <= self.entries.len() || STATE_PAGE_BYTES_MAX < self.bytes + bytes;
            if full && !self.entries.is_empty() {
                return true;
            }
            self.bytes += bytes;
            self.entries.push(Entry { key, value });
        }
        false
    }

    fn finish(self, more: bool) -> Page {
        let cursor = if more {
            self.entries.last().map(|entry| entry.key.clone())
        } else {
            None
        };
        Page {
            entries: self.entries,
            cursor,
        }
    }
}

/// A name as one segment of a state key, so that no other name's keys start like its own.
pub(super) fn segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

fn refuse(refused: Refused) -> StateError {
    let text = refused.to_string();
    let code = match refused {
        Refused::BadKey { .. } => StateErrorCode::BadKey,
        Refused::TooLarge { .. } => StateErrorCode::TooLarge,
        Refused::ReadOnly => StateErrorCode::ReadOnly,
    };
    StateError { code, text }
}

fn unavailable(text: String) -> StateError {
    StateError {
        code: StateErrorCode::Unavailable,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_scan_shows_the_turns_own_writes_within_its_bounds() {
        let writes: BTreeMap<String, Option<Vec<u8>>> = [
            ("a/1", Some("new")),
            ("a/2", None),
            ("a/5", Some("five")),
            ("a/9", Some("later")),
            ("b", Some("other")),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.map(|value| value.as_bytes().to_vec())))
        .collect();
        let committed = || {
            vec![
                ("a/2".to_owned(), b"two".to_vec()),
                ("a/7".to_owned(), b"seven".to_vec()),
            ]
        };
        let all = overlay(&writes, committed(), "a/", None, None);
        assert_eq!(
            all,
            map(&[
                ("a/1", "new"),
                ("a/5", "five"),
                ("a/7", "seven"),
                ("a/9", "later")
            ])
        );
        let page = overlay(&writes, committed(), "a/", Some("a/1"), Some("a/7"));
        assert_eq!(page, map(&[("a/5", "five"), ("a/7", "seven")]));
        let early_cursor = overlay(&writes, Vec::new(), "a/", Some("a"), None);
        assert_eq!(
            early_cursor,
            map(&[("a/1", "new"), ("a/5", "five"), ("a/9", "later")])
        );
    }

    #[test]
    fn a_page_is_full_at_its_entries_or_its_bytes_but_never_empty() {
        let mut page = PageBuilder {
            entries: Vec::new(),
            bytes: 0,
            wanted: 2,
        };
        assert!(page.take(map(&[("a", "1"), ("b", "2"), ("c", "3")])));
        let page = page.finish(true);
        assert_eq!((page.entries.len(), page.cursor.as_deref()), (2, Some("b")));
        let mut page = PageBuilder {
            entries: Vec::new(),
            bytes: 0,
            wanted: 10,
        };
        let big = BTreeMap::from([
            ("a".to_owned(), vec![0; STATE_PAGE_BYTES_MAX + 1]),
            ("b".to_owned(), vec![0]),
        ]);
        assert!(page.take(big));
        assert_eq!(page.entries.len(), 1);
    }
}
