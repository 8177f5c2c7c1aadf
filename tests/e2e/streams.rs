//! Streams and futures of methods over HTTP: items as they come, bodies both ways, and how each of them ends.

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::Command;

use crate::harness::flow::COMMENT;
use crate::harness::node::PROGRAM;
use crate::harness::{Client, Flow, Node, granary, guests, until, within, without_settings};

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

async fn node() -> Node {
    Node::serving(&["streams"]).await
}

/// A node whose kind `streams` has other limits than the guest's own.
async fn node_with(limits: Value) -> Node {
    let component = guests::component("streams");
    let node = Node::start().await;
    let mut manifest = guests::manifest("streams");
    for (name, limit) in limits.as_object().unwrap() {
        manifest["limits"][name] = limit.clone();
    }
    let deployed = node.client().deploy("streams", &component, manifest, "");
    deployed.await.ok();
    node
}

/// Calls a method of `streams/a`, and takes the reply as it comes.
async fn open(client: &Client, method: &str, arguments: Value, accept: &str) -> Flow {
    let request = client.request(Method::POST, &format!("/g/streams/a/{method}"));
    Flow::send(request.header("accept", accept).json(&arguments)).await
}

/// Brings a word to whoever listens. One that makes the guest trap may take the turn along that brings it.
async fn say(client: &Client, word: &str) {
    let said = client.call("streams/a", "say", json!([word])).await;
    assert!(word.starts_with('!') || said.status == 204, "{said}");
}

/// Waits until a producing method of the guest has come this far.
async fn ended(client: &Client, how: &str) -> u64 {
    until(how, || async {
        let progress = client.get("/g/streams/a/progress").await.ok();
        (progress[1] == how).then(|| progress[0].as_u64().unwrap())
    })
    .await
}

/// Waits for an event that concerns a method.
async fn happened(client: &Client, name: &str, method: &str) {
    until(name, || async {
        let page = client.get(&format!("/v1/events?type={name}")).await.ok();
        let mut entries = page["entries"].as_array().unwrap().iter();
        entries.any(|event| event["method"] == method).then_some(())
    })
    .await;
}

async fn kept(client: &Client) -> Value {
    client.call("streams/a", "kept", json!([])).await.ok()
}

#[tokio::test]
async fn items_leave_one_by_one_as_lines() {
    let node = node().await;
    let client = node.client();
    let mut flow = open(client, "listen", json!([]), "*/*").await;
    assert_eq!(flow.header("content-type"), LINES);
    // The second word is only said when the first one has arrived.
    for word in ["first", "with \"quotes\"\nand lines"] {
        say(client, word).await;
        assert_eq!(flow.line().await.unwrap(), json!(word).to_string());
    }
    say(client, "").await;
    assert_eq!(flow.line().await, None);
    ended(client, "ended").await;
}

#[tokio::test]
async fn an_event_stream_says_how_it_ends() {
    let node = node().await;
    let client = node.client();
    // As a browser's EventSource asks.
    let request = client.request(Method::GET, "/g/streams/a/listen");
    let mut flow = Flow::send(request.header("accept", EVENTS)).await;
    assert_eq!(flow.header("content-type"), EVENTS);
    assert_eq!(flow.header("cache-control"), "no-store");
    say(client, "hello").await;
    assert_eq!(flow.event().await.unwrap(), "data: \"hello\"");
    say(client, "").await;
    assert_eq!(flow.event().await.unwrap(), "event: end\ndata: {}");
    assert_eq!(flow.event().await, None);
    // One turn's end is the stream's, whatever the guest has kept of it.
    let mut flow = open(client, "listen", json!([]), EVENTS).await;
    say(client, "!leak").await;
    assert_eq!(flow.event().await.unwrap(), "event: end\ndata: {}");
    let head = client.request(Method::HEAD, "/g/streams/a/listen");
    assert_eq!(client.send(head).await.status, 405);
}

#[tokio::test]
async fn a_quiet_event_stream_says_that_it_is_still_there() {
    let node = node().await;
    let client = node.client();
    let listen = client.request(Method::GET, "/g/streams/a/listen?timeout=2m");
    // A stream is a call: what another one came to is no place to go on from.
    let listen = listen
        .header("accept", EVENTS)
        .header("last-event-id", "7-1");
    let mut listen = Flow::send(listen).await;
    let feed = client.request(Method::GET, "/v1/events?follow=true&type=trap");
    let mut feed = Flow::send(feed).await;
    for flow in [&mut listen, &mut feed] {
        assert_eq!(flow.header("x-accel-buffering"), "no");
        assert_eq!(flow.next("\n\n").await.unwrap().unwrap(), COMMENT);
    }
    say(client, "after a while").await;
    let event = listen.event().await.unwrap();
    assert_eq!(event, "data: \"after a while\"", "no id, and no retry");
    say(client, "!trap").await;
    assert!(feed.event().await.unwrap().contains("event: trap"));
}

#[tokio::test]
async fn an_err_is_an_ordinary_problem_before_any_body() {
    let node = node().await;
    let refused = node.client().call("streams/a", "halves", json!([0.0, 1]));
    let problem = refused.await.problem(400);
    assert_eq!(problem.0["error"], "0 cannot be halved");
    let wrong = node.client().call("streams/a", "numbers", json!(["x"]));
    wrong.await.problem(422);
}

#[tokio::test]
async fn a_trap_in_mid_stream_is_told_and_nobody_takes_half_for_the_whole() {
    let node = node().await;
    let client = node.client();
    let mut flow = open(client, "listen", json!([]), EVENTS).await;
    say(client, "one").await;
    assert_eq!(flow.event().await.unwrap(), "data: \"one\"");
    say(client, "!trap").await;
    let event = flow.event().await.unwrap();
    let problem = event.strip_prefix("event: error\ndata: ").unwrap();
    let problem: Value = serde_json::from_str(problem).unwrap();
    assert_eq!(problem["status"], 500, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("as told"));
    assert_eq!(problem["method"], "listen");
    assert_eq!(problem["instance"], "/g/streams/a/listen");
    assert_eq!(flow.event().await, None);

    let mut flow = open(client, "listen", json!([]), LINES).await;
    say(client, "two").await;
    assert_eq!(flow.line().await.unwrap(), "\"two\"");
    say(client, "!trap").await;
    let line: Value = serde_json::from_str(&flow.line().await.unwrap()).unwrap();
    assert_eq!(line["problem"]["status"], 500, "{line}");
    assert!(flow.next("\n").await.is_err(), "the body must not end well");
    happened(client, "trap", "listen").await;
}

#[tokio::test]
async fn a_limit_in_mid_stream_is_told_by_its_name() {
    // A guest that loops has little of a busy machine.
    let node = node_with(json!({ "cpu-time": "50ms", "wall-time": "2m" })).await;
    let client = node.client();
    let request = client.request(Method::GET, "/g/streams/a/listen?timeout=2m");
    let mut flow = Flow::send(request.header("accept", EVENTS)).await;
    say(client, "!loop").await;
    let event = flow.event().await.unwrap();
    assert!(event.starts_with("event: error\n"), "{event}");
    assert!(event.contains("\"limit\":\"cpu-time\""), "{event}");
    // One item may be as large as a result.
    let node = node_with(json!({ "result": "1 KiB" })).await;
    let mut flow = open(node.client(), "blob", json!([2000]), EVENTS).await;
    let event = flow.event().await.unwrap();
    assert!(event.contains("\"limit\":\"result\""), "{event}");
}

#[tokio::test]
async fn a_deadline_ends_a_stream_and_its_turn() {
    let node = node().await;
    let client = node.client();
    let request = client
        .request(Method::POST, "/g/streams/a/listen")
        .header("accept", EVENTS)
        .header("grain-timeout", "1s");
    let mut flow = Flow::send(request).await;
    let event = flow.event().await.unwrap();
    assert!(event.starts_with("event: error\n"), "{event}");
    assert!(event.contains("\"status\":504"), "{event}");
    assert!(event.contains("grain-timeout"), "{event}");
    assert_eq!(flow.event().await, None);
    no_turns(client).await;
}

async fn no_turns(client: &Client) {
    until("no turn runs", || async {
        let explained = client.get("/v1/activations/streams/a/explain").await.ok();
        explained["turns"]
            .as_array()
            .is_none_or(Vec::is_empty)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_turn() {
    let node = node().await;
    let client = node.client();
    let mut flow = open(client, "listen", json!([]), LINES).await;
    say(client, "word").await;
    assert_eq!(flow.line().await.unwrap(), "\"word\"");
    drop(flow);
    happened(client, "abandoned", "listen").await;
    // The guest does nothing but wait: the host stops it after `limits.tail-time`.
    no_turns(client).await;
    // One that writes learns it from its stream.
    let flow = open(client, "bytes", json!([512]), LINES).await;
    drop(flow);
    no_turns(client).await;
    assert_eq!(
        client.call("streams/a", "first", json!([])).await.status,
        200
    );
}

#[tokio::test]
async fn a_stream_that_nobody_takes_harms_no_other() {
    let node = node().await;
    let client = node.client();
    drop(open(client, "listen", json!([]), LINES).await);
    happened(client, "abandoned", "listen").await;
    let mut flow = open(client, "listen", json!([]), LINES).await;
    // A third one's deadline comes long after the time that the first one has to end.
    let third = client.request(Method::POST, "/g/streams/a/listen");
    let third = third.header("accept", EVENTS).header("grain-timeout", "5s");
    let event = Flow::send(third).await.event().await.unwrap();
    assert!(event.starts_with("event: error\n"), "{event}");
    // Each of the two that nobody hears any more takes a word, and ends with it.
    for _ in 0..3 {
        say(client, "word").await;
    }
    assert_eq!(flow.line().await.unwrap(), "\"word\"");
    drop(flow);
    no_turns(client).await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_guest_back_until_the_deadline() {
    let node = node().await;
    let client = node.client();
    let address = node.url().trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut socket = socket.connect(address).await.unwrap();
    let request = "GET /g/streams/a/bytes?mebibytes=200 HTTP/1.1\r\nhost: localhost\r\ngrain-timeout: 2s\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    within("the head", socket.read_exact(&mut head))
        .await
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // From here on nobody reads.
    let produced = ended(client, "nobody reads").await;
    assert!(0 < produced && produced < 64 << 20, "{produced}");
    drop(socket);
}

#[tokio::test]
async fn bytes_leave_as_they_are() {
    let node = node().await;
    let whole = node.client().get("/g/streams/a/bytes?mebibytes=40").await;
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("content-length"), "", "chunked");
    assert_eq!(whole.body.len(), 40 << 20, "more than its memory");
    let counts_up = |(at, byte): (usize, &u8)| usize::from(*byte) == at % 256;
    assert!(whole.body.iter().enumerate().all(counts_up));
}

/// A body that the test sends piece by piece.
fn body() -> (
    tokio::sync::mpsc::Sender<Result<Vec<u8>, std::io::Error>>,
    reqwest::Body,
) {
    let (send, body) = tokio::sync::mpsc::channel(4);
    let body = tokio_stream::wrappers::ReceiverStream::new(body);
    (send, reqwest::Body::wrap_stream(body))
}

#[tokio::test]
async fn an_upload_may_be_larger_than_the_memory() {
    let node = node().await;
    let client = node.client();
    let (send, body) = body();
    let request = client.request(Method::POST, "/g/streams/a/length?name=big");
    let reply = tokio::spawn({
        let (client, request) = (client.clone(), request.body(body));
        async move { client.send(request).await }
    });
    for _ in 0..48 {
        send.send(Ok(vec![1; 1 << 20])).await.unwrap();
    }
    drop(send);
    let reply = within("the answer", reply).await.unwrap();
    assert_eq!(reply.ok(), 48 << 20, "three times its memory");
    assert_eq!(kept(client).await, json!([format!("big={}", 48 << 20)]));
    // Its name is in the query, the body is bytes whatever it is called.
    let request = client.request(Method::POST, "/g/streams/a/length?name=small");
    let request = request.header("content-type", "text/csv").body("1,2,3");
    assert_eq!(client.send(request).await.ok(), 5);
    let unnamed = client
        .request(Method::POST, "/g/streams/a/length")
        .body("x");
    client.send(unnamed).await.problem(422);
}

#[tokio::test]
async fn an_upload_has_a_limit_and_half_of_one_leaves_nothing() {
    let node = node_with(json!({ "http-body": "1 MiB" })).await;
    let client = node.client();
    let request = client.request(Method::POST, "/g/streams/a/length?name=big");
    let reply = client.send(request.body(vec![1; (1 << 20) + 1])).await;
    let problem = reply.problem(413);
    problem.is("limit-exceeded", &["limits.http-body"]);
    assert_eq!(problem.0["limit"], "http-body");
    assert_eq!(kept(client).await, json!([]));

    let address = node.url().trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "POST /g/streams/a/length?name=half HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf of";
    socket.write_all(request.as_bytes()).await.unwrap();
    until("the turn", || async {
        let explained = client.get("/v1/activations/streams/a/explain").await;
        explained.text().contains("\"length\"").then_some(())
    })
    .await;
    drop(socket);
    happened(client, "abandoned", "length").await;
    assert_eq!(kept(client).await, json!([]));
}

#[tokio::test]
async fn a_body_is_echoed_while_it_is_still_arriving() {
    let node = node().await;
    let (send, body) = body();
    let request = node.client().request(Method::POST, "/g/streams/a/echo");
    send.send(Ok(b"first;".to_vec())).await.unwrap();
    let mut flow = Flow::send(request.body(body)).await;
    assert_eq!(flow.header("content-type"), "application/octet-stream");
    assert_eq!(flow.next(";").await.unwrap().unwrap(), "first");
    send.send(Ok(b"second;".to_vec())).await.unwrap();
    assert_eq!(flow.next(";").await.unwrap().unwrap(), "second");
    drop(send);
    assert_eq!(flow.next(";").await.unwrap(), None);
}

#[tokio::test]
async fn a_method_may_leave_the_rest_of_a_body() {
    let node = node().await;
    let client = node.client();
    let first = |body: &'static str| {
        let request = client.request(Method::POST, "/g/streams/a/first");
        client.send(request.body(body))
    };
    assert_eq!(first("Abc").await.ok(), 65);
    assert_eq!(first("").await.ok(), Value::Null);
}

#[tokio::test]
async fn a_future_is_an_ordinary_answer() {
    let node = node().await;
    let client = node.client();
    let later = client.call("streams/a", "later", json!([7])).await;
    assert_eq!(
        (later.ok(), later.header("content-type").as_str()),
        (json!(7), "application/json")
    );
    let value = client.call("streams/a", "later-if", json!(["word"])).await;
    assert_eq!(value.ok(), "word");
    let none = client.call("streams/a", "later-if", json!([null])).await;
    assert_eq!(none.problem(400).0["error"], "there is none");
    let never = client.call("streams/a", "never", json!([])).await;
    never.problem(500).is("guest-trap", &["without a value"]);
    // It is not bound to HTTP.
    let items = json!([{ "key": "a", "method": "later", "args": [8] }]);
    let answers = client.post("/g/streams/$batch", items).await.ok();
    assert_eq!(answers[0]["value"], 8, "{answers}");
}

#[tokio::test]
async fn what_a_turn_has_written_is_durable_before_its_items_leave() {
    let mut node = node_with(json!({ "result": "1 KiB" })).await;
    let flow = open(node.client(), "write-first", json!([2]), EVENTS).await;
    assert_eq!(
        flow.lines().await,
        [
            "data: \"word 0\"",
            "",
            "data: \"word 1\"",
            "",
            "event: end",
            "data: {}",
            ""
        ]
    );
    node.crash_and_start_again().await;
    let client = node.client();
    assert_eq!(kept(client).await, json!(["words=2"]));
    let many = client.call("streams/a", "write-first", json!([1000])).await;
    many.problem(507).is(
        "limit-exceeded",
        &["limits.result", "held until the commit"],
    );
    assert_eq!(kept(client).await, json!(["words=2"]));
    // A turn whose items have left may write no more.
    let lines = open(client, "write-then", json!([]), LINES)
        .await
        .lines()
        .await;
    assert_eq!(lines[0], "\"begun\"");
    assert!(lines[1].contains("has left already"), "{lines:?}");
    assert_eq!(kept(client).await, json!(["words=2"]));
}

#[tokio::test]
async fn only_a_request_of_its_own_can_carry_a_stream() {
    let node = Node::serving(&["streams", "side-by-side"]).await;
    let client = node.client();
    let call = json!({ "kind": "streams", "key": "a", "method": "numbers", "arguments": "[3]" });
    let asked = client
        .call("side-by-side/a", "gather", json!([[call]]))
        .await;
    assert!(
        asked.text().contains("takes or gives a stream"),
        "from a grain: {asked}"
    );
    let items = json!([{ "key": "a", "method": "numbers", "args": [3] }]);
    let answers = client.post("/g/streams/$batch", items).await.ok();
    assert_eq!(answers[0]["status"], 422, "{answers}");
    for (name, value) in [("prefer", "respond-async"), ("idempotency-key", "k")] {
        let request = client.request(Method::POST, "/g/streams/a/numbers");
        let reply = client
            .send(request.header(name, value).json(&json!([3])))
            .await;
        assert!(reply.problem(400).detail().contains("stream"), "{reply}");
    }
    let lines = client.request(Method::POST, "/g/streams/a/later");
    let reply = client
        .send(lines.header("accept", LINES).json(&json!([3])))
        .await;
    assert_eq!(reply.status, 406, "{reply}");
}

#[tokio::test]
async fn a_stream_that_cannot_be_passed_on_is_refused_at_upload() {
    let node = Node::start().await;
    let component = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) unreachable))
            (core instance $i (instantiate $m))
            (type $inner (stream u8))
            (type $pair (tuple u8 $inner))
            (func (export "watch") (result (stream $pair)) (canon lift (core func $i "f"))))"#,
    );
    let reply = node
        .client()
        .deploy("odd", &component.unwrap(), json!({}), "")
        .await;
    let problem = reply.problem(422);
    problem.is(
        "unsupported-component",
        &[
            "`watch`",
            "`stream<tuple<u8, stream<u8>>>`",
            "nothing within them",
        ],
    );
    assert_eq!(problem.0["function"], "watch");
    node.client().get("/v1/kinds/odd").await.problem(404);
}

#[tokio::test]
async fn documents_describe_streams() {
    let node = node().await;
    let client = node.client();
    let api = client
        .get("/v1/kinds/streams/revisions/1/openapi.json")
        .await
        .ok();
    let text = api.to_string();
    let operation = |method: &str, verb: &str| {
        let path = api["paths"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(path, _)| path.ends_with(&format!("/{method}")));
        path.unwrap_or_else(|| panic!("{method}: {text}")).1[verb].clone()
    };
    let listen = operation("listen", "get");
    let content = &listen["responses"]["200"]["content"];
    assert_eq!(content[LINES]["schema"]["type"], "string", "{listen}");
    assert_eq!(content[EVENTS]["schema"]["type"], "string", "{listen}");
    let echo = operation("echo", "post");
    assert!(echo["requestBody"]["content"]["application/octet-stream"].is_object());
    assert!(echo["responses"]["200"]["content"]["application/octet-stream"].is_object());
    let length = operation("length", "post");
    assert_eq!(length["parameters"][0]["name"], "name", "{length}");
    let later = operation("later", "post");
    let later = &later["responses"]["200"]["content"]["application/json"];
    assert_eq!(later["schema"]["type"], "integer", "{later}");
    let wit = granary(&node, &["wit", "show", "streams"]).await.ok();
    assert!(
        wit.contains("echo: async func(data: stream<u8>) -> stream<u8>"),
        "{wit}"
    );
}

#[tokio::test]
async fn the_command_line_prints_items_as_they_come() {
    let node = node().await;
    let client = node.client();
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command);
    let mut child = command
        .args(["invoke", "streams/a", "listen"])
        .env("GRANARY_URL", node.url())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    ended(client, "listens").await;
    for word in ["one", "two"] {
        say(client, word).await;
        let line = within("the word", lines.next_line()).await.unwrap();
        assert_eq!(line.unwrap(), json!(word).to_string());
    }
    say(client, "!trap").await;
    let status = within("the end", child.wait()).await.unwrap();
    assert!(!status.success());

    let file = node.folder().join("upload");
    std::fs::write(&file, "some bytes").unwrap();
    let file = file.to_str().unwrap();
    let length = ["invoke", "streams/a", "length", "name=file", "--body", file];
    assert_eq!(granary(&node, &length).await.ok().trim(), "10");
    let echo = ["invoke", "streams/a", "echo", "--body", file];
    assert_eq!(granary(&node, &echo).await.ok(), "some bytes");
    let trap = granary(&node, &["invoke", "streams/a", "never"]).await;
    assert!(
        trap.code != 0 && trap.err.contains("without a value"),
        "{trap:?}"
    );
}
