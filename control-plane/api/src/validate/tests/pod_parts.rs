use super::*;

/// A pod with these fields of its spec.
fn pod(spec: Value) -> Value {
    let base = json!({"metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let fields = spec.as_object().expect("fields").iter();
    fields.fold(base, |base, (field, value)| {
        with(base, json!({ format!("spec.{field}"): value }))
    })
}

/// A pod whose only container has these fields too.
fn container(fields: Value) -> Value {
    let mut one = json!({"name": "c", "image": "i"});
    for (field, value) in fields.as_object().expect("fields") {
        one[field] = value.clone();
    }
    pod(json!({"containers": [one]}))
}

fn said(pod: Value, expect: &[&str]) {
    check(core("Pod"), pod, expect);
}

#[test]
fn sysctls() {
    let check = |spec: Value, expect: &[&str]| said(pod(spec), expect);
    let of = |names: &[&str]| -> Value {
        let list = names.iter().map(|name| json!({"name": name, "value": "1"}));
        json!({"sysctls": list.collect::<Vec<_>>()})
    };
    let good = of(&[
        "kernel.shm_rmid_forced",
        "net/ipv4/ip_local_port_range",
        "a.b-c",
    ]);
    check(json!({"securityContext": good}), &[]);
    let why = "must have at most 253 characters and match regex \
        ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let at = |index: usize| format!("spec.securityContext.sysctls[{index}].name");
    check(
        json!({"securityContext": of(&["foo-", "bar..", "safe-and-unsafe", "", "safe-and-unsafe"])}),
        &[
            &format!("{}: Invalid value: \"foo-\": {why}", at(0)),
            &format!("{}: Invalid value: \"bar..\": {why}", at(1)),
            &format!("{}: Required value", at(3)),
            &format!("{}: Duplicate value: \"safe-and-unsafe\"", at(4)),
        ],
    );
    check(
        json!({"securityContext": of(&["net.core.somaxconn", "kernel.msgmax"]),
            "hostNetwork": true, "hostIPC": true}),
        &[
            &format!(
                "{}: Invalid value: \"net.core.somaxconn\": may not be specified when \
                 'hostNetwork' is true",
                at(0)
            ),
            &format!(
                "{}: Invalid value: \"kernel.msgmax\": may not be specified when 'hostIPC' is true",
                at(1)
            ),
        ],
    );
}

#[test]
fn security() {
    let check = |spec: Value, expect: &[&str]| said(pod(spec), expect);
    check(
        json!({"securityContext": {"seccompProfile": {"type": "Localhost"},
            "appArmorProfile": {"type": "Unconfined", "localhostProfile": "x"},
            "fsGroupChangePolicy": "Never"}}),
        &[
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"Never\": supported \
             values: \"Always\", \"OnRootMismatch\"",
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set \
             when seccomp type is Localhost",
            "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \"x\": can only \
             be set when AppArmor type is Localhost",
        ],
    );
    check(
        json!({"hostUsers": false, "hostPID": true}),
        &["spec.HostPID: Forbidden: when `hostUsers` is false"],
    );
    said(
        container(json!({"securityContext": {"procMount": "Unmasked"}})),
        &[
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": \
             `hostUsers` must be false to use `Unmasked`",
        ],
    );
    let mut annotated = container(json!({"securityContext": {"seccompProfile":
        {"type": "RuntimeDefault"}}}));
    annotated["metadata"]["annotations"] = json!({
        "container.seccomp.security.alpha.kubernetes.io/c": "unconfined",
        "container.apparmor.security.beta.kubernetes.io/d": "runtime/default",
        "controller.kubernetes.io/pod-deletion-cost": "+1",
    });
    said(
        annotated,
        &[
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/d]: Invalid \
             value: \"d\": container not found",
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \
             \"+1\": must be a 32bit integer",
            "spec.containers[0].securityContext.seccompProfile.type: Forbidden: seccomp type in \
             annotation and field must match",
        ],
    );
}

#[test]
fn systems() {
    let check = |spec: Value, expect: &[&str]| said(pod(spec), expect);
    check(
        json!({"os": {"name": "plan9"}}),
        &["spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""],
    );
    check(
        json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}}),
        &[
            "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a \
             linux pod",
        ],
    );
    check(
        json!({"os": {"name": "windows"}, "securityContext": {"fsGroup": 1}, "hostPID": true}),
        &[
            "spec.hostPID: Forbidden: cannot be set for a windows pod",
            "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
        ],
    );
    said(
        container(json!({"lifecycle": {"stopSignal": "SIGUSR1",
            "preStop": {"sleep": {"seconds": 31}}}})),
        &[
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative \
             and less than terminationGracePeriodSeconds (30)",
            "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers \
             with empty `spec.os.name`",
        ],
    );
}

/// A template's pods get their host ports when they are made; a pod has them.
#[test]
fn host_ports() {
    let spec = json!({"hostNetwork": true,
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 81}]}]});
    let why = "Invalid value: 81: must match `containerPort` when `hostNetwork` is true";
    said(
        pod(spec.clone()),
        &[&format!("spec.containers[0].ports[0].hostPort: {why}")],
    );
    let template = |spec: Value| {
        let template = pod(spec);
        json!({"metadata": {"name": "d", "namespace": "default"}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": template["spec"]}})
    };
    check(
        core("PodTemplate"),
        template(spec.clone()),
        &[&format!(
            "template.spec.containers[0].ports[0].hostPort: {why}"
        )],
    );
    let mut open = template(spec);
    open["template"]["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80}]);
    assert_eq!(
        create(core("PodTemplate"), &open)
            .iter()
            .filter(|error| { error.field.contains("hostPort") })
            .count(),
        0
    );
}

#[test]
fn mounts() {
    let volumes =
        json!([{"name": "v"}, {"name": "p", "persistentVolumeClaim": {"claimName": "c"}}]);
    let check = |fields: Value, expect: &[&str]| {
        let mut pod = container(fields);
        pod["spec"]["volumes"] = volumes.clone();
        said(pod, expect);
    };
    check(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "/x/../y",
                "mountPropagation": "Bidirectional"},
            {"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]}),
        &[
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x/../y\": must be a \
             relative path",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x/../y\": must not contain \
             '..'",
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount \
             propagation is available only to privileged containers",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified \
             when readOnly is true",
        ],
    );
    check(
        json!({"volumeMounts": [{"name": "p", "mountPath": "/dev/x"}],
            "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}, {"name": "w", "devicePath": "../y"}]}),
        &[
            "spec.containers[0].volumeMounts[0].mountPath: Invalid value: \"/dev/x\": must not \
             already exist as a path in volumeDevices",
            "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": can only use volume \
             source type of PersistentVolumeClaim or Ephemeral for block mode",
            "spec.containers[0].volumeDevices[0].devicePath: Invalid value: \"/dev/x\": must not \
             already exist as a path in volumeMounts",
            "spec.containers[0].volumeDevices[1].name: Not found: \"w\"",
            "spec.containers[0].volumeDevices[1].devicePath: Invalid value: \"../y\": can not \
             contain backsteps ('..')",
        ],
    );
}

#[test]
fn projections() {
    let check = |sources: Value, expect: &[&str]| {
        let volumes = json!([{"name": "v", "projected": {"sources": sources}}]);
        said(
            pod(json!({"volumes": volumes, "serviceAccountName": "default"})),
            expect,
        );
    };
    check(
        json!([{"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
            {"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
            {"downwardAPI": {"items": [{"path": "q", "fieldRef": {"fieldPath": "metadata.name"}}]}}]),
        &[],
    );
    check(
        json!([{"serviceAccountToken": {"path": "", "expirationSeconds": 1}},
            {"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]},
                "secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}},
            {"clusterTrustBundle": {"path": "..x"}}]),
        &[
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid \
             value: 1: may not specify a duration less than 10 minutes",
            "spec.volumes[0].projected.path: Required value",
            "spec.volumes[0].projected: Invalid value: \"a\": conflicting duplicate paths",
            "spec.volumes[0].projected.sources[1]: Forbidden: may not specify more than 1 volume \
             type per source",
            "spec.volumes[0].projected.sources[2].clusterTrustBundle: Required value: either name \
             or signerName must be specified",
            "spec.volumes[0].projected.sources[2].clusterTrustBundle.path: Invalid value: \
             \"..x\": must not start with '..'",
        ],
    );
    said(
        pod(json!({"volumes": [{"name": "v", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}}]}}]})),
        &[
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be \
             specified when serviceAccountName is not set",
        ],
    );
}

#[test]
fn resources() {
    said(
        container(json!({"resources": {"limits": {"hugepages-2Mi": "3Mi"}}})),
        &[
            "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not \
             positive integer multiple of hugepages-2Mi",
            "spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is \
             not positive integer multiple of hugepages-2Mi",
            "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
        ],
    );
    said(
        container(json!({"resources": {"claims": [{"name": "a"}, {"name": "b"}, {"name": "b"}]}})),
        &[
            "spec.containers[0].resources.claims[0]: Not found: \"a\": must be one of the names in \
             pod.spec.resourceClaims which is empty",
            "spec.containers[0].resources.claims[1]: Not found: \"b\": must be one of the names in \
             pod.spec.resourceClaims which is empty",
            "spec.containers[0].resources.claims[2]: Duplicate value: \"b\"",
            "spec.containers[0].resources.claims[2]: Not found: \"b\": must be one of the names in \
             pod.spec.resourceClaims which is empty",
        ],
    );
    said(
        pod(json!({"resourceClaims": [{"name": "a"}]})),
        &[
            "spec.resourceClaims[0]: Invalid value: {\"name\":\"a\"}: must specify one of: \
             `resourceClaimName`, `resourceClaimTemplateName`",
        ],
    );
    let mut whole =
        container(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "3"}}}));
    whole["spec"]["resources"] =
        json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1", "gpu": "1"}});
    let found = errors(core("Pod"), whole);
    for expect in [
        "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to \
         aggregate container requests of 2",
        "spec.resources.containers[0][cpu].limits: Invalid value: \"3\": must be less than or equal \
         to pod limits of 1",
    ] {
        assert!(found.contains(&expect.to_owned()), "{found:?}");
    }
}

#[test]
fn restarts() {
    said(
        container(json!({"restartPolicyRules": [{"action": "Stop"}]})),
        &[
            "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when \
             restart rules are used",
            "spec.containers[0].restartPolicyRules[0].action: Unsupported value: \"Stop\": \
             supported values: \"Restart\", \"RestartAllContainers\"",
            "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified",
        ],
    );
    said(
        container(
            json!({"resizePolicy": [{"resourceName": "gpu", "restartPolicy": "NotRequired"}]}),
        ),
        &[
            "spec.containers[0].resizePolicy: Unsupported value: \"gpu\": supported values: \
             \"cpu\", \"memory\"",
        ],
    );
}

#[test]
fn names_and_resolvers() {
    let check = |spec: Value, expect: &[&str]| said(pod(spec), expect);
    check(
        json!({"dnsConfig": {"searches": ["_tcp.example.com.", ".", "A"], "nameservers": ["1.2.3"]}}),
        &[
            "spec.dnsConfig.nameservers[0]: Invalid value: \"1.2.3\": must be a valid IP address, \
             (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "spec.dnsConfig.searches[2]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must \
             consist of lower case alphanumeric characters, '_', '-' or '.', and must start and \
             end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    check(
        json!({"hostnameOverride": "h", "hostNetwork": true}),
        &["spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true"],
    );
    check(
        json!({"schedulingGates": [{"name": "a.b/c"}, {"name": "a.b/c"}]}),
        &["spec.schedulingGates[1]: Duplicate value: \"a.b/c\""],
    );
    check(
        json!({"topologySpreadConstraints": [
            {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 0},
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway",
                "matchLabelKeys": ["a"]}]}),
        &[
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \
             \"{z, ScheduleAnyway}\"",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than \
             zero",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use \
             minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            "spec.topologySpreadConstraints[1].matchLabelKeys: Forbidden: must not be specified \
             when labelSelector is not set",
        ],
    );
}
