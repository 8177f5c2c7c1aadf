//! The servers under load, each a process of its own: a bare axum handler, and a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use granary_node::http::{HttpSettings, Server, serve};
use granary_node::node::{Node, NodeSettings};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::guests::Guest;

/// What a server says when it is ready, before its address.
const READY: &str = "ready at ";

/// The bare handler: parses `[by]` and answers the new number, as the counter does.
pub(crate) fn run_bare() -> anyhow::Result<()> {
    async fn increment(
        State(count): State<Arc<AtomicU64>>,
        Json((by,)): Json<(u64,)>,
    ) -> Json<u64> {
        Json(count.fetch_add(by, Ordering::Relaxed) + by)
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let count = Arc::new(AtomicU64::new(0));
        let routes = Router::new()
            .route("/g/{kind}/{key}/{method}", post(increment))
            .with_state(count);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say_ready(listener.local_addr()?).await?;
        let until = async {
            // Whatever ends the wait ends the server.
            drop(asked_to_end().await);
        };
        Ok(axum::serve(listener, routes)
            .with_graceful_shutdown(until)
            .await?)
    })
}

/// A node with every default.
pub(crate) fn run_node(data: Option<PathBuf>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (node, server) = in_process(data).await?;
        say_ready(server.address).await?;
        asked_to_end().await?;
        server.server.stop().await;
        node.stop().await;
        Ok(())
    })
}

/// A server in this process.
pub(crate) struct InProcess {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The same as the start of a URL.
    pub(crate) base: String,
    server: Server,
}

/// A node in this process.
pub(crate) async fn in_process(data: Option<PathBuf>) -> anyhow::Result<(Arc<Node>, InProcess)> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // What goes with the data when the process is killed.
    let uploads = data.as_ref().map(|data| data.join("uploads"));
    let settings = NodeSettings {
        data,
        ..NodeSettings::in_memory("bench")
    };
    let node = Node::start(settings).await?;
    let settings = HttpSettings {
        uploads,
        ..HttpSettings::new(listen)
    };
    let server = serve(Arc::clone(&node), settings).await?;
    let address = server.local_addr;
    Ok((
        node,
        InProcess {
            address,
            base: format!("http://{address}"),
            server,
        },
    ))
}

async fn say_ready(address: SocketAddr) -> anyhow::Result<()> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{READY}{address}\n").as_bytes())
        .await?;
    Ok(out.flush().await?)
}

/// The end of standard input: whoever started this process has ended, or wants it to end.
async fn asked_to_end() -> anyhow::Result<()> {
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(())
}

/// One of the two as a process. Dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub(crate) base: String,
}

impl Process {
    /// The bare handler.
    pub(crate) async fn bare() -> anyhow::Result<Self> {
        Self::start(&["bare".as_ref()]).await
    }

    /// A node.
    pub(crate) async fn node(data: Option<&Path>) -> anyhow::Result<Self> {
        match data {
            None => Self::start(&["node".as_ref()]).await,
            Some(data) => Self::start(&["node".as_ref(), "--data".as_ref(), data]).await,
        }
    }

    async fn start(arguments: &[&Path]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix(READY) {
                    return Ok(address.to_owned());
                }
            }
            bail!("the server ended before it was ready")
        };
        let address = tokio::time::timeout(Duration::from_secs(60), ready).await??;
        Ok(Self {
            child,
            base: format!("http://{address}"),
        })
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }

    /// Its resident memory: all of it, and with pages that several mappings share counted once. All grains of a kind share the
    /// untouched pages of one image, and the first figure counts those once a grain.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<(u64, u64)> {
        let id = self.child.id().context("the process runs")?;
        let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let field = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let line = line.with_context(|| format!("Linux tells {name}"))?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
            anyhow::Ok(kib << 10)
        };
        Ok((field("Rss:")?, field("Pss:")?))
    }
}

/// Uploads and deploys a kind on the node at `base`.
pub(crate) async fn deploy(base: &str, guest: &Guest) -> anyhow::Result<()> {
    let digest = granary_core::id::Digest(Sha256::digest(&guest.component).into()).to_string();
    send(
        base,
        "PUT",
        &format!("/v1/artifacts/{digest}"),
        guest.component.clone(),
    )
    .await?;
    let body = serde_json::to_vec(&guest.deployment(&digest))?;
    send(
        base,
        "POST",
        &format!("/v1/kinds/{}/revisions", guest.kind),
        body,
    )
    .await?;
    Ok(())
}

/// Counts by one on the grain `kind/first`. The whole time, and how much of it was the commit, as the node says.
pub(crate) async fn first_answer(base: &str, kind: &str) -> anyhow::Result<(Duration, Duration)> {
    let began = Instant::now();
    let path = format!("/g/{kind}/first/increment");
    let headers = send(base, "POST", &path, b"[1]".to_vec()).await?;
    let took = began.elapsed();
    let timing = headers
        .get("server-timing")
        .and_then(|value| value.to_str().ok())
        .context("the node says where the time went")?;
    let commit = timing
        .split(", ")
        .find_map(|part| part.strip_prefix("commit;dur="))
        .context("a commit has its time")?;
    Ok((took, Duration::from_secs_f64(commit.parse::<f64>()? / 1e3)))
}

async fn send(base: &str, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<HeaderMap> {
    let authority = base.trim_start_matches("http://");
    let socket = tokio::net::TcpStream::connect(authority).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let content_type = if method == "PUT" {
        "application/wasm"
    } else {
        "application/json"
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", authority)
        .header("content-type", content_type);
    let response = sender
        .send_request(request.body(Full::new(Bytes::from(body)))?)
        .await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let answer = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!(
            "{method} {path}: {status}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(headers)
}
