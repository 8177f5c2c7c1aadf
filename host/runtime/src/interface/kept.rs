//! What is kept of a component beside its compiled code: its world, as a WIT package in binary form, with its doc comments. The same interface
//! is read from it, and reading it takes a fifth of the time: there is no code in it, nor what wires core modules together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasm_encoder::{CustomSection, Section};
use wit_parser::decoding::DecodedWasm;

use super::{ClientImport, ComponentError, Interface, Method, docs, inspect};

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

/// Whether two say the same of a component, in every word and every type.
pub(super) fn are_same(one: &Interface, other: &Interface) -> bool {
    one.wit == other.wit
        && one.exports == other.exports
        && one.imports == other.imports
        && one.is_async == other.is_async
        && one.types == other.types
        && are_all(&one.methods, &other.methods, |one, other| {
            is_same_method(one, other)
        })
        && are_all(&one.clients, &other.clients, |one, other| {
            is_same_client(one, other)
        })
}

fn are_all<T>(one: &[T], other: &[T], are_same: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(one, other)| are_same(one, other))
}

/// Leaves out the table of types, which all methods of one interface share.
fn is_same_method(one: &Method, other: &Method) -> bool {
    one.name == other.name
        && one.function == other.function
        && one.interface == other.interface
        && one.params == other.params
        && one.result == other.result
        && one.result_ty == other.result_ty
        && one.item_ty == other.item_ty
        && one.docs == other.docs
        && one.is_async == other.is_async
        && one.flow == other.flow
        && one.stream_param == other.stream_param
        && one.not_callable == other.not_callable
        && one.bare_object == other.bare_object
}

fn is_same_client(one: &ClientImport, other: &ClientImport) -> bool {
    let types = |of: &ClientImport| of.methods.first().map(|first| first.method.types.clone());
    one.name == other.name
        && one.makers == other.makers
        && types(one) == types(other)
        && are_all(&one.methods, &other.methods, |one, other| {
            one.import == other.import
                && one.merged == other.merged
                && is_same_method(&one.method, &other.method)
        })
}
