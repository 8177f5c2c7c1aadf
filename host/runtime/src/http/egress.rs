//! Requests that a guest makes: checked against the allow list, resolved here, checked again, and connected to the very address that was
//! checked, so that a name cannot change its meaning in between.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::Scheme;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::addresses::is_private;
use super::rules::{Allowed, Rules, Target};

/// Requests that one grain may have under way.
const IN_FLIGHT_MAX: usize = 32;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer waits are cut off by the turn's own wall time.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);

/// One guest's way out.
pub(crate) struct Egress {
    rules: Arc<Rules>,
    in_flight: Arc<AtomicUsize>,
}

impl Egress {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            in_flight: Arc::new(AtomicUsize::new(0)),
        }
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

impl WasiHttpHooks for Egress {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_done: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let rules = self.rules.clone();
        let place = InFlight::take(&self.in_flight);
        Box::new(async move {
            let place = place.ok_or(Error::ConnectionLimitReached)?;
            let target = target(request.uri())?;
            let allowed = rules
                .check(&target, request.method())
                .ok_or(Error::HttpRequestDenied)?;
            let (response, connection) = send(request, &target, allowed, options).await?;
            let io: Io = Box::new(async move {
                let _place = place;
                connection.await.map_err(Error::Hyper)
            });
            Ok((response, io))
        })
    }
}

struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let taken = count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
            (used < IN_FLIGHT_MAX).then_some(used + 1)
        });
        taken.ok().map(|_| Self(count.clone()))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn target(uri: &http::Uri) -> Result<Target, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let tls = uri.scheme() == Some(&Scheme::HTTPS);
    let host = authority.host().to_ascii_lowercase();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(&host)
        .to_owned();
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Target { tls, host, port })
}

/// The addresses of a target that may be connected to.
async fn resolve(target: &Target, allowed: Allowed) -> Result<Vec<SocketAddr>, Error> {
    let found = timeout(
        CONNECT_TIMEOUT,
        tokio::net::lookup_host((target.host.as_str(), target.port)),
    )
    .await;
    let found: Vec<_> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            return Err(Error::DnsError {
                rcode: Some(error.to_string()),
                info_code: None,
            });
        }
        Err(_) => return Err(Error::DnsTimeout),
    };
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    let reachable: Vec<_> = found
        .into_iter()
        .filter(|address| allowed.private || !is_private(address.ip()))
        .collect();
    if reachable.is_empty() {
        Err(Error::DestinationIpProhibited)
    } else {
        Ok(reachable)
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request that waits for a full packet waits for nothing.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY is not available");
                }
                return Ok(stream);
            }
            Err(error) => last = Error::Connect(error),
        }
    }
    Err(last)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn dial(target: &Target, allowed: Allowed) -> Result<Box<dyn Stream>, Error> {
    let addresses = resolve(target, allowed).await?;
    let stream = connect(&addresses).await?;
    if !target.tls {
        return Ok(Box::new(stream));
    }
    let name =
        ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let stream = TlsConnector::from(tls_config())
        .connect(name, stream)
        .await
        .map_err(Error::Tls)?;
    Ok(Box::new(stream))
}

fn tls_config() -> Arc<rustls::ClientConfig> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    let make = || {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    };
    CONFIG.get_or_init(make).clone()
}

/// Moves the connection's bytes; dropping it closes the connection.
type Connection = AbortOnDropJoinHandle<Result<(), hyper::Error>>;

async fn send(
    mut request: http::Request<WasiBody>,
    target: &Target,
    allowed: Allowed,
    options: Option<RequestOptions>,
) -> Result<(http::Response<WasiBody>, Connection), Error> {
    let connect_timeout = options
        .as_ref()
        .and_then(|options| options.connect_timeout)
        .unwrap_or(CONNECT_TIMEOUT)
        .min(CONNECT_TIMEOUT);
    let first_byte = options
        .as_ref()
        .and_then(|options| options.first_byte_timeout)
        .unwrap_or(RESPONSE_TIMEOUT);
    let stream = timeout(connect_timeout, dial(target, allowed))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = wasmtime_wasi::runtime::spawn(connection);
    // What is spoken to the server itself names only the path.
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    let response = timeout(first_byte, sender.send_request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)??;
    Ok((
        response.map(|body| body.map_err(Error::Hyper).boxed_unsync()),
        connection,
    ))
}

#[cfg(test)]
mod tests {
    use granary_core::kind::HttpGrant;
    use http_body_util::{Empty, combinators::UnsyncBoxBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn egress(host: &str, port: u16, private: bool) -> Egress {
        let grant = HttpGrant {
            scheme: None,
            host: host.to_owned(),
            port: Some(port),
            methods: Vec::new(),
            private,
        };
        Egress::new(Arc::new(Rules::parse(&[grant]).unwrap()))
    }

    async fn get(egress: &mut Egress, uri: &str) -> Sent {
        let body: WasiBody = UnsyncBoxBody::new(Empty::new().map_err(|never| match never {}));
        let request = http::Request::get(uri)
            .header("host", "x")
            .body(body)
            .unwrap();
        Box::into_pin(egress.send_request(request, None, Box::new(async { Ok(()) }))).await
    }

    /// Answers one request with its own first line.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..read])
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}",
                line.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        port
    }

    #[tokio::test]
    async fn a_granted_private_address_is_reached_by_name_and_by_number() {
        for host in ["localhost", "127.0.0.1"] {
            let port = echo().await;
            let sent = get(
                &mut egress(host, port, true),
                &format!("http://{host}:{port}/a?b=c"),
            )
            .await;
            let (response, _connection) = sent.map_err(|error| error.to_string()).unwrap();
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                "GET /a?b=c HTTP/1.1"
            );
        }
    }

    #[tokio::test]
    async fn a_granted_name_that_leads_to_a_private_address_is_refused() {
        let port = echo().await;
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let error = get(
                &mut egress(host, port, false),
                &format!("http://{host}:{port}/"),
            )
            .await
            .err();
            assert!(
                matches!(error, Some(Error::DestinationIpProhibited)),
                "{host}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_on_the_list_is_refused_before_its_name_is_resolved() {
        let mut egress = egress("localhost", 80, true);
        for uri in [
            "http://localhost:81/",
            "https://localhost/",
            "http://no-such-host.invalid/",
        ] {
            let error = get(&mut egress, uri).await.err();
            assert!(
                matches!(error, Some(Error::HttpRequestDenied)),
                "{uri}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn only_so_many_requests_are_under_way() {
        let egress = egress("localhost", 80, true);
        let places: Vec<_> = (0..IN_FLIGHT_MAX)
            .map(|_| InFlight::take(&egress.in_flight).unwrap())
            .collect();
        assert!(InFlight::take(&egress.in_flight).is_none());
        drop(places);
        assert!(InFlight::take(&egress.in_flight).is_some());
    }
}
