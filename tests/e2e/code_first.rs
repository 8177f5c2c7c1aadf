//! Grains whose interface is derived from Rust: nothing about them differs from those with an interface in WIT.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Flow, Node, granary, until};

#[tokio::test]
async fn every_type_goes_there_and_back_through_a_derived_interface() {
    let node = Node::serving(&["code-first"]).await;
    let item = json!({ "id": 7, "name": "Ähre", "tag": null });
    let order = json!({ "customer": "", "items": [item, item], "paid": "dark-green" });
    let cases = [
        ("boolean", json!(true)),
        ("unsigned8", json!(255)),
        ("unsigned16", json!(65_535)),
        ("unsigned32", json!(4_294_967_295_u32)),
        ("unsigned64", json!(u64::MAX.to_string())),
        ("signed8", json!(-128)),
        ("signed16", json!(-32_768)),
        ("signed32", json!(-2_147_483_648)),
        ("signed64", json!(i64::MIN.to_string())),
        ("float32", json!(1.5)),
        ("float64", json!(-0.1)),
        ("character", json!("ü")),
        ("text", json!("\"\\\n\u{1F600}")),
        ("bytes", json!("AP8=")),
        ("numbers", json!([1, -1])),
        ("numbers", json!([])),
        ("texts", json!(["", "a"])),
        ("pair", json!([1, "b"])),
        ("maybe", json!(null)),
        ("maybe-maybe", json!({ "some": null })),
        ("a-record", order.clone()),
        ("a-variant", json!("nothing")),
        ("a-variant", json!({ "circle": 1.5 })),
        ("a-variant", json!({ "named": item })),
        ("a-variant", json!({ "many": ["x"] })),
        ("an-enum", json!("red")),
        ("some-flags", json!(["read", "look-around"])),
        ("outcomes", json!([{ "ok": 1 }, { "err": "no" }])),
    ];
    let call = |method, arguments: Value| node.client().call("code-first/a", method, arguments);
    for (method, value) in cases {
        assert_eq!(call(method, json!([value])).await.ok(), value, "{method}");
    }
    let many = json!([order, order, order, order]);
    assert_eq!(call("many", many.clone()).await.ok(), many);
    call("throw", json!(["as told"]))
        .await
        .problem(500)
        .is("guest-trap", &["as told"]);
    assert_eq!(call("has", json!(["thrown"])).await.ok(), false);
}

/// What a value owned is freed, or the grain would run into its memory limit.
#[tokio::test]
async fn calls_leave_no_memory_behind() {
    let node = Node::serving(&["code-first"]).await;
    let order = json!({
        "customer": "c".repeat(200_000),
        "items": [{ "id": 1, "name": "n".repeat(200_000), "tag": "t".repeat(200_000) }],
        "paid": null,
    });
    let many = json!([order, order, order, order]);
    for _ in 0..60 {
        let answer = node.client().call("code-first/a", "many", many.clone());
        assert!(answer.await.ok() == many);
    }
}

#[tokio::test]
async fn async_functions_overlap_and_answer_when_they_are_done() {
    let node = Node::serving(&["code-first-async"]).await;
    let client = node.client();
    let meetings = (0..3).map(|_| client.get("/g/code-first-async/a/meet?guests=3&name=Ada"));
    for reply in futures::future::join_all(meetings).await {
        let party = reply.ok();
        assert_eq!(party["guests"], json!(["Ada", "Ada"]), "{party}");
        assert_eq!(party["host"], Value::Null, "{party}");
    }
    let call = |method, arguments: Value| client.call("code-first-async/a", method, arguments);
    call("note", json!(["kept"])).await.ok();
    call("trap-later", json!([])).await.problem(500);
    assert_eq!(call("plain", json!([])).await.ok(), "kept");
}

#[tokio::test]
async fn a_stream_is_derived_too_and_its_items_leave_as_they_come() {
    let node = Node::serving(&["code-first-async"]).await;
    let client = node.client();
    let open = async |path: &str| {
        let path = format!("/g/code-first-async/{path}");
        let request = client.request(Method::GET, &path);
        Flow::send(request.header("accept", "application/x-ndjson, */*")).await
    };
    let numbers = open("a/count-down?from=1000").await.lines().await;
    let expected: Vec<String> = (0..1000)
        .rev()
        .map(|number: u32| number.to_string())
        .collect();
    assert_eq!(numbers, expected);
    let refused = client
        .get("/g/code-first-async/a/count-down?from=10001")
        .await;
    assert_eq!(refused.problem(400).0["error"], "that would take too long");
    let words = client.request(Method::POST, "/g/code-first-async/a/words");
    let words = Flow::send(words.json(&json!(["some words"]))).await;
    assert_eq!(words.lines().await, ["\"some\"", "\"words\""]);
    let call = |method, arguments: Value| client.call("code-first-async/a", method, arguments);
    assert_eq!(call("plain", json!([])).await.ok(), "some words");
    let bytes = client.get("/g/code-first-async/a/bytes?mebibytes=20").await;
    assert_eq!(bytes.header("content-type"), "application/octet-stream");
    assert_eq!(bytes.body.len(), 20 << 20);
    // Items that own more memory than the grain has: each is freed when it was sent.
    let mut endless = open("b/endless").await;
    for _ in 0..600 {
        let words = endless.line().await.unwrap();
        assert!(words.len() == 50_002, "{words:.600}");
    }
    drop(endless);
    until("the producer has seen it", || async {
        let logs = client.get("/v1/logs?kind=code-first-async").await;
        logs.text().contains("nobody takes the items").then_some(())
    })
    .await;
    let mut broken = client.request(Method::POST, "/g/code-first-async/c/trap-after");
    broken = broken.header("accept", "text/event-stream");
    let mut broken = Flow::send(broken.json(&json!([1]))).await;
    assert_eq!(broken.event().await.unwrap(), "data: 0");
    assert!(broken.event().await.unwrap().contains("as told"));
    let wit = granary(&node, &["wit", "show", "code-first-async"])
        .await
        .ok();
    for line in [
        "count-down: async func(%from: u32) -> result<stream<u32>, string>;",
        "words: async func(text: string) -> stream<string>;",
    ] {
        assert!(wit.contains(line), "{line} is not in\n{wit}");
    }
}

#[tokio::test]
async fn the_derived_wit_and_its_comments_are_shown() {
    let node = Node::serving(&["todo"]).await;
    let wit = granary(&node, &["wit", "show", "todo"]).await.ok();
    for line in [
        "package demo:todo@0.1.0 {",
        "  /// A list of things to do.",
        "    /// Something to do.",
        "      /// What is to be done.",
        "      /// Before anything else.",
        "      no-such-item(u32),",
        "    /// Adds an item to the end and answers its number.",
        "    add: func(text: string, due: option<u64>, urgency: urgency) -> result<u32, refused>;",
        "    items: func() -> list<tuple<u32, item>>;",
    ] {
        assert!(
            wit.lines().any(|found| found == line),
            "{line} is not in\n{wit}"
        );
    }
    let openapi = granary(&node, &["openapi", "todo"]).await.ok();
    for words in ["Adds an item to the end", "What is to be done."] {
        assert!(openapi.contains(words), "{words} is not in\n{openapi}");
    }
}

#[tokio::test]
async fn state_of_another_version_is_an_error_with_both_and_stays() {
    let node = Node::serving(&["todo"]).await;
    let client = node.client();
    let add = |text: &str| client.call("todo/new", "add", json!([text, null, "now"]));
    assert_eq!(add("write").await.ok(), 0);
    assert_eq!(add("test").await.ok(), 1);
    let kept = client.get("/v1/state/todo/new/items").await.text();
    assert!(kept.starts_with(r#"{"$version":1,"value":[{"#), "{kept}");
    // What a later program would have left.
    let later = kept.replace(r#""$version":1"#, r#""$version":2"#);
    let request = client
        .request(Method::PUT, "/v1/state/todo/old/items")
        .header("content-type", "application/octet-stream");
    assert!(client.send(request.body(later.clone())).await.status < 300);
    let refused = client.call("todo/old", "items", json!([])).await;
    let problem = refused.problem(refused.status);
    for words in [
        "`items`",
        "in version 2",
        "in version 1",
        "nothing was changed",
    ] {
        assert!(problem.detail().contains(words), "{refused}");
    }
    let after = client.get("/v1/state/todo/old/items").await.text();
    assert_eq!(after, later);
}
