//! What a table answers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use granary_core::id::{CallId, GrainId, KindName};
use granary_core::kind::KindRecord;

use crate::door::{
    Head, PREFETCH_BYTES_MAX, Page, PageSize, ReplyRecord, ResultRecord, SendRecord, StoreError,
};
use crate::keys;
use crate::record::{self, Record};
use crate::table::Table;

const GO_ON: Result<ControlFlow<()>, StoreError> = Ok(ControlFlow::Continue(()));
const STOP: Result<ControlFlow<()>, StoreError> = Ok(ControlFlow::Break(()));

/// The whole state of a grain, by key.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

fn record<R: Record>(table: &dyn Table, key: &[u8]) -> Result<Option<R>, StoreError> {
    table
        .get(key)?
        .map(|bytes| R::decode(key, &bytes))
        .transpose()
}

/// What is known of a grain.
pub(crate) fn head(table: &dyn Table, grain: &GrainId) -> Result<Head, StoreError> {
    Ok(record(table, &keys::head(grain))?.unwrap_or_default())
}

/// A grain's head, and its state if that is small.
pub(crate) fn load(
    table: &dyn Table,
    grain: &GrainId,
) -> Result<(Head, Option<Entries>), StoreError> {
    let head = head(table, grain)?;
    if PREFETCH_BYTES_MAX < head.bytes {
        return Ok((head, None));
    }
    let mut entries = Entries::new();
    if 0 < head.keys {
        let prefix = keys::state(grain, "");
        table.scan(&prefix, &prefix, &mut |key, value| {
            entries.insert(
                keys::text_behind(&prefix, key)?,
                record::decode_value(key, value)?.to_vec(),
            );
            GO_ON
        })?;
    }
    Ok((head, Some(entries)))
}

/// One state value.
pub(crate) fn read(
    table: &dyn Table,
    grain: &GrainId,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let place = keys::state(grain, key);
    let Some(mut bytes) = table.get(&place)? else {
        return Ok(None);
    };
    record::decode_value(&place, &bytes)?;
    bytes.remove(0);
    Ok(Some(bytes))
}

/// A page of state.
pub(crate) fn list(
    table: &dyn Table,
    grain: &GrainId,
    prefix: &str,
    after: Option<&str>,
    size: PageSize,
) -> Result<Page<(String, Vec<u8>)>, StoreError> {
    let all = keys::state(grain, "");
    let prefix = keys::state(grain, prefix);
    let from = after.map_or_else(
        || prefix.clone(),
        |key| keys::after(keys::state(grain, key)),
    );
    let mut page = Page::default();
    let mut bytes = 0;
    table.scan(&prefix, &from, &mut |key, value| {
        let name = keys::text_behind(&all, key)?;
        let value = record::decode_value(key, value)?;
        bytes += name.len() + value.len();
        let full =
            page.items.len() == size.entries || (size.bytes < bytes && !page.items.is_empty());
        if full {
            page.more = true;
            return STOP;
        }
        page.items.push((name, value.to_vec()));
        GO_ON
    })?;
    Ok(page)
}

/// A kept answer that has not expired.
pub(crate) fn reply(
    table: &dyn Table,
    grain: &GrainId,
    key: &str,
    now_ms: u64,
) -> Result<Option<ReplyRecord>, StoreError> {
    let reply: Option<ReplyRecord> = record(table, &keys::reply(grain, key))?;
    Ok(reply.filter(|reply| now_ms < reply.expires_at_ms))
}

/// A page of kept answers, expired or not, in the order of their keys.
pub(crate) fn replies(
    table: &dyn Table,
    grain: &GrainId,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<ReplyRecord>, StoreError> {
    let prefix = keys::reply(grain, "");
    let from = after.map_or_else(
        || prefix.clone(),
        |key| keys::after(keys::reply(grain, key)),
    );
    page(table, &prefix, &from, limit, ReplyRecord::decode)
}

/// A page of grains.
pub(crate) fn grains(
    table: &dyn Table,
    kind: Option<&KindName>,
    after: Option<&GrainId>,
    limit: usize,
) -> Result<Page<(GrainId, Head)>, StoreError> {
    let prefix = keys::heads_of(kind);
    let from = after.map_or_else(|| prefix.clone(), |grain| keys::after(keys::head(grain)));
    page(table, &prefix, &from, limit, |key, value| {
        Ok((keys::grain_of_head(key)?, Head::decode(key, value)?))
    })
}

fn page<T>(
    table: &dyn Table,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
    decode: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut page = Page {
        items: Vec::new(),
        more: false,
    };
    table.scan(prefix, from, &mut |key, value| {
        if page.items.len() == limit {
            page.more = true;
            return STOP;
        }
        page.items.push(decode(key, value)?);
        GO_ON
    })?;
    Ok(page)
}

/// One message.
pub(crate) fn send(table: &dyn Table, id: CallId) -> Result<Option<SendRecord>, StoreError> {
    record(table, &keys::send(id))
}

/// Every message, in the order of the ids.
pub(crate) fn sends(
    table: &dyn Table,
    after: Option<CallId>,
    limit: usize,
) -> Result<Page<SendRecord>, StoreError> {
    let from = after.map_or_else(|| vec![keys::SENDS], |id| keys::after(keys::send(id)));
    page(table, &[keys::SENDS], &from, limit, SendRecord::decode)
}

/// The messages that are due, earliest first, and when the next one is.
pub(crate) fn sends_due(
    table: &dyn Table,
    now_ms: u64,
    limit: usize,
) -> Result<(Vec<SendRecord>, Option<u64>), StoreError> {
    let mut due = Vec::new();
    let mut next = None;
    table.scan(&[keys::DUE], &[keys::DUE], &mut |key, _| {
        let (at_ms, _) = keys::time_and_rest(key)?;
        if now_ms < at_ms || due.len() == limit {
            next = Some(at_ms);
            return STOP;
        }
        due.push(keys::id_at_end(key)?);
        GO_ON
    })?;
    Ok((records_of(table, &due)?, next))
}

/// A page of the messages that were given up.
pub(crate) fn sends_given_up(
    table: &dyn Table,
    after: Option<CallId>,
    limit: usize,
) -> Result<Page<SendRecord>, StoreError> {
    let from = after.map_or_else(
        || vec![keys::GIVEN_UP],
        |id| keys::after(keys::given_up(id)),
    );
    let ids = page(table, &[keys::GIVEN_UP], &from, limit, |key, _| {
        keys::id_at_end(key)
    })?;
    Ok(Page {
        items: records_of(table, &ids.items)?,
        more: ids.more,
    })
}

/// The records of ids that were just found in order. One may have gone in between.
fn records_of(table: &dyn Table, ids: &[CallId]) -> Result<Vec<SendRecord>, StoreError> {
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        records.extend(send(table, *id)?);
    }
    Ok(records)
}

/// A kept result that has not expired.
pub(crate) fn result(
    table: &dyn Table,
    id: CallId,
    now_ms: u64,
) -> Result<Option<ResultRecord>, StoreError> {
    let result: Option<ResultRecord> = record(table, &keys::result(id))?;
    Ok(result.filter(|result| now_ms < result.expires_at_ms))
}

/// Every kind.
pub(crate) fn kinds(table: &dyn Table) -> Result<Vec<KindRecord>, StoreError> {
    Ok(page(
        table,
        &[keys::KINDS],
        &[keys::KINDS],
        usize::MAX,
        record::decode_kind,
    )?
    .items)
}

/// A value of the node's own.
pub(crate) fn value(table: &dyn Table, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let place = keys::value(name);
    table
        .get(&place)?
        .map(|bytes| record::decode_value(&place, &bytes).map(<[u8]>::to_vec))
        .transpose()
}
