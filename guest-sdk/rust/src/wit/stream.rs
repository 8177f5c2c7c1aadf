//! Answers that flow.

use std::alloc::Layout as Memory;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use wit_bindgen::rt::async_support::{StreamVtable, StreamWriter, stream_new};

use super::describe::Type;
use super::glue::Slots;
use super::layout::layout;
use super::values::{Payload, WitType};

/// The answer of an `async fn`, alone or as the `Ok` of a `Result`, whose items leave as they come: `stream<t>` in WIT.
///
/// The function makes it of a producer and returns. The producer runs from then on, as a part of the same turn, and the stream ends with
/// it. Over HTTP it is lines of JSON or server-sent events; a `Stream<u8>` is a body of bytes.
///
/// ```
/// use granary_sdk::{Stream, interface};
///
/// struct Clock;
///
/// #[interface]
/// impl Clock {
///     /// Counts down.
///     async fn count_down(from: u32) -> Result<Stream<u32>, String> {
///         if 1000 < from {
///             return Err("that would take too long".to_owned());
///         }
///         Ok(Stream::new(async move |mut items| {
///             for number in (0..from).rev() {
///                 items.send(number).await?;
///             }
///             Ok(())
///         }))
///     }
/// }
///
/// granary_sdk::grain!(Clock);
/// # fn main() {}
/// ```
///
/// Once items have left, the turn may write no more: what is to be kept is written before the function returns, and then the items wait for
/// the commit. A `future<t>` has no type of its own, for an `async fn` that awaits the value and answers it is the same to its callers.
pub struct Stream<T: 'static>(Box<dyn FnOnce(Items<T>) -> Producing>);

type Producing = Pin<Box<dyn Future<Output = Result<(), Closed>>>>;

/// Nobody takes the items of a stream any more: its caller has gone, or its time is up. A producer ends then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody takes the items of the stream any more")
    }
}

impl std::error::Error for Closed {}

/// Where a producer sends its items.
pub struct Items<T: 'static>(Way<T>);

enum Way<T: 'static> {
    Out(StreamWriter<T>),
    /// For [`Stream::collect`].
    Kept(Rc<RefCell<Vec<T>>>),
}

impl<T: WitType> Stream<T> {
    /// A stream of what a producer sends. It is not begun before the function that makes it has returned.
    pub fn new(produce: impl AsyncFnOnce(Items<T>) -> Result<(), Closed> + 'static) -> Self {
        Self(Box::new(|items| {
            Box::pin(async move { produce(items).await })
        }))
    }

    /// Runs the producer, and gives all that it sends: for tests of a grain's code.
    pub async fn collect(self) -> Vec<T> {
        let kept = Rc::new(RefCell::new(Vec::new()));
        let sent = self.0(Items(Way::Kept(kept.clone()))).await;
        debug_assert_eq!(sent, Ok(()), "what is kept here is never closed");
        kept.take()
    }
}

impl<T: 'static> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<T: WitType> Items<T> {
    /// Sends an item, as soon as there is room for it.
    pub async fn send(&mut self, item: T) -> Result<(), Closed> {
        self.send_all(vec![item]).await
    }

    /// Sends several, in one go where there is room. It costs less than one by one; bytes are best sent so.
    pub async fn send_all(&mut self, items: Vec<T>) -> Result<(), Closed> {
        match &mut self.0 {
            Way::Out(writer) => {
                let rest = writer.write_all(items).await;
                rest.is_empty().then_some(()).ok_or(Closed)
            }
            Way::Kept(kept) => {
                kept.borrow_mut().extend(items);
                Ok(())
            }
        }
    }
}

impl<T: 'static> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}

/// An answer with a stream in it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer with a stream",
    note = "`Stream<T>` of `granary_sdk` stands alone, or as the `Ok` of a `Result`; another type of that name is named by an alias without `Stream`"
)]
pub trait Flows {
    /// What flows.
    type Item: WitType;
    /// The answer as it passes.
    type Opened: Payload;

    /// Opens the stream. The producer is still to run.
    fn open(self, operations: &'static StreamVtable<Self::Item>) -> (Self::Opened, Option<Rest>);
}

/// What is left to do when an answer has been handed over.
pub type Rest = Pin<Box<dyn Future<Output = ()>>>;

impl<T: WitType> Flows for Stream<T> {
    type Item = T;
    type Opened = Handle<T>;

    fn open(self, operations: &'static StreamVtable<T>) -> (Handle<T>, Option<Rest>) {
        // SAFETY: `operations` made them of the imports for a stream of this type.
        let (writer, reader) = unsafe { stream_new(operations) };
        let rest = async move {
            // Who is gone need not be told.
            let _: Result<(), Closed> = self.0(Items(Way::Out(writer))).await;
        };
        (
            Handle(reader.take_handle(), PhantomData),
            Some(Box::pin(rest)),
        )
    }
}

impl<T: WitType, E: Payload> Flows for Result<Stream<T>, E> {
    type Item = T;
    type Opened = Result<Handle<T>, E>;

    fn open(self, operations: &'static StreamVtable<T>) -> (Self::Opened, Option<Rest>) {
        match self {
            Ok(stream) => {
                let (handle, rest) = stream.open(operations);
                (Ok(handle), rest)
            }
            Err(error) => (Err(error), None),
        }
    }
}

/// The end of a stream that is handed over.
#[derive(Debug)]
pub struct Handle<T>(u32, PhantomData<fn() -> T>);

// SAFETY: an index, which passes as a `u32` does.
unsafe impl<T: WitType> WitType for Handle<T> {
    const TYPE: &'static Type = &Type::Stream(T::TYPE);

    unsafe fn load(at: *mut u8) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { u32::load(at) }, PhantomData)
    }

    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store(at) };
    }

    unsafe fn lift(slots: &mut Slots) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { u32::lift(slots) }, PhantomData)
    }

    fn lower(self, slots: &mut Slots) {
        self.0.lower(slots);
    }
}

/// The imports for the streams of one function.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the canonical function of its name")]
pub struct Imports {
    pub new: unsafe extern "C" fn() -> u64,
    pub read: unsafe extern "C" fn(u32, *mut u8, usize) -> u32,
    pub write: unsafe extern "C" fn(u32, *const u8, usize) -> u32,
    pub cancel_read: unsafe extern "C" fn(u32) -> u32,
    pub cancel_write: unsafe extern "C" fn(u32) -> u32,
    pub drop_readable: unsafe extern "C" fn(u32),
    pub drop_writable: unsafe extern "C" fn(u32),
}

/// What streams of a type are worked with.
pub const fn operations<T: WitType>(imports: Imports) -> StreamVtable<T> {
    let found = layout(T::TYPE);
    // SAFETY: the ABI's alignments are powers of two, and no item of theirs is near the size of the memory.
    let layout = unsafe { Memory::from_size_align_unchecked(found.size, found.align) };
    // Numbers lie in a `Vec` as they pass.
    let is_number = is_number(T::TYPE);
    StreamVtable {
        layout,
        lower: if is_number { None } else { Some(T::store) },
        dealloc_lists: if is_number { None } else { Some(free::<T>) },
        lift: if is_number { None } else { Some(T::load) },
        start_write: imports.write,
        start_read: imports.read,
        cancel_write: imports.cancel_write,
        cancel_read: imports.cancel_read,
        drop_writable: imports.drop_writable,
        drop_readable: imports.drop_readable,
        new: imports.new,
    }
}

const fn is_number(ty: &Type) -> bool {
    matches!(
        ty,
        Type::U8
            | Type::S8
            | Type::U16
            | Type::S16
            | Type::U32
            | Type::S32
            | Type::U64
            | Type::S64
            | Type::F32
            | Type::F64
    )
}

/// Frees what an item owns that was sent.
unsafe fn free<T: WitType>(at: *mut u8) {
    // SAFETY: it lies there, and nobody looks there any more.
    drop(unsafe { T::load(at) });
}
