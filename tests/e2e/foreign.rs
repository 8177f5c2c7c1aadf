//! Components that were written for other hosts, unchanged: their key-value stores, blobs, settings and log are the grain's own.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Node, granary, within};

/// What a grain answers to a command in the path.
async fn asked(client: &Client, grain: &str, command: &str) -> String {
    let reply = client.get(&format!("/g/{grain}/http/{command}")).await;
    assert_eq!(reply.status, 200, "{command}: {reply}");
    reply.text()
}

/// What it says instead.
async fn refused(client: &Client, grain: &str, command: &str) -> String {
    let reply = client.get(&format!("/g/{grain}/http/{command}")).await;
    assert_eq!(reply.status, 400, "{command}: {reply}");
    reply.text()
}

#[tokio::test]
async fn spins_stores_are_durable_and_each_grain_has_its_own() {
    let mut node = Node::serving(&["spin-style"]).await;
    for expected in ["1", "2", "3"] {
        assert_eq!(asked(node.client(), "spin-style/a", "hits").await, expected);
    }
    node.crash_and_start_again().await;
    let client = node.client();
    assert_eq!(asked(client, "spin-style/a", "hits").await, "4");
    assert_eq!(asked(client, "spin-style/b", "hits").await, "1");
    asked(client, "spin-style/a", "set/shop/x/1").await;
    assert_eq!(asked(client, "spin-style/a", "get/shop/x").await, "1");
    assert_eq!(
        asked(client, "spin-style/a", "get/default/x").await,
        "nothing"
    );
    assert_eq!(asked(client, "spin-style/b", "get/shop/x").await, "nothing");
    assert_eq!(asked(client, "spin-style/a", "keys/shop").await, "x");
    assert_eq!(
        asked(client, "spin-style/a", "delete/shop/x").await,
        "true false"
    );
    // What it keeps is state like any other.
    let hits = client
        .get("/v1/state/spin-style/a/kv%2Fdefault%2Fhits")
        .await;
    assert_eq!((hits.status, hits.text().as_str()), (200, "4"), "{hits}");
    let listed = granary(&node, &["state", "ls", "spin-style/a"]).await.ok();
    assert!(listed.contains("kv/default/hits"), "{listed}");
}

#[tokio::test]
async fn the_second_draft_of_keyvalue_counts_compares_and_lists() {
    let node = Node::serving(&["spin-style"]).await;
    let client = node.client();
    let ask = |command: &'static str| asked(client, "spin-style/a", command);
    assert_eq!(ask("add/numbers/n/5").await, "5");
    assert_eq!(ask("add/numbers/n/-7").await, "-2");
    assert_eq!(ask("get/numbers/n").await, "-2", "it is decimal text");
    ask("set/numbers/t/many").await;
    let told = refused(client, "spin-style/a", "add/numbers/t/1").await;
    assert!(told.contains("no number"), "{told}");
    ask("set/numbers/big/9223372036854775807").await;
    let told = refused(client, "spin-style/a", "add/numbers/big/1").await;
    assert!(told.contains("out of range"), "{told}");
    assert_eq!(ask("batch").await, "a=1 x=- b=2 / a=- x=- b=2");
    assert_eq!(
        ask("compare").await,
        r#"None true Some("two") true Some("three")"#
    );
    assert_eq!(ask("fill/many/2500").await, "2500");
    assert_eq!(ask("pages/many").await, "3 pages, 2500 keys, sorted: true");
    assert_eq!(ask("pages/none").await, "1 pages, 0 keys, sorted: true");
}

#[tokio::test]
async fn settings_are_the_granted_ones_under_every_name() {
    let node = Node::serving(&["spin-style", "wasmcloud-style"]).await;
    let client = node.client();
    assert_eq!(
        asked(client, "spin-style/a", "variable/colour").await,
        "green"
    );
    let told = refused(client, "spin-style/a", "variable/taste").await;
    assert!(
        told.contains("Undefined") && told.contains("taste"),
        "{told}"
    );
    assert_eq!(
        asked(client, "spin-style/a", "config/colour").await,
        r#"Some("green")"#
    );
    assert_eq!(asked(client, "spin-style/a", "config/taste").await, "None");
    assert_eq!(
        asked(client, "wasmcloud-style/a", "config/colour").await,
        r#"Ok(Some("green")) Ok([("colour", "green")])"#
    );
    let ungranted = node.deploy_as("spin-style", "poor", json!({})).await;
    ungranted
        .problem(422)
        .is("bad-grants", &["fermyon:spin/variables", "config"]);
}

#[tokio::test]
async fn limits_are_told_in_the_words_of_the_interface() {
    let node = Node::serving(&["spin-style", "wasmcloud-style"]).await;
    let client = node.client();
    assert_eq!(asked(client, "spin-style/a", "large/64").await, "kept");
    let told = refused(client, "spin-style/a", "large/65").await;
    assert!(
        told.contains("Other") && told.contains("state-value"),
        "{told}"
    );
    let long = format!("set/default/{}/v", "k".repeat(600));
    let told = refused(client, "spin-style/a", &long).await;
    assert!(told.contains("512 bytes"), "{told}");
    let long = format!("set/{}/k/v", "b".repeat(200));
    let told = refused(client, "spin-style/a", &long).await;
    assert!(told.contains("NoSuchStore"), "{told}");
    let told = client
        .call("wasmcloud-style/a", "try-to-write", json!([]))
        .await;
    let told = told.ok();
    assert!(told[0].as_str().unwrap().contains("AccessDenied"), "{told}");
    assert!(told[1].as_str().unwrap().contains("read"), "{told}");
    let told = refused(client, "wasmcloud-style/a", "put/files/large/5000").await;
    assert!(told.contains("state-total"), "{told}");
    assert_eq!(
        asked(client, "wasmcloud-style/a", "list/files").await,
        "0 skipped: "
    );
    assert_eq!(
        asked(client, "wasmcloud-style/a", "put/files/fits/3000").await,
        "one stream: true"
    );
    // In place of the old one there is room for another of its size.
    asked(client, "wasmcloud-style/a", "put/files/fits/3000").await;
}

#[tokio::test]
async fn what_is_written_after_the_response_is_refused() {
    let node = Node::serving(&["spin-style"]).await;
    let client = node.client();
    let (unended, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = client
        .request(Method::POST, "/g/spin-style/a/http/late")
        .body(body);
    let response = within("the response", request.send()).await.unwrap();
    let first = within("its body", response.text()).await.unwrap();
    assert_eq!(first, "first");
    drop(unended);
    assert_eq!(
        asked(client, "spin-style/a", "get/default/late").await,
        "nothing"
    );
    let logged = granary(&node, &["logs", "spin-style/a"]).await.ok();
    assert!(
        logged.contains("the HTTP response has left already"),
        "{logged}"
    );
}

#[tokio::test]
async fn the_first_draft_of_keyvalue_counts_and_lists() {
    let mut node = Node::serving(&["wasmcloud-style"]).await;
    for expected in ["1", "2"] {
        let count = asked(node.client(), "wasmcloud-style/a", "count").await;
        assert_eq!(count, expected);
    }
    node.crash_and_start_again().await;
    let client = node.client();
    assert_eq!(asked(client, "wasmcloud-style/a", "count").await, "3");
    assert_eq!(asked(client, "wasmcloud-style/b", "count").await, "1");
    assert_eq!(
        asked(client, "wasmcloud-style/a", "keys").await,
        "3 pages, whole: true"
    );
    let numbers = asked(client, "wasmcloud-style/a", "numbers").await;
    assert!(
        numbers.starts_with("42 true Err(") && numbers.ends_with("[true, false]"),
        "{numbers}"
    );
}

#[tokio::test]
async fn blobs_are_written_read_listed_moved_and_removed() {
    let mut node = Node::serving(&["wasmcloud-style"]).await;
    let grain = "wasmcloud-style/a";
    assert_eq!(
        asked(node.client(), grain, "put/files/big/700").await,
        "one stream: true"
    );
    asked(node.client(), grain, "put/files/small/1").await;
    asked(node.client(), grain, "put/files/none/0").await;
    node.crash_and_start_again().await;
    let client = node.client();
    let ask = |command: &'static str| asked(client, grain, command);
    assert_eq!(ask("info/files/big").await, "files big 716800 true");
    assert_eq!(
        ask("get/files/big/0/end").await,
        "716800 bytes, first 0, from the start: true"
    );
    // Both ends are part of it, also across the pieces in which it lies.
    assert_eq!(
        ask("get/files/big/262140/262148").await,
        "9 bytes, first 96, from the start: false"
    );
    assert_eq!(
        ask("get/files/none/0/end").await,
        "0 bytes, first nothing, from the start: true"
    );
    assert_eq!(
        ask("get/files/small/5000/end").await,
        "0 bytes, first nothing, from the start: true"
    );
    assert_eq!(ask("list/files").await, "1 skipped: none small");
    assert_eq!(ask("unfinished/files/half").await, "false");
    assert_eq!(
        ask("move/files/small/other/new").await,
        "left behind: false"
    );
    assert_eq!(
        ask("get/other/new/0/end").await,
        ask("get/other/copy/0/end").await
    );
    assert_eq!(
        ask("stream/files/big").await,
        "716800 716800 bytes, first 0, from the start: true"
    );
    let told = refused(client, grain, "get/files/big/0/end").await;
    assert!(told.contains("'big' does not exist"), "{told}");
    let told = refused(client, grain, "get/nowhere/x/0/end").await;
    assert!(told.contains("'nowhere' does not exist"), "{told}");
    assert_eq!(ask("delete/other/copy").await, "false");
    assert_eq!(ask("clear/other").await, "false");
    assert_eq!(ask("clear/files").await, "false");
    let left = client.get("/v1/state/wasmcloud-style/a").await.ok();
    assert!(
        !left.to_string().contains("blob"),
        "nothing is left of it: {left}"
    );
    let told = refused(client, "wasmcloud-style/b", "list/files").await;
    assert!(
        told.contains("does not exist"),
        "another grain has its own: {told}"
    );
}

#[tokio::test]
async fn what_is_logged_keeps_its_level() {
    let node = Node::serving(&["wasmcloud-style"]).await;
    let client = node.client();
    asked(client, "wasmcloud-style/a", "log").await;
    let page = client
        .get("/v1/logs?kind=wasmcloud-style&follow=false")
        .await
        .ok();
    let lines: Vec<_> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(level_and_line)
        .collect();
    assert_eq!(
        lines,
        [
            ("log", "debug", "opening"),
            ("log", "warn", "orders: late"),
            ("log", "warn", "very late"),
            ("log", "critical", "orders: lost"),
        ]
    );
    let printed = granary(&node, &["logs", "wasmcloud-style/a"]).await.ok();
    assert!(
        printed.contains("wasmcloud-style/a warn orders: late"),
        "{printed}"
    );
}

fn level_and_line(entry: &Value) -> (&str, &str, &str) {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    (text("stream"), text("level"), text("line"))
}

#[tokio::test]
async fn a_component_for_wasmtime_serve_runs_as_it_is() {
    let node = Node::serving(&["serve-hello"]).await;
    let client = node.client();
    assert_eq!(
        asked(client, "serve-hello/a", "").await,
        "Hello, wasi:http/proxy world!\n"
    );
    assert_eq!(asked(client, "serve-hello/a", "wait").await, "waited: true");
    assert_eq!(
        client.get("/g/serve-hello/a/http/nowhere").await.status,
        404
    );
    let (send, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(4);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = client
        .request(Method::POST, "/g/serve-hello/a/http/echo")
        .body(body);
    send.send(Ok(b"as it comes".to_vec())).await.unwrap();
    let response = within("the head", request.send()).await.unwrap();
    drop(send);
    let mut heard = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = within("a piece", stream.next()).await {
        heard.extend(part.unwrap());
    }
    assert_eq!(heard, b"as it comes");
}

#[tokio::test]
async fn http_components_of_python_and_javascript_run_unchanged() {
    for (kind, greeting) in [
        ("foreign-python", "Hello from Python"),
        ("foreign-js", "Hello from JavaScript"),
    ] {
        let component = crate::harness::guests::component(kind);
        let node = Node::start().await;
        let manifest = crate::harness::guests::manifest(kind);
        node.client()
            .deploy(kind, &component, manifest, "")
            .await
            .ok();
        let base = format!("/g/{kind}/a/http");
        for _ in 0..3 {
            let hello = node.client().get(&format!("{base}/")).await;
            assert_eq!((hello.status, hello.text().trim()), (200, greeting));
        }
        let echo = node
            .client()
            .post_text(&format!("{base}/echo"), r#"{"as": "sent"}"#)
            .await;
        assert_eq!(echo.text(), r#"{"as": "sent"}"#, "{kind}");
        let lost = node.client().get(&format!("{base}/nowhere")).await;
        assert_eq!(lost.status, 404, "{lost}");
        let about = node.client().get(&format!("{base}/about?x=1")).await.ok();
        assert_eq!(about["query"], "x=1", "{about}");
        let failed = node.client().get(&format!("{base}/boom")).await;
        assert!(500 <= failed.status, "{failed}");
        let hello = node.client().get(&format!("{base}/")).await;
        assert_eq!(hello.text().trim(), greeting, "it goes on");
    }
}

#[tokio::test]
async fn another_version_of_an_interface_is_refused_with_what_to_do() {
    let node = Node::start().await;
    let imports = |name: &str| {
        format!(
            r#"(component
        (import "{name}" (instance (export "get" (func (result u32)))))
        (core module $m (func (export "one") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "one") (result u32) (canon lift (core func $i "one"))))"#
        )
    };
    let newer = node
        .deploy_text("newer", &imports("granary:grain/state@0.2.0"))
        .await;
    newer.problem(422).is(
        "other-version",
        &[
            "granary:grain@0.2.0",
            "this host has granary:grain@0.1.0",
            "newer granary",
        ],
    );
    let preview3 = node
        .deploy_text("preview3", &imports("wasi:http/client@0.3.0"))
        .await;
    preview3.problem(422).is(
        "other-version",
        &[
            "wasi:http@0.3.0",
            "this host has wasi:http@0.2.12",
            "wasm32-wasip2",
        ],
    );
    let lacking = node
        .deploy_text("lacking", &imports("fermyon:spin/postgres@2.0.0"))
        .await;
    lacking.problem(422).is(
        "unknown-import",
        &["fermyon:spin/postgres@2.0.0", "fermyon:spin/key-value"],
    );
    let hook = r#"(component
        (core module $m (func (export "one") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func $one (result u32) (canon lift (core func $i "one")))
        (instance $hook (export "activate" (func $one)))
        (export "granary:grain/lifecycle@0.2.0" (instance $hook))
        (export "one" (func $one)))"#;
    let hook = node.deploy_text("hook", hook).await;
    hook.problem(422).is(
        "other-version",
        &["exports", "granary:grain/lifecycle@0.2.0"],
    );
}
