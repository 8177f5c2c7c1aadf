//! From a component's bytes to its [`Interface`].

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use granary_core::limits::COMPONENT_BYTES_MAX;
use wit_parser::decoding::DecodedWasm;
use wit_parser::{Function, FunctionKind, PackageId, Resolve, TypeDefKind, WorldId, WorldItem};

use super::convert::{Converter, Refusal, place, text};
use super::types::{Member, Members, Shape, Ty, Types};
use super::{ClientImport, ComponentError, Flow, Import, Interface, Method, Param};
use super::{clients, docs, imports, stream};
use crate::value::{LastFit, takes_bare_object};

const MAGIC: &[u8] = b"\0asm";
/// Version 1 of layer 0: a core module.
const CORE: &[u8] = &[1, 0, 0, 0];
/// Version 13 of layer 1: a component.
const COMPONENT: &[u8] = &[13, 0, 1, 0];

pub(super) fn inspect(bytes: &[u8]) -> Result<Interface, ComponentError> {
    header(bytes)?;
    let (resolve, world) = component(bytes)?;
    read(bytes, resolve, world)
}

/// Reads a world, with the doc comments that lie in the bytes that it was decoded from.
pub(super) fn read(
    bytes: &[u8],
    mut resolve: Resolve,
    world: WorldId,
) -> Result<Interface, ComponentError> {
    let (imports, clients) = read_imports(&resolve, world)?;
    let own = own_packages(&resolve, world);
    docs::inject(bytes, &mut resolve, world, &own);
    let exports: Vec<_> = resolve.worlds[world]
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    exports
        .iter()
        .try_for_each(|export| imports::check_export(export))?;
    let served = |name: &str| {
        let found = exports.iter().find(|export| {
            let (interface, version) = export.split_once('@').unwrap_or((export, ""));
            interface == name
                && imports::called_version(name)
                    .is_some_and(|called| imports::same_track(called, version))
        });
        found.cloned()
    };
    let (methods, types) = read_methods(&resolve, world)?;
    let interface = Interface {
        is_async: needs_async(&resolve, world, &methods),
        lifecycle: served("granary:grain/lifecycle"),
        migration: served("granary:grain/migration"),
        http: served("wasi:http/incoming-handler"),
        methods,
        imports,
        clients,
        exports,
        types,
        wit: crate::wit::render(&resolve, world, &own)
            .map_err(|why| ComponentError::Invalid { offset: 0, why })?,
    };
    if interface.methods.is_empty() && interface.http.is_none() {
        return Err(ComponentError::NoExports);
    }
    Ok(interface)
}

/// Decodes a binary, of a component or of a WIT package. Errors: what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<DecodedWasm, ComponentError> {
    // The decoder has assertions that hostile bytes may reach; a node must not end on one.
    let decoded = catch_unwind(AssertUnwindSafe(|| wit_component::decode(bytes)));
    let decoded = decoded.map_err(|payload| ComponentError::Invalid {
        offset: 0,
        why: panic_text(payload.as_ref()),
    })?;
    decoded.map_err(|error| not_decoded(&error))
}

fn header(bytes: &[u8]) -> Result<(), ComponentError> {
    let actual = bytes.len() as u64;
    if COMPONENT_BYTES_MAX < actual {
        return Err(ComponentError::TooLarge { actual });
    }
    if bytes.len() < 8 && !bytes.is_empty() && [MAGIC, COMPONENT].concat().starts_with(bytes) {
        return Err(ComponentError::Truncated { offset: actual });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(ComponentError::NotWasm {
            start: start(bytes),
        });
    }
    match &bytes[4..8] {
        CORE => Err(ComponentError::CoreModule),
        COMPONENT => Ok(()),
        other => Err(ComponentError::Invalid {
            offset: 4,
            why: format!("unknown version {other:?}"),
        }),
    }
}

/// The first bytes, as a person reads them.
fn start(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(16)];
    match std::str::from_utf8(head) {
        Ok("") => "nothing: the body is empty".into(),
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("{head:02x?}"),
    }
}

fn component(bytes: &[u8]) -> Result<(Resolve, WorldId), ComponentError> {
    match decode(bytes)? {
        DecodedWasm::Component(resolve, world) => Ok((resolve, world)),
        DecodedWasm::WitPackage(..) => Err(ComponentError::Unsupported {
            what: "this is a WIT package in binary form, not a component: it has types but no code. Upload what was built from it".into(),
        }),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref().copied());
    text.unwrap_or("the decoder gave up").to_owned()
}

fn not_decoded(error: &anyhow::Error) -> ComponentError {
    let Some(found) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<wasmparser::BinaryReaderError>())
    else {
        return ComponentError::Invalid {
            offset: 0,
            why: format!("{error:#}"),
        };
    };
    let offset = found.offset();
    if found.message().starts_with("unexpected end") {
        return ComponentError::Truncated { offset };
    }
    ComponentError::Invalid {
        offset,
        why: found.message().to_owned(),
    }
}

type Imports = (Vec<Import>, Vec<Arc<ClientImport>>);

fn read_imports(resolve: &Resolve, world: WorldId) -> Result<Imports, ComponentError> {
    let mut list = Vec::new();
    let mut found = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        match item {
            // An interface that only names types, as exported interfaces share them, asks nothing of the host.
            WorldItem::Interface { id, .. } if only_types(resolve, *id) => {}
            WorldItem::Interface { id, .. } if clients::is_client(&name) => {
                found.push(Arc::new(clients::read(resolve, *id, &name)?));
                list.push(Import {
                    name,
                    needs_grant: None,
                });
            }
            WorldItem::Interface { .. } | WorldItem::Function(_) => {
                list.push(imports::check(&name)?)
            }
            WorldItem::Type { id, .. }
                if matches!(resolve.types[*id].kind, TypeDefKind::Resource) =>
            {
                list.push(imports::check(&name)?);
            }
            WorldItem::Type { .. } => {}
        }
    }
    Ok((list, found))
}

fn only_types(resolve: &Resolve, id: wit_parser::InterfaceId) -> bool {
    let interface = &resolve.interfaces[id];
    let is_resource = |id| {
        matches!(
            resolve.types[id],
            wit_parser::TypeDef {
                kind: TypeDefKind::Resource,
                ..
            }
        )
    };
    interface.functions.is_empty() && !interface.types.values().any(|id| is_resource(*id))
}

/// Whether an export is part of the kind's own interface. Tool chains add `init`, `exports` and names that start with `cabi`.
fn is_own(name: &str) -> bool {
    let hosts = name.starts_with("wasi:") || name.starts_with("granary:grain/");
    let tool_chains = matches!(name, "init" | "exports") || name.starts_with("cabi");
    !hosts && !tool_chains
}

/// The packages of the exported interfaces and of those that they take types from.
fn own_packages(resolve: &Resolve, world: WorldId) -> Vec<PackageId> {
    let world = &resolve.worlds[world];
    let mut packages = Vec::new();
    for item in world.exports.values().chain(world.imports.values()) {
        if let WorldItem::Interface { id, .. } = item {
            let package = resolve.interfaces[*id].package;
            packages.extend(
                package.filter(|package| {
                    Some(*package) != world.package && !packages.contains(package)
                }),
            );
        }
    }
    packages.retain(|package| {
        !matches!(
            resolve.packages[*package].name.namespace.as_str(),
            "wasi" | "granary"
        )
    });
    packages
}

type Found<'r> = (Option<String>, &'r Function);

pub(super) fn read_methods(
    resolve: &Resolve,
    world: WorldId,
) -> Result<(Vec<Arc<Method>>, Arc<Types>), ComponentError> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for (key, item) in &resolve.worlds[world].exports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } if is_own(&name) => {
                let functions = resolve.interfaces[*id].functions.values();
                found.extend(functions.map(|function| (Some(name.clone()), function)));
            }
            WorldItem::Function(function) if is_own(&name) => found.push((None, function)),
            WorldItem::Interface { .. } | WorldItem::Function(_) | WorldItem::Type { .. } => {}
        }
    }
    let mut converter = Converter::new(resolve);
    let names = public_names(&found);
    let methods = found
        .iter()
        .zip(names)
        .map(|(found, name)| read_method(&mut converter, found, name));
    let mut methods = methods.collect::<Result<Vec<_>, _>>()?;
    let types = Arc::new(converter.finish());
    for method in &mut methods {
        method.types = Arc::clone(&types);
    }
    Ok((methods.into_iter().map(Arc::new).collect(), types))
}

/// `function` where that is unique, else `interface.function`, else with the interface's full name.
fn public_names(found: &[Found<'_>]) -> Vec<String> {
    let count = |names: &[String]| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        names
            .iter()
            .for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        counts
    };
    let short: Vec<_> = found
        .iter()
        .map(|(_, function)| function.name.clone())
        .collect();
    let middle: Vec<_> = found
        .iter()
        .map(|(interface, function)| qualified(interface.as_deref(), &function.name))
        .collect();
    let (short_counts, middle_counts) = (count(&short), count(&middle));
    let names = found.iter().zip(short.into_iter().zip(middle));
    let name = |((interface, function), (short, middle)): (&Found<'_>, (String, String))| {
        match interface {
            _ if short_counts[&short] == 1 => short,
            Some(_) if middle_counts[&middle] == 1 => middle,
            Some(interface) => format!("{interface}.{}", function.name),
            None => short,
        }
    };
    names.map(name).collect()
}

/// `counter.increment` for a function of `demo:counter/counter@0.1.0`.
pub(super) fn qualified(interface: Option<&str>, function: &str) -> String {
    match interface {
        Some(interface) => format!("{}.{function}", short(interface)),
        None => function.to_owned(),
    }
}

/// `counter` for `demo:counter/counter@0.1.0`.
pub(super) fn short(interface: &str) -> &str {
    let name = interface
        .split_once('@')
        .map_or(interface, |(name, _)| name);
    name.rsplit('/').next().unwrap_or(name)
}

fn read_method(
    converter: &mut Converter<'_>,
    found: &Found<'_>,
    name: String,
) -> Result<Method, ComponentError> {
    let (interface, function) = found;
    if let Some(refused) = of_a_resource(function) {
        return Err(ComponentError::Resource {
            function: function.name.clone(),
            place: refused,
        });
    }
    let flows = stream::read(converter, function, &name)?;
    let (params, live) = read_params(converter, function, &name, flows.takes_stream)?;
    let stream_param = function.params.last().filter(|_| flows.takes_stream);
    let returned = read_result(converter, function, &name, flows.result)?;
    let live = live.or_else(|| returned.is_live.then(|| "the result".to_owned()));
    let not_callable = live.map(|place| {
        format!("method '{name}' cannot be called with data: there is an error context, or a map whose keys have no text form, in {place}")
    });
    Ok(Method {
        function: function.name.clone(),
        interface: interface.clone(),
        result: returned.wit,
        docs: text(&function.docs),
        is_async: is_async(function),
        flow: flows.result,
        stream_param: stream_param.map(|param| param.name.clone()),
        not_callable,
        result_ty: returned.ty,
        item_ty: returned.item,
        bare_object: bare_object(converter.types(), &params),
        param_names: Members::new(
            params
                .iter()
                .map(|param| Member {
                    name: param.name.clone(),
                    docs: None,
                })
                .collect(),
        ),
        params,
        name,
        types: Arc::default(),
        last_fit: LastFit::default(),
    })
}

/// The parameters that are data, and the first of them, if any, that cannot be written as data.
fn read_params(
    converter: &mut Converter<'_>,
    function: &Function,
    name: &str,
    takes_stream: bool,
) -> Result<(Vec<Param>, Option<String>), ComponentError> {
    let count = function.params.len() - usize::from(takes_stream);
    let (mut params, mut live) = (Vec::new(), None);
    for param in &function.params[..count] {
        let outermost = format!("parameter '{}'", param.name);
        let ty = converter
            .ty(&param.ty)
            .map_err(|refusal| refused(refusal, name, &outermost))?;
        live = live.or_else(|| converter.is_live(ty).then_some(outermost));
        params.push(Param {
            name: param.name.clone(),
            wit: converter.types().wit(ty),
            ty,
        });
    }
    Ok((params, live))
}

/// What a method returns.
struct Returned {
    /// As its author wrote it.
    wit: Option<String>,
    /// As callers see it: a future is its value.
    ty: Option<Ty>,
    /// Of a stream.
    item: Option<Ty>,
    /// Whether it cannot be written as data, and is no stream either.
    is_live: bool,
}

fn read_result(
    converter: &mut Converter<'_>,
    function: &Function,
    name: &str,
    flow: Option<Flow>,
) -> Result<Returned, ComponentError> {
    let Some(result) = &function.result else {
        return Ok(Returned {
            wit: None,
            ty: None,
            item: None,
            is_live: false,
        });
    };
    let written = converter.ty(result);
    let written = written.map_err(|refusal| refused(refusal, name, "the result"))?;
    let ty = match flow {
        Some(_) => converter.resolved(result),
        None => Ok(written),
    };
    let ty = ty.map_err(|refusal| refused(refusal, name, "the result"))?;
    let item = converter.item();
    // Of a stream's own type only what it carries is data.
    let is_live = match (item, converter.types().shape(ty)) {
        (Some(item), Shape::Result(_, err)) => [Some(item), *err]
            .into_iter()
            .flatten()
            .any(|ty| converter.is_live(ty)),
        (item, _) => converter.is_live(item.unwrap_or(ty)),
    };
    Ok(Returned {
        wit: Some(converter.types().wit(written)),
        ty: Some(ty),
        item,
        is_live,
    })
}

fn refused(refusal: Refusal, name: &str, outermost: &str) -> ComponentError {
    match refusal {
        Refusal::Resource(places) => ComponentError::Resource {
            function: name.to_owned(),
            place: place(outermost, places),
        },
        Refusal::TooLarge => ComponentError::Unsupported {
            what: format!(
                "the type of {outermost} of `{name}` is too large to be written as data: simplify it"
            ),
        },
    }
}

fn bare_object(types: &Types, params: &[Param]) -> bool {
    let names: Vec<_> = params.iter().map(|param| param.name.as_str()).collect();
    let tys: Vec<_> = params.iter().map(|param| param.ty).collect();
    takes_bare_object(types, &names, &tys)
}

/// Where the resource is, for the functions that a resource brings along.
fn of_a_resource(function: &Function) -> Option<String> {
    match function.kind {
        FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => None,
        FunctionKind::Method(_) | FunctionKind::AsyncMethod(_) => {
            Some("its receiver: it is a method of a resource".into())
        }
        FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => {
            Some("its place: it belongs to a resource".into())
        }
        FunctionKind::Constructor(_) => Some("the result: it makes a resource".into()),
    }
}

pub(super) fn is_async(function: &Function) -> bool {
    match function.kind {
        FunctionKind::AsyncFreestanding
        | FunctionKind::AsyncMethod(_)
        | FunctionKind::AsyncStatic(_) => true,
        FunctionKind::Freestanding
        | FunctionKind::Method(_)
        | FunctionKind::Static(_)
        | FunctionKind::Constructor(_) => false,
    }
}

/// Own methods that are async or hold a stream or a future, or an async function among the imports and hooks.
fn needs_async(resolve: &Resolve, world: WorldId, methods: &[Arc<Method>]) -> bool {
    let world = &resolve.worlds[world];
    let any_async = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.values().any(is_async),
        WorldItem::Function(function) => is_async(function),
        WorldItem::Type { .. } => false,
    };
    world
        .imports
        .values()
        .chain(world.exports.values())
        .any(any_async)
        || methods
            .iter()
            .any(|method| method.is_async || method.not_callable.is_some() || method.flows())
}
