//! Traps before its first call, in the code that runs when it is instantiated.

use exports::test::start_trap::never::Guest;

wit_bindgen::generate!({ path: "wit", world: "grain" });

/// Constructors run at instantiation: `_initialize` calls them.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = trap;

extern "C" fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

struct Never;

impl Guest for Never {
    fn ping() -> String {
        "pong".to_owned()
    }
}

export!(Never);
