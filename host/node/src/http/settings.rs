//! The settings of the HTTP faces, and what is wrong with some.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use granary_core::id::Digest;
use sha2::{Digest as _, Sha256};

/// Who may talk to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Tokens are required if there are any. Without one, everybody may on a loopback address, and on any other the node does not start.
    #[default]
    Automatic,
    /// Tokens are required; without one the node does not start.
    Required,
    /// Everybody who reaches the address may do everything.
    Off,
}

/// A bearer token. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whom it stands for: grains see this as the principal.
    pub name: String,
    /// The SHA-256 of the secret.
    pub sha256: [u8; 32],
}

impl Token {
    /// From the secret itself.
    pub fn from_secret(name: impl Into<String>, secret: &str) -> Self {
        Self {
            name: name.into(),
            sha256: Sha256::digest(secret).into(),
        }
    }

    /// From the secret's SHA-256.
    pub fn from_hash(name: impl Into<String>, hash: Digest) -> Self {
        Self {
            name: name.into(),
            sha256: hash.0,
        }
    }
}

/// A certificate chain and its key, both as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the node's own certificate first.
    pub certificates: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The settings. [`HttpSettings::new`] has every default.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serve TLS with these; none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Who may.
    pub auth: Auth,
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Further names under which a browser may reach the node where nobody needs a token. `localhost` and loopback addresses always may.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example`) whose pages may call; empty: none but the node's own.
    pub origins: Vec<String>,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections_max: usize,
    /// Data requests being served at the same time; further ones are answered 429.
    pub in_flight_max: usize,
    /// Log and event streams at the same time; further ones are answered 429.
    pub followers_max: usize,
    /// How long a client may take for its headers, and how long a kept connection may rest between requests.
    pub header_timeout: Duration,
    /// How long a client may take for the next piece of a body.
    pub body_timeout: Duration,
    /// How long a client may leave sent bytes unacknowledged or refuse to read before its connection is cut.
    pub peer_timeout: Duration,
    /// How long requests may go on after the node was told to stop.
    pub shutdown_timeout: Duration,
    /// Where unfinished uploads are kept; none: in a temporary directory that goes with the server.
    pub uploads: Option<PathBuf>,
    /// Bytes of a batch request.
    pub batch_bytes_max: usize,
    /// Calls in one batch.
    pub batch_calls_max: usize,
    /// What `/v1/config` shows: the settings in force, without secrets.
    pub config_shown: serde_json::Value,
}

impl HttpSettings {
    /// Defaults for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            auth: Auth::default(),
            tokens: Vec::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            connections_max: 8192,
            in_flight_max: 4096,
            followers_max: 256,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(15),
            uploads: None,
            batch_bytes_max: 4 << 20,
            batch_calls_max: 1000,
            config_shown: serde_json::Value::Null,
        }
    }

    /// Whether requests need a token. Errors: [`ServeError::NoTokens`], [`ServeError::OpenAddress`].
    pub(crate) fn needs_token(&self) -> Result<bool, ServeError> {
        match (self.auth, self.tokens.is_empty()) {
            (Auth::Off, _) => Ok(false),
            (Auth::Automatic | Auth::Required, false) => Ok(true),
            (Auth::Required, true) => Err(ServeError::NoTokens),
            (Auth::Automatic, true) if self.listen.ip().is_loopback() => Ok(false),
            (Auth::Automatic, true) => Err(ServeError::OpenAddress {
                address: self.listen,
            }),
        }
    }
}

/// Why the faces do not open.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Neither tokens nor a word that none are wanted.
    #[error(
        "{address} is reachable from other machines and no token is set: add a token under [auth], listen on 127.0.0.1, or say auth.mode = \"off-for-everyone\""
    )]
    OpenAddress {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Authentication is required, and nobody could pass.
    #[error("authentication is required but no token is set: add one under [auth]")]
    NoTokens,
    /// The address cannot be taken.
    #[error("cannot listen on {address}{}", if source.kind() == std::io::ErrorKind::AddrInUse { ": another process does; stop it or choose another port" } else { "" })]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A TLS file cannot be used.
    #[error("{} is no usable {what}: {why}", file.display())]
    Tls {
        /// Which file.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The directory for uploads cannot be used.
    #[error("uploads cannot be kept in {}", dir.display())]
    Uploads {
        /// Which directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, auth: Auth, tokens: usize) -> HttpSettings {
        let tokens = (0..tokens)
            .map(|at| Token::from_secret(format!("t{at}"), "secret"))
            .collect();
        HttpSettings {
            auth,
            tokens,
            ..HttpSettings::new(address.parse().unwrap())
        }
    }

    #[test]
    fn an_open_address_needs_tokens_or_the_word_off() {
        let needs = |address, auth, tokens| {
            settings(address, auth, tokens)
                .needs_token()
                .map_err(|error| error.to_string())
        };
        assert_eq!(needs("127.0.0.1:0", Auth::Automatic, 0), Ok(false));
        assert_eq!(needs("[::1]:0", Auth::Automatic, 0), Ok(false));
        assert_eq!(needs("127.0.0.1:0", Auth::Automatic, 1), Ok(true));
        assert_eq!(needs("0.0.0.0:0", Auth::Automatic, 1), Ok(true));
        assert_eq!(needs("0.0.0.0:0", Auth::Off, 0), Ok(false));
        let open = needs("0.0.0.0:80", Auth::Automatic, 0).unwrap_err();
        assert!(
            open.contains("0.0.0.0:80") && open.contains("off-for-everyone"),
            "{open}"
        );
        assert!(needs("127.0.0.1:0", Auth::Required, 0).is_err());
    }
}
