//! `async fn` is `async func`: calls of one activation overlap wherever one of them awaits.

use std::sync::atomic::{AtomicU32, Ordering};

use granary_sdk::{Record, interface, state};
use wit_bindgen::yield_async;

/// Calls of `meet` that have begun.
static HERE: AtomicU32 = AtomicU32::new(0);

/// More core values than an answer may have.
#[derive(Record)]
pub struct Party {
    guests: Vec<String>,
    here: u32,
    host: Option<String>,
}

struct Meeting;

#[interface]
impl Meeting {
    /// Comes back when so many of these calls are under way at once: only possible if they overlap.
    async fn meet(guests: u32, name: String) -> Result<Party, String> {
        HERE.fetch_add(1, Ordering::Relaxed);
        loop {
            let here = HERE.load(Ordering::Relaxed);
            if guests <= here {
                return Ok(Party {
                    guests: vec![name.clone(), name],
                    here,
                    host: None,
                });
            }
            yield_async().await;
        }
    }

    /// A write after a while.
    async fn note(text: String) {
        yield_async().await;
        state::set("note", &text).expect("the state is writable");
    }

    async fn trap_later() {
        yield_async().await;
        panic!("as told");
    }

    fn plain() -> Option<String> {
        state::get("note").expect("the state is readable")
    }
}

granary_sdk::grain!(Meeting);
