//! What takes a guest's items out of its store.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    FutureAny, FutureConsumer, Source, StreamAny, StreamConsumer, StreamResult, Val,
};

use super::any::Any;
use super::port::Port;
use crate::guest::Guest;
use crate::interface::Flow;

/// Items, or bytes, that are taken of one write of the guest's at a time.
const ITEMS_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 10;

/// The bytes of a `stream<u8>`.
struct ByteItems(Port);

impl StreamConsumer<Guest> for ByteItems {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let port = &mut self.get_mut().0;
        if let Err(result) = ready!(port.poll_room(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let piece = bytes[..bytes.len().min(BYTES_MAX)].to_vec();
        source.mark_read(piece.len());
        Poll::Ready(Ok(port.put(piece)))
    }
}

/// The items of any other stream.
struct Items(Port);

impl StreamConsumer<Guest> for Items {
    type Item = Any;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, Any>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let port = &mut self.get_mut().0;
        if let Err(result) = ready!(port.poll_room(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let mut items = Vec::with_capacity(ITEMS_MAX);
        Any::read(|| source.read(store, &mut items))?;
        let (piece, whole) = port.written(items.into_iter().map(|Any(item)| item));
        let result = port.put(piece);
        Poll::Ready(Ok(if whole { result } else { StreamResult::Dropped }))
    }
}

/// The value of a future.
struct Value(Option<oneshot::Sender<Val>>);

impl FutureConsumer<Guest> for Value {
    type Item = Any;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, Any>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        Any::read(|| source.read(store, &mut value))?;
        if let (Some(Any(value)), Some(sender)) = (value, self.get_mut().0.take()) {
            // Whoever waited may have been stopped.
            drop(sender.send(value));
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets a stream's items flow out of a port.
pub(super) fn pipe_stream(
    store: StoreContextMut<'_, Guest>,
    stream: StreamAny,
    flow: Flow,
    port: Port,
) -> wasmtime::Result<()> {
    if flow.is_bytes() {
        let bytes = stream.try_into_stream_reader::<u8>()?;
        return bytes.pipe(store, ByteItems(port));
    }
    let items = stream.try_into_stream_reader::<Any>()?;
    items.pipe(store, Items(port))
}

/// Lets the value of a future go to whoever waits for it.
pub(super) fn pipe_future(
    store: StoreContextMut<'_, Guest>,
    future: FutureAny,
    sender: oneshot::Sender<Val>,
) -> wasmtime::Result<()> {
    let value = future.try_into_future_reader::<Any>()?;
    value.pipe(store, Value(Some(sender)))
}
