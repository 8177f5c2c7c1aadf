//! Async functions: calls of one activation overlap wherever one of them awaits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use exports::test::async_reader::reader::Guest;
use granary_sdk::state::{self, Value};
use wit_bindgen::yield_async;

wit_bindgen::generate!({ path: "wit", world: "grain" });

const COUNT: Value<u64> = Value::at("count");

/// How often `slow-increment` lets others run.
const YIELDS: u32 = 1000;

/// Calls of `meet` that have begun.
static HERE: AtomicU32 = AtomicU32::new(0);

struct Reader;

impl Guest for Reader {
    async fn meet(guests: u32) -> u32 {
        HERE.fetch_add(1, Ordering::Relaxed);
        loop {
            let here = HERE.load(Ordering::Relaxed);
            if guests <= here {
                return here;
            }
            // A wait costs no processor time, of which there is only so much.
            std::thread::sleep(Duration::from_millis(1));
            yield_async().await;
        }
    }

    async fn slow_increment() -> u64 {
        let count = Self::plain() + 1;
        for _ in 0..YIELDS {
            yield_async().await;
        }
        COUNT.set(&count).expect("the state is writable");
        count
    }

    async fn get() -> u64 {
        Self::plain()
    }

    async fn write_while_reading() -> Result<(), String> {
        state::set_bytes("forbidden", b"?").map_err(|e| e.to_string())
    }

    async fn trap_when_met(guests: u32) {
        Self::meet(guests).await;
        panic!("as told");
    }

    fn plain() -> u64 {
        COUNT.get().expect("the state is readable").unwrap_or(0)
    }
}

granary_sdk::grain!(Reader);
