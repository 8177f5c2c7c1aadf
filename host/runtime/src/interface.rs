//! What a component says of itself: its methods with their types, what it imports, which hooks it has. Read from the bytes alone, without
//! an engine, before anything is compiled.

use std::sync::Arc;

mod clients;
mod convert;
mod docs;
mod error;
mod imports;
mod inspect;
mod kept;
mod nearest;
#[cfg(test)]
pub(crate) mod sample;
mod stream;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use clients::{APP, CALL, CODES, RESOURCE, SUFFIX, WITH_OPTIONS, target};
pub use clients::{ClientImport, ClientMethod};
pub use docs::embed_docs;
pub use error::ComponentError;
pub(crate) use nearest::nearest;
pub use stream::Flow;
pub(crate) use types::{Member, Members, Shape, Ty, Types};

use crate::value::LastFit;

/// One import of a component, all of which the host can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The full name with its version, as in `wasi:http/outgoing-handler@0.2.6`.
    pub name: String,
    /// What the manifest must grant before it does anything: `http` or `config`. None = of use to everyone.
    pub needs_grant: Option<&'static str>,
}

/// A parameter of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its WIT name.
    pub name: String,
    /// Its type, in WIT syntax with the names that the component gave.
    pub wit: String,
    pub(crate) ty: Ty,
}

/// One function that callers may name.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its public name: the WIT function's name if no other exported interface has one like it, else `interface.function`.
    pub name: String,
    /// The WIT function's own name.
    pub function: String,
    /// The export that holds it, as in `demo:counter/counter@0.1.0`; none for a function at the root of the world.
    pub interface: Option<String>,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// Its result type in WIT syntax; none for a unit method.
    pub result: Option<String>,
    /// The doc comment, where the component carries it.
    pub docs: Option<String>,
    /// Whether its type is `async func`.
    pub is_async: bool,
    /// The stream or future that its result, or the `ok` of its result, is.
    pub flow: Option<Flow>,
    /// The name of its last parameter if that is a `stream<u8>`, which is none of `params`: its bytes are the request's body.
    pub stream_param: Option<String>,
    /// Why callers cannot use it, in words for them: something in its signature that cannot be written as data.
    pub not_callable: Option<String>,
    /// That of a future's value, where the result is one.
    pub(crate) result_ty: Option<Ty>,
    /// The type of a stream's items.
    pub(crate) item_ty: Option<Ty>,
    pub(crate) param_names: Members,
    /// Whether an object may be the first parameter's bare value: see [`crate::value`].
    pub(crate) bare_object: bool,
    pub(crate) types: Arc<Types>,
    /// Of a client's method: what it was last found to say of a called one.
    pub(crate) last_fit: LastFit,
}

/// A component's own account of itself.
#[derive(Debug, Clone)]
pub struct Interface {
    /// What callers may call, in the order of the exports.
    pub methods: Vec<Arc<Method>>,
    /// What it imports. The host can serve each, given the grants.
    pub imports: Vec<Import>,
    /// Which of them call other kinds with types.
    pub clients: Vec<Arc<ClientImport>>,
    /// The full names of everything that it exports.
    pub exports: Vec<String>,
    /// The exported `granary:grain/lifecycle@…`.
    pub lifecycle: Option<String>,
    /// The exported `granary:grain/migration@…`.
    pub migration: Option<String>,
    /// The exported `wasi:http/incoming-handler@…`.
    pub http: Option<String>,
    /// Whether it needs the engine with concurrency support: an async function, a stream, a future or WASI 0.3 anywhere in its type.
    pub is_async: bool,
    /// The kind's world and own interfaces as WIT text, with doc comments where the component carries them.
    pub wit: String,
    pub(crate) types: Arc<Types>,
}

/// The methods that a world exports.
pub(crate) fn methods_of(
    resolve: &wit_parser::Resolve,
    world: wit_parser::WorldId,
) -> Result<Vec<Arc<Method>>, ComponentError> {
    Ok(inspect::read_methods(resolve, world)?.0)
}

impl Method {
    /// Whether there is a stream or a future in its signature.
    pub(crate) fn flows(&self) -> bool {
        self.stream_param.is_some() || self.flow.is_some()
    }

    /// Whether only a caller can use it that passes streams on: HTTP.
    pub fn streams(&self) -> bool {
        self.stream_param.is_some() || self.flow.is_some_and(Flow::is_stream)
    }
}

impl Interface {
    /// Reads a component. Checks everything that can be checked without an engine.
    pub fn inspect(bytes: &[u8]) -> Result<Self, ComponentError> {
        inspect::inspect(bytes)
    }

    /// What [`Self::of_world`] reads, from the component's bytes. None if this very interface cannot be read from such a thing.
    pub(crate) fn world(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let world = kept::world(bytes)?;
        let again = Self::of_world(&world).ok()?;
        kept::are_same(self, &again).then_some(world)
    }

    /// Reads what was kept of a component. Errors: it is something else.
    pub(crate) fn of_world(world: &[u8]) -> Result<Self, ComponentError> {
        kept::read(world)
    }

    /// The method of a public name. `interface.function` is understood for each method, also where the short name would do.
    pub fn method(&self, name: &str) -> Option<&Arc<Method>> {
        let mut methods = self.methods.iter();
        methods.find(|method| method.name == name).or_else(|| {
            let (_, function) = name.rsplit_once('.')?;
            let named = |method: &&Arc<Method>| {
                method.function == function
                    && inspect::qualified(method.interface.as_deref(), function) == name
            };
            let mut found = self.methods.iter().filter(named);
            found.next().filter(|_| found.next().is_none())
        })
    }

    /// The method that a client means which gave these arguments: that of its name in the interface that the client was made from, else
    /// that of its name.
    pub fn called_by(&self, arguments: &crate::Typed) -> Option<&Arc<Method>> {
        target(arguments.method(), self)
    }

    /// The public name that is most like a wrong one, if any is like it.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.methods.iter().map(|method| method.name.as_str()))
    }
}
