//! TLS of the kubelet API, and who the peer is.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::FromDer as _;

use crate::config::ServingIdentity;

/// The peer, by its certificate. The chain was checked in the handshake.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Caller {
    Anonymous,
    Known { user: String, groups: Vec<String> },
}

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{part}: not PEM")]
    Pem {
        part: &'static str,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("the client CA holds no certificate")]
    NoClientCa,
    #[error("client CA")]
    ClientCa(#[source] rustls::Error),
    #[error("client certificate rules")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("certificate and key")]
    Identity(#[source] rustls::Error),
}

#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(super) fn new(identity: &ServingIdentity) -> Result<Tls, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&identity.certificate_pem, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|source| {
            TlsError::Pem {
                part: "key",
                source,
            }
        })?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&identity.client_ca_pem, "client CA")? {
            roots.add(root).map_err(TlsError::ClientCa)?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoClientCa);
        }
        // Without a certificate the handshake goes on, so that the answer can be a clear 401.
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Identity)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(TlsError::Identity)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    pub(super) async fn accept(
        &self,
        socket: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Caller)> {
        let stream = self.acceptor.accept(socket).await?;
        let peer = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first());
        let caller = peer
            .and_then(|leaf| caller(leaf.as_ref()))
            .unwrap_or(Caller::Anonymous);
        Ok((stream, caller))
    }
}

fn certificates(pem: &str, part: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { part, source })
}

/// Common name and organisations: Kubernetes' user and groups.
fn caller(der: &[u8]) -> Option<Caller> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .map(str::to_owned);
    Some(Caller::Known {
        user,
        groups: groups.collect(),
    })
}
