//! How people change what is there: apply by the server, diff, set, scale, roll out, replace, patch and wait.

use crate::support::{Cluster, Kubectl, Ran};

fn deployment(replicas: u32, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: c, image: '{image}', env: [{{name: A, value: '1'}}]}}]
"
    )
}

fn apply<'a>(kubectl: &Kubectl, args: &[&'a str], manifest: &str) -> Ran {
    let mut all: Vec<&'a str> = vec!["apply", "-f", "-"];
    all.extend(args);
    kubectl.with_input(&all, manifest)
}

#[test]
fn server_side_apply_guards_what_others_own() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let ours = apply(&kubectl, &["--server-side"], &deployment(2, "app:v1")).ok();
    assert_eq!(ours.trim(), "deployment.apps/web serverside-applied");
    let theirs = ["--server-side", "--field-manager=theirs"];
    // What both say alike belongs to both.
    apply(&kubectl, &theirs, &deployment(2, "app:v1")).ok();
    let refused = apply(&kubectl, &theirs, &deployment(3, "app:v1"));
    assert!(!refused.success);
    for part in [
        "conflict with \"kubectl\": .spec.replicas",
        "--force-conflicts",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "2");
    let forced = [
        "--server-side",
        "--field-manager=theirs",
        "--force-conflicts",
    ];
    apply(&kubectl, &forced, &deployment(3, "app:v1")).ok();
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "3");
    let managers = [
        "get",
        "deployment",
        "web",
        "-o",
        "yaml",
        "--show-managed-fields",
    ];
    let managers = kubectl.ok(&managers);
    assert!(
        managers.contains("manager: theirs") && managers.contains("operation: Apply"),
        "{managers}"
    );
    // What nobody applies any more goes.
    let without = deployment(3, "app:v1").replace(", env: [{name: A, value: '1'}]", "");
    apply(&kubectl, &forced, &without).ok();
    apply(&kubectl, &["--server-side", "--force-conflicts"], &without).ok();
    let env = kubectl.field("deployment/web", ".spec.template.spec.containers[0].env");
    assert_eq!(env, "");
    cluster.stop();
}

#[test]
fn diff_shows_and_changes_nothing() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&deployment(2, "app:v1"));
    let same = kubectl.with_input(&["diff", "-f", "-"], &deployment(2, "app:v1"));
    assert!(same.success, "{}{}", same.stdout, same.stderr);
    let other = kubectl.with_input(&["diff", "-f", "-"], &deployment(5, "app:v2"));
    assert!(!other.success);
    for line in ["-  replicas: 2", "+  replicas: 5", "+        image: app:v2"] {
        let found = other.stdout.lines().any(|it| it == line);
        assert!(found, "{line}: {}{}", other.stdout, other.stderr);
    }
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "2");
    cluster.stop();
}

#[test]
fn scale_and_set() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&deployment(2, "app:v1"));
    kubectl.ok(&["scale", "deployment", "web", "--replicas=4"]);
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "4");
    let missed = [
        "scale",
        "deployment",
        "web",
        "--current-replicas=9",
        "--replicas=1",
    ];
    assert!(kubectl.fails(&missed).contains("Expected replicas to be 9"));
    let scale = kubectl.ok(&["get", "deployment", "web", "--subresource=scale"]);
    let row: Vec<&str> = scale
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(row[..3], ["web", "4", "0"]);
    kubectl.ok(&["set", "image", "deployment/web", "c=app:v2"]);
    kubectl.ok(&["set", "env", "deployment/web", "B=2", "A-"]);
    kubectl.ok(&[
        "set",
        "resources",
        "deployment/web",
        "--limits=cpu=1",
        "--requests=cpu=0.5",
    ]);
    kubectl.ok(&["set", "serviceaccount", "deployment/web", "default"]);
    let container = |path: &str| {
        let path = format!(".spec.template.spec.containers[0].{path}");
        kubectl.field("deployment/web", &path)
    };
    assert_eq!(container("image"), "app:v2");
    assert_eq!(container("env"), r#"[{"name":"B","value":"2"}]"#);
    assert_eq!(container("resources.requests.cpu"), "500m");
    kubectl.ok(&["create", "service", "clusterip", "s", "--tcp=80"]);
    kubectl.ok(&["set", "selector", "service", "s", "app=web"]);
    assert_eq!(
        kubectl.field("service/s", ".spec.selector"),
        r#"{"app":"web"}"#
    );
    kubectl.ok(&["create", "rolebinding", "r", "--role=x", "--user=jane"]);
    kubectl.ok(&["set", "subject", "rolebinding", "r", "--group=team"]);
    assert_eq!(kubectl.field("rolebinding/r", ".subjects[1].name"), "team");
    cluster.stop();
}

#[test]
fn rollouts_are_asked_for() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&deployment(2, "app:v1"));
    // Nobody rolls anything out here: kubectl waits, and says for what.
    let waiting = kubectl.run(&["rollout", "status", "deployment/web", "--timeout=1s"]);
    assert!(!waiting.success);
    assert!(
        waiting.stdout.contains("Waiting for deployment"),
        "{waiting:?}"
    );
    kubectl.ok(&["rollout", "restart", "deployment/web"]);
    let annotations = kubectl.field("deployment/web", ".spec.template.metadata.annotations");
    assert!(
        annotations.contains("kubectl.kubernetes.io/restartedAt"),
        "{annotations}"
    );
    kubectl.ok(&["rollout", "pause", "deployment/web"]);
    assert_eq!(kubectl.field("deployment/web", ".spec.paused"), "true");
    assert!(
        kubectl
            .fails(&["rollout", "pause", "deployment/web"])
            .contains("already paused")
    );
    kubectl.ok(&["rollout", "resume", "deployment/web"]);
    assert_eq!(kubectl.field("deployment/web", ".spec.paused"), "");
    // Revisions are a controller's work; two ReplicaSets stand in for it.
    let uid = kubectl.field("deployment/web", ".metadata.uid");
    for revision in [1, 2] {
        kubectl.apply(&replica_set(revision, &uid));
    }
    let history = kubectl.ok(&["rollout", "history", "deployment/web"]);
    let revisions: Vec<&str> = history
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.parse::<u32>().is_ok())
        .collect();
    assert_eq!(revisions, ["1", "2"], "{history}");
    kubectl.ok(&["rollout", "undo", "deployment/web", "--to-revision=1"]);
    let image = kubectl.field("deployment/web", ".spec.template.spec.containers[0].image");
    assert_eq!(image, "old:1");
    cluster.stop();
}

fn replica_set(revision: u32, owner: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-{revision}
  labels: {{app: web}}
  annotations: {{deployment.kubernetes.io/revision: '{revision}'}}
  ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: web, uid: {owner}, controller: true}}]
spec:
  selector: {{matchLabels: {{app: web, pod-template-hash: '{revision}'}}}}
  template:
    metadata: {{labels: {{app: web, pod-template-hash: '{revision}'}}}}
    spec: {{containers: [{{name: c, image: 'old:{revision}'}}]}}
"
    )
}

#[test]
fn replace_patch_and_wait() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(&deployment(2, "app:v1"));
    let uid = || kubectl.field("deployment/web", ".metadata.uid");
    let first = uid();
    kubectl
        .with_input(&["replace", "-f", "-"], &deployment(3, "app:v3"))
        .ok();
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "3");
    assert_eq!(uid(), first);
    kubectl
        .with_input(&["replace", "--force", "-f", "-"], &deployment(1, "app:v1"))
        .ok();
    assert_ne!(uid(), first);
    let patch = |args: &[&str]| {
        let mut all = vec!["patch", "deployment", "web"];
        all.extend(args);
        kubectl.ok(&all)
    };
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"x"}]}}}}"#;
    patch(&["--type=strategic", "-p", strategic]);
    let images = ".spec.template.spec.containers[*].image";
    assert_eq!(kubectl.field("deployment/web", images), "x app:v1");
    let merge = r#"{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"y"}]}}}}"#;
    patch(&["--type=merge", "-p", merge]);
    assert_eq!(kubectl.field("deployment/web", images), "y");
    patch(&[
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/replicas","value":7}]"#,
    ]);
    patch(&[
        "--subresource=scale",
        "--type=merge",
        "-p",
        r#"{"spec":{"replicas":8}}"#,
    ]);
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "8");
    let ready = r#"{"status":{"replicas":1,"readyReplicas":1,"conditions":[
        {"type":"Available","status":"True","reason":"r","message":"m"}]}}"#;
    patch(&["--subresource=status", "--type=merge", "-p", ready]);
    assert_eq!(
        kubectl.field("deployment/web", ".status.readyReplicas"),
        "1"
    );
    kubectl.ok(&[
        "wait",
        "deployment/web",
        "--for=condition=Available",
        "--timeout=20s",
    ]);
    kubectl.ok(&[
        "wait",
        "deployment/web",
        "--for=jsonpath={.spec.replicas}=8",
        "--timeout=20s",
    ]);
    let late = [
        "wait",
        "deployment/web",
        "--for=jsonpath={.spec.replicas}=9",
        "--timeout=1s",
    ];
    assert!(kubectl.fails(&late).contains("timed out"));
    kubectl.ok(&["create", "configmap", "c", "--from-literal=a=1"]);
    kubectl.ok(&["delete", "configmap", "c"]);
    kubectl.ok(&["wait", "configmap/c", "--for=delete", "--timeout=20s"]);
    let mut edit = kubectl.command(&["edit", "deployment", "web"]);
    edit.env("KUBE_EDITOR", "sed -i s/replicas:.8/replicas:\\ 9/");
    kubectl.run_command(edit, &["edit"]).ok();
    assert_eq!(kubectl.field("deployment/web", ".spec.replicas"), "9");
    cluster.stop();
}
