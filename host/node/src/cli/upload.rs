//! Bringing a component to a node: asked for first, resumed where it was cut off, shown while it goes.

use granary_core::id::Digest;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Method, StatusCode};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::Terminal;

/// A part of this size is sent at a time; what has arrived need not be sent again.
const PART_BYTES: usize = 4 << 20;
/// How long one question for the compiler's progress waits: long enough for most components, short enough to show that one takes longer.
const STATUS_SECONDS: u32 = 1;
/// How often a cut-off upload is taken up again before that is an error.
const RESUMES_MAX: u32 = 5;

/// What the node has of a component.
enum Progress {
    Whole,
    Bytes(u64),
}

/// Uploads a component unless the node has it, and waits until it is compiled. Whether anything had to be sent.
pub async fn upload(
    client: &Client,
    terminal: &Terminal,
    name: &str,
    digest: Digest,
    bytes: &[u8],
) -> Result<bool, Error> {
    let sent = send(client, terminal, name, digest, bytes).await?;
    compiled(client, terminal, name, digest).await?;
    Ok(sent)
}

/// Waits for the node's compiler, with a sign of life.
async fn compiled(
    client: &Client,
    terminal: &Terminal,
    name: &str,
    digest: Digest,
) -> Result<(), Error> {
    let path = format!("/v1/artifacts/{digest}/status?wait={STATUS_SECONDS}");
    let mut status = client.get(&path).await?;
    if status["state"] == "compiling" {
        let wheel = terminal.wheel("Compiling", name);
        if wheel.is_hidden() {
            terminal.step("Compiling", name);
        }
        let ended = loop {
            match client.get(&path).await {
                Ok(status) if status["state"] == "compiling" => {}
                ended => break ended,
            }
        };
        wheel.finish_and_clear();
        status = ended?;
    }
    if status["state"] == "failed" {
        return Err(Error::problem(status["problem"].clone()));
    }
    Ok(())
}

async fn send(
    client: &Client,
    terminal: &Terminal,
    name: &str,
    digest: Digest,
    bytes: &[u8],
) -> Result<bool, Error> {
    let path = format!("/v1/artifacts/{digest}");
    let mut at = match progress(client, &path).await? {
        Progress::Whole => return Ok(false),
        Progress::Bytes(count) => usize::try_from(count).unwrap_or(0).min(bytes.len()),
    };
    let bar = terminal.bytes_bar(name, bytes.len() as u64);
    let mut resumes = 0;
    while at < bytes.len() || bytes.is_empty() {
        bar.set_position(at as u64);
        let end = bytes.len().min(at + PART_BYTES);
        match part(client, &path, bytes, at..end).await {
            Ok(()) if bytes.is_empty() => break,
            Ok(()) => at = end,
            Err(error) if error.exit == Exit::Unreachable && resumes < RESUMES_MAX => {
                resumes += 1;
                match progress(client, &path).await? {
                    Progress::Whole => break,
                    Progress::Bytes(count) => {
                        at = usize::try_from(count).unwrap_or(0).min(bytes.len())
                    }
                }
            }
            Err(error) => {
                bar.finish_and_clear();
                return Err(error);
            }
        }
    }
    bar.finish_and_clear();
    Ok(true)
}

async fn part(
    client: &Client,
    path: &str,
    bytes: &[u8],
    range: std::ops::Range<usize>,
) -> Result<(), Error> {
    let mut request = client
        .request(Method::PUT, path)
        .header(CONTENT_TYPE, "application/wasm")
        .header("prefer", "respond-async");
    let is_whole = range == (0..bytes.len());
    if !is_whole {
        let header = format!("bytes {}-{}/{}", range.start, range.end - 1, bytes.len());
        request = request.header(CONTENT_RANGE, header);
    }
    client
        .send(request.body(bytes[range].to_vec()))
        .await
        .map(drop)
}

async fn progress(client: &Client, path: &str) -> Result<Progress, Error> {
    let request = client.request(Method::HEAD, path);
    let response = request.send().await.map_err(|e| client.unreachable(&e))?;
    let offset = response
        .headers()
        .get("upload-offset")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(match (response.status(), offset) {
        (_, Some(offset)) => Progress::Bytes(offset),
        (StatusCode::OK | StatusCode::NO_CONTENT, None) => Progress::Whole,
        _ => Progress::Bytes(0),
    })
}
