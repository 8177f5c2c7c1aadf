//! An HTTP client that knows the routes, and answers that can be looked at.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A client of one node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A problem+json document.
#[derive(Debug, Clone)]
pub(crate) struct Problem(pub(crate) Value);

impl Client {
    /// A client of the node at `base`, with a bearer token and without checking certificates if told so.
    pub(crate) fn new(base: String, token: Option<String>, any_certificate: bool) -> Self {
        let http = reqwest::Client::builder().danger_accept_invalid_certs(any_certificate);
        // A connection that rested while guests were built may just be closing.
        let http = http.pool_idle_timeout(std::time::Duration::from_secs(5));
        let http = http.timeout(super::PATIENCE).no_proxy().build().unwrap();
        Self { base, token, http }
    }

    /// The node's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The same node with another token, or none.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// A request that can still be changed.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and takes the whole answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        self.try_send(request)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.base))
    }

    /// Sends a request whose connection may break.
    pub(crate) async fn try_send(&self, request: RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    pub(crate) fn get<'a>(&'a self, path: &str) -> impl Future<Output = Reply> + use<'a> {
        self.send(self.request(Method::GET, path))
    }

    pub(crate) async fn try_get(&self, path: &str) -> Option<Reply> {
        self.try_send(self.request(Method::GET, path)).await.ok()
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    // A future that has taken what it needs of the path: many of them can be made in a loop.
    pub(crate) fn post<'a>(
        &'a self,
        path: &str,
        body: Value,
    ) -> impl Future<Output = Reply> + use<'a> {
        self.send(self.request(Method::POST, path).json(&body))
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        self.send(request.body(body)).await
    }

    /// `POST /g/{grain}/{method}` with the arguments as an array.
    pub(crate) fn call<'a>(
        &'a self,
        grain: &str,
        method: &str,
        arguments: Value,
    ) -> impl Future<Output = Reply> + use<'a> {
        self.post(&format!("/g/{grain}/{method}"), arguments)
    }

    /// The same under an idempotency key; `None` if the node went away.
    pub(crate) async fn call_once(
        &self,
        grain: &str,
        method: &str,
        arguments: &Value,
        key: &str,
    ) -> Option<Reply> {
        let request = self
            .request(Method::POST, &format!("/g/{grain}/{method}"))
            .header("idempotency-key", key);
        self.try_send(request.json(arguments)).await.ok()
    }

    /// Puts a component under its digest, and gives the digest.
    pub(crate) async fn upload(&self, component: &[u8]) -> (String, Reply) {
        let digest = digest(component);
        let request = self.request(Method::PUT, &format!("/v1/artifacts/{digest}"));
        let request = request
            .header("content-type", "application/wasm")
            .body(component.to_vec());
        (digest, self.send(request).await)
    }

    /// Uploads a component and deploys it. `query` starts with `?` or is empty.
    pub(crate) async fn deploy(
        &self,
        kind: &str,
        component: &[u8],
        manifest: Value,
        query: &str,
    ) -> Reply {
        let (digest, uploaded) = self.upload(component).await;
        if 300 <= uploaded.status {
            return uploaded;
        }
        let body = json!({ "component": digest, "manifest": manifest });
        self.post(&format!("/v1/kinds/{kind}/revisions{query}"), body)
            .await
    }
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// The value of a successful answer; null if it has no body.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "expected success: {self}"
        );
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The problem of a failed answer, its status checked.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Problem {
        assert_eq!(self.status, status, "expected {status}: {self}");
        assert!(
            self.header("content-type")
                .starts_with("application/problem+json"),
            "no problem+json: {self}"
        );
        let problem = Problem(self.json());
        assert_eq!(problem.0["status"], json!(status), "{self}");
        for member in ["type", "title", "detail"] {
            assert!(
                problem.0[member].is_string(),
                "every problem has '{member}': {self}"
            );
        }
        assert!(
            problem.0["retryable"].is_boolean(),
            "every problem has 'retryable': {self}"
        );
        assert!(
            problem.0["node"].is_string(),
            "every problem has 'node': {self}"
        );
        problem
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}: {}", self.status, self.headers, self.text())
    }
}

impl Problem {
    /// The last part of `type`: the case's name.
    pub(crate) fn case(&self) -> &str {
        let whole = self.0["type"].as_str().unwrap();
        whole.rsplit(['/', ':', '#']).next().unwrap()
    }

    /// The text for people.
    pub(crate) fn detail(&self) -> &str {
        self.0["detail"].as_str().unwrap()
    }

    /// `not-started`, `no-effect`, `committed` or `unknown`.
    pub(crate) fn outcome(&self) -> &str {
        self.0["outcome"].as_str().unwrap_or_default()
    }

    /// Whether the same call may be repeated with hope.
    pub(crate) fn retryable(&self) -> bool {
        self.0["retryable"].as_bool().unwrap()
    }

    /// Fails unless the case and a word of the text are these.
    #[track_caller]
    pub(crate) fn is(&self, case: &str, words: &[&str]) {
        assert_eq!(self.case(), case, "{}", self.0);
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !self.detail().contains(**word))
            .collect();
        assert!(missing.is_empty(), "the text lacks {missing:?}: {}", self.0);
    }
}

/// The SHA-256 of some bytes, as hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

/// Sends bytes as they are over a connection of its own, and takes what comes back until the node hangs up or has answered.
pub(crate) async fn raw(address: &str, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let read = async {
        while let Ok(length @ 1..) = socket.read(&mut part).await {
            answer.extend_from_slice(&part[..length]);
            if answer.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
    };
    super::within("an answer", read).await;
    String::from_utf8_lossy(&answer).into_owned()
}
