//! What of a component is called, looked up once.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component as Compiled, ComponentExportIndex};

use super::LinkError;
use crate::{Component, Method};

/// The exports of a component that the host may call.
pub(crate) struct Exports {
    /// By names that the component itself has chosen: whoever made them fall together would slow down nobody but its own calls.
    methods: HashMap<String, usize, RandomState>,
    /// First the methods in the order of the interface, then the hooks.
    functions: Vec<Function>,
    pub(crate) activate: Option<usize>,
    pub(crate) deactivate: Option<usize>,
    pub(crate) migrate: Option<usize>,
    pub(crate) http: Option<usize>,
}

/// One callable export.
pub(crate) struct Function {
    pub(crate) index: ComponentExportIndex,
    /// How many values it returns: none or one.
    pub(crate) results: usize,
}

impl Exports {
    /// Finds all of them and checks the types of the hooks. The types of methods were read from the same bytes.
    pub(crate) fn find(component: &Component) -> Result<Self, LinkError> {
        let mut exports = Self {
            methods: HashMap::default(),
            functions: Vec::new(),
            activate: None,
            deactivate: None,
            migrate: None,
            http: None,
        };
        let compiled = &component.compiled;
        let interface = &component.interface;
        for method in &interface.methods {
            let at = exports.add(compiled, method.interface.as_deref(), &method.function)?;
            exports.methods.insert(method.name.clone(), at);
        }
        if let Some(lifecycle) = &interface.lifecycle {
            exports.activate = Some(
                exports.add_hook(compiled, lifecycle, "activate", &|ty| reason_and_result(ty))?,
            );
            exports.deactivate =
                Some(exports.add_hook(compiled, lifecycle, "deactivate", &|ty| reason_only(ty))?);
        }
        if let Some(migration) = &interface.migration {
            exports.migrate = Some(exports.add_hook(compiled, migration, "migrate", &|ty| {
                revision_and_result(ty)
            })?);
        }
        if let Some(http) = &interface.http {
            exports.http = Some(exports.add(compiled, Some(http), "handle")?);
        }
        Ok(exports)
    }

    /// Where a method is.
    pub(crate) fn method(&self, method: &Arc<Method>) -> Option<usize> {
        self.methods.get(&method.name).copied()
    }

    /// An export by its place.
    pub(crate) fn function(&self, at: usize) -> Option<&Function> {
        self.functions.get(at)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.functions.len()
    }

    fn add(
        &mut self,
        compiled: &Compiled,
        interface: Option<&str>,
        function: &str,
    ) -> Result<usize, LinkError> {
        let (at, _) = self.add_typed(compiled, interface, function)?;
        Ok(at)
    }

    fn add_hook(
        &mut self,
        compiled: &Compiled,
        interface: &str,
        function: &str,
        fits: &dyn Fn(&ComponentFunc) -> bool,
    ) -> Result<usize, LinkError> {
        let (at, ty) = self.add_typed(compiled, Some(interface), function)?;
        if fits(&ty) {
            return Ok(at);
        }
        let why = format!(
            "{function} is not declared as in granary:grain@0.1.0; build it against this host's WIT"
        );
        Err(LinkError::Hook {
            export: interface.to_owned(),
            why,
        })
    }

    fn add_typed(
        &mut self,
        compiled: &Compiled,
        interface: Option<&str>,
        function: &str,
    ) -> Result<(usize, ComponentFunc), LinkError> {
        let missing = || LinkError::Hook {
            export: interface.unwrap_or(function).to_owned(),
            why: format!("there is no function {function} in it"),
        };
        let instance = match interface {
            Some(interface) => Some(
                compiled
                    .get_export_index(None, interface)
                    .ok_or_else(missing)?,
            ),
            None => None,
        };
        let Some((ComponentItem::ComponentFunc(ty), index)) =
            compiled.get_export(instance.as_ref(), function)
        else {
            return Err(missing());
        };
        self.functions.push(Function {
            index,
            results: ty.results().len(),
        });
        Ok((self.functions.len() - 1, ty))
    }
}

fn params(ty: &ComponentFunc) -> Vec<Type> {
    ty.params().map(|(_, ty)| ty).collect()
}

fn takes_reason(ty: &ComponentFunc) -> bool {
    matches!(params(ty).as_slice(), [Type::Enum(_)])
}

fn reason_only(ty: &ComponentFunc) -> bool {
    takes_reason(ty) && ty.results().len() == 0
}

fn reason_and_result(ty: &ComponentFunc) -> bool {
    takes_reason(ty) && gives_result(ty)
}

fn revision_and_result(ty: &ComponentFunc) -> bool {
    matches!(params(ty).as_slice(), [Type::U64]) && gives_result(ty)
}

/// `result<_, string>`.
fn gives_result(ty: &ComponentFunc) -> bool {
    let results: Vec<_> = ty.results().collect();
    match results.as_slice() {
        [Type::Result(result)] => result.ok().is_none() && result.err() == Some(Type::String),
        _ => false,
    }
}
