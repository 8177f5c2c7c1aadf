//! Bytes on their way: values that a guest writes through a stream, and values that it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::objects::Object;
use crate::guest::Guest;
use crate::imports::{Linked, Reach, forget, waiting};

/// How much a guest may write at once.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// How many bytes of values lie in the host's memory for one guest.
#[derive(Debug)]
pub(crate) struct Buffers {
    used: AtomicU64,
    max: u64,
}

impl Buffers {
    /// None yet, at most `max`.
    pub(crate) fn new(max: u64) -> Arc<Self> {
        let used = AtomicU64::new(0);
        Arc::new(Self { used, max })
    }
}

/// Some of those bytes. They count until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    buffers: Arc<Buffers>,
    bytes: Vec<u8>,
}

impl Held {
    pub(super) fn new(buffers: Arc<Buffers>) -> Self {
        Self {
            buffers,
            bytes: Vec::new(),
        }
    }

    /// Errors: all values together would be too large. Nothing was added.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (more, max) = (bytes.len() as u64, self.buffers.max);
        let add = |used: u64| used.checked_add(more).filter(|used| *used <= max);
        let added = self
            .buffers
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        added.map_err(|_| {
            format!("the values that are being read and written would take more than {max} bytes at a time; raise limits.host-memory")
        })?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes that still count until the last of them is dropped.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.len() as u64;
        self.buffers.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// A value that was read.
pub(crate) struct Incoming {
    pub(super) bytes: Bytes,
}

/// A value that is being written.
pub(crate) struct Outgoing {
    body: Arc<Mutex<Body>>,
    opened: bool,
    target: Option<Object>,
}

struct Body {
    held: Held,
    /// Why it is not whole.
    failed: Option<String>,
}

impl Outgoing {
    /// Says what it will be. Once.
    pub(super) fn aim(&mut self, at: Object) -> Result<(), String> {
        if let Some(target) = &self.target {
            let name = target.name();
            return Err(format!(
                "this value is already being written as '{name}'; make one value for each object"
            ));
        }
        self.target = Some(at);
        Ok(())
    }
}

pub(super) fn link(types: &mut Linked<'_>) -> wasmtime::Result<()> {
    types.resource(
        "outgoing-value",
        ResourceType::host::<Outgoing>(),
        forget::<Outgoing>,
    )?;
    types.resource(
        "incoming-value",
        ResourceType::host::<Incoming>(),
        forget::<Incoming>,
    )?;
    types.func_wrap(
        "[static]outgoing-value.new-outgoing-value",
        |mut store: StoreContextMut<'_, Guest>, (): ()| {
            let held = Held::new(store.data().buffers.clone());
            let body = Arc::new(Mutex::new(Body { held, failed: None }));
            let value = Outgoing {
                body,
                opened: false,
                target: None,
            };
            Ok((store.data_mut().ctx().table.push(value)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-value.outgoing-value-write-body",
        |mut store: StoreContextMut<'_, Guest>, (this,): (Resource<Outgoing>,)| {
            let table = store.data_mut().ctx().table;
            let value = table.get_mut(&this)?;
            if std::mem::replace(&mut value.opened, true) {
                return Ok((Err(()),));
            }
            let stream: DynOutputStream = Box::new(Writer {
                body: value.body.clone(),
            });
            Ok((Ok(table.push(stream)?),))
        },
    )?;
    types.func_wrap(
        "[method]incoming-value.size",
        |mut store: StoreContextMut<'_, Guest>, (this,): (Resource<Incoming>,)| {
            Ok((store.data_mut().ctx().table.get(&this)?.bytes.len() as u64,))
        },
    )?;
    types.func_wrap(
        "[static]incoming-value.incoming-value-consume-sync",
        |mut store: StoreContextMut<'_, Guest>, (this,): (Resource<Incoming>,)| {
            let value = store.data_mut().ctx().table.delete(this)?;
            Ok((Ok::<_, String>(value.bytes.to_vec()),))
        },
    )?;
    types.func_wrap(
        "[static]incoming-value.incoming-value-consume-async",
        |mut store: StoreContextMut<'_, Guest>, (this,): (Resource<Incoming>,)| {
            let table = store.data_mut().ctx().table;
            let value = table.delete(this)?;
            let stream: DynInputStream = Box::new(MemoryInputPipe::new(value.bytes));
            Ok((Ok::<_, String>(table.push(stream)?),))
        },
    )?;
    waiting!(types, "[static]outgoing-value.finish", finish, (this: Resource<Outgoing>))
}

/// Writes the object, if it was said which.
async fn finish(mut reach: impl Reach, this: Resource<Outgoing>) -> Result<(), String> {
    let taken = reach.with(|store| store.data_mut().ctx().table.delete(this));
    let value = taken.map_err(|error| error.to_string())?;
    let body = {
        let mut body = value.body.lock();
        if let Some(why) = body.failed.take() {
            return Err(why);
        }
        let empty = Held::new(body.held.buffers.clone());
        std::mem::replace(&mut body.held, empty)
    };
    match value.target {
        Some(object) => object.store(&mut reach, body.as_ref()).await,
        None => Ok(()),
    }
}

/// The stream of a value.
struct Writer {
    body: Arc<Mutex<Body>>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut body = self.body.lock();
        body.held.extend(&bytes).map_err(|why| {
            body.failed = Some(why.clone());
            StreamError::LastOperationFailed(wasmtime::format_err!("{why}"))
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.body.lock().failed {
            Some(_) => Err(StreamError::Closed),
            None => Ok(WRITE_BYTES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_share_one_limit_and_give_back_what_they_held() {
        let buffers = Buffers::new(10);
        let mut one = Held::new(buffers.clone());
        let mut other = Held::new(buffers.clone());
        one.extend(b"123456").unwrap();
        assert!(
            other
                .extend(b"12345")
                .unwrap_err()
                .contains("more than 10 bytes")
        );
        let bytes = one.freeze();
        let part = bytes.slice(0..1);
        drop(bytes);
        assert!(other.extend(b"12345").is_err(), "a part keeps the whole");
        drop(part);
        other.extend(b"12345").unwrap();
        drop(other);
        assert_eq!(buffers.used.load(Ordering::Acquire), 0);
    }
}
