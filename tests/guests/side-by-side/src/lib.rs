//! Turns that wait for several grains, interleaved ones, and work after the answer.

use exports::test::side_by_side::turns::{Call, Guest};
use futures::future::{join_all, select_all};
use granary_sdk::calls::{self, Payload};
use granary_sdk::state::{self, Value};
use wit_bindgen::spawn_local;

wit_bindgen::generate!({ path: "wit", world: "grain" });

const COUNT: Value<u64> = Value::at("count");

struct Turns;

impl Guest for Turns {
    async fn gather(calls: Vec<Call>) -> Vec<String> {
        let answers = join_all(calls.into_iter().map(made)).await;
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|error| error))
            .collect()
    }

    async fn first(calls: Vec<Call>) -> u32 {
        let calls = calls.into_iter().map(|call| Box::pin(made(call)));
        let (_, first, _) = select_all(calls).await;
        u32::try_from(first).expect("there are few")
    }

    async fn get() -> u64 {
        count()
    }

    async fn add(by: u64) -> u64 {
        set(count() + by)
    }

    async fn add_slowly(gate: String, by: u64) -> u64 {
        let count = COUNT.get_async().await.expect("the state is readable");
        wait_at(&gate).await;
        let count = count.unwrap_or(0) + by;
        COUNT
            .set_async(&count)
            .await
            .expect("the state is writable");
        count
    }

    async fn put_slowly(gate: String, key: String, value: String) -> String {
        state::set_bytes(&key, value.as_bytes()).expect("the state is writable");
        wait_at(&gate).await;
        look(&key).unwrap_or_default()
    }

    async fn ask(call: Call) -> Result<String, String> {
        made(call).await
    }

    async fn ask_blocking(call: Call) -> Result<String, String> {
        let arguments = Payload::Json(call.arguments);
        let answer = calls::grain(call.kind, call.key).call_payload(&call.method, &arguments);
        answer.map(text).map_err(|error| error.describe())
    }

    async fn answer_then_put(gate: String, value: String) -> String {
        spawn_local(async move {
            wait_at(&gate).await;
            state::set_bytes("after", value.as_bytes()).expect("the turn goes on");
        });
        "answered".to_owned()
    }

    async fn answer_then_put_beside(gate: String, value: String) -> String {
        Self::answer_then_put(gate, value).await
    }

    async fn look(key: String) -> Option<String> {
        look(&key)
    }

    async fn fill(values: u32) {
        let fill = (0..values).map(|value| async move {
            let key = format!("fill/{value}");
            let bytes = vec![b'x'; 64 << 10];
            state::set_bytes_async(&key, bytes).await
        });
        let filled = join_all(fill).await;
        assert!(filled.iter().all(Result::is_ok), "{filled:?}");
    }

    async fn filled() -> (u64, u64) {
        let mut keys = Vec::new();
        let mut scanned = 0;
        let mut scan = state::scan("fill/");
        while let Some(entry) = scan.next_async().await {
            let (key, value) = entry.expect("the state is readable");
            scanned += value.len() as u64;
            keys.push(key);
        }
        let values = keys.iter().map(|key| state::get_bytes_async(key));
        let values = join_all(values).await.into_iter();
        let got = values.map(|value| value.expect("the state is readable"));
        (scanned, got.flatten().map(|value| value.len() as u64).sum())
    }

    async fn filled_blocking() -> (u64, u64) {
        let entries: Result<Vec<_>, _> = state::scan("fill/").collect();
        let entries = entries.expect("the state is readable");
        let scanned = entries.iter().map(|(_, value)| value.len() as u64).sum();
        let got = entries.iter().map(|(key, _)| state::get_bytes(key));
        let got = got.map(|value| value.expect("the state is readable"));
        (scanned, got.flatten().map(|value| value.len() as u64).sum())
    }

    async fn trap_slowly(gate: String) {
        wait_at(&gate).await;
        panic!("as told");
    }

    async fn wait_for_nothing() {
        futures::future::pending().await
    }
}

fn count() -> u64 {
    COUNT.get().expect("the state is readable").unwrap_or(0)
}

fn set(count: u64) -> u64 {
    COUNT.set(&count).expect("the state is writable");
    count
}

fn look(key: &str) -> Option<String> {
    let bytes = state::get_bytes(key).expect("the state is readable");
    bytes.map(|bytes| String::from_utf8(bytes).expect("texts only"))
}

async fn wait_at(gate: &str) {
    let gate = calls::grain("async-reader", gate);
    let met: u32 = gate
        .call_async("meet", &(2,))
        .await
        .expect("the gate opens");
    assert!(2 <= met);
}

async fn made(call: Call) -> Result<String, String> {
    let arguments = Payload::Json(call.arguments);
    let grain = calls::grain(call.kind, call.key);
    let answer = grain.call_payload_async(&call.method, arguments).await;
    answer.map(text).map_err(|error| error.describe())
}

fn text(payload: Payload) -> String {
    match payload {
        Payload::Json(text) => text,
        Payload::Cbor(bytes) | Payload::Raw(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

granary_sdk::grain!(Turns);
