//! Who may use an image that is on the node already.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const REASON: &str = "/status/containerStatuses/0/state/waiting/reason";
const IMAGE: &str = "private.io/app:v1";
/// `{"auths":{"private.io":{"username":"me","password":"pw"}}}`
const CONFIG: &str =
    "eyJhdXRocyI6eyJwcml2YXRlLmlvIjp7InVzZXJuYW1lIjoibWUiLCJwYXNzd29yZCI6InB3In19fQ==";

fn with_secret(name: &str) -> Value {
    json!({"imagePullSecrets": [{"name": name}],
        "container": {"image": IMAGE, "imagePullPolicy": "IfNotPresent"}})
}

async fn runs(cluster: &Cluster, name: &str) {
    cluster.until(name, "/status/phase", json!("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_pulled_with_a_secret_is_for_pods_that_have_it() {
    let mut cluster = Cluster::new();
    for name in ["a", "b"] {
        cluster.api.put(
            "secrets",
            json!({"metadata": {"name": name, "namespace": "default"},
            "data": {".dockerconfigjson": CONFIG}}),
        );
    }
    cluster.pod("first", &["run"], with_secret("a"));
    runs(&cluster, "first").await;
    assert_eq!(cluster.runtime.auths().len(), 1);

    // The same secret needs no registry.
    cluster.pod("same", &["run"], with_secret("a"));
    runs(&cluster, "same").await;
    assert_eq!(cluster.runtime.auths().len(), 1);
    let text = format!(
        "Container image \"{IMAGE}\" already present on machine and can be accessed by the pod"
    );
    cluster.event("Pulled", &text).await;

    // Without one the registry is asked, and says no; also by an agent that has just begun.
    cluster.restart(false).await;
    cluster.pod("without", &["run"], json!({"container": {"image": IMAGE}}));
    cluster
        .until("without", REASON, json!("ErrImagePull"))
        .await;
    cluster.event("Failed", "no basic auth credentials").await;
    let never = json!({"container": {"image": IMAGE, "imagePullPolicy": "Never"}});
    cluster.pod("never", &["run"], never);
    cluster
        .until("never", REASON, json!("ErrImageNeverPull"))
        .await;
    let text =
        "is present with pull policy of Never but does not have the proper auth in image secret";
    cluster.event("ErrImageNeverPull", text).await;

    // Another secret is tried there, and good from then on.
    cluster.pod("other", &["run"], with_secret("b"));
    runs(&cluster, "other").await;
    assert_eq!(cluster.runtime.auths().len(), 2);
    cluster.pod("again", &["run"], with_secret("b"));
    runs(&cluster, "again").await;
    assert_eq!(cluster.runtime.auths().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_came_otherwise_are_for_everybody() {
    let cluster = Cluster::new();
    cluster.pod("p", &["run"], json!({}));
    runs(&cluster, "p").await;
    assert_eq!(cluster.runtime.auths().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_not_there_are_told_of() {
    let cluster = Cluster::new();
    let spec = json!({"imagePullSecrets": [{"name": "gone"}, {"name": "lost"}],
        "container": {"image": IMAGE}});
    cluster.pod("p", &["run"], spec);
    let text = "Unable to retrieve some image pull secrets (gone, lost); attempting to pull the image may not succeed.";
    let event = cluster.event("FailedToRetrieveImagePullSecret", text).await;
    assert_eq!(event["type"], "Warning");
    assert!(event["involvedObject"]["fieldPath"].is_null(), "{event}");
    cluster.until("p", REASON, json!("ImagePullBackOff")).await;
}
