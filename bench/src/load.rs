//! The client: a closed loop over kept connections. Each connection has one request under way and sends the next when the
//! answer has arrived.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What every request looks like.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    authority: String,
    path: String,
    method: Method,
    body: Bytes,
    keys: u64,
}

/// How many connections, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Answers a second.
    pub(crate) rate: f64,
    /// How long answers took, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Target {
    /// A target of `keys` keys: `{key}` in the URL becomes a number below that.
    pub(crate) fn parse(url: &str, method: Method, body: &str, keys: u64) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").context("a URL starts with http://")?;
        if scheme != "http" {
            bail!("only http:// is measured");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok(Self {
            authority: authority.to_owned(),
            path: format!("/{path}"),
            method,
            body,
            keys: keys.max(1),
        })
    }

    /// A method of a grain; `{key}` in `grain` becomes a number below `keys`.
    pub(crate) fn call(
        base: &str,
        grain: &str,
        method: &str,
        arguments: &str,
        keys: u64,
    ) -> anyhow::Result<Self> {
        Self::parse(
            &format!("{base}/g/{grain}/{method}"),
            Method::POST,
            arguments,
            keys,
        )
    }

    fn request(&self, key: u64) -> anyhow::Result<Request<Full<Bytes>>> {
        let path: Uri = if 1 < self.keys {
            self.path.replace("{key}", &key.to_string())
        } else {
            self.path.clone()
        }
        .parse()?;
        let request = Request::builder()
            .method(self.method.clone())
            .uri(path)
            .header("host", &self.authority);
        let request = if self.body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json")
        };
        Ok(request.body(Full::new(self.body.clone()))?)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let socket = TcpStream::connect(&self.authority)
            .await
            .with_context(|| self.authority.clone())?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Sends one request and checks that it succeeds.
    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, key: u64) -> anyhow::Result<()> {
        sender.ready().await?;
        let response = sender.send_request(self.request(key)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!(
                "{} {}: {status}: {}",
                self.method,
                self.path,
                String::from_utf8_lossy(&body)
            );
        }
        Ok(())
    }

    /// Asks for each key once, `connections` at a time: how long that took.
    pub(crate) async fn ask_each_once(&self, connections: usize) -> anyhow::Result<Duration> {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(self.connect().await?);
        }
        let started = Instant::now();
        let lanes = senders
            .into_iter()
            .enumerate()
            .map(async |(lane, mut sender)| {
                let mut key = lane as u64;
                while key < self.keys {
                    self.ask(&mut sender, key).await?;
                    key += connections as u64;
                }
                anyhow::Ok(())
            });
        futures::future::try_join_all(lanes).await?;
        Ok(started.elapsed())
    }
}

impl Load {
    /// Puts it on a target.
    pub(crate) async fn put_on(&self, target: &Target) -> anyhow::Result<Measured> {
        let begin = Instant::now() + self.warm_up;
        let end = begin + self.time;
        let lanes = (0..self.connections).map(async |lane| {
            let mut sender = target.connect().await?;
            let mut random = fastrand::Rng::with_seed(lane as u64);
            let mut latency = Histogram::<u64>::new(3)?;
            loop {
                let started = Instant::now();
                if end <= started {
                    return anyhow::Ok(latency);
                }
                target.ask(&mut sender, random.u64(..target.keys)).await?;
                if begin <= started {
                    latency.record(u64::try_from(started.elapsed().as_nanos())?)?;
                }
            }
        });
        let mut latency = Histogram::<u64>::new(3)?;
        for lane in futures::future::try_join_all(lanes).await? {
            latency.add(lane)?;
        }
        Ok(Measured {
            rate: latency.len() as f64 / self.time.as_secs_f64(),
            latency,
        })
    }
}

impl Measured {
    /// A percentile in milliseconds.
    pub(crate) fn ms(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e6
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, .. } = self;
        write!(
            f,
            "{rate:.0}/s, p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms",
            self.ms(50.0),
            self.ms(90.0),
            self.ms(99.0)
        )
    }
}
