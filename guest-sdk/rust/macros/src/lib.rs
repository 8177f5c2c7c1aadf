//! The macros of `granary-sdk`, which re-exports and explains them.
//!
//! They read syntax and write trait implementations; what a type is called or made of they leave to the compiler, by way of
//! `granary_sdk::wit::WitType`. What WIT cannot say is refused here if syntax tells, with a word on what to write instead.
//!
//! Read in this order: `interface`, `types`, `stream`, `refuse`, `names`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "syntax grows; what is not known here is left to the compiler"
)]

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod interface;

mod types;

mod stream;

mod refuse;

mod names;

/// Makes the functions of an `impl` block a grain's interface.
#[proc_macro_attribute]
pub fn interface(options: TokenStream, block: TokenStream) -> TokenStream {
    interface::expand(options.into(), block.into()).into()
}

/// Makes a struct with named fields a WIT `record`.
#[proc_macro_derive(Record)]
pub fn record(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), types::record)
}

/// Makes an enum a WIT `variant`, or an `enum` if no case has a payload.
#[proc_macro_derive(Variant)]
pub fn variant(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), types::variant)
}

/// Makes a struct of bools WIT `flags`.
#[proc_macro_derive(Flags)]
pub fn flags(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), types::flags)
}

fn derive(
    input: &DeriveInput,
    by: fn(&DeriveInput) -> syn::Result<proc_macro2::TokenStream>,
) -> TokenStream {
    by(input)
        .unwrap_or_else(|errors| errors.to_compile_error())
        .into()
}

#[cfg(test)]
mod tests;
