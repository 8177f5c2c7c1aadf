//! Random types with random values, and bytes that mean nothing.

use proptest::prelude::*;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, Val};
use wasmtime::{Config, Engine};

use super::*;
use crate::interface::sample::{api_wit, component};
use crate::interface::{Interface, Shape, Ty, Types};

/// A small generator: the property's seed decides everything.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }

    fn pick<'s>(&mut self, of: &[&'s str]) -> &'s str {
        of[self.below(of.len())]
    }

    /// Mostly small, sometimes any, sometimes at the edge.
    fn bits(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next() % 300,
            1 => u64::MAX,
            2 => 1 << 63,
            _ => self.next(),
        }
    }

    fn text(&mut self) -> String {
        let letters = ['a', 'ß', '"', '\\', '\n', '\0', '😀', '/', '~', '-', '7'];
        (0..self.below(6))
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    /// A type in WIT syntax. Those that need a name are added to `items`.
    fn ty(&mut self, depth: usize, items: &mut Vec<String>) -> String {
        const LEAVES: &[&str] = &[
            "bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char",
            "string", "list<u8>",
        ];
        if depth == 0 {
            return self.pick(LEAVES).to_owned();
        }
        let sort = self.below(11);
        let mut part = |dice: &mut Self| dice.ty(depth - 1, items);
        match sort {
            0 => format!("list<{}>", part(self)),
            1 => format!("option<{}>", part(self)),
            2 => format!("tuple<{}, {}>", part(self), part(self)),
            3 => format!("result<{}, {}>", part(self), part(self)),
            4 => format!("result<_, {}>", part(self)),
            5 => format!("list<{}, 3>", part(self)),
            6 => {
                let (a, b) = (part(self), part(self));
                self.named(items, "record", &format!("a: {a}, b-b: {b}"))
            }
            7 => {
                let a = part(self);
                self.named(items, "variant", &format!("a({a}), b, c-c(u8)"))
            }
            8 => self.named(items, "enum", "x, y, z-z"),
            9 => self.named(items, "flags", "x, y, z-z"),
            _ => self.pick(LEAVES).to_owned(),
        }
    }

    fn named(&mut self, items: &mut Vec<String>, sort: &str, inside: &str) -> String {
        let name = format!("t{}", items.len());
        items.push(format!("{sort} {name} {{ {inside} }}"));
        name
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits are a value")]
    fn val(&mut self, types: &Types, ty: Ty) -> Val {
        let bits = self.bits();
        match types.shape(ty) {
            Shape::Bool => Val::Bool(bits.is_multiple_of(2)),
            Shape::U8 => Val::U8(bits as u8),
            Shape::S8 => Val::S8(bits as i8),
            Shape::U16 => Val::U16(bits as u16),
            Shape::S16 => Val::S16(bits as i16),
            Shape::U32 => Val::U32(bits as u32),
            Shape::S32 => Val::S32(bits as i32),
            Shape::U64 => Val::U64(bits),
            Shape::S64 => Val::S64(bits as i64),
            Shape::F32 => Val::Float32(f32::from_bits(bits as u32)),
            Shape::F64 => Val::Float64(f64::from_bits(bits)),
            Shape::Char => Val::Char(self.text().pop().unwrap_or('x')),
            Shape::String => Val::String(self.text()),
            Shape::Bytes => Val::List(
                (0..self.below(5))
                    .map(|_| Val::U8(self.next() as u8))
                    .collect(),
            ),
            Shape::List(of) => {
                Val::List((0..self.below(4)).map(|_| self.val(types, *of)).collect())
            }
            Shape::FixedList(of, len) => {
                Val::FixedLengthList((0..*len).map(|_| self.val(types, *of)).collect())
            }
            Shape::Tuple(of) => Val::Tuple(of.iter().map(|of| self.val(types, *of)).collect()),
            Shape::Record(members, of) => {
                let fields = members.iter().zip(of.iter());
                Val::Record(
                    fields
                        .map(|(member, of)| (member.name.clone(), self.val(types, *of)))
                        .collect(),
                )
            }
            Shape::Variant(members, of) => {
                let at = self.below(members.len());
                Val::Variant(
                    members.name(at).to_owned(),
                    of[at].map(|of| Box::new(self.val(types, of))),
                )
            }
            Shape::Enum(members) => Val::Enum(members.name(self.below(members.len())).to_owned()),
            Shape::Flags(members) => {
                let set = members.iter().filter(|_| self.next().is_multiple_of(2));
                Val::Flags(set.map(|member| member.name.clone()).collect())
            }
            Shape::Option(of) | Shape::NestedOption(of) => {
                Val::Option((self.below(3) != 0).then(|| Box::new(self.val(types, *of))))
            }
            Shape::Result(ok, _) if self.below(2) == 0 => {
                Val::Result(Ok(ok.map(|of| Box::new(self.val(types, of)))))
            }
            Shape::Result(_, err) => Val::Result(Err(err.map(|of| Box::new(self.val(types, of))))),
            Shape::Map(..) | Shape::Live(_) => unreachable!("not generated"),
        }
    }
}

/// A component with one method that takes and gives the same random type, inside a tuple so that an outermost `result` stays.
fn random_component(dice: &mut Dice) -> Vec<u8> {
    let mut items = Vec::new();
    let ty = dice.ty(3, &mut items);
    component(&api_wit(&format!(
        "{}\n f: func(v: tuple<{ty}>) -> tuple<{ty}>;",
        items.join("\n")
    )))
}

/// Equal, where any NaN is like any other.
fn alike(a: &Val, b: &Val) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// Whether Wasmtime would take this value for this type.
fn fits(val: &Val, ty: &Type) -> bool {
    let opt = |val: &Option<Box<Val>>, ty: Option<Type>| match (val, ty) {
        (Some(val), Some(ty)) => fits(val, &ty),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    match (val, ty) {
        (Val::Bool(_), Type::Bool)
        | (Val::U8(_), Type::U8)
        | (Val::S8(_), Type::S8)
        | (Val::U16(_), Type::U16)
        | (Val::S16(_), Type::S16)
        | (Val::U32(_), Type::U32)
        | (Val::S32(_), Type::S32)
        | (Val::U64(_), Type::U64)
        | (Val::S64(_), Type::S64)
        | (Val::Float32(_), Type::Float32)
        | (Val::Float64(_), Type::Float64)
        | (Val::Char(_), Type::Char)
        | (Val::String(_), Type::String) => true,
        (Val::List(vals), Type::List(ty)) => vals.iter().all(|val| fits(val, &ty.ty())),
        (Val::FixedLengthList(vals), Type::FixedLengthList(ty)) => {
            vals.len() == ty.len() as usize && vals.iter().all(|val| fits(val, &ty.ty()))
        }
        (Val::Tuple(vals), Type::Tuple(ty)) => {
            vals.len() == ty.types().len()
                && vals.iter().zip(ty.types()).all(|(val, ty)| fits(val, &ty))
        }
        (Val::Record(vals), Type::Record(ty)) => {
            let fields = ty.fields();
            vals.len() == fields.len()
                && vals
                    .iter()
                    .zip(fields)
                    .all(|((name, val), field)| name == field.name && fits(val, &field.ty))
        }
        (Val::Variant(name, val), Type::Variant(ty)) => ty
            .cases()
            .find(|case| case.name == name)
            .is_some_and(|case| opt(val, case.ty)),
        (Val::Enum(name), Type::Enum(ty)) => ty.names().any(|case| case == name),
        (Val::Flags(names), Type::Flags(ty)) => {
            names.iter().all(|name| ty.names().any(|flag| flag == name))
        }
        (Val::Option(val), Type::Option(ty)) => val.as_ref().is_none_or(|val| fits(val, &ty.ty())),
        (Val::Result(Ok(val)), Type::Result(ty)) => opt(val, ty.ok()),
        (Val::Result(Err(val)), Type::Result(ty)) => opt(val, ty.err()),
        _ => false,
    }
}

/// The parameter types of the method as Wasmtime sees them.
fn engine_types(engine: &Engine, bytes: &[u8]) -> Vec<Type> {
    let component = Component::new(engine, bytes).unwrap();
    let ty = component.component_type();
    let instance = ty.get_export(engine, "demo:shop/api@0.1.0").unwrap();
    let ComponentItem::ComponentInstance(instance) = instance.ty else {
        panic!("an instance")
    };
    let ComponentItem::ComponentFunc(func) = instance.get_export(engine, "f").unwrap().ty else {
        panic!("a function")
    };
    func.params().map(|(_, ty)| ty).collect()
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_fixed_length_lists(true);
    Engine::new(&config).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_of_every_type_survives_json_and_cbor_and_is_what_wasmtime_expects(seed in 1_u64..) {
        let mut dice = Dice(seed);
        let bytes = random_component(&mut dice);
        let found = Interface::inspect(&bytes).unwrap();
        let method = found.method("f").unwrap();
        let expected = engine_types(&engine(), &bytes);
        for _ in 0..20 {
            let val = dice.val(&method.types, method.params[0].ty);
            let results = Results::new(vec![val.clone()]);
            let json = method.results_to_json(&results, JsonOptions::default(), &Limits::DEFAULT).unwrap().bytes;
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
            let document = [b"[", json.as_slice(), b"]"].concat();
            let read = method.arguments_from_json(&document, &Limits::DEFAULT).unwrap();
            prop_assert!(alike(&read.vals()[0], &val), "{val:?} became {read:?} by way of {}", String::from_utf8_lossy(&json));
            prop_assert!(fits(&read.vals()[0], &expected[0]), "{read:?} is no {:?}", expected[0]);
            let cbor = method.results_to_cbor(&results, &Limits::DEFAULT).unwrap().bytes;
            ciborium::from_reader::<ciborium::Value, _>(cbor.as_slice()).unwrap();
            let read = method.arguments_from_cbor(&[&[0x81], cbor.as_slice()].concat(), &Limits::DEFAULT).unwrap();
            prop_assert!(alike(&read.vals()[0], &val), "{val:?} became {read:?} by way of CBOR");
        }
    }

    #[test]
    fn a_damaged_document_is_an_error_or_a_fitting_value(seed in 1_u64..) {
        let mut dice = Dice(seed);
        let bytes = random_component(&mut dice);
        let found = Interface::inspect(&bytes).unwrap();
        let method = found.method("f").unwrap();
        let expected = engine_types(&engine(), &bytes);
        let limits = Limits { host_memory: 64 << 10, ..Limits::DEFAULT };
        for round in 0..200 {
            let val = dice.val(&method.types, method.params[0].ty);
            let results = Results::new(vec![val]);
            let is_json = round % 2 == 0;
            let mut document = if is_json {
                let json = method.results_to_json(&results, JsonOptions::default(), &Limits::DEFAULT).unwrap().bytes;
                [b"[", json.as_slice(), b"]"].concat()
            } else {
                [&[0x81], method.results_to_cbor(&results, &Limits::DEFAULT).unwrap().bytes.as_slice()].concat()
            };
            let (at, other) = (dice.below(document.len()), dice.below(document.len()));
            match dice.below(4) {
                0 => document[at] = u8::try_from(dice.below(256)).unwrap(),
                1 => document.truncate(at),
                2 => document.swap(at, other),
                _ => document.insert(at, *b"[]{},:\"0-\\n\xff".get(dice.below(12)).unwrap()),
            }
            let read = if is_json {
                method.arguments_from_json(&document, &limits)
            } else {
                method.arguments_from_cbor(&document, &limits)
            };
            if let Ok(read) = read {
                prop_assert!(fits(&read.vals()[0], &expected[0]), "{read:?} is no {:?}", expected[0]);
                prop_assert!(read.host_bytes() <= limits.host_memory);
            }
        }
    }
}

#[test]
#[ignore = "prints what the codec costs: cargo test --release -p granary-runtime --lib codec_cost -- --ignored --nocapture"]
#[expect(clippy::too_many_lines, reason = "a list of measurements")]
fn codec_cost() {
    /// The best of twenty: what others do on the machine is not the codec's cost.
    fn cost(name: &str, rounds: u32, mut run: impl FnMut()) {
        let mut timed = || {
            let started = std::time::Instant::now();
            (0..rounds).for_each(|_| run());
            started.elapsed() / rounds
        };
        println!("{name}: {:?}", (0..20).map(|_| timed()).min().unwrap());
    }
    let number = method("f: func(v: u32) -> u32;");
    cost("[1] → u32", 10_000, || {
        drop(std::hint::black_box(
            number.arguments_from_json(b"[1]", &Limits::DEFAULT),
        ))
    });
    let result = Results::new(vec![Val::U32(1)]);
    cost("u32 → 1", 10_000, || {
        drop(std::hint::black_box(number.results_to_json(
            &result,
            JsonOptions::default(),
            &Limits::DEFAULT,
        )));
    });
    let fields = "a: u32, b: string, c: bool, d: f64, e: u64, f: option<string>, g: list<u32>, h: s8, i: char, j: tuple<u8, u8>";
    let record = method(&format!("record r {{ {fields} }} f: func(r: r) -> r;"));
    let json = br#"[{"a":1,"b":"hello world","c":true,"d":1.5,"e":12345678901,"f":"x","g":[1,2,3],"h":-5,"i":"z","j":[1,2]}]"#;
    cost("10-field record in", 2_000, || {
        drop(std::hint::black_box(
            record.arguments_from_json(json, &Limits::DEFAULT),
        ))
    });
    let result = Results::new(
        record
            .arguments_from_json(json, &Limits::DEFAULT)
            .unwrap()
            .vals()
            .to_vec(),
    );
    cost("10-field record out", 2_000, || {
        drop(std::hint::black_box(record.results_to_json(
            &result,
            JsonOptions::default(),
            &Limits::DEFAULT,
        )));
    });
    let bytes = method("f: func(v: list<u8>) -> list<u8>;");
    let limits = Limits {
        host_memory: 256 << 20,
        ..Limits::DEFAULT
    };
    let result = Results::new(
        bytes
            .arguments_from_raw(&vec![7; 1 << 20], &limits)
            .unwrap()
            .vals()
            .to_vec(),
    );
    let json = [
        b"[".to_vec(),
        bytes
            .results_to_json(&result, JsonOptions::default(), &limits)
            .unwrap()
            .bytes,
        b"]".to_vec(),
    ]
    .concat();
    cost("1 MiB list<u8> in", 1, || {
        drop(std::hint::black_box(
            bytes.arguments_from_json(&json, &limits),
        ))
    });
    cost("1 MiB list<u8> out", 1, || {
        drop(std::hint::black_box(bytes.results_to_json(
            &result,
            JsonOptions::default(),
            &limits,
        )))
    });
    println!("one value: {} bytes on the host", size_of::<Val>());
}
