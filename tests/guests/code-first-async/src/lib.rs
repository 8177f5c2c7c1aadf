//! `async fn` is `async func`: calls of one activation overlap wherever one of them awaits.

use std::sync::atomic::{AtomicU32, Ordering};

use granary_sdk::{Record, Stream, interface, state};
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

    /// Counts down, and lets others run in between.
    async fn count_down(from: u32) -> Result<Stream<u32>, String> {
        if 10_000 < from {
            return Err("that would take too long".to_owned());
        }
        Ok(Stream::new(async move |mut items| {
            for number in (0..from).rev() {
                yield_async().await;
                items.send(number).await?;
            }
            Ok(())
        }))
    }

    /// The words of a text, which is kept before the first of them leaves.
    async fn words(text: String) -> Stream<String> {
        state::set("note", &text).expect("the state is writable");
        Stream::new(async move |mut items| {
            let words = text.split(' ').map(str::to_owned);
            items.send_all(words.collect()).await
        })
    }

    /// So many bytes.
    async fn bytes(mebibytes: u32) -> Stream<u8> {
        Stream::new(async move |mut items| {
            for _ in 0..mebibytes {
                items.send_all(vec![b'x'; 1 << 20]).await?;
            }
            Ok(())
        })
    }

    /// Sends until nobody takes it, and writes down that it has seen that.
    async fn endless() -> Stream<String> {
        Stream::new(async move |mut items| {
            let mut sent = 0_u32;
            loop {
                yield_async().await;
                if let Err(closed) = items.send("word ".repeat(10_000)).await {
                    println!("after {sent}: {closed}");
                    return Err(closed);
                }
                sent += 1;
            }
        })
    }

    async fn trap_after(items: u32) -> Stream<u32> {
        Stream::new(async move |mut sender| {
            for item in 0..items {
                sender.send(item).await?;
            }
            panic!("as told");
        })
    }

    fn plain() -> Option<String> {
        state::get("note").expect("the state is readable")
    }
}

granary_sdk::grain!(Meeting);
