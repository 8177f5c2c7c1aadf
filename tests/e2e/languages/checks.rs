//! What every language has to do. A check panics when something is not as it should be; each works on keys of its own.

use std::pin::Pin;

use serde_json::{Value, json};

use super::Check;
use crate::harness::{Client, Problem, until};

/// A check as a value.
macro_rules! boxed {
    ($check:path) => {
        |client, guest| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin($check(client, guest))
        }
    };
}

/// What the counter of a language does.
pub(super) const COUNTER: [(&str, Check); 5] = [
    ("state", boxed!(state)),
    ("read methods", boxed!(read_methods)),
    ("activation's memory", boxed!(memory)),
    ("arguments checked", boxed!(arguments)),
    ("idempotency", boxed!(idempotency)),
];

/// What its torture guest does.
pub(super) const TORTURE: [(&str, Check); 18] = [
    ("numbers", boxed!(numbers)),
    ("64-bit integers", boxed!(long_integers)),
    ("integers beyond 2^53", boxed!(wide_integers)),
    ("texts, bytes", boxed!(texts_and_bytes)),
    ("lists, tuples", boxed!(lists_and_tuples)),
    ("nested options", boxed!(options)),
    ("records, variants", boxed!(records_and_variants)),
    ("`err` answers", boxed!(an_err_is_an_answer)),
    ("exceptions", boxed!(an_exception_leaves_no_trace)),
    (
        "file and line of an exception",
        boxed!(an_exception_has_a_place),
    ),
    ("exit", boxed!(an_exit_ends_the_activation_only)),
    ("abort", boxed!(an_abort_leaves_no_trace)),
    (
        "failed assertions",
        boxed!(a_failed_assertion_leaves_no_trace),
    ),
    (
        "file and line of an assertion",
        boxed!(an_assertion_has_a_place),
    ),
    ("limits", boxed!(limits)),
    ("log", boxed!(log)),
    ("calls, context", boxed!(calls_and_context)),
    ("`activate`", boxed!(activation)),
];

/// Filled after the node was killed and started again.
pub(super) const SURVIVED: (&str, Check) = ("`kill -9`", boxed!(survived));

/// Filled after the torture guests were deployed a second time.
pub(super) const UPGRADED: (&str, Check) = ("upgrade, `migrate`", boxed!(upgraded));

async fn same(client: &Client, guest: &str, method: &str, value: Value) {
    let answer = client
        .call(&format!("{guest}/types"), method, json!([value]))
        .await;
    assert_eq!(answer.ok(), value, "{method}");
}

async fn state(client: Client, guest: &'static str) {
    for (by, expected) in [(5, 5), (0, 5), (7, 12)] {
        let answer = client
            .call(&format!("{guest}/state"), "increment", json!([by]))
            .await;
        assert_eq!(answer.ok(), expected);
    }
    let other = client.get(&format!("/g/{guest}/another/get")).await;
    assert_eq!(other.ok(), 0, "each key is a grain of its own");
    let kept = client
        .get(&format!("/v1/state/{guest}/state/count"))
        .await
        .text();
    assert_eq!(kept, "12", "as every other language would write it");
}

async fn survived(client: Client, guest: &'static str) {
    let path = format!("/g/{guest}/state/get");
    assert_eq!(client.get(&path).await.ok(), 12);
    let grain = format!("{guest}/memory");
    let memory = client
        .call(&grain, "increment-memory", json!([1]))
        .await
        .ok();
    assert_eq!(memory, 1, "memory is gone");
}

async fn read_methods(client: Client, guest: &'static str) {
    let path = format!("/g/{guest}/read/get");
    client
        .call(&format!("{guest}/read"), "increment", json!([1]))
        .await
        .ok();
    let first = client.get(&path).await;
    assert_eq!(first.ok(), 1);
    let again = client
        .request(reqwest::Method::GET, &path)
        .header("if-none-match", first.header("etag"));
    assert_eq!(client.send(again).await.status, 304);
}

async fn memory(client: Client, guest: &'static str) {
    let grain = format!("{guest}/memory");
    for expected in [3, 6] {
        let answer = client.call(&grain, "increment-memory", json!([3])).await;
        assert_eq!(answer.ok(), expected);
    }
    let kept = client.get(&format!("/g/{grain}/get")).await.ok();
    assert_eq!(kept, 0, "the state is another number");
}

async fn arguments(client: Client, guest: &'static str) {
    let grain = format!("{guest}/arguments");
    for wrong in [json!(["many"]), json!([-1]), json!([]), json!([1, 2])] {
        let refused = client.call(&grain, "increment", wrong.clone()).await;
        let problem = refused.problem(422);
        assert_eq!(problem.outcome(), "not-started", "{wrong}");
    }
    client
        .call(&grain, "incremen", json!([1]))
        .await
        .problem(404)
        .is("not-found", &["increment"]);
}

async fn idempotency(client: Client, guest: &'static str) {
    let grain = format!("{guest}/once");
    for _ in 0..2 {
        let answer = client
            .call_once(&grain, "increment", &json!([4]), "one-key")
            .await
            .expect("the node is there");
        assert_eq!(answer.ok(), 4);
    }
}

async fn numbers(client: Client, guest: &'static str) {
    for (method, values) in [
        ("boolean", vec![json!(true), json!(false)]),
        ("unsigned8", vec![json!(0), json!(255)]),
        ("unsigned16", vec![json!(65_535)]),
        ("unsigned32", vec![json!(4_294_967_295_u32)]),
        ("signed8", vec![json!(-128), json!(127)]),
        ("signed16", vec![json!(-32_768)]),
        ("signed32", vec![json!(-2_147_483_648)]),
        ("float32", vec![json!(1.5), json!(-0.25)]),
        (
            "float64",
            vec![json!(-0.1), json!(1e300), json!("NaN"), json!("-Infinity")],
        ),
        ("an-enum", vec![json!("red"), json!("dark-green")]),
        (
            "some-flags",
            vec![json!([]), json!(["read", "look-around"])],
        ),
    ] {
        for value in values {
            same(&client, guest, method, value).await;
        }
    }
}

async fn long_integers(client: Client, guest: &'static str) {
    for (method, value) in [
        ("unsigned64", json!(9_007_199_254_740_991_u64)),
        ("signed64", json!(-1)),
        ("numbers", json!([1, -9_007_199_254_740_991_i64])),
    ] {
        same(&client, guest, method, value).await;
    }
}

async fn wide_integers(client: Client, guest: &'static str) {
    // In JSON such an integer is a text: many readers would lose its last digits.
    for (method, value) in [
        ("unsigned64", json!("18446744073709551615")),
        ("signed64", json!("-9223372036854775808")),
        ("numbers", json!([1, "9223372036854775807", -7])),
    ] {
        same(&client, guest, method, value).await;
    }
}

async fn texts_and_bytes(client: Client, guest: &'static str) {
    for text in ["", "\"\\\n\u{1F600}", "Grüße", "\u{0}"] {
        same(&client, guest, "text", json!(text)).await;
    }
    for character in ["ü", "\u{1F600}"] {
        same(&client, guest, "character", json!(character)).await;
    }
    for bytes in ["", "AP8="] {
        same(&client, guest, "bytes", json!(bytes)).await;
    }
}

async fn lists_and_tuples(client: Client, guest: &'static str) {
    for (method, value) in [
        ("numbers", json!([])),
        ("texts", json!(["", "a", "b"])),
        ("texts", json!([])),
        ("pair", json!([1, "b"])),
        ("outcomes", json!([{ "ok": 1 }, { "err": "no" }])),
        ("outcomes", json!([])),
    ] {
        same(&client, guest, method, value).await;
    }
}

async fn options(client: Client, guest: &'static str) {
    for (method, value) in [
        ("maybe", json!(null)),
        ("maybe", json!(0)),
        ("maybe-maybe", json!(null)),
        ("maybe-maybe", json!({ "some": null })),
        ("maybe-maybe", json!({ "some": 3 })),
    ] {
        same(&client, guest, method, value).await;
    }
}

async fn records_and_variants(client: Client, guest: &'static str) {
    let item = json!({ "id": 7, "name": "x", "tag": null });
    let tagged = json!({ "id": 8, "name": "", "tag": "y" });
    for (method, value) in [
        (
            "a-record",
            json!({ "customer": "Ada", "items": [item, tagged], "paid": "red" }),
        ),
        (
            "a-record",
            json!({ "customer": "", "items": [], "paid": null }),
        ),
        ("a-variant", json!("nothing")),
        ("a-variant", json!({ "circle": 1.5 })),
        ("a-variant", json!({ "named": tagged })),
        ("a-variant", json!({ "many": ["a", ""] })),
    ] {
        same(&client, guest, method, value).await;
    }
}

async fn has(client: &Client, grain: &str, key: &str) -> Value {
    client.call(grain, "has", json!([key])).await.ok()
}

async fn an_err_is_an_answer(client: Client, guest: &'static str) {
    let grain = format!("{guest}/fail");
    let answer = client.call(&grain, "fail", json!(["not today"])).await;
    let problem = answer.problem(400);
    problem.is("app-error", &[]);
    assert_eq!(problem.0["error"], "not today");
    assert_eq!(has(&client, &grain, "failed").await, true, "committed");
}

async fn an_exception_leaves_no_trace(client: Client, guest: &'static str) {
    let grain = format!("{guest}/throw");
    let answer = client
        .call(&grain, "throw", json!(["the milk is sour"]))
        .await;
    let problem = answer.problem(500);
    problem.is("guest-trap", &[]);
    assert_eq!(problem.outcome(), "no-effect");
    assert!(
        problem.0.to_string().contains("the milk is sour"),
        "in the language's own words: {}",
        problem.0
    );
    assert_eq!(has(&client, &grain, "thrown").await, false);
}

/// What the file is called that throws, and what stands between its name and the line.
const PLACES: [(&str, &str); 6] = [
    ("torture-rust", "lib.rs:"),
    ("torture-c", "trouble.c:"),
    ("torture-zig", "grain.zig:"),
    ("torture-go", "trouble.go:"),
    ("torture-ts", "grain.ts:"),
    ("torture-python", "app.py\", line "),
];

async fn an_exception_has_a_place(client: Client, guest: &'static str) {
    let answer = client.call(&format!("{guest}/place"), "throw", json!(["sour"]));
    has_place(&answer.await.problem(500), of(&PLACES, guest).1);
}

fn has_place(problem: &Problem, before: &str) {
    let detail = problem.0["detail"].as_str().unwrap_or_default();
    let line = detail.split_once(before).map(|(_, rest)| rest);
    assert!(
        line.is_some_and(|line| line.starts_with(|first: char| first.is_ascii_digit())),
        "{detail}"
    );
}

/// What the caller is told of an `abort`, where a language has nothing to say by itself the frame that it ended in.
const ABORTED: [(&str, &[&str]); 6] = [
    ("torture-rust", &["abort"]),
    ("torture-c", &["exports_test_torture_trouble_abort"]),
    ("torture-zig", &["exports_test_torture_trouble_abort"]),
    (
        "torture-go",
        &["fatal error: sync: unlock of unlocked mutex", "trouble.go:"],
    ),
    ("torture-ts", &["abort"]),
    ("torture-python", &["Aborted", "app.py\", line "]),
];

async fn an_abort_leaves_no_trace(client: Client, guest: &'static str) {
    let grain = format!("{guest}/abort");
    let problem = client.call(&grain, "abort", json!([])).await.problem(500);
    problem.is("guest-trap", &[]);
    assert_eq!(problem.outcome(), "no-effect");
    assert_eq!(has(&client, &grain, "aborted").await, false);
    let known = "the guest trapped: unreachable (a panic, an abort or a failed assertion)";
    let mut told = vec![problem.0["detail"].as_str().unwrap().replace(known, "")];
    let frames = problem.0["backtrace"].as_array().into_iter().flatten();
    // The export's own name says so in any case.
    let frames = frames.filter_map(|frame| frame.as_str().filter(|it| !it.contains('#')));
    told.extend(frames.map(str::to_owned));
    let told = told.join("\n");
    let (_, words) = of(&ABORTED, guest);
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

/// What the caller is told of a failed assertion, and what stands before the line.
const ASSERTED: [(&str, [&str; 2]); 6] = [
    ("torture-rust", ["the milk is sour", "lib.rs:"]),
    (
        "torture-c",
        [
            "Assertion failed: words->len == 0",
            "trouble.c: exports_test_torture_trouble_check: ",
        ],
    ),
    ("torture-zig", ["reached unreachable code", "grain.zig:"]),
    (
        "torture-go",
        ["assertion failed: the milk is sour", "trouble.go:"],
    ),
    (
        "torture-ts",
        ["Assertion failed: the milk is sour", "grain.ts:"],
    ),
    (
        "torture-python",
        ["AssertionError: the milk is sour", "app.py\", line "],
    ),
];

/// The line of a guest in a table of them.
fn of<T>(table: &'static [(&str, T)], guest: &str) -> &'static (&'static str, T) {
    let found = table.iter().find(|(name, _)| *name == guest);
    found.expect("every guest is in it")
}

async fn a_failed_assertion_leaves_no_trace(client: Client, guest: &'static str) {
    let grain = format!("{guest}/check");
    let answer = client.call(&grain, "check", json!(["the milk is sour"]));
    let problem = answer.await.problem(500);
    problem.is("guest-trap", &[of(&ASSERTED, guest).1[0]]);
    assert_eq!(problem.outcome(), "no-effect");
    assert_eq!(has(&client, &grain, "checked").await, false);
}

async fn an_assertion_has_a_place(client: Client, guest: &'static str) {
    let answer = client.call(&format!("{guest}/place"), "check", json!(["sour"]));
    has_place(&answer.await.problem(500), of(&ASSERTED, guest).1[1]);
}

/// A text of the state, as it is kept.
async fn kept(client: &Client, grain: &str, key: &str) -> String {
    client.get(&format!("/v1/state/{grain}/{key}")).await.text()
}

async fn activation(client: Client, guest: &'static str) {
    let grain = format!("{guest}/awake");
    has(&client, &grain, "activated").await;
    assert_eq!(kept(&client, &grain, "activated").await, "\"message\"");
    let exit = client.call(&grain, "exit", json!([1])).await;
    exit.problem(500).is("guest-trap", &[]);
    has(&client, &grain, "activated").await;
    assert_eq!(kept(&client, &grain, "activated").await, "\"recovery\"");

    let locked = format!("{guest}/locked");
    client
        .send(
            client
                .request(reqwest::Method::PUT, &format!("/v1/state/{locked}/locked"))
                .body("true"),
        )
        .await
        .ok();
    let refused = client.call(&locked, "has", json!(["locked"])).await;
    let problem = refused.problem(503);
    problem.is("unavailable", &["'activate' hook refused: it is locked"]);
    assert_eq!(problem.outcome(), "not-started");
}

/// Leaves state behind that the next revision migrates.
async fn upgraded(client: Client, guest: &'static str) {
    let grain = format!("{guest}/fail");
    until("the next revision answers", || async {
        let reply = client.call(&grain, "has", json!(["failed"])).await;
        (reply.header("grain-revision") == "2")
            .then(|| assert_eq!(reply.ok(), true, "state is kept"))
    })
    .await;
    assert_eq!(kept(&client, &grain, "migrated").await, "1");
    // Only where there was state of another revision.
    let fresh = format!("{guest}/fresh");
    assert_eq!(has(&client, &fresh, "migrated").await, false);
}

async fn an_exit_ends_the_activation_only(client: Client, guest: &'static str) {
    let grain = format!("{guest}/exit");
    let answer = client.call(&grain, "exit", json!([3])).await;
    let problem = answer.problem(500);
    problem.is("guest-trap", &["ended itself with a failure status"]);
    assert!(
        !problem.0.to_string().contains("exit(1)"),
        "no status that nobody gave: {}",
        problem.0
    );
    assert_eq!(has(&client, &grain, "anything").await, false, "it goes on");
}

async fn limits(client: Client, guest: &'static str) {
    for (method, limit) in [("spin", "cpu-time"), ("hoard", "memory")] {
        let grain = format!("{guest}/{method}");
        let answer = client.call(&grain, method, json!([])).await;
        answer.problem(507).is("limit-exceeded", &[limit]);
        assert_eq!(has(&client, &grain, "anything").await, false, "it goes on");
    }
}

async fn log(client: Client, guest: &'static str) {
    let grain = format!("{guest}/log");
    client
        .call(&grain, "speak", json!(["a word of mine"]))
        .await
        .ok();
    until("both lines in the log", || async {
        let logs = client
            .get(&format!("/v1/logs?kind={guest}&follow=false&limit=1000"))
            .await
            .text();
        (logs.matches("a word of mine").count() == 2).then_some(())
    })
    .await;
}

async fn calls_and_context(client: Client, guest: &'static str) {
    let grain = format!("{guest}/journey");
    let answer = client
        .call(&grain, "call", json!([guest, "other", "hello"]))
        .await;
    assert_eq!(answer.ok(), "hello");
    let circle = client
        .call(&grain, "call", json!([guest, "journey", "hello"]))
        .await;
    let problem = circle.problem(400);
    let words = problem.0["error"].as_str().unwrap_or_default();
    assert!(words.contains("deadlock"), "{}", problem.0);
    let who = client.call(&grain, "who", json!([])).await.ok();
    assert_eq!(who, json!([grain, null, 0]));
    let left = client.call(&grain, "time-left", json!([])).await.ok();
    assert!((1..=30_000).contains(&left.as_u64().unwrap()), "{left}");
    let baggage = client
        .request(reqwest::Method::POST, &format!("/g/{grain}/baggage"))
        .header("baggage", "weight=12")
        .json(&json!(["weight"]));
    assert_eq!(client.send(baggage).await.ok(), "12");
}
