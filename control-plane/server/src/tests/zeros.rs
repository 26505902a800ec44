//! Fields that Go writes even when nobody gave them a value.

use super::*;

const EVENTS: &str = "/api/v1/namespaces/default/events";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

#[tokio::test]
async fn a_status_is_as_go_would_write_it() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("a")).await;
    let path = format!("{PODS}/a/status");
    let status = json!({"status": {"containerStatuses": [{"name": "c", "ready": true}]}});
    let patched = admin.merge(&path, status.clone()).await.expect(200);
    let whole = json!([{"name": "c", "ready": true, "image": "", "imageID": "", "restartCount": 0,
        "state": {}, "lastState": {}}]);
    assert_eq!(patched["status"]["containerStatuses"], whole);
    let all = "f:containerStatuses";
    let managers = patched["metadata"]["managedFields"]
        .as_array()
        .expect("a list");
    let status_of = managers.iter().find(|it| it["subresource"] == "status");
    assert_eq!(
        status_of.expect("a writer")["fieldsV1"],
        json!({"f:status": {all: {}}})
    );
    // The same again, and without what was filled in, is no write.
    let again = admin.merge(&path, status).await.expect(200);
    assert_eq!(again["metadata"], patched["metadata"]);
    let mut bare = patched.clone();
    bare["status"]["containerStatuses"] = json!([{"name": "c", "ready": true}]);
    let put = admin.put(&path, &bare).await.expect(200);
    assert_eq!(put, patched);
}

#[tokio::test]
async fn objects_are_as_go_would_write_them() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"},
        "involvedObject": {"namespace": "default"}, "reason": "R"});
    let created = admin.create(EVENTS, event).await;
    assert_eq!(created["source"], json!({}));
    for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        assert_eq!(created.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(created["reportingComponent"], "");
    let events = EVENTS.replace("/api/v1", "/apis/events.k8s.io/v1");
    let new = admin.get(&format!("{events}/e")).await.expect(200);
    assert_eq!(new["deprecatedSource"], json!({}));
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    let node = admin.create("/api/v1/nodes", node).await;
    let endpoint = json!({"kubeletEndpoint": {"Port": 0}});
    assert_eq!(node["status"]["daemonEndpoints"], endpoint);
    assert_eq!(node["status"]["nodeInfo"]["osImage"], "");
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": pod("a")["spec"]}}});
    let mut set = admin.create(SETS, set).await;
    set["status"] = json!({});
    let put = admin.put(&format!("{SETS}/r/status"), &set).await;
    assert_eq!(put.expect(200)["status"], json!({"replicas": 0}));
}
