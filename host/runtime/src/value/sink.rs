//! What the typed writer asks of an encoding.

use wasmtime::component::Val;

use super::number::EXACT_MAX;

/// A document that is written from its start to its end.
pub(super) trait Sink {
    /// Bytes written so far.
    fn len(&self) -> usize;
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    /// An integer of up to 32 bits.
    fn short(&mut self, value: i64);
    fn u64(&mut self, value: u64);
    fn s64(&mut self, value: i64);
    fn f32(&mut self, value: f32);
    fn f64(&mut self, value: f64);
    fn text(&mut self, value: &str);
    /// Each value is a `u8`.
    fn bytes(&mut self, values: &[Val]);
    fn array(&mut self, len: usize);
    /// Before each element.
    fn element(&mut self, at: usize);
    fn array_end(&mut self);
    fn object(&mut self, len: usize);
    /// Before each member's value.
    fn key(&mut self, at: usize, key: &str);
    fn object_end(&mut self);
}

/// An element of a `list<u8>`.
pub(super) fn byte(value: &Val) -> u8 {
    let Val::U8(byte) = value else {
        unreachable!("a list<u8> holds bytes")
    };
    *byte
}

/// JSON text without spaces.
pub(super) struct JsonSink {
    pub(super) out: Vec<u8>,
    pub(super) int64_as_string: bool,
}

impl JsonSink {
    /// What serde_json writes for a simple value: it never fails on a vector.
    fn simple(&mut self, value: &impl serde::Serialize) {
        serde_json::to_writer(&mut self.out, value).expect("a simple value into a vector");
    }

    fn quoted(&mut self, value: &impl serde::Serialize) {
        self.out.push(b'"');
        self.simple(value);
        self.out.push(b'"');
    }

    fn special(&mut self, is_nan: bool, is_positive: bool) {
        let name: &[u8] = match (is_nan, is_positive) {
            (true, _) => b"\"NaN\"",
            (false, true) => b"\"Infinity\"",
            (false, false) => b"\"-Infinity\"",
        };
        self.out.extend_from_slice(name);
    }
}

impl Sink for JsonSink {
    fn len(&self) -> usize {
        self.out.len()
    }

    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    fn bool(&mut self, value: bool) {
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn short(&mut self, value: i64) {
        self.simple(&value);
    }

    fn u64(&mut self, value: u64) {
        if self.int64_as_string || EXACT_MAX < value {
            self.quoted(&value)
        } else {
            self.simple(&value)
        }
    }

    fn s64(&mut self, value: i64) {
        if self.int64_as_string || EXACT_MAX < value.unsigned_abs() {
            self.quoted(&value)
        } else {
            self.simple(&value)
        }
    }

    fn f32(&mut self, value: f32) {
        if value.is_finite() {
            self.simple(&value)
        } else {
            self.special(value.is_nan(), 0.0 < value)
        }
    }

    fn f64(&mut self, value: f64) {
        if value.is_finite() {
            self.simple(&value)
        } else {
            self.special(value.is_nan(), 0.0 < value)
        }
    }

    fn text(&mut self, value: &str) {
        self.simple(&value);
    }

    fn bytes(&mut self, values: &[Val]) {
        use base64::Engine as _;
        const CHUNK: usize = 768;
        self.out.reserve(values.len().div_ceil(3) * 4 + 2);
        self.out.push(b'"');
        let (mut plain, mut coded) = ([0_u8; CHUNK], [0_u8; CHUNK / 3 * 4]);
        for chunk in values.chunks(CHUNK) {
            plain
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = byte(from));
            let engine = base64::engine::general_purpose::STANDARD;
            let len = engine
                .encode_slice(&plain[..chunk.len()], &mut coded)
                .expect("four for three fit");
            self.out.extend_from_slice(&coded[..len]);
        }
        self.out.push(b'"');
    }

    fn array(&mut self, _len: usize) {
        self.out.push(b'[');
    }

    fn element(&mut self, at: usize) {
        if 0 < at {
            self.out.push(b',');
        }
    }

    fn array_end(&mut self) {
        self.out.push(b']');
    }

    fn object(&mut self, _len: usize) {
        self.out.push(b'{');
    }

    fn key(&mut self, at: usize, key: &str) {
        self.element(at);
        self.simple(&key);
        self.out.push(b':');
    }

    fn object_end(&mut self) {
        self.out.push(b'}');
    }
}

/// CBOR with definite lengths and the shortest heads.
pub(super) struct CborSink {
    pub(super) out: Vec<u8>,
}

impl CborSink {
    fn head(&mut self, major: u8, value: u64) {
        let bytes = value.to_be_bytes();
        let (info, len) = match value {
            0..=23 => (bytes[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.out.push(major << 5 | info);
        self.out.extend_from_slice(&bytes[8 - len..]);
    }
}

impl Sink for CborSink {
    fn len(&self) -> usize {
        self.out.len()
    }

    fn null(&mut self) {
        self.out.push(0xf6);
    }

    fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    fn short(&mut self, value: i64) {
        self.s64(value);
    }

    fn u64(&mut self, value: u64) {
        self.head(0, value);
    }

    fn s64(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            Err(_) => self.head(1, value.unsigned_abs() - 1),
        }
    }

    fn f32(&mut self, value: f32) {
        self.out.push(0xfa);
        self.out.extend_from_slice(&value.to_bits().to_be_bytes());
    }

    fn f64(&mut self, value: f64) {
        self.out.push(0xfb);
        self.out.extend_from_slice(&value.to_bits().to_be_bytes());
    }

    fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn bytes(&mut self, values: &[Val]) {
        self.head(2, values.len() as u64);
        self.out.extend(values.iter().map(byte));
    }

    fn array(&mut self, len: usize) {
        self.head(4, len as u64);
    }

    fn element(&mut self, _at: usize) {}

    fn array_end(&mut self) {}

    fn object(&mut self, len: usize) {
        self.head(5, len as u64);
    }

    fn key(&mut self, _at: usize, key: &str) {
        self.text(key);
    }

    fn object_end(&mut self) {}
}
