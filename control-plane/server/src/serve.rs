//! The accept loop: TLS handshake, HTTP/1.1 or 2 by ALPN, a limit on connections, and a graceful end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::api::Api;
use crate::tls::Trust;

/// Connections served at once; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 16_384;
/// HTTP/2 streams on one connection; a controller manager holds more than 100 watches on one.
const MAX_STREAMS: u32 = 2000;
/// A handshake that takes longer is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Request headers must arrive within this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that wait for a client to read on; what comes after them is not made before. It is the limit for
/// request headers too, of which a long selector is the longest.
const BUFFER: usize = 128 * 1024;
/// A client that says nothing for this long is asked by the kernel whether it is still there, again at this interval, and
/// given up after some minutes: a machine that lost its power never says goodbye.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Silent HTTP/2 clients are asked whether they are still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// After the shutdown signal, running requests get this long.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// When the process has no more file descriptors, accepting pauses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) api: Arc<Api>,
}

impl Acceptor {
    /// Accepts until `shutdown`, then waits for what is running.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let connections = TaskTracker::new();
        let tls = TlsAcceptor::from(self.tls);
        loop {
            let slot = tokio::select! {
                () = shutdown.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "accepting a connection failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let connection = connection(
                stream,
                tls.clone(),
                self.trust.clone(),
                self.api.clone(),
                shutdown.clone(),
            );
            connections.spawn(async move {
                connection.await;
                drop(slot);
            });
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
            .await
            .is_err()
        {
            warn!(
                open = connections.len(),
                "connections were cut off at shutdown"
            );
        }
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    trust: Arc<Trust>,
    api: Arc<Api>,
    shutdown: CancellationToken,
) {
    if let Err(error) = prepare(&stream) {
        debug!(%error, "setting options of a connection failed");
    }
    let greeted = async {
        if speaks_http(&stream).await? {
            return refuse_http(stream).await.map(|()| None);
        }
        tls.accept(stream).await.map(Some)
    };
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, greeted).await {
        Ok(Ok(Some(stream))) => stream,
        Ok(Ok(None)) => return api.metrics.requests.handshake_errors.inc(),
        failed => {
            api.metrics.requests.handshake_errors.inc();
            return match failed {
                Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
                _ => debug!("TLS handshake timed out"),
            };
        }
    };
    let peer = trust.peer(stream.get_ref().1.peer_certificates());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (api, peer) = (api.clone(), peer.clone());
        async move {
            Ok::<_, std::convert::Infallible>(api.answer_peer(request.map(Body::new), peer).await)
        }
    });
    // A connection that says nothing after the handshake is known by what it agreed on: then the time for its first
    // request runs.
    let builder = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder().http2_only(),
        _ => builder().http1_only(),
    };
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut draining = false;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    debug!(%error, "connection ended");
                }
                return;
            }
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Whether a client forgot the `s` of `https`: a handshake begins with a byte that is no letter.
async fn speaks_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let seen = stream.peek(&mut first).await?;
    Ok(seen == 1 && first[0].is_ascii_uppercase())
}

/// Says so in Go's words, instead of an alert that such a client cannot read.
async fn refuse_http(mut stream: TcpStream) -> io::Result<()> {
    const ANSWER: &[u8] =
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    // What is not read would end the connection before the answer is.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    stream.write_all(ANSWER).await?;
    stream.shutdown().await
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
    // Small answers must not wait for acknowledgements of earlier ones.
    stream.set_nodelay(true)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, KEEP_ALIVE)?;
    set_tcp_keepintvl(stream, KEEP_ALIVE)?;
    Ok(())
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .adaptive_window(false);
    builder
}
