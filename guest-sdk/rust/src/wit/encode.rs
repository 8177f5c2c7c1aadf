//! An interface as the component type that linkers expect, written by constant functions.
//!
//! The form is that of `wit-component`: a component with one type in it, the world, which exports the interface as an instance. Each
//! function runs twice: into a [`Writer`] without room, which counts, and into one with just that room.

use super::describe::{Function, Interface, Kind, Named, Type};

/// How many types with names an interface may have, and how many fields, cases or flags each of them.
const NAMES_MAX: usize = 256;

/// How long an error's text may be.
const MESSAGE_MAX: usize = 1024;

/// Bytes with room for `N`. What goes beyond is only counted.
pub(super) struct Writer<const N: usize> {
    pub(super) bytes: [u8; N],
    pub(super) len: usize,
}

impl<const N: usize> Writer<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(super) const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    pub(super) const fn raw(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    /// A number of 32 bits, as short as it goes.
    const fn number(&mut self, mut value: usize) {
        while 0x80 <= value {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    const fn text(&mut self, text: &str) {
        self.number(text.len());
        self.raw(text.as_bytes());
    }

    /// Room for a number that is known later.
    const fn hole(&mut self) -> usize {
        let at = self.len;
        self.len += 5;
        at
    }

    /// Fills it, in five bytes however small the number is.
    const fn fill(&mut self, hole: usize, value: usize) {
        if hole + 5 <= N {
            let mut at = 0;
            while at < 5 {
                let more = if at < 4 { 0x80 } else { 0 };
                self.bytes[hole + at] = ((value >> (7 * at)) as u8 & 0x7f) | more;
                at += 1;
            }
        }
    }

    const fn fill_with_rest(&mut self, hole: usize) {
        self.fill(hole, self.len - hole - 5);
    }

    /// `namespace:name/item@version`.
    const fn id(&mut self, interface: &Interface, prefix: &str) {
        let len =
            interface.package.len() + prefix.len() + interface.name.len() + interface.version.len();
        self.number(len + 2);
        self.raw(interface.package.as_bytes());
        self.byte(b'/');
        self.raw(prefix.as_bytes());
        self.raw(interface.name.as_bytes());
        self.byte(b'@');
        self.raw(interface.version.as_bytes());
    }
}

/// What a type is called where it is used: a primitive's own byte, or an index.
#[derive(Clone, Copy)]
enum Reference {
    Primitive(u8),
    Index(usize),
    /// A case without a payload, a result without a value.
    Nothing,
}

/// The declarations of an instance type, one after the other.
struct Instance<const N: usize> {
    out: Writer<N>,
    declarations: usize,
    types: usize,
    names: [Option<(&'static Named, usize)>; NAMES_MAX],
    named: usize,
}

impl<const N: usize> Instance<N> {
    /// Begins a type; its index.
    const fn declare(&mut self, opcode: u8) -> usize {
        self.out.byte(0x01);
        self.out.byte(opcode);
        self.declarations += 1;
        self.types += 1;
        self.types - 1
    }

    const fn reference(&mut self, reference: Reference) {
        match reference {
            Reference::Primitive(byte) => self.out.byte(byte),
            // Signed: the highest bit of the last byte must not be set.
            Reference::Index(mut index) => {
                while 0x40 <= index {
                    self.out.byte(index as u8 | 0x80);
                    index >>= 7;
                }
                self.out.byte(index as u8);
            }
            Reference::Nothing => {}
        }
    }

    const fn optional(&mut self, reference: Reference) {
        match reference {
            Reference::Nothing => self.out.byte(0),
            Reference::Primitive(_) | Reference::Index(_) => {
                self.out.byte(1);
                self.reference(reference);
            }
        }
    }

    /// Declares a type with all that it is made of.
    #[track_caller]
    const fn define(&mut self, ty: Option<&'static Type>) -> Reference {
        let Some(ty) = ty else {
            return Reference::Nothing;
        };
        match ty {
            Type::Bool => Reference::Primitive(0x7f),
            Type::S8 => Reference::Primitive(0x7e),
            Type::U8 => Reference::Primitive(0x7d),
            Type::S16 => Reference::Primitive(0x7c),
            Type::U16 => Reference::Primitive(0x7b),
            Type::S32 => Reference::Primitive(0x7a),
            Type::U32 => Reference::Primitive(0x79),
            Type::S64 => Reference::Primitive(0x78),
            Type::U64 => Reference::Primitive(0x77),
            Type::F32 => Reference::Primitive(0x76),
            Type::F64 => Reference::Primitive(0x75),
            Type::Char => Reference::Primitive(0x74),
            Type::String => Reference::Primitive(0x73),
            Type::List(of) => self.wrapper(0x70, of),
            Type::Option(of) => self.wrapper(0x6b, of),
            Type::Stream(of) => {
                let of = self.define(Some(of));
                let index = self.declare(0x66);
                self.optional(of);
                Reference::Index(index)
            }
            Type::Result(ok, err) => {
                let (ok, err) = (self.define(*ok), self.define(*err));
                let index = self.declare(0x6a);
                self.optional(ok);
                self.optional(err);
                Reference::Index(index)
            }
            Type::Tuple(parts) => self.tuple(parts),
            Type::Named(named) => self.named(named),
        }
    }

    #[track_caller]
    const fn wrapper(&mut self, opcode: u8, of: &'static Type) -> Reference {
        let of = self.define(Some(of));
        let index = self.declare(opcode);
        self.reference(of);
        Reference::Index(index)
    }

    #[track_caller]
    const fn tuple(&mut self, parts: &[&'static Type]) -> Reference {
        let mut references = [Reference::Nothing; 16];
        let mut at = 0;
        while at < parts.len() {
            references[at] = self.define(Some(parts[at]));
            at += 1;
        }
        let index = self.declare(0x6f);
        self.out.number(parts.len());
        at = 0;
        while at < parts.len() {
            self.reference(references[at]);
            at += 1;
        }
        Reference::Index(index)
    }

    /// A type with a name is declared once, and exported under its name.
    #[track_caller]
    const fn named(&mut self, named: &'static Named) -> Reference {
        let mut at = 0;
        while at < self.named {
            let Some((known, index)) = self.names[at] else {
                break;
            };
            if equal(known.name, named.name) {
                if !equal(known.path, named.path) {
                    refuse(&[
                        "two types are called `",
                        named.name,
                        "` in WIT: ",
                        known.path,
                        " and ",
                        named.path,
                        "; rename one",
                    ]);
                }
                return Reference::Index(index);
            }
            at += 1;
        }
        if NAMES_MAX <= self.named || NAMES_MAX < named.items.len() {
            refuse(&[
                "`",
                named.name,
                "` is too much: an interface has at most 256 types, and a type 256 fields, cases or flags",
            ]);
        }
        let mut references = [Reference::Nothing; NAMES_MAX];
        let mut at = 0;
        while at < named.items.len() {
            references[at] = self.define(named.items[at].payload);
            at += 1;
        }
        self.body(named, &references);
        let index = self.export(named.name, &[0x03, 0x00], self.types - 1);
        self.types += 1;
        self.names[self.named] = Some((named, index));
        self.named += 1;
        Reference::Index(index)
    }

    const fn body(&mut self, named: &Named, references: &[Reference]) {
        self.declare(match named.kind {
            Kind::Record => 0x72,
            Kind::Variant => 0x71,
            Kind::Flags => 0x6e,
            Kind::Enum => 0x6d,
        });
        self.out.number(named.items.len());
        let mut at = 0;
        while at < named.items.len() {
            self.out.text(named.items[at].name);
            match named.kind {
                Kind::Record => self.reference(references[at]),
                Kind::Variant => {
                    self.optional(references[at]);
                    self.out.byte(0);
                }
                Kind::Flags | Kind::Enum => {}
            }
            at += 1;
        }
    }

    /// Exports a type or a function; the index that a type has from then on.
    const fn export(&mut self, name: &str, sort: &[u8], index: usize) -> usize {
        self.out.byte(0x04);
        self.out.byte(0x00);
        self.out.text(name);
        self.out.raw(sort);
        self.out.number(index);
        self.declarations += 1;
        self.types
    }

    #[track_caller]
    const fn function(&mut self, function: &Function) {
        let mut references = [Reference::Nothing; 16];
        let mut at = 0;
        while at < function.params.len() {
            references[at] = self.define(Some(function.params[at].1));
            at += 1;
        }
        let result = self.define(function.result);
        let index = self.declare(if function.is_async { 0x43 } else { 0x40 });
        self.out.number(function.params.len());
        at = 0;
        while at < function.params.len() {
            self.out.text(function.params[at].0);
            self.reference(references[at]);
            at += 1;
        }
        match result {
            Reference::Nothing => self.out.raw(&[0x01, 0x00]),
            Reference::Primitive(_) | Reference::Index(_) => {
                self.out.byte(0x00);
                self.reference(result);
            }
        }
        self.export(function.name, &[0x01], index);
    }

    /// Types and functions of an interface share one space of names.
    #[track_caller]
    const fn no_function_is_called_like_a_type(&self, functions: &[Function]) {
        let mut at = 0;
        while at < functions.len() * self.named {
            let function = &functions[at / self.named];
            if let Some((named, _)) = self.names[at % self.named]
                && equal(named.name, function.name)
            {
                refuse(&[
                    "`",
                    named.name,
                    "` is a function and a type, ",
                    named.path,
                    ": in an interface of WIT they share their names; rename one",
                ]);
            }
            at += 1;
        }
    }
}

#[track_caller]
const fn write<const N: usize>(interface: &Interface) -> Writer<N> {
    let mut out = Writer::<N>::new();
    out.raw(b"\0asm\x0d\x00\x01\x00");
    // A custom section: version 4 of the form, texts in UTF-8.
    out.byte(0x00);
    out.number(1 + 22 + 2);
    out.text("wit-component-encoding");
    out.raw(&[0x04, 0x00]);
    // A type section: a component type with two declarations, the world and its export.
    out.byte(0x07);
    let section = out.hole();
    out.raw(&[0x01, 0x41, 0x02]);
    // The world: an instance type and its export.
    out.raw(&[0x01, 0x41, 0x02]);
    out.raw(&[0x01, 0x42]);
    let count = out.hole();
    let mut instance = Instance {
        out,
        declarations: 0,
        types: 0,
        names: [None; NAMES_MAX],
        named: 0,
    };
    let mut at = 0;
    while at < interface.functions.len() {
        instance.function(&interface.functions[at]);
        at += 1;
    }
    instance.no_function_is_called_like_a_type(interface.functions);
    let mut out = instance.out;
    out.fill(count, instance.declarations);
    out.raw(&[0x04, 0x00]);
    out.id(interface, "");
    out.raw(&[0x05, 0x00]);
    out.raw(&[0x04, 0x00]);
    out.id(interface, WORLD);
    out.raw(&[0x04, 0x00]);
    out.fill_with_rest(section);
    // An export section: the type under the world's name.
    out.byte(0x0b);
    let section = out.hole();
    out.raw(&[0x01, 0x00]);
    out.number(WORLD.len() + interface.name.len());
    out.raw(WORLD.as_bytes());
    out.raw(interface.name.as_bytes());
    out.raw(&[0x03, 0x00, 0x00]);
    out.fill_with_rest(section);
    out
}

/// A world needs a name in its package. It is not left in the component.
const WORLD: &str = "grain-";

/// The length of [`component_type`].
#[track_caller]
pub const fn component_type_len(interface: &Interface) -> usize {
    write::<0>(interface).len
}

/// The component type of a world that exports the interface.
#[track_caller]
pub const fn component_type<const N: usize>(interface: &Interface) -> [u8; N] {
    write::<N>(interface).bytes
}

pub(super) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The compiler's error has this text.
#[expect(clippy::panic, reason = "while compiling")]
#[track_caller]
const fn refuse(words: &[&str]) -> ! {
    let mut message = Writer::<MESSAGE_MAX>::new();
    let mut at = 0;
    while at < words.len() {
        message.raw(words[at].as_bytes());
        at += 1;
    }
    let len = if message.len < MESSAGE_MAX {
        message.len
    } else {
        MESSAGE_MAX
    };
    match core::str::from_utf8(message.bytes.split_at(len).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("a name in the interface is not unique"),
    }
}

/// What the compiler says of an interface that cannot be. The functions are constant ones, but may as well run.
#[cfg(test)]
mod tests {
    use super::component_type_len;
    use crate::wit::{Function, Interface, Item, Kind, Named, Type};

    const fn colors(path: &'static str, items: &'static [Item]) -> Named {
        Named {
            name: "color",
            path,
            docs: "",
            kind: Kind::Enum,
            items,
        }
    }

    const RED: Item = Item {
        name: "red",
        docs: "",
        payload: None,
    };

    fn write(name: &'static str, params: &'static [(&'static str, &'static Type)]) -> usize {
        let function = Function {
            name,
            docs: "",
            is_async: false,
            params,
            result: None,
        };
        component_type_len(&Interface {
            package: "app:list",
            version: "0.1.0",
            name: "list",
            docs: "",
            functions: Box::leak(Box::new([function])),
        })
    }

    #[test]
    #[should_panic(
        expected = "two types are called `color` in WIT: a::Color (a.rs:1) and b::Color (b.rs:2); rename one"
    )]
    fn two_types_of_one_name_are_refused() {
        const ONE: Type = Type::Named(&colors("a::Color (a.rs:1)", &[RED]));
        const OTHER: Type = Type::List(&Type::Named(&colors("b::Color (b.rs:2)", &[RED])));
        write("mix", &[("first", &ONE), ("second", &OTHER)]);
    }

    #[test]
    #[should_panic(expected = "`color` is a function and a type, a::Color (a.rs:1)")]
    fn a_function_that_is_called_like_a_type_is_refused() {
        const ONE: Type = Type::Named(&colors("a::Color (a.rs:1)", &[RED]));
        write("color", &[("first", &ONE)]);
    }

    #[test]
    #[should_panic(expected = "a type 256 fields, cases or flags")]
    fn too_many_cases_are_refused() {
        const ONE: Type = Type::Named(&colors("a::Color (a.rs:1)", &[RED; 257]));
        write("paint", &[("first", &ONE)]);
    }

    #[test]
    fn one_type_may_be_used_twice() {
        const ONE: Type = Type::Named(&colors("a::Color (a.rs:1)", &[RED]));
        const LIST: Type = Type::List(&ONE);
        assert!(write("mix", &[("first", &ONE), ("second", &LIST)]) < 512);
    }
}
