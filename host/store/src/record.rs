//! How records are written down: one byte that names the record's format, then [postcard]; kinds, which grow new
//! settings more often than anything else, are JSON behind that byte; values are themselves.
//!
//! Whatever the bytes are, decoding gives a record or [`StoreError::Damaged`]: it never panics.

use granary_core::kind::KindRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::door::{Head, ReplyRecord, ResultRecord, SendRecord, StoreError};

/// The format that this program writes.
const FORMAT: u8 = 1;

/// A record in [postcard].
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// What it is, for people.
    const NAME: &'static str;

    /// Writes it down.
    fn encode(&self) -> Vec<u8> {
        let out = postcard::to_extend(self, vec![FORMAT]);
        out.expect("invariant: a record has no part that postcard cannot write")
    }

    /// Reads it. Errors: `Damaged`.
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let body = body(Self::NAME, key, bytes)?;
        let (record, rest) =
            postcard::take_from_bytes(body).map_err(|e| damaged(Self::NAME, key, e.to_string()))?;
        if !rest.is_empty() {
            return Err(damaged(
                Self::NAME,
                key,
                format!("{} bytes too many", rest.len()),
            ));
        }
        Ok(record)
    }
}

impl Record for Head {
    const NAME: &'static str = "head";
}

impl Record for ReplyRecord {
    const NAME: &'static str = "kept answer";
}

impl Record for SendRecord {
    const NAME: &'static str = "one-way message";
}

impl Record for ResultRecord {
    const NAME: &'static str = "kept result";
}

/// Writes a kind down.
pub(crate) fn encode_kind(kind: &KindRecord) -> Vec<u8> {
    let mut out = vec![FORMAT];
    serde_json::to_writer(&mut out, kind)
        .expect("invariant: a kind has only text keys, and a vector takes every byte");
    out
}

/// Reads a kind. Errors: `Damaged`.
pub(crate) fn decode_kind(key: &[u8], bytes: &[u8]) -> Result<KindRecord, StoreError> {
    let body = body("kind", key, bytes)?;
    serde_json::from_slice(body).map_err(|e| damaged("kind", key, e.to_string()))
}

/// Writes a value down.
pub(crate) fn encode_value(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + value.len());
    out.push(FORMAT);
    out.extend_from_slice(value);
    out
}

/// Reads a value. Errors: `Damaged`.
pub(crate) fn decode_value<'a>(key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    body("value", key, bytes)
}

fn body<'a>(what: &str, key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => Ok(body),
        Some((found, _)) => Err(damaged(
            what,
            key,
            format!("it has format {found}, not {FORMAT}"),
        )),
        None => Err(damaged(what, key, "it is empty".to_owned())),
    }
}

fn damaged(what: &str, key: &[u8], why: String) -> StoreError {
    StoreError::Damaged {
        place: format!("{what} '{}'", key.escape_ascii()),
        why,
    }
}

/// Decodes arbitrary bytes as every sort of record; what comes out must encode to a record that decodes to the same.
#[doc(hidden)]
pub fn fuzz_decode(bytes: &[u8]) {
    fn again<R: Record + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(record) = R::decode(b"fuzz", bytes) {
            assert_eq!(
                R::decode(b"fuzz", &record.encode()).ok().as_ref(),
                Some(&record)
            );
        }
    }
    again::<Head>(bytes);
    again::<ReplyRecord>(bytes);
    again::<SendRecord>(bytes);
    again::<ResultRecord>(bytes);
    if let Ok(kind) = decode_kind(b"fuzz", bytes) {
        assert_eq!(
            decode_kind(b"fuzz", &encode_kind(&kind)).ok().as_ref(),
            Some(&kind)
        );
    }
    if let Ok(value) = decode_value(b"fuzz", bytes) {
        assert_eq!(encode_value(value), bytes);
    }
}

#[cfg(test)]
mod tests {
    use granary_core::id::{CallId, Digest, GrainId, KindName, Revision};
    use granary_core::kind::{KindSpec, RevisionRecord, Rollout};
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn grains() -> impl Strategy<Value = GrainId> {
        "[a-z][a-z0-9-]{0,9}/[a-zA-Z0-9/ü ]{1,20}".prop_map(|text| GrainId::parse(&text).unwrap())
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 0..200)
    }

    fn heads() -> impl Strategy<Value = Head> {
        (any::<[u64; 4]>(), option::of(any::<u64>())).prop_map(
            |([version, bytes, keys, changed_at_ms], revision)| Head {
                version,
                bytes,
                keys,
                revision: revision.map(Revision),
                changed_at_ms,
            },
        )
    }

    fn sends() -> impl Strategy<Value = SendRecord> {
        let who = (
            any::<u128>(),
            option::of(grains()),
            grains(),
            ".{0,30}",
            bytes(),
        );
        let texts = (
            btree_map(".{0,9}", ".{0,9}", 0..4),
            option::of(".{0,9}"),
            option::of(".{0,9}"),
        );
        let how = (texts, any::<[u64; 2]>(), any::<u32>(), any::<bool>());
        (who, how, option::of(bytes())).prop_map(
            |((id, from, target, method, arguments), how, given_up)| {
                let (
                    (baggage, principal, idempotency_key),
                    [due_at_ms, sent_at_ms],
                    attempts,
                    keep_result,
                ) = how;
                SendRecord {
                    id: CallId(id),
                    from,
                    target,
                    method,
                    arguments,
                    baggage,
                    principal,
                    idempotency_key,
                    due_at_ms,
                    sent_at_ms,
                    attempts,
                    keep_result,
                    given_up,
                }
            },
        )
    }

    fn kinds() -> impl Strategy<Value = KindRecord> {
        (
            "[a-z]{1,9}",
            any::<[u8; 32]>(),
            any::<u64>(),
            option::of(".{0,30}"),
        )
            .prop_map(|(name, digest, number, because)| {
                let name = KindName::parse(&name).unwrap();
                let (revision, spec) = (Revision(number), KindSpec::bare(name.clone()));
                let only = RevisionRecord {
                    revision,
                    component: Digest(digest),
                    spec,
                    deployed_at_ms: number,
                    verdict: "first".to_owned(),
                };
                let rollout = because.map_or(Rollout::Done, |because| Rollout::Halted {
                    from: revision,
                    because,
                });
                KindRecord {
                    name,
                    current: revision,
                    before: None,
                    rollout,
                    revisions: vec![only],
                }
            })
    }

    fn round_trips<R: Record + PartialEq + std::fmt::Debug>(record: &R) {
        let bytes = record.encode();
        assert_eq!(&R::decode(b"k", &bytes).unwrap(), record);
        let cut = R::decode(b"k", &bytes[..bytes.len() - 1]);
        assert!(matches!(cut, Err(StoreError::Damaged { .. })), "{cut:?}");
    }

    proptest! {
        #[test]
        fn heads_round_trip(head in heads()) {
            round_trips(&head);
        }

        #[test]
        fn sends_round_trip(send in sends()) {
            round_trips(&send);
        }

        #[test]
        fn replies_and_results_round_trip(
            key in ".{0,30}", fingerprint: u64, answer in bytes(), expires_at_ms: u64, target in grains(),
        ) {
            round_trips(&ReplyRecord { key: key.clone(), fingerprint, answer: answer.clone(), expires_at_ms });
            round_trips(&ResultRecord { target, method: key, answer, expires_at_ms });
        }

        #[test]
        fn kinds_round_trip(kind in kinds()) {
            prop_assert_eq!(decode_kind(b"k", &encode_kind(&kind)).unwrap(), kind);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
            fuzz_decode(&bytes);
            fuzz_decode(&[&[FORMAT], &bytes[..]].concat());
        }
    }

    #[test]
    fn damage_names_the_place_and_the_reason() {
        let newer = Head::decode(b"gcart\x001", &[7, 0, 0])
            .unwrap_err()
            .to_string();
        assert_eq!(
            newer,
            "the record head 'gcart\\x001' is damaged: it has format 7, not 1"
        );
        let empty = decode_value(b"vx", &[]).unwrap_err().to_string();
        assert_eq!(empty, "the record value 'vx' is damaged: it is empty");
    }
}
