//! What the entries of a table mean: the one place where a turn becomes changes of entries, and entries an answer.
//!
//! In: a [`Change`] and a [`Draft`]. Out: the draft with the whole change in it, or as it was. Invariants: a grain's head counts
//! exactly the bytes and keys of its state; every message that is not given up stands once in the order of due times,
//! every other one among those given up; what expires stands in the order of expiry. Fencing is not decided here.

mod look;

use granary_core::id::{CallId, GrainId, KindName};
use granary_core::kind::KindRecord;

pub(crate) use self::look::*;
use crate::door::{Commit, Head, ReplyRecord, ResultRecord, SendRecord, Settled, StoreError};
use crate::keys;
use crate::record::{self, Record};
use crate::table::Draft;

/// Something to be kept as a whole.
#[derive(Debug)]
pub(crate) enum Change {
    /// A turn.
    Commit(Box<Commit>),
    /// Everything of a grain goes.
    Purge(GrainId),
    /// A message comes, or takes the place of the one with its id.
    PutSend(Box<SendRecord>),
    /// A message goes.
    Settle(Settled),
    /// A kind comes, or takes the place of exactly the expected one.
    PutKind(Box<(Option<KindRecord>, KindRecord)>),
    /// A kind goes.
    RemoveKind(KindName),
    /// A value of the node's own comes or goes.
    PutValue(String, Option<Vec<u8>>),
    /// What has expired goes.
    Expire { now_ms: u64, limit: usize },
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Done {
    /// A commit's head.
    pub(crate) head: Head,
    /// How many records went.
    pub(crate) count: usize,
}

impl Change {
    /// About how many bytes it will write, to be checked against the space that is left.
    pub(crate) fn bytes(&self) -> usize {
        const ENTRY: usize = 128;
        let send = |send: &SendRecord| {
            ENTRY + send.arguments.len() + send.given_up.as_ref().map_or(0, Vec::len)
        };
        let settled = |settled: &Settled| {
            ENTRY
                + settled
                    .result
                    .as_ref()
                    .map_or(0, |result| result.answer.len())
        };
        match self {
            Self::Commit(commit) => {
                let write = |(key, value): (&String, &Option<Vec<u8>>)| {
                    ENTRY + key.len() + value.as_ref().map_or(0, Vec::len)
                };
                ENTRY
                    + commit.writes.iter().map(write).sum::<usize>()
                    + commit.sends.iter().map(send).sum::<usize>()
                    + commit
                        .reply
                        .as_ref()
                        .map_or(0, |reply| ENTRY + reply.answer.len())
                    + commit.settles.as_ref().map_or(0, settled)
            }
            Self::PutSend(record) => send(record),
            Self::Settle(record) => settled(record),
            Self::PutKind(pair) => ENTRY * (1 + pair.1.revisions.len()) * 8,
            Self::PutValue(_, value) => ENTRY + value.as_ref().map_or(0, Vec::len),
            Self::Purge(_) | Self::RemoveKind(_) | Self::Expire { .. } => ENTRY,
        }
    }
}

/// Adds a change to the draft, all of it or nothing. Errors: `Conflict`, `Damaged`, and those of the table.
pub(crate) fn apply(draft: &mut Draft<'_>, change: &Change) -> Result<Done, StoreError> {
    draft.attempt(|draft| match change {
        Change::Commit(commit) => apply_commit(draft, commit),
        Change::Purge(grain) => apply_purge(draft, grain),
        Change::PutSend(send) => apply_send(draft, send).map(|()| Done::default()),
        Change::Settle(settled) => apply_settle(draft, settled),
        Change::PutKind(pair) => apply_kind(draft, pair.0.as_ref(), &pair.1),
        Change::RemoveKind(name) => remove_kind(draft, name),
        Change::PutValue(name, value) => {
            apply_value(draft, name, value.as_deref());
            Ok(Done::default())
        }
        Change::Expire { now_ms, limit } => apply_expire(draft, *now_ms, *limit),
    })
}

fn apply_commit(draft: &mut Draft<'_>, commit: &Commit) -> Result<Done, StoreError> {
    let head_key = keys::head(&commit.grain);
    let mut head = match draft.get(&head_key)? {
        Some(bytes) => Head::decode(&head_key, &bytes)?,
        None => Head::default(),
    };
    for (key, value) in &commit.writes {
        apply_write(draft, &commit.grain, &mut head, key, value.as_deref())?;
    }
    head.version += u64::from(!commit.writes.is_empty());
    head.revision = Some(commit.revision);
    head.changed_at_ms = commit.now_ms;
    draft.put(head_key, head.encode());
    if let Some(settled) = &commit.settles {
        remove_send(draft, settled.id)?;
        put_result(draft, settled);
    }
    for send in &commit.sends {
        apply_send(draft, send)?;
    }
    if let Some(reply) = &commit.reply {
        apply_reply(draft, &commit.grain, reply)?;
    }
    Ok(Done { head, count: 0 })
}

fn apply_write(
    draft: &mut Draft<'_>,
    grain: &GrainId,
    head: &mut Head,
    key: &str,
    value: Option<&[u8]>,
) -> Result<(), StoreError> {
    let place = keys::state(grain, key);
    if let Some(old) = draft.get(&place)? {
        let old = key.len() + record::decode_value(&place, &old)?.len();
        head.bytes = head.bytes.saturating_sub(old as u64);
        head.keys = head.keys.saturating_sub(1);
    } else if value.is_none() {
        return Ok(());
    }
    match value {
        Some(value) => {
            head.bytes += (key.len() + value.len()) as u64;
            head.keys += 1;
            draft.put(place, record::encode_value(value));
        }
        None => draft.remove(place),
    }
    Ok(())
}

fn apply_reply(
    draft: &mut Draft<'_>,
    grain: &GrainId,
    reply: &ReplyRecord,
) -> Result<(), StoreError> {
    let place = keys::reply(grain, &reply.key);
    if let Some(old) = draft.get(&place)? {
        let old = ReplyRecord::decode(&place, &old)?;
        draft.remove(keys::expiry(old.expires_at_ms, &place));
    }
    draft.put(keys::expiry(reply.expires_at_ms, &place), Vec::new());
    draft.put(place, reply.encode());
    Ok(())
}

fn apply_send(draft: &mut Draft<'_>, send: &SendRecord) -> Result<(), StoreError> {
    remove_send(draft, send.id)?;
    draft.put(order_of(send), Vec::new());
    draft.put(keys::send(send.id), send.encode());
    Ok(())
}

/// Where a message stands in order: by due time, or among those given up.
fn order_of(send: &SendRecord) -> Vec<u8> {
    match send.given_up {
        None => keys::due(send.due_at_ms, send.id),
        Some(_) => keys::given_up(send.id),
    }
}

fn remove_send(draft: &mut Draft<'_>, id: CallId) -> Result<bool, StoreError> {
    let place = keys::send(id);
    let Some(bytes) = draft.get(&place)? else {
        return Ok(false);
    };
    draft.remove(order_of(&SendRecord::decode(&place, &bytes)?));
    draft.remove(place);
    Ok(true)
}

fn put_result(draft: &mut Draft<'_>, settled: &Settled) {
    if let Some(result) = &settled.result {
        let place = keys::result(settled.id);
        draft.put(keys::expiry(result.expires_at_ms, &place), Vec::new());
        draft.put(place, result.encode());
    }
}

fn apply_settle(draft: &mut Draft<'_>, settled: &Settled) -> Result<Done, StoreError> {
    let was = remove_send(draft, settled.id)?;
    if was {
        put_result(draft, settled);
    }
    Ok(Done {
        count: usize::from(was),
        ..Done::default()
    })
}

fn apply_purge(draft: &mut Draft<'_>, grain: &GrainId) -> Result<Done, StoreError> {
    let replies = draft.keys(&keys::reply(grain, ""), usize::MAX)?;
    for place in &replies {
        if let Some(bytes) = draft.get(place)? {
            let reply = ReplyRecord::decode(place, &bytes)?;
            draft.remove(keys::expiry(reply.expires_at_ms, place));
        }
    }
    let state = draft.keys(&keys::state(grain, ""), usize::MAX)?;
    for place in replies.into_iter().chain(state) {
        draft.remove(place);
    }
    draft.remove(keys::head(grain));
    Ok(Done::default())
}

fn apply_kind(
    draft: &mut Draft<'_>,
    expected: Option<&KindRecord>,
    record: &KindRecord,
) -> Result<Done, StoreError> {
    let place = keys::kind(&record.name);
    let kept = match draft.get(&place)? {
        Some(bytes) => Some(record::decode_kind(&place, &bytes)?),
        None => None,
    };
    if kept.as_ref() != expected {
        let current = |kind: Option<&KindRecord>| kind.map_or(0, |kind| kind.current.0);
        return Err(StoreError::Conflict {
            place: format!("kind {}", record.name),
            expected: current(expected),
            actual: current(kept.as_ref()),
        });
    }
    draft.put(place, record::encode_kind(record));
    Ok(Done::default())
}

fn remove_kind(draft: &mut Draft<'_>, name: &KindName) -> Result<Done, StoreError> {
    let place = keys::kind(name);
    let was = draft.get(&place)?.is_some();
    if was {
        draft.remove(place);
    }
    Ok(Done {
        count: usize::from(was),
        ..Done::default()
    })
}

fn apply_value(draft: &mut Draft<'_>, name: &str, value: Option<&[u8]>) {
    let place = keys::value(name);
    match value {
        Some(value) => draft.put(place, record::encode_value(value)),
        None => draft.remove(place),
    }
}

fn apply_expire(draft: &mut Draft<'_>, now_ms: u64, limit: usize) -> Result<Done, StoreError> {
    let mut count = 0;
    for order in draft.keys(&[keys::EXPIRY], limit)? {
        let (at_ms, place) = keys::time_and_rest(&order)?;
        if now_ms < at_ms {
            break;
        }
        if let Some(bytes) = draft.get(place)?
            && expires_at(place, &bytes)? == at_ms
        {
            draft.remove(place.to_vec());
            count += 1;
        }
        draft.remove(order);
    }
    Ok(Done {
        count,
        ..Done::default()
    })
}

/// When the record at `place` expires: it may have been replaced since it was put in order.
fn expires_at(place: &[u8], bytes: &[u8]) -> Result<u64, StoreError> {
    if place.first() == Some(&keys::REPLIES) {
        return Ok(ReplyRecord::decode(place, bytes)?.expires_at_ms);
    }
    Ok(ResultRecord::decode(place, bytes)?.expires_at_ms)
}
