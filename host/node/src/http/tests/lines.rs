//! Connections: TLS, HTTP/2, tokens, browsers, slow and many clients.

use std::time::Duration;

use rcgen::generate_simple_self_signed;
use reqwest::Version;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::http::{Auth, ServeError, TlsFiles, Token};

#[tokio::test]
async fn both_versions_of_http_are_spoken_in_the_clear_and_under_tls() {
    let house = House::with_guest().await;
    let h2c = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let reply = h2c
        .post(format!("{}/g/guest/x/add", house.url))
        .body("[1,2]")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (reply.version(), reply.text().await.unwrap().as_str()),
        (Version::HTTP_2, "3")
    );
    house.close().await;

    let dir = TempDir::new().unwrap();
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificates: dir.path().join("chain.pem"),
        key: dir.path().join("key.pem"),
    };
    std::fs::write(&files.certificates, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let house = House::open(|settings| settings.tls = Some(files.clone())).await;
    assert!(house.url.starts_with("https://"));
    let reply = house.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), reply.version()),
        (200, Version::HTTP_2)
    );
    let h1 = Client::builder()
        .no_proxy()
        .http1_only()
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let reply = h1
        .get(format!("{}/healthz", house.url))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.version(), Version::HTTP_11);
    house.close().await;

    std::fs::write(&files.key, "nothing").unwrap();
    let node = Node::start(NodeSettings::in_memory("n")).await.unwrap();
    let settings = HttpSettings {
        tls: Some(files),
        ..HttpSettings::new("127.0.0.1:0".parse().unwrap())
    };
    let error = serve(node, settings).await.unwrap_err();
    assert!(matches!(error, ServeError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn with_tokens_only_their_owners_come_in() {
    let house =
        House::open(|settings| settings.tokens = vec![Token::from_secret("ada", "secret-of-ada")])
            .await;
    assert_eq!(house.get("/healthz").await.status, 200);
    let refused = house.get("/v1/kinds").await;
    refused.problem(401, "unauthorized");
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    house
        .post("/g/guest/x/add", &json!([]))
        .await
        .problem(401, "unauthorized");
    house
        .send(
            house
                .request(Method::GET, "/v1/kinds")
                .bearer_auth("secret-of-bob"),
        )
        .await
        .problem(401, "unauthorized");
    assert_eq!(
        house
            .send(
                house
                    .request(Method::GET, "/v1/kinds")
                    .bearer_auth("secret-of-ada")
            )
            .await
            .status,
        200
    );
    house.close().await;
}

#[tokio::test]
async fn an_open_address_does_not_start_without_a_word() {
    let node = Node::start(NodeSettings::in_memory("n")).await.unwrap();
    let open = HttpSettings::new("0.0.0.0:0".parse().unwrap());
    let error = serve(Arc::clone(&node), open.clone()).await.unwrap_err();
    assert!(matches!(error, ServeError::OpenAddress { .. }), "{error}");
    let server = serve(
        Arc::clone(&node),
        HttpSettings {
            auth: Auth::Off,
            ..open
        },
    )
    .await
    .unwrap();
    let taken = HttpSettings::new(
        format!("127.0.0.1:{}", server.local_addr.port())
            .parse()
            .unwrap(),
    );
    let error = serve(node, taken).await.unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_browser_is_not_tricked_into_calling() {
    let house = House::with_guest().await;
    let post = |name: &'static str, value: &str| {
        house.send(
            house
                .request(Method::POST, "/g/guest/x/count")
                .header(name, value)
                .body("[]"),
        )
    };
    post("origin", "https://evil.example")
        .await
        .problem(403, "cross-origin");
    post("sec-fetch-site", "cross-site")
        .await
        .problem(403, "cross-origin");
    post("host", "evil.example")
        .await
        .problem(421, "misdirected");
    assert_eq!(post("origin", &house.url).await.status, 200);
    assert_eq!(
        post("origin", &house.url)
            .await
            .header("access-control-allow-origin"),
        ""
    );
    house.close().await;
    let house = House::open(|settings| settings.origins = vec!["https://app.example".into()]).await;
    let preflight = house
        .request(Method::OPTIONS, "/v1/kinds")
        .header("origin", "https://app.example");
    let preflight = house.send(preflight).await;
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-origin")
        ),
        (204, "https://app.example")
    );
    let foreign = house
        .send(
            house
                .request(Method::GET, "/v1/kinds")
                .header("origin", "https://evil.example"),
        )
        .await;
    assert_eq!(
        (
            foreign.status,
            foreign.header("access-control-allow-origin")
        ),
        (200, "")
    );
    house.close().await;
}

#[tokio::test]
async fn too_many_requests_are_turned_away_with_a_time_to_come_back() {
    let house = House::open(|settings| settings.in_flight_max = 0).await;
    let reply = house.post("/g/guest/x/add", &json!([])).await;
    assert_eq!(reply.problem(429, "overloaded")["retryable"], true);
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(house.get("/v1/kinds").await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_not_waited_for() {
    let house = House::open(|settings| {
        settings.header_timeout = Duration::from_millis(200);
        settings.body_timeout = Duration::from_millis(200);
    });
    let house = house.await;
    house.deploy("guest", &guest(), manifest()).await;
    let address = house.url.trim_start_matches("http://").to_owned();
    let answer = |text: String| {
        let address = address.clone();
        async move {
            let mut socket = TcpStream::connect(&address).await.unwrap();
            socket.write_all(text.as_bytes()).await.unwrap();
            let mut answer = String::new();
            timeout(Duration::from_secs(20), socket.read_to_string(&mut answer))
                .await
                .expect("the node hangs up")
                .unwrap();
            answer
        }
    };
    let slow = answer(format!(
        "POST /g/guest/x/add HTTP/1.1\r\nhost: {address}\r\ncontent-length: 5\r\n\r\n[1"
    ))
    .await;
    assert!(
        slow.starts_with("HTTP/1.1 408") && slow.contains("/problems/slow-body"),
        "{slow}"
    );
    let control = answer(format!(
        "POST /v1/kinds/guest/revisions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{{"
    ));
    let control = control.await;
    assert!(
        control.starts_with("HTTP/1.1 408") && control.contains("/problems/slow-body"),
        "{control}"
    );
    assert_eq!(answer(String::new()).await, "");
    let silent = answer("POST /g/guest/x/add HT".to_owned()).await;
    assert!(
        silent.is_empty() || silent.starts_with("HTTP/1.1 408"),
        "{silent}"
    );
    house.close().await;
}
