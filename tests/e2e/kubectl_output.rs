//! What kubectl shows: every form of output, selections, and what it tells about the API itself.

use crate::support::{Cluster, Kubectl};

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: 'app:v1'}]
";

/// Every kind, with what every old and new kubectl makes of the documents.
#[test]
fn explain_knows_every_field_of_every_kind() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    for kubectl in std::iter::once(kubectl.clone()).chain(kubectl.newer()) {
        let resources = kubectl.ok(&["api-resources", "-o", "name"]);
        let mut kinds = 0;
        for resource in resources.lines() {
            // kubectl takes what follows its dot for a field, with any server.
            let args = match resource {
                "events.events.k8s.io" => vec!["events", "--api-version=events.k8s.io/v1"],
                resource => vec![resource],
            };
            let explained = kubectl.ok(&[&["explain", "--recursive"], &args[..]].concat());
            let (head, fields) = explained.split_once("FIELDS:").expect(resource);
            let description = head.split_once("DESCRIPTION:").expect(resource).1.trim();
            assert!(
                !description.is_empty() && description != "<empty>",
                "{resource}: {head}"
            );
            assert!(fields.contains("metadata\t<"), "{resource}: {fields}");
            kinds += 1;
        }
        assert!(kinds > 60, "{resources}");
        let pod = kubectl.ok(&["explain", "pod", "--recursive"]);
        for deep in [
            "runAsNonRoot",
            "labelSelector",
            "tcpSocket",
            "seccompProfile",
        ] {
            assert!(pod.contains(deep), "{deep}");
        }
        let field = kubectl.ok(&["explain", "deployment.spec.strategy.rollingUpdate.maxSurge"]);
        assert!(
            field.contains("FIELD: maxSurge <IntOrString>") && field.contains("percentage"),
            "{field}"
        );
        let policy = kubectl.ok(&["explain", "pod.spec.restartPolicy"]);
        assert!(
            policy.contains("ENUM:") && policy.contains("OnFailure"),
            "{policy}"
        );
        let older = [
            "explain",
            "cronjob.spec.jobTemplate",
            "--output=plaintext-openapiv2",
        ];
        let older = kubectl.ok(&older);
        assert!(
            older.contains("JobTemplateSpec") && older.contains("spec\t"),
            "{older}"
        );
    }
    cluster.stop();
}

#[test]
fn what_the_api_says_about_itself() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let resources = kubectl.ok(&["api-resources", "--api-group=apps", "-o", "wide"]);
    let deployments = resources
        .lines()
        .find(|line| line.starts_with("deployments"));
    let deployments: Vec<&str> = deployments.expect("a row").split_whitespace().collect();
    assert_eq!(
        deployments,
        [
            "deployments",
            "deploy",
            "apps/v1",
            "true",
            "Deployment",
            "create,delete,deletecollection,get,list,patch,update,watch",
            "all"
        ]
    );
    let cluster_wide = kubectl.ok(&["api-resources", "--namespaced=false", "-o", "name"]);
    assert!(cluster_wide.contains("clusterroles.rbac.authorization.k8s.io"));
    assert!(!cluster_wide.contains("deployments"));
    let versions = kubectl.ok(&["api-versions"]);
    for version in [
        "apps/v1",
        "batch/v1",
        "v1",
        "policy/v1",
        "storage.k8s.io/v1",
    ] {
        assert!(versions.lines().any(|line| line == version), "{versions}");
    }
    assert!(kubectl.ok(&["cluster-info"]).contains("is running at"));
    let dump = cluster.folder.path().join("dump");
    let folder = format!("--output-directory={}", dump.display());
    kubectl.ok(&["cluster-info", "dump", &folder]);
    assert!(dump.join("nodes.json").is_file());
    let raw = kubectl.ok(&["get", "--raw", "/api/v1/namespaces/default"]);
    let namespace: serde_json::Value = serde_json::from_str(&raw).expect("JSON");
    assert_eq!(namespace["status"]["phase"], "Active");
    let older = kubectl.ok(&["get", "--raw", "/openapi/v2"]);
    assert!(older.starts_with(r#"{"swagger":"2.0""#));
    let missing = kubectl.fails(&["get", "--raw", "/nope"]);
    assert!(missing.contains("the server could not find"), "{missing}");
    let metrics = kubectl.fails(&["top", "nodes"]);
    assert!(metrics.contains("Metrics API not available"), "{metrics}");
    cluster.stop();
}

#[test]
fn every_output_form() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    kubectl.apply(DEPLOYMENT);
    let get = |form: &str| kubectl.ok(&["get", "deployment", "web", "-o", form]);
    let table = kubectl.ok(&["get", "deployment", "web"]);
    assert_eq!(
        words(&table, 0),
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    );
    assert_eq!(words(&table, 1)[..4], ["web", "0/2", "0", "0"]);
    let wide = get("wide");
    assert_eq!(words(&wide, 0)[5..], ["CONTAINERS", "IMAGES", "SELECTOR"]);
    assert_eq!(words(&wide, 1)[5..], ["c", "app:v1", "app=web"]);
    assert!(get("yaml").contains("kind: Deployment\n"));
    let json: serde_json::Value = serde_json::from_str(&get("json")).expect("JSON");
    assert_eq!(json["spec"]["replicas"], 2);
    assert_eq!(get("name").trim(), "deployment.apps/web");
    assert_eq!(
        get("jsonpath={.spec.template.spec.containers[*].image}"),
        "app:v1"
    );
    assert_eq!(
        get("go-template={{.metadata.name}}/{{.spec.replicas}}"),
        "web/2"
    );
    let columns = get("custom-columns=N:.metadata.name,R:.spec.replicas,X:.spec.nothing");
    assert_eq!(words(&columns, 0), ["N", "R", "X"]);
    assert_eq!(words(&columns, 1), ["web", "2", "<none>"]);
    let file = cluster.folder.path().join("columns");
    std::fs::write(&file, "NAME LABELS\n.metadata.name .metadata.labels.app\n").expect("written");
    let columns = get(&format!("custom-columns-file={}", file.display()));
    assert_eq!(words(&columns, 1), ["web", "web"]);
    let headless = kubectl.ok(&["get", "deploy", "--no-headers", "--show-labels"]);
    assert!(headless.trim_end().ends_with("app=web"), "{headless}");
    let labels = kubectl.ok(&["get", "deploy", "-L", "app", "--show-kind"]);
    assert!(
        labels.contains("deployment.apps/web") && labels.contains("APP"),
        "{labels}"
    );
    let all = kubectl.ok(&["get", "all"]);
    assert!(
        all.contains("service/kubernetes") && all.contains("deployment.apps/web"),
        "{all}"
    );
    if let Some(kubectl) = kubectl.newer() {
        let kyaml = kubectl.run(&["get", "deploy", "web", "-o", "kyaml"]).ok();
        assert!(kyaml.contains("kind: \"Deployment\","), "{kyaml}");
    }
    let described = kubectl.ok(&["describe", "deployment", "web"]);
    assert!(described.contains("2 desired"), "{described}");
    cluster.stop();
}

#[test]
fn selections_and_orders() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    for (name, label, rank) in [("a", "x=1", "3"), ("b", "x=2", "1"), ("c", "y=1", "2")] {
        let data = format!("--from-literal=rank={rank}");
        kubectl.ok(&["create", "configmap", name, &data]);
        kubectl.ok(&["label", "configmap", name, label]);
    }
    let names = |args: &[&str]| -> Vec<String> {
        let mut all = vec!["get", "configmap", "-o", "name"];
        all.extend(args);
        let out = kubectl.ok(&all);
        out.lines()
            .filter_map(|line| line.strip_prefix("configmap/"))
            .filter(|name| name.len() == 1)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(names(&["-l", "x"]), ["a", "b"]);
    assert_eq!(names(&["-l", "x notin (1)"]), ["b", "c"]);
    assert_eq!(names(&["--field-selector", "metadata.name=b"]), ["b"]);
    assert_eq!(names(&["--field-selector", "metadata.name!=b"]), ["a", "c"]);
    assert_eq!(names(&["-l", "x", "--sort-by", ".data.rank"]), ["b", "a"]);
    let refused = kubectl.fails(&["get", "configmap", "--field-selector", "data.rank=1"]);
    assert!(
        refused.contains("\"data.rank\" is not a known field selector"),
        "{refused}"
    );
    // Sorted on the client, by what rows carry of their objects.
    let table = kubectl.ok(&["get", "configmap", "-l", "x", "--sort-by", "{.data.rank}"]);
    assert_eq!((words(&table, 1)[0], words(&table, 2)[0]), ("b", "a"));
    let chunks = kubectl.ok(&["get", "clusterroles", "--chunk-size=7", "-o", "name"]);
    let whole = kubectl.ok(&["get", "clusterroles", "-o", "name"]);
    assert_eq!(chunks, whole);
    let pending = [
        "get",
        "pods",
        "-A",
        "--field-selector",
        "status.phase=Pending",
        "-o",
        "name",
    ];
    assert_eq!(kubectl.ok(&pending), "");
    cluster.stop();
}

/// Kinds nobody acts on are shown like the others.
#[test]
fn tables_of_many_kinds() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let check = |create: &[&str], show: &[&str], head: &[&str], row: &[&str]| {
        kubectl.ok(create);
        let mut get = vec!["get"];
        get.extend(show);
        let table = kubectl.ok(&get);
        assert_eq!(words(&table, 0)[..head.len()], *head, "{table}");
        assert_eq!(words(&table, 1)[..row.len()], *row, "{table}");
    };
    check(
        &["create", "cronjob", "x", "--image=i", "--schedule=@daily"],
        &["cronjob", "x"],
        &["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE"],
        &["x", "@daily", "<none>", "False", "0", "<none>"],
    );
    check(
        &["create", "ingress", "x", "--rule=a.b/=x:80"],
        &["ingress", "x"],
        &["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"],
        &["x", "<none>", "a.b", "80"],
    );
    check(
        &["create", "pdb", "x", "--selector=a=b", "--min-available=1"],
        &["pdb", "x"],
        &[
            "NAME",
            "MIN",
            "AVAILABLE",
            "MAX",
            "UNAVAILABLE",
            "ALLOWED",
            "DISRUPTIONS",
        ],
        &["x", "1", "N/A", "0"],
    );
    check(
        &[
            "create",
            "rolebinding",
            "x",
            "--role=r",
            "--user=u",
            "--serviceaccount=n:s",
        ],
        &["rolebinding", "x", "-o", "wide"],
        &["NAME", "ROLE", "AGE", "USERS", "GROUPS", "SERVICEACCOUNTS"],
        &["x", "Role/r"],
    );
    check(
        &["create", "priorityclass", "x", "--value=7"],
        &["priorityclass", "x"],
        &["NAME", "VALUE", "GLOBAL-DEFAULT", "AGE", "PREEMPTIONPOLICY"],
        &["x", "7", "false"],
    );
    cluster.stop();
}

fn words(table: &str, line: usize) -> Vec<&str> {
    let line = table
        .lines()
        .nth(line)
        .unwrap_or_else(|| panic!("no line {line}: {table}"));
    line.split_whitespace().collect()
}

/// Quiet where there is nothing.
#[test]
fn nothing_is_told_kindly() {
    let cluster = Cluster::start();
    let Some(kubectl) = cluster.kubectl() else {
        return;
    };
    let said = |kubectl: &Kubectl, args: &[&str]| {
        let ran = kubectl.run(args);
        format!("{}{}", ran.stdout, ran.stderr)
    };
    for kind in ["deployments", "jobs", "networkpolicies", "resourceclaims"] {
        let nothing = said(&kubectl, &["get", kind]);
        assert_eq!(
            nothing, "No resources found in default namespace.\n",
            "{kind}"
        );
    }
    let nothing = said(&kubectl, &["get", "csinodes"]);
    assert_eq!(nothing, "No resources found\n");
    let unknown = kubectl.fails(&["get", "nonsense"]);
    assert!(
        unknown.contains("doesn't have a resource type \"nonsense\""),
        "{unknown}"
    );
    cluster.stop();
}
