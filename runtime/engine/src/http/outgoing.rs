//! HTTP requests that guests send: whether they may, where they may go, and for how long.
//!
//! A pod reaches the network unless told otherwise, so this is allowed by default; forbidding it is one flag of the
//! specification. What a guest never reaches is the host's loopback, other pods' addresses in it apart: its `localhost`
//! is its own container's address, and without one there is none. Names are resolved here and the connection made to an address that was checked.

use crate::files::FileBudget;
use crate::{ContainerSpec, EngineConfig};
use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Requests one container may have on their way at once; further ones wait.
const MAX_REQUESTS: usize = 64;

/// Name look-ups under way for all guests together. They use the threads that also serve guests' files.
const MAX_LOOKUPS: usize = 16;

static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

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
    localhost: Option<IpAddr>,
    pods: Option<(Ipv4Addr, u8)>,
    timeout: Duration,
    requests: Arc<Semaphore>,
    budget: Arc<FileBudget>,
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
        config: &EngineConfig,
        budget: Arc<FileBudget>,
    ) -> Self {
        let own = spec
            .listen
            .iter()
            .map(SocketAddr::ip)
            .find(|ip| !ip.is_unspecified());
        Outgoing {
            rules: Arc::new(Rules {
                allowed: spec.http.allow_outgoing,
                localhost: own,
                pods: config.pod_addresses,
                timeout: spec.http.outgoing_timeout,
                requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
                budget,
            }),
        }
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let rules = self.rules.clone();
        Box::new(async move { rules.send(request, options).await })
    }
}

/// The guest's wishes for time, within what the container allows.
struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Rules {
    async fn send(&self, mut request: Request<WasiBody>, options: Option<RequestOptions>) -> Sent {
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
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = wasmtime_wasi::runtime::spawn(async move {
            let result = connection.await.map_err(Error::from);
            drop((permit, descriptor));
            result
        });
        // The scheme and the authority are for proxies only.
        *request.uri_mut() = origin_form(request.uri());
        let response = timeout(times.first_byte, sender.send_request(request))
            .await
            .map_err(|_elapsed| Error::ConnectionReadTimeout)??;
        let response =
            response.map(|body| TimedBody::new(body, times.between_bytes).boxed_unsync());
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
        for address in resolve(target).await? {
            let Some(address) = destination(address, self.localhost, self.pods) else {
                last = Error::DestinationIpProhibited;
                continue;
            };
            match TcpStream::connect(address).await {
                Ok(stream) => return secure(stream, target).await,
                Err(error) => last = Error::Connect(error),
            }
        }
        Err(last)
    }
}

/// Where a connection to an address goes: the guest's localhost is its own container, and of the host's loopback only
/// pods are there.
fn destination(
    mut address: SocketAddr,
    own: Option<IpAddr>,
    pods: Option<(Ipv4Addr, u8)>,
) -> Option<SocketAddr> {
    let ip = address.ip().to_canonical();
    let localhost = ip == IpAddr::V4(Ipv4Addr::LOCALHOST);
    if localhost || (ip.is_loopback() && ip.is_ipv6()) || ip.is_unspecified() {
        address.set_ip(own?);
        return Some(address);
    }
    let reachable = match ip {
        IpAddr::V4(ip) if ip.is_loopback() => {
            own == Some(IpAddr::V4(ip)) || pods.is_some_and(|pods| holds(pods, ip))
        }
        _ => true,
    };
    reachable.then_some(address)
}

/// Whether an address is in a block. A prefix longer than an address is none.
fn holds((first, prefix_len): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    let Some(rest) = 32_u32.checked_sub(u32::from(prefix_len)) else {
        return false;
    };
    let prefix = |address: Ipv4Addr| address.to_bits().checked_shr(rest);
    prefix(first) == prefix(address)
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

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, target.port)]);
    }
    let _permit = LOOKUPS
        .acquire()
        .await
        .map_err(|_closed| Error::DnsTimeout)?;
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let error = |error: io::Error| Error::DnsError {
        rcode: Some(error.to_string()),
        info_code: None,
    };
    Ok(found.map_err(error)?.collect())
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

fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map_or_else(Uri::default, Uri::from)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A body that fails when nothing comes for too long.
struct TimedBody {
    body: Incoming,
    timeout: Duration,
    silence: Pin<Box<Sleep>>,
}

impl TimedBody {
    fn new(body: Incoming, timeout: Duration) -> Self {
        TimedBody {
            body,
            timeout,
            silence: Box::pin(tokio::time::sleep(timeout)),
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

    #[test]
    fn of_the_loopback_range_only_pods_are_reached() {
        let own = "127.64.0.9";
        let pods = (Ipv4Addr::new(127, 64, 0, 0), 18);
        // Address, where it leads for a container with an address, and for one without or without pods.
        let cases = [
            ("127.0.0.1:80", Some("127.64.0.9:80"), None),
            ("[::1]:80", Some("127.64.0.9:80"), None),
            ("0.0.0.0:80", Some("127.64.0.9:80"), None),
            ("[::]:80", Some("127.64.0.9:80"), None),
            ("[::ffff:127.0.0.1]:80", Some("127.64.0.9:80"), None),
            ("127.64.0.9:80", Some("127.64.0.9:80"), None),
            ("127.64.0.3:80", Some("127.64.0.3:80"), None),
            ("127.64.63.255:80", Some("127.64.63.255:80"), None),
            (
                "[::ffff:127.64.0.3]:80",
                Some("[::ffff:127.64.0.3]:80"),
                None,
            ),
            ("127.64.64.0:80", None, None),
            ("127.63.255.255:80", None, None),
            ("127.0.0.2:80", None, None),
            ("127.0.0.53:53", None, None),
            ("127.255.255.255:80", None, None),
            ("[::ffff:127.0.0.53]:53", None, None),
            ("10.0.0.1:80", Some("10.0.0.1:80"), Some("10.0.0.1:80")),
            (
                "[2001:db8::1]:80",
                Some("[2001:db8::1]:80"),
                Some("[2001:db8::1]:80"),
            ),
        ];
        let own = Some(own.parse().expect("an address"));
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (given, with, without) in cases {
            let given = parse(given);
            assert_eq!(
                destination(given, own, Some(pods)),
                with.map(parse),
                "{given}"
            );
            assert_eq!(
                destination(given, None, None),
                without.map(parse),
                "{given}"
            );
        }
    }

    #[test]
    fn blocks_hold_what_has_their_prefix() {
        for (prefix_len, address, expected) in [
            (32, [127, 64, 0, 0], true),
            (32, [127, 64, 0, 1], false),
            (10, [127, 127, 255, 255], true),
            (10, [127, 128, 0, 0], false),
            (0, [10, 0, 0, 1], true),
            (33, [127, 64, 0, 0], false),
        ] {
            let block = (Ipv4Addr::new(127, 64, 0, 0), prefix_len);
            assert_eq!(
                holds(block, address.into()),
                expected,
                "{prefix_len} {address:?}"
            );
        }
    }
}
