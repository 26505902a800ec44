//! Logs: streamed from the agent that holds them, through the kubelet API of its node.

mod options;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sampan_api::object;
use sampan_api::resource::find as find_resource;
use sampan_api::status::Status;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::api::{Answer, Call, Result};
use crate::authn::is_websocket;
use crate::pki::Issued;
use crate::read::{existing, find};
use crate::request::ResourceTarget;
use crate::respond::parse;
use crate::tls::{TlsError, roots};
use crate::websocket;
use options::{container, log_path, no_stream};

/// A node that does not answer within this is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a kubelet listens unless its node says otherwise.
const DEFAULT_PORT: i64 = 10250;
/// What an agent says about an error is passed on up to this many bytes.
const MAX_ERROR: usize = 64 * 1024;

/// The way to the agents: our authority, and the certificate that says we are the server.
pub(crate) struct Kubelets(RwLock<TlsConnector>);

impl Kubelets {
    pub(crate) fn new(ca_pem: &str, client: &Issued) -> std::result::Result<Kubelets, TlsError> {
        Ok(Kubelets(RwLock::new(connector(ca_pem, client)?)))
    }

    /// Uses another certificate from now on.
    pub(crate) fn replace(
        &self,
        ca_pem: &str,
        client: &Issued,
    ) -> std::result::Result<(), TlsError> {
        *self.0.write() = connector(ca_pem, client)?;
        Ok(())
    }

    async fn get(
        &self,
        node: &Endpoint,
        path: &str,
    ) -> std::result::Result<http::Response<Incoming>, String> {
        let connector = self.0.read().clone();
        let connect = async {
            let stream = TcpStream::connect((node.host.as_str(), node.port))
                .await
                .map_err(|error| error.to_string())?;
            // A node is known by its name, which its certificate carries, not by an address that may change.
            let name =
                ServerName::try_from(node.name.clone()).map_err(|error| error.to_string())?;
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(|error| error.to_string())?;
            http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        let (mut sender, connection) = connected.map_err(|_| "no answer in time".to_owned())??;
        // It lives as long as the answer's body is read.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a node ended");
            }
        });
        let request = Request::get(path)
            .header(HOST, format!("{}:{}", node.host, node.port))
            .body(Body::empty())
            .map_err(|error| error.to_string())?;
        sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())
    }
}

fn connector(ca_pem: &str, client: &Issued) -> std::result::Result<TlsConnector, TlsError> {
    let chain = CertificateDer::pem_slice_iter(client.certificate_pem.as_bytes())
        .collect::<std::result::Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca_pem)?)
        .with_client_auth_cert(chain, key)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

struct Endpoint {
    name: String,
    host: String,
    port: u16,
}

/// GET of `pods/log`.
pub(crate) async fn log(mut call: Call, target: ResourceTarget) -> Answer {
    no_stream(&call, &target)?;
    let pod = parse(&existing(&call.api, &target).await?.object.raw)?;
    let container = container(&pod, call.query.get("container"))?;
    let path = log_path(&call, &target, &container)?;
    let node_name = object::text(&pod, "spec.nodeName");
    if node_name.is_empty() {
        // Nothing runs yet, so there is nothing to show: upstream answers with an empty log too.
        return send(&mut call, Body::empty()).await;
    }
    let node = endpoint(&call, node_name).await?;
    let answer = call.api.kubelets.get(&node, &path).await.map_err(|why| {
        Status::internal(format!(
            "the node {node_name} at {}:{} is not reachable: {why}",
            node.host, node.port
        ))
    })?;
    let (status, body) = (answer.status(), answer.into_body());
    if status.is_success() {
        let body = until_shutdown(&call, body);
        return send(&mut call, body).await;
    }
    let said = crate::content::read_body(Body::new(body), MAX_ERROR).await?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(match status {
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Status::bad_request(said),
        _ => Status::internal(format!("the node {node_name} answered {status}: {said}")),
    })
}

/// A log as plain text, or over a WebSocket.
async fn send(call: &mut Call, log: Body) -> Answer {
    if is_websocket(&call.parts.headers) {
        return websocket::upgrade_bytes(call, log.into_data_stream()).await;
    }
    Ok(text(StatusCode::OK, log))
}

/// A followed log ends when the server stops.
fn until_shutdown(call: &Call, body: Incoming) -> Body {
    use futures::StreamExt;
    let shutdown = call.api.shutdown.clone();
    Body::from_stream(
        Body::new(body)
            .into_data_stream()
            .take_until(shutdown.cancelled_owned()),
    )
}

fn text(code: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

async fn endpoint(call: &Call, name: &str) -> Result<Endpoint> {
    let nodes = find_resource("", "v1", "nodes").ok_or_else(Status::path_not_found)?;
    let node = find(&call.api, nodes, "", name)
        .await?
        .ok_or_else(|| Status::not_found(nodes, name))?;
    let node = parse(&node.object.raw)?;
    let address = |kind: &str| {
        object::items(&node, "status.addresses")
            .iter()
            .find(|address| object::text(address, "type") == kind)
            .map(|address| object::text(address, "address").to_owned())
    };
    let host = ["InternalIP", "Hostname", "ExternalIP"]
        .into_iter()
        .find_map(address);
    let host = host
        .ok_or_else(|| Status::internal(format!("no preferred addresses found for node {name}")))?;
    // The field is spelled with a capital, as upstream has it.
    let said = object::int(&node, "status.daemonEndpoints.kubeletEndpoint.Port");
    let port = said.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
    let port = u16::try_from(port)
        .map_err(|_| Status::internal(format!("node {name} says its port is {port}")))?;
    Ok(Endpoint {
        name: name.to_owned(),
        host,
        port,
    })
}
