//! What one might refuse, and upstream takes: found by asking a kube-apiserver and this server for the same.

use super::*;

const CORE: &str = "/api/v1/namespaces/default";

#[tokio::test]
async fn amounts_that_are_not_whole_are_rounded_to_thousandths() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let claim = |size: &str| {
        let resources = json!({"requests": {"storage": size}});
        json!({"accessModes": ["ReadWriteOnce"], "resources": resources, "volumeMode": "Filesystem"})
    };
    let small = json!({"requests": {"cpu": "0.00001"}, "limits": {"cpu": "0.0015001"}});
    let container = json!({"name": "c", "image": "i", "resources": small});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
    let volume = json!({"capacity": {"storage": "1.5"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/x"}});
    let set = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "serviceName": "s",
        "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": claim("1000.0001")}]});
    let limit = json!({"type": "Container", "max": {"cpu": "0.1234567"}});
    let ephemeral =
        json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim("0.1Gi")}}}]);
    let whole = json!({"containers": [container], "volumes": ephemeral, "overhead": null,
        "resources": {"limits": {"cpu": "0.9999999"}}});
    for (path, spec, expected) in [
        (
            format!("{CORE}/persistentvolumeclaims"),
            claim("0.1Gi"),
            &[("/resources/requests/storage", "107374182400m")][..],
        ),
        (
            "/api/v1/persistentvolumes".to_owned(),
            volume,
            &[("/capacity/storage", "1500m")],
        ),
        (
            format!("{CORE}/limitranges"),
            json!({"limits": [limit]}),
            &[
                ("/limits/0/max/cpu", "124m"),
                ("/limits/0/default/cpu", "124m"),
            ],
        ),
        (
            format!("{CORE}/resourcequotas"),
            json!({"hard": {"requests.memory": "0.0001"}}),
            &[("/hard/requests.memory", "1m")],
        ),
        (
            "/apis/apps/v1/namespaces/default/statefulsets".to_owned(),
            set,
            &[
                (
                    "/volumeClaimTemplates/0/spec/resources/requests/storage",
                    "1000001m",
                ),
                ("/template/spec/containers/0/resources/requests/cpu", "1m"),
            ],
        ),
        (
            PODS.to_owned(),
            whole,
            &[
                ("/containers/0/resources/requests/cpu", "1m"),
                ("/containers/0/resources/limits/cpu", "2m"),
                ("/resources/limits/cpu", "1"),
                (
                    "/volumes/0/ephemeral/volumeClaimTemplate/spec/resources/requests/storage",
                    "107374182400m",
                ),
            ],
        ),
    ] {
        let asked = json!({"metadata": {"name": "a"}, "spec": spec});
        let made = admin.create(&format!("{path}?dryRun=All"), asked).await;
        for (at, amount) in expected {
            assert_eq!(
                made["spec"].pointer(at),
                Some(&json!(amount)),
                "{path} {at}"
            );
        }
    }
    let none = json!({"metadata": {"name": "a"}, "spec": claim("-0.5")});
    let path = format!("{CORE}/persistentvolumeclaims");
    let why = "PersistentVolumeClaim \"a\" is invalid: spec.resources[storage]: Invalid value: \"-500m\": must be greater than zero";
    let answer = admin.post(&path, &none).await;
    answer.refused(422, "Invalid", why);
}

#[tokio::test]
async fn nodes_may_begin_with_an_address_twice() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let twice = vec![json!({"type": "InternalIP", "address": "10.0.0.1"}); 2];
    let half = json!({"cpu": "0.0001"});
    let node = json!({"metadata": {"name": "n"}, "status": {"addresses": twice, "capacity": half}});
    let made = admin.create("/api/v1/nodes", node).await;
    assert_eq!(made["status"]["addresses"], json!(twice));
    assert_eq!(made["status"]["allocatable"]["cpu"], "1m");
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let answer = admin.merge("/api/v1/nodes/n/status", labels).await;
    let why = "Node \"n\" is invalid: status.addresses[1]: Duplicate value: {\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}";
    answer.refused(422, "Invalid", why);
}

#[tokio::test]
async fn names_of_budgets_are_any_segment_of_a_path() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let named = |name: &str| json!({"metadata": {"name": name}, "spec": {"minAvailable": 1}});
    for name in ["In", "a..b"] {
        admin.create(path, named(name)).await;
    }
    let why = "PodDisruptionBudget.policy \"a/b\" is invalid: metadata.name: Invalid value: \"a/b\": may not contain '/'";
    let answer = admin.post(path, &named("a/b")).await;
    answer.refused(422, "Invalid", why);
}

#[tokio::test]
async fn the_old_topology_of_endpoints_is_forgotten() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let endpoint = json!({"addresses": ["10.1.0.1"], "deprecatedTopology": {"::1": "any"}});
    let slice = json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [endpoint]});
    let made = admin.create(path, slice.clone()).await;
    let now = admin.put(&format!("{path}/a"), &slice).await.expect(200);
    for slice in [made, now] {
        assert!(slice["endpoints"][0].get("deprecatedTopology").is_none());
    }
}
