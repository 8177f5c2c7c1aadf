//! Types that can be told from their syntax to have no place in WIT, and what to write instead.

use proc_macro2::Ident;
use syn::{Error, GenericArgument, PathArguments, PathSegment, Type, TypePath};

use crate::names::add;

/// Where a type stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Whether `()` may stand there: as an answer, and in a `Result`.
    takes_nothing: bool,
    /// The type that it is a part of.
    within: Option<&'a Ident>,
}

impl<'a> Place<'a> {
    pub(crate) const VALUE: Self = Self {
        takes_nothing: false,
        within: None,
    };

    pub(crate) const ANSWER: Self = Self {
        takes_nothing: true,
        within: None,
    };

    pub(crate) fn within(ident: &'a Ident) -> Self {
        Self {
            takes_nothing: false,
            within: Some(ident),
        }
    }

    /// The place of an argument of `around`. `Result<(), E>` and `Result<T, ()>` leave a side out.
    fn in_arguments_of(self, around: &PathSegment) -> Self {
        Self {
            takes_nothing: around.ident == "Result",
            ..self
        }
    }
}

/// Adds what is wrong with a type and with the types in it.
pub(crate) fn check(ty: &Type, place: Place<'_>, errors: &mut Option<Error>) {
    let mut say = |instead: &str| add(errors, Error::new_spanned(ty, instead));
    match ty {
        Type::Path(path) => check_path(path, place, errors),
        Type::Paren(inner) => check(&inner.elem, place, errors),
        Type::Group(inner) => check(&inner.elem, place, errors),
        Type::Tuple(tuple) if tuple.elems.is_empty() && !place.takes_nothing => {
            say("`()` is no value in WIT: leave it out, or answer it alone or within a `Result`");
        }
        Type::Tuple(tuple) if 16 < tuple.elems.len() => {
            say(
                "a tuple has at most 16 parts: derive `granary_sdk::Record` on a struct, and give the parts names",
            );
        }
        Type::Tuple(tuple) => {
            for part in &tuple.elems {
                check(
                    part,
                    Place {
                        takes_nothing: false,
                        ..place
                    },
                    errors,
                );
            }
        }
        Type::Reference(reference) => say(&owned(&reference.elem)),
        Type::Array(_) | Type::Slice(_) => say("WIT has lists of any length only: write `Vec<T>`"),
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            say("a type of an interface is concrete: name it");
        }
        Type::Never(_) => {
            say("a function that never comes back answers nothing: leave the type out")
        }
        Type::BareFn(_) => {
            say("code cannot be passed to or from a grain: pass what it needs to know")
        }
        Type::Ptr(_) => say("memory is not shared with a grain: pass the value itself"),
        Type::Infer(_) => say("write the type: an interface cannot leave it to be guessed"),
        // A macro's type, or syntax to come: the compiler tells whether it has a WIT type.
        _ => {}
    }
}

fn owned(referred: &Type) -> String {
    let instead = match referred {
        Type::Path(path) if path.path.is_ident("str") => "`String`",
        Type::Slice(_) => "`Vec<T>`",
        _ => "the type without `&`",
    };
    format!(
        "values arrive and leave whole, nothing is borrowed across the border of a grain: write {instead}"
    )
}

fn check_path(path: &TypePath, place: Place<'_>, errors: &mut Option<Error>) {
    let Some(last) = path.path.segments.last() else {
        return;
    };
    if place
        .within
        .is_some_and(|around| path.path.is_ident(around))
    {
        add(
            errors,
            Error::new_spanned(
                path,
                "a type in WIT cannot hold itself: keep the values in one list, and refer to them by index or key",
            ),
        );
        return;
    }
    if path.qself.is_none()
        && let Some(instead) = instead(&last.ident.to_string())
    {
        add(errors, Error::new_spanned(path, instead));
        return;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return;
    };
    for argument in &arguments.args {
        match argument {
            GenericArgument::Type(ty) => check(ty, place.in_arguments_of(last), errors),
            GenericArgument::Lifetime(lifetime) => add(
                errors,
                Error::new_spanned(
                    lifetime,
                    "values arrive and leave whole, nothing is borrowed across the border of a grain: use a type without a lifetime",
                ),
            ),
            _ => {}
        }
    }
}

/// For types that people are likely to try. Any other is left to the compiler, which knows what a name means.
fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "usize" => "`usize` is not the same everywhere: write `u32` or `u64`",
        "isize" => "`isize` is not the same everywhere: write `i32` or `i64`",
        "u128" | "i128" => {
            "WIT's integers have at most 64 bits: write `u64`, or a `String` of digits"
        }
        "str" => "write `String`",
        "OsString" | "PathBuf" | "Path" => "a grain has no file names of a machine: write `String`",
        "Box" | "Rc" | "Arc" | "Cow" | "Cell" | "RefCell" | "Mutex" => {
            "how a value is held is no part of an interface: write the type inside"
        }
        "HashMap" | "BTreeMap" => "an interface has no maps: write `Vec<(K, V)>`",
        "HashSet" | "BTreeSet" | "VecDeque" | "BinaryHeap" | "LinkedList" => "write `Vec<T>`",
        "Duration" => "write an integer, and the unit into its name: `timeout_ms: u64`",
        "Instant" | "SystemTime" => {
            "write an integer, and the unit into its name: `at_unix_ms: u64`"
        }
        "StreamReader" => {
            "answer a `granary_sdk::Stream<T>`; a stream as a parameter needs an interface in WIT: see \"WIT first\" in the documentation of granary_sdk"
        }
        "FutureReader" => {
            "an `async fn` that awaits the value and answers it is the same to its callers: write the value's own type"
        }
        "Self" => "name the type: `Self` in an interface would say nothing to its callers",
        _ => return None,
    })
}
