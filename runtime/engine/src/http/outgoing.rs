//! HTTP requests that guests send: whether they may, where they may go, and for how long.
//!
//! A pod reaches the network unless told otherwise, so this is allowed by default; forbidding it is one flag of the
//! specification. Where they may go is said by the same rules as for sockets (`sockets/reach.rs`). Names are resolved
//! here and the connection made to an address that was checked.

use crate::ContainerSpec;
use crate::files::FileBudget;
use crate::held::{self, BODY_CHUNK};
use crate::limits::{Charge, Meter};
use crate::network::Protocol;
use crate::sockets::lookup::{self, LookupError};
use crate::sockets::{Reach, Unreachable};
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, timeout};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

/// Requests one container may have on their way at once; further ones wait.
const MAX_REQUESTS: usize = 64;

/// What a request takes beside its head and body: its task, and the buffers of its connection.
const PER_REQUEST: usize = 16 << 10;

/// Trusts the roots of the web, once made kept for all guests.
static TLS: LazyLock<Arc<rustls::ClientConfig>> = LazyLock::new(|| {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
});

/// The rules of one container. Clones share its limit.
#[derive(Clone)]
pub(crate) struct Outgoing {
    rules: Arc<Rules>,
}

struct Rules {
    allowed: bool,
    reach: Reach,
    timeout: Duration,
    requests: Arc<Semaphore>,
    budget: Arc<FileBudget>,
    meter: Arc<Meter>,
    max_field_bytes: usize,
    read_buffer: usize,
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl Outgoing {
    pub(crate) fn new(
        spec: &ContainerSpec,
        reach: Reach,
        budget: Arc<FileBudget>,
        meter: Arc<Meter>,
    ) -> Self {
        Outgoing {
            rules: Arc::new(Rules {
                allowed: spec.http.allow_outgoing,
                reach,
                timeout: spec.http.outgoing_timeout,
                requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
                budget,
                meter,
                max_field_bytes: spec.http.max_field_bytes(),
                read_buffer: spec.http.read_buffer(),
            }),
        }
    }
}

impl WasiHttpHooks for Outgoing {
    // Asked for every header there is; the filter would be made anew each time.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let rules = self.rules.clone();
        // Nothing of it is behind a handle any more, and it may wait for a long time.
        let charge = rules.charge(&request);
        Box::new(async move { rules.send(request, options, charge?).await })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        held::CHUNKS_WAITING
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }
}

/// The guest's wishes for time, within what the container allows.
struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Rules {
    /// The memory of a request under way.
    fn charge(&self, request: &Request<WasiBody>) -> Result<Charge, Error> {
        let body = match request.body().is_end_stream() {
            true => 0,
            false => held::BODY,
        };
        let head = held::head(request.uri(), request.headers(), self.max_field_bytes);
        let charge = self.meter.charge((PER_REQUEST + head + body) as u64);
        charge.ok_or_else(|| no_room("request"))
    }

    /// The memory of a response. The guest may not ask for it as long as it likes, and its connection ends before.
    fn charge_response(&self, response: &Response<Incoming>) -> Result<Charge, Error> {
        let body = match response.body().is_end_stream() {
            true => 0,
            false => held::BODY_CHUNK,
        };
        let head = held::fields(response.headers(), self.max_field_bytes);
        let charge = self.meter.charge((head + body) as u64);
        charge.ok_or_else(|| no_room("response"))
    }

    async fn send(
        &self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        charge: Charge,
    ) -> Sent {
        if !self.allowed {
            return Err(Error::HttpRequestDenied);
        }
        let times = self.times(options);
        let permit = timeout(times.connect, self.requests.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Error::ConnectionLimitReached);
        };
        let descriptor = self.budget.take().ok_or(Error::ConnectionLimitReached)?;
        let target = Target::of(request.uri())?;
        let connecting = timeout(times.connect, self.connect(&target));
        let stream = connecting
            .await
            .map_err(|_elapsed| Error::ConnectionTimeout)??;
        let mut builder = hyper::client::conn::http1::Builder::new();
        let handshake = builder.max_buf_size(self.read_buffer);
        let (mut sender, connection) = handshake.handshake(TokioIo::new(stream)).await?;
        let connection = wasmtime_wasi::runtime::spawn(async move {
            let result = connection.await.map_err(Error::from);
            drop((permit, descriptor, charge));
            result
        });
        // The scheme and the authority are for proxies only.
        *request.uri_mut() = origin_form(request.uri());
        let mut response = timeout(times.first_byte, sender.send_request(request))
            .await
            .map_err(|_elapsed| Error::ConnectionReadTimeout)??;
        made_own(response.headers_mut());
        // What a server said beside its status is there as received, too.
        response.extensions_mut().clear();
        let charge = self.charge_response(&response)?;
        let response =
            response.map(|body| TimedBody::new(body, times.between_bytes, charge).boxed_unsync());
        Ok((response, Box::new(connection)))
    }

    fn times(&self, options: Option<RequestOptions>) -> Times {
        let within = |wish: Option<Duration>| wish.unwrap_or(self.timeout).min(self.timeout);
        Times {
            connect: within(options.and_then(|options| options.connect_timeout)),
            first_byte: within(options.and_then(|options| options.first_byte_timeout)),
            between_bytes: within(options.and_then(|options| options.between_bytes_timeout)),
        }
    }

    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, Error> {
        let mut last = Error::DestinationNotFound;
        for address in resolve(&self.reach, target).await? {
            let address = match self.reach.destination(Protocol::Tcp, address) {
                Ok(address) => address,
                Err(Unreachable::Forbidden) => {
                    last = Error::DestinationIpProhibited;
                    continue;
                }
                Err(Unreachable::Refused) => {
                    last = Error::Connect(io::ErrorKind::ConnectionRefused.into());
                    continue;
                }
            };
            match open(&self.reach, address).await {
                Ok(stream) => return secure(stream, target).await,
                Err(error) => last = Error::Connect(error),
            }
        }
        Err(last)
    }
}

fn no_room(what: &str) -> Error {
    let message = format!("the container's memory limit has no room for the {what}");
    Error::InternalError(Some(message))
}

/// Headers are received as pieces of one buffer, which each of them keeps whole. These are cut out of it.
fn made_own(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let sensitive = value.is_sensitive();
        if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = own;
            value.set_sensitive(sensitive);
        }
    }
}

struct Target {
    host: String,
    port: u16,
    tls: bool,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { host, port, tls })
    }
}

async fn resolve(reach: &Reach, target: &Target) -> Result<Vec<SocketAddr>, Error> {
    let found = lookup::resolve(reach, &target.host).await;
    let error = |error: LookupError| Error::DnsError {
        rcode: Some(error.to_string()),
        info_code: None,
    };
    let addresses = found.map_err(error)?;
    Ok(addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, target.port))
        .collect())
}

/// Connects, from the container's own address where it has one that can be answered there.
async fn open(reach: &Reach, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = reach.source(address.ip()) {
        // Without this each port would rest for a minute after its connection.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

async fn secure(stream: TcpStream, target: &Target) -> Result<Box<dyn Stream>, Error> {
    if !target.tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(target.host.clone())?;
    let connector = tokio_rustls::TlsConnector::from(TLS.clone());
    let stream = connector.connect(name, stream).await.map_err(Error::Tls)?;
    Ok(Box::new(stream))
}

/// The path and query alone. An empty path is sent as `/`: hyper would send nothing in its place.
fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().filter(|path| path.as_str() != "/");
    path.cloned().map_or_else(Uri::default, Uri::from)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A body that fails when nothing comes for too long.
struct TimedBody {
    body: Incoming,
    timeout: Duration,
    silence: Pin<Box<Sleep>>,
    _charge: Charge,
}

impl TimedBody {
    fn new(body: Incoming, timeout: Duration, charge: Charge) -> Self {
        TimedBody {
            body,
            timeout,
            silence: Box::pin(tokio::time::sleep(timeout)),
            _charge: charge,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let deadline = Instant::now() + self.timeout;
            self.silence.as_mut().reset(deadline);
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        self.silence
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::{CpuLimits, EngineConfig, OutputSink};
    use http_body_util::{Empty, Full};
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    struct Nowhere;

    #[async_trait::async_trait]
    impl OutputSink for Nowhere {
        async fn write(&self, _data: Bytes) {}
    }

    fn request(
        body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
    ) -> Request<WasiBody> {
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let request = Request::get("http://example.com/");
        request.body(body).expect("valid")
    }

    /// A container of so much memory, whose requests go nowhere but to the host.
    fn outgoing(memory: u64) -> (Outgoing, Arc<Meter>) {
        let sink = Arc::new(Nowhere);
        let mut spec = ContainerSpec::new("x", sink.clone(), sink);
        spec.network = Network::Host;
        let reach = Reach::new(&spec, &EngineConfig::new("unused"));
        let meter = Arc::new(Meter::new(memory, CpuLimits::default()));
        let outgoing = Outgoing::new(&spec, reach, FileBudget::of_process(), meter.clone());
        (outgoing, meter)
    }

    #[tokio::test]
    async fn requests_under_way_are_memory_of_their_container() {
        let (mut outgoing, meter) = outgoing(100 << 10);
        let mut send = |request| outgoing.send_request(request, None, Box::new(async { Ok(()) }));
        let waiting: Vec<_> = (0..5).map(|_| send(request(Empty::new()))).collect();
        assert!(meter.memory() >= 5 * PER_REQUEST as u64);
        let full = Pin::from(send(request(Full::new(Bytes::from_static(b"x"))))).await;
        assert!(matches!(full, Err(Error::InternalError(Some(_)))));
        drop(waiting);
        assert_eq!(meter.memory(), 0);
    }

    #[tokio::test]
    async fn a_response_is_memory_of_its_container_until_it_is_dropped() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let uri = format!("http://{}/", server.local_addr().expect("bound"));
        let serve = async move {
            let (mut stream, _) = server.accept().await.expect("a connection");
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("a request");
            let value = "x".repeat(10_000);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: {value}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.expect("read");
        };
        let (mut outgoing, meter) = outgoing(1 << 20);
        let mut request = request(Empty::new());
        *request.uri_mut() = uri.parse().expect("valid");
        let send = outgoing.send_request(request, None, Box::new(async { Ok(()) }));
        let (sent, ()) = tokio::join!(Pin::from(send), serve);
        let (response, connection) = sent.expect("it is answered");
        // However it ended.
        let _over = Pin::from(connection).await;
        assert!(meter.memory() > 10_000);
        drop(response);
        assert_eq!(meter.memory(), 0);
    }

    #[test]
    fn a_received_header_keeps_no_others() {
        let buffer = Bytes::from_static(b"one,two");
        let value = HeaderValue::from_maybe_shared(buffer.slice(4..)).expect("valid");
        let mut headers = HeaderMap::new();
        headers.insert("x", value);
        made_own(&mut headers);
        assert_eq!(headers["x"], "two");
        assert!(
            !buffer
                .as_ptr_range()
                .contains(&headers["x"].as_bytes().as_ptr())
        );
    }
}
