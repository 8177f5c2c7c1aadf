//! The host's side of `wit/`, generated. Only words and traits come from here; hooks are called by their types.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "granary:grain/host",
    imports: {
        "granary:grain/state.get": async,
        "granary:grain/state.set": async,
        "granary:grain/state.delete": async,
        "granary:grain/state.list": async,
        "granary:grain/calls.call": async,
        default: trappable,
    },
    require_store_data_send: true,
});
