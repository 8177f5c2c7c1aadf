//! The faces through a real listener, with a node that forgets.

mod artifacts;
mod calls;
mod control;
mod feeds;
mod lines;

use std::sync::Arc;

use granary_core::id::Digest;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{HttpSettings, Server, serve};
use crate::node::{Node, NodeSettings};

/// A component with a method of every sort that the faces treat differently.
const GUEST: &str = r#"(component
  (core module $m
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 1024))
    (global $count (mut i32) (i32.const 0))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count))
    (func (export "large") (result i64) (i64.const 9007199254740993))
    (func (export "boom") unreachable)
    (func (export "nothing"))
    (func (export "fail") (param i32) (result i32)
      (i32.store8 (i32.const 16) (i32.ne (local.get 0) (i32.const 0)))
      (i32.store (i32.const 20) (local.get 0))
      (i32.const 16))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 32) (local.get 0))
      (i32.store (i32.const 36) (local.get 1))
      (i32.const 32)))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "count") (result u32) (canon lift (core func $i "count")))
  (func (export "large") (result u64) (canon lift (core func $i "large")))
  (func (export "boom") (canon lift (core func $i "boom")))
  (func (export "nothing") (canon lift (core func $i "nothing")))
  (func (export "fail") (param "code" u32) (result (result u32 (error u32)))
    (canon lift (core func $i "fail") (memory (core memory $i "memory"))))
  (func (export "echo") (param "bytes" (list u8)) (result (list u8))
    (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "cabi_realloc")))))"#;

fn guest() -> Vec<u8> {
    wat::parse_str(GUEST).unwrap()
}

fn manifest() -> Value {
    json!({ "methods": {
        "add": { "mode": "read", "cache": "60s" },
        "large": { "mode": "read", "cache": "60s" },
        "fail": { "err-status": 418 },
    } })
}

fn sha256(bytes: &[u8]) -> String {
    Digest(Sha256::digest(bytes).into()).to_string()
}

/// A node with its faces open, and a client.
struct House {
    node: Arc<Node>,
    server: Option<Server>,
    url: String,
    client: Client,
}

/// An answer, whole.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The problem of this status and type.
    #[track_caller]
    fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        for member in ["title", "detail", "instance", "node", "outcome", "try"] {
            assert!(problem[member].is_string(), "{member}: {problem}");
        }
        assert!(problem["retryable"].is_boolean());
        problem
    }
}

impl House {
    async fn open(change: impl FnOnce(&mut HttpSettings)) -> Self {
        let node = Node::start(NodeSettings::in_memory("test-node"))
            .await
            .unwrap();
        let mut settings = HttpSettings::new("127.0.0.1:0".parse().unwrap());
        change(&mut settings);
        let server = serve(Arc::clone(&node), settings).await.unwrap();
        let client = Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        Self {
            url: server.url(),
            node,
            server: Some(server),
            client,
        }
    }

    /// With the guest above as the kind `guest`.
    async fn with_guest() -> Self {
        let house = Self::open(|_| {}).await;
        house.deploy("guest", &guest(), manifest()).await;
        house
    }

    async fn deploy(&self, kind: &str, component: &[u8], manifest: Value) -> Reply {
        let digest = sha256(component);
        let put = self
            .request(Method::PUT, &format!("/v1/artifacts/{digest}"))
            .body(component.to_vec());
        let uploaded = self.send(put).await;
        assert!(
            matches!(uploaded.status, 200 | 201),
            "{}",
            String::from_utf8_lossy(&uploaded.body)
        );
        let deployed = self
            .post(
                &format!("/v1/kinds/{kind}/revisions"),
                &json!({ "component": digest, "manifest": manifest }),
            )
            .await;
        assert!(
            matches!(deployed.status, 200 | 201),
            "{}",
            String::from_utf8_lossy(&deployed.body)
        );
        deployed
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply {
            status,
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    async fn text(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.send(self.request(method, path).body(body)).await
    }

    async fn close(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.node.stop().await;
    }
}
