//! Registries over TLS, with a certificate authority of one's own.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sampan_image::{Image, ImageStore, PullError, Registry};
use tokio_rustls::TlsAcceptor;

use crate::client::{http, push};
use crate::fixtures::*;

/// An authority and a server certificate of it for 127.0.0.1.
fn certificates() -> (String, rustls::ServerConfig) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap();
    (authority.pem(), config)
}

/// A registry with `library/app:v1` over TLS; gives its address and its authority.
async fn start(dir: &std::path::Path) -> (String, String, Server) {
    http();
    let registry = Registry::open(dir).unwrap();
    push(
        &serve(registry.router()).await,
        "library/app",
        "v1",
        &module("secure"),
    )
    .await;
    let (authority, config) = certificates();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = registry.router();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else {
                    return;
                };
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (
        format!("https://{address}"),
        authority,
        Server::of(address, task),
    )
}

async fn pull(base: &str, authority: Option<&str>) -> Result<Arc<Image>, PullError> {
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    // A mirror, because loopback hosts themselves are always spoken to in plain HTTP. The origin behind
    // it is a port where nobody listens.
    config
        .mirrors
        .insert("127.0.0.1:1".into(), vec![base.parse().unwrap()]);
    config.extra_ca_pem = authority.map(|pem| pem.as_bytes().to_vec());
    let store = ImageStore::open(config).unwrap();
    store.pull("127.0.0.1:1/library/app:v1", None).await
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (base, authority, _server) = start(dir.path()).await;
    let image = pull(&base, Some(&authority)).await.unwrap();
    assert_eq!(image.repo_tags, ["127.0.0.1:1/library/app:v1"]);
    let error = pull(&base, None).await.unwrap_err();
    assert_eq!(variant(&error), "Unavailable", "{error}");
    // A registry that speaks plain HTTP where TLS is expected is told as such.
    let plain = serve(Registry::open(dir.path().join("plain")).unwrap().router()).await;
    let base = format!("https://{}", plain.address);
    let error = pull(&base, Some(&authority)).await.unwrap_err();
    assert!(error.to_string().contains("insecure registries"), "{error}");
}
