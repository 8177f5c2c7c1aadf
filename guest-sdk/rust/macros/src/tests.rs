//! What is refused: the text that the error points at, and what it says.

use proc_macro2::TokenStream;
use syn::{DeriveInput, Error, parse_str};

use crate::{interface, types};

/// Where each error points, and how it begins.
type Found = Vec<(String, String)>;

fn found(errors: Error) -> Found {
    let all = errors.into_iter();
    all.map(|error| {
        let place = error.span().source_text().unwrap_or_default();
        (place, error.to_string())
    })
    .collect()
}

fn of_interface(options: &str, block: &str) -> Found {
    let options: TokenStream = parse_str(options).unwrap();
    match interface::derive(options, &parse_str(block).unwrap()) {
        Ok(_) => Vec::new(),
        Err(errors) => found(errors),
    }
}

fn of_derive(derive: fn(&DeriveInput) -> syn::Result<TokenStream>, item: &str) -> Found {
    match derive(&parse_str(item).unwrap()) {
        Ok(_) => Vec::new(),
        Err(errors) => found(errors),
    }
}

/// Each expected error: the place, and words that it must have.
fn assert_found(found: &Found, expected: &[(&str, &str)]) {
    let fits = |((place, text), (at, words)): (&(String, String), &(&str, &str))| {
        place == at && text.contains(words)
    };
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(fits),
        "{found:#?}"
    );
}

#[test]
fn types_that_wit_does_not_have_are_refused_with_what_to_write() {
    let block = "impl List {
        fn a(x: &str, y: &[u8], z: &Item) {}
        fn b(x: usize, y: i128, z: [u8; 4]) {}
        fn c(x: std::collections::HashMap<String, u8>, y: Option<Box<Item>>) {}
        fn d(x: impl Into<String>, y: Vec<()>, z: fn(u8)) -> Self {}
        fn e(x: Cow<'static, str>, y: Item<'static>, z: Duration) -> Result<(), ()> {}
        fn f() -> StreamReader<u8> {}
        fn g() -> Result<granary_sdk::Stream<u8>, String> {}
        async fn h() -> Result<granary_sdk::Stream<u8>, String> {}
        fn fine(x: Vec<Option<(u8, String)>>) -> Result<(), Vec<Item>> {}
    }";
    let expected = [
        ("&str", "write `String`"),
        ("&[u8]", "write `Vec<T>`"),
        ("&Item", "write the type without `&`"),
        ("usize", "write `u32` or `u64`"),
        ("i128", "at most 64 bits"),
        ("[u8; 4]", "write `Vec<T>`"),
        ("std::collections::HashMap<String, u8>", "`Vec<(K, V)>`"),
        ("Box<Item>", "write the type inside"),
        ("impl Into<String>", "name it"),
        ("()", "is no value"),
        ("fn(u8)", "code cannot be passed"),
        ("Self", "name the type"),
        ("Cow<'static, str>", "write the type inside"),
        ("'static", "without a lifetime"),
        ("Duration", "timeout_ms: u64"),
        ("StreamReader<u8>", "WIT first"),
        ("-> Result<granary_sdk::Stream<u8>, String>", "`async fn`"),
    ];
    assert_found(&of_interface("", block), &expected);
}

#[test]
fn functions_that_cannot_be_called_from_outside_are_refused() {
    let block = "impl List {
        fn a(&self) {}
        fn b(mut self, x: u8) {}
        fn c<T>(x: T) {}
        unsafe fn d() {}
        extern \"C\" fn e() {}
        fn f((x, y): (u8, u8)) {}
        #[cfg(test)] fn g() {}
        fn twice() {}
        fn Twice() {}
        fn über() {}
        fn h(a_b: u8, aB: u8) {}
        const FINE: u8 = 1;
        type Wrong = u8;
    }";
    let expected = [
        ("&self", "takes no `self`"),
        ("mut self", "takes no `self`"),
        ("<T>", "no type parameters"),
        ("unsafe", "leave the word out"),
        ("extern \"C\"", "leave `extern` out"),
        ("(x, y)", "take it apart"),
        ("#[cfg(test)]", "the same however it is built"),
        ("Twice", "`Twice` and `twice` are both `twice`"),
        ("über", "ASCII"),
        ("aB", "`aB` and `a_b` are both `a-b`"),
        ("type Wrong = u8;", "another `impl`"),
    ];
    assert_found(&of_interface("", block), &expected);
    let many: Vec<String> = (0..17).map(|at| format!("x{at}: u8")).collect();
    let found = of_interface(
        "",
        &format!("impl List {{ fn a({}) {{}} }}", many.join(", ")),
    );
    assert!(found[0].1.contains("at most 16"), "{found:?}");
}

#[test]
fn blocks_and_options_that_make_no_interface_are_refused() {
    let one = "impl List { fn a() {} }";
    assert_found(
        &of_interface("", "impl List {}"),
        &[("List", "at least one function")],
    );
    assert_found(
        &of_interface("", "impl Guest for List { fn a() {} }"),
        &[("Guest", "`grain!` alone")],
    );
    assert_found(
        &of_interface("", "impl<T> List<T> { fn a() {} }"),
        &[("<T>", "no parameters")],
    );
    assert_found(
        &of_interface("", "impl [u8] { fn a() {} }"),
        &[("[u8]", "struct of this module")],
    );
    for package in [
        "list",
        "demo:list",
        "Demo:list@0.1.0",
        "demo:list@1",
        "demo:list@01.0.0",
        "demo:@0.1.0",
    ] {
        let found = of_interface(&format!("package = {package:?}"), one);
        assert_found(&found, &[(&format!("{package:?}"), "`demo:list@0.1.0`")]);
    }
    assert_found(
        &of_interface("package = \"wasi:list@0.1.0\"", one),
        &[("\"wasi:list@0.1.0\"", "another namespace")],
    );
    assert_found(
        &of_interface("name = \"My List\"", one),
        &[("\"My List\"", "lower-case words")],
    );
    assert_found(
        &of_interface("nme = \"list\"", one),
        &[("nme", "the options are")],
    );
    assert_found(&of_interface("name = 1", one), &[("1", "the options are")]);
    assert_found(
        &of_interface("lifecycle", one),
        &[("", "hooks are named in")],
    );
    assert_found(
        &of_interface(
            "package = \"demo:list@1.0.0-rc.1+2\", name = \"list-2\",",
            one,
        ),
        &[],
    );
}

#[test]
fn structs_and_enums_that_are_no_types_of_wit_are_refused() {
    assert_found(
        &of_derive(types::record, "struct Pair(u8, u8);"),
        &[("Pair", "`type Name = …;`")],
    );
    assert_found(
        &of_derive(types::record, "struct Nothing;"),
        &[("Nothing", "at least one field")],
    );
    assert_found(
        &of_derive(types::record, "enum E { A }"),
        &[("E", "`granary_sdk::Variant`")],
    );
    assert_found(
        &of_derive(types::record, "struct G<T> { a: T }"),
        &[("<T>", "concrete")],
    );
    assert_found(
        &of_derive(
            types::record,
            "struct Tree { children: Vec<Tree>, a_b: usize, aB: &'static str }",
        ),
        &[
            ("Tree", "cannot hold itself"),
            ("usize", "`u32`"),
            ("&'static str", "`String`"),
            ("aB", "both `a-b`"),
        ],
    );
    assert_found(
        &of_derive(types::variant, "struct S { a: u8 }"),
        &[("S", "`granary_sdk::Record`")],
    );
    assert_found(
        &of_derive(types::variant, "enum Never {}"),
        &[("Never", "at least one case")],
    );
    assert_found(
        &of_derive(
            types::variant,
            "enum E { A(u8, u8), B { x: u8 }, C(), D(Box<E>), Fine(u8) }",
        ),
        &[
            ("(u8, u8)", "`Case((A, B))`"),
            ("{ x: u8 }", "`Case(Struct)`"),
            ("()", "without parentheses"),
            ("Box<E>", "the type inside"),
        ],
    );
    assert_found(
        &of_derive(types::flags, "struct F { a: bool, b: u8 }"),
        &[("u8", "flags are bools")],
    );
    let many: Vec<String> = (0..33).map(|at| format!("x{at}: bool")).collect();
    assert_found(
        &of_derive(types::flags, &format!("struct F {{ {} }}", many.join(", "))),
        &[("F", "at most 32")],
    );
}
