//! How values of Rust's own types pass.

use super::describe::Type;
use super::glue::{Slots, number, release, reserve, set_number};
use super::layout::{flat, layout, offset};

/// A Rust type that may stand in an interface. Derive it: [`Record`](crate::Record), [`Variant`](crate::Variant),
/// [`Flags`](crate::Flags).
///
/// # Safety
///
/// The functions must agree with `TYPE` by the canonical ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no WIT type, so it cannot stand in a grain's interface",
    label = "not a type of an interface",
    note = "for a type of your own: `#[derive(granary_sdk::Record)]` on a struct, `#[derive(granary_sdk::Variant)]` on an enum, or `#[derive(granary_sdk::Flags)]` on a struct of bools",
    note = "a type of another crate is converted into one of your own",
    note = "a `Stream<T>` is the answer of an `async fn`, alone or as the `Ok` of a `Result`",
    note = "built in: bool, u8 to u64, i8 to i64, f32, f64, char, String, Vec<T>, Option<T>, Result<T, E>, and tuples of up to 16"
)]
pub unsafe trait WitType: Sized + 'static {
    /// The type in WIT.
    const TYPE: &'static Type;

    /// Takes the value out of memory, with all that it owns there. What is left are bytes.
    ///
    /// # Safety
    ///
    /// A value of this type lies there, aligned, and nobody else takes it.
    unsafe fn load(at: *mut u8) -> Self;

    /// Puts the value into memory, with all that it owns.
    ///
    /// # Safety
    ///
    /// There is room for this type, aligned.
    unsafe fn store(self, at: *mut u8);

    /// Takes the value out of core values.
    ///
    /// # Safety
    ///
    /// They are those of a value of this type, and nobody else takes it.
    unsafe fn lift(slots: &mut Slots) -> Self;

    /// Makes core values of it, with all that it owns.
    fn lower(self, slots: &mut Slots);

    /// Takes a list and its memory.
    ///
    /// # Safety
    ///
    /// So many values of this type lie there, in memory of their own.
    unsafe fn load_list(at: *mut u8, len: usize) -> Vec<Self> {
        let one = const { layout(Self::TYPE) };
        // SAFETY: the caller's promise, for each of them.
        let list = (0..len).map(|index| unsafe { Self::load(at.add(index * one.size)) });
        let list = list.collect();
        // SAFETY: all of them have been taken.
        unsafe { release(at, one.size * len, one.align) };
        list
    }

    /// Makes a list in memory of its own: its address and length.
    fn store_list(list: Vec<Self>) -> (*mut u8, usize) {
        let one = const { layout(Self::TYPE) };
        let len = list.len();
        let at = reserve(one.size * len, one.align);
        for (index, value) in list.into_iter().enumerate() {
            // SAFETY: there is room for `len` of them.
            unsafe { value.store(at.add(index * one.size)) };
        }
        (at, len)
    }
}

/// What a function may answer and a `Result` may hold: a value, or nothing.
///
/// # Safety
///
/// As [`WitType`], which it says the same about.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no WIT type, so it cannot stand in a grain's interface",
    label = "not a type of an interface",
    note = "for a type of your own: `#[derive(granary_sdk::Record)]` on a struct, `#[derive(granary_sdk::Variant)]` on an enum, or `#[derive(granary_sdk::Flags)]` on a struct of bools",
    note = "a type of another crate is converted into one of your own"
)]
#[expect(missing_docs, clippy::missing_safety_doc, reason = "as in WitType")]
pub unsafe trait Payload: Sized + 'static {
    /// None for nothing.
    const PAYLOAD: Option<&'static Type>;
    unsafe fn load_payload(at: *mut u8) -> Self;
    unsafe fn store_payload(self, at: *mut u8);
    unsafe fn lift_payload(slots: &mut Slots) -> Self;
    fn lower_payload(self, slots: &mut Slots);
}

// SAFETY: there is nothing that could disagree.
unsafe impl Payload for () {
    const PAYLOAD: Option<&'static Type> = None;
    unsafe fn load_payload(_: *mut u8) {}
    unsafe fn store_payload(self, _: *mut u8) {}
    unsafe fn lift_payload(_: &mut Slots) {}
    fn lower_payload(self, _: &mut Slots) {}
}

// SAFETY: it is the same.
unsafe impl<T: WitType> Payload for T {
    const PAYLOAD: Option<&'static Type> = Some(T::TYPE);
    unsafe fn load_payload(at: *mut u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { T::load(at) }
    }
    unsafe fn store_payload(self, at: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.store(at) }
    }
    unsafe fn lift_payload(slots: &mut Slots) -> Self {
        // SAFETY: the caller's promise.
        unsafe { T::lift(slots) }
    }
    fn lower_payload(self, slots: &mut Slots) {
        self.lower(slots);
    }
}

/// Numbers: in memory they are what Rust has there, and so are lists of them.
macro_rules! numbers {
    ($($rust:ty, $wit:ident, $lift:expr, $lower:expr;)*) => { $(
        // SAFETY: the sizes are those of the ABI, little-endian as in every component.
        unsafe impl WitType for $rust {
            const TYPE: &'static Type = &Type::$wit;

            unsafe fn load(at: *mut u8) -> Self {
                // SAFETY: the caller's promise.
                unsafe { at.cast::<Self>().read() }
            }

            unsafe fn store(self, at: *mut u8) {
                // SAFETY: the caller's promise.
                unsafe { at.cast::<Self>().write(self) }
            }

            unsafe fn lift(slots: &mut Slots) -> Self {
                let lift: fn(u64) -> Self = $lift;
                lift(slots.take())
            }

            fn lower(self, slots: &mut Slots) {
                let lower: fn(Self) -> u64 = $lower;
                slots.put(lower(self));
            }

            unsafe fn load_list(at: *mut u8, len: usize) -> Vec<Self> {
                if len == 0 {
                    return Vec::new();
                }
                // SAFETY: the memory was reserved for just this list, by the allocator of this component.
                unsafe { Vec::from_raw_parts(at.cast::<Self>(), len, len) }
            }

            fn store_list(list: Vec<Self>) -> (*mut u8, usize) {
                let len = list.len();
                (Box::into_raw(list.into_boxed_slice()).cast::<u8>(), len)
            }
        }
    )* };
}

// A core value lies in the low bits of its slot; one of 32 bits has zeros above.
numbers! {
    u8, U8, |slot| slot as Self, u64::from;
    u16, U16, |slot| slot as Self, u64::from;
    u32, U32, |slot| slot as Self, u64::from;
    u64, U64, |slot| slot, |value| value;
    i8, S8, |slot| slot as Self, |value| u64::from(i32::from(value).cast_unsigned());
    i16, S16, |slot| slot as Self, |value| u64::from(i32::from(value).cast_unsigned());
    i32, S32, |slot| slot as Self, |value| u64::from(value.cast_unsigned());
    i64, S64, |slot| slot as Self, |value| value.cast_unsigned();
    f32, F32, |slot| Self::from_bits(slot as u32), |value| u64::from(value.to_bits());
    f64, F64, Self::from_bits, Self::to_bits;
}

/// Types whose values pass as those of another.
macro_rules! as_other {
    ($($rust:ty, $wit:ident, $other:ty, $from:expr, $into:expr;)*) => { $(
        // SAFETY: the other type's layout is that of this one.
        unsafe impl WitType for $rust {
            const TYPE: &'static Type = &Type::$wit;

            unsafe fn load(at: *mut u8) -> Self {
                // SAFETY: the caller's promise.
                $from(unsafe { <$other>::load(at) })
            }

            unsafe fn store(self, at: *mut u8) {
                // SAFETY: the caller's promise.
                unsafe { <$other>::store($into(self), at) }
            }

            unsafe fn lift(slots: &mut Slots) -> Self {
                // SAFETY: the caller's promise.
                $from(unsafe { <$other>::lift(slots) })
            }

            fn lower(self, slots: &mut Slots) {
                <$other>::lower($into(self), slots);
            }
        }
    )* };
}

as_other! {
    bool, Bool, u8, |byte: u8| byte != 0, u8::from;
    char, Char, u32, |scalar| char::from_u32(scalar).expect("the host checks characters"), u32::from;
    // SAFETY: the host checks texts.
    String, String, Vec<u8>, |bytes| unsafe { Self::from_utf8_unchecked(bytes) }, Self::into_bytes;
}

// SAFETY: an address and a length, in memory and as core values.
unsafe impl<T: WitType> WitType for Vec<T> {
    const TYPE: &'static Type = &Type::List(T::TYPE);

    unsafe fn load(at: *mut u8) -> Self {
        let pair = at.cast::<usize>();
        // SAFETY: the caller's promise.
        unsafe {
            T::load_list(
                std::ptr::with_exposed_provenance_mut(pair.read()),
                pair.add(1).read(),
            )
        }
    }

    unsafe fn store(self, at: *mut u8) {
        let (start, len) = T::store_list(self);
        let pair = at.cast::<usize>();
        // SAFETY: the caller's promise.
        unsafe {
            pair.write(start.expose_provenance());
            pair.add(1).write(len);
        }
    }

    unsafe fn lift(slots: &mut Slots) -> Self {
        let start = slots.take_address();
        let len = slots.take() as usize;
        // SAFETY: the caller's promise.
        unsafe { T::load_list(start, len) }
    }

    fn lower(self, slots: &mut Slots) {
        let (start, len) = T::store_list(self);
        slots.put_address(start);
        slots.put(len as u64);
    }
}

// SAFETY: a sum of nothing and a value.
unsafe impl<T: WitType> WitType for Option<T> {
    const TYPE: &'static Type = &Type::Option(T::TYPE);

    unsafe fn load(at: *mut u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            match number(at, 1) {
                0 => None,
                _ => Some(T::load(at.add(const { offset(Self::TYPE, 1) }))),
            }
        }
    }

    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            set_number(at, 1, u32::from(self.is_some()));
            if let Some(value) = self {
                value.store(at.add(const { offset(Self::TYPE, 1) }));
            }
        }
    }

    unsafe fn lift(slots: &mut Slots) -> Self {
        let len = const { flat(Some(Self::TYPE)).len };
        slots.sum(len, |slots| match slots.take() {
            0 => None,
            // SAFETY: the caller's promise.
            _ => Some(unsafe { T::lift(slots) }),
        })
    }

    fn lower(self, slots: &mut Slots) {
        let len = const { flat(Some(Self::TYPE)).len };
        slots.sum(len, |slots| {
            slots.put(u64::from(self.is_some()));
            if let Some(value) = self {
                value.lower(slots);
            }
        });
    }
}

// SAFETY: a sum of two.
unsafe impl<T: Payload, E: Payload> WitType for Result<T, E> {
    const TYPE: &'static Type = &Type::Result(T::PAYLOAD, E::PAYLOAD);

    unsafe fn load(at: *mut u8) -> Self {
        let payload = const { offset(Self::TYPE, 0) };
        // SAFETY: the caller's promise.
        unsafe {
            match number(at, 1) {
                0 => Ok(T::load_payload(at.add(payload))),
                _ => Err(E::load_payload(at.add(payload))),
            }
        }
    }

    unsafe fn store(self, at: *mut u8) {
        let payload = const { offset(Self::TYPE, 0) };
        // SAFETY: the caller's promise.
        unsafe {
            set_number(at, 1, u32::from(self.is_err()));
            match self {
                Ok(value) => value.store_payload(at.add(payload)),
                Err(value) => value.store_payload(at.add(payload)),
            }
        }
    }

    unsafe fn lift(slots: &mut Slots) -> Self {
        let len = const { flat(Some(Self::TYPE)).len };
        // SAFETY: the caller's promise.
        slots.sum(len, |slots| unsafe {
            match slots.take() {
                0 => Ok(T::lift_payload(slots)),
                _ => Err(E::lift_payload(slots)),
            }
        })
    }

    fn lower(self, slots: &mut Slots) {
        let len = const { flat(Some(Self::TYPE)).len };
        slots.sum(len, |slots| {
            slots.put(u64::from(self.is_err()));
            match self {
                Ok(value) => value.lower_payload(slots),
                Err(value) => value.lower_payload(slots),
            }
        });
    }
}

macro_rules! tuple {
    ($($part:ident $value:ident $at:literal),*) => {
        // SAFETY: one part behind the other.
        unsafe impl<$($part: WitType),*> WitType for ($($part,)*) {
            const TYPE: &'static Type = &Type::Tuple(&[$($part::TYPE),*]);

            unsafe fn load(at: *mut u8) -> Self {
                // SAFETY: the caller's promise.
                unsafe { ($($part::load(at.add(const { offset(Self::TYPE, $at) })),)*) }
            }

            unsafe fn store(self, at: *mut u8) {
                let ($($value,)*) = self;
                // SAFETY: the caller's promise.
                unsafe { $($value.store(at.add(const { offset(Self::TYPE, $at) }));)* }
            }

            unsafe fn lift(slots: &mut Slots) -> Self {
                // SAFETY: the caller's promise. Parts are evaluated in order.
                unsafe { ($($part::lift(slots),)*) }
            }

            fn lower(self, slots: &mut Slots) {
                let ($($value,)*) = self;
                $($value.lower(slots);)*
            }
        }
    };
}

tuple!(A a 0);
tuple!(A a 0, B b 1);
tuple!(A a 0, B b 1, C c 2);
tuple!(A a 0, B b 1, C c 2, D d 3);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10, L l 11);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10, L l 11, M m 12);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10, L l 11, M m 12, N n 13);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10, L l 11, M m 12, N n 13, O o 14);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7, I i 8, J j 9, K k 10, L l 11, M m 12, N n 13, O o 14, P p 15);
