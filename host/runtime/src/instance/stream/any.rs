//! An item of whatever type a component says.
//!
//! Wasmtime 48 reads streams and futures as Rust types, whose layout is known when the host is compiled; there is no such type for a record of
//! the guest's own. [`Any`] stands for all of them: Wasmtime tells it each time where a write of the guest's begins and which type its
//! items have, and it reads them as Wasmtime reads the arguments and results of dynamic calls (`Val::load`, which is not public).
//!
//! It stands on two facts of that version, which the end-to-end tests of items hold: a consumer's read begins with the first item of a write, and
//! the items of one read are lifted in their order.

#![expect(
    unsafe_code,
    reason = "the traits of types that pass from guests are unsafe to implement"
)]

use std::cell::Cell;
use std::mem::size_of;

use wasmtime::component::__internal::wasmtime_environ::component::{
    RecordField, TypeFixedLengthList, TypeFlags, TypeMap, VariantInfo,
};
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift, Val};
use wasmtime::{ValRaw, bail};

/// Nothing that a guest may hand over is nested deeper: the depth of its types is bounded at upload.
const DEPTH_MAX: usize = 128;

thread_local! {
    /// How many items of the present read have been lifted.
    static LIFTED: Cell<usize> = const { Cell::new(0) };
}

/// One item.
pub(super) struct Any(pub(super) Val);

impl Any {
    /// Runs one read of a stream or a future.
    pub(super) fn read<R>(read: impl FnOnce() -> R) -> R {
        LIFTED.set(0);
        read()
    }
}

// SAFETY: nothing is ever lowered as, or lifted from, values on the stack, whose list is empty. With a size of 0, Wasmtime hands out no memory of
// an item: only where the first one begins. What is read there is held against the bounds of the memory, in safe code.
unsafe impl ComponentType for Any {
    type Lower = [ValRaw; 0];
    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        // It reads every type, by what the component says of it.
        Ok(())
    }
}

// SAFETY: as above.
unsafe impl Lift for Any {
    fn linear_lift_from_flat(
        _: &mut LiftContext<'_>,
        _: InterfaceType,
        _: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        bail!("an item of a stream is never a value on the stack")
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let first = bytes.as_ptr().addr() - cx.memory().as_ptr().addr();
        let at = LIFTED.replace(LIFTED.get() + 1);
        let abi = cx.types.canonical_abi(&ty);
        let size = whole(abi.size32);
        if !first.is_multiple_of(whole(abi.align32)) {
            bail!("the items of a stream are not aligned");
        }
        let start = at
            .checked_mul(size)
            .and_then(|offset| offset.checked_add(first));
        let item = start.and_then(|start| part(cx.memory(), start, size));
        let Some(item) = item else {
            bail!("the items of a stream lie outside of the memory");
        };
        load(cx, ty, item, DEPTH_MAX).map(Self)
    }
}

/// Reads a value of a type from its bytes. Each costs of what a guest may hand over, as in Wasmtime.
fn load(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    let Some(depth) = depth.checked_sub(1) else {
        bail!("an item of a stream is nested too deeply");
    };
    let types = cx.types;
    Ok(match ty {
        InterfaceType::Bool => Val::Bool(scalar(cx, ty, bytes)?),
        InterfaceType::S8 => Val::S8(scalar(cx, ty, bytes)?),
        InterfaceType::U8 => Val::U8(scalar(cx, ty, bytes)?),
        InterfaceType::S16 => Val::S16(scalar(cx, ty, bytes)?),
        InterfaceType::U16 => Val::U16(scalar(cx, ty, bytes)?),
        InterfaceType::S32 => Val::S32(scalar(cx, ty, bytes)?),
        InterfaceType::U32 => Val::U32(scalar(cx, ty, bytes)?),
        InterfaceType::S64 => Val::S64(scalar(cx, ty, bytes)?),
        InterfaceType::U64 => Val::U64(scalar(cx, ty, bytes)?),
        InterfaceType::Float32 => Val::Float32(scalar(cx, ty, bytes)?),
        InterfaceType::Float64 => Val::Float64(scalar(cx, ty, bytes)?),
        InterfaceType::Char => Val::Char(scalar(cx, ty, bytes)?),
        InterfaceType::String => Val::String(scalar(cx, ty, bytes)?),
        InterfaceType::Record(record) => load_record(cx, &types[record].fields, bytes, depth)?,
        InterfaceType::Tuple(tuple) => load_tuple(cx, &types[tuple].types, bytes, depth)?,
        InterfaceType::Flags(flags) => load_flags(cx, &types[flags], bytes)?,
        InterfaceType::List(list) => load_list(cx, types[list].element, bytes, depth)?,
        InterfaceType::Map(map) => load_map(cx, &types[map], bytes, depth)?,
        InterfaceType::FixedLengthList(list) => load_fixed(cx, &types[list], bytes, depth)?,
        InterfaceType::Variant(variant) => {
            let of = &types[variant];
            let chosen = discriminant(bytes, of.info.size)?;
            let (name, payload) = of.cases.get_index(chosen).ok_or_else(|| no_case(chosen))?;
            cx.consume_fuel(name.len())?;
            let payload = load_payload(cx, *payload, (bytes, &of.info), depth)?;
            Val::Variant(name.clone(), payload)
        }
        InterfaceType::Enum(names) => {
            let of = &types[names];
            let chosen = discriminant(bytes, of.info.size)?;
            let name = of.names.iter().nth(chosen).ok_or_else(|| no_case(chosen))?;
            cx.consume_fuel(name.len())?;
            Val::Enum(name.clone())
        }
        InterfaceType::Option(option) => {
            let of = &types[option];
            match discriminant(bytes, of.info.size)? {
                0 => Val::Option(None),
                1 => Val::Option(load_payload(cx, Some(of.ty), (bytes, &of.info), depth)?),
                chosen => return Err(no_case(chosen)),
            }
        }
        InterfaceType::Result(result) => {
            let of = &types[result];
            match discriminant(bytes, of.info.size)? {
                0 => Val::Result(Ok(load_payload(cx, of.ok, (bytes, &of.info), depth)?)),
                1 => Val::Result(Err(load_payload(cx, of.err, (bytes, &of.info), depth)?)),
                chosen => return Err(no_case(chosen)),
            }
        }
        InterfaceType::Own(_)
        | InterfaceType::Borrow(_)
        | InterfaceType::Future(_)
        | InterfaceType::Stream(_)
        | InterfaceType::ErrorContext(_) => {
            // Refused at upload.
            bail!("an item of a stream cannot hold a handle")
        }
    })
}

fn load_record(
    cx: &mut LiftContext<'_>,
    fields: &[RecordField],
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    cx.consume_fuel_array(fields.len(), size_of::<(String, Val)>())?;
    let mut places = Places::new(bytes);
    let fields = fields.iter().map(|field| {
        cx.consume_fuel(field.name.len())?;
        let bytes = places.next(cx, &field.ty)?;
        Ok((field.name.clone(), load(cx, field.ty, bytes, depth)?))
    });
    fields.collect::<wasmtime::Result<_>>().map(Val::Record)
}

fn load_tuple(
    cx: &mut LiftContext<'_>,
    types: &[InterfaceType],
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    cx.consume_fuel_array(types.len(), size_of::<Val>())?;
    let mut places = Places::new(bytes);
    let parts = types.iter().map(|ty| {
        let bytes = places.next(cx, ty)?;
        load(cx, *ty, bytes, depth)
    });
    parts.collect::<wasmtime::Result<_>>().map(Val::Tuple)
}

fn load_flags(cx: &mut LiftContext<'_>, flags: &TypeFlags, bytes: &[u8]) -> wasmtime::Result<Val> {
    let set = flags.names.iter().enumerate().filter(|(at, _)| {
        let byte = bytes.get(at / 8).copied().unwrap_or_default();
        byte >> (at % 8) & 1 == 1
    });
    let names = set.map(|(_, name)| {
        cx.consume_fuel(size_of::<String>() + name.len())?;
        Ok(name.clone())
    });
    names.collect::<wasmtime::Result<_>>().map(Val::Flags)
}

fn load_list(
    cx: &mut LiftContext<'_>,
    element: InterfaceType,
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    let abi = cx.types.canonical_abi(&element);
    let (elements, count) = listed(cx, bytes, abi, size_of::<Val>())?;
    let elements = pieces(elements, abi.size32, count);
    let vals = elements.map(|bytes| load(cx, element, bytes, depth));
    vals.collect::<wasmtime::Result<_>>().map(Val::List)
}

fn load_map(
    cx: &mut LiftContext<'_>,
    map: &TypeMap,
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    let (entries, count) = listed(cx, bytes, &map.entry_abi, size_of::<(Val, Val)>())?;
    let entries = pieces(entries, map.entry_abi.size32, count).map(|bytes| {
        let mut places = Places::new(bytes);
        let key = places.next(cx, &map.key)?;
        let value = places.next(cx, &map.value)?;
        let key = load(cx, map.key, key, depth)?;
        Ok((key, load(cx, map.value, value, depth)?))
    });
    entries.collect::<wasmtime::Result<_>>().map(Val::Map)
}

fn load_fixed(
    cx: &mut LiftContext<'_>,
    list: &TypeFixedLengthList,
    bytes: &[u8],
    depth: usize,
) -> wasmtime::Result<Val> {
    let size = cx.types.canonical_abi(&list.element).size32;
    let count = whole(list.size);
    cx.consume_fuel_array(count, size_of::<Val>())?;
    let elements = pieces(bytes, size, count);
    let vals = elements.map(|bytes| load(cx, list.element, bytes, depth));
    vals.collect::<wasmtime::Result<_>>()
        .map(Val::FixedLengthList)
}

fn load_payload(
    cx: &mut LiftContext<'_>,
    ty: Option<InterfaceType>,
    (bytes, info): (&[u8], &VariantInfo),
    depth: usize,
) -> wasmtime::Result<Option<Box<Val>>> {
    let Some(ty) = ty else { return Ok(None) };
    cx.consume_fuel(size_of::<Val>())?;
    let size = whole(cx.types.canonical_abi(&ty).size32);
    let bytes = part(bytes, whole(info.payload_offset32), size).ok_or_else(cut_off)?;
    load(cx, ty, bytes, depth).map(|val| Some(Box::new(val)))
}

/// A type that the host has one of its own for.
fn scalar<T: Lift>(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
) -> wasmtime::Result<T> {
    let bytes = part(bytes, 0, T::SIZE32).ok_or_else(cut_off)?;
    T::linear_lift_from_memory(cx, ty, bytes)
}

/// The memory of a list's elements, and how many there are.
fn listed<'a>(
    cx: &mut LiftContext<'a>,
    bytes: &[u8],
    abi: &CanonicalAbiInfo,
    cost: usize,
) -> wasmtime::Result<(&'a [u8], usize)> {
    let number = |at| {
        part(bytes, at, 4)
            .and_then(<[u8]>::as_array)
            .copied()
            .map(u32::from_le_bytes)
    };
    let (Some(first), Some(count)) = (number(0), number(4)) else {
        return Err(cut_off());
    };
    let (first, count) = (whole(first), whole(count));
    if !first.is_multiple_of(whole(abi.align32)) {
        bail!("a list in an item of a stream is not aligned");
    }
    let length = count.checked_mul(whole(abi.size32));
    let Some(elements) = length.and_then(|length| part(cx.memory(), first, length)) else {
        bail!("a list in an item of a stream lies outside of the memory");
    };
    cx.consume_fuel_array(count, cost)?;
    Ok((elements, count))
}

/// Equal pieces, which may be empty.
fn pieces(bytes: &[u8], size: u32, count: usize) -> impl Iterator<Item = &[u8]> {
    let size = whole(size);
    (0..count).map_while(move |at| part(bytes, at * size, size))
}

/// Which case it is.
fn discriminant(bytes: &[u8], size: impl Into<usize>) -> wasmtime::Result<usize> {
    let bytes = part(bytes, 0, size.into()).ok_or_else(cut_off)?;
    let number = bytes
        .iter()
        .rev()
        .fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    Ok(whole(number))
}

/// Where the parts of a record lie.
struct Places<'a> {
    bytes: &'a [u8],
    offset: u32,
}

impl<'a> Places<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    fn next(&mut self, cx: &LiftContext<'_>, ty: &InterfaceType) -> wasmtime::Result<&'a [u8]> {
        let abi = cx.types.canonical_abi(ty);
        let offset = abi.next_field32(&mut self.offset);
        part(self.bytes, whole(offset), whole(abi.size32)).ok_or_else(cut_off)
    }
}

fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn whole(number: u32) -> usize {
    usize::try_from(number).expect("invariant: addresses have at least 32 bits")
}

fn no_case(chosen: usize) -> wasmtime::Error {
    wasmtime::format_err!("an item of a stream names case {chosen}, which is not there")
}

fn cut_off() -> wasmtime::Error {
    wasmtime::format_err!("an item of a stream is shorter than its type")
}
