//! The types of items: Wasmtime 48 reads a stream or a future only as a type that the host knows when it is compiled. What is none of these
//! is refused at upload, by [`crate::interface`].

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentType, FutureAny, FutureConsumer, Lift, Source, StreamAny, StreamConsumer,
    StreamResult, Val,
};

use super::port::Port;
use crate::guest::Guest;
use crate::interface::Item;

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
struct Items<T>(Port, PhantomData<fn() -> T>);

impl<T: IntoVal> StreamConsumer<Guest> for Items<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let port = &mut self.get_mut().0;
        if let Err(result) = ready!(port.poll_room(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let mut items = Vec::with_capacity(ITEMS_MAX);
        source.read(store, &mut items)?;
        let (piece, whole) = port.written(items.into_iter().map(T::into_val));
        let result = port.put(piece);
        Poll::Ready(Ok(if whole { result } else { StreamResult::Dropped }))
    }
}

/// The value of a future.
struct Value<T>(Option<oneshot::Sender<Val>>, PhantomData<fn() -> T>);

impl<T: IntoVal> FutureConsumer<Guest> for Value<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some(sender)) = (value, self.get_mut().0.take()) {
            // Whoever waited may have been stopped.
            drop(sender.send(T::into_val(value)));
        }
        Poll::Ready(Ok(()))
    }
}

/// A type of the host's that is one of [`Item`].
trait IntoVal: ComponentType + Lift + Send + Sync + 'static {
    fn into_val(self) -> Val;
}

macro_rules! into_val {
    ($($rust:ty => $val:ident),*) => { $(impl IntoVal for $rust {
        fn into_val(self) -> Val {
            Val::$val(self)
        }
    })* };
}
into_val!(bool => Bool, u8 => U8, i8 => S8, u16 => U16, i16 => S16, u32 => U32, i32 => S32, u64 => U64, i64 => S64);
into_val!(f32 => Float32, f64 => Float64, char => Char, String => String);

impl IntoVal for Vec<u8> {
    fn into_val(self) -> Val {
        Val::List(self.into_iter().map(Val::U8).collect())
    }
}

/// Chooses the type of the host's.
macro_rules! by_item {
    ($item:expr, $do:ident!($($arg:expr),*)) => {
        match $item {
            Item::Bool => $do!(bool, $($arg),*),
            Item::U8 => $do!(u8, $($arg),*),
            Item::S8 => $do!(i8, $($arg),*),
            Item::U16 => $do!(u16, $($arg),*),
            Item::S16 => $do!(i16, $($arg),*),
            Item::U32 => $do!(u32, $($arg),*),
            Item::S32 => $do!(i32, $($arg),*),
            Item::U64 => $do!(u64, $($arg),*),
            Item::S64 => $do!(i64, $($arg),*),
            Item::F32 => $do!(f32, $($arg),*),
            Item::F64 => $do!(f64, $($arg),*),
            Item::Char => $do!(char, $($arg),*),
            Item::String => $do!(String, $($arg),*),
            Item::Bytes => $do!(Vec<u8>, $($arg),*),
        }
    };
}

/// Lets a stream's items flow out of a port.
pub(super) fn pipe_stream(
    store: StoreContextMut<'_, Guest>,
    stream: StreamAny,
    item: Item,
    port: Port,
) -> wasmtime::Result<()> {
    macro_rules! pipe {
        ($type:ty, $stream:expr) => {
            $stream
                .try_into_stream_reader::<$type>()?
                .pipe(store, Items::<$type>(port, PhantomData))
        };
    }
    if item == Item::U8 {
        return stream
            .try_into_stream_reader::<u8>()?
            .pipe(store, ByteItems(port));
    }
    by_item!(item, pipe!(stream))
}

/// Lets the value of a future go to whoever waits for it.
pub(super) fn pipe_future(
    store: StoreContextMut<'_, Guest>,
    future: FutureAny,
    item: Item,
    sender: oneshot::Sender<Val>,
) -> wasmtime::Result<()> {
    macro_rules! pipe {
        ($type:ty, $future:expr) => {
            $future
                .try_into_future_reader::<$type>()?
                .pipe(store, Value::<$type>(Some(sender), PhantomData))
        };
    }
    by_item!(item, pipe!(future))
}
