//! The derives: a struct or an enum becomes a named type of WIT.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Field, Fields, FieldsNamed, Result, Type};

use crate::names::{Names, add, docs, kebab, or_add};
use crate::refuse::{self, Place};

/// WIT's limit.
const FLAGS_MAX: usize = 32;

pub(crate) fn record(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input, "Record")?;
    let mut errors = refuse_generics(input);
    let mut names = Names::default();
    let (mut items, mut loads, mut stores, mut lifts, mut lowers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, field) in fields.named.iter().enumerate() {
        let (ident, ty) = (field_ident(field), &field.ty);
        check_part(input, ty, &mut errors);
        let Some(name) = or_add(&mut errors, names.take(ident)) else {
            continue;
        };
        items.push(item(&name, &field.attrs, Some(ty)));
        let of = of(ty);
        let place = quote!(at.add(const { ::granary_sdk::wit::glue::offset(<Self as ::granary_sdk::wit::glue::WitType>::TYPE, #at) }));
        let place_in = place.clone();
        loads.push(quote!(#ident: #of::load(#place)));
        stores.push(quote!(#of::store(self.#ident, #place_in);));
        lifts.push(quote!(#ident: #of::lift(slots)));
        lowers.push(quote!(#of::lower(self.#ident, slots);));
    }
    let body = quote! {
        unsafe fn load(at: *mut u8) -> Self {
            unsafe { Self { #(#loads),* } }
        }
        unsafe fn store(self, at: *mut u8) {
            unsafe { #(#stores)* }
        }
        unsafe fn lift(slots: &mut ::granary_sdk::wit::glue::Slots) -> Self {
            unsafe { Self { #(#lifts),* } }
        }
        fn lower(self, slots: &mut ::granary_sdk::wit::glue::Slots) {
            #(#lowers)*
        }
    };
    implementation(input, "Record", &items, &body, errors)
}

pub(crate) fn variant(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(DataEnum { variants, .. }) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "`Variant` is for enums: derive `granary_sdk::Record` on a struct",
        ));
    };
    let mut errors = refuse_generics(input);
    if variants.is_empty() {
        add(
            &mut errors,
            Error::new_spanned(&input.ident, "a variant in WIT has at least one case"),
        );
    }
    let mut names = Names::default();
    let mut cases = Cases::default();
    for (number, case) in variants.iter().enumerate() {
        let payload = or_add(&mut errors, payload(&case.fields)).flatten();
        if let Some(ty) = payload {
            check_part(input, ty, &mut errors);
        }
        if let Some(name) = or_add(&mut errors, names.take(&case.ident)) {
            cases.items.push(item(&name, &case.attrs, payload));
            cases.add(
                u32::try_from(number).unwrap_or(u32::MAX),
                &case.ident,
                payload,
            );
        }
    }
    let is_enum = variants.iter().all(|case| case.fields.is_empty());
    let kind = if is_enum { "Enum" } else { "Variant" };
    implementation(input, kind, &cases.items, &cases.body(), errors)
}

/// One arm for each case, in each of the four directions.
#[derive(Default)]
struct Cases {
    items: Vec<TokenStream>,
    loads: Vec<TokenStream>,
    stores: Vec<TokenStream>,
    lifts: Vec<TokenStream>,
    lowers: Vec<TokenStream>,
}

impl Cases {
    fn add(&mut self, number: u32, case: &Ident, payload: Option<&Type>) {
        let Some(ty) = payload else {
            self.loads.push(quote!(#number => Self::#case,));
            self.stores.push(
                quote!(Self::#case => ::granary_sdk::wit::glue::set_number(at, BYTES, #number),),
            );
            self.lifts.push(quote!(#number => Self::#case,));
            self.lowers
                .push(quote!(Self::#case => slots.put(u64::from(#number)),));
            return;
        };
        let of = of(ty);
        self.loads
            .push(quote!(#number => Self::#case(#of::load(at.add(PAYLOAD))),));
        self.stores.push(quote!(Self::#case(payload) => {
            ::granary_sdk::wit::glue::set_number(at, BYTES, #number);
            #of::store(payload, at.add(PAYLOAD));
        }));
        self.lifts
            .push(quote!(#number => Self::#case(#of::lift(slots)),));
        self.lowers.push(quote!(Self::#case(payload) => {
            slots.put(u64::from(#number));
            #of::lower(payload, slots);
        }));
    }

    fn body(&self) -> TokenStream {
        let Self {
            loads,
            stores,
            lifts,
            lowers,
            ..
        } = self;
        quote! {
            unsafe fn load(at: *mut u8) -> Self {
                unsafe {
                    match ::granary_sdk::wit::glue::number(at, BYTES) {
                        #(#loads)*
                        _ => unreachable!("the host checks cases"),
                    }
                }
            }
            unsafe fn store(self, at: *mut u8) {
                unsafe {
                    match self { #(#stores)* }
                }
            }
            unsafe fn lift(slots: &mut ::granary_sdk::wit::glue::Slots) -> Self {
                slots.sum(LEN, |slots| unsafe {
                    match slots.take() as u32 {
                        #(#lifts)*
                        _ => unreachable!("the host checks cases"),
                    }
                })
            }
            fn lower(self, slots: &mut ::granary_sdk::wit::glue::Slots) {
                slots.sum(LEN, |slots| match self { #(#lowers)* });
            }
        }
    }
}

/// The one value that a case carries.
fn payload(fields: &Fields) -> Result<Option<&Type>> {
    match fields {
        Fields::Unit => Ok(None),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(Some(&fields.unnamed[0].ty)),
        Fields::Unnamed(fields) if fields.unnamed.is_empty() => Err(Error::new_spanned(
            fields,
            "a case without a payload is written without parentheses",
        )),
        Fields::Unnamed(fields) => Err(Error::new_spanned(
            fields,
            "a case in WIT carries at most one value: put these into a struct that derives `granary_sdk::Record`, or into one tuple, `Case((A, B))`",
        )),
        Fields::Named(fields) => Err(Error::new_spanned(
            fields,
            "a case in WIT has no fields of its own: put them into a struct that derives `granary_sdk::Record`, and carry that, `Case(Struct)`",
        )),
    }
}

pub(crate) fn flags(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input, "Flags")?;
    let mut errors = refuse_generics(input);
    if FLAGS_MAX < fields.named.len() {
        let why = format!("WIT has at most {FLAGS_MAX} flags in one type: make two of it");
        add(&mut errors, Error::new_spanned(&input.ident, why));
    }
    let mut names = Names::default();
    let (mut items, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for (at, field) in fields.named.iter().enumerate() {
        let ident = field_ident(field);
        if !matches!(&field.ty, Type::Path(path) if path.path.is_ident("bool")) {
            let why = "flags are bools: for other fields derive `granary_sdk::Record`";
            add(&mut errors, Error::new_spanned(&field.ty, why));
        }
        let Some(name) = or_add(&mut errors, names.take(ident)) else {
            continue;
        };
        items.push(item(&name, &field.attrs, None));
        reads.push(quote!(#ident: bits & (1 << #at) != 0));
        writes.push(quote!((u32::from(self.#ident) << #at)));
    }
    let body = quote! {
        unsafe fn load(at: *mut u8) -> Self {
            let bits = unsafe { ::granary_sdk::wit::glue::number(at, BYTES) };
            Self { #(#reads),* }
        }
        unsafe fn store(self, at: *mut u8) {
            unsafe { ::granary_sdk::wit::glue::set_number(at, BYTES, #(#writes)|*) }
        }
        unsafe fn lift(slots: &mut ::granary_sdk::wit::glue::Slots) -> Self {
            let bits = slots.take() as u32;
            Self { #(#reads),* }
        }
        fn lower(self, slots: &mut ::granary_sdk::wit::glue::Slots) {
            slots.put(u64::from(#(#writes)|*));
        }
    };
    implementation(input, "Flags", &items, &body, errors)
}

fn named_fields<'a>(input: &'a DeriveInput, derive: &str) -> Result<&'a FieldsNamed> {
    let wrong = |instead: &str| {
        Err(Error::new_spanned(
            &input.ident,
            format!("`{derive}` {instead}"),
        ))
    };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => Ok(fields),
            Fields::Named(_) | Fields::Unit => {
                wrong("needs at least one field: WIT has no empty types")
            }
            Fields::Unnamed(_) => wrong(
                "needs names for its fields; for another name of one type write `type Name = …;`",
            ),
        },
        Data::Enum(_) => wrong("is for structs: derive `granary_sdk::Variant` on an enum"),
        Data::Union(_) => {
            wrong("is for structs: WIT has no unions; derive `granary_sdk::Variant` on an enum")
        }
    }
}

fn field_ident(field: &Field) -> &Ident {
    field.ident.as_ref().expect("the fields are named ones")
}

fn refuse_generics(input: &DeriveInput) -> Option<Error> {
    let why = "types of an interface are concrete: write one type for each use, without parameters and lifetimes";
    let is_generic = !input.generics.params.is_empty();
    is_generic.then(|| Error::new_spanned(&input.generics, why))
}

/// What syntax tells about a field's or a case's type.
fn check_part(input: &DeriveInput, ty: &Type, errors: &mut Option<Error>) {
    refuse::check(ty, Place::within(&input.ident), errors);
}

/// `<T as WitType>`, so that an error of the compiler points at the type.
fn of(ty: &Type) -> TokenStream {
    quote!(<#ty as ::granary_sdk::wit::glue::WitType>)
}

fn item(name: &str, attributes: &[syn::Attribute], payload: Option<&Type>) -> TokenStream {
    let docs = docs(attributes);
    let payload = match payload {
        Some(ty) => {
            let of = of(ty);
            quote!(Some(#of::TYPE))
        }
        None => quote!(None),
    };
    quote!(::granary_sdk::wit::Item { name: #name, docs: #docs, payload: #payload })
}

fn implementation(
    input: &DeriveInput,
    kind: &str,
    items: &[TokenStream],
    body: &TokenStream,
    mut errors: Option<Error>,
) -> Result<TokenStream> {
    let ident = &input.ident;
    let name = or_add(&mut errors, kebab(ident)).unwrap_or_default();
    if let Some(errors) = errors {
        return Err(errors);
    }
    let kind = Ident::new(kind, ident.span());
    let docs = docs(&input.attrs);
    Ok(quote! {
        const _: () = {
            #[allow(dead_code, reason = "not each kind of type needs each")]
            const BYTES: usize = ::granary_sdk::wit::glue::number_bytes(<#ident as ::granary_sdk::wit::glue::WitType>::TYPE);
            #[allow(dead_code, reason = "not each kind of type needs each")]
            const PAYLOAD: usize = ::granary_sdk::wit::glue::offset(<#ident as ::granary_sdk::wit::glue::WitType>::TYPE, 0);
            #[allow(dead_code, reason = "not each kind of type needs each")]
            const LEN: usize = ::granary_sdk::wit::glue::flat(Some(<#ident as ::granary_sdk::wit::glue::WitType>::TYPE)).len;

            unsafe impl ::granary_sdk::wit::glue::WitType for #ident {
                const TYPE: &'static ::granary_sdk::wit::Type = &::granary_sdk::wit::Type::Named(&::granary_sdk::wit::Named {
                    name: #name,
                    path: concat!(module_path!(), "::", stringify!(#ident), " (", file!(), ":", line!(), ")"),
                    docs: #docs,
                    kind: ::granary_sdk::wit::Kind::#kind,
                    items: &[#(#items),*],
                });
                #body
            }
        };
    })
}
