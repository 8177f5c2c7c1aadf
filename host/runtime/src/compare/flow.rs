//! Two types, and whether the documents of one are understood as the other.

use std::collections::HashSet;

use super::Change;
use crate::interface::{Members, Shape, Ty, Types};

/// Which side writes the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// Callers write them by the old type, the new method reads them.
    Argument,
    /// The new method writes them, callers read them by the old type.
    Result,
}

/// What one method's comparison may cost; types that share their parts without end are cut there.
const STEPS_MAX: usize = 100_000;

/// The differences found so far.
pub(super) struct Walk<'i> {
    old: &'i Types,
    new: &'i Types,
    changes: Vec<Change>,
    /// Pairs of types that this method has met: each is told once a method.
    seen: HashSet<(Ty, Ty, Direction)>,
    steps: usize,
}

impl<'i> Walk<'i> {
    pub(super) fn new(old: &'i Types, new: &'i Types) -> Self {
        Self {
            old,
            new,
            changes: Vec::new(),
            seen: HashSet::new(),
            steps: 0,
        }
    }

    pub(super) fn finish(self) -> Vec<Change> {
        self.changes
    }

    pub(super) fn enter_method(&mut self) {
        self.seen.clear();
    }

    pub(super) fn note(&mut self, path: &str, what: &str, breaking: bool) {
        self.changes.push(Change {
            path: path.to_owned(),
            what: what.to_owned(),
            breaking,
        });
    }

    /// Compares a type with the one that replaces it.
    pub(super) fn types(&mut self, path: &str, old: Ty, new: Ty, direction: Direction) {
        self.steps += 1;
        if STEPS_MAX < self.steps {
            if self.steps == STEPS_MAX + 1 {
                self.note(
                    path,
                    "too many types to compare: taken as changed from here on",
                    true,
                );
            }
            return;
        }
        if !self.seen.insert((old, new, direction)) {
            return;
        }
        match (self.old.shape(old), self.new.shape(new)) {
            (Shape::List(was), Shape::List(is)) => {
                self.types(&format!("{path}/*"), *was, *is, direction)
            }
            (Shape::FixedList(was, was_len), Shape::FixedList(is, is_len)) if was_len == is_len => {
                self.types(&format!("{path}/*"), *was, *is, direction);
            }
            (Shape::FixedList(was, _), Shape::List(is)) => {
                self.note(
                    path,
                    "may have any length now",
                    direction == Direction::Result,
                );
                self.types(&format!("{path}/*"), *was, *is, direction);
            }
            (Shape::List(was), Shape::FixedList(is, len)) => {
                self.note(
                    path,
                    &format!("has a fixed length of {len} now"),
                    direction == Direction::Argument,
                );
                self.types(&format!("{path}/*"), *was, *is, direction);
            }
            (Shape::Map(was_key, was), Shape::Map(is_key, is)) => {
                self.types(&format!("{path}/key"), *was_key, *is_key, direction);
                self.types(&format!("{path}/*"), *was, *is, direction);
            }
            (Shape::Record(was, was_types), Shape::Record(is, is_types)) => {
                self.record(path, (was, was_types), (is, is_types), direction);
            }
            (Shape::Tuple(was), Shape::Tuple(is)) if was.len() == is.len() => {
                for (at, (was, is)) in was.iter().zip(is.iter()).enumerate() {
                    self.types(&format!("{path}/{at}"), *was, *is, direction);
                }
            }
            (Shape::Variant(was, was_types), Shape::Variant(is, is_types)) => {
                self.cases(path, was, is, "case", direction);
                for (at, member) in was.iter().enumerate() {
                    let Some(now) = is.find(&member.name, at) else {
                        continue;
                    };
                    self.payload(
                        &format!("{path}/{}", member.name),
                        was_types[at],
                        is_types[now],
                        direction,
                    );
                }
            }
            (Shape::Enum(was), Shape::Enum(is)) => self.cases(path, was, is, "case", direction),
            (Shape::Flags(was), Shape::Flags(is)) => self.cases(path, was, is, "flag", direction),
            (Shape::Option(was), Shape::Option(is))
            | (Shape::NestedOption(was), Shape::NestedOption(is)) => {
                self.types(path, *was, *is, direction);
            }
            (Shape::Result(was_ok, was_err), Shape::Result(is_ok, is_err)) => {
                self.payload(&format!("{path}/ok"), *was_ok, *is_ok, direction);
                self.payload(&format!("{path}/err"), *was_err, *is_err, direction);
            }
            (was, Shape::Option(is))
                if !matches!(was, Shape::Option(_) | Shape::NestedOption(_)) =>
            {
                self.note(path, "may be none now", direction == Direction::Result);
                self.types(path, old, *is, direction);
            }
            (Shape::Option(was), is)
                if !matches!(is, Shape::Option(_) | Shape::NestedOption(_)) =>
            {
                self.note(
                    path,
                    "may not be none any more",
                    direction == Direction::Argument,
                );
                self.types(path, *was, new, direction);
            }
            (was, is) => self.leaves(path, (old, was), (new, is), direction),
        }
    }

    fn record(
        &mut self,
        path: &str,
        old: (&Members, &[Ty]),
        new: (&Members, &[Ty]),
        direction: Direction,
    ) {
        for (at, member) in old.0.iter().enumerate() {
            let path = format!("{path}/{}", member.name);
            match new.0.find(&member.name, at) {
                Some(now) => self.types(&path, old.1[at], new.1[now], direction),
                None => self.note(&path, "field removed", true),
            }
        }
        for (at, member) in new.0.iter().enumerate() {
            if old.0.find(&member.name, at).is_none() {
                let breaking = direction == Direction::Argument && !self.new.is_optional(new.1[at]);
                let what = format!("field added: {}", self.new.wit(new.1[at]));
                self.note(&format!("{path}/{}", member.name), &what, breaking);
            }
        }
    }

    fn cases(
        &mut self,
        path: &str,
        old: &Members,
        new: &Members,
        sort: &str,
        direction: Direction,
    ) {
        for (at, member) in old.iter().enumerate() {
            if new.find(&member.name, at).is_none() {
                let what = format!("{sort} removed");
                self.note(
                    &format!("{path}/{}", member.name),
                    &what,
                    direction == Direction::Argument,
                );
            }
        }
        for (at, member) in new.iter().enumerate() {
            if old.find(&member.name, at).is_none() {
                let what = format!("{sort} added");
                self.note(
                    &format!("{path}/{}", member.name),
                    &what,
                    direction == Direction::Result,
                );
            }
        }
    }

    fn payload(&mut self, path: &str, old: Option<Ty>, new: Option<Ty>, direction: Direction) {
        match (old, new) {
            (Some(was), Some(is)) => self.types(path, was, is, direction),
            (Some(_), None) => self.note(path, "payload removed", true),
            (None, Some(is)) => {
                let what = format!("payload added: {}", self.new.wit(is));
                self.note(path, &what, true);
            }
            (None, None) => {}
        }
    }

    fn leaves(
        &mut self,
        path: &str,
        (old, was): (Ty, &Shape),
        (new, is): (Ty, &Shape),
        direction: Direction,
    ) {
        let (was_set, is_set) = (documents(was), documents(is));
        if was_set == is_set && was_set.is_some() {
            return;
        }
        let (Some(was_set), Some(is_set)) = (was_set, is_set) else {
            return self.unlike(path, old, new);
        };
        let (grew, shrank) = (was_set.within(is_set), is_set.within(was_set));
        let breaking = match direction {
            Direction::Argument => !grew,
            Direction::Result => !shrank,
        };
        if !grew && !shrank {
            return self.unlike(path, old, new);
        }
        let how = if grew { "wider" } else { "narrower" };
        let what = format!(
            "{} became {}, which is {how}",
            self.old.wit(old),
            self.new.wit(new)
        );
        self.note(path, &what, breaking);
    }

    fn unlike(&mut self, path: &str, old: Ty, new: Ty) {
        let (was, is) = (describe(self.old, old), describe(self.new, new));
        self.note(path, &format!("type changed from {was} to {is}"), true);
    }
}

/// A type's name with its sort where the name alone may be the same on both sides.
fn describe(types: &Types, ty: Ty) -> String {
    match types.name(ty) {
        Some(name) => format!("{} ({})", name.name, types.wit_inside(ty)),
        None => types.wit_inside(ty),
    }
}

/// The JSON documents of a type without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Documents<'s> {
    Bool,
    /// Integers of a range. `text`: strings of digits are read too, and may be written.
    Integers {
        from: i128,
        to: i128,
        text: bool,
    },
    Floats {
        bits: u8,
    },
    Char,
    Text,
    Bytes,
    Live(&'s str),
}

fn documents(shape: &Shape) -> Option<Documents<'_>> {
    let integers = |from: i128, to: i128| {
        Some(Documents::Integers {
            from,
            to,
            text: false,
        })
    };
    match shape {
        Shape::Bool => Some(Documents::Bool),
        Shape::U8 => integers(0, u8::MAX.into()),
        Shape::U16 => integers(0, u16::MAX.into()),
        Shape::U32 => integers(0, u32::MAX.into()),
        Shape::S8 => integers(i8::MIN.into(), i8::MAX.into()),
        Shape::S16 => integers(i16::MIN.into(), i16::MAX.into()),
        Shape::S32 => integers(i32::MIN.into(), i32::MAX.into()),
        Shape::U64 => Some(Documents::Integers {
            from: 0,
            to: u64::MAX.into(),
            text: true,
        }),
        Shape::S64 => Some(Documents::Integers {
            from: i64::MIN.into(),
            to: i64::MAX.into(),
            text: true,
        }),
        Shape::F32 => Some(Documents::Floats { bits: 32 }),
        Shape::F64 => Some(Documents::Floats { bits: 64 }),
        Shape::Char => Some(Documents::Char),
        Shape::String => Some(Documents::Text),
        Shape::Bytes => Some(Documents::Bytes),
        Shape::Live(wit) => Some(Documents::Live(wit)),
        Shape::List(_)
        | Shape::FixedList(..)
        | Shape::Map(..)
        | Shape::Record(..)
        | Shape::Tuple(_)
        | Shape::Variant(..)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::NestedOption(_)
        | Shape::Result(..) => None,
    }
}

impl Documents<'_> {
    /// Whether each of these documents is one of those.
    fn within(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::Integers { from, to, text },
                Self::Integers {
                    from: other_from,
                    to: other_to,
                    text: other_text,
                },
            ) => other_from <= from && to <= other_to && (other_text || !text),
            // Up to 32 bits every integer is exact as a double; as a single, up to 24.
            (
                Self::Integers {
                    from,
                    to,
                    text: false,
                },
                Self::Floats { bits },
            ) => bits == 64 || (-(1 << 24) <= from && to <= 1 << 24),
            (Self::Floats { bits }, Self::Floats { bits: other_bits }) => bits <= other_bits,
            (Self::Char, Self::Text) => true,
            (one, other) => one == other,
        }
    }
}
