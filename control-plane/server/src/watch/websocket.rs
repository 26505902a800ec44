//! A watch over a WebSocket, for browsers and what lives in them: an event is a message.

use axum::extract::FromRequestParts;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use sampan_api::status::Status;

use super::frame::{Batch, Framing};
use super::stream::Stream;
use crate::api::{Answer, Call};
use crate::authn::protocols;

/// Clients have nothing to say, so their messages are small and ignored.
const MAX_MESSAGE: usize = 4096;

/// Answers with 101 and sends the watch over what the connection then is.
pub(super) async fn upgrade(
    call: &mut Call,
    stream: Stream,
    framing: Framing,
    content_type: HeaderValue,
) -> Answer {
    let mut upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &())
        .await
        .map_err(|rejection| Status::bad_request(rejection.body_text()))?
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    // A browser that offered a protocol goes away unless one is chosen. For a watch they all mean the same.
    let offered = protocols(&call.parts.headers).next();
    if let Some(protocol) = offered.and_then(|offered| HeaderValue::from_str(offered).ok()) {
        upgrade.set_selected_protocol(protocol);
    }
    let mut response = upgrade.on_upgrade(move |socket| serve(socket, stream, framing));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// Sends events until the watch ends or the client goes away.
async fn serve(mut socket: WebSocket, mut stream: Stream, framing: Framing) {
    loop {
        let batch = tokio::select! {
            biased;
            received = socket.recv() => match received {
                None | Some(Err(_)) => return,
                // The library answers pings, and a farewell before it ends the connection.
                Some(Ok(_)) => continue,
            },
            batch = stream.next() => batch,
        };
        let Some(batch) = batch else {
            // The client may be gone already.
            let _ = socket.send(Message::Close(None)).await;
            return;
        };
        for event in events(batch) {
            let Some(message) = message(event, framing) else {
                return;
            };
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

fn events(batch: Batch) -> impl Iterator<Item = Bytes> {
    let mut start = 0;
    batch.ends.into_iter().map(move |end| {
        let event = batch.bytes.slice(start..end);
        start = end;
        event
    })
}

fn message(event: Bytes, framing: Framing) -> Option<Message> {
    if framing == Framing::Binary {
        return Some(Message::Binary(event));
    }
    match Utf8Bytes::try_from(event) {
        Ok(text) => Some(Message::Text(text)),
        Err(error) => {
            tracing::error!(%error, "an event is no text");
            None
        }
    }
}
