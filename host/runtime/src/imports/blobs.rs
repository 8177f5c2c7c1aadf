//! `wasi:blobstore`: containers of objects in the grain's own state, transactional with the turn and under its limits.
//!
//! | state key | holds |
//! |---|---|
//! | `blob/CONTAINER` | a container's [`Born`] as JSON |
//! | `blob/CONTAINER/NAME` | an object's [`Record`] as JSON |
//! | `blob-data/CONTAINER/NAME/00000000` and on | an object's bytes, in pieces that fit `limits.state-value` |
//!
//! In a container's name `/` and `%` are percent-encoded. An object is written when its value is finished, and read when it is asked for:
//! what is on its way in or out lies in the host's memory, all of it together under `limits.host-memory`.

mod objects;
pub(crate) mod values;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;

use super::{Reach, forget, state, waiting};
use crate::bindings::granary::grain::state::StateError;
use crate::bindings::wasi::blobstore::types::{ContainerMetadata, ObjectId, ObjectMetadata};
use crate::guest::Guest;
use objects::Object;
use values::{Incoming, Outgoing};

/// Object names that one question is answered with, at most.
const PAGE_NAMES: u32 = 1000;

/// An open container.
pub(crate) struct Container {
    name: String,
}

/// A listing that goes on where it stopped.
pub(crate) struct Names {
    container: String,
    /// The state key of the last one.
    after: Option<String>,
    ended: bool,
}

/// When something was made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Born {
    /// Seconds since the Unix epoch.
    created_at: u64,
}

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Record {
    /// Seconds since the Unix epoch.
    created_at: u64,
    /// Bytes in all.
    size: u64,
    /// Bytes of every piece but the last.
    piece: u64,
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    values::link(&mut linker.instance("wasi:blobstore/types@0.2.0-draft")?)?;
    let store = &mut linker.instance("wasi:blobstore/blobstore@0.2.0-draft")?;
    waiting!(store, "create-container", create, (name: String))?;
    waiting!(store, "get-container", open, (name: String))?;
    waiting!(store, "delete-container", delete_container, (name: String))?;
    waiting!(store, "container-exists", exists, (name: String))?;
    waiting!(store, "copy-object", copy, (from: ObjectId, to: ObjectId))?;
    waiting!(store, "move-object", rename, (from: ObjectId, to: ObjectId))?;
    let container = &mut linker.instance("wasi:blobstore/container@0.2.0-draft")?;
    container.resource(
        "container",
        ResourceType::host::<Container>(),
        forget::<Container>,
    )?;
    container.resource(
        "stream-object-names",
        ResourceType::host::<Names>(),
        forget::<Names>,
    )?;
    waiting!(container, "[method]container.name", name, (this: Resource<Container>))?;
    waiting!(container, "[method]container.info", info, (this: Resource<Container>))?;
    waiting!(container, "[method]container.get-data", read, (this: Resource<Container>, name: String, start: u64, end: u64))?;
    waiting!(container, "[method]container.write-data", write, (this: Resource<Container>, name: String, value: Resource<Outgoing>))?;
    waiting!(container, "[method]container.list-objects", list, (this: Resource<Container>))?;
    waiting!(container, "[method]container.delete-object", delete, (this: Resource<Container>, name: String))?;
    waiting!(container, "[method]container.delete-objects", delete_many, (this: Resource<Container>, names: Vec<String>))?;
    waiting!(container, "[method]container.has-object", has, (this: Resource<Container>, name: String))?;
    waiting!(container, "[method]container.object-info", object_info, (this: Resource<Container>, name: String))?;
    waiting!(container, "[method]container.clear", clear, (this: Resource<Container>))?;
    waiting!(container, "[method]stream-object-names.read-stream-object-names", next, (this: Resource<Names>, len: u64))?;
    waiting!(container, "[method]stream-object-names.skip-stream-object-names", skip, (this: Resource<Names>, num: u64))
}

async fn create(mut reach: impl Reach, name: String) -> Result<Resource<Container>, String> {
    if born(&mut reach, &name).await?.is_some() {
        return Err(format!("container '{name}' already exists"));
    }
    let born = Born { created_at: now() };
    let json = serde_json::to_vec(&born).map_err(|error| error.to_string())?;
    let set = state::set(&mut reach, container_key(&name), json).await;
    set.map_err(said)?;
    keep(&mut reach, Container { name })
}

async fn open(mut reach: impl Reach, name: String) -> Result<Resource<Container>, String> {
    must_exist(&mut reach, &name).await?;
    keep(&mut reach, Container { name })
}

async fn exists(mut reach: impl Reach, name: String) -> Result<bool, String> {
    Ok(born(&mut reach, &name).await?.is_some())
}

async fn delete_container(mut reach: impl Reach, name: String) -> Result<(), String> {
    if born(&mut reach, &name).await?.is_none() {
        return Ok(());
    }
    empty(&mut reach, &name).await?;
    state::delete(&mut reach, container_key(&name))
        .await
        .map_err(said)
}

async fn copy(mut reach: impl Reach, from: ObjectId, to: ObjectId) -> Result<(), String> {
    must_exist(&mut reach, &to.container).await?;
    let bytes = Object::new(&from.container, &from.object)
        .load(&mut reach, 0, u64::MAX)
        .await?;
    Object::new(&to.container, &to.object)
        .store(&mut reach, &bytes)
        .await
}

async fn rename(mut reach: impl Reach, from: ObjectId, to: ObjectId) -> Result<(), String> {
    if (&from.container, &from.object) == (&to.container, &to.object) {
        return Ok(());
    }
    copy(&mut reach, from.clone(), to).await?;
    Object::new(&from.container, &from.object)
        .remove(&mut reach)
        .await
}

async fn name(mut reach: impl Reach, this: Resource<Container>) -> Result<String, String> {
    of(&mut reach, &this)
}

async fn info(
    mut reach: impl Reach,
    this: Resource<Container>,
) -> Result<ContainerMetadata, String> {
    let name = of(&mut reach, &this)?;
    let created_at = must_exist(&mut reach, &name).await?.created_at;
    Ok(ContainerMetadata { name, created_at })
}

async fn read(
    mut reach: impl Reach,
    this: Resource<Container>,
    name: String,
    start: u64,
    end: u64,
) -> Result<Resource<Incoming>, String> {
    let container = of(&mut reach, &this)?;
    let bytes = Object::new(&container, &name)
        .load(&mut reach, start, end)
        .await?;
    keep(&mut reach, Incoming { bytes })
}

/// Only notes where the value goes: its bytes come later.
async fn write(
    mut reach: impl Reach,
    this: Resource<Container>,
    name: String,
    value: Resource<Outgoing>,
) -> Result<(), String> {
    let container = of(&mut reach, &this)?;
    must_exist(&mut reach, &container).await?;
    reach.with(|store| {
        let table = store.data_mut().ctx().table;
        let value = table.get_mut(&value).map_err(|error| error.to_string())?;
        value.aim(Object::new(&container, &name))
    })
}

async fn list(mut reach: impl Reach, this: Resource<Container>) -> Result<Resource<Names>, String> {
    let container = of(&mut reach, &this)?;
    must_exist(&mut reach, &container).await?;
    let names = Names {
        container,
        after: None,
        ended: false,
    };
    keep(&mut reach, names)
}

async fn delete(
    mut reach: impl Reach,
    this: Resource<Container>,
    name: String,
) -> Result<(), String> {
    delete_many(&mut reach, this, vec![name]).await
}

async fn delete_many(
    mut reach: impl Reach,
    this: Resource<Container>,
    names: Vec<String>,
) -> Result<(), String> {
    let container = of(&mut reach, &this)?;
    for name in names {
        Object::new(&container, &name).remove(&mut reach).await?;
    }
    Ok(())
}

async fn has(
    mut reach: impl Reach,
    this: Resource<Container>,
    name: String,
) -> Result<bool, String> {
    let container = of(&mut reach, &this)?;
    let record = Object::new(&container, &name).record(&mut reach).await?;
    Ok(record.is_some())
}

async fn object_info(
    mut reach: impl Reach,
    this: Resource<Container>,
    name: String,
) -> Result<ObjectMetadata, String> {
    let container = of(&mut reach, &this)?;
    let object = Object::new(&container, &name);
    let record = object.must_exist(&mut reach).await?;
    Ok(ObjectMetadata {
        name,
        container,
        created_at: record.created_at,
        size: record.size,
    })
}

async fn clear(mut reach: impl Reach, this: Resource<Container>) -> Result<(), String> {
    let container = of(&mut reach, &this)?;
    empty(&mut reach, &container).await
}

async fn next(
    mut reach: impl Reach,
    this: Resource<Names>,
    len: u64,
) -> Result<(Vec<String>, bool), String> {
    advance(&mut reach, &this, len).await
}

async fn skip(
    mut reach: impl Reach,
    this: Resource<Names>,
    num: u64,
) -> Result<(u64, bool), String> {
    let (mut skipped, mut ended) = (0, false);
    while skipped < num && !ended {
        let names;
        (names, ended) = advance(&mut reach, &this, num - skipped).await?;
        skipped += names.len() as u64;
    }
    Ok((skipped, ended))
}

async fn advance(
    reach: &mut impl Reach,
    this: &Resource<Names>,
    count: u64,
) -> Result<(Vec<String>, bool), String> {
    let place = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table
            .get(this)
            .map(|names| (names.container.clone(), names.after.clone(), names.ended))
    });
    let (container, after, ended) = place.map_err(|error| error.to_string())?;
    if ended || count == 0 {
        return Ok((Vec::new(), ended));
    }
    let wanted = u32::try_from(count).unwrap_or(PAGE_NAMES);
    let (names, last) = page(reach, &container, after, wanted.min(PAGE_NAMES)).await?;
    let ended = last.is_none();
    let noted = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table.get_mut(this).map(|names| {
            names.after = last;
            names.ended = ended;
        })
    });
    noted.map_err(|error| error.to_string())?;
    Ok((names, ended))
}

/// Names of objects, and where the next page begins.
async fn page(
    reach: &mut impl Reach,
    container: &str,
    after: Option<String>,
    count: u32,
) -> Result<(Vec<String>, Option<String>), String> {
    let prefix = container_key(container) + "/";
    let page = state::scan(&mut *reach, prefix.clone(), after, count)
        .await
        .map_err(said)?;
    let keys = page.entries.iter();
    let names = keys
        .filter_map(|entry| entry.key.strip_prefix(&prefix).map(str::to_owned))
        .collect();
    Ok((names, page.cursor))
}

async fn empty(reach: &mut impl Reach, container: &str) -> Result<(), String> {
    let mut after = None;
    loop {
        let names;
        (names, after) = page(reach, container, after, PAGE_NAMES).await?;
        for name in names {
            Object::new(container, &name).remove(reach).await?;
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

/// An open container's name.
fn of(reach: &mut impl Reach, this: &Resource<Container>) -> Result<String, String> {
    let name = reach.with(|store| {
        let table = store.data_mut().ctx().table;
        table.get(this).map(|container| container.name.clone())
    });
    name.map_err(|error| error.to_string())
}

fn keep<T: Send + 'static>(reach: &mut impl Reach, thing: T) -> Result<Resource<T>, String> {
    reach
        .with(|store| store.data_mut().ctx().table.push(thing))
        .map_err(|error| error.to_string())
}

async fn must_exist(reach: &mut impl Reach, container: &str) -> Result<Born, String> {
    born(reach, container)
        .await?
        .ok_or_else(|| format!("container '{container}' does not exist"))
}

async fn born(reach: &mut impl Reach, container: &str) -> Result<Option<Born>, String> {
    read_json(reach, container_key(container)).await
}

async fn read_json<T: serde::de::DeserializeOwned>(
    reach: &mut impl Reach,
    key: String,
) -> Result<Option<T>, String> {
    let Some(json) = state::get(&mut *reach, key.clone()).await.map_err(said)? else {
        return Ok(None);
    };
    serde_json::from_slice(&json).map(Some).map_err(|error| {
        format!("the state value '{key}' was not written by wasi:blobstore: {error}")
    })
}

fn container_key(name: &str) -> String {
    format!("blob/{}", state::segment(name))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// This interface's errors are only words.
fn said(error: StateError) -> String {
    error.text
}
