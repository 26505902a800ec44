use super::*;

const FLOW: &str = "flowcontrol.apiserver.k8s.io/v1";

#[test]
fn schemas() {
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
        "clusterScope": true, "namespaces": ["*"]}]);
    let exempt = json!({"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1,
        "rules": [{"subjects": [{"kind": "Group", "group": {"name": "system:masters"}}],
            "resourceRules": everything,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]});
    let schema = |name: &str, spec: Value| {
        let named = global(json!({"metadata.name": name}));
        with(named, json!({"spec": spec}))
    };
    let check = |name: &str, spec: Value, expect: &[&str]| {
        check(of(FLOW, "FlowSchema"), schema(name, spec), expect);
    };
    check("exempt", exempt.clone(), &[]);
    check(
        "other",
        exempt,
        &[
            "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have \
             matchingPrecedence 1",
        ],
    );
    check(
        "a",
        json!({"matchingPrecedence": 10_001, "rules": [{"subjects": [{"kind": "User", "group": {}},
            {"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}, {"kind": "x"}],
            "resourceRules": [{"verbs": ["get", "*"], "apiGroups": ["*", "a"], "resources": []}],
            "nonResourceRules": [{"verbs": ["fly"], "nonResourceURLs": ["a", "/a*"]}]}, {}]}),
        &[
            "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is \
             'User'",
            "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not \
             'Group'",
            "spec.rules[0].subjects[1].serviceAccount.namespace: Required value: must specify \
             namespace for service account",
            "spec.rules[0].subjects[2].kind: Unsupported value: \"x\": supported values: \"Group\", \
             \"ServiceAccount\", \"User\"",
            "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"get\",\"*\"]: if '*' is present, \
             must not specify other verbs",
            "spec.rules[0].resourceRules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is \
             present, must not specify other api groups",
            "spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at \
             least one resource",
            "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not \
             cluster scoped must supply at least one namespace",
            "spec.rules[0].nonResourceRules[0].verbs: Unsupported value: [\"fly\"]: supported values: \
             \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \
             \"update\", \"watch\"",
            "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"a\": must start \
             with slash",
            "spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"/a*\": wildcard \
             can only do suffix matching",
            "spec.rules[1].subjects: Required value: subjects must contain at least one value",
            "spec.rules[1]: Required value: at least one of resourceRules and nonResourceRules has to \
             be non-empty",
        ],
    );
}

#[test]
fn levels() {
    let resource = of(FLOW, "PriorityLevelConfiguration");
    let level = |name: &str, spec: Value| {
        let named = global(json!({"metadata.name": name}));
        with(named, json!({"spec": spec}))
    };
    check(
        resource,
        level(
            "a",
            json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue",
                "queuing": {}}}}),
        ),
        &[],
    );
    check(
        resource,
        level(
            "exempt",
            json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 3}}),
        ),
        &[],
    );
    check(
        resource,
        level("a", json!({"type": "Exempt"})),
        &[
            "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is \
             'exempt'",
        ],
    );
    check(
        resource,
        level(
            "a",
            json!({"type": "Limited", "limited": {"lendablePercent": 101,
                "nominalConcurrencyShares": -1, "limitResponse": {"type": "Queue",
                    "queuing": {"queues": 4, "handSize": 5}}}}),
        ),
        &[
            "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative \
             integer",
            "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater \
             than queues (4)",
        ],
    );
    let found = errors(
        resource,
        level(
            "catch-all",
            json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}),
        ),
    );
    assert!(found[0].ends_with(": spec of 'catch-all' must equal the fixed value"));
}

#[test]
fn priority_classes() {
    let resource = of("scheduling.k8s.io/v1", "PriorityClass");
    let class = |name: &str, value: i64| {
        with(
            global(json!({"metadata.name": name})),
            json!({"value": value}),
        )
    };
    check(resource, class("a", 1_000_000_000), &[]);
    check(resource, class("system-node-critical", 2_000_001_000), &[]);
    check(
        resource,
        class("a", 1_000_000_001),
        &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    );
    check(
        resource,
        class("system-mine", 1),
        &[
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for \
             system use only. error: system-mine is not a known system priority class",
        ],
    );
    check_update(
        resource,
        class("a", 2),
        class("a", 1),
        &["value: Forbidden: may not be changed in an update."],
    );
}

#[test]
fn autoscalers() {
    let autoscaler = |changes: Value| {
        let spec = json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1",
            "kind": "Deployment", "name": "d"}});
        with(object(json!({"spec": spec})), changes)
    };
    let check = |changes: Value, expect: &[&str]| {
        let resource = of("autoscaling/v2", "HorizontalPodAutoscaler");
        check(resource, autoscaler(changes), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"spec.minReplicas": 5, "spec.scaleTargetRef": {"kind": "Deployment"}}),
        &[
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
            "spec.scaleTargetRef.name: Required value",
            "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
        ],
    );
    check(
        json!({"spec.maxReplicas": 0, "spec.minReplicas": 0}),
        &[
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support \
             scaling to zero replicas",
        ],
    );
    check(
        json!({"spec.metrics": [{"type": "Pods", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 0}}},
            {"type": "Object", "object": {"describedObject": {"kind": "K", "name": "n"},
                "metric": {"name": "m"}, "target": {"type": "Value"}}}],
            "spec.behavior": {"scaleUp": {"policies": [], "selectPolicy": "x"},
                "scaleDown": {"policies": [{"type": "y", "value": 0, "periodSeconds": 1801}]}}}),
        &[
            "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater \
             than 0",
            "spec.metrics[0].pods: Required value: must populate information for the given metric \
             source",
            "spec.metrics[0].resource: Forbidden: must populate the given metric source only",
            "spec.metrics[1].object.target.averageValue: Required value: must set either a target \
             value or averageValue",
            "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"x\": supported values: \
             \"Disabled\", \"Max\", \"Min\"",
            "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
            "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"y\": supported values: \
             \"Percent\", \"Pods\"",
            "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less \
             than or equal to 1800",
        ],
    );
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"});
    let one = with(autoscaler(json!({"spec.maxReplicas": -1})), old);
    super::check(
        of("autoscaling/v1", "HorizontalPodAutoscaler"),
        one,
        &[
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
        ],
    );
}
