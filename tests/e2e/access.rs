//! Who may use a node: tokens, addresses, TLS.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Node, NodeBuilder};

const TOKEN: &str = "a-token-of-enough-bytes";

fn tokens() -> String {
    format!("[auth]\ntokens = [{{ principal = \"ada\", token = \"{TOKEN}\" }}]")
}

#[tokio::test]
async fn on_loopback_nobody_is_asked_and_with_tokens_everybody() {
    let open = Node::start().await;
    assert_eq!(open.client().get("/v1/kinds").await.status, 200);
    let node = Node::with(&tokens()).token(TOKEN).start().await;
    node.deploy("relay").await.ok();
    let about = node.client().call("relay/a", "about", json!([])).await.ok();
    assert_eq!(about["principal"], "ada");
    for wrong in [None, Some("another-token-of-enough-bytes"), Some("")] {
        let stranger = node.client().with_token(wrong);
        for (method, path) in [
            (Method::GET, "/v1/kinds"),
            (Method::POST, "/g/relay/a/about"),
            (Method::GET, "/v1/logs"),
        ] {
            let reply = stranger.send(stranger.request(method, path)).await;
            reply.problem(401);
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{reply}"
            );
        }
        assert_eq!(
            stranger.get("/healthz").await.status,
            200,
            "a probe needs no token"
        );
    }
    assert!(!node.printed().contains(TOKEN), "a token is never printed");
}

#[tokio::test]
async fn any_other_address_needs_tokens_or_a_clear_word() {
    let mut node = NodeBuilder::default().listen("0.0.0.0:0").prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(
        said.contains("token") && said.contains("off-for-everyone") && said.contains("try:"),
        "{said}"
    );
    let with_token = NodeBuilder::default()
        .listen("0.0.0.0:0")
        .settings(&tokens())
        .token(TOKEN);
    drop(with_token.start().await);
    let node = NodeBuilder::default()
        .listen("0.0.0.0:0")
        .settings("[auth]\nmode = \"off-for-everyone\"")
        .start()
        .await;
    assert_eq!(node.client().get("/v1/kinds").await.status, 200);
}

#[tokio::test]
async fn a_node_speaks_tls_and_http_2_when_configured() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("certificate.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}");
    let node = Node::with(&settings).https().start().await;
    assert!(node.url().starts_with("https://"), "{}", node.url());
    node.deploy("counter").await.ok();
    let response = node
        .client()
        .request(Method::GET, "/g/counter/a/get")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, reqwest::Version::HTTP_2)
    );
    // Plain HTTP on that port is answered by nobody.
    let plain = node.url().replace("https://", "http://");
    assert!(reqwest::get(plain).await.is_err());
}

#[tokio::test]
async fn a_broken_certificate_is_named_and_nothing_starts() {
    let mut node =
        Node::with("[tls]\ncertificate = \"nowhere.pem\"\nkey = \"nowhere.key\"").prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("nowhere.pem"), "{said}");
    let mut node = Node::with("[tls]\ncertificate = \"node.toml\"").prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains("key"), "{said}");
}

#[tokio::test]
async fn an_occupied_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut node = NodeBuilder::default().listen(&address).prepare();
    let (code, said) = node.start_in_vain().await;
    assert_ne!(code, 0);
    assert!(said.contains(&address) && said.contains("try:"), "{said}");
}
