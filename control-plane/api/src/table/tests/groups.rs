//! Storage, networking, access, admission, devices and the rest.

use serde_json::{Value, json};

use super::super::printer;
use super::row;

#[test]
fn volumes() {
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "fast",
        "claimRef": {"namespace": "n", "name": "c"}, "volumeMode": "Filesystem"},
        "status": {"phase": "Bound"}});
    assert_eq!(
        row("", "PersistentVolume", volume),
        json!([
            "v",
            "1Gi",
            "RWO,RWX",
            "Retain",
            "Bound",
            "n/c",
            "fast",
            "<unset>",
            "",
            "5m3s",
            "Filesystem"
        ])
    );
    let mut claim = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending", "accessModes": ["ReadWriteOncePod"]}});
    assert_eq!(
        row("", "PersistentVolumeClaim", claim.clone()),
        json!([
            "c", "Pending", "", "", "", "fast", "<unset>", "5m3s", "<unset>"
        ])
    );
    claim["spec"]["volumeName"] = json!("v");
    claim["status"]["capacity"] = json!({"storage": "2Gi"});
    claim["metadata"] = json!({"name": "c", "deletionTimestamp": "2026-11-23T01:29:00Z",
        "annotations": {"volume.beta.kubernetes.io/storage-class": "old"}});
    assert_eq!(
        row("", "PersistentVolumeClaim", claim),
        json!([
            "c",
            "Terminating",
            "v",
            "2Gi",
            "RWOP",
            "old",
            "<unset>",
            "5m3s",
            "<unset>"
        ])
    );
}

#[test]
fn who_provides_volumes() {
    let class = json!({"metadata": {"name": "fast", "annotations":
        {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p",
        "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true});
    assert_eq!(
        row("storage.k8s.io", "StorageClass", class),
        json!([
            "fast (default)",
            "p",
            "Delete",
            "WaitForFirstConsumer",
            true,
            "5m3s"
        ])
    );
    let driver = json!({"metadata": {"name": "d"}, "spec": {"attachRequired": false,
        "tokenRequests": [{"audience": "a"}, {"audience": "b"}],
        "volumeLifecycleModes": ["Persistent", "Ephemeral"]}});
    assert_eq!(
        row("storage.k8s.io", "CSIDriver", driver),
        json!([
            "d",
            false,
            false,
            false,
            "a,b",
            false,
            "Persistent,Ephemeral",
            "5m3s"
        ])
    );
    assert_eq!(
        row(
            "storage.k8s.io",
            "CSIDriver",
            json!({"metadata": {"name": "d"}})
        ),
        json!(["d", true, false, false, "<unset>", false, "<none>", "5m3s"])
    );
    let attachment = json!({"metadata": {"name": "a"}, "spec": {"attacher": "d", "nodeName": "n",
        "source": {"persistentVolumeName": "v"}}, "status": {"attached": true}});
    assert_eq!(
        row("storage.k8s.io", "VolumeAttachment", attachment),
        json!(["a", "d", "v", "n", true, "5m3s"])
    );
    let node = json!({"metadata": {"name": "n"}, "spec": {"drivers": [{}, {}]}});
    assert_eq!(
        row("storage.k8s.io", "CSINode", node),
        json!(["n", 2, "5m3s"])
    );
}

#[test]
fn endpoints() {
    let check = |subsets: Value, expect: &str| {
        let value = json!({"metadata": {"name": "e"}, "subsets": subsets});
        assert_eq!(row("", "Endpoints", value), json!(["e", expect, "5m3s"]));
    };
    let addresses = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]);
    check(json!([]), "<none>");
    check(json!([{}]), "");
    check(json!([{"addresses": addresses}]), "10.0.0.1,fd00::1");
    check(
        json!([{"addresses": addresses, "ports": [{"port": 80}, {"port": 443}]}]),
        "10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...",
    );
}

#[test]
fn endpoint_slices() {
    let check = |ports: Value, endpoints: Value, expect: [&str; 2]| {
        let value = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": ports,
            "endpoints": endpoints});
        assert_eq!(
            row("discovery.k8s.io", "EndpointSlice", value),
            json!(["s", "IPv4", expect[0], expect[1], "5m3s"])
        );
    };
    check(json!([]), json!([]), ["<unset>", "<unset>"]);
    check(
        json!([{"port": 80}, {"name": "web"}, {}]),
        json!([{"addresses": ["1", "2"]}, {"addresses": ["3"]}, {"addresses": ["4", "5"]}]),
        ["80,web,*", "1,2,3 + 2 more..."],
    );
}

#[test]
fn ingresses() {
    let check = |spec: Value, expect: [&str; 3]| {
        let value = json!({"metadata": {"name": "i"}, "spec": spec, "status": {"loadBalancer":
            {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "h.example"}, {"ip": "9.9.9.9"}]}}});
        assert_eq!(
            row("networking.k8s.io", "Ingress", value),
            json!([
                "i",
                expect[0],
                expect[1],
                "9.9.9.9,h.example",
                expect[2],
                "5m3s"
            ])
        );
    };
    check(json!({}), ["<none>", "*", "80"]);
    check(
        json!({"ingressClassName": "c", "tls": [{}],
            "rules": [{"host": "a"}, {}, {"host": "b"}, {"host": "c"}, {}]}),
        ["c", "a,b,c + 2 more...", "80, 443"],
    );
    check(
        json!({"rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}]}),
        ["<none>", "a,b,c", "80"],
    );
    let class = json!({"metadata": {"name": "c", "annotations":
        {"ingressclass.kubernetes.io/is-default-class": "true"}}, "spec": {"controller": "x",
        "parameters": {"apiGroup": "g.io", "kind": "K", "name": "n"}}});
    assert_eq!(
        row("networking.k8s.io", "IngressClass", class),
        json!(["c (default)", "x", "K.g.io/n", "5m3s"])
    );
}

#[test]
fn the_rest_of_networking() {
    let address = json!({"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef":
        {"resource": "services", "namespace": "default", "name": "kubernetes"}}});
    assert_eq!(
        row("networking.k8s.io", "IPAddress", address),
        json!(["10.0.0.1", "services/default/kubernetes", "5m3s"])
    );
    let grouped = json!({"metadata": {"name": "a"},
        "spec": {"parentRef": {"group": "g.io", "resource": "things", "name": "t"}}});
    assert_eq!(
        row("networking.k8s.io", "IPAddress", grouped)[1],
        "things.g.io/t"
    );
    let policy = json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}}});
    assert_eq!(
        row("networking.k8s.io", "NetworkPolicy", policy),
        json!(["p", "<none>", "5m3s"])
    );
    let cidr = json!({"metadata": {"name": "c"}, "spec": {"cidrs": ["10.0.0.0/24", "fd00::/120"]}});
    assert_eq!(
        row("networking.k8s.io", "ServiceCIDR", cidr),
        json!(["c", "10.0.0.0/24,fd00::/120", "5m3s"])
    );
}

#[test]
fn access() {
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}, {"kind": "User", "name": "v"},
            {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]});
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        assert_eq!(
            row("rbac.authorization.k8s.io", kind, binding.clone()),
            json!(["b", "ClusterRole/r", "5m3s", "u, v", "", "n/s"])
        );
    }
    let check = |conditions: Value, certificate: &str, expect: &str| {
        let value = json!({"metadata": {"name": "c"}, "spec": {"signerName": "s",
            "username": "u", "expirationSeconds": 3600},
            "status": {"conditions": conditions, "certificate": certificate}});
        assert_eq!(
            row("certificates.k8s.io", "CertificateSigningRequest", value),
            json!(["c", "5m3s", "s", "u", "60m", expect])
        );
    };
    check(json!([]), "", "Pending");
    check(json!([{"type": "Approved"}]), "YQ==", "Approved,Issued");
    check(
        json!([{"type": "Approved"}, {"type": "Failed"}]),
        "",
        "Approved,Failed",
    );
    check(
        json!([{"type": "Approved"}, {"type": "Denied"}]),
        "",
        "Denied",
    );
}

#[test]
fn admission() {
    const GROUP: &str = "admissionregistration.k8s.io";
    let webhooks = json!({"metadata": {"name": "w"}, "webhooks": [{}, {}]});
    for kind in [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ] {
        assert_eq!(row(GROUP, kind, webhooks.clone()), json!(["w", 2, "5m3s"]));
    }
    let policy = json!({"metadata": {"name": "p"}, "spec": {"validations": [{}],
        "mutations": [{}, {}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}});
    assert_eq!(
        row(GROUP, "ValidatingAdmissionPolicy", policy.clone()),
        json!(["p", 1, "v1/ConfigMap", "5m3s"])
    );
    assert_eq!(
        row(GROUP, "MutatingAdmissionPolicy", policy),
        json!(["p", 2, "v1/ConfigMap", "5m3s"])
    );
    let check = |reference: Value, expect: &str| {
        let value = json!({"metadata": {"name": "b"},
            "spec": {"policyName": "p", "paramRef": reference}});
        assert_eq!(
            row(GROUP, "ValidatingAdmissionPolicyBinding", value),
            json!(["b", "p", expect, "5m3s"])
        );
    };
    check(Value::Null, "<unset>");
    check(json!({"name": "x"}), "*/x");
    check(json!({"name": "x", "namespace": "n"}), "n/x");
    check(
        json!({"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions":
            [{"key": "k", "operator": "In", "values": ["v", "w"]}]}}),
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:\
         []LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[v w],},},}",
    );
}

#[test]
fn priorities() {
    const GROUP: &str = "flowcontrol.apiserver.k8s.io";
    let class = json!({"metadata": {"name": "c"}, "value": -5, "preemptionPolicy": "Never"});
    assert_eq!(
        row("scheduling.k8s.io", "PriorityClass", class),
        json!(["c", -5, false, "5m3s", "Never"])
    );
    let schema = json!({"metadata": {"name": "s"}, "spec": {"matchingPrecedence": 500,
        "priorityLevelConfiguration": {"name": "l"}, "distinguisherMethod": {"type": "ByUser"}},
        "status": {"conditions": [{"type": "Dangling", "status": "False"}]}});
    assert_eq!(printer(GROUP, "FlowSchema").rank(&schema), Some(500));
    assert_eq!(
        printer(GROUP, "PriorityLevelConfiguration").rank(&schema),
        None
    );
    assert_eq!(
        row(GROUP, "FlowSchema", schema),
        json!(["s", "l", 500, "ByUser", "5m3s", "False"])
    );
    let bare = row(GROUP, "FlowSchema", json!({"metadata": {"name": "s"}}));
    assert_eq!((&bare[3], &bare[5]), (&json!("<none>"), &json!("?")));
    let level = json!({"metadata": {"name": "l"}, "spec": {"type": "Limited", "limited":
        {"nominalConcurrencyShares": 30, "limitResponse": {"type": "Queue", "queuing":
            {"queues": 64, "handSize": 6, "queueLengthLimit": 50}}}}});
    assert_eq!(
        row(GROUP, "PriorityLevelConfiguration", level),
        json!(["l", "Limited", 30, 64, 6, 50, "5m3s"])
    );
    let exempt = json!({"metadata": {"name": "l"}, "spec": {"type": "Exempt"}});
    assert_eq!(
        row(GROUP, "PriorityLevelConfiguration", exempt),
        json!([
            "l", "Exempt", "<none>", "<none>", "<none>", "<none>", "5m3s"
        ])
    );
}

#[test]
fn devices_quotas_and_components() {
    let state = |status: Value, deleted: Value| {
        let value = json!({"metadata": {"name": "c", "deletionTimestamp": deleted},
            "status": status});
        row("resource.k8s.io", "ResourceClaim", value)[1].clone()
    };
    let now = json!("2026-11-23T01:29:00Z");
    assert_eq!(state(json!({}), Value::Null), "pending");
    assert_eq!(state(json!({}), now.clone()), "deleted");
    let reserved = json!({"allocation": {}, "reservedFor": [{}]});
    assert_eq!(state(reserved.clone(), Value::Null), "allocated,reserved");
    assert_eq!(state(reserved, now), "deleted,allocated,reserved");
    let slice = json!({"metadata": {"name": "s"},
        "spec": {"nodeName": "n", "driver": "d", "pool": {"name": "p"}}});
    assert_eq!(
        row("resource.k8s.io", "ResourceSlice", slice),
        json!(["s", "n", "d", "p", "5m3s"])
    );
    let quota = json!({"metadata": {"name": "q"}, "status": {
        "hard": {"pods": "3", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1"}}});
    assert_eq!(
        row("", "ResourceQuota", quota),
        json!(["q", "cpu: 0/1, pods: 1/3", "limits.cpu: 0/2", "5m3s"])
    );
    let component = json!({"metadata": {"name": "etcd-0"},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]});
    assert_eq!(
        row("", "ComponentStatus", component),
        json!(["etcd-0", "Healthy", "ok", ""])
    );
    let check = |condition: Value, expect: &str| {
        let value = json!({"metadata": {"name": "v1.g"}, "spec": {"service":
            {"namespace": "n", "name": "s"}}, "status": {"conditions": [condition]}});
        assert_eq!(
            row("apiregistration.k8s.io", "APIService", value),
            json!(["v1.g", "n/s", expect, "5m3s"])
        );
    };
    check(
        json!({"type": "Available", "status": "True", "reason": "Passed"}),
        "True",
    );
    check(
        json!({"type": "Available", "status": "False", "reason": "Gone"}),
        "False (Gone)",
    );
    check(json!({}), "Unknown");
}
