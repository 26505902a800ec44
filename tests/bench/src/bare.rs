//! The least a server on this machine can do for a get: read the request, write an answer of the same length, over TLS.
//! What a server of Kubernetes reaches is to be compared with this, measured by the same client in the same run.

use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::connection::Endpoint;

/// The end of a request without a body.
const END: &[u8] = b"\r\n\r\n";
/// Longer requests are not read.
const REQUEST: usize = 8 * 1024;

/// A server with as many threads as there are processors. It ends when this is dropped.
pub(crate) struct Bare {
    pub(crate) endpoint: Endpoint,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Bare {
    /// Answers every request with so many bytes.
    pub(crate) fn start(length: usize) -> anyhow::Result<Self> {
        let name = "127.0.0.1".to_owned();
        let own = rcgen::generate_simple_self_signed([name.clone()])?;
        let certificate = own.cert.der().clone();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der());
        let key = key.map_err(|error| anyhow::anyhow!("{error}"))?;
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = std::net::TcpListener::bind((name.as_str(), 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let answer: Arc<[u8]> = answer(length).into();
        runtime.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer) = (tls.clone(), Arc::clone(&answer));
                // Ends when the client does.
                tokio::spawn(async move { serve(stream, tls, &answer).await.ok() });
            }
        });
        let url = format!("https://{name}:{port}").parse();
        let mut config = kube::Config::new(url.context("an address")?);
        config.root_cert = Some(vec![certificate.to_vec()]);
        Ok(Self {
            endpoint: Endpoint::new(&config)?,
            runtime: Some(runtime),
        })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // A runtime cannot wait for its end inside another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// With the headers a Kubernetes API sends.
fn answer(length: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\naudit-id: 00000000-0000-0000-0000-000000000000\r\n\
         cache-control: no-cache, private\r\ncontent-length: {length}\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + length, b'x');
    answer
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tls.accept(stream).await?;
    let mut request = Vec::with_capacity(REQUEST);
    while request.len() < REQUEST {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
        if request.ends_with(END) {
            request.clear();
            stream.write_all(answer).await?;
            stream.flush().await?;
        }
    }
    Ok(())
}
