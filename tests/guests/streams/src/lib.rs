//! Streams and futures in every place where a method may have them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use exports::test::streams::streams::{Guest, Marks, Reading, Source, Weather};
use granary_sdk::state;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn_local, yield_async};

wit_bindgen::generate!({ path: "wit", world: "grain" });

/// Words on their way from `say` to `listen`.
static WORDS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// Those who wait for one.
static WAITING: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
/// Bytes that `bytes` got rid of.
static PRODUCED: AtomicU64 = AtomicU64::new(0);
/// How the last producing method ended.
static ENDED: Mutex<String> = Mutex::new(String::new());

const PIECE: usize = 64 << 10;

struct Streams;

fn reading(at: u32) -> Reading {
    let number = u8::try_from(at % 256).expect("below 256");
    Reading {
        at: u64::MAX - u64::from(at),
        place: (at % 2 == 1).then(|| format!("room {at}")),
        marks: [Marks::empty(), Marks::LATE, Marks::CHECKED | Marks::LATE][at as usize % 3],
        weather: match at % 3 {
            0 => Weather::Dry,
            1 => Weather::Wet(0.5),
            _ => Weather::Both((-7, 'ß')),
        },
        samples: (0..number % 4).map(|n| (n, n.to_string())).collect(),
        outcome: if at.is_multiple_of(2) {
            Ok(300)
        } else {
            Err("lost".to_owned())
        },
        from: if at.is_multiple_of(2) {
            Source::Sensor
        } else {
            Source::Person
        },
        raw: vec![number; 3],
        good: at.is_multiple_of(2),
    }
}

impl Guest for Streams {
    async fn listen() -> StreamReader<String> {
        note("listens");
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            loop {
                let word = word().await;
                match &*word {
                    "" => return note("ended"),
                    "!trap" => panic!("as told"),
                    "!loop" => loop {
                        std::hint::black_box(());
                    },
                    "!leak" => return std::mem::forget(writer),
                    _ => {}
                }
                if writer.write_one(word).await.is_some() {
                    return note("nobody listens");
                }
            }
        });
        reader
    }

    async fn say(word: String) {
        WORDS.lock().unwrap().push_back(word);
        let waiting = std::mem::take(&mut *WAITING.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn progress() -> (u64, String) {
        (
            PRODUCED.load(Ordering::Relaxed),
            ENDED.lock().unwrap().clone(),
        )
    }

    async fn numbers(below: u64) -> StreamReader<u64> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all((0..below).collect()).await;
        });
        reader
    }

    async fn bytes(mebibytes: u32) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            let piece: Vec<u8> = (0..=255).cycle().take(PIECE).collect();
            for _ in 0..mebibytes as usize * (1 << 20) / PIECE {
                if !writer.write_all(piece.clone()).await.is_empty() {
                    return note("nobody reads");
                }
                PRODUCED.fetch_add(PIECE as u64, Ordering::Relaxed);
            }
            note("all");
        });
        reader
    }

    async fn halves(of: f64, times: u32) -> Result<StreamReader<f64>, String> {
        if !of.is_normal() {
            return Err(format!("{of} cannot be halved"));
        }
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            let mut half = of;
            for _ in 0..times {
                half /= 2.0;
                writer.write_one(half).await;
            }
        });
        Ok(reader)
    }

    async fn blob(length: u32) -> StreamReader<Vec<u8>> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_one(vec![7; length as usize]).await;
        });
        reader
    }

    async fn readings(count: u32) -> StreamReader<Reading> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all((0..count).map(reading).collect()).await;
        });
        reader
    }

    async fn reading_later() -> Result<FutureReader<Reading>, String> {
        let (writer, reader) = wit_future::new(|| reading(0));
        spawn_local(async move {
            yield_async().await;
            drop(writer.write(reading(1)).await);
        });
        Ok(reader)
    }

    async fn nested() -> StreamReader<Option<Option<u32>>> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer
                .write_all(vec![None, Some(None), Some(Some(7))])
                .await;
        });
        reader
    }

    async fn later(value: u32) -> FutureReader<u32> {
        let (writer, reader) = wit_future::new(|| 0);
        spawn_local(async move {
            yield_async().await;
            drop(writer.write(value).await);
        });
        reader
    }

    async fn later_if(value: Option<String>) -> Result<FutureReader<String>, String> {
        let value = value.ok_or("there is none")?;
        let (writer, reader) = wit_future::new(String::new);
        spawn_local(async move {
            yield_async().await;
            drop(writer.write(value).await);
        });
        Ok(reader)
    }

    async fn never() -> FutureReader<u32> {
        let (writer, reader) = wit_future::new(|| 0);
        std::mem::forget(writer);
        reader
    }

    async fn length(name: String, mut data: StreamReader<u8>) -> u64 {
        state::set_bytes(&name, b"begun").expect("the state is writable");
        let mut length = 0;
        while let Some(piece) = piece(&mut data).await {
            length += piece.len() as u64;
        }
        state::set_bytes(&name, length.to_string().as_bytes()).expect("the state is writable");
        length
    }

    async fn kept() -> Vec<String> {
        let entries = state::scan("").map(|entry| entry.expect("the state is readable"));
        let shown = entries.map(|(name, value)| {
            let value = String::from_utf8_lossy(&value).into_owned();
            format!("{name}={value}")
        });
        shown.collect()
    }

    async fn echo(mut data: StreamReader<u8>) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            while let Some(piece) = piece(&mut data).await {
                if !writer.write_all(piece).await.is_empty() {
                    return;
                }
            }
        });
        reader
    }

    async fn first(mut data: StreamReader<u8>) -> Option<u8> {
        data.next().await
    }

    async fn write_first(words: u32) -> StreamReader<String> {
        state::set_bytes("words", words.to_string().as_bytes()).expect("the state is writable");
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            for word in 0..words {
                if writer.write_one(format!("word {word}")).await.is_some() {
                    return;
                }
            }
        });
        reader
    }

    async fn write_then() -> StreamReader<String> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_one("begun".to_owned()).await;
            let written = state::set_bytes("late", b"?");
            let said = written.map_or_else(|refused| refused.to_string(), |()| "written".into());
            writer.write_one(said).await;
        });
        reader
    }
}

/// The next word, which another task brings.
async fn word() -> String {
    poll_fn(|cx| match WORDS.lock().unwrap().pop_front() {
        Some(word) => Poll::Ready(word),
        None => {
            WAITING.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        }
    })
    .await
}

/// What is there of a body; none at its end.
async fn piece(data: &mut StreamReader<u8>) -> Option<Vec<u8>> {
    let (result, piece) = data.read(Vec::with_capacity(PIECE)).await;
    match result {
        StreamResult::Dropped if piece.is_empty() => None,
        StreamResult::Complete(_) | StreamResult::Dropped | StreamResult::Cancelled => Some(piece),
    }
}

fn note(end: &str) {
    end.clone_into(&mut ENDED.lock().unwrap());
}

granary_sdk::grain!(Streams);
