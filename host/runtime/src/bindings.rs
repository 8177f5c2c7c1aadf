//! The host's side of `wit/` and of the interfaces of others in `host/runtime/wit/`, generated. Only words and traits come from here;
//! hooks are called by their types.

wasmtime::component::bindgen!({
    path: ["../../wit", "wit"],
    inline: "
        package granary:runtime;

        world runtime {
            include granary:grain/host@0.1.0;
            include granary:foreign/foreign@0.1.0;
        }
    ",
    world: "granary:runtime/runtime",
    imports: {
        "granary:grain/state.get": async,
        "granary:grain/state.set": async,
        "granary:grain/state.delete": async,
        "granary:grain/state.scan": async,
        "granary:grain/calls.call": async,
        default: trappable,
    },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:keyvalue/atomics@0.2.0-draft2.cas": crate::imports::keyvalue::Cas,
    },
    require_store_data_send: true,
});
