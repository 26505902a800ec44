//! Requests that are wrong: the right Status, nothing stored, nobody disturbed.

use http::Request;
use kube::client::Body;
use serde_json::{Value, json};

use crate::support::Cluster;

/// What is wrong, the media type, the body; and the code, reason and part of the message of the answer.
type Case = (
    &'static str,
    &'static str,
    Vec<u8>,
    u16,
    &'static str,
    &'static str,
);

struct Door {
    client: kube::Client,
}

impl Door {
    async fn open(cluster: &Cluster) -> Self {
        Self {
            client: cluster.client().await,
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<Vec<u8>>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind);
        let request = request.body(Body::from(body.into())).expect("a request");
        let response = self.client.send(request).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(response.into_body())
            .await
            .expect("a body")
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    #[track_caller]
    fn refused(answer: (u16, Value), code: u16, reason: &str, text: &str) {
        let (status, body) = answer;
        assert_eq!(
            (status, body["reason"].as_str()),
            (code, Some(reason)),
            "{body}"
        );
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| message.contains(text)),
            "{body}"
        );
        assert_eq!(body["code"], code, "{body}");
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";

#[tokio::test]
async fn bodies() {
    let cluster = Cluster::start();
    let door = Door::open(&cluster).await;
    let map = |fields: Value| {
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
        map.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("an object").clone());
        map.to_string()
    };
    let cases: Vec<Case> = vec![
        (
            "broken JSON",
            JSON,
            b"{\"kind\": ".to_vec(),
            400,
            "BadRequest",
            "",
        ),
        (
            "broken YAML",
            "application/yaml",
            b"a: [".to_vec(),
            400,
            "BadRequest",
            "",
        ),
        (
            "broken protobuf",
            "application/vnd.kubernetes.protobuf",
            b"k8s\0\x0a\xff\xff".to_vec(),
            400,
            "BadRequest",
            "",
        ),
        (
            "another kind",
            JSON,
            map(json!({"kind": "Pod"})).into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "a wrong type",
            JSON,
            map(json!({"data": {"a": 1}})).into(),
            400,
            "BadRequest",
            "data",
        ),
        (
            "a wrong name",
            JSON,
            map(json!({"metadata": {"name": "A B"}})).into(),
            422,
            "Invalid",
            "metadata.name",
        ),
        (
            "no name",
            JSON,
            map(json!({"metadata": {}})).into(),
            422,
            "Invalid",
            "name or generateName is required",
        ),
        (
            "a wrong label",
            JSON,
            map(json!({"metadata": {"name": "c", "labels": {"-": "x"}}})).into(),
            422,
            "Invalid",
            "metadata.labels",
        ),
        (
            "another namespace",
            JSON,
            map(json!({"metadata": {"name": "c", "namespace": "x"}})).into(),
            400,
            "BadRequest",
            "namespace",
        ),
        (
            "a form",
            "application/x-www-form-urlencoded",
            b"a=b".to_vec(),
            415,
            "UnsupportedMediaType",
            "",
        ),
        (
            "too much",
            JSON,
            vec![b' '; 3 * 1024 * 1024 + 1],
            413,
            "RequestEntityTooLarge",
            "",
        ),
        (
            "far too much",
            JSON,
            vec![b' '; 20 * 1024 * 1024],
            413,
            "RequestEntityTooLarge",
            "",
        ),
        (
            "deep nesting",
            JSON,
            [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
            400,
            "BadRequest",
            "",
        ),
    ];
    for (what, kind, body, code, reason, text) in cases {
        println!("{what}");
        Door::refused(
            door.send("POST", MAPS, kind, body).await,
            code,
            reason,
            text,
        );
    }
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let unknown = door
        .send("POST", &strict, JSON, map(json!({"bogus": 1})))
        .await;
    Door::refused(unknown, 400, "BadRequest", "unknown field \"bogus\"");
    let twice = map(json!({})).replace("\"metadata\"", "\"data\": {}, \"data\": {}, \"metadata\"");
    Door::refused(
        door.send("POST", &strict, JSON, twice).await,
        400,
        "BadRequest",
        "duplicate field \"data\"",
    );

    let (_, list) = door.send("GET", MAPS, JSON, Vec::new()).await;
    let names: Vec<_> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert!(
        !names.contains(&&json!("c")),
        "nothing was stored: {names:?}"
    );
    cluster.stop();
}

#[tokio::test]
async fn queries_preconditions_and_paths() {
    let cluster = Cluster::start();
    let door = Door::open(&cluster).await;
    let get = async |path: &str| door.send("GET", path, JSON, Vec::new()).await;
    Door::refused(
        get(&format!("{MAPS}?labelSelector=a%3D%3D%3Db")).await,
        400,
        "BadRequest",
        "",
    );
    Door::refused(
        get(&format!("{MAPS}?fieldSelector=spec.x%3D1")).await,
        400,
        "BadRequest",
        "spec.x",
    );
    Door::refused(
        get(&format!("{MAPS}?continue=rubbish")).await,
        400,
        "BadRequest",
        "continue",
    );
    Door::refused(
        get(&format!("{MAPS}/none")).await,
        404,
        "NotFound",
        "configmaps \"none\" not found",
    );
    assert_eq!(get("/apis/nothing/v1/things").await.0, 404);
    Door::refused(
        door.send("PATCH", "/api/v1/namespaces/default/pods", JSON, "{}")
            .await,
        405,
        "MethodNotAllowed",
        "",
    );

    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let (_, created) = door.send("POST", MAPS, JSON, body.to_string()).await;
    let mut stale = created.clone();
    stale["data"] = json!({"a": "1"});
    let path = format!("{MAPS}/c");
    assert_eq!(
        door.send("PUT", &path, JSON, stale.to_string()).await.0,
        200
    );
    stale["data"] = json!({"a": "2"});
    let conflict = door.send("PUT", &path, JSON, stale.to_string()).await;
    Door::refused(conflict, 409, "Conflict", "the object has been modified");
    let options = json!({"preconditions": {"uid": "another"}});
    Door::refused(
        door.send("DELETE", &path, JSON, options.to_string()).await,
        409,
        "Conflict",
        "",
    );
    let patch = door
        .send("PATCH", &path, "application/nonsense", "{}")
        .await;
    Door::refused(patch, 415, "UnsupportedMediaType", "");
    let dry = door
        .send("DELETE", &format!("{path}?dryRun=All"), JSON, Vec::new())
        .await;
    assert_eq!(dry.0, 200);
    assert_eq!(get(&path).await.1["data"]["a"], "1");
    cluster.stop();
}
