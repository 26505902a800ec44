//! One HTTP/1.1 connection to the API, as thin as it gets: the client must not be what is measured. A request is one
//! write, an answer is read into one buffer by the task that waits for it; a general client has a task and two channels
//! between them, which costs as much as the answer.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use http::{Method, StatusCode};
use kube::client::ConfigExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::{Framing, Head};

/// What is read at once.
const PIECE: usize = 32 * 1024;
/// Longer heads of answers are refused.
const MAX_HEAD: usize = 64 * 1024;

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: TlsConnector,
}

pub(crate) struct Connection {
    /// TLS asks for 4 KiB at a time; a list would be ten thousand system calls.
    stream: TlsStream<BufReader<TcpStream>>,
    host: String,
    request: Vec<u8>,
    /// What was read; what lies before `at` was looked at.
    input: Vec<u8>,
    at: usize,
    /// How what is left of the present answer is told apart from the next.
    framing: Framing,
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
        let stream = BufReader::with_capacity(PIECE, stream);
        let stream = self.tls.connect(name, stream).await?;
        Ok(Connection {
            stream,
            host: self.host.clone(),
            request: Vec::new(),
            input: Vec::new(),
            at: 0,
            framing: Framing::Done,
        })
    }
}

impl Connection {
    /// Sends a request and reads the head of its answer. The body is what [`Connection::piece`] returns from then on.
    pub(crate) async fn send(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<StatusCode> {
        use std::io::Write;
        ensure!(
            matches!(self.framing, Framing::Done),
            "{path}: the answer before was not read to its end"
        );
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: sampan-bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.stream.flush().await?;
        loop {
            if let Some(head) = Head::parse(&self.input[self.at..])? {
                self.at += head.length;
                self.framing = head.framing;
                return Ok(head.status);
            }
            ensure!(
                self.input.len() - self.at < MAX_HEAD,
                "{path}: the head of the answer has no end"
            );
            self.read().await?;
        }
    }

    /// The next bytes of the answer's body; none when it is at its end. Nothing is lost when a caller stops waiting.
    pub(crate) async fn piece(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let range = loop {
            if matches!(self.framing, Framing::Done) {
                return Ok(None);
            }
            let (skipped, length) = self.framing.take(&self.input[self.at..])?;
            let start = self.at + skipped;
            self.at = start + length;
            if length > 0 {
                break start..self.at;
            }
            if !matches!(self.framing, Framing::Done) {
                self.read().await?;
            }
        };
        Ok(Some(&self.input[range]))
    }

    /// What is left of the answer's body.
    pub(crate) async fn rest(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// A request whose answer must have this status; returns the length of its body. The body is counted and let go, so
    /// that it is not the client's memory that is measured.
    pub(crate) async fn expect(
        &mut self,
        method: Method,
        path: &str,
        body: &[u8],
        status: StatusCode,
    ) -> anyhow::Result<usize> {
        let found = self.send(&method, path, body).await?;
        if found != status {
            let body = self.rest().await?;
            bail!("{path}: {found}: {}", String::from_utf8_lossy(&body));
        }
        let mut length = 0;
        while let Some(piece) = self.piece().await? {
            length += piece.len();
        }
        Ok(length)
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.reserve(PIECE);
        let read = self.stream.read_buf(&mut self.input).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}
