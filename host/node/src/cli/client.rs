//! The HTTP client of every command that talks to a node.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use granary_core::id::GrainId;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::cli::exit::{Error, Exit};

/// Where the node is, and who asks.
#[derive(Debug, Clone)]
pub struct Address {
    /// The node's URL.
    pub url: String,
    /// A bearer token.
    pub token: Option<String>,
    /// A certificate to trust besides the usual ones, PEM.
    pub ca: Option<PathBuf>,
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Client {
    /// Errors: the URL or the certificate cannot be used.
    pub fn new(address: &Address) -> Result<Self, Error> {
        let example = "write it as http://127.0.0.1:7420";
        let url = Url::parse(&address.url)
            .map_err(|e| Error::usage(format!("'{}' is no URL: {e}", address.url), example))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Error::usage(
                format!("'{}' is no URL of a node", address.url),
                example,
            ));
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("granary/", env!("CARGO_PKG_VERSION")));
        // A proxy of the environment is for other machines.
        if url.host_str().is_some_and(is_local) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &address.ca {
            builder = builder.add_root_certificate(certificate(path)?);
        }
        let http = builder
            .build()
            .map_err(|e| Error::caused(Exit::Failure, &e, "granary doctor"))?;
        Ok(Self {
            http,
            base: address.url.trim_end_matches('/').to_owned(),
            token: address.token.clone(),
        })
    }

    /// The node's URL, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request; every part of `path` must be encoded already.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request. Every answer but a success or 304 is an error.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() || status.as_u16() == 304 || status.as_u16() == 308 {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Value>(&body) {
            Ok(mut problem) if problem.is_object() => {
                if problem.get("status").is_none() {
                    problem["status"] = status.as_u16().into();
                }
                Err(Error::problem(problem))
            }
            Ok(_) | Err(_) => {
                let exit = match status.as_u16() {
                    404 => Exit::NotFound,
                    401 | 403 => Exit::Denied,
                    _ => Exit::Failure,
                };
                let message = format!("{} answered {status}, but not as a node does", self.base);
                Err(Error::new(exit, message, "check --url; granary doctor"))
            }
        }
    }

    /// Sends a request and reads the answer as JSON; null if it has no body.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        let body = self.bytes(request).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| {
            Error::failure(
                format!("{} answered something that is no JSON", self.base),
                "check --url; granary doctor",
            )
        })
    }

    /// Sends a request and reads the answer's bytes.
    pub async fn bytes(&self, request: RequestBuilder) -> Result<Vec<u8>, Error> {
        let response = self.send(request).await?;
        Ok(response
            .bytes()
            .await
            .map_err(|e| self.unreachable(&e))?
            .to_vec())
    }

    /// `GET`, as JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(self.request(Method::GET, path)).await
    }

    /// What an error of the connection means.
    pub fn unreachable(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() && !error.is_connect() {
            return Error::new(
                Exit::Timeout,
                format!("{} did not answer in time", self.base),
                "granary doctor",
            );
        }
        let mut cause = String::new();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            cause = error.to_string();
            source = error.source();
        }
        let place = &self.base;
        if error.is_connect() {
            let hint = "start a node with `granary dev` or `granary up`, or name another one with --url or GRANARY_URL";
            return Error::new(
                Exit::Unreachable,
                format!("no node answers at {place}: {cause}"),
                hint,
            );
        }
        Error::new(
            Exit::Unreachable,
            format!("the connection to {place} broke: {cause}"),
            "granary doctor",
        )
    }
}

fn certificate(path: &std::path::Path) -> Result<reqwest::Certificate, Error> {
    let wrong = |why: String| {
        Error::usage(
            format!("{} is no certificate: {why}", path.display()),
            "give a PEM file with --ca",
        )
    };
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    reqwest::Certificate::from_pem(&pem).map_err(|e| wrong(e.to_string()))
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A text as one part of a path or query.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `kind/key`, each part encoded.
pub fn grain_path(grain: &GrainId) -> String {
    format!("{}/{}", grain.kind, encode(grain.key.as_str()))
}

/// Reads `kind/key`, with an error that says how one is written.
pub fn parse_grain(text: &str) -> Result<GrainId, Error> {
    GrainId::parse(text).map_err(|e| {
        Error::usage(
            e.to_string(),
            "write a grain as kind/key, such as counter/visits",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_part_of_the_path_whatever_it_holds() {
        let grain = parse_grain("file/a/b c%ü").unwrap();
        assert_eq!(grain_path(&grain), "file/a%2Fb%20c%25%C3%BC");
    }

    #[test]
    fn local_nodes_are_never_asked_through_a_proxy() {
        assert!(is_local("localhost") && is_local("127.0.0.1") && is_local("[::1]"));
        assert!(!is_local("10.0.0.1") && !is_local("example.com"));
    }
}
