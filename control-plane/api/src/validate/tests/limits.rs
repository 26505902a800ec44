use super::*;

#[test]
fn ranges() {
    let check = |limits: Value, expect: &[&str]| {
        let value = object(json!({"spec": {"limits": limits}}));
        check(core("LimitRange"), value, expect);
    };
    check(
        json!([{"type": "Container", "min": {"cpu": "50m", "memory": "100Mi"},
            "max": {"cpu": "500m", "memory": "500Mi"}, "default": {"cpu": "300m"},
            "defaultRequest": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "10"}}]),
        &[],
    );
    check(
        json!([{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod"},
            {"type": "PersistentVolumeClaim"}, {"type": "thing", "max": {"gpu": "1"}}]),
        &[
            "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            "spec.limits[1].type: Duplicate value: \"Pod\"",
            "spec.limits[2].limits: Required value: either minimum or maximum storage value is \
             required, but neither was provided",
            "spec.limits[3].type: Invalid value: \"thing\": must be a standard limit type or fully \
             qualified",
            "spec.limits[3].max[gpu]: Invalid value: \"gpu\": must be a standard resource type or \
             fully qualified",
        ],
    );
    check(
        json!([{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"},
            "default": {"cpu": "1500m"}, "defaultRequest": {"cpu": "1600m"},
            "maxLimitRequestRatio": {"cpu": "500m"}}]),
        &[
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": min value 2 is greater \
             than default request value 1600m",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": default request value \
             1600m is greater than max value 1",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1600m\": default request value \
             1600m is greater than default limit value 1500m",
            "spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default \
             value 1500m",
            "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 1500m is greater than \
             max value 1",
            "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less \
             than 1",
        ],
    );
}

#[test]
fn quotas() {
    let quota = |spec: Value| object(json!({"spec": spec}));
    let check = |spec: Value, expect: &[&str]| check(core("ResourceQuota"), quota(spec), expect);
    check(
        json!({"hard": {"pods": "5", "requests.cpu": "1", "requests.nvidia.com/gpu": "1",
            "count/deployments.apps": "3", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"}}),
        &[],
    );
    check(
        json!({"hard": {"pods": "5"}, "scopes": ["BestEffort"]}),
        &[],
    );
    check(
        json!({"hard": {"gpu": "1", "pods": "1500m", "cpu": "1"},
            "scopes": ["BestEffort", "NotBestEffort", "Magic"]}),
        &[
            "spec.hard[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully \
             qualified",
            "spec.hard[gpu]: Invalid value: \"gpu\": must be a standard resource for quota",
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Magic\"]: unsupported \
             scope applied to resource",
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Magic\"]: unsupported \
             scope",
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Magic\"]: conflicting \
             scopes",
        ],
    );
    check(
        json!({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In"},
            {"scopeName": "Terminating", "operator": "NotIn", "values": ["x"]},
            {"scopeName": "x", "operator": "Exists", "values": ["y"]}]}}),
        &[
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value \
             when `operator` is 'In' or 'NotIn' for scope selector",
            "spec.scopeSelector.matchExpressions.operator: Invalid value: \"NotIn\": must be 'Exists' \
             when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
             ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
             ResourceQuotaScopeCrossNamespacePodAffinity",
            "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"x\": unsupported scope",
            "spec.scopeSelector.matchExpressions.values: Invalid value: [\"y\"]: must be no value \
             when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ],
    );
    check_update(
        core("ResourceQuota"),
        quota(json!({"scopes": ["Terminating"]})),
        quota(json!({})),
        &["spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"],
    );
}

#[test]
fn half_of_what_is_counted() {
    let half = json!({"a.b/c": "1500m", "cpu": "1500m", "a.b/whole": "1000m"});
    let why = "Invalid value: \"1500m\": must be an integer";
    check(
        core("Node"),
        global(json!({"status": {"capacity": half, "allocatable": half}})),
        &[
            &format!("status.capacity.a.b/c: {why}"),
            &format!("status.allocatable.a.b/c: {why}"),
        ],
    );
}
