//! What is kept of a component beside its compiled code: its world, as a WIT package in binary form, with its doc comments. The same interface
//! is read from it, and reading it takes a fifth of the time: there is no code in it, nor what wires core modules together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasm_encoder::{CustomSection, Section};
use wit_parser::decoding::DecodedWasm;

use super::{ClientImport, ClientMethod, ComponentError, Interface, Method, docs, inspect};

/// The world of a component. None if the bytes are not understood, or cannot be written as a package.
pub(super) fn world(component: &[u8]) -> Option<Vec<u8>> {
    let DecodedWasm::Component(resolve, world) = inspect::decode(component).ok()? else {
        return None;
    };
    let package = resolve.worlds[world].package?;
    // The encoder has assertions, as the decoder has.
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        wit_component::encode(&resolve, package)
    }));
    let mut encoded = encoded.ok()?.ok()?;
    for (name, data) in docs::carried(component) {
        let (name, data) = (name.into(), data.into());
        CustomSection { name, data }.append_to(&mut encoded);
    }
    Some(encoded)
}

/// What [`world`] was made from.
pub(super) fn read(package: &[u8]) -> Result<Interface, ComponentError> {
    let invalid = |why: String| ComponentError::Invalid { offset: 0, why };
    let DecodedWasm::WitPackage(resolve, id) = inspect::decode(package)? else {
        return Err(invalid("a component".into()));
    };
    let mut worlds = resolve.packages[id].worlds.values().copied();
    let Some(world) = worlds.next().filter(|_| worlds.next().is_none()) else {
        return Err(invalid("not one world".into()));
    };
    inspect::read(package, resolve, world)
}

/// Whether two say the same of a component, in every word and every type. Here and below each field is named, so that a new one is not forgotten.
pub(super) fn are_same(one: &Interface, other: &Interface) -> bool {
    let Interface {
        methods,
        imports,
        clients,
        exports,
        // The exports say these three.
        lifecycle: _,
        migration: _,
        http: _,
        is_async,
        wit,
        types,
    } = one;
    *wit == other.wit
        && *exports == other.exports
        && *imports == other.imports
        && *is_async == other.is_async
        && *types == other.types
        && are_all(methods, &other.methods, |one, other| {
            is_same_method(one, other)
        })
        && are_all(clients, &other.clients, |one, other| {
            is_same_client(one, other)
        })
}

fn are_all<T>(one: &[T], other: &[T], are_same: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(one, other)| are_same(one, other))
}

fn is_same_method(one: &Method, other: &Method) -> bool {
    let Method {
        name,
        function,
        interface,
        params,
        result,
        docs,
        is_async,
        flow,
        stream_param,
        not_callable,
        result_ty,
        item_ty,
        param_names,
        bare_object,
        // One table for all methods of an interface, which is compared once.
        types: _,
        last_fit: _,
    } = one;
    *name == other.name
        && *function == other.function
        && *interface == other.interface
        && *params == other.params
        && *result == other.result
        && *docs == other.docs
        && *is_async == other.is_async
        && *flow == other.flow
        && *stream_param == other.stream_param
        && *not_callable == other.not_callable
        && *result_ty == other.result_ty
        && *item_ty == other.item_ty
        && *param_names == other.param_names
        && *bare_object == other.bare_object
}

fn is_same_client(one: &ClientImport, other: &ClientImport) -> bool {
    let ClientImport {
        name,
        // The name says these three.
        package: _,
        interface: _,
        kind: _,
        methods,
        makers,
    } = one;
    let types = |of: &[ClientMethod]| of.first().map(|first| first.method.types.clone());
    let is_same = |one: &ClientMethod, other: &ClientMethod| {
        let ClientMethod {
            method,
            import,
            merged,
        } = one;
        *import == other.import && *merged == other.merged && is_same_method(method, &other.method)
    };
    *name == other.name
        && *makers == other.makers
        && types(methods) == types(&other.methods)
        && are_all(methods, &other.methods, is_same)
}
