use super::sample::{api, api_wit, component, component_with_sections, interface};
use super::*;

fn refused(bytes: &[u8]) -> ComponentError {
    Interface::inspect(bytes).unwrap_err()
}

#[test]
fn what_is_no_component_is_told_apart() {
    assert_eq!(
        refused(b""),
        ComponentError::NotWasm {
            start: "nothing: the body is empty".into()
        }
    );
    assert_eq!(
        refused(b"#!/bin/sh\n"),
        ComponentError::NotWasm {
            start: "\"#!/bin/sh\\n\"".into()
        }
    );
    assert_eq!(refused(b"\0asm\x01\0\0\0"), ComponentError::CoreModule);
    assert_eq!(refused(b"\0as"), ComponentError::Truncated { offset: 3 });
    assert!(matches!(
        refused(b"\0asm\x0e\0\x01\0"),
        ComponentError::Invalid { offset: 4, .. }
    ));
    assert_eq!(refused(b"\0asm\x0d\0\x01\0"), ComponentError::NoExports);
    let large = usize::try_from(granary_core::limits::COMPONENT_BYTES_MAX + 1).unwrap();
    assert_eq!(
        refused(&vec![0; large]),
        ComponentError::TooLarge {
            actual: large as u64
        }
    );
}

#[test]
fn every_cut_of_a_component_is_an_error_and_no_panic() {
    let whole = component(&api_wit(
        "record r { a: string, b: list<u64> }\n f: func(r: r) -> result<r, string>;",
    ));
    let wit = Interface::inspect(&whole).unwrap().wit;
    for end in 0..whole.len() {
        // Between two custom sections at the end a cut takes nothing away that matters.
        if let Ok(found) = Interface::inspect(&whole[..end]) {
            assert_eq!(found.wit, wit, "cut at {end} of {}", whole.len());
        }
    }
    assert!(matches!(
        refused(&whole[..whole.len() / 2]),
        ComponentError::Truncated { .. }
    ));
}

#[test]
fn every_flipped_byte_is_an_error_or_a_component_and_no_panic() {
    let whole = component(&api_wit(
        "variant v { a, b(u32) }\n f: func(v: option<v>) -> tuple<v, string>;",
    ));
    for at in 8..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            drop(Interface::inspect(&bytes));
        }
    }
}

#[test]
fn a_kept_world_has_the_same_interface_and_no_code() {
    let wit = "package demo:shop@0.1.0;
         interface goods { record item { name: string, at: option<list<u64>>, tags: list<tuple<string, char>> } }
         interface api {
             use goods.{item};
             variant asked { a(item), b }
             flags rights { read, look-around }
             put: func(item: item) -> result<item, asked>;
             wait: async func(bytes: stream<u8>) -> stream<item>;
             later: func() -> future<rights>;
         }
         world grain {
             import granary:grain/context@0.1.0;
             import granary:grain/state@0.1.0;
             use goods.{item};
             export api;
             export granary:grain/lifecycle@0.1.0;
             export close: func(item: item) -> bool;
         }";
    let comments = br#"?{"interfaces":{"api":{"docs":"What it sells.","funcs":{"put":"Back on the shelf."},"types":{"asked":{"docs":"What for."}}}}}"#;
    let sections = [
        ("granary-docs:api", [&[1], &comments[1..]].concat()),
        ("padding", vec![0; 5000]),
    ];
    let whole = component_with_sections(wit, &sections);
    let interface = Interface::inspect(&whole).unwrap();
    for said in ["What it sells.", "Back on the shelf.", "What for."] {
        assert!(interface.wit.contains(said), "{}", interface.wit);
    }
    let world = interface.world(&whole).unwrap();
    assert!(world.len() + 5000 < whole.len(), "{}", world.len());
    let again = Interface::of_world(&world).unwrap();
    assert_eq!(format!("{again:?}"), format!("{interface:?}"));
    // The one is not taken for the other.
    Interface::of_world(&whole).unwrap_err();
    Interface::inspect(&world).unwrap_err();
}

#[test]
fn of_bytes_that_are_not_understood_there_is_no_world_and_no_interface() {
    let whole = component(&api_wit("f: func(a: u32) -> tuple<u32, string>;"));
    let interface = Interface::inspect(&whole).unwrap();
    let world = interface.world(&whole).unwrap();
    for end in 0..whole.len() {
        drop(interface.world(&whole[..end]));
        drop(Interface::of_world(&world[..end.min(world.len())]));
    }
    for at in 8..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        drop(interface.world(&bytes));
    }
    for at in 8..world.len() {
        let mut bytes = world.clone();
        bytes[at] ^= 0xff;
        drop(Interface::of_world(&bytes));
    }
    let other = component(&api_wit("g: func();"));
    assert_eq!(interface.world(&other), None, "another one's interface");
}

#[test]
fn methods_have_the_shortest_name_that_is_unique() {
    let found = interface(
        "package demo:shop@0.1.0;
         interface one { get: func() -> u32; put: func(v: u32); }
         interface two { get: func() -> string; }
         world grain { export one; export two; export ping: func(); }",
    );
    let names: Vec<_> = found
        .methods
        .iter()
        .map(|m| (m.name.as_str(), m.interface.as_deref()))
        .collect();
    let (one, two) = (Some("demo:shop/one@0.1.0"), Some("demo:shop/two@0.1.0"));
    assert_eq!(
        names,
        [
            ("ping", None),
            ("one.get", one),
            ("put", one),
            ("two.get", two)
        ]
    );
    assert_eq!(found.method("one.put").unwrap().name, "put");
    assert!(found.method("get").is_none());
    assert_eq!(found.nearest("pnig"), Some("ping"));
    assert!(!found.is_async);
}

#[test]
fn hooks_and_the_host_s_interfaces_are_no_methods() {
    let found = interface(
        "package demo:shop@0.1.0;
         interface api { use types.{item}; put: func(item: item); }
         interface types { record item { name: string } }
         world grain { include granary:grain/imports@0.1.0; include granary:grain/with-lifecycle@0.1.0; include granary:grain/with-migration@0.1.0; export api; }",
    );
    let names: Vec<_> = found.methods.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["put"]);
    assert_eq!(
        found.lifecycle.as_deref(),
        Some("granary:grain/lifecycle@0.1.0")
    );
    assert_eq!(
        found.migration.as_deref(),
        Some("granary:grain/migration@0.1.0")
    );
    assert_eq!(found.http, None);
    let imports: Vec<_> = found.imports.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(
        imports,
        [
            "granary:grain/context@0.1.0",
            "granary:grain/state@0.1.0",
            "granary:grain/calls@0.1.0"
        ]
    );
    assert!(found.wit.contains("record item {"), "{}", found.wit);
    assert!(!found.wit.contains("interface state"), "{}", found.wit);
}

#[test]
fn extra_exports_of_tool_chains_are_passed_over() {
    let found = interface(
        "package demo:shop@0.1.0;
         interface api { f: func(); }
         world grain {
             export api;
             export init: func();
             export exports: interface { resource store { constructor(); } }
         }",
    );
    let names: Vec<_> = found.methods.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["f"]);
}

#[test]
fn an_unknown_import_is_named() {
    let bytes = component(
        "package demo:shop@0.1.0;
         interface api { f: func(); }
         interface warehouse { take: func(); }
         world grain { import warehouse; export api; }",
    );
    let name = "demo:shop/warehouse@0.1.0".to_owned();
    assert_eq!(
        refused(&bytes),
        ComponentError::UnknownImport {
            name,
            nearest: None
        }
    );
    assert!(refused(&bytes).to_string().contains("granary:grain/calls"));
}

#[test]
fn a_resource_is_refused_with_its_place() {
    let of = |items: &str| {
        let error = refused(&component(&api_wit(items)));
        let ComponentError::Resource { function, place } = error else {
            panic!("{error}")
        };
        (function, place)
    };
    let (function, place) =
        of("resource h; record item { name: string, handle: h } put: func(item: list<item>);");
    assert_eq!(
        (function.as_str(), place.as_str()),
        ("put", "parameter 'item', the elements, field 'handle'")
    );
    let (function, place) = of("resource h; get: func() -> result<option<h>, string>;");
    assert_eq!(
        (function.as_str(), place.as_str()),
        ("get", "the result, 'ok'")
    );
    let (function, _) = of("resource h { constructor(); }");
    assert_eq!(function, "[constructor]h");
}

#[test]
fn streams_and_async_functions_ask_for_the_async_engine() {
    let found = api("f: async func(a: u32) -> u32; g: func(s: stream<u8>);");
    assert!(found.is_async);
    assert!(found.method("f").unwrap().not_callable.is_none());
    let takes = found.method("g").unwrap();
    assert_eq!(takes.stream_param.as_deref(), Some("s"));
    assert!(takes.params.is_empty() && takes.not_callable.is_none() && takes.streams());
    let why = api("f: func(e: error-context);");
    let why = why.method("f").unwrap().not_callable.clone().unwrap();
    assert!(why.contains("parameter 'e'"), "{why}");
}

#[test]
fn streams_and_futures_are_allowed_where_they_can_be_passed_on() {
    let flow = |wit: &str| api(wit).method("f").unwrap().flow;
    assert_eq!(flow("f: func() -> stream<string>;"), Some(Flow::Stream));
    assert_eq!(
        flow("type byte = u8; f: func() -> result<stream<byte>, string>;"),
        Some(Flow::Bytes)
    );
    let records = api("record r { n: u8 } f: func() -> result<stream<r>, string>;");
    let method = records.method("f").unwrap();
    assert!(method.streams() && method.not_callable.is_none());
    let live = api("record r { e: error-context } f: func() -> stream<r>;");
    assert!(live.method("f").unwrap().not_callable.is_some());
    assert_eq!(
        flow("type n = u64; f: func() -> future<n>;"),
        Some(Flow::Future)
    );
    let future = api("f: func() -> result<future<list<u8>>, string>;");
    let method = future.method("f").unwrap();
    assert!(!method.streams() && method.gives_raw());
    assert_eq!(
        method.result.as_deref(),
        Some("result<future<list<u8>>, string>")
    );
}

#[test]
fn every_other_stream_is_refused_with_its_function_place_and_type() {
    for (items, at, found) in [
        (
            "f: func(s: stream<u8>, n: u32);",
            "parameter 's'",
            "stream<u8>",
        ),
        (
            "f: func(s: stream<string>);",
            "parameter 's'",
            "stream<string>",
        ),
        (
            "f: func(s: option<future<u8>>);",
            "parameter 's'",
            "option<future<u8>>",
        ),
        (
            "f: func() -> list<stream<u8>>;",
            "its result",
            "list<stream<u8>>",
        ),
        (
            "record r { s: stream<u8> } f: func() -> r;",
            "its result",
            "r",
        ),
        (
            "record r { s: stream<u8> } f: func() -> stream<r>;",
            "its result",
            "stream<r>",
        ),
        (
            "f: func() -> stream<stream<u8>>;",
            "its result",
            "stream<stream<u8>>",
        ),
        ("f: func() -> stream;", "its result", "stream"),
        (
            "f: func() -> result<u8, stream<u8>>;",
            "its result",
            "result<u8, stream<u8>>",
        ),
    ] {
        let error = refused(&component(&api_wit(items)));
        let ComponentError::Stream {
            function,
            place,
            wit,
            ..
        } = error
        else {
            panic!("{items}: {error:?}");
        };
        assert_eq!((&*function, &*place, &*wit), ("f", at, found), "{items}");
    }
}

#[test]
fn types_of_absurd_depth_or_size_are_refused() {
    let whole = component(&api_wit("f: func(v: u32);"));
    // A component type section with a thousand nested lists in front: `list<u8>`, then always a list of the one before.
    let mut types = leb128(1000);
    for at in 0_u16..1000 {
        types.push(0x70);
        if at == 0 {
            types.push(0x7d);
        } else {
            types.extend(index(at - 1));
        }
    }
    let mut deep = whole[..8].to_vec();
    deep.push(7);
    deep.extend(leb128(u16::try_from(types.len()).unwrap()));
    deep.extend(types);
    let ComponentError::Invalid { why, .. } = refused(&deep) else {
        panic!("accepted")
    };
    assert!(why.contains("nesting"), "{why}");
    let mut large = "u8".to_owned();
    for _ in 0..17 {
        large = format!("tuple<{large},{large}>");
    }
    assert!(matches!(
        refused(&component(&api_wit(&format!("f: func(v: {large});")))),
        ComponentError::Unsupported { .. }
    ));
}

fn leb128(value: u16) -> Vec<u8> {
    match value {
        0..0x80 => vec![u8::try_from(value).unwrap()],
        _ => vec![
            u8::try_from(value & 0x7f).unwrap() | 0x80,
            u8::try_from(value >> 7).unwrap(),
        ],
    }
}

/// The index of a type, which shares its room with the codes of the plain types: a signed number.
fn index(at: u16) -> Vec<u8> {
    match at {
        0..0x40 => vec![u8::try_from(at).unwrap()],
        _ => vec![
            u8::try_from(at & 0x7f).unwrap() | 0x80,
            u8::try_from(at >> 7).unwrap(),
        ],
    }
}

#[test]
fn comments_reach_the_interface_when_the_component_carries_them() {
    let wit = "/// A shop.
         package demo:shop@0.1.0;
         /// What it sells.
         interface api {
             /// One thing.
             record item {
                 /// What it is called.
                 name: string,
             }
             /// Puts it there.
             put: func(item: item);
         }
         /// The whole.
         world grain { export api; /// Says hello.
           export hello: func(); }";
    let bare = component(wit);
    assert_eq!(
        Interface::inspect(&bare)
            .unwrap()
            .method("put")
            .unwrap()
            .docs,
        None
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.wit"), wit).unwrap();
    let bytes = embed_docs(bare, &[folder.path()]).unwrap();
    let found = Interface::inspect(&bytes).unwrap();
    assert_eq!(
        found.method("put").unwrap().docs.as_deref(),
        Some("Puts it there.")
    );
    assert_eq!(
        found.method("hello").unwrap().docs.as_deref(),
        Some("Says hello.")
    );
    for text in [
        "/// A shop.",
        "/// What it sells.",
        "/// One thing.",
        "/// What it is called.",
        "/// Puts it there.",
        "/// The whole.",
    ] {
        assert!(found.wit.contains(text), "{text} is not in\n{}", found.wit);
    }
    assert_eq!(embed_docs(bytes.clone(), &[folder.path()]).unwrap(), bytes);
}

/// What `granary_sdk::interface` does: a custom section in the core module, which componentisation leaves where it is.
#[test]
fn comments_in_a_core_module_reach_the_interface() {
    let wit = "package demo:shop@0.1.0;
         interface api { record item { name: string } put: func(item: item); }
         interface audit { count: func() -> u32; }
         world grain { export api; export audit; }";
    let with = |sections: [(&'static str, &str); 2]| {
        let sections = sections.map(|(name, json)| (name, [&[1], json.as_bytes()].concat()));
        Interface::inspect(&component_with_sections(wit, &sections)).unwrap()
    };
    let api = r#"{"interfaces":{"api":{"docs":"What it sells.","funcs":{"put":{"docs":"Puts it there."}},"types":{"item":{"docs":null,"items":{"name":"What it is called."}}}}}}"#;
    let audit = r#"{"interfaces":{"audit":{"docs":null,"funcs":{"count":{"docs":"All of them."}},"types":{}}}}"#;
    let found = with([("granary-docs:api", api), ("granary-docs:audit", audit)]);
    let docs = |name: &str| found.method(name).unwrap().docs.clone();
    assert_eq!(docs("put").as_deref(), Some("Puts it there."));
    assert_eq!(docs("count").as_deref(), Some("All of them."));
    for text in ["/// What it sells.", "/// What it is called."] {
        assert!(found.wit.contains(text), "{text} is not in\n{}", found.wit);
    }
    let other = with([("granary-docs-of-another", api), ("granary-docs:api", "{")]);
    assert_eq!(other.method("put").unwrap().docs, None);
}
