//! A grain without an SDK and without a word of Granary: a component that exports its own interface is a grain.

use std::sync::atomic::{AtomicU32, Ordering};

use exports::demo::greeter::greeter::Guest;

wit_bindgen::generate!({ path: "wit", world: "grain" });

/// Each grain has its own memory: this is the number of `greeter/ada` alone, or of `greeter/bob` alone.
static GREETED: AtomicU32 = AtomicU32::new(0);

struct Greeter;

impl Guest for Greeter {
    fn greet(name: String) -> String {
        GREETED.fetch_add(1, Ordering::Relaxed);
        format!("Hello, {name}!")
    }

    fn greeted() -> u32 {
        GREETED.load(Ordering::Relaxed)
    }
}

export!(Greeter);
