//! A component without its code: the same interface is read from it, and it is a hundredth as large. The cache keeps it beside the compiled
//! code, so that a node that starts need not read the component itself.

use wasm_encoder::{Encode, RawSection, Section};

use super::docs::{is_ours, read_leb};

/// The sections of a component that hold a core module, and a component.
const COMPONENT_MODULE: u8 = 1;
const COMPONENT_COMPONENT: u8 = 4;
/// Those of a core module that nothing outside of it sees.
const CUSTOM: u8 = 0;
const ELEMENT: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;
/// A function's body: its size, no locals, `unreachable`, `end`. It is one of every type.
const BODY: [u8; 4] = [3, 0, 0x00, 0x0b];
/// Components in components, at most. Tools make two or three.
const DEPTH_MAX: usize = 16;
/// How a component's header goes on after magic and version; that of a core module has zeros there.
const COMPONENT_LAYER: [u8; 2] = [1, 0];

/// Takes the code out. None if the bytes are not understood, or nested too deeply.
pub(super) fn skeleton(component: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    copy(component, DEPTH_MAX, &mut out)?;
    Some(out)
}

fn copy(binary: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let (header, mut rest) = binary.split_at_checked(8)?;
    let is_component = header.ends_with(&COMPONENT_LAYER);
    out.extend_from_slice(header);
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = read_leb(after)?;
        let (body, after) = after.split_at_checked(size)?;
        rest = after;
        match (is_component, *id) {
            (true, COMPONENT_MODULE | COMPONENT_COMPONENT) => {
                let mut inner = Vec::new();
                copy(body, depth.checked_sub(1)?, &mut inner)?;
                raw(*id, &inner).append_to(out);
            }
            (false, CODE) => {
                let (count, _) = read_leb(body)?;
                // As many as there were: a body takes two bytes at least.
                let count = (count <= body.len()).then_some(count)?;
                let mut bodies = Vec::new();
                count.encode(&mut bodies);
                bodies.extend(BODY.repeat(count));
                raw(*id, &bodies).append_to(out);
            }
            (false, ELEMENT | DATA | DATA_COUNT) => {}
            (false, CUSTOM) if !is_ours(body) => {}
            (_, id) => raw(id, body).append_to(out),
        }
    }
    Some(())
}

fn raw(id: u8, data: &[u8]) -> RawSection<'_> {
    RawSection { id, data }
}
