//! Between a component's exports and the functions of an interface.
//!
//! The signature of an export depends on the types of its function, which a macro does not know. So each export has sixteen parameters
//! and a result of the type `<Core<KIND> as CoreType>::Of`, where a constant function tells the kind. What is not there is `()`, which
//! is no parameter at all on WebAssembly.

use std::alloc::{Layout as Memory, alloc, dealloc, handle_alloc_error};

use super::layout::SLOTS;
pub use super::layout::{Flat, flat, layout, number_bytes, offset};
pub use super::values::{Payload, WitType};

pub use super::comments::{comments, comments_len};
pub use super::encode::{component_type, component_type_len};
pub use super::stream::{Flows, Imports, Rest, operations};

pub use wit_bindgen::rt::async_support::StreamVtable;

/// The core type of a kind.
#[derive(Debug)]
pub struct Core<const KIND: u8>;

/// What [`Core`] stands for.
pub trait CoreType {
    /// `()` or a number.
    type Of: CoreValue;
}

/// A core value within the 64 bits of a slot.
pub trait CoreValue: Copy {
    /// Out of the low bits.
    fn from_slot(slot: u64) -> Self;
    /// Into the low bits, zeros above.
    fn slot(self) -> u64;
}

macro_rules! core_types {
    ($($kind:ident $of:ty, $from:expr, $into:expr;)*) => { $(
        impl CoreType for Core<{ super::layout::$kind }> {
            type Of = $of;
        }

        impl CoreValue for $of {
            fn from_slot(slot: u64) -> Self {
                let from: fn(u64) -> Self = $from;
                from(slot)
            }

            fn slot(self) -> u64 {
                let into: fn(Self) -> u64 = $into;
                into(self)
            }
        }
    )* };
}

core_types! {
    NOTHING (), |_| (), |()| 0;
    I32 i32, |slot| slot as Self, |value| u64::from(value.cast_unsigned());
    I64 i64, u64::cast_signed, Self::cast_unsigned;
    F32 f32, |slot| Self::from_bits(slot as u32), |value| u64::from(value.to_bits());
    F64 f64, Self::from_bits, Self::to_bits;
}

/// Core values in a row: arguments that come, or an answer that goes.
#[derive(Debug)]
pub struct Slots {
    values: [u64; SLOTS],
    at: usize,
}

impl Slots {
    pub(super) fn new(values: [u64; SLOTS]) -> Self {
        Self { values, at: 0 }
    }

    /// The next one.
    pub fn take(&mut self) -> u64 {
        self.at += 1;
        self.values[self.at - 1]
    }

    pub(super) fn take_address(&mut self) -> *mut u8 {
        address(self.take())
    }

    /// One more.
    pub fn put(&mut self, value: u64) {
        self.values[self.at] = value;
        self.at += 1;
    }

    pub(super) fn put_address(&mut self, at: *mut u8) {
        self.put(at.expose_provenance() as u64);
    }

    /// A sum takes as many as its widest case, whichever case it is.
    pub fn sum<T>(&mut self, len: usize, pass: impl FnOnce(&mut Self) -> T) -> T {
        let end = self.at + len;
        let passed = pass(self);
        self.at = end;
        passed
    }
}

fn address(slot: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(slot as usize)
}

/// Reads a case's number or a set of flags.
///
/// # Safety
///
/// It lies there, aligned, in so many bytes.
pub unsafe fn number(at: *const u8, bytes: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            1 => u32::from(at.read()),
            2 => u32::from(at.cast::<u16>().read()),
            _ => at.cast::<u32>().read(),
        }
    }
}

/// Writes what [`number`] reads.
///
/// # Safety
///
/// There is room for it, aligned.
pub unsafe fn set_number(at: *mut u8, bytes: usize, number: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        match bytes {
            1 => at.write(number as u8),
            2 => at.cast::<u16>().write(number as u16),
            _ => at.cast::<u32>().write(number),
        }
    }
}

/// Memory that [`release`] gives back, here or after the host has read it.
pub(super) fn reserve(size: usize, align: usize) -> *mut u8 {
    let memory = memory(size, align);
    if size == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    // SAFETY: the size is not zero.
    let at = unsafe { alloc(memory) };
    if at.is_null() {
        handle_alloc_error(memory);
    }
    at
}

/// # Safety
///
/// It was reserved in this size, here or by the host through `cabi_realloc`, and nobody looks there any more.
pub(super) unsafe fn release(at: *mut u8, size: usize, align: usize) {
    if size != 0 {
        // SAFETY: the caller's promise.
        unsafe { dealloc(at, memory(size, align)) };
    }
}

fn memory(size: usize, align: usize) -> Memory {
    Memory::from_size_align(size, align).expect("the ABI's sizes and alignments are valid")
}

/// The core values of all arguments, which pass as a tuple.
pub const fn params<P: Payload>() -> Flat {
    flat(P::PAYLOAD).at_most(SLOTS)
}

/// The one core value of an answer; a place in memory if it has more.
pub const fn answer<R: Payload>() -> Flat {
    flat(R::PAYLOAD).at_most(1)
}

/// The core values that an async function's answer is handed over in.
pub const fn task_answer<R: Payload>() -> Flat {
    flat(R::PAYLOAD).at_most(SLOTS)
}

/// Runs a function as an export: its arguments come, its answer goes.
///
/// # Safety
///
/// The slots hold what the host passes to an export with these parameters.
pub unsafe fn call<P: Payload, R: Payload>(slots: [u64; SLOTS], run: impl FnOnce(P) -> R) -> u64 {
    before_any_code();
    // SAFETY: the caller's promise.
    let arguments = unsafe { take::<P>(slots, SLOTS) };
    give(run(arguments), 1)[0]
}

/// Frees what an answer was given in, once the host has read it.
///
/// # Safety
///
/// [`call`] answered the slot, for the same type, and this is the only time.
pub unsafe fn after_answer<R: Payload>(slot: u64) {
    // SAFETY: the caller's promise.
    drop(unsafe { take::<R>([slot; SLOTS], 1) });
}

/// The same as [`call`] for an async function. `hand_over` is the import that takes its answer.
///
/// # Safety
///
/// As [`call`].
pub unsafe fn call_async<P: Payload, R: Payload, F: Future<Output = R>>(
    slots: [u64; SLOTS],
    run: impl FnOnce(P) -> F + 'static,
    hand_over: impl FnOnce([u64; SLOTS]) + 'static,
) -> i32 {
    use wit_bindgen::rt::async_support::{TaskCancelOnDrop, start_task};

    before_any_code();
    // SAFETY: the caller's promise.
    let arguments = unsafe { take::<P>(slots, SLOTS) };
    start_task(async move {
        let unless_done = TaskCancelOnDrop::new();
        let given = give(run(arguments).await, SLOTS);
        unless_done.forget();
        hand_over(given);
        // SAFETY: the host has read it before it came back.
        drop(unsafe { take::<R>(given, SLOTS) });
    })
}

/// The same as [`call_async`] for an answer with a stream, which goes on after that.
///
/// # Safety
///
/// As [`call`]; and the operations are those for the streams of this function.
pub unsafe fn call_flowing<P: Payload, R: Flows, F: Future<Output = R>>(
    slots: [u64; SLOTS],
    run: impl FnOnce(P) -> F + 'static,
    hand_over: impl FnOnce([u64; SLOTS]) + 'static,
    operations: &'static StreamVtable<R::Item>,
) -> i32 {
    use wit_bindgen::rt::async_support::{TaskCancelOnDrop, start_task};

    before_any_code();
    // SAFETY: the caller's promise.
    let arguments = unsafe { take::<P>(slots, SLOTS) };
    start_task(async move {
        let unless_done = TaskCancelOnDrop::new();
        let (answer, rest) = run(arguments).await.open(operations);
        let given = give(answer, SLOTS);
        unless_done.forget();
        hand_over(given);
        // SAFETY: the host has read it before it came back.
        drop(unsafe { take::<R::Opened>(given, SLOTS) });
        if let Some(rest) = rest {
            rest.await;
        }
    })
}

/// Goes on with an async function.
///
/// # Safety
///
/// Only the host calls it, with an event for the task that [`call_async`] began.
pub unsafe fn callback(event: u32, first: u32, second: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { wit_bindgen::rt::async_support::callback(event, first, second) }
}

fn before_any_code() {
    #[cfg(target_arch = "wasm32")]
    wit_bindgen::rt::run_ctors_once();
}

/// # Safety
///
/// The slots hold a value of this type, in at most `most` of them or in memory.
unsafe fn take<T: Payload>(slots: [u64; SLOTS], most: usize) -> T {
    if const { flat(T::PAYLOAD) }.len <= most {
        // SAFETY: the caller's promise.
        return unsafe { T::lift_payload(&mut Slots::new(slots)) };
    }
    let (size, align) = const { size::<T>() };
    let at = address(slots[0]);
    // SAFETY: the caller's promise.
    unsafe {
        let value = T::load_payload(at);
        release(at, size, align);
        value
    }
}

/// A value in at most `most` slots, or in memory.
fn give<T: Payload>(value: T, most: usize) -> [u64; SLOTS] {
    let mut slots = Slots::new([0; SLOTS]);
    if const { flat(T::PAYLOAD) }.len <= most {
        value.lower_payload(&mut slots);
        return slots.values;
    }
    let (size, align) = const { size::<T>() };
    let at = reserve(size, align);
    // SAFETY: there is room for it.
    unsafe { value.store_payload(at) };
    slots.put_address(at);
    slots.values
}

const fn size<T: Payload>() -> (usize, usize) {
    match T::PAYLOAD {
        Some(ty) => {
            let found = layout(ty);
            (found.size, found.align)
        }
        None => (0, 1),
    }
}

/// Passes a value through core values and through memory, as a call would: what tests of a type need.
pub fn there_and_back<T: Payload>(value: T) -> T {
    let slots = give(value, SLOTS);
    // SAFETY: they were given for this type.
    let value: T = unsafe { take(slots, SLOTS) };
    let slots = give(value, 0);
    // SAFETY: they were given for this type.
    unsafe { take(slots, 0) }
}
