//! What is older than the history the server keeps: 410 for everybody, and a way to go on.

use futures::{StreamExt, TryStreamExt};
use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, ListParams, Patch, PatchParams, PostParams, VersionMatch, WatchEvent, WatchParams,
};
use serde_json::{Value, json};

use crate::support::Cluster;

/// More than is kept of one kind.
const WRITES: usize = 40;
const WRITE_BYTES: usize = 1_000_000;

/// A list at a continue token: the code, and the list or the Status.
async fn page(client: &kube::Client, token: &str) -> (u16, Value) {
    let path = format!("/api/v1/namespaces/default/configmaps?limit=1&continue={token}");
    let request = Request::get(path).body(kube::client::Body::empty());
    let response = client
        .send(request.expect("a request"))
        .await
        .expect("an answer");
    let code = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .expect("a body");
    (
        code,
        serde_json::from_slice(&body.to_bytes()).expect("JSON"),
    )
}

#[tokio::test]
async fn what_is_forgotten_is_gone() {
    let cluster = Cluster::serve(&["--controllers="]);
    let client = cluster.client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for name in ["a", "b", "c"] {
        let object = json!({"metadata": {"name": name}});
        let object = serde_json::from_value(object).expect("a ConfigMap");
        api.create(&PostParams::default(), &object)
            .await
            .expect("created");
    }
    let first = api
        .list(&ListParams::default().limit(1))
        .await
        .expect("a page");
    let before = first.metadata.resource_version.expect("a version");
    let token = first.metadata.continue_.expect("a token");
    for number in 0..WRITES {
        let text = char::from(b'a' + u8::try_from(number % 26).expect("small"));
        let text = text.to_string().repeat(WRITE_BYTES);
        let patch = Patch::Merge(json!({"data": {"text": text}}));
        api.patch("c", &PatchParams::default(), &patch)
            .await
            .expect("written");
    }

    let mut events = api
        .watch(&WatchParams::default(), &before)
        .await
        .expect("a watch")
        .boxed();
    match events.try_next().await.expect("readable") {
        Some(WatchEvent::Error(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        events.try_next().await.expect("readable").is_none(),
        "it ends"
    );

    let exact = ListParams::default()
        .at(&before)
        .matching(VersionMatch::Exact);
    match api.list(&exact).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{:?}", other.map(|list| list.metadata)),
    }

    let (code, status) = page(&client, &token).await;
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
    // The refusal has a token that goes on with what is there now.
    let fresh = status["metadata"]["continue"].as_str().expect("a token");
    let (code, list) = page(&client, fresh).await;
    assert_eq!(
        (code, &list["items"][0]["metadata"]["name"]),
        (200, &json!("b"))
    );
    cluster.stop();
}
