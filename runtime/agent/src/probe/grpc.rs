//! gRPC's health check, `grpc.health.v1.Health/Check`: one call over HTTP/2 without TLS, as the kubelet makes it.
//!
//! The two messages are a string and a number, so they are written here; a gRPC client for them would be the largest
//! part of the agent.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::agent::with_causes;

/// Bytes of an answer: its one message has two.
const ANSWER_MAX: usize = 1 << 10;

/// `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// Asks the server at an address whether a service serves.
pub(super) async fn check(
    ip: &str,
    port: u16,
    service: &str,
    user_agent: &str,
) -> Result<(), String> {
    let address = format!("{ip}:{port}");
    let unconnected = |error: &dyn std::error::Error| {
        let why = with_causes(error);
        format!("timeout: failed to connect service {address:?}: {why}")
    };
    let stream = TcpStream::connect((ip, port)).await;
    let stream = TokioIo::new(stream.map_err(|error| unconnected(&error))?);
    let handshake = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.map_err(|error| unconnected(&error))?;
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", user_agent)
        .body(Full::new(message(service)))
        .map_err(|error| error.to_string())?;
    let asked = async move {
        let response = sender.send_request(request).await?;
        let (head, mut body) = response.into_parts();
        let mut status = grpc_status(&head.headers);
        let mut bytes = Vec::new();
        while bytes.len() < ANSWER_MAX
            && let Some(frame) = body.frame().await
        {
            let frame = frame?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            } else if let Some(trailers) = frame.trailers_ref() {
                status = grpc_status(trailers).or(status);
            }
        }
        Ok::<_, hyper::Error>((status, bytes))
    };
    let mut asked = std::pin::pin!(asked);
    let mut connection = std::pin::pin!(connection);
    let answered = tokio::select! {
        answered = &mut asked => answered,
        _ended = &mut connection => asked.await,
    };
    let (status, bytes) =
        answered.map_err(|error| format!("rpc failed: {}", with_causes(&error)))?;
    judge(status.as_deref(), &bytes)
}

fn grpc_status(headers: &hyper::HeaderMap) -> Option<String> {
    let value = headers.get("grpc-status")?;
    value.to_str().ok().map(str::to_owned)
}

/// `HealthCheckRequest`: the service is field 1; the frame is a flag and a length before it.
fn message(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.unsplit(message);
    frame.freeze()
}

/// What a status and a body say.
fn judge(status: Option<&str>, body: &[u8]) -> Result<(), String> {
    match status {
        Some("0") => {}
        Some("12") => {
            let why = "error: this server does not implement the grpc health protocol";
            return Err(format!("{why} (grpc.health.v1.Health)"));
        }
        Some(other) => return Err(format!("error: health rpc failed with grpc-status {other}")),
        None => return Err("error: the server does not speak gRPC".to_owned()),
    }
    // Flag and length, then field 1 as a number; absent means 0, unknown.
    let serving = match body.get(5..7) {
        Some([0x08, number]) => u64::from(*number),
        _ => 0,
    };
    match serving {
        SERVING => Ok(()),
        2 => Err("service unhealthy (responded with \"NOT_SERVING\")".to_owned()),
        3 => Err("service unhealthy (responded with \"SERVICE_UNKNOWN\")".to_owned()),
        _ => Err("service unhealthy (responded with \"UNKNOWN\")".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_service() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = "x".repeat(300);
        assert_eq!(&message(&long)[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn only_serving_is_well() {
        let body = |status: u8| [0, 0, 0, 0, 2, 8, status];
        assert_eq!(judge(Some("0"), &body(1)), Ok(()));
        for (status, body, text) in [
            (Some("0"), &body(2)[..], "NOT_SERVING"),
            (Some("0"), &body(3), "SERVICE_UNKNOWN"),
            (Some("0"), &[0, 0, 0, 0, 0], "UNKNOWN"),
            (Some("5"), &[], "grpc-status 5"),
            (Some("12"), &[], "does not implement"),
            (None, &[], "does not speak gRPC"),
        ] {
            let error = judge(status, body).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
