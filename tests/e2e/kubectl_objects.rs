//! What people do with kubectl to objects that run nothing.

use crate::support::{Cluster, eventually};

#[test]
fn version_discovery_and_explain() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let version = kubectl.ok(&["version"]);
    assert!(version.contains("Server Version: v1.36"), "{version}");
    let resources = kubectl.ok(&["api-resources"]);
    for row in ["configmaps", "pods", "leases", "runtimeclasses", "events"] {
        assert!(resources.contains(row), "{resources}");
    }
    assert!(
        kubectl
            .ok(&["api-versions"])
            .contains("coordination.k8s.io/v1")
    );
    let explained = kubectl.ok(&["explain", "pod.spec"]);
    assert!(
        explained.contains("KIND:       Pod") && explained.contains("containers"),
        "{explained}"
    );
    let deeper = kubectl.ok(&["explain", "pod.spec.containers.image"]);
    assert!(deeper.contains("FIELD: image <string>"), "{deeper}");
    assert!(kubectl.ok(&["get", "--raw", "/readyz"]).contains("ok"));
    assert!(kubectl.ok(&["cluster-info"]).contains("is running at"));
    cluster.stop();
}

#[test]
fn config_maps_and_secrets_from_the_command_line() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let created = kubectl.ok(&[
        "create",
        "configmap",
        "settings",
        "--from-literal=colour=blue",
    ]);
    assert_eq!(created.trim(), "configmap/settings created");
    assert_eq!(kubectl.field("configmap/settings", ".data.colour"), "blue");
    let again = kubectl.fails(&["create", "configmap", "settings"]);
    assert!(
        again.contains(r#"configmaps "settings" already exists"#),
        "{again}"
    );
    kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "hidden",
        "--from-literal=password=s3cret",
    ]);
    assert_eq!(kubectl.field("secret/hidden", ".data.password"), "czNjcmV0");
    let table = kubectl.ok(&["get", "secrets"]);
    assert!(
        table.contains("NAME") && table.contains("Opaque"),
        "{table}"
    );
    kubectl.ok(&["delete", "configmap", "settings"]);
    let gone = kubectl.fails(&["get", "configmap", "settings"]);
    assert!(
        gone.contains(r#"configmaps "settings" not found"#),
        "{gone}"
    );
    let bad = kubectl.fails(&["create", "configmap", "Not_A_Name"]);
    assert!(bad.contains("RFC 1123"), "{bad}");
    cluster.stop();
}

#[test]
fn labels_annotations_patches_and_edit() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "configmap", "c", "--from-literal=a=1"]);
    kubectl.ok(&["label", "configmap", "c", "tier=front"]);
    let refused = kubectl.fails(&["label", "configmap", "c", "tier=back"]);
    assert!(refused.contains("already has a value"), "{refused}");
    kubectl.ok(&["label", "configmap", "c", "tier=back", "--overwrite"]);
    assert_eq!(
        kubectl
            .ok(&["get", "configmap", "-l", "tier=back", "-o", "name"])
            .trim(),
        "configmap/c"
    );
    assert_eq!(
        kubectl
            .ok(&["get", "configmap", "-l", "tier in (front)", "-o", "name"])
            .trim(),
        ""
    );
    kubectl.ok(&["annotate", "configmap", "c", "note=hello"]);
    assert_eq!(
        kubectl.field("configmap/c", ".metadata.annotations.note"),
        "hello"
    );

    let patch = |kind: &str, patch: &str| {
        kubectl.ok(&["patch", "configmap", "c", "--type", kind, "-p", patch])
    };
    patch("strategic", r#"{"data":{"b":"2"}}"#);
    patch("merge", r#"{"data":{"a":null,"c":"3"}}"#);
    patch("json", r#"[{"op":"add","path":"/data/d","value":"4"}]"#);
    assert_eq!(
        kubectl.field("configmap/c", ".data"),
        r#"{"b":"2","c":"3","d":"4"}"#
    );
    let unchanged = patch("merge", r#"{"data":{"b":"2"}}"#);
    assert!(unchanged.contains("patched (no change)"), "{unchanged}");
    let failed = kubectl.fails(&[
        "patch",
        "configmap",
        "c",
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/x"}]"#,
    ]);
    assert!(
        failed.contains("/x") || failed.contains("invalid"),
        "{failed}"
    );

    let mut edit = kubectl.command(&["edit", "configmap", "c"]);
    edit.env("KUBE_EDITOR", "sed -i s/\\\"3\\\"/\\\"33\\\"/");
    kubectl.run_command(edit, &["edit"]).ok();
    assert_eq!(kubectl.field("configmap/c", ".data.c"), "33");
    cluster.stop();
}

#[test]
fn apply_reports_what_it_changed() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let manifest = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: '{value}', b: x}}\n"
        )
    };
    assert_eq!(kubectl.apply(&manifest("1")).trim(), "configmap/c created");
    assert_eq!(
        kubectl.apply(&manifest("1")).trim(),
        "configmap/c unchanged"
    );
    assert_eq!(
        kubectl.apply(&manifest("2")).trim(),
        "configmap/c configured"
    );
    let dry = kubectl
        .with_input(&["apply", "--dry-run=server", "-f", "-"], &manifest("3"))
        .ok();
    assert_eq!(dry.trim(), "configmap/c configured (server dry run)");
    assert_eq!(kubectl.field("configmap/c", ".data.a"), "2");
    let removed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '2'}\n";
    assert_eq!(kubectl.apply(removed).trim(), "configmap/c configured");
    assert_eq!(kubectl.field("configmap/c", ".data"), r#"{"a":"2"}"#);
    let typo = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndatta: {}\n";
    let refused = kubectl.with_input(&["apply", "-f", "-"], typo);
    assert!(
        !refused.success && refused.stderr.contains("unknown field \"datta\""),
        "{}",
        refused.stderr
    );
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-a-list"}}]}"#;
    let applied = kubectl.with_input(&["apply", "-f", "-"], list).ok();
    assert_eq!(applied.trim(), "configmap/of-a-list created");
    let unserved =
        r#"{"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "n"}}"#;
    let refused = kubectl.with_input(&["apply", "-f", "-"], unserved);
    assert!(
        refused.stderr.contains(r#"no matches for kind "Nothing""#),
        "{}",
        refused.stderr
    );
    cluster.stop();
}

#[test]
fn namespaces_come_with_their_content_and_go_with_it() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "ns", "team"]);
    eventually("the default ServiceAccount", || {
        kubectl
            .run(&["get", "serviceaccount", "default", "-n", "team"])
            .success
            .then_some(())
    });
    let authority = eventually("the CA", || {
        let ran = kubectl.run(&[
            "get",
            "configmap",
            "kube-root-ca.crt",
            "-n",
            "team",
            "-o",
            "jsonpath={.data.ca\\.crt}",
        ]);
        ran.success.then_some(ran.stdout)
    });
    assert!(authority.contains("BEGIN CERTIFICATE"), "{authority}");
    kubectl.ok(&["create", "configmap", "c", "-n", "team"]);
    kubectl.ok(&["delete", "ns", "team"]);
    let gone = kubectl.fails(&["get", "ns", "team"]);
    assert!(gone.contains("not found"), "{gone}");
    kubectl.ok(&["create", "ns", "team"]);
    let empty = kubectl.fails(&["get", "configmap", "c", "-n", "team"]);
    assert!(
        empty.contains("not found"),
        "the content did not come back: {empty}"
    );
    let refused = kubectl.fails(&["create", "configmap", "c", "-n", "nowhere"]);
    assert!(
        refused.contains(r#"namespaces "nowhere" not found"#),
        "{refused}"
    );
    cluster.stop();
}

#[test]
fn services_get_addresses() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "service", "clusterip", "web", "--tcp=80:8080"]);
    let address = kubectl.field("service/web", ".spec.clusterIP");
    assert!(address.starts_with("10.96."), "{address}");
    let table = kubectl.ok(&["get", "service", "web"]);
    assert!(
        table.contains("ClusterIP") && table.contains("80/TCP"),
        "{table}"
    );
    kubectl.ok(&["describe", "service", "web"]);
    cluster.stop();
}

#[test]
fn what_an_owner_leaves_behind() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    for (policy, survives) in [
        ("background", false),
        ("foreground", false),
        ("orphan", true),
    ] {
        kubectl.ok(&["create", "configmap", "owner"]);
        let uid = kubectl.field("configmap/owner", ".metadata.uid");
        kubectl.apply(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: child\n  ownerReferences:\n  - {{apiVersion: v1, \
             kind: ConfigMap, name: owner, uid: {uid}, blockOwnerDeletion: true}}\n"
        ));
        kubectl.ok(&[
            "delete",
            "configmap",
            "owner",
            &format!("--cascade={policy}"),
        ]);
        if survives {
            eventually("the child is nobody's", || {
                let owners = kubectl.field("configmap/child", ".metadata.ownerReferences");
                owners.is_empty().then_some(())
            });
        } else {
            eventually("the child is gone", || {
                (!kubectl.run(&["get", "configmap", "child"]).success).then_some(())
            });
        }
    }
    cluster.stop();
}

/// An owner that cannot be looked up keeps what it owns, and a kind that is misplaced is one.
#[test]
fn an_owner_in_no_namespace_is_not_taken_for_gone() {
    let cluster = Cluster::serve(&[]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "configmap", "owner"]);
    let uid = kubectl.field("configmap/owner", ".metadata.uid");
    let owned = |kind: &str, name: &str| {
        let version = match kind {
            "ClusterRole" => "rbac.authorization.k8s.io/v1",
            _ => "v1",
        };
        kubectl.apply(&format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  ownerReferences:\n  - {{apiVersion: v1, \
             kind: ConfigMap, name: owner, uid: {uid}}}\n"
        ));
    };
    owned("ClusterRole", "kept");
    let gone = |name: &str| {
        eventually("the dependent is gone", || {
            (!kubectl.run(&["get", "configmap", name]).success).then_some(())
        });
    };
    owned("ConfigMap", "first");
    kubectl.ok(&["delete", "configmap", "owner"]);
    gone("first");
    // Its owner is gone when it comes; whatever was due before has been looked at.
    owned("ConfigMap", "second");
    gone("second");
    kubectl.ok(&["get", "clusterrole", "kept"]);
    cluster.stop();
}

/// Who deletes a Job without saying how gets what older clients expect: its pods stay.
#[test]
fn a_job_deleted_without_a_policy_leaves_its_pods() {
    let cluster = Cluster::serve(&["--scheduler=false"]);
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "job", "work", "--image=none"]);
    let uid = kubectl.field("job/work", ".metadata.uid");
    kubectl.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: child\n  ownerReferences:\n  - {{apiVersion: batch/v1, \
         kind: Job, name: work, uid: {uid}}}\n"
    ));
    let path = "/apis/batch/v1/namespaces/default/jobs/work";
    kubectl.ok(&["delete", "--raw", path]);
    eventually("the Job is gone", || {
        (!kubectl.run(&["get", "job", "work"]).success).then_some(())
    });
    let owners = kubectl.field("configmap/child", ".metadata.ownerReferences");
    assert_eq!(owners, "");
    cluster.stop();
}

#[test]
fn a_namespace_that_does_not_go_says_why() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.ok(&["create", "namespace", "held"]);
    kubectl.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: held, finalizers: [ex.com/f]}",
    );
    kubectl.ok(&["delete", "namespace", "held", "--wait=false"]);
    let path = ".status.conditions[?(@.type==\"NamespaceFinalizersRemaining\")].message";
    let told = eventually("it says what holds it", || {
        Some(kubectl.field("namespace/held", path)).filter(|told| !told.is_empty())
    });
    assert_eq!(
        told,
        "Some content in the namespace has finalizers remaining: ex.com/f in 1 resource instances"
    );
    let free = r#"{"metadata": {"finalizers": null}}"#;
    kubectl.ok(&[
        "patch",
        "configmap",
        "m",
        "-n",
        "held",
        "--type=merge",
        "-p",
        free,
    ]);
    kubectl.ok(&["wait", "--for=delete", "namespace/held", "--timeout=60s"]);
}
