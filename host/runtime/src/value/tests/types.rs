//! One table a sort of type: what is accepted, what it becomes, what is refused and how.

use super::*;

/// Checks accepted values (`in → out`) and refused ones (`in → pointer below the argument, words of the text`).
fn table(items: &str, ty: &str, accepted: &[(&str, &str)], refused: &[(&str, &str, &str)]) {
    let method = method(&format!("{items} f: func(v: {ty}) -> {ty};"));
    for (json, expected) in accepted {
        let actual =
            there_and_back(&method, json).unwrap_or_else(|error| panic!("{ty} {json}: {error}"));
        assert_eq!(actual, *expected, "{ty} {json}");
    }
    for (json, pointer, words) in refused {
        let (actual, detail) = refusal(&method, &format!("[{json}]"));
        assert_eq!(actual, format!("/0{pointer}"), "{ty} {json}: {detail}");
        assert!(
            detail.contains(words),
            "{ty} {json}: {detail:?} lacks {words:?}"
        );
    }
}

/// Values that are written as they were read.
macro_rules! same {
    ($($json:literal),* $(,)?) => { &[$(($json, $json)),*] };
}

#[test]
fn booleans() {
    table(
        "",
        "bool",
        same!["true", "false"],
        &[
            ("1", "", "expected true or false, found the number 1"),
            ("null", "", "null"),
        ],
    );
}

#[test]
fn small_integers_are_range_checked() {
    let found = "expected an integer from 0 to 255 for u8, found 256";
    table(
        "",
        "u8",
        same!["0", "255"],
        &[
            ("256", "", found),
            ("-1", "", "found -1"),
            ("\"1\"", "", "found the string \"1\""),
        ],
    );
    table(
        "",
        "s8",
        same!["-128", "127"],
        &[("128", "", "from -128 to 127"), ("-129", "", "found -129")],
    );
    table("", "u16", same!["65535"], &[("65536", "", "u16")]);
    table("", "s16", same!["-32768"], &[("32768", "", "s16")]);
    table(
        "",
        "u32",
        &[("3.0", "3"), ("3e2", "300"), ("-0", "0")],
        &[("3.5", "", "found 3.5"), ("4294967296", "", "u32")],
    );
    table(
        "",
        "s32",
        &[("-3.0", "-3")],
        &[("2147483648", "", "s32"), ("1e300", "", "s32")],
    );
}

#[test]
fn long_integers_are_strings_beyond_what_a_double_holds() {
    let long = "\"18446744073709551615\"";
    let accepted = [
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", "\"9007199254740992\""),
        (long, long),
        ("18446744073709551615", long),
        ("\"7\"", "7"),
    ];
    let refused = [
        ("18446744073709551616", "", "u64"),
        ("\"007\"", "", "digits of a u64"),
        ("\"+7\"", "", "digits"),
        ("\"-7\"", "", "digits"),
        ("\"\"", "", "digits"),
        ("1.5", "", "u64"),
    ];
    table("", "u64", &accepted, &refused);
    let least = "\"-9223372036854775808\"";
    table(
        "",
        "s64",
        &[
            ("-9223372036854775808", least),
            (least, least),
            ("-9007199254740991", "-9007199254740991"),
        ],
        &[
            ("-9223372036854775809", "", "s64"),
            ("9223372036854775808", "", "s64"),
        ],
    );
}

#[test]
fn long_integers_are_always_strings_on_demand() {
    let method = method("f: func(v: u64) -> u64;");
    let results = Results::new(vec![Val::U64(7)]);
    let body = method
        .results_to_json(
            &results,
            JsonOptions {
                int64_as_string: true,
            },
            &Limits::DEFAULT,
        )
        .unwrap();
    assert_eq!(body.bytes, b"\"7\"");
}

#[test]
fn floats_have_names_for_what_json_has_no_number_for() {
    let names = [
        ("\"NaN\"", "\"NaN\""),
        ("\"inf\"", "\"Infinity\""),
        ("\"-Infinity\"", "\"-Infinity\""),
    ];
    table(
        "",
        "f64",
        &names,
        &[
            ("\"nan\"", "", "NaN"),
            ("1e999", "", "f64"),
            ("null", "", "f64"),
        ],
    );
    table(
        "",
        "f64",
        &[
            ("1", "1.0"),
            ("-0", "-0.0"),
            ("0.1", "0.1"),
            ("5e-324", "5e-324"),
            ("18446744073709551616", "1.8446744073709552e+19"),
        ],
        &[],
    );
    table("", "f32", &names, &[("1e39", "", "f32")]);
    table(
        "",
        "f32",
        &[
            ("0.1", "0.1"),
            ("16777217", "16777216.0"),
            ("3.4028235e38", "3.4028235e+38"),
        ],
        &[],
    );
}

#[test]
fn characters_and_strings() {
    table(
        "",
        "char",
        same!["\"a\"", "\"ß\"", "\"😀\""],
        &[
            ("\"\"", "", "one character"),
            ("\"ab\"", "", "\"ab\""),
            ("5", "", "5"),
        ],
    );
    let accepted = [
        ("\"\"", "\"\""),
        (r#""\u0041\ud83d\ude00\n\/\u0000""#, "\"A😀\\n/\\u0000\""),
        (r#""a\"b\\c""#, r#""a\"b\\c""#),
    ];
    let refused = [
        (r#""\ud83d""#, "", "surrogate"),
        (r#""\ude00""#, "", "surrogate"),
        (r#""\ud83dx""#, "", "surrogate"),
        (r#""\x""#, "", "an escape"),
        (r#""\u00g0""#, "", "hexadecimal"),
        ("\"\n\"", "", "control character"),
        ("\"abc", "", "end of a string"),
    ];
    table("", "string", &accepted, &refused);
}

#[test]
fn bytes_are_base64() {
    let accepted = [
        ("\"\"", "\"\""),
        ("\"AAEC/w==\"", "\"AAEC/w==\""),
        ("\"AAEC/w\"", "\"AAEC/w==\""),
        ("\"AAEC_w\"", "\"AAEC/w==\""),
        ("[0,1,2,255]", "\"AAEC/w==\""),
    ];
    let refused = [
        ("\"A\"", "", "base64"),
        ("\"ä\"", "", "base64"),
        ("[256]", "/0", "u8"),
        ("5", "", "base64"),
        ("[1,\"2\"]", "/1", "u8"),
    ];
    table("", "list<u8>", &accepted, &refused);
}

#[test]
fn arrays() {
    table(
        "",
        "list<u32>",
        same!["[]", "[1,2,3]"],
        &[
            ("[1,\"x\"]", "/1", "u32"),
            ("{}", "", "expected an array for list<u32>, found an object"),
        ],
    );
    table(
        "",
        "list<list<string>>",
        same!["[[\"a\"],[]]"],
        &[("[[\"a\",1]]", "/0/1", "expected a string")],
    );
    table(
        "",
        "tuple<u32, string>",
        same!["[1,\"a\"]"],
        &[
            ("[1]", "", "expected 2 elements, found 1"),
            ("[1,\"a\",2]", "/2", "found more"),
            ("[\"a\",1]", "/0", "u32"),
        ],
    );
}

#[test]
fn records() {
    let items = "record r { a: u32, some-name: option<string>, c: bool }";
    let accepted = [
        (
            r#"{"a":1,"some-name":"x","c":true}"#,
            r#"{"a":1,"some-name":"x","c":true}"#,
        ),
        (
            r#"{"c":false,"a":1}"#,
            r#"{"a":1,"some-name":null,"c":false}"#,
        ),
        (
            r#" { "c" : false , "some-name" : null , "a" : 1 } "#,
            r#"{"a":1,"some-name":null,"c":false}"#,
        ),
    ];
    let refused = [
        (r#"{"a":1}"#, "/c", "field missing: expected bool"),
        (
            r#"{"a":1,"c":true,"someName":"x"}"#,
            "/someName",
            "unknown field \"someName\"; did you mean 'some-name'?",
        ),
        (r#"{"a":1,"c":true,"a":2}"#, "/a", "field given twice"),
        (r#"{"a":1,"c":true,"x/y~z":2}"#, "/x~1y~0z", "unknown field"),
        (r#"{"a":"1","c":true}"#, "/a", "u32"),
        (r#"{"a":1,"c":true,}"#, "", "malformed JSON"),
        (r#"{"a" 1}"#, "", "':'"),
        (r#"{a:1}"#, "", "expected a string"),
        ("[1]", "", "expected an object for r, found an array"),
    ];
    table(items, "r", &accepted, &refused);
}

#[test]
fn a_record_of_many_fields_comes_in_any_order() {
    let fields: Vec<_> = (0..40).map(|at| format!("field-{at}: u32")).collect();
    let backwards: Vec<_> = (0..40)
        .rev()
        .map(|at| format!("\"field-{at}\":{at}"))
        .collect();
    let forwards: Vec<_> = (0..40).map(|at| format!("\"field-{at}\":{at}")).collect();
    let (json, out) = (
        format!("{{{}}}", backwards.join(",")),
        format!("{{{}}}", forwards.join(",")),
    );
    table(
        &format!("record r {{ {} }}", fields.join(", ")),
        "r",
        &[(&json, &out), (&out, &out)],
        &[("{\"field-40\":1}", "/field-40", "unknown field")],
    );
}

#[test]
fn variants() {
    let items = "variant v { none, number(u32), maybe(option<u32>) }";
    let accepted = [
        ("\"none\"", "\"none\""),
        (r#"{"none":null}"#, "\"none\""),
        (r#"{"number":3}"#, r#"{"number":3}"#),
        (r#"{"maybe":null}"#, r#"{"maybe":null}"#),
    ];
    let refused = [
        (
            "\"number\"",
            "",
            "case 'number' carries a u32: expected {\"number\": …}",
        ),
        (r#"{"number":"x"}"#, "/number", "u32"),
        (r#"{"none":1}"#, "/none", "carries nothing"),
        (
            r#"{"nubmer":3}"#,
            "",
            "unknown case \"nubmer\"; did you mean 'number'? (cases: none, number, maybe)",
        ),
        (r#"{"number":3,"none":null}"#, "", "found more"),
        ("{}", "", "found none"),
        ("3", "", "found the number 3"),
    ];
    table(items, "v", &accepted, &refused);
}

#[test]
fn enums_and_flags() {
    table(
        "enum e { red, green }",
        "e",
        same!["\"red\""],
        &[
            ("\"gren\"", "", "did you mean 'green'?"),
            ("0", "", "case's name for e"),
        ],
    );
    let accepted = [("[]", "[]"), ("[\"b\",\"a\"]", "[\"a\",\"b\"]")];
    let refused = [
        ("[\"a\",\"a\"]", "/1", "flag \"a\" given twice"),
        ("[\"d\"]", "/0", "unknown flag \"d\""),
        ("\"a\"", "", "array of flags"),
        ("[1]", "/0", "a flag's name"),
    ];
    table("flags g { a, b, c }", "g", &accepted, &refused);
}

#[test]
fn options() {
    table(
        "",
        "option<u32>",
        same!["null", "3"],
        &[("\"x\"", "", "u32")],
    );
    table(
        "",
        "option<option<u32>>",
        same!["null", "{\"some\":null}", "{\"some\":3}"],
        &[
            ("3", "", "null or {\"some\": …}"),
            ("{\"none\":3}", "", "expected \"some\""),
            ("{\"some\":\"x\"}", "/some", "u32"),
        ],
    );
    table(
        "",
        "option<option<option<bool>>>",
        same![
            "null",
            "{\"some\":null}",
            "{\"some\":{\"some\":null}}",
            "{\"some\":{\"some\":true}}"
        ],
        &[],
    );
    table(
        "type inner = option<u32>;",
        "option<inner>",
        same!["{\"some\":null}"],
        &[("3", "", "null or")],
    );
}

#[test]
fn results_inside_a_value() {
    table(
        "",
        "list<result<u32, string>>",
        same!["[{\"ok\":1},{\"err\":\"x\"}]"],
        &[
            ("[{\"ok\":\"x\"}]", "/0/ok", "u32"),
            ("[{\"err\":1}]", "/0/err", "a string"),
            ("[\"ok\"]", "/0", "expected \"ok\" or \"err\""),
            (
                "[{\"okay\":1}]",
                "/0",
                "expected \"ok\" or \"err\", found \"okay\"",
            ),
        ],
    );
    table(
        "",
        "list<result>",
        &[("[\"ok\",\"err\"]", "[{\"ok\":null},{\"err\":null}]")],
        &[],
    );
}

#[test]
fn a_result_around_the_whole_is_taken_off() {
    let body = |ty: &str, val: Option<Val>| {
        let method = method(&format!("f: func() {ty};"));
        let results = Results::new(val.into_iter().collect());
        let body = method
            .results_to_json(&results, JsonOptions::default(), &Limits::DEFAULT)
            .unwrap();
        (
            String::from_utf8(body.bytes).unwrap(),
            body.is_err,
            body.is_unit,
            results.is_err(),
        )
    };
    let boxed = |val: Val| Some(Box::new(val));
    let ok = Val::Result(Ok(boxed(Val::U32(1))));
    let err = Val::Result(Err(boxed(Val::String("no".into()))));
    assert_eq!(body("", None), (String::new(), false, true, false));
    assert_eq!(
        body("-> u32", Some(Val::U32(1))),
        ("1".into(), false, false, false)
    );
    assert_eq!(
        body("-> result<u32, string>", Some(ok)),
        ("1".into(), false, false, false)
    );
    assert_eq!(
        body("-> result<u32, string>", Some(err.clone())),
        ("\"no\"".into(), true, false, true)
    );
    assert_eq!(
        body("-> result<_, string>", Some(Val::Result(Ok(None)))),
        (String::new(), false, true, false)
    );
    assert_eq!(
        body("-> result<_, string>", Some(err)),
        ("\"no\"".into(), true, false, true)
    );
    assert_eq!(
        body("-> result", Some(Val::Result(Err(None)))),
        ("null".into(), true, false, true)
    );
}

#[test]
fn raw_results() {
    let bytes = || Val::List(vec![Val::U8(1), Val::U8(2)]);
    let plain = method("f: func() -> list<u8>;");
    assert!(plain.gives_raw());
    assert_eq!(
        plain
            .results_to_raw(&Results::new(vec![bytes()]), &Limits::DEFAULT)
            .unwrap()
            .bytes,
        [1, 2]
    );
    let fallible = method("f: func() -> result<list<u8>, string>;");
    assert!(fallible.gives_raw());
    let ok = Results::new(vec![Val::Result(Ok(Some(Box::new(bytes()))))]);
    assert_eq!(
        fallible
            .results_to_raw(&ok, &Limits::DEFAULT)
            .unwrap()
            .bytes,
        [1, 2]
    );
    let err = Results::new(vec![Val::Result(Err(Some(Box::new(Val::String(
        "no".into(),
    )))))]);
    let body = fallible.results_to_raw(&err, &Limits::DEFAULT).unwrap();
    assert_eq!(
        (body.bytes.as_slice(), body.is_err),
        (b"\"no\"".as_slice(), true)
    );
    let other = method("f: func() -> u32;");
    assert!(!other.gives_raw());
    assert!(
        other
            .results_to_raw(&Results::new(vec![Val::U32(1)]), &Limits::DEFAULT)
            .is_err()
    );
}
