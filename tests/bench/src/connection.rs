//! One HTTP/1.1 connection to the API, as thin as it gets: the client must not be what is measured.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kube::client::ConfigExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: TlsConnector,
}

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Endpoint {
    pub(crate) fn new(config: &kube::Config) -> anyhow::Result<Self> {
        let mut tls = config.rustls_client_config()?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = config
            .cluster_url
            .host()
            .context("the cluster URL has no host")?
            .to_string();
        let port = config.cluster_url.port_u16().unwrap_or(443);
        Ok(Self {
            host,
            port,
            tls: TlsConnector::from(Arc::new(tls)),
        })
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let name = rustls::pki_types::ServerName::try_from(self.host.clone())?;
        let stream = self.tls.connect(name, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection {
            sender,
            host: self.host.clone(),
        })
    }
}

impl Connection {
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<http::Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, "sampan-bench")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// A request whose answer must have this status; returns the length of its body. The body is counted and let go, so
    /// that it is not the client's memory that is measured.
    pub(crate) async fn expect(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        status: StatusCode,
    ) -> anyhow::Result<usize> {
        let response = self.send(method, path, body).await?;
        let found = response.status();
        let mut body = response.into_body();
        if found != status {
            let body = body.collect().await?.to_bytes();
            bail!("{path}: {found}: {}", String::from_utf8_lossy(&body));
        }
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok(length)
    }
}
