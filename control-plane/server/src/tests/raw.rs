//! A TLS connection and nothing above it: for clients that do not behave.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The token of the one user there is.
pub(super) const TOKEN: &str = "s3cret";

/// Writes a token file that lets whoever has [`TOKEN`] do everything.
pub(super) fn write_token(dir: &std::path::Path) {
    std::fs::create_dir_all(dir.join("pki")).expect("made");
    let line = format!("{TOKEN},jane,1,system:masters\n");
    std::fs::write(dir.join("pki/tokens.csv"), line).expect("written");
}

/// Settings of a client that speaks HTTP/1.1.
pub(super) fn connector(ca_pem: &str) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(crate::tls::roots(ca_pem).expect("roots"))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Thousands of handshakes with one server need no memory of each other.
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// A connection.
pub(super) struct Raw(pub(super) TlsStream<TcpStream>);

impl Raw {
    pub(super) async fn connect(connector: &TlsConnector, address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).await.expect("connected");
        let name = ServerName::from(address.ip());
        let stream = connector.connect(name, stream).await;
        Raw(stream.expect("a handshake"))
    }

    /// Sends a GET with further header lines, each with its line end.
    pub(super) async fn get(&mut self, path: &str, headers: &str) {
        let authorization = match headers.contains("Authorization") {
            true => String::new(),
            false => format!("Authorization: Bearer {TOKEN}\r\n"),
        };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{headers}\r\n");
        self.0.write_all(request.as_bytes()).await.expect("sent");
        self.0.flush().await.expect("sent");
    }

    /// The head of an answer, up to its empty line.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a head"));
        }
        String::from_utf8(head).expect("text")
    }
}
