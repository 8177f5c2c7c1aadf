//! Why a component is refused.

use granary_core::limits::COMPONENT_BYTES_MAX;

use super::imports;

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
    /// An interface that the host has, but in other versions.
    #[error("{}", other_version(side, name, versions))]
    OtherVersion {
        /// `imports` or `exports`.
        side: &'static str,
        /// Its full name.
        name: String,
        /// The versions that the host has; never empty.
        versions: Vec<String>,
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
    /// A stream or a future in a method's signature that cannot be passed on.
    #[error("`{function}` has `{wit}` in {place}, which cannot be passed on: {rule}")]
    Stream {
        /// The method.
        function: String,
        /// Where in its signature, as in `parameter 'lines'`.
        place: String,
        /// The type that is there.
        wit: String,
        /// What may be there.
        rule: &'static str,
    },
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

fn other_version(side: &str, name: &str, versions: &[String]) -> String {
    let (interface, version) = name.split_once('@').unwrap_or((name, "(no version)"));
    let package = interface.split_once('/').map_or(interface, |(p, _)| p);
    let served: Vec<_> = versions
        .iter()
        .map(|version| format!("{package}@{version}"))
        .collect();
    let what_to_do = if package.starts_with("wasi:") {
        "build it for that version of WASI (Rust: the target wasm32-wasip2; other tool chains: an SDK of WASI 0.2)"
    } else {
        "build it against that version, or run a newer granary"
    };
    format!(
        "the component was built against {package}@{version} (it {side} `{name}`), this host has {}: {what_to_do}",
        served.join(" and ")
    )
}

fn hint(name: &str, nearest: Option<&str>) -> String {
    if let Some(nearest) = nearest {
        return format!("; the nearest that it has is `{nearest}`");
    }
    let siblings = imports::siblings(name);
    if !siblings.is_empty() {
        return format!("; of that package it has {}", siblings.join(", "));
    }
    if name.starts_with("wasi:") {
        String::new()
    } else {
        "; to call another kind, import its client package (`granary wit client KIND`) or `granary:grain/calls@0.1.0`".into()
    }
}
