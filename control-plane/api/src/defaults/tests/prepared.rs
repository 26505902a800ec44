use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";

fn created(resource: &Resource, mut value: Value) -> Value {
    apply(resource, &mut value);
    prepare_create(resource, &mut value);
    value
}

#[test]
fn a_job_selects_its_own_pods() {
    let resource = of("batch/v1", "Job");
    let job = created(
        resource,
        json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {}}}),
    );
    let labels = json!({"job-name": "j", "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"});
    assert_eq!(job["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(job["metadata"]["labels"], labels);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
    );
    assert_eq!(job["status"], json!({}));

    let manual = created(
        resource,
        json!({"metadata": {"name": "j", "uid": "u", "labels": {"x": "y"}},
            "spec": {"manualSelector": true, "template": {"metadata": {"labels": {"a": "b"}}}}}),
    );
    assert_eq!(manual["metadata"]["labels"], json!({"x": "y"}));
    assert_eq!(get(&manual, "spec.selector"), None);
}

#[test]
fn statuses_begin() {
    let check = |api_version: &str, kind: &str, expect: Value| {
        let given = json!({"metadata": {"name": "n", "creationTimestamp": CREATED},
            "status": {"phase": "Bound", "replicas": 9, "attached": true}});
        let value = created(of(api_version, kind), given);
        assert_eq!(value["status"], expect, "{kind}");
    };
    check("v1", "PersistentVolumeClaim", json!({"phase": "Pending"}));
    check(
        "v1",
        "PersistentVolume",
        json!({"phase": "Pending", "lastPhaseTransitionTime": CREATED}),
    );
    check("apps/v1", "ReplicaSet", json!({"replicas": 0}));
    check("apps/v1", "Deployment", json!({}));
    check(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        json!({"attached": false}),
    );
}

#[test]
fn a_daemon_set_counts_its_templates() {
    let resource = of("apps/v1", "DaemonSet");
    let key = "deprecated.daemonset.template.generation";
    let old = created(resource, json!({"metadata": {"name": "d"}, "spec": {}}));
    assert_eq!(object::annotation(&old, key), Some("1"));
    let mut new = old.clone();
    set(&mut new, "metadata.annotations", json!({"a": "b"}));
    prepare_update(resource, &mut new, &old);
    assert_eq!(object::annotation(&new, key), Some("1"));
    set(&mut new, "spec.template.metadata.labels", json!({"a": "b"}));
    prepare_update(resource, &mut new, &old);
    assert_eq!(object::annotation(&new, key), Some("2"));
}

#[test]
fn a_gated_pod_says_that_it_waits() {
    let pod = created(
        kind("Pod"),
        json!({"metadata": {"name": "p", "creationTimestamp": CREATED, "labels": {"app": "x"}},
            "spec": {"schedulingGates": [{"name": "g"}],
                "topologySpreadConstraints": [
                    {"labelSelector": {}, "matchLabelKeys": ["app", "none"]},
                    {"matchLabelKeys": ["app"]}],
                "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"labelSelector": {},
                        "mismatchLabelKeys": ["app"]}}]}}}}),
    );
    assert_eq!(
        pod["status"]["conditions"],
        json!([{"type": "PodScheduled", "status": "False", "lastTransitionTime": CREATED,
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates"}])
    );
    let spread = &pod["spec"]["topologySpreadConstraints"];
    assert_eq!(
        spread[0]["labelSelector"]["matchExpressions"],
        json!([{"key": "app", "operator": "In", "values": ["x"]}])
    );
    assert_eq!(get(&spread[1], "labelSelector"), None);
    let term = &pod["spec"]["affinity"]["podAntiAffinity"];
    let term = &term["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(
        term["labelSelector"]["matchExpressions"][0]["operator"],
        "NotIn"
    );
}

#[test]
fn an_agent_of_old_erases_no_generations() {
    let old = json!({"status": {"observedGeneration": 3, "conditions": [
        {"type": "Ready", "observedGeneration": 2}]}});
    let mut new = json!({"status": {"conditions": [{"type": "Ready"}, {"type": "Other"}]}});
    prepare_status_update(kind("Pod"), &mut new, &old);
    assert_eq!(
        new["status"],
        json!({"observedGeneration": 3,
            "conditions": [{"type": "Ready", "observedGeneration": 2}, {"type": "Other"}]})
    );
}

#[test]
fn a_certificate_request_is_judged_elsewhere() {
    let resource = of("certificates.k8s.io/v1", "CertificateSigningRequest");
    let old = created(
        resource,
        json!({"metadata": {"name": "c"}, "spec": {"username": "root", "groups": ["g"],
            "signerName": "x/y"}, "status": {"conditions": [{"type": "Approved"}]}}),
    );
    assert_eq!(old["spec"], json!({"signerName": "x/y"}));
    assert_eq!(old["status"], json!({}));
    let mut new = json!({"metadata": {"name": "c"}, "spec": {"signerName": "z/z"}});
    prepare_update(resource, &mut new, &old);
    assert_eq!(new["spec"], old["spec"]);
    let approved = json!({"metadata": {}, "status": {"conditions": [
        {"type": "Approved", "reason": "a"}]}});
    let mut new = json!({"status": {"conditions": [
        {"type": "Failed"}, {"type": "Approved", "reason": "b"}]}});
    prepare_status_update(resource, &mut new, &approved);
    assert_eq!(new["status"]["conditions"][1]["reason"], "a");
}

#[test]
fn a_claim_names_its_source_twice() {
    let claim = |spec: Value| {
        let value = json!({"metadata": {"name": "c"}, "spec": spec});
        let mut value = created(kind("PersistentVolumeClaim"), value);
        object::remove(&mut value, "spec.volumeMode");
        value["spec"].clone()
    };
    let source = json!({"kind": "PersistentVolumeClaim", "name": "x"});
    assert_eq!(
        claim(json!({"dataSource": source})),
        json!({"dataSource": source, "dataSourceRef": source})
    );
    assert_eq!(
        claim(json!({"dataSourceRef": source})),
        json!({"dataSource": source, "dataSourceRef": source})
    );
    assert_eq!(
        claim(json!({"dataSource": {"kind": "Pod", "name": "x"}})),
        json!({})
    );
}

#[test]
fn what_bumps_the_generation() {
    let check = |api_version: &str, kind: &str, new: Value, old: Value, expect: bool| {
        let resource = of(api_version, kind);
        assert_eq!(bumps_generation(resource, &new, &old), expect, "{new}");
    };
    let deployment = |annotation: &str, replicas: i64| json!({"metadata": {"annotations": {"a": annotation}}, "spec": {"replicas": replicas}});
    let check_deployment = |new: Value, expect: bool| {
        check("apps/v1", "Deployment", new, deployment("x", 1), expect);
    };
    check_deployment(deployment("x", 1), false);
    check_deployment(deployment("y", 1), true);
    check_deployment(deployment("x", 2), true);
    check(
        "apps/v1",
        "ReplicaSet",
        json!({"spec": {"template": {"spec": {"volumes": []}}}, "status": {"replicas": 1}}),
        json!({"spec": {"template": {"spec": {}}}}),
        false,
    );
    check(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        json!({"description": "x"}),
        json!({}),
        false,
    );
    check(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        json!({"endpoints": [{"addresses": ["1.2.3.4"]}]}),
        json!({"endpoints": []}),
        true,
    );
    check(
        "v1",
        "ConfigMap",
        json!({"data": {"a": "b"}}),
        json!({}),
        false,
    );
}

#[test]
fn statuses_that_leave_the_metadata_alone() {
    let resource = of("storage.k8s.io/v1", "VolumeAttachment");
    let old = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"attacher": "x"}});
    let mut new = json!({"metadata": {"labels": {"a": "c"}, "annotations": {"x": "y"}},
        "spec": {"attacher": "y"}, "status": {"attached": true}});
    prepare_status_update(resource, &mut new, &old);
    assert_eq!(
        new,
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"attacher": "x"},
            "status": {"attached": true}})
    );
}

#[test]
fn fields_of_features_that_are_off_are_forgotten() {
    let check = |version: &str, kind: &str, full: Value, expect: Value| {
        let resource = of(version, kind);
        let mut new = json!({"metadata": {"name": "n"}, "spec": full});
        prepare_create(resource, &mut new);
        assert_eq!(new["spec"], expect, "{kind}");
        let (plain, full) = (json!({"spec": expect}), json!({"spec": full}));
        for (old, kept) in [(&plain, &plain), (&full, &full)] {
            let mut new = full.clone();
            prepare_update(resource, &mut new, old);
            assert_eq!(new["spec"], kept["spec"], "{kind}");
        }
    };
    check(
        "coordination.k8s.io/v1",
        "Lease",
        json!({"holderIdentity": "h", "strategy": "OldestEmulationVersion", "preferredHolder": "p"}),
        json!({"holderIdentity": "h"}),
    );
    check(
        "storage.k8s.io/v1",
        "CSIDriver",
        json!({"attachRequired": true, "preventPodSchedulingIfMissing": false}),
        json!({"attachRequired": true}),
    );
    check(
        "resource.k8s.io/v1",
        "ResourceSlice",
        json!({"devices": [{"name": "d", "attributes": {"a": {"int": 1, "strings": ["s"]}}}]}),
        json!({"devices": [{"name": "d", "attributes": {"a": {"int": 1}}}]}),
    );
}

#[test]
fn changes_of_a_driver_are_counted_from_the_first() {
    let resource = of("storage.k8s.io/v1", "CSIDriver");
    let mut driver = json!({"metadata": {"name": "d", "generation": 1}, "spec": {}});
    prepare_create(resource, &mut driver);
    assert_eq!(driver, json!({"metadata": {"name": "d"}, "spec": {}}));
}
