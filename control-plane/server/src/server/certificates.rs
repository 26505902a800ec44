//! What the certificates of this server, its agents and its administrator say.

use std::net::SocketAddr;

use crate::config::ServerConfig;
use crate::pki::CertificateRequest;
use crate::user::{MASTERS, NODE_PREFIX, NODES, UserInfo};

/// The administrator of the written kubeconfig.
pub(super) fn admin_certificate() -> CertificateRequest {
    CertificateRequest::client(UserInfo::admin().name, Some(MASTERS))
}

/// Says to agents that it is the server who asks for logs.
pub(super) fn kubelet_certificate() -> CertificateRequest {
    CertificateRequest::client("kube-apiserver", Some(MASTERS))
}

/// An agent is a client of the server, and serves its kubelet API with the same certificate.
pub(super) fn agent_certificate(node: &str) -> CertificateRequest {
    let names = [node, "localhost", "127.0.0.1"].map(str::to_owned);
    let mut request = CertificateRequest::server(format!("{NODE_PREFIX}{node}"), names);
    request.organization = Some(NODES.to_owned());
    request
}

/// Every name the server is reached by.
pub(super) fn server_certificate(config: &ServerConfig, addr: SocketAddr) -> CertificateRequest {
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(config.service_ip().to_string());
    if !addr.ip().is_unspecified() {
        names.push(addr.ip().to_string());
    }
    names.push(config.node_name.clone());
    names.extend(config.advertise.iter().cloned());
    names.sort();
    names.dedup();
    CertificateRequest::server("kube-apiserver", names)
}
