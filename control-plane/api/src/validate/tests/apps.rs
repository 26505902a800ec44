use super::*;

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn workload(changes: Value) -> Value {
    let base = json!({"spec.selector": {"matchLabels": {"a": "b"}}, "spec.template": template()});
    with(object(base), changes)
}

#[test]
fn deployments() {
    let check = |changes: Value, expect: &[&str]| {
        check(of("apps/v1", "Deployment"), workload(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec.selector": null}),
        &[
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match \
             template `labels`",
        ],
    );
    check(
        json!({"spec.selector": {}}),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    check(
        json!({"spec.selector": {"matchLabels": {"a": "c"}}, "spec.replicas": -1}),
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match \
             template `labels`",
        ],
    );
    check(
        json!({"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}}),
        &[
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is \
             'Recreate'",
        ],
    );
    check(
        json!({"spec.strategy.rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}),
        &[
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when \
             `maxSurge` is 0",
        ],
    );
    check(
        json!({"spec.strategy.rollingUpdate": {"maxSurge": "x", "maxUnavailable": "101%"}}),
        &[
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must \
             be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation \
             is '[0-9]+%')",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater \
             than 100%",
        ],
    );
    check(
        json!({"spec.strategy.type": "Magic"}),
        &[
            "spec.strategy: Unsupported value: {\"type\":\"Magic\"}: supported values: \"Recreate\", \
             \"RollingUpdate\"",
        ],
    );
    check(
        json!({"spec.minReadySeconds": 600}),
        &["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
    );
    check(
        json!({"spec.template.spec.restartPolicy": "Never",
            "spec.template.spec.activeDeadlineSeconds": 5}),
        &[
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \
             \"Always\"",
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in \
             ReplicaSet is not Supported",
        ],
    );
    check(
        json!({"spec.template.spec.containers": [{"name": "c"}],
            "spec.template.spec.ephemeralContainers": [{"name": "e", "image": "i"}]}),
        &[
            "spec.template.spec.containers[0].image: Required value",
            "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in \
             pod template",
        ],
    );
}

#[test]
fn selectors_stay() {
    let shown = "{\"matchLabels\":{\"a\":\"b\",\"c\":\"d\"}}";
    let error = format!("spec.selector: Invalid value: {shown}: field is immutable");
    for kind in ["Deployment", "ReplicaSet", "DaemonSet"] {
        let narrow = json!({"spec.selector.matchLabels": {"a": "b", "c": "d"},
            "spec.template.metadata.labels": {"a": "b", "c": "d"}});
        check_update(
            of("apps/v1", kind),
            workload(narrow),
            workload(json!({})),
            &[&error],
        );
        check_update(
            of("apps/v1", kind),
            workload(json!({"spec.selector.matchExpressions": []})),
            workload(json!({})),
            &[],
        );
    }
}

#[test]
fn daemon_sets() {
    let check = |changes: Value, expect: &[&str]| {
        check(of("apps/v1", "DaemonSet"), workload(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec.updateStrategy.rollingUpdate": {"maxUnavailable": 0}}),
        &[
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when \
             maxSurge is 0",
        ],
    );
    check(
        json!({"spec.updateStrategy.rollingUpdate": {"maxSurge": "10%"}}),
        &[
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when \
             maxUnavailable is non-zero",
        ],
    );
}

#[test]
fn stateful_sets() {
    let resource = of("apps/v1", "StatefulSet");
    check(resource, workload(json!({})), &[]);
    check(
        resource,
        workload(
            json!({"spec.podManagementPolicy": "x", "spec.serviceName": "A",
            "spec.updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}),
        ),
        &[
            "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for \
             updateStrategy 'RollingUpdate'",
            "spec.serviceName: Invalid value: \"A\": a lowercase RFC 1123 label must consist of \
             lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
             character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ],
    );
    // Mounts may name claims, which become volumes of the pods.
    let claims = json!({"spec.volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
        "spec.template.spec.containers": [{"name": "c", "image": "i",
            "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]});
    check(resource, workload(claims.clone()), &[]);
    check_update(
        resource,
        workload(
            json!({"spec.replicas": 3, "spec.template.spec.nodeName": "n",
            "spec.updateStrategy": {"type": "OnDelete"}, "spec.minReadySeconds": 1}),
        ),
        workload(json!({})),
        &[],
    );
    check_update(
        resource,
        workload(claims),
        workload(json!({})),
        &[
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', \
             'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ],
    );
}

#[test]
fn replication_controllers() {
    let controller = |spec: Value| object(json!({"spec": spec}));
    check(
        core("ReplicationController"),
        controller(json!({"template": template()})),
        &[],
    );
    check(
        core("ReplicationController"),
        controller(json!({})),
        &[
            "spec.selector: Required value",
            "spec.template: Required value",
        ],
    );
    check(
        core("ReplicationController"),
        controller(json!({"selector": {"x": "y"}, "template": template(), "replicas": -1})),
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match \
             template `labels`",
        ],
    );
}

#[test]
fn revisions() {
    let resource = of("apps/v1", "ControllerRevision");
    check(resource, object(json!({"data": {"a": 1}})), &[]);
    check(
        resource,
        object(json!({"revision": -1})),
        &[
            "revision: Invalid value: -1: must be greater than or equal to 0",
            "data: Required value: data is mandatory",
        ],
    );
    check_update(
        resource,
        object(json!({"data": {"a": 2}, "revision": 2})),
        object(json!({"data": {"a": 1}, "revision": 1})),
        &["data: Invalid value: {\"a\":2}: field is immutable"],
    );
}

#[test]
fn statuses() {
    let check = |kind: &str, new: Value, expect: &[&str]| {
        let old = workload(json!({"status": {"collisionCount": 2}}));
        let new = workload(json!({"status": new}));
        let found = status_update(of("apps/v1", kind), &new, &old);
        assert_eq!(lines(&found), expect);
    };
    check(
        "Deployment",
        json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "collisionCount": 2}),
        &[],
    );
    check(
        "Deployment",
        json!({"replicas": 1, "availableReplicas": 2}),
        &[
            "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
            "status.collisionCount: Invalid value: 0: cannot be decremented",
        ],
    );
    check(
        "DaemonSet",
        json!({"numberReady": -1, "collisionCount": 2}),
        &["status.numberReady: Invalid value: -1: must be greater than or equal to 0"],
    );
}
