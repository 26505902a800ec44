use super::*;

fn pod(changes: Value) -> Value {
    let base = json!({"metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    with(base, changes)
}

/// A pod whose only container has these fields too.
fn container(fields: Value) -> Value {
    let mut pod = pod(json!({}));
    for (field, value) in fields.as_object().expect("fields") {
        pod["spec"]["containers"][0][field] = value.clone();
    }
    pod
}

#[test]
fn whole() {
    let check = |changes: Value, expect: &[&str]| check(core("Pod"), pod(changes), expect);
    check(json!({}), &[]);
    check(
        json!({"spec.containers": []}),
        &["spec.containers: Required value"],
    );
    check(
        json!({"spec.restartPolicy": "Sometimes"}),
        &[
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
           \"OnFailure\", \"Never\"",
        ],
    );
    check(
        json!({"spec.dnsPolicy": "None"}),
        &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    );
    check(
        json!({"spec.activeDeadlineSeconds": 0}),
        &[
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ],
    );
    check(
        json!({"spec.hostname": "a.b"}),
        &["spec.hostname: Invalid value: \"a.b\": must not contain dots"],
    );
    check(
        json!({"spec.initContainers": [{"name": "c", "image": "i", "livenessProbe": {}}]}),
        &[
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers \
             without restartPolicy=Always",
        ],
    );
    check(
        json!({"spec.ephemeralContainers": [{"name": "e", "image": "i"}]}),
        &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    );
    check(
        json!({"spec.containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 80}]}],
            "spec.hostNetwork": true}),
        &[],
    );
}

#[test]
fn containers() {
    let check = |fields: Value, expect: &[&str]| check(core("Pod"), container(fields), expect);
    check(
        json!({"image": ""}),
        &["spec.containers[0].image: Required value"],
    );
    check(
        json!({"image": " i"}),
        &[
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing \
           whitespace",
        ],
    );
    check(
        json!({"name": ""}),
        &["spec.containers[0].name: Required value"],
    );
    check(
        json!({"imagePullPolicy": "Daily"}),
        &[
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Daily\": supported values: \
           \"Always\", \"IfNotPresent\", \"Never\"",
        ],
    );
    check(
        json!({"ports": [{"containerPort": 0}, {"containerPort": 65536}, {"containerPort": 1,
            "protocol": "ICMP"}]}),
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 65536: must be between 1 \
             and 65535, inclusive",
            "spec.containers[0].ports[2].protocol: Unsupported value: \"ICMP\": supported values: \
             \"SCTP\", \"TCP\", \"UDP\"",
        ],
    );
    check(
        json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
        &["spec.containers[0].ports[1].name: Duplicate value: \"a\""],
    );
    check(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/a"}]}),
        &["spec.containers[0].volumeMounts[0].name: Not found: \"v\""],
    );
    check(
        json!({"resources": {"limits": {"cpu": "1", "memory": "x"}, "requests": {"cpu": "2"}}}),
        &[
            "spec.containers[0].resources.limits[memory]: Invalid value: \"x\": quantities must \
             match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or \
             equal to cpu limit of 1",
            "spec.containers[0].resources.requests[memory]: Invalid value: \"x\": quantities must \
             match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ],
    );
    check(
        json!({"resources": {"requests": {"gpu": "1"}}}),
        &[
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard \
             resource type or fully qualified",
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard \
             resource for containers",
        ],
    );
}

/// Comparing each item with each other would take minutes here, and listing each error gigabytes.
#[test]
fn long_lists() {
    let ports: Vec<Value> = (0..50_000)
        .map(|at| json!({"containerPort": 0, "name": format!("{at}-")}))
        .collect();
    let mounts: Vec<Value> = (0..50_000)
        .map(|at| json!({"name": "v", "mountPath": format!("/{at}")}))
        .collect();
    let mut pod = container(json!({"ports": ports, "volumeMounts": mounts}));
    set(&mut pod, "spec.volumes", json!([{"name": "v"}]));
    assert_eq!(errors(core("Pod"), pod).len(), MAX_ERRORS);
}

#[test]
fn environment() {
    let check = |env: Value, expect: &[&str]| {
        check(core("Pod"), container(json!({"env": [env]})), expect);
    };
    check(json!({"name": "A", "value": "x"}), &[]);
    check(
        json!({"name": ""}),
        &["spec.containers[0].env[0].name: Required value"],
    );
    check(
        json!({"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        &[
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when \
           `value` is not empty",
        ],
    );
    check(
        json!({"name": "A", "valueFrom": {}}),
        &[
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: \
           `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ],
    );
    check(
        json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}),
        &[
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.foo\": \
           error converting fieldPath: field label not supported: spec.foo",
        ],
    );
    check(
        json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}),
        &[],
    );
    check(
        json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}),
        &["spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"],
    );
}

#[test]
fn probes() {
    let check = |probe: Value, expect: &[&str]| {
        check(
            core("Pod"),
            container(json!({"livenessProbe": probe})),
            expect,
        );
    };
    check(json!({"httpGet": {"port": 80}}), &[]);
    check(json!({"httpGet": {"port": "http"}}), &[]);
    check(
        json!({}),
        &["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    );
    check(
        json!({"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
        &[
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 \
           handler type",
        ],
    );
    check(
        json!({"tcpSocket": {"port": 0}, "successThreshold": 2, "periodSeconds": -1}),
        &[
            "spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 \
             and 65535, inclusive",
            "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater \
             than or equal to 0",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
}

#[test]
fn volumes() {
    let check = |volumes: Value, expect: &[&str]| {
        check(core("Pod"), pod(json!({"spec.volumes": volumes})), expect);
    };
    check(
        json!([{"name": "v"}, {"name": "w", "configMap": {"name": "c"}}]),
        &[],
    );
    check(
        json!([{"name": "v"}, {"name": "v"}]),
        &["spec.volumes[1].name: Duplicate value: \"v\""],
    );
    check(
        json!([{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
        &["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
    );
    check(
        json!([{"name": "v", "secret": {}}]),
        &["spec.volumes[0].secret.secretName: Required value"],
    );
    check(
        json!([{"name": "v", "configMap": {"name": "c", "defaultMode": 512,
            "items": [{"key": "k", "path": "../x"}]}}]),
        &[
            "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between \
             0 and 0777 (octal), both inclusive",
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain \
             '..'",
        ],
    );
}

#[test]
fn scheduling() {
    let check = |changes: Value, expect: &[&str]| check(core("Pod"), pod(changes), expect);
    check(
        json!({"spec.tolerations": [{"operator": "Equal"}, {"key": "a", "operator": "Near"},
            {"key": "a", "tolerationSeconds": 1}]}),
        &[
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when \
             `key` is empty, which means \"match all values and all keys\"",
            "spec.tolerations[1].operator: Unsupported value: \"Near\": supported values: \
             \"Equal\", \"Exists\"",
            "spec.tolerations[2].effect: Invalid value: \"\": effect must be 'NoExecute' when \
             `tolerationSeconds` is set",
        ],
    );
    check(
        json!({"spec.topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule"}]}),
        &["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"],
    );
    check(
        json!({"spec.affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a", "operator": "In"}]}]}}}}),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.\
           nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified \
           when `operator` is 'In' or 'NotIn'",
        ],
    );
}

#[test]
fn updates() {
    let check =
        |new: Value, old: Value, expect: &[&str]| check_update(core("Pod"), new, old, expect);
    let old = || pod(json!({"spec.tolerations": [{"key": "a", "operator": "Exists"}]}));
    check(old(), old(), &[]);
    let mut image = old();
    image["spec"]["containers"][0]["image"] = "j".into();
    image["spec"]["activeDeadlineSeconds"] = 5.into();
    image["spec"]["hostNetwork"] = false.into();
    // The pull policy was defaulted once and for all.
    image["spec"]["containers"][0]["imagePullPolicy"] = "Always".into();
    check(image, old(), &[]);
    check(
        with(old(), json!({"spec.tolerations": []})),
        old(),
        &[
            "spec.tolerations: Forbidden: existing toleration can not be modified except its \
           tolerationSeconds",
        ],
    );
    check(
        with(old(), json!({"spec.containers": []})),
        old(),
        &[
            "spec.containers: Required value",
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ],
    );
    let found = update(
        core("Pod"),
        &with(old(), json!({"spec.nodeName": "x"})),
        &old(),
    );
    let expect = "spec: Forbidden: pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
        `spec.tolerations` (only additions to existing tolerations),\
        `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously \
        negative)\n@@ ";
    let last = found.last().map(ToString::to_string).unwrap_or_default();
    assert!(
        last.starts_with(expect) && last.contains("\n+  \"nodeName\": \"x\""),
        "{last}"
    );
}

#[test]
fn status_updates() {
    let ended = json!({"name": "c", "state": {"terminated": {"exitCode": 0}}});
    let runs = json!({"name": "c", "state": {"running": {}}});
    let with_status = |policy: &str, status: Value| {
        pod(json!({"spec.restartPolicy": policy, "status.containerStatuses": [status]}))
    };
    let found = |policy: &str| {
        let (new, old) = (
            with_status(policy, runs.clone()),
            with_status(policy, ended.clone()),
        );
        status_update(core("Pod"), &new, &old)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(found("Always"), Vec::<String>::new());
    assert_eq!(
        found("Never"),
        [
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated \
          state"
        ]
    );
}
