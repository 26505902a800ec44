use super::*;

fn job(changes: Value) -> Value {
    let template = json!({"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "i"}]}});
    let mut job = with(object(json!({"spec.template": template})), changes);
    let resource = of("batch/v1", "Job");
    defaults::apply(resource, &mut job);
    let status = job.get("status").cloned();
    defaults::prepare_create(resource, &mut job);
    if let Some(status) = status {
        job["status"] = status;
    }
    job
}

#[test]
fn new_jobs() {
    let check =
        |changes: Value, expect: &[&str]| check(of("batch/v1", "Job"), job(changes), expect);
    check(json!({}), &[]);
    check(
        json!({"spec.template.spec.restartPolicy": "Always", "spec.backoffLimit": -1}),
        &[
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ],
    );
    check(json!({"spec.completionMode": "Indexed"}), &[]);
    check(
        json!({"spec.completionMode": "Indexed", "spec.parallelism": 100_001}),
        &["spec.completions: Required value: when completion mode is Indexed"],
    );
    check(
        json!({"spec.completions": 3, "spec.backoffLimitPerIndex": 1}),
        &["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
    );
    check(
        json!({"spec.template.metadata.labels": {"job-name": "b"}}),
        &["spec.template.metadata.labels[job-name]: Invalid value: \
             {\"job-name\":\"b\",\"batch.kubernetes.io/job-name\":\"a\",\"controller-uid\":\"u\",\
             \"batch.kubernetes.io/controller-uid\":\"u\"}: must be 'a'"],
    );
    check(
        json!({"spec.selector": {"matchLabels": {"x": "y"}}}),
        &[
            "spec.selector: Invalid value: \
             {\"matchLabels\":{\"x\":\"y\",\"batch.kubernetes.io/controller-uid\":\"u\"}}: \
             `selector` not auto-generated",
            "spec.template.metadata.labels: Invalid value: \
             {\"job-name\":\"a\",\"batch.kubernetes.io/job-name\":\"a\",\"controller-uid\":\"u\",\
             \"batch.kubernetes.io/controller-uid\":\"u\"}: `selector` does not match template \
             `labels`",
        ],
    );
    check(json!({"spec.managedBy": "example.com/x"}), &[]);
    check(
        json!({"spec.managedBy": "x"}),
        &[
            "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \
             \"acme.io/foo\")",
        ],
    );
}

#[test]
fn policies() {
    let check =
        |changes: Value, expect: &[&str]| check(of("batch/v1", "Job"), job(changes), expect);
    let rules = |rules: Value| json!({"spec.podFailurePolicy": {"rules": rules}});
    check(
        rules(json!([{"action": "FailJob",
            "onExitCodes": {"operator": "In", "containerName": "c", "values": [1, 3]}}])),
        &[],
    );
    check(
        rules(
            json!([{"action": "Pray", "onExitCodes": {"operator": "In", "containerName": "d",
            "values": [3, 0, 3]}}, {}, {"action": "FailIndex",
            "onPodConditions": [{"type": "X", "status": "Maybe"}]}]),
        ),
        &[
            "spec.podFailurePolicy.rules[0].action: Unsupported value: \"Pray\": supported values: \
             \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
            "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"d\": must be \
             one of the container or initContainer names in the pod template",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 \
             for the In operator",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be \
             ordered",
            "spec.podFailurePolicy.rules[1].action: Required value: valid values: [\"Count\" \
             \"FailIndex\" \"FailJob\" \"Ignore\"]",
            "spec.podFailurePolicy.rules[1]: Invalid value: specifying one of OnExitCodes and \
             OnPodConditions is required",
            "spec.podFailurePolicy.rules[2].action: Invalid value: \"FailIndex\": requires the \
             backoffLimitPerIndex to be set",
            "spec.podFailurePolicy.rules[2].onPodConditions[0].status: Unsupported value: \"Maybe\": \
             supported values: \"False\", \"True\", \"Unknown\"",
        ],
    );
    let success = |rules: Value| {
        json!({"spec.completionMode": "Indexed", "spec.completions": 5,
            "spec.successPolicy": {"rules": rules}})
    };
    check(
        success(json!([{"succeededIndexes": "0-2", "succeededCount": 2}])),
        &[],
    );
    check(
        success(json!([{"succeededIndexes": "0-9", "succeededCount": 9}, {}])),
        &[
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0-9\": error parsing \
             succeededIndexes: too large index: \"9\"",
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or \
             equal to 5 (the number of specified completions)",
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or \
             equal to 0 (the number of indexes in the specified succeededIndexes field)",
            "spec.successPolicy.rules[1]: Required value: at least one of succeededCount or \
             succeededIndexes must be specified",
        ],
    );
}

#[test]
fn what_may_change() {
    let check = |new: Value, old: Value, expect: &[&str]| {
        let found = update(of("batch/v1", "Job"), &job(new), &job(old));
        let found = lines(&found);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.starts_with(expect), "{found}");
        }
    };
    check(
        json!({"spec.parallelism": 4, "spec.suspend": true}),
        json!({"spec.parallelism": 1}),
        &[],
    );
    check(
        json!({"spec.completions": 2, "spec.template.spec.nodeName": "n"}),
        json!({}),
        &[
            "spec.completions: Invalid value: 2: field is immutable",
            "spec.template: Invalid value: {",
        ],
    );
    let resting = json!({"spec.suspend": true});
    check(
        json!({"spec.suspend": true, "spec.template.spec.nodeSelector": {"a": "b"},
            "spec.template.spec.affinity": {"nodeAffinity": {}},
            "spec.template.spec.containers": [{"name": "c", "image": "i",
                "resources": {"limits": {"cpu": "1"}}}]}),
        resting.clone(),
        &[],
    );
    check(
        json!({"spec.suspend": true, "spec.template.spec.containers": [{"name": "c", "image": "j"}]}),
        resting,
        &["spec.template.spec: Invalid value: {"],
    );
    check(
        json!({"spec.completionMode": "Indexed", "spec.completions": 3, "spec.parallelism": 2}),
        json!({"spec.completionMode": "Indexed", "spec.completions": 2, "spec.parallelism": 2}),
        &[
            "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism",
        ],
    );
}

#[test]
fn statuses() {
    let now = "2026-01-01T00:00:00Z";
    let done = json!([{"type": "SuccessCriteriaMet", "status": "True"},
        {"type": "Complete", "status": "True"}]);
    let check = |new: &Value, old: &Value, expect: &[&str]| {
        let (new, old) = (
            job(json!({"status": new.clone()})),
            job(json!({"status": old.clone()})),
        );
        let found = status_update(of("batch/v1", "Job"), &new, &old);
        assert_eq!(lines(&found), expect);
    };
    let running = json!({"active": 1, "ready": 1, "startTime": now});
    let complete = json!({"succeeded": 1, "startTime": now, "completionTime": now,
        "conditions": done, "uncountedTerminatedPods": {}});
    check(&running, &json!({}), &[]);
    check(&complete, &running, &[]);
    check(
        &json!({"active": 1, "ready": 2, "completionTime": now,
            "conditions": [{"type": "Complete", "status": "True"}]}),
        &running,
        &[
            "status.conditions: Invalid value: cannot set Complete=True condition without the \
             SuccessCriteriaMet=true condition",
            "status.startTime: Invalid value: null: field is immutable for unsuspended job once set",
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.ready: Invalid value: 2: cannot set more ready pods than active",
        ],
    );
    check(
        &json!({"startTime": now, "failed": 0}),
        &json!({"startTime": now, "failed": 2, "conditions": [
            {"type": "FailureTarget", "status": "True"}]}),
        &[
            "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True \
             condition",
            "status.failed: Invalid value: 0: cannot decrease the failed counter",
        ],
    );
}

#[test]
fn cron_jobs() {
    let check = |changes: Value, expect: &[&str]| {
        let base = json!({"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template":
            {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}});
        check(
            of("batch/v1", "CronJob"),
            with(object(base), changes),
            expect,
        );
    };
    check(json!({}), &[]);
    check(
        json!({"spec.schedule": "bad"}),
        &["spec.schedule: Invalid value: \"bad\": expected exactly 5 fields, found 1: [bad]"],
    );
    check(
        json!({"spec.schedule": "TZ=UTC 0 0 * * *", "spec.timeZone": "Nowhere"}),
        &[
            "spec.schedule: Invalid value: \"TZ=UTC 0 0 * * *\": cannot use TZ or CRON_TZ in \
             schedule, use timeZone field instead",
            "spec.timeZone: Invalid value: \"Nowhere\": unknown time zone Nowhere",
        ],
    );
    check(
        json!({"spec.concurrencyPolicy": "Maybe", "spec.jobTemplate.spec.manualSelector": true,
            "spec.startingDeadlineSeconds": -1}),
        &[
            "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \
             \"Forbid\", \"Replace\"",
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \
             \"nil\", \"false\"",
        ],
    );
    check(
        json!({"metadata.name": "a".repeat(53)}),
        &[&format!(
            "metadata.name: Invalid value: \"{}\": must be no more than 52 characters",
            "a".repeat(53)
        )],
    );
}

#[test]
fn disruption_budgets() {
    let resource = of("policy/v1", "PodDisruptionBudget");
    let budget = |spec: Value| object(json!({"spec": spec, "metadata.resourceVersion": "1"}));
    check(resource, budget(json!({"minAvailable": "50%"})), &[]);
    check(
        resource,
        budget(json!({"minAvailable": 1, "maxUnavailable": "101%",
            "unhealthyPodEvictionPolicy": "x"})),
        &[
            "spec: Invalid value: {\"minAvailable\":1,\"maxUnavailable\":\"101%\",\
             \"unhealthyPodEvictionPolicy\":\"x\"}: minAvailable and maxUnavailable cannot be both \
             set",
            "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"x\": supported values: \
             \"AlwaysAllow\", \"IfHealthyBudget\"",
        ],
    );
    let old = budget(json!({"minAvailable": 1}));
    let new = with(
        old.clone(),
        json!({"status": {"currentHealthy": -1, "conditions": [{"type": "A", "status": "Yes"}]}}),
    );
    assert_eq!(
        lines(&status_update(resource, &new, &old)),
        [
            "status.conditions[0].status: Unsupported value: \"Yes\": supported values: \"False\", \
             \"True\", \"Unknown\"",
            "status.conditions[0].lastTransitionTime: Required value",
            "status.conditions[0].reason: Required value",
            "status.currentHealthy: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}
