//! Core modules of tool chains that do not make components themselves.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
use wasm_encoder::{RawSection, Section};
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

/// A core module without its debug sections, which are most of it and which nothing here reads. The names of its functions stay, for backtraces.
/// What is no module stays as it is.
pub fn without_debug(core: &[u8]) -> Vec<u8> {
    let mut kept = core.get(..MODULE_HEAD).unwrap_or(core).to_vec();
    for payload in Parser::new(0).parse_all(core) {
        let Ok(payload) = payload else {
            return core.to_vec();
        };
        let is_debug = matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(".debug_"));
        let Some((id, range)) = payload.as_section().filter(|_| !is_debug) else {
            continue;
        };
        let range = usize::try_from(range.start).unwrap_or(usize::MAX)
            ..usize::try_from(range.end).unwrap_or(usize::MAX);
        let Some(bytes) = core.get(range) else {
            return core.to_vec();
        };
        RawSection { id, data: bytes }.append_to(&mut kept);
    }
    kept
}

/// The magic number and the version.
const MODULE_HEAD: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_sections_go_and_everything_else_stays() {
        let text = |debug: &str| {
            let long = "x".repeat(20_000);
            format!(
                "(module {debug} (@custom \"other\" \"{long}\") (func $named (export \"f\") (result i32) i32.const 7) {debug} (data (i32.const 0) \"a\") (memory 1))"
            )
        };
        let plain = wat::parse_str(text("")).unwrap();
        let debug = wat::parse_str(text("(@custom \".debug_info\" \"d\")")).unwrap();
        assert_ne!(plain, debug);
        assert_eq!(without_debug(&debug), plain);
        assert_eq!(without_debug(&plain), plain);
        for no_module in [
            &b""[..],
            b"\0asm",
            b"no module at all",
            &plain[..plain.len() - 3],
        ] {
            assert_eq!(without_debug(no_module), no_module);
        }
    }
}
