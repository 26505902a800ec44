//! Scales: the number of replicas of a controller in a form of its own.

use super::*;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    })
}

#[tokio::test]
async fn a_deployment_is_scaled() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(DEPLOYMENTS, deployment("d")).await;
    let path = format!("{DEPLOYMENTS}/d/scale");
    let scale = admin.get(&path).await.expect(200);
    let metadata = &created["metadata"];
    assert_eq!(
        scale,
        json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": "d", "namespace": "default", "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
            },
            "spec": {"replicas": 1}, "status": {"replicas": 0, "selector": "a=b"},
        })
    );
    let mut more = scale.clone();
    more["spec"]["replicas"] = json!(3);
    let scaled = admin.put(&path, &more).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    assert!(version(&scaled) > version(&scale));
    let read = admin.get(&format!("{DEPLOYMENTS}/d")).await.expect(200);
    assert_eq!(
        (&read["spec"]["replicas"], &read["metadata"]["generation"]),
        (&json!(3), &json!(2))
    );
    // The version of the scale is that of the deployment.
    admin.put(&path, &more).await.expect(409);
    for (kind, patch) in [
        ("merge-patch", json!({"spec": {"replicas": 4}})),
        ("strategic-merge-patch", json!({"spec": {"replicas": 5}})),
        (
            "json-patch",
            json!([{"op": "replace", "path": "/spec/replicas", "value": 6}]),
        ),
    ] {
        admin.patch(&path, kind, &patch).await.expect(200);
    }
    let read = admin.get(&path).await.expect(200);
    assert_eq!(read["spec"]["replicas"], 6);
    admin.merge(&path, json!({"spec": {"replicas": -1}})).await.refused(
        422,
        "Invalid",
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    );
    admin.delete(&path).await.expect(405);
    admin
        .get(&format!("{DEPLOYMENTS}/nope/scale"))
        .await
        .refused(404, "NotFound", "deployments.apps \"nope\" not found");
}

#[tokio::test]
async fn a_scale_is_shown_as_a_table() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(DEPLOYMENTS, deployment("d")).await;
    let accept = [(
        "accept",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    )];
    let path = format!("{DEPLOYMENTS}/d/scale");
    let table = admin
        .send("GET", &path, &accept, Body::empty())
        .await
        .expect(200);
    assert_eq!(table["kind"], "Table");
    let row = &table["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1]),
        (&json!("d"), &json!(1))
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
}
