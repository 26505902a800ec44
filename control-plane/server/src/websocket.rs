//! What is sent over a WebSocket: watches and logs, for browsers and what lives in them.

use axum::extract::FromRequestParts;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderValue;
use sampan_api::status::Status;

use crate::api::{Answer, Call, Result};
use crate::authn::protocols;

/// Clients have nothing to say, so their messages are small and ignored.
const MAX_MESSAGE: usize = 4096;
/// Protocols of byte streams: messages of bytes, or of their base64.
const BINARY: &str = "binary.k8s.io";
const BASE64: &str = "base64.binary.k8s.io";

/// Answers with 101 and sends messages until they end or the client goes away.
pub(crate) async fn upgrade(
    call: &mut Call,
    messages: impl Stream<Item = Vec<Message>> + Send + 'static,
) -> Answer {
    // A browser that offered a protocol goes away unless one is chosen.
    let protocol = protocols(&call.parts.headers).next().map(str::to_owned);
    accept(call, protocol.as_deref(), messages).await
}

/// The same for a stream of bytes.
pub(crate) async fn upgrade_bytes(
    call: &mut Call,
    bytes: impl Stream<Item = std::result::Result<Bytes, axum::Error>> + Send + 'static,
) -> Answer {
    let protocol = protocol_of_bytes(call)?;
    let base64 = protocol == Some(BASE64);
    let message = move |bytes: &Bytes| match base64 {
        true => Message::Text(STANDARD.encode(bytes).into()),
        false => Message::Binary(bytes.clone()),
    };
    // The empty first message says that the stream is open.
    let first = message(&Bytes::new());
    let messages = futures::stream::iter([vec![first]]).chain(
        bytes
            .take_while(|piece| std::future::ready(piece.is_ok()))
            .filter_map(|piece| std::future::ready(piece.ok()))
            .map(move |piece| vec![message(&piece)]),
    );
    accept(call, protocol, messages).await
}

fn protocol_of_bytes(call: &Call) -> Result<Option<&'static str>> {
    let mut offered = protocols(&call.parts.headers).peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    let known =
        offered.find_map(|offered| [BINARY, BASE64].into_iter().find(|known| *known == offered));
    match known {
        Some(known) => Ok(Some(known)),
        None => Err(Status::bad_request(format!(
            "requested protocols are not supported; supports {BINARY}, {BASE64}"
        ))),
    }
}

async fn accept(
    call: &mut Call,
    protocol: Option<&str>,
    messages: impl Stream<Item = Vec<Message>> + Send + 'static,
) -> Answer {
    let slot = call.api.in_flight.watch(&call.api.limits)?;
    let mut upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &())
        .await
        .map_err(|rejection| Status::bad_request(rejection.body_text()))?
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    if let Some(protocol) = protocol.and_then(|protocol| HeaderValue::from_str(protocol).ok()) {
        upgrade.set_selected_protocol(protocol);
    }
    let held = (slot, call.api.upgraded.token());
    // It streams: it is not for the thread the connection was on.
    let _entered = call.api.runtime.enter();
    let response: Response = upgrade.on_upgrade(move |socket| async move {
        send(socket, Box::pin(messages)).await;
        drop(held);
    });
    Ok(response)
}

async fn send(mut socket: WebSocket, mut messages: impl Stream<Item = Vec<Message>> + Unpin) {
    loop {
        let next = tokio::select! {
            biased;
            received = socket.recv() => match received {
                None | Some(Err(_)) => return,
                // The library answers pings, and a farewell before it ends the connection.
                Some(Ok(_)) => continue,
            },
            next = messages.next() => next,
        };
        let Some(batch) = next else {
            // The client may be gone already.
            let _ = socket.send(Message::Close(None)).await;
            return;
        };
        for message in batch {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

/// A message of text that is known to be some.
pub(crate) fn text(bytes: Bytes) -> Option<Message> {
    match Utf8Bytes::try_from(bytes) {
        Ok(text) => Some(Message::Text(text)),
        Err(error) => {
            tracing::error!(%error, "a message is no text");
            None
        }
    }
}
