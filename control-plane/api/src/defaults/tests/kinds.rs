use super::*;

fn spec(api_version: &str, kind: &str, given: Value, expect: Value) {
    check_of(
        of(api_version, kind),
        json!({"spec": given}),
        json!({"spec": expect}),
    );
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
}

/// The answer of a real API server.
fn whole_template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "nginx", "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "securityContext": {},
        "schedulerName": "default-scheduler"}})
}

#[test]
fn apps() {
    spec(
        "apps/v1",
        "Deployment",
        json!({"selector": {"matchLabels": {"a": "b"}}, "template": template()}),
        json!({"selector": {"matchLabels": {"a": "b"}}, "template": whole_template(), "replicas": 1,
            "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}),
    );
    spec(
        "apps/v1",
        "Deployment",
        json!({"template": template(), "strategy": {"type": "Recreate"}, "replicas": 0}),
        json!({"template": whole_template(), "strategy": {"type": "Recreate"}, "replicas": 0,
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}),
    );
    let count = json!({"deprecated.daemonset.template.generation": "0"});
    check_of(
        of("apps/v1", "DaemonSet"),
        json!({"spec": {"template": template()}}),
        json!({"metadata": {"annotations": count}, "spec": {"template": whole_template(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1,
                "maxSurge": 0}}, "revisionHistoryLimit": 10}}),
    );
    spec(
        "apps/v1",
        "StatefulSet",
        json!({"template": template(), "volumeClaimTemplates": [{"metadata": {"name": "d"}}]}),
        json!({"template": whole_template(), "replicas": 1, "revisionHistoryLimit": 10,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "volumeClaimTemplates": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": "d"}, "spec": {"volumeMode": "Filesystem"},
                "status": {"phase": "Pending"}}]}),
    );
    check(
        "ReplicationController",
        json!({"spec": {"template": template()}}),
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 1,
            "selector": {"a": "b"}, "template": whole_template()}}),
    );
    check(
        "PodTemplate",
        json!({"template": template()}),
        json!({"template": whole_template()}),
    );
}

#[test]
fn jobs() {
    spec(
        "batch/v1",
        "Job",
        json!({"template": template(), "backoffLimitPerIndex": 1, "completions": 3, "podFailurePolicy":
            {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}),
        json!({"template": whole_template(), "backoffLimitPerIndex": 1, "completions": 3,
            "podFailurePolicy": {"rules": [{"action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]},
            "parallelism": 1, "backoffLimit": 2147483647, "completionMode": "NonIndexed",
            "suspend": false, "podReplacementPolicy": "Failed", "manualSelector": false}),
    );
    spec(
        "batch/v1",
        "CronJob",
        json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template()}}}),
        json!({"schedule": "* * * * *",
            "jobTemplate": {"metadata": {}, "spec": {"template": whole_template()}},
            "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1}),
    );
}

#[test]
fn autoscalers() {
    let cpu = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    spec(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        json!({"maxReplicas": 3, "behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}),
        json!({"maxReplicas": 3, "minReplicas": 1, "metrics": cpu, "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"selectPolicy": "Disabled", "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15}]}}}),
    );
}

#[test]
fn networks() {
    spec(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        json!({"egress": [{"ports": [{"port": 53}]}]}),
        json!({"podSelector": {}, "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}],
            "policyTypes": ["Ingress", "Egress"]}),
    );
    spec(
        "networking.k8s.io/v1",
        "IngressClass",
        json!({"controller": "x/y", "parameters": {"kind": "K", "name": "n"}}),
        json!({"controller": "x/y", "parameters": {"kind": "K", "name": "n", "scope": "Cluster"}}),
    );
    check_of(
        of("discovery.k8s.io/v1", "EndpointSlice"),
        json!({"ports": [{"port": 80}, {"name": "x", "protocol": "UDP"}]}),
        json!({"ports": [{"port": 80, "name": "", "protocol": "TCP"},
            {"name": "x", "protocol": "UDP"}]}),
    );
    check(
        "Endpoints",
        json!({"subsets": [{"ports": [{"port": 80}]}]}),
        json!({"subsets": [{"ports": [{"port": 80, "protocol": "TCP"}]}]}),
    );
}

#[test]
fn storage() {
    check(
        "PersistentVolume",
        json!({"spec": {"hostPath": {"path": "/d"}}}),
        json!({"spec": {"hostPath": {"path": "/d", "type": ""}, "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Retain"}, "status": {"phase": "Pending"}}),
    );
    check_of(
        of("storage.k8s.io/v1", "StorageClass"),
        json!({"provisioner": "x/y"}),
        json!({"provisioner": "x/y", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    );
    spec(
        "storage.k8s.io/v1",
        "CSIDriver",
        json!({"attachRequired": false}),
        json!({"attachRequired": false, "podInfoOnMount": false, "storageCapacity": false,
            "requiresRepublish": false, "seLinuxMount": false,
            "fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"]}),
    );
}

#[test]
fn who_may_and_who_is_asked() {
    let group = "rbac.authorization.k8s.io";
    check_of(
        of("rbac.authorization.k8s.io/v1", "RoleBinding"),
        json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
            {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]}),
        json!({"roleRef": {"kind": "Role", "name": "r", "apiGroup": group}, "subjects": [
            {"kind": "User", "name": "u", "apiGroup": group},
            {"kind": "ServiceAccount", "name": "s"}]}),
    );
    check_of(
        of(
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
        ),
        json!({"webhooks": [{"rules": [{"operations": ["*"]}],
            "clientConfig": {"service": {"name": "s", "namespace": "n"}}}]}),
        json!({"webhooks": [{"rules": [{"operations": ["*"], "scope": "*"}],
            "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
            "failurePolicy": "Fail", "matchPolicy": "Equivalent", "namespaceSelector": {},
            "objectSelector": {}, "timeoutSeconds": 10, "reinvocationPolicy": "Never"}]}),
    );
    spec(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        json!({"matchConstraints": {"resourceRules": [{}]}}),
        json!({"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [{"scope": "*"}],
            "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}}),
    );
}

#[test]
fn priorities() {
    spec(
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}),
        json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 30, "lendablePercent": 0,
            "limitResponse": {"type": "Queue",
                "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}}}),
    );
    spec(
        "flowcontrol.apiserver.k8s.io/v1",
        "FlowSchema",
        json!({}),
        json!({"matchingPrecedence": 1000}),
    );
    check_of(
        of("scheduling.k8s.io/v1", "PriorityClass"),
        json!({"value": 7}),
        json!({"value": 7, "preemptionPolicy": "PreemptLowerPriority"}),
    );
}

#[test]
fn servers_behind_the_api() {
    spec(
        "apiregistration.k8s.io/v1",
        "APIService",
        json!({"group": "a.io", "version": "v1", "service": {"namespace": "a", "name": "b"}}),
        json!({"group": "a.io", "version": "v1", "service": {"namespace": "a", "name": "b", "port": 443}}),
    );
    let local = json!({"version": "v1"});
    spec(
        "apiregistration.k8s.io/v1",
        "APIService",
        local.clone(),
        local,
    );
}

#[test]
fn shares() {
    check(
        "LimitRange",
        json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"},
            "min": {"cpu": "1", "memory": "1Mi"}}, {"type": "Pod", "max": {"cpu": "2"}}]}}),
        json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"},
            "min": {"cpu": "1", "memory": "1Mi"}, "default": {"cpu": "2"},
            "defaultRequest": {"cpu": "2", "memory": "1Mi"}}, {"type": "Pod", "max": {"cpu": "2"}}]}}),
    );
    spec(
        "resource.k8s.io/v1",
        "ResourceClaim",
        json!({"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "c",
            "tolerations": [{"key": "k", "value": "v"}]}},
            {"name": "b", "firstAvailable": [{"name": "s", "allocationMode": "All"}]}]}}),
        json!({"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "c",
            "tolerations": [{"key": "k", "value": "v", "operator": "Equal"}],
            "allocationMode": "ExactCount", "count": 1}},
            {"name": "b", "firstAvailable": [{"name": "s", "allocationMode": "All"}]}]}}),
    );
}
