//! Calls from grain to grain through clients that the host links: values, errors, what travels along, and both sides of a misfit.

use serde_json::{Value, json};

use crate::harness::cli::Cli;
use crate::harness::{Client, Node, Reply, granary, guests};

/// A node with the caller and the kinds that it calls.
async fn node() -> Node {
    Node::serving(&["echo", "relay", "typed-caller"]).await
}

async fn ask(client: &Client, method: &str, arguments: Value) -> Reply {
    client.call("typed-caller/a", method, arguments).await
}

/// The `call-error` that a method of the caller answered.
#[track_caller]
fn call_error(reply: &Reply) -> Value {
    let problem = reply.problem(400);
    problem.is("app-error", &[]);
    problem.0["error"].clone()
}

/// Its text, where it has this code.
#[track_caller]
fn words(reply: &Reply, code: &str) -> String {
    let error = call_error(reply);
    assert_eq!(error["code"], code, "{error}");
    error["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn values_of_every_shape_go_there_and_back() {
    let node = node().await;
    let client = node.client();
    assert_eq!(
        ask(client, "shapes", json!(["one"])).await.ok(),
        json!([76, []])
    );
    assert_eq!(ask(client, "bytes", json!(["one", 0])).await.ok(), json!(0));
    assert_eq!(
        ask(client, "bytes", json!(["one", 300_000])).await.ok(),
        json!(300_000)
    );
}

#[tokio::test]
async fn an_own_error_comes_with_its_type() {
    let node = node().await;
    let client = node.client();
    let outcome = |fails: bool, key: Value| ask(client, "outcome", json!(["one", fails, key]));
    let ok = "ok Inner { id: 18446744073709551615, tag: Some(\"x\") }";
    let err = "err Shape::Named(Inner { id: 18446744073709551615, tag: Some(\"x\") })";
    assert_eq!(outcome(false, json!(null)).await.ok(), ok);
    assert_eq!(outcome(true, json!(null)).await.ok(), err);
    // Under a key the answer is kept, and read from there the second time.
    for _ in 0..2 {
        assert_eq!(outcome(true, json!("k1")).await.ok(), err);
        assert_eq!(outcome(false, json!("k2")).await.ok(), ok);
    }
    let mixed = outcome(true, json!("k2")).await;
    assert!(words(&mixed, "invalid").contains("'k2'"), "{mixed}");
    // The turn of this method is rolled back, and says so with its own error.
    assert_eq!(ask(client, "fail", json!(["one"])).await.ok(), "as told");
    assert_eq!(ask(client, "notes", json!(["one"])).await.ok(), json!([]));
    let metrics = client.get("/metrics").await.text();
    let counted = metrics.lines().find(|line| {
        line.starts_with("granary_calls_total")
            && line.contains("kind=\"relay\"")
            && line.contains("app")
    });
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1")),
        "an own error is counted as one: {counted:?}"
    );
}

#[tokio::test]
async fn a_note_is_written_once_under_one_key_and_is_there_after_a_crash() {
    let mut node = node().await;
    for key in ["k", "k", "other"] {
        let arguments = json!(["r", "hello", key]);
        ask(node.client(), "note", arguments).await.ok();
    }
    node.crash_and_start_again().await;
    assert_eq!(
        ask(node.client(), "notes", json!(["r"])).await.ok(),
        json!(["hello", "hello"])
    );
}

#[tokio::test]
async fn caller_chain_deadline_and_baggage_travel_along() {
    let node = node().await;
    let client = node.client();
    let seen = ask(client, "about", json!(["r", "a note", 5000]))
        .await
        .ok();
    let caller = json!({ "kind": "typed-caller", "key": "a" });
    assert_eq!(seen["caller"], caller);
    assert_eq!(seen["chain"], json!([caller]));
    assert_eq!(seen["baggage"], "a note");
    assert_eq!(seen["idempotency-key"], Value::Null);
    let left = seen["deadline-ms"].as_u64().unwrap();
    assert!(0 < left && left <= 5000, "{seen}");
    // No call outlives the caller's own deadline.
    let request = client.request(reqwest::Method::POST, "/g/typed-caller/a/about?timeout=3s");
    let seen = client
        .send(request.json(&json!(["r", "x", 60_000])))
        .await
        .ok();
    let left = seen["deadline-ms"].as_u64().unwrap();
    assert!(0 < left && left <= 3000, "{seen}");
}

#[tokio::test]
async fn what_keeps_a_call_from_its_answer_is_told_by_code() {
    let node = node().await;
    let client = node.client();
    let late = ask(client, "slow-note", json!(["r", 400, 40])).await;
    assert!(words(&late, "timeout").contains("relay/r"), "{late}");
    let trapped = ask(client, "trap", json!(["r2"])).await;
    assert!(
        words(&trapped, "guest-trap").contains("as told"),
        "{trapped}"
    );
    for (key, rule) in [("", "empty"), ("a\nb", "control character")] {
        let invalid = ask(client, "bytes", json!([key, 1])).await;
        let told = words(&invalid, "invalid");
        assert!(
            told.contains("/target/key") && told.contains(rule),
            "{told}"
        );
    }
    let bad_key = ask(client, "note", json!(["r3", "x", ""])).await;
    assert!(
        words(&bad_key, "invalid").contains("idempotency key"),
        "{bad_key}"
    );
    node.client().delete("/v1/kinds/echo").await.ok();
    let gone = ask(client, "bytes", json!(["one", 1])).await;
    assert!(words(&gone, "not-found").contains("'echo'"), "{gone}");
}

#[tokio::test]
async fn a_circle_is_refused_by_name() {
    let node = node().await;
    let caller = json!({ "kind": "typed-caller", "key": "a" });
    let reply = node
        .client()
        .call(
            "relay/b",
            "call",
            json!([caller, "notes", "[\"b\"]", null, null]),
        )
        .await;
    let error: Value = serde_json::from_str(&words(&reply, "app")).unwrap();
    let relay = json!({ "kind": "relay", "key": "b" });
    let told = json!({ "code": "deadlock", "text": "relay/b → typed-caller/a → relay/b", "circle": [relay, caller, relay] });
    assert_eq!(error, told);
}

#[tokio::test]
async fn limits_hold_for_values_too() {
    let node = node().await;
    let client = node.client();
    let mut manifest = guests::manifest("echo");
    manifest["limits"] = json!({ "arguments": "64KiB", "result": "32KiB" });
    let echo = guests::component("echo");
    client.deploy("echo", &echo, manifest, "").await.ok();
    assert_eq!(
        ask(client, "bytes", json!(["one", 30_000])).await.ok(),
        json!(30_000)
    );
    let large = ask(client, "bytes", json!(["one", 70_000])).await;
    assert!(words(&large, "limit-exceeded").contains("65536"), "{large}");
    let large = ask(client, "bytes", json!(["one", 40_000])).await;
    assert!(words(&large, "limit-exceeded").contains("32768"), "{large}");
    let mut manifest = guests::manifest("echo");
    manifest["limits"] = json!({ "host-memory": "64KiB" });
    client.deploy("echo", &echo, manifest, "").await.ok();
    let large = ask(client, "texts", json!(["one", 4000, 1])).await;
    assert!(
        words(&large, "limit-exceeded").contains("on the host"),
        "{large}"
    );
}

#[tokio::test]
async fn a_dropped_ref_is_free_again_and_kept_ones_are_bounded() {
    let node = node().await;
    let client = node.client();
    for _ in 0..3 {
        let made = ask(client, "refs", json!([20_000, false])).await;
        assert_eq!(made.ok(), 20_000);
    }
    let problem = ask(client, "refs", json!([20_000, true]))
        .await
        .problem(500);
    problem.is("guest-trap", &["table"]);
    // Only the activation that kept them is gone.
    assert_eq!(ask(client, "refs", json!([1, false])).await.ok(), 1);
}

#[tokio::test]
async fn an_async_grain_waits_for_several_calls_at_once() {
    let node = Node::serving(&["async-reader", "async-caller"]).await;
    let client = node.client();
    // Each of the two comes back only when the other one is under way.
    assert_eq!(
        client
            .call("async-caller/a", "meet", json!(["m"]))
            .await
            .ok(),
        4
    );
    assert_eq!(
        client
            .call("async-caller/a", "increment-twice", json!(["m"]))
            .await
            .ok(),
        2
    );
}

#[tokio::test]
async fn a_client_that_does_not_fit_is_found_when_either_side_is_deployed() {
    let node = Node::serving(&["relay", "typed-caller"]).await;
    let client = node.client();
    let (echo, hooks) = (guests::component("echo"), guests::component("hooks"));
    // The kind called `echo` is another one than the client was made from.
    client
        .deploy("echo", &hooks, guests::manifest("hooks"), "")
        .await
        .ok();
    let caller = guests::component("typed-caller");
    let mut manifest = guests::manifest("typed-caller");
    manifest["description"] = json!("anew");
    let deploy = |query| client.deploy("typed-caller", &caller, manifest.clone(), query);
    let plan = deploy("?dry-run=true").await.ok();
    assert_eq!(plan["misfits"][0]["kind"], "echo");
    assert_eq!(plan["misfits"][0]["client"], "test:echo-client/echo@0.1.0");
    let problem = deploy("").await.problem(409);
    problem.is(
        "client-misfit",
        &["echo: ", "boolean: there is no such method"],
    );
    deploy("?breaking=true").await.ok();
    let answer = ask(client, "bytes", json!(["one", 1])).await;
    assert!(words(&answer, "not-found").contains("'bytes'"), "{answer}");
    // From the other side: `echo` becomes itself, and a breaking change of it names its callers.
    client
        .deploy("echo", &echo, guests::manifest("echo"), "?breaking=true")
        .await
        .ok();
    assert_eq!(ask(client, "bytes", json!(["one", 1])).await.ok(), 1);
    let refused = client
        .deploy("echo", &hooks, guests::manifest("hooks"), "")
        .await;
    let problem = refused.problem(409);
    problem.is("breaking", &["typed-caller: ", "there is no such method"]);
    assert_eq!(problem.0["plan"]["callers"][0]["kind"], "typed-caller");
    let back = granary(&node, &["rollback", "echo"]).await;
    assert!(
        back.err.contains("a client of this kind does not fit")
            && back.err.contains("typed-caller: "),
        "{back:?}"
    );
}

#[tokio::test]
async fn another_kind_with_the_same_interface_can_be_put_behind_a_client() {
    let node = node().await;
    let client = node.client();
    let echo = guests::component("echo");
    client
        .deploy("echo-two", &echo, guests::manifest("echo"), "")
        .await
        .ok();
    let mut manifest = guests::manifest("typed-caller");
    manifest["clients"] = json!({ "test:echo-client": "echo-two", "test:else-client": "relay" });
    let caller = guests::component("typed-caller");
    let deployed = client
        .deploy("typed-caller", &caller, manifest.clone(), "")
        .await
        .ok();
    assert!(
        deployed["warnings"][0]
            .as_str()
            .unwrap()
            .contains("test:else-client"),
        "{deployed}"
    );
    ask(client, "bytes", json!(["only-here", 1])).await.ok();
    let activations = client.get("/v1/activations").await.ok();
    let called = json!({ "kind": "echo-two", "key": "only-here" });
    let mut live = activations["activations"].as_array().unwrap().iter();
    assert!(live.any(|live| live["grain"] == called), "{activations}");
    manifest["clients"] = json!({ "echo": "Echo" });
    let problem = client
        .deploy("typed-caller", &caller, manifest, "")
        .await
        .problem(422);
    problem.is("bad-body", &["no client package", "'Echo'"]);
}

#[tokio::test]
async fn the_client_package_is_given_by_node_project_and_component() {
    let node = node().await;
    let folder = node.folder();
    let of_node = granary(&node, &["wit", "client", "echo"]).await.ok();
    assert!(
        of_node.contains("package test:echo-client@0.1.0;"),
        "{of_node}"
    );
    assert!(
        of_node.contains(
            "outcome: func(value: result<inner, shape>) -> result<inner, shape-or-call>;"
        ),
        "{of_node}"
    );
    let component = folder.join("echo.wasm");
    std::fs::write(&component, guests::component("echo")).unwrap();
    let project = crate::harness::repository().join("tests/guests/typed-caller");
    for from in [&component, &project] {
        let from = from.to_str().unwrap();
        let made = granary(&node, &["wit", "client", "echo", "--from", from]).await;
        assert_eq!(made.ok(), of_node, "{from}");
    }
    let into = folder.join("deps");
    let arguments = ["wit", "client", "echo", "--async", "--into"];
    let arguments = [&arguments[..], &[into.to_str().unwrap()]].concat();
    granary(&node, &arguments).await.ok();
    let written = std::fs::read_to_string(into.join("echo-client-async.wit")).unwrap();
    assert!(written.contains("text: async func("), "{written}");
    let said = granary(&node, &["wit", "client", "nobody"]).await.fails(4);
    assert!(said.contains("'nobody'"), "{said}");
    let named = "/v1/kinds/echo/revisions/current/client.wit?package=echo";
    node.client()
        .get(named)
        .await
        .problem(400)
        .is("bad-request", &["NAMESPACE:KIND-client"]);
}

/// A project whose kind imports the client of another.
fn project(folder: &std::path::Path, package: &str) {
    let wit = folder.join("wit");
    std::fs::create_dir_all(&wit).unwrap();
    let text = format!(
        "package test:lone@0.1.0;\ninterface api {{ go: func(); }}\nworld grain {{ import {package}; export api; }}\n"
    );
    std::fs::write(wit.join("lone.wit"), text).unwrap();
    // The build itself is not what is tested: what it leaves is somebody else's component.
    std::fs::write(
        folder.join("granary.toml"),
        "[kinds.lone]\ncommand = \"true\"\ncomponent = \"made.wasm\"\n",
    )
    .unwrap();
    std::fs::write(folder.join("made.wasm"), guests::component("echo")).unwrap();
}

#[tokio::test]
async fn a_build_makes_the_clients_that_the_wit_names() {
    let node = node().await;
    let folder = node.folder().join("lone");
    project(&folder, "test:relay-client/relay@0.7.0");
    Cli::run(&folder, Some(&node), &["build"]).await.ok();
    let file = folder.join("wit/deps/relay-client.wit");
    let made = std::fs::read_to_string(&file).unwrap();
    assert!(made.contains("package test:relay-client@0.7.0;"), "{made}");
    assert!(
        made.contains("use granary:grain/types@0.1.0.{call-error, grain-id};"),
        "{made}"
    );
    // Without the node, what was made before is still good.
    let nowhere = ["build", "--url", "http://127.0.0.1:1"];
    Cli::run(&folder, None, &nowhere).await.ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), made);
    std::fs::remove_file(&file).unwrap();
    let said = Cli::run(&folder, None, &nowhere).await.fails(1);
    assert!(
        said.contains("no kind 'relay'") && said.contains("[kinds.….clients]"),
        "{said}"
    );
    std::fs::write(
        folder.join("wit/lone.wit"),
        "package test:lone;\nworld grain {\n",
    )
    .unwrap();
    let said = Cli::run(&folder, None, &nowhere).await.fails(1);
    assert!(said.contains("lone.wit:3:"), "{said}");
}
