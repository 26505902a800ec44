//! Rules that were found by giving the same mistakes to a kube-apiserver: one line of its answer each.

use super::*;

/// Objects with one thing wrong, and how the answer begins.
fn refuse(resource: &Resource, base: &Value, mistakes: &[(&str, Value, &str)]) {
    assert_eq!(errors(resource, base.clone()), [""; 0], "{base}");
    for (path, value, expect) in mistakes {
        let mut wrong = base.clone();
        set(&mut wrong, path, value.clone());
        let found = errors(resource, wrong);
        let first = found.first().map_or("", String::as_str);
        assert!(first.starts_with(expect), "{path}={value}: {found:?}");
    }
}

/// The same for updates, whose object must not change as they change it.
fn refuse_update(resource: &Resource, base: &Value, mistakes: &[(&str, Value, &str)]) {
    for (path, value, expect) in mistakes {
        let mut wrong = base.clone();
        set(&mut wrong, path, value.clone());
        check_update(resource, wrong, base.clone(), &[expect]);
    }
}

fn pod(spec: Value) -> Value {
    object(with(
        json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
        spec,
    ))
}

/// A choice that is set to nothing is no choice: upstream's fields are pointers.
#[test]
fn empty_choices() {
    let job = object(json!({"metadata.uid": "u", "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "manualSelector": true,
        "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}));
    refuse(
        of("batch/v1", "Job"),
        &job,
        &[
            (
                "spec.completionMode",
                json!(""),
                "spec.completionMode: Unsupported value: \"\": supported values: \"NonIndexed\", \"Indexed\"",
            ),
            (
                "spec.podReplacementPolicy",
                json!(""),
                "spec.podReplacementPolicy: Unsupported value: \"\": supported values: \"Failed\", \"TerminatingOrFailed\"",
            ),
        ],
    );
    refuse(
        of("networking.k8s.io/v1", "NetworkPolicy"),
        &object(json!({"spec": {"podSelector": {}, "ingress": [{}]}})),
        &[(
            "spec.ingress",
            json!([{"ports": [{"protocol": ""}]}]),
            "spec.ingress[0].ports[0].protocol: Unsupported value: \"\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
        )],
    );
    refuse(
        of("policy/v1", "PodDisruptionBudget"),
        &object(json!({"spec": {"minAvailable": 1, "selector": {}}})),
        &[(
            "spec.unhealthyPodEvictionPolicy",
            json!(""),
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
        )],
    );
    refuse(
        of("scheduling.k8s.io/v1", "PriorityClass"),
        &global(json!({"value": 1})),
        &[(
            "preemptionPolicy",
            json!(""),
            "preemptionPolicy: Required value",
        )],
    );
    refuse(
        of("storage.k8s.io/v1", "StorageClass"),
        &global(json!({"provisioner": "example.com/p"})),
        &[
            (
                "volumeBindingMode",
                json!(""),
                "volumeBindingMode: Unsupported value: \"\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ),
            (
                "allowedTopologies",
                json!([{}]),
                "allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\"",
            ),
        ],
    );
    let constraint = json!([{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": ""}]);
    let term = json!([{"weight": 1}]);
    refuse(
        core("Pod"),
        &pod(json!({})),
        &[
            (
                "spec.preemptionPolicy",
                json!(""),
                "spec.preemptionPolicy: Required value",
            ),
            (
                "spec.runtimeClassName",
                json!(""),
                "spec.runtimeClassName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of",
            ),
            (
                "spec.topologySpreadConstraints",
                constraint,
                "spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: \"\": supported values: \"Honor\", \"Ignore\"",
            ),
            (
                "spec.securityContext",
                json!({"fsGroupChangePolicy": ""}),
                "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"\": supported values: \"Always\", \"OnRootMismatch\"",
            ),
            (
                "spec.initContainers",
                json!([{"name": "i", "image": "i", "restartPolicy": ""}]),
                "spec.initContainers[0].restartPolicy: Unsupported value: \"\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            ),
            (
                "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution",
                term,
                "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Required value: can not be empty",
            ),
        ],
    );
}

#[test]
fn services() {
    let service = |kind: &str| object(json!({"spec": {"type": kind, "ports": [{"port": 80}]}}));
    refuse(
        core("Service"),
        &service("ClusterIP"),
        &[
            (
                "spec.allocateLoadBalancerNodePorts",
                json!(false),
                "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ),
            (
                "spec.loadBalancerClass",
                json!("a.b/c"),
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ),
            (
                "spec.ports",
                json!([{"port": 80, "nodePort": 30001}]),
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            (
                "spec.ports",
                json!([{"port": 80, "appProtocol": ""}]),
                "spec.ports[0].appProtocol: Invalid value: \"\": name part must be non-empty",
            ),
            (
                "spec.trafficDistribution",
                json!(""),
                "spec.trafficDistribution: Unsupported value: \"\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
            ),
            (
                "spec.internalTrafficPolicy",
                json!(""),
                "spec.internalTrafficPolicy: Unsupported value: \"\": supported values: \"Cluster\", \"Local\"",
            ),
            (
                "spec",
                json!({"ports": [{"port": 80}], "sessionAffinity": "ClientIP",
                    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            ),
        ],
    );
    refuse(
        core("Service"),
        &service("LoadBalancer"),
        &[(
            "spec.loadBalancerClass",
            json!("a b"),
            "spec.loadBalancerClass: Invalid value: \"a b\": name part must consist of",
        )],
    );
}

#[test]
fn finalizers_say_whose_they_are() {
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    let wrong = format!("metadata.finalizers[1]: Invalid value: \"mine\": {why}");
    refuse(
        core("ConfigMap"),
        &object(json!({"metadata.finalizers": ["example.com/f", "orphan"]})),
        &[("metadata.finalizers", json!(["kubernetes", "mine"]), &wrong)],
    );
    let wrong = format!("spec.finalizers: Invalid value: \"mine\": {why}");
    refuse(
        core("Namespace"),
        &global(json!({})),
        &[("spec.finalizers", json!(["mine"]), &wrong)],
    );
    let lease = of("coordination.k8s.io/v1", "Lease");
    check(lease, object(json!({"metadata.finalizers": ["mine"]})), &[]);
    // Only when it is new: what is there stays.
    let old = object(json!({"metadata.finalizers": ["mine"], "metadata.resourceVersion": "1"}));
    let new = with(old.clone(), json!({"data": {"a": "b"}}));
    check_update(core("ConfigMap"), new, old, &[]);
    let webhook = of(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    );
    check(
        webhook,
        global(json!({"metadata.finalizers": ["mine"]})),
        &[],
    );
}

#[test]
fn nodes() {
    refuse(
        core("Node"),
        &global(json!({"spec.podCIDRs": ["10.1.0.0/24", "fd00::/64"]})),
        &[
            (
                "spec.podCIDRs",
                json!(["10.1.0.0/24", "10.2.0.0/24"]),
                "spec.podCIDRs: Invalid value: [\"10.1.0.0/24\",\"10.2.0.0/24\"]: may specify no more than one CIDR for each IP family",
            ),
            (
                "spec.podCIDR",
                json!("x"),
                "spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
            (
                "spec.taints",
                json!([{"effect": "NoSchedule"}]),
                "metadata.taints[0].key: Invalid value: \"\": name part must be non-empty",
            ),
        ],
    );
}

#[test]
fn others() {
    let twice = json!([{"key": "k", "operator": "Exists"}, {"key": "k", "operator": "Exists"}]);
    refuse(
        of("node.k8s.io/v1", "RuntimeClass"),
        &global(json!({"handler": "h"})),
        &[(
            "scheduling.tolerations",
            twice,
            "scheduling.tolerations[1]: Duplicate value: {\"key\":\"k\",\"operator\":\"Exists\"}",
        )],
    );
    let metric = json!({"type": "Other", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}});
    refuse(
        of("autoscaling/v2", "HorizontalPodAutoscaler"),
        &object(
            json!({"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}}),
        ),
        &[(
            "spec.metrics",
            json!([metric]),
            "spec.metrics[0].type: Unsupported value: \"Other\"",
        )],
    );
    let long = "x".repeat(64);
    refuse(
        core("ConfigMap"),
        &object(json!({})),
        &[
            (
                "metadata.labels",
                json!({"a": long}),
                &format!(
                    "metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes"
                ),
            ),
            (
                "metadata.labels",
                json!({long.clone(): "a"}),
                &format!(
                    "metadata.labels: Invalid value: \"{long}\": name part must be no more than 63 bytes"
                ),
            ),
        ],
    );
    let selectors = json!([{"matchLabels": {"a": "b c"}}]);
    let found = errors(
        of("rbac.authorization.k8s.io/v1", "ClusterRole"),
        global(json!({"aggregationRule.clusterRoleSelectors": selectors})),
    );
    assert_eq!(
        found[1],
        "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector."
    );
    refuse_update(
        of("storage.k8s.io/v1", "StorageClass"),
        &global(json!({"provisioner": "example.com/p"})),
        &[(
            "allowedTopologies",
            json!([{"matchLabelExpressions": [{"key": "zone", "values": []}]}]),
            "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
        )],
    );
    refuse_update(
        core("Service"),
        &object(
            json!({"metadata.resourceVersion": "1", "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1",
            "loadBalancerClass": "a.b/c", "ports": [{"port": 80}]}}),
        ),
        &[(
            "spec.loadBalancerClass",
            json!("a.b/d"),
            "spec.loadBalancerClass: Invalid value: \"a.b/d\": may not change once set",
        )],
    );
    refuse(
        of("resource.k8s.io/v1", "ResourceClaimTemplate"),
        &object(json!({"spec.spec.devices.requests": []})),
        &[(
            "spec.metadata.labels",
            json!({"a": "b c"}),
            "spec.metadata.labels: Invalid value: \"b c\": a valid label must be",
        )],
    );
    refuse_update(
        of("scheduling.k8s.io/v1", "PriorityClass"),
        &global(json!({"value": 1})),
        &[(
            "value",
            json!(2),
            "value: Forbidden: may not be changed in an update.",
        )],
    );
}

#[test]
fn ways_into_services() {
    let balanced = |ingress: Value| {
        object(
            json!({"metadata.resourceVersion": "1", "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            "status": {"loadBalancer": {"ingress": [ingress]}}}),
        )
    };
    let path = "status.loadBalancer.ingress[0]";
    for (ingress, expect) in [
        (json!({"ip": "1.2.3.4", "hostname": "a.example.com"}), ""),
        (
            json!({"hostname": "a.example.com", "ipMode": "VIP"}),
            ".ipMode: Forbidden: may not be specified when `ip` is not set",
        ),
        (
            json!({"ip": "1.2.3.4", "ipMode": ""}),
            ".ipMode: Unsupported value: \"\": supported values: \"Proxy\", \"VIP\"",
        ),
        (
            json!({"hostname": "1.2.3.4"}),
            ".hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
        ),
    ] {
        let mut service = balanced(ingress);
        defaults::apply(core("Service"), &mut service);
        let found = lines(&status_update(core("Service"), &service, &service));
        let expect: Vec<String> = Some(expect)
            .filter(|expect| !expect.is_empty())
            .map(|expect| format!("{path}{expect}"))
            .into_iter()
            .collect();
        assert_eq!(found, expect);
    }
    let mut other = balanced(json!({"ip": "1.2.3.4", "ipMode": "VIP"}));
    set(&mut other, "spec.type", "ClusterIP");
    assert_eq!(
        lines(&status_update(core("Service"), &other, &other)),
        [
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
        ]
    );
}

/// The two spellings of a pod's address follow each other.
#[test]
fn addresses_of_pods() {
    for (status, expect) in [
        (
            json!({"podIP": "10.0.0.1"}),
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}),
        ),
        (
            json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
        ),
        (
            json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.1"}]}),
            json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}),
        ),
    ] {
        let mut pod = pod(json!({"status": status}));
        defaults::apply(core("Pod"), &mut pod);
        assert_eq!(pod["status"], expect);
    }
}
