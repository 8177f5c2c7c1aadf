//! Functions whose answers flow.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{GenericArgument, PathArguments, PathSegment, Type};

use crate::interface::glue;

/// Whether an answer has a stream in it, by its name: a macro cannot ask what a type is, and only functions with a stream may import what
/// works with one.
pub(crate) fn flows(answer: &Type) -> bool {
    let last = |ty: &Type| -> Option<PathSegment> {
        match ty {
            Type::Path(path) => path.path.segments.last().cloned(),
            _ => None,
        }
    };
    let Some(segment) = last(answer) else {
        return false;
    };
    match (&segment.arguments, segment.ident == "Result") {
        (PathArguments::AngleBracketed(arguments), true) => match arguments.args.first() {
            Some(GenericArgument::Type(ok)) => last(ok).is_some_and(|ok| ok.ident == "Stream"),
            _ => false,
        },
        _ => segment.ident == "Stream",
    }
}

/// The answer as it passes.
pub(crate) fn passed(answer: &Type) -> TokenStream {
    let glue = glue();
    if flows(answer) {
        quote!(<#answer as #glue::Flows>::Opened)
    } else {
        quote!(#answer)
    }
}

/// The imports that work with the stream of an answer, which is the only one of its function.
pub(crate) fn imports(module: &str, function: &str, answer: &Type) -> TokenStream {
    let glue = glue();
    let functions = [
        ("new", "", quote!(() -> u64)),
        (
            "read",
            "[async-lower]",
            quote!((stream: u32, at: *mut u8, count: usize) -> u32),
        ),
        (
            "write",
            "[async-lower]",
            quote!((stream: u32, at: *const u8, count: usize) -> u32),
        ),
        ("cancel-read", "", quote!((stream: u32) -> u32)),
        ("cancel-write", "", quote!((stream: u32) -> u32)),
        ("drop-readable", "", quote!((stream: u32))),
        ("drop-writable", "", quote!((stream: u32))),
    ];
    let names = functions
        .iter()
        .map(|(name, ..)| format_ident!("{}", name.replace('-', "_")));
    let names: Vec<Ident> = names.collect();
    let links = functions
        .iter()
        .map(|(name, before, _)| format!("{before}[stream-{name}-0]{}", function));
    let signatures: Vec<&TokenStream> = functions.iter().map(|(.., signature)| signature).collect();
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = #module)]
        unsafe extern "C" {
            #(#[link_name = #links] fn #names #signatures;)*
        }
        #(
            #[cfg(not(target_arch = "wasm32"))]
            #[allow(unused_variables, reason = "nothing is imported on this machine")]
            unsafe extern "C" fn #names #signatures {
                unreachable!("only a host takes a stream")
            }
        )*

        static STREAM: #glue::StreamVtable<<#answer as #glue::Flows>::Item> =
            #glue::operations(#glue::Imports { #(#names),* });
    }
}
