//! The attribute: the functions of an `impl` block become an interface, and its exports.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{
    Error, Expr, ExprLit, FnArg, ImplItem, ImplItemFn, ItemImpl, Lit, MetaNameValue, Pat, Result,
    ReturnType, Token, Type,
};

use crate::names::{Names, add, docs, is_kebab, kebab, or_add};
use crate::refuse::{self, Place};
use crate::stream::{self, flows, passed};

/// As many parameters as a tuple has parts.
const PARAMS_MAX: usize = 16;

/// What stands in the attribute's parentheses.
struct Options {
    package: String,
    version: String,
    name: String,
}

/// One function, read.
struct Function {
    ident: Ident,
    name: String,
    docs: String,
    is_async: bool,
    params: Vec<(String, Type)>,
    /// `()` if it answers nothing.
    answer: Type,
}

pub(crate) fn expand(options: TokenStream, block: TokenStream) -> TokenStream {
    let parsed: ItemImpl = match syn::parse2(block.clone()) {
        Ok(parsed) => parsed,
        Err(_) => {
            let why = "`#[interface]` belongs on an `impl` block: its functions are the grain's interface";
            let error = Error::new(Span::call_site(), why).to_compile_error();
            return quote!(#error #block);
        }
    };
    match derive(options, &parsed) {
        Ok(derived) => quote!(#parsed #derived),
        Err(errors) => {
            let errors = errors.to_compile_error();
            // So that `grain!` has nothing to add.
            quote! {
                #parsed
                #errors
                #[allow(unused_macros, reason = "there is an error already")]
                macro_rules! export { ($($any:tt)*) => {}; }
            }
        }
    }
}

pub(crate) fn derive(options: TokenStream, block: &ItemImpl) -> Result<TokenStream> {
    let mut errors = None;
    let grain = or_add(&mut errors, grain(block));
    let options = match &grain {
        Some(grain) => or_add(&mut errors, parse_options(options, grain)),
        None => None,
    };
    let functions = functions(block, &mut errors);
    match (errors, grain, options) {
        (None, Some(grain), Some(options)) => {
            Ok(write(&grain, &options, &docs(&block.attrs), &functions))
        }
        (Some(errors), ..) => Err(errors),
        (None, ..) => unreachable!("what is missing has left an error"),
    }
}

/// The type that the functions belong to.
fn grain(block: &ItemImpl) -> Result<Ident> {
    if let Some((_, of, _)) = &block.trait_ {
        return Err(Error::new_spanned(
            of,
            "`#[interface]` is for functions without a trait. An interface that is written in WIT needs `grain!` alone",
        ));
    }
    if !block.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &block.generics,
            "a grain's type has no parameters",
        ));
    }
    if let Type::Path(path) = &*block.self_ty
        && let Some(ident) = path.path.get_ident()
    {
        return Ok(ident.clone());
    }
    Err(Error::new_spanned(
        &block.self_ty,
        "a grain is a struct of this module: `struct List;`",
    ))
}

fn parse_options(tokens: TokenStream, grain: &Ident) -> Result<Options> {
    let mut found = Options {
        package: String::new(),
        version: String::new(),
        name: kebab(grain)?,
    };
    let pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated
        .parse2(tokens)
        .map_err(|error| Error::new(error.span(), OPTIONS))?;
    let mut package = None;
    for pair in pairs {
        let Expr::Lit(ExprLit {
            lit: Lit::Str(value),
            ..
        }) = &pair.value
        else {
            return Err(Error::new_spanned(&pair.value, OPTIONS));
        };
        let text = value.value();
        if pair.path.is_ident("package") {
            package = Some(split_package(&text).map_err(|why| Error::new_spanned(value, why))?);
        } else if pair.path.is_ident("name") && is_kebab(&text) {
            found.name = text;
        } else if pair.path.is_ident("name") {
            return Err(Error::new_spanned(
                value,
                "a name in WIT is of lower-case words with `-` between them: `shopping-list`",
            ));
        } else {
            return Err(Error::new_spanned(&pair.path, OPTIONS));
        }
    }
    (found.package, found.version) =
        package.unwrap_or_else(|| (format!("app:{}", found.name), "0.1.0".to_owned()));
    Ok(found)
}

const OPTIONS: &str = "the options are `package = \"demo:list@0.1.0\"` and `name = \"list\"`; hooks are named in `granary_sdk::grain!`";

/// `namespace:name` and the version.
fn split_package(text: &str) -> std::result::Result<(String, String), String> {
    let whole = || {
        format!(
            "`{text}` is no package: write namespace, name and version, as in `demo:list@0.1.0`"
        )
    };
    let (package, version) = text.split_once('@').ok_or_else(whole)?;
    let (namespace, name) = package.split_once(':').ok_or_else(whole)?;
    if !is_kebab(namespace) || !is_kebab(name) || !is_version(version) {
        return Err(whole());
    }
    if namespace == "granary" || namespace == "wasi" {
        return Err(format!(
            "the packages of `{namespace}` are not a grain's own: take another namespace, such as `app`"
        ));
    }
    Ok((package.to_owned(), version.to_owned()))
}

/// Three numbers; behind them a pre-release or build may be named.
fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte))
        && rest.len() != 1
}

fn functions(block: &ItemImpl, errors: &mut Option<Error>) -> Vec<Function> {
    let mut names = Names::default();
    let mut functions = Vec::new();
    for item in &block.items {
        match item {
            ImplItem::Fn(function) => {
                let name = or_add(errors, names.take(&function.sig.ident));
                let read = read(function, name.unwrap_or_default(), errors);
                functions.push(read);
            }
            ImplItem::Const(_) => {}
            other => add(
                errors,
                Error::new_spanned(
                    other,
                    "only functions and constants stand in an interface's block: move this to another `impl`",
                ),
            ),
        }
    }
    if functions.is_empty() {
        add(
            errors,
            Error::new_spanned(&block.self_ty, "an interface has at least one function"),
        );
    }
    functions
}

fn read(function: &ImplItemFn, name: String, errors: &mut Option<Error>) -> Function {
    let signature = &function.sig;
    refuse_modifiers(function, errors);
    let mut names = Names::default();
    let mut params = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => add(
                errors,
                Error::new_spanned(
                    receiver,
                    "a grain's function takes no `self`: what lasts is in `granary_sdk::state`, what the activation remembers is in a `static`",
                ),
            ),
            FnArg::Typed(param) => {
                refuse::check(&param.ty, Place::VALUE, errors);
                if let Some(name) = or_add(errors, param_name(&param.pat, &mut names)) {
                    params.push((name, (*param.ty).clone()));
                }
            }
        }
    }
    if PARAMS_MAX < params.len() {
        let why = format!(
            "a function takes at most {PARAMS_MAX} parameters: put them into a struct that derives `granary_sdk::Record`"
        );
        add(errors, Error::new_spanned(&signature.inputs, why));
    }
    let answer = match &signature.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => {
            refuse::check(ty, Place::ANSWER, errors);
            (**ty).clone()
        }
    };
    if flows(&answer) && signature.asyncness.is_none() {
        let why = "items leave after the function has returned: a function that answers a `Stream` is an `async fn`";
        add(errors, Error::new_spanned(&signature.output, why));
    }
    Function {
        ident: signature.ident.clone(),
        name,
        docs: docs(&function.attrs),
        is_async: signature.asyncness.is_some(),
        params,
        answer,
    }
}

fn refuse_modifiers(function: &ImplItemFn, errors: &mut Option<Error>) {
    let signature = &function.sig;
    let mut say = |place: &dyn ToTokens, why: &str| add(errors, Error::new_spanned(place, why));
    if !signature.generics.params.is_empty() {
        say(
            &signature.generics,
            "a function of an interface has no type parameters and no lifetimes: write one function for each type",
        );
    }
    if let Some(modifier) = &signature.unsafety {
        say(
            modifier,
            "a caller cannot keep the promises of an `unsafe` function: leave the word out, or move the function to another `impl`",
        );
    }
    if let Some(modifier) = &signature.abi {
        say(
            modifier,
            "the component model decides how a function is called: leave `extern` out",
        );
    }
    for attribute in &function.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            say(
                attribute,
                "an interface is the same however it is built: move the function to another `impl`",
            );
        }
    }
}

fn param_name(pattern: &Pat, names: &mut Names) -> Result<String> {
    match pattern {
        Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
            names.take(&ident.ident)
        }
        other => Err(Error::new_spanned(
            other,
            "a parameter of an interface has a name: take it apart in the function",
        )),
    }
}

fn write(grain: &Ident, options: &Options, docs: &str, functions: &[Function]) -> TokenStream {
    let glue = glue();
    let Options {
        package,
        version,
        name,
    } = options;
    let described = functions.iter().map(describe);
    let id = format!("{package}/{name}@{version}");
    let exports = functions
        .iter()
        .map(|function| export(grain, &id, function));
    let export = format_ident!("__granary_export_{}", name.replace('-', "_"));
    let type_section = format!("component-type:granary:{id}");
    let docs_section = format!("granary-docs:{name}");
    let elsewhere =
        format!("write `granary_sdk::grain!({grain})` in the module of its `#[interface]`");
    let mismatch =
        format!("`#[interface]` is on `{grain}` here: write `granary_sdk::grain!({grain})`");
    quote! {
        const _: () = {
            impl ::granary_sdk::wit::Described for #grain {
                const INTERFACE: ::granary_sdk::wit::Interface = ::granary_sdk::wit::Interface {
                    package: #package,
                    version: #version,
                    name: #name,
                    docs: #docs,
                    functions: &[#(#described),*],
                };
                const COMPONENT_TYPE: &'static [u8] = &#glue::component_type::<
                    { #glue::component_type_len(&<#grain as ::granary_sdk::wit::Described>::INTERFACE) },
                >(&<#grain as ::granary_sdk::wit::Described>::INTERFACE);
                const COMMENTS: &'static [u8] = &#glue::comments::<
                    { #glue::comments_len(&<#grain as ::granary_sdk::wit::Described>::INTERFACE) },
                >(&<#grain as ::granary_sdk::wit::Described>::INTERFACE);
            }
        };

        #[doc(hidden)]
        macro_rules! #export {
            (#grain) => {
                #[allow(improper_ctypes, improper_ctypes_definitions, reason = "`()` stands for no value")]
                #[allow(dead_code, unused_imports, reason = "on this machine, where tests run, nothing is exported")]
                #[allow(unsafe_code, reason = "exports are called with addresses")]
                const _: () = {
                    #[cfg(target_arch = "wasm32")]
                    #[unsafe(link_section = #type_section)]
                    #[used]
                    static TYPE: [u8; <#grain as ::granary_sdk::wit::Described>::COMPONENT_TYPE.len()] =
                        *<#grain as ::granary_sdk::wit::Described>::COMPONENT_TYPE.first_chunk().expect("it is just as long");

                    #[cfg(target_arch = "wasm32")]
                    #[unsafe(link_section = #docs_section)]
                    #[used]
                    static COMMENTS: [u8; <#grain as ::granary_sdk::wit::Described>::COMMENTS.len()] =
                        *<#grain as ::granary_sdk::wit::Described>::COMMENTS.first_chunk().expect("it is just as long");

                    #(#exports)*
                };
            };
            (#grain $($rest:tt)*) => { compile_error!(#elsewhere); };
            ($($other:tt)*) => { compile_error!(#mismatch); };
        }
        #[doc(hidden)]
        #[allow(unused_imports, reason = "an interface may be described without being exported, in a test")]
        pub(crate) use #export as export;
    }
}

fn describe(function: &Function) -> TokenStream {
    let glue = glue();
    let Function {
        name,
        docs,
        is_async,
        params,
        answer,
        ..
    } = function;
    let params = params
        .iter()
        .map(|(name, ty)| quote!((#name, <#ty as #glue::WitType>::TYPE)));
    let answer = passed(answer);
    let result = quote!(<#answer as #glue::Payload>::PAYLOAD);
    quote! {
        ::granary_sdk::wit::Function {
            name: #name,
            docs: #docs,
            is_async: #is_async,
            params: &[#(#params),*],
            result: #result,
        }
    }
}

/// Where the SDK's part of an export is. Written out, for a grain may have a module of that name.
pub(crate) fn glue() -> TokenStream {
    quote!(::granary_sdk::wit::glue)
}

/// The core functions of one function.
fn export(grain: &Ident, id: &str, function: &Function) -> TokenStream {
    let glue = glue();
    let Function {
        ident,
        params,
        answer,
        ..
    } = function;
    let passed = passed(answer);
    let types = params.iter().map(|(_, ty)| ty);
    let values: Vec<Ident> = (0..params.len())
        .map(|at| format_ident!("value{at}"))
        .collect();
    let run = quote!(|(#(#values,)*): __Params| <#grain>::#ident(#(#values),*));
    let slots: Vec<usize> = (0..PARAMS_MAX).collect();
    let names: Vec<Ident> = slots.iter().map(|at| format_ident!("slot{at}")).collect();
    let body = if function.is_async {
        write_async(id, function, &run, &slots, &names)
    } else {
        write_sync(id, function, &run, &slots, &names)
    };
    quote! {
        const _: () = {
            type __Params = (#(#types,)*);
            type __Answer = #passed;
            const PARAMS: #glue::Flat = #glue::params::<__Params>();
            #body
        };
    }
}

fn write_sync(
    id: &str,
    function: &Function,
    run: &TokenStream,
    slots: &[usize],
    names: &[Ident],
) -> TokenStream {
    let glue = glue();
    let export = format!("{id}#{}", function.name);
    let after_export = format!("cabi_post_{export}");
    let after = (!is_plain(&function.answer)).then(|| {
        quote! {
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = #after_export))]
            unsafe extern "C" fn after(slot: __Slot) {
                unsafe { #glue::after_answer::<__Answer>(#glue::CoreValue::slot(slot)) }
            }
        }
    });
    quote! {
        type __Slot = <#glue::Core<{ #glue::answer::<__Answer>().kinds[0] }> as #glue::CoreType>::Of;

        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = #export))]
        unsafe extern "C" fn call(
            #(#names: <#glue::Core<{ PARAMS.kinds[#slots] }> as #glue::CoreType>::Of),*
        ) -> __Slot {
            let slots = [#(#glue::CoreValue::slot(#names)),*];
            #glue::CoreValue::from_slot(unsafe { #glue::call::<__Params, __Answer>(slots, #run) })
        }
        #after
    }
}

/// Whether nothing has to be freed behind the answer, as far as syntax tells.
fn is_plain(answer: &Type) -> bool {
    const PLAIN: [&str; 12] = [
        "bool", "char", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64",
    ];
    match answer {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => PLAIN.iter().any(|plain| path.path.is_ident(plain)),
        _ => false,
    }
}

fn write_async(
    id: &str,
    function: &Function,
    run: &TokenStream,
    slots: &[usize],
    names: &[Ident],
) -> TokenStream {
    let glue = glue();
    let export = format!("[async-lift]{id}#{}", function.name);
    let callback = format!("[callback]{export}");
    let module = format!("[export]{id}");
    let task_return = format!("[task-return]{}", function.name);
    let hand_over = quote! {
        |slots| task_return(#(#glue::CoreValue::from_slot(slots[#slots])),*)
    };
    let (imports, start) = if flows(&function.answer) {
        let answer = &function.answer;
        (
            stream::imports(&module, &function.name, &function.answer),
            quote!(#glue::call_flowing::<__Params, #answer, _>(slots, #run, #hand_over, &STREAM)),
        )
    } else {
        (
            TokenStream::new(),
            quote!(#glue::call_async::<__Params, __Answer, _>(slots, #run, #hand_over)),
        )
    };
    quote! {
        #imports

        const GIVEN: #glue::Flat = #glue::task_answer::<__Answer>();

        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = #module)]
        unsafe extern "C" {
            #[link_name = #task_return]
            fn task_return(#(#names: <#glue::Core<{ GIVEN.kinds[#slots] }> as #glue::CoreType>::Of),*);
        }
        #[cfg(not(target_arch = "wasm32"))]
        unsafe extern "C" fn task_return(
            #(_: <#glue::Core<{ GIVEN.kinds[#slots] }> as #glue::CoreType>::Of),*
        ) {
            unreachable!("only a host calls an async export")
        }

        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = #export))]
        unsafe extern "C" fn call(
            #(#names: <#glue::Core<{ PARAMS.kinds[#slots] }> as #glue::CoreType>::Of),*
        ) -> i32 {
            let slots = [#(#glue::CoreValue::slot(#names)),*];
            unsafe { #start }
        }

        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = #callback))]
        unsafe extern "C" fn callback(event: u32, first: u32, second: u32) -> u32 {
            unsafe { #glue::callback(event, first, second) }
        }
    }
}
