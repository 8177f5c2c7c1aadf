//! Values that pass between two components whose types differ.

use std::sync::Arc;

use granary_core::limits::Limits;
use wasmtime::component::Val;

use super::super::{Results, Typed};
use crate::Method;
use crate::interface::sample;

/// The method `f` of an interface.
fn method(items: &str) -> Arc<Method> {
    sample::api(items).method("f").unwrap().clone()
}

fn option(val: Val) -> Val {
    Val::Option(Some(Box::new(val)))
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn record(fields: &[(&str, Val)]) -> Val {
    Val::Record(
        fields
            .iter()
            .map(|(name, val)| ((*name).to_owned(), val.clone()))
            .collect(),
    )
}

#[test]
fn arguments_reach_a_method_that_takes_more() {
    let client = method(
        "record r { id: u8, c: char } variant v { one, two(s16) } flags g { a, b } f: func(r: r, v: v, g: g, l: list<u8>, t: tuple<f32, u32>, o: option<u8>);",
    );
    let called = method(
        "record r { c: string, new: option<u8>, id: u64 } variant v { zero, two(s64), one } flags g { b, a, c } f: func(r: r, v: v, g: g, l: list<u8>, t: tuple<f64, f64>, o: option<option<u8>>, p: option<u8>);",
    );
    let old = client.clone();
    let sent = |o: Val, method: &Arc<Method>| {
        let vals = vec![
            record(&[("id", Val::U8(7)), ("c", Val::Char('x'))]),
            Val::Variant("two".to_owned(), Some(Box::new(Val::S16(-2)))),
            Val::Flags(vec!["a".to_owned()]),
            Val::List(vec![Val::U8(1), Val::U8(2)]),
            Val::Tuple(vec![Val::Float32(0.5), Val::U32(9)]),
            o,
        ];
        Typed::arguments(vals, method.clone())
    };
    // `option<u8>` and `option<option<u8>>` are unlike: a `null` would mean two things.
    let refused = called
        .arguments_from_typed(&sent(Val::Option(None), &old), &Limits::DEFAULT)
        .unwrap_err();
    assert!(
        refused
            .detail
            .contains("does not fit method 'f': f/o: type changed"),
        "{refused}"
    );
    let called = method(
        "record r { c: string, new: option<u8>, id: u64 } variant v { zero, two(s64), one } flags g { b, a, c } f: func(r: r, v: v, g: g, l: list<u8>, t: tuple<f64, f64>, o: option<u16>, p: option<u8>);",
    );
    let taken = called
        .arguments_from_typed(&sent(option(Val::U8(3)), &client), &Limits::DEFAULT)
        .unwrap();
    assert_eq!(
        taken.vals(),
        [
            record(&[
                ("c", text("x")),
                ("new", Val::Option(None)),
                ("id", Val::U64(7))
            ]),
            Val::Variant("two".to_owned(), Some(Box::new(Val::S64(-2)))),
            Val::Flags(vec!["a".to_owned()]),
            Val::List(vec![Val::U8(1), Val::U8(2)]),
            Val::Tuple(vec![Val::Float64(0.5), Val::Float64(9.0)]),
            option(Val::U16(3)),
            Val::Option(None),
        ]
    );
}

#[test]
fn a_value_becomes_an_option_where_one_is_taken() {
    let client = method("f: func(a: u8, l: list<u16, 2>);");
    let called = method("f: func(a: option<u32>, l: list<u16>);");
    let list = vec![Val::U16(1), Val::U16(2)];
    let vals = vec![Val::U8(1), Val::FixedLengthList(list.clone())];
    let taken = called
        .arguments_from_typed(&Typed::arguments(vals, client), &Limits::DEFAULT)
        .unwrap();
    assert_eq!(taken.vals(), [option(Val::U32(1)), Val::List(list)]);
}

#[test]
fn an_answer_reaches_a_client_that_knows_less() {
    let client = method("record r { id: u64 } enum e { a, b } f: func() -> result<r, e>;");
    let called = method("record r { new: string, id: u8 } enum e { b } f: func() -> result<r, e>;");
    let answer = |val: Val| {
        let results = Results::new(vec![val]);
        let typed = called.results_to_typed(results, &Limits::DEFAULT).unwrap();
        client.answer_from_typed(typed, &Limits::DEFAULT).unwrap()
    };
    let ok = record(&[("new", text("n")), ("id", Val::U8(1))]);
    assert_eq!(
        answer(Val::Result(Ok(Some(Box::new(ok))))),
        Ok(Some(Box::new(record(&[("id", Val::U64(1))]))))
    );
    let err = Some(Box::new(Val::Enum("b".to_owned())));
    assert_eq!(answer(Val::Result(Err(err.clone()))), Err(err));
}

#[test]
fn an_error_that_the_client_does_not_know_comes_as_text() {
    let client = method("f: func() -> u8;");
    let called = method("f: func() -> result<u8, string>;");
    let answer = |val: Val| {
        let results = Results::new(vec![Val::Result(val_result(val))]);
        let typed = called.results_to_typed(results, &Limits::DEFAULT).unwrap();
        client.answer_from_typed(typed, &Limits::DEFAULT)
    };
    assert_eq!(answer(Val::U8(1)), Ok(Ok(Some(Box::new(Val::U8(1))))));
    let error = answer(text("no")).unwrap_err();
    assert!(
        matches!(&error, granary_core::error::CallError::App { value, .. } if value == "\"no\""),
        "{error:?}"
    );
}

type Payload = Option<Box<Val>>;

/// A text is the error, anything else is the value.
fn val_result(val: Val) -> Result<Payload, Payload> {
    let is_err = matches!(val, Val::String(_));
    let val = Some(Box::new(val));
    if is_err { Err(val) } else { Ok(val) }
}

#[test]
fn limits_hold_for_values_as_for_text() {
    let method = method("f: func(l: list<u8>, t: list<string>) -> list<u32>;");
    let sent = |bytes: usize, texts: usize| {
        let vals = vec![
            Val::List(vec![Val::U8(0); bytes]),
            Val::List(vec![text("ab"); texts]),
        ];
        Typed::arguments(vals, method.clone())
    };
    assert_eq!(sent(10, 3).bytes(), 16);
    let small = Limits {
        host_memory: 2048,
        result: 8,
        ..Limits::DEFAULT
    };
    assert!(method.arguments_from_typed(&sent(10, 3), &small).is_ok());
    for many in [sent(100, 0), sent(0, 100)] {
        let refused = method.arguments_from_typed(&many, &small).unwrap_err();
        assert_eq!(refused.limit.unwrap().key(), "host-memory", "{refused}");
    }
    let results = |len| Results::new(vec![Val::List(vec![Val::U32(0); len])]);
    assert!(method.results_to_typed(results(2), &small).is_ok());
    let refused = method.results_to_typed(results(3), &small).unwrap_err();
    assert_eq!(refused.limit.unwrap().key(), "result", "{refused}");
}

#[test]
fn what_was_kept_as_text_is_read_as_the_client_s_types() {
    let client = method("f: func() -> result<u64, string>;");
    let read = |json: &str, is_err| {
        client
            .answer_from_json(json.as_bytes(), is_err, &Limits::DEFAULT)
            .unwrap()
    };
    assert_eq!(
        read("\"18446744073709551615\"", false),
        Ok(Some(Box::new(Val::U64(u64::MAX))))
    );
    assert_eq!(read("\"no\"", true), Err(Some(Box::new(text("no")))));
    let unit = method("f: func();");
    let answer = unit.answer_from_json(b"null", false, &Limits::DEFAULT);
    assert_eq!(answer, Ok(Ok(None)));
    let unread = unit.answer_from_json(b"7", false, &Limits::DEFAULT);
    assert_eq!(unread, Ok(Ok(None)));
    let unread = client.answer_from_json(b"{}", false, &Limits::DEFAULT);
    assert!(
        unread.unwrap_err().to_string().contains("cannot be read"),
        "the turn was committed, its answer is lost"
    );
}

#[test]
fn arguments_are_written_as_another_caller_would_write_them() {
    let client = method("record r { id: u64 } f: func(r: r, t: option<string>);");
    let vals = vec![record(&[("id", Val::U64(1))]), Val::Option(None)];
    assert_eq!(
        Typed::arguments(vals, client).to_json(),
        br#"[{"id":1},null]"#
    );
}
