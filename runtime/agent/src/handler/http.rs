//! One GET over a connection of its own, as the kubelet makes them: certificates are not checked, redirects are
//! followed only while they stay on the same host.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue, MaxSizeReached};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::HttpTarget;
use crate::agent::with_causes;

/// Bytes of an answer's body that are read.
pub(crate) const BODY_MAX: usize = 10 << 10;

/// Redirects followed, as Go's client bounds them.
const REDIRECTS_MAX: usize = 10;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The start of the body.
    pub(crate) body: Vec<u8>,
}

/// Asks, and follows where the answer leads on the same host. Takes as long as it takes: the caller bounds it.
pub(crate) async fn get(target: &HttpTarget, user_agent: &str) -> Result<Answer, String> {
    let mut target = target.clone();
    for _ in 0..=REDIRECTS_MAX {
        let (answer, location) = get_once(&target, user_agent).await?;
        let next = location.and_then(|location| redirected(&target, answer.status, &location));
        match next {
            Some(next) => target = next,
            None => return Ok(answer),
        }
    }
    Err(format!(
        "Get {:?}: stopped after {REDIRECTS_MAX} redirects",
        target.url()
    ))
}

async fn get_once(
    target: &HttpTarget,
    user_agent: &str,
) -> Result<(Answer, Option<String>), String> {
    let failed =
        |error: &dyn std::error::Error| format!("Get {:?}: {}", target.url(), with_causes(error));
    let request = request(target, user_agent)?;
    let connected = TcpStream::connect((target.host.as_str(), target.port)).await;
    let stream = connected.map_err(|error| {
        format!(
            "Get {:?}: dial tcp {}: {}",
            target.url(),
            target.authority(),
            super::unconnected(&error)
        )
    })?;
    if !target.tls {
        return exchange(stream, request)
            .await
            .map_err(|error| failed(&error));
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(&error))?;
    let stream = connector().connect(name, stream).await;
    let stream = stream.map_err(|error| failed(&error))?;
    exchange(stream, request)
        .await
        .map_err(|error| failed(&error))
}

fn request(target: &HttpTarget, user_agent: &str) -> Result<Request<Empty<Bytes>>, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|error| error.to_string())?;
        // A pod may have more than fit: the plain function panics then.
        let added = headers.try_append(name, value);
        added.map_err(|error| error.to_string())?;
    }
    let mut or_else = |name: HeaderName, value: &str| {
        if !headers.contains_key(&name)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.try_insert(name, value)?;
        }
        Ok(())
    };
    let made = or_else(header::HOST, &target.authority())
        .and_then(|()| or_else(header::USER_AGENT, user_agent))
        .and_then(|()| or_else(header::ACCEPT, "*/*"))
        .and_then(|()| or_else(header::CONNECTION, "close"));
    made.map_err(|error: MaxSizeReached| error.to_string())?;
    let request = Request::get(target.path.as_str()).body(Empty::new());
    let mut request = request.map_err(|error| error.to_string())?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<(Answer, Option<String>), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        let response = sender.send_request(request).await?;
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let status = response.status().as_u16();
        let body = start(response.into_body()).await?;
        Ok::<_, hyper::Error>((Answer { status, body }, location))
    };
    let mut asked = std::pin::pin!(asked);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut asked => answer,
        // The connection can end before the answer is read out of it.
        _ended = &mut connection => asked.await,
    }
}

/// The start of a body. The rest is not read: the connection ends with it.
async fn start(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < BODY_MAX
        && let Some(frame) = body.frame().await
    {
        if let Some(data) = frame?.data_ref() {
            let room = BODY_MAX - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(bytes)
}

/// Where a redirect leads, if it leads to the same host.
fn redirected(target: &HttpTarget, status: u16, location: &str) -> Option<HttpTarget> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let uri: hyper::Uri = location.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let Some(host) = uri.host() else {
        return path.starts_with('/').then(|| HttpTarget {
            path: path.to_owned(),
            ..target.clone()
        });
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tls = uri.scheme_str() == Some("https");
    (host == target.host).then(|| HttpTarget {
        tls,
        port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        path: path.to_owned(),
        ..target.clone()
    })
}

fn connector() -> TlsConnector {
    static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
    let made = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    };
    CONNECTOR.get_or_init(made).clone()
}

/// Pods make their own certificates: like the kubelet, hooks and probes accept any.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_headers_than_fit_are_an_error() {
        let target = |headers: usize| HttpTarget {
            tls: false,
            host: "10.0.0.1".into(),
            port: 8080,
            path: "/".into(),
            headers: (0..headers)
                .map(|at| (format!("x-{at}"), String::new()))
                .collect(),
        };
        let made = request(&target(1), "test").unwrap();
        assert_eq!(made.headers().len(), 5);
        for headers in [24_576, 40_000] {
            request(&target(headers), "test").unwrap_err();
        }
    }

    #[test]
    fn redirects_stay_on_the_host() {
        let target = HttpTarget {
            tls: false,
            host: "10.0.0.1".into(),
            port: 8080,
            path: "/a".into(),
            headers: Vec::new(),
        };
        let check = |status: u16, location: &str, expect: Option<&str>| {
            let next = redirected(&target, status, location).map(|target| target.url());
            assert_eq!(next.as_deref(), expect, "{location}");
        };
        check(302, "/b?c", Some("http://10.0.0.1:8080/b?c"));
        check(301, "http://10.0.0.1:81/", Some("http://10.0.0.1:81/"));
        check(307, "https://10.0.0.1", Some("https://10.0.0.1:443/"));
        check(302, "http://10.0.0.2:8080/", None);
        check(200, "/b", None);
        check(304, "/b", None);
        check(302, "not a uri", None);
    }
}
