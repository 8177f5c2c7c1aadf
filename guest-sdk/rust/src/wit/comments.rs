//! The doc comments of an interface as JSON, for a custom section: component types have no room for them.

use super::describe::{Function, Interface, Named, Type};
use super::encode::{Writer, equal};

/// How many types have been written. The encoder has checked that there are not more.
const NAMES_MAX: usize = 256;

struct Types<const N: usize> {
    out: Writer<N>,
    names: [&'static str; NAMES_MAX],
    named: usize,
}

impl<const N: usize> Writer<N> {
    const fn json_text(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.byte(b'"');
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                byte @ (b'"' | b'\\') => {
                    self.byte(b'\\');
                    self.byte(byte);
                }
                b'\n' => self.raw(b"\\n"),
                byte @ 0..0x20 => {
                    self.raw(b"\\u00");
                    self.byte(HEX[(byte >> 4) as usize]);
                    self.byte(HEX[(byte & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            at += 1;
        }
        self.byte(b'"');
    }

    /// `,"name":` or, for the first, without the comma.
    const fn key(&mut self, is_first: bool, name: &str) {
        if !is_first {
            self.byte(b',');
        }
        self.json_text(name);
        self.byte(b':');
    }

    /// `{"docs":"…"` and no end.
    const fn open_with_docs(&mut self, docs: &str) {
        self.byte(b'{');
        self.key(true, "docs");
        if docs.is_empty() {
            self.raw(b"null");
        } else {
            self.json_text(docs);
        }
    }

    const fn functions(&mut self, functions: &[Function]) {
        self.key(false, "funcs");
        self.byte(b'{');
        let mut at = 0;
        while at < functions.len() {
            self.key(at == 0, functions[at].name);
            self.open_with_docs(functions[at].docs);
            self.byte(b'}');
            at += 1;
        }
        self.byte(b'}');
    }
}

impl<const N: usize> Types<N> {
    const fn of_functions(&mut self, functions: &[Function]) {
        let mut at = 0;
        while at < functions.len() {
            let mut param = 0;
            while param < functions[at].params.len() {
                self.of(Some(functions[at].params[param].1));
                param += 1;
            }
            self.of(functions[at].result);
            at += 1;
        }
    }

    const fn of(&mut self, ty: Option<&'static Type>) {
        match ty {
            Some(Type::List(of) | Type::Option(of) | Type::Stream(of)) => self.of(Some(of)),
            Some(Type::Result(ok, err)) => {
                self.of(*ok);
                self.of(*err);
            }
            Some(Type::Tuple(parts)) => {
                let mut at = 0;
                while at < parts.len() {
                    self.of(Some(parts[at]));
                    at += 1;
                }
            }
            Some(Type::Named(named)) => self.named(named),
            _ => {}
        }
    }

    const fn named(&mut self, named: &Named) {
        let mut at = 0;
        while at < self.named {
            if equal(self.names[at], named.name) {
                return;
            }
            at += 1;
        }
        self.out.key(self.named == 0, named.name);
        self.names[self.named] = named.name;
        self.named += 1;
        self.out.open_with_docs(named.docs);
        self.out.key(false, "items");
        self.out.byte(b'{');
        let (mut at, mut is_first) = (0, true);
        while at < named.items.len() {
            if !named.items[at].docs.is_empty() {
                self.out.key(is_first, named.items[at].name);
                self.out.json_text(named.items[at].docs);
                is_first = false;
            }
            at += 1;
        }
        self.out.raw(b"}}");
        at = 0;
        while at < named.items.len() {
            self.of(named.items[at].payload);
            at += 1;
        }
    }
}

const fn write<const N: usize>(interface: &Interface) -> Writer<N> {
    let mut out = Writer::<N>::new();
    out.byte(1);
    out.raw(br#"{"interfaces":{"#);
    out.key(true, interface.name);
    out.open_with_docs(interface.docs);
    out.functions(interface.functions);
    out.key(false, "types");
    out.byte(b'{');
    let mut types = Types {
        out,
        names: [""; NAMES_MAX],
        named: 0,
    };
    types.of_functions(interface.functions);
    let mut out = types.out;
    out.raw(b"}}}}");
    out
}

/// The length of [`comments`].
pub const fn comments_len(interface: &Interface) -> usize {
    write::<0>(interface).len
}

/// The section's bytes.
pub const fn comments<const N: usize>(interface: &Interface) -> [u8; N] {
    write::<N>(interface).bytes
}
