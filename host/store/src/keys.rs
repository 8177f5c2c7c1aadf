//! Where each record lies: the keys of the one ordered table that an engine keeps.
//!
//! The first byte is a room of its own for each sort of record. A kind and a key never hold a zero byte, so a zero ends
//! them and the order of the table is the order of (kind, key, state key). Numbers are big-endian: their order is the
//! order of the bytes. **A change here is a new format of the data directory.**

use std::ops::Range;

use granary_core::id::{CallId, GrainId, Key, KindName};

use crate::door::StoreError;

/// What is known of a grain.
pub(crate) const HEADS: u8 = b'g';
/// State values.
const STATE: u8 = b's';
/// Answers under idempotency keys.
pub(crate) const REPLIES: u8 = b'r';
/// One-way messages and asynchronous calls.
pub(crate) const SENDS: u8 = b'd';
/// Their ids by due time.
pub(crate) const DUE: u8 = b'i';
/// The ids of those that were given up.
pub(crate) const GIVEN_UP: u8 = b'u';
/// Kept results.
const RESULTS: u8 = b't';
/// Replies and results by the time when they expire.
pub(crate) const EXPIRY: u8 = b'x';
/// Kinds.
pub(crate) const KINDS: u8 = b'k';
/// The node's own values.
const VALUES: u8 = b'v';
/// The engine's own records.
pub(crate) const ENGINE: u8 = b'm';
/// Pieces of values that are too long for one entry.
pub(crate) const PIECES: u8 = b'p';

fn with_grain(room: u8, grain: &GrainId, rest: &[u8]) -> Vec<u8> {
    let (kind, key) = (
        grain.kind.as_str().as_bytes(),
        grain.key.as_str().as_bytes(),
    );
    let mut out = Vec::with_capacity(3 + kind.len() + key.len() + rest.len());
    out.push(room);
    out.extend_from_slice(kind);
    out.push(0);
    out.extend_from_slice(key);
    if room != HEADS {
        out.push(0);
    }
    out.extend_from_slice(rest);
    out
}

fn with(room: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + rest.len());
    out.push(room);
    out.extend_from_slice(rest);
    out
}

fn with_time(room: u8, at_ms: u64, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + rest.len());
    out.push(room);
    out.extend_from_slice(&at_ms.to_be_bytes());
    out.extend_from_slice(rest);
    out
}

/// A grain's head.
pub(crate) fn head(grain: &GrainId) -> Vec<u8> {
    with_grain(HEADS, grain, &[])
}

/// Where the heads of one kind begin, or of all.
pub(crate) fn heads_of(kind: Option<&KindName>) -> Vec<u8> {
    let Some(kind) = kind else {
        return vec![HEADS];
    };
    let mut out = with(HEADS, kind.as_str().as_bytes());
    out.push(0);
    out
}

/// A state value. The empty key gives what every state key of the grain starts with.
pub(crate) fn state(grain: &GrainId, key: &str) -> Vec<u8> {
    with_grain(STATE, grain, key.as_bytes())
}

/// A kept answer. The empty key gives what all of the grain start with.
pub(crate) fn reply(grain: &GrainId, key: &str) -> Vec<u8> {
    with_grain(REPLIES, grain, key.as_bytes())
}

/// A one-way message.
pub(crate) fn send(id: CallId) -> Vec<u8> {
    with(SENDS, &id.0.to_be_bytes())
}

/// A one-way message's place in the order of due times.
pub(crate) fn due(due_at_ms: u64, id: CallId) -> Vec<u8> {
    with_time(DUE, due_at_ms, &id.0.to_be_bytes())
}

/// A one-way message's place among those given up.
pub(crate) fn given_up(id: CallId) -> Vec<u8> {
    with(GIVEN_UP, &id.0.to_be_bytes())
}

/// A kept result.
pub(crate) fn result(id: CallId) -> Vec<u8> {
    with(RESULTS, &id.0.to_be_bytes())
}

/// Where the record at `of` stands in the order of expiry.
pub(crate) fn expiry(expires_at_ms: u64, of: &[u8]) -> Vec<u8> {
    with_time(EXPIRY, expires_at_ms, of)
}

/// A kind.
pub(crate) fn kind(name: &KindName) -> Vec<u8> {
    with(KINDS, name.as_str().as_bytes())
}

/// A value of the node's own.
pub(crate) fn value(name: &str) -> Vec<u8> {
    with(VALUES, name.as_bytes())
}

/// A record of the engine's own.
pub(crate) fn engine(name: &str) -> Vec<u8> {
    with(ENGINE, name.as_bytes())
}

/// What all pieces of the value at `of` start with. Its length comes first, so that no key's pieces lie among another's.
pub(crate) fn pieces(of: &[u8]) -> Vec<u8> {
    let length =
        u32::try_from(of.len()).expect("invariant: kinds, keys and state keys are bounded");
    let mut out = Vec::with_capacity(9 + of.len());
    out.push(PIECES);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(of);
    out
}

/// One piece of the value at `of`.
pub(crate) fn piece(of: &[u8], at: u32) -> Vec<u8> {
    let mut out = pieces(of);
    out.extend_from_slice(&at.to_be_bytes());
    out
}

/// The least key behind `key`.
pub(crate) fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// The keys that start with `prefix`. It is never empty and never all `0xff`.
pub(crate) fn range(prefix: &[u8]) -> Range<Vec<u8>> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    prefix.to_vec()..end
}

/// The grain whose head lies at `key`. Errors: `Damaged`.
pub(crate) fn grain_of_head(key: &[u8]) -> Result<GrainId, StoreError> {
    let parsed = || {
        let text = std::str::from_utf8(key.strip_prefix(&[HEADS])?).ok()?;
        let (kind, key) = text.split_once('\0')?;
        Some(GrainId::new(
            KindName::parse(kind).ok()?,
            Key::parse(key).ok()?,
        ))
    };
    parsed().ok_or_else(|| damaged_key("a grain's head", key))
}

/// The text at the end of `key`, behind `prefix`. Errors: `Damaged`.
pub(crate) fn text_behind(prefix: &[u8], key: &[u8]) -> Result<String, StoreError> {
    let text = key
        .strip_prefix(prefix)
        .and_then(|rest| std::str::from_utf8(rest).ok());
    text.map(str::to_owned)
        .ok_or_else(|| damaged_key("a name", key))
}

/// The id at the end of `key`. Errors: `Damaged`.
pub(crate) fn id_at_end(key: &[u8]) -> Result<CallId, StoreError> {
    let id = key
        .last_chunk::<16>()
        .map(|bytes| CallId(u128::from_be_bytes(*bytes)));
    id.ok_or_else(|| damaged_key("a call", key))
}

/// The time and the rest of a key ordered by time. Errors: `Damaged`.
pub(crate) fn time_and_rest(key: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let parsed = key.get(1..).and_then(|rest| rest.split_first_chunk::<8>());
    let (time, rest) = parsed.ok_or_else(|| damaged_key("a time", key))?;
    Ok((u64::from_be_bytes(*time), rest))
}

fn damaged_key(what: &str, key: &[u8]) -> StoreError {
    StoreError::Damaged {
        place: format!("'{}'", key.escape_ascii()),
        why: format!("the place does not name {what}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grain(text: &str) -> GrainId {
        GrainId::parse(text).unwrap()
    }

    #[test]
    fn heads_lie_in_the_order_of_kind_and_key() {
        let grains = ["cart/1", "cart/1/2", "cart/10", "cart-x/0", "cart2/0"].map(grain);
        let mut keys = grains.clone().map(|g| head(&g)).to_vec();
        keys.sort();
        let mut expected = grains.to_vec();
        expected.sort();
        let found: Vec<GrainId> = keys.iter().map(|k| grain_of_head(k).unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn no_grains_state_lies_among_anothers() {
        let own = range(&state(&grain("cart/1"), ""));
        assert!(own.contains(&state(&grain("cart/1"), "\u{10ffff}")));
        assert!(!own.contains(&state(&grain("cart/10"), "")));
        assert!(!own.contains(&state(&grain("cart/1/2"), "")));
        let own = range(&pieces(b"ab"));
        assert!(own.contains(&piece(b"ab", u32::MAX)));
        assert!(!own.contains(&piece(b"abc", 0)));
    }

    fn is_sound<T>(decoded: &Result<T, StoreError>) -> bool {
        matches!(decoded, Ok(_) | Err(StoreError::Damaged { .. }))
    }

    proptest! {
        #[test]
        fn arbitrary_keys_never_panic(bytes: Vec<u8>) {
            prop_assert!(is_sound(&grain_of_head(&bytes)));
            prop_assert!(is_sound(&id_at_end(&bytes)));
            prop_assert!(is_sound(&time_and_rest(&bytes)));
            prop_assert!(is_sound(&text_behind(b"s", &bytes)));
        }
    }
}
