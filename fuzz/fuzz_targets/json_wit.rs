//! JSON and CBOR become arguments or a pointer to what does not fit; what became arguments leaves as JSON that means the same.
#![no_main]

use std::sync::LazyLock;

use granary_core::limits::Limits;
use granary_runtime::{Interface, JsonOptions, Results};
use libfuzzer_sys::fuzz_target;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// Every type, as the test guest `echo` has them: each function answers its argument.
static ECHO: LazyLock<Interface> = LazyLock::new(|| {
    let mut resolve = Resolve::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/echo/wit");
    let (package, _) = resolve.push_path(folder).expect("the WIT is valid");
    let world = resolve
        .select_world(&[package], None)
        .expect("there is one world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world fits");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("the module is valid");
    Interface::inspect(&encoder.encode().expect("the component is valid"))
        .expect("the component is a kind")
});

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let limits = Limits {
        host_memory: 1 << 20,
        ..Limits::DEFAULT
    };
    let method = &ECHO.methods[usize::from(choice) % ECHO.methods.len()];
    // Neither may panic, whatever the bytes are.
    drop(method.arguments_from_cbor(bytes, &limits));
    drop(method.arguments_from_query(&String::from_utf8_lossy(bytes), &limits));
    let Ok(arguments) = method.arguments_from_json(bytes, &limits) else {
        return;
    };
    if method.params.len() != 1 || method.result.as_ref() != Some(&method.params[0].wit) {
        return;
    }
    let results = Results::new(arguments.vals().to_vec());
    let body = method
        .results_to_json(&results, JsonOptions::default(), &limits)
        .expect("what came in goes out");
    // The outermost `result` is taken off on the way out: what is left is not the argument.
    if body.is_err || body.is_unit || method.params[0].wit.starts_with("result") {
        return;
    }
    let again = [b"[".as_slice(), &body.bytes, b"]"].concat();
    let arguments = method
        .arguments_from_json(&again, &limits)
        .expect("what went out comes in");
    let twice = method.results_to_json(
        &Results::new(arguments.vals().to_vec()),
        JsonOptions::default(),
        &limits,
    );
    assert_eq!(twice.expect("it did before").bytes, body.bytes);
});
