//! Answers in protobuf, read back by the decoder.

use futures::StreamExt;
use sampan_api::protobuf::{TypeMeta, decode};

use super::*;

const ACCEPT: &str = "application/vnd.kubernetes.protobuf";

impl Client {
    async fn protobuf(&self, method: &str, path: &str, accept: &str, body: &Value) -> Answer {
        let headers = [("accept", accept), ("content-type", "application/json")];
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        self.send(method, path, &headers, body).await
    }

    async fn get_protobuf(&self, path: &str) -> Answer {
        self.protobuf("GET", path, ACCEPT, &Value::Null).await
    }
}

impl Answer {
    /// What the body holds, when the answer is the expected one.
    #[track_caller]
    fn decoded(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), ACCEPT);
        decode(&self.bytes).expect("decodes").1
    }
}

#[tokio::test]
async fn objects_lists_and_writes() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let created = admin
        .protobuf("POST", PODS, ACCEPT, &pod("p"))
        .await
        .decoded(201);
    let path = format!("{PODS}/p");
    assert_eq!(created, admin.get(&path).await.expect(200));
    assert_eq!(admin.get_protobuf(&path).await.decoded(200), created);
    for base in [PODS, "/api/v1/pods"] {
        let mut list = admin.get(base).await.expect(200);
        // Items of a list have no envelope to say what they are.
        let item = list["items"][0].as_object_mut().expect("an item");
        item.shift_remove("kind");
        item.shift_remove("apiVersion");
        assert_eq!(admin.get_protobuf(base).await.decoded(200), list);
    }
    let patched = admin
        .send(
            "PATCH",
            &path,
            &[
                ("accept", ACCEPT),
                ("content-type", "application/merge-patch+json"),
            ],
            json!({"metadata": {"labels": {"x": "y"}}}).to_string(),
        )
        .await
        .decoded(200);
    assert_eq!(patched["metadata"]["labels"]["x"], "y");
    let dry = format!("{PODS}?dryRun=All");
    let dry = admin.protobuf("POST", &dry, ACCEPT, &pod("dry")).await;
    assert_eq!(dry.decoded(201)["metadata"]["name"], "dry");
    let gone = admin
        .protobuf("DELETE", &path, ACCEPT, &json!({"gracePeriodSeconds": 0}))
        .await
        .decoded(200);
    assert_eq!(gone["kind"], "Pod");
    let none = admin.get_protobuf(PODS).await.decoded(200);
    assert_eq!(none["kind"], "PodList");
    assert!(none.get("items").is_none() && version(&none) > 0);
}

#[tokio::test]
async fn statuses_and_discovery() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}/a");
    let deleted = admin.protobuf("DELETE", &path, ACCEPT, &Value::Null).await;
    let deleted = deleted.decoded(200);
    assert_eq!(
        (
            &deleted["kind"],
            &deleted["status"],
            &deleted["details"]["name"]
        ),
        (&json!("Status"), &json!("Success"), &json!("a"))
    );
    let missing = admin.get_protobuf(&path).await.decoded(404);
    assert_eq!(
        (&missing["reason"], &missing["code"]),
        (&json!("NotFound"), &json!(404))
    );
    let old = admin
        .get_protobuf(&format!("{CONFIGMAPS}?resourceVersionMatch=Exact"))
        .await
        .decoded(422);
    let cause = &old["details"]["causes"][0];
    assert_eq!(cause["field"], "resourceVersionMatch");
    // A client that prefers what a path does not have gets the next it would take.
    let both = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json";
    let json = admin.protobuf("GET", CONFIGMAPS, both, &Value::Null).await;
    assert_eq!(json.header("content-type"), "application/json");
    // Discovery has one form.
    for path in ["/api/v1", "/apis"] {
        let both = format!("{ACCEPT},application/json");
        let answer = admin.protobuf("GET", path, &both, &Value::Null).await;
        answer.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        let refused = admin.get_protobuf(path).await;
        assert_eq!(refused.decoded(406)["reason"], "NotAcceptable");
    }
    let version = admin.get_protobuf("/version").await;
    assert_eq!(version.expect(200)["minor"], "36");
}

#[tokio::test]
async fn metadata_alone() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let accept = |kind: &str| format!("{ACCEPT};as={kind};g=meta.k8s.io;v=v1");
    let path = format!("{CONFIGMAPS}/a");
    let one = admin
        .protobuf("GET", &path, &accept("PartialObjectMetadata"), &Value::Null)
        .await;
    let (meta, fields) = partial(&one.bytes);
    assert_eq!(meta.kind, "PartialObjectMetadata");
    assert_eq!(fields["metadata"], created["metadata"]);
    let accept = accept("PartialObjectMetadataList");
    let list = admin
        .protobuf("GET", CONFIGMAPS, &accept, &Value::Null)
        .await;
    assert_eq!(list.header("content-type"), ACCEPT);
    let (meta, fields) = partial(&list.bytes);
    assert_eq!(
        (meta.kind.as_str(), meta.api_version.as_str()),
        ("PartialObjectMetadataList", "meta.k8s.io/v1")
    );
    assert_eq!(fields["items"][0]["metadata"], created["metadata"]);
}

/// PartialObjectMetadata is no type of the registry, but its fields are those of a Namespace and its list.
fn partial(bytes: &[u8]) -> (TypeMeta, Value) {
    let text = String::from_utf8_lossy(bytes);
    let list = text.contains("PartialObjectMetadataList");
    let mut meta = TypeMeta {
        api_version: "meta.k8s.io/v1".to_owned(),
        kind: "PartialObjectMetadata".to_owned(),
    };
    meta.kind.push_str(if list { "List" } else { "" });
    let envelope = |api_version: &str, kind: &str| {
        let empty = sampan_api::protobuf::Envelope::new(api_version, kind).wrap(&[]);
        // Less the object's key and length and the tail.
        empty[..empty.len() - 6].to_vec()
    };
    let said = envelope(&meta.api_version, &meta.kind);
    let rest = bytes.strip_prefix(&said[..]).expect("says what it is");
    let kind = if list { "NamespaceList" } else { "Namespace" };
    let other = [&envelope("v1", kind)[..], rest].concat();
    (meta, decode(&other).expect("decodes").1)
}

#[tokio::test]
async fn large_lists_are_streamed_and_as_long_as_they_say() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for index in 0..40 {
        let mut map = configmap(&format!("c{index:02}"));
        map["data"]["big"] = json!("x".repeat(8000));
        admin.create(CONFIGMAPS, map).await;
    }
    let request = Request::get(CONFIGMAPS)
        .header("accept", ACCEPT)
        .body(Body::empty())
        .expect("a request");
    let response = admin.raw(request).await;
    let length = http_body::Body::size_hint(response.body()).exact();
    let mut pieces = response.into_body().into_data_stream();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.expect("a piece");
        assert!(piece.len() < 100_000, "{}", piece.len());
        whole.extend_from_slice(&piece);
    }
    assert_eq!(length, Some(whole.len() as u64));
    let list = decode(&whole).expect("decodes").1;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(40));
    let zipped = admin
        .send(
            "GET",
            CONFIGMAPS,
            &[("accept", ACCEPT), ("accept-encoding", "gzip")],
            Body::empty(),
        )
        .await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&zipped.bytes[..]),
        &mut plain,
    )
    .expect("gzip");
    assert_eq!(plain, whole);
}

/// Frames of a watch in protobuf.
struct Frames {
    body: axum::body::BodyDataStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn watch_protobuf(&self, path: &str, accept: &str) -> Frames {
        let request = Request::get(path)
            .header("accept", accept)
            .body(Body::empty())
            .expect("a request");
        let response = self.raw(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = "application/vnd.kubernetes.protobuf;stream=watch";
        assert_eq!(response.headers()["content-type"], content_type);
        Frames {
            body: response.into_body().into_data_stream(),
            buffer: Vec::new(),
        }
    }
}

impl Frames {
    /// Type and enveloped object of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            if let Some((length, rest)) = self.buffer.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() >= length {
                    let event = rest[..length].to_vec();
                    self.buffer.drain(..4 + length);
                    return Some(event_of(&event));
                }
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next())
                .await
                .expect("an event in time")?;
            self.buffer.extend_from_slice(&piece.expect("a piece"));
        }
    }

    async fn decoded(&mut self) -> (String, Value) {
        let (kind, object) = self.next().await.expect("an event");
        (kind, decode(&object).expect("decodes").1)
    }
}

/// Field 1 is the type, field 2 holds the object in its own field 1.
pub(super) fn event_of(event: &[u8]) -> (String, Vec<u8>) {
    let kind_length = usize::from(event[1]);
    assert_eq!(event[0], 0x0a);
    let (kind, rest) = event[2..].split_at(kind_length);
    let (outer, rest) = field(0x12, rest);
    assert_eq!(outer, rest.len());
    let (inner, object) = field(0x0a, rest);
    assert_eq!(inner, object.len());
    (String::from_utf8_lossy(kind).into_owned(), object.to_vec())
}

/// The length of a field that must come next, and what follows.
fn field(key: u8, bytes: &[u8]) -> (usize, &[u8]) {
    assert_eq!(bytes[0], key);
    let (mut length, mut at) = (0, 1);
    loop {
        length |= usize::from(bytes[at] & 0x7f) << (7 * (at - 1));
        at += 1;
        if bytes[at - 1] & 0x80 == 0 {
            return (length, &bytes[at..]);
        }
    }
}

#[tokio::test]
async fn watches() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    let path = format!("{CONFIGMAPS}?watch=1&allowWatchBookmarks=1");
    let stream = format!("{ACCEPT};stream=watch");
    let (mut one, mut other) = (
        admin.watch_protobuf(&path, ACCEPT).await,
        admin.watch_protobuf(&path, &stream).await,
    );
    for watch in [&mut one, &mut other] {
        assert_eq!(watch.decoded().await, ("ADDED".to_owned(), created.clone()));
        let (kind, bookmark) = watch.decoded().await;
        assert_eq!(kind, "BOOKMARK");
        assert_eq!(
            bookmark,
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {
                "resourceVersion": created["metadata"]["resourceVersion"],
                "annotations": {"k8s.io/initial-events-end": "true"}}})
        );
    }
    let partial_accept = format!("{ACCEPT};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let mut partials = admin.watch_protobuf(&path, &partial_accept).await;
    let (_, added) = partials.next().await.expect("an event");
    assert_eq!(partial(&added).1["metadata"], created["metadata"]);
    let (kind, bookmark) = partials.next().await.expect("an event");
    let bookmark = partial(&bookmark).1;
    assert_eq!(
        (kind.as_str(), version(&bookmark)),
        ("BOOKMARK", version(&created))
    );
    let updated = admin
        .merge(&format!("{CONFIGMAPS}/a"), json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    for watch in [&mut one, &mut other] {
        let event = watch.decoded().await;
        assert_eq!(event, ("MODIFIED".to_owned(), updated.clone()));
    }
    let (kind, modified) = partials.next().await.expect("an event");
    assert_eq!(
        (kind.as_str(), version(&partial(&modified).1)),
        ("MODIFIED", version(&updated))
    );
    let store = &cluster.server.api().store;
    store
        .compact(store.current_revision())
        .await
        .expect("compacted");
    let old = format!("{CONFIGMAPS}?watch=1&resourceVersion={}", version(&created));
    let mut late = admin.watch_protobuf(&old, ACCEPT).await;
    let (kind, status) = late.decoded().await;
    assert_eq!(
        (kind.as_str(), &status["code"], &status["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    assert!(late.next().await.is_none());
}
