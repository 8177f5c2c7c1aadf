//! Core modules of tool chains that do not make components themselves.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Whether the bytes begin as a core module and not as a component.
pub fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Whether a core module says which world it was built for, as wit-bindgen's Rust output does. What is no module says nothing.
pub fn carries_world(core: &[u8]) -> bool {
    let is_world = |payload: &Payload<'_>| matches!(payload, Payload::CustomSection(section) if section.name().starts_with("component-type"));
    Parser::new(0)
        .parse_all(core)
        .map_while(Result::ok)
        .any(|payload| is_world(&payload))
}

/// Wraps a core module that carries its component type (see [`carries_world`]) with the adapter from WASI 0.1 to 0.2.
/// Errors: it carries none, or it is not valid.
pub fn componentize(core: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error| format!("{error:#}");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core).map_err(text)?;
    encoder
        .adapter(
            "wasi_snapshot_preview1",
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )
        .map_err(text)?;
    encoder.encode().map_err(text)
}
