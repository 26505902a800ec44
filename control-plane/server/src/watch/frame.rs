//! How one event is told from the next: lines of JSON, protobuf messages behind their length, or messages of a WebSocket.

use axum::extract::ws::Message;
use bytes::{BufMut, Bytes, BytesMut};
use sampan_api::protobuf::{Envelope, event_size, open_event};

use crate::websocket;

/// The way events are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// JSON, a line each.
    Lines,
    /// Protobuf, each behind its length in four bytes.
    LengthPrefixed,
    /// JSON, a text message of a WebSocket each.
    Text,
    /// Protobuf, a binary message of a WebSocket each.
    Binary,
}

impl Framing {
    pub(super) fn is_protobuf(self) -> bool {
        matches!(self, Framing::LengthPrefixed | Framing::Binary)
    }
}

/// Events on their way out.
pub(super) struct Batch {
    pub(super) bytes: Bytes,
    /// Where each event ends, for a WebSocket.
    pub(super) ends: Vec<usize>,
}

impl Batch {
    /// The events, each as a message of a WebSocket.
    pub(super) fn messages(self, framing: Framing) -> Vec<Message> {
        let mut start = 0;
        let events = self.ends.into_iter().map(|end| {
            let event = self.bytes.slice(start..end);
            start = end;
            event
        });
        match framing {
            Framing::Binary => events.map(Message::Binary).collect(),
            _ => events.filter_map(websocket::text).collect(),
        }
    }
}

/// Collects events.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn finish(self) -> Batch {
        Batch {
            bytes: self.bytes.freeze(),
            ends: self.ends,
        }
    }

    /// Adds an event whose object is JSON.
    pub(super) fn json(&mut self, framing: Framing, kind: &str, object: &[u8]) {
        const AROUND: usize = r#"{"type":"","object":}"#.len() + 1;
        let out = &mut self.bytes;
        out.reserve(AROUND + kind.len() + object.len());
        out.put_slice(br#"{"type":""#);
        out.put_slice(kind.as_bytes());
        out.put_slice(br#"","object":"#);
        out.put_slice(object);
        out.put_u8(b'}');
        if framing == Framing::Lines {
            out.put_u8(b'\n');
        } else {
            self.ends.push(self.bytes.len());
        }
    }

    /// Adds an event whose object is a message of protobuf, putting it into its envelope.
    pub(super) fn protobuf(
        &mut self,
        framing: Framing,
        kind: &str,
        envelope: &Envelope,
        message: &[u8],
    ) {
        const PREFIX: usize = size_of::<u32>();
        let object = envelope.size(message.len());
        let event = event_size(kind, object);
        let out = &mut self.bytes;
        out.reserve(PREFIX + event);
        if framing == Framing::LengthPrefixed {
            // Objects are at most a few MiB.
            out.put_u32(event as u32);
        }
        open_event(kind, object, out);
        envelope.open(message.len(), out);
        out.put_slice(message);
        envelope.close(out);
        if framing == Framing::Binary {
            self.ends.push(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framings() {
        let mut lines = Buffer::default();
        lines.json(Framing::Lines, "ADDED", b"{}");
        lines.json(Framing::Lines, "DELETED", b"7");
        let lines = lines.finish();
        assert_eq!(
            &lines.bytes[..],
            b"{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"DELETED\",\"object\":7}\n"
        );
        assert!(lines.ends.is_empty());
        let mut text = Buffer::default();
        text.json(Framing::Text, "ADDED", b"{}");
        let text = text.finish();
        assert_eq!(&text.bytes[..], br#"{"type":"ADDED","object":{}}"#);
        assert_eq!(text.ends, [text.bytes.len()]);

        let envelope = Envelope::new("v1", "Pod");
        let mut prefixed = Buffer::default();
        prefixed.protobuf(Framing::LengthPrefixed, "ADDED", &envelope, b"\x0a\0");
        let prefixed = prefixed.finish();
        // The length, type and object of the event, and the object's envelope.
        let object = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0a\0\x1a\0\x22\0";
        let mut want = b"\0\0\0\x22\x0a\x05ADDED\x12\x19\x0a\x17".to_vec();
        want.extend_from_slice(object);
        assert_eq!(prefixed.bytes, want);
        let mut binary = Buffer::default();
        binary.protobuf(Framing::Binary, "ADDED", &envelope, b"\x0a\0");
        let binary = binary.finish();
        assert_eq!(binary.bytes, want[4..]);
        assert_eq!(binary.ends, [want.len() - 4]);
    }
}
