//! TLS: which certificate is shown, and which client certificates count.
//!
//! The handshake accepts any client certificate whose key the client holds: one from a foreign authority must end in a
//! 401 the user can read, not in a broken connection. Whether it says who the client is, `Trust::user` decides.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pki::Issued;
use crate::user::UserInfo;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("reading a certificate or key")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("using a certificate or key")]
    Key(#[from] rustls::Error),
    #[error("trusting the authority")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The server's certificate, replaceable while connections are accepted.
#[derive(Debug)]
pub(crate) struct Identity(RwLock<Arc<CertifiedKey>>);

impl Identity {
    pub(crate) fn new(issued: &Issued) -> Result<Arc<Identity>, TlsError> {
        Ok(Arc::new(Identity(RwLock::new(certified(issued)?))))
    }

    pub(crate) fn replace(&self, issued: &Issued) -> Result<(), TlsError> {
        *self.0.write() = certified(issued)?;
        Ok(())
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

fn certified(issued: &Issued) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes())?;
    Ok(Arc::new(CertifiedKey::from_der(
        chain,
        key,
        &ring::default_provider(),
    )?))
}

/// What a connection's client certificate says.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// None was shown.
    Nobody,
    /// A valid one, and the time (seconds since 1970) at which it ends: a connection may last longer.
    User(Arc<UserInfo>, i64),
    /// One that does not count, and why.
    Refused(Arc<str>),
}

/// The authority client certificates must come from.
pub(crate) struct Trust(Arc<dyn ClientCertVerifier>);

impl Trust {
    pub(crate) fn new(ca_pem: &str) -> Result<Trust, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots(ca_pem)?),
            Arc::new(ring::default_provider()),
        )
        .build()?;
        Ok(Trust(verifier))
    }

    /// Whom the chain a client showed stands for: CN is the user, each O a group.
    pub(crate) fn peer(&self, chain: Option<&[CertificateDer<'_>]>) -> Peer {
        let Some([leaf, intermediates @ ..]) = chain else {
            return Peer::Nobody;
        };
        if let Err(error) = self
            .0
            .verify_client_cert(leaf, intermediates, UnixTime::now())
        {
            return Peer::Refused(error.to_string().into());
        }
        let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
            return Peer::Refused("the certificate cannot be parsed".into());
        };
        let subject = certificate.subject();
        let Some(name) = subject
            .iter_common_name()
            .find_map(|name| name.as_str().ok())
        else {
            return Peer::Refused("the certificate names no user".into());
        };
        let groups = subject
            .iter_organization()
            .filter_map(|group| group.as_str().ok());
        let until = certificate.validity().not_after.timestamp();
        let user = UserInfo::new(name, groups.map(str::to_owned));
        Peer::User(Arc::new(user), until)
    }
}

pub(crate) fn roots(ca_pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

/// The settings every accepted connection shares.
pub(crate) fn server_config(
    identity: Arc<Identity>,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyHolder(provider)))
        .with_cert_resolver(identity);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts every certificate the client proves to hold the key of.
#[derive(Debug)]
struct AnyHolder(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyHolder {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
