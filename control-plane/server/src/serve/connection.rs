//! One connection: TLS handshake, then HTTP/1.1 or 2 by ALPN.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::Accepted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::threads::{Places, Streams};
use crate::api::{Api, LongRunning};
use crate::tls::Trust;

/// HTTP/2 streams on one connection; a controller manager holds more than 100 watches on one.
const MAX_STREAMS: u32 = 2000;
/// A handshake that takes longer is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Request headers must arrive within this, and the first request within this after the handshake.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that wait for a client to read on; what comes after them is not made before. It is the limit for
/// request headers too, of which a long selector is the longest.
const BUFFER: usize = 128 * 1024;
/// A client that says nothing for this long is asked by the kernel whether it is still there, again at this interval, and
/// given up after some minutes: a machine that lost its power never says goodbye.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Silent HTTP/2 clients are asked whether they are still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What a connection is served with.
pub(super) struct Connection {
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) trust: Arc<Trust>,
    pub(super) api: Arc<Api>,
    pub(super) shutdown: CancellationToken,
    /// Its place among all connections.
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Connection {
    /// Listens to what the client says first, which decides where it is served.
    pub(super) async fn begin(self, stream: TcpStream, places: Places) {
        if let Err(error) = prepare(&stream) {
            debug!(%error, "setting options of a connection failed");
        }
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let hello = async {
            if speaks_http(&stream).await? {
                return refuse_http(stream).await.map(|()| None);
            }
            let hello = LazyConfigAcceptor::new(Default::default(), stream);
            hello.await.map(Some)
        };
        let Some(Some(hello)) = self.in_time(deadline, hello).await else {
            return self.api.metrics.requests.handshake_errors.inc();
        };
        let offers = hello.client_hello().alpn();
        let multiplexes = offers.is_some_and(|mut offers| offers.any(|offer| offer == b"h2"));
        if multiplexes {
            return self.serve(hello, deadline, Streams::default()).await;
        }
        let StartHandshake { accepted, io, .. } = hello;
        // From here on it is waited for elsewhere.
        match io.into_std() {
            Ok(io) => {
                let streams = Streams::default();
                let rest = self.elsewhere(accepted, io, deadline, streams.clone());
                places.settle(rest, streams);
            }
            Err(error) => debug!(%error, "a connection failed"),
        }
    }

    async fn elsewhere(
        self,
        accepted: Accepted,
        io: std::net::TcpStream,
        deadline: Instant,
        streams: Streams,
    ) {
        match TcpStream::from_std(io) {
            Ok(io) => {
                let hello = StartHandshake::from_parts(accepted, io);
                self.serve(hello, deadline, streams).await;
            }
            Err(error) => debug!(%error, "a connection failed"),
        }
    }

    /// Says hello in return, and answers requests.
    async fn serve(self, hello: StartHandshake<TcpStream>, deadline: Instant, streams: Streams) {
        let tls = hello.into_stream(Arc::clone(&self.tls));
        match self.in_time(deadline, tls).await {
            Some(stream) => self.answer(stream, streams).await,
            None => self.api.metrics.requests.handshake_errors.inc(),
        }
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        step: impl Future<Output = io::Result<T>>,
    ) -> Option<T> {
        match timeout_at(deadline, step).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
            Err(_) => debug!("TLS handshake timed out"),
        }
        None
    }

    async fn answer(self, stream: TlsStream<TcpStream>, streams: Streams) {
        let peer = self.trust.peer(stream.get_ref().1.peer_certificates());
        let api = &self.api;
        let asked = AtomicBool::new(false);
        let service = service_fn(|request: http::Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let (api, peer, streams) = (Arc::clone(api), peer.clone(), streams.clone());
            async move {
                let response = api.answer_peer(request.map(Body::new), peer).await;
                if response.extensions().get::<LongRunning>().is_some() {
                    streams.begin();
                }
                Ok::<_, Infallible>(response)
            }
        });
        let served = builder();
        let served = served.serve_connection_with_upgrades(TokioIo::new(stream), service);
        // Before there is a request, nothing in there looks at the time.
        let silence = tokio::time::sleep(HEADER_TIMEOUT);
        tokio::pin!(served, silence);
        let (mut new, mut draining) = (true, false);
        loop {
            tokio::select! {
                result = served.as_mut() => {
                    if let Err(error) = result {
                        debug!(%error, "connection ended");
                    }
                    return;
                }
                () = &mut silence, if new => {
                    if !asked.load(Ordering::Relaxed) {
                        return debug!("a connection asked for nothing");
                    }
                    new = false;
                }
                () = self.shutdown.cancelled(), if !draining => {
                    draining = true;
                    served.as_mut().graceful_shutdown();
                }
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
