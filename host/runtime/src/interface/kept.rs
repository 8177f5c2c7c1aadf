//! What is kept of a component beside its compiled code: its world, as a WIT package in binary form, with its doc comments. The same interface
//! is read from it, and reading it takes a tenth of the time: there is no code in it, nor what wires core modules together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasm_encoder::{CustomSection, Section};
use wit_parser::decoding::DecodedWasm;

use super::{ComponentError, Interface, docs, inspect};

/// The world of a component. None if the bytes are not understood, or cannot be written as a package.
pub(super) fn world(component: &[u8]) -> Option<Vec<u8>> {
    let (resolve, world) = inspect::decode(component).ok()?;
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
    let decoded = catch_unwind(AssertUnwindSafe(|| wit_component::decode(package)));
    let decoded = decoded.map_err(|payload| invalid(inspect::panic_text(payload.as_ref())))?;
    let (resolve, package_id) = match decoded {
        Ok(DecodedWasm::WitPackage(resolve, package)) => (resolve, package),
        Ok(DecodedWasm::Component(..)) => return Err(invalid("a component".into())),
        Err(error) => return Err(invalid(format!("{error:#}"))),
    };
    let mut worlds = resolve.packages[package_id].worlds.values().copied();
    let Some(world) = worlds.next().filter(|_| worlds.next().is_none()) else {
        return Err(invalid("not one world".into()));
    };
    inspect::read(package, resolve, world)
}
