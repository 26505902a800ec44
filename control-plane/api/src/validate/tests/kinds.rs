use super::*;

fn named(changes: Value) -> Value {
    with(
        json!({"metadata": {"name": "a", "namespace": "default"}}),
        changes,
    )
}

#[test]
fn config_maps() {
    let check = |changes: Value, expect: &[&str]| check(core("ConfigMap"), named(changes), expect);
    check(json!({"data": {"a": "b"}}), &[]);
    check(
        json!({"data": {"a/b": ""}}),
        &[
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric \
           characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used \
           for validation is '[-._a-zA-Z0-9]+')",
        ],
    );
    check(
        json!({"data": {"a": "x".repeat(1024 * 1024 + 1)}}),
        &["[]: Too long: may not be more than 1048576 bytes"],
    );
    let locked = named(json!({"data": {"a": "b"}, "immutable": true}));
    check_update(
        core("ConfigMap"),
        named(json!({"data": {"a": "c"}})),
        locked,
        &[
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
}

#[test]
fn secrets() {
    let check = |changes: Value, expect: &[&str]| check(core("Secret"), named(changes), expect);
    check(json!({"stringData": {"a": "b"}}), &[]);
    check(
        json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}),
        &["data[tls.key]: Required value"],
    );
    check(
        json!({"type": "kubernetes.io/dockerconfigjson", "data": {}}),
        &["data[.dockerconfigjson]: Required value"],
    );
    check(
        json!({"type": "kubernetes.io/basic-auth"}),
        &[
            "data[username]: Required value",
            "data[password]: Required value",
        ],
    );
    check(
        json!({"type": "kubernetes.io/service-account-token"}),
        &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    );
    check_update(
        core("Secret"),
        named(json!({"type": "x"})),
        named(json!({})),
        &["type: Invalid value: \"x\": field is immutable"],
    );
}

#[test]
fn services() {
    let check =
        |spec: Value, expect: &[&str]| check(core("Service"), named(json!({"spec": spec})), expect);
    check(json!({"ports": [{"port": 80}]}), &[]);
    check(json!({"clusterIP": "None"}), &[]);
    check(json!({}), &["spec.ports: Required value"]);
    check(
        json!({"ports": [{"port": 0}]}),
        &[
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    );
    check(
        json!({"ports": [{"port": 80}, {"port": 81}]}),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value",
        ],
    );
    check(
        json!({"ports": [{"port": 80, "nodePort": 30000}]}),
        &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    );
    check(
        json!({"type": "Magic", "ports": [{"port": 80}]}),
        &[
            "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \
           \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
    check(
        json!({"type": "ExternalName"}),
        &["spec.externalName: Required value"],
    );
    let one = |ip: &str| named(json!({"spec": {"ports": [{"port": 80}], "clusterIP": ip}}));
    check_update(
        core("Service"),
        one("10.0.0.2"),
        one("10.0.0.1"),
        &["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"],
    );
}

#[test]
fn nodes_and_namespaces() {
    let node = |changes: Value| with(json!({"metadata": {"name": "n"}}), changes);
    check(
        core("Node"),
        node(json!({"spec.taints": [{"key": "a", "effect": "Never"}]})),
        &[
            "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \
           \"PreferNoSchedule\", \"NoExecute\"",
        ],
    );
    check_update(
        core("Node"),
        node(json!({"spec.podCIDR": "10.0.1.0/24"})),
        node(json!({"spec.podCIDR": "10.0.0.0/24"})),
        &[
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
        ],
    );
    check_update(
        core("Node"),
        node(json!({"spec.externalID": "x"})),
        node(json!({})),
        &["spec.externalID: Forbidden: may not be updated"],
    );
    check(
        core("Node"),
        node(json!({"status.declaredFeatures": ["A", "A/b", "A/B", "Ab", "Ab", "b", "C/1d"]})),
        &[
            "status.declaredFeatures[2]: Invalid value: \"A/B\": list must be sorted alphabetically",
            "status.declaredFeatures[4]: Duplicate value: \"Ab\"",
            "status.declaredFeatures[5]: Invalid value: \"b\": invalid feature name \"b\": must start with an \
             UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or \
             MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
            "status.declaredFeatures[6]: Invalid value: \"C/1d\": invalid feature name \"C/1d\": must start with an \
             UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or \
             MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
            "status.declaredFeatures[6]: Invalid value: \"C/1d\": list must be sorted alphabetically",
        ],
    );
    for phase in ["Terminating", "Asleep"] {
        let namespace = node(json!({"status.phase": phase}));
        let found = status_update(core("Namespace"), &namespace, &namespace);
        let why = "may only be 'Active' if `deletionTimestamp` is empty";
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!("status.Phase: Invalid value: {phase:?}: {why}")]
        );
    }
}

#[test]
fn what_names_are_generated_from() {
    let class = of("resource.k8s.io/v1", "DeviceClass");
    let prefixed = json!({"metadata": {"name": "n", "generateName": "N-"}});
    let found = |resource: &Resource| {
        let found = create(resource, &prefixed).into_iter();
        found
            .filter(|error| error.to_string().starts_with("metadata.generateName"))
            .count()
    };
    assert_eq!(
        [core("ReplicationController"), class, core("Node")].map(found),
        [0, 0, 1]
    );
}

#[test]
fn leases_and_runtime_classes() {
    let lease = find_kind("coordination.k8s.io", "v1", "Lease").expect("served");
    check(
        lease,
        named(json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}})),
        &[
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    let class = find_kind("node.k8s.io", "v1", "RuntimeClass").expect("served");
    let handler = |name: &str| json!({"metadata": {"name": "wasm"}, "handler": name});
    check(class, handler("sampan"), &[]);
    let old = with(handler("b"), json!({"metadata.resourceVersion": "1"}));
    let new = with(handler("a"), json!({"metadata.resourceVersion": "1"}));
    check_update(
        class,
        new,
        old,
        &["handler: Invalid value: \"a\": field is immutable"],
    );
}

#[test]
fn events() {
    let event = |changes: Value| {
        let base = json!({"metadata": {"name": "e", "namespace": "ns"},
            "involvedObject": {"namespace": "ns"}});
        with(base, changes)
    };
    check(core("Event"), event(json!({})), &[]);
    check(
        core("Event"),
        event(json!({"involvedObject.namespace": "other"})),
        &["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"],
    );
    check(
        core("Event"),
        event(json!({"eventTime": "2026-01-01T00:00:00.000000Z"})),
        &[
            "reportingComponent: Required value",
            "reportingComponent: Invalid value: \"\": name part must be non-empty",
            "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or \
             '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
             '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "reportingInstance: Required value",
            "action: Required value",
            "reason: Required value",
        ],
    );
    let new = find_kind("events.k8s.io", "v1", "Event").expect("served");
    let good = json!({"metadata": {"name": "e", "namespace": "ns"}, "regarding": {"namespace": "ns"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c",
        "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal", "note": "n"});
    check(new, good.clone(), &[]);
    // Names are looked at more closely than in the core group.
    let colon = json!({"metadata.name": "e:1"});
    check(core("Event"), event(colon.clone()), &[]);
    assert_eq!(create(new, &with(good.clone(), colon)).len(), 1);
    check(
        new,
        with(
            good.clone(),
            json!({"eventTime": null, "series": {"count": 1}}),
        ),
        &[
            "eventTime: Required value",
            "series.count: Invalid value: \"\": should be at least 2",
            "series.lastObservedTime: Required value",
        ],
    );
    check_update(
        new,
        with(good.clone(), json!({"reason": "S"})),
        good,
        &["reason: Invalid value: \"S\": field is immutable"],
    );
}
