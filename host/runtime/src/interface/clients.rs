//! What a component imports to call other kinds with types: the interfaces of client packages, as [`crate::client`] makes them.
//!
//! An import counts as one by its package's name, which ends in `-client`. What it must look like is checked here, so that linking and
//! calling need not look again.

use std::sync::Arc;

use granary_core::id::KindName;
use granary_core::kind::KindSpec;
use wit_parser::{
    Function, FunctionKind, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner,
};

use super::convert::{Converter, Refusal, place, text};
use super::inspect::is_async;
use super::types::{Member, Members, Shape, Ty, Types};
use super::{ComponentError, Method, Param};

/// What the name of a client package ends in.
pub(crate) const SUFFIX: &str = "-client";
/// The resource that stands for a grain.
pub(crate) const RESOURCE: &str = "ref";
/// Its static function that makes one with options.
pub(crate) const WITH_OPTIONS: &str = "with-options";
/// The cases of an error that holds the method's own error and the call's.
pub(crate) const APP: &str = "app";
/// See [`APP`].
pub(crate) const CALL: &str = "call";

/// An imported client interface: how a component sees the kind that it calls.
#[derive(Debug, Clone)]
pub struct ClientImport {
    /// The import, as in `demo:counter-client/counter@0.1.0`.
    pub name: String,
    /// Its package without the version, as in `demo:counter-client`: what a manifest maps to a kind.
    pub package: String,
    /// The interface's own name, which is that of the called kind's interface.
    pub interface: String,
    /// The kind that the package is named after.
    pub kind: KindName,
    /// The methods that the component uses.
    pub methods: Vec<ClientMethod>,
    /// The functions that make a `ref`, and whether each takes options.
    pub(crate) makers: Vec<(String, bool)>,
}

/// One method of a client.
#[derive(Debug, Clone)]
pub struct ClientMethod {
    /// As the component sees it; the errors of calls are taken out of its result, so that it compares with the called method.
    pub method: Arc<Method>,
    /// The import's own name, as in `[method]ref.increment`.
    pub(crate) import: String,
    /// Whether the error is a variant of the method's own and the call's; else it is the call's alone.
    pub(crate) merged: bool,
}

/// Whether an import's full name is that of a client interface.
pub(super) fn is_client(name: &str) -> bool {
    parts(name).is_some()
}

/// Package, kind and interface of a client's full name.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let (package, interface) = name.split_once('/')?;
    let (namespace, of) = package.split_once(':')?;
    let kind = of.strip_suffix(SUFFIX)?;
    (!matches!(namespace, "wasi" | "granary")).then_some((package, kind, interface))
}

/// Reads one. Errors: it does not look like a client.
pub(super) fn read(
    resolve: &Resolve,
    id: InterfaceId,
    name: &str,
) -> Result<ClientImport, ComponentError> {
    let wrong = |why: String| ComponentError::Client {
        import: name.to_owned(),
        why,
    };
    let (package, kind, interface) =
        parts(name).ok_or_else(|| wrong("its name is not that of a client".to_owned()))?;
    let kind = KindName::parse(kind).map_err(|error| wrong(error.to_string()))?;
    let mut reader = Reader {
        resolve,
        id,
        interface,
        converter: Converter::new(resolve),
    };
    let mut makers = Vec::new();
    let mut methods = Vec::new();
    for function in resolve.interfaces[id].functions.values() {
        match reader.function(function).map_err(&wrong)? {
            Found::Maker { options } => makers.push((function.name.clone(), options)),
            Found::Method(method, merged) => methods.push((method, function.name.clone(), merged)),
        }
    }
    let types = Arc::new(reader.converter.finish());
    let methods = methods.into_iter().map(|(mut method, import, merged)| {
        method.types = Arc::clone(&types);
        ClientMethod {
            method: Arc::new(*method),
            import,
            merged,
        }
    });
    Ok(ClientImport {
        name: name.to_owned(),
        package: package.to_owned(),
        interface: interface.to_owned(),
        kind,
        methods: methods.collect(),
        makers,
    })
}

/// What a function of a client is.
enum Found {
    Maker { options: bool },
    Method(Box<Method>, bool),
}

struct Reader<'r> {
    resolve: &'r Resolve,
    id: InterfaceId,
    interface: &'r str,
    converter: Converter<'r>,
}

impl Reader<'_> {
    fn function(&mut self, function: &Function) -> Result<Found, String> {
        let name = function.item_name();
        match function.kind {
            FunctionKind::Constructor(of) => {
                self.maker(function, of, &["key"])?;
                Ok(Found::Maker { options: false })
            }
            FunctionKind::Static(of) if name == WITH_OPTIONS => {
                self.maker(function, of, &["key", "options"])?;
                Ok(Found::Maker { options: true })
            }
            FunctionKind::Method(of) | FunctionKind::AsyncMethod(of) => {
                self.is_ref(of)?;
                let (method, merged) = self.method(function)?;
                Ok(Found::Method(Box::new(method), merged))
            }
            FunctionKind::Static(_)
            | FunctionKind::AsyncStatic(_)
            | FunctionKind::Freestanding
            | FunctionKind::AsyncFreestanding => Err(format!(
                "`{name}` is no method of the resource `{RESOURCE}`"
            )),
        }
    }

    fn is_ref(&self, of: TypeId) -> Result<(), String> {
        let def = &self.resolve.types[of];
        let is_own = def.owner == TypeOwner::Interface(self.id);
        if is_own && def.name.as_deref() == Some(RESOURCE) {
            return Ok(());
        }
        let name = def.name.as_deref().unwrap_or("?");
        Err(format!("its resource is called `{name}`, not `{RESOURCE}`"))
    }

    /// A function that takes a key, and perhaps options, and gives a `ref`.
    fn maker(&self, function: &Function, of: TypeId, names: &[&str]) -> Result<(), String> {
        self.is_ref(of)?;
        let has: Vec<_> = function.params.iter().map(|param| &*param.name).collect();
        let takes_text = function
            .params
            .first()
            .is_some_and(|param| matches!(self.alias(&param.ty), Type::String));
        let options_fit = function
            .params
            .get(1)
            .is_none_or(|param| self.are_options(&param.ty));
        // A constructor's result may be a `result`, which no client of ours has.
        let gives_ref = matches!(function.result, Some(Type::Id(id))
            if matches!(self.resolve.types[id].kind, TypeDefKind::Handle(_)));
        if has == names && takes_text && options_fit && gives_ref {
            return Ok(());
        }
        Err(format!(
            "`{}` does not make a `{RESOURCE}` from {}",
            function.item_name(),
            names.join(" and ")
        ))
    }

    /// Whether a type is `call-options` of `granary:grain/calls`.
    fn are_options(&self, ty: &Type) -> bool {
        let mut converter = Converter::new(self.resolve);
        let Ok(ty) = converter.ty(ty) else {
            return false;
        };
        let types = converter.types();
        let Some([timeout, key]) = fields(types, ty, ["timeout", "idempotency-key"]) else {
            return false;
        };
        let option_of = |ty: Ty| {
            if let Shape::Option(of) = types.shape(ty) {
                Some(types.shape(*of))
            } else {
                None
            }
        };
        matches!(option_of(timeout), Some(Shape::U64))
            && matches!(option_of(key), Some(Shape::String))
    }

    fn alias(&self, ty: &Type) -> Type {
        let mut ty = *ty;
        while let Type::Id(id) = ty
            && let TypeDefKind::Type(of) = self.resolve.types[id].kind
        {
            ty = of;
        }
        ty
    }

    fn method(&mut self, function: &Function) -> Result<(Method, bool), String> {
        let name = function.item_name().to_owned();
        let mut params = Vec::new();
        // The first one is the `ref` itself.
        for param in function.params.iter().skip(1) {
            let ty = self.data(
                &param.ty,
                &format!("parameter '{}' of `{name}`", param.name),
            )?;
            params.push(Param {
                name: param.name.clone(),
                wit: self.converter.types().wit(ty),
                ty,
            });
        }
        let not_a_result =
            || format!("`{name}` does not return a `result` whose error holds a `call-error`");
        let result = function.result.map(|ty| self.alias(&ty));
        let Some(Type::Id(id)) = result else {
            return Err(not_a_result());
        };
        let TypeDefKind::Result(result) = &self.resolve.types[id].kind else {
            return Err(not_a_result());
        };
        let place = format!("the result of `{name}`");
        let ok = match &result.ok {
            Some(ty) => Some(self.data(ty, &place)?),
            None => None,
        };
        let err = result.err.as_ref().ok_or_else(not_a_result)?;
        let err = self.data(err, &place)?;
        let (result_ty, merged) = if is_call_error(self.converter.types(), err) {
            (ok, false)
        } else {
            let own = own_error(self.converter.types(), err).ok_or_else(not_a_result)?;
            let added = self.converter.add(Shape::Result(ok, own), None);
            (
                Some(added.map_err(|_| format!("{place} is too large"))?),
                true,
            )
        };
        let member = |param: &Param| Member {
            name: param.name.clone(),
            docs: None,
        };
        let method = Method {
            function: name.clone(),
            interface: Some(self.interface.to_owned()),
            result: result_ty.map(|ty| self.converter.types().wit(ty)),
            docs: text(&function.docs),
            is_async: is_async(function),
            flow: None,
            stream_param: None,
            not_callable: None,
            result_ty,
            item_ty: None,
            bare_object: false,
            param_names: Members::new(params.iter().map(member).collect()),
            params,
            name,
            types: Arc::default(),
            last_fit: Default::default(),
        };
        Ok((method, merged))
    }

    /// A type that must be data.
    fn data(&mut self, ty: &Type, at: &str) -> Result<Ty, String> {
        let ty = self.converter.ty(ty).map_err(|refusal| match refusal {
            Refusal::Resource(places) => {
                format!("there is a resource in {}", place(at, places))
            }
            Refusal::TooLarge => format!("the type of {at} is too large"),
        })?;
        if self.converter.is_live(ty) {
            return Err(format!(
                "there is a stream, a future or an error context in {at}"
            ));
        }
        Ok(ty)
    }
}

/// What `app` carries in a variant of `app` and `call`, where `call` carries a `call-error`.
fn own_error(types: &Types, ty: Ty) -> Option<Option<Ty>> {
    let Shape::Variant(members, of) = types.shape(ty) else {
        return None;
    };
    let is_pair = members.iter().map(|member| &*member.name).eq([APP, CALL]);
    match of.as_ref() {
        [own, Some(call)] if is_pair && is_call_error(types, *call) => Some(*own),
        _ => None,
    }
}

/// The cases of `call-error-code`, in its order.
pub(crate) const CODES: [&str; 13] = [
    "overloaded",
    "deadlock",
    "timeout",
    "cancelled",
    "denied",
    "not-found",
    "invalid",
    "guest-trap",
    "limit-exceeded",
    "conflict",
    "unavailable",
    "unknown-outcome",
    "app",
];

/// Whether a type is made as `granary:grain/types.call-error` is.
fn is_call_error(types: &Types, ty: Ty) -> bool {
    let Some([code, text, circle]) = fields(types, ty, ["code", "text", "circle"]) else {
        return false;
    };
    let is_code = matches!(types.shape(code), Shape::Enum(cases)
        if cases.iter().map(|case| &*case.name).eq(CODES));
    let is_circle = matches!(types.shape(circle), Shape::List(grain) if is_grain_id(types, *grain));
    is_code && is_circle && matches!(types.shape(text), Shape::String)
}

fn is_grain_id(types: &Types, ty: Ty) -> bool {
    fields(types, ty, ["kind", "key"]).is_some_and(|of| {
        of.iter()
            .all(|ty| matches!(types.shape(*ty), Shape::String))
    })
}

/// The types of a record's fields, if they are called so.
fn fields<const N: usize>(types: &Types, ty: Ty, names: [&str; N]) -> Option<[Ty; N]> {
    let Shape::Record(members, of) = types.shape(ty) else {
        return None;
    };
    if !members.iter().map(|member| &*member.name).eq(names) {
        return None;
    }
    of.as_ref().try_into().ok()
}

impl ClientImport {
    /// The kind that this client calls in a component with these settings: the one that they name, else the one that the package is
    /// named after.
    pub fn called<'a>(&'a self, spec: &'a KindSpec) -> &'a KindName {
        spec.clients.get(&self.package).unwrap_or(&self.kind)
    }
}

/// The method that a client's method means: that of its name in the interface that the client was made from, else that of its name.
pub(crate) fn target<'i>(method: &Method, called: &'i super::Interface) -> Option<&'i Arc<Method>> {
    fn interface(method: &Method) -> Option<&str> {
        method.interface.as_deref().map(super::inspect::short)
    }
    // Asked at every call: nothing is written for it.
    let same = |other: &&Arc<Method>| {
        other.function == method.function && interface(other) == interface(method)
    };
    let mut found = called.methods.iter().filter(same);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        (Some(_) | None, _) => called.method(&method.function),
    }
}
