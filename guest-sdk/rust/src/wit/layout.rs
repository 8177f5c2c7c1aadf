//! How large a value is in memory, and which core values it is when it is passed: the canonical ABI's two tables.

use super::describe::{Kind, Type};

/// As many core values a function takes; more arguments go through memory.
pub(super) const SLOTS: usize = 16;

/// Kinds of core values, as constant parameters can tell them.
pub(super) const NOTHING: u8 = 0;
pub(super) const I32: u8 = 1;
pub(super) const I64: u8 = 2;
pub(super) const F32: u8 = 3;
pub(super) const F64: u8 = 4;

/// A list's address and length. 4 in a component; as wide as this machine's where tests run.
const POINTER: usize = size_of::<usize>();

/// What a type is made of. All that the ABI asks.
enum Shape {
    /// One core value, and its size in memory.
    Scalar(u8, usize),
    /// Address and length.
    Pair,
    /// So many parts, one behind the other.
    Product(usize),
    /// One of so many parts, behind its number.
    Sum(usize),
}

const fn shape(ty: &Type) -> Shape {
    match ty {
        Type::Bool | Type::S8 | Type::U8 => Shape::Scalar(I32, 1),
        Type::S16 | Type::U16 => Shape::Scalar(I32, 2),
        Type::S32 | Type::U32 | Type::Char | Type::Stream(_) => Shape::Scalar(I32, 4),
        Type::S64 | Type::U64 => Shape::Scalar(I64, 8),
        Type::F32 => Shape::Scalar(F32, 4),
        Type::F64 => Shape::Scalar(F64, 8),
        Type::String | Type::List(_) => Shape::Pair,
        Type::Option(_) | Type::Result(..) => Shape::Sum(2),
        Type::Tuple(parts) => Shape::Product(parts.len()),
        Type::Named(named) => match named.kind {
            Kind::Record => Shape::Product(named.items.len()),
            Kind::Variant | Kind::Enum => Shape::Sum(named.items.len()),
            Kind::Flags => Shape::Scalar(I32, number_size(named.items.len().div_ceil(8), 1, 2)),
        },
    }
}

/// The part at an index of a product or a sum.
const fn part(ty: &Type, at: usize) -> Option<&'static Type> {
    match ty {
        Type::Option(some) => [None, Some(*some)][at],
        Type::Result(ok, err) => [*ok, *err][at],
        Type::Tuple(parts) => Some(parts[at]),
        Type::Named(named) => named.items[at].payload,
        Type::Bool | Type::Char | Type::String | Type::List(_) | Type::Stream(_) => None,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::F32 => None,
        Type::S8 | Type::S16 | Type::S32 | Type::S64 | Type::F64 => None,
    }
}

/// 1, 2 or 4 bytes.
const fn number_size(count: usize, one: usize, two: usize) -> usize {
    if count <= one {
        1
    } else if count <= two {
        2
    } else {
        4
    }
}

const fn case_size(cases: usize) -> usize {
    number_size(cases, 1 << 8, 1 << 16)
}

/// Bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// A multiple of `align`.
    pub size: usize,
    /// A power of two.
    pub align: usize,
}

const EMPTY: Layout = Layout { size: 0, align: 1 };

/// The layout of a type's values.
pub const fn layout(ty: &Type) -> Layout {
    match shape(ty) {
        Shape::Scalar(_, size) => Layout { size, align: size },
        Shape::Pair => Layout {
            size: 2 * POINTER,
            align: POINTER,
        },
        Shape::Product(parts) => {
            let end = after(ty, parts);
            Layout {
                size: end.size.next_multiple_of(end.align),
                align: end.align,
            }
        }
        Shape::Sum(cases) => {
            let widest = widest(ty, cases);
            let number = case_size(cases);
            let align = max(widest.align, number);
            let size = number.next_multiple_of(widest.align) + widest.size;
            Layout {
                size: size.next_multiple_of(align),
                align,
            }
        }
    }
}

const fn layout_of_part(ty: &Type, at: usize) -> Layout {
    match part(ty, at) {
        Some(part) => layout(part),
        None => EMPTY,
    }
}

/// The end of a product's first parts.
const fn after(ty: &Type, parts: usize) -> Layout {
    let mut end = EMPTY;
    let mut at = 0;
    while at < parts {
        let next = layout_of_part(ty, at);
        end = Layout {
            size: end.size.next_multiple_of(next.align) + next.size,
            align: max(end.align, next.align),
        };
        at += 1;
    }
    end
}

/// The size of a sum's largest case, and its strictest alignment.
const fn widest(ty: &Type, cases: usize) -> Layout {
    let mut widest = EMPTY;
    let mut at = 0;
    while at < cases {
        let case = layout_of_part(ty, at);
        widest = Layout {
            size: max(widest.size, case.size),
            align: max(widest.align, case.align),
        };
        at += 1;
    }
    widest
}

/// Where a part begins: a field of a product, or the payload of any case of a sum.
pub const fn offset(ty: &Type, at: usize) -> usize {
    match shape(ty) {
        Shape::Product(_) => after(ty, at)
            .size
            .next_multiple_of(layout_of_part(ty, at).align),
        Shape::Sum(cases) => case_size(cases).next_multiple_of(widest(ty, cases).align),
        Shape::Scalar(..) | Shape::Pair => 0,
    }
}

/// How many bytes hold a sum's number, or a set of flags.
pub const fn number_bytes(ty: &Type) -> usize {
    match shape(ty) {
        Shape::Sum(cases) => case_size(cases),
        Shape::Scalar(_, size) => size,
        Shape::Pair | Shape::Product(_) => 0,
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a < b { b } else { a }
}

/// The core values that a value is passed as.
#[derive(Debug, Clone, Copy)]
pub struct Flat {
    /// The first ones; no kind at all behind the last.
    pub kinds: [u8; SLOTS],
    /// All of them, also those for which `kinds` has no room.
    pub len: usize,
}

impl Flat {
    const NONE: Self = Self {
        kinds: [NOTHING; SLOTS],
        len: 0,
    };

    const fn one(kind: u8) -> Self {
        let mut flat = Self::NONE;
        flat.kinds[0] = kind;
        flat.len = 1;
        flat
    }

    /// These if there are at most so many, and else the address of a place in memory.
    pub(super) const fn at_most(self, slots: usize) -> Self {
        if slots < self.len {
            Self::one(I32)
        } else {
            self
        }
    }

    const fn then(mut self, next: Self) -> Self {
        let mut at = 0;
        while at < next.len && at < SLOTS && self.len + at < SLOTS {
            self.kinds[self.len + at] = next.kinds[at];
            at += 1;
        }
        self.len += next.len;
        self
    }

    /// What holds either.
    const fn or(mut self, other: Self) -> Self {
        let mut at = 0;
        while at < SLOTS {
            self.kinds[at] = join(self.kinds[at], other.kinds[at]);
            at += 1;
        }
        self.len = max(self.len, other.len);
        self
    }
}

const fn join(a: u8, b: u8) -> u8 {
    match (a, b) {
        (NOTHING, kind) | (kind, NOTHING) => kind,
        _ if a == b => a,
        (I32, F32) | (F32, I32) => I32,
        _ => I64,
    }
}

/// The core values of nothing, or of a type.
pub const fn flat(ty: Option<&Type>) -> Flat {
    let Some(ty) = ty else {
        return Flat::NONE;
    };
    match shape(ty) {
        Shape::Scalar(kind, _) => Flat::one(kind),
        Shape::Pair => Flat::one(I32).then(Flat::one(I32)),
        Shape::Product(parts) => {
            let mut all = Flat::NONE;
            let mut at = 0;
            while at < parts {
                all = all.then(flat(part(ty, at)));
                at += 1;
            }
            all
        }
        Shape::Sum(cases) => {
            let mut payload = Flat::NONE;
            let mut at = 0;
            while at < cases {
                payload = payload.or(flat(part(ty, at)));
                at += 1;
            }
            Flat::one(I32).then(payload)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{F32, F64, I32, I64, Layout, flat, layout, offset};
    use crate::wit::{Type, WitType};

    fn kinds(ty: &Type) -> Vec<u8> {
        let flat = flat(Some(ty));
        flat.kinds[..flat.len].to_vec()
    }

    /// Numbers worked out by hand from the definitions in the component model's explainer.
    #[test]
    fn sizes_and_offsets_are_those_of_the_canonical_abi() {
        let at = |size, align| Layout { size, align };
        assert_eq!(layout(<(u8, u64, u16)>::TYPE), at(24, 8));
        assert_eq!(offset(<(u8, u64, u16)>::TYPE, 1), 8);
        assert_eq!(offset(<(u8, u64, u16)>::TYPE, 2), 16);
        assert_eq!(layout(Option::<u8>::TYPE), at(2, 1));
        assert_eq!(layout(Option::<u64>::TYPE), at(16, 8));
        assert_eq!(offset(Result::<u16, u32>::TYPE, 0), 4);
        assert_eq!(layout(Result::<(), ()>::TYPE), at(1, 1));
        assert_eq!(layout(<(char, bool)>::TYPE), at(8, 4));
    }

    #[test]
    fn cases_share_their_core_values() {
        assert_eq!(kinds(Result::<u32, f32>::TYPE), [I32, I32]);
        assert_eq!(kinds(Result::<u32, f64>::TYPE), [I32, I64]);
        assert_eq!(kinds(Result::<f32, f32>::TYPE), [I32, F32]);
        assert_eq!(
            kinds(Result::<(), (f64, String)>::TYPE),
            [I32, F64, I32, I32]
        );
        assert_eq!(
            flat(Some(
                <(
                    (u8, u8, u8, u8, u8, u8, u8, u8),
                    (u8, u8, u8, u8, u8, u8, u8, u8),
                    u8
                )>::TYPE
            ))
            .len,
            17
        );
    }
}
