//! No grant, no access; and with one, no more than it says.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Client, Node, guests};

async fn ask(client: &Client, method: &str, arguments: Value) -> Value {
    let reply = client.call("probe/a", method, arguments).await;
    if reply.status == 400 {
        reply.json()["error"].clone()
    } else {
        reply.ok()
    }
}

async fn with_grants(grants: Value) -> Node {
    let node = Node::start().await;
    node.deploy_as("probe", "probe", json!({ "grants": grants }))
        .await
        .ok();
    node
}

#[tokio::test]
async fn without_grants_there_is_a_clock_randomness_and_a_log() {
    let node = with_grants(json!({})).await;
    let client = node.client();
    assert_eq!(ask(client, "environment", json!([])).await, json!([]));
    assert_eq!(ask(client, "directories", json!([])).await, json!([]));
    assert_eq!(ask(client, "stdin", json!([])).await, "");
    for (method, arguments) in [
        ("read-file", json!(["/etc/passwd"])),
        ("list-directory", json!(["/"])),
        ("connect", json!([node.url().trim_start_matches("http://")])),
        ("listen", json!(["127.0.0.1:0"])),
        ("fetch", json!(["GET", "http://example.com/"])),
    ] {
        let reply = client.call("probe/a", method, arguments).await;
        assert_eq!(reply.problem(400).case(), "app-error", "{method}: {reply}");
    }
    assert!(1_600_000_000_000 < ask(client, "wall-clock", json!([])).await.as_u64().unwrap());
    assert_ne!(
        ask(client, "random", json!([])).await,
        ask(client, "random", json!([])).await
    );
}

#[tokio::test]
async fn a_directory_is_seen_as_granted_and_not_beyond() {
    let root = tempfile::tempdir().unwrap();
    let settings = format!(
        "[engine]\ngrants-root = {:?}",
        root.path().to_str().unwrap()
    );
    let node = Node::with(&settings).start().await;
    let (shelf, secret) = (root.path().join("shelf"), root.path().join("secret.txt"));
    std::fs::create_dir(&shelf).unwrap();
    std::fs::write(&secret, "secret").unwrap();
    std::fs::write(shelf.join("book.txt"), "a book").unwrap();
    std::os::unix::fs::symlink(&secret, shelf.join("link.txt")).unwrap();
    let directory = |writable: bool| json!({ "grants": { "directories": [{ "host": "shelf", "guest": "/shelf", "writable": writable }] } });
    node.deploy_as("probe", "probe", directory(false))
        .await
        .ok();
    let client = node.client();
    assert_eq!(
        ask(client, "read-file", json!(["/shelf/book.txt"])).await,
        "a book"
    );
    for (method, arguments) in [
        ("write-file", json!(["/shelf/book.txt", "torn"])),
        ("remove-file", json!(["/shelf/book.txt"])),
        ("read-file", json!(["/shelf/../secret.txt"])),
        ("read-file", json!(["/shelf/link.txt"])),
        ("read-file", json!([secret.to_str().unwrap()])),
    ] {
        let reply = client.call("probe/a", method, arguments.clone()).await;
        assert_eq!(
            reply.problem(400).case(),
            "app-error",
            "{method} {arguments}: {reply}"
        );
    }
    node.deploy_as("probe", "probe", directory(true)).await.ok();
    client
        .call("probe/a", "write-file", json!(["/shelf/new.txt", "new"]))
        .await
        .ok();
    assert_eq!(
        std::fs::read_to_string(shelf.join("new.txt")).unwrap(),
        "new"
    );
    assert_eq!(
        std::fs::read_to_string(shelf.join("book.txt")).unwrap(),
        "a book"
    );
}

#[tokio::test]
async fn environment_and_configuration_are_those_of_the_manifest() {
    let node = with_grants(json!({ "environment": { "COLOUR": "green" } })).await;
    assert_eq!(
        ask(node.client(), "environment", json!([])).await,
        json!([["COLOUR", "green"]])
    );
    node.deploy("config-probe").await.ok();
    let config = node
        .client()
        .call("config-probe/a", "get", json!(["colour"]))
        .await;
    assert_eq!(config.ok(), "green");
    assert_eq!(
        node.client()
            .call("config-probe/a", "get", json!(["taste"]))
            .await
            .ok(),
        Value::Null
    );
    // Without the grant it cannot be deployed, and is told which one is missing.
    let refused = node.deploy_as("config-probe", "no-config", json!({})).await;
    let problem = refused.problem(refused.status);
    assert!(
        problem.detail().contains("wasi:config") && refused.text().contains("config"),
        "{refused}"
    );
}

#[tokio::test]
async fn outgoing_http_reaches_only_who_is_on_the_list_and_no_private_address() {
    // A server of the test's own, on loopback: private.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _read = socket.read(&mut request).await;
            let _sent = socket
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
                )
                .await;
        }
    });
    let url = format!("http://localhost:{port}/");
    let fetch = |grants: Value, method: &'static str| {
        let url = url.clone();
        async move {
            let node = with_grants(grants).await;
            let reply = node
                .client()
                .call("probe/a", "fetch", json!([method, url]))
                .await;
            if reply.status < 300 {
                reply.ok()
            } else {
                reply.problem(400).0["error"].clone()
            }
        }
    };
    let rule = |host: &str, private: bool| json!({ "http": [{ "host": format!("{host}:{port}"), "private": private }] });
    assert!(fetch(json!({}), "GET").await.is_string(), "no grant");
    assert!(
        fetch(rule("example.com", true), "GET").await.is_string(),
        "another host"
    );
    assert!(
        fetch(rule("localhost", false), "GET").await.is_string(),
        "a private address without the word"
    );
    assert_eq!(
        fetch(rule("localhost", true), "GET").await,
        json!([200, "hello"])
    );
    let only_get = json!({ "http": [{ "host": format!("localhost:{port}"), "private": true, "methods": ["GET"] }] });
    assert_eq!(fetch(only_get.clone(), "GET").await, json!([200, "hello"]));
    assert!(fetch(only_get, "POST").await.is_string(), "another method");
}

#[tokio::test]
async fn a_change_of_grants_is_shown_in_the_plan() {
    let node = with_grants(json!({ "environment": { "OLD": "1" } })).await;
    let manifest = json!({ "grants": { "http": ["https://api.example.com"] } });
    let plan = node
        .client()
        .deploy(
            "probe",
            &guests::component("probe"),
            manifest,
            "?dry-run=true",
        )
        .await
        .ok();
    let text = plan.to_string();
    assert!(
        text.contains("environment OLD") && text.contains("api.example.com"),
        "{plan}"
    );
}
