//! What is there from the start, and what comes back when somebody takes it away.

use tokio_util::sync::CancellationToken;

use super::*;

const DEFAULT: &str = "/api/v1/namespaces/default";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

#[tokio::test]
async fn the_first_objects() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (path, count) in [
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", 70),
        ("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", 11),
        (
            "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
            8,
        ),
        ("/apis/scheduling.k8s.io/v1/priorityclasses", 2),
        (ADDRESSES, 1),
        ("/apis/networking.k8s.io/v1/servicecidrs", 1),
    ] {
        let list = admin.get(path).await.expect(200);
        assert_eq!(
            list["items"].as_array().map(Vec::len),
            Some(count),
            "{path}"
        );
    }
    let namespace = admin.get(DEFAULT).await.expect(200);
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
    let service = admin
        .get(&format!("{DEFAULT}/services/kubernetes"))
        .await
        .expect(200);
    let port = &service["spec"]["ports"][0]["targetPort"];
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    let endpoints = admin
        .get(&format!("{DEFAULT}/endpoints/kubernetes"))
        .await
        .expect(200);
    let slice = admin.get(&format!("{SLICES}/kubernetes")).await.expect(200);
    assert_eq!(
        endpoints["subsets"],
        json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}])
    );
    assert_eq!(
        slice["endpoints"],
        json!([{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}])
    );
    assert_eq!(
        slice["ports"],
        json!([{"name": "https", "protocol": "TCP", "port": port}])
    );
    assert_eq!(
        slice["metadata"]["labels"],
        json!({"kubernetes.io/service-name": "kubernetes"})
    );
    let trust = admin
        .get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        .await
        .expect(200);
    assert_eq!(trust["data"]["client-ca-file"], cluster.server.ca_pem());
    let cidr = admin
        .get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
        .await
        .expect(200);
    assert_eq!(cidr["spec"]["cidrs"], json!(["10.96.0.0/16"]));
    assert_eq!(cidr["status"]["conditions"][0]["status"], "True");
}

#[tokio::test]
async fn api_services_tell_who_serves() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/apiregistration.k8s.io/v1/apiservices";
    let apps = admin.get(&format!("{path}/v1.apps")).await.expect(200);
    assert_eq!(
        apps["spec"],
        json!({"version": "v1", "group": "apps", "groupPriorityMinimum": 17800, "versionPriority": 15})
    );
    let condition = |service: &Value| {
        let condition = &service["status"]["conditions"][0];
        (
            condition["type"].clone(),
            condition["status"].clone(),
            condition["reason"].clone(),
        )
    };
    assert_eq!(
        condition(&apps),
        (json!("Available"), json!("True"), json!("Local"))
    );
    assert_eq!(
        admin.get(&format!("{path}/v1.")).await.expect(200)["spec"]["groupPriorityMinimum"],
        18000
    );
    let other = json!({"metadata": {"name": "v1.x.io"}, "spec": {
        "group": "x.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
        "service": {"namespace": "default", "name": "x"}, "insecureSkipTLSVerify": true}});
    let mut other = admin.create(path, other).await;
    assert_eq!(
        condition(&other),
        (
            json!("Available"),
            json!("False"),
            json!("AggregationNotSupported")
        )
    );
    other["spec"]["service"] = Value::Null;
    other["spec"]["insecureSkipTLSVerify"] = json!(false);
    let local = admin
        .put(&format!("{path}/v1.x.io"), &other)
        .await
        .expect(200);
    assert_eq!(condition(&local).1, "True");
}

#[tokio::test]
async fn what_is_kept_comes_back() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let api = cluster.server.api().clone();
    let shutdown = CancellationToken::new();
    let keeping = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { crate::bootstrap::keep(&api, shutdown).await })
    };
    let service = format!("{DEFAULT}/services/kubernetes");
    let endpoints = format!("{DEFAULT}/endpoints/kubernetes");
    let slice = format!("{SLICES}/kubernetes");
    let trust =
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication".to_owned();
    let mut before = Vec::new();
    for path in [&service, &endpoints, &slice, &trust] {
        before.push((path.clone(), admin.get(path).await.expect(200)));
        admin.delete(path).await.expect(200);
    }
    for (path, before) in &before {
        let back = until(&admin, path, |answer| answer.status == StatusCode::OK).await;
        for field in ["spec", "subsets", "endpoints", "ports", "data"] {
            assert_eq!(back.get(field), before.get(field), "{path}");
        }
        assert_eq!(back["metadata"]["labels"], before["metadata"]["labels"]);
    }
    let wrong = json!({"subsets": [{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 1}]}]});
    admin.merge(&endpoints, wrong).await.expect(200);
    let right = before[1].1["subsets"].clone();
    until(&admin, &endpoints, |answer| {
        answer.json()["subsets"] == right
    })
    .await;
    // What is not ours to say stays.
    admin
        .merge(
            &slice,
            json!({"metadata": {"annotations": {"a": "b"}}, "ports": []}),
        )
        .await
        .expect(200);
    let ports = before[2].1["ports"].clone();
    let back = until(&admin, &slice, |answer| answer.json()["ports"] == ports).await;
    assert_eq!(back["metadata"]["annotations"], json!({"a": "b"}));
    shutdown.cancel();
    keeping.await.expect("an end");
}

/// Waits until an object is as it should be.
async fn until(client: &Client, path: &str, fits: impl Fn(&Answer) -> bool) -> Value {
    let waiting = async {
        loop {
            let answer = client.get(path).await;
            if fits(&answer) {
                return answer.json();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(path)
}

#[tokio::test]
async fn service_addresses_are_objects() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let services = format!("{DEFAULT}/services");
    let service = admin
        .create(
            &services,
            json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
        )
        .await;
    let address = service["spec"]["clusterIP"].as_str().expect("an address");
    let path = format!("{ADDRESSES}/{address}");
    let object = admin.get(&path).await.expect(200);
    assert_eq!(
        object["spec"]["parentRef"],
        json!({"group": "", "resource": "services", "namespace": "default", "name": "s"})
    );
    assert_eq!(
        object["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"],
        "ipallocator.k8s.io"
    );
    // While the service has it, it comes back.
    admin.delete(&path).await.expect(200);
    let again = admin.get(&path).await.expect(200);
    assert_ne!(again["metadata"]["uid"], object["metadata"]["uid"]);
    admin.delete(&format!("{services}/s")).await.expect(200);
    admin.get(&path).await.expect(404);
    // An address somebody wrote down is taken.
    let reserved = json!({"metadata": {"name": "10.96.7.7"}, "spec": {"parentRef": {"resource": "gateways", "group": "x.io", "name": "g"}}});
    admin.create(ADDRESSES, reserved).await;
    let wants = json!({"metadata": {"name": "t"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}});
    admin.post(&services, &wants).await.expect(422);
    admin
        .delete(&format!("{ADDRESSES}/10.96.7.7"))
        .await
        .expect(200);
    admin.create(&services, wants).await;
}

#[tokio::test]
async fn autoscalers_in_two_versions() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = |version: &str| {
        format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers")
    };
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let old = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 60}});
    let created = admin.create(&path("v1"), old).await;
    assert_eq!(
        (
            &created["apiVersion"],
            &created["spec"]["targetCPUUtilizationPercentage"],
            &created["spec"]["minReplicas"]
        ),
        (&json!("autoscaling/v1"), &json!(60), &json!(1))
    );
    let (v1, v2) = (format!("{}/h", path("v1")), format!("{}/h", path("v2")));
    let new = admin.get(&v2).await.expect(200);
    assert_eq!(
        new["spec"]["metrics"],
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}])
    );
    // Each version is changed in its own words, and neither loses what only the other knows.
    let behavior = json!({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}});
    admin.merge(&v2, behavior).await.expect(200);
    let patched = admin
        .merge(&v1, json!({"spec": {"targetCPUUtilizationPercentage": 70}}))
        .await
        .expect(200);
    assert_eq!(patched["apiVersion"], "autoscaling/v1");
    let both = admin.get(&v2).await.expect(200);
    assert_eq!(
        both["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
        70
    );
    assert_eq!(
        both["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"],
        60
    );
    assert!(both["metadata"].get("annotations").is_none());
    let mut whole = admin.get(&v1).await.expect(200);
    whole["spec"]["maxReplicas"] = json!(5);
    admin.put(&v1, &whole).await.expect(200);
    assert_eq!(admin.get(&v2).await.expect(200)["spec"]["maxReplicas"], 5);
    let list = admin.get(&path("v1")).await.expect(200);
    assert_eq!(list["items"][0]["apiVersion"], "autoscaling/v1");
    admin.post(&format!("{}?dryRun=All", path("v1")), &json!({"metadata": {"name": "x"}, "spec": {"maxReplicas": 1, "scaleTargetRef": target}}))
        .await
        .expect(201);
}
