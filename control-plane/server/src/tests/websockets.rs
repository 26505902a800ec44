//! Watches and logs over a WebSocket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::Listening;
use super::raw::{Raw, connector, write_token};
use super::*;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

async fn listening() -> Listening {
    let dir = tempfile::tempdir().expect("a folder");
    write_token(dir.path());
    let config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    Listening::serve(Cluster::with(config, dir).await)
}

/// Asks for a WebSocket and answers with the head of the answer.
async fn open(listening: &Listening, path: &str, headers: &str) -> (Raw, String) {
    let server = &listening.cluster.server;
    let mut raw = Raw::connect(&connector(server.ca_pem()), server.addr()).await;
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    raw.get(path, &format!("{upgrade}{headers}")).await;
    let head = raw.head().await.to_ascii_lowercase();
    (raw, head)
}

impl Raw {
    /// Kind and content of the next message.
    async fn message(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let first = self.0.read_u8().await.expect("a frame");
            assert_eq!(first & 0x80, 0x80, "is whole");
            let length = match self.0.read_u8().await.expect("a length") {
                126 => u64::from(self.0.read_u16().await.expect("a length")),
                127 => self.0.read_u64().await.expect("a length"),
                short => u64::from(short),
            };
            let mut content = vec![0; length as usize];
            self.0.read_exact(&mut content).await.expect("content");
            (first & 0x0f, content)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("in time")
    }

    /// Sends a short message, masked as clients do.
    async fn say(&mut self, kind: u8, content: &[u8]) {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x80 | kind, 0x80 | content.len() as u8];
        frame.extend_from_slice(&mask);
        frame.extend(
            content
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.0.write_all(&frame).await.expect("sent");
        self.0.flush().await.expect("sent");
    }

    async fn event(&mut self) -> Value {
        let (kind, content) = self.message().await;
        assert_eq!(kind, TEXT);
        serde_json::from_slice(&content).expect("an event")
    }
}

#[tokio::test]
async fn an_event_is_a_text_message() {
    let listening = listening().await;
    let admin = listening.cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}?watch=1");
    let (mut socket, head) = open(&listening, &path, "Sec-WebSocket-Protocol: one, two\r\n").await;
    for line in [
        "http/1.1 101 switching protocols\r\n",
        "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
        "\r\nsec-websocket-protocol: one\r\n",
        "\r\ncontent-type: application/json\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let event = socket.event().await;
    assert_eq!(event, json!({"type": "ADDED", "object": created}));
    // What clients say is ignored, but for pings.
    socket.say(TEXT, b"hello").await;
    socket.say(PING, b"are you there").await;
    assert_eq!(socket.message().await, (PONG, b"are you there".to_vec()));
    admin.create(CONFIGMAPS, configmap("b")).await;
    assert_eq!(socket.event().await["object"]["metadata"]["name"], "b");
    socket.say(CLOSE, &[]).await;
    assert_eq!(socket.message().await.0, CLOSE);
    listening.stop().await;
}

#[tokio::test]
async fn protobuf_is_a_binary_message() {
    let listening = listening().await;
    let admin = listening.cluster.admin();
    let mut map = configmap("a");
    map["data"]["long"] = json!("x".repeat(70_000));
    let created = admin.create(CONFIGMAPS, map).await;
    let path = format!("{CONFIGMAPS}?watch=1");
    let accept = "Accept: application/vnd.kubernetes.protobuf\r\n";
    let (mut socket, head) = open(&listening, &path, accept).await;
    assert!(head.contains("content-type: application/vnd.kubernetes.protobuf;stream=watch\r\n"));
    let (kind, message) = socket.message().await;
    assert_eq!(kind, BINARY);
    let (kind, object) = super::protobuf::event_of(&message);
    let object = sampan_api::protobuf::decode(&object).expect("decodes").1;
    assert_eq!((kind.as_str(), object), ("ADDED", created));
    listening.stop().await;
}

#[tokio::test]
async fn logs_are_bytes_or_their_base64() {
    let listening = listening().await;
    let cluster = &listening.cluster;
    let account = json!({"metadata": {"name": "default"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    cluster.admin().create(accounts, account).await;
    super::logs::node_with_pods(cluster, &["p"]).await;
    let log = format!("{PODS}/p/log?tailLines=1");
    let expected = b"/containerLogs/default/p/c?tailLines=1".to_vec();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &expected);
    for (offered, chosen, kind, content) in [
        ("", "", BINARY, expected.clone()),
        (
            "x, binary.k8s.io",
            "binary.k8s.io",
            BINARY,
            expected.clone(),
        ),
        (
            "base64.binary.k8s.io",
            "base64.binary.k8s.io",
            TEXT,
            encoded.into_bytes(),
        ),
    ] {
        let header = match offered {
            "" => String::new(),
            offered => format!("Sec-WebSocket-Protocol: {offered}\r\n"),
        };
        let (mut socket, head) = open(&listening, &log, &header).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let said = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(said.unwrap_or_default(), chosen);
        // An empty message first.
        assert_eq!(socket.message().await, (kind, Vec::new()));
        assert_eq!(socket.message().await, (kind, content));
        assert_eq!(socket.message().await.0, CLOSE);
    }
    let other = "Sec-WebSocket-Protocol: other\r\n";
    let (_, head) = open(&listening, &log, other).await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    listening.stop().await;
}

#[tokio::test]
async fn ends_and_refusals() {
    let listening = listening().await;
    let path = format!("{CONFIGMAPS}?watch=1&timeoutSeconds=1");
    let (mut socket, _) = open(&listening, &path, "").await;
    assert_eq!(socket.message().await.0, CLOSE);
    // A refusal is an ordinary answer.
    let path = format!("{CONFIGMAPS}?watch=1&fieldSelector=spec.nope%3D1");
    let (_, head) = open(&listening, &path, "").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    // Without a connection there is nothing to switch.
    let admin = listening.cluster.admin();
    let path = format!("{CONFIGMAPS}?watch=1");
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    let refused = admin.send("GET", &path, &headers, Body::empty()).await;
    assert_eq!(refused.status, 400);
    // A browser's token is among its protocols, and is not sent back.
    let token = "Authorization: none\r\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.czNjcmV0, one\r\n";
    let (_, head) = open(&listening, &path, token).await;
    assert!(
        head.starts_with("http/1.1 101 ") && head.contains("protocol: one\r\n"),
        "{head}"
    );
    let wrong = token.replace("czNjcmV0", "d3Jvbmc");
    let (_, head) = open(&listening, &path, &wrong).await;
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    // The server's end is the watch's end.
    let (mut socket, _) = open(&listening, &path, "").await;
    let stopped = tokio::spawn(listening.stop());
    assert_eq!(socket.message().await.0, CLOSE);
    stopped.await.expect("stops");
}
