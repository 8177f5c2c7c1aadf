//! Names and doc comments, from Rust to WIT.

use heck::ToKebabCase;
use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, Result};

/// The name in WIT: `look_around` and `LookAround` are `look-around`. A word of WIT's own, such as `list`, is a name like another.
pub(crate) fn kebab(ident: &Ident) -> Result<String> {
    let name = ident.unraw().to_string().to_kebab_case();
    if is_kebab(&name) {
        Ok(name)
    } else {
        Err(Error::new_spanned(
            ident,
            format!(
                "`{ident}` has no name in WIT: names there are of ASCII letters and digits and begin with a letter"
            ),
        ))
    }
}

pub(crate) fn is_kebab(name: &str) -> bool {
    let words_are_whole = name.split('-').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    words_are_whole && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The lines of the doc comment, as they are written, without the space behind the slashes.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    lines.join("\n").trim().to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    if !pair.path.is_ident("doc") {
        return None;
    }
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &pair.value
    else {
        return None;
    };
    let text = text.value();
    Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
}

/// Puts an error beside the ones that there are.
pub(crate) fn add(errors: &mut Option<Error>, more: Error) {
    match errors {
        Some(errors) => errors.combine(more),
        None => *errors = Some(more),
    }
}

/// The value, or else the error is put beside the others.
pub(crate) fn or_add<T>(errors: &mut Option<Error>, result: Result<T>) -> Option<T> {
    result.map_err(|more| add(errors, more)).ok()
}

/// Names of one place, which must differ in WIT too.
#[derive(Default)]
pub(crate) struct Names(Vec<(String, Ident)>);

impl Names {
    /// The name in WIT, if no other identifier of the place has it.
    pub(crate) fn take(&mut self, ident: &Ident) -> Result<String> {
        let name = kebab(ident)?;
        if let Some((_, other)) = self.0.iter().find(|(taken, _)| *taken == name) {
            return Err(Error::new_spanned(
                ident,
                format!("`{ident}` and `{other}` are both `{name}` in WIT; rename one"),
            ));
        }
        self.0.push((name.clone(), ident.clone()));
        Ok(name)
    }
}
