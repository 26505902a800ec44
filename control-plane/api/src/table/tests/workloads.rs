//! What controllers turn into pods, and what guards and scales them.

use serde_json::{Value, json};

use super::row;

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"z": "1", "y": "2"},
        "containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j"}]}})
}

#[test]
fn replicas() {
    let spec = json!({"replicas": 3, "template": template(), "selector": {"matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "z", "operator": "NotIn", "values": ["2", "1"]},
            {"key": "c", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"},
            {"key": "d", "operator": "In", "values": ["x"]}]}});
    let status = json!({"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2,
        "availableReplicas": 1});
    let value = json!({"metadata": {"name": "x"}, "spec": spec, "status": status});
    let words = "a=b,!b,c,d in (x),z notin (1,2)";
    assert_eq!(
        row("apps", "Deployment", value.clone()),
        json!(["x", "1/3", 2, 1, "5m3s", "c,d", "i:1,j", words])
    );
    assert_eq!(
        row("apps", "ReplicaSet", value.clone()),
        json!(["x", 3, 2, 1, "5m3s", "c,d", "i:1,j", words])
    );
    assert_eq!(
        row("apps", "StatefulSet", value.clone()),
        json!(["x", "1/3", "5m3s", "c,d", "i:1,j"])
    );
    let mut controller = value;
    controller["spec"]["selector"] = json!({"b": "2", "a": "1"});
    assert_eq!(
        row("", "ReplicationController", controller),
        json!(["x", 3, 2, 1, "5m3s", "c,d", "i:1,j", "a=1,b=2"])
    );
}

#[test]
fn selectors_of_nothing_and_of_everything() {
    let cell = |kind: &str, selector: Value| {
        let row = row(
            "apps",
            kind,
            json!({"metadata": {}, "spec": {"selector": selector}}),
        );
        row.as_array().and_then(|row| row.last()).cloned()
    };
    assert_eq!(cell("ReplicaSet", json!({})), Some(json!("<none>")));
    assert_eq!(cell("Deployment", json!({})), Some(json!("")));
    let wrong = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
    assert_eq!(cell("ReplicaSet", wrong.clone()), Some(json!("<error>")));
    assert_eq!(cell("Deployment", wrong), Some(json!("<invalid>")));
}

#[test]
fn daemon_sets_templates_and_revisions() {
    let value = json!({"metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template()},
        "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3,
            "updatedNumberScheduled": 2, "numberAvailable": 1}});
    assert_eq!(
        row("apps", "DaemonSet", value),
        json!(["x", 5, 4, 3, 2, 1, "y=2,z=1", "5m3s", "c,d", "i:1,j", "a=b"])
    );
    assert_eq!(
        row(
            "",
            "PodTemplate",
            json!({"metadata": {"name": "x"}, "template": template()})
        ),
        json!(["x", "c,d", "i:1,j", "a=b"])
    );
    let owned = json!({"metadata": {"name": "x", "ownerReferences": [{"apiVersion": "apps/v1",
        "kind": "StatefulSet", "name": "web", "controller": true}]}, "revision": 7});
    assert_eq!(
        row("apps", "ControllerRevision", owned),
        json!(["x", "statefulset.apps/web", 7, "5m3s"])
    );
    let free = json!({"metadata": {"name": "x"}, "revision": 1});
    assert_eq!(
        row("apps", "ControllerRevision", free),
        json!(["x", "<none>", 1, "5m3s"])
    );
}

#[test]
fn jobs() {
    let check = |spec: Value, status: Value, expect: [&str; 3]| {
        let mut spec = spec;
        spec["template"] = template();
        spec["selector"] = json!({"matchLabels": {"a": "b"}});
        let value = json!({"metadata": {"name": "x"}, "spec": spec, "status": status});
        let [status, completions, duration] = expect;
        assert_eq!(
            row("batch", "Job", value),
            json!([
                "x",
                status,
                completions,
                duration,
                "5m3s",
                "c,d",
                "i:1,j",
                "a=b"
            ])
        );
    };
    let is = |kind: &str| json!([{"type": kind, "status": "True"}]);
    check(json!({"completions": 2}), json!({}), ["Running", "0/2", ""]);
    check(
        json!({"completions": 2}),
        json!({"succeeded": 1, "startTime": "2026-11-23T01:29:00Z"}),
        ["Running", "1/2", "60s"],
    );
    check(
        json!({"parallelism": 3}),
        json!({"succeeded": 1, "startTime": "2026-11-23T01:25:00Z",
            "completionTime": "2026-11-23T01:25:07Z", "conditions": is("Complete")}),
        ["Complete", "1/1 of 3", "7s"],
    );
    check(
        json!({}),
        json!({"conditions": is("Failed")}),
        ["Failed", "0/1", ""],
    );
    check(
        json!({}),
        json!({"conditions": is("Suspended")}),
        ["Suspended", "0/1", ""],
    );
    check(
        json!({}),
        json!({"conditions": [{"type": "Complete", "status": "False"},
            {"type": "FailureTarget", "status": "True"}]}),
        ["FailureTarget", "0/1", ""],
    );
}

#[test]
fn cron_jobs() {
    let spec = json!({"schedule": "* * * * *", "suspend": true, "timeZone": "Etc/UTC",
        "jobTemplate": {"spec": {"template": template()}}});
    let status = json!({"active": [{"name": "a"}], "lastScheduleTime": "2026-11-23T01:29:00Z"});
    assert_eq!(
        row(
            "batch",
            "CronJob",
            json!({"metadata": {"name": "x"}, "spec": spec, "status": status})
        ),
        json!([
            "x",
            "* * * * *",
            "Etc/UTC",
            "True",
            1,
            "60s",
            "5m3s",
            "c,d",
            "i:1,j",
            "<none>"
        ])
    );
    let bare = json!({"metadata": {"name": "x"}, "spec": {"schedule": "@daily"}});
    assert_eq!(
        row("batch", "CronJob", bare),
        json!([
            "x", "@daily", "<none>", "<unset>", 0, "<none>", "5m3s", "", "", "<none>"
        ])
    );
}

#[test]
fn budgets_and_scales() {
    let check = |spec: Value, expect: [&str; 2]| {
        let value = json!({"metadata": {"name": "x"}, "spec": spec,
            "status": {"disruptionsAllowed": 1}});
        assert_eq!(
            row("policy", "PodDisruptionBudget", value),
            json!(["x", expect[0], expect[1], 1, "5m3s"])
        );
    };
    check(json!({"minAvailable": 2}), ["2", "N/A"]);
    check(json!({"maxUnavailable": "30%"}), ["N/A", "30%"]);
    let scale =
        json!({"metadata": {"name": "x"}, "spec": {"replicas": 3}, "status": {"replicas": 2}});
    assert_eq!(
        row("autoscaling", "Scale", scale),
        json!(["x", 3, 2, "5m3s"])
    );
}

#[test]
fn autoscalers() {
    let check = |metrics: Value, current: Value, expect: &str| {
        let value = json!({"metadata": {"name": "x"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "minReplicas": 1,
                "maxReplicas": 5, "metrics": metrics},
            "status": {"currentReplicas": 2, "currentMetrics": current}});
        assert_eq!(
            row("autoscaling", "HorizontalPodAutoscaler", value),
            json!(["x", "Deployment/d", expect, "1", 5, 2, "5m3s"])
        );
    };
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}});
    let external = |target: Value| json!({"type": "External", "external": {"target": target}});
    check(json!([]), json!([]), "<none>");
    check(json!([cpu]), json!([]), "cpu: <unknown>/80%");
    check(
        json!([cpu]),
        json!([{"type": "Resource", "resource": {"current": {"averageUtilization": 33}}}]),
        "cpu: 33%/80%",
    );
    let memory = json!({"type": "ContainerResource", "containerResource": {"name": "memory",
        "target": {"averageValue": "100Mi"}}});
    check(
        json!([memory]),
        json!([{"containerResource": {"current": {"averageValue": "50Mi"}}}]),
        "memory: 50Mi/100Mi",
    );
    check(
        json!([
            external(json!({"value": "10"})),
            external(json!({"averageValue": "4"})),
            cpu
        ]),
        json!([{"external": {"current": {"value": "7"}}}]),
        "7/10, <unknown>/4 (avg) + 1 more...",
    );
    check(
        json!([{"type": "Pods", "pods": {"target": {"averageValue": "1"}}},
            {"type": "Object", "object": {"target": {"value": "2"}}}]),
        json!([{}, {"object": {"current": {"value": "500m"}}}]),
        "<unknown>/1, 500m/2",
    );
    check(json!([{"type": "Magic"}]), json!([]), "<unknown type>");
    // The older version says the same in other fields.
    let older = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 80},
        "status": {"currentReplicas": 2, "currentCPUUtilizationPercentage": 33}});
    assert_eq!(
        row("autoscaling", "HorizontalPodAutoscaler", older),
        json!(["x", "Deployment/d", "cpu: 33%/80%", "1", 5, 2, "5m3s"])
    );
}
