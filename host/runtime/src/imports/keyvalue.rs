//! `wasi:keyvalue` in both of its drafts, and Spin's own key-value stores: buckets in the grain's own state.
//!
//! What a guest keeps under `KEY` in `BUCKET` is the state value `kv/BUCKET/KEY`: transactional with the turn, under the same limits, to be seen with
//! `granary state`. In a bucket's name `/` and `%` are percent-encoded. Every bucket exists, for all of them are the grain's
//! own; the one without a name is `default`.

use granary_core::kind::Mode;
use sha2::{Digest, Sha256};
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;

use super::{Linked, Reach, forget, state, waiting};
use crate::bindings::fermyon::spin::key_value as spin;
use crate::bindings::granary::grain::state::{Page, StateError};
use crate::bindings::wasi::keyvalue0_2_0_draft as draft;
use crate::bindings::wasi::keyvalue0_2_0_draft2 as draft2;
use crate::guest::Guest;

/// The longest name of a bucket, in bytes.
const BUCKET_BYTES_MAX: usize = 128;
/// Keys of one page of a listing, at most.
const PAGE_KEYS: u32 = 1000;

/// An open bucket.
pub(super) struct Bucket {
    prefix: String,
}

/// A comparison with what lay under a key when it was made.
#[expect(unreachable_pub, reason = "generated code names it in a public type")]
pub struct Cas {
    key: String,
    /// Of the value; none where there was none.
    seen: Option<[u8; 32]>,
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    link_draft(linker)?;
    link_draft2(linker)?;
    let store = &mut linker.instance("fermyon:spin/key-value@2.0.0")?;
    buckets::<spin::Error>(store, "store")?;
    waiting!(store, "[static]store.open", open::<spin::Error>, (label: String))?;
    waiting!(store, "[method]store.get-keys", all_keys, (bucket: Resource<Bucket>))
}

fn link_draft(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use draft::store::Error;
    let store = &mut linker.instance("wasi:keyvalue/store@0.2.0-draft")?;
    buckets::<Error>(store, "bucket")?;
    waiting!(store, "open", open::<Error>, (identifier: String))?;
    waiting!(store, "[method]bucket.list-keys", list_from, (bucket: Resource<Bucket>, cursor: Option<u64>))?;
    let atomics = &mut linker.instance("wasi:keyvalue/atomics@0.2.0-draft")?;
    waiting!(atomics, "increment", increment_unsigned, (bucket: Resource<Bucket>, key: String, delta: u64))?;
    let batch = &mut linker.instance("wasi:keyvalue/batch@0.2.0-draft")?;
    waiting!(batch, "get-many", get_present, (bucket: Resource<Bucket>, keys: Vec<String>))?;
    batch_writes::<Error>(batch)
}

fn link_draft2(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use draft2::store::Error;
    let store = &mut linker.instance("wasi:keyvalue/store@0.2.0-draft2")?;
    buckets::<Error>(store, "bucket")?;
    waiting!(store, "open", open::<Error>, (identifier: String))?;
    waiting!(store, "[method]bucket.list-keys", list_after, (bucket: Resource<Bucket>, cursor: Option<String>))?;
    let atomics = &mut linker.instance("wasi:keyvalue/atomics@0.2.0-draft2")?;
    atomics.resource("cas", ResourceType::host::<Cas>(), forget::<Cas>)?;
    waiting!(atomics, "[static]cas.new", cas_new, (bucket: Resource<Bucket>, key: String))?;
    waiting!(atomics, "[method]cas.current", cas_current, (cas: Resource<Cas>))?;
    waiting!(atomics, "swap", swap, (cas: Resource<Cas>, value: Vec<u8>))?;
    waiting!(atomics, "increment", increment, (bucket: Resource<Bucket>, key: String, delta: i64))?;
    let batch = &mut linker.instance("wasi:keyvalue/batch@0.2.0-draft2")?;
    waiting!(batch, "get-many", get_all, (bucket: Resource<Bucket>, keys: Vec<String>))?;
    batch_writes::<Error>(batch)
}

/// What an error of ours becomes in each interface.
trait Told:
    wasmtime::component::ComponentType
    + wasmtime::component::Lower
    + From<Fault>
    + Send
    + Sync
    + 'static
{
}
impl<E> Told for E where
    E: wasmtime::component::ComponentType
        + wasmtime::component::Lower
        + From<Fault>
        + Send
        + Sync
        + 'static
{
}

/// The resource and those of its methods that all interfaces share.
fn buckets<E: Told>(store: &mut Linked<'_>, name: &'static str) -> wasmtime::Result<()> {
    store.resource(name, ResourceType::host::<Bucket>(), forget::<Bucket>)?;
    let method = |function: &str| format!("[method]{name}.{function}");
    waiting!(store, &method("get"), get::<E>, (bucket: Resource<Bucket>, key: String))?;
    waiting!(store, &method("set"), set::<E>, (bucket: Resource<Bucket>, key: String, value: Vec<u8>))?;
    waiting!(store, &method("delete"), delete::<E>, (bucket: Resource<Bucket>, key: String))?;
    waiting!(store, &method("exists"), exists::<E>, (bucket: Resource<Bucket>, key: String))
}

fn batch_writes<E: Told>(batch: &mut Linked<'_>) -> wasmtime::Result<()> {
    waiting!(batch, "set-many", set_many::<E>, (bucket: Resource<Bucket>, entries: Vec<(String, Vec<u8>)>))?;
    waiting!(batch, "delete-many", delete_many::<E>, (bucket: Resource<Bucket>, keys: Vec<String>))
}

async fn open<E: Told>(mut reach: impl Reach, name: String) -> Result<Resource<Bucket>, E> {
    if BUCKET_BYTES_MAX < name.len() {
        return Err(Fault::NoSuchStore.into());
    }
    let name = if name.is_empty() { "default" } else { &name };
    let prefix = format!("kv/{}/", state::segment(name));
    let kept = reach.with(|store| store.data_mut().ctx().table.push(Bucket { prefix }));
    kept.map_err(|error| Fault::other(error).into())
}

async fn get<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
) -> Result<Option<Vec<u8>>, E> {
    let key = key_in(&mut reach, &bucket, &key)?;
    Ok(state::get(&mut reach, key).await.map_err(Fault::from)?)
}

async fn set<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
    value: Vec<u8>,
) -> Result<(), E> {
    let key = key_in(&mut reach, &bucket, &key)?;
    Ok(put(&mut reach, key, value).await?)
}

async fn delete<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
) -> Result<(), E> {
    let key = key_in(&mut reach, &bucket, &key)?;
    Ok(remove(&mut reach, key).await?)
}

async fn exists<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
) -> Result<bool, E> {
    let key = key_in(&mut reach, &bucket, &key)?;
    let value = state::get(&mut reach, key).await.map_err(Fault::from)?;
    Ok(value.is_some())
}

/// Spin's listing has no pages: all of it must fit.
async fn all_keys(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
) -> Result<Vec<String>, spin::Error> {
    let prefix = prefix(&mut reach, &bucket)?;
    let mut room = Room::new(&mut reach);
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = page(&mut reach, &prefix, after).await?;
        for key in names(&page, &prefix) {
            room.take(key.len())?;
            keys.push(key);
        }
        after = page.cursor;
        if after.is_none() {
            return Ok(keys);
        }
    }
}

/// The first draft's cursor is how many keys were given already.
async fn list_from(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    cursor: Option<u64>,
) -> Result<draft::store::KeyResponse, draft::store::Error> {
    let prefix = prefix(&mut reach, &bucket)?;
    let from = cursor.unwrap_or(0);
    let (mut passed, mut after) = (0, None);
    loop {
        let page = page(&mut reach, &prefix, after).await?;
        let keys = names(&page, &prefix);
        let until = passed + keys.len() as u64;
        if from < until || page.cursor.is_none() {
            let skip = usize::try_from(from.saturating_sub(passed)).unwrap_or(usize::MAX);
            return Ok(draft::store::KeyResponse {
                keys: keys.into_iter().skip(skip).collect(),
                cursor: page.cursor.map(|_| until),
            });
        }
        (passed, after) = (until, page.cursor);
    }
}

/// The second draft's cursor is the last key that was given.
async fn list_after(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    cursor: Option<String>,
) -> Result<draft2::store::KeyResponse, draft2::store::Error> {
    let prefix = prefix(&mut reach, &bucket)?;
    let after = cursor.map(|key| format!("{prefix}{key}"));
    let page = page(&mut reach, &prefix, after).await?;
    let keys = names(&page, &prefix);
    let cursor = page.cursor.and_then(|_| keys.last().cloned());
    Ok(draft2::store::KeyResponse { keys, cursor })
}

async fn increment_unsigned(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
    delta: u64,
) -> Result<u64, draft::store::Error> {
    let key = key_in(&mut reach, &bucket, &key)?;
    let sum = add(&mut reach, key, i128::from(delta), u64::MAX.into()).await?;
    Ok(u64::try_from(sum).map_err(Fault::other)?)
}

async fn increment(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
    delta: i64,
) -> Result<i64, draft2::store::Error> {
    let key = key_in(&mut reach, &bucket, &key)?;
    let sum = add(&mut reach, key, i128::from(delta), i64::MAX.into()).await?;
    Ok(i64::try_from(sum).map_err(Fault::other)?)
}

/// Adds to a number. `max`: of the type in which the guest gets the sum; the least is that of `s64`, or 0 beside a maximum of `u64`.
async fn add(reach: &mut impl Reach, key: String, delta: i128, max: i128) -> Result<i128, Fault> {
    let old = state::get(&mut *reach, key.clone())
        .await
        .map_err(Fault::from)?;
    let number = Number::read(old.as_deref())?;
    let sum = number.value + delta;
    let min = if max == i128::from(u64::MAX) {
        0
    } else {
        i64::MIN.into()
    };
    if !(min..=max).contains(&sum) {
        return Err(Fault::Other(format!(
            "{} + {delta} is out of range",
            number.value
        )));
    }
    put(reach, key, number.write(sum)).await?;
    Ok(sum)
}

async fn get_present(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    keys: Vec<String>,
) -> Result<Vec<Option<(String, Vec<u8>)>>, draft::store::Error> {
    let found = many(&mut reach, &bucket, keys).await?;
    let present = |(key, value): (String, Option<Vec<u8>>)| value.map(|value| (key, value));
    Ok(found.into_iter().map(present).collect())
}

async fn get_all(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    keys: Vec<String>,
) -> Result<Vec<(String, Option<Vec<u8>>)>, draft2::store::Error> {
    Ok(many(&mut reach, &bucket, keys).await?)
}

async fn many(
    reach: &mut impl Reach,
    bucket: &Resource<Bucket>,
    keys: Vec<String>,
) -> Result<Vec<(String, Option<Vec<u8>>)>, Fault> {
    let mut room = Room::new(reach);
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let full = key_in(reach, bucket, &key)?;
        let value = state::get(&mut *reach, full).await.map_err(Fault::from)?;
        room.take(key.len() + value.as_ref().map_or(0, Vec::len))?;
        found.push((key, value));
    }
    Ok(found)
}

async fn set_many<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    entries: Vec<(String, Vec<u8>)>,
) -> Result<(), E> {
    for (key, value) in entries {
        let key = key_in(&mut reach, &bucket, &key)?;
        put(&mut reach, key, value).await?;
    }
    Ok(())
}

async fn delete_many<E: Told>(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    keys: Vec<String>,
) -> Result<(), E> {
    for key in keys {
        let key = key_in(&mut reach, &bucket, &key)?;
        remove(&mut reach, key).await?;
    }
    Ok(())
}

async fn cas_new(
    mut reach: impl Reach,
    bucket: Resource<Bucket>,
    key: String,
) -> Result<Resource<Cas>, draft2::store::Error> {
    let key = key_in(&mut reach, &bucket, &key)?;
    Ok(compare_with_now(&mut reach, key).await?)
}

async fn compare_with_now(reach: &mut impl Reach, key: String) -> Result<Resource<Cas>, Fault> {
    let value = state::get(&mut *reach, key.clone())
        .await
        .map_err(Fault::from)?;
    let seen = value.as_deref().map(digest);
    let cas = Cas { key, seen };
    reach
        .with(|store| store.data_mut().ctx().table.push(cas))
        .map_err(Fault::other)
}

async fn cas_current(
    mut reach: impl Reach,
    cas: Resource<Cas>,
) -> Result<Option<Vec<u8>>, draft2::store::Error> {
    let key = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table.get(&cas).map(|cas| cas.key.clone())
    });
    let key = key.map_err(Fault::other)?;
    let value = state::get(&mut reach, key).await.map_err(Fault::from)?;
    let seen = value.as_deref().map(digest);
    let noted = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table.get_mut(&cas).map(|cas| cas.seen = seen)
    });
    noted.map_err(Fault::other)?;
    Ok(value)
}

async fn swap(
    mut reach: impl Reach,
    cas: Resource<Cas>,
    value: Vec<u8>,
) -> Result<(), draft2::atomics::CasError> {
    use draft2::atomics::CasError;
    let failed = |fault: Fault| CasError::StoreError(fault.into());
    let taken = reach.with(|store| store.data_mut().ctx().table.delete(cas));
    let Cas { key, seen } = taken.map_err(|error| failed(Fault::other(error)))?;
    let now = state::get(&mut reach, key.clone()).await;
    let now = now.map_err(|error| failed(error.into()))?;
    if now.as_deref().map(digest) != seen {
        let next = compare_with_now(&mut reach, key).await.map_err(failed)?;
        return Err(CasError::CasFailed(next));
    }
    put(&mut reach, key, value).await.map_err(failed)
}

fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

/// Where a bucket's keys start in the grain's state.
fn prefix(reach: &mut impl Reach, bucket: &Resource<Bucket>) -> Result<String, Fault> {
    let found = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table.get(bucket).map(|bucket| bucket.prefix.clone())
    });
    found.map_err(Fault::other)
}

fn key_in(reach: &mut impl Reach, bucket: &Resource<Bucket>, key: &str) -> Result<String, Fault> {
    Ok(prefix(reach, bucket)? + key)
}

async fn put(reach: &mut impl Reach, key: String, value: Vec<u8>) -> Result<(), Fault> {
    may_write(reach)?;
    Ok(state::set(&mut *reach, key, value).await?)
}

async fn remove(reach: &mut impl Reach, key: String) -> Result<(), Fault> {
    may_write(reach)?;
    Ok(state::delete(&mut *reach, key).await?)
}

/// These interfaces have a word of their own for it.
fn may_write(reach: &mut impl Reach) -> Result<(), Fault> {
    let caller = reach.caller().map_err(Fault::Other)?;
    match reach.turn(caller, |turn| turn.context.mode) {
        Ok(Mode::Read) => Err(Fault::ReadOnly),
        Ok(_) => Ok(()),
        Err(gone) => Err(Fault::Other(gone)),
    }
}

async fn page(reach: &mut impl Reach, prefix: &str, after: Option<String>) -> Result<Page, Fault> {
    Ok(state::scan(&mut *reach, prefix.to_owned(), after, PAGE_KEYS).await?)
}

/// A page's keys as the guest knows them.
fn names(page: &Page, prefix: &str) -> Vec<String> {
    let keys = page.entries.iter();
    keys.filter_map(|entry| entry.key.strip_prefix(prefix).map(str::to_owned))
        .collect()
}

/// What one answer may hold in the host's memory.
struct Room {
    bytes: u64,
    left: u64,
}

impl Room {
    fn new(reach: &mut impl Reach) -> Self {
        let bytes = reach.with(|store| store.data().linked.spec().limits.host_memory);
        Self { bytes, left: bytes }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| {
            let bytes = self.bytes;
            Fault::Other(format!("the answer would take more than {bytes} bytes; ask for less at a time, or raise limits.host-memory"))
        })?;
        Ok(())
    }
}

/// A number as it lies in a bucket: decimal text, or the eight bytes, least first, that some guests write themselves.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    value: i128,
    is_binary: bool,
}

impl Number {
    fn read(bytes: Option<&[u8]>) -> Result<Self, Fault> {
        let Some(bytes) = bytes else {
            return Ok(Self {
                value: 0,
                is_binary: false,
            });
        };
        let text = std::str::from_utf8(bytes).ok();
        if let Some(value) = text.and_then(|text| text.trim().parse().ok()) {
            return Ok(Self {
                value,
                is_binary: false,
            });
        }
        match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => Ok(Self {
                value: i64::from_le_bytes(bytes).into(),
                is_binary: true,
            }),
            Err(_) => Err(Fault::Other(
                "the value under this key is no number: neither decimal text nor eight bytes"
                    .to_owned(),
            )),
        }
    }

    /// Another number in the same writing, where it fits.
    fn write(&self, value: i128) -> Vec<u8> {
        match i64::try_from(value) {
            Ok(value) if self.is_binary => value.to_le_bytes().to_vec(),
            Ok(_) | Err(_) => value.to_string().into_bytes(),
        }
    }
}

/// Why something did not work, before it is said in an interface's own words.
enum Fault {
    NoSuchStore,
    ReadOnly,
    Other(String),
}

impl Fault {
    fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::Other(error.text)
    }
}

/// The three interfaces have the same cases by name.
macro_rules! told_as {
    ($error:path) => {
        impl From<Fault> for $error {
            fn from(fault: Fault) -> Self {
                match fault {
                    Fault::NoSuchStore => Self::NoSuchStore,
                    Fault::ReadOnly => Self::AccessDenied,
                    Fault::Other(text) => Self::Other(text),
                }
            }
        }
    };
}
told_as!(draft::store::Error);
told_as!(draft2::store::Error);
told_as!(spin::Error);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Option<(i128, Vec<u8>)> {
        let number = Number::read(Some(bytes)).ok()?;
        Some((number.value, number.write(number.value + 1)))
    }

    #[test]
    fn a_number_stays_in_the_writing_in_which_it_was_found() {
        assert_eq!(number(b"41"), Some((41, b"42".to_vec())));
        assert_eq!(
            number(b"12345678"),
            Some((12_345_678, b"12345679".to_vec()))
        );
        assert_eq!(
            number(&7_i64.to_le_bytes()),
            Some((7, 8_i64.to_le_bytes().to_vec()))
        );
        assert_eq!(number(b"many"), None);
        let absent = Number::read(None).ok().expect("nothing counts as nought");
        assert_eq!((absent.value, absent.write(5)), (0, b"5".to_vec()));
    }
}
