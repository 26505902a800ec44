use serde_json::{Value, json};

use super::*;
use crate::resource::{Resource, find_kind};

mod kinds;
mod prepared;

fn kind(kind: &str) -> &'static Resource {
    find_kind("", "v1", kind).expect("served")
}

fn of(api_version: &str, kind: &str) -> &'static Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    find_kind(group, version, kind).expect("served")
}

fn check(name: &str, value: Value, expect: Value) {
    check_of(kind(name), value, expect);
}

fn check_of(resource: &Resource, mut value: Value, expect: Value) {
    apply(resource, &mut value);
    assert_eq!(value, expect);
    apply(resource, &mut value);
    assert_eq!(value, expect, "defaults are idempotent");
}

/// The answer of a real API server to the smallest pod, without what the server itself adds.
#[test]
fn the_smallest_pod() {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {
        "containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}});
    apply(kind("Pod"), &mut pod);
    admission_pod(&mut pod);
    prepare_create(kind("Pod"), &mut pod);
    assert_eq!(
        pod,
        json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {
            "containers": [{"name": "c", "image": "nginx",
                "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "serviceAccount": "default", "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists",
                    "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists",
                    "effect": "NoExecute", "tolerationSeconds": 300}],
            "priority": 0, "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority"},
            "status": {"phase": "Pending", "qosClass": "BestEffort"}})
    );
}

#[test]
fn containers() {
    let check = |container: Value, expect: Value| {
        let mut pod = json!({"spec": {"containers": [container]}});
        apply(kind("Pod"), &mut pod);
        let container = &pod["spec"]["containers"][0];
        for (path, value) in expect.as_object().expect("paths") {
            assert_eq!(get(container, path), Some(value), "{path} of {container}");
        }
    };
    check(
        json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}}),
        json!({"resources.requests": {"cpu": "1m", "memory": "1Gi"}}),
    );
    check(
        json!({"livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5}}),
        json!({"livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "periodSeconds": 5, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}}),
    );
    check(
        json!({"readinessProbe": {"grpc": {"port": 80}}}),
        json!({"readinessProbe.grpc": {"port": 80, "service": ""}}),
    );
    check(
        json!({"lifecycle": {"preStop": {"httpGet": {"port": 1, "path": "/x"}}}}),
        json!({"lifecycle.preStop.httpGet": {"port": 1, "path": "/x", "scheme": "HTTP"}}),
    );
    check(
        json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
        json!({"env": [{"name": "A",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}]}),
    );
    check(
        json!({"image": "a:1", "imagePullPolicy": ""}),
        json!({"imagePullPolicy": "IfNotPresent"}),
    );
}

#[test]
fn volumes() {
    let check = |volume: Value, expect: Value| {
        let mut pod = json!({"spec": {"volumes": [volume]}});
        apply(kind("Pod"), &mut pod);
        assert_eq!(pod["spec"]["volumes"][0], expect);
    };
    check(json!({"name": "v"}), json!({"name": "v", "emptyDir": {}}));
    check(
        json!({"secret": {}}),
        json!({"secret": {"defaultMode": 420}}),
    );
    check(
        json!({"configMap": {"defaultMode": 0}}),
        json!({"configMap": {"defaultMode": 0}}),
    );
    check(
        json!({"hostPath": {"path": "/"}}),
        json!({"hostPath": {"path": "/", "type": ""}}),
    );
    check(
        json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}},
            {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "x"}}]}}]}}),
        json!({"projected": {"sources": [
            {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
            {"downwardAPI": {"items": [
                {"path": "n", "fieldRef": {"fieldPath": "x", "apiVersion": "v1"}}]}}],
            "defaultMode": 420}}),
    );
}

#[test]
fn host_network_and_pod_resources() {
    let mut pod = json!({"spec": {"hostNetwork": true,
        "containers": [{"ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "250m"}}},
            {"resources": {"requests": {"cpu": "250m"}}}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}});
    apply(kind("Pod"), &mut pod);
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["hostPort"], 80);
    assert_eq!(
        pod["spec"]["resources"]["requests"],
        json!({"cpu": "500m", "memory": "1Gi"})
    );
}

#[test]
fn services() {
    check(
        "Service",
        json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
        json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "selector": {"a": "b"}, "sessionAffinity": "None", "type": "ClusterIP",
            "internalTrafficPolicy": "Cluster"}, "status": {"loadBalancer": {}}}),
    );
    check(
        "Service",
        json!({"spec": {"type": "ExternalName", "externalName": "x.y"}}),
        json!({"spec": {"type": "ExternalName", "externalName": "x.y", "sessionAffinity": "None"},
            "status": {"loadBalancer": {}}}),
    );
    check(
        "Service",
        json!({"spec": {"clusterIP": "None"}}),
        json!({"spec": {"clusterIP": "None", "sessionAffinity": "None", "type": "ClusterIP",
            "internalTrafficPolicy": "Cluster"}, "status": {"loadBalancer": {}}}),
    );
    let addresses = |spec: Value, expected: Value| {
        let mut service = json!({ "spec": spec });
        service_addresses(&mut service);
        assert_eq!(service["spec"], expected);
    };
    addresses(
        json!({"selector": {"a": "b"}}),
        json!({"selector": {"a": "b"}, "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
    );
    addresses(
        json!({"clusterIP": "None"}),
        json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack"}),
    );
}

#[test]
fn small_kinds() {
    check(
        "Secret",
        json!({"data": {"a": "eA==", "b": "eA=="}, "stringData": {"b": "hi"}}),
        json!({"data": {"a": "eA==", "b": "aGk="}, "type": "Opaque"}),
    );
    check(
        "Namespace",
        json!({"metadata": {"name": "n"}}),
        json!({"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}}}),
    );
    check(
        "Node",
        json!({"spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "4"}}}),
        json!({"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]},
            "status": {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "4"}}}),
    );
    check(
        "ConfigMap",
        json!({"data": {"a": "b"}}),
        json!({"data": {"a": "b"}}),
    );
}

#[test]
fn admission_respects_what_is_said() {
    let mut pod = json!({"spec": {"serviceAccount": "robot", "priority": 7, "tolerations": [
        {"operator": "Exists"}]}});
    admission_pod(&mut pod);
    assert_eq!(pod["spec"]["serviceAccountName"], "robot");
    assert_eq!(pod["spec"]["priority"], 7);
    assert_eq!(pod["spec"]["tolerations"], json!([{"operator": "Exists"}]));
    let mut critical = json!({"spec": {"priorityClassName": "system-node-critical"}});
    admission_pod(&mut critical);
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
}

#[test]
fn quality_of_service() {
    let check = |containers: Value, expect: &str| {
        assert_eq!(
            qos_class(&json!({"spec": {"containers": containers}})),
            expect
        );
    };
    let full = json!({"limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "1000m", "memory": "1Gi"}});
    check(json!([{}]), "BestEffort");
    check(json!([{"resources": full}]), "Guaranteed");
    check(json!([{"resources": full}, {}]), "Burstable");
    check(
        json!([{"resources": {"requests": {"cpu": "1"}}}]),
        "Burstable",
    );
    check(
        json!([{"resources": {"requests": {"example.com/x": "1"}}}]),
        "BestEffort",
    );
}

#[test]
fn parts_have_owners() {
    let mut service = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]},
        "status": {"mine": 1}});
    let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}, "status": {"loadBalancer": {}}});
    prepare_update(kind("Service"), &mut service, &old);
    assert_eq!(service, old);

    let mut pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "evil"},
        "status": {"phase": "Running"}});
    let old = json!({"metadata": {}, "spec": {"nodeName": "n"},
        "status": {"phase": "Pending", "qosClass": "BestEffort"}});
    prepare_status_update(kind("Pod"), &mut pod, &old);
    assert_eq!(
        pod,
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "qosClass": "BestEffort"}})
    );

    let mut namespace = json!({"metadata": {"name": "n"}});
    prepare_create(kind("Namespace"), &mut namespace);
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
}
