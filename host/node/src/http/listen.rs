//! The listener: connections in, limits on each, an orderly end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::auth::Gate;
use super::control::upload::Uploads;
use super::face::{Face, Shared};
use super::linger::Lingering;
use super::settings::{HttpSettings, ServeError};
use super::tls;
use crate::node::Node;

/// Requests of one HTTP/2 connection at the same time.
const STREAMS_MAX: u32 = 256;
/// Bytes of one request's headers.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often recorded samples are moved into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A listening server. Dropping it stops the listener at once; [`Server::stop`] lets requests end first.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, with the port that it was given.
    pub local_addr: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    stopping: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.tls { "https" } else { "http" },
            self.local_addr
        )
    }

    /// Takes no more connections, ends streams, lets requests end within `shutdown_timeout`, then cuts what is left.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        if let Err(error) = (&mut self.accepting).await {
            tracing::warn!(%error, "the listener ended badly");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.accepting.abort();
    }
}

/// Opens the faces of a node. Errors: see [`ServeError`]; nothing listens then.
pub async fn serve(node: Arc<Node>, settings: HttpSettings) -> Result<Server, ServeError> {
    let gate = Gate::new(&settings)?;
    let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let uploads = Uploads::new(settings.uploads.clone())?;
    let failed = |source| ServeError::Listen {
        address: settings.listen,
        source,
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    let tls = acceptor.is_some();
    let shared = Arc::new(Shared::new(node, settings, gate, uploads));
    let stopping = shared.stopping.clone();
    let listening = Listening {
        places: Arc::new(Semaphore::new(shared.settings.connections_max)),
        builder: builder(&shared.settings),
        face: Arc::new(Face::new(shared)),
        acceptor,
    };
    let accepting = tokio::spawn(listening.run(listener));
    Ok(Server {
        local_addr,
        tls,
        stopping,
        accepting,
    })
}

fn builder(settings: &HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        // A client that vanished does not answer.
        .keep_alive_interval(settings.header_timeout)
        .keep_alive_timeout(settings.header_timeout);
    builder
}

struct Listening {
    places: Arc<Semaphore>,
    builder: Builder<TokioExecutor>,
    face: Arc<Face>,
    acceptor: Option<TlsAcceptor>,
}

impl Listening {
    async fn run(self, listener: TcpListener) {
        let shared = Arc::clone(&self.face.shared);
        let graceful = GracefulShutdown::new();
        let mut upkeep = interval(UPKEEP_INTERVAL);
        loop {
            let place = tokio::select! {
                biased;
                () = shared.stopping.cancelled() => break,
                _ = upkeep.tick() => {
                    shared.node.metrics.upkeep();
                    continue;
                }
                place = Arc::clone(&self.places).acquire_owned() => place.expect("the semaphore is never closed"),
            };
            let accepted = tokio::select! {
                biased;
                () = shared.stopping.cancelled() => break,
                _ = upkeep.tick() => {
                    shared.node.metrics.upkeep();
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _peer)) => self.connected(stream, place, graceful.watcher()),
                Err(error) => not_accepted(&error).await,
            }
        }
        drop(listener);
        if timeout(shared.settings.shutdown_timeout, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }

    fn connected(&self, stream: TcpStream, place: OwnedSemaphorePermit, watcher: Watcher) {
        let (face, builder, acceptor) = (
            Arc::clone(&self.face),
            self.builder.clone(),
            self.acceptor.clone(),
        );
        tokio::spawn(async move {
            let _place = place;
            let metrics = Arc::clone(&face.shared.node.metrics);
            metrics.http_connections.increment(1.0);
            prepare(&stream, face.shared.settings.peer_timeout);
            match acceptor {
                None => speak(builder, stream, face, watcher).await,
                Some(acceptor) => match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => speak(builder, stream, face, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS handshake"),
                    Err(_elapsed) => tracing::debug!("a TLS handshake took too long"),
                },
            }
            metrics.http_connections.decrement(1.0);
        });
    }
}

/// Sets what the kernel must know: send at once, and notice a peer that vanished or does not read.
fn prepare(stream: &TcpStream, peer_timeout: Duration) {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(peer_timeout / 2)
        .with_interval(peer_timeout / 6);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(peer_timeout)));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection's options could not be set");
    }
}

async fn speak<S>(builder: Builder<TokioExecutor>, stream: S, face: Arc<Face>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = face.shared.settings.header_timeout;
    let begun = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&begun);
    let service = service_fn(move |request| {
        seen.store(true, Ordering::Relaxed);
        Arc::clone(&face).serve(request)
    });
    let connection = builder.serve_connection(TokioIo::new(Lingering::new(stream)), service);
    let mut connection = pin!(watcher.watch(connection.into_owned()));
    // hyper's own timer begins with the protocol: until then, somebody may keep silent for ever.
    let ended = match timeout(patience, &mut connection).await {
        Ok(ended) => ended,
        Err(_elapsed) if !begun.load(Ordering::Relaxed) => return,
        Err(_elapsed) => connection.await,
    };
    if let Err(error) = ended {
        // Clients come and go; only the curious want to know.
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// Too many open files, say: others will be closed soon.
async fn not_accepted(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    // The client's own affair; the next one is waiting.
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | ConnectionRefused
    ) {
        return;
    }
    tracing::warn!(%error, "a connection could not be accepted");
    sleep(Duration::from_millis(100)).await;
}
