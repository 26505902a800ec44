//! Asking a container how it is, once.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, GRPCAction, HTTPGetAction, Probe, TCPSocketAction};
use tokio::net::TcpStream;

use super::{Answer, grpc};
use crate::events::cut;
use crate::handler::target::{HttpTarget, port};
use crate::handler::{http, unconnected};

const USER_AGENT: &str = concat!("kube-probe/", env!("CARGO_PKG_VERSION"));

/// Bytes of an answer that an event shows.
const SHOWN_MAX: usize = 512;

/// Asks a container of a pod at `ip`, for at most the probe's timeout.
pub(crate) async fn run(probe: &Probe, container: &Container, ip: &str) -> Answer {
    let seconds = probe.timeout_seconds.and_then(|s| u64::try_from(s).ok());
    let limit = Duration::from_secs(seconds.unwrap_or(1).max(1));
    if let Some(action) = &probe.http_get {
        return http_get(action, container, ip, limit).await;
    }
    if let Some(action) = &probe.tcp_socket {
        return tcp_socket(action, container, ip, limit).await;
    }
    if let Some(action) = &probe.grpc {
        return grpc_check(action, ip, limit).await;
    }
    if probe.exec.is_some() {
        let why = "this node cannot run commands in containers yet: use httpGet, tcpSocket or grpc";
        return Answer::Error(why.to_owned());
    }
    Answer::Error(format!("missing probe handler for {}", container.name))
}

async fn http_get(
    action: &HTTPGetAction,
    container: &Container,
    ip: &str,
    limit: Duration,
) -> Answer {
    let target = match HttpTarget::of(action, container, ip) {
        Ok(target) => target,
        Err(problem) => return Answer::Error(problem),
    };
    match tokio::time::timeout(limit, http::get(&target, USER_AGENT)).await {
        Ok(Ok(answer)) if (200..400).contains(&answer.status) => Answer::Success,
        Ok(Ok(answer)) => {
            let mut text = format!("HTTP probe failed with statuscode: {}", answer.status);
            let body = String::from_utf8_lossy(&answer.body);
            if !body.trim().is_empty() {
                text.push_str(": ");
                text.push_str(cut(body.trim(), SHOWN_MAX));
            }
            Answer::Failure(text)
        }
        Ok(Err(problem)) => Answer::Failure(problem),
        Err(_) => Answer::Failure(format!(
            "Get {:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            target.url()
        )),
    }
}

async fn tcp_socket(
    action: &TCPSocketAction,
    container: &Container,
    ip: &str,
    limit: Duration,
) -> Answer {
    let port = match port(&action.port, container) {
        Ok(port) => port,
        Err(problem) => return Answer::Error(problem),
    };
    let host = action.host.as_deref().filter(|host| !host.is_empty());
    let host = host.unwrap_or(ip);
    match tokio::time::timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Answer::Success,
        Ok(Err(error)) => {
            Answer::Failure(format!("dial tcp {host}:{port}: {}", unconnected(&error)))
        }
        Err(_) => Answer::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

async fn grpc_check(action: &GRPCAction, ip: &str, limit: Duration) -> Answer {
    let Some(port) = u16::try_from(action.port).ok().filter(|port| *port > 0) else {
        return Answer::Error(format!("invalid port number: {}", action.port));
    };
    let service = action.service.as_deref().unwrap_or_default();
    let asked = grpc::check(ip, port, service, USER_AGENT);
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(())) => Answer::Success,
        Ok(Err(problem)) => Answer::Failure(problem),
        Err(_) => Answer::Failure(format!(
            "timeout: failed to connect service \"{ip}:{port}\" within {limit:?}"
        )),
    }
}
