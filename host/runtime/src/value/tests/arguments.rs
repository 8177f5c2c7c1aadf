//! The forms of arguments, and what a document may cost.

use super::*;

fn accepted(method: &Method, json: &str) -> Vec<Val> {
    let arguments = method.arguments_from_json(json.as_bytes(), &Limits::DEFAULT);
    arguments
        .unwrap_or_else(|error| panic!("{json}: {error}"))
        .vals()
        .to_vec()
}

fn some(val: Val) -> Val {
    Val::Option(Some(Box::new(val)))
}

const NONE: Val = Val::Option(None);

#[test]
fn no_parameters() {
    let method = method("f: func();");
    for json in ["", " \n", "[]", "{}", "null"] {
        assert_eq!(accepted(&method, json), []);
    }
    assert_eq!(
        refusal(&method, "[1]").1,
        "too many arguments: expected at most 0 (no parameters)"
    );
    assert_eq!(refusal(&method, "{\"a\":1}").0, "/a");
    assert!(refusal(&method, "5").1.contains("no arguments"));
}

#[test]
fn in_order_by_name_or_bare() {
    let one = method("f: func(by: u32);");
    for json in ["[3]", "{\"by\":3}", "3", " 3 "] {
        assert_eq!(accepted(&one, json), [Val::U32(3)]);
    }
    assert_eq!(
        refusal(&one, "").1,
        "parameter 'by' missing: expected u32 (by: u32)"
    );
    assert_eq!(
        refusal(&one, "[]").1,
        "parameter 'by' missing: expected u32 (by: u32)"
    );
    assert_eq!(refusal(&one, "{}").0, "/by");
    assert_eq!(
        refusal(&one, "{\"bye\":3}").1,
        "unknown parameter \"bye\"; did you mean 'by'?"
    );
    let two = method("f: func(a: u32, b: string);");
    assert_eq!(
        accepted(&two, "[1,\"x\"]"),
        accepted(&two, "{\"b\":\"x\",\"a\":1}")
    );
    assert_eq!(
        refusal(&two, "[1]").1,
        "parameter 'b' missing: expected string (a: u32, b: string)"
    );
    assert!(refusal(&two, "1").1.contains("'b' is needed too"));
    assert_eq!(refusal(&two, "[1,2]").0, "/1");
    assert_eq!(refusal(&two, "{\"a\":1,\"b\":2}").0, "/b");
}

#[test]
fn optional_parameters_may_be_left_out() {
    let method = method("f: func(a: u32, b: option<u32>, c: option<option<u32>>);");
    for json in ["[1]", "[1,null]", "{\"a\":1}", "1", "[1,null,null]"] {
        assert_eq!(accepted(&method, json), [Val::U32(1), NONE, NONE]);
    }
    assert_eq!(
        accepted(&method, "{\"c\":{\"some\":2},\"a\":1}"),
        [Val::U32(1), NONE, some(some(Val::U32(2)))]
    );
    let all = self::method("f: func(a: option<u32>);");
    assert_eq!(accepted(&all, ""), [NONE]);
    assert_eq!(accepted(&all, "null"), [NONE]);
}

#[test]
fn an_array_is_always_the_arguments_in_order() {
    let method = method("f: func(v: list<u32>);");
    assert_eq!(
        accepted(&method, "[[1,2]]"),
        [Val::List(vec![Val::U32(1), Val::U32(2)])]
    );
    assert_eq!(refusal(&method, "[1]").0, "/0");
    assert!(refusal(&method, "[1,2]").1.contains("expected an array"));
}

#[test]
fn an_object_may_be_the_bare_record() {
    let bare = method("record r { x: u32, y: option<u32> } f: func(item: r);");
    let record = Val::Record(vec![("x".into(), Val::U32(1)), ("y".into(), NONE)]);
    for json in ["{\"x\":1}", "{\"item\":{\"x\":1}}", "[{\"x\":1}]"] {
        assert_eq!(accepted(&bare, json), std::slice::from_ref(&record));
    }
    assert_eq!(refusal(&bare, "{\"x\":\"1\"}").0, "/x");
    assert_eq!(refusal(&bare, "{\"item\":{\"x\":\"1\"}}").0, "/item/x");
    // The record has a field of the parameter's name: an object is always by name.
    let named = method("record r { item: option<u32> } f: func(item: r);");
    assert_eq!(accepted(&named, "{\"item\":{\"item\":1}}").len(), 1);
    assert_eq!(refusal(&named, "{\"item\":1}").0, "/item");
    let variant = method("variant v { a(u32), b } f: func(v: v);");
    assert_eq!(
        accepted(&variant, "{\"a\":1}"),
        accepted(&variant, "{\"v\":{\"a\":1}}")
    );
    assert_eq!(
        accepted(&variant, "\"b\""),
        [Val::Variant("b".into(), None)]
    );
}

#[test]
fn malformed_documents() {
    let method = method("f: func(v: u32);");
    for (json, words) in [
        ("[1", "',' or ']'"),
        ("[1]x", "expected the end"),
        ("[1] [2]", "expected the end"),
        ("[01]", "',' or ']'"),
        ("[1.]", "a digit"),
        ("[-]", "a digit"),
        ("[+1]", "a value"),
        ("[1e]", "a digit"),
        ("[.5]", "a value"),
        ("[tru]", "true"),
        ("[nul]", "null"),
        ("[,1]", "a value"),
        ("[1,]", "expected at most 1"),
        ("//", "a value"),
        ("\u{feff}[1]", "a value"),
    ] {
        let (_, detail) = refusal(&method, json);
        assert!(detail.contains(words), "{json}: {detail}");
    }
    let error = method
        .arguments_from_json(b"[\"\xff\"]", &Limits::DEFAULT)
        .unwrap_err();
    assert!(error.detail.contains("byte 2: not UTF-8"), "{error}");
}

#[test]
fn query_strings() {
    let items = "enum e { red } record r { x: u32 }
        f: func(by: u32, name: option<string>, e: option<e>, r: option<r>, data: option<list<u8>>, long: option<u64>, items: option<list<string>>);";
    let method = method(items);
    let of = |query: &str| method.arguments_from_query(query, &Limits::DEFAULT);
    let vals = of("by=3&name=5&e=red&r=%7B%22x%22:1%7D&data=AAE%3D&long=18446744073709551615&items=%5B%22a+b%22%5D").unwrap();
    assert_eq!(
        vals.vals(),
        [
            Val::U32(3),
            some(Val::String("5".into())),
            some(Val::Enum("red".into())),
            some(Val::Record(vec![("x".into(), Val::U32(1))])),
            some(Val::List(vec![Val::U8(0), Val::U8(1)])),
            some(Val::U64(u64::MAX)),
            some(Val::List(vec![Val::String("a b".into())])),
        ]
    );
    assert_eq!(
        of("by=3").unwrap().vals()[1..],
        [NONE, NONE, NONE, NONE, NONE, NONE]
    );
    assert_eq!(
        of("by=3&name=").unwrap().vals()[1],
        some(Val::String(String::new()))
    );
    for (query, pointer, words) in [
        ("", "/by", "parameter missing"),
        (
            "by=x",
            "/by",
            "expected a number for u32, found the string \"x\"",
        ),
        ("by=1&by=2", "/by", "twice"),
        ("by=1&naem=x", "", "did you mean 'name'"),
        ("by=%4", "/by", "percent"),
        ("by=1&name=%ff", "/name", "percent"),
        ("by=1&e=blue", "/e", "unknown case"),
        ("by=1x", "/by", "expected the end"),
    ] {
        let error = of(query).unwrap_err();
        assert_eq!(error.pointer, pointer, "{query}: {error}");
        assert!(error.detail.contains(words), "{query}: {error}");
    }
}

#[test]
fn raw_arguments() {
    let method = method("f: func(v: list<u8>);");
    assert!(method.takes_raw());
    let arguments = method
        .arguments_from_raw(&[1, 2], &Limits::DEFAULT)
        .unwrap();
    assert_eq!(arguments.vals(), [Val::List(vec![Val::U8(1), Val::U8(2)])]);
    let other = self::method("f: func(v: string);");
    assert!(!other.takes_raw());
    assert!(other.arguments_from_raw(b"x", &Limits::DEFAULT).is_err());
}

#[test]
fn cbor_from_another_writer() {
    let method = method("f: func(a: s64, b: f64, c: list<u8>, d: string, e: option<bool>);");
    let check = |bytes: &[u8]| {
        method
            .arguments_from_cbor(bytes, &Limits::DEFAULT)
            .map(|a| a.vals().to_vec())
    };
    let expected = vec![
        Val::S64(-500),
        Val::Float64(1.5),
        Val::List(vec![Val::U8(1)]),
        Val::String("hi".into()),
        some(Val::Bool(true)),
    ];
    use ciborium::Value;
    let value = Value::Array(vec![
        (-500).into(),
        1.5.into(),
        Value::Bytes(vec![1]),
        "hi".into(),
        true.into(),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&value, &mut bytes).unwrap();
    assert_eq!(check(&bytes).unwrap(), expected);
    // Indefinite lengths, a tag, a half float, chunks.
    let indefinite = b"\x9f\x39\x01\xf3\xf9\x3e\x00\x5f\x41\x01\xff\xc1\x7f\x61h\x61i\xff\xf5\xff";
    assert_eq!(check(indefinite).unwrap(), expected);
    for end in 0..indefinite.len() {
        assert!(check(&indefinite[..end]).is_err(), "cut at {end}");
    }
    assert!(check(b"\x80\x00").is_err());
}

#[test]
fn limits_are_named() {
    let strings = method("f: func(v: list<string>);");
    let small = Limits {
        arguments: 100,
        ..Limits::DEFAULT
    };
    let error = strings
        .arguments_from_json(&[b' '; 101], &small)
        .unwrap_err();
    assert_eq!(error.limit, Some(LimitName::Arguments));

    let limits = Limits {
        host_memory: 64 << 10,
        ..Limits::DEFAULT
    };
    let document = format!("[[{}\"\"]]", "\"\",".repeat(10_000));
    let error = strings
        .arguments_from_json(document.as_bytes(), &limits)
        .unwrap_err();
    assert_eq!(error.limit, Some(LimitName::HostMemory));
    let bytes = method("f: func(v: list<u8>);");
    let document = format!("[\"{}\"]", "A".repeat(4000));
    let error = bytes
        .arguments_from_json(document.as_bytes(), &limits)
        .unwrap_err();
    assert_eq!(error.limit, Some(LimitName::HostMemory));
    assert_eq!(
        bytes
            .arguments_from_raw(&[0; 4000], &limits)
            .unwrap_err()
            .limit,
        Some(LimitName::HostMemory)
    );

    let flags = method("flags g { a } f: func(v: list<g>);");
    let limits = Limits {
        arguments: 64 << 20,
        host_memory: 256 << 20,
        ..Limits::DEFAULT
    };
    let document = format!("[[{}[]]]", "[],".repeat(1_000_001));
    let error = flags
        .arguments_from_json(document.as_bytes(), &limits)
        .unwrap_err();
    assert!(error.detail.contains("values in one document"), "{error}");
}

#[test]
fn a_document_of_empty_records_pays_for_every_field() {
    let fields: Vec<_> = (0..200)
        .map(|at| format!("field-{at}: option<u32>"))
        .collect();
    let method = method(&format!(
        "record r {{ {} }} f: func(v: list<r>);",
        fields.join(", ")
    ));
    let document = format!("[[{}{{}}]]", "{},".repeat(100_000));
    let error = method
        .arguments_from_json(document.as_bytes(), &Limits::DEFAULT)
        .unwrap_err();
    assert_eq!(error.limit, Some(LimitName::HostMemory));
}

#[test]
fn depth_is_limited() {
    let mut ty = "u32".to_owned();
    for _ in 0..70 {
        ty = format!("list<{ty}>");
    }
    let method = method(&format!("f: func(v: {ty});"));
    let error = method
        .arguments_from_json("[".repeat(100).as_bytes(), &Limits::DEFAULT)
        .unwrap_err();
    assert_eq!(error.detail, "nested deeper than 64");
    assert_eq!(error.pointer, "/0".repeat(64));
}

#[test]
fn a_result_that_is_too_large_is_cut_off_early() {
    let limits = Limits {
        result: 100,
        ..Limits::DEFAULT
    };
    let check = |items: &str, val: Val| {
        let method = method(items);
        let results = Results::new(vec![val]);
        let error = method
            .results_to_json(&results, JsonOptions::default(), &limits)
            .unwrap_err();
        assert_eq!(error.limit, Some(LimitName::Result));
        assert_eq!(
            method.results_to_cbor(&results, &limits).unwrap_err().limit,
            Some(LimitName::Result)
        );
    };
    check("f: func() -> string;", Val::String("x".repeat(101)));
    check("f: func() -> list<u8>;", Val::List(vec![Val::U8(0); 101]));
    check(
        "f: func() -> list<u32>;",
        Val::List(vec![Val::U32(1000); 101]),
    );
    let method = method("f: func() -> string;");
    let exact = Results::new(vec![Val::String("x".repeat(98))]);
    assert_eq!(
        method
            .results_to_json(&exact, JsonOptions::default(), &limits)
            .unwrap()
            .bytes
            .len(),
        100
    );
}
