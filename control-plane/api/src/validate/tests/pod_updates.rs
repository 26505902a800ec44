use super::*;

fn pod(spec: Value, status: Value) -> Value {
    let base = json!({"metadata": {"name": "p", "namespace": "default", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": status});
    let fields = spec.as_object().expect("fields").iter();
    fields.fold(base, |base, (field, value)| {
        with(base, json!({ format!("spec.{field}"): value }))
    })
}

/// The first line of each error of a new spec.
fn changed(new: Value, old: Value, expect: &[&str]) {
    let (mut new, mut old) = (pod(new, json!({})), pod(old, json!({})));
    for value in [&mut new, &mut old] {
        defaults::apply(core("Pod"), value);
    }
    let found = update(core("Pod"), &new, &old);
    let first = |error: &FieldError| error.to_string().lines().next().unwrap_or("").to_owned();
    let found: Vec<String> = found.iter().map(first).collect();
    assert_eq!(found, expect, "{new}");
}

#[test]
fn deadlines() {
    changed(
        json!({"activeDeadlineSeconds": 20, "hostname": "other"}),
        json!({"activeDeadlineSeconds": 10}),
        &[
            "spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value",
        ],
    );
    changed(
        json!({"activeDeadlineSeconds": 5}),
        json!({"activeDeadlineSeconds": 10}),
        &[],
    );
    changed(
        json!({}),
        json!({"activeDeadlineSeconds": 10}),
        &[
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive \
             integer to nil value",
        ],
    );
}

/// A pod that is held back may become harder to place.
#[test]
fn gated() {
    let terms = |terms: Value| {
        json!({"schedulingGates": [{"name": "g"}], "affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    };
    let key = |key: &str| json!({"key": key, "operator": "Exists"});
    let none = json!({"schedulingGates": [{"name": "g"}]});
    let one = terms(json!([{"matchExpressions": [key("a")]}]));
    changed(one.clone(), none.clone(), &[]);
    let more = terms(json!([{"matchExpressions": [key("a"), key("b")]}]));
    changed(more.clone(), one.clone(), &[]);
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.\
        nodeSelectorTerms";
    let shown = json!({"matchExpressions": [key("a")]});
    changed(
        one.clone(),
        more,
        &[&format!(
            "{at}[0]: Invalid value: {shown}: only additions are allowed (no mutations or deletions)"
        )],
    );
    changed(
        none,
        one,
        &[&format!(
            "{at}: Invalid value: []: no additions/deletions to non-empty NodeSelectorTerms list \
             are allowed"
        )],
    );
}

#[test]
fn mirrors() {
    let mut old = pod(json!({"nodeName": "n"}), json!({}));
    old["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let new = pod(json!({"nodeName": "n"}), json!({}));
    check_update(
        core("Pod"),
        new,
        old,
        &[
            "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update \
             mirror pod annotation",
        ],
    );
}

#[test]
fn statuses() {
    let check = |spec: Value, new: Value, old: Value, expect: &[&str]| {
        let (new, old) = (pod(spec.clone(), new), pod(spec, old));
        assert_eq!(lines(&status_update(core("Pod"), &new, &old)), expect);
    };
    check(
        json!({}),
        json!({"conditions": [{"type": "a b", "observedGeneration": -1}, {"type": "Ready"}],
            "hostIP": "1.2.3.4", "hostIPs": [{"ip": "1.2.3.5"}],
            "podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}]}),
        json!({}),
        &[
            "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative \
             integer",
            "status.conditions[0].Type: Invalid value: \"a b\": name part must consist of \
             alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "status.podIPs: Invalid value: [{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.5\"}]: may specify \
             no more than one IP for each IP family",
            "status.hostIPs[0].ip: Invalid value: \"1.2.3.5\": must be equal to `hostIP`",
        ],
    );
    let ended =
        json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 3}}}]});
    let runs = json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]});
    let never = |more: Value| {
        let mut one = json!({"name": "c", "image": "i"});
        for (field, value) in more.as_object().expect("fields") {
            one[field] = value.clone();
        }
        json!({"restartPolicy": "Never", "containers": [one]})
    };
    let why = "status.containerStatuses[0].state: Forbidden: may not be transitioned to \
        non-terminated state";
    check(never(json!({})), runs.clone(), ended.clone(), &[why]);
    let on_failure = never(json!({"restartPolicy": "OnFailure"}));
    check(on_failure, runs.clone(), ended.clone(), &[]);
    let rule = |code: i64| {
        json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart",
            "exitCodes": {"operator": "In", "values": [code]}}]})
    };
    check(never(rule(3)), runs.clone(), ended.clone(), &[]);
    check(never(rule(4)), runs, ended, &[why]);
    check(
        json!({"nodeName": "n"}),
        json!({"nominatedNodeName": "m"}),
        json!({}),
        &[
            "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node",
        ],
    );
}
