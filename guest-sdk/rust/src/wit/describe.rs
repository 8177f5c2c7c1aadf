//! Types and functions of an interface as constants.

/// A type of WIT.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the WIT type of its name")]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(&'static Self),
    Option(&'static Self),
    Result(Option<&'static Self>, Option<&'static Self>),
    Tuple(&'static [&'static Self]),
    /// Only the answer of a function, or the `ok` of a result that is one.
    Stream(&'static Self),
    /// A type with a name of its own.
    Named(&'static Named),
}

/// A record, variant, enum or flags.
#[derive(Debug)]
pub struct Named {
    /// Its name in WIT.
    pub name: &'static str,
    /// Where it is in Rust: tells two types of one name apart.
    pub path: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Which of the four.
    pub kind: Kind,
    /// Fields, cases or flags.
    pub items: &'static [Item],
}

/// What a [`Named`] type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the WIT type of its name")]
pub enum Kind {
    Record,
    Variant,
    Enum,
    Flags,
}

/// A field, a case or a flag.
#[derive(Debug)]
pub struct Item {
    /// Its name in WIT.
    pub name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// A field always has one, a case may, a flag has none.
    pub payload: Option<&'static Type>,
}

/// A function of an interface.
#[derive(Debug)]
pub struct Function {
    /// Its name in WIT.
    pub name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Names and types.
    pub params: &'static [(&'static str, &'static Type)],
    /// None if it answers nothing.
    pub result: Option<&'static Type>,
}

/// An interface and the package that it is in.
#[derive(Debug)]
pub struct Interface {
    /// `namespace:name`.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// Its name within the package.
    pub name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// In the order of the source.
    pub functions: &'static [Function],
}
