//! Why a component is refused.

use granary_core::limits::COMPONENT_BYTES_MAX;

/// Why a component cannot be a kind. Each text says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// The bytes do not start like WebAssembly.
    #[error(
        "these bytes are not WebAssembly: they start with {start}. Upload the .wasm file that the tool chain built"
    )]
    NotWasm {
        /// The first bytes, as a person reads them.
        start: String,
    },
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component. Build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The bytes end too soon.
    #[error(
        "the component ends too soon, at byte {offset}: the file is truncated. Build or upload it again"
    )]
    Truncated {
        /// Where more was expected.
        offset: u64,
    },
    /// The bytes break the format.
    #[error(
        "the component is not valid at byte {offset}: {why}. Build it again with a current tool chain"
    )]
    Invalid {
        /// Where.
        offset: u64,
        /// What the validator says.
        why: String,
    },
    /// Over the size limit.
    #[error(
        "the component has {actual} bytes, at most {COMPONENT_BYTES_MAX} are accepted. Strip its debug sections (`wasm-tools strip`) or split the kind"
    )]
    TooLarge {
        /// Its size.
        actual: u64,
    },
    /// An import that no grant can serve.
    #[error("the component imports `{name}`, which this host does not have{}", hint(name, nearest.as_deref()))]
    UnknownImport {
        /// Its full name.
        name: String,
        /// The served import that is most like it.
        nearest: Option<String>,
    },
    /// An import of a client package that no client looks like.
    #[error(
        "the import `{import}` is not what `granary wit client` makes: {why}. Make it anew, or give the package a name that does not end in -client"
    )]
    Client {
        /// Its full name.
        import: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing to call.
    #[error(
        "the component exports nothing to call. Export an interface with at least one function, or `wasi:http/incoming-handler`"
    )]
    NoExports,
    /// A resource in a method's signature.
    #[error(
        "`{function}` has a resource in {place}. A resource cannot leave its grain: pass an id or the data itself"
    )]
    Resource {
        /// The method.
        function: String,
        /// Where in its signature, as in `parameter 'item', field 'handle'`.
        place: String,
    },
    /// Something that is well-formed but not supported.
    #[error("{what}")]
    Unsupported {
        /// What, and what to do.
        what: String,
    },
    /// The compiler refused it.
    #[error("the component does not compile: {why}")]
    Compile {
        /// What the compiler says.
        why: String,
    },
    /// The node could not do its part: the cache directory, a thread.
    #[error("the node could not prepare the component: {why}")]
    Node {
        /// What failed.
        why: String,
    },
}

fn hint(name: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; the nearest that it has is `{nearest}`"),
        None if name.starts_with("wasi:") => String::new(),
        None => "; to call another kind, import its client package (`granary wit client KIND`) or `granary:grain/calls@0.1.0`".into(),
    }
}
