use super::*;

fn claim(changes: Value) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"});
    with(object(json!({"spec": spec})), changes)
}

#[test]
fn claims() {
    let check = |changes: Value, expect: &[&str]| {
        check(core("PersistentVolumeClaim"), claim(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec": {}}),
        &[
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
    );
    check(
        json!({"spec.accessModes": ["ReadWriteOncePod", "ReadOnlyMany", "x"],
            "spec.resources.requests.storage": "0", "spec.volumeMode": "Tape",
            "spec.dataSource": {"kind": "Pod"}}),
        &[
            "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \
             \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \
             \"Filesystem\"",
            "spec.dataSource.name: Required value",
            "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when \
             referencing the default apiGroup",
        ],
    );
}

#[test]
fn claims_grow() {
    let bound = |changes: Value| {
        let base = claim(
            json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
            "spec.volumeName": "v"}),
        );
        with(base, changes)
    };
    let check = |new: Value, old: Value, expect: &[&str]| {
        check_update(core("PersistentVolumeClaim"), new, old, expect);
    };
    check(bound(json!({})), claim(json!({})), &[]);
    check(
        bound(json!({"spec.resources.requests.storage": "2Gi"})),
        bound(json!({})),
        &[],
    );
    check(
        bound(json!({"spec.resources.requests.storage": "512Mi"})),
        bound(json!({"spec.resources.requests.storage": "2Gi"})),
        &["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
    );
    let found = update(
        core("PersistentVolumeClaim"),
        &claim(json!({"spec.storageClassName": "slow"})),
        &claim(json!({})),
    );
    assert!(
        found[0].to_string().starts_with(
            "spec: Forbidden: spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims\n@@"
        ),
        "{found:?}"
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn volumes() {
    let volume = |changes: Value| {
        let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "nfs": {"server": "s", "path": "/p"}});
        with(global(json!({"spec": spec})), changes)
    };
    let check = |changes: Value, expect: &[&str]| {
        check(core("PersistentVolume"), volume(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec.nfs": null, "spec.local": {"path": "/d"}, "spec.accessModes": [],
            "spec.capacity": {}, "spec.persistentVolumeReclaimPolicy": "Burn"}),
        &[
            "spec.accessModes: Required value",
            "spec.capacity: Required value",
            "spec.capacity: Unsupported value: {}: supported values: \"storage\"",
            "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Burn\": supported values: \
             \"Delete\", \"Recycle\", \"Retain\"",
            "spec.nodeAffinity: Required value: Local volume requires node affinity",
        ],
    );
    check(
        json!({"spec.nfs": null}),
        &["spec: Required value: must specify a volume type"],
    );
    check(
        json!({"spec.csi": {"driver": "a_b"}, "spec.nfs": null}),
        &[
            "spec.csi.driver: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of \
             lower case alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.csi.volumeHandle: Required value",
        ],
    );
    check(
        json!({"spec.hostPath": {"path": "/a/../b"}}),
        &["spec.hostPath: Forbidden: may not specify more than 1 volume type"],
    );
    let found = update(
        core("PersistentVolume"),
        &volume(json!({"spec.nfs.path": "/q"})),
        &volume(json!({})),
    );
    assert!(
        found[0].to_string().starts_with(
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after \
             creation\n@@"
        ),
        "{found:?}"
    );
    let bound = json!({"spec.claimRef": {"name": "c"}, "spec.storageClassName": "x",
        "spec.capacity": {"storage": "2Gi"}});
    check_update(
        core("PersistentVolume"),
        volume(bound),
        volume(json!({})),
        &[],
    );
}

#[test]
fn classes() {
    let resource = of("storage.k8s.io/v1", "StorageClass");
    let class = |changes: Value| with(global(json!({"provisioner": "x/y"})), changes);
    check(resource, class(json!({})), &[]);
    check(
        resource,
        class(
            json!({"provisioner": "", "reclaimPolicy": "Burn", "volumeBindingMode": "x",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "k"}]}]}),
        ),
        &[
            "provisioner: Required value",
            "reclaimPolicy: Unsupported value: \"Burn\": supported values: \"Delete\", \"Retain\"",
            "volumeBindingMode: Unsupported value: \"x\": supported values: \"Immediate\", \
             \"WaitForFirstConsumer\"",
            "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
        ],
    );
    check_update(
        resource,
        class(json!({"parameters": {"a": "b"}, "reclaimPolicy": "Retain",
            "allowVolumeExpansion": true})),
        class(json!({})),
        &[
            "parameters: Invalid value: {\"a\":\"b\"}: field is immutable",
            "reclaimPolicy: Invalid value: \"Retain\": field is immutable",
        ],
    );
    let resource = of("storage.k8s.io/v1", "VolumeAttributesClass");
    check(
        resource,
        global(json!({"driverName": "d"})),
        &["parameters: Required value: must contain at least one key/value pair"],
    );
    let class = |driver: &str| global(json!({"driverName": driver, "parameters": {"a": "b"}}));
    check_update(
        resource,
        class("e"),
        class("d"),
        &["driverName: Forbidden: updates to driverName are forbidden."],
    );
}

#[test]
fn drivers() {
    let resource = of("storage.k8s.io/v1", "CSIDriver");
    let driver = |spec: Value| global(json!({"spec": spec}));
    check(
        resource,
        driver(
            json!({"tokenRequests": [{"audience": "a", "expirationSeconds": 600}],
            "serviceAccountTokenInSecrets": true}),
        ),
        &[],
    );
    check(
        resource,
        driver(json!({"fsGroupPolicy": "x", "volumeLifecycleModes": ["y"],
            "nodeAllocatableUpdatePeriodSeconds": 9, "tokenRequests": [{"audience": "a",
                "expirationSeconds": 599}, {"audience": "a"}]})),
        &[
            "spec.fsGroupPolicy: Unsupported value: \"x\": supported values: \"File\", \"None\", \
             \"ReadWriteOnceWithFSType\"",
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration \
             less than 10 minutes",
            "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
            "spec.volumeLifecycleModes: Unsupported value: \"y\": supported values: \"Persistent\", \
             \"Ephemeral\"",
            "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or \
             equal to 10 seconds",
        ],
    );
    check_update(
        resource,
        driver(json!({"attachRequired": false, "podInfoOnMount": true})),
        driver(json!({})),
        &["spec.attachedRequired: Invalid value: false: field is immutable"],
    );
    let resource = of("storage.k8s.io/v1", "CSINode");
    let node = |id: &str, count: i64| {
        let driver = json!({"name": "d", "nodeID": id, "topologyKeys": ["k"],
            "allocatable": {"count": count}});
        global(json!({"spec": {"drivers": [driver]}}))
    };
    check(resource, node("n", 1), &[]);
    check_update(resource, node("n", 2), node("n", 1), &[]);
    check_update(
        resource,
        node("m", 1),
        node("n", 1),
        &["spec.drivers: Invalid value: \
             {\"name\":\"d\",\"nodeID\":\"m\",\"topologyKeys\":[\"k\"]}: field is immutable"],
    );
    check(
        resource,
        node("", -1),
        &[
            "spec.drivers[0].nodeID: Required value",
            "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to \
             0",
        ],
    );
}

#[test]
fn attachments() {
    let resource = of("storage.k8s.io/v1", "VolumeAttachment");
    let attachment = |source: Value| {
        global(json!({"spec": {"attacher": "d", "nodeName": "n", "source": source}}))
    };
    let good = attachment(json!({"persistentVolumeName": "v"}));
    check(resource, good.clone(), &[]);
    check(
        resource,
        attachment(json!({})),
        &[
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and \
             persistentVolumeName",
        ],
    );
    check_update(
        resource,
        with(good.clone(), json!({"spec.nodeName": "m"})),
        good,
        &["spec: Invalid value: \
             {\"attacher\":\"d\",\"nodeName\":\"m\",\"source\":{\"persistentVolumeName\":\"v\"}}: \
             field is immutable"],
    );
    let resource = of("storage.k8s.io/v1", "CSIStorageCapacity");
    let capacity = |class: &str, amount: &str| {
        object(
            json!({"storageClassName": class, "capacity": amount, "metadata.resourceVersion": "1"}),
        )
    };
    check(
        resource,
        capacity("c", "-1"),
        &["capacity: Invalid value: \"-1\": must be greater than or equal to 0"],
    );
    check_update(
        resource,
        capacity("d", "2"),
        capacity("c", "1"),
        &["storageClassName: Invalid value: \"d\": field is immutable"],
    );
}

#[test]
fn disks_of_azure_are_where_their_kind_has_them() {
    let blob = "supported values: \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"";
    let managed = "supported values: \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"";
    let of_uri = |uri: &str, form: &str| {
        vec![format!(
            "spec.volumes[0].azureDisk.diskURI: Unsupported value: {uri:?}: {form}"
        )]
    };
    for (fields, expect) in [
        (json!({"diskURI": "https://a.b/c"}), vec![]),
        (json!({"diskURI": "/subscriptions/a", "kind": "Managed"}), vec![]),
        (json!({"diskURI": "x"}), of_uri("x", blob)),
        (
            json!({"diskURI": "/subscriptions/a", "kind": "Dedicated"}),
            of_uri("/subscriptions/a", blob),
        ),
        (
            json!({"diskURI": "https://a", "kind": "Managed"}),
            of_uri("https://a", managed),
        ),
        (
            json!({"diskURI": "https://a", "kind": "Foo", "cachingMode": "x"}),
            vec![
                "spec.volumes[0].azureDisk.cachingMode: Unsupported value: \"x\": supported values: \"None\", \"ReadOnly\", \"ReadWrite\"".to_owned(),
                "spec.volumes[0].azureDisk.kind: Unsupported value: \"Foo\": supported values: \"Dedicated\", \"Managed\", \"Shared\"".to_owned(),
            ],
        ),
    ] {
        let disk = with(json!({"diskName": "d"}), fields);
        let pod = object(json!({"spec": {
            "containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default",
            "volumes": [{"name": "v", "azureDisk": disk}],
        }}));
        assert_eq!(errors(core("Pod"), pod), expect, "{disk}");
    }
}
